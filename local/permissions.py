"""Granted against used: what each role may do, and what the laptop platform saw it do (`python -m local.permissions`).

A role of ours may have nothing that no run ever used, unless `permissions.yaml` beside this module says why. Roles of the
CDK's bootstrap are not ours.
"""

from __future__ import annotations

import fnmatch
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import yaml

from local.platform import REGION, Platform

EXCEPTIONS = Path(__file__).with_suffix(".yaml")
"""Grants that no scenario uses, each with the reason why it stays."""


@dataclass(frozen=True, kw_only=True, order=True)
class Grant:
    """An action that a role is granted."""

    role: str
    action: str


@dataclass(frozen=True, kw_only=True, order=True)
class Exemption:
    """A grant that stays though no scenario uses it.

    Attributes:
        role: Pattern of role names, after the environment's prefix.
        actions: Actions that it covers.
        reason: Why they stay.
    """

    role: str
    actions: tuple[str, ...]
    reason: str

    def covers(self, grant: Grant, prefix: str) -> bool:
        """Whether it speaks of this grant."""
        return grant.action in self.actions and fnmatch.fnmatchcase(grant.role.removeprefix(f"{prefix}-"), self.role)


def granted(iam: Any, prefix: str) -> frozenset[Grant]:
    """What the roles whose names begin with *prefix* are allowed, an entry an action.

    Raises:
        ValueError: A role is allowed a pattern of actions.
    """
    found: set[Grant] = set()
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            if not role["RoleName"].startswith(f"{prefix}-"):
                continue
            for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
                found |= {Grant(role=role["RoleName"], action=action) for action in allowed(document)}
            for attached in iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]:
                version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
                document = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
                found |= {Grant(role=role["RoleName"], action=action) for action in allowed(document)}
    wild = sorted(f"{grant.role}: {grant.action}" for grant in found if "*" in grant.action)
    if wild:
        raise ValueError(f"roles are allowed patterns of actions; name each action: {', '.join(wild)}")
    return frozenset(found)


def used(records: Iterable[str]) -> dict[Grant, int]:
    """How often each role did what, from the lines of the platform's record."""
    counts: dict[Grant, int] = defaultdict(int)
    for line in records:
        call = json.loads(line)
        if call.get("role") and call["decision"] == "Allow":
            counts[Grant(role=call["role"], action=call["action"])] += 1
    return dict(counts)


def exemptions(path: Path = EXCEPTIONS) -> tuple[Exemption, ...]:
    """The reasons on file."""
    entries: Sequence[Mapping[str, Any]] = yaml.safe_load(path.read_text()) or []
    return tuple(Exemption(role=entry["role"], actions=tuple(entry["actions"]), reason=entry["reason"]) for entry in entries)


def unused(grants: Iterable[Grant], uses: Mapping[Grant, int], exempt: Sequence[Exemption], prefix: str) -> tuple[Grant, ...]:
    """Grants that nothing used and no reason covers."""
    return tuple(
        sorted(grant for grant in grants if grant not in uses and not any(exemption.covers(grant, prefix) for exemption in exempt))
    )


def idle(exempt: Sequence[Exemption], grants: Iterable[Grant], uses: Mapping[Grant, int], prefix: str) -> tuple[Exemption, ...]:
    """Reasons that speak of nothing, or of grants that are used after all."""
    open_grants = [grant for grant in grants if grant not in uses]
    return tuple(exemption for exemption in exempt if not any(exemption.covers(grant, prefix) for grant in open_grants))


def allowed(document: Mapping[str, Any] | str) -> Iterable[str]:
    """Actions that a policy document allows."""
    policy: Mapping[str, Any] = json.loads(unquote(document)) if isinstance(document, str) else document
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    for statement in statements:
        if statement["Effect"] == "Allow":
            actions = statement["Action"]
            yield from [actions] if isinstance(actions, str) else actions


def main(argv: Sequence[str]) -> int:
    """Print what is granted and never used; 1 if there is any without a reason."""
    platform = Platform(Path.cwd())
    prefix = argv[0] if argv else "lakehouse-local"
    settings = platform.environment()
    session = boto3.Session(
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"], aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"], region_name=REGION
    )
    iam = session.client("iam", endpoint_url=platform.endpoint, verify=settings["AWS_CA_BUNDLE"])
    grants = granted(iam, prefix)
    with (platform.folder / "calls.jsonl").open() as lines:
        uses = used(lines)
    left = unused(grants, uses, exemptions(), prefix)
    sys.stdout.write(
        f"{len(grants)} actions granted, {sum(grant in uses for grant in grants)} used, {len(left)} neither used nor explained\n"
    )
    for grant in left:
        sys.stdout.write(f"  {grant.role}: {grant.action}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
