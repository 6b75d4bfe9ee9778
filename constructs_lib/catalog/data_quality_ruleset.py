"""A ruleset of Glue Data Quality that follows a contract: the same rules as the gate of the jobs, judged by Glue over the table as it stands."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import ACCOUNT, PARTITION, REGION, arn
from constructs_lib.catalog.table_grants import CatalogTable
from constructs_lib.checks import InvalidProps, require, require_one_of
from constructs_lib.permissions import NO_METRIC_RESOURCE, allow, service_principal, service_principal_conditions
from constructs_lib.processing.job_logs import JobLogs
from lakehouse.contracts.dqdl import GATING, SEVERITIES, aliases, ruleset
from lakehouse.contracts.model import CompiledContract
from lakehouse.naming import Names

METRICS = "Glue Data Quality"
"""CloudWatch namespace that Glue publishes to."""

_LIBRARIES = "AWS keeps the program of Glue Data Quality in a bucket of its own, under keys that it changes."


class DataQualityRuleset(Construct):
    """Ruleset for one table, and the role that it is evaluated with; `lakehouse.rulesets` evaluates it and waits.

    Attributes:
        ruleset_name: Its name.
        role: What Glue acts as in an evaluation.
        logs: Where evaluations log, if they are told so.
        resource: The CloudFormation resource.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        contract: CompiledContract,
        table: CatalogTable,
        log_key: kms.IKey,
        related: Sequence[CatalogTable] = (),
        severities: Sequence[str] = GATING,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment; the ruleset is `<prefix>-<domain>-<dataset>`.
            contract: Contract whose rules it holds.
            table: Table of that contract.
            log_key: Key of the log groups.
            related: Tables that the contract's relationships compare with, each of them.
            severities: Severities whose rules are in it; every rule that does not pass blocks, so by default those that gate.
            log_retention_days: Days for which logs are kept.
            removal_policy: What happens to the logs when the stack goes.

        Raises:
            InvalidProps: It would judge nothing, another table, or against a table that its role may not read.
        """
        super().__init__(scope, id)
        wanted = f"{contract.zone}.{contract.id}"
        require(str(table.dataset) == wanted, f"table is {table.dataset}, and the rules of {contract.id} are of {wanted}: pass that table")
        for severity in severities:
            require_one_of(severity, SEVERITIES, name="severities")
        require(
            any(rule.severity in severities for rule in contract.quality.rules),
            f"{contract.id} has no rule of severity {' or '.join(severities)}, and Glue takes no empty ruleset: name other severities, or leave it out",
        )
        try:
            text = ruleset(contract, severities=severities)
        except ValueError as error:
            raise InvalidProps(str(error)) from error
        _check_related(contract, severities, related)
        self.ruleset_name = names.ruleset(contract.id)
        self.resource = glue.CfnDataQualityRuleset(
            self,
            "Resource",
            name=self.ruleset_name,
            description=f"Rules of the contract {contract.id}, version {contract.version}",
            ruleset=text,
            target_table=glue.CfnDataQualityRuleset.DataQualityTargetTableProperty(
                database_name=table.database, table_name=table.dataset.dataset
            ),
        )
        self.logs = JobLogs(
            self,
            "Logs",
            prefix=names.log_group("quality", contract.id.replace(".", "-")),
            key=log_key,
            retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        self.role = self._role(contract, [table, *related])
        self.grants = DataQualityRulesetGrants(self.ruleset_name, self.role, [table, *related])

    def _role(self, contract: CompiledContract, tables: Sequence[CatalogTable]) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=service_principal("glue.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
            description=f"Evaluates the rules of {contract.id}",
        )
        for table in tables:
            table.grants.query(role)
            allow(role, actions=["glue:GetPartitions"], resources=table.catalog_resources())
        allow(
            role,
            actions=[
                "glue:GetDataQualityResult",
                "glue:GetDataQualityRuleset",
                "glue:GetDataQualityRulesetEvaluationRun",
                "glue:PublishDataQuality",
            ],
            resources=[_ruleset_arn(self.ruleset_name)],
        )
        libraries = f"arn:{PARTITION}:s3:::aws-glue-ml-data-quality-assets-{REGION}/*"
        allow(role, actions=["s3:GetObject"], resources=[libraries], because=_LIBRARIES)
        self.logs.output.grants.write(role)
        self.logs.error.grants.write(role)
        allow(
            role,
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            because=NO_METRIC_RESOURCE,
            conditions={"StringEquals": {"cloudwatch:namespace": METRICS}},
        )
        return role


class DataQualityRulesetGrants:
    """Permissions on a ruleset."""

    def __init__(self, name: str, role: iam.Role, tables: Sequence[CatalogTable]) -> None:
        self._name, self._role, self._tables = name, role, tables

    def evaluate(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it start evaluations, watch them, stop them and read what they found; Glue asks it for the tables as well."""
        for table in self._tables:
            allow(grantee, actions=["glue:GetDatabase", "glue:GetTable"], resources=table.catalog_resources())
        allow(
            grantee,
            actions=["iam:PassRole"],
            resources=[self._role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}},
        )
        return allow(
            grantee,
            actions=[
                "glue:CancelDataQualityRulesetEvaluationRun",
                "glue:GetDataQualityResult",
                "glue:GetDataQualityRulesetEvaluationRun",
                "glue:StartDataQualityRulesetEvaluationRun",
            ],
            resources=[_ruleset_arn(self._name)],
        )


def _check_related(contract: CompiledContract, severities: Sequence[str], related: Sequence[CatalogTable]) -> None:
    needed = sorted(map(str, aliases(contract, severities=severities).values()))
    given = sorted(str(table.dataset) for table in related)
    require(
        needed == given,
        f"related must be the tables that the relationships of {contract.id} compare with, {', '.join(needed) or 'none'}, got {', '.join(given) or 'none'}",
    )


def _ruleset_arn(name: str) -> str:
    return arn("glue", f"dataQualityRuleset/{name}")
