"""A small project of contracts that tests change: one good contract, altered by a function, compiled in a temporary folder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lakehouse.contracts.compiler.project import compile_contracts, update_locks
from lakehouse.contracts.model import CompiledContract
from lakehouse.errors import ConfigurationError, Fault

Document = dict[str, Any]
Alter = Callable[[Document], Any]


class _PlainDumper(yaml.CSafeDumper):
    """Writes a value that stands twice out twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


GOOD: Document = {
    "apiVersion": "v3.2.0",
    "kind": "DataContract",
    "id": "sales.orders",
    "name": "orders",
    "version": "1.0.0",
    "status": "active",
    "domain": "sales",
    "team": {"name": "order-data"},
    "servers": [
        {"server": "raw", "type": "s3", "location": "s3://${RAW_BUCKET}/sales/orders/"},
        {"server": "lake", "type": "glue", "account": "${AWS_ACCOUNT_ID}", "database": "silver_sales"},
    ],
    "schema": [
        {
            "id": "orders",
            "name": "orders",
            "properties": [
                {
                    "id": "order_id",
                    "name": "order_id",
                    "logicalType": "integer",
                    "logicalTypeOptions": {"format": "i64"},
                    "required": True,
                    "primaryKey": True,
                    "primaryKeyPosition": 1,
                    "classification": "internal",
                    "transformSourceObjects": ["raw.order_id"],
                },
                {
                    "id": "status",
                    "name": "status",
                    "logicalType": "string",
                    "classification": "internal",
                    "transformSourceObjects": ["raw.status"],
                },
                {
                    "id": "price",
                    "name": "price",
                    "logicalType": "number",
                    "physicalType": "decimal(15,2)",
                    "classification": "internal",
                    "transformSourceObjects": ["raw.price"],
                },
                {
                    "id": "ordered",
                    "name": "ordered",
                    "logicalType": "date",
                    "required": True,
                    "classification": "internal",
                    "transformSourceObjects": ["raw.ordered"],
                },
            ],
        }
    ],
}
"""A contract without faults: a key, a string, a decimal and a required date."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project in a folder.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "contracts"

    def write(self, document: Document, *, name: str = "sales/orders") -> Path:
        """Write a contract."""
        return self.write_text(yaml.dump(document, Dumper=_PlainDumper, sort_keys=False), name=name)

    def write_text(self, text: str, *, name: str = "sales/orders") -> Path:
        """Write a contract as text."""
        path = self.folder / f"{name}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def alter(self, alter: Alter | None = None, **root: Any) -> Document:
        """Write the good contract, altered."""
        document = altered(alter, **root)
        self.write(document)
        return document

    def lock(self) -> None:
        """Bring the lock files up to date."""
        update_locks(self.folder)

    def compile(self) -> dict[str, CompiledContract]:
        """Compile the contracts."""
        return compile_contracts(self.folder)

    def compiled(self, alter: Alter | None = None, **root: Any) -> CompiledContract:
        """The good contract, altered, locked and compiled."""
        self.alter(alter, **root)
        self.lock()
        return self.compile()["sales.orders"]

    def faults(self, alter: Alter | None = None, **root: Any) -> list[Fault]:
        """Faults of the good contract, altered, apart from a lock file that does not exist."""
        self.alter(alter, **root)
        return self.faults_now()

    def faults_now(self) -> list[Fault]:
        """Faults of what is written."""
        try:
            self.lock()
        except ConfigurationError as error:
            return list(error.faults)
        return []


def altered(alter: Alter | None = None, **root: Any) -> Document:
    """The good contract, altered."""
    document = copy.deepcopy(GOOD)
    document.update(root)
    if alter is not None:
        alter(document)
    return document


def column(document: Document, id_: str) -> Document:
    """A column of a contract by its id."""
    return next(node for node in document["schema"][0]["properties"] if node.get("id") == id_)


def on(id_: str, **changes: Any) -> Alter:
    """A change of one column; None removes a key."""

    def alter(document: Document) -> None:
        node = column(document, id_)
        for key, value in changes.items():
            if value is None:
                node.pop(key, None)
            else:
                node[key] = value

    return alter


def add(**node: Any) -> Alter:
    """One more column, a string unless the change says otherwise."""

    def alter(document: Document) -> None:
        id_ = node.get("id", "extra")
        base = {"id": id_, "name": id_, "logicalType": "string", "classification": "internal", "transformSourceObjects": [f"raw.{id_}"]}
        document["schema"][0]["properties"].append({key: value for key, value in {**base, **node}.items() if value is not None})

    return alter


def table(**changes: Any) -> Alter:
    """A change of the table."""
    return lambda document: document["schema"][0].update(changes)


def rule(**node: Any) -> Alter:
    """A quality entry of the table."""
    return table(quality=[{"id": "a_rule", **node}])


def ours(property_: str, value: Any) -> Document:
    """One of our extensions."""
    return {"property": property_, "value": value, "vendor": "lakehouse"}


def both(*alters: Alter) -> Alter:
    """Several changes."""

    def alter(document: Document) -> None:
        for each in alters:
            each(document)

    return alter
