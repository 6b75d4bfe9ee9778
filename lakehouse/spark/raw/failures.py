"""What an error of Spark says about a file: whether its content cannot be read, or something else went wrong."""

from __future__ import annotations

import re
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

SPARK_ERRORS: tuple[type[Exception], ...] = (PySparkException, Py4JJavaError)
"""How PySpark raises what happened in the JVM: translated, or as it came."""

_CONTENT = re.compile(r"org\.apache\.hadoop\.io\.compress|org\.apache\.parquet|CANNOT_READ_FILE_FOOTER|UNABLE_TO_INFER_SCHEMA|MALFORMED_")
_OTHER = re.compile(
    r"AccessDenied|Access Denied|S3Exception|SdkClientException|Forbidden|UnknownHost|ConnectException|SocketTimeout|OutOfMemory"
)
_CAUSE = re.compile(r"^Caused by: (?:[\w.$]+: )?(?P<text>.+)$", re.MULTILINE)
_LONGEST = 300


def is_about_content(error: Exception) -> bool:
    """Whether the bytes of some file are to blame; no permission, no network, no memory, and no fault of a plan."""
    return bool(_CONTENT.search(_trace(error))) and is_about_file(error)


def is_about_file(error: Exception) -> bool:
    """Whether a file is to blame, if nothing was done but to look at that one file: no permission, no network, no memory."""
    return not _OTHER.search(_trace(error))


def cause_of(error: Exception) -> str:
    """The innermost cause, in one line."""
    causes = _CAUSE.findall(_trace(error))
    return (causes[-1] if causes else str(error).splitlines()[0])[:_LONGEST]


def _trace(error: Any) -> str:
    return f"{error}\n{getattr(error, '_stackTrace', None) or ''}"
