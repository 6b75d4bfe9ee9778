"""What `lake erase` returns; as `cli.results`, a stable JSON shape."""

from __future__ import annotations

from dataclasses import dataclass, field

from cli.results import Run


@dataclass(frozen=True, kw_only=True)
class ErasedTable:
    """What an erasure found in a table of the dataset, and did.

    Attributes:
        table: Zone and dataset, such as `silver.tpch.customer`.
        rows: Rows with the key.
        others: Rows without it, which stay.
        data_files: Files that hold the rows, as the table is now; they are written anew without them.
        snapshots: Snapshots besides the one that readers see; they go.
        object_versions: Versions of objects in its folder that it does not consist of: deleted, or, if nothing was erased yet, noncurrent now.
        unreadable: Rows whose key cannot be read and that may hold it; they stay.
        young: Objects that no snapshot knows and that are too young to be nobody's; they stay.
    """

    table: str
    rows: int
    others: int
    data_files: int
    snapshots: int
    object_versions: int
    unreadable: int
    young: int


@dataclass(frozen=True, kw_only=True)
class ErasedFile:
    """A version of a raw file.

    Attributes:
        file: `s3://` address.
        version_id: Its version.
        rows: Rows of it that have the key; 0 if nobody can tell.
        others: Its other rows: bronze holds them.
        note: Why it goes, or what keeps it from being searched.
    """

    file: str
    version_id: str
    rows: int
    others: int
    note: str


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """What there is of a key in a dataset, and what became of it.

    Attributes:
        env: Environment.
        dataset: Contract id, such as `tpch.customer`.
        run_id: Run of the erasure; in the audit if something was erased.
        key_columns: Columns of the key that was given.
        key_sha256: Hash of dataset, columns and values: what the audit knows the key by.
        outcome: PLANNED (nothing was changed), ERASED (absence is verified), INCOMPLETE, NOT_FOUND or REFUSED.
        message: The same for people, or "".
        tables: Table by table.
        files: Versions of raw files that hold the key: deleted, or to be deleted.
        unsearched: Versions of raw files that were never loaded; nobody can tell what is in them.
        staged_versions: Versions of copies of raw files that runs left in the logs bucket: deleted, or to be deleted.
        elsewhere: Where else the rows may be, and when they go; sentences.
        runs: Runs that computed gold tables and the warehouse anew.
        report: `s3://` address of the report, which names every object version that was deleted.
    """

    env: str
    dataset: str
    run_id: str
    key_columns: list[str]
    key_sha256: str
    outcome: str
    message: str
    tables: list[ErasedTable]
    files: list[ErasedFile]
    unsearched: list[ErasedFile]
    staged_versions: int
    elsewhere: list[str]
    report: str
    runs: list[Run] = field(default_factory=list[Run])
