"""Statements that Athena gets: what kind they are, which tables they name, and their parameters put in place."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

CATALOG = "awsdatacatalog"
"""The one catalog."""

READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "("})
"""First words of queries."""

WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
"""First words of statements that change the rows of one table."""

LOOKS = frozenset({"SHOW", "DESCRIBE", "DESC", "EXPLAIN"})
"""First words of statements that look at the catalog or at a plan."""

NOT_SERVED = frozenset(
    {
        "CREATE", "DROP", "ALTER", "MSCK", "VACUUM", "OPTIMIZE", "UNLOAD", "PREPARE", "EXECUTE", "DEALLOCATE", "ANALYZE", "CALL", "COMMENT", "GRANT",
        "REVOKE", "DENY", "SET", "RESET", "USE", "REFRESH", "TRUNCATE", "START", "COMMIT", "ROLLBACK",
    }
)  # fmt: skip
"""First words of statements that Athena or Trino know and that are refused here."""

INFORMATION_SCHEMA = "information_schema"

_EXPLAIN = re.compile(r"EXPLAIN\b\s*(?P<analyze>ANALYZE\b\s*(?:VERBOSE\b\s*)?)?(?:\(\s*(?:TYPE|FORMAT)\b[^()]*\)\s*)?", re.IGNORECASE)
_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|[\w$]+|\S""")
_TRINO_SCHEMAS = frozenset({"information_schema", "system"})
_SHOWS = {"TABLES", "DATABASES", "SCHEMAS", "COLUMNS", "CREATE"}


class StatementError(Exception):
    """A statement that is refused before it runs; the text is what the caller reads."""


@dataclass(frozen=True, kw_only=True, order=True)
class TableName:
    """A table as a statement names it, with its database."""

    database: str
    table: str


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement, looked at.

    Attributes:
        sql: What Trino gets.
        kind: `DML`, `DDL` or `UTILITY`, as Athena's StatementType has it.
        reads: Tables that it reads.
        writes: The table that it changes, or None.
        lists_databases: Whether it shows which databases there are.
        lists_tables_of: Databases whose tables it shows; `*` for all.
        planned: Query whose plan tells which tables it touches (EXPLAIN TYPE IO): the statement itself, or what it explains; "" if there is none.
        hides: Names that Trino would list and Athena does not have.
    """

    sql: str
    kind: str
    reads: frozenset[TableName] = frozenset()
    writes: TableName | None = None
    lists_databases: bool = False
    lists_tables_of: frozenset[str] = frozenset()
    planned: str = ""
    hides: frozenset[str] = frozenset()


def bind(sql: str, parameters: Sequence[str]) -> str:
    """Put execution parameters in the place of question marks.

    Args:
        sql: Statement.
        parameters: Literals of SQL, as Athena's ExecutionParameters have them: `'text'`, `5`, `DATE '2026-01-01'`.

    Raises:
        StatementError: Their number differs, or one is not a literal.
    """
    if not parameters:
        return sql
    marks = [token for token in _tokens(sql) if token.token_type == TokenType.PLACEHOLDER]
    if len(marks) != len(parameters):
        raise StatementError(
            f"INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}"
        )
    bound, last = [], 0
    for mark, value in zip(marks, parameters, strict=True):
        bound += [sql[last : mark.start], _literal(value)]
        last = mark.end + 1
    return "".join([*bound, sql[last:]])


def look_at(sql: str, *, database: str) -> Statement:
    """Find out what a statement does.

    Args:
        sql: One statement, parameters already in place.
        database: Database that names without one belong to.

    Raises:
        StatementError: It is of a kind that is not run here, or its tables cannot be told.
    """
    text = sql.strip().rstrip(";").strip()
    tokens = _tokens(text)
    if not tokens:
        raise StatementError("Query string is empty")
    if any(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise StatementError("Only one sql statement is allowed. Got: " + text)
    first = tokens[0].text.upper()
    if first in READS or first in WRITES:
        return _dml(text, first, database)
    if first in LOOKS:
        return _look(text, _WORD.findall(text), database)
    if first not in NOT_SERVED:
        raise StatementError(
            f"SYNTAX_ERROR: line 1:1: mismatched input '{tokens[0].text}'. Expecting: {', '.join(sorted(READS | WRITES | LOOKS))}"
        )
    raise StatementError(
        f"NOT_SUPPORTED: the laptop platform does not run {first} in Athena; it runs "
        f"{', '.join(sorted((READS | WRITES | LOOKS) - {'(', 'DESC'}))}. Tables are made by deployments and by Spark."
    )


def _dml(text: str, first: str, database: str) -> Statement:
    tree = _parse(text)
    if list(tree.find_all(exp.Command)):
        raise StatementError("NOT_SUPPORTED: the laptop platform cannot tell which tables this statement touches, so it does not run it")
    functions = [node.name.lower() for node in tree.find_all(exp.Anonymous)]
    if "table_changes" in functions or "raw_query" in functions or "query" in functions or _has_table_function(text):
        raise StatementError("NOT_SUPPORTED: table functions are not run by the laptop platform")
    target = _target(tree, database) if first in WRITES else None
    names = _names(tree, database)
    information = any(name.database == INFORMATION_SCHEMA for name in names)
    return Statement(
        sql=text,
        kind="DML",
        reads=frozenset(name for name in names if name.database != INFORMATION_SCHEMA),
        writes=target,
        lists_databases=information,
        lists_tables_of=frozenset({"*"}) if information else frozenset(),
        planned="" if target else text,
    )


def _look(text: str, words: list[str], database: str) -> Statement:
    first, second = words[0].upper(), words[1].upper() if len(words) > 1 else ""
    if first == "EXPLAIN":
        inner, is_run = _after_explain(text)
        begin = next((token.text.upper() for token in _tokens(inner)), "")
        if begin not in (READS if is_run else READS | WRITES):
            raise StatementError(
                f"NOT_SUPPORTED: the laptop platform does not run EXPLAIN {'ANALYZE ' if is_run else ''}of {begin or 'nothing'}; it explains "
                f"{', '.join(sorted((READS if is_run else READS | WRITES) - {'('}))}. ANALYZE runs the statement, so it is for queries only."
            )
        found = _dml(inner, begin, database)
        return Statement(
            sql=text,
            kind="UTILITY",
            reads=found.reads,
            lists_databases=found.lists_databases,
            lists_tables_of=found.lists_tables_of,
            planned=found.planned,
        )
    if first in {"DESCRIBE", "DESC"}:
        if second in {"INPUT", "OUTPUT"}:
            raise StatementError(f"NOT_SUPPORTED: the laptop platform does not run DESCRIBE {second}")
        name = _dotted(words[1:])
        return Statement(sql=f"DESCRIBE {text.split(None, 1)[1]}", kind="UTILITY", reads=frozenset({_table(name, database)}))
    if second not in _SHOWS:
        raise StatementError(
            f"NOT_SUPPORTED: the laptop platform does not run SHOW {second}; it runs SHOW {', SHOW '.join(sorted(_SHOWS))}"
        )
    if second in {"DATABASES", "SCHEMAS"}:
        return Statement(sql="SHOW SCHEMAS" + _like(words), kind="UTILITY", lists_databases=True, hides=_TRINO_SCHEMAS)
    if second == "TABLES":
        where = words[3] if len(words) > 3 and words[2].upper() in {"IN", "FROM"} else database
        return Statement(
            sql=f'SHOW TABLES FROM "{_plain(where)}"' + _like(words), kind="UTILITY", lists_tables_of=frozenset({_plain(where).lower()})
        )
    if second == "COLUMNS":
        name = _dotted(words[3:])
        return Statement(sql=text, kind="UTILITY", reads=frozenset({_table(name, database)}))
    if len(words) < 4 or words[2].upper() != "TABLE":
        raise StatementError("NOT_SUPPORTED: of SHOW CREATE the laptop platform runs SHOW CREATE TABLE")
    return Statement(sql=text, kind="UTILITY", reads=frozenset({_table(_dotted(words[3:]), database)}))


def _like(words: list[str]) -> str:
    """A LIKE at the end of a SHOW."""
    if len(words) > 3 and words[-2].upper() == "LIKE":
        return f" LIKE {words[-1]}"
    return ""


def _after_explain(text: str) -> tuple[str, bool]:
    """The statement that is explained, and whether it is run for that."""
    found = _EXPLAIN.match(text)
    if found is None:
        raise StatementError("SYNTAX_ERROR: line 1:8: mismatched input. Expecting: ANALYZE, '(', a statement")
    return text[found.end() :].strip(), found["analyze"] is not None


def _has_table_function(text: str) -> bool:
    tokens = _tokens(text)
    return any(token.text.upper() == "TABLE" and following.text == "(" for token, following in itertools.pairwise(tokens))


def _parse(text: str) -> exp.Expr:
    try:
        found = sqlglot.parse_one(text, read="trino")
    except SqlglotError as error:
        raise StatementError(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from error
    return found


def _target(tree: exp.Expr, database: str) -> TableName:
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if not isinstance(target, exp.Table):
        raise StatementError("NOT_SUPPORTED: the laptop platform cannot tell which table this statement changes")
    return _of(target, database)


def _names(tree: exp.Expr, database: str) -> frozenset[TableName]:
    """Every table that is named; a name that is also a WITH's counts only where it has a database."""
    common = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    return frozenset(_of(node, database) for node in tree.find_all(exp.Table) if node.name and (node.db or node.name.lower() not in common))


def _of(node: exp.Table, database: str) -> TableName:
    if node.catalog and node.catalog.lower() != CATALOG:
        raise StatementError(f"CATALOG_NOT_FOUND: Catalog '{node.catalog}' does not exist; the laptop platform serves AwsDataCatalog")
    return TableName(database=(node.db or database).lower(), table=node.name.lower().split("$", 1)[0])


def _table(parts: list[str], database: str) -> TableName:
    if len(parts) > 2 and parts[0].lower() != CATALOG:
        raise StatementError(f"CATALOG_NOT_FOUND: Catalog '{parts[0]}' does not exist; the laptop platform serves AwsDataCatalog")
    named = parts[-2:] if len(parts) > 1 else [database, *parts]
    return TableName(database=named[0].lower(), table=named[-1].lower().split("$", 1)[0])


def _dotted(words: list[str]) -> list[str]:
    """The dotted name at the start of *words*."""
    parts: list[str] = []
    for number, word in enumerate(words):
        if number % 2 == 0:
            parts.append(_plain(word))
        elif word != ".":
            break
    if not parts:
        raise StatementError("SYNTAX_ERROR: the name of a table is missing")
    return parts


def _plain(name: str) -> str:
    return name.strip('"`').replace('"', "")


def _literal(value: str) -> str:
    try:
        node = sqlglot.parse_one(value, read="trino")
    except SqlglotError as error:
        raise StatementError(f"INVALID_PARAMETER_USAGE: {value!r} is not a literal") from error
    inner = node
    while isinstance(inner, (exp.Cast, exp.Neg, exp.Paren)):
        inner = inner.this
    if not isinstance(inner, (exp.Literal, exp.Boolean, exp.Null)):
        raise StatementError(f"INVALID_PARAMETER_USAGE: {value!r} is not a literal")
    return value


def _tokens(sql: str) -> list[Token]:
    try:
        return list(sqlglot.tokenize(sql, read="trino"))
    except SqlglotError as error:
        raise StatementError(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from error
