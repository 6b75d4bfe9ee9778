"""Job runs of EMR Serverless are real: Spark 4.0.2 that works as the execution role, within the application's capacity."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zipfile

import psutil
import pytest

from tests.fixtures.platform import wait_for
from tests.local.engines.emr import ICEBERG, RIGHTS, SMALL, Emr
from tests.local.engines.lake import metadata, spark_events
from tests.local.engines.test_glue_runs import SESSION, SLEEP

pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def late(emr: Emr) -> tuple[str, str]:
    """A run that takes longer than its timeout of a minute, started before the other tests."""
    application = emr.application()
    return application, emr.start(application, SLEEP, role=emr.role(), executionTimeoutMinutes=1)


def test_a_job_writes_a_table_as_its_role_on_the_spark_of_its_release(emr: Emr, late: tuple[str, str]) -> None:
    role, table, application = emr.role(), emr.lake.table("by_emr"), emr.application()
    script = (
        SESSION + "import sys\nspark.sql(f\"INSERT INTO lake.{sys.argv[1]} VALUES (1, 'Ann')\")\n"
        "print('written on', spark.version, file=sys.stdout)\nprint('a complaint', file=sys.stderr)\n"
    )
    arguments = (f"{emr.lake.database}.{table}",)
    run = emr.start(application, script, role=role, parameters=ICEBERG + SMALL, arguments=arguments, name="write", clientToken="write-1")
    assert emr.run(application, run)["state"] in {"SUBMITTED", "SCHEDULED", "RUNNING"}
    found = emr.end(application, run)
    assert found["state"] == "SUCCESS", found["stateDetails"]
    assert emr.client.get_application(applicationId=application)["application"]["state"] == "STARTED"
    assert metadata(emr.lake.aws, emr.lake.database, table)["snapshots"][-1]["summary"]["added-records"] == "1"
    assert "written on 4.0.2" in emr.log(application, run)
    assert "a complaint" in emr.log(application, run)  # Spark gives both streams of a Python script to its own output
    assert any("WARN" in line for line in emr.log(application, run, "stderr"))
    shipped = f"emr-logs/applications/{application}/jobs/{run}/SPARK_DRIVER/stdout.gz"
    stored = emr.lake.aws.client("s3").get_object(Bucket=emr.lake.bucket, Key=shipped)["Body"].read()
    assert b"written on 4.0.2" in gzip.decompress(stored)
    events = spark_events(emr.lake, f"emr-logs/applications/{application}/jobs/{run}/sparklogs/")
    assert "SparkListenerApplicationEnd" in events
    assert {call["action"] for call in emr.lake.aws.calls(role=role)} == set(RIGHTS)
    assert found["billedResourceUtilization"]["vCPUHour"] > 0


@pytest.mark.parametrize("missing", ["glue:UpdateTable", "s3:PutObject", "kms:Decrypt"])
def test_a_missing_right_fails_the_run_and_is_named(emr: Emr, missing: str) -> None:
    role, application = emr.role(missing), emr.application()
    table = emr.lake.table(emr.lake.aws.name("refused").replace("-", "_"))
    script = SESSION + f"spark.sql(\"INSERT INTO lake.{emr.lake.database}.{table} VALUES (1, 'Ann')\")\n"
    found = emr.end(application, emr.start(application, script, role=role, parameters=ICEBERG + SMALL))
    assert found["state"] == "FAILED"
    assert missing in found["stateDetails"]
    assert role.rsplit("/", 1)[-1] in found["stateDetails"]
    if missing == "kms:Decrypt":  # the script itself is encrypted
        assert "S3 access" in found["stateDetails"]


def test_a_jar_that_only_older_releases_have_fails_the_run(emr: Emr) -> None:
    application = emr.application()
    jar = "/usr/share/aws/iceberg/lib/iceberg-spark3-runtime.jar"
    found = emr.end(application, emr.start(application, "", role=emr.role(), parameters=f"--jars {jar}{SMALL}"))
    assert (found["state"], found["stateDetails"].endswith(f"NoSuchFileException: {jar}")) == ("FAILED", True)


def test_the_scripts_own_error_is_in_the_details_after_every_attempt(emr: Emr) -> None:
    application = emr.application()
    script = (
        "import atexit, sys\natexit.register(lambda: print('a last line', file=sys.stderr))\n"
        "class RunFailed(Exception):\n    pass\n\nraise RunFailed('quality_gate: 3 rows too many')\n"
    )
    run = emr.start(application, script, role=emr.role(), retryPolicy={"maxAttempts": 2})
    found = emr.end(application, run)
    assert found["state"] == "FAILED"
    assert found["stateDetails"].endswith("ExitCode: 1. Last few exceptions: RunFailed: quality_gate: 3 rows too many")
    attempts = emr.client.list_job_run_attempts(applicationId=application, jobRunId=run)["jobRunAttempts"]
    assert [(one["attempt"], one["state"]) for one in attempts] == [(1, "FAILED"), (2, "FAILED")]


def test_modules_archives_and_variables_reach_the_job(emr: Emr) -> None:
    module, data = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(module, "w") as archive:
        archive.writestr("greeting.py", "def say(): return 'hello from the archive'")
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in (("words.txt", b"words"), ("spare.py", b"import os\nWHO = os.environ['WHO']\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    s3 = emr.lake.aws.client("s3")
    s3.put_object(Bucket=emr.lake.bucket, Key="code/greeting.zip", Body=module.getvalue())
    s3.put_object(Bucket=emr.lake.bucket, Key="code/data.tar.gz", Body=data.getvalue())
    script = (
        SESSION + "import greeting, sys\n"
        "import spare\nprint(greeting.say(), open('data/words.txt').read(), spare.WHO, spark.conf.get('spark.x.y'), sys.argv[1:])\n"
        "print('run', spark.sparkContext.applicationId)\n"
        "print(spark.range(3).rdd.map(lambda row: greeting.say()).collect()[2])\n"
    )
    application = emr.application(
        runtimeConfiguration=[{"classification": "spark-defaults", "properties": {"spark.x.y": "of the application"}}]
    )
    parameters = (
        f"--py-files s3://{emr.lake.bucket}/code/greeting.zip --archives s3://{emr.lake.bucket}/code/data.tar.gz#data"
        f" --conf spark.emr-serverless.driverEnv.WHO=me --conf spark.emr-serverless.driverEnv.PYTHONPATH=./data"
        f" --conf spark.executorEnv.PYTHONPATH=./data{SMALL}"
    )
    run = emr.start(application, script, role=emr.role(), parameters=parameters, arguments=("--day", "2026-01-01"))
    found = emr.end(application, run)
    assert found["state"] == "SUCCESS", found["stateDetails"]
    lines = emr.log(application, run)
    assert "hello from the archive words me of the application ['--day', '2026-01-01']" in lines
    assert "hello from the archive" in lines
    assert f"run {run}" in lines  # by which a job knows its run


def test_a_role_that_does_not_trust_emr_serverless_fails_the_run(emr: Emr) -> None:
    application, stranger = emr.application(), emr.role(service="glue.amazonaws.com")
    found = emr.end(application, emr.start(application, "", role=stranger))
    assert found["state"] == "FAILED"
    assert "could not be assumed" in found["stateDetails"]
    assert "sts:AssumeRole" in found["stateDetails"]


def test_a_job_beyond_the_maximum_capacity_gets_no_worker(emr: Emr) -> None:
    application = emr.application(maximumCapacity={"cpu": "3 vCPU", "memory": "12 GB"})
    found = emr.end(application, emr.start(application, "", role=emr.role(), parameters="--conf spark.x=1"))
    assert (found["state"], "exceeded maximumCapacity settings: [cpu: 3 vCPU, memory: 12 GB]" in found["stateDetails"]) == ("FAILED", True)
    first = emr.start(application, SLEEP, role=emr.role())
    wait_for(lambda: emr.run(application, first)["state"] == "RUNNING", seconds=60)
    wider = SMALL.replace("driver.cores=1", "driver.cores=2").replace("driver.memory=2g", "driver.memory=4g")
    second = emr.end(application, emr.start(application, "", role=emr.role(), parameters=wider))
    assert second["state"] == "FAILED"
    assert "exceeded maximumCapacity settings: [cpu: 3 vCPU]; other jobs have 2 vCPU" in second["stateDetails"]
    waiting = emr.start(application, "print('my turn')", role=emr.role())  # its driver fits, its executor has to wait
    time.sleep(2)
    assert emr.run(application, waiting)["state"] == "SCHEDULED"
    with pytest.raises(emr.client.exceptions.ValidationException, match="has active job runs"):
        emr.client.stop_application(applicationId=application)
    emr.client.cancel_job_run(applicationId=application, jobRunId=first)
    assert emr.end(application, first)["state"] == "CANCELLED"
    assert emr.end(application, waiting)["state"] == "SUCCESS"


def test_a_cancelled_run_ends_with_everything_that_it_started(emr: Emr) -> None:
    application = emr.application(schedulerConfiguration={"maxConcurrentRuns": 1})
    run = emr.start(application, SLEEP, role=emr.role(), clientToken="only-once")
    queued = emr.start(application, "print('never')", role=emr.role())
    lines = wait_for(lambda: [line for line in _lines(emr, application, run) if line.startswith("asleep in")], seconds=90)
    process = psutil.Process(int(lines[0].rsplit(" ", 1)[-1]))
    family = [process, *process.parents()[:2]]
    assert emr.run(application, queued)["state"] == "QUEUED"
    emr.client.cancel_job_run(applicationId=application, jobRunId=queued)
    assert emr.end(application, queued)["state"] == "CANCELLED"
    emr.client.cancel_job_run(applicationId=application, jobRunId=run)
    found = emr.end(application, run, seconds=30)
    assert (found["state"], found["stateDetails"]) == ("CANCELLED", "The job run was cancelled")
    wait_for(lambda: not any(member.is_running() for member in family), seconds=15)
    with pytest.raises(emr.client.exceptions.ValidationException, match="is in the state CANCELLED"):
        emr.client.cancel_job_run(applicationId=application, jobRunId=run)


def test_a_run_that_takes_too_long_is_cancelled(emr: Emr, late: tuple[str, str]) -> None:
    found = emr.end(*late)
    assert (found["state"], found["stateDetails"]) == ("CANCELLED", "The job run exceeded its execution timeout of 1 minutes")


def _lines(emr: Emr, application: str, run: str) -> list[str]:
    try:
        return emr.log(application, run)
    except emr.lake.aws.client("logs").exceptions.ResourceNotFoundException:
        return []
