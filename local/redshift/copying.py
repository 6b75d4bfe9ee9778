"""COPY: rows from S3 into a table, each checked against its column as Redshift checks it; bad rows are told of in the system tables.

Served are CSV, delimited text, JSON 'auto' and Parquet, with the options below; everything else is refused by name.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from local.redshift.errors import RefusedError, SqlError
from local.redshift.objects import Objects, Place, seen_by_spectrum
from local.redshift.queries import Context
from local.redshift.session import Session
from local.redshift.tables import quoted, table_name
from local.redshift.words import Words

MOST_ERRORS = 100_000
_FORMATS = ("PARQUET", "CSV", "JSON", "TEXT")
_UNSERVED = {
    "AVRO", "ORC", "SHAPEFILE", "FIXEDWIDTH", "BZIP2", "LZOP", "ZSTD", "ENCRYPTED", "ESCAPE", "REMOVEQUOTES", "READRATIO", "SSH", "ENCODING",
    "NOLOAD", "MASTER_SYMMETRIC_KEY", "CREDENTIALS", "ACCESS_KEY_ID",
}  # fmt: skip
_OF_PARQUET = {"ACCEPTINVCHARS", "FILLRECORD", "STATUPDATE", "MANIFEST", "EXPLICIT_IDS", "IAM_ROLE"}
_NOT_OF_JSON = {"DELIMITER", "QUOTE", "FILLRECORD", "IGNOREBLANKLINES", "IGNOREHEADER", "NULL"}


@dataclass(kw_only=True)
class CopyCommand:
    """A COPY, taken apart.

    Attributes:
        table: Name of the table, as PostgreSQL reads it.
        columns: Columns that are loaded; none = all.
        source: Prefix, object or manifest.
        role: ARN of the role, or `default`.
        format: `PARQUET`, `CSV`, `JSON` or `TEXT`.
        options: Every option that was written, with its value.
    """

    table: str
    columns: list[str]
    source: Place
    role: str = ""
    format: str = "TEXT"
    options: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class TargetColumn:
    """A column that is loaded.

    Attributes:
        name: Its name.
        type: PostgreSQL's type without its size.
        size: Bytes of a text type.
        precision: Digits of a decimal.
        scale: Digits behind the point of a decimal.
        is_required: Whether it is NOT NULL.
    """

    name: str
    type: str
    size: int
    precision: int
    scale: int
    is_required: bool


class RowError(Exception):
    """A row that cannot be loaded, with the number that Redshift gives the fault."""

    def __init__(self, code: int, reason: str, *, column: TargetColumn | None = None, value: str = "") -> None:
        self.code, self.reason, self.column, self.value = code, reason, column, value
        super().__init__(reason)


def read_command(sql: str, context: Context) -> CopyCommand:
    """Take a COPY apart and hold its options against its format.

    Raises:
        SqlError: Redshift would refuse it.
        RefusedError: An option is not served.
    """
    words = Words(sql)
    words.expect("COPY")
    table = table_name(words.qualified(), context)
    columns = words.names() if words.peek() == "(" else []
    words.expect("FROM")
    command = CopyCommand(table=table, columns=columns, source=Place.parse(words.string()))
    formats: list[str] = []
    while not words.is_done:
        _option(words, command, formats)
    if len(formats) > 1:
        raise SqlError(f"conflicting or redundant options: {' and '.join(formats)}")
    command.format = formats[0] if formats else "TEXT"
    if not command.role:
        raise SqlError("COPY needs IAM_ROLE 'arn' or IAM_ROLE default")
    given = set(command.options)
    if command.format == "PARQUET" and given - _OF_PARQUET:
        raise SqlError(f"{min(given - _OF_PARQUET)} argument is not supported for PARQUET based COPY")
    if command.format == "JSON" and given & _NOT_OF_JSON:
        raise SqlError(f"{min(given & _NOT_OF_JSON)} is not compatible with JSON format")
    if command.format != "CSV" and "QUOTE" in given:
        raise SqlError("QUOTE is only supported with CSV")
    return command


def _option(words: Words, command: CopyCommand, formats: list[str]) -> None:
    if words.accept("FORMAT"):
        words.accept("AS")
    name = words.name().upper()
    if name in _FORMATS[:3]:
        formats.append(name)
        if name == "JSON":
            words.accept("AS")
            command.options["JSON_AS"] = words.string() if words.has_string else "auto"
            how = command.options.pop("JSON_AS")
            if how not in {"auto", "auto ignorecase"}:
                raise RefusedError(f"COPY with JSON '{how}'", instead="Served are JSON 'auto' and JSON 'auto ignorecase'")
            command.options["IGNORECASE"] = how.endswith("ignorecase")
    elif name == "IAM_ROLE":
        command.role = "default" if words.accept("DEFAULT") else words.string()
    elif name in _TEXTS:
        words.accept("AS")
        command.options[name] = words.string()
    elif name in {"MAXERROR", "IGNOREHEADER"}:
        words.accept("AS")
        command.options[name] = words.number()
    elif name in {"COMPUPDATE", "STATUPDATE"}:
        command.options[name] = any(words.accept(value) for value in ("ON", "OFF", "TRUE", "FALSE", "PRESET"))
    elif name == "ACCEPTINVCHARS":
        words.accept("AS")
        command.options[name] = words.string() if words.has_string else "?"
    elif name in _FLAGS:
        command.options[name] = True
    elif name in _UNSERVED:
        raise RefusedError(
            f"COPY with {name}", instead=f"Served are {', '.join(sorted([*_FORMATS[:3], *_TEXTS, *_FLAGS, 'IAM_ROLE', 'MAXERROR']))}"
        )
    else:
        raise words.wrong(f"COPY knows no option {name}")


_TEXTS = ("DELIMITER", "QUOTE", "NULL", "DATEFORMAT", "TIMEFORMAT", "REGION")
_FLAGS = (
    "GZIP", "MANIFEST", "EMPTYASNULL", "BLANKSASNULL", "TRIMBLANKS", "TRUNCATECOLUMNS", "FILLRECORD", "EXPLICIT_IDS", "IGNOREBLANKLINES",
    "ROUNDEC",
)  # fmt: skip


def run_copy(command: CopyCommand, objects: Objects, session: Session, *, query_id: int = 0) -> int:
    """Load the rows; returns how many.

    Raises:
        SqlError: The load failed; nothing of it may be committed.
    """
    began = time.time()
    columns = _targets(command, session)
    files = _files(command, objects)
    errors: list[RowError] = []
    loaded, size = 0, 0
    for place in files:
        content = objects.read(place)
        size += len(content)
        rows = _good_rows(command, columns, place, content, errors, session, query_id)
        loaded += _put(command, columns, rows, session)
    session.told(
        "INSERT INTO _rs.load_history (query_id, status, table_name, start_time, end_time, data_source, file_format, loaded_rows, loaded_bytes, "
        "source_file_count, error_count) VALUES (%s, 'completed', %s, to_timestamp(%s) AT TIME ZONE 'UTC', _rs.getdate(), %s, %s, %s, %s, %s, %s)",
        (query_id, _plain(command.table), began, str(command.source), command.format.lower(), loaded, size, len(files), len(errors)),
    )
    return loaded


# ---- what is loaded, and whereto -----------------------------------------------------------------------------------------


def _targets(command: CopyCommand, session: Session) -> list[TargetColumn]:
    rows = session.connection.execute(
        "SELECT attname, atttypid::regtype::text, atttypmod, attnotnull, attidentity::text FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (command.table,),
    ).fetchall()
    found = {str(row[0]): row for row in rows}
    names = command.columns or [name for name, row in found.items() if not row[4] or command.options.get("EXPLICIT_IDS")]
    unknown = [name for name in names if name not in found]
    if unknown:
        raise SqlError(f'column "{unknown[0]}" of relation {_plain(command.table)} does not exist')
    return [_target(*found[name][:4]) for name in names]


def _target(name: str, kind: str, modifier: int, required: object) -> TargetColumn:
    digits = modifier - 4
    is_text = kind in {"character varying", "character", "text"}
    return TargetColumn(
        name=name, type=kind, size=(digits if modifier > 0 else 65535) if is_text else 0,
        precision=digits >> 16 if kind == "numeric" and modifier > 0 else 38, scale=digits & 2047 if kind == "numeric" and modifier > 0 else 0,
        is_required=bool(required),
    )  # fmt: skip


def _files(command: CopyCommand, objects: Objects) -> list[Place]:
    if not command.options.get("MANIFEST"):
        found = [key for key, size in objects.under(command.source) if size]
        if command.format == "PARQUET":
            found = seen_by_spectrum(command.source, found)
        if not found:
            raise SqlError(f"The specified S3 prefix '{command.source.key}' does not exist")
        return [Place(bucket=command.source.bucket, key=key) for key in found]
    try:
        entries = json.loads(objects.read(command.source))["entries"]
        places = [(Place.parse(entry["url"]), entry) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise SqlError(f"Problem reading manifest file - {command.source}: it is not a manifest: {error}") from error
    found = []
    for place, entry in places:
        size = dict(objects.under(place)).get(place.key)
        if command.format == "PARQUET" and "content_length" not in (entry.get("meta") or {}):
            raise SqlError(f"File '{place}' in the manifest has no meta.content_length, which Parquet needs")
        if size is None:
            if entry.get("mandatory"):
                raise SqlError(f"Problem reading manifest file - the mandatory file {place} does not exist")
            continue
        if command.format == "PARQUET" and int(entry["meta"]["content_length"]) != size:
            raise SqlError(f"File '{place}' has {size} bytes, its entry in the manifest says {entry['meta']['content_length']}")
        found.append(place)
    return found


def _put(command: CopyCommand, columns: Sequence[TargetColumn], rows: Iterable[Sequence[str | None]], session: Session) -> int:
    names = ", ".join(quoted(column.name) for column in columns)
    count = 0
    with session.connection.cursor() as cursor, cursor.copy(f"COPY {command.table} ({names}) FROM STDIN".encode()) as target:
        for row in rows:
            target.write_row(row)
            count += 1
    return count


# ---- rows ----------------------------------------------------------------------------------------------------------------


def _good_rows(  # noqa: PLR0917 - the parts of one load
    command: CopyCommand,
    columns: Sequence[TargetColumn],
    place: Place,
    content: bytes,
    errors: list[RowError],
    session: Session,
    query_id: int,
) -> Iterator[Sequence[str | None]]:
    if command.format == "PARQUET":
        yield from _parquet_rows(command, columns, place, content)
        return
    allowed = int(command.options.get("MAXERROR", 0))
    if not 0 <= allowed <= MOST_ERRORS:
        raise SqlError(f"MAXERROR must be between 0 and {MOST_ERRORS}")
    data = gzip.decompress(content) if command.options.get("GZIP") else content
    text = _decoded(data, command)
    read = _json_rows if command.format == "JSON" else _csv_rows if command.format == "CSV" else _text_rows
    checks = [_CHECKS[column.type] for column in columns]
    for line, raw, values in read(text, command, columns):
        try:
            if len(values) > len(columns):
                raise RowError(1202, "Extra column(s) found")
            if len(values) < len(columns):
                if not command.options.get("FILLRECORD"):
                    raise RowError(1214, "Delimiter not found")
                values.extend([None] * (len(columns) - len(values)))
            yield [_checked(value, column, check, command) for value, column, check in zip(values, columns, checks, strict=True)]
        except RowError as error:
            errors.append(error)
            _tell(error, command, place, line, raw, session, query_id)
            if len(errors) >= max(allowed, 1):
                raise SqlError(
                    f"Load into table '{_plain(command.table)}' failed.  Check 'sys_load_error_detail' system table for details."
                ) from error


def _decoded(data: bytes, command: CopyCommand) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if "ACCEPTINVCHARS" in command.options:
            raise RefusedError("COPY with ACCEPTINVCHARS of text that is not UTF-8", instead="Write the file in UTF-8") from error
        raise SqlError(
            f"String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: {data[error.start : error.end].hex()} (error 4)"
        ) from error


def _csv_rows(text: str, command: CopyCommand, columns: Sequence[TargetColumn]) -> Iterator[tuple[int, str, list[str | None]]]:
    del columns
    delimiter, quote = _delimiter(command, ","), str(command.options.get("QUOTE", '"'))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, doublequote=True, strict=True)
    lines = text.splitlines()
    try:
        for number, row in enumerate(reader, start=1):
            line = lines[min(reader.line_num, len(lines)) - 1] if lines else ""
            if number > int(command.options.get("IGNOREHEADER", 0)) and (row or not command.options.get("IGNOREBLANKLINES")):
                yield reader.line_num, line, list(row)
    except csv.Error as error:
        raise SqlError(f"Load into table '{_plain(command.table)}' failed: Invalid quote formatting for CSV: {error}") from error


def _text_rows(text: str, command: CopyCommand, columns: Sequence[TargetColumn]) -> Iterator[tuple[int, str, list[str | None]]]:
    del columns
    delimiter = _delimiter(command, "|")
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, start=1):
        raw = line.removesuffix("\r")
        if number <= int(command.options.get("IGNOREHEADER", 0)) or (not raw and command.options.get("IGNOREBLANKLINES")):
            continue
        if "\\" in raw:
            raise RefusedError("COPY of delimited text with backslashes", instead="Use CSV")
        yield number, raw, list(raw.split(delimiter))


def _json_rows(text: str, command: CopyCommand, columns: Sequence[TargetColumn]) -> Iterator[tuple[int, str, list[str | None]]]:
    decoder, at, line = json.JSONDecoder(parse_float=str, parse_int=str), 0, 1
    fold: Callable[[str], str] = str.lower if command.options.get("IGNORECASE") else str
    while True:
        skipped = re.compile(r"\s*").match(text, at)
        line += text.count("\n", at, skipped.end() if skipped else at)
        at = skipped.end() if skipped else at
        if at >= len(text):
            return
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError as error:
            raise SqlError(f"Load into table '{_plain(command.table)}' failed: Invalid JSON on line {line}: {error}") from error
        if not isinstance(found, dict):
            raise RefusedError("COPY of JSON whose records are not objects", instead="Write one object a record")
        record: Mapping[str, Any] = {fold(name): value for name, value in found.items()}
        yield line, text[at:end], [_json_text(record.get(column.name)) for column in columns]
        line += text.count("\n", at, end)
        at = end


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise RefusedError("COPY of nested JSON", instead="SUPER is not served: flatten the records")


def _delimiter(command: CopyCommand, default: str) -> str:
    given = str(command.options.get("DELIMITER", default)).replace("\\t", "\t")
    if len(given) != 1:
        raise RefusedError(f"COPY with DELIMITER {given!r}", instead="Served are delimiters of one character")
    return given


# ---- values --------------------------------------------------------------------------------------------------------------

Check = Callable[[str, TargetColumn, CopyCommand], str]


def _checked(value: str | None, column: TargetColumn, check: Check, command: CopyCommand) -> str | None:
    """The value as PostgreSQL takes it, if Redshift would."""
    is_text = column.size > 0
    if value is not None and (
        value == command.options.get("NULL", "\\N") or (value == "" and (not is_text or "EMPTYASNULL" in command.options))
    ):
        value = None
    if value is not None and is_text and "BLANKSASNULL" in command.options and not value.strip(" "):
        value = None
    if value is None:
        if column.is_required:
            raise RowError(1213, "Missing data for not-null field", column=column)
        return None
    return check(value, column, command)


def _text_value(value: str, column: TargetColumn, command: CopyCommand) -> str:
    if "TRIMBLANKS" in command.options:
        value = value.rstrip(" ")
    if "\0" in value:
        raise RowError(1220, "String contains a null byte", column=column, value=value)
    if len(value.encode()) > column.size:
        if "TRUNCATECOLUMNS" not in command.options:
            raise RowError(1204, "String length exceeds DDL length", column=column, value=value)
        value = value.encode()[: column.size].decode("utf-8", "ignore")
    return value


def _matching(pattern: str, code: int, what: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: str, column: TargetColumn, command: CopyCommand) -> str:
        del command
        if not compiled.fullmatch(value):
            raise RowError(code, f"{what}, Value '{value[:20]}', Type: {column.type.title()}", column=column, value=value)
        return value

    return check


def _integer(lowest: int) -> Check:
    shape = _matching(r" *[+-]?\d+ *", 1207, "Invalid digit")

    def check(value: str, column: TargetColumn, command: CopyCommand) -> str:
        number = int(shape(value, column, command))
        if not lowest <= number < -lowest:
            raise RowError(1216, f"Overflow, Column type: {column.type.title()}", column=column, value=value)
        return str(number)

    return check


def _decimal(value: str, column: TargetColumn, command: CopyCommand) -> str:
    _DECIMAL_SHAPE(value, column, command)
    rounding = ROUND_HALF_UP if "ROUNDEC" in command.options else ROUND_DOWN
    number = Decimal(value.strip()).quantize(Decimal(1).scaleb(-column.scale), rounding=rounding)
    if len(number.as_tuple().digits) > column.precision and number:
        raise RowError(1216, f"Overflow, Column type: Decimal({column.precision},{column.scale})", column=column, value=value)
    return str(number)


def _date(value: str, column: TargetColumn, command: CopyCommand) -> str:
    _plain_format("DATEFORMAT", {"auto", "YYYY-MM-DD"}, command)
    return _moment(value, column, r"\d{4}-\d{2}-\d{2}", "Invalid Date Format - length must be 10 or more")


def _timestamp(value: str, column: TargetColumn, command: CopyCommand) -> str:
    given = _plain_format("TIMEFORMAT", {"auto", "YYYY-MM-DD HH:MI:SS", "YYYY-MM-DD HH24:MI:SS"}, command)
    separator = "[ T]" if given == "auto" else " "
    zone = r"(?:Z|[+-]\d{2}(?::?\d{2})?)?" if given == "auto" else r"(?:[+-]\d{2})?" if column.type == "timestamp with time zone" else ""
    return _moment(
        value,
        column,
        rf"\d{{4}}-\d{{2}}-\d{{2}}(?:{separator}\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d{{1,6}})?)?)?{zone}",
        "Invalid timestamp format or value",
    )


def _plain_format(option: str, served: set[str], command: CopyCommand) -> str:
    given = str(command.options.get(option, ""))
    if given and given not in served:
        raise RefusedError(f"COPY with {option} '{given}'", instead=f"Served are {', '.join(sorted(served))}")
    return given


def _moment(value: str, column: TargetColumn, shape: str, reason: str) -> str:
    from datetime import datetime

    if not re.fullmatch(shape, value):
        raise RowError(1206, f"{reason} [{value[:26]}]", column=column, value=value)
    try:
        datetime.fromisoformat(value[:19].replace("T", " "))
    except ValueError as error:
        raise RowError(1206, f"{reason} [{value[:26]}]", column=column, value=value) from error
    return value


_DECIMAL_SHAPE = _matching(r" *[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? *", 1207, "Invalid digit")
_CHECKS: Mapping[str, Check] = {
    "character varying": _text_value,
    "character": _text_value,
    "text": _text_value,
    "smallint": _integer(-(2**15)),
    "integer": _integer(-(2**31)),
    "bigint": _integer(-(2**63)),
    "numeric": _decimal,
    "real": _DECIMAL_SHAPE,
    "double precision": _DECIMAL_SHAPE,
    "boolean": _matching(r"(?i)(?:0|1|t|f|true|false|y|n|yes|no)", 1210, "Invalid boolean"),
    "date": _date,
    "timestamp without time zone": _timestamp,
    "timestamp with time zone": _timestamp,
}


def _tell(error: RowError, command: CopyCommand, place: Place, line: int, raw: str, session: Session, query_id: int) -> None:  # noqa: PLR0917
    column = error.column
    session.told(
        "INSERT INTO _rs.load_errors (query_id, table_name, file_name, line_number, column_name, column_type, column_length, \"position\", "
        "error_code, error_message, raw_line, raw_field_value) VALUES (%s, %s, %s, %s, %s, %s, %s, 0, %s, %s, %s, %s)",
        (
            query_id, _plain(command.table), str(place), line, column.name if column else "", column.type if column else "",
            str(column.size or "") if column else "", error.code, error.reason, raw[:1024], error.value[:1024],
        ),
    )  # fmt: skip


# ---- Parquet -------------------------------------------------------------------------------------------------------------

_ARROW: Mapping[str, Callable[[pa.DataType], bool]] = {
    "smallint": lambda kind: kind in {pa.int8(), pa.int16()},
    "integer": lambda kind: kind in {pa.int8(), pa.int16(), pa.int32()},
    "bigint": lambda kind: kind == pa.int64(),
    "real": lambda kind: kind == pa.float32(),
    "double precision": lambda kind: kind == pa.float64(),
    "boolean": lambda kind: kind == pa.bool_(),
    "character varying": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "character": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "text": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "date": lambda kind: kind == pa.date32(),
    "timestamp without time zone": pa.types.is_timestamp,
    "timestamp with time zone": pa.types.is_timestamp,
}


def _parquet_rows(command: CopyCommand, columns: Sequence[TargetColumn], place: Place, content: bytes) -> Iterator[Sequence[str | None]]:
    """Rows of a file; its columns belong to the table's by their place, not by their name."""
    try:
        file = pq.ParquetFile(io.BytesIO(content))
    except pa.ArrowInvalid as error:
        raise SqlError(f"Spectrum Scan Error: File '{place}' has an invalid version number or is no Parquet file: {error}") from error
    schema = file.schema_arrow
    if len(schema) != len(columns) and not ("FILLRECORD" in command.options and len(schema) < len(columns)):
        raise SqlError(
            f"Spectrum Scan Error: Unmatched number of columns between table and file. Table columns: {len(columns)}, Data columns: {len(schema)}, "
            f"File name: {place}"
        )
    for column, part in zip(columns, schema, strict=False):
        fits = (
            pa.types.is_decimal(part.type) and part.type.scale == column.scale and part.type.precision <= column.precision
            if column.type == "numeric"
            else _ARROW[column.type](part.type)
        )  # fmt: skip
        if not fits:
            raise SqlError(
                f"Spectrum Scan Error: File '{place}' has an incompatible Parquet schema for column '{part.name}'. "
                f"Column type: {column.type.upper()}, Parquet schema: {part.type}"
            )
    missing = [None] * (len(columns) - len(schema))
    for batch in file.iter_batches():
        values = [_texts(part, column, place) for part, column in zip(batch.columns, columns, strict=False)]
        for row in zip(*values, strict=True):
            yield [*row, *missing]


def _texts(part: Any, column: TargetColumn, place: Place) -> list[str | None]:
    if column.is_required and part.null_count:
        raise SqlError(f"Spectrum Scan Error: NULL in the column '{column.name}' of {place}, which is NOT NULL")
    if column.size:
        longest = pc.call_function("max", [pc.call_function("binary_length", [part])]).as_py() or 0
        if longest > column.size:
            raise SqlError(
                f"Spectrum Scan Error: The length of the data column {column.name} is longer than the length defined in the table. "
                f"Table: {column.size}, Data: {longest}, File name: {place}"
            )
        return part.to_pylist()
    if pa.types.is_timestamp(part.type):
        part = part.cast(pa.timestamp("us", part.type.tz), safe=False)
    return part.cast(pa.string()).to_pylist()


def _plain(table: str) -> str:
    return table.replace('"', "").rsplit(".", maxsplit=1)[-1]
