"""One way to give a permission: exact actions on exact resources."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, cast
from weakref import WeakKeyDictionary

from aws_cdk import Acknowledgment, Stack, Token, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from constructs_lib.arns import readable, refuse_alias
from constructs_lib.checks import require
from constructs_lib.order import after, gathered_order

NO_METRIC_RESOURCE = "CloudWatch knows no resource for putting metrics; the condition on the namespace is the limit."
"""Why cloudwatch:PutMetricData is given on everything."""

_Statement = tuple[tuple[str, ...], tuple[str, ...], str]

_GIVEN: WeakKeyDictionary[iam.IGrantable, dict[_Statement, iam.Grant]] = WeakKeyDictionary()
"""What each grantee was given already: tables of one zone ask for the same key over and over, and each grant is a call into the CDK."""

_EXPLAINED: WeakKeyDictionary[Construct, tuple[Validations, set[str]]] = WeakKeyDictionary()
"""Findings that each construct has explained."""

_explains: ContextVar[bool] = ContextVar("explains", default=True)
"""Whether findings are explained."""

_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")

MAX_STATEMENT = 2000
"""Most characters of the ARNs of one statement: the CDK spreads a large policy over several, but never one statement."""

DEFAULT_POLICY = "DefaultPolicy"
"""What the CDK calls a role's own policy."""

MAX_WHOLE = 8000
"""Most characters of a policy that is written at once; the CDK spreads over several what is above 10,000, by the same estimate."""

ARN_ESTIMATE = 150
"""What the CDK takes an ARN for whose partition, account or name only the deployment knows."""


class _Pending:
    """A permission that its role will have; stands for the grant until then."""

    success = True

    def __init__(self, statement: _Statement) -> None:
        self.statement = statement
        self.dependents: list[IConstruct] = []
        self.waited_for: list[Callable[..., None]] = []

    def apply_before(self, *constructs: IConstruct) -> None:
        """Have the constructs wait for the permission."""
        self.dependents += constructs
        for wait in self.waited_for:
            wait(*constructs)

    def assert_success(self) -> None:
        """A role of the stack's own always takes a permission."""


class _Role:
    """What is gathered for one role."""

    def __init__(self) -> None:
        self.pending: list[_Pending] = []
        self.findings: dict[str, str] = {}


_gathering: list[dict[iam.Role, _Role]] = []
"""What is gathered, by role; empty while every permission is added at once."""


@contextmanager
def gathered() -> Iterator[None]:
    """Gather the permissions of roles, and add them at the end: one call into the CDK for all that differ in their resources or in their actions alone.

    Policies mean the same as without it. Of the grants that are returned meanwhile, `apply_before`, `success` and `assert_success` work.
    """
    if _gathering:
        yield
        return
    roles: dict[iam.Role, _Role] = {}
    with gathered_order():
        _gathering.append(roles)
        try:
            yield
        finally:
            _gathering.clear()
        for role, found in roles.items():
            _write(role, found)


def _write(role: iam.Role, found: _Role) -> None:
    """Add what was gathered for a role."""
    statements = merged(pending.statement for pending in found.pending)
    policy = _policy(role, statements)
    if policy is not None:
        _give(found.pending, partial(_wait_for, policy))
    else:
        for statement in statements:
            grant = _add(role, statement)
            _give([pending for pending in found.pending if _is_part(pending.statement, statement)], grant.apply_before)
    _explain(role, found.findings)


@contextmanager
def unexplained() -> Iterator[None]:
    """Explain no findings of policy packs, for a synth that no pack judges: each explanation is a call or two into the CDK, and leaves nothing in a template."""
    before = _explains.set(False)
    try:
        yield
    finally:
        _explains.reset(before)


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
    given = _GIVEN.setdefault(grantee, {})
    statement = (tuple(actions), tuple(resources), json.dumps(conditions, sort_keys=True))
    patterns = [resource for resource in resources if "*" in resource]
    if statement in given and (because is not None or not patterns):
        return given[statement]
    for action in actions:
        require("*" not in action, f"name the actions one by one: {action!r} holds a wildcard")
    for resource in resources:
        refuse_alias(resource)
    findings: dict[str, str] = {}
    if patterns:
        require(because is not None, f"{readable(patterns[0])!r} is a pattern: name the resource, or say `because` why nobody can")
        assert because is not None
        if _explains.get():
            findings = {f"AwsSolutions-IAM5[Resource::{_printed(grantee, pattern)}]": because for pattern in patterns}
    if _gathering and isinstance(grantee, iam.Role):
        role = _gathering[0].setdefault(grantee, _Role())
        pending = _Pending(statement)
        role.pending.append(pending)
        role.findings.update(findings)
        grant = cast("iam.Grant", pending)
    else:
        _explain(grantee, findings)
        grant = _add(grantee, statement)
        if not isinstance(grantee, iam.Role):
            _require_effect(grant, grantee)
    given[statement] = grant
    return grant


def wait_for_permissions(construct: IConstruct, role: iam.Role) -> None:
    """Have a construct wait for everything that a role was permitted so far.

    Args:
        construct: What has to come after.
        role: A role of the same stack.
    """
    for grant in _GIVEN.get(role, {}).values():
        grant.apply_before(construct)


def merged(statements: Iterable[_Statement]) -> list[_Statement]:
    """Few statements that mean the same: those on the same resources together, then those with the same actions, as long as none gets too large.

    Args:
        statements: Actions, resources and conditions (JSON) of each.
    """
    by_resource: dict[tuple[str, str], dict[str, None]] = {}
    for actions, resources, conditions in statements:
        for resource in resources:
            by_resource.setdefault((resource, conditions), {}).update(dict.fromkeys(actions))
    by_actions: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (resource, conditions), actions in by_resource.items():
        by_actions.setdefault((tuple(sorted(actions)), conditions), []).append(resource)
    return [(actions, part, conditions) for (actions, conditions), resources in by_actions.items() for part in _parts(resources)]


def _length(resource: str) -> int:
    """Characters of an ARN. The CDK numbers its tokens from a random number on, so their text is shorter in one synth and longer in the next."""
    return len(_TOKEN.sub("AWS::Partition", resource))


def _parts(resources: Sequence[str]) -> Iterator[tuple[str, ...]]:
    part: list[str] = []
    for resource in resources:
        if part and sum(map(_length, part)) + _length(resource) > MAX_STATEMENT:
            yield tuple(part)
            part = []
        part.append(resource)
    yield tuple(part)


def _is_part(some: _Statement, whole: _Statement) -> bool:
    """Whether a merged statement holds something of another."""
    return some[2] == whole[2] and set(some[0]) <= set(whole[0]) and not set(some[1]).isdisjoint(whole[1])


def _estimated(statement: _Statement) -> int:
    """Characters of a statement, as the CDK estimates them, and of its conditions, which it leaves out."""
    actions, resources, conditions = statement
    return sum(map(len, actions)) + sum(max(ARN_ESTIMATE, len(resource)) for resource in resources) + len(conditions)


def _give(pendings: Iterable[_Pending], wait: Callable[..., None]) -> None:
    """They are in a policy of which *wait* has constructs wait: each construct once, however many of them it waits for."""
    dependents: dict[IConstruct, None] = {}
    for pending in pendings:
        pending.waited_for.append(wait)
        dependents.update(dict.fromkeys(pending.dependents))
    if dependents:
        wait(*dependents)


def _policy(role: iam.Role, statements: Sequence[_Statement]) -> iam.Policy | None:
    """The role's own policy, all of it in two calls, where the CDK would put it; None for a role that has one already, or needs more than one."""
    if sum(map(_estimated, statements)) > MAX_WHOLE:
        return None
    document = {
        "Statement": [
            {
                "Effect": "Allow",
                "Action": list(actions),
                "Resource": list(resources),
                **({"Condition": found} if (found := json.loads(conditions)) else {}),
            }
            for actions, resources, conditions in statements
        ]
    }
    try:
        return iam.Policy(role, DEFAULT_POLICY, document=iam.PolicyDocument.from_json(document), roles=[cast("iam.IRole", role)])
    except RuntimeError:  # asked for only now, for looking first costs every role two calls more
        if role.node.try_find_child(DEFAULT_POLICY) is None:
            raise
        return None


def _wait_for(policy: iam.Policy, *constructs: IConstruct) -> None:
    for construct in constructs:
        after(construct, policy)


def _add(grantee: iam.IGrantable, statement: _Statement) -> iam.Grant:
    actions, resources, conditions = statement
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=list(actions), resource_arns=list(resources), conditions=json.loads(conditions)
    )


def _printed(grantee: iam.IGrantable, text: str) -> str:
    """An ARN as cdk-nag prints it: what only the deployment knows under its logical name."""
    text = readable(text)
    if not isinstance(grantee, Construct) or "${Token[" not in text:
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
    _explain(scope, dict.fromkeys(findings, reason))


def _explain(scope: object, findings: Mapping[str, str]) -> None:
    """Explain findings, each with its own reason."""
    if not isinstance(scope, Construct) or not findings or not _explains.get():
        return
    validations, known = _EXPLAINED.get(scope) or (Validations.of(scope), set[str]())
    _EXPLAINED[scope] = (validations, known)
    unknown = {finding: reason for finding, reason in findings.items() if finding not in known}
    known.update(unknown)
    if unknown:
        validations.acknowledge(*(Acknowledgment(id=finding, reason=reason) for finding, reason in unknown.items()))


def service_principal(service: str, *, conditions: Mapping[str, Any] | None = None) -> iam.IPrincipal:
    """An AWS service as a principal.

    Args:
        service: Such as `glue.amazonaws.com`.
        conditions: When it may act.
    """
    return _service_principal(service, json.dumps(conditions, sort_keys=True))


@cache
def _service_principal(service: str, conditions: str) -> iam.IPrincipal:
    # A principal belongs to no app: one serves all roles that trust it. The CDK's Python stubs name one argument differently in the class and in its
    # interface, so no type checker sees that they fit.
    return cast("iam.IPrincipal", iam.ServicePrincipal(service, conditions=json.loads(conditions)))


def account_principal() -> iam.IPrincipal:
    """This account: whoever its own policies let."""
    return cast("iam.IPrincipal", iam.AccountRootPrincipal())


def service_principal_conditions(*, account: str, source_arn: str | None = None) -> dict[str, dict[str, str]]:
    """Conditions that keep a service from being used as a deputy by another account."""
    conditions = {"StringEquals": {"aws:SourceAccount": account}}
    if source_arn is not None:
        conditions["ArnLike"] = {"aws:SourceArn": source_arn}
    return conditions
