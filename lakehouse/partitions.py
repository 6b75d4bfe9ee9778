"""Partitions of Hive tables in the Glue catalog, for tables that are neither Iceberg's nor projected: those of this platform need none.

Actions on the catalog, the database and the table: glue:GetTable, BatchCreatePartition, BatchDeletePartition; `repair` lists the folder (s3:ListBucket).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from lakehouse.errors import LakehouseError, TerminalError, TransientError

MOST_AT_ONCE = 100
"""Most partitions that one call of Glue's may bring."""

MOST_DROPPED_AT_ONCE = 25
"""Most partitions that one call of Glue's may take away."""

_KNOWN = "AlreadyExistsException"
_UNKNOWN = "EntityNotFoundException"
_PASSING = frozenset({"ConcurrentModificationException", "InternalServiceException", "OperationTimeoutException", "ThrottlingException"})
_WHOLE = frozenset({"tinyint", "smallint", "int", "bigint"})
_ESCAPED = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{\[\]^]")
"""What Hive, and Spark with it, writes as %XX in the name of a folder."""

_UNESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_SHOWN = 3


class InvalidPartitionError(TerminalError):
    """A partition, or its table, is not as it has to be; nothing was registered."""


class PartitionsRefused(TerminalError):
    """Glue did not take some partitions, and will not if they are sent again; the others are registered."""


class PartitionsNotTaken(TransientError):
    """Glue did not take some partitions for now; the others are registered, and all may be sent again."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What became of partitions.

    Attributes:
        created: How many are new.
        known: How many were there before; they stay as they are.
    """

    created: int
    known: int


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """What became of things that were to go.

    Attributes:
        dropped: How many are gone.
        unknown: How many were not there.
    """

    dropped: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """What a look at the folders of a table brought.

    Attributes:
        registered: What became of the partitions that were found.
        passed_over: Folders that are no partitions of the table, such as `_temporary/`, or are spelled otherwise than the table would.
    """

    registered: Registered
    passed_over: Sequence[str]


class HivePartitions:
    """The partitions of one table; safe to call twice, and from two places at once."""

    def __init__(self, *, client: Any, database: str, table: str) -> None:
        """
        Args:
            client: boto3 Glue client.
            database: Database in the catalog.
            table: A table with partition keys.
        """
        self._client = client
        self._database, self._table = database, table

    def register(self, partitions: Iterable[Mapping[str, object]]) -> Registered:
        """Make folders of a table known: `<location>/<key>=<value>/...`, read as the table is.

        Args:
            partitions: Value by partition key. A key of type string takes text, zeros and all: '01' is another folder than '1'; a whole number takes
                an int, a date a date.

        Returns:
            How many are new; the same partition twice counts once.

        Raises:
            InvalidPartitionError: The table needs no partitions, or one of them does not fit its keys.
            PartitionsRefused: Glue refused some for good.
            PartitionsNotTaken: Glue did not take some this time.
        """
        table, keys = self._described()
        wanted = list(dict.fromkeys(self._values(partition, keys) for partition in partitions))
        errors: list[Mapping[str, Any]] = []
        for start in range(0, len(wanted), MOST_AT_ONCE):
            inputs = [_input(table, keys, values) for values in wanted[start : start + MOST_AT_ONCE]]
            answer = self._client.batch_create_partition(DatabaseName=self._database, TableName=self._table, PartitionInputList=inputs)
            errors += answer.get("Errors") or []
        self._require_taken([error for error in errors if error["ErrorDetail"]["ErrorCode"] != _KNOWN])
        return Registered(created=len(wanted) - len(errors), known=len(errors))

    def drop(self, partitions: Iterable[Mapping[str, object]]) -> Dropped:
        """Take partitions out of the catalog; their files stay.

        Args:
            partitions: Value by partition key, as for `register`.

        Returns:
            How many are gone; one that was not there is no error.

        Raises:
            InvalidPartitionError: The table has no partitions, or one of them does not fit its keys.
            PartitionsRefused: Glue refused some for good.
            PartitionsNotTaken: Glue did not take some this time.
        """
        _, keys = self._described()
        wanted = list(dict.fromkeys(self._values(partition, keys) for partition in partitions))
        errors: list[Mapping[str, Any]] = []
        for start in range(0, len(wanted), MOST_DROPPED_AT_ONCE):
            values = [{"Values": list(each)} for each in wanted[start : start + MOST_DROPPED_AT_ONCE]]
            answer = self._client.batch_delete_partition(DatabaseName=self._database, TableName=self._table, PartitionsToDelete=values)
            errors += answer.get("Errors") or []
        self._require_taken([error for error in errors if error["ErrorDetail"]["ErrorCode"] != _UNKNOWN])
        return Dropped(dropped=len(wanted) - len(errors), unknown=len(errors))

    def repair(self, s3: Any) -> Repaired:
        """Register whatever folders the table has, for files that somebody else wrote: it lists folders and no files, level by level, and takes nothing away.

        Whoever writes files knows their partitions, and `register` is one call for them; this is the way back when nobody knows them any more.

        Args:
            s3: boto3 S3 client.

        Raises:
            InvalidPartitionError: The table needs no partitions.
            PartitionsRefused: Glue refused some for good.
            PartitionsNotTaken: Glue did not take some this time.
        """
        table, keys = self._described()
        bucket, _, prefix = str(table["StorageDescriptor"]["Location"]).removeprefix("s3://").partition("/")
        root = f"{prefix.strip('/')}/"
        folders, passed_over = [root], list[str]()
        for name, _ in keys:
            below = [folder for parent in folders for folder in _folders(s3, bucket, parent)]
            folders = [folder for folder in below if folder.rstrip("/").rpartition("/")[2].startswith(f"{name}=")]
            passed_over += [folder.removeprefix(root) for folder in below if folder not in set(folders)]
        found: list[dict[str, object]] = []
        for folder in folders:
            relative = folder.removeprefix(root)
            partition = _parsed(relative, keys)
            if partition is None:
                passed_over.append(relative)
            else:
                found.append(partition)
        return Repaired(registered=self.register(found), passed_over=sorted(passed_over))

    def _described(self) -> tuple[Mapping[str, Any], list[tuple[str, str]]]:
        """The table, and its partition keys with their types."""
        table = self._client.get_table(DatabaseName=self._database, Name=self._table)["Table"]
        self._require_hive(table)
        return table, [(str(key["Name"]), str(key["Type"])) for key in table["PartitionKeys"]]

    @property
    def _name(self) -> str:
        return f"{self._database}.{self._table}"

    def _require_hive(self, table: Mapping[str, Any]) -> None:
        parameters: Mapping[str, str] = table.get("Parameters") or {}
        if parameters.get("table_type", "").upper() == "ICEBERG":
            raise InvalidPartitionError(f"{self._name} is an Iceberg table: its own metadata knows its partitions, leave the call out")
        if parameters.get("projection.enabled", "").lower() == "true":
            raise InvalidPartitionError(f"{self._name} has projected partitions: Athena computes them, leave the call out")
        if not table.get("PartitionKeys"):
            raise InvalidPartitionError(f"{self._name} has no partition keys: make the table with them")

    def _values(self, partition: Mapping[str, object], keys: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """Values in the order of the table's keys, as text."""
        names = [name for name, _ in keys]
        if sorted(partition) != sorted(names):
            raise InvalidPartitionError(f"a partition of {self._name} has a value for each of {', '.join(names)}, got {dict(partition)!r}")
        return tuple(self._text(name, kind, partition[name]) for name, kind in keys)

    def _text(self, name: str, kind: str, value: object) -> str:
        match value:
            case str() if kind == "string" and value:
                return value
            case int() if kind in _WHOLE and not isinstance(value, bool):
                return str(value)
            case date() if kind == "date" and type(value) is date:
                return value.isoformat()
            case _:
                allowed = {"string": "a text that is not empty", "date": "a date"}.get(
                    kind, "an int" if kind in _WHOLE else "nothing that is supported"
                )
                raise InvalidPartitionError(f"{name} of {self._name} is a {kind}, which takes {allowed}, got {value!r}")

    def _require_taken(self, errors: Sequence[Mapping[str, Any]]) -> None:
        if not errors:
            return
        shown = "; ".join(
            f"{'/'.join(error['PartitionValues'])}: {error['ErrorDetail']['ErrorCode']}: {error['ErrorDetail'].get('ErrorMessage', '')}"
            for error in errors[:_SHOWN]
        )
        more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        is_passing = all(error["ErrorDetail"]["ErrorCode"] in _PASSING for error in errors)
        kind: type[LakehouseError] = PartitionsNotTaken if is_passing else PartitionsRefused
        raise kind(f"Glue did not take {len(errors)} partitions of {self._name}: {shown}{more}")


def folder_of(keys: Iterable[str], values: Iterable[str]) -> str:
    """Folder of a partition as Hive names it, such as `year=2026/city=S%3Ao`."""
    return "/".join(f"{_escaped(key)}={_escaped(value)}" for key, value in zip(keys, values, strict=True))


def _folders(s3: Any, bucket: str, parent: str) -> Iterable[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=parent, Delimiter="/")
    return (str(item["Prefix"]) for page in pages for item in page.get("CommonPrefixes") or [])


def _parsed(relative: str, keys: Sequence[tuple[str, str]]) -> dict[str, object] | None:
    """Values of a folder; None if a value is none of its key's type, or the table would look for it in a folder that is spelled otherwise."""
    texts = [_UNESCAPED.sub(lambda found: chr(int(found[1], 16)), part.partition("=")[2]) for part in relative.rstrip("/").split("/")]
    if f"{folder_of((name for name, _ in keys), texts)}/" != relative:
        return None
    values: dict[str, object] = {}
    for (name, kind), text in zip(keys, texts, strict=True):
        try:
            values[name] = date.fromisoformat(text) if kind == "date" else int(text) if kind in _WHOLE else text
        except ValueError:
            return None
        if not text or str(values[name]) != text:
            return None
    return values


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _input(table: Mapping[str, Any], keys: Sequence[tuple[str, str]], values: tuple[str, ...]) -> dict[str, Any]:
    """A partition that is read as its table is: without the table's descriptor nobody could read it."""
    descriptor: Mapping[str, Any] = table["StorageDescriptor"]
    location = f"{str(descriptor['Location']).rstrip('/')}/{folder_of((name for name, _ in keys), values)}/"
    return {"Values": list(values), "StorageDescriptor": {**descriptor, "Location": location}}
