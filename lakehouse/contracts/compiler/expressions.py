"""Spark SQL that contracts carry: parsed at synth, so that a typo does not wait for the first run."""

from __future__ import annotations

from collections.abc import Iterable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakehouse.contracts.compiler.documents import Document, Place, nearest
from lakehouse.errors import Fault

NOT_REPEATABLE = frozenset(
    "rand randn random uuid now current_date current_timestamp curdate localtimestamp unix_timestamp monotonically_increasing_id "
    "spark_partition_id input_file_name input_file_block_start current_user current_timezone shuffle".split()
)
"""Functions whose value depends on when or where they run: a second run of the same input would give other rows."""

_TABLE = "contract_rows"
_RAISING = {"cast": "try_cast", "::": "try_cast", "to_date": "try_to_date", "to_timestamp": "try_to_timestamp", "to_number": "try_to_number"}


def check_expression(text: str, *, columns: Iterable[str], place: Place, document: Document, faults: list[Fault]) -> None:
    """An expression over one row: it must parse, know its columns, and give the same value whenever it runs."""

    def fault(problem: str, fix: str) -> None:
        faults.append(document.fault(place, problem, fix))

    try:
        tree = sqlglot.parse_one(f"SELECT {text}", dialect="spark")
    except (SqlglotError, RecursionError) as error:
        fault(f"is not Spark SQL: {_reason(error)}", "correct the expression")
        return
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or any(tree.args.get(part) for part in ("from", "from_", "where", "group", "having", "joins")):
        fault("is not one expression", "write one Spark SQL expression over the columns of a row")
        return
    expression = tree.expressions[0]
    if expression.find(exp.Subquery, exp.Select, exp.Exists):
        fault("has a subquery", "use columns of the same row only; type: sql compares whole tables")
    if expression.find(exp.Window):
        fault("has a window function", "use columns of the same row only")
    if expression.find(exp.AggFunc):
        fault("has an aggregate", "use columns of the same row only; type: sql judges all rows")
    if expression.find(exp.Star):
        fault("has a *", "name the columns")
    _check_functions(expression, fault_at=fault)
    _check_columns(expression, columns=columns, fault_at=fault)


def check_predicate(text: str, *, columns: Iterable[str], place: Place, document: Document, faults: list[Fault]) -> None:
    """A row condition: an expression that is true for a good row."""
    check_expression(text, columns=columns, place=place, document=document, faults=faults)


def check_query(text: str, *, columns: Iterable[str], place: Place, document: Document, faults: list[Fault]) -> None:
    """A scalar query over `{object}`, the rows that are judged."""

    def fault(problem: str, fix: str) -> None:
        faults.append(document.fault(place, problem, fix))

    if "{object}" not in text:
        fault("does not read {object}", "write FROM {object}: it stands for the rows that are judged")
        return
    try:
        trees = sqlglot.parse(text.replace("{object}", _TABLE), dialect="spark")
    except (SqlglotError, RecursionError) as error:
        fault(f"is not Spark SQL: {_reason(error)}", "correct the query")
        return
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1:
        fault("is not one SELECT of one value", "write SELECT count(*) FROM {object} WHERE ...")
        return
    others = sorted({table.name for table in tree.find_all(exp.Table)} - {_TABLE} - {cte.alias for cte in tree.find_all(exp.CTE)})
    if others:
        fault(f"reads {', '.join(others)}", "read {object} only; a relationship compares with another table")
    _check_functions(tree, fault_at=fault)
    if not tree.find(exp.CTE, exp.Subquery):
        _check_columns(tree, columns=columns, fault_at=fault)


def _check_functions(tree: exp.Expression, *, fault_at: object) -> None:
    fault = fault_at
    assert callable(fault)
    names: set[str] = set()
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            names.add(node.name.lower())
        elif isinstance(node, exp.Func):
            names.update(name.lower() for name in node.sql_names())
    for name in sorted(names & NOT_REPEATABLE):
        fault(f"calls {name}(), whose value changes from run to run", "use columns of the row, so that a second run gives the same rows")


def _check_columns(tree: exp.Expression, *, columns: Iterable[str], fault_at: object) -> None:
    fault = fault_at
    assert callable(fault)
    known = set(columns)
    lambdas = {parameter.name for function in tree.find_all(exp.Lambda) for parameter in function.expressions}
    aliases = {alias.alias for alias in tree.find_all(exp.Alias)}
    for column in sorted({_root(node) for node in tree.find_all(exp.Column)} - lambdas - aliases):
        if column not in known:
            fault(f"there is no column {column!r}", nearest(column, known))


def _root(column: exp.Column) -> str:
    parts = [part.name for part in column.parts]
    return (parts[1] if len(parts) > 1 and parts[0] == _TABLE else parts[0]).lower()


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
