"""What UNLOAD, CREATE TABLE AS and the statements about prepared ones ask for: taken apart, their properties checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot.tokenizer_core import Token, TokenType

from local.aws.athena_sql import StatementError, TableName, quoted, table_name, tokens_of

FORMATS = {
    "PARQUET": ("GZIP", "SNAPPY"),
    "ORC": ("ZLIB", "SNAPPY", "LZ4", "ZSTD"),
    "AVRO": (),
    "JSON": ("GZIP",),
    "TEXTFILE": ("GZIP",),
}
"""Formats that UNLOAD and CREATE TABLE AS write -> compressions, the default first; Avro has none to choose."""

ICEBERG_COMPRESSIONS = ("ZSTD", "SNAPPY", "GZIP", "LZ4", "NONE")
"""Compressions of Iceberg tables, the default first."""

MOST_PARTITIONS = 100
"""Partitions that one UNLOAD or CREATE TABLE AS may write."""

UNLOAD_PROPERTIES = frozenset({"format", "compression", "field_delimiter", "partitioned_by"})
"""Properties of UNLOAD that are served."""

HIVE_PROPERTIES = frozenset(
    {"table_type", "is_external", "format", "external_location", "partitioned_by", "write_compression", "parquet_compression",
     "orc_compression", "field_delimiter"}
)  # fmt: skip
"""Properties of CREATE TABLE AS that are served for Hive tables."""

ICEBERG_PROPERTIES = frozenset({"table_type", "is_external", "format", "location", "partitioning", "write_compression"})
"""Properties of CREATE TABLE AS that are served for Iceberg tables."""

_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?")
Value = str | tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Files:
    """Files to write.

    Attributes:
        query: Query whose rows they hold.
        location: Folder, `s3://…`; empty where Athena chooses one.
        format: One of `FORMATS`.
        compression: One of the format's.
        delimiter: Between the fields of a text file.
        partitioned_by: Columns whose values become folders; the last ones of the query.
    """

    query: str
    location: str
    format: str
    compression: str
    delimiter: str
    partitioned_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TableAs:
    """A table to make from a query.

    Attributes:
        table: Its name.
        query: The query.
        if_not_exists: Whether a table that is there already is no fault.
        with_data: Whether it gets the query's rows.
        iceberg: Whether it is an Iceberg table.
        files: How a Hive table's files are written; None for Iceberg.
        location: Folder of an Iceberg table.
        format: Format of an Iceberg table's files.
        compression: Compression of an Iceberg table's files.
        partitioning: Partition transforms of an Iceberg table.
    """

    table: TableName
    query: str
    if_not_exists: bool
    with_data: bool
    iceberg: bool
    files: Files | None = None
    location: str = ""
    format: str = ""
    compression: str = ""
    partitioning: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """A statement to keep under a name."""

    name: str
    query: str


@dataclass(frozen=True, kw_only=True)
class Execute:
    """A kept statement to run with values."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Deallocate:
    """A kept statement to forget."""

    name: str


def unload(text: str) -> Files:
    """Take an UNLOAD apart.

    Raises:
        StatementError: It is malformed, or asks for what UNLOAD does not do.
    """
    cursor = _Cursor(text)
    cursor.expect("UNLOAD")
    query = cursor.parenthesis()
    cursor.expect("TO")
    location = cursor.text()
    cursor.expect("WITH")
    properties = cursor.properties()
    cursor.expect_end()
    _refuse_unknown(properties, UNLOAD_PROPERTIES, "UNLOAD")
    if "format" not in properties:
        raise StatementError("INVALID_TABLE_PROPERTY: UNLOAD needs the property format: " + ", ".join(FORMATS))
    return _files(query, location, properties, compression=_one(properties, "compression"))


def table_as(text: str, *, database: str) -> TableAs:
    """Take a CREATE TABLE AS apart.

    Args:
        text: The statement.
        database: Database of a name without one.

    Raises:
        StatementError: It is malformed, or no CREATE TABLE AS, or asks for what is not served.
    """
    cursor = _Cursor(text)
    cursor.expect("CREATE")
    if not cursor.has("TABLE"):
        wanted = re.match(r"CREATE\s+((?:OR\s+REPLACE\s+|EXTERNAL\s+)*\w+)", text, re.IGNORECASE)
        what = re.sub(r"\s+", " ", wanted[1]).upper() if wanted else cursor.word()
        raise StatementError(
            f"NOT_SUPPORTED: the laptop platform does not run CREATE {what} in Athena; of CREATE it runs CREATE TABLE … AS query. "
            "Other tables are made by deployments and by Spark."
        )
    if_not_exists = cursor.has("IF")
    if if_not_exists:
        cursor.expect("NOT")
        cursor.expect("EXISTS")
    name = table_name(cursor.dotted(), database)
    properties = cursor.properties() if cursor.has("WITH") else {}
    if not cursor.has("AS"):
        raise StatementError(
            "NOT_SUPPORTED: the laptop platform does not run CREATE TABLE with columns in Athena; of CREATE it runs CREATE TABLE … AS query. "
            "Other tables are made by deployments and by Spark."
        )
    query, with_data = cursor.query_with_data()
    kind = (_one(properties, "table_type") or "HIVE").upper()
    if kind not in {"HIVE", "ICEBERG"}:
        raise StatementError(f"INVALID_TABLE_PROPERTY: table_type is HIVE or ICEBERG, not {kind}")
    common = {"table": name, "query": query, "if_not_exists": if_not_exists, "with_data": with_data}
    if kind == "HIVE":
        return TableAs(**common, iceberg=False, files=_hive_files(query, properties))  # type: ignore[arg-type]
    return _iceberg(properties, common)


def prepared(text: str) -> Prepare | Execute | Deallocate:
    """Take a PREPARE, EXECUTE or DEALLOCATE PREPARE apart.

    Raises:
        StatementError: It is malformed.
    """
    cursor = _Cursor(text)
    if cursor.has("PREPARE"):
        name = cursor.name()
        cursor.expect("FROM")
        return Prepare(name=name, query=cursor.rest())
    if cursor.has("DEALLOCATE PREPARE"):  # sqlglot reads the two words as one token
        name = cursor.name()
        cursor.expect_end()
        return Deallocate(name=name)
    cursor.expect("EXECUTE")
    name = cursor.name()
    if not cursor.has("USING"):
        cursor.expect_end()
        return Execute(name=name, values=())
    return Execute(name=name, values=cursor.values())


def partitions_in_order(columns: Sequence[str], partitioned_by: Sequence[str]) -> bool:
    """Whether the partition columns are the last ones of a query, in their order, as Athena wants them."""
    return not partitioned_by or [column.lower() for column in columns[-len(partitioned_by) :]] == [name.lower() for name in partitioned_by]


# ---- properties --------------------------------------------------------------------------------------------------------


def _files(query: str, location: str, properties: Mapping[str, Value], *, compression: str) -> Files:
    chosen = (_one(properties, "format") or "PARQUET").upper()
    if chosen not in FORMATS:
        raise StatementError(f"INVALID_TABLE_PROPERTY: format is one of {', '.join(FORMATS)}, not {chosen}")
    allowed = FORMATS[chosen]
    if compression and compression.upper() not in allowed:
        raise StatementError(
            f"INVALID_TABLE_PROPERTY: {chosen} is written with {', '.join(allowed) or 'no compression'}, not {compression}"
        )
    delimiter = _one(properties, "field_delimiter")
    if delimiter and (chosen != "TEXTFILE" or len(delimiter) != 1):
        raise StatementError("INVALID_TABLE_PROPERTY: field_delimiter is one character, and only TEXTFILE has it")
    if location and not _S3.fullmatch(location):
        raise StatementError(f"INVALID_TABLE_PROPERTY: {location!r} is no folder in S3, such as s3://bucket/folder/")
    return Files(
        query=query,
        location=location,
        format=chosen,
        compression=(compression or next(iter(allowed), "NONE")).upper(),
        delimiter=delimiter or "\x01",
        partitioned_by=_many(properties, "partitioned_by"),
    )


def _hive_files(query: str, properties: Mapping[str, Value]) -> Files:
    _refuse_unknown(properties, HIVE_PROPERTIES, "CREATE TABLE AS of a Hive table")
    if _one(properties, "is_external").lower() == "false":
        raise StatementError("INVALID_TABLE_PROPERTY: is_external is false for Iceberg tables only (table_type = 'ICEBERG')")
    chosen = (_one(properties, "format") or "PARQUET").lower()
    compression = _one(properties, "write_compression") or _one(properties, f"{chosen}_compression")
    return _files(query, _one(properties, "external_location"), properties, compression=compression)


def _iceberg(properties: Mapping[str, Value], common: Mapping[str, object]) -> TableAs:
    _refuse_unknown(properties, ICEBERG_PROPERTIES, "CREATE TABLE AS of an Iceberg table")
    if _one(properties, "is_external").lower() != "false":
        raise StatementError("INVALID_TABLE_PROPERTY: an Iceberg table needs is_external = false")
    location = _one(properties, "location")
    if not _S3.fullmatch(location):
        raise StatementError("INVALID_TABLE_PROPERTY: an Iceberg table needs location = 's3://bucket/folder/'")
    chosen = (_one(properties, "format") or "PARQUET").upper()
    if chosen not in {"PARQUET", "ORC", "AVRO"}:
        raise StatementError(f"INVALID_TABLE_PROPERTY: format of an Iceberg table is PARQUET, ORC or AVRO, not {chosen}")
    compression = (_one(properties, "write_compression") or ICEBERG_COMPRESSIONS[0]).upper()
    if compression not in ICEBERG_COMPRESSIONS:
        raise StatementError(f"INVALID_TABLE_PROPERTY: write_compression is one of {', '.join(ICEBERG_COMPRESSIONS)}, not {compression}")
    partitioning = _many(properties, "partitioning")
    return TableAs(
        **common,  # type: ignore[arg-type]
        iceberg=True,
        location=location.rstrip("/"),
        format=chosen,
        compression=compression,
        partitioning=partitioning,
    )


def _refuse_unknown(properties: Mapping[str, Value], known: frozenset[str], statement: str) -> None:
    unknown = sorted(set(properties) - known)
    if unknown:
        raise StatementError(
            f"INVALID_TABLE_PROPERTY: of {statement} the laptop platform serves the properties {', '.join(sorted(known))}; "
            f"not {', '.join(unknown)}"
        )


def _one(properties: Mapping[str, Value], name: str) -> str:
    value = properties.get(name, "")
    if isinstance(value, tuple):
        raise StatementError(f"INVALID_TABLE_PROPERTY: {name} is one value, not an ARRAY")
    return value


def _many(properties: Mapping[str, Value], name: str) -> tuple[str, ...]:
    value = properties.get(name, ())
    if isinstance(value, str):
        raise StatementError(f"INVALID_TABLE_PROPERTY: {name} is an ARRAY['…'], not one value")
    return value


# ---- reading -----------------------------------------------------------------------------------------------------------


class _Cursor:
    """A place in a statement, moved token by token."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._at = text, tokens_of(text), 0

    def has(self, word: str) -> bool:
        """Move over a word if it comes next."""
        if " ".join(self._peek().upper().split()) != word:
            return False
        self._at += 1
        return True

    def expect(self, word: str) -> None:
        """Move over a word that must come next."""
        if not self.has(word):
            raise self._unexpected(word)

    def expect_end(self) -> None:
        """Nothing more may come."""
        if self._at < len(self._tokens):
            raise self._unexpected("<EOF>")

    def word(self) -> str:
        """The next word, upper case, without moving."""
        return self._peek().upper()

    def name(self) -> str:
        """Move over an identifier."""
        token = self._next("an identifier")
        return token.text

    def dotted(self) -> list[str]:
        """Move over a name with dots."""
        parts = [self.name()]
        while self.has("."):
            parts.append(self.name())
        return parts

    def text(self) -> str:
        """Move over a text literal."""
        token = self._next("a text in quotes")
        if token.token_type != TokenType.STRING:
            self._at -= 1
            raise self._unexpected("a text in quotes")
        return token.text

    def parenthesis(self) -> str:
        """Move over a parenthesis; what stands in it."""
        start, end = self._span()
        return self._text[start:end].strip()

    def rest(self) -> str:
        """Everything that is left."""
        if self._at >= len(self._tokens):
            raise self._unexpected("a statement")
        found = self._text[self._tokens[self._at].start :].strip()
        self._at = len(self._tokens)
        return found

    def values(self) -> tuple[str, ...]:
        """The values of a USING, as they are written."""
        found, depth, start = [], 0, self._at
        if start >= len(self._tokens):
            raise self._unexpected("a value")
        for number in range(start, len(self._tokens)):
            text = self._tokens[number].text
            depth += (text in {"(", "["}) - (text in {")", "]"})
            if text == "," and depth == 0 and self._tokens[number].token_type == TokenType.COMMA:
                found.append(self._slice(start, number))
                start = number + 1
        found.append(self._slice(start, len(self._tokens)))
        self._at = len(self._tokens)
        return tuple(found)

    def query_with_data(self) -> tuple[str, bool]:
        """The query at the end, and whether its rows are wanted (`WITH NO DATA` says no)."""
        words = [token.text.upper() for token in self._tokens]
        end, with_data = len(words), True
        if words[-3:] == ["WITH", "NO", "DATA"]:
            end, with_data = end - 3, False
        elif words[-2:] == ["WITH", "DATA"]:
            end -= 2
        if self._at >= end:
            raise self._unexpected("a query")
        return self._slice(self._at, end), with_data

    def properties(self) -> dict[str, Value]:
        """Move over `(name = value, …)`."""
        self.expect("(")
        found: dict[str, Value] = {}
        while True:
            name = self.name()
            self.expect("=")
            if name in found:
                raise StatementError(f"INVALID_TABLE_PROPERTY: {name} is given twice")
            found[name] = self._value()
            if self.has(")"):
                return found
            self.expect(",")

    def _value(self) -> Value:
        if not self.has("ARRAY"):
            return self._next("a value").text
        self.expect("[")
        items: list[str] = []
        while True:
            items.append(self.text())
            if self.has("]"):
                return tuple(items)
            self.expect(",")

    def _span(self) -> tuple[int, int]:
        if self._peek() != "(":
            raise self._unexpected("(")
        start, depth = self._tokens[self._at].end + 1, 0
        for number in range(self._at, len(self._tokens)):
            kind = self._tokens[number].token_type
            depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
            if depth == 0:
                self._at = number + 1
                return start, self._tokens[number].start
        raise StatementError("SYNTAX_ERROR: line 1:1: a parenthesis is not closed")

    def _slice(self, start: int, end: int) -> str:
        if start >= end:
            raise self._unexpected("a value")
        return self._text[self._tokens[start].start : self._tokens[end - 1].end + 1]

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _next(self, expected: str) -> Token:
        if self._at >= len(self._tokens):
            raise self._unexpected(expected)
        self._at += 1
        return self._tokens[self._at - 1]

    def _unexpected(self, expected: str) -> StatementError:
        if self._at >= len(self._tokens):
            return StatementError(f"SYNTAX_ERROR: line 1:{len(self._text) + 1}: mismatched input '<EOF>'. Expecting: {expected}")
        token = self._tokens[self._at]
        return StatementError(f"SYNTAX_ERROR: line {token.line}:{token.col}: mismatched input '{token.text}'. Expecting: {expected}")


def iceberg_sql(made: TableAs) -> str:
    """The statement that makes an Iceberg table in Trino; its compression is a property of the session."""
    settings = [f"format = '{made.format}'", f"location = '{made.location}'"]
    if made.partitioning:
        settings.append(f"partitioning = ARRAY[{', '.join(_literal(item) for item in made.partitioning)}]")
    exists = "IF NOT EXISTS " if made.if_not_exists else ""
    data = "" if made.with_data else " WITH NO DATA"
    return f"CREATE TABLE {exists}{quoted(made.table)} WITH ({', '.join(settings)}) AS\n{made.query}{data}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
