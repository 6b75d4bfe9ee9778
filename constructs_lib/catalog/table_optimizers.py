"""The upkeep of Iceberg tables that Glue does by itself: small files, old snapshots, files that nothing refers to."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import ACCOUNT
from constructs_lib.catalog.iceberg_table import IcebergTable
from constructs_lib.catalog.table_grants import CatalogTable
from constructs_lib.checks import require, require_range
from constructs_lib.log_group import STREAMS, log_group_arn
from constructs_lib.order import after
from constructs_lib.permissions import allow, service_principal, service_principal_conditions
from lakehouse.contracts.tables import KEEP_SNAPSHOTS_DAYS

OPTIMIZER_LOG_GROUPS = (
    "/aws-glue/iceberg-compaction/logs",
    "/aws-glue/iceberg-orphan-file-deletion/logs",
    "/aws-glue/iceberg-retention/logs",
)
"""Log groups that Glue's optimizers write to, one a kind; the names are Glue's own."""


class OptimizerRole(Construct):
    """Role that Glue's table optimizers act as: the tables that it is given, nothing else.

    Attributes:
        role: The role.
        role_arn: Its ARN.
        grant: Its permissions, for what has to come after them.
    """

    def __init__(self, scope: Construct, id: str, *, tables: Sequence[CatalogTable]) -> None:
        """
        Args:
            tables: Tables that the optimizers keep in order.
        """
        super().__init__(scope, id)
        require(bool(tables), "tables is empty: an optimizer role needs at least one table to look after")
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=service_principal("glue.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
            description="Compacts tables, expires snapshots and deletes orphan files",
        )
        self.role_arn = self.role.role_arn
        for table in tables:
            table.grants.write(self.role)
            table.lake.grants.list(self.role, table.dataset.zone, prefix=table.prefix)
        log_groups = [log_group_arn(name) for name in OPTIMIZER_LOG_GROUPS]
        self.grant = allow(
            self.role,
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[*log_groups, *(f"{arn}:*" for arn in log_groups)],
            because=STREAMS,
        )


class TableOptimizers(Construct):
    """Compaction, snapshot expiry and orphan file deletion of one table."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: IcebergTable,
        role: OptimizerRole,
        keep_snapshots_days: int = KEEP_SNAPSHOTS_DAYS,
        keep_snapshots: int = 1,
        orphan_files_after_days: int = 3,
    ) -> None:
        """
        Args:
            table: The table.
            role: Role that Glue acts as.
            keep_snapshots_days: Age up to which snapshots are kept, for time travel and for readers that are still at work.
            keep_snapshots: Least number of snapshots that are kept whatever their age.
            orphan_files_after_days: Age from which a file that no snapshot refers to is deleted; a younger one may belong to a commit under way.
        """
        super().__init__(scope, id)
        require_range(keep_snapshots_days, name="keep_snapshots_days", at_least=1)
        require_range(keep_snapshots, name="keep_snapshots", at_least=1)
        require_range(orphan_files_after_days, name="orphan_files_after_days", at_least=1, why="a commit under way may own a younger file")
        configurations = {
            "Compaction": ("compaction", {}),
            "Retention": (
                "retention",
                {
                    "retentionConfiguration": {
                        "icebergConfiguration": {
                            "snapshotRetentionPeriodInDays": keep_snapshots_days,
                            "numberOfSnapshotsToRetain": keep_snapshots,
                            "cleanExpiredFiles": True,
                        }
                    }
                },
            ),
            "OrphanFiles": (
                "orphan_file_deletion",
                {
                    "orphanFileDeletionConfiguration": {
                        "icebergConfiguration": {
                            "orphanFileRetentionPeriodInDays": orphan_files_after_days,
                            "location": table.table.location,
                        }
                    }
                },
            ),
        }
        for optimizer_id, (kind, configuration) in configurations.items():
            glue.CfnTableOptimizer(
                self,
                optimizer_id,
                catalog_id=ACCOUNT,
                database_name=table.database_name,
                table_name=table.table_name,
                type=kind,
                table_optimizer_configuration={"enabled": True, "roleArn": role.role_arn, **configuration},
            )
        after(self, table.resource)
        role.grant.apply_before(self)
