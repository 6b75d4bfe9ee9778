"""The Athena workgroup that people and pipelines query by."""

from __future__ import annotations

from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_athena as athena
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import catalog_arn, database_arn, workgroup_arn
from constructs_lib.checks import require, require_range
from constructs_lib.permissions import allow
from constructs_lib.security.data_keys import USE
from constructs_lib.signals import Signal
from constructs_lib.storage.data_lake import OBJECTS, LakeBuckets

MIN_SCAN_LIMIT_MB = 10
"""Athena's floor."""

RUN_QUERIES = (
    "athena:GetQueryExecution",
    "athena:GetQueryResults",
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
)

DEFAULT_DATABASE = "default"
"""Database that Athena looks up for every query, whatever it names."""

RESULTS_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
"""What Athena does with the caller's rights to the bucket that receives results."""

RESULTS_OBJECTS = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject")
"""What Athena does with the caller's rights to the results themselves."""


class AthenaWorkgroup(Construct):
    """Athena workgroup that caps every scan, settles where results go and reports metrics.

    Attributes:
        workgroup_name: Name that queries choose it by.
        workgroup_arn: Its ARN.
        results_location: `s3://` folder that receives results.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        lake: LakeBuckets,
        scan_limit_mb: int = 10_000,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            name: Name that analysts choose the workgroup by; unique in the account.
            lake: Buckets of the lake; results go to its zone `query-results`.
            scan_limit_mb: Most data that one query may read, in MB; Athena's floor is 10.
            removal_policy: What happens to it, its named queries and its history when the stack goes.
        """
        super().__init__(scope, id)
        require(
            name != "primary", "name must not be `primary`: every account has that workgroup, and it belongs to nobody; name the team's own"
        )
        require_range(scan_limit_mb, name="scan_limit_mb", at_least=MIN_SCAN_LIMIT_MB, why="Athena's floor")
        self.results_location = f"s3://{lake.bucket_name('query-results')}/{name}/"
        resource = athena.CfnWorkGroup(
            self,
            "Resource",
            name=name,
            recursive_delete_option=removal_policy == RemovalPolicy.DESTROY,
            work_group_configuration=_configuration(self.results_location, lake.key_arn, scan_limit_mb),
        )
        resource.apply_removal_policy(removal_policy)
        self.workgroup_name = name
        self.workgroup_arn = workgroup_arn(name)
        self.grants = AthenaWorkgroupGrants(name, lake)

    def metric_scanned_bytes(self, *, minutes: int = 5) -> cloudwatch.Metric:
        """Bytes that queries read in a span of time."""
        return self.scanned_bytes_signal(minutes=minutes).metric()

    def metric_failed_queries(self, *, minutes: int = 5) -> cloudwatch.Metric:
        """Queries on data that failed in a span of time; Athena counts none, so it is the number of times that it measured how long they took."""
        return self.failed_queries_signal(minutes=minutes).metric()

    def scanned_bytes_signal(self, *, minutes: int = 5) -> Signal:
        """`metric_scanned_bytes` for alarms."""
        dimensions = {"WorkGroup": self.workgroup_name}
        return Signal(namespace="AWS/Athena", name="ProcessedBytes", dimensions=dimensions, statistic="Sum", minutes=minutes)

    def failed_queries_signal(self, *, minutes: int = 5) -> Signal:
        """`metric_failed_queries` for alarms."""
        dimensions = {"QueryState": "FAILED", "QueryType": "DML", "WorkGroup": self.workgroup_name}
        return Signal(namespace="AWS/Athena", name="TotalExecutionTime", dimensions=dimensions, statistic="SampleCount", minutes=minutes)


class AthenaWorkgroupGrants:
    """Permissions on a workgroup; what a query reads is granted by the table's `query`."""

    def __init__(self, name: str, lake: LakeBuckets) -> None:
        self._name = name
        self._lake = lake

    def run_queries(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it start, watch and stop queries, and read their results."""
        allow(grantee, actions=USE, resources=[self._lake.key_arn])
        allow(grantee, actions=RESULTS_BUCKET, resources=[self._lake.bucket_arn("query-results")])
        objects = f"{self._lake.bucket_arn('query-results')}/{self._name}/*"
        allow(grantee, actions=RESULTS_OBJECTS, resources=[objects], because=OBJECTS)
        allow(grantee, actions=["glue:GetDatabase"], resources=[catalog_arn(), database_arn(DEFAULT_DATABASE)])
        return allow(grantee, actions=RUN_QUERIES, resources=[workgroup_arn(self._name)])


def _configuration(results_location: str, key_arn: str, scan_limit_mb: int) -> dict[str, Any]:
    return {
        "bytesScannedCutoffPerQuery": scan_limit_mb * 1_000_000,
        "enforceWorkGroupConfiguration": True,
        "engineVersion": {"selectedEngineVersion": "Athena engine version 3"},
        "publishCloudWatchMetricsEnabled": True,
        "requesterPaysEnabled": False,
        "resultConfiguration": {
            "encryptionConfiguration": {"encryptionOption": "SSE_KMS", "kmsKey": key_arn},
            "outputLocation": results_location,
        },
    }
