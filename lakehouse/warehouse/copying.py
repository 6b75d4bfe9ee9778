"""COPY: files of S3 into a table, with the options that each format takes and no others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lakehouse.warehouse.text import SqlRefused, literal, location, name, region, role

Compression = Literal["gzip", "bzip2", "zstd", "lzop"]

MAX_ERRORS = 100_000
"""Most rows that MAXERROR may let fall."""

_ONE_CHARACTER = 1


@dataclass(frozen=True, kw_only=True)
class ParquetFiles:
    """Parquet: columns go in by their place, so table and files must have the same ones in the same order.

    COPY takes no MAXERROR, REGION, compression or column list for it: a bad file fails the load, the bucket is in the warehouse's region.

    Attributes:
        fill_record: Whether columns that files lack at the end become NULL.
        replace_invalid: Character that takes the place of bytes that are no UTF-8, or None: they fail the load.
    """

    fill_record: bool = False
    replace_invalid: str | None = None

    def clauses(self) -> list[str]:
        """What follows the role."""
        options = ["FORMAT AS PARQUET"]
        if self.fill_record:
            options.append("FILLRECORD")
        return options + _invalid(self.replace_invalid)


@dataclass(frozen=True, kw_only=True)
class CsvFiles:
    """CSV.

    Attributes:
        delimiter: One character.
        quote: One character; doubled inside quotes.
        header_lines: Lines to pass over at the beginning of each file.
        compression: How files are compressed.
        null_as: Text that means NULL; None = Redshift's own.
        empty_as_null: Whether empty text means NULL.
        date_format: `auto`, or a pattern such as `YYYY-MM-DD`.
        time_format: `auto`, `epochsecs`, `epochmillisecs` or a pattern.
        truncate: Whether text that is too long is cut; it fails the load otherwise.
        max_errors: Rows that may be lost before the load fails: 0, or nobody can tell what a table holds; raise it to look at a file only.
        replace_invalid: Character that takes the place of bytes that are no UTF-8, or None: they fail the load.
        region: Region of the bucket, if it is not the warehouse's.
    """

    delimiter: str = ","
    quote: str = '"'
    header_lines: int = 0
    compression: Compression | None = None
    null_as: str | None = None
    empty_as_null: bool = False
    date_format: str = "auto"
    time_format: str = "auto"
    truncate: bool = False
    max_errors: int = 0
    replace_invalid: str | None = None
    region: str | None = None

    def clauses(self) -> list[str]:
        """What follows the role."""
        if self.delimiter == self.quote:
            raise SqlRefused(f"delimiter and quote are both {self.quote!r}: give two characters")
        options = ["FORMAT AS CSV", f"DELIMITER {_character(self.delimiter, 'delimiter')}", f"QUOTE AS {_character(self.quote, 'quote')}"]
        if self.header_lines:
            options.append(f"IGNOREHEADER {_count(self.header_lines, 'header_lines', most=1_000)}")
        if self.null_as is not None:
            options.append(f"NULL AS {literal(self.null_as)}")
        if self.empty_as_null:
            options.append("EMPTYASNULL")
        options += [f"DATEFORMAT {literal(self.date_format)}", f"TIMEFORMAT {literal(self.time_format)}"]
        if self.truncate:
            options.append("TRUNCATECOLUMNS")
        if self.max_errors:
            options.append(f"MAXERROR {_count(self.max_errors, 'max_errors', most=MAX_ERRORS)}")
        return [*options, *_invalid(self.replace_invalid), *_packed(self.compression), *_far(self.region)]


@dataclass(frozen=True, kw_only=True)
class JsonFiles:
    """JSON, one document a line; fields go to the columns of their names.

    Attributes:
        ignore_case: Whether the case of the fields' names does not matter.
        compression: How files are compressed.
        max_errors: Rows that may be lost before the load fails.
        region: Region of the bucket, if it is not the warehouse's.
    """

    ignore_case: bool = False
    compression: Compression | None = None
    max_errors: int = 0
    region: str | None = None

    def clauses(self) -> list[str]:
        """What follows the role."""
        options = [f"FORMAT AS JSON {literal('auto ignorecase' if self.ignore_case else 'auto')}"]
        if self.max_errors:
            options.append(f"MAXERROR {_count(self.max_errors, 'max_errors', most=MAX_ERRORS)}")
        return [*options, *_packed(self.compression), *_far(self.region)]


Files = ParquetFiles | CsvFiles | JsonFiles


@dataclass(frozen=True, kw_only=True)
class ManifestEntry:
    """A file that a load takes.

    Attributes:
        url: Its `s3://` address.
        content_length: Its size in bytes; COPY of Parquet wants it.
        mandatory: Whether the load fails if the file is not there.
    """

    url: str
    content_length: int
    mandatory: bool = True


def copy_statement(
    *,
    into: str,
    source: str,
    role_arn: str,
    files: Files,
    schema: str | None = None,
    columns: Sequence[str] = (),
    has_manifest: bool = False,
    explicit_ids: bool = False,
    update_statistics: bool | None = None,
) -> str:
    """A COPY.

    Args:
        into: Table.
        source: Prefix of the files, or the manifest itself.
        role_arn: Role that reads them.
        files: Their format and its options.
        schema: Schema of the table; None for a temporary table.
        columns: Columns that the files fill, in their order; all of the table's otherwise.
        has_manifest: Whether `source` is a manifest that names the files.
        explicit_ids: Whether the files bring the values of an identity column.
        update_statistics: Whether statistics are made after the load; None = Redshift decides.

    Raises:
        SqlRefused: A part is not allowed, or the format does not take it.
    """
    if columns and isinstance(files, ParquetFiles):
        raise SqlRefused(
            "COPY of Parquet fills columns by their place and is given no list of columns here: load into a table that has exactly the files' columns"
        )
    if not has_manifest and not source.endswith("/"):
        raise SqlRefused(
            f"COPY takes every object whose key begins with {source!r}, such as {source}_old/x: end the prefix with a slash, or give a manifest"
        )
    listed = f" ({', '.join(name(column) for column in columns)})" if columns else ""
    target = name(into) if schema is None else f"{name(schema)}.{name(into)}"
    options = files.clauses()
    if has_manifest:
        options.append("MANIFEST")
    if explicit_ids:
        options.append("EXPLICIT_IDS")
    if update_statistics is not None:
        options.append(f"STATUPDATE {'ON' if update_statistics else 'OFF'}")
    return f"COPY {target}{listed} FROM {location(source)} IAM_ROLE {role(role_arn)} {' '.join(options)}"


def manifest(entries: Sequence[ManifestEntry]) -> str:
    """The JSON that COPY reads the names of its files from.

    Raises:
        SqlRefused: It names no file, one twice, or a size that none can have.
    """
    if not entries:
        raise SqlRefused("the manifest names no file, which fails the load: do not load, or empty the table's part by a statement")
    urls = [entry.url for entry in entries]
    twice = sorted({url for url in urls if urls.count(url) > 1})
    if twice:
        raise SqlRefused(f"the manifest names {twice[0]} twice, so its rows would be loaded twice: name it once")
    for entry in entries:
        location(entry.url)
        if entry.content_length <= 0:
            raise SqlRefused(f"{entry.url} has {entry.content_length} bytes: leave it out, or write its size")
    document = {
        "entries": [{"url": entry.url, "mandatory": entry.mandatory, "meta": {"content_length": entry.content_length}} for entry in entries]
    }
    return json.dumps(document, separators=(",", ":"))


def _character(text: str, what: str) -> str:
    if text == "\t":
        return "'\\t'"
    if len(text) != _ONE_CHARACTER or not text.isascii() or not text.isprintable():
        raise SqlRefused(f"{what} must be one printable ASCII character or a tab, got {text!r}")
    return literal(text)


def _count(number: int, what: str, *, most: int) -> int:
    if not 1 <= number <= most:
        raise SqlRefused(f"{what} must be 0-{most}, got {number}")
    return number


def _invalid(character: str | None) -> list[str]:
    return [] if character is None else [f"ACCEPTINVCHARS AS {_character(character, 'replace_invalid')}"]


def _packed(compression: Compression | None) -> list[str]:
    return [] if compression is None else [compression.upper()]


def _far(text: str | None) -> list[str]:
    return [] if text is None else [f"REGION AS {region(text)}"]
