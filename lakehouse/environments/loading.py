"""Reads the files of environments, and says all that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lakehouse.contracts.compiler.documents import Document, Place, dotted, nearest, read_document
from lakehouse.environments.environment import Environment
from lakehouse.environments.sections import section_in
from lakehouse.errors import ConfigurationError, Fault
from lakehouse.networks import overlap

BASE = "base"
"""Name of the file that every environment starts from."""


def environment_names(folder: Path) -> tuple[str, ...]:
    """Names of the environments that a config folder describes, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml") if path.stem != BASE))


def load_environment(folder: Path, env: str | None, *, root: Path | None = None) -> Environment:
    """Load one environment, and check that it shares no names with the others.

    Args:
        folder: Folder with base.yaml and <env>.yaml.
        env: Name of the environment.
        root: Folder that paths in errors are relative to; the parent of `folder` by default.

    Raises:
        ConfigurationError: There is no such environment, a file has faults, or two environments would share names.
    """
    root = folder.parent if root is None else root
    known = environment_names(folder)
    if env is None or env not in known:
        problem = "no environment is given" if env is None else f"there is no environment {env!r}"
        fix = nearest(env or "", known) if known else f"write {folder.name}/base.yaml and {folder.name}/dev.yaml"
        raise ConfigurationError([Fault(file=f"{folder.name}/", line=0, place="env", problem=problem, fix=fix)])
    faults: list[Fault] = []
    base = read_document(folder / f"{BASE}.yaml", root=root, faults=faults)
    loaded: dict[str, Environment] = {}
    for name in (env, *(other for other in known if other != env)):
        mine: list[Fault] = []
        document = read_document(folder / f"{name}.yaml", root=root, faults=mine)
        environment = _validated(name, base, document, mine) if base is not None and document is not None else None
        if environment is not None:
            loaded[name] = environment
            if name != env and env in loaded:
                faults += _shared(loaded[env], environment, document)
        if name == env:
            faults += mine
    if faults:
        raise ConfigurationError(faults)
    return loaded[env]


@dataclass(frozen=True, kw_only=True)
class _Layers:
    """The two documents of an environment."""

    base: Document
    top: Document

    def fault(self, place: Place, problem: str, fix: str) -> Fault:
        """A fault in the layer that says the value."""
        return (self.top if _has(self.top.value, place) or not _has(self.base.value, place) else self.base).fault(place, problem, fix)


def _validated(name: str, base: Document, document: Document, faults: list[Fault]) -> Environment | None:
    layers = _Layers(base=base, top=document)
    merged = _merged(base.value, document.value)
    if "env" in merged:
        faults.append(layers.fault(("env",), "is written in the file", f"remove it: the environment is named by its file, {name}.yaml"))
    merged["env"] = name
    if "name_prefix" not in merged and isinstance(merged.get("project"), str):
        merged["name_prefix"] = f"{merged['project']}-{name}"
    try:
        environment = Environment.model_validate(merged)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place: Place = tuple(detail["loc"])
            problem, fix = _explained(detail, place)
            faults.append(layers.fault(place, problem, fix))
        return None
    if environment.network.cidr is None and environment.network.vpc is None:
        fix = f"add network: {{cidr: 10.0.0.0/16}} to config/{name}.yaml, a range that no other environment has, or network: {{vpc: …}} for a VPC that exists"
        faults.append(layers.fault(("network", "cidr"), "is missing", fix))
        return None
    return environment


def _merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _has(value: Any, place: Place) -> bool:
    for part in place:
        keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part not in keys:
            return False
        inside: Any = value
        value = inside[part]
    return True


def _explained(detail: Any, place: Place) -> tuple[str, str]:
    """What is wrong and what to write, from pydantic's account of it."""
    kind, given, context = detail["type"], detail.get("input"), detail.get("ctx") or {}
    if kind == "extra_forbidden":
        section = _section(place[:-1])
        return f"there is no key {place[-1]!r}", nearest(str(place[-1]), [key for key in section.model_fields if key != "env"])
    if kind == "missing":
        return "is missing", f"add {dotted(place)} to config/base.yaml" if len(place) == 1 else f"add {dotted(place)}"
    if kind == "value_error":
        problem, _, fix = str(context.get("error")).partition(", got ")
        return (f"{problem}, got {fix}" if fix else problem), "correct the values in this section"
    if kind == "literal_error":
        return f"{given!r} is not allowed", f"use {context.get('expected')}"
    description = _description(place)
    return f"{given!r} is wrong: {detail['msg']}", f"correct {dotted(place)}" + (
        f" ({description.removesuffix('.')})" if description else ""
    )


def _section(place: Place) -> type[BaseModel]:
    section: type[BaseModel] = Environment
    for part in place:
        field = section.model_fields.get(str(part))
        section = (section_in(field.annotation) if field else None) or section
    return section


def _description(place: Place) -> str:
    names = [part for part in place if isinstance(part, str)]
    field = _section(tuple(names[:-1])).model_fields.get(names[-1]) if names else None
    return (field.description or "") if field else ""


def _shared(mine: Environment, other: Environment, document: Document | None) -> list[Fault]:
    """Faults of two environments that would give the same name to two things."""
    faults: list[Fault] = []
    file = document.file if document else f"{other.env}.yaml"

    def differ(a: str | None, b: str | None) -> bool:
        return a is not None and b is not None and a != b

    ranges = mine.network.range, other.network.range
    if ranges[0] is not None and ranges[1] is not None and overlap(ranges[0], ranges[1]) and not _same_vpc(mine, other):
        faults.append(
            Fault(
                file=file,
                line=document.line(("network",)) if document else 0,
                place="network.cidr",
                problem=f"the networks of {mine.env!r} ({ranges[0]}) and {other.env!r} ({ranges[1]}) overlap, so they could never be connected",
                fix="give each environment a range of its own",
            )
        )
    if differ(mine.account, other.account):
        return faults
    line = document.line(("name_prefix",)) if document else 0
    shorter, longer = sorted((mine.name_prefix, other.name_prefix), key=len)
    if f"{longer}-".startswith(f"{shorter}-"):
        # Roles are the account's whatever the region, and rules on `<prefix>-*` would take the other's runs and alarms for their own.
        problem = f"the environments {mine.env!r} and {other.env!r} share the name prefix {shorter!r}"
        if shorter != longer:
            problem += f": names of {longer!r} begin with it"
        faults.append(
            Fault(
                file=file,
                line=line,
                place="name_prefix",
                problem=problem,
                fix="give each its own name_prefix, of which none begins another up to a hyphen, or its own account",
            )
        )
    same_place = mine.account is not None and mine.account == other.account and mine.region is not None and mine.region == other.region
    if same_place and mine.database_prefix == other.database_prefix:
        problem = f"the environments {mine.env!r} and {other.env!r} share an account, a region and the catalog databases"
        faults.append(
            Fault(file=file, line=line, place="database_prefix", problem=problem, fix=f"add database_prefix: {other.env}_ to {file}")
        )
    return faults


def _same_vpc(mine: Environment, other: Environment) -> bool:
    return mine.network.vpc is not None and other.network.vpc is not None and mine.network.vpc.id == other.network.vpc.id
