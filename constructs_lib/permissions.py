"""One way to give a permission: exact actions on exact resources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

from aws_cdk import Acknowledgment, Stack, Token, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import readable, refuse_alias
from constructs_lib.checks import require

NO_METRIC_RESOURCE = "CloudWatch knows no resource for putting metrics; the condition on the namespace is the limit."
"""Why cloudwatch:PutMetricData is given on everything."""

_Statement = tuple[tuple[str, ...], tuple[str, ...], str]

_GIVEN: WeakKeyDictionary[iam.IGrantable, dict[_Statement, iam.Grant]] = WeakKeyDictionary()
"""What each grantee was given already: tables of one zone ask for the same key over and over, and each grant is a call into the CDK."""

_EXPLAINED: WeakKeyDictionary[Construct, tuple[Validations, set[str]]] = WeakKeyDictionary()
"""Findings that each construct has explained."""


def allow(
    grantee: iam.IGrantable,
    *,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
    because: str | None = None,
) -> iam.Grant:
    """Add a statement to the grantee's own policy.

    Args:
        grantee: Role, function or other principal that receives the permission.
        actions: Actions in full; a wildcard is refused, because nobody can say later what it let in.
        resources: ARNs that the actions apply to.
        conditions: IAM condition block.
        because: Why a resource has to be a pattern; needed if one is, and shown to whoever runs a policy check.

    Raises:
        InvalidProps: An action holds a wildcard, or a resource does and nobody said why; a resource is the alias of a key; the grantee has no policy
            that this stack could add to.
    """
    for action in actions:
        require("*" not in action, f"name the actions one by one: {action!r} holds a wildcard")
    for resource in resources:
        refuse_alias(resource)
    patterns = [resource for resource in resources if "*" in resource]
    if patterns:
        require(because is not None, f"{readable(patterns[0])!r} is a pattern: name the resource, or say `because` why nobody can")
        assert because is not None
        acknowledge(grantee, *(f"AwsSolutions-IAM5[Resource::{_printed(grantee, pattern)}]" for pattern in patterns), reason=because)
    given = _GIVEN.setdefault(grantee, {})
    statement = (tuple(actions), tuple(resources), json.dumps(conditions, sort_keys=True))
    if statement in given:
        return given[statement]
    grant = iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=list(resources), conditions=conditions)
    if not isinstance(grantee, iam.Role):
        _require_effect(grant, grantee)
    given[statement] = grant
    return grant


def _printed(grantee: iam.IGrantable, text: str) -> str:
    """An ARN as cdk-nag prints it: what only the deployment knows under its logical name."""
    text = readable(text)
    if not isinstance(grantee, Construct) or not Token.is_unresolved(text):
        return text
    return _flat(Stack.of(grantee).resolve(text))


def _flat(value: Any) -> str:
    match value:
        case {"Fn::Join": [str(between), list(parts)]}:
            return between.join(_flat(part) for part in cast("list[Any]", parts))
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"<{name}.{attribute}>"
        case _:
            return str(value)


def _require_effect(grant: iam.Grant, grantee: iam.IGrantable) -> None:
    """Refuse a grant that the CDK took and dropped: a role of the stack's own always takes it, others may not."""
    who = type(grantee).__name__
    require(
        grant.success,
        f"{who} has no policy that a permission could be added to, so nothing would be granted: pass the role, user or function that acts; "
        "another account gets in by a role of this one that it may assume",
    )
    stack, account = getattr(grantee, "stack", None), grantee.grant_principal.principal_account
    if isinstance(stack, Stack) and account is not None:
        # For a role of another account the CDK reports success and adds nothing.
        foreign = not Token.is_unresolved(account) and not Token.is_unresolved(stack.account) and account != stack.account
        require(
            not foreign,
            f"the principal is of account {account}, and a stack of account {stack.account} cannot change its policy, so nothing would be granted: pass a role "
            "of this account that it may assume",
        )


def acknowledge(scope: object, *findings: str, reason: str) -> None:
    """Explain findings of cdk-nag where they arise.

    Args:
        scope: Construct that has them; anything else is passed over.
        findings: Exact ids, such as `AwsSolutions-S1`.
        reason: Why it is right as it is.
    """
    if isinstance(scope, Construct):
        validations, known = _EXPLAINED.get(scope) or (Validations.of(scope), set[str]())
        _EXPLAINED[scope] = (validations, known)
        unknown = [finding for finding in dict.fromkeys(findings) if finding not in known]
        known.update(unknown)
        if unknown:
            validations.acknowledge(*(Acknowledgment(id=finding, reason=reason) for finding in unknown))


def service_principal(service: str, *, conditions: Mapping[str, Any] | None = None) -> iam.IPrincipal:
    """An AWS service as a principal.

    Args:
        service: Such as `glue.amazonaws.com`.
        conditions: When it may act.
    """
    # The CDK's Python stubs name one argument differently in the class and in its interface, so no type checker sees that they fit.
    return cast("iam.IPrincipal", iam.ServicePrincipal(service, conditions=conditions))


def account_principal() -> iam.IPrincipal:
    """This account: whoever its own policies let."""
    return cast("iam.IPrincipal", iam.AccountRootPrincipal())


def service_principal_conditions(*, account: str, source_arn: str | None = None) -> dict[str, dict[str, str]]:
    """Conditions that keep a service from being used as a deputy by another account."""
    conditions = {"StringEquals": {"aws:SourceAccount": account}}
    if source_arn is not None:
        conditions["ArnLike"] = {"aws:SourceArn": source_arn}
    return conditions
