"""The source block of a dataset that a table of a relational database feeds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lakehouse.clock import duration_seconds
from lakehouse.contracts.compiler.columns import AuthoredColumn
from lakehouse.contracts.compiler.documents import Document, Place, nearest
from lakehouse.contracts.model import DatabaseSource, Source, SourcePartitions, WatermarkColumn
from lakehouse.errors import Fault

ENGINES = ("postgresql",)
"""Types of server that are read; Aurora's PostgreSQL is one."""

NOT_YET: Mapping[str, str] = {
    "postgres": "write type: postgresql",
    "mysql": "feed the dataset from files, or replicate the table into PostgreSQL: MySQL exports no snapshot that several connections share",
    "oracle": "feed the dataset from files, or replicate the table into PostgreSQL",
    "sqlserver": "feed the dataset from files, or replicate the table into PostgreSQL",
}
"""Databases that cannot be read yet, each with the way out."""

HOST = "${DATABASE_HOST}"
"""What the server says as its host: the connection of the environment knows the real one."""

MODES = ("full", "incremental")
MAX_PARTITIONS = 50
DEFAULT_PARTITIONS = 10
MAX_FETCH_SIZE = 100_000

KEYS = (
    "table",
    "mode",
    "watermarkColumn",
    "overlap",
    "partitionColumn",
    "partitions",
    "reconcile",
    "fetchSize",
    "onExtraColumn",
)
"""Keys of the source block."""

FILE_KEYS = ("formats", "header", "delimiter", "quote", "nullValue", "onMissingColumn")
"""Keys that describe files."""

_CONNECTION = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
_IDENTIFIER_BYTES = 63
_TIMES = ("timestamptz", "timestamp")
_INTEGERS = ("int", "long")


def parse_database_source(
    value: Mapping[str, Any],
    *,
    place: Place,
    server: tuple[Place, Mapping[str, Any]],
    columns: Mapping[str, AuthoredColumn],
    sequence_by: tuple[Place, str] | None,
    document: Document,
    faults: list[Fault],
) -> Source | None:
    """Read the source block of a contract with a database server.

    Args:
        value: The block.
        place: Where it stands.
        server: The database server and where it stands.
        columns: Columns of the contract by name.
        sequence_by: What the write block says of `sequenceBy`, if it does.
        document: The contract.
        faults: Receives what is wrong.

    Returns:
        The source, or None if it has faults.
    """
    return _Block(value=value, place=place, columns=columns, document=document, faults=faults).parse(server, sequence_by)


class _Block:
    def __init__(
        self, *, value: Mapping[str, Any], place: Place, columns: Mapping[str, AuthoredColumn], document: Document, faults: list[Fault]
    ) -> None:
        self._value = value
        self._place = place
        self._columns = columns
        self._document = document
        self._faults = faults

    def _fault(self, key: str, problem: str, fix: str) -> None:
        self._faults.append(self._document.fault((*self._place, key) if key else self._place, problem, fix))

    def parse(self, server: tuple[Place, Mapping[str, Any]], sequence_by: tuple[Place, str] | None) -> Source | None:
        count = len(self._faults)
        self._server(*server)
        self._keys()
        if sequence_by is not None:
            self._faults.append(
                self._document.fault(
                    sequence_by[0],
                    f"orders rows by {sequence_by[1]}, but rows of a database are ordered by the snapshot that they were read from",
                    "remove sequenceBy: the later snapshot wins",
                )
            )
        for column in self._columns.values():
            if column.key_position is not None and not _is_plain(column):
                self._faults.append(
                    self._document.fault(
                        column.place,
                        f"is part of the primary key, but {column.name} is not one column of the source as it is",
                        "give the key one raw column, no transformLogic and no format: keys are compared with those of the source",
                    )
                )
        table = self._text("table")
        mode = self._value.get("mode")
        if mode is None:
            self._fault("", "does not say how the table is read", "add mode: full (every row each time) or mode: incremental")
        elif mode not in MODES:
            self._fault("mode", f"{mode!r} is not a mode", nearest(str(mode), MODES))
        watermark = self._watermark(str(mode)) if mode in MODES else None
        partitions = self._partitions()
        reconcile = self._reconcile(str(mode))
        fetch_size = self._number("fetchSize", 10_000, most=MAX_FETCH_SIZE, why="0 would make the driver hold the whole result in memory")
        extra = self._value.get("onExtraColumn", "warn")
        if extra not in ("warn", "halt"):
            self._fault("onExtraColumn", f"{extra!r} is not a reaction", "write warn or halt")
        if len(self._faults) > count or table is None:
            return None
        return Source(
            formats=(),
            on_extra_column="halt" if extra == "halt" else "warn",
            database=DatabaseSource(
                connection=str(server[1].get("server")),
                engine="postgresql",
                schema=str(server[1].get("schema")),
                table=table,
                mode="full" if mode == "full" else "incremental",
                watermark=watermark,
                partitions=partitions,
                reconcile_seconds=reconcile,
                fetch_size=fetch_size,
            ),
        )

    def _server(self, place: Place, server: Mapping[str, Any]) -> None:
        name = server.get("server")
        if isinstance(name, str) and not _CONNECTION.fullmatch(name):
            self._faults.append(
                self._document.fault(
                    (*place, "server"),
                    f"{name!r} is not the name of a connection",
                    "write the name under databases in config/: up to 32 lower-case letters, digits and hyphens",
                )
            )
        if isinstance(server.get("host"), str) and server["host"] != HOST:
            self._faults.append(
                self._document.fault(
                    (*place, "host"),
                    f"{server['host']!r} is an address, which differs between environments",
                    f'write "{HOST}": the connection {name} of the environment knows its reader',
                )
            )
        schema = server.get("schema")
        if isinstance(schema, str) and not _is_identifier(schema):
            self._faults.append(
                self._document.fault((*place, "schema"), f"{schema!r} is not the name of a schema", "write it as it is called")
            )

    def _keys(self) -> None:
        for key in self._value:
            if key == "query":
                self._fault(
                    key,
                    "cannot be read: a query can be neither split into partitions nor compared by key",
                    "make a view of it in the source, and name the view as table",
                )
            elif key in FILE_KEYS:
                self._fault(key, "describes files, but this dataset is read from a database", "remove it")
            elif key not in KEYS:
                self._fault(key, f"{key!r} is not a key of this", nearest(key, KEYS))

    def _text(self, key: str) -> str | None:
        value = self._value.get(key)
        if value is None:
            self._fault("", f"has no {key}", f"add {key}: the name in the source")
            return None
        if not isinstance(value, str) or not _is_identifier(value):
            self._fault(key, f"{value!r} is not a name", f"write the name as the source has it, up to {_IDENTIFIER_BYTES} bytes, no schema")
            return None
        return value

    def _plain_column(self, key: str, types: tuple[str, ...], what: str) -> AuthoredColumn | None:
        """The contract's column that is fed by the source column which stands at a key, if it has one of these types."""
        name = self._value.get(key)
        readers = [column for column in self._columns.values() if name in column.sources]
        plain = [column for column in readers if _is_plain(column)]
        if not readers:
            known = {source for column in self._columns.values() for source in column.sources}
            self._fault(key, f"no column of the contract reads {name!r}", nearest(str(name), known))
            return None
        if not plain:
            self._fault(
                key,
                f"{name!r} feeds no column as it is, so its type is not known",
                "add a column of the contract that reads it without transformLogic or format",
            )
            return None
        found = [column for column in plain if str(column.type) in types or ("decimal" in types and str(column.type).startswith("decimal"))]
        if not found:
            self._fault(key, f"{name!r} is {plain[0].type}, by which {what}", f"use a column of type {', '.join(types)}")
            return None
        return found[0]

    def _watermark(self, mode: str) -> WatermarkColumn | None:
        given = [key for key in ("watermarkColumn", "overlap") if key in self._value]
        if mode == "full":
            for key in given:
                self._fault(key, "has no meaning in a full extraction", "remove it, or write mode: incremental")
            return None
        if "watermarkColumn" not in self._value:
            self._fault("", "is incremental and has no watermarkColumn", "add the column that tells what changed, such as updated_at")
            return None
        column = self._plain_column("watermarkColumn", (*_TIMES, "date", *_INTEGERS), "nothing tells what is newer")
        if "overlap" not in self._value:
            self._fault(
                "",
                "has no overlap: rows that are committed late would be lost",
                "add overlap: PT15M for timestamps, P1D for dates, a number for integers; as long as the longest transaction that writes the table",
            )
            return None
        if column is None:
            return None
        overlap = self._overlap(str(column.type))
        return None if overlap is None else WatermarkColumn(column=column.sources[0], type=str(column.type), overlap=overlap)

    def _overlap(self, type_: str) -> int | None:
        value = self._value["overlap"]
        if type_ in _INTEGERS:
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                self._fault("overlap", f"{value!r} is not a number of steps of the {type_} watermark", "write a whole number, such as 1000")
                return None
            return value
        seconds = duration_seconds(value)
        if seconds is None:
            self._fault("overlap", f"{value!r} is not a duration", "write it in ISO 8601 without months and years, such as PT15M or P1D")
            return None
        if type_ != "date":
            return seconds
        if seconds % 86_400:
            self._fault("overlap", f"{value!r} is not a number of days, but the watermark is a date", "write P0D, P1D, …")
            return None
        return seconds // 86_400

    def _partitions(self) -> SourcePartitions | None:
        if "partitionColumn" not in self._value:
            if "partitions" in self._value:
                self._fault("partitions", "needs a partitionColumn", "add partitionColumn: a number, date or timestamp that is indexed")
            return None
        column = self._plain_column("partitionColumn", (*_INTEGERS, "decimal", "date", *_TIMES), "a table cannot be split")
        count = self._number("partitions", DEFAULT_PARTITIONS, most=MAX_PARTITIONS, why="each is a connection to the database")
        return None if column is None else SourcePartitions(column=column.sources[0], type=str(column.type), count=count)

    def _reconcile(self, mode: str) -> int | None:
        value = self._value.get("reconcile", "always")
        if mode == "full" and "reconcile" in self._value and value != "always":
            self._fault("reconcile", "is always done in a full extraction, which sees every key", "remove it")
            return 0
        if value == "always":
            return 0
        if value == "never":
            return None
        seconds = duration_seconds(value)
        if not seconds:
            self._fault(
                "reconcile",
                f"{value!r} does not say when keys are compared",
                "write always, never, or the longest time between two, such as P1D",
            )
        return seconds

    def _number(self, key: str, default: int, *, most: int, why: str) -> int:
        value = self._value.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            self._fault(key, f"{value!r} is not a number from 1 to {most}: {why}", f"write {key}: {default}")
            return default
        return value


def _is_plain(column: AuthoredColumn) -> bool:
    """Whether a column is one column of the source, as it is."""
    return len(column.sources) == 1 and column.logic is None and column.format in (None, "yyyy-MM-dd")


def _is_identifier(text: str) -> bool:
    return text.isprintable() and 0 < len(text.encode()) <= _IDENTIFIER_BYTES
