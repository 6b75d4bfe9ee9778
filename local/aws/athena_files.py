"""Files that UNLOAD and CREATE TABLE AS write: by Trino into a folder of this machine, from there into S3 as the caller."""

from __future__ import annotations

import contextlib
import re
import shutil
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.aws.athena_access import AccessRefusedError, Caller
from local.aws.athena_outputs import MOST_PARTITIONS, Files, partitions_in_order
from local.aws.athena_sql import StatementError
from local.aws.caller_objects import NoSuchObjectError, split
from local.engines.trino import SCRATCH, Query, TrinoEngine, TrinoError, TrinoUnavailableError

Send = Callable[[str, Mapping[str, str]], Query]
"""Sends a statement with session properties to Trino on behalf of a query that can be cancelled."""

_CODECS = {"ZLIB": "GZIP"}
_FORMATS = {
    "PARQUET": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat", "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "ORC": (
        "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat", "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
    ),
    "AVRO": (
        "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat", "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
        "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
    ),
    "JSON": (
        "org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.apache.hive.hcatalog.data.JsonSerDe",
    ),
    "TEXTFILE": (
        "org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    ),
}  # fmt: skip
_HIVE_TYPES = {"varchar": "string", "integer": "int", "real": "float", "varbinary": "binary", "timestamp(3)": "timestamp"}


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        addresses: The files, `s3://…`.
        rows: Rows in them.
        columns: Columns in the files, name -> Trino's type.
        partitions: Values of the partition columns of each folder -> the folder, relative to the location.
        partition_columns: Partition columns, name -> Trino's type.
    """

    addresses: tuple[str, ...]
    rows: int
    columns: Mapping[str, str]
    partitions: Mapping[tuple[str, ...], str]
    partition_columns: Mapping[str, str]


def write(
    files: Files, *, query_id: str, location: str, with_data: bool, caller: Caller, headers: Mapping[str, str], send: Send,
    watch: Callable[[Query], None], engine: Callable[[], TrinoEngine],
) -> Written:  # fmt: skip
    """Write a query's rows.

    Args:
        files: What to write.
        query_id: Athena's id of the query.
        location: Folder, `s3://…`.
        with_data: Whether rows are wanted, or an empty folder and its columns.
        caller: Whose objects they will be.
        headers: Headers of the objects, such as their encryption.
        send: Sends to Trino.
        watch: Reads a statement to its end, minding cancellation and limits.
        engine: Trino, for what is no part of the query.

    Raises:
        StatementError: The folder holds something, or the columns do not fit.
        AccessRefusedError: The caller may not list or write it.
        TrinoError: The query failed.
    """
    bucket, prefix = split(location)
    caller.ask_bucket(bucket)
    _refuse_unless_empty(caller, bucket, prefix)
    name = f"q_{query_id.replace('-', '_')}"
    table = f'{SCRATCH}.{name}."t"'
    try:
        _run(engine, f"CREATE SCHEMA {SCRATCH}.{name}")
        settings = [f"format = '{files.format}'", f"external_location = 'local:///out/{name}'"]
        if files.partitioned_by:
            settings.append(f"partitioned_by = ARRAY[{', '.join(_text(column.lower()) for column in files.partitioned_by)}]")
        if files.format == "TEXTFILE":
            settings.append(f"textfile_field_separator = {_character(files.delimiter)}")
        data = "" if with_data else " WITH NO DATA"
        session = {f"{SCRATCH}.compression_codec": _CODECS.get(files.compression, files.compression)}
        query = send(f"CREATE TABLE {table} WITH ({', '.join(settings)}) AS\n{files.query}{data}", session)
        try:
            watch(query)
        except TrinoError as error:
            message = re.sub(r"\bline (\d+):", lambda found: f"line {int(found[1]) - 1}:", error.message)
            raise TrinoError(name=error.name, kind=error.kind, message=message.replace(f"{SCRATCH}.{name}.t", "the output")) from error
        described = [(str(row[0]), str(row[1]), "partition key" in str(row[2])) for row in _run(engine, f"DESCRIBE {table}")]
        if not partitions_in_order([column for column, _, _ in described], files.partitioned_by):
            raise StatementError(
                "HIVE_COLUMN_ORDER_MISMATCH: Partition keys must be the last columns in the table and in the same order as the table "
                f"properties: [{', '.join(files.partitioned_by)}]"
            )
        addresses, partitions = _upload(
            engine().scratch / "out" / name, to=f"s3://{bucket}/{prefix}", caller=caller, headers=headers, levels=len(files.partitioned_by)
        )
        return Written(
            addresses=addresses,
            rows=query.update_count or 0,
            columns={column: kind for column, kind, is_key in described if not is_key},
            partitions=partitions,
            partition_columns={column: kind for column, kind, is_key in described if is_key},
        )
    finally:
        for sql in (f"DROP TABLE IF EXISTS {table}", f"DROP SCHEMA IF EXISTS {SCRATCH}.{name}"):
            with contextlib.suppress(TrinoError, TrinoUnavailableError):  # what stays goes with the engine's folder at its next start
                _run(engine, sql)
        shutil.rmtree(engine().scratch / "out" / name, ignore_errors=True)


def table_input(name: str, *, files: Files, location: str, written: Written) -> dict[str, Any]:
    """The Glue table over files that were written."""
    reads, writes, serde = _FORMATS[files.format]
    parameters = {"field.delim": files.delimiter, "serialization.format": files.delimiter} if files.format == "TEXTFILE" else {}
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": column, "Type": hive_type(kind)} for column, kind in written.partition_columns.items()],
        "Parameters": {"EXTERNAL": "TRUE", "classification": files.format.lower().replace("textfile", "csv")},
        "StorageDescriptor": {
            "Columns": [{"Name": column, "Type": hive_type(kind)} for column, kind in written.columns.items()],
            "Location": location,
            "InputFormat": reads,
            "OutputFormat": writes,
            "SerdeInfo": {"SerializationLibrary": serde, "Parameters": parameters},
        },
    }


def partition_inputs(made: Mapping[str, Any], *, location: str, written: Written) -> list[dict[str, Any]]:
    """The Glue partitions of such a table."""
    return [
        {"Values": list(values), "StorageDescriptor": {**made["StorageDescriptor"], "Location": f"{location.rstrip('/')}/{folder}/"}}
        for values, folder in written.partitions.items()
    ]


def hive_type(kind: str) -> str:
    """Trino's type as Hive's."""
    text = re.sub(r"\s*,\s*", ",", kind.lower())
    found = re.fullmatch(r"array\((.*)\)", text)
    if found:
        return f"array<{hive_type(found[1])}>"
    found = re.fullmatch(r"map\((.*)\)", text)
    if found:
        return f"map<{','.join(hive_type(part) for part in _parts(found[1]))}>"
    found = re.fullmatch(r"row\((.*)\)", text)
    if found:
        fields = [part.strip().split(" ", 1) for part in _parts(found[1])]
        return f"struct<{','.join(f'{field[0].strip(chr(34))}:{hive_type(field[1])}' for field in fields)}>"
    return _HIVE_TYPES.get(text, text)


def _refuse_unless_empty(caller: Caller, bucket: str, prefix: str) -> None:
    if caller.has_objects(bucket, prefix):
        place = f"s3://{bucket}/{prefix}"
        raise StatementError(
            f"HIVE_PATH_ALREADY_EXISTS: Target directory for table already exists: {place}. You may need to manually clean the data at "
            f"location '{place}' before retrying. Athena will not delete data in your account."
        )


def _upload(
    folder: Path, *, to: str, caller: Caller, headers: Mapping[str, str], levels: int
) -> tuple[tuple[str, ...], dict[tuple[str, ...], str]]:
    """Put the files where they belong; those that were put stay there if a later one is refused, as in Athena."""
    bucket, prefix = split(to)
    addresses: list[str] = []
    partitions: dict[tuple[str, ...], str] = {}
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    for path in found:
        parts = path.relative_to(folder).parts[:levels]
        partitions[tuple(urllib.parse.unquote(part.split("=", 1)[1]) for part in parts)] = "/".join(parts)
    if levels and len(partitions) > MOST_PARTITIONS:
        raise StatementError(f"HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of {MOST_PARTITIONS} open writers for partitions/buckets")
    for path in found:
        key = "/".join(part for part in (prefix, *path.relative_to(folder).parts) if part)
        try:
            caller.put(bucket, key, path.read_bytes(), {"content-type": "application/octet-stream", **headers})
        except (AccessRefusedError, NoSuchObjectError) as refused:
            raise AccessRefusedError(f"Permission denied on S3 path: s3://{bucket}/{key}. {refused}") from refused
        addresses.append(f"s3://{bucket}/{key}")
    return tuple(addresses), partitions if levels else {}


def _run(engine: Callable[[], TrinoEngine], sql: str) -> Sequence[Sequence[Any]]:
    return engine().query(sql, schema="default", user="athena").rows()


def _parts(text: str) -> Iterable[str]:
    """Parts between the commas that stand in no parenthesis."""
    depth, start = 0, 0
    for number, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield text[start:number]
            start = number + 1
    yield text[start:]


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _character(letter: str) -> str:
    return f"U&'\\{ord(letter):04x}'" if ord(letter) < 32 or ord(letter) > 126 else _text(letter)
