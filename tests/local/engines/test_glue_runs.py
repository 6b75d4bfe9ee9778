"""Glue runs are real: a process with the job's role, its arguments, its log, its timeout, and the script's own error."""

from __future__ import annotations

import io
import time
import zipfile
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import allow, wait_for
from tests.local.engines.lake import Lake, metadata, spark_events

pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]

SESSION = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"
APPEND = (
    SESSION
    + "import sys\nspark.sql('INSERT INTO lake.' + sys.argv[sys.argv.index('--table') + 1] + \" VALUES (1, 'Ann')\")\nprint('appended')\n"
)
SLEEP = "import os, time\nprint('asleep in', os.getpid(), flush=True)\ntime.sleep(600)\n"


def refusal(call: Any, *args: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **more)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def late(lake: Lake) -> tuple[str, str]:
    """A run that takes longer than its timeout of a minute, started before the other tests."""
    job = lake.job(SLEEP, role=lake.job_role(), Timeout=1)
    return job, lake.start(job)


def test_a_job_writes_a_table_as_its_role_and_its_log_as_well(lake: Lake, late: tuple[str, str]) -> None:
    role = lake.job_role()
    table = lake.table("appended")
    ui = {"--enable-spark-ui": "true", "--spark-event-logs-path": f"s3://{lake.bucket}/spark-events/"}
    job = lake.job(APPEND + "print(sys.argv[1:])\n", role=role, arguments={"--other": "default", "--table": "overridden", **ui})
    run_id = lake.start(job, Arguments={"--table": f"{lake.database}.{table}"})
    found = lake.end(job, run_id)
    assert found["JobRunState"] == "SUCCEEDED", found.get("ErrorMessage")
    assert found["Arguments"] == {"--table": f"{lake.database}.{table}"}
    assert metadata(lake.aws, lake.database, table)["snapshots"][-1]["summary"]["added-records"] == "1"
    lines = lake.log(run_id)
    assert "appended" in lines
    assert str(["--JOB_NAME", job, "--JOB_RUN_ID", run_id, "--other", "default", "--table", f"{lake.database}.{table}"]) in lines
    events = spark_events(lake, f"spark-events/{run_id}/")
    assert "SparkListenerApplicationEnd" in events
    assert f"{lake.database}.{table}" in events
    asked = {call["action"] for call in lake.aws.calls(role=role)}
    assert asked == {
        "s3:GetObject", "s3:PutObject", "glue:GetTable", "glue:UpdateTable", "kms:Decrypt", "kms:GenerateDataKey", "logs:CreateLogStream",
        "logs:PutLogEvents",
    }  # fmt: skip


@pytest.mark.parametrize("missing", ["glue:UpdateTable", "s3:PutObject", "kms:Decrypt"])
def test_a_missing_right_fails_the_run_and_is_named(lake: Lake, missing: str) -> None:
    role = lake.job_role(missing)
    table = lake.table(lake.aws.name("refused").replace("-", "_"))
    script = APPEND
    job = lake.job(script, role=role)
    if missing == "kms:Decrypt":  # the script itself is encrypted: Glue fetches it with the job's role
        found = lake.end(job, lake.start(job, Arguments={"--table": f"{lake.database}.{table}"}))
        assert "LAUNCH ERROR" in found["ErrorMessage"]
    else:
        found = lake.end(job, lake.start(job, Arguments={"--table": f"{lake.database}.{table}"}))
    assert found["JobRunState"] == "FAILED"
    assert missing in found["ErrorMessage"]
    assert role.rsplit("/", 1)[-1] in found["ErrorMessage"]


def test_the_scripts_own_error_is_the_runs_message(lake: Lake) -> None:
    script = "class RunFailed(Exception):\n    pass\n\nprint('before')\nraise RunFailed('quality_gate: 3 rows too many')\n"
    job = lake.job(script, role=lake.job_role())
    run_id = lake.start(job)
    found = lake.end(job, run_id)
    assert (found["JobRunState"], found["ErrorMessage"]) == ("FAILED", "RunFailed: quality_gate: 3 rows too many")
    lines = lake.log(run_id)
    assert "before" in lines
    assert any("RunFailed: quality_gate: 3 rows too many" in line for line in lines)


def test_archives_are_on_the_path_and_conf_is_chained(lake: Lake) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("greeting.py", "def say(): return 'hello from the archive'")
    lake.aws.client("s3").put_object(Bucket=lake.bucket, Key="code/greeting.zip", Body=packed.getvalue())
    script = (
        SESSION
        + "import greeting\nprint(greeting.say(), spark.conf.get('spark.sql.ansi.enabled'), spark.conf.get('spark.x.y'), spark.version)\n"
    )
    job = lake.job(
        script, role=lake.job_role(),
        arguments={"--extra-py-files": f"s3://{lake.bucket}/code/greeting.zip", "--conf": "spark.sql.ansi.enabled=true --conf spark.x.y=a b"},
    )  # fmt: skip
    run_id = lake.start(job)
    found = lake.end(job, run_id)
    assert found["JobRunState"] == "SUCCEEDED", found.get("ErrorMessage")
    assert "hello from the archive true a b 4.1.1" in lake.log(run_id)


def test_a_script_that_is_not_there_or_a_role_that_does_not_trust_glue_fails_the_run(lake: Lake) -> None:
    role = lake.job_role()
    missing = {"Command": {"Name": "glueetl", "ScriptLocation": f"s3://{lake.bucket}/code/nothing.py"}}
    job = lake.job("", role=role, **missing)
    found = lake.end(job, lake.start(job))
    assert (found["JobRunState"], "nothing.py" in found["ErrorMessage"]) == ("FAILED", True)
    stranger = lake.aws.role(allow("s3:GetObject"), service="lambda.amazonaws.com")
    job = lake.job("", role=stranger)
    found = lake.end(job, lake.start(job))
    assert found["ErrorMessage"].endswith(f"Role {stranger} should be given assume role permissions for Glue Service.")


def test_a_run_is_stopped_with_everything_that_it_started(lake: Lake) -> None:
    job = lake.job(SLEEP, role=lake.job_role())
    run_id = lake.start(job)
    line = wait_for(lambda: next((found for found in _log(lake, run_id) if found.startswith("asleep in")), ""), seconds=60)
    pid = int(line.rsplit(" ", 1)[-1])
    assert psutil.pid_exists(pid)
    assert refusal(lake.start, job)[0] == "ConcurrentRunsExceededException"
    answer = lake.aws.client("glue").batch_stop_job_run(JobName=job, JobRunIds=[run_id, "jr_nothing"])
    assert [entry["JobRunId"] for entry in answer["SuccessfulSubmissions"]] == [run_id]
    assert [entry["ErrorDetail"]["ErrorCode"] for entry in answer["Errors"]] == ["EntityNotFoundException"]
    assert lake.end(job, run_id)["JobRunState"] == "STOPPED"
    wait_for(lambda: not psutil.pid_exists(pid))
    again = lake.aws.client("glue").batch_stop_job_run(JobName=job, JobRunIds=[run_id])
    assert again["Errors"][0]["ErrorDetail"]["ErrorCode"] == "JobRunInTerminalStateException"


def test_what_is_not_served_is_refused_by_name(lake: Lake) -> None:
    glue, role = lake.aws.client("glue"), lake.job_role()
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{lake.bucket}/code/x.py"}
    good: dict[str, Any] = {"Role": role, "GlueVersion": "6.0", "Command": command}
    for changed, said in (
        ({"GlueVersion": "4.0"}, "GlueVersion 4.0"),
        ({"Command": {**command, "Name": "pythonshell"}}, "pythonshell"),
        ({"Command": {**command, "ScriptLocation": "/tmp/x.py"}}, "s3://"),
        ({"DefaultArguments": {"--additional-python-modules": "requests"}}, "--additional-python-modules"),
        ({"DefaultArguments": {"--datalake-formats": "iceberg,delta"}}, "delta"),
        ({"DefaultArguments": {"--JOB_NAME": "x"}}, "--JOB_NAME"),
        ({"DefaultArguments": {"--conf": "spark.a"}}, "spark.a"),
        ({"MaxRetries": 1}, "MaxRetries"),
    ):
        code, message = refusal(glue.create_job, Name=lake.aws.name("job"), **{**good, **changed})
        assert (code, said in message) == ("InvalidInputException", True), message
    name = lake.aws.name("job")
    glue.create_job(Name=name, **good)
    assert "--extra-files" in refusal(glue.start_job_run, JobName=name, Arguments={"--extra-files": "s3://x/y"})[1]
    for asked in ({"ExecutionClass": "FLEX"}, {"SecurityConfiguration": "mine"}, {"JobRunId": "jr_1"}):
        assert f"{next(iter(asked))} of a job run is not served" in refusal(glue.start_job_run, JobName=name, **asked)[1]
    assert refusal(glue.start_job_run, JobName="nothing")[0] == "EntityNotFoundException"


def test_iceberg_is_there_only_for_jobs_that_ask_for_it(lake: Lake) -> None:
    job = lake.job(SESSION + "spark.sql('SHOW TABLES IN lake.x').show()\n", role=lake.job_role(), arguments={"--datalake-formats": ""})
    found = lake.end(job, lake.start(job))
    assert found["JobRunState"] == "FAILED"
    assert "SparkCatalog" in found["ErrorMessage"] or "IcebergSparkSessionExtensions" in found["ErrorMessage"]


def test_a_run_that_takes_too_long_times_out(lake: Lake, late: tuple[str, str]) -> None:
    job, run_id = late
    found = lake.end(job, run_id, seconds=120)
    assert found["JobRunState"] == "TIMEOUT"
    assert 60 <= (found["CompletedOn"] - found["StartedOn"]).total_seconds() < 90


def _log(lake: Lake, run_id: str) -> list[str]:
    try:
        return lake.log(run_id)
    except ClientError:
        time.sleep(0.3)
        return []
