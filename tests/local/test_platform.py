"""The platform starts, stops and leaves nothing behind, whatever happened before."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from local.platform import HOST, Platform, PlatformError, Running, free_port
from local.processes import ProcessId, marked
from tests.fixtures.platform import wait_for

pytestmark = pytest.mark.platform


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """A platform of this test alone."""
    running = Platform(tmp_path)
    yield running
    running.wipe()


def client(running: Platform, service: str) -> Any:
    bundle = str(running.folder / "tls" / "bundle.pem")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=running.endpoint, verify=bundle, region_name="us-east-1", **keys)


def record(running: Platform) -> Running:
    return Running.from_json((running.folder / "platform.json").read_text(encoding="utf-8"))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def test_it_starts_once_and_stops_with_everything_that_it_started(own: Platform) -> None:
    told: list[str] = []
    started = own.start(progress=told.append)
    assert started.is_running
    assert own.start(progress=told.append) == started
    assert told[-1].startswith("already running")
    before = record(own)
    invoke_a_function(own, service_role(own, "lambda.amazonaws.com"))
    assert len(marked(f"LAKE_PLATFORM={before.mark}")) == 2  # the server and the function's environment
    assert own.stop()
    assert marked(f"LAKE_PLATFORM={before.mark}") == []
    assert not listens(before.port)
    assert not own.status().is_running
    assert not own.stop()


def service_role(running: Platform, service: str) -> str:
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]}
    return client(running, "iam").create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]


def invoke_a_function(running: Platform, role: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(e, c): return 1")
    functions = client(running, "lambda")
    functions.create_function(
        FunctionName="f", Runtime="python3.13", Role=role, Handler="index.handler", Code={"ZipFile": packed.getvalue()}
    )
    assert functions.invoke(FunctionName="f")["Payload"].read() == b"1"


def test_it_listens_on_the_loopback_interface_only(own: Platform) -> None:
    own.start()
    server = psutil.Process(record(own).process.pid)
    listening = {(item.laddr.ip, item.laddr.port) for item in server.net_connections() if item.status == psutil.CONN_LISTEN}
    assert listening == {(HOST, record(own).port)}


def test_two_checkouts_run_side_by_side(own: Platform, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Platform(tmp_path_factory.mktemp("other"))
    try:
        own.start()
        other.start()
        client(own, "sqs").create_queue(QueueName="mine")
        assert client(other, "sqs").list_queues().get("QueueUrls", []) == []
        own.stop()
        assert other.status().is_running
    finally:
        other.wipe()


def test_a_server_that_is_killed_has_saved_its_state(own: Platform) -> None:
    own.start(keep_state=True)
    client(own, "ssm").put_parameter(Name="/kept", Value="1", Type="String")
    wait_for((own.folder / "state" / "ssm.json").is_file, seconds=40)
    os.kill(record(own).process.pid, signal.SIGKILL)
    own.start(keep_state=True)
    assert client(own, "ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "1"


def test_executions_that_a_stop_interrupted_are_told_of(own: Platform) -> None:
    own.start(keep_state=True)
    role = service_role(own, "states.amazonaws.com")
    waiting = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
    machine = client(own, "stepfunctions").create_state_machine(name="m", definition=json.dumps(waiting), roleArn=role)["stateMachineArn"]
    url = client(own, "sqs").create_queue(QueueName="q")["QueueUrl"]
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-east-1:000000000000:q"}
    ]}  # fmt: skip
    client(own, "sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    client(own, "events").put_rule(Name="ends", EventPattern=json.dumps({"source": ["aws.states"], "detail": {"status": ["FAILED"]}}))
    client(own, "events").put_targets(Rule="ends", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}])
    execution = client(own, "stepfunctions").start_execution(stateMachineArn=machine)["executionArn"]
    own.stop()
    own.start(keep_state=True)
    url = client(own, "sqs").list_queues()["QueueUrls"][0]
    (message,) = wait_for(lambda: client(own, "sqs").receive_message(QueueUrl=url).get("Messages"))
    detail = json.loads(message["Body"])["detail"]
    assert (detail["executionArn"], detail["error"]) == (execution, "States.ServiceRestart")


def test_state_is_kept_on_request_and_forgotten_otherwise(own: Platform) -> None:
    own.start(keep_state=True)
    client(own, "s3").create_bucket(Bucket="bucket")
    client(own, "s3").put_object(Bucket="bucket", Key="a/b", Body=b"kept")
    client(own, "dynamodb").create_table(
        TableName="table", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )  # fmt: skip
    client(own, "dynamodb").put_item(TableName="table", Item={"k": {"S": "1"}})
    client(own, "sqs").create_queue(QueueName="q")
    own.stop()
    assert own.status().has_saved_state
    own.start(keep_state=True)
    assert client(own, "s3").get_object(Bucket="bucket", Key="a/b")["Body"].read() == b"kept"
    assert client(own, "dynamodb").scan(TableName="table")["Count"] == 1
    url = client(own, "sqs").list_queues()["QueueUrls"][0]
    client(own, "sqs").send_message(QueueUrl=url, MessageBody="1")
    own.stop()
    own.start()
    assert client(own, "s3").list_buckets()["Buckets"] == []


def test_a_taken_port_is_named(own: Platform) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PlatformError, match=f"port {port} is taken by another program"):
            own.start(port=port)


def test_a_server_that_was_killed_is_cleaned_up(own: Platform) -> None:
    own.start()
    before = record(own)
    os.kill(before.process.pid, signal.SIGKILL)
    wait_for(lambda: not before.process.is_running())
    assert not own.status().is_running
    with pytest.raises(PlatformError, match=r"is not running\. Start it with `lake up`"):
        _ = own.endpoint
    assert own.start().is_running


def test_a_server_that_misses_a_question_is_left_running(own: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    first = own.start()
    answers = iter([False, False, True, True])
    monkeypatch.setattr(own, "_answers", lambda _: next(answers))
    assert own.start().pid == first.pid


def test_working_folders_of_runs_that_were_killed_are_removed_at_the_next_start(own: Platform) -> None:
    left = own.folder / "spark" / "run-left"
    left.mkdir(parents=True)
    (left / "shuffle").write_text("x")
    own.start()
    assert not left.exists()


def test_a_pid_that_somebody_else_got_is_left_alone(own: Platform) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        own.folder.mkdir(parents=True)
        now = ProcessId.of(stranger.pid)
        stale = Running(
            process=ProcessId(pid=now.pid, started=now.started - 100), port=1, mark="x", keep_state=False, is_ready=True, started_at=0.0
        )
        (own.folder / "platform.json").write_text(stale.to_json(), encoding="utf-8")
        assert not own.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_start_leaves_nothing_and_the_next_one_works(own: Platform) -> None:
    # A test run in the background of a shell ignores Ctrl-C, and so would its children.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from pathlib import Path; from local.platform import Platform; Platform(Path({str(own.root)!r})).start()"
    )
    starting = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
    wait_for((own.folder / "platform.json").exists, seconds=30)
    mark = record(own).mark
    starting.send_signal(signal.SIGINT)
    starting.wait(timeout=30)
    wait_for(lambda: not marked(f"LAKE_PLATFORM={mark}"))
    assert not (own.folder / "platform.json").exists()
    assert own.start().is_running


def test_a_start_that_was_killed_half_way_is_taken_up(own: Platform) -> None:
    code = f"from pathlib import Path; from local.platform import Platform; Platform(Path({str(own.root)!r})).start()"
    starting = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    wait_for((own.folder / "platform.json").exists, seconds=30)
    mark = record(own).mark
    starting.kill()
    starting.wait()
    assert own.start().is_running
    assert {process.pid for process in marked(f"LAKE_PLATFORM={record(own).mark}")} == {record(own).process.pid}
    assert record(own).mark == mark or not marked(f"LAKE_PLATFORM={mark}")


def test_a_half_written_record_is_no_obstacle(own: Platform) -> None:
    own.folder.mkdir(parents=True)
    (own.folder / "platform.json").write_text('{"process": {"pid"', encoding="utf-8")
    assert own.start().is_running


def test_a_full_disk_is_said_in_a_sentence(own: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.platform.MIN_FREE_MB", 10**9)
    with pytest.raises(PlatformError, match=r"needs at least 1000000000 MB\. Make room"):
        own.start()


def test_children_see_the_local_aws_and_none_of_the_users_settings(own: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    own.start()
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    child = own.child_environment()
    assert "AWS_PROFILE" not in child
    assert "AWS_SESSION_TOKEN" not in child
    assert child["AWS_ENDPOINT_URL"] == own.endpoint
    assert HOST in child["NO_PROXY"].split(",")
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    shown = subprocess.run([sys.executable, "-c", code], env=child, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "arn:aws:iam::000000000000:root"


def test_a_wipe_removes_everything(own: Platform) -> None:
    own.start()
    own.wipe()
    assert not own.folder.exists()


def test_kept_queues_are_reached_on_another_port(own: Platform) -> None:
    own.start(keep_state=True)
    address = client(own, "sqs").create_queue(QueueName="kept")["QueueUrl"]
    client(own, "sqs").send_message(QueueUrl=address, MessageBody="still here")
    own.stop()
    own.start(keep_state=True, port=free_port())
    queues = client(own, "sqs")
    now = queues.get_queue_url(QueueName="kept")["QueueUrl"]
    assert now != address
    assert [message["Body"] for message in queues.receive_message(QueueUrl=now)["Messages"]] == ["still here"]
