"""Erasures: the key stands in the request alone, and every version of a raw file is accounted for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from lakehouse.audit import AuditTrail
from lakehouse.audit_records import FileRecord
from lakehouse.claims import SAME_CONTENT, Claim, Claims
from lakehouse.erasures import ErasureReport, ErasureRequest, ErasureStore, FileErasure, TableErasure, key_digest
from lakehouse.object_versions import versions_below
from lakehouse.raw_copies import RawCopies
from tests.lakehouse.state_tables import state_tables

DATASET, RAW, LOGS = "tpch.customer", "raw-bucket", "logs-bucket"
REQUEST = ErasureRequest(
    run_id="01a201a0-1c80-7c2b-be13-48e1e7f330c5",
    dataset=DATASET,
    key={"c_custkey": "4711"},
    is_erasing=True,
    is_resumed=False,
    requested_by="arn:aws:sts::1:assumed-role/operator/lake-ann",
    ingests=("customer",),
)
REPORT = ErasureReport(
    run_id=REQUEST.run_id,
    dataset=DATASET,
    key_columns=("c_custkey",),
    key_sha256=REQUEST.key_sha256,
    requested_by=REQUEST.requested_by,
    outcome="ERASED",
    tables=(
        TableErasure(table="silver.tpch.customer", rows=1, others=9, unreadable=0, files=1, snapshots=2, versions=3, deleted=("a", "b")),
        TableErasure(table="bronze.tpch.customer", rows=2, others=9, unreadable=0, files=1, snapshots=2, young=("c",)),
    ),
    files=(FileErasure(uri="s3://raw-bucket/a.csv", version="1", rows=1, others=2),),
    staged=4,
)


class World:
    """Buckets and run tables, and the hands of a producer and of arrivals."""

    def __init__(self, dynamodb: Any) -> None:
        self.s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        for bucket in (RAW, LOGS):
            self.s3.create_bucket(Bucket=bucket)
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.audit = AuditTrail(client=dynamodb, table="audit")
        self.claims = Claims(client=dynamodb, table="control", audit=self.audit)
        self.raw = RawCopies(
            s3=self.s3, claims=self.claims, audit=self.audit, raw_bucket=RAW, logs_bucket=LOGS, dataset=DATASET, ingests=("customer",)
        )
        self.store = ErasureStore(client=self.s3, bucket=LOGS)

    def drop(self, name: str, body: bytes = b"x", *, claim: bool = True, **changes: Any) -> tuple[str, str]:
        """Put a file, and have it claimed."""
        key = f"tpch/customer/{name}"
        version = self.s3.put_object(Bucket=RAW, Key=key, Body=body)["VersionId"]
        if claim:
            plain: dict[str, Any] = {"run_id": "run-1", "sequence": "1", "status": "STARTED", "read_as": "csv", "digest": name}
            made = Claim(bucket=RAW, key=key, version_id=version, pipeline="customer", **{**plain, **changes})
            assert self.claims.write(made, over=None)
            if not made.reason:
                assert self.claims.point(made, dataset=DATASET, over=None)
        return f"s3://{RAW}/{key}", version

    def versions(self, bucket: str) -> list[str]:
        return sorted(version.key for version in versions_below(self.s3, bucket=bucket, prefix=""))


@pytest.fixture
def world() -> Iterator[World]:
    with state_tables() as (dynamodb, _):
        yield World(dynamodb)


def test_a_request_and_a_report_are_read_as_they_were_written(world: World) -> None:
    assert world.store.asked(world.store.ask(REQUEST)) == REQUEST
    assert world.store.report(REPORT) == f"s3://logs-bucket/erasures/reports/tpch/{REQUEST.run_id}.json"
    assert world.store.reported(DATASET, REQUEST.run_id) == REPORT
    assert world.store.reported(DATASET, "another") is None


def test_a_request_leaves_no_version_behind_and_takes_those_along_that_nobody_will_read(world: World) -> None:
    other, mine = world.store.ask(replace(REQUEST, run_id="other")), world.store.ask(REQUEST)
    world.store.ask(REQUEST)
    world.store.forget(mine, now=datetime.now(UTC))
    assert world.versions(LOGS) == [other]
    world.store.forget(mine, now=datetime.now(UTC) + timedelta(days=3))
    assert world.versions(LOGS) == []


def test_the_report_knows_the_key_by_its_hash_alone(world: World) -> None:
    world.store.report(REPORT)
    body = world.s3.get_object(Bucket=LOGS, Key=f"erasures/reports/tpch/{REQUEST.run_id}.json")["Body"].read()
    assert b"4711" not in body
    assert json.loads(body)["key_sha256"] == key_digest(DATASET, {"c_custkey": "4711"})


def test_a_key_has_one_hash_in_whatever_order_it_is_given_and_no_other_has_it() -> None:
    assert key_digest(DATASET, {"a": "1", "b": "2"}) == key_digest(DATASET, {"b": "2", "a": "1"})
    others = [key_digest("tpch.orders", {"a": "1"}), key_digest(DATASET, {"a": "2"}), key_digest(DATASET, {"b": "1"})]
    assert len({key_digest(DATASET, {"a": "1"}), *others}) == 4


def test_the_audit_counts_what_was_deleted() -> None:
    assert REPORT.counts == {"rows_silver": 1, "rows_bronze": 2, "raw_versions": 1, "object_versions": 6, "unsearched": 0, "young": 1}


def test_versions_that_hold_the_key_go_with_those_of_the_same_bytes_and_the_others_stay(world: World) -> None:
    mine, other = world.drop("mine.csv"), world.drop("other.csv")
    twin = world.drop("twin.csv", status="SKIPPED", reason=SAME_CONTENT, digest="mine.csv")
    world.drop("others-twin.csv", status="SKIPPED", reason=SAME_CONTENT, digest="other.csv")
    found = world.raw.find([FileErasure(uri=mine[0], version=mine[1], rows=2, others=3)], loaded={mine, other})
    assert [(file.uri, file.version, file.rows, file.others) for file in found.doomed] == [(*mine, 2, 3), (*twin, 2, 3)]
    assert found.unsearched == ()
    world.raw.delete(found.doomed)
    assert world.versions(RAW) == ["tpch/customer/other.csv", "tpch/customer/others-twin.csv"]


def test_an_older_version_below_a_newer_one_is_found_and_deleted(world: World) -> None:
    old = world.drop("a.csv", b"old")
    new = world.drop("a.csv", b"new", digest="new")
    found = world.raw.find([FileErasure(uri=old[0], version=old[1], rows=1)], loaded={old, new})
    world.raw.delete(found.doomed)
    (left,) = versions_below(world.s3, bucket=RAW, prefix="")
    assert left.version_id == new[1]


def test_files_without_records_need_no_search_and_others_that_were_never_loaded_are_named(world: World) -> None:
    world.audit.start_run(pipeline="customer", run_id="run-1", trigger="arrival")
    world.drop("empty.csv", b"")
    header, broken = world.drop("header.csv"), world.drop("broken.csv")
    for (uri, version), reason in ((header, "header_only"), (broken, "unreadable_file")):
        record = FileRecord(source=uri, version=version, outcome="rejected", reason=reason)
        world.audit.record_file(pipeline="customer", run_id="run-1", file=record)
    world.drop("waiting.csv", claim=False)
    world.drop("odd.txt", status="SKIPPED", reason="unknown_suffix")
    world.drop("lost.csv")
    found = world.raw.find((), loaded=set())
    assert found.doomed == ()
    assert {file.uri.rsplit("/", 1)[-1]: file.note for file in found.unsearched} == {
        "broken.csv": "unreadable_file",
        "lost.csv": "not loaded by run run-1",
        "odd.txt": "unknown_suffix",
        "waiting.csv": "no arrival has claimed it: it waits in the queue, or its event was lost",
    }


def test_same_bytes_of_a_file_that_was_never_loaded_are_not_searched_either(world: World) -> None:
    world.drop("broken.csv")
    world.drop("twin.csv", status="SKIPPED", reason=SAME_CONTENT, digest="broken.csv")
    assert len(world.raw.find((), loaded=set()).unsearched) == 2


def test_staged_copies_go_with_their_noncurrent_versions_and_those_of_others_stay(world: World) -> None:
    for key in ("staging/customer/run-1/jr/00000.csv", "staging/customers/run-1/jr/00000.csv"):
        world.s3.put_object(Bucket=LOGS, Key=key, Body=b"x")
        world.s3.delete_object(Bucket=LOGS, Key=key)
    assert world.raw.delete_staged() == 2
    assert set(world.versions(LOGS)) == {"staging/customers/run-1/jr/00000.csv"}
