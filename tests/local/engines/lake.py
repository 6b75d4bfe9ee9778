"""A small lake for the engines' tests: buckets, a database, an Iceberg table by Glue's own API, jobs and their runs."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tests.fixtures.platform import Caller, LocalAws, allow

GLUE = "arn:aws:glue:us-east-1:000000000000"
CONF = (
    "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
    " --conf spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog --conf spark.sql.catalog.lake.type=glue"
    " --conf spark.sql.catalog.lake.io-impl=org.apache.iceberg.aws.s3.S3FileIO"
)
ENDED = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"}
FIELDS = ({"Id": 1, "Name": "id", "Type": "int", "Required": False}, {"Id": 7, "Name": "name", "Type": "string", "Required": False})


def schema(*fields: Mapping[str, Any]) -> dict[str, Any]:
    """An IcebergSchema."""
    return {"Type": "struct", "SchemaId": 0, "IdentifierFieldIds": [], "Fields": list(fields)}


def iceberg_input(location: str, *fields: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """OpenTableFormatInput that creates a table."""
    return {
        "IcebergInput": {
            "MetadataOperation": "CREATE", "Version": "2",
            "CreateIcebergTableInput": {"Location": location, "Schema": schema(*(fields or FIELDS)), **more},
        }
    }  # fmt: skip


def spark_events(lake: Lake, prefix: str) -> str:
    """Spark's event logs below a folder, as a history server reads them."""
    s3 = lake.aws.client("s3")
    keys = [str(found["Key"]) for found in s3.list_objects_v2(Bucket=lake.bucket, Prefix=prefix).get("Contents", ())]
    assert any("/appstatus_" in key for key in keys), keys
    logs = [key for key in keys if "/events_" in key]
    return "".join(
        pa.input_stream(io.BytesIO(s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read()), compression="zstd").read().decode()
        for key in logs
    )


@dataclass(frozen=True, kw_only=True)
class Lake:
    """Where things are.

    Attributes:
        aws: The local AWS.
        bucket: Holds tables, scripts and results, by folder; encrypted with `key`.
        key: Customer key.
        database: Catalog database.
        log_group: Log group of jobs.
    """

    aws: LocalAws
    bucket: str
    key: str
    database: str
    log_group: str

    @classmethod
    def make(cls, aws: LocalAws) -> Lake:
        """A lake of its own, empty."""
        s3, name = aws.client("s3"), aws.name("lake")
        s3.create_bucket(Bucket=name)
        key = str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        database = aws.name("db").replace("-", "_")
        aws.client("glue").create_database(DatabaseInput={"Name": database, "LocationUri": f"s3://{name}/{database}"})
        group = f"/test/{name}"
        aws.client("logs").create_log_group(logGroupName=group)
        return cls(aws=aws, bucket=name, key=key, database=database, log_group=group)

    def table(self, name: str, *fields: Mapping[str, Any], **more: Any) -> str:
        """Create a table as root; its name."""
        location = f"s3://{self.bucket}/{self.database}/{name}"
        self.aws.client("glue").create_table(
            DatabaseName=self.database, Name=name, OpenTableFormatInput=iceberg_input(location, *fields, **more)
        )
        return name

    def job(self, script: str, *, role: str, arguments: Mapping[str, str] | None = None, **more: Any) -> str:
        """A Glue job of a script's source; its name."""
        name = self.aws.name("job")
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=f"code/{name}.py", Body=script.encode())
        default = {"--datalake-formats": "iceberg", "--conf": CONF, "--continuous-log-logGroup": self.log_group, **(arguments or {})}
        definition = {
            "Name": name, "Role": role, "GlueVersion": "6.0", "DefaultArguments": default,
            "Command": {"Name": "glueetl", "ScriptLocation": f"s3://{self.bucket}/code/{name}.py"},
        }  # fmt: skip
        self.aws.client("glue").create_job(**{**definition, **more})
        return name

    def job_role(self, *drop: str) -> str:
        """A job's role that may do everything a job needs but *drop*."""
        rights = (
            "s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject", "glue:GetDatabase", "glue:GetTable", "glue:CreateTable",
            "glue:UpdateTable", "logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt", "kms:GenerateDataKey",
        )  # fmt: skip
        return self.aws.role(allow([right for right in rights if right not in drop]), service="glue.amazonaws.com")

    def start(self, job: str, **more: Any) -> str:
        """Start a run; its id."""
        return str(self.aws.client("glue").start_job_run(JobName=job, **more)["JobRunId"])

    def run(self, job: str, run_id: str) -> dict[str, Any]:
        """A run as it is now."""
        return dict(self.aws.client("glue").get_job_run(JobName=job, RunId=run_id)["JobRun"])

    def end(self, job: str, run_id: str, *, seconds: float = 150) -> dict[str, Any]:
        """A run after its end."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.run(job, run_id)
            if found["JobRunState"] in ENDED:
                return found
            assert time.monotonic() < deadline, f"the run is still {found['JobRunState']}"
            time.sleep(0.2)

    def log(self, run_id: str) -> list[str]:
        """Lines of a run's driver log."""
        found = self.aws.client("logs").get_log_events(logGroupName=self.log_group, logStreamName=f"{run_id}-driver", startFromHead=True)
        return [event["message"] for event in found["events"]]


def query(caller: Caller, sql: str, *, lake: Lake, seconds: float = 120, **more: Any) -> dict[str, Any]:
    """A query after its end, as Athena describes it."""
    athena = caller.client("athena")
    results, within = {"OutputLocation": f"s3://{lake.bucket}/results/"}, {"Database": lake.database}
    settings = {"ResultConfiguration": results, "QueryExecutionContext": within, **more}
    query_id = athena.start_query_execution(QueryString=sql, **settings)["QueryExecutionId"]
    deadline = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        if found["Status"]["State"] in {"SUCCEEDED", "FAILED", "CANCELLED"}:
            return found
        assert time.monotonic() < deadline, f"the query is still {found['Status']['State']}"
        time.sleep(0.05)


def rows(caller: Caller, execution: Mapping[str, Any]) -> list[list[str | None]]:
    """Rows of a result, its header first."""
    found = caller.client("athena").get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["ResultSet"]["Rows"]]


def metadata(aws: LocalAws, database: str, table: str) -> dict[str, Any]:
    """Iceberg's metadata of a table."""
    place = aws.client("glue").get_table(DatabaseName=database, Name=table)["Table"]["Parameters"]["metadata_location"]
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return dict(json.loads(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()))
