"""A table of the warehouse as it has to be, and the DDL that makes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lakehouse.contracts.model import CompiledContract
from lakehouse.warehouse.text import SqlRefused, literal, name, names

MAX_VARCHAR = 65_535
"""Longest VARCHAR, in bytes; TEXT would be 256 only."""

BYTES_OF_A_CHARACTER = 4
"""Most bytes of a character in UTF-8: lengths of contracts count characters, those of Redshift bytes."""

MAX_COLUMNS = 1600
"""Most columns of a table."""

_TYPES = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "REAL",
    "double": "DOUBLE PRECISION",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
}
_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")


@dataclass(frozen=True, kw_only=True)
class WarehouseColumn:
    """A column of the warehouse.

    Attributes:
        name: Its name, the same as in the lake.
        type: Redshift's type, such as `VARCHAR(40)`.
        source_type: Type in the lake, in Iceberg's words.
        encoding: Compression, one of the contract model's `WAREHOUSE_ENCODINGS`.
        description: Sentence for people, or "".
    """

    name: str
    type: str
    source_type: str
    encoding: str = "auto"
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class WarehouseTable:
    """A table of the warehouse.

    Attributes:
        schema: Schema that holds it: `<zone>_<domain>`, as the catalog's database.
        name: Name of the table: the dataset's.
        columns: Columns in the order of the contract.
        keys: Columns of the primary key; informational in Redshift, kept by every load.
        dist_style: auto, even, all or key.
        dist_key: Column that rows are spread by, for the style `key`.
        sort_keys: Columns that rows are sorted by; none = Redshift chooses.
        description: Sentence for people, or "".
    """

    schema: str
    name: str
    columns: tuple[WarehouseColumn, ...]
    keys: tuple[str, ...]
    dist_style: str = "auto"
    dist_key: str | None = None
    sort_keys: tuple[str, ...] = ()
    description: str = ""

    @property
    def qualified(self) -> str:
        """Name in SQL, in quotes, with its schema."""
        return f"{name(self.schema)}.{name(self.name)}"

    @property
    def lease(self) -> str:
        """Name by which runs take turns at writing it."""
        return f"warehouse.{self.schema}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in order."""
        return tuple(column.name for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """The table as plain Python, for a custom resource."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> WarehouseTable:
        """Read what `to_dict` gave."""
        fields: dict[str, Any] = {
            **document,
            "columns": tuple(WarehouseColumn(**column) for column in document["columns"]),
            "keys": tuple(document["keys"]),
            "sort_keys": tuple(document["sort_keys"]),
        }
        return cls(**fields)


def table_of(contract: CompiledContract) -> WarehouseTable:
    """The table that holds a dataset in the warehouse.

    Raises:
        SqlRefused: A column has a type that no column of the warehouse can hold, or the contract's `warehouse` settings do not fit.
    """
    settings = contract.warehouse
    columns = tuple(
        WarehouseColumn(
            name=column.name,
            type=redshift_type(column.type, column=f"{contract.id}.{column.name}", max_length=_max_length(contract, column.name)),
            source_type=str(column.type),
            encoding=(settings.encodings.get(column.name, "auto") if settings else "auto"),
            description=column.description,
        )
        for column in contract.columns
    )
    if len(columns) > MAX_COLUMNS:
        raise SqlRefused(f"{contract.id} has {len(columns)} columns, a table of the warehouse at most {MAX_COLUMNS}: split the dataset")
    return WarehouseTable(
        schema=f"{contract.zone}_{contract.domain}",
        name=contract.dataset,
        columns=columns,
        keys=contract.keys,
        dist_style=settings.dist_style if settings else "auto",
        dist_key=settings.dist_key if settings else None,
        sort_keys=settings.sort_keys if settings else (),
        description=contract.description,
    )


def redshift_type(type_: str | Mapping[str, Any], *, column: str, max_length: int | None = None) -> str:
    """Redshift's type for a type of the lake.

    Args:
        type_: Iceberg type.
        column: What an error calls the column.
        max_length: Most characters of a string, if the contract's gate holds it.

    Raises:
        SqlRefused: There is none.
    """
    if not isinstance(type_, str):
        raise SqlRefused(
            f"{column} is a {type_['type']}, and nested columns are not loaded into the warehouse: give the gold dataset a plain column of each field "
            "that people need, or read the table through the external schema"
        )
    if type_ == "string":
        return f"VARCHAR({MAX_VARCHAR if max_length is None else min(BYTES_OF_A_CHARACTER * max_length, MAX_VARCHAR)})"
    decimal = _DECIMAL.fullmatch(type_)
    if decimal:
        return f"DECIMAL({decimal[1]},{decimal[2]})"
    if type_ not in _TYPES:
        raise SqlRefused(
            f"{column} is {type_}, which is not loaded into the warehouse: write text by the transform (hex, say), or leave the column out"
        )
    return _TYPES[type_]


def create_statements(table: WarehouseTable) -> list[str]:
    """DDL that makes the schema and the table if they are not there, and describes them; may run in one transaction, and again."""
    defined = [_defined(table, column) for column in table.columns]
    if table.keys:
        defined.append(f"PRIMARY KEY ({names(table.keys)})")
    return [
        f"CREATE SCHEMA IF NOT EXISTS {name(table.schema)}",
        f"CREATE TABLE IF NOT EXISTS {table.qualified} ({', '.join(defined)}) {' '.join(layout(table))}",
        *comments(table),
    ]


def comments(table: WarehouseTable) -> list[str]:
    """Statements that describe the table and its columns to people."""
    said = [f"COMMENT ON TABLE {table.qualified} IS {_comment(table.description)}"] if table.description else []
    return said + [
        f"COMMENT ON COLUMN {table.qualified}.{name(column.name)} IS {_comment(column.description)}"
        for column in table.columns
        if column.description
    ]


def layout(table: WarehouseTable) -> list[str]:
    """How rows are spread and sorted, as CREATE TABLE says it."""
    if table.dist_style == "key":
        if table.dist_key is None:
            raise SqlRefused(f"{table.name} is spread by key and names no column: give dist_key")
        spread = f"DISTSTYLE KEY DISTKEY ({name(table.dist_key)})"
    else:
        spread = f"DISTSTYLE {table.dist_style.upper()}"
    return [spread, f"COMPOUND SORTKEY ({names(table.sort_keys)})" if table.sort_keys else "SORTKEY AUTO"]


def _defined(table: WarehouseTable, column: WarehouseColumn) -> str:
    # Only keys are NOT NULL: Redshift can never drop the constraint again, and the gate has judged the others.
    required = " NOT NULL" if column.name in table.keys else ""
    encoding = "" if column.encoding == "auto" else f" ENCODE {column.encoding.upper()}"
    return f"{name(column.name)} {column.type}{encoding}{required}"


def _comment(text: str) -> str:
    return literal(" ".join(text.replace("\\", "/").split()))


def _max_length(contract: CompiledContract, column: str) -> int | None:
    """Most characters of a column that can reach the table: what the gate keeps out, not what it warns of."""
    lengths = [
        int(rule.args["max_length"])
        for rule in contract.quality.rules
        if rule.level == "row"
        and rule.column == column
        and rule.action in ("quarantine", "halt")
        and rule.args.get("max_length") is not None
    ]
    return min(lengths) if lengths else None
