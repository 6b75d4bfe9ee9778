"""The tables of fields against the vendored schema of ODCS: no field is without a decision, none is made up."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.contracts.compiler import structure
from lakehouse.contracts.compiler.fields import NODES
from lakehouse.contracts.compiler.structure import odcs_validator

DEFINITIONS: dict[str, Any] = odcs_validator().schema["$defs"]
BASE = DEFINITIONS["SchemaBaseProperty"]
OPERATORS = {key for branch in DEFINITIONS["DataQualityOperators"]["oneOf"] for key in branch["properties"]}
STRUCTURAL = {"properties", "items", "map"}


def keys(*names: str) -> set[str]:
    return {key for name in names for key in DEFINITIONS[name].get("properties", {})}


def options(logical: str) -> set[str]:
    for branch in BASE["allOf"][1:]:
        conditions = branch["if"].get("anyOf", [branch["if"]])
        if any(condition["properties"]["logicalType"]["const"] == logical for condition in conditions):
            found = branch["then"]["properties"].get("logicalTypeOptions", {})
            return set(found.get("properties", {}))
    return set()


SCHEMA_KEYS = {
    "contract": set(odcs_validator().schema["properties"]),
    "description": set(odcs_validator().schema["properties"]["description"]["properties"]),
    "server": keys("Server"),
    "object": keys("SchemaElement", "SchemaObject"),
    "property": keys("SchemaElement", "SchemaBaseProperty") | STRUCTURAL,
    "nested": keys("SchemaElement", "SchemaBaseProperty") | STRUCTURAL,
    "item": keys("SchemaElement", "SchemaBaseProperty", "SchemaItemProperty") | STRUCTURAL,
    "map": {"key", "value"},
    "enumValue": keys("EnumValue"),
    "relationship": keys("RelationshipBase") - {"from"},
    "quality": keys("DataQuality", "DataQualityLibrary", "DataQualitySql", "DataQualityCustom") | OPERATORS,
    "customProperty": keys("CustomProperty"),
    "sla": keys("ServiceLevelAgreementProperty"),
    "team": keys("Team"),
    "member": keys("TeamMember"),
    "role": keys("Role"),
    "support": keys("SupportItem"),
    "price": keys("Pricing"),
    "synonym": keys("Synonym"),
    "authoritativeDefinition": set(DEFINITIONS["AuthoritativeDefinitions"]["items"]["properties"]),
    "server.s3": set(DEFINITIONS["ServerSource"]["S3Server"]["properties"]),
    "server.postgresql": set(DEFINITIONS["ServerSource"]["PostgresServer"]["properties"]),
    "server.glue": set(DEFINITIONS["ServerSource"]["GlueServer"]["properties"]),
    **{
        f"options.{logical}": options(logical)
        for logical in ("string", "date", "timestamp", "integer", "number", "object", "array", "boolean", "map")
    },
}


def test_every_kind_of_node_is_compared() -> None:
    assert set(SCHEMA_KEYS) == set(NODES)


@pytest.mark.parametrize("kind", sorted(NODES))
def test_every_field_of_odcs_has_a_decision(kind: str) -> None:
    assert set(NODES[kind]) == SCHEMA_KEYS[kind]


def test_a_refused_field_says_why_and_what_to_write_instead() -> None:
    for kind, table in NODES.items():
        for key, field in table.items():
            assert field.disposition != "refused" or (field.note and field.fix), f"{kind}.{key}"
            assert field.disposition != "applied" or field.note, f"{kind}.{key}"
            assert field.inside is None or field.inside == "options" or field.inside in NODES, f"{kind}.{key}"


def test_the_vendored_schema_is_the_one_that_was_vendored(monkeypatch: pytest.MonkeyPatch) -> None:
    assert structure.SCHEMA_SHA256 in (structure.SCHEMA_FILE.parent / "PROVENANCE.md").read_text(encoding="utf-8")
    monkeypatch.setattr(structure, "SCHEMA_SHA256", "0" * 64)
    odcs_validator.cache_clear()
    with pytest.raises(RuntimeError, match="restore the file from version control"):
        odcs_validator()
    odcs_validator.cache_clear()


def test_a_property_without_a_logical_type_needs_no_map_block() -> None:
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "x",
        "version": "1.0.0",
        "schema": [{"name": "t", "properties": [{"name": "c"}]}],
    }
    assert not list(odcs_validator().iter_errors(document))
    document["schema"][0]["properties"][0]["logicalType"] = "map"  # type: ignore[index]
    assert list(odcs_validator().iter_errors(document))
