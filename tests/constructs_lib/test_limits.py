"""Both sides of every limit that a construct checks at synth."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from aws_cdk import CfnParameter, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from constructs_lib.catalog import AthenaWorkgroup, CatalogDatabase, OptimizerRole, TableFunction
from constructs_lib.checks import InvalidProps
from constructs_lib.functions import PlatformFunction
from constructs_lib.ingestion import AfterPipelines, FileArrival, FilesLanded
from constructs_lib.log_group import LogGroup
from constructs_lib.observability import AlertTopicNames, AlertTopics, PipelineAlarms, WorkgroupAlarms
from constructs_lib.orchestration import GlueStep, Pipeline, RunTableNames
from constructs_lib.permissions import allow
from constructs_lib.processing import (
    GluePythonShellJob,
    GlueSparkJob,
    GlueStreamingJob,
    JobCode,
    JobLogs,
    SecurityConfiguration,
    SparkSize,
    conf_argument,
)
from constructs_lib.security import DataKeys
from constructs_lib.storage import STORAGE_CLASSES, DataLake, LakeBuckets, RawLifecycle, Transition
from lakehouse.naming import Names
from lambdas.arrival_starter.judging import FileJudge
from tests.constructs_lib.conftest import Synth, of_type
from tests.stacks.conftest import flat, listed


@pytest.mark.parametrize(("option", "good", "bad"), [("rotation_days", (90, 2560), (89, 2561)), ("deletion_days", (7, 30), (6, 31))])
def test_keys_rotate_and_go_within_kms_s_bounds(
    stack: Stack, names: Names, option: str, good: tuple[int, ...], bad: tuple[int, ...]
) -> None:
    for number, value in enumerate(good):
        DataKeys(stack, f"Good{number}", names=names, **cast("dict[str, Any]", {option: value}))
    for number, value in enumerate(bad):
        with pytest.raises(InvalidProps, match=f"{option} must be .* got {value}"):
            DataKeys(stack, f"Bad{number}", names=names, **cast("dict[str, Any]", {option: value}))


def test_a_query_may_scan_athena_s_floor_and_not_less(stack: Stack, lake: LakeBuckets) -> None:
    AthenaWorkgroup(stack, "Good", name="good", lake=lake, scan_limit_mb=10)
    with pytest.raises(InvalidProps, match="at least 10"):
        AthenaWorkgroup(stack, "Bad", name="bad", lake=lake, scan_limit_mb=9)


def test_a_log_group_keeps_events_as_long_as_cloudwatch_knows(stack: Stack, key: kms.IKey) -> None:
    LogGroup(stack, "Good", name="/lakehouse/test/a", key=key, retention_days=14)
    with pytest.raises(InvalidProps, match=r"one of 1, 3, 5.* got 15"):
        LogGroup(stack, "Bad", name="/lakehouse/test/b", key=key, retention_days=15)


def test_a_number_that_only_the_deployment_knows_is_called_so(stack: Stack, key: kms.IKey) -> None:
    days: Any = CfnParameter(stack, "Days", type="Number").value_as_number
    with pytest.raises(InvalidProps, match="got one that only the deployment knows"):
        LogGroup(stack, "Bad", name="/lakehouse/test/c", key=key, retention_days=days)
    with pytest.raises(InvalidProps, match=r"workers must be 2-299 .* got one that only the deployment knows"):
        SparkSize(workers=days)


@pytest.mark.parametrize(("options", "message"), [
    ({"timeout_seconds": 0}, "1-900"),
    ({"timeout_seconds": 901}, "1-900"),
    ({"memory_mb": 127}, "128-10240"),
    ({"memory_mb": 10_241}, "128-10240"),
    ({"name": "f" * 65}, "at most 64 characters"),
])  # fmt: skip
def test_a_function_stays_within_lambda_s_bounds(stack: Stack, key: kms.IKey, options: dict[str, Any], message: str) -> None:
    def function(id: str, *, name: str = "f" * 64, **options: Any) -> None:
        PlatformFunction(
            stack,
            id,
            name=name,
            package="notifier",
            description="",
            log_group_name="/lakehouse/test/f",
            log_key=key,
            environment={},
            **options,
        )

    function("Good")
    with pytest.raises(InvalidProps, match=message):
        function("Bad", **options)


def test_a_domain_may_be_as_long_as_the_name_of_its_function_allows(stack: Stack, names: Names, key: kms.IKey) -> None:
    room = 64 - len("lakehouse-test-iceberg-table-")
    assert TableFunction(stack, "Good", names=names, log_key=key, domain="d" * room).function_name.endswith("-iceberg-table-" + "d" * room)
    with pytest.raises(InvalidProps, match=r"at most 64 characters .* with 65"):
        TableFunction(stack, "Bad", names=names, log_key=key, domain="d" * (room + 1))


class TestRawLifecycle:
    def test_the_default_ladder_holds(self) -> None:
        assert [step.after_days for step in RawLifecycle().transitions] == [30, 90, 365]

    def test_standard_ia_comes_after_thirty_days_at_the_earliest(self) -> None:
        RawLifecycle(transitions=(Transition(storage_class="STANDARD_IA", after_days=30),))
        with pytest.raises(InvalidProps, match="at least 30 days"):
            RawLifecycle(transitions=(Transition(storage_class="STANDARD_IA", after_days=29),))

    def test_a_class_that_s3_does_not_know_is_refused_with_those_that_it_knows(self) -> None:
        with pytest.raises(InvalidProps, match="DEEP_ARCHIVE, GLACIER, GLACIER_IR"):
            RawLifecycle(transitions=(Transition(storage_class="GLACIER_DEEP_ARCHIVE", after_days=90),))

    def test_steps_come_in_the_order_of_age(self) -> None:
        with pytest.raises(InvalidProps, match="order of age"):
            RawLifecycle(
                transitions=(Transition(storage_class="GLACIER", after_days=90), Transition(storage_class="DEEP_ARCHIVE", after_days=90))
            )

    def test_files_do_not_expire_before_they_are_archived(self) -> None:
        RawLifecycle(expire_after_days=366)
        RawLifecycle(expire_after_days=None)
        with pytest.raises(InvalidProps, match="more than the last transition's 365"):
            RawLifecycle(expire_after_days=365)

    @pytest.mark.parametrize(("upper", "lower"), itertools.pairwise(STORAGE_CLASSES))
    def test_objects_move_down_s3_s_waterfall_and_never_up(self, upper: str, lower: str) -> None:
        RawLifecycle(transitions=(Transition(storage_class=upper, after_days=30), Transition(storage_class=lower, after_days=90)))
        for storage_class in (upper, lower):
            with pytest.raises(InvalidProps, match=f"S3 moves nothing from {lower} to {storage_class}"):
                RawLifecycle(
                    transitions=(Transition(storage_class=lower, after_days=30), Transition(storage_class=storage_class, after_days=90))
                )

    def test_objects_do_not_come_back_by_a_detour(self) -> None:
        classes = ("GLACIER_IR", "DEEP_ARCHIVE", "GLACIER")
        with pytest.raises(InvalidProps, match="from DEEP_ARCHIVE to no other class"):
            RawLifecycle(
                transitions=tuple(Transition(storage_class=word, after_days=30 * number) for number, word in enumerate(classes, start=1))
            )

    def test_a_ladder_may_be_empty(self) -> None:
        RawLifecycle(transitions=(), expire_after_days=1)


def test_a_table_zone_has_no_lifecycle_to_ask_for(stack: Stack, names: Names, key: kms.IKey) -> None:
    with pytest.raises(TypeError, match="silver_lifecycle"):
        DataLake(stack, "Lake", names=names, key=key, silver_lifecycle=RawLifecycle())  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(("size", "message"), [
    ({"workers": 1}, "2-299"),
    ({"workers": 300}, "2-299"),
    ({"worker_type": "Standard"}, "worker_type must be one of G.12X"),
])  # fmt: skip
def test_a_job_has_a_size_that_glue_has(size: dict[str, Any], message: str) -> None:
    SparkSize(workers=2, worker_type="G.1X")
    SparkSize(workers=299, worker_type="R.8X")
    with pytest.raises(InvalidProps, match=message):
        SparkSize(**size)


@pytest.fixture
def job(stack: Stack, names: Names, key: kms.IKey) -> Callable[..., GlueSparkJob]:
    logs = JobLogs(stack, "Logs", prefix=names.log_group("jobs", "orders"), key=key)
    security = SecurityConfiguration(stack, "Security", name_prefix=names.prefix, key=key)

    def make(id: str, **options: Any) -> GlueSparkJob:
        given: dict[str, Any] = {"code": JobCode.from_platform("ingest"), **options}
        return GlueSparkJob(stack, id, name=id, logs=logs, security_configuration=security, **given)

    return make


@pytest.mark.parametrize("name", ["--db_password", "--api-key", "--SecretKey", "--auth_token", "--pwd", "--credentials", "--private_key"])
def test_a_job_argument_that_looks_like_a_secret_is_refused_with_the_way_out(job: Callable[..., GlueSparkJob], name: str) -> None:
    with pytest.raises(InvalidProps, match="Secrets Manager"):
        job("Bad", arguments={name: "x"})


@pytest.mark.parametrize("value", [
    "jdbc:postgresql://user:word@host:5432/db", "jdbc:sqlserver://host;user=u;password=word", "mysql://host/db?user=u&Password=word",
])  # fmt: skip
def test_an_address_that_carries_its_password_is_refused(job: Callable[..., GlueSparkJob], value: str) -> None:
    with pytest.raises(InvalidProps, match="--source_secret_arn"):
        job("Bad", arguments={"--source": value})


@pytest.mark.parametrize("value", ["jdbc:postgresql://host:5432/db", "s3://bucket/a:b@c", "jdbc:sqlserver://host;user=u", '{"a": "b@c"}'])
def test_an_address_without_one_is_welcome(job: Callable[..., GlueSparkJob], value: str) -> None:
    job("Good", arguments={"--source": value})


@pytest.mark.parametrize("name", ["--JOB_NAME", "--debug", "--mode"])
def test_an_argument_that_glue_sets_is_refused(job: Callable[..., GlueSparkJob], name: str) -> None:
    with pytest.raises(InvalidProps, match="set by Glue itself"):
        job("Bad", arguments={name: "x"})


@pytest.mark.parametrize("name", ["--secret_arn", "--password_secret_name", "--key_columns", "--monkey", "--max_tokens", "--tokenizer"])
def test_a_reference_to_a_secret_and_what_only_sounds_like_one_are_welcome(job: Callable[..., GlueSparkJob], name: str) -> None:
    job("Good", arguments={name: "x"})


@pytest.mark.parametrize(("options", "message"), [
    ({"timeout_minutes": 0}, "1-10080"),
    ({"timeout_minutes": 10_081}, "1-10080"),
    ({"glue_version": "4.0"}, "glue_version must be one of 5.0, 5.1, 6.0"),
    ({"max_concurrent_runs": 0}, "at least 1"),
    ({"arguments": {"env": "prod"}}, "write --env"),
    ({"arguments": {"--conf": "a=b"}}, "use `settings`"),
    ({"arguments": {"--job-bookmark-option": "job-bookmark-reset"}}, "use `bookmark`"),
    ({"arguments": {"--extra-jars": "s3://b/driver.jar"}}, "use `extra_jars`"),
    ({"bookmark": "job-bookmark-reset"}, "one of disable, enable, pause, .* reset-job-bookmark"),
    ({"bookmark": "enable", "max_concurrent_runs": 2}, "overwrite each other's bookmark"),
    ({"bookmark": "pause", "max_concurrent_runs": 2}, "overwrite each other's bookmark"),
    ({"bookmark": "enable"}, "reads no DynamicFrame, and Glue's bookmarks follow no other read"),
    ({"bookmark": "pause"}, "reads no DynamicFrame"),
    ({"execution_class": "SPOT"}, "execution_class must be one of FLEX, STANDARD"),
    ({"execution_class": "FLEX", "size": SparkSize(worker_type="G.4X")}, "G.1X and G.2X, got G.4X"),
    ({"connections": ["shop", "shop"]}, "names one twice"),
    ({"connections": [""]}, "is empty"),
    ({"extra_jars": [Path("driver.jar")]}, "driver.jar is no Java archive"),
])  # fmt: skip
def test_a_job_is_what_glue_can_run(job: Callable[..., GlueSparkJob], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        job("Bad", **options)


def test_what_spark_s_ui_shows_of_a_run_is_kept_below_the_job_s_own_folder(
    job: Callable[..., GlueSparkJob], lake: LakeBuckets, synth: Synth
) -> None:
    job("Load", event_logs=lake)
    job("Erase")
    template = synth()
    jobs = {made["Name"]: made["DefaultArguments"] for made in of_type(template, "AWS::Glue::Job")}
    assert flat(jobs["Load"]["--spark-event-logs-path"]).startswith("s3://lakehouse-test-logs-")
    assert flat(jobs["Load"]["--spark-event-logs-path"]).endswith("/spark-events/Load/")
    assert jobs["Load"]["--enable-spark-ui"] == "true"
    assert not {"--enable-spark-ui", "--spark-event-logs-path"} & jobs["Erase"].keys()
    for arguments in jobs.values():
        assert arguments["--enable-metrics"] == arguments["--enable-observability-metrics"] == "true"
    writes = [
        flat(resource)
        for policy in of_type(template, "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "s3:PutObject" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    assert [address.partition("/")[2] for address in writes] == ["spark-events/Load/*"]


@pytest.mark.parametrize("name", ["--enable-spark-ui", "--spark-event-logs-path"])
def test_event_logs_have_one_way_in(job: Callable[..., GlueSparkJob], name: str) -> None:
    with pytest.raises(InvalidProps, match="use `event_logs`"):
        job("Bad", arguments={name: "true"})


def test_a_flex_job_a_bookmark_and_connections_are_written_as_glue_reads_them(
    job: Callable[..., GlueSparkJob], synth: Synth, tmp_path: Path
) -> None:
    driver = tmp_path / "driver.jar"
    driver.write_bytes(b"jar")
    script = tmp_path / "follow.py"
    script.write_text(
        "job.init()\ncontext.create_dynamic_frame.from_catalog(database='d', table_name='t', transformation_ctx='t')\njob.commit()\n"
    )
    job("Plain")
    job(
        "Full", code=JobCode.from_script(script), execution_class="FLEX", bookmark="enable", connections=["shop", "till"], extra_jars=[driver],
        auto_scaling=True,
    )  # fmt: skip
    jobs = {properties["Name"]: properties for properties in of_type(synth(), "AWS::Glue::Job")}
    plain, full = jobs["Plain"], jobs["Full"]
    assert (plain["ExecutionClass"], full["ExecutionClass"]) == ("STANDARD", "FLEX")
    assert (plain["DefaultArguments"]["--job-bookmark-option"], full["DefaultArguments"]["--job-bookmark-option"]) == (
        "job-bookmark-disable",
        "job-bookmark-enable",
    )
    assert full["Connections"] == {"Connections": ["shop", "till"]}
    assert full["DefaultArguments"]["--enable-auto-scaling"] == "true"
    assert ".jar" in json.dumps(full["DefaultArguments"]["--extra-jars"])
    assert not {"Connections", "MaxCapacity"} & set(plain)
    assert not {"--extra-jars", "--enable-auto-scaling"} & set(plain["DefaultArguments"])
    assert all("MaxCapacity" not in properties for properties in jobs.values())


@pytest.fixture
def given(stack: Stack, names: Names, key: kms.IKey) -> dict[str, Any]:
    return {
        "logs": JobLogs(stack, "Logs", prefix=names.log_group("jobs", "orders"), key=key),
        "security_configuration": SecurityConfiguration(stack, "Security", name_prefix=names.prefix, key=key),
    }


SCRIPT = Path(__file__).parent.parent.parent / "docs" / "examples" / "another_team" / "load.py"


@pytest.mark.parametrize(("options", "message"), [
    ({"worker_type": "R.1X"}, "worker_type must be one of G.025X"),
    ({"workers": 1}, "at least 2|2-299"),
    ({"workers": 1, "worker_type": "G.025X"}, "at least 2"),
    ({"timeout_minutes": 0}, "1-10080"),
    ({"arguments": {"--job-bookmark-option": "job-bookmark-enable"}}, "use `bookmark`"),
])  # fmt: skip
def test_a_streaming_job_is_what_glue_can_run(
    stack: Stack, given: dict[str, Any], options: dict[str, Any], message: str, synth: Synth
) -> None:
    GlueStreamingJob(stack, "Good", name="good", code=JobCode.from_script(SCRIPT), **given)
    with pytest.raises(InvalidProps, match=message):
        GlueStreamingJob(stack, "Bad", name="bad", code=JobCode.from_script(SCRIPT), **given, **options)


def test_a_streaming_job_has_an_end_one_run_and_no_bookmark(stack: Stack, given: dict[str, Any], synth: Synth) -> None:
    GlueStreamingJob(stack, "Clicks", name="clicks", code=JobCode.from_script(SCRIPT), worker_type="G.025X", **given)
    (job,) = of_type(synth(), "AWS::Glue::Job")
    assert job["Command"]["Name"] == "gluestreaming"
    assert (job["Timeout"], job["MaxRetries"], job["ExecutionProperty"]) == (1440, 0, {"MaxConcurrentRuns": 1})
    assert job["DefaultArguments"]["--job-bookmark-option"] == "job-bookmark-disable"
    assert not {"MaxCapacity", "ExecutionClass"} & set(job)


@pytest.mark.parametrize(("options", "message"), [
    ({"capacity": 0.5}, "capacity must be 0.0625 or 1"),
    ({"script": Path("nothing.py")}, "nothing.py is not a Python file"),
    ({"python_modules": ["requests"]}, "names no version"),
    ({"timeout_minutes": 10_081}, "1-10080"),
    ({"max_concurrent_runs": 0}, "at least 1"),
    ({"arguments": {"--db_password": "x"}}, "Secrets Manager"),
])  # fmt: skip
def test_a_python_shell_job_is_what_glue_can_run(stack: Stack, given: dict[str, Any], options: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {"script": SCRIPT}
    GluePythonShellJob(stack, "Good", name="good", **(usual | given))
    with pytest.raises(InvalidProps, match=message):
        GluePythonShellJob(stack, "Bad", name="bad", **(usual | given | options))


def test_a_python_shell_job_is_sized_by_capacity_and_no_other_job_is(stack: Stack, given: dict[str, Any], synth: Synth) -> None:
    GluePythonShellJob(stack, "Rates", name="rates", script=SCRIPT, python_modules=["requests==2.32.5"], **given)
    (job,) = of_type(synth(), "AWS::Glue::Job")
    assert (job["Command"]["Name"], job["Command"]["PythonVersion"], job["MaxCapacity"]) == ("pythonshell", "3.9", 0.0625)
    assert job["DefaultArguments"]["--additional-python-modules"] == "requests==2.32.5"
    assert not {"WorkerType", "NumberOfWorkers"} & set(job)


def test_a_job_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidProps, match="the jobs are erase, extract_row, ingest, publish, refine"):
        JobCode.from_platform("compact")


def test_a_script_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidProps, match="is not a Python file"):
        JobCode.from_script("nowhere.py")


def test_spark_settings_chain_within_one_argument() -> None:
    assert conf_argument({"spark.a": "1", "spark.b": "2"}) == "spark.a=1 --conf spark.b=2"
    for settings in ({}, {"spark.a": "1 2"}):
        with pytest.raises(InvalidProps):
            conf_argument(settings)


@pytest.mark.parametrize(("options", "message"), [
    ({"batch_seconds": -1}, "0-300"),
    ({"batch_seconds": 301}, "0-300"),
    ({"batch_size": 0}, "1-10000"),
    ({"batch_size": 10_001}, "1-10000"),
    ({"batch_size": 11, "batch_seconds": 0}, "at least 1 for batches of more than 10"),
])  # fmt: skip
def test_arrivals_are_collected_within_lambda_s_bounds(
    stack: Stack, names: Names, key: kms.IKey, options: dict[str, Any], message: str
) -> None:
    tables = RunTableNames.from_names(names, key_arn=key.key_arn)
    with pytest.raises(InvalidProps, match=message):
        FileArrival(
            stack,
            "Bad",
            names=names,
            pipeline="orders",
            trigger=AfterPipelines(names=names, pipelines=("a",)),
            tables=tables,
            message_key=key,
            log_key=key,
            **options,
        )


@pytest.mark.parametrize(("options", "message"), [
    ({"contract_id": "orders"}, "<domain>.<dataset>, such as sales.orders, got 'orders'"),
    ({"contract_id": "silver.sales.orders"}, "got 'silver.sales.orders'"),
    ({"formats": ()}, "every file would be skipped"),
    ({"formats": ("xlsx",)}, "formats must be one of csv, json, parquet, got 'xlsx'"),
])  # fmt: skip
def test_files_are_of_a_dataset_and_of_formats_that_ingest_reads(lake: LakeBuckets, options: dict[str, Any], message: str) -> None:
    def landed(*, contract_id: str = "sales.orders", **options: Any) -> FilesLanded:
        return FilesLanded(lake=lake, contract_id=contract_id, **options)

    assert landed().formats == ("csv", "json", "parquet")
    with pytest.raises(InvalidProps, match=message):
        landed(**options)


def test_rule_and_starter_look_into_the_same_folder(lake: LakeBuckets) -> None:
    trigger = FilesLanded(lake=lake, contract_id="sales.orders", formats=("csv",))
    assert trigger.event_pattern()["detail"]["object"] == {"key": [{"prefix": trigger.prefix}]}
    nothing = cast("Any", None)
    judge = FileJudge(
        claims=nothing,
        audit=nothing,
        s3=nothing,
        manifests=nothing,
        bucket="raw",
        dataset=trigger.environment(nothing)["DATASET"],
        formats=(),
    )
    assert judge._prefix == trigger.prefix


def test_a_pipeline_that_follows_others_names_them_and_waits_a_day_at_most(names: Names) -> None:
    with pytest.raises(InvalidProps, match="pipelines is empty"):
        AfterPipelines(names=names, pipelines=())
    for minutes in (0, 1440):
        assert AfterPipelines(names=names, pipelines=("a",), wait_minutes=minutes).wait_minutes == minutes
    for minutes in (-1, 1441):
        with pytest.raises(InvalidProps, match="0-1440"):
            AfterPipelines(names=names, pipelines=("a",), wait_minutes=minutes)


@pytest.mark.parametrize(("steps", "message"), [
    ((), "has no steps"),
    (("load", "load"), "two steps of one name"),
    (("",), "'' is no name of a step"),
    (("load: failed",), "use 1-50 letters, digits, - and _"),
    (("a" * 51,), "use 1-50"),
])  # fmt: skip
def test_a_pipeline_has_steps_with_names_of_their_own(
    stack: Stack, names: Names, key: kms.IKey, steps: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidProps, match=message):
        Pipeline(
            stack,
            "Bad",
            names=names,
            pipeline="orders",
            steps=[GlueStep(name=name, job_name=name, timeout_minutes=5) for name in steps],
            tables=["silver_sales.orders"],
            log_key=key,
        )


@pytest.fixture
def pipeline(stack: Stack, names: Names, key: kms.IKey) -> Callable[..., Pipeline]:
    def make(id: str, *, step: dict[str, Any] | None = None, **options: Any) -> Pipeline:
        usual: dict[str, Any] = {"name": "load", "job_name": "j", "timeout_minutes": 1, "arguments": {"--day": "1"}}
        steps = [GlueStep(**usual | (step or {}))]
        given: dict[str, Any] = {"names": names, "pipeline": id.lower(), "steps": steps, "tables": ["silver_sales.orders"], "log_key": key}
        return Pipeline(stack, id, **given | options)

    return make


@pytest.mark.parametrize(("options", "message"), [
    ({"timeout_minutes": 0}, "timeout_minutes must be 1-525600"),
    ({"timeout_minutes": 525_601}, "timeout_minutes must be 1-525600"),
    ({"pipeline": "Orders of today"}, "the name of a pipeline is made of lower-case letters, .* got 'Orders of today'"),
    ({"pipeline": "a" * 66}, "at most 80 characters .* with 81"),
    ({"tables": []}, "tables is empty"),
    ({"tables": ["orders"]}, "<database>.<table>, such as silver_sales.orders, got 'orders'"),
])  # fmt: skip
def test_a_pipeline_has_a_name_an_end_and_tables_that_it_writes(
    pipeline: Callable[..., Pipeline], options: dict[str, Any], message: str
) -> None:
    pipeline("Short", timeout_minutes=1)
    pipeline("Long", timeout_minutes=525_600, pipeline="a" * 65)
    with pytest.raises(InvalidProps, match=message):
        pipeline("Bad", **options)


@pytest.mark.parametrize(("step", "message"), [
    ({"job_name": ""}, "step load has no job_name"),
    ({"timeout_minutes": 0}, "timeout_minutes of step load must be at least 1, got 0"),
    ({"arguments": {"--run_id": "mine"}}, "--run_id says which run it is"),
    ({"arguments": {"day": "1"}}, "write --day for 'day' in step load"),
])  # fmt: skip
def test_a_step_says_what_it_runs_and_for_how_long(pipeline: Callable[..., Pipeline], step: dict[str, Any], message: str) -> None:
    pipeline("Good", step={"timeout_minutes": 1})
    with pytest.raises(InvalidProps, match=message):
        pipeline("Bad", step=step)


def test_a_step_does_not_outlive_its_pipeline(pipeline: Callable[..., Pipeline]) -> None:
    pipeline("Good", step={"timeout_minutes": 60}, timeout_minutes=60)
    with pytest.raises(InvalidProps, match="raise the pipeline's timeout_minutes"):
        pipeline("Bad", step={"timeout_minutes": 61}, timeout_minutes=60)


def test_alarms_have_limits_that_mean_something(stack: Stack, names: Names, key: kms.IKey) -> None:
    topics = AlertTopicNames.from_names(names, key_arn=key.key_arn)
    PipelineAlarms(stack, "Good", names=names, pipeline="a", topics=topics, arrival=None, max_wait_minutes=1, max_quarantined_rows=0)
    for number, options in enumerate(({"max_wait_minutes": 0}, {"max_quarantined_rows": -1})):
        with pytest.raises(InvalidProps, match="at least"):
            PipelineAlarms(stack, f"Bad{number}", names=names, pipeline="b", topics=topics, arrival=None, **options)


def test_alarms_of_a_workgroup_have_limits_that_mean_something(stack: Stack, names: Names, key: kms.IKey) -> None:
    topics = AlertTopicNames.from_names(names, key_arn=key.key_arn)
    workgroup = AthenaWorkgroup(stack, "Workgroup", name="team", lake=LakeBuckets.from_names(names, key_arn=key.key_arn))
    made = WorkgroupAlarms(stack, "Good", names=names, workgroup=workgroup, topics=topics, hourly_scan_mb=1, failed_queries=1)
    assert sorted(made.alarms) == ["Failed", "Scanned"]
    for number, options in enumerate(({"hourly_scan_mb": 0}, {"failed_queries": 0})):
        with pytest.raises(InvalidProps, match="at least"):
            WorkgroupAlarms(stack, f"Bad{number}", names=names, workgroup=workgroup, topics=topics, **options)


def test_an_address_that_is_no_address_is_refused(stack: Stack, names: Names, key: kms.IKey) -> None:
    with pytest.raises(InvalidProps, match="'nobody' is not an e-mail address"):
        AlertTopics(stack, "Bad", names=names, key=key, emails=["nobody"])


def test_an_address_hears_of_every_severity(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    AlertTopics(stack, "Alerts", names=names, key=key, emails=["ann@example.com", "bob@example.com"])
    subscriptions = [(json.dumps(s["TopicArn"]), s["Endpoint"]) for s in of_type(synth(), "AWS::SNS::Subscription")]
    for severity in ("critical", "warning"):
        heard = [endpoint for topic, endpoint in subscriptions if f":lakehouse-test-{severity}" in topic]
        assert sorted(heard) == ["ann@example.com", "bob@example.com"]


def test_old_versions_are_kept_for_a_day_at_least(stack: Stack, names: Names, key: kms.IKey) -> None:
    DataLake(stack, "Good", names=names, key=key, noncurrent_days=1)
    with pytest.raises(InvalidProps, match="noncurrent_days must be at least 1, got 0"):
        DataLake(stack, "Bad", names=names, key=key, noncurrent_days=0)


def test_a_database_is_of_a_zone_of_tables(stack: Stack, names: Names, lake: LakeBuckets) -> None:
    with pytest.raises(InvalidProps, match="bronze, gold, quarantine, silver, got 'raw'"):
        CatalogDatabase(stack, "Bad", names=names, zone="raw", domain="sales", lake=lake)


def test_an_optimizer_looks_after_something(stack: Stack) -> None:
    with pytest.raises(InvalidProps, match="at least one table"):
        OptimizerRole(stack, "Bad", tables=[])


def test_a_wildcard_in_an_action_is_refused(stack: Stack) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidProps, match="'s3:Get\\*' holds a wildcard"):
        allow(role, actions=["s3:Get*"], resources=["arn:aws:s3:::b/k"])


def test_a_pattern_for_a_resource_needs_a_reason(stack: Stack) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))  # pyright: ignore[reportArgumentType]
    allow(role, actions=["s3:GetObject"], resources=["arn:aws:s3:::b/*"], because="Objects are named by their writers.")
    with pytest.raises(InvalidProps, match="say `because` why nobody can"):
        allow(role, actions=["s3:GetObject"], resources=["arn:aws:s3:::b/*"])
