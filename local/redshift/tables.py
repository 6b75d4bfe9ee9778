"""CREATE TABLE: columns and types in PostgreSQL, and what Redshift alone knows (distribution, sort keys, encodings, keys) for its catalog.

Primary keys, unique and foreign keys are kept for the planner in Redshift and enforced by nobody: two rows of one key go in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from local.redshift.dialect import parse
from local.redshift.errors import RefusedError, SqlError
from local.redshift.queries import TYPES, Context, render, translate, translate_tree
from local.redshift.words import Words

ENCODINGS = frozenset({
    "AZ64", "BYTEDICT", "DELTA", "DELTA32K", "LZO", "MOSTLY8", "MOSTLY16", "MOSTLY32", "RAW", "RUNLENGTH", "TEXT255", "TEXT32K", "ZSTD",
})  # fmt: skip
_LONGEST = {"varchar": 65535, "char": 4096}


@dataclass(kw_only=True)
class Attributes:
    """What Redshift's catalog says of a table.

    Attributes:
        diststyle: As `svv_table_info` has it: `AUTO(ALL)`, `EVEN`, `ALL` or `KEY(column)`.
        distkey: Column that rows are distributed by.
        sortkeys: Columns that rows are sorted by.
        sortstyle: `compound` or `interleaved`.
        encodings: Encoding of each column.
        keys: Primary, unique and foreign keys as they were declared.
    """

    diststyle: str = "AUTO(ALL)"
    distkey: str | None = None
    sortkeys: list[str] = field(default_factory=list[str])
    sortstyle: str = "compound"
    encodings: dict[str, str] = field(default_factory=dict[str, str])
    keys: list[str] = field(default_factory=list[str])

    def statement(self, table: str) -> str:
        """The statement that keeps them."""
        array = "ARRAY[" + ", ".join(quoted_text(name) for name in self.sortkeys) + "]::text[]"
        return (
            "INSERT INTO _rs.table_attributes (oid, diststyle, distkey, sortkeys, sortstyle, encodings, keys) VALUES "
            f"({quoted_text(table)}::regclass, {quoted_text(self.diststyle)}, {quoted_text(self.distkey) if self.distkey else 'NULL'}, {array}, "
            f"{quoted_text(self.sortstyle)}, {quoted_text(json.dumps(self.encodings))}::jsonb, {quoted_text(json.dumps(self.keys))}::jsonb) "
            "ON CONFLICT (oid) DO UPDATE SET diststyle = EXCLUDED.diststyle, distkey = EXCLUDED.distkey, sortkeys = EXCLUDED.sortkeys, "
            "sortstyle = EXCLUDED.sortstyle, encodings = EXCLUDED.encodings, keys = EXCLUDED.keys"
        )


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's declaration.

    Attributes:
        name: Its name.
        type: PostgreSQL's type.
        size: Bytes of a CHAR or VARCHAR; 0 for other types.
        clauses: What follows the type in PostgreSQL.
    """

    name: str
    type: str
    size: int
    clauses: str

    @property
    def checks(self) -> str:
        """The constraints that hold text to Redshift's rules."""
        return " ".join(checks_of(self.name, self.type, self.size))


def create_table(sql: str, context: Context) -> list[str]:
    """PostgreSQL's statements for CREATE TABLE, with or without AS."""
    words = Words(sql)
    words.expect("CREATE")
    words.accept("LOCAL")
    is_temporary = words.accept("TEMP") or words.accept("TEMPORARY")
    words.expect("TABLE")
    exists = "IF NOT EXISTS " if words.accept("IF", "NOT", "EXISTS") else ""
    given = words.qualified()
    is_temporary = is_temporary or given[-1].startswith("#")
    table = table_name(given, context)
    attributes = Attributes()
    kind = "TEMP TABLE" if is_temporary else "TABLE"
    if words.peek() == "(" and _defines(words):
        definitions = _definitions(words, attributes, context)
        _table_attributes(words, attributes)
        words.end()
        return [f"CREATE {kind} {exists}{table} ({', '.join(definitions)})", *(_kept(attributes, table, is_if=bool(exists)))]
    columns = words.names() if words.peek() == "(" else []
    if words.accept("BACKUP", "NO"):
        pass
    _table_attributes(words, attributes)
    words.expect("AS")
    query = words.rest()
    query = translate(query[1:-1] if query.startswith("(") and query.endswith(")") and _is_one(query) else query, context)
    head = f"{table} ({', '.join(quoted(name) for name in columns)})" if columns else table
    return [f"CREATE {kind} {exists}{head} AS {query}", constrain(table), *_kept(attributes, table, is_if=bool(exists))]


def add_column(words: Words, table: str, context: Context) -> list[str]:
    """PostgreSQL's statement for what follows ADD COLUMN."""
    attributes = Attributes()
    column = _column(words, attributes, context)
    words.end()
    if attributes.keys or attributes.distkey or attributes.sortkeys:
        raise SqlError("ALTER TABLE ADD COLUMN takes no keys")
    if "NOT NULL" in column.clauses and "DEFAULT" not in column.clauses:
        raise SqlError("ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression")
    return [f"ALTER TABLE {table} ADD COLUMN {quoted(column.name)} {column.type} {column.clauses} {column.checks}"]


def type_of(words: Words) -> tuple[str, int]:
    """PostgreSQL's type for the type that comes next, and the bytes of a text type.

    Raises:
        RefusedError: It is not served.
    """
    first = " ".join(words.name().split())  # some types of two words are one word of the tokenizer
    name = _LONG_TYPES.get(first, first)
    if first in {"double", "character"} and words.accept("PRECISION" if first == "double" else "VARYING"):
        name = "float8" if first == "double" else "varchar"
    sizes: list[int] = []
    if words.accept("("):
        sizes.append(_LONGEST.get(_LONG_TYPES.get(name, name), 0) if words.accept("MAX") else words.number())
        if words.accept(","):
            sizes.append(words.number())
        words.expect(")")
    if first == "timestamp" and words.accept("WITH", "TIME", "ZONE"):
        name = "timestamptz"
    elif first == "timestamp":
        words.accept("WITHOUT", "TIME", "ZONE")
    if name in {"varchar", "char"}:
        default = 256 if name == "varchar" or first == "bpchar" else 1
        size = sizes[0] if sizes else default
        if not 1 <= size <= _LONGEST[name]:
            raise SqlError(
                f"length for type {name} cannot exceed {_LONGEST[name]}" if size else f"length for type {name} must be at least 1"
            )
        return f"{name}({size})", size
    if name == "numeric":
        precision, scale = (sizes[0] if sizes else 18), (sizes[1] if len(sizes) > 1 else 0)
        if not (1 <= precision <= 38 and 0 <= scale <= min(precision, 37)):
            raise SqlError(
                f"DECIMAL({precision},{scale}): precision must be between 1 and 38, scale between 0 and 37 and at most the precision"
            )
        return f"numeric({precision},{scale})", 0
    if name in _PLAIN and not sizes:
        return name, 0
    raise RefusedError(f"the type {first.upper()}", instead=f"Served are {', '.join(TYPES)}")


def table_name(parts: Sequence[str], context: Context) -> str:
    """A table's name as PostgreSQL reads it; another database, and the platform's own schemas, are refused."""
    if len(parts) == 3:
        if parts[0] != context.database.lower():
            raise RefusedError(f"the database {parts[0]} in {context.database}", instead="Connect to the database that you name")
        parts = parts[1:]
    if len(parts) > 3 or (len(parts) == 2 and (parts[0].startswith(("pg_", "_rs")) or parts[0] == "information_schema")):
        raise RefusedError(f"the name {'.'.join(parts)}", instead="Name a schema of yours and a table")
    return ".".join(quoted(part) for part in parts)


def constrain(table: str) -> str:
    """A block that holds the text columns of a table to Redshift's rules, whatever made it."""
    return (
        "DO $rs$ DECLARE c record; n int; BEGIN FOR c IN SELECT attname, atttypid, atttypmod FROM pg_attribute WHERE attrelid = "
        f"{quoted_text(table)}::regclass AND attnum > 0 AND NOT attisdropped AND atttypid IN ('text'::regtype, 'varchar'::regtype) LOOP "
        "n := CASE WHEN c.atttypmod > 0 THEN c.atttypmod - 4 ELSE 65535 END; "
        "EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (octet_length(%I) <= %s), ADD CONSTRAINT %I CHECK (%I !~ '' $'')', "
        f"{quoted_text(table)}, 'rs_length_' || n || '_' || left(md5(c.attname), 8), c.attname, n, 'rs_blanks_' || left(md5(c.attname), 8), c.attname); "
        "END LOOP; END $rs$"
    )


def checks_of(name: str, kind: str, size: int) -> list[str]:
    """Constraints of a text column; none for others. VARCHAR counts bytes; of trailing blanks see docs/known-differences.md."""
    column, mark = quoted(name), hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8]
    if kind.startswith("varchar"):
        return [
            f"CONSTRAINT rs_length_{size}_{mark} CHECK (octet_length({column}) <= {size})",
            f"CONSTRAINT rs_blanks_{mark} CHECK ({column} !~ ' $')",
        ]
    return [f"CONSTRAINT rs_single_{mark} CHECK (octet_length({column}) = {size})"] if kind.startswith("char") else []


def quoted(name: str) -> str:
    """A name between quotes."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(value: str) -> str:
    """A string between quotes."""
    return "'" + value.replace("'", "''") + "'"


# ---- parts ---------------------------------------------------------------------------------------------------------------

_LONG_TYPES: Mapping[str, str] = {
    "int": "int", "integer": "int", "int4": "int", "smallint": "smallint", "int2": "smallint", "bigint": "bigint", "int8": "bigint",
    "decimal": "numeric", "numeric": "numeric", "real": "float4", "float4": "float4", "float": "float8", "float8": "float8",
    "double": "float8", "boolean": "boolean", "bool": "boolean", "char": "char", "character": "char", "nchar": "char", "bpchar": "char",
    "varchar": "varchar", "nvarchar": "varchar", "text": "varchar", "date": "date", "timestamp": "timestamp", "timestamptz": "timestamptz", "double precision": "float8", "character varying": "varchar",
}  # fmt: skip
_PLAIN = frozenset({"smallint", "int", "bigint", "float4", "float8", "boolean", "date", "timestamp", "timestamptz"})


def _defines(words: Words) -> bool:
    """Whether the parentheses hold definitions; those of CREATE TABLE name (a, b) AS hold names alone."""
    return words.peek(1) == "LIKE" or words.peek(2) not in {",", ")"}


def _is_one(query: str) -> bool:
    """Whether the first parenthesis is closed by the last one."""
    words, depth = Words(query), 0
    while not words.is_done:
        words.until("(", ")")
        if words.accept("("):
            depth += 1
        elif words.accept(")"):
            depth -= 1
            if depth == 0:
                return words.is_done
    return False


def _kept(attributes: Attributes, table: str, *, is_if: bool) -> list[str]:
    statement = attributes.statement(table)
    return [statement.split(" ON CONFLICT ", maxsplit=1)[0] + " ON CONFLICT DO NOTHING" if is_if else statement]


def _definitions(words: Words, attributes: Attributes, context: Context) -> list[str]:
    words.expect("(")
    found: list[str] = []
    while True:
        if words.accept("LIKE"):
            source = table_name(words.qualified(), context)
            defaults = " INCLUDING DEFAULTS" if words.accept("INCLUDING", "DEFAULTS") else ""
            words.accept("EXCLUDING", "DEFAULTS")
            found.append(f"LIKE {source} INCLUDING CONSTRAINTS{defaults}")
        elif words.peek() in {"PRIMARY", "PRIMARY KEY", "UNIQUE", "FOREIGN", "FOREIGN KEY", "CONSTRAINT"}:
            found += _table_key(words, attributes, found)
        else:
            column = _column(words, attributes, context)
            found.append(f"{quoted(column.name)} {column.type} {column.clauses} {column.checks}".strip())
        if not words.accept(","):
            break
    words.expect(")")
    return found


def _table_key(words: Words, attributes: Attributes, columns: Sequence[str]) -> list[str]:
    """A key of the table: kept, not enforced; the columns of a primary key are NOT NULL."""
    if words.accept("CONSTRAINT"):
        words.name()
    if words.accept("PRIMARY", "KEY"):
        names = words.names()
        attributes.keys.append(f"PRIMARY KEY ({', '.join(names)})")
        unknown = [name for name in names if not any(column.startswith(f"{quoted(name)} ") for column in columns)]
        if unknown:
            raise SqlError(f'column "{unknown[0]}" named in key does not exist')
        return [f"CHECK ({' AND '.join(f'{quoted(name)} IS NOT NULL' for name in names)})"]
    if words.accept("UNIQUE"):
        attributes.keys.append(f"UNIQUE ({', '.join(words.names())})")
        return []
    words.expect("FOREIGN", "KEY")
    names = words.names()
    attributes.keys.append(f"FOREIGN KEY ({', '.join(names)}) {_references(words)}")
    return []


def _references(words: Words) -> str:
    words.expect("REFERENCES")
    target = ".".join(words.qualified())
    return f"REFERENCES {target} ({', '.join(words.names())})" if words.peek() == "(" else f"REFERENCES {target}"


def _column(words: Words, attributes: Attributes, context: Context) -> Column:  # noqa: PLR0912 - one branch an attribute
    name = words.name()
    kind, size = type_of(words)
    clauses: list[str] = []
    while words.peek() not in {"", ",", ")"}:
        if words.accept("NOT", "NULL"):
            clauses.append("NOT NULL")
        elif words.accept("NULL"):
            pass
        elif words.accept("DEFAULT"):
            clauses.append(f"DEFAULT {_default(words, context)}")
        elif words.accept("IDENTITY"):
            clauses.append(f"GENERATED ALWAYS AS IDENTITY {_identity(words, kind)}")
        elif words.accept("GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"):
            clauses.append(f"GENERATED BY DEFAULT AS IDENTITY {_identity(words, kind)}")
        elif words.accept("ENCODE"):
            attributes.encodings[name] = _encoding(words)
        elif words.accept("DISTKEY"):
            attributes.distkey, attributes.diststyle = name, f"KEY({name})"
        elif words.accept("SORTKEY"):
            attributes.sortkeys = [name]
        elif words.accept("PRIMARY", "KEY"):
            attributes.keys.append(f"PRIMARY KEY ({name})")
            clauses.append("NOT NULL")
        elif words.accept("UNIQUE"):
            attributes.keys.append(f"UNIQUE ({name})")
        elif words.peek() == "REFERENCES":
            attributes.keys.append(f"FOREIGN KEY ({name}) {_references(words)}")
        elif words.accept("COLLATE"):
            raise RefusedError("COLLATE", instead="Text is compared case-sensitively, which is the default")
        else:
            raise words.wrong("expected an attribute of the column")
    return Column(name=name, type=kind, size=size, clauses=" ".join(dict.fromkeys(clauses)))


def _default(words: Words, context: Context) -> str:
    text = words.until(
        "ENCODE", "DISTKEY", "SORTKEY", "NOT", "NULL", "PRIMARY", "PRIMARY KEY", "UNIQUE", "REFERENCES", "IDENTITY", ",", ")"
    )
    if not text and words.accept("NULL"):
        return "NULL"
    return render(translate_tree(parse(f"SELECT {text}"), context)).removeprefix("SELECT ")


def _identity(words: Words, kind: str) -> str:
    if kind not in {"int", "bigint"}:
        raise SqlError("identity column type must be INT or BIGINT")
    words.expect("(")
    start = words.number()
    words.expect(",")
    step = words.number()
    words.expect(")")
    return f"(START WITH {start} INCREMENT BY {step} MINVALUE {min(start, -(2**31))})"


def _encoding(words: Words) -> str:
    name = words.name().upper()
    if name not in ENCODINGS:
        raise SqlError(f"Encoding {name.lower()} is not supported. Encodings are {', '.join(sorted(ENCODINGS)).lower()}")
    return "none" if name == "RAW" else name.lower()


def _table_attributes(words: Words, attributes: Attributes) -> None:
    """What may follow the parentheses, in any order."""
    while words.peek() not in {"", "AS"}:
        if words.accept("DISTSTYLE"):
            style = words.name().upper()
            if style not in {"AUTO", "EVEN", "ALL", "KEY"}:
                raise SqlError(f"DISTSTYLE {style} is not one of AUTO, EVEN, KEY and ALL")
            attributes.diststyle = {"AUTO": "AUTO(ALL)", "KEY": f"KEY({attributes.distkey or ''})"}.get(style, style)
        elif words.accept("DISTKEY"):
            names = words.names()
            if len(names) != 1:
                raise SqlError("DISTKEY takes one column")
            attributes.distkey, attributes.diststyle = names[0], f"KEY({names[0]})"
        elif words.accept("SORTKEY", "AUTO"):
            attributes.sortkeys = []
        elif words.accept("COMPOUND", "SORTKEY") or words.accept("SORTKEY"):
            attributes.sortkeys = words.names()
        elif words.accept("INTERLEAVED", "SORTKEY"):
            attributes.sortkeys, attributes.sortstyle = words.names(), "interleaved"
        elif words.accept("ENCODE", "AUTO") or words.accept("BACKUP", "YES") or words.accept("BACKUP", "NO"):
            pass
        else:
            raise words.wrong("expected an attribute of the table")
    if attributes.diststyle == "KEY()":
        raise SqlError("DISTSTYLE KEY needs a DISTKEY")
    if attributes.distkey and not attributes.diststyle.startswith("KEY"):
        raise SqlError("DISTKEY is only allowed with DISTSTYLE KEY")
