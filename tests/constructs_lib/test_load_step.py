"""The load of a gold table as states of a machine, walked through with answers that a test makes up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.checks import InvalidProps
from constructs_lib.orchestration.definition import definition
from constructs_lib.orchestration.steps import MachineFunctions
from constructs_lib.warehouse import RedshiftLoadStep, WarehouseReference
from lakehouse.contracts.model import HotRows
from lakehouse.warehouse.loads import mirror
from lakehouse.warehouse.tables import WarehouseColumn, WarehouseTable

FUNCTIONS = MachineFunctions(partition="aws", recorder="recorder", notifier="notifier")
TABLE = WarehouseTable(
    schema="gold_sales",
    name="daily",
    columns=(
        WarehouseColumn(name="day", type="DATE", source_type="date"),
        WarehouseColumn(name="at", type="TIMESTAMPTZ", source_type="timestamptz"),
    ),
    keys=("day",),
)
ROLE = "arn:aws:iam::123456789012:role/transfer"
RUN = {"run_id": "0190-run", "trigger": "manual", "manifest": None, "batch_id": None, "attempt": 1, "files": 0}
CONTEXT = {"Execution": {"Id": "arn", "Name": "execution", "StartTime": "t"}, "State": {"EnteredTime": "moment"}}


def step(**changes: Any) -> RedshiftLoadStep:
    given = RedshiftLoadStep(
        name="load",
        timeout_minutes=30,
        table=TABLE,
        dataset="gold.sales.daily",
        catalog_database="gold_sales",
        athena_workgroup="lake",
        bucket="results",
        warehouse=WarehouseReference(
            kind="serverless", name="lake", arn="arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/1", database="lakehouse"
        ),
        role_arn=ROLE,
    )
    return replace(given, **changes)


class Failed(Exception):
    """A task fails with an error's name."""


Answers = Mapping[str, Callable[[dict[str, Any]], Any]]


class Machine:
    """Walks a machine from the step on, calls what a test gives, and remembers it."""

    def __init__(self, load: RedshiftLoadStep, answers: Answers) -> None:
        self.states = definition(
            functions=FUNCTIONS, pipeline="daily", steps=[load], tables=["a.b"], timeout_minutes=60, has_manifest=False
        )["States"]
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.data: dict[str, Any] = json.loads(json.dumps(RUN))

    def walk(self, start: str = "Step load") -> str:
        """The state outside the step that it ends in."""
        here = start
        while here.startswith("Step load"):
            here = self._pass(self.states[here])
        return here

    def called(self, call: str) -> list[dict[str, Any]]:
        return [parameters for name, parameters in self.calls if name == call]

    def _pass(self, state: dict[str, Any]) -> str:
        match state["Type"]:
            case "Wait":
                return state["Next"]
            case "Choice":
                return next((choice["Next"] for choice in state["Choices"] if self._holds(choice)), state["Default"])
            case "Pass":
                result = state.get(
                    "Result", self._filled(state["Parameters"]) if "Parameters" in state else self._path(state.get("InputPath", "$"))
                )
            case _:
                call = state["Resource"].split(":::")[1].removeprefix("aws-sdk:")
                parameters = self._filled(state["Parameters"])
                call = parameters["Payload"]["action"] if call == "lambda:invoke" else call
                self.calls.append((call, parameters))
                try:
                    result = self.answers[call](parameters)
                except Failed as error:
                    (caught,) = state["Catch"]
                    self._put(caught["ResultPath"], {"Error": str(error), "Cause": "told"})
                    return caught["Next"]
                if "ResultSelector" in state:
                    result = self._filled(state["ResultSelector"], result)
        self._put(state["ResultPath"], result)
        return state["Next"]

    def _holds(self, choice: dict[str, Any]) -> bool:
        if "And" in choice:
            return all(map(self._holds, choice["And"]))
        if "Or" in choice:
            return any(map(self._holds, choice["Or"]))
        value = self._path(choice["Variable"])
        if "StringEquals" in choice:
            return value == choice["StringEquals"]
        return value == choice["NumericEquals"] if "NumericEquals" in choice else value >= choice["NumericGreaterThanEquals"]

    def _put(self, path: str | None, value: Any) -> None:
        if path is None:
            return
        *parents, last = path.removeprefix("$.").split(".")
        target = self.data
        for parent in parents:
            target = target[parent]
        target[last] = json.loads(json.dumps(value))

    def _path(self, path: str, data: Any = None) -> Any:
        value: Any = CONTEXT if path.startswith("$$.") else (self.data if data is None else data)
        for part in filter(None, path.removeprefix("$$.").removeprefix("$").removeprefix(".").split(".")):
            found = re.fullmatch(r"(\w+)\[(\d+)\]", part)
            value = value[found[1]][int(found[2])] if found else value[part]
        return value

    def _filled(self, template: Any, data: Any = None) -> Any:
        if isinstance(template, dict):
            return {
                key.removesuffix(".$"): self._value(value, data) if key.endswith(".$") else self._filled(value, data)
                for key, value in template.items()
            }
        return template

    def _value(self, expression: str, data: Any) -> Any:
        if not expression.startswith("States."):
            return self._path(expression, data)
        name, _, rest = expression.removeprefix("States.").partition("(")
        arguments = [
            text[1:-1] if text.startswith("'") else int(text) if text.isdigit() else self._path(text, data)
            for text in re.findall(r"'(?:[^'\\]|\\.)*'|\$[\w.$\[\]]+|\d+", rest)
        ]
        if name == "Array":
            return arguments
        if name == "MathAdd":
            return arguments[0] + arguments[1]
        if name == "JsonToString":
            return json.dumps(arguments[0])
        text, *values = arguments
        left = iter(values)
        return re.sub(r"\\(.)|\{\}", lambda found: found[1] or str(next(left)), str(text))


def answers(*statuses: str, files: int = 1, **more: Callable[[dict[str, Any]], Any]) -> dict[str, Callable[[dict[str, Any]], Any]]:
    left = iter(statuses)
    given: dict[str, Callable[[dict[str, Any]], Any]] = {
        "begin_step": lambda _: {"Payload": {"attempt": 2}},
        "end_step": lambda _: {},
        "athena:startQueryExecution.sync": lambda _: {},
        "s3:listObjectsV2": lambda _: {"KeyCount": files},
        "redshiftdata:batchExecuteStatement": lambda _: {"Id": "statement"},
        "redshiftdata:describeStatement": lambda _: {"Status": next(left, "FAILED"), "Error": "why"},
        "redshiftdata:getStatementResult": lambda _: {"Records": [[{"LongValue": 1}]]},
        "redshiftdata:cancelStatement": lambda _: {"Status": True},
    }
    return {**given, **{name.replace("_", ":", 1): answer for name, answer in more.items()}}


def test_a_good_load_unloads_submits_waits_and_records() -> None:
    machine = Machine(step(), answers("SUBMITTED", "PICKED", "STARTED", "FINISHED"))
    assert machine.walk() == "RecordFinish"
    (unloaded,) = machine.called("athena:startQueryExecution.sync")
    assert unloaded["QueryString"] == (
        """UNLOAD (SELECT "day", CAST(CAST("at" AT TIME ZONE 'UTC' AS timestamp(6)) AS varchar) AS "at" FROM "gold_sales"."daily") """
        "TO 's3://results/unload/gold_sales/daily/0190-run/2/' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )
    assert machine.called("s3:listObjectsV2")[0]["Prefix"] == "unload/gold_sales/daily/0190-run/2/"
    (submitted,) = machine.called("redshiftdata:batchExecuteStatement")
    expected = mirror(TABLE, source="s3://results/unload/gold_sales/daily/0190-run/2/", role_arn=ROLE)
    assert tuple(submitted["Sqls"]) == expected.statements
    assert machine.called("redshiftdata:getStatementResult") == [{"Id": f"statement:{expected.counts_at + 1}"}]
    (recorded,) = machine.called("end_step")
    assert recorded["Payload"]["row"] == [{"LongValue": 1}]
    assert recorded["Payload"]["attempt"] == 2
    assert {key: machine.data[key] for key in RUN} == RUN


def test_only_hot_rows_are_unloaded_where_the_contract_says_so() -> None:
    machine = Machine(step(hot=HotRows(column="day", days=90)), answers("FINISHED"))
    assert machine.walk() == "RecordFinish"
    assert (
        """ FROM "gold_sales"."daily" WHERE "day" > current_date - INTERVAL '90' DAY) TO """
        in machine.called("athena:startQueryExecution.sync")[0]["QueryString"]
    )


def test_a_submission_that_is_repeated_is_the_same() -> None:
    machine = Machine(step(), answers("FINISHED"))
    machine.walk()
    token = machine.called("redshiftdata:batchExecuteStatement")[0]["ClientToken"]
    assert token == machine.called("athena:startQueryExecution.sync")[0]["ClientRequestToken"]
    assert re.fullmatch(r"0190-run-[0-9a-f]{8}-2", token)
    assert 32 <= len("01900000-0000-7000-8000-000000000000") + 12 <= 64


def test_an_empty_gold_table_empties_the_target() -> None:
    machine = Machine(step(), answers("FINISHED", files=0))
    assert machine.walk() == "RecordFinish"
    (submitted,) = machine.called("redshiftdata:batchExecuteStatement")
    assert tuple(submitted["Sqls"]) == mirror(TABLE, source=None, role_arn=ROLE).statements


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "PONDERING"])
def test_a_load_that_did_not_finish_fails_with_all_that_redshift_says(status: str) -> None:
    machine = Machine(step(), answers("STARTED", status))
    assert machine.walk() == "RecordFailure"
    assert machine.data["failure"]["Error"] == "Redshift.StatementFailed"
    assert json.loads(machine.data["failure"]["Cause"])["Error"] == "why"
    assert machine.data["step"] == "load"


def test_a_load_that_takes_too_long_is_cancelled_and_timed_out() -> None:
    machine = Machine(step(timeout_minutes=1), answers(*["STARTED"] * 1000))
    assert machine.walk() == "RecordFailure"
    assert machine.called("redshiftdata:cancelStatement") == [{"Id": "statement"}]
    assert machine.data["failure"]["Error"] == "States.Timeout"
    assert len(machine.called("redshiftdata:describeStatement")) == 21


def test_a_statement_that_nobody_can_look_at_is_cancelled_and_the_first_error_is_told() -> None:
    def fail(_: dict[str, Any]) -> Any:
        raise Failed("RedshiftData.InternalServerException")

    machine = Machine(step(), answers(redshiftdata_describeStatement=fail) | {"redshiftdata:describeStatement": fail})
    assert machine.walk() == "RecordFailure"
    assert machine.called("redshiftdata:cancelStatement") == [{"Id": "statement"}]
    assert machine.data["failure"]["Error"] == "RedshiftData.InternalServerException"
    both = Machine(step(), answers() | {"redshiftdata:describeStatement": fail, "redshiftdata:cancelStatement": fail})
    assert both.walk() == "RecordFailure"
    assert both.data["failure"]["Error"] == "RedshiftData.InternalServerException"


@pytest.mark.parametrize(
    "call",
    [
        "begin_step",
        "athena:startQueryExecution.sync",
        "s3:listObjectsV2",
        "redshiftdata:batchExecuteStatement",
        "redshiftdata:getStatementResult",
        "end_step",
    ],
)
def test_whatever_fails_the_run_is_recorded_as_failed(call: str) -> None:
    def fail(_: dict[str, Any]) -> Any:
        raise Failed("Some.Error")

    machine = Machine(step(), answers("FINISHED") | {call: fail})
    assert machine.walk() == "RecordFailure"
    assert machine.data["failure"] == {"Error": "Some.Error", "Cause": "told"}


def test_a_long_load_does_not_fill_the_history_of_its_execution() -> None:
    states = Machine(step(timeout_minutes=60), answers()).states
    assert states["Step load: wait"]["Seconds"] == 8
    assert Machine(step(timeout_minutes=5), answers()).states["Step load: wait"]["Seconds"] == 3


def test_every_task_has_a_timeout_and_retries_before_it_catches() -> None:
    for name, state in Machine(step(), answers()).states.items():
        if state["Type"] == "Task":
            assert state["TimeoutSeconds"] > 0, name
            assert state["Retry"], name
            assert state["Catch"], name


def test_the_machine_may_query_its_warehouse_and_no_other() -> None:
    permissions = step().permissions()
    assert {action for permission in permissions for action in permission.actions if permission.resources == ("*",)} == {
        "redshift-data:CancelStatement",
        "redshift-data:DescribeStatement",
        "redshift-data:GetStatementResult",
    }
    assert all(permission.because for permission in permissions if permission.resources == ("*",))


def test_a_table_without_key_cannot_be_loaded() -> None:
    with pytest.raises(InvalidProps, match="no primary key"):
        step(table=replace(TABLE, keys=()))


CLUSTER = WarehouseReference(
    kind="provisioned", name="lake", arn="arn:aws:redshift:eu-west-1:123456789012:cluster:lake", database="lakehouse"
)


def test_a_cluster_is_loaded_in_its_queue_from_as_many_files_as_it_has_slices() -> None:
    machine = Machine(step(warehouse=CLUSTER, slices=8), answers("FINISHED"))
    assert machine.walk() == "RecordFinish"
    (unloaded,) = machine.called("athena:startQueryExecution.sync")
    assert """9223372036854775807), 8) AS "load_file" FROM "gold_sales"."daily")""" in unloaded["QueryString"]
    assert unloaded["QueryString"].endswith("compression = 'SNAPPY', partitioned_by = ARRAY['load_file'])")
    (submitted,) = machine.called("redshiftdata:batchExecuteStatement")
    assert (submitted["ClusterIdentifier"], submitted["Database"], "WorkgroupName" in submitted) == ("lake", "lakehouse", False)
    plan = mirror(TABLE, source="s3://results/unload/gold_sales/daily/0190-run/2/", role_arn=ROLE)
    assert submitted["Sqls"] == ["/* choose the queue */ SET query_group TO 'loads'", *plan.statements]
    assert machine.called("redshiftdata:getStatementResult") == [{"Id": f"statement:{plan.counts_at + 2}"}]


def test_a_cluster_is_entered_as_the_machine_s_own_user_of_one_database() -> None:
    sign_in, run, _ = step(warehouse=CLUSTER).permissions()
    assert sign_in.actions == ("redshift:GetClusterCredentialsWithIAM",)
    assert sign_in.resources[0].endswith(":dbname:lake/lakehouse")
    assert run.resources == (CLUSTER.arn,)
