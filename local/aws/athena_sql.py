"""The smallest parts of Athena's SQL that other modules build on: tokens, names of tables, refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token

CATALOG = "awsdatacatalog"
"""The one catalog."""

_FRONT = "x "
_COMMENT = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`)|--[^\n]*|/\*.*?\*/""", re.DOTALL)


class StatementError(Exception):
    """A statement that is refused before it runs; the text is what the caller reads."""


@dataclass(frozen=True, kw_only=True, order=True)
class TableName:
    """A table as a statement names it, with its database."""

    database: str
    table: str


def tokens_of(sql: str) -> list[Token]:
    """Tokens of a statement; comments are none.

    Raises:
        StatementError: It cannot be cut into tokens.
    """
    # A word in front keeps sqlglot from swallowing the rest of a SHOW, PREPARE or EXECUTE as one text.
    try:
        found = list(sqlglot.tokenize(_FRONT + sql, read="trino"))[1:]
    except SqlglotError as error:
        raise StatementError(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from error
    return [
        Token(
            token.token_type,
            token.text,
            token.line,
            token.col - (len(_FRONT) if token.line == 1 else 0),
            token.start - len(_FRONT),
            token.end - len(_FRONT),
        )
        for token in found
    ]


def without_comments(sql: str) -> str:
    """A statement without its comments."""
    return _COMMENT.sub(lambda found: found[1] or " ", sql).strip()


def first_word(sql: str) -> str:
    """The first word of a statement, upper case, whatever comments and parentheses stand before it."""
    found = re.match(r"[\s(]*(\w+)", without_comments(sql))
    return found[1].upper() if found else ""


def table_name(parts: Sequence[str], database: str) -> TableName:
    """A table from the parts of its dotted name.

    Raises:
        StatementError: It is in another catalog.
    """
    if len(parts) > 2 and parts[0].lower() != CATALOG:
        raise StatementError(f"CATALOG_NOT_FOUND: Catalog '{parts[0]}' does not exist; the laptop platform serves AwsDataCatalog")
    named = list(parts[-2:]) if len(parts) > 1 else [database, *parts]
    return TableName(database=named[0].lower(), table=named[-1].lower().split("$", 1)[0])


def quoted(name: TableName) -> str:
    """A table's name in SQL."""
    return f'"{name.database}"."{name.table}"'
