"""UNLOAD: the answer to a query into files of S3, with the options that each format takes and no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lakehouse.warehouse.text import SqlRefused, dollar_quoted, literal, location, name, role

MIN_FILE_MB, MAX_FILE_MB = 5, 6_200
"""Bounds of the size of a file; 6.2 GB is where Redshift begins another, also where one file was asked for."""


@dataclass(frozen=True, kw_only=True)
class ParquetOutput:
    """Parquet: typed and compressed by itself; UNLOAD takes no HEADER, ADDQUOTES, DELIMITER or compression for it.

    Attributes:
        partition_by: Columns whose values become folders.
        keep_partition_columns: Whether these columns also stay in the files.
    """

    partition_by: tuple[str, ...] = ()
    keep_partition_columns: bool = False

    def clauses(self) -> list[str]:
        """What follows the role."""
        options = ["FORMAT AS PARQUET"]
        if self.partition_by:
            listed = ", ".join(name(column) for column in self.partition_by)
            options.append(f"PARTITION BY ({listed}){' INCLUDE' if self.keep_partition_columns else ''}")
        elif self.keep_partition_columns:
            raise SqlRefused("keep_partition_columns needs partition_by: name the columns, or leave it out")
        return options


@dataclass(frozen=True, kw_only=True)
class CsvOutput:
    """CSV; quotes stand where they are needed, so ADDQUOTES is not taken with it.

    Attributes:
        header: Whether each file begins with the names of the columns.
        delimiter: One character.
        compression: How files are compressed.
        null_as: Text that stands for NULL; None = nothing, as for empty text.
        one_at_a_time: Whether one node writes, in the order of the query. The answer still is in several files beyond 6.2 GB.
    """

    header: bool = True
    delimiter: str = ","
    compression: Literal["gzip", "bzip2", "zstd"] | None = None
    null_as: str | None = None
    one_at_a_time: bool = False

    def clauses(self) -> list[str]:
        """What follows the role."""
        if len(self.delimiter) != 1 or not self.delimiter.isprintable() or not self.delimiter.isascii():
            raise SqlRefused(f"delimiter must be one printable ASCII character, got {self.delimiter!r}")
        options = ["FORMAT AS CSV", f"DELIMITER AS {literal(self.delimiter)}"]
        if self.header:
            options.append("HEADER")
        if self.null_as is not None:
            options.append(f"NULL AS {literal(self.null_as)}")
        if self.compression is not None:
            options.append(self.compression.upper())
        if self.one_at_a_time:
            options.append("PARALLEL OFF")
        return options


@dataclass(frozen=True, kw_only=True)
class JsonOutput:
    """JSON, one document a line.

    Attributes:
        compression: How files are compressed.
    """

    compression: Literal["gzip", "bzip2", "zstd"] | None = None

    def clauses(self) -> list[str]:
        """What follows the role."""
        return ["FORMAT AS JSON", *([self.compression.upper()] if self.compression else [])]


Output = ParquetOutput | CsvOutput | JsonOutput

WhenNotEmpty = Literal["fail", "clean", "overwrite"]
"""What happens if files lie there: the statement fails; they are removed first; those of the same name are replaced."""


def unload_statement(
    query: str,
    *,
    to: str,
    role_arn: str,
    output: Output,
    when_not_empty: WhenNotEmpty = "fail",
    i_know_old_files_stay: bool = False,
    has_manifest: bool = False,
    is_manifest_verbose: bool = False,
    max_file_mb: int | None = None,
    key_id: str | None = None,
    columns: Sequence[str] = (),
) -> str:
    """An UNLOAD; the query stands in dollar quotes, so that it is written as it is.

    Args:
        query: SELECT.
        to: Prefix of the files.
        role_arn: Role that writes them; `clean` also needs s3:DeleteObject.
        output: Format and its options.
        when_not_empty: What happens if files lie there.
        i_know_old_files_stay: Must be set for `overwrite`: more files of an earlier, larger answer stay beside the new ones, and readers take both.
        has_manifest: Whether a manifest names the files.
        is_manifest_verbose: Whether it also holds columns, types and row counts.
        max_file_mb: Size at which a new file begins; 6,200 is the most.
        key_id: KMS key that encrypts the files; the bucket's own otherwise.
        columns: Columns that the query must have, for a partition to be by one of them; not checked if empty.

    Raises:
        SqlRefused: A part is not allowed, or does not go with another.
    """
    if "limit" in query.lower().split()[-2:-1]:
        raise SqlRefused("UNLOAD takes no LIMIT in the outer SELECT: put it into a subquery")
    if when_not_empty == "overwrite" and not i_know_old_files_stay:
        raise SqlRefused(
            "ALLOWOVERWRITE leaves files of an earlier, larger answer beside the new ones, and readers take both: use when_not_empty='clean' (CLEANPATH), "
            "or set i_know_old_files_stay"
        )
    if is_manifest_verbose and not has_manifest:
        raise SqlRefused("is_manifest_verbose needs has_manifest: set it, or leave both out")
    if isinstance(output, ParquetOutput) and columns:
        unknown = [column for column in output.partition_by if column not in columns]
        if unknown:
            raise SqlRefused(f"the query has no column {unknown[0]!r} to partition by: it has {', '.join(columns)}")
    options = output.clauses()
    if has_manifest:
        options.append("MANIFEST VERBOSE" if is_manifest_verbose else "MANIFEST")
    if when_not_empty == "clean":
        options.append("CLEANPATH")
    elif when_not_empty == "overwrite":
        options.append("ALLOWOVERWRITE")
    if max_file_mb is not None:
        if not MIN_FILE_MB <= max_file_mb <= MAX_FILE_MB:
            raise SqlRefused(f"max_file_mb must be {MIN_FILE_MB}-{MAX_FILE_MB}, got {max_file_mb}")
        options.append(f"MAXFILESIZE {max_file_mb} MB")
    if key_id is not None:
        options.append(f"KMS_KEY_ID {literal(key_id)} ENCRYPTED")
    return f"UNLOAD ({dollar_quoted(query)}) TO {location(to)} IAM_ROLE {role(role_arn)} {' '.join(options)}"
