"""What of Redshift's SQL is served: every kind of node is known here, or the statement is refused by its name."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from local.redshift.errors import RefusedError

_BINARY = ("this", "expression")

NODES: Mapping[type[exp.Expr], tuple[str, ...]] = {
    exp.Select: ("expressions", "distinct", "from_", "joins", "where", "group", "having", "qualify", "order", "limit", "offset", "with_"),
    exp.Distinct: ("expressions",),
    exp.From: ("this",),
    exp.Join: ("this", "side", "kind", "on", "using", "method"),
    exp.Table: ("this", "alias", "db", "catalog"),
    exp.TableAlias: ("this", "columns"),
    exp.Subquery: ("this", "alias", "with_", "order", "limit", "offset"),
    exp.Where: ("this",),
    exp.Group: ("expressions",),
    exp.Rollup: ("expressions",),
    exp.Cube: ("expressions",),
    exp.GroupingSets: ("expressions",),
    exp.Having: ("this",),
    exp.Qualify: ("this",),
    exp.Order: ("expressions",),
    exp.Ordered: ("this", "desc", "nulls_first"),
    exp.Limit: ("expression",),
    exp.Offset: ("expression",),
    exp.With: ("expressions", "recursive"),
    exp.CTE: ("this", "alias"),
    **dict.fromkeys((exp.Union, exp.Intersect, exp.Except), ("this", "expression", "distinct", "with_", "order", "limit", "offset")),
    exp.Column: ("this", "table", "db", "catalog"),
    exp.Identifier: ("this", "quoted"),
    exp.Star: (),
    exp.Alias: ("this", "alias"),
    exp.Literal: ("this", "is_string"),
    exp.Boolean: ("this",),
    exp.Null: (),
    exp.Paren: ("this",),
    exp.Tuple: ("expressions",),
    exp.Var: ("this",),
    exp.Placeholder: ("this",),
    **dict.fromkeys((exp.And, exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.SimilarTo, exp.RegexpLike, exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Pow, exp.Escape), _BINARY),
    exp.Like: ("this", "expression", "negate"),
    exp.ILike: ("this", "expression", "negate"),
    exp.Div: ("this", "expression", "typed", "safe"),
    exp.DPipe: ("this", "expression", "safe"),
    exp.Not: ("this",),
    exp.Neg: ("this",),
    exp.In: ("this", "expressions", "query"),
    exp.Between: ("this", "low", "high"),
    exp.Exists: ("this",),
    exp.Any: ("this",),
    exp.All: ("this",),
    exp.Case: ("this", "ifs", "default"),
    exp.If: ("this", "true"),
    exp.Cast: ("this", "to"),
    exp.DataType: ("this", "expressions"),
    exp.DataTypeParam: ("this",),
    exp.Interval: ("this", "unit"),
    exp.Extract: _BINARY,
    exp.Trim: ("this", "position", "expression"),
    exp.StrPosition: ("this", "substr"),
    exp.Anonymous: ("this", "expressions"),
    exp.Window: ("this", "partition_by", "order", "spec", "over"),
    exp.WindowSpec: ("kind", "start", "start_side", "end", "end_side"),
    exp.WithinGroup: _BINARY,
    exp.CurrentDate: (),
    exp.CurrentTimestamp: ("sysdate",),
    exp.CurrentUser: (),
    exp.Insert: ("this", "expression", "default", "with_"),
    exp.Schema: ("this", "expressions"),
    exp.Values: ("expressions",),
    exp.Update: ("this", "expressions", "from_", "where", "with_"),
    exp.Delete: ("this", "using", "where", "with_"),
    exp.Merge: ("this", "using", "on", "whens"),
    exp.Whens: ("expressions",),
    exp.When: ("matched", "then"),
}  # fmt: skip
"""Kinds of nodes that are served, and what of each."""

_NAMES: Mapping[type[exp.Expr], str] = {
    exp.AnonymousAggFunc: "this aggregate",
    exp.Array: "ARRAY (the type SUPER)",
    exp.Bracket: "navigation into a SUPER value",
    exp.Dot: "navigation into a SUPER value, or a function with a schema",
    exp.Filter: "FILTER",
    exp.IgnoreNulls: "IGNORE NULLS",
    exp.RespectNulls: "RESPECT NULLS",
    exp.Into: "SELECT INTO",
    exp.Lateral: "LATERAL",
    exp.Lock: "FOR UPDATE",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
    exp.OnConflict: "ON CONFLICT",
    exp.Returning: "RETURNING",
    exp.TableSample: "TABLESAMPLE",
    exp.TryCast: "TRY_CAST",
    exp.Unnest: "UNNEST",
}  # fmt: skip

_SERVED_TEXT = "Served are SELECT, WITH, INSERT, UPDATE, DELETE and MERGE of what Redshift's documentation calls basic SQL"


def check(tree: exp.Expr) -> None:
    """Refuse what is not known, by its name.

    Raises:
        RefusedError: There is something.
    """
    for node in tree.walk():
        known = NODES.get(type(node))
        name = _NAMES.get(type(node), type(node).__name__.upper())
        if known is None:
            raise RefusedError(name, instead=_SERVED_TEXT)
        for argument, value in node.args.items():
            if value and argument not in known:
                told = (
                    _NAMES.get(type(value))
                    if isinstance(value, exp.Expr)
                    else _NAMES.get(type(value[0]))
                    if isinstance(value, list)
                    else ""
                )
                raise RefusedError(told or f"{argument.rstrip('_').replace('_', ' ').upper()} of {name}", instead=_SERVED_TEXT)
