"""One way to give a permission: exact actions on exact resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_iam as iam

from constructs_lib.checks import require


def allow(
    grantee: iam.IGrantable,
    *,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> iam.Grant:
    """Add a statement to the grantee's own policy.

    Args:
        grantee: Role, function or other principal that receives the permission.
        actions: Actions in full; a wildcard is refused, because nobody can say later what it let in.
        resources: ARNs that the actions apply to.
        conditions: IAM condition block.

    Raises:
        InvalidProps: An action holds a wildcard.
    """
    for action in actions:
        require("*" not in action, f"name the actions one by one: {action!r} holds a wildcard")
    return iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=list(resources), conditions=conditions)


def service_principal_conditions(*, account: str, source_arn: str | None = None) -> dict[str, dict[str, str]]:
    """Conditions that keep a service from being used as a deputy by another account."""
    conditions = {"StringEquals": {"aws:SourceAccount": account}}
    if source_arn is not None:
        conditions["ArnLike"] = {"aws:SourceArn": source_arn}
    return conditions
