"""The compiled form of a data contract: what every emitter, job, Lambda and construct reads (standard library only)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lakehouse.contracts.plain import plain

FORMAT = "lakehouse.contract/1"
"""Version of the canonical JSON; readers refuse any other."""

Severity = Literal["info", "warning", "error", "critical"]
Action = Literal["record", "warn", "quarantine", "halt"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A top-level column as the contract describes it.

    Attributes:
        id: Stable id of the property; survives renames.
        name: Name in the table.
        field_id: Iceberg field id, from the lock file.
        type: Iceberg type: a string such as `decimal(15, 2)`, or the JSON object of a nested type.
        required: Whether NULL is a fault.
        source: Raw column that feeds it, or None if `logic` computes it or a transform does.
        logic: Spark SQL expression over the raw columns, or None for a plain cast of `source`.
        format: JDK pattern by which a date or timestamp is parsed, or None for ISO 8601.
        classification: public, internal, confidential or restricted.
        pii: Kind of personal data (`email`, `name`), or None.
        description: Sentence for people.
    """

    id: str
    name: str
    field_id: int
    type: str | dict[str, Any]
    required: bool
    source: str | None
    logic: str | None
    format: str | None
    classification: str
    pii: str | None
    description: str


@dataclass(frozen=True, kw_only=True)
class RawColumn:
    """A column of the raw files; bronze and quarantine hold it as a string.

    Attributes:
        name: Name in the files and in bronze.
        field_id: Iceberg field id in bronze and quarantine, from the lock file.
        active: Whether the contract still reads it; a retired one stays in bronze, and files need not have it.
    """

    name: str
    field_id: int
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class PartitionField:
    """One field of the partition spec; transform in Iceberg's words, such as `month` or `bucket[16]`."""

    column: str
    source_id: int
    transform: str
    name: str
    field_id: int


@dataclass(frozen=True, kw_only=True)
class SortField:
    """One field of the sort order."""

    column: str
    source_id: int
    direction: Literal["asc", "desc"]
    null_order: Literal["nulls-first", "nulls-last"]


@dataclass(frozen=True, kw_only=True)
class Write:
    """How rows enter the table; keys are the primary key.

    Attributes:
        mode: `merge` by key, the only mode today.
        sequence_by: Column whose larger value is the newer row of a key; None = the order of arrival decides.
    """

    mode: Literal["merge"] = "merge"
    sequence_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class WatermarkColumn:
    """What an incremental extraction goes by.

    Attributes:
        column: Column of the source table.
        type: Iceberg type that the contract gives it: timestamptz, timestamp, date, int or long.
        overlap: How far below the mark the next extraction begins: seconds for timestamps, days for dates, units for integers.
    """

    column: str
    type: str
    overlap: int


@dataclass(frozen=True, kw_only=True)
class SourcePartitions:
    """How the read of a table is split.

    Attributes:
        column: Column of the source table.
        type: Iceberg type that the contract gives it: an integer, a decimal, a date or a timestamp.
        count: Parts.
    """

    column: str
    type: str
    count: int


@dataclass(frozen=True, kw_only=True)
class DatabaseSource:
    """A table of a relational database that feeds the dataset.

    Attributes:
        connection: Name of the connection.
        engine: `postgresql`.
        schema: Schema of the table.
        table: The table or view.
        mode: `full` reads every row each time, `incremental` what the watermark says.
        watermark: What an incremental extraction goes by; None if the mode is full.
        partitions: How the read is split; None = in one piece.
        reconcile_seconds: Longest time without a comparison of all keys, which finds deletes and missed rows: 0 = every run, None = never.
        fetch_size: Rows that the driver fetches at a time.
    """

    connection: str
    engine: Literal["postgresql"]
    schema: str
    table: str
    mode: Literal["full", "incremental"]
    watermark: WatermarkColumn | None = None
    partitions: SourcePartitions | None = None
    reconcile_seconds: int | None = 0
    fetch_size: int = 10_000

    @property
    def uri(self) -> str:
        """What rows from there have as `_source_file`."""
        return f"jdbc:{self.connection}/{self.schema}.{self.table}"

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> DatabaseSource:
        """Read the canonical document."""
        watermark, partitions = document["watermark"], document["partitions"]
        fields: dict[str, Any] = {
            **document,
            "watermark": None if watermark is None else WatermarkColumn(**watermark),
            "partitions": None if partitions is None else SourcePartitions(**partitions),
        }
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the rows of a dataset come from: files that land in raw, or a table of a database.

    Attributes:
        formats: Accepted file formats, of csv, json (one document a line) and parquet.
        encoding: Character encoding of text files; only UTF-8 today.
        header: Whether CSV files begin with the column names.
        delimiter: CSV delimiter.
        quote: CSV quote character; doubled inside quotes.
        null_value: CSV text that means NULL, when not quoted.
        on_extra_column: `warn`: kept in `_extra`, the run warns; `halt`: the file is rejected.
        on_missing_column: `halt`: the file is rejected; `warn`: read as NULL.
        database: The table that is read instead of files; then of the others only `on_extra_column` counts, and `formats` is empty.
    """

    formats: tuple[str, ...] = ("csv", "json", "parquet")
    encoding: str = "UTF-8"
    header: bool = True
    delimiter: str = ","
    quote: str = '"'
    null_value: str = ""
    on_extra_column: Literal["warn", "halt"] = "warn"
    on_missing_column: Literal["warn", "halt"] = "halt"
    database: DatabaseSource | None = None

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Source:
        """Read the canonical document."""
        database = document.get("database")
        fields: dict[str, Any] = {
            **document,
            "formats": tuple(document["formats"]),
            "database": None if database is None else DatabaseSource.from_dict(database),
        }
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One check of the quality gate.

    Attributes:
        id: Unique in the contract, such as `o_orderstatus.in_set`.
        level: `row` judges each row, `table` judges the rows that survive.
        kind: Row: not_null, in_set, pattern, range, length, predicate. Table: unique, duplicates, null_count, invalid_count, row_count, sql, relationship.
        code: Reason code of a quarantined row (row level), or "" (table level).
        column: Column that it watches, or None.
        severity: info, warning, error or critical.
        action: What follows: record, warn, quarantine (row rules) or halt.
        dimension: Dimension of data quality, such as completeness.
        args: What the kind needs: `values`; `pattern`; `minimum`, `maximum`, `exclusive_minimum`, `exclusive_maximum`; `min_length`, `max_length`;
            `expression` (Spark SQL, true = good); `columns` (unique, duplicates); `query`; `to_table`, `to_columns` (relationship).
        operator: Table rules: eq, ne, lt, le, gt, ge against `threshold`; None for row rules and `unique`.
        threshold: Number that the operator compares with.
        unit: `rows` or `percent`.
    """

    id: str
    level: Literal["row", "table"]
    kind: str
    code: str
    column: str | None
    severity: Severity
    action: Action
    dimension: str
    args: dict[str, Any] = field(default_factory=dict)
    operator: str | None = None
    threshold: float | None = None
    unit: Literal["rows", "percent"] = "rows"


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The quality gate of a dataset.

    Attributes:
        rules: Checks in the order of the contract.
        score_threshold: Least share of the error and critical rules that must hold on the surviving rows, 0-100.
        max_quarantine_percent: Most rows of a run that may go to quarantine, in percent; 100 switches the breaker off.
    """

    rules: tuple[Rule, ...]
    score_threshold: float = 95.0
    max_quarantine_percent: float = 100.0


WAREHOUSE_DIST_STYLES = ("auto", "even", "all", "key")
"""How the warehouse spreads rows: as it chooses, evenly, all of them everywhere, by a column."""

WAREHOUSE_ENCODINGS: Mapping[str, tuple[str, ...]] = {
    "string": ("auto", "raw", "bytedict", "lzo", "runlength", "text255", "text32k", "zstd"),
    "number": ("auto", "raw", "az64", "bytedict", "delta", "lzo", "mostly8", "runlength", "zstd"),
    "other": ("auto", "raw", "runlength", "zstd"),
}
"""Compressions of a column by what it holds: strings; whole and decimal numbers, dates and timestamps; everything else."""


@dataclass(frozen=True, kw_only=True)
class HotRows:
    """Rows that the warehouse holds, where it does not hold all.

    Attributes:
        column: Date by which rows grow old.
        days: Days that they stay; older ones are in the lake alone.
    """

    column: str
    days: int


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """How the table of the dataset lies in the warehouse, where one of its pipelines loads it there.

    Attributes:
        dist_style: One of `WAREHOUSE_DIST_STYLES`.
        dist_key: Column that rows are spread by, for the style `key`.
        sort_keys: Columns that rows are sorted by; none = the warehouse chooses.
        encodings: Compression by column; the warehouse chooses the others.
        hot: Rows that it holds; None: all.
    """

    dist_style: Literal["auto", "even", "all", "key"] = "auto"
    dist_key: str | None = None
    sort_keys: tuple[str, ...] = ()
    encodings: dict[str, str] = field(default_factory=dict[str, str])
    hot: HotRows | None = None

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Warehouse:
        """Read it out of the canonical document."""
        hot: dict[str, Any] | None = document.get("hot")
        fields: dict[str, Any] = {**document, "sort_keys": tuple(document["sort_keys"]), "hot": None if hot is None else HotRows(**hot)}
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class CompiledContract:
    """A contract after validation: one canonical JSON document.

    Attributes:
        id: `<domain>.<dataset>`; never renamed.
        version: Semantic version of the contract.
        status: draft, active, deprecated or retired.
        zone: `silver` or `gold`.
        domain: Domain of data.
        dataset: Name of the table.
        description: Purpose.
        owner: Team that answers for it.
        columns: Columns in order.
        keys: Names of the primary key's columns, in order.
        partition: Partition spec.
        sort: Sort order.
        write: How rows enter.
        source: Where rows come from; None for a dataset that only a transform writes.
        quality: The gate.
        raw: Raw columns that the contract reads or once read, in the order of their field ids; empty without a source.
        retention_days: Longest age of rows, or None.
        tags: Free words.
        sla: Service levels as authored, for alarms and docs.
        warehouse: How its table lies in the warehouse; None = as the warehouse chooses.
    """

    id: str
    version: str
    status: str
    zone: Literal["silver", "gold"]
    domain: str
    dataset: str
    description: str
    owner: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    partition: tuple[PartitionField, ...]
    sort: tuple[SortField, ...]
    write: Write
    source: Source | None
    quality: Quality
    raw: tuple[RawColumn, ...] = ()
    retention_days: int | None = None
    tags: tuple[str, ...] = ()
    sla: tuple[dict[str, Any], ...] = ()
    warehouse: Warehouse | None = None

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.id} has no column {name!r}: it has {', '.join(column.name for column in self.columns)}")

    @property
    def database(self) -> DatabaseSource | None:
        """Table of a database that feeds the dataset, or None."""
        return None if self.source is None else self.source.database

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Names of the raw columns that files, or the source table, must have."""
        return tuple(column.name for column in self.raw if column.active)

    def to_dict(self) -> dict[str, Any]:
        """The canonical document as plain Python."""
        document: dict[str, Any] = {"format": FORMAT, **plain(self)}
        if self.warehouse is None:
            # Absent, not null: a contract that says nothing of the warehouse keeps its bytes.
            del document["warehouse"]
        elif self.warehouse.hot is None:
            del document["warehouse"]["hot"]
        return document

    def to_json(self) -> str:
        """The canonical document: sorted keys, no blanks, equal contracts give equal bytes."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> CompiledContract:
        """Read the canonical document.

        Raises:
            ValueError: The document has another format.
        """
        if document.get("format") != FORMAT:
            raise ValueError(
                f"this reads contracts of format {FORMAT!r}, got {document.get('format')!r}: deploy jobs and contracts together"
            )
        data = {key: value for key, value in document.items() if key != "format"}
        source: dict[str, Any] | None = data["source"]
        quality: dict[str, Any] = data["quality"]
        warehouse: dict[str, Any] | None = data.get("warehouse")
        rules = tuple(Rule(**rule) for rule in quality["rules"])
        fields: dict[str, Any] = {
            **data,
            "columns": tuple(Column(**column) for column in data["columns"]),
            "keys": tuple(data["keys"]),
            "partition": tuple(PartitionField(**part) for part in data["partition"]),
            "sort": tuple(SortField(**part) for part in data["sort"]),
            "write": Write(**data["write"]),
            "source": None if source is None else Source.from_dict(source),
            "quality": replace(Quality(**quality), rules=rules),
            "raw": tuple(RawColumn(**column) for column in data["raw"]),
            "tags": tuple(data["tags"]),
            "sla": tuple(data["sla"]),
            "warehouse": None if warehouse is None else Warehouse.from_dict(warehouse),
        }
        return cls(**fields)

    @classmethod
    def from_json(cls, text: str) -> CompiledContract:
        """Read the canonical JSON."""
        return cls.from_dict(json.loads(text))
