"""A fake of Glue's Iceberg API: requests are held to botocore's model, metadata to pyiceberg's, files lie in moto's S3."""

from __future__ import annotations

import copy
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.validate import validate_parameters
from pyiceberg.table.metadata import TableMetadataUtil

_MODEL = botocore.session.get_session().get_service_model("glue")


class EntityNotFoundException(Exception):
    """As Glue says it."""


class AlreadyExistsException(Exception):
    """As Glue says it."""


class ConcurrentModificationException(Exception):
    """As Glue says it."""


@dataclass
class Glue:
    s3: Any
    tables: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    updates: list[dict[str, Any]] = field(default_factory=list)
    conflicts: int = 0

    class exceptions:  # noqa: N801 - as boto3 has it
        EntityNotFoundException = EntityNotFoundException
        AlreadyExistsException = AlreadyExistsException
        ConcurrentModificationException = ConcurrentModificationException

    def get_table(self, **request: Any) -> dict[str, Any]:
        self._check("GetTable", request)
        if (request["DatabaseName"], request["Name"]) not in self.tables:
            raise EntityNotFoundException
        return {"Table": copy.deepcopy(self.tables[request["DatabaseName"], request["Name"]])}

    def create_table(self, **request: Any) -> None:
        self._check("CreateTable", request)
        place = (request["DatabaseName"], request["Name"])
        if place in self.tables:
            raise AlreadyExistsException
        iceberg = request["OpenTableFormatInput"]["IcebergInput"]
        assert iceberg["MetadataOperation"] == "CREATE"
        wanted = iceberg["CreateIcebergTableInput"]
        schema, spec = _schema(wanted["Schema"]), _spec(wanted["PartitionSpec"])
        order = _order(wanted["WriteOrder"]) if "WriteOrder" in wanted else {"order-id": 0, "fields": []}
        metadata = {
            "format-version": int(iceberg["Version"]),
            "table-uuid": str(uuid.uuid4()),
            "location": wanted["Location"],
            "last-sequence-number": 0,
            "last-updated-ms": 1,
            "last-column-id": max(_ids(schema["fields"])),
            "schemas": [schema],
            "current-schema-id": schema["schema-id"],
            "partition-specs": [spec],
            "default-spec-id": spec["spec-id"],
            "last-partition-id": max((part["field-id"] for part in spec["fields"]), default=999),
            "properties": wanted["Properties"],
            "sort-orders": [order],
            "default-sort-order-id": order["order-id"],
            "snapshots": [],
            "refs": {},
        }
        self._keep(place, metadata)

    def update_table(self, **request: Any) -> None:
        self._check("UpdateTable", request)
        if self.conflicts:
            self.conflicts -= 1
            raise ConcurrentModificationException
        place = (request["DatabaseName"], request["Name"])
        if place not in self.tables:
            raise EntityNotFoundException
        assert "TableInput" not in request
        (update,) = request["UpdateOpenTableFormatInput"]["UpdateIcebergInput"]["UpdateIcebergTableInput"]["Updates"]
        self.updates.append(update)
        metadata = self.metadata(*place)
        schema, spec, order = _schema(update["Schema"]), _spec(update["PartitionSpec"]), _order(update["SortOrder"])
        for known, thing, id_, current in (
            ("schemas", schema, "schema-id", "current-schema-id"),
            ("partition-specs", spec, "spec-id", "default-spec-id"),
            ("sort-orders", order, "order-id", "default-sort-order-id"),
        ):
            same = [entry for entry in metadata[known] if entry[id_] == thing[id_]]
            assert not same or _bare(same[0], id_) == _bare(thing, id_), f"{id_} {thing[id_]} is given twice: {same} {thing}"
            metadata[known] = metadata[known] if same else [*metadata[known], thing]
            metadata[current] = thing[id_]
        metadata["last-column-id"] = max(metadata["last-column-id"], *_ids(schema["fields"]))
        metadata["last-partition-id"] = max([metadata["last-partition-id"], *(part["field-id"] for part in spec["fields"])])
        metadata["location"] = update["Location"]
        metadata["properties"] = {**metadata["properties"], **update.get("Properties", {})}
        self._keep(place, metadata)

    def delete_table(self, **request: Any) -> None:
        self._check("DeleteTable", request)
        if self.tables.pop((request["DatabaseName"], request["Name"]), None) is None:
            raise EntityNotFoundException

    def metadata(self, database: str, table: str) -> dict[str, Any]:
        bucket, _, key = self.tables[database, table]["Parameters"]["metadata_location"].removeprefix("s3://").partition("/")
        return json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def _keep(self, place: tuple[str, str], metadata: dict[str, Any]) -> None:
        TableMetadataUtil.parse_obj(metadata)
        bucket, _, folder = metadata["location"].removeprefix("s3://").partition("/")
        key = f"{folder.rstrip('/')}/metadata/{uuid.uuid4()}.metadata.json"
        self.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(metadata).encode())
        self.tables[place] = {"Name": place[1], "Parameters": {"table_type": "ICEBERG", "metadata_location": f"s3://{bucket}/{key}"}}

    @staticmethod
    def _check(operation: str, request: dict[str, Any]) -> None:
        validate_parameters(request, _MODEL.operation_model(operation).input_shape)


def _schema(given: dict[str, Any]) -> dict[str, Any]:
    fields = [
        {
            "id": entry["Id"],
            "name": entry["Name"],
            "required": entry["Required"],
            "type": entry["Type"],
            **({"doc": entry["Doc"]} if "Doc" in entry else {}),
        }
        for entry in given["Fields"]
    ]
    return {"type": "struct", "schema-id": given["SchemaId"], "identifier-field-ids": given["IdentifierFieldIds"], "fields": fields}


def _spec(given: dict[str, Any]) -> dict[str, Any]:
    names = {"SourceId": "source-id", "FieldId": "field-id", "Transform": "transform", "Name": "name"}
    return {"spec-id": given["SpecId"], "fields": [{names[name]: value for name, value in part.items()} for part in given["Fields"]]}


def _order(given: dict[str, Any]) -> dict[str, Any]:
    names = {"SourceId": "source-id", "Transform": "transform", "Direction": "direction", "NullOrder": "null-order"}
    return {"order-id": given["OrderId"], "fields": [{names[name]: value for name, value in part.items()} for part in given["Fields"]]}


def _bare(thing: dict[str, Any], id_: str) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name != id_}


def _ids(value: Any) -> list[int]:
    if isinstance(value, dict):
        own = [entry for name, entry in value.items() if name in {"id", "element-id", "key-id", "value-id"}]
        return own + [id_ for entry in value.values() for id_ in _ids(entry)]
    return [id_ for entry in value for id_ in _ids(entry)] if isinstance(value, list) else []
