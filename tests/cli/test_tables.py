"""`lake tables` reads what tables hold from their own metadata."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.errors import CommandError
from cli.progress import Progress
from cli.tables import tables
from tests.cli.conftest import Shop


def add_table(shop: Shop, zone: str, name: str, *snapshots: dict[str, Any], is_written: bool = True) -> None:
    """A table of the domain tpch with these snapshots, the last of which is the current one."""
    glue, s3, bucket = shop.client("glue"), shop.client("s3"), shop.names.bucket(zone)
    key, database = f"tpch/{name}/metadata/00001.metadata.json", shop.names.database(zone, "tpch")
    current = {"current-snapshot-id": snapshots[-1]["snapshot-id"]} if snapshots else {}
    metadata = {"location": f"s3://{bucket}/tpch/{name}", "snapshots": list(snapshots), **current}
    s3.create_bucket(Bucket=bucket)
    if is_written:
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(metadata))
    if database not in {found["Name"] for found in glue.get_databases()["DatabaseList"]}:
        glue.create_database(DatabaseInput={"Name": database})
    parameters = {"table_type": "ICEBERG", "metadata_location": f"s3://{bucket}/{key}"}
    glue.create_table(DatabaseName=database, TableInput={"Name": name, "Parameters": parameters})


def snapshot(number: int, **summary: str) -> dict[str, Any]:
    return {"snapshot-id": number, "timestamp-ms": 1795351854123 + number, "summary": {"operation": "append", **summary}}


def test_each_table_tells_rows_files_bytes_and_snapshots(shop: Shop, progress: Progress) -> None:
    totals = {"total-records": "7", "total-data-files": "2", "total-files-size": "1234"}
    add_table(shop, "silver", "orders", snapshot(1, **{"total-records": "3"}), snapshot(2, **totals))
    add_table(shop, "bronze", "orders")
    add_table(shop, "gold", "daily_revenue", snapshot(1))
    found = tables(shop.session, progress=progress)
    shown = [(table.database, table.rows, table.files, table.bytes, table.snapshots, table.updated_at) for table in found.tables]
    assert shown == [
        ("bronze_tpch", 0, 0, 0, 0, None),
        ("silver_tpch", 7, 2, 1234, 2, "2026-11-22T12:50:54.125Z"),
        ("gold_tpch", None, None, None, 1, "2026-11-22T12:50:54.124Z"),
    ]


def test_metadata_that_is_gone_is_said_in_a_sentence(shop: Shop, progress: Progress) -> None:
    add_table(shop, "silver", "orders", is_written=False)
    with pytest.raises(CommandError, match=r"the metadata of silver_tpch\.orders is gone: s3://.* does not exist"):
        tables(shop.session, progress=progress)
