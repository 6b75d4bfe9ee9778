"""Spark SQL that contracts carry: checked at synth, so that a typo does not wait for the first run.

An expression over one row must parse, know its columns and functions, give the same value whenever it runs, and yield NULL rather than stop the
job for a bad value (sessions run in ANSI mode, where `cast`, `/` and `[...]` raise).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from lakehouse.contracts.compiler.documents import Document, Place, nearest
from lakehouse.contracts.compiler.spark_functions import NOT_REPEATABLE, RAISING, SPARK_FUNCTIONS, words
from lakehouse.errors import Fault

_TABLE = "contract_rows"
_CLAUSES = ("from", "from_", "where", "group", "having", "joins", "order", "limit", "with", "with_")
_NOT_CALLS = words(
    """
    all and any as between by case distinct else except exists filter from group having in intersect interval is join like not on or over select
    some then try_cast union using values when where with
    """
)
"""Words that may stand before a parenthesis and are no function."""


@dataclass(frozen=True, kw_only=True)
class _Text:
    """A piece of SQL and where its faults go."""

    sql: str
    columns: frozenset[str]
    place: Place
    document: Document
    faults: list[Fault]

    def fault(self, problem: str, fix: str) -> None:
        self.faults.append(self.document.fault(self.place, problem, fix))


def check_expression(text: str, *, columns: Iterable[str], place: Place, document: Document, faults: list[Fault]) -> None:
    """An expression over one row."""
    sql = _Text(sql=text, columns=frozenset(columns), place=place, document=document, faults=faults)
    tree = _parsed(sql, f"SELECT {text}")
    if tree is None:
        return
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or any(tree.args.get(part) for part in _CLAUSES):
        sql.fault("is not one expression", "write one Spark SQL expression over the columns of a row")
        return
    expression = tree.expressions[0]
    if isinstance(expression, exp.Alias):
        sql.fault("has an alias", "remove AS and what follows")
    if expression.find(exp.Subquery, exp.Select):
        sql.fault("has a subquery", "use columns of the same row only; type: sql judges all rows")
    elif expression.find(exp.Window):
        sql.fault("has a window function", "use columns of the same row only; type: sql judges all rows")
    elif expression.find(exp.AggFunc):
        sql.fault("has an aggregate", "use columns of the same row only; type: sql judges all rows")
    elif expression.find(exp.Star):
        sql.fault("has a *", "name the columns")
    _check_functions(sql, stops_job=True)
    _check_divisions(sql, expression)
    _check_columns(sql, expression)


def check_query(text: str, *, columns: Iterable[str], place: Place, document: Document, faults: list[Fault]) -> None:
    """A query of one value over `{object}`, the rows that are judged; a value that stops it fails the rule, not the job."""
    sql = _Text(sql=text, columns=frozenset(columns), place=place, document=document, faults=faults)
    if "{object}" not in text:
        sql.fault("does not read {object}", "write FROM {object}: it stands for the rows that are judged")
        return
    replaced = _Text(sql=text.replace("{object}", _TABLE), columns=sql.columns, place=place, document=document, faults=faults)
    tree = _parsed(sql, replaced.sql)
    if tree is None:
        return
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1:
        sql.fault("is not one SELECT of one value", "write SELECT count(*) FROM {object} WHERE ...")
        return
    others = sorted({table.name for table in tree.find_all(exp.Table)} - {_TABLE} - {cte.alias for cte in tree.find_all(exp.CTE)})
    if others:
        sql.fault(f"reads {', '.join(others)}", "read {object} only; a relationship compares with another table")
    _check_functions(replaced, stops_job=False)
    if not tree.find(exp.CTE, exp.Subquery):
        _check_columns(sql, tree)


def _parsed(sql: _Text, text: str) -> Any:
    try:
        trees = sqlglot.parse(text, dialect=Spark)
    except (SqlglotError, RecursionError, ValueError) as error:
        sql.fault(f"is not Spark SQL: {_reason(error)}", "correct it")
        return None
    if len(trees) != 1 or trees[0] is None:
        sql.fault(f"holds {len(trees)} statements", "write one, without a semicolon")
        return None
    return trees[0]


def _check_functions(sql: _Text, *, stops_job: bool) -> None:
    tokens: list[Token] = Spark().tokenize(sql.sql)
    if '"' in sql.sql:
        sql.fault("has a double quote, which Glue Data Quality cannot hold", "quote text by ' and names by `")
    if any(token.comments for token in tokens) or "/*" in sql.sql:
        sql.fault("has a comment", "remove it; the entry's description says why the rule exists")
    seen: set[str] = set()
    for index, token in enumerate(tokens):
        word = token.text.lower()
        after = tokens[index + 1].token_type if index + 1 < len(tokens) else None
        is_type = index > 0 and tokens[index - 1].text.lower() == "as"
        is_call = (
            not is_type
            and after == TokenType.L_PAREN
            and token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER, TokenType.R_PAREN, TokenType.NUMBER)
        )
        is_bare = (
            word in ("current_date", "current_timestamp", "current_user", "current_time", "localtimestamp")
            and token.token_type != TokenType.STRING
        )
        if word in seen or not (is_call or is_bare or token.token_type in (TokenType.DCOLON, TokenType.L_BRACKET)):
            continue
        seen.add(word)
        if token.token_type == TokenType.DCOLON and stops_job:
            sql.fault("casts by ::, which stops the job for a bad value", "write try_cast(value AS type)")
        elif token.token_type == TokenType.L_BRACKET and stops_job:
            sql.fault("looks up by [...], which stops the job if nothing is there", "write get(array, index) or try_element_at(map, key)")
        elif word in NOT_REPEATABLE:
            sql.fault(
                f"calls {word}, whose value changes from run to run", "use columns of the row, so that a second run gives the same rows"
            )
        elif is_call and stops_job and word in RAISING:
            sql.fault(f"calls {word}, which stops the job for a bad value", f"write {RAISING[word]}")
        elif is_call and word.isidentifier() and word not in SPARK_FUNCTIONS and word not in _NOT_CALLS:
            sql.fault(f"calls {word}, which Spark does not have", _nearest_function(word))


def _nearest_function(word: str) -> str:
    advice = nearest(word, SPARK_FUNCTIONS)
    return advice.split("?")[0] + "?" if advice.startswith("did you mean") else "use a built-in function of Spark"


def _check_divisions(sql: _Text, expression: Any) -> None:
    for node in expression.find_all(exp.Div, exp.IntDiv, exp.Mod):
        divisor = node.expression.unnest()
        is_safe = isinstance(divisor, exp.Nullif) or (isinstance(divisor, exp.Literal) and float(divisor.this or 0) != 0)
        if not is_safe:
            sql.fault(
                "divides by something that may be 0, which stops the job", "write try_divide(a, b), try_mod(a, b), or a / nullif(b, 0)"
            )
            return


def _check_columns(sql: _Text, tree: Any) -> None:
    lambdas = {parameter.name for function in tree.find_all(exp.Lambda) for parameter in function.expressions}
    aliases = {alias.alias for alias in tree.find_all(exp.Alias)}
    for column in sorted({_root(node) for node in tree.find_all(exp.Column)} - lambdas - aliases):
        if column not in sql.columns:
            sql.fault(f"there is no column {column!r}", nearest(column, sql.columns))


def _root(column: exp.Column) -> str:
    parts = [part.name for part in column.parts]
    return (parts[1] if len(parts) > 1 and parts[0] == _TABLE else parts[0]).lower()


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
