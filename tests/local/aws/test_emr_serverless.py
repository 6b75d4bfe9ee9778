"""EMR Serverless's own rules: applications, sizes, capacity, submissions. Real clients, no server, no Spark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import emr_serverless, spark_submit
from local.aws import emr_serverless_capacity as capacity
from local.aws.emr_serverless_capacity import Capacity
from local.aws.modelled_service import ServiceError
from tests.fixtures.in_process import adapter, client, user
from tests.fixtures.platform import allow

RELEASE: dict[str, Any] = {"releaseLabel": "emr-spark-8.0.0", "type": "SPARK"}
SMALL = {
    "spark.driver.cores": "1", "spark.driver.memory": "2g", "spark.executor.cores": "1", "spark.executor.memory": "2g",
    "spark.executor.instances": "1",
}  # fmt: skip
ROLE = "arn:aws:iam::000000000000:role/nobody"


@pytest.fixture(scope="module")
def emr() -> Iterator[Any]:
    """A client of the account's root."""
    adapter(emr_serverless.SERVED)
    yield client("emr-serverless")
    for store in emr_serverless.SERVED.state.values():
        store._data.clear()


def test_an_application_has_the_defaults_of_aws(emr: Any) -> None:
    made = emr.create_application(**RELEASE, name="a")
    found = emr.get_application(applicationId=made["applicationId"])["application"]
    assert made["arn"] == f"arn:aws:emr-serverless:us-east-1:000000000000:/applications/{made['applicationId']}"
    assert (found["state"], found["architecture"], found["autoStopConfiguration"]) == (
        "CREATED", "X86_64", {"enabled": True, "idleTimeoutMinutes": 15},
    )  # fmt: skip


def test_a_release_that_does_not_run_here_is_refused_and_says_which_do(emr: Any) -> None:
    with pytest.raises(ClientError, match=r"emr-7\.13\.0 is not served by the laptop platform; it serves emr-spark-8\.0\.0 \(Spark 4\.0\)"):
        emr.create_application(releaseLabel="emr-7.13.0", type="SPARK")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"type": "HIVE"}, "type HIVE are not served"),
        ({"imageConfiguration": {"imageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/i:1"}}, "imageConfiguration is not served"),
        ({"interactiveConfiguration": {"livyEndpointEnabled": True}}, "no notebooks and no sessions"),
        ({"schedulerConfiguration": {"queueTimeoutMinutes": 5}}, "queueTimeoutMinutes must be from 15 to 720, got 5"),
        ({"runtimeConfiguration": [{"classification": "hive-site"}]}, "hive-site is not served"),
        ({"networkConfiguration": {"subnetIds": ["subnet-none"], "securityGroupIds": ["sg-1"]}}, "subnet-none does not exist"),
    ],
)
def test_what_an_application_asks_for_is_served_or_refused_by_name(emr: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        emr.create_application(**{**RELEASE, **more})


def test_a_token_makes_one_application_and_no_other(emr: Any) -> None:
    first = emr.create_application(**RELEASE, name="once", clientToken="token-1")
    assert emr.create_application(**RELEASE, name="once", clientToken="token-1")["applicationId"] == first["applicationId"]
    with pytest.raises(emr.exceptions.ConflictException):
        emr.create_application(**RELEASE, name="other", clientToken="token-1")


def test_an_application_changes_only_while_it_is_stopped(emr: Any) -> None:
    number = emr.create_application(**RELEASE)["applicationId"]
    emr.update_application(applicationId=number, autoStopConfiguration={"idleTimeoutMinutes": 5})
    emr.start_application(applicationId=number)
    with pytest.raises(ClientError, match=r"must be in one of the following statuses \[CREATED, STOPPED\]\. Current status: STARTED"):
        emr.update_application(applicationId=number, autoStopConfiguration={"idleTimeoutMinutes": 6})
    with pytest.raises(ClientError, match="Current status: STARTED"):
        emr.delete_application(applicationId=number)
    emr.stop_application(applicationId=number)
    changed = emr.update_application(applicationId=number, autoStopConfiguration={"idleTimeoutMinutes": 6})["application"]
    assert changed["autoStopConfiguration"] == {"enabled": True, "idleTimeoutMinutes": 6}
    emr.delete_application(applicationId=number)
    assert emr.get_application(applicationId=number)["application"]["state"] == "TERMINATED"


def test_an_idle_application_stops_itself(emr: Any) -> None:
    number = emr.create_application(**RELEASE, autoStopConfiguration={"idleTimeoutMinutes": 2})["applicationId"]
    emr.start_application(applicationId=number)
    kept = emr_serverless._applications[number]
    kept["updatedAt"] -= 119
    assert emr.get_application(applicationId=number)["application"]["state"] == "STARTED"
    kept["updatedAt"] -= 2
    assert emr.get_application(applicationId=number)["application"]["state"] == "STOPPED"


def test_a_job_needs_a_started_application_or_one_that_starts_itself(emr: Any) -> None:
    number = emr.create_application(**RELEASE, autoStartConfiguration={"enabled": False})["applicationId"]
    driver = {"sparkSubmit": {"entryPoint": "s3://b/k.py"}}
    with pytest.raises(ClientError, match=r"one of the following statuses \[STARTED\]\. Current status: CREATED"):
        emr.start_job_run(applicationId=number, executionRoleArn=ROLE, jobDriver=driver)


def test_a_role_is_passed_only_with_the_right_to_pass_it(emr: Any) -> None:
    number = emr.create_application(**RELEASE)["applicationId"]
    caller = client("emr-serverless", key=user(allow("emr-serverless:*"), allow("iam:PassRole", ROLE + "-other")))
    with pytest.raises(ClientError, match=f"not authorized to perform: iam:PassRole on resource: {ROLE}"):
        caller.start_job_run(applicationId=number, executionRoleArn=ROLE, jobDriver={"sparkSubmit": {"entryPoint": "s3://b/k.py"}})


def test_a_job_run_that_is_not_there_is_not_found(emr: Any) -> None:
    number = emr.create_application(**RELEASE)["applicationId"]
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.get_job_run(applicationId=number, jobRunId="00nothing")
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.list_job_runs(applicationId="00nothing")


def test_tags_of_something_new_need_the_right_to_tag(emr: Any) -> None:
    create = allow("emr-serverless:CreateApplication")
    maker = client("emr-serverless", key=user(create))
    maker.create_application(**RELEASE)
    with pytest.raises(ClientError, match=r"not authorized to perform: emr-serverless:TagResource on resource: arn:.*:/applications/00"):
        maker.create_application(**RELEASE, tags={"a": "1"})
    tagger = client("emr-serverless", key=user(create, allow("emr-serverless:TagResource", "arn:aws:emr-serverless:*:*:/applications/*")))
    tagger.create_application(**RELEASE, tags={"a": "1"})


def test_tags_are_kept(emr: Any) -> None:
    arn = emr.create_application(**RELEASE, tags={"a": "1"})["arn"]
    emr.tag_resource(resourceArn=arn, tags={"b": "2"})
    emr.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert emr.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}


# ---- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cpu", "memory", "disk", "is_one"),
    [
        ("1 vCPU", "2 GB", "20 GB", True), ("1 vCPU", "9 GB", "20 GB", False), ("3 vCPU", "8 GB", "20 GB", False),
        ("4 vCPU", "30 GB", "200 GB", True), ("4 vCPU", "31 GB", "20 GB", False), ("8 vCPU", "20 GB", "20 GB", True),
        ("8 vCPU", "18 GB", "20 GB", False), ("16 vCPU", "120 GB", "20 GB", True), ("2 vCPU", "4 GB", "19 GB", False),
        ("2 vCPU", "4 GB", "201 GB", False),
    ],
)  # fmt: skip
def test_workers_come_in_the_sizes_of_emr_serverless(cpu: str, memory: str, disk: str, *, is_one: bool) -> None:
    configuration = {"cpu": cpu, "memory": memory, "disk": disk}
    if is_one:
        capacity.worker(configuration)
        return
    with pytest.raises(ServiceError, match="A worker"):
        capacity.worker(configuration)


def test_a_job_without_sizes_asks_for_a_driver_and_three_executors_of_four_vcpu() -> None:
    asked = capacity.demand({})
    assert asked.driver == asked.executor == Capacity(cpu=4, memory_gb=16, disk_gb=20)
    assert asked.executors == 3


def test_the_memory_beside_the_heap_counts() -> None:
    assert capacity.demand(SMALL).driver == Capacity(cpu=1, memory_gb=3, disk_gb=20)
    assert capacity.demand({**SMALL, "spark.driver.memoryOverhead": "1g"}).driver.memory_gb == 3
    with pytest.raises(ServiceError, match="A worker of 4 vCPU has 8 to 30 GB of memory in steps of 1 GB, got 31 GB"):
        capacity.demand({"spark.driver.memory": "28g"})
    with pytest.raises(ServiceError, match=r"spark\.executor\.cores must be one of 1, 2, 4, 8, 16, got 3"):
        capacity.demand({"spark.executor.cores": "3"})


def test_an_application_gives_no_more_than_its_maximum() -> None:
    asked, limit = capacity.demand({}), Capacity(cpu=12, memory_gb=64, disk_gb=1000)
    assert capacity.executors_that_fit(asked, Capacity(), limit) == 2
    assert capacity.executors_that_fit(asked, asked.least, limit) == 0
    assert capacity.executors_that_fit(asked, Capacity(), None) == 3
    assert capacity.exceeded(asked.least + asked.least, limit) == "cpu: 12 vCPU"


def test_the_initial_capacity_must_fit_the_maximum(emr: Any) -> None:
    warm = {"Driver": {"workerCount": 2, "workerConfiguration": {"cpu": "4 vCPU", "memory": "16 GB"}}}
    with pytest.raises(ClientError, match=r"initial capacity is larger than .* \[cpu: 4 vCPU, memory: 16 GB\]"):
        emr.create_application(**RELEASE, initialCapacity=warm, maximumCapacity={"cpu": "4 vCPU", "memory": "16 GB"})
    emr.create_application(**RELEASE, initialCapacity=warm, maximumCapacity={"cpu": "8 vCPU", "memory": "32 GB"})


# ---- submissions -------------------------------------------------------------------------------------------------------


def test_a_submission_is_sorted_out() -> None:
    found = spark_submit.read(
        "s3://b/job.py", ["--a", "b"],
        "--conf spark.x=1 --conf 'spark.y=a b' --py-files s3://b/l.zip --driver-memory 2g --archives s3://b/d.tar.gz#data"
        " --jars local:///usr/share/aws/own.jar,s3://b/own.jar",
        defaults={"spark.x": "0", "spark.z": "kept", "spark.emr-serverless.driverEnv.GREETING": "hi"},
    )  # fmt: skip
    assert {name: found.conf[name] for name in ("spark.x", "spark.y", "spark.z", "spark.driver.memory")} == {
        "spark.x": "1", "spark.y": "a b", "spark.z": "kept", "spark.driver.memory": "2g",
    }  # fmt: skip
    assert (found.py_files, found.jars, found.local_jars) == (("s3://b/l.zip",), ("s3://b/own.jar",), ("/usr/share/aws/own.jar",))
    assert (dict(found.archives), dict(found.environment)) == ({"s3://b/d.tar.gz": "data"}, {"GREETING": "hi"})


@pytest.mark.parametrize(
    ("entry_point", "parameters", "message"),
    [
        ("s3://b/job.jar", "--class a.B", "must be a Python script in S3"),
        ("s3://b/job.py", "--packages a:b:1", "--packages is not served by the laptop platform: give jars"),
        ("s3://b/job.py", "--shiny yes", "--shiny is no option"),
        ("s3://b/job.py", "--conf spark.x", "--conf takes spark"),
        ("s3://b/job.py", "--conf", "--conf has no value"),
        ("s3://b/job.py", "--conf spark.master=local", "Option 'spark.master' is not supported"),
        ("s3://b/job.py", "--py-files /tmp/x.zip", "--py-files takes s3:// addresses"),
        ("s3://b/job.py", "--archives s3://b/a.zip#../up", "plain name behind #"),
        ("s3://b/job.py", "--master yarn", "--master is no option"),
        ("s3://b/job.py", "--conf 'spark.x=1", "cannot be read"),
    ],
)
def test_what_a_submission_asks_for_is_served_or_refused_by_name(entry_point: str, parameters: str, message: str) -> None:
    with pytest.raises(spark_submit.SubmitError, match=message):
        spark_submit.read(entry_point, [], parameters, defaults={})


def test_only_a_cluster_knows_the_options_of_a_cluster() -> None:
    found = spark_submit.read("s3://b/job.py", [], "--master yarn --deploy-mode cluster", defaults={}, on_cluster=True)
    assert found.conf == {"spark.master": "yarn", "spark.submit.deployMode": "cluster"}


# ---- what is kept --------------------------------------------------------------------------------------------------------


def test_a_run_that_the_end_of_the_platform_interrupted_has_failed(emr: Any) -> None:
    number = emr.create_application(**RELEASE)["applicationId"]
    record = {"applicationId": number, "state": "RUNNING", "arn": "a", "tags": {}, "updatedAt": 0.0, "createdAt": 0.0}
    emr_serverless._job_runs[f"{number}/00run"] = record
    emr_serverless.SERVED.restored()
    kept = emr_serverless._job_runs.pop(f"{number}/00run")
    assert (kept["state"], kept["stateDetails"]) == ("FAILED", "the laptop platform was stopped during the run")
