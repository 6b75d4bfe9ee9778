"""Every refusal of the profile: the contract that earns it, where it points, what it says and what it advises."""

from __future__ import annotations

import pytest

from lakehouse.contracts.model import CompiledContract, HotRows, Warehouse
from lakehouse.errors import Fault
from tests.contract_project import Alter, Document, Project, add, both, on, ours, rule, table

STATUS = "schema[0].properties[1]"
PRICE = "schema[0].properties[2]"
ORDERED = "schema[0].properties[3]"
EXTRA = "schema[0].properties[4]"
RULE = "schema[0].quality[0]"


def root(**changes: object) -> Alter:
    def alter(document: Document) -> None:
        for key, value in changes.items():
            if value is None:
                document.pop(key, None)
            else:
                document[key] = value

    return alter


def server(index: int, **changes: object) -> Alter:
    return lambda document: document["servers"][index].update(changes)


def more_servers(*servers: Document) -> Alter:
    return lambda document: document["servers"].extend(servers)


def extension(name: str, value: object, vendor: str | None = "lakehouse") -> Alter:
    return table(customProperties=[{"property": name, "value": value, **({"vendor": vendor} if vendor else {})}])


def drop(*keys: str) -> Alter:
    def alter(document: Document) -> None:
        for key in keys:
            del document[key]

    return alter


def nested(**field: object) -> Alter:
    node = {"id": "a", "name": "a", "logicalType": "string", **field}
    return add(logicalType="object", properties=[{key: value for key, value in node.items() if value is not None}])


CASES: dict[str, tuple[Alter, str, str, str]] = {
    # identity
    "unknown root field": (root(versoin="1"), "versoin", "there is no field 'versoin'", "did you mean 'version'"),
    "other api version": (root(apiVersion="v3.0.2"), "apiVersion", "is not read", "v3.2.0"),
    "other kind": (root(kind="Contract"), "kind", "is not allowed", "DataContract"),
    "no id": (drop("id"), "(root)", "id is missing", "add id"),
    "id of one part": (root(id="orders"), "id", "is not <domain>.<dataset>", "sales.orders"),
    "id in capitals": (root(id="Sales.Orders"), "id", "is not <domain>.<dataset>", "lower-case"),
    "id of another file": (root(id="sales.other", name="other"), "id", "does not fit the file", "contracts/sales/other.odcs.yaml"),
    "other domain": (root(domain="shop"), "domain", "is not the first part of the id", "write domain: sales"),
    "other name": (root(name="order"), "name", "is not the second part of the id", "write name: orders"),
    "version of two parts": (root(version="1.0"), "version", "is not a semantic version", "1.2.0"),
    "version with zeros": (root(version="1.01.0"), "version", "is not a semantic version", "1.2.0"),
    "no version": (drop("version"), "(root)", "version is missing", "add version"),
    "no status": (drop("status"), "(root)", "has no status", "draft, active"),
    "unknown status": (root(status="actve"), "status", "is not a status", "did you mean 'active'"),
    "no team": (drop("team"), "team", "has no name", "team: {name:"),
    "team as a list": (root(team=[{"username": "ana"}]), "team", "is a list", "team: {name:"),
    "default element of service levels": (root(slaDefaultElement="a"), "slaDefaultElement", "is refused", "element at each"),
    "extension at the root": (
        root(customProperties=[ours("write", {})]),
        "customProperties[0].property",
        "may stand here",
        "move it to the table",
    ),
    "clearance of a role": (
        root(roles=[{"role": "r", "customProperties": [ours("clearance", "restricted")]}]),
        "roles[0].customProperties[0].property",
        "cannot be applied yet",
        "no grants",
    ),
    # servers
    "no server": (drop("servers"), "servers", "has 0 glue servers", "exactly one"),
    "no table server": (lambda document: document["servers"].pop(), "servers", "has 0 glue servers", "silver_sales"),
    "two table servers": (
        more_servers({"server": "b", "type": "glue", "account": "x", "database": "silver_sales"}),
        "servers",
        "has 2 glue servers",
        "exactly one",
    ),
    "two raw servers": (
        more_servers({"server": "b", "type": "s3", "location": "s3://${RAW_BUCKET}/sales/orders/"}),
        "servers[2]",
        "second source of rows",
        "keep one",
    ),
    "same server twice": (server(1, server="raw"), "servers[1].server", "'raw' is used twice", "its own server"),
    "other server": (
        more_servers({"server": "dw", "type": "redshift", "host": "h", "database": "d", "schema": "s"}),
        "servers[2].type",
        "redshift cannot be applied yet",
        "one glue server",
    ),
    "unknown server": (more_servers({"server": "dw", "type": "blob"}), "servers[2].type", "cannot be applied yet", "one glue server"),
    "other database": (
        server(1, database="silver_shop"),
        "servers[1].database",
        "is not a database of the domain 'sales'",
        "silver_sales or gold_sales",
    ),
    "bronze database": (server(1, database="bronze_sales"), "servers[1].database", "is not a database of", "silver_sales or gold_sales"),
    "other table format": (server(1, format="delta"), "servers[1].format", "cannot be made", "iceberg"),
    "place of a table": (server(1, location="s3://b/k"), "servers[1].location", "is refused", "remove it"),
    "other raw place": (
        server(0, location="s3://${RAW_BUCKET}/sales/order/"),
        "servers[0].location",
        "is not where files of sales.orders land",
        "/sales/orders/",
    ),
    "bucket written out": (
        server(0, location="s3://my-bucket/sales/orders/"),
        "servers[0].location",
        "is not where files",
        "${RAW_BUCKET}",
    ),
    "unknown variable": (
        server(0, location="s3://${RAWBUCKET}/sales/orders/"),
        "servers[0].location",
        "there is no variable ${RAWBUCKET}",
        "did you mean 'RAW_BUCKET'",
    ),
    "other encoding": (server(0, encoding="ISO-8859-1"), "servers[0].encoding", "cannot be read yet", "UTF-8"),
    "unknown raw format": (server(0, format="xml"), "servers[0].format", "is not among the formats", "name one"),
    "other endpoint": (server(0, endpointUrl="https://minio"), "servers[0].endpointUrl", "is refused", "remove it"),
    "typo in a server": (server(1, databse="x"), "servers[1].databse", "there is no field 'databse'", "did you mean 'database'"),
    "gold fed by files": (server(1, database="gold_sales"), "servers[0]", "feeds a gold dataset", "silver_sales"),
    # table
    "no table": (root(schema=[]), "schema", "describes 0 tables", "exactly one"),
    "two tables": (lambda document: document["schema"].append({"name": "b"}), "schema", "describes 2 tables", "exactly one"),
    "other table name": (table(name="order"), "schema[0].name", "is not the dataset", "write name: orders"),
    "view": (table(physicalType="view"), "schema[0].physicalType", "cannot be made", "table"),
    "second name": (table(physicalName="t_orders"), "schema[0].physicalName", "is refused", "called as the dataset"),
    "deprecated table": (table(deprecated=True), "schema[0].deprecated", "is refused", "status: deprecated"),
    "relationship of the table": (
        table(relationships=[{"from": "orders.a", "to": "x.b"}]),
        "schema[0].relationships",
        "is refused",
        "at the column",
    ),
    "no columns": (table(properties=[]), "schema[0]", "has no properties", "list its columns"),
    "no key": (on("order_id", primaryKey=None, primaryKeyPosition=None), "schema[0]", "has no primary key", "primaryKey: true"),
    # columns
    "typo in a column": (on("status", requried=True), f"{STATUS}.requried", "there is no field 'requried'", "did you mean 'required'"),
    "column without id": (on("status", id=None), STATUS, "has no id", "add id: status"),
    "column without name": (on("status", name=None), STATUS, "name is missing", "add name"),
    "same id twice": (add(id="status", name="other"), f"{EXTRA}.id", "'status' is used twice", "its own id"),
    "same name twice": (add(id="other", name="status"), f"{EXTRA}.name", "'status' is used twice", "its own name"),
    "name in capitals": (on("status", name="Status"), f"{STATUS}.name", "is not a name", "lower-case"),
    "name of a platform column": (on("status", name="_row"), f"{STATUS}.name", "is a column that the platform adds", "another name"),
    "encrypted copy": (on("status", encryptedName="s"), f"{STATUS}.encryptedName", "cannot be applied yet", "remove it"),
    "second column name": (on("status", physicalName="s"), f"{STATUS}.physicalName", "is refused", "by name"),
    "no classification": (on("status", classification=None), STATUS, "has no classification", "public, internal"),
    "unknown classification": (
        on("status", classification="intern"),
        f"{STATUS}.classification",
        "is not a classification",
        "did you mean 'internal'",
    ),
    "restricted": (
        on("status", classification="restricted"),
        f"{STATUS}.classification",
        "needs masking, which cannot be applied yet",
        "transformLogic",
    ),
    "masking": (
        on("status", customProperties=[ours("masking", {"strategy": "hash"})]),
        f"{STATUS}.customProperties[0].property",
        "masking cannot be applied yet",
        "leave the column out",
    ),
    "key that may be missing": (on("order_id", required=False), "schema[0].properties[0].primaryKey", "not required", "required: true"),
    "key of floats": (
        on("order_id", logicalType="number", logicalTypeOptions={"format": "f64"}),
        "schema[0].properties[0].primaryKey",
        "a double cannot be part of a key",
        "integer",
    ),
    "key without position": (
        on("order_id", primaryKeyPosition=None),
        "schema[0].properties[0].primaryKey",
        "has no primaryKeyPosition",
        "counted from 1",
    ),
    "position without key": (
        on("status", primaryKeyPosition=2),
        f"{STATUS}.primaryKeyPosition",
        "is set, but primaryKey is not",
        "primaryKey: true",
    ),
    "key positions with a gap": (
        on("order_id", primaryKeyPosition=2),
        "schema[0].properties[0].primaryKeyPosition",
        "positions of primaryKey are 2",
        "from 1",
    ),
    # types
    "no type": (on("status", logicalType=None), STATUS, "has no logicalType", "add logicalType"),
    "unknown type": (on("status", logicalType="varchar"), f"{STATUS}.logicalType", "is not allowed", "use one of"),
    "physical type of a string": (on("status", physicalType="varchar(1)"), f"{STATUS}.physicalType", "is set on a string", "remove it"),
    "unknown string format": (
        on("status", logicalTypeOptions={"format": "iban"}),
        f"{STATUS}.logicalTypeOptions.format",
        "is not a format of a string",
        "uuid",
    ),
    "integer without format": (on("order_id", logicalTypeOptions=None), "schema[0].properties[0]", "integer without a format", "i64"),
    "very wide integer": (
        on("order_id", logicalTypeOptions={"format": "i128"}),
        "schema[0].properties[0].logicalTypeOptions.format",
        "fits no Iceberg type",
        "decimal(38,0)",
    ),
    "number without precision": (on("price", physicalType=None), PRICE, "number without a precision", "decimal(15,2)"),
    "number that is no decimal": (on("price", physicalType="money"), f"{PRICE}.physicalType", "is not a decimal", "decimal(15,2)"),
    "too precise": (on("price", physicalType="decimal(39,2)"), f"{PRICE}.physicalType", "out of bounds", "1 to 38"),
    "scale above precision": (on("price", physicalType="decimal(2,3)"), f"{PRICE}.physicalType", "out of bounds", "0 to the precision"),
    "decimal and float": (on("price", logicalTypeOptions={"format": "f64"}), f"{PRICE}.physicalType", "beside the format", "keep one"),
    "timestamp without time zone": (
        on("ordered", logicalType="timestamp"),
        ORDERED,
        "does not say whether it has a time zone",
        "timezone: true",
    ),
    "timestamp of another zone": (
        on("ordered", logicalType="timestamp", logicalTypeOptions={"timezone": True, "defaultTimezone": "Europe/Paris"}),
        f"{ORDERED}.logicalTypeOptions.defaultTimezone",
        "is not UTC",
        "deliver UTC",
    ),
    "time": (on("ordered", logicalType="time"), f"{ORDERED}.logicalType", "time has no type in Spark", "use a string"),
    "vector": (
        add(logicalType="vector", logicalTypeOptions={"dimensions": 3}),
        f"{EXTRA}.logicalType",
        "vector cannot be applied yet",
        "array",
    ),
    "object without fields": (add(logicalType="object"), EXTRA, "object without properties", "list its fields"),
    "array without items": (add(logicalType="array"), EXTRA, "array without items", "items:"),
    "map without parts": (add(logicalType="map"), EXTRA, "map without key and value", "map: {key:"),
    "map keyed by a struct": (
        add(
            logicalType="map",
            map={
                "key": {"logicalType": "object", "properties": [{"id": "a", "name": "a", "logicalType": "string"}]},
                "value": {"logicalType": "string"},
            },
        ),
        f"{EXTRA}.map.key",
        "is a nested type",
        "string or an integer",
    ),
    "typo in options": (
        on("status", logicalTypeOptions={"maxLenght": 3}),
        f"{STATUS}.logicalTypeOptions.maxLenght",
        "there is no field 'maxLenght'",
        "did you mean 'maxLength'",
    ),
    "options of a boolean": (
        add(logicalType="boolean", logicalTypeOptions={"format": "x"}),
        f"{EXTRA}.logicalTypeOptions.format",
        "there is no field 'format'",
        "remove it",
    ),
    "multiple of": (
        on("order_id", logicalTypeOptions={"format": "i64", "multipleOf": 5}),
        "schema[0].properties[0].logicalTypeOptions.multipleOf",
        "cannot be applied yet",
        "rowCondition",
    ),
    "items of an array": (
        add(logicalType="array", items={"logicalType": "string"}, logicalTypeOptions={"minItems": 1}),
        f"{EXTRA}.logicalTypeOptions.minItems",
        "cannot be applied yet",
        "size(",
    ),
    # nested fields
    "nested field without id": (nested(id=None), f"{EXTRA}.properties[0]", "has no id", "add id: a"),
    "nested field in capitals": (nested(name="A"), f"{EXTRA}.properties[0].name", "is not a name", "lower-case"),
    "nested enum": (
        nested(enum=[{"value": "A"}]),
        f"{EXTRA}.properties[0].enum",
        "cannot be applied to a nested field yet",
        "rowCondition",
    ),
    "nested quality": (
        nested(quality=[{"id": "q", "metric": "nullValues", "mustBe": 0}]),
        f"{EXTRA}.properties[0].quality",
        "cannot be applied to a nested field yet",
        "rowCondition",
    ),
    "nested pattern": (
        nested(logicalTypeOptions={"pattern": "^a$"}),
        f"{EXTRA}.properties[0].logicalTypeOptions.pattern",
        "cannot be applied to a nested field yet",
        "rowCondition",
    ),
    "nested partition": (nested(partitioned=True), f"{EXTRA}.properties[0].partitioned", "cannot partition", "column of its own"),
    "nested restricted": (
        nested(classification="restricted"),
        f"{EXTRA}.properties[0].classification",
        "needs masking",
        "leave the column out",
    ),
    "nested typo": (nested(lable="x"), f"{EXTRA}.properties[0].lable", "there is no field 'lable'", "use one of"),
    "nested extension": (
        nested(customProperties=[ours("masking", {})]),
        f"{EXTRA}.properties[0].customProperties[0].property",
        "cannot be applied yet",
        "leave the column out",
    ),
    # where values come from
    "no source of a column": (on("status", transformSourceObjects=None), STATUS, "does not say which raw column feeds it", "[raw.status]"),
    "source of another zone": (
        on("status", transformSourceObjects=["bronze.status"]),
        f"{STATUS}.transformSourceObjects[0]",
        "does not name a raw column",
        "raw.<column>",
    ),
    "source in capitals": (
        on("status", transformSourceObjects=["raw.Status"]),
        f"{STATUS}.transformSourceObjects[0]",
        "does not name a raw column",
        "lower-case",
    ),
    "source of the platform": (
        on("status", transformSourceObjects=["raw._row"]),
        f"{STATUS}.transformSourceObjects[0]",
        "does not name a raw column",
        "raw.<column>",
    ),
    "two sources": (
        on("status", transformSourceObjects=["raw.a", "raw.b"]),
        f"{STATUS}.transformSourceObjects",
        "several raw columns but no transformLogic",
        "combines them",
    ),
    "logic with a typo": (
        on("status", transformLogic="uper(status)"),
        f"{STATUS}.transformLogic",
        "calls uper, which Spark does not have",
        "did you mean 'upper'",
    ),
    "logic over another column": (
        on("status", transformLogic="upper(stat)"),
        f"{STATUS}.transformLogic",
        "there is no column 'stat'",
        "status",
    ),
    "logic that is no SQL": (on("status", transformLogic="upper(status"), f"{STATUS}.transformLogic", "is not Spark SQL", "correct it"),
    "logic that stops the job": (
        on("status", transformLogic="cast(status as int)"),
        f"{STATUS}.transformLogic",
        "stops the job for a bad value",
        "try_cast",
    ),
    "logic that changes": (
        on("status", transformLogic="concat(status, current_date())"),
        f"{STATUS}.transformLogic",
        "changes from run to run",
        "columns of the row",
    ),
    "source of a gold column": (
        lambda document: (document["servers"].pop(0), document["servers"][0].update(database="gold_sales")),
        "schema[0].properties[0].transformSourceObjects",
        "no raw server feeds this dataset",
        "publish step",
    ),
    "source block without files": (
        both(lambda document: document["servers"].pop(0), extension("source", {})),
        "schema[0].customProperties[0].value",
        "there is no s3 server",
        "remove source",
    ),
    # row rules
    "no values": (on("status", enum=[]), f"{STATUS}.enum", "should be non-empty", ""),
    "null among values": (on("status", enum=[{"value": None}]), f"{STATUS}.enum[0]", "null is in the list", "required"),
    "number among texts": (on("status", enum=[{"value": 1}]), f"{STATUS}.enum[0]", "is not text", 'quote it: "1"'),
    "text among numbers": (on("price", enum=[{"value": "1"}]), f"{PRICE}.enum[0]", "is not a number", "write a number"),
    "value twice": (
        on("status", enum=[{"value": "A"}, {"value": "A", "label": "b"}]),
        f"{STATUS}.enum",
        "lists a value twice",
        "keep it once",
    ),
    "value like a date": (on("status", enum=[{"value": "2024-01-01"}]), f"{STATUS}.enum[0]", "looks like a date", "pattern"),
    "value like a time": (on("status", enum=[{"value": "12:30"}]), f"{STATUS}.enum[0]", "looks like a date or a time", "pattern"),
    "value with a quote": (on("status", enum=[{"value": 'a"b'}]), f"{STATUS}.enum[0]", "holds a quote", "rowCondition"),
    "values of a date": (on("ordered", enum=[{"value": "1"}]), f"{ORDERED}.enum", "does not fit a date", "minimum"),
    "typo in a value": (
        on("status", enum=[{"value": "A", "lable": "b"}]),
        f"{STATUS}.enum[0].lable",
        "there is no field 'lable'",
        "did you mean 'label'",
    ),
    "pattern without anchors": (
        on("status", logicalTypeOptions={"pattern": "[A-Z]"}),
        f"{STATUS}.logicalTypeOptions.pattern",
        "is not anchored",
        "'^[A-Z]$'",
    ),
    "pattern with an escaped end": (
        on("status", logicalTypeOptions={"pattern": "^a\\$"}),
        f"{STATUS}.logicalTypeOptions.pattern",
        "is not anchored",
        "whole value",
    ),
    "pattern with outer alternatives": (
        on("status", logicalTypeOptions={"pattern": "^a|b$"}),
        f"{STATUS}.logicalTypeOptions.pattern",
        "alternative outside parentheses",
        "'^(a|b)$'",
    ),
    "pattern with a quote": (
        on("status", logicalTypeOptions={"pattern": '^"$'}),
        f"{STATUS}.logicalTypeOptions.pattern",
        "double quote",
        "\\x22",
    ),
    "pattern that is none": (
        on("status", logicalTypeOptions={"pattern": "^[a$"}),
        f"{STATUS}.logicalTypeOptions.pattern",
        "is not a regular expression",
        "correct it",
    ),
    "lengths crossed": (
        on("status", logicalTypeOptions={"minLength": 3, "maxLength": 2}),
        f"{STATUS}.logicalTypeOptions.minLength",
        "more than maxLength",
        "swap",
    ),
    "bounds crossed": (
        on("price", logicalTypeOptions={"minimum": 3, "maximum": 2}),
        f"{PRICE}.logicalTypeOptions",
        "minimum 3 is more than the maximum 2",
        "swap",
    ),
    "two lower bounds": (
        on("price", logicalTypeOptions={"minimum": 3, "exclusiveMinimum": 2}),
        f"{PRICE}.logicalTypeOptions.minimum",
        "stands beside exclusiveMinimum",
        "keep one",
    ),
    "bound that is no date": (
        on("ordered", logicalTypeOptions={"minimum": "1992"}),
        f"{ORDERED}.logicalTypeOptions.minimum",
        "is not a date",
        "quoted",
    ),
    "bound that is no number": (
        on("price", logicalTypeOptions={"minimum": "0"}),
        f"{PRICE}.logicalTypeOptions.minimum",
        "is not a number",
        "write a number",
    ),
    "zoned bound of a local timestamp": (
        on("ordered", logicalType="timestamp", logicalTypeOptions={"timezone": False, "minimum": "1992-01-01T00:00:00Z"}),
        f"{ORDERED}.logicalTypeOptions.minimum",
        "is not a timestamp",
        "1992-01-01T00:00:00",
    ),
    "year of the week": (
        on("ordered", logicalTypeOptions={"format": "YYYY-MM-dd"}),
        f"{ORDERED}.logicalTypeOptions.format",
        "has Y, the year of a week",
        "yyyy-MM-dd",
    ),
    "minutes for months": (
        on("ordered", logicalTypeOptions={"format": "yyyy-mm-dd"}),
        f"{ORDERED}.logicalTypeOptions.format",
        "mm is minutes",
        "yyyy-MM-dd",
    ),
    "format in other letters": (
        on("ordered", logicalTypeOptions={"format": "%Y-%m-%d"}),
        f"{ORDERED}.logicalTypeOptions.format",
        "has Y",
        "yyyy-MM-dd",
    ),
    "date without day": (
        on("ordered", logicalTypeOptions={"format": "yyyy-MM"}),
        f"{ORDERED}.logicalTypeOptions.format",
        "lacks d",
        "yyyy-MM-dd",
    ),
    # partition
    "partition without position": (
        on("ordered", partitioned=True),
        f"{ORDERED}.partitioned",
        "has no partitionKeyPosition",
        "counted from 1",
    ),
    "unknown transform": (
        on("ordered", partitioned=True, partitionKeyPosition=1, customProperties=[ours("partitionTransform", "week")]),
        f"{ORDERED}.customProperties",
        "is not a partition transform",
        "bucket[n]",
    ),
    "empty buckets": (
        on("ordered", partitioned=True, partitionKeyPosition=1, customProperties=[ours("partitionTransform", "bucket[0]")]),
        f"{ORDERED}.customProperties",
        "is not a partition transform",
        "bucket[n]",
    ),
    "hours of a date": (
        on("ordered", partitioned=True, partitionKeyPosition=1, customProperties=[ours("partitionTransform", "hour")]),
        f"{ORDERED}.customProperties",
        "hour does not fit a date",
        "day",
    ),
    "months of a string": (
        on("status", partitioned=True, partitionKeyPosition=1, customProperties=[ours("partitionTransform", "month")]),
        f"{STATUS}.customProperties",
        "month does not fit a string",
        "bucket[n]",
    ),
    "truncated date": (
        on("ordered", partitioned=True, partitionKeyPosition=1, customProperties=[ours("partitionTransform", "truncate[3]")]),
        f"{ORDERED}.customProperties",
        "truncate does not fit a date",
        "another",
    ),
    "every instant a partition": (
        on("ordered", logicalType="timestamp", logicalTypeOptions={"timezone": True}, partitioned=True, partitionKeyPosition=1),
        f"{ORDERED}.partitioned",
        "cannot be partitioned by identity",
        "hour",
    ),
    "transform without partition": (
        on("ordered", customProperties=[ours("partitionTransform", "month")]),
        f"{ORDERED}.customProperties",
        "is not partitioned",
        "partitioned: true",
    ),
    # extensions of the table
    "extension without vendor": (
        extension("write", {"mode": "merge"}, None),
        "schema[0].customProperties[0]",
        "has no vendor",
        "vendor: lakehouse",
    ),
    "unknown extension": (extension("wriet", {}), "schema[0].customProperties[0].property", "is not an extension", "did you mean 'write'"),
    "extension of another kind": (
        extension("write", "merge"),
        "schema[0].customProperties[0].value",
        "is not a mapping",
        "write a mapping",
    ),
    "extension twice": (
        table(customProperties=[ours("write", {}), ours("write", {})]),
        "schema[0].customProperties[1].property",
        "stands twice",
        "keep one",
    ),
    "warehouse spread by no column": (
        extension("warehouse", {"distKey": "a"}),
        "schema[0].customProperties[0].value.distKey",
        "there is no column 'a'",
        "ordered",
    ),
    "warehouse spread by nothing": (
        extension("warehouse", {"distStyle": "key"}),
        "schema[0].customProperties[0].value.distStyle",
        "needs a column",
        "add distKey",
    ),
    "warehouse spread two ways": (
        extension("warehouse", {"distStyle": "all", "distKey": "ordered"}),
        "schema[0].customProperties[0].value.distStyle",
        "all takes no distKey",
        "remove distKey",
    ),
    "warehouse spread oddly": (
        extension("warehouse", {"distStyle": "evn"}),
        "schema[0].customProperties[0].value.distStyle",
        "is not a way",
        "did you mean 'even'",
    ),
    "warehouse sorted by a word": (
        extension("warehouse", {"sortKey": "id"}),
        "schema[0].customProperties[0].value.sortKey",
        "is not a list",
        "sortKey: [",
    ),
    "warehouse sorted twice": (
        extension("warehouse", {"sortKey": ["ordered", "ordered"]}),
        "schema[0].customProperties[0].value.sortKey[1]",
        "stands twice",
        "keep it once",
    ),
    "warehouse encodings": (
        extension("warehouse", {"encodings": ["zstd"]}),
        "schema[0].customProperties[0].value.encodings",
        "is not a mapping",
        "encodings: {",
    ),
    "warehouse compressed oddly": (
        extension("warehouse", {"encodings": {"ordered": "bzip"}}),
        "schema[0].customProperties[0].value.encodings.ordered",
        "is no compression for",
        "use one of",
    ),
    "warehouse hot by nothing": (
        extension("warehouse", {"hot": 90}),
        "schema[0].customProperties[0].value.hot",
        "does not say which rows are hot",
        "hot: {column",
    ),
    "warehouse hot by no column": (
        extension("warehouse", {"hot": {"column": "a", "days": 90}}),
        "schema[0].customProperties[0].value.hot.column",
        "there is no column 'a'",
        "ordered",
    ),
    "warehouse hot by what is no date": (
        extension("warehouse", {"hot": {"column": "order_id", "days": 90}}),
        "schema[0].customProperties[0].value.hot.column",
        "nobody can tell how old every row is",
        "a date that is required",
    ),
    "warehouse hot for no time": (
        extension("warehouse", {"hot": {"column": "ordered", "days": 0}}),
        "schema[0].customProperties[0].value.hot.days",
        "0 is no number of days",
        "such as 90",
    ),
    "warehouse unknown key": (
        extension("warehouse", {"sortkey": []}),
        "schema[0].customProperties[0].value.sortkey",
        "is not a key of this",
        "did you mean 'sortKey'",
    ),
    "append": (extension("write", {"mode": "append"}), "schema[0].customProperties[0].value.mode", "cannot be applied yet", "mode: merge"),
    "history of rows": (
        extension("write", {"scdType": 2}),
        "schema[0].customProperties[0].value.scdType",
        "cannot be applied yet",
        "scdType: 1",
    ),
    "deletes": (
        extension("write", {"deleteWhen": "op = 'D'"}),
        "schema[0].customProperties[0].value.deleteWhen",
        "cannot be applied yet",
        "remove it",
    ),
    "sequence of no column": (
        extension("write", {"sequenceBy": "updated"}),
        "schema[0].customProperties[0].value.sequenceBy",
        "there is no column 'updated'",
        "ordered",
    ),
    "sequence that may be missing": (
        extension("write", {"sequenceBy": "price"}),
        "schema[0].customProperties[0].value.sequenceBy",
        "is not required",
        "required: true",
    ),
    "sequence without order": (
        both(add(logicalType="boolean", required=True), extension("write", {"sequenceBy": "extra"})),
        "schema[0].customProperties[0].value.sequenceBy",
        "has no order",
        "timestamp",
    ),
    "typo in write": (
        extension("write", {"mod": "merge"}),
        "schema[0].customProperties[0].value.mod",
        "is not a key",
        "did you mean 'mode'",
    ),
    "sort by no column": (
        extension("sortOrder", [{"column": "x"}]),
        "schema[0].customProperties[0].value[0].column",
        "there is no column 'x'",
        "order_id",
    ),
    "sort sideways": (
        extension("sortOrder", [{"column": "price", "direction": "up"}]),
        "schema[0].customProperties[0].value[0].direction",
        "is not a direction",
        "asc",
    ),
    "nulls nowhere": (
        extension("sortOrder", [{"column": "price", "nullOrder": "last"}]),
        "schema[0].customProperties[0].value[0].nullOrder",
        "is not an order of nulls",
        "nulls-last",
    ),
    "sort by a list": (
        extension("sortOrder", [{"column": []}]),
        "schema[0].customProperties[0].value[0].column",
        "there is no column []",
        "",
    ),
    "sort by a word": (extension("sortOrder", ["price"]), "schema[0].customProperties[0].value[0]", "is not a sort field", "{column:"),
    "typo in source": (
        extension("source", {"delimeter": ";"}),
        "schema[0].customProperties[0].value.delimeter",
        "is not a key",
        "did you mean 'delimiter'",
    ),
    "long delimiter": (
        extension("source", {"delimiter": "||"}),
        "schema[0].customProperties[0].value.delimiter",
        "is not one character",
        "quoted",
    ),
    "delimiter and quote": (
        extension("source", {"delimiter": '"'}),
        "schema[0].customProperties[0].value.quote",
        "is the delimiter as well",
        "two characters",
    ),
    "header as text": (
        extension("source", {"header": "yes"}),
        "schema[0].customProperties[0].value.header",
        "is not true or false",
        "true or false",
    ),
    "null as a number": (extension("source", {"nullValue": 0}), "schema[0].customProperties[0].value.nullValue", "is not text", "quoted"),
    "unknown reaction": (
        extension("source", {"onExtraColumn": "ignore"}),
        "schema[0].customProperties[0].value.onExtraColumn",
        "is not a reaction",
        "warn or halt",
    ),
    "unknown file format": (
        extension("source", {"formats": ["xml"]}),
        "schema[0].customProperties[0].value.formats",
        "is not a list of file formats",
        "csv",
    ),
    "threshold above 100": (
        extension("gate", {"scoreThreshold": 101}),
        "schema[0].customProperties[0].value.scoreThreshold",
        "from 0 to 100",
        "percentage",
    ),
    "threshold as text": (
        extension("gate", {"maxQuarantinePercent": "5"}),
        "schema[0].customProperties[0].value.maxQuarantinePercent",
        "from 0 to 100",
        "percentage",
    ),
    # quality
    "rule without id": (table(quality=[{"metric": "rowCount", "mustBeGreaterThan": 0}]), RULE, "has no id", "audit"),
    "rule twice": (
        table(quality=[{"id": "a", "metric": "rowCount", "mustBe": 1}] * 2),
        "schema[0]",
        "two rules have the id 'a'",
        "its own id",
    ),
    "text as a rule": (rule(type="text", description="x"), f"{RULE}.type", "text checks nothing", "rowCondition"),
    "unknown kind of rule": (rule(type="sqll"), f"{RULE}.type", "is not allowed", "did you mean 'sql'"),
    "nothing to check": (rule(description="x"), RULE, "neither a metric nor a type", "add metric"),
    "old name of a metric": (rule(rule="rowCount", mustBe=1), f"{RULE}.rule", "old name of metric", "metric"),
    "unknown metric": (rule(metric="freshness", mustBe=1), f"{RULE}.metric", "is not allowed", "use one of"),
    "between": (rule(metric="rowCount", mustBeBetween=[1, 2]), f"{RULE}.mustBeBetween", "inclusive", "two rules"),
    "not between": (rule(metric="rowCount", mustNotBeBetween=[1, 2]), f"{RULE}.mustNotBeBetween", "inclusive", "sql rule"),
    "two operators": (rule(metric="rowCount", mustBe=1, mustBeLessThan=2), RULE, "has 2 operators", "exactly one"),
    "no operator": (rule(metric="rowCount"), RULE, "has 0 operators", "exactly one"),
    "operator with text": (rule(metric="rowCount", mustBe="1"), f"{RULE}.mustBe", "is not a number", "write a number"),
    "unknown severity": (rule(metric="rowCount", mustBe=1, severity="blocker"), f"{RULE}.severity", "is not a severity", "critical"),
    "unknown dimension": (rule(metric="rowCount", mustBe=1, dimension="beauty"), f"{RULE}.dimension", "is not allowed", "use one of"),
    "months or minutes": (rule(metric="rowCount", mustBe=1, unit="m"), f"{RULE}.unit", "months to others", "rows"),
    "percent of a row count": (rule(metric="rowCount", mustBe=1, unit="percent"), f"{RULE}.unit", "does not fit here", "rows"),
    "row count of a column": (
        on("status", quality=[{"id": "a", "metric": "rowCount", "mustBe": 1}]),
        f"{STATUS}.quality[0].metric",
        "stands at a column",
        "quality of the table",
    ),
    "nulls of a table": (rule(metric="nullValues", mustBe=0), f"{RULE}.metric", "stands at the table", "quality of the column"),
    "argument of another metric": (
        on("status", quality=[{"id": "a", "metric": "nullValues", "mustBe": 0, "arguments": {"pattern": "^a$"}}]),
        f"{STATUS}.quality[0].arguments.pattern",
        "is not an argument of nullValues",
        "",
    ),
    "missing without values": (
        on("status", quality=[{"id": "a", "metric": "missingValues", "mustBe": 0}]),
        f"{STATUS}.quality[0]",
        "does not say which values",
        "arguments:",
    ),
    "invalid without values": (
        on("status", quality=[{"id": "a", "metric": "invalidValues", "mustBe": 0}]),
        f"{STATUS}.quality[0]",
        "exactly one of validValues and pattern",
        "arguments:",
    ),
    "pattern of a number": (
        on("price", quality=[{"id": "a", "metric": "invalidValues", "mustBe": 0, "arguments": {"pattern": "^1$"}}]),
        f"{PRICE}.quality[0].arguments.pattern",
        "judges strings only",
        "validValues",
    ),
    "repeats of no column": (rule(metric="duplicateValues", mustBe=0), RULE, "does not say which columns", "properties"),
    "repeats of another column": (
        rule(metric="duplicateValues", mustBe=0, arguments={"properties": ["x"]}),
        f"{RULE}.arguments.properties[0]",
        "there is no column 'x'",
        "order_id",
    ),
    "rule of a schedule": (rule(metric="rowCount", mustBe=1, schedule="0 3 * * *"), f"{RULE}.schedule", "is refused", "remove it"),
    "other engine": (
        rule(type="custom", engine="soda", implementation="x"),
        f"{RULE}.engine",
        "is not run by this platform",
        "engine: lakehouse",
    ),
    "condition as text": (
        rule(type="custom", engine="lakehouse", implementation="a > 1"),
        f"{RULE}.implementation",
        "is not a row condition",
        "rowCondition",
    ),
    "condition of no column": (
        rule(type="custom", engine="lakehouse", implementation={"rowCondition": "prize > 1"}),
        f"{RULE}.implementation.rowCondition",
        "there is no column 'prize'",
        "did you mean 'price'",
    ),
    "condition with a comment": (
        rule(type="custom", engine="lakehouse", implementation={"rowCondition": "price > 1 -- x"}),
        f"{RULE}.implementation.rowCondition",
        "has a comment",
        "remove it",
    ),
    "condition with double quotes": (
        rule(type="custom", engine="lakehouse", implementation={"rowCondition": 'status = "A"'}),
        f"{RULE}.implementation.rowCondition",
        "double quote",
        "quote text by '",
    ),
    "condition that divides": (
        rule(type="custom", engine="lakehouse", implementation={"rowCondition": "1 / price > 1"}),
        f"{RULE}.implementation.rowCondition",
        "divides by something that may be 0",
        "try_divide",
    ),
    "condition over all rows": (
        rule(type="custom", engine="lakehouse", implementation={"rowCondition": "price > avg(price)"}),
        f"{RULE}.implementation.rowCondition",
        "has an aggregate",
        "type: sql",
    ),
    "condition with a subquery": (
        rule(type="custom", engine="lakehouse", implementation={"rowCondition": "price IN (SELECT 1)"}),
        f"{RULE}.implementation.rowCondition",
        "has a subquery",
        "type: sql",
    ),
    "query of another table": (
        rule(type="sql", query="SELECT count(*) FROM orders", mustBe=0),
        f"{RULE}.query",
        "does not read {object}",
        "FROM {object}",
    ),
    "query of two tables": (
        rule(type="sql", query="SELECT count(*) FROM {object} AS a JOIN b ON true", mustBe=0),
        f"{RULE}.query",
        "reads b",
        "relationship",
    ),
    "query of two values": (
        rule(type="sql", query="SELECT 1, 2 FROM {object}", mustBe=0),
        f"{RULE}.query",
        "is not one SELECT of one value",
        "count(*)",
    ),
    "query that changes data": (rule(type="sql", query="DELETE FROM {object}", mustBe=0), f"{RULE}.query", "is not one SELECT", "count(*)"),
    "two queries": (
        rule(type="sql", query="SELECT 1 FROM {object}; SELECT 2", mustBe=0),
        f"{RULE}.query",
        "holds 2 statements",
        "semicolon",
    ),
    "query of no column": (
        rule(type="sql", query="SELECT max(prize) FROM {object}", mustBe=0),
        f"{RULE}.query",
        "there is no column 'prize'",
        "did you mean 'price'",
    ),
    "property of a table": (
        rule(type="sql", query="SELECT max({property}) FROM {object}", mustBe=0),
        f"{RULE}.query",
        "has {property}, but stands at the table",
        "name the column",
    ),
    "unknown action": (
        rule(metric="rowCount", mustBe=1, customProperties=[ours("onFailure", "stop")]),
        f"{RULE}.customProperties[0].value",
        "is not an action",
        "halt",
    ),
    "quarantine of a table": (
        rule(metric="rowCount", mustBe=1, customProperties=[ours("onFailure", "quarantine")]),
        f"{RULE}.customProperties[0].value",
        "no row can be put aside",
        "halt",
    ),
    # relationships
    "reference to nothing": (on("status", relationships=[{"to": "nobody"}]), f"{STATUS}.relationships[0].to", "", ""),
    "reference to no contract": (
        on("status", relationships=[{"to": "customers.id"}]),
        f"{STATUS}.relationships[0].to",
        "there is no contract sales.customers",
        "sales.orders",
    ),
    "reference to no file": (
        on("status", relationships=[{"to": "customers.odcs.yaml#/schema/customers/properties/id"}]),
        f"{STATUS}.relationships[0].to",
        "there is no contract contracts/sales/customers.odcs.yaml",
        "orders.odcs.yaml",
    ),
    "reference to no column": (
        on("status", relationships=[{"to": "orders.stat"}]),
        f"{STATUS}.relationships[0].to",
        "sales.orders has no column 'stat'",
        "did you mean 'status'",
    ),
    "reference to another type": (
        on("status", relationships=[{"to": "orders.order_id"}]),
        f"{STATUS}.relationships[0].to",
        "'status' is a string, but orders.order_id is a long",
        "the same type",
    ),
    "typo in a reference": (
        on("status", relationships=[{"too": "orders.status"}]),
        f"{STATUS}.relationships[0].too",
        "there is no field 'too'",
        "to",
    ),
    # service levels
    "retention": (
        root(slaProperties=[{"property": "retention", "value": 7, "unit": "y"}]),
        "slaProperties[0].property",
        "nothing deletes rows by age",
        "limitations",
    ),
    "service level of no column": (
        root(slaProperties=[{"property": "freshness", "value": 7, "unit": "h", "element": "orders.updated"}]),
        "slaProperties[0].element",
        "there is no column 'orders.updated'",
        "orders.",
    ),
    "service level of another table": (
        root(slaProperties=[{"property": "freshness", "value": 7, "unit": "h", "element": "other.price"}]),
        "slaProperties[0].element",
        "there is no column",
        "orders.price",
    ),
    "service level in m": (
        root(slaProperties=[{"property": "freshness", "value": 7, "unit": "m"}]),
        "slaProperties[0].unit",
        "months to others",
        "min",
    ),
    "service level twice": (
        root(slaProperties=[{"id": "a", "property": "freshness", "value": 1}] * 2),
        "slaProperties[1].id",
        "'a' is used twice",
        "its own id",
    ),
    # values of the wrong form
    "required as text": (on("status", required="yes"), f"{STATUS}.required", "is not true or false", "true or false"),
    "version as a number": (root(version=1.0), "version", "is not text", 'quote it: "1.0"'),
    "tags as text": (root(tags="a"), "tags", "is not a list", "write a list"),
    "columns as a mapping": (table(properties={"a": 1}), "schema[0].properties", "is not a list", "write a list"),
    "schema as a mapping": (root(schema={"a": 1}), "schema", "", ""),
    "id with blanks": (on("status", id="the status"), f"{STATUS}.id", "has the wrong form", "^[A-Za-z0-9_-]+$"),
    "member without user name": (
        root(team={"name": "a", "members": [{"name": "b"}]}),
        "team.members[0]",
        "username is missing",
        "add username",
    ),
}


def found(faults: list[Fault], place: str, problem: str, fix: str) -> bool:
    return any(fault.place == place and problem in fault.problem and fix in fault.fix for fault in faults)


def test_what_a_contract_says_of_the_warehouse_is_compiled_and_read_again(project: Project) -> None:
    hot = project.compiled(extension("warehouse", {"sortKey": ["ordered"], "hot": {"column": "ordered", "days": 90}}))
    assert hot.warehouse == Warehouse(sort_keys=("ordered",), hot=HotRows(column="ordered", days=90))
    whole = project.compiled(extension("warehouse", {"sortKey": ["ordered"]}))
    assert whole.to_dict()["warehouse"].keys() == {"dist_style", "dist_key", "sort_keys", "encodings"}
    for contract in (hot, whole):
        assert CompiledContract.from_json(contract.to_json()) == contract


def test_the_good_contract_has_no_faults(project: Project) -> None:
    assert project.faults() == []


SEVERAL = frozenset({"source of a gold column", "source block without files"})
"""Cases that break several rules at once; every other fault is told once."""


@pytest.mark.parametrize("case", CASES)
def test_refused(project: Project, case: str) -> None:
    alter, place, problem, fix = CASES[case]
    faults = project.faults(alter)
    told = "\n".join(map(str, faults)) or "no faults"
    assert found(faults, place, problem, fix), told
    for fault in faults:
        assert fault.file == "contracts/sales/orders.odcs.yaml"
        assert fault.line > 0, fault
        assert fault.fix, fault
    assert len(faults) == 1 or case in SEVERAL, told
    assert not (project.folder / "sales/orders.lock.json").exists()
