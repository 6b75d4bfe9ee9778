"""A tree of Redshift's SQL as one of PostgreSQL's: every kind of node is known here, or the statement is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError, UnsupportedError

from local.redshift import functions
from local.redshift.dialect import parse
from local.redshift.errors import RefusedError, SqlError
from local.redshift.functions import AGGREGATES, FRAMED, RANKING, as_type, call, text
from local.redshift.grammar import check
from local.redshift.values import cast, comparable, division, listagg
from local.redshift.words import folded

SYSTEM_VIEWS = frozenset({
    "pg_table_def", "stl_load_errors", "svv_columns", "svv_external_schemas", "svv_table_info", "svv_tables", "sys_load_error_detail", "sys_load_history",
    "sys_query_history", "sys_unload_history",
})  # fmt: skip
"""System tables and views that are served."""

_SYSTEM_PREFIXES = ("pg_", "stl_", "stv_", "svl_", "svv_", "sys_", "svcs_")
_SYSTEM_SCHEMAS = frozenset({"_rs", "pg_catalog", "pg_toast", "pg_temp", "information_schema", "pg_internal", "pg_automv"})
_HIDDEN_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
_CONDITIONS = (exp.Where, exp.Having, exp.Join, exp.If, exp.Qualify)
_WRITING = (exp.Insert, exp.Update, exp.Delete, exp.Merge)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a translation may look at.

    Attributes:
        database: Database that the statement runs in.
        parameters: Values of `:name` in the statement.
        columns_of: Names of the columns of a PostgreSQL query.
        late_view: SQL of a late-binding view by schema and name, or nothing.
        external_table: Name of a temporary table with the rows of an external table by schema and name, or nothing.
    """

    database: str
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    columns_of: Callable[[str], list[str]] = lambda _: []
    late_view: Callable[[str, str], str | None] = lambda _schema, _name: None
    external_table: Callable[[str, str], str | None] = lambda _schema, _name: None


def translate(sql: str, context: Context) -> str:
    """PostgreSQL's text of a query or of a statement that changes rows.

    Raises:
        RefusedError: Something in it is not served.
        SqlError: Redshift would refuse it.
    """
    return render(translate_tree(parse(sql), context))


def translate_tree(tree: exp.Expr, context: Context) -> exp.Expr:
    """The same of a tree, which is changed."""
    check(tree)
    try:
        return _Translation(context).rewrite(tree)
    except RecursionError as error:
        raise SqlError("Statement is too complex: its expressions are nested too deeply") from error


def aliases(sql: str) -> frozenset[str]:
    """Names that a statement gives to what it selects, in lower case."""
    return frozenset(folded(node.alias) for node in parse(sql).find_all(exp.Alias))


def render(tree: exp.Expr) -> str:
    """Text of a translated tree.

    Raises:
        RefusedError: PostgreSQL has no words for it.
    """
    try:
        return tree.sql(dialect="postgres", unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
    except (UnsupportedError, SqlglotError) as error:
        raise RefusedError("this statement", instead=str(error).split("\n", maxsplit=1)[0]) from error


# ---- rewriting -----------------------------------------------------------------------------------------------------------


class _Translation:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._late: list[tuple[str, str]] = []

    def rewrite(self, node: exp.Expr) -> exp.Expr:
        """The node with everything in it as PostgreSQL has it; children first."""
        if isinstance(node, exp.Select) and node.args.get("qualify"):
            node = self._qualified(node)
        if isinstance(node, exp.When):
            _name_values(node)
        for name, value in list(node.args.items()):
            if isinstance(value, exp.Expr):
                node.set(name, self.rewrite(value))
            elif isinstance(value, list):
                node.set(name, [self.rewrite(item) if isinstance(item, exp.Expr) else item for item in value])
        handler = _HANDLERS.get(type(node))
        return handler(self, node) if handler else node

    # ---- names -------------------------------------------------------------------------------------------------

    def identifier(self, node: exp.Identifier) -> exp.Expr:
        """Names are folded to lower case, quoted or not."""
        return exp.to_identifier(folded(str(node.this)), quoted=True)

    def table(self, node: exp.Table) -> exp.Expr:
        if not isinstance(node.this, exp.Identifier):
            raise RefusedError(f"{node.this.sql()} as a table", instead="Name a table, a view or a subquery")
        database, schema, name = node.catalog, node.db, node.name
        if database and database != self._context.database.lower():
            raise RefusedError(f"the database {database} in {self._context.database}", instead="Connect to the database that you query")
        node.set("catalog", None)
        if schema in _SYSTEM_SCHEMAS and not (schema == "pg_catalog" and name in SYSTEM_VIEWS):
            raise RefusedError(f"the schema {schema}", instead=f"Served are your schemas and {', '.join(sorted(SYSTEM_VIEWS))}")
        if name in SYSTEM_VIEWS:
            node.set("db", exp.to_identifier("_rs", quoted=True))
            return node
        if not schema and name.startswith(_SYSTEM_PREFIXES):
            raise RefusedError(f"the system table {name}", instead=f"Served are {', '.join(sorted(SYSTEM_VIEWS))}")
        return self._expanded(node, schema or "public", name)

    def _expanded(self, node: exp.Table, schema: str, name: str) -> exp.Expr:
        """A late-binding view in place, or the rows of an external table."""
        is_target = isinstance(node.parent, (*_WRITING, exp.Schema)) and node.arg_key == "this"
        rows = self._context.external_table(schema, name)
        if rows is not None:
            if is_target:
                raise RefusedError(f"writing the external table {schema}.{name}", instead="External tables are read only here")
            node.set("this", exp.to_identifier(rows, quoted=True))
            node.set("db", None)
            if not node.alias:
                node.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
            return node
        if is_target:
            return node
        sql = self._context.late_view(schema, name)
        if sql is None:
            return node
        if (schema, name) in self._late:
            raise SqlError(f"infinite recursion detected in view {name}")
        self._late.append((schema, name))
        inner = parse(sql)
        check(inner)
        inner = self.rewrite(inner)
        self._late.pop()
        alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name, quoted=True))
        return exp.Subquery(this=inner, alias=alias)

    def column(self, node: exp.Column) -> exp.Expr:
        if node.name in _HIDDEN_COLUMNS:
            raise SqlError(f'column "{node.name}" does not exist')
        node.set("catalog", None)
        return node

    def placeholder(self, node: exp.Placeholder) -> exp.Expr:
        name = str(node.this or "")
        if name not in self._context.parameters:
            raise SqlError(f"Parameter {name} is not given: list it in Parameters")
        return text(self._context.parameters[name])

    # ---- queries -----------------------------------------------------------------------------------------------

    def _qualified(self, node: exp.Select) -> exp.Select:
        """QUALIFY as a condition around the query."""
        if node.args.get("distinct"):
            raise RefusedError("QUALIFY with SELECT DISTINCT", instead="Put the query into a subquery")
        condition = node.args["qualify"].this
        given = {item.alias.lower(): item.this for item in node.expressions if isinstance(item, exp.Alias)}
        for column in list(condition.find_all(exp.Column)):
            if not column.table and column.name.lower() in given:
                column.replace(given[column.name.lower()].copy()) if column.parent else None
        node.set("qualify", None)
        order, limit, offset = node.args.get("order"), node.args.get("limit"), node.args.get("offset")
        for name in ("order", "limit", "offset"):
            node.set(name, None)
        common = node.args.get("with_")
        node.set("with_", None)
        named = node.copy()
        if common:
            named.set("with_", common.copy())
        names = [name.lower() for name in self._context.columns_of(render(_Translation(self._context).rewrite(named)))]
        if len(set(names)) != len(names):
            raise RefusedError("QUALIFY over columns of the same name", instead="Give each column its own name")
        for ordered in order.expressions if order else []:
            if not (ordered.this.is_int or (isinstance(ordered.this, exp.Column) and ordered.this.name.lower() in names)):
                raise RefusedError("QUALIFY with an ORDER BY of something that is not selected", instead="Order by a selected column")
            if isinstance(ordered.this, exp.Column):
                ordered.this.set("table", None)
        alias = exp.TableAlias(this=exp.to_identifier("_qualified"), columns=[exp.to_identifier(name) for name in [*names, "_condition"]])
        node.set("expressions", [*node.expressions, exp.alias_(condition, "_condition")])
        outer = exp.Select(
            expressions=[exp.column(name) for name in names],
            from_=exp.From(this=exp.Subquery(this=node, alias=alias)),
            where=exp.Where(this=exp.column("_condition")),
        )
        for name, value in (("order", order), ("limit", limit), ("offset", offset), ("with_", common)):
            outer.set(name, value)
        return outer

    def select(self, node: exp.Select) -> exp.Expr:
        if node.args.get("distinct") and node.args["distinct"].expressions:
            raise RefusedError("DISTINCT ON", instead="Use ROW_NUMBER")
        return node

    def set_operation(self, node: exp.SetOperation) -> exp.Expr:
        if not isinstance(node, exp.Union) and not node.args.get("distinct"):
            raise SqlError(f"{node.key.upper()} ALL is not supported")
        return node

    def join(self, node: exp.Join) -> exp.Expr:
        if str(node.args.get("method") or "NATURAL").upper() != "NATURAL" or str(node.args.get("kind") or "").upper() not in {
            "", "INNER", "OUTER", "CROSS",
        }:  # fmt: skip
            raise RefusedError(f"a join of the kind {node.sql()}", instead="Served are INNER, LEFT, RIGHT, FULL, CROSS and NATURAL joins")
        return node

    def limit(self, node: exp.Limit) -> exp.Expr:
        if isinstance(node.expression, exp.Var | exp.Literal | exp.Paren):
            return node
        raise RefusedError(f"LIMIT {node.expression.sql()}", instead="Give a number")

    # ---- comparisons -------------------------------------------------------------------------------------------

    def comparison(self, node: exp.Expr) -> exp.Expr:
        if isinstance(node.parent, exp.Update) and node.arg_key == "expressions":
            return node  # an assignment
        for name in ("this", "expression", "low", "high"):
            if isinstance(node.args.get(name), exp.Expr):
                node.set(name, comparable(node.args[name]))
        return node

    def membership(self, node: exp.In) -> exp.Expr:
        node.set("this", comparable(node.this))
        node.set("expressions", [comparable(item) for item in node.expressions])
        return node

    def is_(self, node: exp.Is) -> exp.Expr:
        if not isinstance(node.expression, exp.Null | exp.Boolean):
            raise RefusedError(f"IS {node.expression.sql()}", instead="Served are IS NULL, IS TRUE and IS FALSE")
        if isinstance(node.expression, exp.Boolean) and not isinstance(node.find_ancestor(*_CONDITIONS, exp.Select), _CONDITIONS):
            raise SqlError(
                "IS TRUE and IS FALSE are for conditions, such as those of WHERE and CASE: compare with = TRUE in the SELECT list"
            )
        return node

    def with_(self, node: exp.With) -> exp.Expr:
        for common in node.expressions if node.args.get("recursive") else ():
            name = common.alias.lower()
            if not any(table.name.lower() == name and not table.db for table in common.this.find_all(exp.Table)):
                continue
            if not common.args["alias"].columns:
                raise SqlError(f"syntax error: the recursive common table expression {name} needs a list of columns: {name} (column, ...)")
            if not isinstance(common.this, exp.Union) or common.this.args.get("distinct"):
                raise SqlError(f"syntax error: the recursive common table expression {name} needs UNION ALL between its two parts")
        return node

    def matches(self, node: exp.RegexpLike) -> exp.Expr:
        functions.safe_pattern(node.expression, of="~", is_search=True)
        return self.likeness(node)

    def likeness(self, node: exp.Expr) -> exp.Expr:
        if not isinstance(node.this, exp.Literal):
            node.set("this", call("_rs.matched", node.this))
        return node

    def case(self, node: exp.Case) -> exp.Expr:
        if node.this:
            node.set("this", comparable(node.this))
            for branch in node.args["ifs"]:
                branch.set("this", comparable(branch.this))
        return node

    # ---- arithmetic --------------------------------------------------------------------------------------------

    def power(self, node: exp.Pow) -> exp.Expr:
        return call("power", as_type(node.this, "float8"), as_type(node.expression, "float8"))

    def interval(self, node: exp.Interval) -> exp.Expr:
        unit = str(node.args["unit"].name).lower() if node.args.get("unit") is not None else ""
        part = functions.DATE_PARTS.get(unit, "")
        if part not in {"week", "day", "hour", "minute", "second"} or not isinstance(node.this, exp.Literal):
            raise RefusedError(
                f"INTERVAL {node.this.sql()} {unit}".strip(), instead="Use DATEADD, or one number of weeks, days, hours, minutes or seconds"
            )
        return node

    def extract(self, node: exp.Extract) -> exp.Expr:
        part = functions.part_name(node.this, functions.EXTRACTED, of="EXTRACT")
        value = as_type(node.expression, "timestamp") if isinstance(node.expression, exp.Literal) else node.expression
        return as_type(call("trunc", exp.Extract(this=exp.var(part), expression=value)), "bigint" if part == "epoch" else "int")

    # ---- functions ---------------------------------------------------------------------------------------------

    def function(self, node: exp.Anonymous) -> exp.Expr:
        name = str(node.this).lower()
        if name.startswith("_rs."):
            return node
        if name == "listagg":
            return node if isinstance(node.parent, exp.WithinGroup) else listagg(node, None)
        if name in RANKING and not isinstance(node.parent, exp.Window):
            raise SqlError(f"window function {name} requires an OVER clause")
        if any(isinstance(argument, exp.Star) for argument in node.expressions) and name != "count":
            raise SqlError(f"{name}(*) specified, but {name} is not an aggregate function that takes *")
        distinct = [argument for argument in node.expressions if isinstance(argument, exp.Distinct)]
        if distinct and (name not in AGGREGATES or len(distinct[0].expressions) != 1):
            raise RefusedError(f"{name.upper()} with DISTINCT", instead="DISTINCT is served in aggregates of one expression")
        if name == "decode":
            node.set("expressions", [comparable(item) if at == 0 or at % 2 else item for at, item in enumerate(node.expressions)])
        return functions.build(name, node.expressions)

    def sysdate(self, node: exp.CurrentTimestamp) -> exp.Expr:
        if not node.args.get("sysdate"):
            raise RefusedError("CURRENT_TIMESTAMP", instead="It runs on the leader node only: use GETDATE() or SYSDATE")
        return call("_rs.sysdate")

    def position(self, node: exp.StrPosition) -> exp.Expr:
        return call("strpos", node.this, node.args["substr"])

    def within_group(self, node: exp.WithinGroup) -> exp.Expr:
        inner = node.this
        if isinstance(inner, exp.Anonymous) and str(inner.this).lower() == "listagg":
            return listagg(inner, node.expression)
        raise RefusedError(f"{inner.sql(dialect='redshift')} WITHIN GROUP", instead="Served is LISTAGG; of percentiles, MEDIAN")

    def window(self, node: exp.Window) -> exp.Expr:
        inner = node.this
        if not isinstance(inner, exp.Anonymous):
            raise RefusedError(f"{inner.sql(dialect='redshift')} OVER", instead="Served are aggregates and ranking functions")
        name, spec = str(inner.this).lower().removeprefix("_rs."), node.args.get("spec")
        if name in {"fit", "median"}:
            raise RefusedError(f"{'LISTAGG' if name == 'fit' else 'MEDIAN'} OVER", instead="Aggregate with GROUP BY and join")
        framed = FRAMED | {"quotient"}
        if name not in framed | RANKING:
            raise SqlError(f"OVER specified, but {name} is not a window function nor an aggregate function")
        if spec and str(spec.args.get("kind")).upper() != "ROWS":
            raise RefusedError(f"a window frame of {spec.args.get('kind')}", instead="Redshift knows ROWS")
        if name in framed and node.args.get("order") and not spec:
            raise SqlError("Aggregate window functions with an ORDER BY clause require a frame clause")
        if name == "quotient":  # AVG: the window belongs to both of its parts
            return call("_rs.quotient", *(self._over(node, part) for part in inner.expressions))
        if name == "ratio_to_report":
            value = as_type(inner.expressions[0], "float8")
            return exp.Paren(
                this=exp.Div(this=value, expression=call("nullif", self._over(node, call("sum", value.copy())), functions.number(0)))
            )
        return node

    def _over(self, window: exp.Window, function: exp.Expr) -> exp.Expr:
        found = window.copy()
        found.set("this", function)
        return found

    # ---- statements that change rows ---------------------------------------------------------------------------

    def merge(self, node: exp.Merge) -> exp.Expr:
        whens = node.args["whens"].expressions
        if [bool(when.args.get("matched")) for when in whens] != [True, False]:
            raise SqlError("syntax error: MERGE takes WHEN MATCHED THEN UPDATE or DELETE, then WHEN NOT MATCHED THEN INSERT")
        if node.this.args.get("alias"):
            raise SqlError("syntax error: the target of MERGE takes no alias")
        if not isinstance(node.args["using"], exp.Table):
            raise SqlError("syntax error: the source of MERGE is a table")
        return node


def _name_values(node: exp.When) -> None:
    """INSERT VALUES without columns, which sqlglot reads as a call of a function VALUES."""
    inserted = node.args.get("then")
    named = inserted.this if isinstance(inserted, exp.Insert) else None
    only = named.expressions[0] if isinstance(named, exp.Tuple) and len(named.expressions) == 1 else None
    if isinstance(inserted, exp.Insert) and isinstance(only, exp.Anonymous) and str(only.this).upper() == "VALUES":
        inserted.set("expression", exp.Tuple(expressions=only.expressions))
        inserted.set("this", None)


_HANDLERS: Mapping[type[exp.Expr], Callable[[_Translation, Any], exp.Expr]] = {
    exp.Identifier: _Translation.identifier,
    exp.Table: _Translation.table,
    exp.Column: _Translation.column,
    exp.Placeholder: _Translation.placeholder,
    exp.Select: _Translation.select,
    **dict.fromkeys((exp.Union, exp.Intersect, exp.Except), _Translation.set_operation),
    exp.Join: _Translation.join,
    exp.With: _Translation.with_,
    exp.Limit: _Translation.limit,
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between), _Translation.comparison),
    exp.In: _Translation.membership,
    exp.Is: _Translation.is_,
    exp.RegexpLike: _Translation.matches,
    **dict.fromkeys((exp.Like, exp.ILike, exp.SimilarTo), _Translation.likeness),
    exp.Case: _Translation.case,
    exp.Div: lambda _, node: division(node),
    exp.Pow: _Translation.power,
    exp.Cast: lambda _, node: cast(node),
    exp.Interval: _Translation.interval,
    exp.Extract: _Translation.extract,
    exp.Anonymous: _Translation.function,
    exp.CurrentTimestamp: _Translation.sysdate,
    exp.StrPosition: _Translation.position,
    exp.WithinGroup: _Translation.within_group,
    exp.Window: _Translation.window,
    exp.Merge: _Translation.merge,
}
