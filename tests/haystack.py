"""What the files of a table say once they are unpacked: compression would hide from a search what a reader finds."""

from __future__ import annotations

import io
import zlib

import pyarrow as pa
from pyarrow import parquet

_MAGIC, _PARQUET, _ZSTANDARD = b"Obj\x01", b"PAR1", b"\x28\xb5\x2f\xfd"
_SYNC = 16


def unpacked(content: bytes) -> bytes:
    """Bytes in which every value of a file stands plainly.

    Of Parquet the rows and the statistics of its footer; of Avro the blocks as they are after inflating; of Spark's event logs the text; anything else as it is.
    """
    if content.startswith(_PARQUET):
        return _parquet(content)
    if content.startswith(_MAGIC):
        return _avro(content)
    if content.startswith(_ZSTANDARD):
        return pa.input_stream(io.BytesIO(content), compression="zstd").read()
    return content


def _parquet(content: bytes) -> bytes:
    file = parquet.ParquetFile(io.BytesIO(content))
    statistics = [
        str(file.metadata.row_group(group).column(column).statistics)
        for group in range(file.metadata.num_row_groups)
        for column in range(file.metadata.num_columns)
    ]
    return "\n".join([*map(str, file.read().to_pylist()), *statistics]).encode()


def _avro(content: bytes) -> bytes:
    reader = io.BytesIO(content)
    reader.read(len(_MAGIC))
    header: dict[str, bytes] = {}
    while count := _long(reader):
        if count < 0:
            _long(reader)
        for _ in range(abs(count)):
            name = reader.read(_long(reader)).decode()
            header[name] = reader.read(_long(reader))
    reader.read(_SYNC)
    codec = header.get("avro.codec", b"null")
    assert codec in {b"deflate", b"null"}, codec
    blocks: list[bytes] = []
    while reader.tell() < len(content):
        _long(reader)
        block = reader.read(_long(reader))
        blocks.append(zlib.decompress(block, -15) if codec == b"deflate" else block)
        reader.read(_SYNC)
    return b"\n".join([*header.values(), *blocks])


def _long(reader: io.BytesIO) -> int:
    """One of Avro's numbers: seven bits a byte, the sign in the lowest."""
    value = shift = 0
    while True:
        byte = reader.read(1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1)
