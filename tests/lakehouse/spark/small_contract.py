"""A small contract for tests: key, text, number, day, moment; one object in JSON."""

from dataclasses import replace
from typing import Any

from lakehouse.contracts.model import Column, CompiledContract, Quality, RawColumn, Rule, Source, Write

TYPES: dict[str, str | dict[str, Any]] = {"id": "long", "name": "string", "amount": "decimal(15, 2)", "day": "date"}


def column(name: str, type_: str | dict[str, Any], *, field_id: int = 1, required: bool = False, **changes: Any) -> Column:
    plain = Column(
        id=name,
        name=name,
        field_id=field_id,
        type=type_,
        required=required,
        source=name,
        logic=None,
        format=None,
        classification="internal",
        pii=None,
        description="",
    )
    return replace(plain, **changes)


def not_null(name: str) -> Rule:
    return Rule(
        id=f"{name}.not_null",
        level="row",
        kind="not_null",
        code="missing_value",
        column=name,
        severity="error",
        action="quarantine",
        dimension="completeness",
    )


def table_rule(kind: str, **changes: Any) -> Rule:
    plain = Rule(id=kind, level="table", kind=kind, code="", column=None, severity="error", action="halt", dimension="consistency")
    return replace(plain, **changes)


def contract(
    *,
    types: dict[str, str | dict[str, Any]] = TYPES,
    source: Source | None = None,
    sequence_by: str | None = None,
    rules: tuple[Rule, ...] = (),
    **changes: Any,
) -> CompiledContract:
    """`test.things`, keyed by the first column."""
    key = next(iter(types))
    columns = tuple(column(name, type_, field_id=place, required=name == key) for place, (name, type_) in enumerate(types.items(), start=1))
    plain = CompiledContract(
        id="test.things",
        version="1.0.0",
        status="active",
        zone="silver",
        domain="test",
        dataset="things",
        description="",
        owner="tests",
        columns=columns,
        keys=(key,),
        partition=(),
        sort=(),
        write=Write(sequence_by=sequence_by),
        source=source or Source(),
        quality=Quality(rules=(not_null(key), *rules)),
        raw=tuple(RawColumn(name=name, field_id=10_100 + place) for place, name in enumerate(types)),
    )
    return replace(plain, **changes)
