"""Whatever stands in a contract, a spec or an environment file, the answer is faults, never a stack trace."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.compiler.contract import parse_contract
from lakehouse.contracts.compiler.documents import Document
from lakehouse.contracts.compiler.lock import next_lock, number
from lakehouse.contracts.compiler.project import compile_contracts, update_locks
from lakehouse.contracts.compiler.relationships import relationship_rules
from lakehouse.contracts.dqdl import ruleset
from lakehouse.contracts.tables import tables_of
from lakehouse.environments.loading import load_environment
from lakehouse.errors import ConfigurationError, Fault
from lakehouse.pipelines.loader import load_pipelines

CHECKOUT = Path(__file__).resolve().parents[4]
EXAMPLE = yaml.safe_load((Path(__file__).parents[1] / "examples/sales/orders.odcs.yaml").read_text(encoding="utf-8"))
PIPELINE = yaml.safe_load((CHECKOUT / "pipelines/daily_revenue.yaml").read_text(encoding="utf-8"))
PROD = yaml.safe_load((CHECKOUT / "config/base.yaml").read_text(encoding="utf-8"))

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from(["^(", "a.b", "${X}", "'", "x y", "\x00"])
)
values = (
    scalars
    | st.lists(scalars, max_size=2)
    | st.dictionaries(st.sampled_from(["id", "name", "type", "value", "x"]), scalars, max_size=2)
    | st.lists(st.lists(scalars, max_size=1), max_size=1)
)


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a document."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in ((*place, key), *places(item, (*place, key)))]


def mutated(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place; the value `...` removes it."""
    result = copy.deepcopy(document)
    inside = result
    for part in place[:-1]:
        inside = inside[part]
    if value is ...:
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    return result


def mutations(document: Any) -> Any:
    """Changes of a document, one or two at a time."""
    known = places(document)
    change = st.tuples(st.sampled_from(known), values | st.just(...))

    def apply(changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
        result = document
        for place, value in changes:
            try:
                result = mutated(result, place, value)
            except (KeyError, IndexError, TypeError):
                continue
        return result

    return st.lists(change, min_size=1, max_size=2).map(apply)


@given(mutations(EXAMPLE))
@settings(max_examples=120, deadline=None)
def test_contracts(document: Any) -> None:
    faults: list[Fault] = []
    authored = parse_contract(Document(file="contracts/sales/orders.odcs.yaml", value=document, lines={}), faults)
    assert (authored is None) == bool(faults), "faults and a result, or neither"
    for fault in faults:
        assert fault.problem
        assert fault.fix
    if authored is not None:
        relationship_rules(authored, {}, faults, complete=False)
        compiled = number(authored, next_lock(authored, None))
        assert tables_of(compiled)
        assert ruleset(compiled).startswith("Rules = [")


def answers_with_faults(call: Callable[[], object]) -> None:
    """The call does its work or tells faults; any other error fails the test."""
    with suppress(ConfigurationError):
        call()


@given(mutations(PIPELINE))
@settings(max_examples=100, deadline=None)
def test_pipelines(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz" / "pipelines"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "daily_revenue.yaml").write_text(yaml.dump(document, allow_unicode=True), encoding="utf-8")
    answers_with_faults(lambda: load_pipelines(folder, CONTRACTS))


@given(mutations(PROD))
@settings(max_examples=100, deadline=None)
def test_environments(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.yaml").write_text("project: shop\n", encoding="utf-8")
    (folder / "dev.yaml").write_text(yaml.dump(document, allow_unicode=True), encoding="utf-8")
    answers_with_faults(lambda: load_environment(folder, "dev"))


def test_an_empty_folder_has_no_contracts(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    assert compile_contracts(tmp_path / "contracts") == {}
    assert update_locks(tmp_path / "contracts") == ()


CONTRACTS = compile_contracts(CHECKOUT / "contracts")
