"""Tables that follow from a contract: bronze, silver and quarantine of a dataset with a source, or one gold table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.contracts.model import CompiledContract, PartitionField, SortField
from lakehouse.contracts.plain import plain
from lakehouse.naming import DatasetName

SILVER_PLATFORM_COLUMNS: tuple[tuple[int, str, str], ...] = (
    (10_001, "_source_file", "string"),
    (10_002, "_source_version", "string"),
    (10_003, "_row", "long"),
    (10_004, "_sequence", "string"),
    (10_005, "_batch_id", "string"),
    (10_006, "_ingested_at", "timestamptz"),
)
"""Field id, name and type of what the platform adds to every silver row: where it came from."""

EXTRA_COLUMN = "_extra"
"""Map of the values of columns that the contract does not know."""

RECORD_COLUMN = "_record"
"""Bytes of a record that could not be parsed."""

OPERATION_COLUMN = "_operation"
"""What a record of a database's table says of its key: NULL = this is the row, `delete` = there is none any more."""

DELETE = "delete"
"""Value of `_operation`."""

REASON_FIELDS = ("code", "column", "rule", "message")
"""Fields of a quarantine reason."""

_EXTRA_ID, _EXTRA_KEY_ID, _EXTRA_VALUE_ID, _RECORD_ID, _OPERATION_ID = 10_011, 10_012, 10_013, 10_014, 10_015
_REASONS_ID, _REASON_ID, _FIRST_REASON_FIELD_ID, _RUN_ID_ID, _QUARANTINED_AT_ID = 10_021, 10_022, 10_023, 10_031, 10_032
_BY_DAY_OF_INGESTION = PartitionField(column="_ingested_at", source_id=10_006, transform="day", name="_ingested_at_day", field_id=1000)

PLATFORM_COLUMNS = frozenset(
    (
        *(name for _, name, _ in SILVER_PLATFORM_COLUMNS),
        EXTRA_COLUMN,
        RECORD_COLUMN,
        OPERATION_COLUMN,
        "_reasons",
        "_run_id",
        "_quarantined_at",
    )
)
"""Names that no contract may use."""

KEEP_SNAPSHOTS_DAYS = 5
"""Age up to which snapshots are kept, for time travel and for readers that are still at work."""

CONTRACT_PROPERTY = "lakehouse.contract"
"""Table property that names the contract which a table follows from; a table without it follows from none."""

TABLE_PROPERTIES: Mapping[str, str] = {
    "commit.retry.num-retries": "10",
    "format-version": "2",
    "write.delete.mode": "copy-on-write",
    "write.merge.mode": "copy-on-write",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    "write.parquet.compression-codec": "zstd",
    "write.update.mode": "copy-on-write",
}
"""Properties of every table; docs/contracts.md says why each."""


@dataclass(frozen=True, kw_only=True)
class TableDefinition:
    """An Iceberg table as it has to be.

    Attributes:
        zone: bronze, silver, gold or quarantine.
        domain: Domain of data.
        name: Name of the table, which is the dataset's.
        contract_id: Contract that it follows from.
        contract_version: Version of that contract.
        description: Sentence for people.
        owner: Team that answers for it.
        fields: Columns as Iceberg schema JSON.
        identifier_fields: Names of the columns that identify a row.
        partition: Partition spec.
        sort: Sort order.
        properties: Table properties.
    """

    zone: str
    domain: str
    name: str
    contract_id: str
    contract_version: str
    description: str
    owner: str
    fields: tuple[dict[str, Any], ...]
    identifier_fields: tuple[str, ...]
    partition: tuple[PartitionField, ...]
    sort: tuple[SortField, ...]
    properties: dict[str, str]

    @property
    def dataset(self) -> DatasetName:
        """Name in specs, `<zone>.<domain>.<dataset>`."""
        return DatasetName(zone=self.zone, domain=self.domain, dataset=self.name)

    @property
    def schema(self) -> dict[str, Any]:
        """The schema as Iceberg schema JSON."""
        ids = {field["name"]: field["id"] for field in self.fields}
        return {
            "type": "struct",
            "schema-id": 0,
            "identifier-field-ids": [ids[name] for name in self.identifier_fields],
            "fields": list(self.fields),
        }

    @property
    def partition_spec(self) -> dict[str, Any]:
        """The partition spec as Iceberg JSON."""
        fields = [
            {"name": part.name, "transform": part.transform, "source-id": part.source_id, "field-id": part.field_id}
            for part in self.partition
        ]
        return {"spec-id": 0, "fields": fields}

    @property
    def sort_order(self) -> dict[str, Any]:
        """The sort order as Iceberg JSON; order 0 is reserved for "unsorted"."""
        fields = [
            {"transform": "identity", "source-id": part.source_id, "direction": part.direction, "null-order": part.null_order}
            for part in self.sort
        ]
        return {"order-id": 1 if fields else 0, "fields": fields}

    def to_dict(self) -> dict[str, Any]:
        """The definition as plain Python, for a custom resource."""
        return dict(plain(self))

    def to_json(self) -> str:
        """The definition as JSON with sorted keys: equal definitions give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TableDefinition:
        """Read what `to_dict` gave."""
        fields: dict[str, Any] = {
            **document,
            "fields": tuple(document["fields"]),
            "identifier_fields": tuple(document["identifier_fields"]),
            "partition": tuple(PartitionField(**part) for part in document["partition"]),
            "sort": tuple(SortField(**part) for part in document["sort"]),
        }
        return cls(**fields)


def tables_of(contract: CompiledContract) -> tuple[TableDefinition, ...]:
    """Tables that a contract asks for, in the order in which data flows through them."""
    if contract.source is None:
        return (_contract_table(contract, platform_columns=()),)
    silver_platform = tuple(_optional(field_id, name, type_) for field_id, name, type_ in SILVER_PLATFORM_COLUMNS)
    return (_bronze(contract), _contract_table(contract, platform_columns=silver_platform), _quarantine(contract))


def table_of(contract: CompiledContract, zone: str) -> TableDefinition:
    """The table of a contract in one zone.

    Raises:
        KeyError: The contract has no table there.
    """
    for table in tables_of(contract):
        if table.zone == zone:
            return table
    raise KeyError(f"{contract.id} has no table in {zone}: it has one in {', '.join(table.zone for table in tables_of(contract))}")


def bronze_fields(contract: CompiledContract) -> tuple[dict[str, Any], ...]:
    """Columns of the bronze table: raw columns as they came in, then what the platform notes about each record."""
    raw = tuple(_optional(column.field_id, column.name, "string") for column in contract.raw)
    extra_type = {
        "type": "map",
        "key-id": _EXTRA_KEY_ID,
        "key": "string",
        "value-id": _EXTRA_VALUE_ID,
        "value": "string",
        "value-required": False,
    }
    noted = (_optional(_EXTRA_ID, EXTRA_COLUMN, extra_type), _optional(_RECORD_ID, RECORD_COLUMN, "binary"))
    origin = tuple(_optional(field_id, name, type_) for field_id, name, type_ in SILVER_PLATFORM_COLUMNS)
    operation = () if contract.database is None else (_optional(_OPERATION_ID, OPERATION_COLUMN, "string"),)
    return (*raw, *noted, *origin, *operation)


def _bronze(contract: CompiledContract) -> TableDefinition:
    return _derived(contract, zone="bronze", description=f"Records of {contract.id} as they came in.", fields=bronze_fields(contract))


def _quarantine(contract: CompiledContract) -> TableDefinition:
    reason = {
        "type": "struct",
        "fields": [_optional(_FIRST_REASON_FIELD_ID + index, name, "string") for index, name in enumerate(REASON_FIELDS)],
    }
    reasons = {"type": "list", "element-id": _REASON_ID, "element": reason, "element-required": False}
    fields = (
        *bronze_fields(contract),
        _optional(_REASONS_ID, "_reasons", reasons),
        _optional(_RUN_ID_ID, "_run_id", "string"),
        _optional(_QUARANTINED_AT_ID, "_quarantined_at", "timestamptz"),
    )
    description = f"Records of {contract.id} that the quality gate kept out, with the reasons."
    return _derived(contract, zone="quarantine", description=description, fields=fields)


def _derived(contract: CompiledContract, *, zone: str, description: str, fields: tuple[dict[str, Any], ...]) -> TableDefinition:
    return TableDefinition(
        zone=zone,
        domain=contract.domain,
        name=contract.dataset,
        contract_id=contract.id,
        contract_version=contract.version,
        description=description,
        owner=contract.owner,
        fields=fields,
        identifier_fields=(),
        partition=(_BY_DAY_OF_INGESTION,),
        sort=(),
        properties=dict(TABLE_PROPERTIES),
    )


def _contract_table(contract: CompiledContract, *, platform_columns: tuple[dict[str, Any], ...]) -> TableDefinition:
    authored = tuple(
        {
            "id": column.field_id,
            "name": column.name,
            "required": column.required,
            "type": column.type,
            **({"doc": column.description} if column.description else {}),
        }
        for column in contract.columns
    )
    return TableDefinition(
        zone=contract.zone,
        domain=contract.domain,
        name=contract.dataset,
        contract_id=contract.id,
        contract_version=contract.version,
        description=contract.description,
        owner=contract.owner,
        fields=(*authored, *platform_columns),
        identifier_fields=contract.keys,
        partition=contract.partition,
        sort=contract.sort,
        properties=dict(TABLE_PROPERTIES),
    )


def _optional(field_id: int, name: str, type_: str | dict[str, Any]) -> dict[str, Any]:
    return {"id": field_id, "name": name, "required": False, "type": type_}
