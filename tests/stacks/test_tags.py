"""Whose every resource is, and who pays for it."""

from __future__ import annotations

from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.stacks.conftest import Assembly


def tag_property(kind: str) -> str | None:
    """Property that holds the tags of a resource type, as its registry schema says; None if it takes none."""
    schema: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    name = schema.get("tagging", {}).get("tagProperty", "/properties/Tags").rpartition("/")[2]
    return name if name in schema["properties"] else None


def test_every_resource_that_takes_tags_says_whose_it_is_and_who_pays(assembly: Assembly) -> None:
    wanted = {
        "project": "lakehouse",
        "environment": assembly.env,
        "managed-by": "cdk",
        "owner": "data-platform",
        "cost-center": "data-platform",
    }
    kinds = {resource["Type"] for template in assembly.templates.values() for resource in template["Resources"].values()}
    properties = {kind: tag_property(kind) for kind in kinds if not kind.startswith("Custom::")}
    assert sum(name is not None for name in properties.values()) > 10
    for kind, name in properties.items():
        if name is not None:
            for resource in assembly.properties(kind):
                tags = resource.get(name, [])
                found = dict(tags) if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
                if kind.startswith("AWS::EC2::"):
                    assert found.pop("Name").startswith(f"lakehouse-{assembly.env}-"), kind  # the console shows it in place of an id
                assert found == wanted, (kind, resource)
