"""Steps of EMR's clusters are real: Spark 4.0.2 as the step's role, in their order, with every action on failure, and nothing left behind."""

from __future__ import annotations

import json
import time
import zipfile
from io import BytesIO
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.fixtures.platform import allow, wait_for
from tests.local.engines.emr_clusters import Clusters, profile
from tests.local.engines.lake import CONF, metadata
from tests.local.engines.test_glue_runs import SESSION, SLEEP

pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]

ICEBERG = tuple(CONF.split(" "))
JOB_RIGHTS = ("s3:GetObject", "s3:PutObject", "glue:GetTable", "glue:UpdateTable", "kms:Decrypt", "kms:GenerateDataKey")
FAST = {"Delay": 1, "MaxAttempts": 120}


@pytest.fixture(scope="module")
def idle(clusters: Clusters) -> tuple[str, float]:
    """A cluster that ends itself after a minute without a step, started before the other tests."""
    return clusters.waiting(AutoTerminationPolicy={"IdleTimeout": 60}), time.time()


def told(clusters: Clusters) -> tuple[str, Any]:
    """A queue that gets every event of EMR; its address, and what reads it."""
    aws = clusters.lake.aws
    sqs, events, name = aws.client("sqs"), aws.client("events"), aws.name("told")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.emr"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])

    def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            found += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    return name, read


def test_a_step_writes_a_table_as_its_own_role_and_its_logs_as_the_instances(clusters: Clusters, idle: tuple[str, float]) -> None:
    del idle
    lake, table, (rule, read) = clusters.lake, clusters.lake.table("by_cluster"), told(clusters)
    role = clusters.runtime_role(allow(list(JOB_RIGHTS)))
    packages = BytesIO()
    with zipfile.ZipFile(packages, "w") as archive:
        archive.writestr("greeting.py", "def say(): return 'hello from the archive'")
    lake.aws.client("s3").put_object(Bucket=lake.bucket, Key="code/packages.zip", Body=packages.getvalue())
    script = SESSION + (
        "import sys, greeting\n"
        f"spark.sql(\"INSERT INTO lake.{lake.database}.{table} VALUES (1, 'Ann')\")\n"
        "print(greeting.say(), spark.version, spark.conf.get('spark.x.y'), sys.argv[1:], spark.sparkContext.applicationId)\n"
    )
    options = (
        "--deploy-mode", "cluster", "--archives", f"s3://{lake.bucket}/code/packages.zip#packages",
        "--conf", "spark.yarn.appMasterEnv.PYTHONPATH=./packages", *("--conf", *ICEBERG),
    )  # fmt: skip
    defaults = {"Classification": "spark-defaults", "Properties": {"spark.x.y": "of the cluster"}}
    iceberg = {"Classification": "iceberg-defaults", "Properties": {"iceberg.enabled": "true"}}
    cluster = clusters.waiting(SecurityConfiguration=clusters.secured(), Configurations=[defaults, iceberg])
    (step,) = clusters.add(cluster, clusters.step(script, options=options, arguments=("--day", "2026-01-01")), ExecutionRoleArn=role)
    found = clusters.step_end(cluster, step)
    assert found["Status"]["State"] == "COMPLETED", found["Status"]
    clusters.client.get_waiter("step_complete").wait(ClusterId=cluster, StepId=step, WaiterConfig=FAST)
    assert found["ExecutionRoleArn"] == role
    assert metadata(lake.aws, lake.database, table)["snapshots"][-1]["summary"]["added-records"] == "1"
    (place,) = (name for name in clusters.logs(cluster, "containers/") if name.endswith("/stdout.gz"))
    application, container = place.split("/")[1:3]
    line = f"hello from the archive 4.0.2 of the cluster ['--day', '2026-01-01'] {application}"
    assert line in clusters.logs(cluster, "containers/")[place]
    assert container == application.replace("application", "container") + "_01_000001"
    assert {name.rsplit("/", 1)[-1] for name in clusters.logs(cluster, f"steps/{step}/")} == {"controller.gz", "stderr.gz", "stdout.gz"}
    assert {call["action"] for call in lake.aws.calls(role=role)} == set(JOB_RIGHTS)
    done = {call["action"] for call in lake.aws.calls(role=clusters.instance_role)}
    assert {"sts:AssumeRole", "sts:TagSession", "s3:PutObject"} <= done
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])
    clusters.client.get_waiter("cluster_terminated").wait(ClusterId=cluster, WaiterConfig=FAST)
    heard: list[dict[str, Any]] = []

    def has_ended() -> bool:
        heard.extend(event for event in read() if event["detail"]["clusterId"] == cluster)
        return any(event["detail"]["state"] == "TERMINATED" for event in heard)

    wait_for(has_ended)
    lake.aws.client("events").remove_targets(Rule=rule, Ids=["q"])
    of_steps = [event["detail"]["state"] for event in heard if event["detail-type"] == "EMR Step Status Change"]
    of_clusters = [event["detail"] for event in heard if event["detail-type"] == "EMR Cluster State Change"]
    assert sorted(of_steps) == ["COMPLETED", "PENDING", "RUNNING"]
    assert sorted({event["state"] for event in of_clusters}) == ["RUNNING", "STARTING", "TERMINATED", "WAITING"]
    last = next(event for event in of_clusters if event["state"] == "TERMINATED")
    assert json.loads(last["stateChangeReason"]) == {"code": "USER_REQUEST", "message": "Terminated by user request"}


def test_a_step_without_a_role_works_as_the_instances_and_keeps_its_log_in_its_own_folder(clusters: Clusters) -> None:
    cluster = clusters.waiting()
    script = SESSION + "import os\nprint('client', os.environ['EMR_STEP_ID'], spark.range(3).count())\n"
    denied = SESSION + f"spark.sql('SELECT * FROM lake.{clusters.lake.database}.nothing').show()\n"
    good, bad = clusters.add(cluster, clusters.step(script, options=()), clusters.step(denied, options=("--conf", *ICEBERG)))
    assert clusters.step_end(cluster, good)["Status"]["State"] == "COMPLETED"
    assert f"client {good} 3" in clusters.logs(cluster, f"steps/{good}/")[f"steps/{good}/stdout.gz"]
    found = clusters.step_end(cluster, bad)["Status"]
    assert (found["State"], "glue:GetTable" in found["FailureDetails"]["Message"]) == (
        "FAILED",
        True,
    )  # the instances may not read the catalog
    assert clusters.state(cluster) == "WAITING"
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_a_driver_that_fails_elsewhere_on_the_cluster_is_started_twice_and_tells_emr_nothing(clusters: Clusters) -> None:
    cluster = clusters.waiting()
    options = ("--deploy-mode", "cluster", "--conf", "spark.yarn.maxAppAttempts=2")
    (step,) = clusters.add(cluster, clusters.step("raise ValueError('quality_gate: 3 rows too many')", options=options))
    found = clusters.step_end(cluster, step)["Status"]
    details = found["FailureDetails"]
    assert (found["State"], details["Reason"]) == ("FAILED", "Unknown Error.")
    assert details["Message"].startswith('Exception in thread "main" org.apache.spark.SparkException: Application application_')
    assert "quality_gate" not in str(found)
    assert details["LogFile"].endswith(f"/{cluster}/steps/{step}/stderr.gz")
    logs = clusters.logs(cluster, "containers/")
    assert len([name for name in logs if name.endswith("stdout.gz")]) == 2
    assert any("quality_gate: 3 rows too many" in text for text in logs.values())
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


@pytest.mark.parametrize(
    ("action", "second", "state", "reason"),
    [
        ("CONTINUE", "FAILED", "WAITING", None),
        ("CANCEL_AND_WAIT", "CANCELLED", "WAITING", None),
        ("TERMINATE_CLUSTER", "CANCELLED", "TERMINATED_WITH_ERRORS", {"Code": "STEP_FAILURE", "Message": "Shut down as step failed"}),
    ],
)
def test_a_failed_step_does_to_the_others_what_its_action_says(
    clusters: Clusters, action: str, second: str, state: str, reason: Any
) -> None:
    cluster = clusters.waiting()
    first, other = clusters.add(cluster, clusters.step("", action=action), clusters.step(""))
    found = clusters.step_end(cluster, first)["Status"]
    assert (found["State"], "code/nothing.py" in found["FailureDetails"]["Message"]) == ("FAILED", True)
    assert clusters.step_end(cluster, other)["Status"]["State"] == second
    wait_for(lambda: clusters.state(cluster) == state)
    listed = clusters.client.list_steps(ClusterId=cluster)["Steps"]
    assert [one["Id"] for one in listed] == [other, first]  # the latest first, as EMR lists them
    if reason:
        assert clusters.describe(cluster)["Status"]["StateChangeReason"] == reason
        with pytest.raises(WaiterError):
            clusters.client.get_waiter("cluster_terminated").wait(ClusterId=cluster, WaiterConfig=FAST)
    else:
        clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_a_protected_cluster_waits_after_a_failed_step_that_would_end_it(clusters: Clusters) -> None:
    cluster = clusters.waiting(Instances={"TerminationProtected": True})
    first, other = clusters.add(cluster, clusters.step("", action="TERMINATE_CLUSTER"), clusters.step(""))
    assert clusters.step_end(cluster, first)["Status"]["State"] == "FAILED"
    assert clusters.step_end(cluster, other)["Status"]["State"] == "CANCELLED"
    time.sleep(1)
    assert clusters.state(cluster) == "WAITING"
    clusters.client.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=False)
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_a_transient_cluster_ends_after_its_last_step_and_says_whether_all_went_well(clusters: Clusters) -> None:
    transient = {"KeepJobFlowAliveWhenNoSteps": False}
    good = clusters.run(Instances=transient, Steps=[clusters.step("print('done')")])
    bad = clusters.run(Instances=transient, Steps=[clusters.step("")])
    assert clusters.end(bad)["StateChangeReason"] == {"Code": "STEP_FAILURE", "Message": "Steps completed with errors"}
    status = clusters.end(good)
    assert (status["State"], status["StateChangeReason"]["Code"]) == ("TERMINATED", "ALL_STEPS_COMPLETED")


def test_a_step_is_cancelled_while_it_waits_and_while_it_runs_with_everything_that_it_started(clusters: Clusters) -> None:
    cluster = clusters.waiting()
    running, pending = clusters.add(cluster, clusters.step(SLEEP, options=()), clusters.step("print('never')"))
    wait_for(lambda: _pid(clusters, running), seconds=90)
    process = psutil.Process(_pid(clusters, running))
    family = [process, *process.parents()[:2]]
    assert clusters.step_state(cluster, pending) == "PENDING"
    answer = clusters.client.cancel_steps(ClusterId=cluster, StepIds=[pending, running])["CancelStepsInfoList"]
    assert [one["Status"] for one in answer] == ["SUBMITTED", "SUBMITTED"]
    assert clusters.step_end(cluster, running, seconds=30)["Status"]["State"] == "CANCELLED"
    assert clusters.step_end(cluster, pending)["Status"]["State"] == "CANCELLED"
    wait_for(lambda: not any(member.is_running() for member in family), seconds=15)
    wait_for(lambda: clusters.state(cluster) == "WAITING")
    (late,) = clusters.client.cancel_steps(ClusterId=cluster, StepIds=[running])["CancelStepsInfoList"]
    assert (late["Status"], "CANCELLED" in late["Reason"]) == ("FAILED", True)
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_the_end_of_a_cluster_is_the_end_of_its_step(clusters: Clusters) -> None:
    cluster = clusters.waiting()
    (step,) = clusters.add(cluster, clusters.step(SLEEP, options=()))
    wait_for(lambda: _pid(clusters, step), seconds=90)
    process = psutil.Process(_pid(clusters, step))
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])
    assert clusters.end(cluster, seconds=30)["State"] == "TERMINATED"
    assert clusters.step_state(cluster, step) == "CANCELLED"
    wait_for(lambda: not process.is_running(), seconds=15)


def test_a_driver_that_is_killed_fails_its_step(clusters: Clusters) -> None:
    cluster = clusters.waiting()
    (step,) = clusters.add(cluster, clusters.step(SLEEP, options=()))
    wait_for(lambda: _pid(clusters, step), seconds=90)
    for parent in psutil.Process(_pid(clusters, step)).parents()[:2]:
        parent.kill()
    found = clusters.step_end(cluster, step, seconds=30)["Status"]
    assert (found["State"], "as if it were killed" in found["FailureDetails"]["Message"]) == ("FAILED", True)
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_steps_run_beside_each_other_if_the_cluster_lets_them(clusters: Clusters) -> None:
    cluster = clusters.waiting(StepConcurrencyLevel=2)
    steps = clusters.add(cluster, *(clusters.step("import time\ntime.sleep(4)\n") for _ in range(3)))
    wait_for(lambda: [clusters.step_state(cluster, step) for step in steps].count("RUNNING") == 2)
    assert clusters.step_state(cluster, steps[2]) == "PENDING"
    assert {clusters.step_end(cluster, step)["Status"]["State"] for step in steps} == {"COMPLETED"}
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_a_runtime_role_that_the_instances_may_not_assume_fails_the_step(clusters: Clusters) -> None:
    cluster = clusters.waiting(SecurityConfiguration=clusters.secured())
    stranger = clusters.runtime_role(allow("s3:*"), trusted=clusters.lake.aws.role(allow("s3:*")))
    (step,) = clusters.add(cluster, clusters.step("print('never')"), ExecutionRoleArn=stranger)
    found = clusters.step_end(cluster, step)["Status"]
    assert (found["State"], "sts:AssumeRole" in found["FailureDetails"]["Message"]) == ("FAILED", True)
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_logs_go_to_cloudwatch_if_the_cluster_says_so(clusters: Clusters) -> None:
    aws, group = clusters.lake.aws, clusters.lake.log_group
    settings = {"Enabled": True, "LogGroupName": group, "LogStreamNamePrefix": "emr"}
    may_log = aws.role(
        allow([*("s3:GetObject", "s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey"), "logs:*"]), service="ec2.amazonaws.com"
    )

    cluster = clusters.waiting(
        JobFlowRole=profile(aws, may_log), Applications=[{"Name": "Spark"}, {"Name": "AmazonCloudWatchAgent"}],
        MonitoringConfiguration={"CloudWatchLogConfiguration": settings},
    )  # fmt: skip
    (step,) = clusters.add(cluster, clusters.step("print('to the logs')"))
    assert clusters.step_end(cluster, step)["Status"]["State"] == "COMPLETED"
    streams = aws.client("logs").describe_log_streams(logGroupName=group, logStreamNamePrefix="emr/applications/application_")["logStreams"]
    (stdout,) = (one["logStreamName"] for one in streams if one["logStreamName"].endswith("_01_000001/stdout"))
    events = aws.client("logs").get_log_events(logGroupName=group, logStreamName=stdout, startFromHead=True)["events"]
    assert "to the logs" in [event["message"] for event in events]
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_nobody_without_the_right_makes_a_cluster_or_adds_a_step(clusters: Clusters) -> None:
    cluster = clusters.waiting()
    caller = clusters.lake.aws.caller(allow("elasticmapreduce:DescribeCluster")).client("emr")
    assert caller.describe_cluster(ClusterId=cluster)["Cluster"]["Id"] == cluster
    for call in (
        lambda: caller.run_job_flow(**clusters.request()),
        lambda: caller.add_job_flow_steps(JobFlowId=cluster, Steps=[clusters.step("")]),
        lambda: caller.terminate_job_flows(JobFlowIds=[cluster]),
    ):
        with pytest.raises(ClientError, match="is not authorized to perform: elasticmapreduce:"):
            call()
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])


def test_an_idle_cluster_ends_itself_after_its_time(clusters: Clusters, idle: tuple[str, float]) -> None:
    cluster, began = idle
    status = clusters.end(cluster, seconds=90)
    lasted = status["Timeline"]["EndDateTime"].timestamp() - status["Timeline"]["ReadyDateTime"].timestamp()
    assert (status["State"], 60 <= lasted < 75) == ("TERMINATED", True), (lasted, time.time() - began)


def _pid(clusters: Clusters, step: str) -> int:
    """Process of a sleeping step, from its log on this machine."""
    log = clusters.lake.aws.platform.folder / "logs" / "jobs" / f"{step}.01.stdout"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return next((int(line.rsplit(" ", 1)[-1]) for line in lines if line.startswith("asleep in")), 0)
