"""One authored contract: ODCS under our profile, before the lock file gives it field ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from lakehouse.contracts.compiler import types
from lakehouse.contracts.compiler.columns import AuthoredColumn, parse_column
from lakehouse.contracts.compiler.database_sources import ENGINES, FILE_KEYS, NOT_YET, parse_database_source
from lakehouse.contracts.compiler.documents import Document, Place, nearest
from lakehouse.contracts.compiler.expressions import check_expression
from lakehouse.contracts.compiler.extensions import extension, extension_place
from lakehouse.contracts.compiler.quality import parse_quality
from lakehouse.contracts.compiler.structure import check_fields, check_values
from lakehouse.contracts.compiler.warehouse import KEYS as WAREHOUSE_KEYS
from lakehouse.contracts.compiler.warehouse import parse_warehouse
from lakehouse.contracts.model import Quality, Rule, SortField, Source, Warehouse, Write
from lakehouse.errors import Fault

STATUSES = ("draft", "active", "deprecated", "retired")
"""States of a contract; a draft is checked and not deployed."""

VARIABLES = ("RAW_BUCKET", "AWS_ACCOUNT_ID", "AWS_REGION", "DATABASE_HOST")
"""Variables that a server may name; the environment gives their values at deployment."""

FORMATS = ("csv", "json", "parquet")
"""File formats that ingest reads."""

_SOURCE_HINT = (
    "add the customProperty source: {table: orders, mode: incremental, watermarkColumn: updated_at, overlap: PT15M}, or mode: full alone"
)
_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_ID = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, kw_only=True)
class AuthoredContract:
    """A contract before the lock file numbers it.

    Attributes:
        document: The YAML document.
        columns: Columns in order; those with faults are left out.
        rules: Rules of the gate in the order of the contract.
        sort: Sort order as pairs of column and direction and null order.
    """

    document: Document
    id: str
    version: str
    status: str
    zone: Literal["silver", "gold"]
    domain: str
    dataset: str
    description: str
    owner: str
    columns: tuple[AuthoredColumn, ...]
    sort: tuple[SortField, ...]
    write: Write
    source: Source | None
    quality: Quality
    tags: tuple[str, ...]
    sla: tuple[dict[str, Any], ...]
    warehouse: Warehouse | None

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns of the primary key in order."""
        ranked = [(column.key_position, column.name) for column in self.columns if column.key_position is not None]
        return tuple(name for _, name in sorted(ranked))

    @property
    def partitioned(self) -> tuple[AuthoredColumn, ...]:
        """Columns of the partition spec in order."""
        return tuple(
            sorted(
                (column for column in self.columns if column.partition_position is not None),
                key=lambda column: column.partition_position or 0,
            )
        )


def parse_contract(document: Document, faults: list[Fault]) -> AuthoredContract | None:
    """Read one contract; what is wrong is added to the faults.

    Returns:
        The contract, or None if it has a fault.
    """
    count = len(faults)
    check_fields(document, faults)
    has_unknown_fields = len(faults) > count
    result = _Contract(document=document, faults=faults).parse()
    check_values(document, faults, has_unknown_fields=has_unknown_fields)
    return result if len(faults) == count else None


class _Contract:
    """A contract while it is read."""

    def __init__(self, *, document: Document, faults: list[Fault]) -> None:
        self.document = document
        self.root = document.value
        self.faults = faults
        self.has_source: bool | None = None
        """Whether files or a database feed the dataset; None if the servers do not say it."""

    def _fault(self, place: Place, problem: str, fix: str) -> None:
        self.faults.append(self.document.fault(place, problem, fix))

    def parse(self) -> AuthoredContract | None:
        """The contract, as far as it can be read."""
        domain, dataset = self._identity()
        version = self._version()
        status = self._status()
        owner = self._owner()
        zone, source_server = self._servers(domain, dataset)
        table = self._table(dataset)
        if table is None:
            return None
        place: Place = ("schema", 0)
        columns = self._columns(table, place)
        by_name = {column.name: column for column in columns}
        self._positions(columns)
        self._levels(by_name, dataset)
        rules = self._rules(table, place, columns, by_name)
        sort = self._sort(extension(table, "sortOrder", list), extension_place(table, "sortOrder", place), by_name)
        write = self._write(extension(table, "write", dict), extension_place(table, "write", place), by_name)
        block, block_place = extension(table, "source", dict), extension_place(table, "source", place)
        if source_server is not None and source_server[1].get("type") in ENGINES:
            if block is None:
                self._fault(block_place, "does not say what is read from the database", _SOURCE_HINT)
            sequence = (*extension_place(table, "write", place), "sequenceBy")
            source = parse_database_source(
                block or {"table": dataset, "mode": "full"},
                place=block_place,
                server=source_server,
                columns=by_name,
                sequence_by=None if write.sequence_by is None else (sequence, write.sequence_by),
                document=self.document,
                faults=self.faults,
            )
        else:
            source = self._source(block, block_place, source_server)
        score, most = self._gate(extension(table, "gate", dict), extension_place(table, "gate", place))
        warehouse = self._warehouse(extension(table, "warehouse", dict), extension_place(table, "warehouse", place), by_name)
        description = self.root.get("description")
        return AuthoredContract(
            document=self.document,
            id=f"{domain}.{dataset}",
            version=version,
            status=status,
            zone=zone,
            domain=domain,
            dataset=dataset,
            description=str(table.get("description") or (description.get("purpose") if isinstance(description, dict) else "") or ""),
            owner=owner,
            columns=columns,
            sort=sort,
            write=write,
            source=source,
            quality=Quality(rules=rules, score_threshold=score, max_quarantine_percent=most),
            tags=tuple(item for item in _items(self.root.get("tags")) if isinstance(item, str)),
            sla=tuple(item for item in _items(self.root.get("slaProperties")) if isinstance(item, dict)),
            warehouse=warehouse,
        )

    def _identity(self) -> tuple[str, str]:
        """Domain and dataset: those of the id, or those of the path if the id is wrong, so that one fault is told once."""
        path = PurePosixPath(self.document.file)
        by_path = (path.parent.name, path.name.removesuffix(".odcs.yaml"))
        id_ = self.root.get("id")
        if not isinstance(id_, str):
            return by_path
        found = _ID.fullmatch(id_)
        if found is None:
            self._fault(
                ("id",),
                f"{id_!r} is not <domain>.<dataset>",
                "write it in lower-case letters, digits and underscores, such as sales.orders",
            )
            return by_path
        domain, dataset = found[1], found[2]
        if (domain, dataset) != by_path:
            expected = f"contracts/{domain}/{dataset}.odcs.yaml"
            self._fault(("id",), f"{id_!r} does not fit the file {self.document.file}", f"move the file to {expected}, or change the id")
            return by_path
        if self.root.get("domain") != domain:
            self._fault(("domain",), f"{self.root.get('domain')!r} is not the first part of the id {id_!r}", f"write domain: {domain}")
        if self.root.get("name") not in (None, dataset):
            self._fault(("name",), f"{self.root.get('name')!r} is not the second part of the id {id_!r}", f"write name: {dataset}")
        return domain, dataset

    def _version(self) -> str:
        version = self.root.get("version")
        if isinstance(version, str) and not _SEMVER.fullmatch(version):
            self._fault(("version",), f"{version!r} is not a semantic version", "write three numbers, such as 1.2.0")
        return version if isinstance(version, str) else "0.0.0"

    def _status(self) -> str:
        status = self.root.get("status")
        if status is None:
            self._fault((), "has no status", f"add status, one of {', '.join(STATUSES)}")
        elif status not in STATUSES:
            self._fault(("status",), f"{status!r} is not a status", nearest(str(status), STATUSES))
        return str(status)

    def _owner(self) -> str:
        team = self.root.get("team")
        if isinstance(team, list):
            self._fault(("team",), "is a list, which ODCS deprecated", "write team: {name: order-data, members: [...]}")
        elif not isinstance(team, dict) or not team.get("name"):
            self._fault(("team",), "has no name", "add team: {name: order-data}: the team that answers for the dataset")
        else:
            return str(team["name"])
        return ""

    def _servers(self, domain: str, dataset: str) -> tuple[Literal["silver", "gold"], tuple[Place, dict[str, Any]] | None]:
        raw_servers = self.root.get("servers")
        servers: list[Any] = raw_servers if isinstance(raw_servers, list) else []
        zone: Literal["silver", "gold"] = "silver"
        glue: list[Place] = []
        raw: list[tuple[Place, dict[str, Any]]] = []
        count = len(self.faults)
        types.repeated(servers, "server", ("servers",), self.document, self.faults)
        for index, server in enumerate(servers):
            if not isinstance(server, dict):
                continue
            place: Place = ("servers", index)
            knows_variables = self._variables(server, place)
            kind = server.get("type")
            if kind == "glue":
                glue.append(place)
                database = server.get("database")
                if database == f"gold_{domain}":
                    zone = "gold"
                elif database != f"silver_{domain}" and isinstance(database, str):
                    self._fault(
                        (*place, "database"),
                        f"{database!r} is not a database of the domain {domain!r}",
                        f"write silver_{domain} or gold_{domain}",
                    )
                if server.get("format") not in (None, "iceberg"):
                    self._fault((*place, "format"), f"{server.get('format')!r} tables cannot be made", "write format: iceberg")
            elif kind == "s3" or kind in ENGINES:
                raw.append((place, server))
                expected = f"s3://${{RAW_BUCKET}}/{domain}/{dataset}/"
                if kind == "s3" and server.get("location") != expected and knows_variables:
                    self._fault(
                        (*place, "location"),
                        f"{server.get('location')!r} is not where files of {domain}.{dataset} land",
                        f'write "{expected}"',
                    )
            elif isinstance(kind, str):
                self._other_server((*place, "type"), kind)
        if len(glue) != 1:
            self._fault(
                ("servers",),
                f"has {len(glue)} glue servers",
                f'add exactly one: {{server: lake, type: glue, account: "${{AWS_ACCOUNT_ID}}", database: silver_{domain}}}',
            )
        for place, _ in raw[1:]:
            self._fault(place, "is a second source of rows", "keep one s3 or postgresql server: a dataset comes from one place")
        if raw and zone == "gold":
            what = "a database" if raw[0][1].get("type") in ENGINES else "files"
            self._fault(raw[0][0], f"feeds a gold dataset from {what}", f"remove it, or put the table into silver_{domain}")
            raw = []
        self.has_source = bool(raw) if len(glue) == 1 and not (raw and zone == "gold") and len(self.faults) == count else None
        return zone, raw[0] if raw else None

    def _other_server(self, place: Place, kind: str) -> None:
        general = "keep one glue server (the table) and at most one s3 server (the raw files) or postgresql server (the source)"
        problem = "postgres is spelled postgresql here" if kind == "postgres" else f"{kind} cannot be applied yet"
        self._fault(place, problem, NOT_YET.get(kind, general))

    def _variables(self, server: Mapping[str, Any], place: Place) -> bool:
        count = len(self.faults)
        for key, value in server.items():
            for name in _VARIABLE.findall(value) if isinstance(value, str) else ():
                if name not in VARIABLES:
                    self._fault((*place, key), f"there is no variable ${{{name}}}", nearest(name, VARIABLES))
        return len(self.faults) == count

    def _table(self, dataset: str) -> dict[str, Any] | None:
        schema = self.root.get("schema")
        if schema is not None and (not isinstance(schema, list) or not all(isinstance(item, dict) for item in schema)):
            return None
        if schema is None or len(schema) != 1:
            self._fault(("schema",), f"describes {len(schema or [])} tables", "describe exactly one table in a contract")
            return None
        table: dict[str, Any] = schema[0]
        place: Place = ("schema", 0)
        if table.get("name") != dataset:
            self._fault((*place, "name"), f"{table.get('name')!r} is not the dataset of the id", f"write name: {dataset}")
        if table.get("physicalType") not in (None, "table"):
            self._fault((*place, "physicalType"), f"{table.get('physicalType')!r} cannot be made", "write physicalType: table")
        if table.get("properties", []) == []:
            self._fault(place, "has no properties", "list its columns under properties")
        return table

    def _columns(self, table: Mapping[str, Any], place: Place) -> tuple[AuthoredColumn, ...]:
        raw = table.get("properties")
        nodes: list[Any] = raw if isinstance(raw, list) else []
        columns: list[AuthoredColumn] = []
        for index, node in enumerate(nodes):
            if isinstance(node, dict):
                column = parse_column(
                    node, place=(*place, "properties", index), document=self.document, has_source=self.has_source, faults=self.faults
                )
                if column is not None:
                    columns.append(column)
        for key in ("name", "id"):
            types.repeated(nodes, key, (*place, "properties"), self.document, self.faults)
        for column in columns:
            if column.logic is not None:
                check_expression(
                    column.logic,
                    columns=column.sources,
                    place=(*column.place, "transformLogic"),
                    document=self.document,
                    faults=self.faults,
                )
        return tuple(columns)

    def _positions(self, columns: tuple[AuthoredColumn, ...]) -> None:
        raw = self.root["schema"][0].get("properties")
        properties: list[Any] = raw if isinstance(raw, list) else []
        for flag, key, found in (
            ("primaryKey", "primaryKeyPosition", [(column.key_position, column) for column in columns if column.key_position is not None]),
            (
                "partitioned",
                "partitionKeyPosition",
                [(column.partition_position, column) for column in columns if column.partition_position is not None],
            ),
        ):
            positions = sorted(position for position, _ in found)
            complete = sum(isinstance(node, dict) and node.get(flag) is True for node in properties) == len(found)
            if complete and positions != list(range(1, len(positions) + 1)):
                place = (*found[0][1].place, key)
                self._fault(place, f"the positions of {flag} are {', '.join(map(str, positions))}", f"count {key} from 1 without gaps")
        if properties and not any(isinstance(node, dict) and node.get("primaryKey") is True for node in properties):
            self._fault(
                ("schema", 0),
                "has no primary key",
                "add primaryKey: true, primaryKeyPosition: 1 and required: true to the columns that identify a row: rows are merged by it",
            )

    def _rules(
        self, table: Mapping[str, Any], place: Place, columns: tuple[AuthoredColumn, ...], by_name: Mapping[str, AuthoredColumn]
    ) -> tuple[Rule, ...]:
        rules: list[Rule] = []
        by_index = {column.place[-1]: column for column in columns}
        properties = table.get("properties")
        for index, node in enumerate(properties if isinstance(properties, list) else []):
            column = by_index.get(index)
            if column is None or not isinstance(node, dict):
                continue
            rules += column.rules
            rules += self._quality(node, column.place, column, by_name)
        rules += self._quality(table, place, None, by_name)
        seen: set[str] = set()
        for rule in rules:
            if rule.id in seen:
                self._fault(place, f"two rules have the id {rule.id!r}", "give each its own id")
            seen.add(rule.id)
        return tuple(rules)

    def _quality(
        self, node: Mapping[str, Any], place: Place, column: AuthoredColumn | None, by_name: Mapping[str, AuthoredColumn]
    ) -> list[Rule]:
        entries = node.get("quality")
        rules: list[Rule] = []
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            if isinstance(entry, dict):
                rule = parse_quality(
                    entry, place=(*place, "quality", index), column=column, columns=by_name, document=self.document, faults=self.faults
                )
                if rule is not None:
                    rules.append(rule)
        return rules

    def _sort(self, authored: Any, place: Place, by_name: Mapping[str, AuthoredColumn]) -> tuple[SortField, ...]:
        fields: list[SortField] = []
        for index, item in enumerate(authored or []):
            here: Place = (*place, index)
            if not isinstance(item, dict) or "column" not in item or not set(item) <= {"column", "direction", "nullOrder"}:
                self._fault(here, "is not a sort field", "write {column: customer_id, direction: asc, nullOrder: nulls-last}")
                continue
            name, direction, nulls = item["column"], item.get("direction", "asc"), item.get("nullOrder", "nulls-last")
            column = by_name.get(name) if isinstance(name, str) else None
            if column is None:
                self._fault((*here, "column"), f"there is no column {name!r}", nearest(str(name), by_name))
            elif not isinstance(column.type, str):
                self._fault((*here, "column"), f"{name!r} is nested, and cannot be sorted by", "sort by another column")
            if direction not in ("asc", "desc"):
                self._fault((*here, "direction"), f"{direction!r} is not a direction", "write asc or desc")
            if nulls not in ("nulls-first", "nulls-last"):
                self._fault((*here, "nullOrder"), f"{nulls!r} is not an order of nulls", "write nulls-first or nulls-last")
            fields.append(
                SortField(
                    column=str(name),
                    source_id=0,
                    direction="desc" if direction == "desc" else "asc",
                    null_order="nulls-first" if nulls == "nulls-first" else "nulls-last",
                )
            )
        return tuple(fields)

    def _write(self, authored: Any, place: Place, by_name: Mapping[str, AuthoredColumn]) -> Write:
        value: dict[str, Any] = authored if isinstance(authored, dict) else {}
        self._known_keys(value, ("mode", "sequenceBy", "scdType", "deleteWhen"), place)
        if value.get("mode", "merge") != "merge":
            self._fault((*place, "mode"), f"{value['mode']!r} cannot be applied yet", "write mode: merge")
        if value.get("scdType", 1) != 1:
            self._fault(
                (*place, "scdType"),
                f"{value['scdType']!r} cannot be applied yet",
                "write scdType: 1, or leave it out: the table holds the latest row of a key",
            )
        if "deleteWhen" in value:
            self._fault((*place, "deleteWhen"), "cannot be applied yet", "remove it; keep the flag as a column and filter on it in gold")
        sequence = value.get("sequenceBy")
        if sequence is not None:
            column = by_name.get(sequence) if isinstance(sequence, str) else None
            if column is None:
                self._fault((*place, "sequenceBy"), f"there is no column {sequence!r}", nearest(str(sequence), by_name))
            elif column.type not in ("int", "long", "date", "timestamp", "timestamptz", "string") and not str(column.type).startswith(
                "decimal"
            ):
                self._fault(
                    (*place, "sequenceBy"),
                    f"{sequence!r} has no order that says which row is newer",
                    "use a timestamp, a date, a number or a text that sorts",
                )
            elif not column.field.required:
                self._fault(
                    (*place, "sequenceBy"),
                    f"{sequence!r} is not required, so a row might have no place in the order",
                    f"add required: true to {sequence}",
                )
        return Write(mode="merge", sequence_by=sequence if isinstance(sequence, str) else None)

    def _warehouse(self, authored: Any, place: Place, by_name: Mapping[str, AuthoredColumn]) -> Warehouse | None:
        if not isinstance(authored, dict):
            return None
        self._known_keys(authored, WAREHOUSE_KEYS, place)
        return parse_warehouse(authored, place, by_name, self._fault)

    def _source(self, authored: Any, place: Place, server: tuple[Place, dict[str, Any]] | None) -> Source | None:
        if server is None:
            if authored is not None and self.has_source is not None:
                self._fault(
                    place,
                    "describes raw files, but there is no s3 server",
                    "add the s3 server that they land at, or remove source",
                )
            return None
        server_place, node = server
        value: dict[str, Any] = authored if isinstance(authored, dict) else {}
        self._known_keys(value, (*FILE_KEYS, "onExtraColumn"), place)
        encoding = node.get("encoding", "UTF-8")
        if str(encoding).upper().replace("_", "-") not in ("UTF-8", "UTF8"):
            self._fault((*server_place, "encoding"), f"{encoding!r} cannot be read yet", "deliver UTF-8")
        formats = value.get("formats", list(FORMATS))
        if not isinstance(formats, list) or not formats or any(item not in FORMATS for item in formats):
            self._fault((*place, "formats"), f"{formats!r} is not a list of file formats", f"list some of {', '.join(FORMATS)}")
            formats = list(FORMATS)
        if node.get("format") is not None and node["format"] not in formats:
            self._fault((*server_place, "format"), f"{node['format']!r} is not among the formats {', '.join(formats)}", "name one of them")
        texts = {key: value.get(key, default) for key, default in (("delimiter", ","), ("quote", '"'), ("nullValue", ""))}
        for key in ("delimiter", "quote"):
            text = texts[key]
            if not isinstance(text, str) or len(text) != 1 or not (text.isprintable() or text == "\t") or ord(text) > 127:
                self._fault((*place, key), f"{text!r} is not one character", 'write one ASCII character, quoted, such as "|"')
        if not isinstance(texts["nullValue"], str):
            self._fault((*place, "nullValue"), f"{texts['nullValue']!r} is not text", 'write it quoted, such as ""')
        if texts["delimiter"] == texts["quote"]:
            self._fault((*place, "quote"), "is the delimiter as well", "choose two characters")
        header = value.get("header", True)
        if not isinstance(header, bool):
            self._fault((*place, "header"), f"{header!r} is not true or false", "write true or false")
        reactions = {key: value.get(key, default) for key, default in (("onExtraColumn", "warn"), ("onMissingColumn", "halt"))}
        for key, reaction in reactions.items():
            if reaction not in ("warn", "halt"):
                self._fault((*place, key), f"{reaction!r} is not a reaction", "write warn or halt")
        return Source(
            formats=tuple(str(item) for item in formats),
            header=header is True,
            delimiter=str(texts["delimiter"]),
            quote=str(texts["quote"]),
            null_value=str(texts["nullValue"]),
            on_extra_column="halt" if reactions["onExtraColumn"] == "halt" else "warn",
            on_missing_column="warn" if reactions["onMissingColumn"] == "warn" else "halt",
        )

    def _gate(self, authored: Any, place: Place) -> tuple[float, float]:
        value: dict[str, Any] = authored if isinstance(authored, dict) else {}
        self._known_keys(value, ("scoreThreshold", "maxQuarantinePercent"), place)
        numbers = {"scoreThreshold": 95.0, "maxQuarantinePercent": 100.0, **value}
        for key in ("scoreThreshold", "maxQuarantinePercent"):
            number = numbers[key]
            if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 100:
                self._fault((*place, key), f"{number!r} is not a number from 0 to 100", "write a percentage")
                numbers[key] = 0
        return float(numbers["scoreThreshold"]), float(numbers["maxQuarantinePercent"])

    def _levels(self, by_name: Mapping[str, AuthoredColumn], dataset: str) -> None:
        """Service levels are documentation, but they must not promise what nothing does, or speak of columns that do not exist."""
        levels = self.root.get("slaProperties")
        types.repeated(levels if isinstance(levels, list) else [], "id", ("slaProperties",), self.document, self.faults)
        for index, level in enumerate(levels if isinstance(levels, list) else []):
            if not isinstance(level, dict):
                continue
            place: Place = ("slaProperties", index)
            if level.get("property") == "retention":
                self._fault(
                    (*place, "property"),
                    "retention cannot be applied yet: nothing deletes rows by age",
                    "remove it and say so under description.limitations",
                )
            if level.get("unit") == "m":
                self._fault((*place, "unit"), "m means minutes to some tools and months to others", "write min, h, d or y")
            element = level.get("element")
            if isinstance(element, str):
                table, _, column = element.rpartition(".")
                if table not in ("", dataset) or column not in by_name:
                    self._fault(
                        (*place, "element"), f"there is no column {element!r}", nearest(element, [f"{dataset}.{name}" for name in by_name])
                    )

    def _known_keys(self, value: Mapping[str, Any], allowed: tuple[str, ...], place: Place) -> None:
        for key in value:
            if key not in allowed:
                self._fault((*place, key), f"{key!r} is not a key of this", nearest(key, allowed))


def _items(value: Any) -> list[Any]:
    """A list, or nothing where something else stands: the schema tells of that."""
    return value if isinstance(value, list) else []
