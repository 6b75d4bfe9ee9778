"""The custom resource: requests of CloudFormation turned into frozen ones, and what each asks of the catalog."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.contracts.tables import TableDefinition
from lakehouse.errors import TerminalError
from lambdas.custom_resource import Answer
from lambdas.iceberg_table.table import IcebergTables, TableAddress

PROPERTIES = ("Database", "Table", "Location", "Definition", "OnDelete")
"""Properties of the resource; all are text, because CloudFormation turns everything else into text."""

ON_DELETE = ("keep", "drop")

FAILED_SUFFIX = "#not-created"
"""Marks ids of tables that could not be created: rolling back must not touch a table of that name, which is somebody else's."""

Action = Literal["Create", "Update", "Delete"]


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """What CloudFormation asks.

    Attributes:
        action: Create, Update or Delete.
        physical_id: `<database>.<table>` of an earlier answer, None on Create.
        address: Where the table is.
        definition: What it has to be.
        drops_on_delete: Whether it leaves the catalog on Delete.
    """

    action: Action
    physical_id: str | None
    address: TableAddress
    definition: TableDefinition
    drops_on_delete: bool

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> TableRequest:
        """Read an event.

        Raises:
            TerminalError: A property is missing or malformed.
        """
        properties = event["ResourceProperties"]
        missing = [name for name in PROPERTIES if not properties.get(name)]
        if missing:
            raise TerminalError(f"the resource lacks {', '.join(missing)}: it takes {', '.join(PROPERTIES)}")
        if properties["OnDelete"] not in ON_DELETE:
            raise TerminalError(f"OnDelete must be one of {', '.join(ON_DELETE)}, got {properties['OnDelete']!r}")
        try:
            definition = TableDefinition.from_dict(json.loads(properties["Definition"]))
        except (ValueError, KeyError, TypeError) as error:
            raise TerminalError(
                f"Definition is no JSON of a table definition ({error}): deploy functions and contracts together"
            ) from error
        return cls(
            action=event["RequestType"],
            physical_id=event.get("PhysicalResourceId"),
            address=TableAddress(database=properties["Database"], table=properties["Table"], location=properties["Location"]),
            definition=definition,
            drops_on_delete=properties["OnDelete"] == "drop",
        )


def answer_to(request: TableRequest, tables: IcebergTables) -> Answer:
    """Do what is asked; asked twice, the second time changes nothing."""
    name = str(request.address)
    if request.action == "Delete":
        if request.drops_on_delete and request.physical_id == name:
            tables.drop(request.address, contract_id=request.definition.contract_id)
        return Answer(physical_id=request.physical_id or name)
    outcome = tables.put(request.address, request.definition)
    data = {
        "Outcome": outcome,
        "TableName": request.address.table,
        "DatabaseName": request.address.database,
        "Location": request.address.location,
    }
    return Answer(physical_id=name, data=data)


def id_after_failure(event: Mapping[str, Any]) -> str:
    """Physical id to answer with when a request failed: the former one, or one that no later Delete will act on."""
    former = event.get("PhysicalResourceId")
    if former:
        return str(former)
    properties = event.get("ResourceProperties", {})
    return f"{properties.get('Database', 'unknown')}.{properties.get('Table', 'unknown')}{FAILED_SUFFIX}"
