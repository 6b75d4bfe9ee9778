"""`lake tables`: what each table of the lake holds, as its own metadata says; no query runs for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from cli.errors import CommandError
from cli.progress import Progress
from cli.results import TableContent, Tables
from cli.rows import row_datasets
from cli.session import Session
from lakehouse.clock import to_text
from lakehouse.contracts.tables import tables_of
from lakehouse.naming import TABLE_ZONES, DatasetName

_S3 = "s3://"
_AT_ONCE = 8


def tables(session: Session, *, progress: Progress) -> Tables:
    """Content of every table of the environment that exists, by zone: those of contracts, and those that rows of groups made.

    Raises:
        CommandError: The catalog points to metadata that is not there.
    """
    datasets = sorted(
        {*(definition.dataset for contract in session.contracts.values() for definition in tables_of(contract)), *row_datasets(session)},
        key=lambda table: (TABLE_ZONES.index(table.zone), table.domain, table.dataset),
    )
    glue, s3 = session.client("glue"), session.client("s3")
    progress.update(f"reading the metadata of {len(datasets)} tables")
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        found = pool.map(lambda dataset: _content(session, dataset, glue=glue, s3=s3), datasets)
        return Tables(env=session.env, tables=[content for content in found if content is not None])


def _content(session: Session, dataset: DatasetName, *, glue: Any, s3: Any) -> TableContent | None:
    database = session.names.database(dataset.zone, dataset.domain)
    try:
        table = glue.get_table(DatabaseName=database, Name=dataset.dataset)["Table"]
    except glue.exceptions.EntityNotFoundException:
        return None
    location = str(table.get("Parameters", {}).get("metadata_location", ""))
    bucket, _, key = location.removeprefix(_S3).partition("/")
    if not location.startswith(_S3):
        raise CommandError(f"{database}.{dataset.dataset} is no Iceberg table: the catalog names no metadata for it; deploy again")
    try:
        metadata: Mapping[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey as gone:
        raise CommandError(f"the metadata of {database}.{dataset.dataset} is gone: {location} does not exist") from gone
    snapshots: list[dict[str, Any]] = metadata.get("snapshots") or []
    current = next((snapshot for snapshot in snapshots if snapshot["snapshot-id"] == metadata.get("current-snapshot-id")), None)
    summary: Mapping[str, str] = current["summary"] if current else {}

    def total(name: str) -> int | None:
        if current is None:
            return 0
        return int(summary[name]) if name in summary else None

    return TableContent(
        zone=dataset.zone,
        database=database,
        name=dataset.dataset,
        rows=total("total-records"),
        files=total("total-data-files"),
        bytes=total("total-files-size"),
        snapshots=len(snapshots),
        updated_at=to_text(datetime.fromtimestamp(current["timestamp-ms"] / 1000, UTC)) if current else None,
        location=str(metadata["location"]),
    )
