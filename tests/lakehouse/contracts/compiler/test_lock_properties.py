"""Field ids under random histories of a contract: one id means one column for ever, whatever is added, dropped, renamed and brought back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.compiler.contract import AuthoredContract, parse_contract
from lakehouse.contracts.compiler.documents import Document
from lakehouse.contracts.compiler.evolution import Change
from lakehouse.contracts.compiler.lock import Lock, next_lock, number
from lakehouse.contracts.compiler.nodes import FieldNode, ListNode, MapNode, StructNode, TypeNode
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import tables_of
from lakehouse.errors import Fault
from tests.contract_project import altered


def inner(id_: str, type_: TypeNode = "string") -> FieldNode:
    """A nested field."""
    return FieldNode(id=id_, name=id_, required=False, type=type_)


TYPES: tuple[TypeNode, ...] = (
    "string",
    "int",
    "long",
    "decimal(9, 2)",
    StructNode(fields=(inner("a"),)),
    StructNode(fields=(inner("b"), inner("a", "int"), inner("c", StructNode(fields=(inner("d"),))))),
    ListNode(element=inner("element", StructNode(fields=(inner("e", "boolean"),)))),
    MapNode(key=inner("key"), value=inner("value", "date")),
)
IDS = ("one", "two", "three", "four", "five")

versions = st.dictionaries(st.sampled_from(IDS), st.tuples(st.sampled_from(range(len(TYPES))), st.sampled_from(["", "_new"])), max_size=5)


@dataclass(kw_only=True)
class History:
    """A contract that changes as an author would change it: a change that is refused is not made."""

    lock: Lock | None = None
    seen: dict[str, int] = field(default_factory=dict[str, int])

    def step(self, columns: dict[str, tuple[int, str]]) -> CompiledContract | None:
        authored = parsed(columns)
        new = next_lock(authored, self.lock)
        if self.lock is not None and Change.between(authored, self.lock, new).refused:
            return None
        assert Lock.from_text(new.to_text()) == new
        assert next_lock(authored, new) == new, "locking twice is locking once"
        self.check(new)
        self.lock = new
        return number(authored, new)

    def check(self, new: Lock) -> None:
        ids = [entry.id for entry in new.fields.values()]
        assert len(set(ids)) == len(ids)
        for path, entry in {**new.retired, **new.fields}.items():
            assert self.seen.setdefault(path, entry.id) == entry.id, f"{path} was {self.seen[path]}"
        owners = list(self.seen.values())
        assert len(set(owners)) == len(owners), "an id was given to two paths"
        assert max(owners) <= new.last_field_id


@cache
def base() -> AuthoredContract:
    faults: list[Fault] = []
    authored = parse_contract(Document(file="contracts/sales/orders.odcs.yaml", value=altered(), lines={}), faults)
    assert authored is not None, faults
    return authored


def parsed(columns: dict[str, tuple[int, str]]) -> AuthoredContract:
    """The good contract with more columns, every one announced to go, so that it may."""
    template = base().columns[1]
    more = [
        replace(template, field=FieldNode(id=id_, name=id_ + suffix, required=False, type=TYPES[type_]), sources=(id_,), deprecated=True)
        for id_, (type_, suffix) in columns.items()
    ]
    return replace(base(), columns=(*base().columns, *more))


@given(st.lists(versions, min_size=2, max_size=8))
@settings(max_examples=100, deadline=None)
def test_an_id_means_one_column_for_ever(history: list[dict[str, tuple[int, str]]]) -> None:
    contract = History()
    for columns in history:
        compiled = contract.step(columns)
        if compiled is not None:
            for table in tables_of(compiled):
                assert unique(ids_of(table.schema)), table.dataset


def ids_of(type_: Any) -> list[int]:
    """Every field id in a schema."""
    if isinstance(type_, str):
        return []
    if type_["type"] == "struct":
        return [id_ for field_ in type_["fields"] for id_ in (field_["id"], *ids_of(field_["type"]))]
    if type_["type"] == "list":
        return [type_["element-id"], *ids_of(type_["element"])]
    return [type_["key-id"], type_["value-id"], *ids_of(type_["key"]), *ids_of(type_["value"])]


def unique(ids: list[int]) -> bool:
    return len(set(ids)) == len(ids)
