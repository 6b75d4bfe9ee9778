"""Glue's Iceberg API: CreateTable and UpdateTable that write Iceberg's metadata themselves, with their caller's rights.

Field ids, spec ids and order ids are taken as they are given; an update says the whole new schema, partition spec and sort order.
Also makes Glue's own optimistic lock (VersionId) hold for two commits at a time, and TableInput replace what was there.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from local.aws import caller_objects, glue_versions, guard, seam
from local.aws.caller_objects import NoSuchObjectError, RefusedError

if TYPE_CHECKING:
    from local.aws.door import Response

VERSIONS = ("2", "3")
"""Iceberg format versions that tables can be made with."""

FIRST_PARTITION_FIELD = 1000
"""Id of the first partition field, by Iceberg's specification."""

Json = dict[str, Any]

_glue = seam.module("services.glue")
_s3 = seam.module("services.s3")
_responses = seam.module("core.responses")

_lock = threading.RLock()
_NAMES = {"initialDefault": "initial-default", "writeDefault": "write-default"}
_HIVE = {
    "string": "string", "int": "int", "integer": "int", "smallint": "int", "tinyint": "int", "bigint": "long", "long": "long", "double": "double",
    "float": "float", "boolean": "boolean", "date": "date", "timestamp": "timestamp", "binary": "binary",
}  # fmt: skip
_TO_HIVE = {
    "long": "bigint",
    "timestamptz": "timestamp",
    "timestamp_ns": "timestamp",
    "timestamptz_ns": "timestamp",
    "uuid": "string",
    "time": "string",
}
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_WIDER = {("int", "long"), ("float", "double")}


class InvalidTableError(ValueError):
    """A table, or a change of one, that is refused; the text is what the caller gets."""


# ---- CreateTable -----------------------------------------------------------------------------------------------------


def _create_table(data: Mapping[str, Any]) -> Response:
    original = seam.original("services.glue._create_table")
    asked = (data.get("OpenTableFormatInput") or {}).get("IcebergInput")
    if not asked:
        with _lock:
            return _without_empty(data, original(data))
    table_input = copy.deepcopy(dict(data.get("TableInput") or {}))
    name, database = str(data.get("Name") or table_input.get("Name") or ""), str(data.get("DatabaseName") or "")
    if database not in _glue._databases:
        return _error("EntityNotFoundException", f"Database {database} not found.")
    if f"{database}/{name}" in _glue._tables:
        return _error("AlreadyExistsException", "Table already exists.")
    try:
        if not name:
            raise InvalidTableError("Name must not be empty")
        metadata = _first_metadata(asked, table_input)
    except InvalidTableError as refused:
        return _error("InvalidInputException", str(refused))
    place = f"{metadata['location']}/metadata/00000-{uuid.uuid4()}.metadata.json"
    refused_write = _write(place, metadata, via="glue:CreateTable")
    if refused_write is not None:
        return refused_write
    table_input = _described(table_input, metadata, place) | {"Name": name}
    with _lock:
        return _without_empty(data, original({**data, "TableInput": table_input}), name=name)


def _first_metadata(asked: Mapping[str, Any], table_input: Mapping[str, Any]) -> Json:
    if asked.get("MetadataOperation") != "CREATE":
        raise InvalidTableError(f"MetadataOperation must be CREATE, got {asked.get('MetadataOperation')!r}")
    version = str(asked.get("Version") or "2")
    if version not in VERSIONS:
        raise InvalidTableError(f"Iceberg table version {version} is not served by the laptop platform; it serves {', '.join(VERSIONS)}")
    if table_input.get("PartitionKeys"):
        raise InvalidTableError("PartitionKeys are not supported for Iceberg tables: give a PartitionSpec")
    model = asked.get("CreateIcebergTableInput") or {}
    descriptor = table_input.get("StorageDescriptor") or {}
    location = str(model.get("Location") or descriptor.get("Location") or "").rstrip("/")
    if not re.fullmatch(r"s3://[^/]+/.+", location):
        raise InvalidTableError(f"Location must be an s3:// folder, got {location!r}")
    schema = _schema(model["Schema"]) if model.get("Schema") else _schema_of_columns(descriptor.get("Columns") or [])
    schema["schema-id"] = 0
    spec = _spec(model.get("PartitionSpec") or {}, 0, schema)
    order = _order(model.get("WriteOrder") or {}, schema)
    metadata: Json = {
        "format-version": int(version),
        "table-uuid": str(uuid.uuid4()),
        "location": location,
        "last-sequence-number": 0,
        "last-updated-ms": int(time.time() * 1000),
        "last-column-id": max(_ids(schema), default=0),
        "current-schema-id": 0,
        "schemas": [schema],
        "default-spec-id": 0,
        "partition-specs": [spec],
        "last-partition-id": max((field["field-id"] for field in spec["fields"]), default=FIRST_PARTITION_FIELD - 1),
        "default-sort-order-id": order["order-id"],
        "sort-orders": [order],
        "properties": {str(key): str(value) for key, value in (model.get("Properties") or {}).items()},
        "current-snapshot-id": None,
        "refs": {},
        "snapshots": [],
        "statistics": [],
        "partition-statistics": [],
        "snapshot-log": [],
        "metadata-log": [],
        **({"next-row-id": 0} if version == "3" else {}),
    }
    _check(metadata)
    return metadata


# ---- UpdateTable -----------------------------------------------------------------------------------------------------


def _update_table(data: Mapping[str, Any]) -> Response:
    asked = (data.get("UpdateOpenTableFormatInput") or {}).get("UpdateIcebergInput")
    return _replace_definition(data) if not asked else _evolve(data, asked)


def _replace_definition(data: Mapping[str, Any]) -> Response:
    """UpdateTable with a TableInput: the whole definition is replaced, if the version is still the one that the caller has seen."""
    table_input = dict(data.get("TableInput") or {})
    key = f"{data.get('DatabaseName')}/{table_input.get('Name')}"
    defaults: Json = {
        "Description": "",
        "Owner": "",
        "StorageDescriptor": {},
        "PartitionKeys": [],
        "Parameters": {},
        "TableType": "EXTERNAL_TABLE",
    }
    with _lock:
        if key not in _glue._tables:
            return _error("EntityNotFoundException", "Entity Not Found")
        before = dict(_glue._tables[key])
        answer = seam.original("services.glue._update_table")({**data, "TableInput": {**defaults, **table_input}})
        if answer[0] == 200 and not data.get("SkipArchive"):
            glue_versions.keep(key, before)
        return _without_empty(data, answer)


def _without_empty(data: Mapping[str, Any], answer: Response, *, name: str = "") -> Response:
    """Leave out of a table what nobody gave: clients give back what they got, and Glue takes no empty owner.

    Args:
        data: The request.
        answer: MiniStack's answer to it.
        name: Name of the table, if it does not stand in the TableInput.
    """
    table = _glue._tables.get(f"{data.get('DatabaseName')}/{name or (data.get('TableInput') or {}).get('Name')}")
    # Trino takes a view without an owner for one of a definer whom it does not know.
    if table is not None and table.get("TableType") != "VIRTUAL_VIEW":
        for member in ("Owner", "Description"):
            if not table.get(member):
                table.pop(member, None)
        _tell_columns(table)
    return answer


def _evolve(data: Mapping[str, Any], asked: Mapping[str, Any]) -> Response:
    if data.get("TableInput"):
        return _error("InvalidInputException", "TableInput and UpdateOpenTableFormatInput must not be given together")
    key = f"{data.get('DatabaseName')}/{data.get('Name')}"
    table = _glue._tables.get(key)
    if table is None:
        return _error("EntityNotFoundException", "Entity Not Found")
    parameters, version = dict(table.get("Parameters") or {}), str(table.get("VersionId", "1"))
    if data.get("VersionId") is not None and str(data["VersionId"]) != version:
        return _concurrent(str(data.get("Name")))
    place = parameters.get("metadata_location")
    if str(parameters.get("table_type", "")).upper() != "ICEBERG" or not place:
        return _error("InvalidInputException", f"Table {data.get('Name')} is not an Iceberg table")
    bucket, name = caller_objects.split(place)
    try:
        before: Json = json.loads(caller_objects.get(guard.caller.get(), bucket, name, via="glue:UpdateTable"))
        metadata = _next_metadata(before, place, asked)
    except InvalidTableError as refused:
        return _error("InvalidInputException", str(refused))
    except RefusedError as refused:
        return _error("AccessDeniedException", str(refused))
    except (NoSuchObjectError, ValueError) as broken:
        return _error("InvalidInputException", f"The table's metadata {place} cannot be read: {broken}")
    if metadata is None:
        return _responses.json_response({})
    sequence = int(re.sub(r"\D.*", "", place.rsplit("/", 1)[-1]) or 0) + 1
    new_place = f"{metadata['location']}/metadata/{sequence:05d}-{uuid.uuid4()}.metadata.json"
    refused_write = _write(new_place, metadata, via="glue:UpdateTable")
    if refused_write is not None:
        return refused_write
    described = _described(
        {"Parameters": {**parameters, "previous_metadata_location": place}, "StorageDescriptor": table["StorageDescriptor"]},
        metadata,
        new_place,
    )
    kept = {name: table[name] for name in ("Name", "Description", "Owner", "PartitionKeys") if name in table}
    with _lock:
        if _glue._tables.get(key) is None or str(_glue._tables[key].get("VersionId", "1")) != version:
            return _concurrent(str(data.get("Name")))
        return seam.original("services.glue._update_table")(  # type: ignore[no-any-return]
            {"DatabaseName": data["DatabaseName"], "VersionId": version, "TableInput": {**kept, **described}}
        )


def _next_metadata(before: Json, place: str, asked: Mapping[str, Any]) -> Json | None:
    """Metadata after the updates; None if they change nothing."""
    updates = (asked.get("UpdateIcebergTableInput") or {}).get("Updates") or []
    if not updates:
        raise InvalidTableError("UpdateIcebergTableInput.Updates must not be empty")
    metadata = copy.deepcopy(before)
    for update in updates:
        action = update.get("Action")
        if action:
            raise InvalidTableError(f"Action {action} is not served by the laptop platform: leave it out and give the whole new state")
        if str(update.get("Location") or "").rstrip("/") != metadata["location"].rstrip("/"):
            raise InvalidTableError(f"Location cannot change: the table lies in {metadata['location']}, got {update.get('Location')!r}")
        _set_schema(metadata, _schema(update["Schema"]))
        if update.get("PartitionSpec") is not None:
            _set_spec(metadata, update["PartitionSpec"])
        if update.get("SortOrder") is not None:
            _set_order(metadata, update["SortOrder"])
        metadata["properties"] = {
            **metadata.get("properties", {}),
            **{str(key): str(value) for key, value in (update.get("Properties") or {}).items()},
        }
    if metadata == before:
        return None
    metadata["metadata-log"] = [*before.get("metadata-log", []), {"timestamp-ms": before["last-updated-ms"], "metadata-file": place}]
    metadata["last-updated-ms"] = max(int(time.time() * 1000), before["last-updated-ms"] + 1)
    _check(metadata)
    return metadata


def _set_schema(metadata: Json, schema: Json) -> None:
    current = next(found for found in metadata["schemas"] if found["schema-id"] == metadata["current-schema-id"])
    _must_be_compatible(current["fields"], schema["fields"], metadata["last-column-id"])
    _put(metadata, schema, kind="schemas", id_name="schema-id", current="current-schema-id")
    metadata["last-column-id"] = max([metadata["last-column-id"], *_ids(schema)])


def _set_spec(metadata: Json, given: Mapping[str, Any]) -> None:
    schema = next(found for found in metadata["schemas"] if found["schema-id"] == metadata["current-schema-id"])
    used = {
        (field["source-id"], field["transform"]): field["field-id"] for found in metadata["partition-specs"] for field in found["fields"]
    }
    spec = _spec(given, int(given.get("SpecId") or 0), schema, next_id=metadata["last-partition-id"] + 1, used=used)
    _put(metadata, spec, kind="partition-specs", id_name="spec-id", current="default-spec-id")
    metadata["last-partition-id"] = max([metadata["last-partition-id"], *(field["field-id"] for field in spec["fields"])])


def _set_order(metadata: Json, given: Mapping[str, Any]) -> None:
    schema = next(found for found in metadata["schemas"] if found["schema-id"] == metadata["current-schema-id"])
    _put(metadata, _order(given, schema), kind="sort-orders", id_name="order-id", current="default-sort-order-id")


def _put(metadata: Json, body: Json, *, kind: str, id_name: str, current: str) -> None:
    """Make *body* the current one of its kind: the same thing keeps its id, a new one gets the next."""
    plain = {name: value for name, value in body.items() if name != id_name}
    same = next((found for found in metadata[kind] if _plain(found, id_name) == _plain(plain, id_name)), None)
    if same is None:
        is_unsorted = id_name == "order-id" and not body["fields"]
        number = 0 if is_unsorted else max((found[id_name] for found in metadata[kind]), default=0) + 1
        same = {**plain, id_name: number}
        metadata[kind] = [*metadata[kind], same]
    metadata[current] = same[id_name]


def _plain(thing: Mapping[str, Any], id_name: str) -> Json:
    """Without its id, empty comments and blanks in types."""

    def strip(value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"\s+", "", value) if value.startswith("decimal") else value
        if isinstance(value, Mapping):
            return {key: strip(entry) for key, entry in value.items() if not (key in {"doc", "identifier-field-ids"} and not entry)}
        return [strip(entry) for entry in value] if isinstance(value, list) else value

    return dict(strip({key: value for key, value in thing.items() if key != id_name}))


def _must_be_compatible(current: Sequence[Json], wanted: Sequence[Json], last_id: int, path: str = "") -> None:
    """Refuse what Iceberg calls an incompatible change.

    Raises:
        InvalidTableError: A type changes but for a widening, a column becomes required, or a new one is required.
    """
    held = {field["id"]: field for field in current}
    for field in wanted:
        name = f"{path}{field['name']}"
        before = held.get(field["id"])
        if before is None:
            if field["required"] and field.get("initial-default") is None:
                raise InvalidTableError(f"Incompatible change: cannot add required column without a default value: {name}")
            continue
        if field["required"] and not before["required"]:
            raise InvalidTableError(f"Incompatible change: cannot change column nullability: {name}: optional -> required")
        _type_must_be_compatible(before["type"], field["type"], last_id, name)


def _type_must_be_compatible(before: Any, after: Any, last_id: int, name: str) -> None:
    if isinstance(before, str) and isinstance(after, str):
        old, new = re.sub(r"\s+", "", before), re.sub(r"\s+", "", after)
        left, right = _DECIMAL.fullmatch(old), _DECIMAL.fullmatch(new)
        is_wider = (old, new) in _WIDER or (
            left is not None and right is not None and left[2] == right[2] and int(right[1]) >= int(left[1])
        )
        if old != new and not is_wider:
            raise InvalidTableError(f"Incompatible change: cannot change column type: {name}: {before} -> {after}")
        return
    if isinstance(before, str) or isinstance(after, str) or before["type"] != after["type"]:
        raise InvalidTableError(f"Incompatible change: cannot change column type: {name}: {before} -> {after}")
    if before["type"] == "struct":
        _must_be_compatible(before["fields"], after["fields"], last_id, f"{name}.")
    for part in ("element", "key", "value"):
        if part in before:
            _type_must_be_compatible(before[part], after[part], last_id, f"{name}.{part}")


# ---- from the API's shapes to Iceberg's ---------------------------------------------------------------------------


def _schema(given: Mapping[str, Any]) -> Json:
    """IcebergSchema (Id, Name, Type ...) as Iceberg's JSON."""
    try:
        fields = [_field(field) for field in given["Fields"]]
    except (KeyError, TypeError) as missing:
        raise InvalidTableError(f"Schema is malformed: {missing!r}") from missing
    return {
        "type": "struct",
        "schema-id": int(given.get("SchemaId") or 0),
        "fields": fields,
        "identifier-field-ids": [int(number) for number in given.get("IdentifierFieldIds") or []],
    }


def _field(given: Mapping[str, Any]) -> Json:
    low = {name[0].lower() + name[1:]: value for name, value in given.items()}
    field = {_NAMES.get(name, name): value for name, value in low.items() if value is not None}
    return {**field, "id": int(field["id"]), "required": bool(field["required"]), "name": field["name"], "type": field["type"]}


def _spec(
    given: Mapping[str, Any], spec_id: int, schema: Mapping[str, Any], *, next_id: int = FIRST_PARTITION_FIELD,
    used: Mapping[tuple[int, str], int] | None = None,
) -> Json:  # fmt: skip
    """A partition spec; a field without an id gets the one that its source and transform have had, else the next."""
    known, fresh, had = set(_ids(schema)), count(next_id), used or {}
    fields = []
    for field in given.get("Fields") or []:
        if int(field["SourceId"]) not in known:
            raise InvalidTableError(f"Cannot find source column for partition field {field['Name']}: {field['SourceId']}")
        number = field.get("FieldId", had.get((int(field["SourceId"]), field["Transform"])))
        fields.append(
            {
                "source-id": int(field["SourceId"]),
                "field-id": int(number) if number is not None else next(fresh),
                "transform": field["Transform"],
                "name": field["Name"],
            }
        )
    return {"spec-id": spec_id, "fields": fields}


def _order(given: Mapping[str, Any], schema: Mapping[str, Any]) -> Json:
    known = set(_ids(schema))
    fields = []
    for field in given.get("Fields") or []:
        if int(field["SourceId"]) not in known:
            raise InvalidTableError(f"Cannot find source column for sort field: {field['SourceId']}")
        fields.append(
            {
                "source-id": int(field["SourceId"]),
                "transform": field["Transform"],
                "direction": field["Direction"],
                "null-order": field["NullOrder"],
            }
        )
    return {"order-id": int(given.get("OrderId") or 1) if fields else 0, "fields": fields}


def _ids(thing: Any) -> Iterator[int]:
    """Every field id in a schema, nested ones too."""
    if isinstance(thing, Mapping):
        for name in ("id", "element-id", "key-id", "value-id"):
            if isinstance(thing.get(name), int):
                yield thing[name]
        for value in thing.values():
            yield from _ids(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from _ids(value)


def _check(metadata: Json) -> None:
    """Have Iceberg's own library read the metadata.

    Raises:
        InvalidTableError: It is not valid.
    """
    from pyiceberg.table.metadata import TableMetadataUtil
    from pyiceberg.transforms import UnknownTransform

    fields = metadata["schemas"][-1]["fields"]
    names = [field["name"].lower() for field in fields]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidTableError(f"Columns must have different names, whatever their case: {', '.join(repeated)}")
    ids = list(_ids(metadata["schemas"][-1]["fields"]))
    if len(ids) != len(set(ids)):
        raise InvalidTableError("Field ids must differ from each other, those of nested fields too")
    required = {field["id"] for field in fields if field["required"]}
    if not set(metadata["schemas"][-1].get("identifier-field-ids") or []) <= required:
        raise InvalidTableError("Identifier fields must be required columns")
    try:
        read = TableMetadataUtil.parse_obj(metadata)
    except Exception as error:
        raise InvalidTableError(f"Cannot create Iceberg metadata: {' '.join(str(error).split())[:500]}") from error
    unknown = [field.transform for spec in read.partition_specs for field in spec.fields if isinstance(field.transform, UnknownTransform)]
    if unknown:
        raise InvalidTableError(f"Unknown partition transform: {unknown[0]}")


# ---- what the catalog shows -----------------------------------------------------------------------------------------


def _columns(metadata: Json) -> list[Json]:
    """The current columns of Iceberg metadata, as Glue describes them."""
    schema = next(found for found in metadata["schemas"] if found["schema-id"] == metadata["current-schema-id"])
    return [
        {
            "Name": field["name"],
            "Type": hive_type(field["type"]),
            **({"Comment": field["doc"][:255]} if field.get("doc") else {}),
            "Parameters": {
                "iceberg.field.id": str(field["id"]),
                "iceberg.field.optional": str(not field["required"]).lower(),
                "iceberg.field.current": "true",
            },
        }
        for field in schema["fields"]
    ]


def _tell_columns(table: Json) -> None:
    """Tell the columns of an Iceberg table whose writer left them out: Athena's engine tells them, Trino does not."""
    place = (table.get("Parameters") or {}).get("metadata_location")
    descriptor = table.get("StorageDescriptor") or {}
    content = _s3._get_object_data(*caller_objects.split(place)) if place and not descriptor.get("Columns") else None
    if content is not None:
        table["StorageDescriptor"] = {**descriptor, "Columns": _columns(json.loads(content))}


def _described(table_input: Mapping[str, Any], metadata: Json, place: str) -> Json:
    """A TableInput that describes Iceberg metadata as Glue does."""
    return {
        **table_input,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {**(table_input.get("Parameters") or {}), "table_type": "ICEBERG", "metadata_location": place},
        "StorageDescriptor": {
            **(table_input.get("StorageDescriptor") or {}),
            "Location": metadata["location"],
            "Columns": _columns(metadata),
        },
    }


def hive_type(type_: Any) -> str:
    """A type of Iceberg as the catalog's columns spell it."""
    if isinstance(type_, str):
        plain = re.sub(r"\s+", "", type_)
        return "binary" if plain.startswith("fixed") else _TO_HIVE.get(plain, plain)
    match type_["type"]:
        case "list":
            return f"array<{hive_type(type_['element'])}>"
        case "map":
            return f"map<{hive_type(type_['key'])},{hive_type(type_['value'])}>"
        case _:
            return "struct<" + ",".join(f"{field['name']}:{hive_type(field['type'])}" for field in type_["fields"]) + ">"


def _schema_of_columns(columns: Sequence[Mapping[str, Any]]) -> Json:
    """Schema of a table that is given by the catalog's columns."""
    if not columns:
        raise InvalidTableError("Schema or StorageDescriptor.Columns is required")
    nested = count(len(columns) + 1)
    fields = [
        {
            "id": number,
            "name": column["Name"],
            "required": False,
            "type": iceberg_type(str(column.get("Type") or ""), nested),
            **({"doc": column["Comment"]} if column.get("Comment") else {}),
        }
        for number, column in enumerate(columns, 1)
    ]
    return {"type": "struct", "schema-id": 0, "fields": fields, "identifier-field-ids": []}


def iceberg_type(text: str, ids: Iterator[int]) -> Any:
    """A type as the catalog's columns spell it, in Iceberg's JSON.

    Raises:
        InvalidTableError: Iceberg has no such type.
    """
    plain = text.strip()
    low = plain.lower()
    if low in _HIVE:
        return _HIVE[low]
    if _DECIMAL.fullmatch(low):
        return re.sub(r"\s+", "", low)
    if re.fullmatch(r"(var)?char\(\d+\)", low):
        return "string"
    if low.startswith("array<") and low.endswith(">"):
        number = next(ids)
        return {"type": "list", "element-id": number, "element-required": False, "element": iceberg_type(plain[6:-1], ids)}
    if low.startswith("map<") and low.endswith(">"):
        key, value = _split(plain[4:-1])
        numbers = next(ids), next(ids)
        return {
            "type": "map", "key-id": numbers[0], "key": iceberg_type(key, ids), "value-id": numbers[1], "value-required": False,
            "value": iceberg_type(value, ids),
        }  # fmt: skip
    if low.startswith("struct<") and low.endswith(">"):
        parts = [part.split(":", 1) for part in _split(plain[7:-1])]
        fields = [{"id": next(ids), "name": part[0].strip(), "required": False, "type": iceberg_type(part[1], ids)} for part in parts]
        return {"type": "struct", "fields": fields}
    raise InvalidTableError(f"Unsupported type: {text}")


def _split(text: str) -> list[str]:
    """The parts of `a:int,b:map<x,y>`."""
    parts, depth, last = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append(text[last:place])
            last = place + 1
    return [*parts, text[last:]]


def _write(place: str, metadata: Json, *, via: str) -> Response | None:
    """Write metadata as the caller; the refusal, if there is one."""
    bucket, name = caller_objects.split(place)
    try:
        caller_objects.put(
            guard.caller.get(), bucket, name, json.dumps(metadata).encode(), via=via, headers={"content-type": "application/json"}
        )
    except RefusedError as refused:
        return _error("AccessDeniedException", str(refused))
    except NoSuchObjectError as missing:
        return _error("InvalidInputException", f"Cannot write {place}: {missing}")
    return None


def _concurrent(name: str) -> Response:
    return _error("ConcurrentModificationException", f"Update table failed due to concurrent modifications: {name}")


def _error(code: str, message: str) -> Response:
    return _responses.error_response_json(code, message, 400)  # type: ignore[no-any-return]


def register() -> None:
    """Serve the Iceberg API."""
    seam.replace("services.glue._create_table", _create_table)
    seam.replace("services.glue._update_table", _update_table)
