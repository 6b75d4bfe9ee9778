"""EMR Serverless of a lake, for the engines' tests: applications, roles, job runs and their logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.fixtures.platform import allow, wait_for
from tests.local.engines.lake import CONF, Lake

ICEBERG = "--conf " + CONF
SMALL = (
    " --conf spark.driver.cores=1 --conf spark.driver.memory=2g --conf spark.executor.cores=1 --conf spark.executor.memory=2g"
    " --conf spark.executor.instances=1"
)
RIGHTS = (
    "s3:GetObject", "s3:PutObject", "glue:GetTable", "glue:UpdateTable", "kms:Decrypt", "kms:GenerateDataKey", "logs:DescribeLogGroups",
    "logs:DescribeLogStreams", "logs:CreateLogStream", "logs:PutLogEvents",
)  # fmt: skip
FINAL = {"SUCCESS", "FAILED", "CANCELLED"}


@dataclass(frozen=True, kw_only=True)
class Emr:
    """EMR Serverless of a lake."""

    lake: Lake
    client: Any

    def application(self, **more: Any) -> str:
        """A new application; its id."""
        return str(self.client.create_application(releaseLabel="emr-spark-8.0.0", type="SPARK", **more)["applicationId"])

    def role(self, *drop: str, service: str = "emr-serverless.amazonaws.com") -> str:
        """An execution role that may do everything a job needs but *drop*."""
        return self.lake.aws.role(allow([right for right in RIGHTS if right not in drop]), service=service)

    def start(
        self, application: str, script: str, *, role: str, parameters: str = SMALL, arguments: tuple[str, ...] = (), **more: Any
    ) -> str:
        """Start a job run of a script's source; its id."""
        name = self.lake.aws.name("job")
        self.lake.aws.client("s3").put_object(Bucket=self.lake.bucket, Key=f"code/{name}.py", Body=script.encode())
        driver = {
            "entryPoint": f"s3://{self.lake.bucket}/code/{name}.py", "entryPointArguments": list(arguments),
            "sparkSubmitParameters": parameters,
        }  # fmt: skip
        monitoring = {
            "cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": self.lake.log_group, "logStreamNamePrefix": "emr"},
            "s3MonitoringConfiguration": {"logUri": f"s3://{self.lake.bucket}/emr-logs/"},
        }
        settings = {"configurationOverrides": {"monitoringConfiguration": monitoring}, **more}
        return str(
            self.client.start_job_run(
                applicationId=application, executionRoleArn=role, jobDriver={"sparkSubmit": driver}, **settings
            )["jobRunId"]
        )  # fmt: skip

    def run(self, application: str, run: str) -> dict[str, Any]:
        """A job run as it is now."""
        return dict(self.client.get_job_run(applicationId=application, jobRunId=run)["jobRun"])

    def end(self, application: str, run: str, *, seconds: float = 150) -> dict[str, Any]:
        """A job run after its end."""
        return dict(wait_for(lambda: next((r for r in [self.run(application, run)] if r["state"] in FINAL), None), seconds=seconds))

    def log(self, application: str, run: str, name: str = "stdout") -> list[str]:
        """Lines of a driver's log in CloudWatch Logs."""
        stream = f"emr/applications/{application}/jobs/{run}/SPARK_DRIVER/{name}"
        found = self.lake.aws.client("logs").get_log_events(logGroupName=self.lake.log_group, logStreamName=stream, startFromHead=True)
        return [event["message"] for event in found["events"]]
