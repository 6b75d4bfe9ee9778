"""Hive tables of the Glue catalog, such as those that crawlers find: columns added, tables dropped. Iceberg's evolve with their contracts.

Actions on the catalog, the database and its tables: glue:GetTable, GetTables, UpdateTable, BatchDeleteTable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lakehouse.errors import LakehouseError, TerminalError, TransientError
from lakehouse.partitions import Dropped

MOST_DROPPED_AT_ONCE = 100
"""Most tables that one call of Glue's may take away."""

TRIES = 5
"""How often a change is planned anew because somebody else changed the table in between."""

_UNKNOWN = "EntityNotFoundException"
_PASSING = frozenset({"ConcurrentModificationException", "InternalServiceException", "OperationTimeoutException", "ThrottlingException"})
_SHOWN = 3


class InvalidChangeError(TerminalError):
    """A table cannot become what is asked for; nothing was changed."""


class TablesRefused(TerminalError):
    """Glue did not take some tables away, and will not if it is asked again; the others are gone."""


class TablesNotTaken(TransientError):
    """Glue did not take some tables away for now; the others are gone."""


class HiveTables:
    """The tables of one database that are neither Iceberg's nor views."""

    def __init__(self, *, client: Any, database: str) -> None:
        """
        Args:
            client: boto3 Glue client.
            database: Database in the catalog.
        """
        self._client, self._database = client, database

    def add_columns(self, table: str, columns: Mapping[str, str]) -> list[str]:
        """Give a table more columns, behind those that it has; files that lack them read as NULL.

        The table is written back whole, under the version that was read: whoever changes it meanwhile makes this plan anew. What Glue answers and does not take
        back is told by the API's own model, so that nothing of a table is lost.

        Args:
            table: The table.
            columns: Hive's type by name.

        Returns:
            Columns that are new; those that were there, of the same type, stay as they are.

        Raises:
            InvalidChangeError: The table is Iceberg's or has a column of that name and another type.
        """
        for tried in range(1, TRIES + 1):
            found = self._client.get_table(DatabaseName=self._database, Name=table)["Table"]
            new = self._new_columns(found, columns)
            if not new:
                return []
            descriptor = found["StorageDescriptor"]
            added = [*descriptor.get("Columns", []), *({"Name": name, "Type": kind} for name, kind in new.items())]
            try:
                self._client.update_table(
                    DatabaseName=self._database,
                    TableInput={**self._input(found), "StorageDescriptor": {**descriptor, "Columns": added}},
                    SkipArchive=False,
                    **({"VersionId": found["VersionId"]} if found.get("VersionId") else {}),
                )
            except self._client.exceptions.ConcurrentModificationException:
                if tried == TRIES:
                    raise
            else:
                return list(new)
        raise AssertionError("the last try returns or raises")

    def drop(self, tables: Iterable[str]) -> Dropped:
        """Take tables out of the catalog; their files stay.

        Args:
            tables: Names.

        Returns:
            How many are gone; one that was not there is no error.

        Raises:
            InvalidChangeError: One of them is an Iceberg table; none is gone.
            TablesRefused: Glue refused some for good.
            TablesNotTaken: Glue did not take some this time.
        """
        wanted = list(dict.fromkeys(tables))
        pages = self._client.get_paginator("get_tables").paginate(DatabaseName=self._database)
        iceberg = sorted(
            table["Name"] for page in pages for table in page["TableList"] if table["Name"] in set(wanted) and _is_iceberg(table)
        )
        if iceberg:
            raise InvalidChangeError(
                f"{', '.join(iceberg)} of {self._database} are Iceberg tables, which go with the stack of their contracts: leave them out of the call"
            )
        errors: list[Mapping[str, Any]] = []
        for start in range(0, len(wanted), MOST_DROPPED_AT_ONCE):
            names = wanted[start : start + MOST_DROPPED_AT_ONCE]
            errors += self._client.batch_delete_table(DatabaseName=self._database, TablesToDelete=names).get("Errors") or []
        self._require_taken([error for error in errors if error["ErrorDetail"]["ErrorCode"] != _UNKNOWN])
        return Dropped(dropped=len(wanted) - len(errors), unknown=len(errors))

    def _new_columns(self, table: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
        name = f"{self._database}.{table['Name']}"
        if _is_iceberg(table):
            raise InvalidChangeError(f"{name} is an Iceberg table, whose columns are its contract's: add them there and deploy")
        if not table.get("StorageDescriptor"):
            raise InvalidChangeError(f"{name} has no columns of its own: it is a view or a link")
        held = {str(column["Name"]): str(column["Type"]) for column in table["StorageDescriptor"].get("Columns", [])}
        keys = {str(key["Name"]) for key in table.get("PartitionKeys") or []}
        new: dict[str, str] = {}
        for column, kind in columns.items():
            lower = column.lower()
            if not kind:
                raise InvalidChangeError(f"column {column} of {name} has no type: give one of Hive's, such as string or decimal(18,2)")
            if lower in keys:
                raise InvalidChangeError(f"{column} is a partition key of {name}: no file holds it, give the column another name")
            if lower in held and held[lower] != kind:
                raise InvalidChangeError(
                    f"column {column} of {name} is {held[lower]} and would be {kind}: add a column of another name instead"
                )
            if lower not in held:
                new[lower] = kind
        return new

    def _input(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """What of a table Glue takes back."""
        members = self._client.meta.service_model.shape_for("TableInput").members
        return {name: value for name, value in table.items() if name in members}

    def _require_taken(self, errors: list[Mapping[str, Any]]) -> None:
        if not errors:
            return
        shown = "; ".join(
            f"{error['TableName']}: {error['ErrorDetail']['ErrorCode']}: {error['ErrorDetail'].get('ErrorMessage', '')}"
            for error in errors[:_SHOWN]
        )
        more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        is_passing = all(error["ErrorDetail"]["ErrorCode"] in _PASSING for error in errors)
        kind: type[LakehouseError] = TablesNotTaken if is_passing else TablesRefused
        raise kind(f"Glue did not drop {len(errors)} tables of {self._database}: {shown}{more}")


def _is_iceberg(table: Mapping[str, Any]) -> bool:
    return str((table.get("Parameters") or {}).get("table_type", "")).upper() == "ICEBERG"
