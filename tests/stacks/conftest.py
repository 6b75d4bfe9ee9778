"""One synth an environment and session, read by every test of the stacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from stacks.synthesis import ROOT, synthesize, use_bundled_node

use_bundled_node()

ENVIRONMENTS = ("dev", "local", "prod", "staging")


@dataclass(frozen=True)
class Assembly:
    """Templates of one environment as plain data."""

    env: str
    folder: Path

    @cached_property
    def templates(self) -> dict[str, dict[str, Any]]:
        """Template of each stack by tier."""
        return {
            path.name.removesuffix(".template.json"): json.loads(path.read_text()) for path in sorted(self.folder.glob("*.template.json"))
        }

    def resources(self, kind: str, tier: str = "") -> dict[str, dict[str, Any]]:
        """Resources of a type by tier and logical id."""
        return {
            f"{name}/{id_}": resource
            for name, template in self.templates.items()
            if name.startswith(tier)
            for id_, resource in template["Resources"].items()
            if resource["Type"] == kind
        }

    def properties(self, kind: str, tier: str = "") -> list[dict[str, Any]]:
        """Properties of the resources of a type."""
        return [resource["Properties"] for resource in self.resources(kind, tier).values()]

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every statement of every role's policy, with the name of the policy."""
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for name, resource in self.resources(kind).items():
                for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                    yield name, statement


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assembly]:
    """Every environment."""
    folder = tmp_path_factory.mktemp("assemblies")
    return {env: Assembly(env, synthesize(env, outdir=folder / env, root=ROOT)) for env in ENVIRONMENTS}


@pytest.fixture(params=ENVIRONMENTS)
def assembly(assemblies: dict[str, Assembly], request: pytest.FixtureRequest) -> Assembly:
    """Each environment in turn."""
    return assemblies[request.param]


@pytest.fixture
def prod(assemblies: dict[str, Assembly]) -> Assembly:
    """Production."""
    return assemblies["prod"]


@pytest.fixture
def local(assemblies: dict[str, Assembly]) -> Assembly:
    """The laptop."""
    return assemblies["local"]


def flat(value: Any) -> str:
    """A value of a template as text, CloudFormation's functions spelled out."""
    if isinstance(value, dict):
        if "Ref" in value:
            return f"<{value['Ref']}>"
        if "Fn::Join" in value:
            separator, parts = value["Fn::Join"]
            return separator.join(map(flat, parts))
        if "Fn::GetAtt" in value:
            return f"<{'.'.join(value['Fn::GetAtt'])}>"
        if "Fn::Sub" in value:
            return str(value["Fn::Sub"])
        if "Fn::Select" in value:
            number, listed_ = value["Fn::Select"]
            whole = listed_["Fn::Split"][1] if isinstance(listed_, dict) and "Fn::Split" in listed_ else listed_
            return f"<{flat(whole)}[{number}]>"
        return json.dumps(value, sort_keys=True)
    return str(value)


def plain(value: Any) -> Any:
    """A part of a template, CloudFormation's functions inside it spelled out."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, dict) and not {"Ref", "Fn::Join", "Fn::GetAtt", "Fn::Sub"} & set(value):
        return {key: plain(part) for key, part in value.items()}
    return flat(value) if isinstance(value, dict) else value


def parameters(assembly: Assembly) -> dict[str, str]:
    """Path in Parameter Store by the reference, as `flat` spells it, of every parameter that a template reads."""
    return {
        f"<{id_}>": parameter["Default"]
        for template in assembly.templates.values()
        for id_, parameter in template.get("Parameters", {}).items()
        if parameter["Type"].startswith("AWS::SSM::Parameter::Value")
    }


def listed(value: Any) -> list[Any]:
    """IAM writes one thing as itself and several as a list."""
    return value if isinstance(value, list) else [value]
