"""A run of one row of a group: the row says what, the source says which columns, and the rest is an extraction as any other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pyspark.sql import SparkSession

from lakehouse.aws import client
from lakehouse.contracts.model import CompiledContract
from lakehouse.errors import RunFailed
from lakehouse.extraction.described import contract_of, definition_of
from lakehouse.extraction.postgresql import COLUMNS, SourceColumn
from lakehouse.naming import DatasetName
from lakehouse.rows import ROW_INVALID, InvalidRowError, Row, RowTable, parse_row, pipeline_of
from lakehouse.spark.arguments import JobArguments
from lakehouse.spark.changes import Changes
from lakehouse.spark.extraction import Extracted
from lakehouse.spark.progress import Reached, log_stage
from lakehouse.spark.row_tables import row_table
from lakehouse.spark.run import AwsServices, Services, SparkRun, log_to_stderr

_FETCH_SIZE = 1_000
"""Rows at a time of the source's catalog."""


@dataclass(frozen=True, kw_only=True)
class RowArguments:
    """What the job of a row is told besides what every job is told.

    Attributes:
        job: What every job is told; what it writes is settled once the row is read.
        group: Group of rows.
        row: Name of the row.
        domain: Domain whose bronze the group writes.
        connection: Connection that the group reads.
        control_table: DynamoDB table of the rows.
    """

    job: JobArguments
    group: str
    row: str
    domain: str
    connection: str
    control_table: str

    @classmethod
    def parse(cls, argv: Sequence[str] | None = None) -> RowArguments:
        """Read a command line; what engines add for themselves is passed over.

        Args:
            argv: Arguments without the program; those of the process if None.
        """
        words = sys.argv[1:] if argv is None else list(argv)
        parser = argparse.ArgumentParser(allow_abbrev=False, description="One row of a group on Spark.")
        for name in ("group", "row", "domain", "connection", "control_table"):
            parser.add_argument(f"--{name}", required=True)
        given, rest = parser.parse_known_args(words)
        # No contract describes a row, and its table is known when it is read.
        job = JobArguments.parse([*rest, "--contracts", "none", "--writes", f"bronze.{given.domain}.{given.group}"])
        return cls(
            job=job,
            group=given.group,
            row=given.row,
            domain=given.domain,
            connection=given.connection,
            control_table=given.control_table,
        )


class RowRun(SparkRun):
    """One attempt of one row; as a context manager it begins and ends the attempt in the audit of the row's own run."""

    def __init__(
        self,
        arguments: RowArguments,
        *,
        rows: RowTable,
        services: Services,
        spark: SparkSession | None = None,
        reached: Reached = log_stage,
    ) -> None:
        """
        Args:
            arguments: What the job was told.
            rows: Rows of groups.
            services: What it needs besides Spark.
            spark: Session to use; the engine's if None.
            reached: Told of each stage.
        """
        super().__init__(arguments.job, services=services, spark=spark, reached=reached)
        self._told = arguments
        self._rows = rows

    @classmethod
    def from_args(cls, argv: Sequence[str] | None = None) -> RowRun:
        """The run that a command line describes, on AWS.

        Args:
            argv: Arguments without the program; those of the process if None.
        """
        log_to_stderr()
        arguments = RowArguments.parse(argv)
        rows = RowTable(client=client("dynamodb"), table=arguments.control_table)
        return cls(arguments, rows=rows, services=AwsServices())

    def extract(self) -> Extracted:
        """What the source has to tell and bronze does not hold, to the row's table, which is made if it is not there.

        Raises:
            RunFailed: The row cannot be run, or the source not read; the table is as it was.
        """
        row, domain = self._row, self._told.domain
        self.arguments = replace(self.arguments, writes=DatasetName(zone="bronze", domain=domain, dataset=row.target))
        contract, columns = self._contract, self._columns
        source = contract.database
        assert source is not None
        owner = pipeline_of(self._told.group, row.row)
        bronze = row_table(
            self.spark,
            definition_of(contract, columns, owner=owner),
            name=self.arguments.writes.table(self.arguments.database_prefix),
            columns=columns,
            owner=owner,
            uri=source.uri,
        )
        self._reached("extract: table ready")
        changes = Changes(bronze=bronze, columns=contract.raw_columns, keys=row.keys, is_whole=row.mode == "full")
        try:
            # Keys are compared with bronze itself: a row has neither silver nor quarantine, and the source is never reconciled with them.
            return self._extracted(source, silver=bronze, quarantine=bronze, kept=changes)
        finally:
            changes.close()

    @cached_property
    def _row(self) -> Row:
        told = self._told
        item = self._rows.get(told.group, told.row)
        if item is None:
            raise RunFailed(ROW_INVALID, f"row: {told.group} has no row {told.row} any more: it was taken away after the run began")
        try:
            return parse_row(item)
        except InvalidRowError as error:
            raise RunFailed(ROW_INVALID, str(error)) from error

    @cached_property
    def _columns(self) -> tuple[SourceColumn, ...]:
        """Columns that the source table has now."""
        with self._source_session(self._told.connection, fetch_size=_FETCH_SIZE) as session:
            found = session.query(COLUMNS, self._row.schema, self._row.table)
        return tuple(SourceColumn(name=str(name), type=str(type_), kind=str(kind)) for name, type_, kind in found)

    @cached_property
    def _contract(self) -> CompiledContract:
        """The row as a contract."""
        return contract_of(self._row, self._columns, domain=self._told.domain, connection=self._told.connection)
