"""Relationships between datasets: resolved across contracts, checked by the gate as warnings."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.contracts.compiler.columns import AuthoredColumn
from lakehouse.contracts.compiler.contract import AuthoredContract
from lakehouse.contracts.compiler.documents import Place, nearest
from lakehouse.contracts.compiler.nodes import kind
from lakehouse.contracts.model import Rule
from lakehouse.errors import Fault

_SHORT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_FULL = re.compile(r"(?P<file>[^#]*)#/?schema/(?P<table>[A-Za-z0-9_-]+)/properties/(?P<column>[A-Za-z0-9_-]+)")


@dataclass(frozen=True, kw_only=True)
class _Target:
    contract: AuthoredContract
    column: AuthoredColumn


def relationship_rules(
    authored: AuthoredContract, by_id: Mapping[str, AuthoredContract], faults: list[Fault], *, complete: bool
) -> tuple[Rule, ...]:
    """Rules that follow from the relationships of a contract.

    Args:
        authored: The contract.
        by_id: Every contract that could be read.
        faults: Receives what is wrong.
        complete: Whether every contract could be read; if not, a missing target may be one that has faults of its own.
    """
    rules: list[Rule] = []
    for column in authored.columns:
        for rule_id, reference, place in column.references:
            target = _resolve(authored, reference, place, by_id, faults, complete=complete)
            if target is None:
                continue
            if kind(target.column.type) != kind(column.type):
                problem = f"{column.name!r} is a {kind(column.type)}, but {reference} is a {kind(target.column.type)}"
                faults.append(authored.document.fault(place, problem, "give both columns the same type"))
            rules.append(
                Rule(
                    id=rule_id,
                    level="table",
                    kind="relationship",
                    code="",
                    column=column.name,
                    severity="warning",
                    action="warn",
                    dimension="consistency",
                    args={
                        "columns": [column.name],
                        "to_table": f"{target.contract.zone}.{target.contract.domain}.{target.contract.dataset}",
                        "to_columns": [target.column.name],
                    },
                    operator="eq",
                    threshold=0,
                )
            )
    return tuple(rules)


def _resolve(
    authored: AuthoredContract, reference: str, place: Place, by_id: Mapping[str, AuthoredContract], faults: list[Fault], *, complete: bool
) -> _Target | None:
    def fault(problem: str, fix: str) -> None:
        faults.append(authored.document.fault(place, problem, fix))

    full, short = _FULL.fullmatch(reference), _SHORT.fullmatch(reference)
    if full is None and short is None:
        fault(
            f"{reference!r} does not name a column", "write customer.odcs.yaml#/schema/customer/properties/c_custkey, or customer.c_custkey"
        )
        return None
    if full is not None:
        file, column_word = full["file"], full["column"]
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(authored.document.file), file)) if file else authored.document.file
        found = next((other for other in by_id.values() if other.document.file == wanted), None)
        name = wanted
        known = [posixpath.relpath(other.document.file, posixpath.dirname(authored.document.file)) for other in by_id.values()]
    else:
        assert short is not None
        name, column_word = f"{authored.domain}.{short[1]}", short[2]
        found, known = by_id.get(name), list(by_id)
    if found is None:
        if complete:
            fault(f"there is no contract {name}", nearest(name, known))
        return None
    for column in found.columns:
        if column_word in (column.field.id, column.name):
            return _Target(contract=found, column=column)
    fault(f"{found.id} has no column {column_word!r}", nearest(column_word, [column.field.id for column in found.columns]))
    return None
