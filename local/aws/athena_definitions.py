"""Statements that define views, tables and databases in Athena: taken apart, what is not served refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from local.aws.athena_sql import StatementError, TableName, table_name, without_comments

TEXT = ("org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat")
CSV_SERDE = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
TEXT_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
_ORC = "org.apache.hadoop.hive.ql.io.orc"
_AVRO = "org.apache.hadoop.hive.ql.io.avro"

STORED: Mapping[str, tuple[str, str, str]] = {
    "PARQUET": (f"{_PARQUET}.MapredParquetInputFormat", f"{_PARQUET}.MapredParquetOutputFormat", f"{_PARQUET}.serde.ParquetHiveSerDe"),
    "ORC": (f"{_ORC}.OrcInputFormat", f"{_ORC}.OrcOutputFormat", f"{_ORC}.OrcSerde"),
    "AVRO": (f"{_AVRO}.AvroContainerInputFormat", f"{_AVRO}.AvroContainerOutputFormat", "org.apache.hadoop.hive.serde2.avro.AvroSerDe"),
    "TEXTFILE": (*TEXT, TEXT_SERDE),
}
"""Formats of STORED AS -> input format, output format, serde."""

SERDES: Mapping[str, str] = {
    **{serde: name for name, (_, _, serde) in STORED.items()},
    CSV_SERDE: "TEXTFILE",
    "org.apache.hive.hcatalog.data.JsonSerDe": "TEXTFILE",
    "org.openx.data.jsonserde.JsonSerDe": "TEXTFILE",
}
"""Serdes that are served -> the format of their files."""

ICEBERG_TABLE_PROPERTIES = frozenset({"table_type", "format", "write_compression"})
"""TBLPROPERTIES of an Iceberg table that are served."""

ALTERS = "RENAME TO, ADD COLUMNS, REPLACE COLUMNS, CHANGE COLUMN, DROP COLUMN and SET TBLPROPERTIES"

_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|[\w$]+|\S""")
_TYPES = {
    "string": "varchar", "int": "integer", "float": "real", "binary": "varbinary", "timestamp": "timestamp(6)",
    **{name: name for name in ("boolean", "tinyint", "smallint", "integer", "bigint", "double", "date")},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as Hive's words define it."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class CreateView:
    """CREATE [OR REPLACE] VIEW."""

    name: TableName
    query: str
    replaces: bool


@dataclass(frozen=True, kw_only=True)
class DropView:
    """DROP VIEW."""

    name: TableName
    if_exists: bool


@dataclass(frozen=True, kw_only=True)
class CreateTable:
    """CREATE [EXTERNAL] TABLE with columns.

    Attributes:
        name: The table.
        columns: Its columns.
        partitioned_by: Partition columns of a Hive table; those without a type are partition transforms of an Iceberg table.
        location: Folder, `s3://…`.
        storage: Input format, output format, serde.
        serde_properties: Properties of the serde.
        properties: TBLPROPERTIES.
        comment: Its comment.
        is_external: Whether it says EXTERNAL.
        if_not_exists: Whether a table that is there already is no fault.
    """

    name: TableName
    columns: tuple[Column, ...]
    partitioned_by: tuple[Column, ...] = ()
    location: str = ""
    storage: tuple[str, str, str] = STORED["TEXTFILE"]
    serde_properties: Mapping[str, str] = field(default_factory=dict[str, str])
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    comment: str = ""
    is_external: bool = True
    if_not_exists: bool = False


@dataclass(frozen=True, kw_only=True)
class AlterTable:
    """ALTER TABLE.

    Attributes:
        name: The table.
        action: One of `rename`, `add`, `replace`, `change`, `drop` and `set`.
        to: New name of the table.
        column: Column to change or drop.
        columns: New columns.
        properties: TBLPROPERTIES to set.
    """

    name: TableName
    action: str
    to: TableName | None = None
    column: str = ""
    columns: tuple[Column, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class CreateDatabase:
    """CREATE DATABASE or SCHEMA."""

    name: str
    if_not_exists: bool
    comment: str = ""
    location: str = ""
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class DropDatabase:
    """DROP DATABASE or SCHEMA."""

    name: str
    if_exists: bool
    cascades: bool


Definition = CreateView | DropView | CreateTable | AlterTable | CreateDatabase | DropDatabase


def definition(text: str, *, database: str) -> Definition | None:
    """Take a definition apart; None if the statement is another, such as CREATE TABLE AS.

    Args:
        text: The statement.
        database: Database of names without one.

    Raises:
        StatementError: It is malformed or asks for what is not served.
    """
    words = _Words(without_comments(text), database)
    if words.accept("ALTER"):
        return _alter(words)
    if words.accept("DROP"):
        return _drop(words)
    words.expect("CREATE")
    replaces = words.accept("OR", "REPLACE")
    if words.accept("VIEW"):
        name = words.table()
        words.expect("AS")
        return CreateView(name=name, query=words.rest(), replaces=replaces)
    if replaces:
        return None
    if words.accept("DATABASE") or words.accept("SCHEMA"):
        return _create_database(words)
    is_external = words.accept("EXTERNAL")
    if not words.accept("TABLE"):
        return None
    if_not_exists = words.accept("IF", "NOT", "EXISTS")
    name = words.table()
    if words.peek() != "(":
        if is_external:
            raise words.wrong("(")
        return None
    return _create_table(words, name, is_external=is_external, if_not_exists=if_not_exists)


def trino_type(hive: str) -> str:
    """A type of Hive's words in Trino's.

    Raises:
        StatementError: It is none that is served.
    """
    text = re.sub(r"\s+", "", hive).lower()
    found = re.fullmatch(r"(array|map|struct)<(.*)>", text)
    if found and found[1] == "array":
        return f"array({trino_type(found[2])})"
    if found and found[1] == "map":
        key, value = _parts(found[2])
        return f"map({trino_type(key)}, {trino_type(value)})"
    if found:
        fields = [part.partition(":") for part in _parts(found[2])]
        return f"row({', '.join(f'{_quoted(name)} {trino_type(kind)}' for name, _, kind in fields)})"
    if re.fullmatch(r"decimal\(\d+(,\d+)?\)|(var)?char\(\d+\)", text):
        return text
    if text not in _TYPES:
        raise StatementError(f"NOT_SUPPORTED: the laptop platform does not know the type {hive}; it knows {', '.join(sorted(_TYPES))}, decimal(p,s), varchar(n), char(n), array<>, map<> and struct<>")  # fmt: skip
    return _TYPES[text]


# ---- statements ----------------------------------------------------------------------------------------------------------


def _drop(words: _Words) -> Definition | None:
    if words.accept("VIEW"):
        if_exists = words.accept("IF", "EXISTS")
        name = words.table()
        words.end()
        return DropView(name=name, if_exists=if_exists)
    if words.accept("DATABASE") or words.accept("SCHEMA"):
        if_exists = words.accept("IF", "EXISTS")
        name = words.name()
        cascades = words.accept("CASCADE")
        _ = cascades or words.accept("RESTRICT")
        words.end()
        return DropDatabase(name=name.lower(), if_exists=if_exists, cascades=cascades)
    return None


def _create_database(words: _Words) -> CreateDatabase:
    if_not_exists = words.accept("IF", "NOT", "EXISTS")
    name = words.name()
    comment = words.string() if words.accept("COMMENT") else ""
    location = words.string() if words.accept("LOCATION") else ""
    properties = words.properties() if words.accept("WITH", "DBPROPERTIES") else {}
    words.end()
    return CreateDatabase(name=name.lower(), if_not_exists=if_not_exists, comment=comment, location=location, properties=properties)


def _create_table(words: _Words, name: TableName, *, is_external: bool, if_not_exists: bool) -> CreateTable:
    columns = words.columns(typed=True)
    comment = words.string() if words.accept("COMMENT") else ""
    partitioned_by = words.columns(typed=is_external) if words.accept("PARTITIONED", "BY") else ()
    if words.accept("CLUSTERED"):
        raise StatementError("NOT_SUPPORTED: the laptop platform does not make tables in buckets (CLUSTERED BY) in Athena")
    storage, serde_properties = _storage(words)
    location = words.string() if words.accept("LOCATION") else ""
    properties = words.properties() if words.accept("TBLPROPERTIES") else {}
    words.end()
    is_iceberg = properties.get("table_type", "").upper() == "ICEBERG"
    if is_external == is_iceberg:
        raise StatementError(
            "SYNTAX_ERROR: a table of columns is either CREATE EXTERNAL TABLE, or CREATE TABLE with TBLPROPERTIES ('table_type' = 'ICEBERG')"
        )
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?", location):
        raise StatementError(f"SYNTAX_ERROR: LOCATION is a folder in S3, such as 's3://bucket/folder/', not {location!r}")
    if is_iceberg:
        _refuse_properties(properties)
    if storage[2] == CSV_SERDE and any(column.type != "string" for column in columns):
        raise StatementError("NOT_SUPPORTED: the laptop platform reads columns of the type string with OpenCSVSerde; cast them in queries")
    for column in [*columns, *(column for column in partitioned_by if is_external)]:
        trino_type(column.type)
    return CreateTable(
        name=name, columns=columns, partitioned_by=partitioned_by, location=location, storage=storage, serde_properties=serde_properties,
        properties=properties, comment=comment, is_external=is_external, if_not_exists=if_not_exists,
    )  # fmt: skip


def _storage(words: _Words) -> tuple[tuple[str, str, str], dict[str, str]]:
    """ROW FORMAT and STORED AS."""
    serde, properties, formats = "", dict[str, str](), STORED["TEXTFILE"]
    if words.accept("ROW", "FORMAT", "SERDE"):
        serde = words.string()
        if serde not in SERDES:
            raise StatementError(
                f"NOT_SUPPORTED: the laptop platform reads tables with the serdes {', '.join(sorted(SERDES))}; not {serde}"
            )
        formats = STORED[SERDES[serde]]
        if words.accept("WITH", "SERDEPROPERTIES"):
            properties = words.properties()
    elif words.accept("ROW", "FORMAT", "DELIMITED"):
        serde = TEXT_SERDE
        for clause, name in (
            ("FIELDS TERMINATED BY", "field.delim"), ("ESCAPED BY", "escape.delim"), ("COLLECTION ITEMS TERMINATED BY", "colelction.delim"),
            ("MAP KEYS TERMINATED BY", "mapkey.delim"), ("LINES TERMINATED BY", "line.delim"), ("NULL DEFINED AS", "serialization.null.format"),
        ):  # fmt: skip
            if words.accept(*clause.split()):
                properties[name] = words.string()
        if "field.delim" in properties:
            properties["serialization.format"] = properties["field.delim"]
    if words.accept("STORED", "AS"):
        if words.accept("INPUTFORMAT"):
            reads = words.string()
            words.expect("OUTPUTFORMAT")
            return (reads, words.string(), serde or TEXT_SERDE), properties
        name = words.name().upper()
        if name not in STORED:
            raise StatementError(f"NOT_SUPPORTED: the laptop platform makes tables STORED AS {', '.join(STORED)}; not {name}")
        formats = STORED[name]
    return (formats[0], formats[1], serde or formats[2]), properties


def _alter(words: _Words) -> AlterTable:
    if not words.accept("TABLE"):
        raise StatementError(f"NOT_SUPPORTED: the laptop platform does not run ALTER {words.peek()} in Athena; it runs ALTER TABLE")
    name = words.table()
    if words.accept("RENAME", "TO"):
        found = AlterTable(name=name, action="rename", to=words.table())
    elif words.accept("ADD", "COLUMNS"):
        found = AlterTable(name=name, action="add", columns=words.columns(typed=True))
    elif words.accept("REPLACE", "COLUMNS"):
        found = AlterTable(name=name, action="replace", columns=words.columns(typed=True))
    elif words.accept("CHANGE"):
        words.accept("COLUMN")
        column = words.name()
        found = AlterTable(name=name, action="change", column=column, columns=(words.column(typed=True),))
    elif words.accept("DROP", "COLUMN"):
        found = AlterTable(name=name, action="drop", column=words.name())
    elif words.accept("SET", "TBLPROPERTIES"):
        found = AlterTable(name=name, action="set", properties=words.properties())
    else:
        raise StatementError(f"NOT_SUPPORTED: of ALTER TABLE the laptop platform runs {ALTERS} in Athena; not {words.peek()}")
    words.end()
    for column in found.columns:
        trino_type(column.type)
    return found


def _refuse_properties(properties: Mapping[str, str]) -> None:
    unknown = sorted(set(properties) - ICEBERG_TABLE_PROPERTIES)
    if unknown:
        raise StatementError(
            f"INVALID_TABLE_PROPERTY: of an Iceberg table the laptop platform serves the TBLPROPERTIES {', '.join(sorted(ICEBERG_TABLE_PROPERTIES))}; "
            f"not {', '.join(unknown)}"
        )


# ---- reading -------------------------------------------------------------------------------------------------------------


class _Words:
    """A place in a statement, moved word by word; backquotes and double quotes both quote names."""

    def __init__(self, text: str, database: str) -> None:
        self._text, self._database = text, database
        self._found = list(_WORD.finditer(text))
        self._at = 0

    def peek(self, ahead: int = 0) -> str:
        """A word that comes, upper case; empty at the end."""
        return self._found[self._at + ahead][0].upper() if self._at + ahead < len(self._found) else ""

    def accept(self, *words: str) -> bool:
        """Move over words if they come next."""
        if any(self.peek(ahead) != word for ahead, word in enumerate(words)):
            return False
        self._at += len(words)
        return True

    def expect(self, word: str) -> None:
        """Move over a word that must come next."""
        if not self.accept(word):
            raise self.wrong(word)

    def end(self) -> None:
        """Nothing more may come."""
        if self._at < len(self._found):
            raise self.wrong("<EOF>")

    def wrong(self, expected: str) -> StatementError:
        """What to say of the next word."""
        found = self._found[self._at][0] if self._at < len(self._found) else "<EOF>"
        return StatementError(f"SYNTAX_ERROR: mismatched input '{found}'. Expecting: {expected}")

    def name(self) -> str:
        """Move over a name."""
        word = self._found[self._at][0] if self._at < len(self._found) else ""
        if not re.fullmatch(r'[\w$]+|`[^`]+`|"(?:[^"]|"")+"', word):
            raise self.wrong("a name")
        self._at += 1
        return word[1:-1].replace('""', '"') if word[0] in '`"' else word

    def table(self) -> TableName:
        """Move over the name of a table."""
        parts = [self.name()]
        while self.accept("."):
            parts.append(self.name())
        return table_name(parts, self._database)

    def string(self) -> str:
        """Move over a text."""
        word = self._found[self._at][0] if self._at < len(self._found) else ""
        if not word.startswith(("'", '"')) or len(word) < 2:
            raise self.wrong("a text in quotes")
        self._at += 1
        return word[1:-1].replace(word[0] * 2, word[0])

    def rest(self) -> str:
        """Everything that is left."""
        if self._at >= len(self._found):
            raise self.wrong("a query")
        found = self._text[self._found[self._at].start() :].strip()
        self._at = len(self._found)
        return found

    def properties(self) -> dict[str, str]:
        """Move over `('name' = 'value', …)`."""
        self.expect("(")
        found: dict[str, str] = {}
        while True:
            name = self.string()
            self.expect("=")
            if name in found:
                raise StatementError(f"INVALID_TABLE_PROPERTY: {name} is given twice")
            found[name] = self.string()
            if self.accept(")"):
                return found
            self.expect(",")

    def columns(self, *, typed: bool) -> tuple[Column, ...]:
        """Move over a list of columns; of those without a type the name is a partition transform."""
        self.expect("(")
        found = [self.column(typed=typed)]
        while self.accept(","):
            found.append(self.column(typed=typed))
        self.expect(")")
        names = [column.name for column in found]
        if len(set(names)) != len(names):
            raise StatementError(
                f"FAILED: SemanticException [Error 10036]: Duplicate column name: {next(n for n in names if names.count(n) > 1)}"
            )
        return tuple(found)

    def column(self, *, typed: bool) -> Column:
        """Move over one column, with its comment."""
        if not typed:
            return Column(name=self._transform(), type="")
        name, kind = self.name().lower(), self._type()
        comment = self.string() if self.accept("COMMENT") else ""
        return Column(name=name, type=kind, comment=comment)

    def _transform(self) -> str:
        """A partition transform, in Trino's order of arguments: Athena's `bucket(16, id)` is Trino's `bucket(id, 16)`."""
        name = self.name().lower()
        if not self.accept("("):
            return name
        arguments = [self.name().lower()]
        while self.accept(","):
            arguments.append(self.name().lower())
        self.expect(")")
        return f"{name}({', '.join(reversed(arguments))})"

    def _type(self) -> str:
        """A type with everything between its brackets."""
        start, depth = self._at, 0
        self.name()
        while self._at < len(self._found):
            word = self.peek()
            if depth == 0 and word not in {"<", "("}:
                break
            depth += (word in {"<", "("}) - (word in {">", ")"})
            self._at += 1
        return re.sub(r"\s+", "", "".join(word[0] for word in self._found[start : self._at])).replace("`", "").lower()


def _parts(text: str) -> Sequence[str]:
    """Parts between the commas that stand in no brackets."""
    found, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            found.append(text[start:place])
            start = place + 1
    return [*found, text[start:]]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
