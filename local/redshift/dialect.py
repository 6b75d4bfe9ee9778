"""Redshift's grammar as sqlglot knows it, but with every function call left as it is written: what a name means is decided here.

sqlglot's own reading maps functions of many dialects onto one another (ADD_MONTHS and DATEADD become the same node, which they are not).
"""

from __future__ import annotations

import logging

import sqlglot
from sqlglot import exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from local.redshift.errors import RefusedError, SqlError

_KEPT_PARSERS = ("CAST", "CONVERT", "EXTRACT", "POSITION", "TRIM")
"""Functions with a grammar of their own."""

logging.getLogger("sqlglot").setLevel(logging.ERROR)


class PlainRedshift(Redshift):
    """The dialect; it registers itself with sqlglot under its name."""

    class Tokenizer(Redshift.Tokenizer):
        """Takes every statement apart, also those that sqlglot leaves whole."""

        COMMANDS: set[TokenType] = set()  # noqa: RUF012 - sqlglot's way to configure a tokenizer

    class Parser(Redshift.Parser):
        """Knows no function but those with a grammar of their own."""

        FUNCTIONS: dict[str, object] = {}  # noqa: RUF012 - sqlglot's way to configure a parser
        FUNCTION_PARSERS = {name: Redshift.Parser.FUNCTION_PARSERS[name] for name in _KEPT_PARSERS}  # noqa: RUF012
        NO_PAREN_FUNCTION_PARSERS = {  # noqa: RUF012
            name: parser for name, parser in Redshift.Parser.NO_PAREN_FUNCTION_PARSERS.items() if name in {"ANY", "CASE", "SYSDATE"}
        }


def tokenize(sql: str) -> list[Token]:
    """The words of a statement.

    Raises:
        SqlError: A string or a comment does not end.
    """
    try:
        found = sqlglot.tokenize(sql, read=PlainRedshift)
    except SqlglotError as error:
        raise SqlError(f"syntax error: {_first_line(error)}") from error
    return found[:-1] if found and found[-1].token_type == TokenType.SEMICOLON else found


def parse(sql: str) -> exp.Expr:
    """The tree of one statement.

    Raises:
        SqlError: It is not one statement of Redshift's grammar.
    """
    words = [token.text.upper() for token in tokenize(sql) if token.token_type not in {TokenType.STRING, TokenType.IDENTIFIER}]
    for name, instead in _REFUSED_WORDS.items():
        if name in words:
            raise RefusedError(name, instead=instead)
    try:
        found = sqlglot.parse(sql, read=PlainRedshift)
    except SqlglotError as error:
        raise SqlError(f"syntax error: {_first_line(error)}") from error
    except RecursionError as error:
        raise SqlError("Statement is too complex: its expressions are nested too deeply") from error
    statements = [statement for statement in found if statement is not None]
    if len(statements) != 1:
        raise SqlError("Multiple sql statements are not allowed." if statements else "syntax error: the statement is empty")
    return statements[0]


_REFUSED_WORDS = {
    "APPROXIMATE": "Its result is an estimate that nothing here can reproduce: use COUNT(DISTINCT ...)",
    "UNPIVOT": "Write one SELECT a column, joined by UNION ALL",
    "PIVOT": "Write one aggregate of a CASE a column",
}


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
