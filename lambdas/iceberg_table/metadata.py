"""What changes between a table's metadata and its definition, with the ids that Iceberg asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.contracts.tables import CONTRACT_PROPERTY, TableDefinition
from lambdas.iceberg_table.evolution import IncompatibleChangeError, evolved_fields

VERSION_PROPERTY = "lakehouse.contract-version"
FORMAT_PROPERTY = "format-version"
"""Reserved by Iceberg: an argument of the creation, never a stored property."""

DEFAULT_FORMAT_VERSION = "2"


@dataclass(frozen=True, kw_only=True)
class TableState:
    """Everything of a table that its definition decides, as Iceberg JSON.

    Attributes:
        schema: Schema with its id.
        partition_spec: Partition spec with its id.
        sort_order: Sort order with its id; 0 = unsorted.
        properties: Properties to set.
    """

    schema: dict[str, Any]
    partition_spec: dict[str, Any]
    sort_order: dict[str, Any]
    properties: dict[str, str]


def properties_of(definition: TableDefinition) -> dict[str, str]:
    """Properties that a table gets."""
    properties = {name: value for name, value in definition.properties.items() if name != FORMAT_PROPERTY}
    return {
        **properties,
        CONTRACT_PROPERTY: definition.contract_id,
        VERSION_PROPERTY: definition.contract_version,
        "owner": definition.owner,
        "comment": definition.description,
    }


def first_state(definition: TableDefinition) -> TableState:
    """State of a table that does not exist yet."""
    return TableState(
        schema=definition.schema,
        partition_spec=definition.partition_spec,
        sort_order=definition.sort_order,
        properties=properties_of(definition),
    )


def next_state(metadata: Mapping[str, Any], definition: TableDefinition) -> TableState | None:
    """State that an existing table has to get, or None if nothing changes.

    Args:
        metadata: The table's current metadata, Iceberg's JSON.
        definition: What the table has to be.

    Raises:
        IncompatibleChangeError: It cannot become that.
    """
    wanted_version = definition.properties.get(FORMAT_PROPERTY, DEFAULT_FORMAT_VERSION)
    if int(metadata["format-version"]) != int(wanted_version):
        raise IncompatibleChangeError(
            f"the table has Iceberg format {metadata['format-version']}, the definition asks for {wanted_version}: changing it is one-way and done"
            " by ALTER TABLE ... SET TBLPROPERTIES ('format-version'='...'), then deploy again"
        )
    schema = _next_schema(metadata, definition)
    partition_spec = _next_spec(metadata, definition)
    sort_order = _next_order(metadata, definition)
    held = metadata.get("properties", {})
    properties = {name: value for name, value in properties_of(definition).items() if held.get(name) != value}
    is_same = (
        schema["schema-id"] == metadata["current-schema-id"]
        and partition_spec["spec-id"] == metadata["default-spec-id"]
        and sort_order["order-id"] == metadata["default-sort-order-id"]
        and not properties
    )
    return None if is_same else TableState(schema=schema, partition_spec=partition_spec, sort_order=sort_order, properties=properties)


def current_schema(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The current schema of a table."""
    return next(schema for schema in metadata["schemas"] if schema["schema-id"] == metadata["current-schema-id"])


def _next_schema(metadata: Mapping[str, Any], definition: TableDefinition) -> dict[str, Any]:
    current = current_schema(metadata)
    fields = evolved_fields(current["fields"], definition.schema["fields"])
    required = {field["id"] for field in fields if field["required"]}
    identifiers = [id_ for id_ in definition.schema["identifier-field-ids"] if id_ in required]
    body = {"type": "struct", "identifier-field-ids": identifiers, "fields": fields}
    return _with_id(body, metadata["schemas"], "schema-id", current["schema-id"])


def _next_spec(metadata: Mapping[str, Any], definition: TableDefinition) -> dict[str, Any]:
    fields = definition.partition_spec["fields"]
    meanings = {
        field["field-id"]: (field["source-id"], field["transform"]) for spec in metadata["partition-specs"] for field in spec["fields"]
    }
    for field in fields:
        meaning = meanings.get(field["field-id"], (field["source-id"], field["transform"]))
        if meaning != (field["source-id"], field["transform"]):
            raise IncompatibleChangeError(
                f"partition field {field['name']} has id {field['field-id']}, which the table has used for {meaning[1]} of column id {meaning[0]}:"
                " restore the lock file of the contract, which never gives an id twice"
            )
    return _with_id({"fields": fields}, metadata["partition-specs"], "spec-id", metadata["default-spec-id"])


def _next_order(metadata: Mapping[str, Any], definition: TableDefinition) -> dict[str, Any]:
    fields = definition.sort_order["fields"]
    if not fields:
        return {"order-id": 0, "fields": []}
    return _with_id({"fields": fields}, metadata["sort-orders"], "order-id", metadata["default-sort-order-id"])


def _with_id(body: dict[str, Any], known: Sequence[Mapping[str, Any]], id_name: str, current_id: int) -> dict[str, Any]:
    """The id of the same thing if the table has had it, preferably the current one; else the next free id."""
    same = [thing[id_name] for thing in known if _is_same(thing, body)]
    if same:
        return {**body, id_name: current_id if current_id in same else same[0]}
    return {**body, id_name: max((thing[id_name] for thing in known), default=0) + 1}


def _is_same(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    if sorted(known.get("identifier-field-ids") or []) != sorted(wanted.get("identifier-field-ids") or []):
        return False
    return _plain(known["fields"]) == _plain(wanted["fields"])


def _plain(value: Any) -> Any:
    """Without what makes equal things look different: blanks in types, empty comments."""
    if isinstance(value, str):
        return value.replace(" ", "") if value.startswith("decimal") else value
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items() if not (name == "doc" and not entry)}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
