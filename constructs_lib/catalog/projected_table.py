"""An external table over files whose folders follow a rule, so that no crawler and no repair ever has to find its partitions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import ACCOUNT, catalog_arn, database_arn, table_arn
from constructs_lib.catalog.catalog_database import CatalogDatabase
from constructs_lib.checks import InvalidProps, require, require_one_of
from constructs_lib.order import after
from constructs_lib.permissions import allow
from constructs_lib.storage.data_lake import LakeBuckets

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_TOKEN = re.compile(r"\$\{([^}]*)\}")
_DATE_UNITS = ("YEARS", "MONTHS", "WEEKS", "DAYS", "HOURS", "MINUTES", "SECONDS")
_RELATIVE = re.compile(r"NOW(\s*[+-]\s*\d+\s*(YEARS?|MONTHS?|WEEKS?|DAYS?|HOURS?|MINUTES?|SECONDS?))?")
_TEXT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """How Athena reads files: three classes that belong together.

    Attributes:
        input: Hadoop's input format.
        output: Hadoop's output format.
        serde: Class that reads a record.
        serde_parameters: What it has to know.
    """

    input: str
    output: str
    serde: str
    serde_parameters: tuple[tuple[str, str], ...] = ()


FORMATS = {
    "parquet": FileFormat(
        input="org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        output="org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        serde="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "orc": FileFormat(
        input="org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        output="org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
        serde="org.apache.hadoop.hive.ql.io.orc.OrcSerde",
    ),
    "json": FileFormat(input=_TEXT, output=_TEXT_OUT, serde="org.openx.data.jsonserde.JsonSerDe"),
    "csv": FileFormat(
        input=_TEXT, output=_TEXT_OUT, serde="org.apache.hadoop.hive.serde2.OpenCSVSerde",
        serde_parameters=(("separatorChar", ","), ("quoteChar", '"'), ("escapeChar", "\\")),
    ),
}  # fmt: skip
"""Formats of files, by name."""


@dataclass(frozen=True, kw_only=True)
class DateFolders:
    """Folders that are dates in one format, such as `dt=2026-01-31`.

    Attributes:
        first: First date in that format, or relative to now (`NOW-3YEARS`).
        last: Last one.
        format: Java's pattern of the dates.
        every: Steps between two folders, in `unit`.
        unit: YEARS, MONTHS, WEEKS, DAYS, HOURS, MINUTES or SECONDS.
    """

    first: str
    last: str = "NOW"
    format: str = "yyyy-MM-dd"
    every: int = 1
    unit: str = "DAYS"

    def properties(self) -> dict[str, str]:
        """Athena's properties, without the column's name."""
        require_one_of(self.unit, _DATE_UNITS, name="unit")
        require(self.every >= 1, f"every must be at least 1, got {self.every}")
        for name, value in (("first", self.first), ("last", self.last)):
            shape = re.sub(r"'([^']*)'", r"\1", self.format)
            fits = _RELATIVE.fullmatch(value) or len(value) == len(shape)
            require(bool(fits), f"{name} must be a date of the format {self.format} or relative such as NOW-3YEARS, got {value!r}")
        return {
            "type": "date", "format": self.format, "range": f"{self.first},{self.last}", "interval": str(self.every),
            "interval.unit": self.unit,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NumberFolders:
    """Folders that are numbers.

    Attributes:
        first: First number.
        last: Last one.
        digits: Digits that each is written with, zeros in front; None if they are not padded.
    """

    first: int
    last: int
    digits: int | None = None

    def properties(self) -> dict[str, str]:
        """Athena's properties, without the column's name."""
        require(self.first <= self.last, f"first must not be above last, got {self.first} and {self.last}")
        if self.digits is not None:
            require(
                len(str(self.last)) <= self.digits,
                f"digits must be enough for last: {self.last} has {len(str(self.last))}, got {self.digits}",
            )
        return {
            "type": "integer",
            "range": f"{self.first},{self.last}",
            **({"digits": str(self.digits)} if self.digits is not None else {}),
        }


@dataclass(frozen=True, kw_only=True)
class ListedFolders:
    """Folders of a short list.

    Attributes:
        values: The list.
    """

    values: tuple[str, ...]

    def properties(self) -> dict[str, str]:
        """Athena's properties, without the column's name."""
        wrong = [value for value in self.values if not value or "," in value or value != value.strip()]
        require(
            bool(self.values) and not wrong, f"values must be texts without commas and without spaces around them, got {list(self.values)}"
        )
        return {"type": "enum", "values": ",".join(self.values)}


@dataclass(frozen=True, kw_only=True)
class NamedFolders:
    """Folders that every query names itself, because nobody can list them; a query without `column = value` fails."""

    def properties(self) -> dict[str, str]:
        """Athena's properties, without the column's name."""
        return {"type": "injected"}


Folders = DateFolders | NumberFolders | ListedFolders | NamedFolders

DAILY: Mapping[str, Folders] = {
    "year": NumberFolders(first=2020, last=2035, digits=4),
    "month": NumberFolders(first=1, last=12, digits=2),
    "day": NumberFolders(first=1, last=31, digits=2),
}
"""The lake's own layout of raw files: `year=2026/month=01/day=31`, zeros in front."""


class ProjectedTable(Construct):
    """External table whose partitions follow from a rule, and nobody registers.

    Attributes:
        table_name: Its name.
        location: `s3://` folder of its files.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        database: CatalogDatabase,
        lake: LakeBuckets,
        zone: str,
        prefix: str,
        columns: Mapping[str, str],
        folders: Mapping[str, Folders] = DAILY,
        template: str = "",
        format: str = "parquet",
        description: str = "",
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            name: Name in the database.
            database: Its database.
            lake: Buckets of the lake.
            zone: Zone whose bucket holds the files.
            prefix: Folder in that bucket, such as `sales/clicks`.
            columns: Columns of the files, name -> Hive's type.
            folders: Partition columns, name -> rule of their values, in the order of the folders; they are text.
            template: Where a partition's files are, relative to `prefix`, such as `${year}/${month}`; `name=${name}/…` by default.
            format: `parquet`, `orc`, `json` or `csv`.
            description: Sentence for people.
            removal_policy: What happens to the entry of the catalog when the stack goes; files stay in any case.
        """
        super().__init__(scope, id)
        require_one_of(format, FORMATS, name="format")
        _check_names(name, columns, folders)
        relative = (template or "/".join(f"{column}=${{{column}}}" for column in folders)).strip("/")
        _check_template(relative, folders)
        self.table_name = name
        self.location = f"s3://{lake.bucket_name(zone)}/{prefix.strip('/')}/"
        resource = glue.CfnTable(
            self,
            "Resource",
            catalog_id=ACCOUNT,
            database_name=database.database_name,
            table_input=_table_input(
                name,
                location=self.location,
                relative=relative,
                columns=columns,
                folders=folders,
                files=FORMATS[format],
                description=description,
            ),
        )
        after(resource, database.resource)
        resource.apply_removal_policy(removal_policy)
        self.grants = ProjectedTableGrants(database.database_name, name, lake, zone, f"{prefix.strip('/')}/")


class ProjectedTableGrants:
    """Permissions on an external table."""

    def __init__(self, database: str, name: str, lake: LakeBuckets, zone: str, prefix: str) -> None:
        self._database, self._name, self._lake, self._zone, self._prefix = database, name, lake, zone, prefix

    def query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it query rows in Athena; the workgroup's `run_queries` gives the rest."""
        self._lake.grants.read(grantee, self._zone, prefix=self._prefix)
        self._lake.grants.list(grantee, self._zone, prefix=self._prefix)
        allow(grantee, actions=["s3:GetBucketLocation"], resources=[self._lake.bucket_arn(self._zone)])
        resources = [catalog_arn(), database_arn(self._database)]
        allow(grantee, actions=["glue:GetDatabase"], resources=resources)
        return allow(grantee, actions=["glue:GetTable"], resources=[*resources, table_arn(self._database, self._name)])


def _check_names(name: str, columns: Mapping[str, str], folders: Mapping[str, Folders]) -> None:
    for what, value in (("name", name), *(("columns", column) for column in columns), *(("folders", column) for column in folders)):
        require(_NAME.fullmatch(value) is not None, f"{what} must be of small letters, digits and _, got {value!r}")
    require(bool(columns), "columns must name at least one column of the files")
    require(bool(folders), "folders must name at least one partition column: a table without any needs no projection")
    both = sorted(set(columns) & set(folders))
    require(not both, f"a column is in the files or in the folders, {', '.join(both)} is in both: leave it out of columns")


def _check_template(relative: str, folders: Mapping[str, Folders]) -> None:
    named = _TOKEN.findall(relative)
    missing, unknown = sorted(set(folders) - set(named)), sorted(set(named) - set(folders))
    if missing or unknown:
        raise InvalidProps(
            f"template must name every partition column once and nothing else, got {relative!r}: "
            + "; ".join([*(f"${{{name}}} is missing" for name in missing), *(f"${{{name}}} is no partition column" for name in unknown)])
        )
    require("//" not in relative and "://" not in relative, f"template is relative to prefix, got {relative!r}")


def _table_input(
    name: str, *, location: str, relative: str, columns: Mapping[str, str], folders: Mapping[str, Folders], files: FileFormat, description: str
) -> dict[str, Any]:  # fmt: skip
    projection = {f"projection.{column}.{key}": value for column, rule in folders.items() for key, value in rule.properties().items()}
    return {
        "name": name,
        "description": description or None,
        "tableType": "EXTERNAL_TABLE",
        "parameters": {
            "EXTERNAL": "TRUE",
            "projection.enabled": "true",
            **projection,
            "storage.location.template": f"{location}{relative}/",
        },
        "partitionKeys": _columns(dict.fromkeys(folders, "string")),
        "storageDescriptor": {
            "columns": _columns(columns),
            "location": location,
            "inputFormat": files.input,
            "outputFormat": files.output,
            "serdeInfo": {"serializationLibrary": files.serde, "parameters": dict(files.serde_parameters)},
        },
    }


def _columns(columns: Mapping[str, str]) -> Sequence[dict[str, str]]:
    return [{"name": column, "type": kind} for column, kind in columns.items()]
