"""The command line itself: exit codes, sentences instead of stack traces, JSON on stdout and nothing else."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

import cli.main
from cli.errors import CommandError, WrongUseError, explain, nearest
from cli.main import run
from lakehouse.clock import to_text, utc_now
from lakehouse.run_ids import new_run_id
from tests.cli.conftest import Shop


@pytest.fixture
def opened(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Every verb finds the environment on moto."""
    monkeypatch.setattr(cli.main, "open_session", lambda env: shop.session)
    monkeypatch.setattr(cli.main, "project_root", lambda: shop.session.root)
    return shop


def _raise(error: BaseException) -> Any:
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising


@pytest.mark.parametrize("line", [["fly"], ["runs", "--fast"], ["drop", "tpch.orders"], ["wait", "--timeout", "soon"], []])
def test_wrong_use_is_exit_code_2(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_help_is_exit_code_0() -> None:
    assert run(["--help"]) == 0


def test_an_unknown_environment_is_wrong_use_that_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--env", "prd"]) == 2
    assert "did you mean prod? Known: dev, local, prod, staging" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["up", "down"])
def test_only_the_laptop_has_a_platform(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--env", "prod"]) == 2
    assert "prod is in AWS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (CommandError("no luck: try again"), 1, "lake: no luck: try again"),
        (WrongUseError("no such thing"), 2, "lake: no such thing"),
        (KeyboardInterrupt(), 1, "interrupted; what runs in the environment goes on"),
        (ZeroDivisionError("division by zero"), 1, "this is a fault of `lake` itself: ZeroDivisionError"),
        (NoCredentialsError(), 1, "there are no AWS credentials for dev"),
    ],
)
def test_every_error_is_a_sentence(
    error: BaseException, code: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.main, "open_session", _raise(error))
    assert run(["runs", "--env", "dev"]) == code
    shown = capsys.readouterr()
    assert text in shown.err
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_lake_debug_shows_the_stack_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli.main, "open_session", _raise(ZeroDivisionError()))
    monkeypatch.setenv("LAKE_DEBUG", "1")
    assert run(["runs"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_wait_with_a_failed_run_is_exit_code_1_and_names_the_next_command(opened: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = new_run_id()
    opened.audit.start_run(pipeline="orders", run_id=run_id, trigger="arrival")
    opened.audit.end_run(pipeline="orders", run_id=run_id, status="FAILED", reason="job_failed", message="out of memory")
    assert run(["wait", "--timeout", "30", "--env", "dev"]) == 1
    shown = capsys.readouterr().err
    assert f"run {run_id} of orders FAILED: job_failed: out of memory" in shown
    assert f"lake show {run_id} --env dev" in shown


def test_runs_json_is_one_document_newest_first(opened: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for moment in ("2026-11-22T05:00:00.000Z", "2026-11-22T06:00:00.000Z"):
        opened.audit.start_run(pipeline="orders", run_id=new_run_id(), trigger="arrival", started_at=moment)
    assert run(["runs", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry["started_at"][11:13] for entry in document["runs"]] == ["06", "05"]


def test_show_takes_a_whole_id_its_beginning_or_latest(opened: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = new_run_id()
    opened.audit.start_run(pipeline="orders", run_id=run_id, trigger="arrival")
    opened.audit.start_step(pipeline="orders", run_id=run_id, step="ingest", engine="glue", job_run_id="jr_1")
    for word in (run_id, run_id[:30], "latest"):
        assert run(["show", word, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["steps"][0]["job_run_id"] == "jr_1"
    assert run(["show", run_id]) == 0
    assert "ingest" in capsys.readouterr().out


def test_an_unknown_run_is_wrong_use(opened: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "nope"]) == 2
    assert "there is no run 'nope': there is none yet" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["show", "logs", "stop"])
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_id_is_no_beginning_of_the_only_run(opened: Shop, capsys: pytest.CaptureFixture[str], verb: str, empty: str) -> None:
    opened.audit.start_run(pipeline="orders", run_id=new_run_id(), trigger="arrival")
    assert run([verb, empty]) == 2
    assert "the id of the run is empty: write one of those that `lake runs --env" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["athena", "redshift"])
def test_an_empty_query_is_wrong_use(opened: Shop, capsys: pytest.CaptureFixture[str], engine: str) -> None:
    assert run(["sql", " ", "--engine", engine]) == 2
    assert "the query is empty: write one statement of the engine's SQL" in capsys.readouterr().err


def test_logs_of_a_run_without_steps_say_why(opened: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = new_run_id()
    opened.audit.skip_run(pipeline="orders", run_id=run_id, reason="empty_file", message="no bytes", source="k", source_version="v")
    assert run(["logs", run_id]) == 1
    assert "no step of it began, so it has no log: empty_file: no bytes" in capsys.readouterr().err


def test_logs_print_the_lines_of_each_attempt(opened: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    moment = utc_now()
    logs = opened.client("logs")
    logs.create_log_group(logGroupName="/g")
    logs.create_log_stream(logGroupName="/g", logStreamName="jr_1-driver")
    logs.put_log_events(
        logGroupName="/g", logStreamName="jr_1-driver", logEvents=[{"timestamp": int(moment.timestamp() * 1000), "message": "hello\n"}]
    )
    run_id = new_run_id()
    opened.audit.start_run(pipeline="orders", run_id=run_id, trigger="arrival")
    opened.audit.start_step(pipeline="orders", run_id=run_id, step="ingest", engine="glue", job_run_id="jr_1", log_group="/g")
    assert run(["logs", run_id]) == 0
    assert f"{to_text(moment)} hello" in capsys.readouterr().out


def test_logs_of_a_step_on_a_cluster_are_those_of_its_driver_in_s3(opened: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    s3 = opened.client("s3")
    s3.create_bucket(Bucket="lake-logs")
    folder = "emr/orders/j-1/containers/application_1_0001"
    for container, name, text in (("000001", "stdout", "hello"), ("000002", "stdout", "an executor")):
        key = f"{folder}/container_1_0001_01_{container}/{name}.gz"
        s3.put_object(Bucket="lake-logs", Key=key, Body=gzip.compress(f"{text}\n".encode()))
    run_id = new_run_id()
    opened.audit.start_run(pipeline="orders", run_id=run_id, trigger="arrival")
    opened.audit.start_step(
        pipeline="orders",
        run_id=run_id,
        step="ingest",
        engine="emr",
        job_run_id="application_1_0001",
        log_group="s3://lake-logs/emr/orders",
        log_stream="j-1/containers/application_1_0001",
    )
    assert run(["logs", run_id]) == 0
    found = capsys.readouterr().out
    assert "hello" in found
    assert "an executor" not in found
    s3.delete_object(Bucket="lake-logs", Key=f"{folder}/container_1_0001_01_000001/stdout.gz")
    assert run(["logs", run_id]) == 1
    assert "EMR brings it some minutes after" in capsys.readouterr().err


def test_a_name_is_answered_with_the_nearest_one() -> None:
    assert nearest("ordres", ["orders", "customer"]) == "did you mean orders? Known: customer, orders"
    assert nearest("x", []) == "there is none yet"


def _answer(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetItem")


@pytest.mark.parametrize(
    ("error", "env", "text"),
    [
        (
            _answer("AccessDeniedException", "role x is not authorized to perform: dynamodb:GetItem"),
            "dev",
            "GetItem was denied: role x is not",
        ),
        (_answer("ResourceNotFoundException", "no table"), "dev", "run `lake deploy --env dev`"),
        (_answer("ExpiredToken", "expired"), "dev", "Sign in again"),
        (_answer("Throttling", "slow down"), "dev", "GetItem failed: Throttling: slow down"),
        (EndpointConnectionError(endpoint_url="https://127.0.0.1:1"), "local", "Start the platform: `lake up`"),
        (EndpointConnectionError(endpoint_url="https://dynamodb"), "prod", "Check the network"),
    ],
)
def test_aws_errors_say_the_next_step(error: Any, env: str, text: str) -> None:
    assert text in explain(error, env=env)
