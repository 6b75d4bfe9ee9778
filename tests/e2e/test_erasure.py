"""Somebody asks to be forgotten: no object of the lake says the name any more, everybody else is where they were, and nothing brings the rows back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cli.results import Run
from lakehouse.leases import Leases
from lakehouse.object_versions import versions_below
from tests.e2e.conftest import Checkout
from tests.e2e.rows import csv
from tests.e2e.shapes import assert_described
from tests.haystack import unpacked

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KEY, NAME, DAY = 123_456_789, "Forget Me", "1998-10-01"
NEEDLES = (str(KEY).encode(), KEY.to_bytes(8, "little"), NAME.encode())
"""The key and the name as text, and the key as Iceberg writes it into manifests."""

ZONES = ("bronze", "silver", "quarantine")
ASKED = ("erase", "tpch.customer", f"c_custkey={KEY}")


def _file(*neighbours: int, mine: str) -> str:
    """A file with rows of others, and one of the person's."""
    header, *rows = csv("customer", neighbours).splitlines()
    return "\n".join([header, *rows, mine, ""])


def _mine(name: str, *, phone: str = "11-111-111-1111") -> str:
    return f"{KEY},{NAME} {name},street,1,{phone},1.00,BUILDING,"


@pytest.fixture(scope="module")
def told(checkout: Checkout, clean: list[Run]) -> list[Run]:
    """Runs that bring a person three times: superseded, clean, and kept out; a last one with others alone."""
    known = checkout.runs()
    for name, content in (
        ("first.csv", _file(9_100_001, 9_100_002, mine=_mine("at first"))),
        ("newer.csv", _file(9_100_003, mine=_mine("at last"))),
        ("bad.csv", _file(9_100_004, mine=_mine("wrong", phone="none"))),
    ):
        checkout.drop("tpch.customer", [checkout.write(f"erasure/{name}", content)], day=DAY)
        checkout.wait()
    return checkout.new_runs(known, "customer")


def test_a_person_is_forgotten_everywhere_and_everybody_else_is_where_they_were(checkout: Checkout, told: list[Run]) -> None:
    others, dropped = (
        _others(checkout),
        next(drop for drop in checkout.dropped if drop.key.endswith("/newer.csv") and "/month=10/" in drop.key),
    )
    looked = checkout.lake(*ASKED, "--json").json
    assert looked["outcome"] == "PLANNED"
    assert {table["table"].split(".")[0]: table["rows"] for table in looked["tables"]} == {"bronze": 3, "silver": 1, "quarantine": 1}
    assert sorted((file["file"].rsplit("/", 1)[-1], file["rows"], file["others"]) for file in looked["files"]) == [
        ("bad.csv", 1, 1),
        ("first.csv", 1, 2),
        ("newer.csv", 1, 1),
    ]
    assert {place.split(":")[0] for place in _sayings(checkout)} == {*ZONES, "raw", "logs"}, "the search finds what is there"

    erased = checkout.lake(*ASKED, "--yes", "--json")
    assert_described("erase", erased.out)
    done = erased.json
    assert done["outcome"] == "ERASED"
    assert [(run["pipeline"], run["status"]) for run in done["runs"]] == [("daily_revenue", "SUCCEEDED")]
    assert _sayings(checkout) == []
    assert _others(checkout) == others
    for table in ("bronze_tpch.customer", "silver_tpch.customer", "quarantine_tpch.customer"):
        assert checkout.snapshots(table)["commits"] == 1

    audited = next(run for run in checkout.runs() if run.run_id == done["run_id"])
    assert (audited.pipeline, audited.status) == ("erase/tpch.customer", "SUCCEEDED")
    assert "lake-" in audited.message
    assert str(KEY) not in str(checkout.show(audited)) + checkout.lake("runs").out + _logs(checkout)

    # At least once: the event of a file that is gone, and the run of files that are gone.
    known = checkout.runs()
    checkout.deliver_again(dropped, "customer")
    for run in told:
        subprocess.run([sys.executable, "-m", "cli.repeat", run.run_id], cwd=checkout.root, check=True, capture_output=True)
    checkout.wait()
    again = checkout.new_runs(known, "customer")
    assert [(run.status, run.counts.quarantined if run.counts else None) for run in again] == [("SUCCEEDED", 0)] * len(told)
    assert sum(run.counts.rows_in for run in again if run.counts) == 4
    assert _sayings(checkout) == []
    assert _others(checkout) == others


def test_a_key_that_nobody_has_and_a_run_under_way_are_refused(checkout: Checkout, told: list[Run]) -> None:
    before = {zone: checkout.snapshots(f"{zone}_tpch.customer") for zone in ZONES}
    nobody = checkout.lake("erase", "tpch.customer", "c_custkey=999999999", "--yes", code=1)
    assert "no row of tpch.customer has this c_custkey" in nobody.err
    assert {zone: checkout.snapshots(f"{zone}_tpch.customer") for zone in ZONES} == before
    known = checkout.runs()
    checkout.drop("tpch.customer", [checkout.write("erasure/meanwhile.csv", csv("customer", [9_100_009]))], day=DAY)
    running = _eventually(lambda: [run for run in checkout.new_runs(known, "customer") if run.status == "RUNNING"])[0]
    leases = Leases(client=checkout.client("dynamodb"), table=checkout.names.run_table("control"))
    assert _eventually(lambda: leases.holder("bronze_tpch.customer")).run_id == running.run_id
    refused = checkout.lake("erase", "tpch.customer", "c_custkey=9100009", "--yes", code=1)
    assert f"run {running.run_id} of customer is under way" in refused.err
    checkout.wait()
    assert checkout.sql("SELECT count(*) FROM silver_tpch.customer WHERE c_custkey = 9100009") == [[1]]


def _sayings(checkout: Checkout) -> list[str]:
    """Object versions, current and noncurrent, that say the key or the name."""
    return [
        f"{zone}: {key}?versionId={version}"
        for zone, key, version, content in _objects(checkout)
        if any(needle in unpacked(content) for needle in NEEDLES)
    ]


def _objects(checkout: Checkout) -> Iterator[tuple[str, str, str, bytes]]:
    s3 = checkout.client("s3")
    folders = [(zone, "tpch/customer/") for zone in (*ZONES, "raw")] + [("logs", ""), ("gold", "tpch/daily_revenue/")]
    for zone, folder in folders:
        bucket = checkout.names.bucket(zone)
        for version in versions_below(s3, bucket=bucket, prefix=folder):
            if not version.is_marker:
                found: Any = s3.get_object(Bucket=bucket, Key=version.key, VersionId=version.version_id)
                yield zone, version.key, version.version_id, found["Body"].read()


def _logs(checkout: Checkout) -> str:
    """What the job wrote."""
    logs, group = checkout.client("logs"), checkout.names.log_group("jobs", "erase-tpch")
    text = "".join(
        event["message"] for kind in ("output", "error") for event in logs.filter_log_events(logGroupName=f"{group}/{kind}")["events"]
    )
    assert "erase: object versions of bronze deleted" in text
    return text


def _others(checkout: Checkout) -> dict[str, list[list[Any]]]:
    """Every row of somebody else, and where it came from."""
    return {
        zone: checkout.sql(
            f"SELECT c_custkey, c_name, _source_file, _row FROM {zone}_tpch.customer WHERE CAST(c_custkey AS varchar) <> '{KEY}' ORDER BY 1, 3, 4"
        )
        for zone in ZONES
    }


def _eventually(look: Any, seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.3)
    return found
