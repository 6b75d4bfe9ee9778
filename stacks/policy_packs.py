"""Policy packs of cdk-nag over an environment: which there are, and which findings of theirs are right as they are, and why.

What AwsSolutions finds is explained beside its cause in the constructs (`acknowledge`), for whoever uses a construct alone. The compliance packs judge a whole
environment, so what is acknowledged of them stands here, in one table. `cdk synth -c env=prod -c policy-packs=all` runs them; a plain synth does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Acknowledgment, App, CfnResource, Validations
from constructs import Construct

from constructs_lib.checks import require
from lakehouse.environments.environment import Environment

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
        when: Whether an environment may have such findings; all may by default.
    """

    rule: str
    reason: str
    where: str = ""
    when: Callable[[Environment], bool] = lambda _: True

    def covers(self, finding: Finding, environment: Environment) -> bool:
        """Whether a finding of an environment is one of these."""
        return finding.rule == self.rule and self.when(environment) and re.search(self.where, finding.path) is not None


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


ACKNOWLEDGED: tuple[Acknowledged, ...] = (
    Acknowledged(
        rule="DynamoDBInBackupPlan",
        reason="Point-in-time recovery is on for each of them, to any second of the last 35 days; a plan of AWS Backup would keep a second, coarser copy.",
    ),
    Acknowledged(
        rule="IAMNoInlinePolicy",
        reason="Each policy is made for one role, says exactly what that one does, and goes with it; a managed one could be attached to another.",
    ),
    Acknowledged(
        rule="LambdaConcurrency",
        reason="Who calls bounds the calls: a queue's event source has a maximum, state machines and CloudFormation call one at a time; reserved concurrency "
        "would take it from everybody else in the account.",
    ),
    Acknowledged(
        rule="LambdaDLQ",
        where=r"/Starter/Resource$",
        reason="A queue calls it, and what fails again and again goes from that queue to its own dead letters, which an alarm watches.",
    ),
    Acknowledged(
        rule="LambdaDLQ",
        where=r"/(TableFunction|SchemaFunction|Check)/Resource$",
        reason="CloudFormation calls it for a custom resource and waits for the answer; one that does not come fails the deployment.",
    ),
    Acknowledged(
        rule="LambdaDLQ",
        where=r"^operations/(Notifier|Recorder)/Resource$",
        reason="State machines call it and wait; EventBridge calls it as a net under them, three times, after which the alarm keeps-failing tells. The end of the "
        "run itself is in Step Functions, where it can be read and told again.",
    ),
    Acknowledged(
        rule="LambdaInsideVPC",
        reason="It calls AWS's own APIs over TLS and nothing in the VPC; inside, it would need an endpoint for each of them, and its role is the wall either way.",
    ),
    Acknowledged(
        rule="RDSInBackupPlan",
        reason="RDS's own automated backups are on, to any second of the days that the config says, and are removed with care only; a replica is its source's copy.",
    ),
    Acknowledged(
        rule="RDSInstanceDeletionProtectionEnabled",
        when=lambda environment: environment.removal == "destroy",
        reason="This environment may be removed as a whole, and its config says so.",
    ),
    Acknowledged(
        rule="RDSMultiAZSupport",
        where=r"/Database/Reader\d+$",
        reason="The standby is the writer's; extraction waits for a reader that comes back.",
    ),
    Acknowledged(
        rule="RDSMultiAZSupport",
        where=r"/Database/Resource$",
        when=lambda environment: any(not database.multi_az for database in environment.databases.values()),
        reason="This environment can wait for a restore; production has a standby.",
    ),
    Acknowledged(
        rule="RDSStorageEncrypted",
        where=r"/Database/Reader\d+$",
        reason="A replica is encrypted with its source's key; CloudFormation wants it said there alone.",
    ),
    Acknowledged(
        rule="S3BucketLoggingEnabled",
        reason="Server access logs cannot go to a bucket under a customer key, and every bucket of the lake is under one; give DataLake `access_logs`, or let "
        "CloudTrail record data events.",
    ),
    Acknowledged(
        rule="S3BucketReplicationEnabled",
        reason="S3 keeps each object in three zones, and every bucket keeps replaced versions; whether data may also lie in a second region is for its owner "
        "to decide, and no default.",
    ),
    Acknowledged(
        rule="VPCDefaultSecurityGroupClosed",
        reason="CloudFormation cannot change the group that comes with a VPC, so the rule warns of every VPC. Nothing is in it: every resource names a group of "
        "its own, which tests/stacks/test_policy_packs.py holds.",
    ),
    Acknowledged(
        rule="VPCNoUnrestrictedRouteToIGW",
        when=lambda environment: environment.network.nat_gateways > 0,
        reason="The public subnets hold the NAT gateways of this environment and nothing else; production has no way out at all.",
    ),
)  # fmt: skip
"""Findings that are right as they are, in the order of the rules."""


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


def apply(app: App, packs: Sequence[str], *, environment: Environment) -> None:
    """Have packs judge an app when it is synthesized, once everything is in it; an unknown finding fails the synth."""
    Validations.of(app).add_plugins(*plugins(app, packs))
    prefixes = [PACKS[name] for name in packs if name in COMPLIANCE]
    rows = [row for row in ACKNOWLEDGED if row.when(environment)]
    _acknowledge(app, [row for row in rows if not row.where], prefixes)
    for node in app.node.find_all():
        if isinstance(node, Construct) and CfnResource.is_cfn_resource(node):
            path = node.node.path
            _acknowledge(node, [row for row in rows if row.where and re.search(row.where, path)], prefixes)


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
