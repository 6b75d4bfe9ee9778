"""Creates, evolves, adopts and drops Iceberg tables by Glue's own API, which writes their metadata."""

from __future__ import annotations

import gzip
import json
import logging
from dataclasses import dataclass
from typing import Any

from lakehouse.contracts.tables import CONTRACT_PROPERTY, TableDefinition
from lakehouse.errors import TerminalError
from lambdas.iceberg_table.metadata import DEFAULT_FORMAT_VERSION, FORMAT_PROPERTY, TableState, first_state, next_state

TRIES = 5
"""How often an update is planned anew because a job committed in between."""

log = logging.getLogger(__name__)


class ForeignTableError(TerminalError):
    """A table of that name exists and is not ours."""


@dataclass(frozen=True, kw_only=True)
class TableAddress:
    """Where a table is: its names in the catalog, and its folder.

    Attributes:
        database: Catalog database.
        table: Table.
        location: `s3://` address of its folder.
    """

    database: str
    table: str
    location: str

    def __str__(self) -> str:
        return f"{self.database}.{self.table}"


@dataclass(frozen=True, kw_only=True)
class _Existing:
    metadata: dict[str, Any]
    metadata_location: str


class IcebergTables:
    """Iceberg tables of the catalog."""

    def __init__(self, *, glue: Any, s3: Any) -> None:
        """
        Args:
            glue: boto3 Glue client.
            s3: boto3 S3 client, reads metadata.
        """
        self._glue = glue
        self._s3 = s3

    def put(self, address: TableAddress, definition: TableDefinition) -> str:
        """Make a table what its definition says: create it, or evolve one that follows from the same contract; else change nothing.

        Returns:
            `created`, `evolved` or `unchanged`.

        Raises:
            ForeignTableError: A table of that name exists and is not ours.
            IncompatibleChangeError: It cannot become what is asked for.
        """
        existing = self._find(address)
        if existing is None:
            try:
                self._create(address, definition)
            except self._glue.exceptions.AlreadyExistsException:
                log.info("somebody created the table meanwhile", extra={"table": str(address)})
            else:
                return "created"
        return self._evolve(address, definition)

    def drop(self, address: TableAddress, *, contract_id: str) -> bool:
        """Take a table out of the catalog, if it is ours; its files stay.

        Returns:
            Whether it was there and ours.
        """
        existing = self._find_ours(address, contract_id)
        if existing is None:
            return False
        try:
            self._glue.delete_table(DatabaseName=address.database, Name=address.table)
        except self._glue.exceptions.EntityNotFoundException:
            return False
        return True

    def _create(self, address: TableAddress, definition: TableDefinition) -> None:
        state = first_state(definition)
        self._glue.create_table(
            DatabaseName=address.database,
            Name=address.table,
            # No TableInput: with one, Glue describes a plain table and the next update takes Iceberg's marks away.
            OpenTableFormatInput={
                "IcebergInput": {
                    "MetadataOperation": "CREATE",
                    "Version": definition.properties.get(FORMAT_PROPERTY, DEFAULT_FORMAT_VERSION),
                    "CreateIcebergTableInput": {
                        "Location": address.location,
                        "Schema": _schema(state.schema),
                        "PartitionSpec": _partition_spec(state.partition_spec),
                        **({"WriteOrder": _sort_order(state.sort_order)} if state.sort_order["fields"] else {}),
                        "Properties": state.properties,
                    },
                }
            },
        )

    def _evolve(self, address: TableAddress, definition: TableDefinition) -> str:
        for tried in range(1, TRIES + 1):
            existing = self._find(address)
            if existing is None:
                raise TerminalError(f"table {address} vanished while it was being updated: deploy again")
            self._must_be_ours(address, existing, definition.contract_id)
            held_location = str(existing.metadata["location"]).rstrip("/")
            if held_location != address.location.rstrip("/"):
                raise ForeignTableError(
                    f"table {address} lies in {held_location}, the definition says {address.location}: moving data is not a deployment; keep the"
                    " location, or give the new table another name"
                )
            state = next_state(existing.metadata, definition)
            if state is None:
                return "unchanged"
            try:
                self._glue.update_table(
                    DatabaseName=address.database,
                    Name=address.table,
                    UpdateOpenTableFormatInput={
                        "UpdateIcebergInput": {"UpdateIcebergTableInput": {"Updates": [_update(state, held_location)]}}
                    },
                )
            except self._glue.exceptions.ConcurrentModificationException:
                if tried == TRIES:
                    raise
                log.info("a job committed meanwhile: planning anew", extra={"table": str(address), "tried": tried})
            else:
                return "evolved"
        raise AssertionError("the last try returns or raises")

    def _find(self, address: TableAddress) -> _Existing | None:
        try:
            table = self._glue.get_table(DatabaseName=address.database, Name=address.table)["Table"]
        except self._glue.exceptions.EntityNotFoundException:
            return None
        parameters = table.get("Parameters", {})
        place = parameters.get("metadata_location")
        if parameters.get("table_type", "").upper() != "ICEBERG" or not place:
            raise ForeignTableError(f"table {address} exists and is no Iceberg table: drop it, or give the dataset another name")
        bucket, _, key = place.removeprefix("s3://").partition("/")
        body = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return _Existing(metadata=json.loads(gzip.decompress(body) if key.endswith(".gz.metadata.json") else body), metadata_location=place)

    def _find_ours(self, address: TableAddress, contract_id: str) -> _Existing | None:
        try:
            existing = self._find(address)
            if existing is not None:
                self._must_be_ours(address, existing, contract_id)
        except ForeignTableError as error:
            log.warning("left alone", extra={"table": str(address), "error": str(error)})
            return None
        return existing

    def _must_be_ours(self, address: TableAddress, existing: _Existing, contract_id: str) -> None:
        owner = existing.metadata.get("properties", {}).get(CONTRACT_PROPERTY)
        if owner != contract_id:
            whose = (
                f"follows from contract {owner}"
                if owner
                else f"carries no property {CONTRACT_PROPERTY}, so it was not made by this platform"
            )
            raise ForeignTableError(
                f"table {address} exists and {whose}; this deployment wants it for {contract_id}: give the dataset another name, drop the table, or,"
                f" if it is yours, ALTER TABLE {address} SET TBLPROPERTIES ('{CONTRACT_PROPERTY}'='{contract_id}')"
            )


def _update(state: TableState, location: str) -> dict[str, Any]:
    # Without an Action the update says the whole new state; Schema and Location are required by the API in any case.
    return {
        "Schema": _schema(state.schema),
        "PartitionSpec": _partition_spec(state.partition_spec),
        "SortOrder": _sort_order(state.sort_order),
        "Location": location,
        **({"Properties": state.properties} if state.properties else {}),
    }


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "SchemaId": schema["schema-id"],
        "IdentifierFieldIds": schema["identifier-field-ids"],
        "Type": "struct",
        "Fields": [
            {
                "Id": field["id"],
                "Name": field["name"],
                "Type": field["type"],
                "Required": field["required"],
                **({"Doc": field["doc"]} if field.get("doc") else {}),
            }
            for field in schema["fields"]
        ],
    }


def _partition_spec(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "SpecId": spec["spec-id"],
        "Fields": [
            {"SourceId": field["source-id"], "FieldId": field["field-id"], "Transform": field["transform"], "Name": field["name"]}
            for field in spec["fields"]
        ],
    }


def _sort_order(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "OrderId": order["order-id"],
        "Fields": [
            {
                "SourceId": field["source-id"],
                "Transform": field["transform"],
                "Direction": field["direction"],
                "NullOrder": field["null-order"],
            }
            for field in order["fields"]
        ],
    }
