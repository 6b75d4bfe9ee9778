"""Every field of ODCS and what this platform does with it: applied, documentation, or refused with the way out.

The checker walks contracts by these tables, docs/contracts.md is written from them, and a test compares them with the vendored schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Disposition = Literal["applied", "documentation", "refused"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of ODCS.

    Attributes:
        disposition: What the platform does with it.
        note: What it is applied to, or why it is refused.
        fix: For a refused field: what to write instead.
        inside: Kind of the node or nodes that it holds, if they have fields of their own.
    """

    disposition: Disposition
    note: str = ""
    fix: str = ""
    inside: str | None = None


def _applied(note: str, *, inside: str | None = None) -> Field:
    return Field(disposition="applied", note=note, inside=inside)


def _documentation(note: str = "", *, inside: str | None = None) -> Field:
    return Field(disposition="documentation", note=note, inside=inside)


def _refused(note: str, fix: str) -> Field:
    return Field(disposition="refused", note=note, fix=fix)


_CUSTOM = _applied("`vendor: lakehouse` is ours and checked; other vendors are documentation", inside="customProperty")
_DEFINITIONS = _documentation(inside="authoritativeDefinition")
_NESTED_RULE = "cannot be applied to a nested field yet"
_USE_CONDITION = "write a quality entry of the table with engine: lakehouse and a rowCondition"

_NESTED: dict[str, Field] = {
    "id": _applied("keeps the field id when the field is renamed"),
    "name": _applied("name of the field"),
    "description": _documentation(),
    "businessName": _documentation(),
    "tags": _documentation(),
    "synonyms": _documentation(inside="synonym"),
    "examples": _documentation(),
    "authoritativeDefinitions": _DEFINITIONS,
    "semanticType": _documentation(),
    "criticalDataElement": _documentation(),
    "transformDescription": _documentation(),
    "deprecated": _applied("announces that the field will go; a field is dropped only after a version that announced it"),
    "logicalType": _applied("type"),
    "logicalTypeOptions": _applied("format and time zone", inside="options"),
    "physicalType": _applied('precision and scale of a decimal, "decimal(15,2)"'),
    "required": _applied("the field is never NULL where its parent is not"),
    "classification": _applied("the column takes the highest class of its fields"),
    "properties": _applied("fields of an object", inside="nested"),
    "items": _applied("elements of an array", inside="item"),
    "map": _applied("keys and values of a map", inside="map"),
    "customProperties": _CUSTOM,
    "physicalName": _refused("a second name is not kept", "call the field what it is called in the table, by name"),
    "encryptedName": _refused("cannot be applied yet", "remove it: the platform makes no encrypted copy of a column yet"),
    "unique": _refused(_NESTED_RULE, "make the field a column of its own"),
    "primaryKey": _refused("a nested field cannot be part of a key", "make the field a column of its own"),
    "primaryKeyPosition": _refused("a nested field cannot be part of a key", "make the field a column of its own"),
    "partitioned": _refused("a nested field cannot partition a table here", "make the field a column of its own"),
    "partitionKeyPosition": _refused("a nested field cannot partition a table here", "make the field a column of its own"),
    "transformSourceObjects": _refused("a nested field has no source of its own", "name the raw columns at the column that holds it"),
    "transformLogic": _refused("a nested field has no logic of its own", "write the logic at the column that holds it"),
    "enum": _refused(_NESTED_RULE, _USE_CONDITION),
    "relationships": _refused(_NESTED_RULE, "make the field a column of its own"),
    "quality": _refused(_NESTED_RULE, _USE_CONDITION),
}

NODES: Mapping[str, Mapping[str, Field]] = {
    "contract": {
        "apiVersion": _applied("v3.2.0 or v3.1.0"),
        "kind": _applied("DataContract"),
        "id": _applied("`<domain>.<dataset>`; never changes"),
        "name": _applied("the dataset, as in the id"),
        "version": _applied("semantic version; a change that readers notice must raise it"),
        "status": _applied("`draft` is checked and not deployed; pipelines may not use `retired`"),
        "domain": _applied("first part of the id; names the databases"),
        "description": _applied("purpose describes the table if the table has no description", inside="description"),
        "tags": _applied("kept in the compiled contract"),
        "servers": _applied("the zone of the table and where raw files land", inside="server"),
        "schema": _applied("exactly one table", inside="object"),
        "team": _applied("name: the owner, on tables and in the catalog", inside="team"),
        "customProperties": _CUSTOM,
        "tenant": _documentation(),
        "dataProduct": _documentation(),
        "roles": _documentation("no grants are made from it yet", inside="role"),
        "support": _documentation("alerts go to the addresses of the environment's config", inside="support"),
        "price": _documentation(inside="price"),
        "slaProperties": _documentation(
            "checked and kept in the compiled contract; `lake check` holds tables to freshness; no alarms are made from it yet",
            inside="sla",
        ),
        "context": _documentation(),
        "authoritativeDefinitions": _DEFINITIONS,
        "contractCreatedTs": _documentation(),
        "slaDefaultElement": _refused("ODCS deprecated it", "write element at each of slaProperties"),
    },
    "description": {
        "purpose": _applied("describes the table if the table has no description"),
        "usage": _documentation(),
        "limitations": _documentation(),
        "authoritativeDefinitions": _DEFINITIONS,
        "customProperties": _CUSTOM,
    },
    "server": {
        "server": _applied("name, unique; of a postgresql server the name of the connection"),
        "type": _applied("glue (the table); s3 (the raw files) or postgresql (the source table)"),
        "id": _documentation(),
        "description": _documentation(),
        "environment": _documentation("one contract serves every environment; ${...} stands for what differs"),
        "roles": _documentation("no grants are made from it yet", inside="role"),
        "customProperties": _CUSTOM,
    },
    "server.glue": {
        "account": _documentation("the environment decides"),
        "database": _applied("`silver_<domain>` or `gold_<domain>`"),
        "format": _applied("iceberg"),
        "location": _refused("the bucket of the zone decides where a table lives", "remove it"),
        "encoding": _refused("a table has no encoding", "write it at the s3 server"),
    },
    "server.s3": {
        "location": _applied("`s3://${RAW_BUCKET}/<domain>/<dataset>/`"),
        "format": _applied("must be one of the formats of `source`"),
        "encoding": _applied("UTF-8"),
        "endpointUrl": _refused("files land in the raw bucket of the environment", "remove it"),
        "delimiter": _refused(
            "JSON files hold one document a line", "remove it; the delimiter of CSV files stands in the source customProperty"
        ),
    },
    "server.postgresql": {
        "host": _applied('"${DATABASE_HOST}": the connection knows the reader'),
        "port": _documentation("the connection knows it"),
        "database": _documentation("the connection knows it"),
        "schema": _applied("schema of the source table"),
    },
    "object": {
        "id": _applied("names the table in relationships"),
        "name": _applied("the dataset, as in the id"),
        "logicalType": _applied("object"),
        "physicalType": _applied("table"),
        "description": _applied("description of the table"),
        "properties": _applied("columns", inside="property"),
        "quality": _applied("rules of the gate", inside="quality"),
        "customProperties": _CUSTOM,
        "businessName": _documentation(),
        "dataGranularityDescription": _documentation(),
        "synonyms": _documentation(inside="synonym"),
        "tags": _documentation(),
        "context": _documentation(),
        "authoritativeDefinitions": _DEFINITIONS,
        "physicalName": _refused("a second name is not kept", "the table is called as the dataset in the id"),
        "deprecated": _refused("a table is deprecated with its contract", "write status: deprecated"),
        "relationships": _refused(
            "relationships of several columns cannot be applied yet", "write relationships: [{to: ...}] at the column"
        ),
    },
    "property": {
        **_NESTED,
        "name": _applied("name of the column"),
        "description": _applied("comment of the column"),
        "tags": _applied('"pii:email" names the kind of personal data; others are documentation'),
        "required": _applied("the column is never NULL; rows without it go to quarantine"),
        "unique": _applied("table rule: no value stands twice; halts"),
        "primaryKey": _applied("rows are merged by it; implies required"),
        "primaryKeyPosition": _applied("order of the key, from 1"),
        "partitioned": _applied("partition of the table"),
        "partitionKeyPosition": _applied("order of the partition, from 1"),
        "classification": _applied("public, internal or confidential; restricted needs masking and is refused"),
        "transformSourceObjects": _applied("raw columns that feed it, `raw.<column>`"),
        "transformLogic": _applied(
            "Spark SQL over these raw columns, which are strings; its value, as text, is then cast; must not raise and must be repeatable"
        ),
        "enum": _applied("row rule: the values allowed", inside="enumValue"),
        "relationships": _applied("table rule, warning: the value exists in the other table", inside="relationship"),
        "quality": _applied("rules of the gate", inside="quality"),
    },
    "nested": _NESTED,
    "item": {**_NESTED, "id": _documentation(), "name": _documentation()},
    "map": {"key": _applied("keys", inside="item"), "value": _applied("values", inside="item")},
    "options.string": {
        "format": _applied("binary makes the column binary; others are documentation"),
        "minLength": _applied("row rule, in characters"),
        "maxLength": _applied("row rule, in characters"),
        "pattern": _applied("row rule; anchored by ^ and $"),
    },
    "options.date": {
        "format": _applied("pattern by which the raw text is parsed"),
        "minimum": _applied("row rule"),
        "maximum": _applied("row rule"),
        "exclusiveMinimum": _applied("row rule"),
        "exclusiveMaximum": _applied("row rule"),
    },
    "options.timestamp": {
        "format": _applied("pattern by which the raw text is parsed"),
        "timezone": _applied("true: an instant; false: what the clock on the wall showed"),
        "defaultTimezone": _applied("UTC, as every session"),
        "minimum": _applied("row rule"),
        "maximum": _applied("row rule"),
        "exclusiveMinimum": _applied("row rule"),
        "exclusiveMaximum": _applied("row rule"),
    },
    "options.integer": {
        "format": _applied("width: i8 to i64, u8 to u64; a narrower width than the type that holds it is a row rule"),
        "minimum": _applied("row rule"),
        "maximum": _applied("row rule"),
        "exclusiveMinimum": _applied("row rule"),
        "exclusiveMaximum": _applied("row rule"),
        "multipleOf": _refused("cannot be applied yet", "write a rowCondition such as quantity % 5 = 0"),
    },
    "options.number": {
        "format": _applied("f32 or f64, without a physicalType"),
        "minimum": _applied("row rule"),
        "maximum": _applied("row rule"),
        "exclusiveMinimum": _applied("row rule"),
        "exclusiveMaximum": _applied("row rule"),
        "multipleOf": _refused("cannot be applied yet", "write a rowCondition"),
    },
    "options.object": {
        "required": _refused("says what required at each field says", "write required: true at the fields"),
        "minProperties": _refused("a struct has always all its fields", "write required: true at the fields"),
        "maxProperties": _refused("a struct has always all its fields", "remove it"),
    },
    "options.array": {
        "minItems": _refused("cannot be applied yet", "write a rowCondition such as size(lines) >= 1"),
        "maxItems": _refused("cannot be applied yet", "write a rowCondition such as size(lines) <= 9"),
        "uniqueItems": _refused("cannot be applied yet", "write a rowCondition such as size(array_distinct(tags)) = size(tags)"),
    },
    "options.boolean": {},
    "options.map": {},
    "enumValue": {
        "value": _applied("a value allowed"),
        "label": _documentation(),
        "id": _documentation(),
        "description": _documentation(),
        "tags": _documentation(),
        "authoritativeDefinitions": _DEFINITIONS,
        "customProperties": _CUSTOM,
    },
    "relationship": {
        "id": _applied("name of the rule in the audit"),
        "type": _applied("foreignKey"),
        "to": _applied("`<file>#/schema/<table>/properties/<column>` or `<table>.<column>` in the same domain"),
        "customProperties": _CUSTOM,
    },
    "quality": {
        "id": _applied("name of the rule in the audit; required"),
        "type": _applied("library, sql or custom; text is refused"),
        "metric": _applied("nullValues, missingValues, invalidValues, duplicateValues, rowCount"),
        "arguments": _applied("what the metric needs"),
        "mustBe": _applied("number; 0 makes a rule on values a row rule"),
        "mustNotBe": _applied("number"),
        "mustBeGreaterThan": _applied("number"),
        "mustBeGreaterOrEqualTo": _applied("number"),
        "mustBeLessThan": _applied("number"),
        "mustBeLessOrEqualTo": _applied("number"),
        "unit": _applied("rows or percent"),
        "dimension": _applied("kept with the result"),
        "severity": _applied("info, warning, error (if left out) or critical"),
        "query": _applied("Spark SQL of one value over {object}"),
        "engine": _applied("lakehouse"),
        "implementation": _applied("{rowCondition: Spark SQL that is true for a good row}"),
        "customProperties": _CUSTOM,
        "name": _documentation(),
        "description": _documentation(),
        "businessImpact": _documentation(),
        "method": _documentation(),
        "tags": _documentation(),
        "authoritativeDefinitions": _DEFINITIONS,
        "mustBeBetween": _refused(
            "some tools read it as inclusive and others as exclusive", "write two rules with mustBeGreaterOrEqualTo and mustBeLessOrEqualTo"
        ),
        "mustNotBeBetween": _refused("some tools read it as inclusive and others as exclusive", "write a sql rule"),
        "rule": _refused("is the old name of metric", "write metric"),
        "schedule": _refused("rules run in the job that writes the table", "remove it"),
        "scheduler": _refused("rules run in the job that writes the table", "remove it"),
    },
    "customProperty": {
        "property": _applied("name of the extension"),
        "value": _applied("its value"),
        "vendor": _applied("lakehouse for ours"),
        "id": _documentation(),
        "description": _documentation(),
    },
    "sla": {
        "property": _documentation("retention is refused: rows are not deleted by age yet"),
        "value": _documentation(),
        "valueExt": _documentation(),
        "unit": _documentation("m is refused: it means minutes to some tools and months to others"),
        "element": _applied("must name a column of the table"),
        "driver": _documentation(),
        "description": _documentation(),
        "scheduler": _documentation(),
        "schedule": _documentation(),
        "id": _documentation(),
        "customProperties": _CUSTOM,
        "authoritativeDefinitions": _DEFINITIONS,
    },
    "team": {
        "name": _applied("the owner"),
        "id": _documentation(),
        "description": _documentation(),
        "members": _documentation(inside="member"),
        "tags": _documentation(),
        "customProperties": _CUSTOM,
        "authoritativeDefinitions": _DEFINITIONS,
    },
    "member": {
        key: _documentation()
        for key in (
            "id",
            "username",
            "name",
            "description",
            "role",
            "dateIn",
            "dateOut",
            "replacedByUsername",
            "tags",
            "authoritativeDefinitions",
        )
    }
    | {"customProperties": _CUSTOM},
    "role": {key: _documentation() for key in ("id", "role", "description", "access", "firstLevelApprovers", "secondLevelApprovers")}
    | {"customProperties": _CUSTOM},
    "support": {key: _documentation() for key in ("id", "channel", "url", "description", "tool", "scope", "invitationUrl")}
    | {"customProperties": _CUSTOM},
    "price": {key: _documentation() for key in ("id", "priceAmount", "priceCurrency", "priceUnit")},
    "synonym": {key: _documentation() for key in ("id", "synonym", "description", "locale", "source", "status")}
    | {"customProperties": _CUSTOM},
    "authoritativeDefinition": {key: _documentation() for key in ("id", "url", "type", "description")},
}
"""Fields by kind of node. `options.<logicalType>` and `server.<type>` add to a node by the value of another field."""

NESTED_OPTIONS = frozenset({"format", "timezone", "defaultTimezone"})
"""Options that a nested field may have: the others are row rules, which judge columns."""
