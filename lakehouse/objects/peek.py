"""The first rows of one object, without reading all of it: text by its beginning, Parquet by its footer and first row group. What S3 Select was for.

Actions: s3:GetObject, and s3:ListBucket, without which S3 answers 403 where an object is missing; on the key of the bucket kms:Decrypt.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from lakehouse.errors import TerminalError
from lakehouse.objects.errors import ObjectArchived, ObjectMissing, our_words
from lakehouse.objects.store import ObjectStat, ObjectStore

Format = Literal["csv", "json", "parquet"]

MOST_BYTES = 4 * 1024 * 1024
"""Most bytes of an object that a peek reads, and most that it unpacks."""

SUFFIXES: Mapping[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
"""End of a key -> format; `.gz` may follow those of text."""

_CHUNK_BYTES = 64 * 1024
_PARQUET_BUFFER_BYTES = 256 * 1024
_GZIP = 31
"""What makes zlib read gzip's own header."""


class PeekError(TerminalError):
    """An object cannot be looked into: of no format that is known, broken, or its first row is longer than may be read."""


@dataclass(frozen=True, kw_only=True)
class Peek:
    """The beginning of an object.

    Attributes:
        address: Its `s3://` address.
        size: Its bytes.
        format: What it was read as.
        columns: Columns in their order; of JSON those that the rows have.
        rows: Its first rows by column: text of CSV, values of JSON and Parquet.
        is_whole: Whether these are all of its rows.
        bytes_read: Bytes that were read of it.
    """

    address: str
    size: int
    format: Format
    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    is_whole: bool
    bytes_read: int


def peek(
    client: Any,
    *,
    bucket: str,
    key: str,
    rows: int = 10,
    format: Format | None = None,
    delimiter: str = ",",
    most_bytes: int = MOST_BYTES,
    version_id: str | None = None,
) -> Peek:
    """Read the first rows of an object.

    Args:
        client: boto3 S3 client.
        bucket: Bucket.
        key: Key.
        rows: Most rows.
        format: What it is; None = what the end of the key says. CSV has a header, JSON an object a line, both are UTF-8, and packed by gzip if the key ends in `.gz`.
        delimiter: What stands between values of CSV.
        most_bytes: Most bytes to read, and to unpack.
        version_id: Version; None = the one that readers get.

    Raises:
        PeekError: It is of no format that is known, broken, not UTF-8, or its first row is longer than `most_bytes`.
        ObjectMissing: There is none.
        ObjectForbidden: The caller may not read it or may not use its key, or may not be told that there is none.
        ObjectArchived: It has to be restored first.
    """
    if rows < 1 or most_bytes < 1:
        raise ValueError(f"rows and most_bytes must be at least 1, got {rows} and {most_bytes}")
    store = ObjectStore(client=client, bucket=bucket)
    address, chosen = store.address(key), format if format is not None else _format(key)
    if chosen is None:
        raise PeekError(f"nobody knows the format of {address}: give `format`, or a key that ends in {', '.join(SUFFIXES)}")
    stat = store.stat(key, version_id=version_id)
    if stat is None:
        raise ObjectMissing(f"there is no object {address}: check the key, letter by letter", address=address, code="404")
    if stat.is_archived:
        raise ObjectArchived(
            f"{address} is archived: restore it first (`aws s3api restore-object`), then ask again",
            address=address,
            code="InvalidObjectState",
        )
    source = _Source(client, bucket=bucket, stat=stat, address=address, most_bytes=most_bytes)
    if stat.size == 0:
        columns, found, is_whole = (), [], True
    elif chosen == "parquet":
        columns, found, is_whole = _parquet(source, rows)
    else:
        columns, found, is_whole = _text(source, rows, chosen, is_packed=key.endswith(".gz"), delimiter=delimiter)
    return Peek(
        address=address,
        size=stat.size,
        format=chosen,
        columns=tuple(columns),
        rows=tuple(found),
        is_whole=is_whole,
        bytes_read=source.bytes_read,
    )


def _format(key: str) -> Format | None:
    name = key.lower()
    plain = name.removesuffix(".gz")
    for suffix, known in SUFFIXES.items():
        if plain.endswith(suffix):
            return known if plain == name or known != "parquet" else None
    return None


class _CutError(Exception):
    """As much was read as may be, and there is more."""


class _Source:
    """One version of an object, read by ranges; a version that was replaced under way is an error, not a mixture."""

    def __init__(self, client: Any, *, bucket: str, stat: ObjectStat, address: str, most_bytes: int) -> None:
        self.address, self.size, self.most_bytes = address, stat.size, most_bytes
        self.bytes_read = 0
        version = {} if stat.version_id is None else {"VersionId": stat.version_id}
        self._client, self._request = client, {"Bucket": bucket, "Key": stat.key, "IfMatch": stat.etag, **version}

    def beginning(self) -> Iterator[bytes]:
        """The first bytes, in pieces; nobody has to take all of them.

        Raises:
            _CutError: Behind the last piece that may be read.
        """
        with our_words(self.address):
            body = self._client.get_object(**self._request, Range=f"bytes=0-{min(self.size, self.most_bytes) - 1}")["Body"]
            try:
                for piece in body.iter_chunks(_CHUNK_BYTES):
                    self.bytes_read += len(piece)
                    yield piece
            finally:
                body.close()
        if self.size > self.most_bytes:
            raise _CutError

    def range(self, start: int, length: int) -> bytes:
        """Some bytes in the middle.

        Raises:
            PeekError: They are more than may be read.
        """
        if self.bytes_read + length > self.most_bytes:
            raise PeekError(
                f"the footer and the first rows of {self.address} take more than {self.most_bytes} bytes: its row groups are large; give a larger `most_bytes`"
            )
        with our_words(self.address):
            found: bytes = self._client.get_object(**self._request, Range=f"bytes={start}-{start + length - 1}")["Body"].read()
        self.bytes_read += len(found)
        return found


# ---- text ---------------------------------------------------------------------------------------------------------------


def _text(source: _Source, rows: int, format: Format, *, is_packed: bool, delimiter: str) -> tuple[list[str], list[dict[str, Any]], bool]:
    pieces = _unpacked(source) if is_packed else source.beginning()
    lines = _lines(source, pieces)
    records = _csv(source, lines, delimiter) if format == "csv" else _json(source, lines)
    found: list[dict[str, Any]] = []
    columns: dict[str, None] = {}
    try:
        for columns_of_it, record in islice(records, rows + 1):  # one more than is shown says whether there is more
            columns |= dict.fromkeys(columns_of_it)
            if record is not None:
                found.append(record)
        is_whole = len(found) <= rows and next(records, None) is None
    except _CutError:
        if not columns:
            raise PeekError(
                f"the first row of {source.address} does not end within {source.most_bytes} bytes: it is no {format}, or give a larger `most_bytes`"
            ) from None
        is_whole = False
    finally:
        pieces.close()  # type: ignore[attr-defined]
    return list(columns), found[:rows], is_whole


def _unpacked(source: _Source) -> Iterator[bytes]:
    """Pieces of what gzip packed, one member behind the other; no more than may be unpacked, however small it was packed."""
    unpack, total = zlib.decompressobj(_GZIP), 0
    try:
        for piece in source.beginning():
            left = piece
            while left:
                if unpack.eof:
                    unpack = zlib.decompressobj(_GZIP)
                found = unpack.decompress(left, _CHUNK_BYTES)
                left = unpack.unconsumed_tail or unpack.unused_data
                total += len(found)
                if found:
                    yield found
                if total >= source.most_bytes:
                    raise _CutError
    except zlib.error as broken:
        raise PeekError(
            f"{source.address} is no gzip, or broken: {broken}; give `format` and a key without .gz if it is not packed"
        ) from broken
    if not unpack.eof:
        raise PeekError(f"{source.address} is a gzip that breaks off: have it delivered again")


def _lines(source: _Source, pieces: Iterator[bytes]) -> Iterator[str]:
    """Lines with their ends."""
    decoder, text = codecs.getincrementaldecoder("utf-8-sig")(), ""
    try:
        for piece in pieces:
            text += decoder.decode(piece)
            *whole, text = text.split("\n")
            for line in whole:
                yield line + "\n"
        text += decoder.decode(b"", final=True)
    except UnicodeDecodeError as strange:
        raise PeekError(
            f"{source.address} is not UTF-8 (byte 0x{strange.object[strange.start]:02x}): it is of another encoding, packed, or no text; "
            "give the `format` that it has"
        ) from strange
    if text:
        yield text


def _csv(source: _Source, lines: Iterator[str], delimiter: str) -> Iterator[tuple[list[str], dict[str, Any] | None]]:
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        header = next((record for record in reader if record), None)
        if header is None:
            return
        yield header, None
        for record in reader:
            if not record:
                continue
            if len(record) != len(header):
                raise PeekError(
                    f"{source.address}, line {reader.line_num}: {len(record)} values under {len(header)} columns: check `delimiter`"
                )
            yield header, dict(zip(header, record, strict=True))
    except csv.Error as broken:
        raise PeekError(f"{source.address}, line {reader.line_num}: {broken}") from broken


def _json(source: _Source, lines: Iterator[str]) -> Iterator[tuple[list[str], dict[str, Any] | None]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as broken:
            raise PeekError(
                f"{source.address}, line {number} is no JSON object: {broken}; one object a line is read, no list over lines"
            ) from broken
        if not isinstance(found, dict):
            raise PeekError(f"{source.address}, line {number} is no JSON object but {type(found).__name__}: one object a line is read")
        record: dict[str, Any] = found
        yield list(record), record


# ---- Parquet ------------------------------------------------------------------------------------------------------------


class _Ranges(io.RawIOBase):
    """An object as a file, whose every read is a range."""

    def __init__(self, source: _Source) -> None:
        super().__init__()
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        length = self._source.size - self._at if size < 0 else min(size, self._source.size - self._at)
        if length <= 0:
            return b""
        found = self._source.range(self._at, length)
        self._at += len(found)
        return found


def _parquet(source: _Source, rows: int) -> tuple[list[str], list[dict[str, Any]], bool]:
    try:
        from pyarrow import ArrowException
        from pyarrow import parquet as pq
    except ImportError as missing:
        raise PeekError(f"to look into {source.address} takes pyarrow, which is not installed here: pip install pyarrow") from missing
    try:
        with pq.ParquetFile(_Ranges(source), buffer_size=_PARQUET_BUFFER_BYTES, pre_buffer=False) as file:
            columns = list(file.schema_arrow.names)
            if file.metadata.num_rows == 0:
                return columns, [], True
            batch = next(file.iter_batches(batch_size=rows, row_groups=[0], use_threads=False))
            found: list[dict[str, Any]] = batch.to_pylist()
            return columns, found, len(found) == file.metadata.num_rows
    except (ArrowException, OSError) as broken:
        raise PeekError(f"{source.address} is no Parquet file, or broken: {broken}") from broken
