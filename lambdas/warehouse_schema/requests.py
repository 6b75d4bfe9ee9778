"""Requests of CloudFormation, turned into frozen ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.errors import TerminalError
from lakehouse.warehouse.migrations import Migration
from lakehouse.warehouse.tables import WarehouseTable

TABLE = "Custom::WarehouseTable"
SCHEMA = "Custom::WarehouseSchema"
LIMIT = "Custom::WarehouseUsageLimit"
FAILED_SUFFIX = "#not-created"
"""Marks ids of what could not be created: rolling back must not touch a table of that name, which may be older."""

Action = Literal["Create", "Update", "Delete"]


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """A table is asked for.

    Attributes:
        action: Create, Update or Delete.
        physical_id: `<schema>.<table>` of an earlier answer, None on Create.
        table: The table as it has to be.
        before: The table as it was deployed last, None on Create.
        writers: Roles that load it.
        readers: Roles that query it.
        former: Roles that had rights and have none now.
        drops_on_delete: Whether the table goes on Delete.
    """

    action: Action
    physical_id: str | None
    table: WarehouseTable
    before: WarehouseTable | None
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    former: tuple[str, ...]
    drops_on_delete: bool


@dataclass(frozen=True, kw_only=True)
class ExternalSchema:
    """A catalog database, as queries of the warehouse see it."""

    schema: str
    database: str


@dataclass(frozen=True, kw_only=True)
class SchemaRequest:
    """Migrations and external schemas are asked for.

    Attributes:
        action: Create, Update or Delete.
        migrations: All of the project.
        external: External schemas.
        spectrum_role: ARN of the role that reads the lake.
        readers: Roles that query the external schemas.
    """

    action: Action
    migrations: tuple[Migration, ...]
    external: tuple[ExternalSchema, ...]
    spectrum_role: str
    readers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LimitRequest:
    """A limit of what Redshift Serverless uses in a month is asked for.

    Attributes:
        action: Create, Update or Delete.
        physical_id: Id of the limit of an earlier answer, None on Create.
        workgroup_arn: Workgroup that it is for.
        rpu_hours: RPU-hours.
    """

    action: Action
    physical_id: str | None
    workgroup_arn: str
    rpu_hours: int


Request = TableRequest | SchemaRequest | LimitRequest


def request_of(event: Mapping[str, Any]) -> Request:
    """Read an event.

    Raises:
        TerminalError: It is none that this function understands.
    """
    properties: Mapping[str, Any] = event["ResourceProperties"]
    try:
        if event["ResourceType"] == TABLE:
            return _table(event, properties)
        if event["ResourceType"] == SCHEMA:
            return SchemaRequest(
                action=event["RequestType"],
                migrations=tuple(Migration(**item) for item in json.loads(properties["Migrations"])),
                external=tuple(ExternalSchema(**item) for item in json.loads(properties["ExternalSchemas"])),
                spectrum_role=properties["SpectrumRole"],
                readers=tuple(json.loads(properties["Readers"])),
            )
        if event["ResourceType"] == LIMIT:
            return LimitRequest(
                action=event["RequestType"],
                physical_id=event.get("PhysicalResourceId"),
                workgroup_arn=properties["Workgroup"],
                rpu_hours=int(properties["RpuHours"]),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise TerminalError(
            f"the properties of {event['ResourceType']} cannot be read ({error}): deploy functions and stacks together"
        ) from error
    raise TerminalError(f"{event['ResourceType']} is unknown: this function makes {TABLE}, {SCHEMA} and {LIMIT}")


def id_after_failure(event: Mapping[str, Any]) -> str:
    """Physical id to answer with when a request failed: the former one, or one that no later Delete will act on."""
    former = event.get("PhysicalResourceId")
    return str(former) if former else f"{event.get('LogicalResourceId', 'unknown')}{FAILED_SUFFIX}"


def _table(event: Mapping[str, Any], properties: Mapping[str, Any]) -> TableRequest:
    old: Mapping[str, Any] = event.get("OldResourceProperties") or {}
    writers, readers = tuple(json.loads(properties["Writers"])), tuple(json.loads(properties["Readers"]))
    had = [*json.loads(old.get("Writers", "[]")), *json.loads(old.get("Readers", "[]"))]
    return TableRequest(
        action=event["RequestType"],
        physical_id=event.get("PhysicalResourceId"),
        table=WarehouseTable.from_dict(json.loads(properties["Definition"])),
        before=WarehouseTable.from_dict(json.loads(old["Definition"])) if old.get("Definition") else None,
        writers=writers,
        readers=readers,
        former=tuple(dict.fromkeys(role for role in had if role not in (*writers, *readers))),
        drops_on_delete=properties["OnDelete"] == "drop",
    )
