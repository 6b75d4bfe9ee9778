"""What a statement is and what PostgreSQL is told for it: the white list of statements."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from local.redshift.dialect import parse
from local.redshift.errors import RefusedError, SqlError
from local.redshift.queries import SYSTEM_VIEWS, Context, render, translate, translate_tree
from local.redshift.tables import add_column, checks_of, constrain, create_table, quoted, quoted_text, table_name, type_of
from local.redshift.words import Words


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do for a statement.

    Attributes:
        kind: What it is, such as `SELECT` or `COPY`.
        statements: PostgreSQL's statements; the last one gives the rows and their count.
        gives_rows: Whether it has a result.
        commits: Whether it commits, with everything before it in its transaction.
        is_alone: Whether Redshift runs it in no transaction with others.
        shows_count: Whether its count of rows is told.
    """

    kind: str
    statements: tuple[str, ...] = ()
    gives_rows: bool = False
    commits: bool = False
    is_alone: bool = False
    shows_count: bool = False


def kind_of(sql: str) -> str:
    """The first words of a statement that is served.

    Raises:
        RefusedError: It is none of those.
    """
    words = Words(sql)
    if words.is_done:
        raise SqlError("syntax error: the statement is empty")
    head = " ".join(word for word in (words.peek(at) for at in range(6)) if word)
    found = next((kind for kind in KINDS if re.match(rf"{kind}(?![A-Z_])", head)), None)
    if found is None:
        first = " ".join(head.split()[:2])
        raise RefusedError(f"the statement {first}", instead=f"Served are {', '.join(sorted(_shown(kind) for kind in KINDS))}")
    return found


def plan(sql: str, context: Context) -> Plan:
    """What PostgreSQL is told; COPY and UNLOAD have statements of their own (`loads`, `unloads`).

    Raises:
        RefusedError: It, or something in it, is not served.
        SqlError: Redshift would refuse it.
    """
    kind = kind_of(sql)
    if context.parameters and kind not in _PARAMETERS:
        raise SqlError(f"Parameters are not allowed in {_shown(kind)}: they are for statements that query and change rows")
    return KINDS[kind](sql, context)


# ---- queries and changes -------------------------------------------------------------------------------------------------


def _query(sql: str, context: Context) -> Plan:
    tree = parse(sql)
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        return _change(sql, context)
    if not isinstance(tree, exp.Query):
        raise SqlError("syntax error: expected a query")
    return Plan(kind="SELECT", statements=(render(translate_tree(tree, context)),), gives_rows=True)


def _change(sql: str, context: Context) -> Plan:
    tree = parse(re.sub(r"(?is)^(\s*delete)\s+(?!from\b)", r"\1 FROM ", sql))
    return Plan(kind=tree.key.upper(), statements=(render(translate_tree(tree, context)),), shows_count=True)


def _merge(sql: str, context: Context) -> Plan:
    found = re.match(r"(?is)\s*(.*\S)\s+remove\s+duplicates\s*;?\s*$", sql)
    if found is None:
        return _change(sql, context)
    words = Words(found[1])
    words.expect("MERGE", "INTO")
    target = table_name(words.qualified(), context)
    words.expect("USING")
    source = table_name(words.qualified(), context)
    alias = words.name() if words.accept("AS") or words.peek() != "ON" else ""
    words.expect("ON")
    condition = words.rest()
    used = quoted(alias) if alias else source
    origin = f"{source} AS {used}" if alias else source
    tree = translate_tree(parse(f"DELETE FROM {target} USING {origin} WHERE {condition}"), context)
    return Plan(
        kind="MERGE",
        statements=(render(tree), f"INSERT INTO {target} SELECT DISTINCT {used}.* FROM {origin}"),
        shows_count=True,
    )


# ---- definitions ---------------------------------------------------------------------------------------------------------


def _create_table(sql: str, context: Context) -> Plan:
    return Plan(kind="CREATE TABLE", statements=tuple(create_table(sql, context)))


def _create_view(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("CREATE")
    replaced = "OR REPLACE " if words.accept("OR", "REPLACE") else ""
    words.expect("VIEW")
    parts = words.qualified()
    view = table_name(parts, context)
    columns = f" ({', '.join(quoted(name) for name in words.names())})" if words.peek() == "(" else ""
    words.expect("AS")
    body = words.rest()
    late = re.search(r"(?is)\s+with\s+no\s+schema\s+binding$", body)
    schema, name = _place(parts)
    forget = f"DELETE FROM _rs.late_views WHERE schema_name = {quoted_text(schema)} AND view_name = {quoted_text(name)}"
    if late is None:
        return Plan(kind="CREATE VIEW", statements=(f"CREATE {replaced}VIEW {view}{columns} AS {translate(body, context)}",))
    inner = body[: late.start()]
    if columns:
        raise RefusedError("a late-binding view with a list of columns", instead="Name the columns in its SELECT")
    for table in parse(inner).find_all(exp.Table):
        if not table.db:
            raise SqlError(
                f'All the relation names inside should be qualified when creating view with no schema binding: "{table.name}" is not'
            )
    keep = f"INSERT INTO _rs.late_views VALUES ({quoted_text(schema)}, {quoted_text(name)}, {quoted_text(inner)})"
    return Plan(kind="CREATE VIEW", statements=(*((forget,) if replaced else ()), keep))


def _place(parts: Sequence[str]) -> tuple[str, str]:
    """Schema and name of a view."""
    return (parts[-2] if len(parts) > 1 else "public", parts[-1])


def _drop_view(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("DROP", "VIEW")
    exists = "IF EXISTS " if words.accept("IF", "EXISTS") else ""
    parts = words.qualified()
    cascade = " CASCADE" if words.accept("CASCADE") else ""
    words.accept("RESTRICT")
    words.end()
    schema, name = _place(parts)
    if context.late_view(schema, name) is not None:
        return Plan(
            kind="DROP VIEW",
            statements=(f"DELETE FROM _rs.late_views WHERE schema_name = {quoted_text(schema)} AND view_name = {quoted_text(name)}",),
        )
    return Plan(kind="DROP VIEW", statements=(f"DROP VIEW {exists}{table_name(parts, context)}{cascade}",))


def _materialized_view(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("CREATE", "MATERIALIZED", "VIEW")
    view = table_name(words.qualified(), context)
    while words.peek() not in {"AS", ""}:
        if words.accept("AUTO", "REFRESH", "YES"):
            raise RefusedError("AUTO REFRESH YES", instead="It refreshes at a time of Redshift's choice: write REFRESH MATERIALIZED VIEW")
        if words.accept("AUTO", "REFRESH", "NO") or words.accept("BACKUP", "YES") or words.accept("BACKUP", "NO"):
            continue
        if words.accept("DISTSTYLE"):
            words.name()
        elif words.accept("DISTKEY") or words.accept("SORTKEY") or words.accept("COMPOUND", "SORTKEY"):
            words.names()
        else:
            raise words.wrong("expected AS")
    words.expect("AS")
    return Plan(kind="CREATE MATERIALIZED VIEW", statements=(f"CREATE MATERIALIZED VIEW {view} AS {translate(words.rest(), context)}",))


def _refresh(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("REFRESH", "MATERIALIZED", "VIEW")
    view = table_name(words.qualified(), context)
    words.end()
    return Plan(kind="REFRESH", statements=(f"REFRESH MATERIALIZED VIEW {view}",))


def _drop(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("DROP")
    what = next(each for each in ("MATERIALIZED VIEW", "TABLE", "SCHEMA") if words.accept(*each.split()))
    exists = "IF EXISTS " if words.accept("IF", "EXISTS") else ""
    found = [table_name(words.qualified(), context)]
    while words.accept(","):
        found.append(table_name(words.qualified(), context))
    cascade = " CASCADE" if words.accept("CASCADE") else ""
    words.accept("RESTRICT")
    words.end()
    dropped = f"DROP {what} {exists}{', '.join(found)}{cascade}"
    forget = "DELETE FROM _rs.external_schemas e WHERE NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = e.schema_name)"
    return Plan(kind=f"DROP {what}", statements=(dropped, forget) if what == "SCHEMA" else (dropped,))


def _create_schema(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("CREATE", "SCHEMA")
    exists = "IF NOT EXISTS " if words.accept("IF", "NOT", "EXISTS") else ""
    name = words.name()
    table_name((name, "table"), context)
    owner = f" AUTHORIZATION {quoted(words.name())}" if words.accept("AUTHORIZATION") else ""
    words.end()
    return Plan(kind="CREATE SCHEMA", statements=(f"CREATE SCHEMA {exists}{quoted(name)}{owner}",))


def _create_external_schema(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("CREATE", "EXTERNAL", "SCHEMA")
    exists = words.accept("IF", "NOT", "EXISTS")
    name = words.name()
    table_name((name, "table"), context)
    if not words.accept("FROM", "DATA", "CATALOG"):
        raise RefusedError("an external schema that is not FROM DATA CATALOG", instead="Served are databases of the Glue catalog")
    words.expect("DATABASE")
    database, role = words.string(), ""
    while not words.is_done:
        if words.accept("IAM_ROLE"):
            role = "default" if words.accept("DEFAULT") else words.string()
        elif words.accept("REGION"):
            words.string()
        else:
            raise RefusedError(f"CREATE EXTERNAL SCHEMA with {words.peek()}", instead="Served are DATABASE, REGION and IAM_ROLE")
    if not role:
        raise SqlError("CREATE EXTERNAL SCHEMA needs IAM_ROLE 'arn' or IAM_ROLE default")
    keep = (
        f"INSERT INTO _rs.external_schemas VALUES ({quoted_text(name)}, {quoted_text(database.lower())}, {quoted_text(role)})"
        " ON CONFLICT (schema_name) DO NOTHING"
    )
    made = f"CREATE SCHEMA {'IF NOT EXISTS ' if exists else ''}{quoted(name)}"
    return Plan(kind="CREATE EXTERNAL SCHEMA", statements=(made, keep))


def _alter_table(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("ALTER", "TABLE")
    table = table_name(words.qualified(), context)
    if words.accept("ADD"):
        if words.peek() in {"CONSTRAINT", "PRIMARY", "PRIMARY KEY", "UNIQUE", "FOREIGN", "FOREIGN KEY"}:
            raise RefusedError("ALTER TABLE ADD CONSTRAINT", instead="Keys are not enforced: declare them in CREATE TABLE")
        words.accept("COLUMN")
        return Plan(kind="ALTER TABLE", statements=tuple(add_column(words, table, context)))
    if words.accept("DROP"):
        words.accept("COLUMN")
        column = words.name()
        cascade = " CASCADE" if words.accept("CASCADE") else ""
        words.accept("RESTRICT")
        done = f"DROP COLUMN {quoted(column)}{cascade}"
    elif words.accept("RENAME", "TO"):
        done = f"RENAME TO {quoted(words.name())}"
    elif words.accept("RENAME"):
        words.accept("COLUMN")
        column = words.name()
        words.expect("TO")
        done = f"RENAME COLUMN {quoted(column)} TO {quoted(words.name())}"
    elif words.accept("OWNER", "TO"):
        done = f"OWNER TO {quoted(words.name())}"
    elif words.accept("ALTER"):
        words.accept("COLUMN")
        return _widened(words, table)
    else:
        raise RefusedError(
            f"ALTER TABLE {words.peek()}",
            instead="Served are ADD COLUMN, DROP COLUMN, RENAME TO, RENAME COLUMN, OWNER TO and ALTER COLUMN TYPE VARCHAR(n)",
        )
    words.end()
    return Plan(kind="ALTER TABLE", statements=(f"ALTER TABLE {table} {done}",))


def _widened(words: Words, table: str) -> Plan:
    column = words.name()
    if not words.accept("TYPE"):
        raise RefusedError("ALTER COLUMN without TYPE", instead="Served is ALTER COLUMN TYPE VARCHAR(n)")
    kind, size = type_of(words)
    words.end()
    if not kind.startswith("varchar"):
        raise SqlError("ALTER COLUMN TYPE is for VARCHAR columns")
    drop = (
        "DO $rs$ DECLARE c record; BEGIN "
        f"IF (SELECT atttypmod - 4 FROM pg_attribute WHERE attrelid = {quoted_text(table)}::regclass AND attname = {quoted_text(column)} "
        f"AND atttypid = 'varchar'::regtype) IS NULL THEN RAISE EXCEPTION 'target data type is not supported for column %', {quoted_text(column)}; END IF; "
        "FOR c IN SELECT conname FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) "
        f"WHERE k.conrelid = {quoted_text(table)}::regclass AND k.contype = 'c' AND a.attname = {quoted_text(column)} "
        f"AND k.conname LIKE 'rs\\_%' LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', {quoted_text(table)}, c.conname); "
        "END LOOP; END $rs$"
    )
    checks = "".join(f", ADD {check}" for check in checks_of(column, kind, size))
    return Plan(
        kind="ALTER TABLE",
        statements=(drop, f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} TYPE {kind}{checks}"),
        is_alone=True,
    )


def _comment(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("COMMENT", "ON")
    what = words.name().upper()
    if what not in {"TABLE", "COLUMN", "SCHEMA", "VIEW"}:
        raise RefusedError(f"COMMENT ON {what}", instead="Served are tables, columns, schemas and views")
    parts = words.qualified()
    name = ".".join(quoted(part) for part in parts) if what != "TABLE" else table_name(parts, context)
    words.expect("IS")
    content = "NULL" if words.accept("NULL") else quoted_text(words.string())
    words.end()
    return Plan(kind="COMMENT", statements=(f"COMMENT ON {what} {name} IS {content}",))


# ---- rights --------------------------------------------------------------------------------------------------------------

_PRIVILEGES = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "TRUNCATE", "USAGE", "CREATE", "ALL"})


def _rights(sql: str, context: Context) -> Plan:
    words = Words(sql)
    is_grant = words.accept("GRANT")
    if not is_grant:
        words.expect("REVOKE")
    privileges: list[str] = []
    while True:
        name = words.name().upper()
        if name not in _PRIVILEGES:
            raise RefusedError(
                f"{'GRANT' if is_grant else 'REVOKE'} {name}", instead=f"Served are {', '.join(sorted(_PRIVILEGES))} on tables and schemas"
            )
        privileges.append(name)
        words.accept("PRIVILEGES")
        if not words.accept(","):
            break
    words.expect("ON")
    if words.accept("SCHEMA"):
        target = "SCHEMA " + _names(words)
    elif words.accept("ALL", "TABLES", "IN", "SCHEMA"):
        target = "ALL TABLES IN SCHEMA " + _names(words)
    else:
        words.accept("TABLE")
        found = [table_name(words.qualified(), context)]
        while words.accept(","):
            found.append(table_name(words.qualified(), context))
        target = "TABLE " + ", ".join(found)
    words.expect("TO" if is_grant else "FROM")
    people: list[str] = []
    while True:
        if words.accept("PUBLIC"):
            people.append("PUBLIC")
        else:
            _ = words.accept("GROUP") or words.accept("ROLE")
            people.append(quoted(words.name()))
        if not words.accept(","):
            break
    words.end()
    verb = "TO" if is_grant else "FROM"
    return Plan(
        kind="GRANT" if is_grant else "REVOKE",
        statements=(f"{'GRANT' if is_grant else 'REVOKE'} {', '.join(privileges)} ON {target} {verb} {', '.join(people)}",),
    )


def _names(words: Words) -> str:
    found = [quoted(words.name())]
    while words.accept(","):
        found.append(quoted(words.name()))
    return ", ".join(found)


def _create_user(sql: str, context: Context) -> Plan:
    del context
    words = Words(sql)
    words.expect("CREATE", "USER")
    name = words.name()
    _ = words.accept("WITH")
    words.expect("PASSWORD")
    if not words.accept("DISABLE"):
        raise RefusedError(
            "CREATE USER with a password", instead="Nobody logs in by password here: write PASSWORD DISABLE and use IAM identities"
        )
    words.end()
    return Plan(kind="CREATE USER", statements=(f"CREATE ROLE {quoted(name)}",))


def _create_group(sql: str, context: Context) -> Plan:
    del context
    words = Words(sql)
    words.expect("CREATE")
    _ = words.accept("GROUP") or words.accept("ROLE")
    name = words.name()
    words.end()
    return Plan(kind="CREATE ROLE", statements=(f"CREATE ROLE {quoted(name)}",))


def _grant_role(sql: str, context: Context) -> Plan:
    del context
    words = Words(sql)
    words.expect("GRANT", "ROLE")
    role = words.name()
    words.expect("TO")
    _ = words.accept("ROLE")
    user = words.name()
    words.end()
    return Plan(kind="GRANT", statements=(f"GRANT {quoted(role)} TO {quoted(user)}",))


# ---- the rest ------------------------------------------------------------------------------------------------------------


def _truncate(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("TRUNCATE")
    words.accept("TABLE")
    table = table_name(words.qualified(), context)
    words.end()
    return Plan(kind="TRUNCATE", statements=(f"TRUNCATE TABLE {table}",), commits=True)


def _analyze(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("ANALYZE")
    if words.accept("COMPRESSION"):
        raise RefusedError("ANALYZE COMPRESSION", instead="Nothing here is compressed as Redshift compresses it")
    words.accept("VERBOSE")
    table = "" if words.is_done else table_name(words.qualified(), context)
    if words.peek() == "(":
        words.names()
    _ = words.accept("PREDICATE", "COLUMNS") or words.accept("ALL", "COLUMNS")
    words.end()
    return Plan(kind="ANALYZE", statements=(f"ANALYZE {table}",))


def _vacuum(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("VACUUM")
    _ = any(words.accept(*each) for each in (("FULL",), ("SORT", "ONLY"), ("DELETE", "ONLY"), ("REINDEX",), ("RECLUSTER",)))
    table = "" if words.is_done else table_name(words.qualified(), context)
    if words.accept("TO"):
        if not 0 <= words.number() <= 100:
            raise SqlError("VACUUM threshold must be between 0 and 100 percent")
        words.expect("PERCENT")
    words.accept("BOOST")
    words.end()
    return Plan(kind="VACUUM", statements=(f"VACUUM {table}",), is_alone=True)


def _lock(sql: str, context: Context) -> Plan:
    words = Words(sql)
    words.expect("LOCK")
    words.accept("TABLE")
    found = [table_name(words.qualified(), context)]
    while words.accept(","):
        found.append(table_name(words.qualified(), context))
    words.end()
    return Plan(kind="LOCK", statements=(f"LOCK TABLE {', '.join(found)} IN ACCESS EXCLUSIVE MODE",))


def _set(sql: str, context: Context) -> Plan:
    del context
    words = Words(sql)
    words.expect("SET")
    name = words.name()
    if name == "query_group":
        return Plan(kind="SET")
    if name != "search_path":
        raise RefusedError(f"SET {name}", instead="Served are SET search_path and SET query_group")
    if not words.accept("TO"):
        words.expect("=")
    found: list[str] = []
    while not words.is_done:
        schema = words.string() if words.has_string else words.name() if words.peek() != "$" else "$user"
        if schema.startswith(("pg_", "_rs")):
            raise RefusedError(f"the schema {schema}", instead="Name schemas of yours")
        found.append('"$user"' if schema in {"$user", "$"} else quoted(schema.lower()))
        if not words.accept(","):
            break
    words.end()
    return Plan(kind="SET", statements=(f"SET search_path TO {', '.join(found)}",))


def _show(sql: str, context: Context) -> Plan:
    del context
    words = Words(sql)
    words.expect("SHOW", "SEARCH_PATH")
    words.end()
    return Plan(kind="SHOW", statements=("SHOW search_path",), gives_rows=True)


def _begin(sql: str, context: Context) -> Plan:
    del sql, context
    return Plan(kind="BEGIN")


def _commit(sql: str, context: Context) -> Plan:
    del sql, context
    return Plan(kind="COMMIT", commits=True)


def _rollback(sql: str, context: Context) -> Plan:
    del sql, context
    return Plan(kind="ROLLBACK")


def _moves(sql: str, context: Context) -> Plan:
    del context
    return Plan(kind=Words(sql).peek(), shows_count=True)


KINDS: Mapping[str, Callable[[str, Context], Plan]] = {
    r"(?:SELECT|WITH|\()": _query,
    r"(?:INSERT|UPDATE|DELETE)": _change,
    "MERGE": _merge,
    r"CREATE (?:LOCAL )?(?:TEMP |TEMPORARY )?TABLE": _create_table,
    r"CREATE (?:OR REPLACE )?VIEW": _create_view,
    "CREATE MATERIALIZED VIEW": _materialized_view,
    "REFRESH MATERIALIZED VIEW": _refresh,
    "DROP VIEW": _drop_view,
    "DROP (?:TABLE|SCHEMA|MATERIALIZED VIEW)": _drop,
    "CREATE SCHEMA": _create_schema,
    "CREATE EXTERNAL SCHEMA": _create_external_schema,
    "ALTER TABLE": _alter_table,
    "COMMENT ON": _comment,
    "GRANT ROLE": _grant_role,
    "(?:GRANT|REVOKE)": _rights,
    "CREATE USER": _create_user,
    "CREATE (?:GROUP|ROLE)": _create_group,
    "TRUNCATE": _truncate,
    "ANALYZE": _analyze,
    "VACUUM": _vacuum,
    "LOCK": _lock,
    "SET": _set,
    "SHOW SEARCH_PATH": _show,
    "(?:BEGIN|START TRANSACTION)": _begin,
    "(?:COMMIT|END)": _commit,
    "(?:ROLLBACK|ABORT)": _rollback,
    "COPY": _moves,
    "UNLOAD": _moves,
}  # fmt: skip
"""Statements that are served, by a pattern of their first words."""

_PARAMETERS = frozenset(list(KINDS)[:3])


def _shown(kind: str) -> str:
    return re.sub(r"[()?\\:]", "", kind).replace("|", "/").strip("/").replace("//", "/")


__all__ = ["KINDS", "SYSTEM_VIEWS", "Plan", "constrain", "kind_of", "plan"]
