"""What an Athena query asks of its caller: Athena reads the catalog, the tables' objects and writes results as whoever started it.

Trino itself holds one identity of the platform, so every question is asked here, in front of it, by the same front door and
with the same objects that the caller's own requests would meet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from local.aws import caller_objects, door, guard, object_keys, seam
from local.aws.athena_sql import TableName
from local.aws.athena_statements import Statement
from local.aws.caller_objects import HOST, NoSuchObjectError, RefusedError, split

MOST_FOLDERS = 200
"""Folders of a table of which one object each is asked for; a table with more is asked by its first ones."""

_glue = seam.module("services.glue")
_s3 = seam.module("services.s3")


class AccessRefusedError(Exception):
    """The caller may not do what the query needs; the text is Athena's, with IAM's behind it."""


class Caller:
    """Whoever started a query.

    Args:
        key: Access key.
        via: How the question came about, for the record.
    """

    def __init__(self, *, key: str, via: str) -> None:
        self._key, self._via = key, via

    @property
    def arn(self) -> str:
        """ARN of the caller."""
        return guard.principal_arn(self._key)

    # ---- the catalog -------------------------------------------------------------------------------------------

    def ask_catalog(self, statement: Statement) -> None:
        """Ask for every database and table that a statement names or lists.

        Raises:
            AccessRefusedError: One of them is refused.
        """
        for name in sorted(statement.reads | ({statement.writes} if statement.writes else set())):
            self._ask_glue("GetDatabase", {"Name": name.database})
            self._ask_glue("GetTable", {"DatabaseName": name.database, "Name": name.table})
        if statement.writes:
            name = statement.writes
            self._ask_glue("UpdateTable", {"DatabaseName": name.database, "TableInput": {"Name": name.table}})
        if statement.makes:
            name = statement.makes.table
            self._ask_glue("GetDatabase", {"Name": name.database})
            self._ask_glue("GetTable", {"DatabaseName": name.database, "Name": name.table})
            self._ask_glue("CreateTable", {"DatabaseName": name.database, "TableInput": {"Name": name.table}})
        if statement.drops:
            name = statement.drops
            self._ask_glue("GetDatabase", {"Name": name.database})
            self._ask_glue("GetTable", {"DatabaseName": name.database, "Name": name.table})
            self._ask_glue("DeleteTable", {"DatabaseName": name.database, "Name": name.table})
        if statement.lists_databases:
            self._ask_glue("GetDatabases", {})
        listed = list(_glue._databases) if "*" in statement.lists_tables_of else statement.lists_tables_of
        for database in sorted(listed):
            self._ask_glue("GetTables", {"DatabaseName": database})

    def ask_glue(self, asked: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Ask for operations of Glue.

        Raises:
            AccessRefusedError: One of them is refused.
        """
        for operation, body in asked:
            self._ask_glue(operation, body)

    def ask_partitions(self, name: TableName, *, write: bool) -> None:
        """Ask for the partitions of a table that keeps them in the catalog.

        Raises:
            AccessRefusedError: They are refused.
        """
        self._ask_glue("BatchCreatePartition" if write else "GetPartitions", {"DatabaseName": name.database, "TableName": name.table})

    def ask_workgroup(self, operation: str, workgroup: str) -> None:
        """Ask for an operation of Athena on a workgroup.

        Raises:
            AccessRefusedError: It is refused.
        """
        headers = {"x-amz-target": f"AmazonAthena.{operation}", "content-type": "application/x-amz-json-1.1"}
        body = json.dumps({"WorkGroup": workgroup})
        denied = door.authorize_request(self._key, scope="athena", headers=headers, body=body, via=self._via)
        if denied:
            raise AccessRefusedError(str(denied))

    def _ask_glue(self, operation: str, body: Mapping[str, Any]) -> None:
        headers = {"x-amz-target": f"AWSGlue.{operation}", "content-type": "application/x-amz-json-1.1"}
        denied = door.authorize_request(self._key, scope="glue", headers=headers, body=json.dumps(body), via=self._via)
        if denied:
            raise AccessRefusedError(f"Insufficient permissions to execute the query. {denied}")

    # ---- the tables' objects --------------------------------------------------------------------------------------

    def ask_data(self, names: Iterable[TableName], *, write: bool = False) -> None:
        """Ask for the objects of tables: their metadata, and one object of each folder of their data.

        Args:
            names: Tables; those that do not exist are left for Trino to report.
            write: Whether new objects will be written as well.

        Raises:
            AccessRefusedError: One of them is refused, the object itself or its key.
        """
        for name in sorted(names):
            table = _glue._tables.get(f"{name.database}/{name.table}")
            location = ((table or {}).get("StorageDescriptor") or {}).get("Location") or ""
            if not table or not location:
                continue
            parameters = table.get("Parameters") or {}
            metadata = parameters.get("metadata_location")
            is_projected = str(parameters.get("projection.enabled", "")).lower() == "true"
            if table.get("PartitionKeys") and not metadata and not is_projected:
                self.ask_partitions(name, write=False)
            template = parameters.get("storage.location.template", "") if is_projected else ""
            bucket, prefix = split(template.partition("${")[0].rpartition("/")[0] if template else location)
            self._ask_list(bucket, prefix)
            if metadata:
                self._touch(*split(metadata))
            for key in _one_of_each_folder(bucket, prefix):
                self._touch(bucket, key)
            if write:
                for folder in ("data/", "metadata/") if metadata else ("",):
                    self.ask_write(bucket, f"{prefix}/{folder}new")

    def _ask_list(self, bucket: str, prefix: str) -> None:
        denied = door.authorize_request(
            self._key,
            scope="s3",
            headers=HOST,
            method="GET",
            path=f"/{bucket}",
            query={"list-type": ["2"], "prefix": [f"{prefix}/"]},
            via=self._via,
        )
        if denied:
            raise AccessRefusedError(f"Permission denied on S3 path: s3://{bucket}/{prefix}. {denied}")

    def _touch(self, bucket: str, key: str) -> None:
        """Read an object's first byte as the caller: object, bucket and key policies all have their say."""
        try:
            self.get(bucket, key, first_byte=True)
        except AccessRefusedError as refused:
            raise AccessRefusedError(f"Permission denied on S3 path: s3://{bucket}/{key}. {refused}") from refused
        except NoSuchObjectError:
            return

    def has_objects(self, bucket: str, prefix: str) -> bool:
        """Whether a folder holds anything.

        Raises:
            AccessRefusedError: It may not be listed.
        """
        self._ask_list(bucket, prefix)
        start = f"{prefix}/" if prefix else ""
        return any(key.startswith(start) for key in (_s3._buckets.get(bucket) or {}).get("objects", {}))

    def ask_delete(self, location: str) -> None:
        """Ask whether the objects of a table may be removed.

        Raises:
            AccessRefusedError: They may not.
        """
        bucket, prefix = split(location)
        self._ask_list(bucket, prefix)
        path = f"/{bucket}/{prefix}/metadata/old"
        denied = door.authorize_request(self._key, scope="s3", headers=HOST, method="DELETE", path=path, via=self._via)
        if denied:
            raise AccessRefusedError(f"Permission denied on S3 path: s3://{bucket}/{prefix}. {denied}")

    def ask_write(self, bucket: str, key: str) -> None:
        """Ask whether an object may be written, its bucket's key included.

        Raises:
            AccessRefusedError: It may not.
        """
        path = f"/{bucket}/{key}"
        denied = door.authorize_request(self._key, scope="s3", headers=HOST, method="PUT", path=path, via=self._via)
        denied = denied or object_keys.denied_write(self._key, bucket, key)
        if denied:
            raise AccessRefusedError(f"Permission denied on S3 path: s3://{bucket}/{key.rsplit('/', 1)[0]}. {denied}")

    # ---- results -----------------------------------------------------------------------------------------------

    def ask_bucket(self, bucket: str) -> None:
        """Ask whether results may go to a bucket at all."""
        denied = door.authorize_request(
            self._key, scope="s3", headers=HOST, method="GET", path=f"/{bucket}", query={"location": [""]}, via=self._via
        )
        if denied:
            raise AccessRefusedError(f"Unable to verify/create output bucket {bucket}. {denied}")

    def get(self, bucket: str, key: str, *, first_byte: bool = False) -> bytes:
        """An object, read as the caller."""
        try:
            return caller_objects.get(self._key, bucket, key, via=self._via, first_byte=first_byte)
        except RefusedError as refused:
            raise AccessRefusedError(str(refused)) from refused

    def put(self, bucket: str, key: str, data: bytes, headers: Mapping[str, str]) -> None:
        """Write an object as the caller."""
        try:
            caller_objects.put(self._key, bucket, key, data, via=self._via, headers=headers)
        except RefusedError as refused:
            raise AccessRefusedError(str(refused)) from refused


def _one_of_each_folder(bucket: str, prefix: str) -> list[str]:
    """Keys of objects under a table's location, one a folder; read with the platform's own eyes."""
    found = _s3._buckets.get(bucket) or {}
    folders: dict[str, str] = {}
    for key in found.get("objects", {}):
        if key.startswith(f"{prefix}/") and not key.startswith(f"{prefix}/metadata/"):
            folders.setdefault(key.rsplit("/", 1)[0], key)
            if len(folders) >= MOST_FOLDERS:
                break
    return list(folders.values())
