"""A pipeline: one state machine that runs its steps, and whose every failure is recorded and told."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from constructs_lib.arns import ACCOUNT, PARTITION, execution_arn, state_machine_arn
from constructs_lib.checks import require, require_range
from constructs_lib.functions import function_arn
from constructs_lib.log_group import LogGroup
from constructs_lib.orchestration.definition import definition
from constructs_lib.orchestration.run_functions import NOTIFIER, RECORDER
from constructs_lib.orchestration.steps import MachineFunctions, MachineStep, Permission
from constructs_lib.order import after
from constructs_lib.permissions import allow, service_principal, service_principal_conditions
from lakehouse.naming import Names

LOG_DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
"""What Step Functions does with the machine's role to write its log; none of them knows a resource."""

EXECUTIONS = "Executions are named after what started them; the state machine is the limit."
"""Why permissions on executions end in a star."""

TRACING = ("xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments")
"""What Step Functions does with the machine's role to write traces; X-Ray knows no resource."""

MAX_TIMEOUT_MINUTES = 365 * 24 * 60
MAX_MACHINE_NAME = 80
_PIPELINE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_TABLE_NAME = re.compile(r"\S+\.\S+")


class Pipeline(Construct):
    """State machine of a pipeline: a timeout on everything, a retry before every catch, every failure audited and notified.

    Attributes:
        machine_name: Name of the state machine.
        machine_arn: Its ARN.
        role: Role that it runs as.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        pipeline: str,
        steps: Sequence[MachineStep],
        tables: Sequence[str],
        log_key: kms.IKey,
        timeout_minutes: int = 120,
        has_manifest: bool = True,
        role_name: str | None = None,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            pipeline: Name of the pipeline.
            steps: Steps in order.
            tables: Tables that the run writes, `<database>.<table>`; one run at a time writes a table.
            log_key: Key of the machine's log group.
            timeout_minutes: Longest that a step may run; a run waits at most 10 hours more for others of its tables.
            has_manifest: Whether runs are given a manifest of files.
            role_name: Name of the machine's role, for machines that others know by it (a warehouse calls its user after the role, and a role that
                CloudFormation makes anew must be the same user); None lets CloudFormation choose.
            log_retention_days: Days for which the machine's log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        super().__init__(scope, id)
        require_range(
            timeout_minutes, name="timeout_minutes", at_least=1, at_most=MAX_TIMEOUT_MINUTES, why="a year, Step Functions' longest"
        )
        _check_name(pipeline, names.state_machine(pipeline))
        _check_tables(tables)
        machine = names.state_machine(pipeline)
        log_group = LogGroup(
            self,
            "Log",
            name=names.state_machine_log_group(pipeline),
            key=log_key,
            retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=service_principal("states.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
            role_name=role_name,
            description=f"Runs {machine}",
        )
        functions = MachineFunctions(
            partition=PARTITION,
            recorder=function_arn(names.function(RECORDER)),
            notifier=function_arn(names.function(NOTIFIER)),
        )
        grant = allow(self.role, actions=["lambda:InvokeFunction"], resources=[functions.recorder, functions.notifier])
        for permission in _merged(steps):
            allow(
                self.role,
                actions=permission.actions,
                resources=permission.resources,
                conditions=permission.conditions,
                because=permission.because,
            )
        allow(self.role, actions=LOG_DELIVERY, resources=["*"], because="CloudWatch Logs knows no resource for log deliveries.")
        allow(self.role, actions=TRACING, resources=["*"], because="X-Ray knows no resource for traces.")
        document = definition(
            functions=functions, pipeline=pipeline, steps=steps, tables=tables, timeout_minutes=timeout_minutes, has_manifest=has_manifest
        )
        self.resource = stepfunctions.CfnStateMachine(
            self,
            "Resource",
            state_machine_name=machine,
            state_machine_type="STANDARD",
            role_arn=self.role.role_arn,
            definition_string=json.dumps(document, separators=(",", ":")),
            logging_configuration={
                "level": "ALL",
                "includeExecutionData": False,  # what went through a run may be personal; the audit says what happened
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": f"{log_group.log_group_arn}:*"}}],
            },
            tracing_configuration={"enabled": True},
        )
        grant.apply_before(self.resource)
        after(self.resource, log_group.resource)
        self.machine_name = machine
        self.machine_arn = state_machine_arn(machine)
        self.grants = PipelineGrants(machine)


class PipelineGrants:
    """Permissions on a pipeline."""

    def __init__(self, machine: str) -> None:
        self._machine = machine

    def start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it start runs."""
        return allow(grantee, actions=["states:StartExecution"], resources=[state_machine_arn(self._machine)])

    def watch(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it see which runs there are."""
        return allow(grantee, actions=["states:ListExecutions"], resources=[state_machine_arn(self._machine)])

    def inspect(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it look into runs: input, output and history."""
        return allow(
            grantee,
            actions=["states:DescribeExecution", "states:GetExecutionHistory"],
            resources=[execution_arn(self._machine)],
            because=EXECUTIONS,
        )


def _check_name(pipeline: str, machine: str) -> None:
    require(
        _PIPELINE_NAME.fullmatch(pipeline) is not None,
        f"the name of a pipeline is made of lower-case letters, digits, hyphens and underscores, a letter first, got {pipeline!r}",
    )
    require(
        len(machine) <= MAX_MACHINE_NAME or "${Token[" in machine,
        f"the name of a state machine has at most {MAX_MACHINE_NAME} characters (Step Functions' limit), got {machine!r} with {len(machine)}: "
        "shorten the pipeline's name or the prefix",
    )


def _check_tables(tables: Sequence[str]) -> None:
    require(
        bool(tables), "tables is empty, so nothing would keep two runs from writing at once: name what the run writes, <database>.<table>"
    )
    for table in tables:
        require(
            _TABLE_NAME.fullmatch(table) is not None, f"tables are written <database>.<table>, such as silver_sales.orders, got {table!r}"
        )


def _merged(steps: Sequence[MachineStep]) -> list[Permission]:
    """What the steps need, one statement for all that need the same."""
    merged: dict[str, Permission] = {}
    for permission in (permission for step in steps for permission in step.permissions()):
        key = json.dumps([permission.actions, permission.conditions, permission.because], sort_keys=True)
        known = merged.get(key)
        resources = permission.resources if known is None else tuple(dict.fromkeys((*known.resources, *permission.resources)))
        merged[key] = replace(permission, resources=resources)
    return list(merged.values())
