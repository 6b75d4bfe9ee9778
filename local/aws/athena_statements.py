"""Statements that Athena gets: what kind they are, which tables they name, and their parameters put in place."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from local.aws import athena_definitions, athena_outputs
from local.aws.athena_definitions import CreateView, Definition
from local.aws.athena_outputs import Files, TableAs
from local.aws.athena_sql import CATALOG, StatementError, TableName, first_word, quoted, table_name, tokens_of, without_comments

READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
"""First words of queries."""

WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
"""First words of statements that change the rows of one table."""

LOOKS = frozenset({"SHOW", "DESCRIBE", "DESC", "EXPLAIN"})
"""First words of statements that look at the catalog or at a plan."""

OUTPUTS = frozenset({"UNLOAD", "CREATE", "DROP", "ALTER"})
"""First words of statements that write files or define and remove tables, views and databases."""

PREPARED = frozenset({"PREPARE", "EXECUTE", "DEALLOCATE"})
"""First words of statements about kept statements; they are resolved before a statement is looked at."""

NOT_SERVED = frozenset(
    {
        "MSCK", "VACUUM", "OPTIMIZE", "ANALYZE", "CALL", "COMMENT", "GRANT", "REVOKE", "DENY", "SET", "RESET", "USE", "REFRESH",
        "TRUNCATE", "START", "COMMIT", "ROLLBACK",
    }
)  # fmt: skip
"""First words of statements that Athena or Trino know and that are refused here."""

SERVED = ", ".join(
    sorted(
        (READS | WRITES | LOOKS | PREPARED) - {"DESC"}
        | {"UNLOAD", "ALTER TABLE"}
        | {f"{verb} {what}" for verb in ("CREATE", "DROP") for what in ("DATABASE", "TABLE", "VIEW")}
    )
)

DESCRIBED = ("col_name", "data_type", "comment")
"""Columns of DESCRIBE."""

DEFINED = ("createtab_stmt",)
"""Column of SHOW CREATE TABLE; awswrangler reads it by this name."""

FIELDS = ("field",)
"""Columns of SHOW COLUMNS."""

INFORMATION_SCHEMA = "information_schema"

_EXPLAIN = re.compile(r"EXPLAIN\b\s*(?P<analyze>ANALYZE\b\s*(?:VERBOSE\b\s*)?)?(?:\(\s*(?:TYPE|FORMAT)\b[^()]*\)\s*)?", re.IGNORECASE)
_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|[\w$]+|\S""")
_TRINO_SCHEMAS = frozenset({"information_schema", "system"})
_SHOWS = {"TABLES", "DATABASES", "SCHEMAS", "COLUMNS", "CREATE", "VIEWS"}


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
        planned: Statement whose plan tells which tables it touches (EXPLAIN TYPE IO): itself, what it explains or writes; "" if there is none.
        hides: Names that Trino would list and Athena does not have.
        only: What the names that it lists must match whole; None for all.
        shows: Columns of the answer, if the catalog gives it and not Trino; the table is the one that it reads.
        is_text: Whether its one cell is a text of many lines, each a row.
        files: Files that it writes, for UNLOAD.
        makes: Table that it makes, for CREATE TABLE AS.
        drops: Table that it removes.
        if_exists: Whether a table to remove may be missing.
        defines: View, table or database that it defines, changes or removes otherwise.
    """

    sql: str
    kind: str
    reads: frozenset[TableName] = frozenset()
    writes: TableName | None = None
    lists_databases: bool = False
    lists_tables_of: frozenset[str] = frozenset()
    planned: str = ""
    hides: frozenset[str] = frozenset()
    only: re.Pattern[str] | None = None
    shows: tuple[str, ...] = ()
    is_text: bool = False
    files: Files | None = None
    makes: TableAs | None = None
    drops: TableName | None = None
    if_exists: bool = False
    defines: Definition | None = None


def kind_of(sql: str) -> str:
    """Athena's StatementType of a statement, told before it is looked at."""
    first = first_word(sql)
    if first == "CREATE":
        plain = without_comments(sql)
        return "DML" if re.match(r"CREATE\s+TABLE\b", plain, re.IGNORECASE) and re.search(r"\bAS\b", plain, re.IGNORECASE) else "DDL"
    if first in READS | WRITES | {"UNLOAD", "EXECUTE"}:
        return "DML"
    return "UTILITY" if first in LOOKS else "DDL"


def bind(sql: str, parameters: Sequence[str]) -> str:
    """Put execution parameters in the place of question marks.

    Args:
        sql: Statement.
        parameters: Literals of SQL, as Athena's ExecutionParameters have them: `'text'`, `5`, `DATE '2026-01-01'`.

    Raises:
        StatementError: Their number differs, or one is not a literal.
    """
    marks = [token for token in tokens_of(sql) if token.token_type == TokenType.PLACEHOLDER]
    if not parameters and not marks:
        return sql
    if len(marks) != len(parameters):
        raise StatementError(
            f"INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}"
        )
    _refuse_marks_elsewhere(sql)
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
    tokens = tokens_of(sql)
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        raise StatementError("Query string is empty")
    text = sql[tokens[0].start : tokens[-1].end + 1]
    if any(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise StatementError("Only one sql statement is allowed. Got: " + text)
    first = first_word(text)
    if first in READS or first in WRITES:
        return _dml(text, first, database)
    if first in LOOKS:
        plain = without_comments(text)
        # Hive takes the name of the database in backquotes too, and awswrangler gives it so.
        return _look(plain, _WORD.findall(plain), _plain(database))
    if first in OUTPUTS:
        return _output(text, first, database)
    if first not in NOT_SERVED:
        raise StatementError(f"SYNTAX_ERROR: line 1:1: mismatched input '{tokens[0].text}'. Expecting: {SERVED}")
    raise StatementError(
        f"NOT_SUPPORTED: the laptop platform does not run {first} in Athena; it runs {SERVED}. Tables are made by deployments and by Spark."
    )


def _output(text: str, first: str, database: str) -> Statement:
    defines = athena_definitions.definition(text, database=database) if first != "UNLOAD" else None
    if defines is not None:
        return _definition(text, defines, database)
    if first == "DROP":
        words = _WORD.findall(without_comments(text))
        if len(words) < 3 or words[1].upper() != "TABLE":
            raise StatementError("NOT_SUPPORTED: of DROP the laptop platform runs DROP TABLE, DROP VIEW and DROP DATABASE in Athena")
        if_exists = [word.upper() for word in words[2:4]] == ["IF", "EXISTS"]
        name = _table(_dotted(words[4 if if_exists else 2 :]), database)
        return Statement(sql=text, kind="DDL", drops=name, if_exists=if_exists)
    if first == "UNLOAD":
        files = athena_outputs.unload(text)
        return Statement(**_reading(files.query, database), sql=text, kind="DML", files=files)  # type: ignore[arg-type]
    made = athena_outputs.table_as(text, database=database)
    return Statement(**_reading(made.query, database), sql=text, kind="DML", makes=made)  # type: ignore[arg-type]


def _definition(text: str, defines: Definition, database: str) -> Statement:
    """A definition; of a view, whose query is not run, only the catalog is asked for what it reads."""
    reads = frozenset[TableName]()
    if isinstance(defines, CreateView):
        if first_word(defines.query) not in READS:
            raise StatementError(f"SYNTAX_ERROR: line 1:1: a query is expected, not {first_word(defines.query) or 'nothing'}")
        reads = _dml(defines.query, first_word(defines.query), database).reads
    return Statement(sql=text, kind="DDL", reads=reads, defines=defines)


def _reading(query: str, database: str) -> dict[str, object]:
    """What a statement reads whose rows come from a query."""
    if first_word(query) not in READS:
        raise StatementError(f"SYNTAX_ERROR: line 1:1: a query is expected, not {first_word(query) or 'nothing'}")
    found = _dml(query, first_word(query), database)
    return {
        "reads": found.reads,
        "planned": found.planned,
        "lists_databases": found.lists_databases,
        "lists_tables_of": found.lists_tables_of,
    }


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
        planned=text,
    )


def _look(text: str, words: list[str], database: str) -> Statement:
    first, second = words[0].upper(), words[1].upper() if len(words) > 1 else ""
    if first == "EXPLAIN":
        inner, is_run = _after_explain(text)
        begin = first_word(inner)
        if begin not in (READS if is_run else READS | WRITES):
            raise StatementError(
                f"NOT_SUPPORTED: the laptop platform does not run EXPLAIN {'ANALYZE ' if is_run else ''}of {begin or 'nothing'}; it explains "
                f"{', '.join(sorted(READS if is_run else READS | WRITES))}. ANALYZE runs the statement, so it is for queries only."
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
        name = _shown(words[1:], database, what="DESCRIBE")
        return Statement(sql=text, kind="UTILITY", reads=frozenset({name}), shows=DESCRIBED)
    if second not in _SHOWS:
        raise StatementError(
            f"NOT_SUPPORTED: the laptop platform does not run SHOW {second}; it runs SHOW {', SHOW '.join(sorted(_SHOWS))}"
        )
    if second in {"DATABASES", "SCHEMAS"}:
        only = _pattern(words[2:], what=second, simple=False)
        return Statement(sql="SHOW SCHEMAS", kind="UTILITY", lists_databases=True, hides=_TRINO_SCHEMAS, only=only)
    if second == "TABLES":
        named = len(words) > 3 and words[2].upper() in {"IN", "FROM"}
        where = _plain(words[3]) if named else database
        only = _pattern(words[4 if named else 2 :], what=second, simple=True)
        return Statement(sql=f'SHOW TABLES FROM "{where}"', kind="UTILITY", lists_tables_of=frozenset({where.lower()}), only=only)
    if second == "VIEWS":
        named = len(words) > 3 and words[2].upper() in {"IN", "FROM"}
        where = (_plain(words[3]) if named else database).lower()
        only = _pattern(words[4 if named else 2 :], what=second, simple=True)
        listed = where.replace("'", "''")
        sql = f"SELECT table_name AS views FROM information_schema.views WHERE table_schema = '{listed}' ORDER BY 1"  # noqa: S608 - quoted above
        return Statement(sql=sql, kind="UTILITY", lists_tables_of=frozenset({where}), only=only)
    if second == "COLUMNS":
        if len(words) < 4 or words[2].upper() not in {"IN", "FROM"}:
            raise StatementError("SYNTAX_ERROR: SHOW COLUMNS is followed by IN or FROM and the name of a table")
        name = _shown(words[3:], database, what="SHOW COLUMNS IN")
        return Statement(sql=text, kind="UTILITY", reads=frozenset({name}), shows=FIELDS)
    if len(words) < 4 or words[2].upper() != "TABLE":
        raise StatementError("NOT_SUPPORTED: of SHOW CREATE the laptop platform runs SHOW CREATE TABLE")
    name = _shown(words[3:], database, what="SHOW CREATE TABLE")
    return Statement(sql=f"SHOW CREATE TABLE {quoted(name)}", kind="UTILITY", reads=frozenset({name}), is_text=True)


def _shown(words: list[str], database: str, *, what: str) -> TableName:
    """The table at the end of a statement that looks at one; backquotes are Hive's, who runs these at AWS.

    Raises:
        StatementError: More follows, such as a column or a partition.
    """
    parts = _dotted(words)
    rest = words[2 * len(parts) - 1 :]
    if rest:
        raise StatementError(
            f"NOT_SUPPORTED: the laptop platform runs {what} with the name of a table, and nothing after it; got {' '.join(rest)}"
        )
    return _table(parts, database)


def _pattern(words: list[str], *, what: str, simple: bool) -> re.Pattern[str] | None:
    """The filter at the end of a SHOW.

    Args:
        words: What follows.
        what: What is shown.
        simple: Whether only `*` and `|` mean something, as for tables; otherwise it is a regular expression, as for databases.
    """
    if not words:
        return None
    rest = words[1:] if words[0].upper() == "LIKE" else words
    if len(rest) != 1 or not rest[0].startswith("'") or (not simple and rest is words):
        raise StatementError(
            f"SYNTAX_ERROR: SHOW {what}: mismatched input '{words[0]}'. Expecting: {'' if simple else 'LIKE '}'regular_expression'"
        )
    text = rest[0][1:-1].replace("''", "'")
    expression = "|".join(".*".join(re.escape(part) for part in choice.split("*")) for choice in text.split("|")) if simple else text
    try:
        return re.compile(expression, re.IGNORECASE)
    except re.error as error:
        raise StatementError(f"SYNTAX_ERROR: {text!r} is no regular expression: {error}") from error


def _after_explain(text: str) -> tuple[str, bool]:
    """The statement that is explained, and whether it is run for that."""
    found = _EXPLAIN.match(text)
    if found is None:
        raise StatementError("SYNTAX_ERROR: line 1:8: mismatched input. Expecting: ANALYZE, '(', a statement")
    return text[found.end() :].strip(), found["analyze"] is not None


def _has_table_function(text: str) -> bool:
    tokens = tokens_of(text)
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
    return table_name(parts, database)


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


def _refuse_marks_elsewhere(sql: str) -> None:
    """Athena takes question marks in WHERE clauses only."""
    first = first_word(sql)
    query = (
        athena_outputs.unload(sql).query
        if first == "UNLOAD"
        else athena_outputs.table_as(sql, database="").query
        if first == "CREATE"
        else sql
    )
    tree = _parse(query)
    if any(mark.find_ancestor(exp.Where, exp.Having, exp.Values) is None for mark in tree.find_all(exp.Placeholder)):
        raise StatementError("INVALID_PARAMETER_USAGE: Athena takes ? in a WHERE clause only: write the rest of the statement out")
