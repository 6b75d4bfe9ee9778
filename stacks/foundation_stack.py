"""What changes least: keys, the buckets of the lake, the workgroup that queries it, run tables and topics."""

from __future__ import annotations

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.catalog import AthenaWorkgroup
from constructs_lib.observability import AlertTopics, WorkgroupAlarms
from constructs_lib.orchestration import RunTables
from constructs_lib.security import DataKeys
from constructs_lib.storage import DataLake, RawLifecycle, Transition
from lakehouse.environments.environment import Environment
from lakehouse.environments.sections import Lifecycle
from stacks.platform_stack import KEYS, PlatformStack


class FoundationStack(PlatformStack):
    """Keys, lake, workgroup, run tables and topics of an environment."""

    def __init__(self, scope: Construct, *, environment: Environment, allow_destroy: bool = False) -> None:
        """
        Args:
            scope: The app.
            environment: The environment.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier="foundation", environment=environment, allow_destroy=allow_destroy)
        names = self.names
        keys = DataKeys(
            self,
            "Keys",
            names=names,
            removal_policy=self.removal_policy,
        )
        lake = DataLake(
            self,
            "Lake",
            names=names,
            key=keys.lake,
            raw_lifecycle=_raw_lifecycle(environment.lifecycle),
            noncurrent_days=environment.lifecycle.noncurrent_days,
            query_results_days=environment.lifecycle.query_results_expire_days,
            logs_days=environment.lifecycle.logs_expire_days,
            event_logs_days=environment.lifecycle.event_logs_expire_days,
            removal_policy=self.removal_policy,
        )
        workgroup = AthenaWorkgroup(
            self,
            "Workgroup",
            name=names.workgroup,
            lake=lake.by_name,
            scan_limit_mb=environment.athena.scan_limit_mb,
            removal_policy=self.removal_policy,
        )
        RunTables(
            self,
            "RunTables",
            names=names,
            key=keys.logs,
            is_deletion_protected=environment.termination_protection,
            removal_policy=self.removal_policy,
        )
        topics = AlertTopics(self, "Alerts", names=names, key=keys.messaging, emails=environment.alerts.emails)
        WorkgroupAlarms(
            self,
            "WorkgroupAlarms",
            names=names,
            workgroup=workgroup,
            topics=topics.by_name,
            hourly_scan_mb=environment.athena.hourly_scan_mb,
            failed_queries=environment.athena.failed_queries,
        )
        for domain in KEYS:
            key = getattr(keys, domain)
            ssm.CfnParameter(
                self,
                f"{domain.capitalize()}KeyArn",
                name=names.parameter("keys", domain),
                description=f"ARN of the customer key of {domain}",
                type="String",
                value=key.key_arn,
            )


def _raw_lifecycle(lifecycle: Lifecycle) -> RawLifecycle:
    return RawLifecycle(
        transitions=(
            Transition(storage_class="STANDARD_IA", after_days=lifecycle.standard_ia_days),
            Transition(storage_class="GLACIER_IR", after_days=lifecycle.glacier_ir_days),
            Transition(storage_class="DEEP_ARCHIVE", after_days=lifecycle.deep_archive_days),
        ),
        expire_after_days=lifecycle.expire_days,
        noncurrent_after_days=lifecycle.raw_noncurrent_days,
    )
