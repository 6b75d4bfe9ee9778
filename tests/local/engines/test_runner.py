"""The runner of queries over the local Athena: what its unit tests say of Athena's answers is what an engine gives."""

from __future__ import annotations

import io
import time
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet
import pytest

from lakehouse.athena.errors import QueryFailedError, QueryTimedOutError, ScanLimitError
from lakehouse.athena.runner import AthenaRunner
from lakehouse.athena.statements import as_of, literal
from lakehouse.polling import Pauses
from tests.fixtures.platform import wait_for
from tests.local.engines.lake import Lake
from tests.local.engines.test_athena_outputs import maker

pytestmark = [pytest.mark.platform, pytest.mark.timeout(400)]

QUICK = Pauses(first_seconds=0.05, longest_seconds=0.5)
ENDLESS = "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a(x), UNNEST(sequence(1, 10000)) b(y), UNNEST(sequence(1, 1000)) c(z) WHERE x * y * z = 0"


@pytest.fixture(scope="module")
def group(lake: Lake) -> str:
    """A workgroup that says where answers go and how much a query reads."""
    name = lake.aws.name("runner")
    settings = {
        "EnforceWorkGroupConfiguration": True,
        "BytesScannedCutoffPerQuery": 10_000_000,
        "ResultConfiguration": {"OutputLocation": f"s3://{lake.bucket}/results/{name}/"},
    }
    lake.aws.client("athena").create_work_group(Name=name, Configuration=settings)
    return name


@pytest.fixture
def runner(lake: Lake, group: str) -> AthenaRunner:
    return AthenaRunner(maker(lake).client("athena"), workgroup=group, database=lake.database, pauses=QUICK)


def test_every_type_comes_back_as_itself(runner: AthenaRunner) -> None:
    values: dict[str, Any] = {
        "a": 9007199254740993, "b": Decimal("1.50"), "c": "it's", "d": "", "e": None, "f": True, "g": 1.5, "h": date(2026, 1, 2),
        "i": datetime(2026, 1, 2, 3, 4, 5, 123000, tzinfo=UTC), "j": b"ab",
    }  # fmt: skip
    answer = runner.query("SELECT " + ", ".join(f"{literal(value)} AS {name}" for name, value in values.items()))
    assert [column.name for column in answer.columns] == list(values)
    assert answer.rows == (tuple(values.values()),)


def test_a_statement_without_a_header_keeps_its_first_row(lake: Lake, runner: AthenaRunner) -> None:
    name = lake.table(lake.aws.name("only").replace("-", "_"))
    assert (name,) in runner.query("SHOW TABLES").rows
    assert runner.query(f"SELECT * FROM {name}").rows == ()
    assert runner.query(f"INSERT INTO {name} VALUES (1, 'x')").rows == ()


def test_a_long_answer_comes_over_many_pages(runner: AthenaRunner) -> None:
    answer = runner.query("SELECT n FROM UNNEST(sequence(1, 2500)) AS t(n) ORDER BY n")
    assert [row[0] for row in answer.rows] == list(range(1, 2501))


def test_a_query_that_nobody_waits_for_ends(lake: Lake, group: str, runner: AthenaRunner) -> None:
    began = time.monotonic()
    with pytest.raises(QueryTimedOutError, match="is cancelled") as caught:
        runner.run(ENDLESS, deadline_seconds=3)
    assert time.monotonic() - began < 60
    assert caught.value.execution is not None
    query_id = caught.value.execution.query_id
    athena = lake.aws.client("athena")
    wait_for(lambda: athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"] == "CANCELLED", seconds=60)
    assert query_id in [execution.query_id for execution in AthenaRunner(athena, workgroup=group).recent(5)]


def test_a_failure_is_told_in_athenas_words(runner: AthenaRunner) -> None:
    with pytest.raises(QueryFailedError, match="TABLE_NOT_FOUND"):
        runner.run("SELECT * FROM nowhere")


def test_a_query_over_the_limit_says_so(lake: Lake, runner: AthenaRunner) -> None:
    fields = ({"Id": 1, "Name": "id", "Type": "int", "Required": False}, {"Id": 2, "Name": "text", "Type": "string", "Required": False})
    name = lake.table(lake.aws.name("wide").replace("-", "_"), *fields)
    noise = "array_join(transform(sequence(1, 30), x -> cast(random() AS varchar)), '')"
    runner.run(f"INSERT INTO {name} SELECT n, {noise} FROM UNNEST(sequence(1, 10000)) AS t(n) CROSS JOIN UNNEST(sequence(1, 5)) AS u(m)")
    with pytest.raises(ScanLimitError, match="limit raised"):
        runner.run(f"SELECT count(DISTINCT text) FROM {name}")


def test_a_large_answer_goes_to_files_that_keep_its_types(lake: Lake, runner: AthenaRunner) -> None:
    s3 = lake.aws.client("s3")
    name = lake.table(lake.aws.name("large").replace("-", "_"))
    runner.run(
        f"INSERT INTO {name} SELECT n, CASE WHEN n = 1 THEN NULL WHEN n = 2 THEN '' ELSE 'x' END FROM UNNEST(sequence(1, 5000)) AS t(n)"
    )
    to = f"s3://{lake.bucket}/unloaded/{uuid.uuid4().hex}/"
    files = runner.unload(f"SELECT id, name FROM {name} WHERE id <= ?", to=to, s3=s3, parameters=["3000"])
    found: dict[int, str | None] = {}
    for address in files:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        table = pyarrow.parquet.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
        found |= dict(zip(table.column("id").to_pylist(), table.column("name").to_pylist(), strict=True))
    assert (len(found), found[1], found[2], found[3]) == (3000, None, "", "x")


def test_an_answer_is_reused_and_one_key_is_one_query(runner: AthenaRunner) -> None:
    sql = f"SELECT '{uuid.uuid4().hex}' AS mark"
    assert not runner.run(sql, reuse_minutes=60).statistics.is_reused
    assert runner.run(sql, reuse_minutes=60).statistics.is_reused
    key = uuid.uuid4().hex
    assert runner.run(sql, key=key).query_id == runner.run(sql, key=key).query_id


def test_a_named_query_is_run(lake: Lake, group: str, runner: AthenaRunner) -> None:
    lake.aws.client("athena").create_named_query(Name="two", Database=lake.database, QueryString="SELECT 2 AS n", WorkGroup=group)
    caller = lake.aws.client("athena")
    assert AthenaRunner(caller, workgroup=group, pauses=QUICK).run_named("two").state == "SUCCEEDED"


def test_a_table_is_read_as_it_was(lake: Lake, runner: AthenaRunner) -> None:
    name = lake.table(lake.aws.name("past").replace("-", "_"))
    runner.run(f"INSERT INTO {name} VALUES (1, 'before')")
    between = datetime.now(UTC)
    time.sleep(0.01)
    runner.run(f"UPDATE {name} SET name = 'after'")
    assert runner.query(f"SELECT name FROM {name} {as_of(between)}").rows == (("before",),)
    assert runner.query(f"SELECT name FROM {name}").rows == (("after",),)
