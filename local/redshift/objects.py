"""S3 as COPY and UNLOAD see it: with the permissions of the role that the statement names, and errors in Redshift's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local.redshift.errors import RefusedError, SqlError

_HIDDEN = re.compile(r"[._#]|.*~$")
"""Names that Redshift Spectrum passes over."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """An object or a prefix.

    Attributes:
        bucket: The bucket.
        key: The key, or the beginning of keys.
    """

    bucket: str
    key: str

    @classmethod
    def parse(cls, address: str) -> Place:
        """Take an `s3://` address apart.

        Raises:
            SqlError: It is none.
        """
        bucket, _, key = address.removeprefix("s3://").partition("/")
        if not address.startswith("s3://") or not bucket:
            raise SqlError(f"Invalid S3 path '{address}': write s3://bucket/prefix")
        return cls(bucket=bucket, key=key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class Objects:
    """S3 with a role's session.

    Args:
        client: boto3's client of S3.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def under(self, place: Place) -> list[tuple[str, int]]:
        """Keys that begin with a prefix, and their sizes."""
        pages = self._asked(lambda: list(self._client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.key)))
        return [
            (entry["Key"], int(entry["Size"])) for page in pages for entry in page.get("Contents", []) if not entry["Key"].endswith("/")
        ]

    def read(self, place: Place) -> bytes:
        """The bytes of an object."""
        return self._asked(lambda: self._client.get_object(Bucket=place.bucket, Key=place.key)["Body"].read())  # noqa: PLW0108 - the call itself may be refused

    def write(self, place: Place, data: bytes) -> None:
        """Write an object."""
        self._asked(lambda: self._client.put_object(Bucket=place.bucket, Key=place.key, Body=data))

    def remove(self, place: Place) -> None:
        """Delete an object."""
        self._asked(lambda: self._client.delete_object(Bucket=place.bucket, Key=place.key))

    def _asked(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ClientError as error:
            told, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise SqlError(f"S3ServiceException:{told.get('Message', '')},Status {status},Error {told.get('Code', '')}") from error


def seen_by_spectrum(source: Place, keys: Sequence[str]) -> list[str]:
    """Keys below a prefix that COPY of Parquet reads: Redshift Spectrum, which does it, passes over hidden files.

    Raises:
        RefusedError: A folder below the prefix is named as hidden files are; nobody documents what becomes of the files in it.
    """
    for key in keys:
        *folders, _ = key[source.key.rfind("/") + 1 :].split("/")
        hidden = next((folder for folder in folders if _HIDDEN.match(folder)), None)
        if hidden is not None:
            raise RefusedError(
                f"COPY of Parquet from a folder named {hidden!r}",
                instead="Redshift Spectrum passes over files of such names: give it another one",
            )
    return [key for key in keys if not _HIDDEN.match(key.rsplit("/", 1)[-1])]
