"""Queries that people keep as files, `queries/<domain>/<name>.sql`: checked against the contracts before anything is deployed.

A query without question marks becomes a named query of the workgroup, one with them a prepared statement. Comment lines at the top say
more: the first is its description, `-- reads everything: <why>` lets it read a partitioned table without a filter on its partitions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import TableDefinition, tables_of
from lakehouse.errors import ConfigurationError, Fault
from lakehouse.saved_queries import SavedQuery

SUFFIX = ".sql"
"""How the name of a file with a query ends."""

READS_EVERYTHING = "reads everything:"
"""Comment by which a query says why it has no filter on partitions."""

LONGEST_SQL = 262_144
"""Bytes that Athena keeps of a query."""

_Note = Callable[[str, str, str], None]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")


def load_queries(folder: Path, contracts: Mapping[str, CompiledContract], *, root: Path | None = None) -> tuple[SavedQuery, ...]:
    """Read and check every query below a folder.

    Args:
        folder: Folder with `<domain>/<name>.sql`; a missing one has no queries.
        contracts: Compiled contracts by id; their tables, and those that follow from them, are what queries may name.
        root: Folder that paths in errors are relative to; the parent of `folder` by default.

    Raises:
        ConfigurationError: Queries have faults; it names all of them.
    """
    root = folder.parent if root is None else root
    tables = {
        f"{table.zone}_{table.domain}.{table.name}".lower(): table for contract in contracts.values() for table in tables_of(contract)
    }
    faults: list[Fault] = []
    found = [
        query
        for path in sorted(folder.glob(f"*/*{SUFFIX}"))
        if (query := _read(path, str(path.relative_to(root)), tables, faults)) is not None
    ]
    if faults:
        raise ConfigurationError(faults)
    return tuple(found)


def _read(path: Path, file: str, tables: Mapping[str, TableDefinition], faults: list[Fault]) -> SavedQuery | None:
    def fault(place: str, problem: str, fix: str) -> None:
        faults.append(Fault(file=file, line=1, place=place, problem=problem, fix=fix))

    text = path.read_text(encoding="utf-8")
    comments, sql = _split(text)
    name = f"{path.parent.name}_{path.stem}"
    known = len(faults)
    if not _NAME.fullmatch(name):
        fault("name", f"{name!r} is no name that Athena keeps a query under", "call folder and file by small letters, digits and _")
    if not comments:
        fault("description", "nobody says what it is for", "begin the file with a comment line such as `-- Orders that are late.`")
    if len(sql.encode()) > LONGEST_SQL:
        fault("sql", f"it has {len(sql.encode())} bytes, Athena keeps {LONGEST_SQL}", "make it shorter")
    tree = _parse(sql, fault)
    if tree is None:
        return None
    named = list(_tables(tree))
    for node in named:
        if not node.db:
            fault("sql", f"table {node.name} is named without its database", f"write <zone>_<domain>.{node.name}")
        elif f"{node.db}.{node.name}".lower() not in tables:
            fault("sql", f"no contract has a table {node.db}.{node.name}", f"name one of {', '.join(_near(node, tables))}")
    if not named:
        fault("sql", "it reads no table", "name a table of a contract")
    if not any(comment.lower().startswith(READS_EVERYTHING) for comment in comments):
        _check_filters(tree, named, tables, fault)
    for mark in tree.find_all(exp.Placeholder):
        if mark.find_ancestor(exp.Where, exp.Having) is None:
            fault("sql", "a question mark stands outside of a WHERE clause, where Athena takes none", "write the value out, or move it")
    if len(faults) > known:
        return None
    return SavedQuery(
        name=name, description=comments[0], sql=sql, databases=tuple(dict.fromkeys(node.db for node in named)),
        parameters=len(list(tree.find_all(exp.Placeholder))),
    )  # fmt: skip


def _split(text: str) -> tuple[list[str], str]:
    """Comment lines at the top, and the statement without a semicolon at its end."""
    lines = text.splitlines()
    comments: list[str] = []
    while lines and (lines[0].startswith("--") or not lines[0].strip()):
        comment = lines.pop(0).removeprefix("--").strip()
        if comment:
            comments.append(comment)
    return comments, "\n".join(lines).strip().rstrip(";").strip()


def _parse(sql: str, fault: _Note) -> exp.Expr | None:
    try:
        trees = sqlglot.parse(sql, read="athena")
    except SqlglotError as error:
        fault("sql", f"it is no SQL of Athena: {str(error).splitlines()[0]}", "correct it")
        return None
    if len(trees) != 1 or trees[0] is None:
        fault("sql", f"it has {len(trees)} statements", "keep one statement a file")
        return None
    tree = trees[0]
    if not isinstance(tree, exp.Query):
        fault(
            "sql",
            f"{sql.split(None, 1)[0].upper() if sql else 'nothing'} is no query",
            "keep a SELECT; what changes tables belongs to a pipeline",
        )
        return None
    if list(tree.find_all(exp.Command)):
        fault("sql", "a part of it cannot be understood", "write it in Athena's SQL")
        return None
    return tree


def _tables(tree: exp.Expr) -> Iterator[exp.Table]:
    common = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    for node in tree.find_all(exp.Table):
        if node.name and (node.db or node.name.lower() not in common):
            yield node


def _check_filters(tree: exp.Expr, named: list[exp.Table], tables: Mapping[str, TableDefinition], fault: _Note) -> None:
    """A query over a partitioned table has to say which partitions it needs."""
    filtered = {column.name.lower() for where in tree.find_all(exp.Where, exp.Join) for column in where.find_all(exp.Column)}
    for node in named:
        table = tables.get(f"{node.db}.{node.name}".lower())
        keys = sorted({field.column for field in table.partition}) if table else []
        if keys and filtered.isdisjoint(key.lower() for key in keys):
            fault(
                "sql",
                f"{node.db}.{node.name} is partitioned by {', '.join(keys)}, and nothing filters on that, so all of it is read",
                f"filter on {keys[0]}, or say why not in a comment at the top: `-- {READS_EVERYTHING} <why>`",
            )


def _near(node: exp.Table, tables: Mapping[str, TableDefinition]) -> list[str]:
    same = [name for name in sorted(tables) if name.split(".")[1] == node.name.lower() or name.split(".")[0] == node.db.lower()]
    return same[:6] or sorted(tables)[:6]
