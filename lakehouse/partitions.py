"""Partitions of Hive tables in the Glue catalog, for tables that are neither Iceberg's nor projected: those of this platform need none.

Actions on the catalog, the database and the table: glue:GetTable, BatchCreatePartition.
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

_KNOWN = "AlreadyExistsException"
_PASSING = frozenset({"ConcurrentModificationException", "InternalServiceException", "OperationTimeoutException", "ThrottlingException"})
_WHOLE = frozenset({"tinyint", "smallint", "int", "bigint"})
_ESCAPED = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{\[\]^]")
"""What Hive, and Spark with it, writes as %XX in the name of a folder."""

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
        table = self._client.get_table(DatabaseName=self._database, Name=self._table)["Table"]
        self._require_hive(table)
        keys = [(str(key["Name"]), str(key["Type"])) for key in table["PartitionKeys"]]
        wanted = list(dict.fromkeys(self._values(partition, keys) for partition in partitions))
        errors: list[Mapping[str, Any]] = []
        for start in range(0, len(wanted), MOST_AT_ONCE):
            inputs = [_input(table, keys, values) for values in wanted[start : start + MOST_AT_ONCE]]
            answer = self._client.batch_create_partition(DatabaseName=self._database, TableName=self._table, PartitionInputList=inputs)
            errors += answer.get("Errors") or []
        self._require_taken([error for error in errors if error["ErrorDetail"]["ErrorCode"] != _KNOWN])
        return Registered(created=len(wanted) - len(errors), known=len(errors))

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


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _input(table: Mapping[str, Any], keys: Sequence[tuple[str, str]], values: tuple[str, ...]) -> dict[str, Any]:
    """A partition that is read as its table is: without the table's descriptor nobody could read it."""
    descriptor: Mapping[str, Any] = table["StorageDescriptor"]
    location = f"{str(descriptor['Location']).rstrip('/')}/{folder_of((name for name, _ in keys), values)}/"
    return {"Values": list(values), "StorageDescriptor": {**descriptor, "Location": location}}
