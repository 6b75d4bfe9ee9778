"""Spark on EMR Serverless: sizes that fit, an application that cannot cost without limit, a job that runs once a start."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_kms as kms

from constructs_lib.checks import InvalidProps
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.orchestration import EmrServerlessStep, Pipeline, StepPlace
from constructs_lib.orchestration.steps import MachineFunctions
from constructs_lib.processing import (
    SERVERLESS_LARGE,
    SERVERLESS_MEDIUM,
    SERVERLESS_SMALL,
    EmrServerlessApplication,
    EmrServerlessJob,
    GlueSparkJob,
    JobCode,
    JobLogs,
    SecurityConfiguration,
    ServerlessCapacity,
    ServerlessSize,
    ServerlessWorker,
    WarmWorkers,
)
from constructs_lib.processing.serverless_size import GLUE_MEMORY_GB, check_heaps, largest_heap_mb
from constructs_lib.storage import LakeBuckets
from lakehouse.naming import Names
from lakehouse.worker_sizes import SERVERLESS_MEMORY_GB
from tests.constructs_lib.conftest import Synth, of_type
from tests.constructs_lib.test_grants import given
from tests.stacks.conftest import flat

PLACE = StepPlace(
    functions=MachineFunctions(partition="aws", recorder="arn:r", notifier="arn:n"),
    pipeline="orders",
    next_="RecordFinish",
    failed="Step load: failed",
    has_manifest=True,
)
WORKERS = [(vcpu, memory) for vcpu, memories in SERVERLESS_MEMORY_GB.items() for memory in memories]


@pytest.fixture
def job(stack: Stack, names: Names, key: kms.IKey) -> Callable[..., EmrServerlessJob]:
    logs = JobLogs(stack, "Logs", prefix=names.log_group("jobs", "orders"), key=key)

    def make(id: str = "Job", **options: Any) -> EmrServerlessJob:
        usual: dict[str, Any] = {"name": "load", "application_id": "00f", "code": JobCode.from_platform("ingest"), "logs": logs}
        return EmrServerlessJob(stack, id, **(usual | options))

    return make


@pytest.mark.parametrize(("vcpu", "memory"), WORKERS)
def test_the_heap_of_every_worker_fits_into_it_with_what_spark_takes_beside_it(vcpu: int, memory: int) -> None:
    worker = ServerlessWorker(vcpu=vcpu, memory_gb=memory)
    check_heaps({"spark.executor.memory": f"{worker.heap_mb}m"}, memory_gb=memory, worker="it")
    with pytest.raises(InvalidProps, match="do not fit into it"):
        check_heaps({"spark.executor.memory": f"{worker.heap_mb + 128}m"}, memory_gb=memory, worker="it")


@pytest.mark.parametrize("size", [SERVERLESS_SMALL, SERVERLESS_MEDIUM, SERVERLESS_LARGE])
def test_every_preset_is_a_size_that_emr_serverless_has(size: ServerlessSize) -> None:
    settings = size.settings()
    check_heaps(settings, memory_gb=size.worker.memory_gb, worker="a worker")
    assert settings["spark.executor.cores"] == str(size.worker.vcpu)
    assert settings["spark.dynamicAllocation.maxExecutors"] == str(size.max_executors)


@pytest.mark.parametrize(("setting", "message"), [
    ("16g", r"16g and the 1638 MB .* do not fit into a worker with 16 GB: write at most 14848m"),
    ("15g", "do not fit"),
    ("much", "write a size such as 8g"),
])  # fmt: skip
def test_a_heap_as_large_as_the_worker_is_refused(job: Callable[..., EmrServerlessJob], setting: str, message: str) -> None:
    job("Good", settings={"spark.executor.memory": "14g"})
    with pytest.raises(InvalidProps, match=message):
        job("Bad", settings={"spark.executor.memory": setting})


def test_a_heap_that_does_not_fit_a_glue_worker_is_refused(stack: Stack, names: Names, key: kms.IKey) -> None:
    logs = JobLogs(stack, "Logs", prefix=names.log_group("jobs", "orders"), key=key)
    security = SecurityConfiguration(stack, "Security", name_prefix=names.prefix, key=key)
    options: dict[str, Any] = {"code": JobCode.from_platform("ingest"), "logs": logs, "security_configuration": security}
    GlueSparkJob(stack, "Good", name="good", settings={"spark.driver.memory": "14g"}, **options)
    with pytest.raises(InvalidProps, match=r"a worker of type G\.1X with 16 GB"):
        GlueSparkJob(stack, "Bad", name="bad", settings={"spark.driver.memory": "16g"}, **options)
    assert largest_heap_mb(GLUE_MEMORY_GB["G.1X"]) == 14_848


@pytest.mark.parametrize(("worker", "message"), [
    ({"vcpu": 3}, "vcpu must be one of 1, 2, 4, 8, 16, got 3"),
    ({"vcpu": 4, "memory_gb": 7}, "4 vCPU has 8-30 GB of memory, got 7"),
    ({"vcpu": 4, "memory_gb": 31}, "8-30 GB"),
    ({"vcpu": 8, "memory_gb": 18}, "16-60 GB of memory in steps of 4, got 18"),
    ({"disk_gb": 19}, "disk_gb must be 20-200"),
    ({"disk_gb": 201}, "disk_gb must be 20-200"),
])  # fmt: skip
def test_a_worker_is_one_that_emr_serverless_has(worker: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        ServerlessWorker(**worker)


def test_an_application_has_a_maximum_an_end_when_idle_and_a_queue(stack: Stack, synth: Synth) -> None:
    EmrServerlessApplication(stack, "Application", name="lakehouse-test")
    (application,) = of_type(synth(), "AWS::EMRServerless::Application")
    assert application == {
        "Name": "lakehouse-test",
        "Type": "SPARK",
        "ReleaseLabel": "emr-spark-8.0.0",
        "Architecture": "X86_64",
        "AutoStartConfiguration": {"Enabled": True},
        "AutoStopConfiguration": {"Enabled": True, "IdleTimeoutMinutes": 15},
        "MaximumCapacity": {"Cpu": "200 vCPU", "Memory": "1000 GB", "Disk": "2000 GB"},
        "MonitoringConfiguration": {"ManagedPersistenceMonitoringConfiguration": {"Enabled": False}},
        "SchedulerConfiguration": {"MaxConcurrentRuns": 15, "QueueTimeoutMinutes": 60},
    }


def test_an_application_lives_in_the_network_of_the_environment(stack: Stack, synth: Synth) -> None:
    network = NetworkReference(
        vpc_id="vpc-1",
        private_subnet_ids=["subnet-1", "subnet-2"],
        isolated_subnet_ids=[],
        job_security_group_id="sg-1",
        availability_zones=["a", "b"],
    )
    EmrServerlessApplication(stack, "Application", name="lakehouse-test", network=network)
    (application,) = of_type(synth(), "AWS::EMRServerless::Application")
    assert application["NetworkConfiguration"] == {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}


def test_warm_workers_are_of_a_size_that_jobs_of_it_use(stack: Stack, synth: Synth) -> None:
    EmrServerlessApplication(
        stack, "Application", name="warm", warm_workers=WarmWorkers(worker=SERVERLESS_MEDIUM.worker, drivers=1, executors=3)
    )
    (application,) = of_type(synth(), "AWS::EMRServerless::Application")
    worker = {"Cpu": "4 vCPU", "Memory": "16 GB", "Disk": "20 GB"}
    assert application["InitialCapacity"] == [
        {"Key": "Driver", "Value": {"WorkerCount": 1, "WorkerConfiguration": worker}},
        {"Key": "Executor", "Value": {"WorkerCount": 3, "WorkerConfiguration": worker}},
    ]
    check_heaps(SERVERLESS_MEDIUM.settings(), memory_gb=16, worker="a warm worker")


@pytest.mark.parametrize(("options", "message"), [
    ({"release": "emr-6.15.0"}, "release must be one of emr-7.13.0, emr-spark-8.0.0"),
    ({"architecture": "MIPS"}, "ARM64, X86_64"),
    ({"idle_minutes": 0}, "idle_minutes must be 1-10080"),
    ({"queue_minutes": 14}, "queue_minutes must be 15-720"),
    ({"max_concurrent_runs": 0}, "max_concurrent_runs must be 1-1000"),
    ({"capacity": ServerlessCapacity(vcpu=8), "warm_workers": WarmWorkers(worker=ServerlessWorker(), drivers=1, executors=2)},
     "warm workers take 12 vCPU, and the maximum capacity is 8"),
])  # fmt: skip
def test_an_application_is_what_emr_serverless_can_run(stack: Stack, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        EmrServerlessApplication(stack, "Bad", name="bad", **options)


def test_capacity_and_size_have_floors() -> None:
    for make in (
        lambda: ServerlessCapacity(vcpu=1),
        lambda: ServerlessCapacity(memory_gb=3),
        lambda: ServerlessCapacity(disk_gb=39),
        lambda: ServerlessSize(executors=0),
        lambda: ServerlessSize(executors=5, max_executors=4),
        lambda: WarmWorkers(worker=ServerlessWorker(), executors=0),
    ):
        with pytest.raises(InvalidProps, match="at least"):
            make()


def test_a_job_is_started_once_however_often_its_start_is_repeated(job: Callable[..., EmrServerlessJob]) -> None:
    states = job().step("load").states(PLACE)
    first, second = states["Step load"], states["Step load: second try"]
    tokens = [state["Parameters"]["ClientToken.$"] for state in (first, second)]
    assert tokens[0] != tokens[1]
    longest = tokens[0].removeprefix("States.Format('").partition("'")[0].replace("{}", "0" * 36)
    assert len(longest) <= 64
    other = job("Other").step("refine").states(PLACE)["Step refine"]
    assert other["Parameters"]["ClientToken.$"] not in tokens


def test_a_job_ends_before_its_task_which_waits_for_its_turn_too(job: Callable[..., EmrServerlessJob]) -> None:
    state = job(timeout_minutes=30, queue_minutes=20).step("load").states(PLACE)["Step load"]
    assert state["Parameters"]["ExecutionTimeoutMinutes"] == 30
    assert state["TimeoutSeconds"] == 50 * 60 + 300
    keys = list(state)
    assert keys.index("Retry") < keys.index("Catch")
    assert all("States." not in error for retry in state["Retry"] for error in retry["ErrorEquals"])


def test_a_run_is_told_what_a_run_on_glue_is(job: Callable[..., EmrServerlessJob]) -> None:
    state = job(arguments={"--env": "prod", "--note": "it's {so} \\ there"}).step("load").states(PLACE)["Step load"]
    assert state["Parameters"]["JobDriver"]["SparkSubmit"]["EntryPointArguments.$"] == (
        "States.Array('--run_id', $.run_id, '--attempt', States.Format('{}', $.attempt), '--manifest', $.manifest, '--batch_id', $.batch_id, "
        "'--env', 'prod', '--note', 'it\\'s \\{so\\} \\\\ there', '--log_stream', 'load/applications/00f/jobs/JOB_RUN_ID/SPARK_DRIVER/stdout')"
    )


def test_a_job_writes_its_log_to_the_group_of_its_pipeline_and_nowhere_else(job: Callable[..., EmrServerlessJob], names: Names) -> None:
    state = job(tags={"team": "shop"}).step("load").states(PLACE)["Step load"]
    monitoring = state["Parameters"]["ConfigurationOverrides"]["MonitoringConfiguration"]
    assert monitoring["CloudWatchLoggingConfiguration"]["LogGroupName"] == f"{names.log_group('jobs', 'orders')}/output"
    assert monitoring["CloudWatchLoggingConfiguration"]["LogStreamNamePrefix"] == "load"
    assert monitoring["ManagedPersistenceMonitoringConfiguration"] == {"Enabled": False}
    assert "S3MonitoringConfiguration" not in monitoring
    assert state["Parameters"]["Tags"] == {"team": "shop"}


def test_event_logs_lie_in_the_folder_of_the_job_under_the_lake_s_key(job: Callable[..., EmrServerlessJob], lake: LakeBuckets) -> None:
    state = job(event_logs=lake).step("load").states(PLACE)["Step load"]
    kept = state["Parameters"]["ConfigurationOverrides"]["MonitoringConfiguration"]["S3MonitoringConfiguration"]
    assert kept == {"EncryptionKeyArn": lake.key_arn, "LogUri": f"s3://{lake.bucket_name('logs')}/spark-events/load/"}


@pytest.mark.parametrize(("release", "python", "jars"), [
    ("emr-spark-8.0.0", None, None),
    ("emr-7.13.0", "/usr/bin/python3.11", "/usr/share/aws/iceberg/lib/iceberg-spark3-runtime.jar"),
])  # fmt: skip
def test_a_release_is_told_what_it_does_not_know_by_itself(
    job: Callable[..., EmrServerlessJob], release: str, python: str | None, jars: str | None
) -> None:
    state = job(release=release).step("load").states(PLACE)["Step load"]
    words = shlex.split(state["Parameters"]["JobDriver"]["SparkSubmit"]["SparkSubmitParameters"])
    conf = dict(setting.split("=", 1) for word, setting in itertools.pairwise(words) if word == "--conf")
    assert conf.get("spark.emr-serverless.driverEnv.PYSPARK_PYTHON") == python
    assert conf["spark.emr-serverless.driverEnv.PYTHONPATH"] == "./packages"
    assert words[words.index("--archives") + 1].endswith("#packages")
    assert conf["spark.sql.catalog.lake.type"] == "glue"
    assert not [name for name in conf if "emrfs" in name.lower()]
    assert (words[words.index("--jars") + 1] if "--jars" in words else None) == jars


@pytest.mark.parametrize(("options", "message"), [
    ({"timeout_minutes": 0}, "timeout_minutes must be 1-10080"),
    ({"release": "emr-6.15.0"}, "release must be one of"),
    ({"arguments": {"--db_password": "x"}}, "Secrets Manager"),
    ({"arguments": {"env": "x"}}, "write --env"),
    ({"arguments": {"--JOB_RUN_ID": "x"}}, "--JOB_RUN_ID belongs to the construct"),
    ({"arguments": {"--run_id": "x"}}, "--run_id says which run it is"),
    ({"settings": {"spark.a": "b c"}}, "EMR Serverless splits"),
    ({"extra_jars": [Path("driver.jar")]}, "driver.jar is no Java archive"),
])  # fmt: skip
def test_a_job_is_what_emr_serverless_can_run(job: Callable[..., EmrServerlessJob], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        job("Bad", **options)


def test_a_job_may_read_its_code_and_write_its_log_and_nothing_else(job: Callable[..., EmrServerlessJob], synth: Synth) -> None:
    job()
    resources = synth()
    actions = given(resources, "JobRole")
    assert set(actions) == {
        "logs:CreateLogStream",
        "logs:DescribeLogGroups",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "s3:GetObject",
    }
    assert len(actions["s3:GetObject"]) == 3
    trust = next(
        resource["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role" and name.startswith("JobRole")
    )
    assert trust["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_machine_may_start_this_job_as_its_role_and_nothing_else(
    job: Callable[..., EmrServerlessJob], stack: Stack, names: Names, key: kms.IKey, synth: Synth
) -> None:
    steps = [job(tags={"team": "shop"}).step("load"), job("Other", name="other").step("refine")]
    Pipeline(stack, "Orders", names=names, pipeline="orders", steps=steps, tables=["a.b"], log_key=key)
    resources = synth()
    actions = given(resources, "OrdersRole")
    assert actions["emr-serverless:StartJobRun"] == {"/applications/00f"}
    for action in ("CancelJobRun", "GetJobRun", "TagResource"):
        assert actions[f"emr-serverless:{action}"] == {"/applications/00f/jobruns/*"}
    (condition,) = {resource.partition(" if ")[2] for resource in actions["iam:PassRole"]}
    assert json.loads(condition) == {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}
    assert len(actions["iam:PassRole"]) == 2
    assert actions["events:PutRule"] == {"rule/StepFunctionsGetEventsForEMRServerlessJobRule"}
    definition = next(
        flat(resource["Properties"]["DefinitionString"])
        for resource in resources.values()
        if resource["Type"] == "AWS::StepFunctions::StateMachine"
    )
    assert json.loads(definition)["States"]["Step load"]["Next"] == "Step refine"


def test_a_step_may_be_written_by_hand() -> None:
    step = EmrServerlessStep(
        name="load",
        timeout_minutes=5,
        job_name="load",
        application_id="00f",
        role_arn="arn:aws:iam::1:role/r",
        script="s3://b/load.py",
        submit_parameters="--conf a=b",
        log_group="/g",
    )
    state = step.states(PLACE)["Step load"]
    assert "Tags" not in state["Parameters"]
    assert "emr-serverless:TagResource" not in {action for permission in step.permissions() for action in permission.actions}
