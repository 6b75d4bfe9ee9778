"""At-least-once in, exactly-once effect out: repeats change nothing, and many files become few runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.tpch.drops import Drops
from tests.e2e.conftest import Checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

Runs = list[dict[str, Any]]
TABLES = ("bronze_tpch.orders", "silver_tpch.orders", "quarantine_tpch.orders", "gold_tpch.daily_revenue")


def _state(checkout: Checkout) -> dict[str, Any]:
    """Rows and commits of every table that orders reach, and the content of silver."""
    content = checkout.sql("SELECT * FROM silver_tpch.orders ORDER BY o_orderkey")
    return {**{table: checkout.snapshots(table) for table in TABLES}, "content": content}


def test_the_same_bytes_three_times_leave_the_tables_identical(checkout: Checkout, dirty: Runs, drops: Drops) -> None:
    before, known = _state(checkout), {run["run_id"] for run in checkout.runs()}
    file = drops.of("tpch.orders")[0]
    twin = checkout.write("another-name.csv", file.path.read_bytes())
    for path in (file.path, file.path, twin):
        checkout.drop("tpch.orders", [path], day=file.day.isoformat())
    checkout.wait()
    new = [run for run in checkout.runs() if run["run_id"] not in known]
    assert [(run["status"], run["reason"]) for run in new] == [("SKIPPED", "same_content")] * 3
    assert _state(checkout) == before


def test_an_event_that_is_delivered_again_starts_nothing(checkout: Checkout, dirty: Runs, drops: Drops) -> None:
    known = {run["run_id"] for run in checkout.runs()}
    file = drops.of("tpch.orders")[0]
    s3, sqs = checkout.client("s3"), checkout.client("sqs")
    key = f"tpch/orders/year={file.day:%Y}/month={file.day:%m}/day={file.day:%d}/{file.path.name}"
    versions = s3.list_object_versions(Bucket=checkout.account("raw"), Prefix=key)["Versions"]
    oldest = min(versions, key=lambda version: version["LastModified"])
    event = _event(checkout.account("raw"), key, oldest["VersionId"], oldest["Size"])
    queue = sqs.get_queue_url(QueueName="lakehouse-local-arrivals-orders")["QueueUrl"]
    for _ in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    checkout.wait()
    assert {run["run_id"] for run in checkout.runs()} == known


def test_thirty_files_at_once_become_a_few_runs_and_all_arrive(checkout: Checkout, clean: Runs) -> None:
    known = {run["run_id"] for run in checkout.runs("customer")}
    header = "c_custkey,c_name,c_address,c_nationkey,c_phone,c_acctbal,c_mktsegment,c_comment"
    files = [
        checkout.write(
            f"thirty/customer-{number:02d}.csv",
            f"{header}\n"
            + "".join(f"{3_000_000 + number * 10 + row},Customer#{number:09d},here,1,11-111-111-1111,1.00,BUILDING,\n" for row in range(3)),
        )
        for number in range(30)
    ]
    checkout.drop("tpch.customer", files, day="1998-08-03")
    checkout.wait()
    new = [run for run in checkout.runs("customer") if run["run_id"] not in known]
    assert len(new) <= 4
    assert {run["status"] for run in new} == {"SUCCEEDED"}
    assert sum(run["files"]["loaded"] for run in new) == 30
    assert checkout.sql("SELECT count(*), count(DISTINCT _source_file) FROM silver_tpch.customer WHERE c_custkey >= 3000000") == [[90, 30]]


def test_a_newer_file_wins_by_key_and_the_older_row_is_superseded(checkout: Checkout, clean: Runs) -> None:
    header = "c_custkey,c_name,c_address,c_nationkey,c_phone,c_acctbal,c_mktsegment,c_comment"
    line = "4000000,Customer#004000000,{address},1,11-111-111-1111,1.00,BUILDING,\n"
    for name, address in (("newer-1.csv", "old street"), ("newer-2.csv", "new street")):
        checkout.drop("tpch.customer", [checkout.write(name, f"{header}\n{line.format(address=address)}")], day="1998-08-03")
    checkout.wait()
    assert checkout.sql("SELECT c_address FROM silver_tpch.customer WHERE c_custkey = 4000000") == [["new street"]]


def _event(bucket: str, key: str, version: str, size: int) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "000000000000",
        "time": "2026-11-22T05:20:03Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": size, "etag": "", "version-id": version, "sequencer": "00617F08299329D189"},
            "request-id": "1",
            "requester": "000000000000",
            "source-ip-address": "127.0.0.1",
            "reason": "PutObject",
        },
    }
