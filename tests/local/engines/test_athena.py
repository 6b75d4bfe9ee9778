"""Athena queries run on Trino with the caller's permissions, results and limits as Athena has them."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import Caller, allow, deny, wait_for
from tests.local.engines.lake import GLUE, Lake, query, rows

pytestmark = [pytest.mark.platform, pytest.mark.timeout(400)]

RIGHTS = (
    "athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution", "glue:GetDatabase",
    "glue:GetDatabases", "glue:GetTable", "glue:GetTables", "glue:UpdateTable", "s3:GetObject", "s3:PutObject", "s3:ListBucket",
    "s3:GetBucketLocation", "kms:Decrypt", "kms:GenerateDataKey",
)  # fmt: skip


def analyst(lake: Lake, *denied: str) -> Caller:
    """Somebody who may query everything but what is denied."""
    return lake.aws.caller(allow(RIGHTS), *([deny(list(denied))] if denied else []))


@pytest.fixture(scope="module")
def people(lake: Lake) -> Lake:
    """The lake with a table of three rows, one without a name and one with an empty one."""
    lake.table("people")
    execution = query(analyst(lake), "INSERT INTO people VALUES (1, 'Ann'), (2, NULL), (3, '')", lake=lake)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    return lake


def test_rows_come_with_their_types_and_a_missing_text_is_not_an_empty_one(people: Lake) -> None:
    caller = analyst(people)
    execution = query(caller, "SELECT id, name, DECIMAL '1.50' AS price, DATE '2026-01-02' AS day FROM people ORDER BY id", lake=people)
    assert rows(caller, execution) == [
        ["id", "name", "price", "day"], ["1", "Ann", "1.50", "2026-01-02"], ["2", None, "1.50", "2026-01-02"], ["3", "", "1.50", "2026-01-02"],
    ]  # fmt: skip
    found = caller.client("athena").get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["ResultSetMetadata"]
    assert [(column["Type"], column["Precision"], column["Scale"]) for column in found["ColumnInfo"]][2] == ("decimal", 3, 2)
    assert [column["Type"] for column in found["ColumnInfo"]] == ["integer", "varchar", "decimal", "date"]
    assert execution["Statistics"]["DataScannedInBytes"] > 0
    bucket, _, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
    body = people.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    assert body.splitlines()[2] == '"2",,"1.50","2026-01-02"'
    assert people.aws.client("s3").head_object(Bucket=bucket, Key=f"{key}.metadata")["ContentLength"] > 0


def test_a_result_is_read_page_by_page(people: Lake) -> None:
    caller = analyst(people)
    execution = query(caller, "SELECT * FROM UNNEST(sequence(1, 5)) AS t(n)", lake=people)
    athena, seen, token = caller.client("athena"), [], None
    while True:
        more = {"NextToken": token} if token else {}
        page = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"], MaxResults=2, **more)
        seen += [row["Data"][0].get("VarCharValue") for row in page["ResultSet"]["Rows"]]
        token = page.get("NextToken")
        if not token:
            break
    assert seen == ["n", "1", "2", "3", "4", "5"]


def test_parameters_take_the_place_of_question_marks(people: Lake) -> None:
    caller = analyst(people)
    execution = query(caller, "SELECT id FROM people WHERE id = ? AND name = ?", lake=people, ExecutionParameters=["1", "'Ann'"])
    assert rows(caller, execution) == [["id"], ["1"]]
    execution = query(caller, "SELECT id FROM people WHERE id = ?", lake=people, ExecutionParameters=["(SELECT 1)"])
    assert "is not a literal" in execution["Status"]["StateChangeReason"]


@pytest.mark.parametrize(
    "missing", ["glue:GetTable", "glue:GetDatabase", "s3:GetObject", "s3:ListBucket", "kms:Decrypt", "s3:PutObject", "kms:GenerateDataKey"]
)
def test_a_query_needs_what_athena_does_on_behalf_of_its_caller(people: Lake, missing: str) -> None:
    caller = analyst(people, missing)
    execution = query(caller, "SELECT count(*) FROM people", lake=people)
    assert execution["Status"]["State"] == "FAILED"
    reason = execution["Status"]["StateChangeReason"]
    assert missing in reason
    assert caller.arn.rsplit("/", 1)[-1] in reason
    assert query(analyst(people), "SELECT count(*) FROM people", lake=people)["Status"]["State"] == "SUCCEEDED"


def test_another_table_of_the_bucket_stays_closed(people: Lake) -> None:
    people.table("salaries")
    query(analyst(people), "INSERT INTO salaries VALUES (1, 'much')", lake=people)
    folder = f"arn:aws:s3:::{people.bucket}"
    caller = people.aws.caller(
        allow([right for right in RIGHTS if right != "s3:GetObject"]),
        allow("s3:GetObject", [f"{folder}/{people.database}/people/*", f"{folder}/results/*"]),
    )
    assert query(caller, "SELECT * FROM people", lake=people)["Status"]["State"] == "SUCCEEDED"
    for sql in ("SELECT * FROM salaries", "SELECT * FROM people JOIN salaries USING (id)", 'SELECT * FROM "salaries$files"',
                "WITH p AS (SELECT * FROM salaries) SELECT count(*) FROM p", "SELECT (SELECT max(name) FROM salaries) FROM people"):  # fmt: skip
        reason = query(caller, sql, lake=people)["Status"].get("StateChangeReason", "")
        assert "s3:GetObject" in reason, sql


def test_a_workgroup_is_a_resource_and_its_settings_win(people: Lake) -> None:
    name = people.aws.name("group")
    settings = {"EnforceWorkGroupConfiguration": True, "ResultConfiguration": {"OutputLocation": f"s3://{people.bucket}/enforced/"}}
    people.aws.client("athena").create_work_group(Name=name, Configuration=settings)
    others = [right for right in RIGHTS if not right.startswith("athena:")]
    caller = people.aws.caller(allow(others), allow("athena:*", f"arn:aws:athena:us-east-1:000000000000:workgroup/{name}"))
    execution = query(caller, "SELECT 1 AS one", lake=people, WorkGroup=name)
    assert execution["ResultConfiguration"]["OutputLocation"] == f"s3://{people.bucket}/enforced/{execution['QueryExecutionId']}.csv"
    with pytest.raises(ClientError, match=r"workgroup/primary"):
        query(caller, "SELECT 1", lake=people)
    with pytest.raises(ClientError, match="is not found"):
        query(analyst(people), "SELECT 1", lake=people, WorkGroup="nothing")


def test_a_workgroup_tells_what_its_queries_read_and_which_of_them_fail_if_it_is_to(people: Lake) -> None:
    athena, told, silent = people.aws.client("athena"), people.aws.name("told"), people.aws.name("silent")
    results = {"ResultConfiguration": {"OutputLocation": f"s3://{people.bucket}/results/"}}
    athena.create_work_group(Name=told, Configuration={**results, "PublishCloudWatchMetricsEnabled": True})
    athena.create_work_group(Name=silent, Configuration=results)
    caller = analyst(people)
    read = query(caller, "SELECT * FROM people", lake=people, WorkGroup=told)["Statistics"]["DataScannedInBytes"]
    assert query(caller, "SELECT 1 / (id - id) FROM people", lake=people, WorkGroup=told)["Status"]["State"] == "FAILED"
    query(caller, "SELECT * FROM people", lake=people, WorkGroup=silent)

    def total(metric: str, statistic: str, **dimensions: str) -> float:
        now = datetime.now(UTC)
        found = people.aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Athena", MetricName=metric, StartTime=now - timedelta(minutes=30), EndTime=now + timedelta(minutes=1),
            Period=3600, Statistics=[statistic], Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        )["Datapoints"]  # fmt: skip
        return sum(point[statistic] for point in found)

    assert total("ProcessedBytes", "Sum", WorkGroup=told) >= read > 0
    assert total("TotalExecutionTime", "SampleCount", QueryState="FAILED", QueryType="DML", WorkGroup=told) == 1
    assert total("TotalExecutionTime", "SampleCount", WorkGroup=told) == 2
    assert total("TotalExecutionTime", "SampleCount", WorkGroup=silent) == 0


def test_a_query_over_the_workgroups_limit_is_cancelled(people: Lake) -> None:
    people.table(
        "big", {"Id": 1, "Name": "id", "Type": "int", "Required": False}, {"Id": 2, "Name": "text", "Type": "string", "Required": False}
    )
    noise = "array_join(transform(sequence(1, 30), x -> cast(random() AS varchar)), '')"
    fill = query(
        analyst(people),
        f"INSERT INTO big SELECT n, {noise} FROM UNNEST(sequence(1, 10000)) AS t(n) CROSS JOIN UNNEST(sequence(1, 5)) AS u(m)",
        lake=people,
    )
    assert fill["Status"]["State"] == "SUCCEEDED", fill["Status"]
    name = people.aws.name("group")
    people.aws.client("athena").create_work_group(
        Name=name,
        Configuration={
            "BytesScannedCutoffPerQuery": 10_000_000,
            "ResultConfiguration": {"OutputLocation": f"s3://{people.bucket}/results/"},
        },
    )
    over = query(analyst(people), "SELECT count(DISTINCT text) FROM big", lake=people, WorkGroup=name)
    assert (over["Status"]["State"], over["Status"]["StateChangeReason"]) == ("CANCELLED", "Bytes scanned limit was exceeded")
    assert query(analyst(people), "SELECT count(DISTINCT id) FROM big", lake=people, WorkGroup=name)["Status"]["State"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "SYNTAX_ERROR: line 1:1"),
        ("SELECT nothing FROM people", "COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved"),
        ("SELECT * FROM nowhere", "TABLE_NOT_FOUND: line 1:15"),
        ("CREATE TABLE x (one int)", "either CREATE EXTERNAL TABLE, or CREATE TABLE with TBLPROPERTIES"),
        ("SELECT * FROM system.runtime.queries", "CATALOG_NOT_FOUND"),
        ("SELECT * FROM TABLE(sequence(1, 2))", "table functions"),
        ("SELECT 1; SELECT 2", "Only one sql statement is allowed"),
        ("SELECT 1 / 0", "DIVISION_BY_ZERO"),
    ],
)
def test_a_statement_that_cannot_run_says_why(people: Lake, sql: str, said: str) -> None:
    status = query(analyst(people), sql, lake=people)["Status"]
    assert status["State"] == "FAILED"
    assert said in status["StateChangeReason"]


def test_a_table_is_described_as_hive_does(people: Lake) -> None:
    caller, glue = analyst(people), people.aws.client("glue")
    within: dict[str, Any] = {"QueryExecutionContext": {"Database": f"`{people.database}`"}}
    found = query(caller, "DESCRIBE `people`", lake=people, **within)
    assert [row for row in rows(caller, found) if len(row) != 1] == []
    lines = [str(row[0]) for row in rows(caller, found)]
    assert lines[:3] == ["# Table schema:\t\t", "# col_name\tdata_type\tcomment", "id\tint\t"]
    assert lines[lines.index("\t\t") :][1:3] == ["# Partition spec:\t\t", "# field_name\tfield_transform\tcolumn_name"]
    bucket, _, key = found["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
    text = people.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    assert text == "".join(f"{line}\n" for line in lines)

    columns, keys = [{"Name": "id", "Type": "int", "Comment": "the key"}], [{"Name": "day", "Type": "string"}]
    glue.create_table(
        DatabaseName=people.database, TableInput={"Name": "h", "StorageDescriptor": {"Columns": columns}, "PartitionKeys": keys}
    )
    described = query(caller, "DESCRIBE h", lake=people, **within)
    day = f"{'day':<20}\t{'string':<20}\t{'':<20}"
    assert [row[0] for row in rows(caller, described)] == [
        f"{'id':<20}\t{'int':<20}\t{'the key':<20}", day, "\t \t ", "# Partition Information\t \t ",
        "# col_name            \tdata_type           \tcomment             ", "\t \t ", day,
    ]  # fmt: skip
    answer = caller.client("athena").get_query_results(QueryExecutionId=described["QueryExecutionId"])
    assert [column["Name"] for column in answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]] == ["col_name", "data_type", "comment"]
    listed = query(caller, "SHOW COLUMNS IN h", lake=people)
    assert rows(caller, listed) == [[f"{'id':<20}"], [f"{'day':<20}"]]
    glue.delete_table(DatabaseName=people.database, Name="h")
    assert "Table not found" in query(caller, "DESCRIBE h", lake=people)["Status"]["StateChangeReason"]


def test_the_catalog_is_shown_to_those_who_may_list_it(people: Lake) -> None:
    caller = analyst(people)
    assert ["people"] in rows(caller, query(caller, "SHOW TABLES", lake=people))
    shown = rows(caller, query(caller, "SHOW DATABASES", lake=people))
    assert [people.database] in shown
    assert ["information_schema"] not in shown
    for sql, missing in (
        ("SHOW TABLES", "glue:GetTables"),
        ("SHOW DATABASES", "glue:GetDatabases"),
        ("SELECT * FROM information_schema.tables", "glue:GetTables"),
    ):
        assert missing in query(analyst(people, missing), sql, lake=people)["Status"]["StateChangeReason"]


def test_rows_are_changed_only_with_the_right_to(people: Lake) -> None:
    name = people.table(people.aws.name("changed").replace("-", "_"))
    for missing in ("glue:UpdateTable", "s3:PutObject"):
        reason = query(analyst(people, missing), f"INSERT INTO {name} VALUES (1, 'x')", lake=people)["Status"]["StateChangeReason"]
        assert missing in reason
    caller = analyst(people)
    for sql in (
        f"INSERT INTO {name} VALUES (1, 'x'), (2, 'y')",
        f"UPDATE {name} SET name = 'z' WHERE id = 2",
        f"DELETE FROM {name} WHERE id = 1",
    ):
        assert query(caller, sql, lake=people)["Status"]["State"] == "SUCCEEDED"
    assert rows(caller, query(caller, f"SELECT * FROM {name}", lake=people))[1:] == [["2", "z"]]


def test_a_query_is_stopped(people: Lake) -> None:
    caller = analyst(people)
    athena = caller.client("athena")
    endless = "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a(x), UNNEST(sequence(1, 10000)) b(y), UNNEST(sequence(1, 1000)) c(z) WHERE x * y * z = 0"
    place = {"OutputLocation": f"s3://{people.bucket}/results/"}
    query_id = athena.start_query_execution(QueryString=endless, ResultConfiguration=place)["QueryExecutionId"]

    def state() -> Any:
        return athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"]

    wait_for(lambda: state() == "RUNNING")
    athena.stop_query_execution(QueryExecutionId=query_id)
    wait_for(lambda: state() == "CANCELLED")
    with pytest.raises(ClientError, match="cancelled"):
        athena.get_query_results(QueryExecutionId=query_id)


def test_a_query_is_stopped_while_its_engine_still_starts(people: Lake) -> None:
    caller = analyst(people)
    query(caller, "SELECT 1", lake=people)
    end_engine(people)
    athena = caller.client("athena")
    place = {"OutputLocation": f"s3://{people.bucket}/results/"}
    query_id = athena.start_query_execution(QueryString="SELECT count(*) FROM people", QueryExecutionContext={"Database": people.database},
                                            ResultConfiguration=place)["QueryExecutionId"]  # fmt: skip
    athena.stop_query_execution(QueryExecutionId=query_id)
    wait_for(lambda: athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"] == "CANCELLED", seconds=100)
    assert query(caller, "SELECT 1", lake=people)["Status"]["State"] == "SUCCEEDED"


def end_engine(people: Lake) -> None:
    """End this platform's Trino, so that the next query starts it anew."""
    mark = str(people.aws.platform.folder / "trino")
    pids = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and mark in (words := command(entry)) and "io.trino.server.TrinoServer" in words and "lifeline" not in words
    ]
    assert len(pids) == 1, pids
    os.kill(pids[0], signal.SIGKILL)
    wait_for(lambda: not any(mark in command(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()))


def command(process: Path) -> str:
    """Command line of a process; empty once it has ended."""
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_what_trino_does_is_nobodys_workload(people: Lake) -> None:
    caller = analyst(people)
    query(caller, "SELECT count(*) FROM people", lake=people)
    asked = {call["action"] for call in people.aws.calls(role=caller.arn)}
    assert {"athena:StartQueryExecution", "glue:GetDatabase", "glue:GetTable", "s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:GetBucketLocation",
            "kms:Decrypt", "kms:GenerateDataKey"} <= asked  # fmt: skip
    assert {call["resource"] for call in people.aws.calls(role=caller.arn, action="glue:GetTable")} == {
        f"{GLUE}:catalog", f"{GLUE}:database/{people.database}", f"{GLUE}:table/{people.database}/people",
    }  # fmt: skip
