"""Policy packs of cdk-nag over an environment: which there are, and which findings of theirs are right as they are, and why.

What AwsSolutions finds is explained beside its cause in the constructs (`acknowledge`), for whoever uses a construct alone. The compliance packs judge a whole
environment, so what is acknowledged of them stands here, in one table. `cdk synth -c env=prod -c policy-packs=all` runs them; a plain synth does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Acknowledgment, App, CfnResource, Validations
from constructs import Construct

from constructs_lib.checks import require

CONTEXT_KEY = "policy-packs"
"""Key of the context that asks for packs: `all`, or some of their names with commas between them."""

PACKS: Mapping[str, str] = {
    "aws-solutions": "AwsSolutions",
    "nist-800-53-r5": "NIST.800.53.R5",
    "hipaa-security": "HIPAA.Security",
    "pci-dss-3.2.1": "PCI.DSS.321",
}
"""Packs by the names that people give, and what their findings begin with."""

COMPLIANCE = ("nist-800-53-r5", "hipaa-security", "pci-dss-3.2.1")
"""Packs whose findings the table below acknowledges."""


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """Findings of the compliance packs that are right as they are.

    Attributes:
        rule: Name of the rule, the same in every pack that has it.
        reason: Why it is right as it is.
        where: Pattern that the path of the resource has to match; empty = wherever the rule applies.
    """

    rule: str
    reason: str
    where: str = ""

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is one of these."""
        return finding.rule == self.rule and re.search(self.where, finding.path) is not None


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """What a pack has found.

    Attributes:
        pack: Name of the pack.
        rule: Name of the rule, without the pack's own beginning.
        path: Path of the resource.
    """

    pack: str
    rule: str
    path: str


ACKNOWLEDGED: tuple[Acknowledged, ...] = ()


def plugins(scope: Construct, packs: Sequence[str]) -> list[Any]:
    """The packs as validation plugins."""
    import cdk_nag

    made = {
        "aws-solutions": cdk_nag.AwsSolutionsChecks,
        "nist-800-53-r5": cdk_nag.NIST80053R5Checks,
        "hipaa-security": cdk_nag.HIPAASecurityChecks,
        "pci-dss-3.2.1": cdk_nag.PCIDSS321Checks,
    }
    return [made[name](scope) for name in packs]


def asked_for(value: object) -> tuple[str, ...]:
    """Packs that a value of the context names.

    Raises:
        InvalidProps: There is no such pack.
    """
    if not value:
        return ()
    names = tuple(PACKS) if value == "all" else tuple(str(value).split(","))
    unknown = [name for name in names if name not in PACKS]
    require(not unknown, f"-c {CONTEXT_KEY}: there is no pack {', '.join(unknown)}: write all, or some of {', '.join(PACKS)}")
    return names


def apply(app: App, packs: Sequence[str]) -> None:
    """Have packs judge an app when it is synthesized, once everything is in it; an unknown finding fails the synth."""
    Validations.of(app).add_plugins(*plugins(app, packs))
    compliance = [PACKS[name] for name in packs if name in COMPLIANCE]
    if not compliance:
        return
    everywhere = [row for row in ACKNOWLEDGED if not row.where]
    _acknowledge(app, everywhere, compliance)
    for stack in app.node.children:
        for node in stack.node.find_all():
            if isinstance(node, Construct) and CfnResource.is_cfn_resource(node):
                _acknowledge(node, [row for row in ACKNOWLEDGED if row.where and re.search(row.where, node.node.path)], compliance)


def findings(report: Mapping[str, Any]) -> list[Finding]:
    """What a validation report of the CDK holds."""
    found: set[Finding] = set()
    prefixes = {f"{prefix}-": name for name, prefix in PACKS.items()}
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            prefix = next(prefix for prefix in prefixes if violation["ruleName"].startswith(prefix))
            for construct in violation["violatingConstructs"]:
                rule = violation["ruleName"].removeprefix(prefix)
                found.add(Finding(pack=prefixes[prefix], rule=rule, path=construct["constructPath"]))
    return sorted(found)


def _acknowledge(scope: Construct, rows: Sequence[Acknowledged], prefixes: Sequence[str]) -> None:
    given = [Acknowledgment(id=f"{prefix}-{row.rule}", reason=row.reason) for row in rows for prefix in prefixes]
    if given:
        Validations.of(scope).acknowledge(*given)
