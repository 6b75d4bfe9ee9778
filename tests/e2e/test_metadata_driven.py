"""A group of rows: ten of which two fail, then an eleventh that nobody deploys, then nothing that changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lakehouse.metrics import DIMENSIONS, RUNS_FAILED, RUNS_SUCCEEDED
from lakehouse.naming import METRICS_NAMESPACE
from local.platform import Platform
from local.shop.source import connected
from tests.e2e.conftest import MOST_SECONDS, Checkout
from tests.e2e.shop import strike

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

GROUP, SCHEMA = "shop_tables", "metadata"
GOOD = [f"part{number}" for number in range(8)]


def execute(source: Any, *statements: str) -> None:
    """Run statements as the owner, and wait until the reader that jobs see has them."""
    for statement in statements:
        source.execute(statement)
    source.commit()
    for _ in range(300):
        if source.execute("SELECT coalesce(bool_and(replay_lsn >= pg_current_wal_lsn()), false) FROM pg_stat_replication").fetchone()[0]:
            source.commit()
            return
        time.sleep(0.1)
    raise AssertionError("the replica does not follow")


@contextmanager
def messages(checkout: Checkout) -> Iterator[Any]:
    """What is published to the critical topic meanwhile."""
    sqs, sns = checkout.client("sqs"), checkout.client("sns")
    url = sqs.create_queue(QueueName="told-of-rows")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = next(found["TopicArn"] for found in sns.list_topics()["Topics"] if found["TopicArn"].endswith(checkout.names.topic("critical")))
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, ReturnSubscriptionArn=True)["SubscriptionArn"]

    def received() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=3).get("Messages"):
            found += [json.loads(message["Body"]) for message in batch]
            for message in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message for message in found if "shop_tables" in str(message.get("Subject")) and "ALARM" not in str(message.get("Subject"))]

    try:
        yield received
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=url)


def row(name: str, **changes: Any) -> dict[str, Any]:
    return {"row": name, "table": f"{SCHEMA}.{name}", "keys": ["id"], "mode": "full", **changes}


def put(checkout: Checkout, *rows: dict[str, Any]) -> None:
    checkout.lake("rows", "put", GROUP, str(checkout.write("rows.yaml", json.dumps({"rows": rows}))))


def group_run(checkout: Checkout, *, code: int) -> dict[str, Any]:
    (run,) = checkout.lake("run", GROUP, "--timeout", MOST_SECONDS, "--json", code=code).json["runs"]
    return checkout.lake("show", run["run_id"], "--json").json


def rows_of(checkout: Checkout, table: str) -> list[list[Any]]:
    return checkout.sql(f"SELECT id, name, _operation FROM bronze_shop.{table} ORDER BY _sequence, id")


def metric(checkout: Checkout, name: str, pipeline: str) -> float:
    values = dict(zip(DIMENSIONS, (checkout.names.env, pipeline), strict=True))
    found = checkout.client("cloudwatch").get_metric_statistics(
        Namespace=METRICS_NAMESPACE, MetricName=name, Dimensions=[{"Name": key, "Value": value} for key, value in values.items()],
        StartTime=time.time() - 3600, EndTime=time.time() + 60, Period=60, Statistics=["Sum"],
    )  # fmt: skip
    return sum(point["Sum"] for point in found["Datapoints"])


def test_ten_rows_of_which_two_fail_and_an_eleventh_without_a_deployment(checkout: Checkout) -> None:
    with connected(Platform(checkout.root)) as source, messages(checkout) as received:
        execute(source, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE", f"CREATE SCHEMA {SCHEMA}")
        for name in (*GOOD, "eleventh"):
            execute(
                source,
                f"CREATE TABLE {SCHEMA}.{name} (id bigint PRIMARY KEY, name text, updated_at timestamptz)",
                f"INSERT INTO {SCHEMA}.{name} SELECT i, '{name} ' || i, now() - interval '1 day' FROM generate_series(1, 3) i",
            )
        stamps = {"mode": "incremental", "watermark": "updated_at", "overlap": "PT1H"}
        put(checkout, *(row(name, **(stamps if name in GOOD[:4] else {})) for name in GOOD), row("missing"))
        # Somebody's script writes past `lake`; the run refuses what `lake` would have refused.
        checkout.client("dynamodb").put_item(
            TableName=checkout.names.run_table("control"),
            Item={"pk": {"S": f"rows#{GROUP}"}, "sk": {"S": "bad"}, "row": {"S": "bad"}, "table": {"S": "part0"}},
        )
        listed = checkout.lake("rows", GROUP, "--json").json["rows"]
        assert (len(listed), [entry["row"] for entry in listed if entry["fault"]]) == (10, ["bad"])

        first = group_run(checkout, code=1)
        assert (
            first["run"]["message"] == "2 of 10 rows failed: bad (row_invalid), missing (source_table_missing); the other 8 are published"
        )
        assert {entry["row"]: entry["status"] for entry in first["rows"]} == {
            **dict.fromkeys(GOOD, "SUCCEEDED"), "bad": "FAILED", "missing": "FAILED",
        }  # fmt: skip
        for name in GOOD:
            assert rows_of(checkout, name) == [[str(number), f"{name} {number}", None] for number in (1, 2, 3)]
            assert metric(checkout, RUNS_SUCCEEDED.name, f"{GROUP}.{name}") == 1
        for name in ("bad", "missing"):
            assert metric(checkout, RUNS_FAILED.name, f"{GROUP}.{name}") == 1
        own = checkout.lake("show", next(entry["run_id"] for entry in first["rows"] if entry["row"] == "part5"), "--json").json
        assert (own["run"]["pipeline"], own["run"]["status"], own["steps"][0]["counts"]["rows_in"]) == (f"{GROUP}.part5", "SUCCEEDED", 3)
        (told,) = received()
        assert told["Subject"] == f"[lakehouse/local] {GROUP} failed: rows_failed"
        for part in ("Failed rows, 2 of 10:", "  bad: row_invalid: ", "  missing: source_table_missing: "):
            assert part in told["Message"]
        assert not any(name in told["Message"] for name in GOOD[1:])

        for name in GOOD[3:7]:
            checkout.lake("rows", "disable", GROUP, name)
        execute(source, f"DELETE FROM {SCHEMA}.part7 WHERE id = 2", f"CREATE TABLE {SCHEMA}.missing AS TABLE {SCHEMA}.part1")
        put(checkout, row("eleventh"), row("bad", table=f"{SCHEMA}.part0", active=False))
        second = group_run(checkout, code=0)
        assert (second["run"]["status"], len(second["rows"])) == ("SUCCEEDED", 6)
        assert len(rows_of(checkout, "eleventh")) == len(rows_of(checkout, "missing")) == 3
        for name in GOOD[:7]:
            assert len(rows_of(checkout, name)) == 3
        assert rows_of(checkout, "part7")[3:] == [["2", None, "delete"]]
        assert received() == []
        for name in (*GOOD[:3], "part7", "missing", "eleventh"):
            checkout.lake("rows", "disable", GROUP, name)
        strike(checkout, [GROUP])
        # The first run failed on purpose.
        checkout.wait(code=1)
        assert [(run.trigger, run.status, run.reason) for run in checkout.runs(GROUP)] == [
            ("manual", "FAILED", "rows_failed"),
            ("manual", "SUCCEEDED", ""),
            ("schedule", "SKIPPED", "no_rows"),
        ]
