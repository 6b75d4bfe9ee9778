"""UNLOAD: the rows of a query into S3, as Parquet, CSV, JSON or delimited text; what Redshift refuses to combine is refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from local.redshift.dialect import parse
from local.redshift.errors import RefusedError, SqlError
from local.redshift.objects import Objects, Place
from local.redshift.session import Outcome, ResultColumn, Session
from local.redshift.words import Words

SLICES = 2
"""Files that a parallel UNLOAD writes, if there are rows for them: a reader that knows of one only is wrong on Redshift."""

_FORMATS = ("PARQUET", "CSV", "JSON", "TEXT")
_UNSERVED = {
    "FIXEDWIDTH",
    "BZIP2",
    "ZSTD",
    "ENCRYPTED",
    "ESCAPE",
    "KMS_KEY_ID",
    "MASTER_SYMMETRIC_KEY",
    "CREDENTIALS",
    "ROWGROUPSIZE",
    "PARTITION",
    "EXTENSION",
}
_FLAGS = ("HEADER", "ADDQUOTES", "GZIP", "ALLOWOVERWRITE", "CLEANPATH")
_OF_TEXT = {"DELIMITER", "ADDQUOTES", "NULL", "HEADER", "GZIP"}


@dataclass(kw_only=True)
class UnloadCommand:
    """An UNLOAD, taken apart.

    Attributes:
        query: The query.
        target: Beginning of the keys that are written.
        role: ARN of the role, or `default`.
        format: `PARQUET`, `CSV`, `JSON` or `TEXT`.
        options: Every option that was written, with its value.
    """

    query: str
    target: Place
    role: str = ""
    format: str = "TEXT"
    options: dict[str, Any] = field(default_factory=dict[str, Any])


def read_command(sql: str) -> UnloadCommand:
    """Take an UNLOAD apart and hold its options against its format.

    Raises:
        SqlError: Redshift would refuse it.
        RefusedError: An option is not served.
    """
    words = Words(sql)
    words.expect("UNLOAD")
    words.expect("(")
    query = words.string()
    words.expect(")")
    words.expect("TO")
    command = UnloadCommand(query=query, target=Place.parse(words.string()))
    formats: list[str] = []
    while not words.is_done:
        _option(words, command, formats)
    if len(formats) > 1:
        raise SqlError(f"conflicting or redundant options: {' and '.join(formats)}")
    command.format = formats[0] if formats else "TEXT"
    given = set(command.options)
    if not command.role:
        raise SqlError("UNLOAD needs IAM_ROLE 'arn' or IAM_ROLE default")
    if command.format == "PARQUET" and given & _OF_TEXT:
        raise SqlError(f"UNLOAD: {min(given & _OF_TEXT)} is not supported with FORMAT PARQUET")
    if command.format == "JSON" and given & (_OF_TEXT - {"GZIP"}):
        raise SqlError(f"UNLOAD: {min(given & (_OF_TEXT - {'GZIP'}))} is not supported with FORMAT JSON")
    if {"CLEANPATH", "ALLOWOVERWRITE"} <= given:
        raise SqlError("UNLOAD: CLEANPATH and ALLOWOVERWRITE cannot be used together")
    tree = parse(query)
    if isinstance(tree, exp.Query) and tree.args.get("limit"):
        raise SqlError("Limit clause is not supported in the outer SELECT of UNLOAD: put it into a subquery")
    return command


def _option(words: Words, command: UnloadCommand, formats: list[str]) -> None:
    if words.accept("FORMAT"):
        words.accept("AS")
    name = words.name().upper()
    if name in _FORMATS:
        formats.append(name)
    elif name == "IAM_ROLE":
        command.role = "default" if words.accept("DEFAULT") else words.string()
    elif name in {"DELIMITER", "NULL", "REGION"}:
        words.accept("AS")
        command.options[name] = words.string()
    elif name == "PARALLEL":
        is_off = words.accept("OFF") or words.accept("FALSE")
        _ = is_off or words.accept("ON") or words.accept("TRUE")
        command.options[name] = not is_off
    elif name == "MANIFEST":
        command.options[name] = "verbose" if words.accept("VERBOSE") else "plain"
    elif name == "MAXFILESIZE":
        words.accept("AS")
        command.options[name] = words.number()
        _ = words.accept("MB") or words.accept("GB")
    elif name in _FLAGS:
        words.accept("AS")
        command.options[name] = True
    elif name in _UNSERVED:
        raise RefusedError(
            f"UNLOAD with {name}",
            instead=f"Served are {', '.join(sorted([*_FORMATS, *_FLAGS, 'DELIMITER', 'IAM_ROLE', 'MANIFEST', 'MAXFILESIZE', 'NULL', 'PARALLEL', 'REGION']))}",
        )
    else:
        raise words.wrong(f"UNLOAD knows no option {name}")


def run_unload(command: UnloadCommand, objects: Objects, session: Session, outcome: Outcome, *, query_id: int = 0) -> int:
    """Write the rows of the query's result; returns how many.

    Raises:
        SqlError: Something is there already, or the role may not write.
    """
    began = time.time()
    there = objects.under(command.target)
    if command.options.get("CLEANPATH"):
        for key, _ in there:
            objects.remove(Place(bucket=command.target.bucket, key=key))
    elif there and not command.options.get("ALLOWOVERWRITE"):
        raise SqlError(
            "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, manually removing the target files in "
            "S3, or using the ALLOWOVERWRITE option."
        )
    written: list[dict[str, Any]] = []
    for name, rows in _parts(command, outcome.rows):
        content = _content(command, outcome.columns, rows)
        place = Place(bucket=command.target.bucket, key=f"{command.target.key}{name}{_suffix(command)}")
        objects.write(place, content)
        written.append({"url": str(place), "meta": {"content_length": len(content), "record_count": len(rows)}})
    if "MANIFEST" in command.options:
        _write_manifest(command, objects, outcome, written)
    session.told(
        "INSERT INTO _rs.unload_history (query_id, file_format, start_time, end_time, unloaded_rows, unloaded_files_count, unloaded_files_size, "
        "file_name) VALUES (%s, %s, to_timestamp(%s) AT TIME ZONE 'UTC', _rs.getdate(), %s, %s, %s, %s)",
        (
            query_id, command.format.lower(), began, len(outcome.rows), len(written),
            sum(each["meta"]["content_length"] for each in written), str(command.target),
        ),
    )  # fmt: skip
    return len(outcome.rows)


def _parts(command: UnloadCommand, rows: Sequence[Sequence[str | None]]) -> list[tuple[str, Sequence[Sequence[str | None]]]]:
    if command.options.get("PARALLEL") is False:
        return [("000", rows)]
    size = -(-len(rows) // SLICES)
    parts = [rows[at * size : (at + 1) * size] for at in range(SLICES)]
    return [(f"{number:04d}_part_00", part) for number, part in enumerate(parts) if part or number == 0]


def _suffix(command: UnloadCommand) -> str:
    return ".parquet" if command.format == "PARQUET" else ".gz" if command.options.get("GZIP") else ""


def _write_manifest(command: UnloadCommand, objects: Objects, outcome: Outcome, written: Sequence[dict[str, Any]]) -> None:
    is_verbose = command.options["MANIFEST"] == "verbose"
    needs_size = is_verbose or command.format == "PARQUET"
    manifest: dict[str, Any] = {
        "entries": [
            {
                "url": each["url"],
                **({"meta": each["meta"] if is_verbose else {"content_length": each["meta"]["content_length"]}} if needs_size else {}),
            }
            for each in written
        ]
    }
    if is_verbose:
        manifest["schema"] = {"elements": [{"name": column.name, "type": {"base": column.type}} for column in outcome.columns]}
        manifest["meta"] = {
            "content_length": sum(each["meta"]["content_length"] for each in written),
            "record_count": sum(each["meta"]["record_count"] for each in written),
        }
    place = Place(bucket=command.target.bucket, key=f"{command.target.key}manifest")
    objects.write(place, json.dumps(manifest).encode())


def _content(command: UnloadCommand, columns: Sequence[ResultColumn], rows: Sequence[Sequence[str | None]]) -> bytes:
    if command.format == "PARQUET":
        return _parquet(columns, rows)
    if command.format == "JSON":
        content = "".join(_json_line(columns, row) for row in rows).encode()
    else:
        content = _delimited(command, columns, rows).encode()
    return gzip.compress(content, mtime=0) if command.options.get("GZIP") else content


def _delimited(command: UnloadCommand, columns: Sequence[ResultColumn], rows: Sequence[Sequence[str | None]]) -> str:
    delimiter = str(command.options.get("DELIMITER", "," if command.format == "CSV" else "|")).replace("\\t", "\t")
    null = str(command.options.get("NULL", ""))
    shown = [[null if value is None else _flag(value, column) for value, column in zip(row, columns, strict=True)] for row in rows]
    head = [[column.name for column in columns]] if command.options.get("HEADER") else []
    out = io.StringIO()
    if command.format == "CSV" or command.options.get("ADDQUOTES"):
        quoting = csv.QUOTE_ALL if command.options.get("ADDQUOTES") else csv.QUOTE_MINIMAL
        csv.writer(out, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows([*head, *shown])
        return out.getvalue()
    for row in [*head, *shown]:
        if any(delimiter in value or "\n" in value or "\\" in value for value in row):
            raise RefusedError("UNLOAD of values that hold the delimiter, without quotes", instead="Use FORMAT CSV or ADDQUOTES")
        out.write(delimiter.join(row) + "\n")
    return out.getvalue()


def _flag(value: str, column: ResultColumn) -> str:
    return value[0] if column.type == "bool" else value


def _json_line(columns: Sequence[ResultColumn], row: Sequence[str | None]) -> str:
    parts = [f"{json.dumps(column.name)}:{_json_value(value, column)}" for value, column in zip(row, columns, strict=True)]
    return "{" + ",".join(parts) + "}\n"


def _json_value(value: str | None, column: ResultColumn) -> str:
    if value is None:
        return "null"
    return (
        value if column.type in {"int2", "int4", "int8", "numeric", "float4", "float8", "bool"} else json.dumps(value, ensure_ascii=False)
    )


_ARROW = {
    "bool": pa.bool_(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "float4": pa.float32(), "float8": pa.float64(),
    "date": pa.date32(), "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", "UTC"),
}  # fmt: skip


def _parquet(columns: Sequence[ResultColumn], rows: Sequence[Sequence[str | None]]) -> bytes:
    arrays = [_array([row[at] for row in rows], column) for at, column in enumerate(columns)]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=[column.name for column in columns]), out)
    return out.getvalue()


def _array(values: Sequence[str | None], column: ResultColumn) -> Any:
    if column.type == "numeric":
        scale = (
            column.scale if column.precision else max((-int(Decimal(value).as_tuple().exponent) for value in values if value), default=0)
        )
        return pa.array(
            [None if value is None else Decimal(value) for value in values], pa.decimal128(column.precision or 38, max(scale, 0))
        )
    if column.type == "bool":
        return pa.array([None if value is None else value == "true" for value in values], pa.bool_())
    if column.type in {"float4", "float8"}:
        return pa.array([None if value is None else float(value) for value in values], _ARROW[column.type])
    texts = pa.array(values, pa.string())
    return texts.cast(_ARROW[column.type]) if column.type in _ARROW else texts
