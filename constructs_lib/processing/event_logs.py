"""What Spark's UI shows of a run that has ended: event logs, in a folder a job of the logs bucket."""

from __future__ import annotations

from aws_cdk import aws_iam as iam

from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.naming import EVENT_LOGS


def event_log_arguments(role: iam.Role, lake: LakeBuckets | None, *, job: str) -> dict[str, str]:
    """Arguments by which Glue keeps the event logs of a job, once its role may write them; none without a lake."""
    if lake is None:
        return {}
    return {"--enable-spark-ui": "true", "--spark-event-logs-path": event_log_address(role, lake, job=job)}


def event_log_address(role: iam.Role, lake: LakeBuckets, *, job: str) -> str:
    """Folder of the event logs of a job, which its role may write from now on."""
    folder = f"{EVENT_LOGS}{job}/"
    lake.grants.put(role, "logs", prefix=folder)
    return f"s3://{lake.bucket_name('logs')}/{folder}"
