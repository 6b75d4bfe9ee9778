"""A run of one step: its session, its tables, its line in the audit."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from pyspark.sql import DataFrame, SparkSession

from lakehouse.audit import AuditTrail
from lakehouse.audit_records import FileRecord, QualityRecord
from lakehouse.aws import client
from lakehouse.clock import utc_now
from lakehouse.contracts.model import CompiledContract, DatabaseSource
from lakehouse.databases import CredentialCache, DatabaseAddress
from lakehouse.errors import RunFailed
from lakehouse.extraction.marks import mark_name, reconciled_name
from lakehouse.lineage import Edge, Lineage
from lakehouse.manifests import Manifest, read_manifest
from lakehouse.naming import DatasetName
from lakehouse.spark.arguments import JOB_RUN_ID, JobArguments
from lakehouse.spark.bronze import Ingested, ingest
from lakehouse.spark.extraction import Extracted, Extraction, extraction_of
from lakehouse.spark.gold import Publication
from lakehouse.spark.iceberg import IcebergTable
from lakehouse.spark.progress import Reached, log_stage
from lakehouse.spark.raw.staging import S3Staging, Staging
from lakehouse.spark.session import spark_session
from lakehouse.spark.silver import Findings, Refinement, SilverTables
from lakehouse.spark.source_session import SourceSession
from lakehouse.spark.versions import Version
from lakehouse.watermarks import Mark, Watermarks

Transform = Callable[[Mapping[str, DataFrame]], DataFrame]
"""A function of `jobs.transforms`: tables by name in, one table out."""

_S3 = "s3://"

_KNOWN_OF_A_FAILURE = ("rows_in", "quarantined")
"""Rows that a refinement may tell of although it failed: bronze and quarantine are committed before the gate."""


class Services(Protocol):
    """What a job needs besides Spark."""

    def audit(self, arguments: JobArguments) -> AuditTrail:
        """The audit trail."""
        ...

    def lineage(self, arguments: JobArguments) -> Lineage | None:
        """The lineage; None if the run keeps none."""
        ...

    def contracts(self, address: str) -> Mapping[str, Any]:
        """The compiled contracts, by id."""
        ...

    def manifest(self, address: str) -> Manifest:
        """A manifest."""
        ...

    def staging(self, arguments: JobArguments) -> Staging:
        """Where raw files are laid out for Spark."""
        ...

    def watermarks(self, arguments: JobArguments) -> Watermarks:
        """How far sources were read."""
        ...

    def credentials(self) -> CredentialCache:
        """Reads secrets of databases."""
        ...


class AwsServices:
    """The services in AWS; clients are made by the driver alone."""

    def audit(self, arguments: JobArguments) -> AuditTrail:
        """See `Services`."""
        return AuditTrail(client=client("dynamodb"), table=arguments.audit_table)

    def lineage(self, arguments: JobArguments) -> Lineage | None:
        """See `Services`."""
        return Lineage(client=client("dynamodb"), table=arguments.lineage_table) if arguments.lineage_table else None

    def contracts(self, address: str) -> Mapping[str, Any]:
        """See `Services`; also reads a path, for jobs that are run by hand."""
        if not address.startswith(_S3):
            return json.loads(Path(address).read_text(encoding="utf-8"))["contracts"]
        bucket, _, key = address.removeprefix(_S3).partition("/")
        return json.loads(client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())["contracts"]

    def manifest(self, address: str) -> Manifest:
        """See `Services`."""
        return read_manifest(client("s3"), address)

    def staging(self, arguments: JobArguments) -> Staging:
        """See `Services`: beside the manifest, in the logs bucket."""
        bucket = (arguments.manifest or "").removeprefix(_S3).partition("/")[0]
        prefix = f"staging/{arguments.pipeline}/{arguments.run_id}/{arguments.job_run_id}/"
        return S3Staging(client=client("s3"), bucket=bucket, prefix=prefix)

    def watermarks(self, arguments: JobArguments) -> Watermarks:
        """See `Services`."""
        return Watermarks(client=client("dynamodb"), table=arguments.watermarks_table)

    def credentials(self) -> CredentialCache:
        """See `Services`."""
        return CredentialCache(client("secretsmanager"))


class SparkRun:
    """One attempt of one step; as a context manager it begins and ends the attempt in the audit."""

    def __init__(
        self, arguments: JobArguments, *, services: Services, spark: SparkSession | None = None, reached: Reached = log_stage
    ) -> None:
        """
        Args:
            arguments: What the job was told.
            services: What it needs besides Spark.
            spark: Session to use; the engine's if None.
            reached: Told of each stage.
        """
        self.spark = spark if spark is not None else spark_session(f"{arguments.pipeline}-{arguments.step}")
        # EMR tells a job its run in no argument, on its clusters and without: the run is Spark's application.
        is_told = not arguments.engine.startswith("emr")
        self.arguments = arguments if is_told else replace(arguments, job_run_id=self.spark.sparkContext.applicationId)
        self._services = services
        self._reached = reached
        self._counts: dict[str, int] = {}
        self._reasons: dict[str, int] = {}
        self._marks: dict[str, Mark] = {}
        self._attempt = 0

    @classmethod
    def from_args(cls, argv: Sequence[str] | None = None) -> SparkRun:
        """The run that a command line describes, on AWS.

        Args:
            argv: Arguments without the program; those of the process if None.
        """
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("lakehouse").setLevel(logging.INFO)
        return cls(JobArguments.parse(argv), services=AwsServices())

    def __enter__(self) -> Self:
        arguments = self.arguments
        self._attempt = self._audit.start_step(
            pipeline=arguments.pipeline,
            run_id=arguments.run_id,
            step=arguments.step,
            engine=arguments.engine,
            job_run_id=arguments.job_run_id,
            log_group=arguments.log_group,
            log_stream=arguments.log_stream.replace(JOB_RUN_ID, arguments.job_run_id)
            or f"{arguments.job_run_id}-driver",  # Glue 5 and later
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._reached("audit: last write")
        self._audit.end_step(
            pipeline=self.arguments.pipeline,
            run_id=self.arguments.run_id,
            step=self.arguments.step,
            attempt=self._attempt,
            status="SUCCEEDED" if error is None else "FAILED",
            message="" if error is None else str(error) or type(error).__name__,
            counts=self._counts,
            reasons=self._reasons,
            marks=self._marks if error is None else None,
        )

    def ingest(self) -> Ingested | Extracted:
        """The files of the manifest, or what the source table has to tell, to bronze; files that cannot be loaded are noted, and the others go on."""
        if self._contract.database is not None:
            return self._extract(self._contract.database)
        manifest = self._manifest
        if manifest is None:
            return Ingested(loaded={}, rejected={})
        result = ingest(
            self.spark,
            manifest.files,
            contract=self._contract,
            bronze=self._table("bronze"),
            staging=self._services.staging(self.arguments),
            run_id=self.arguments.run_id,
            batch_id=manifest.batch_id,
            now=utc_now(),
            reached=self._reached,
        )
        self._note_files(result)
        self._trace(["raw"], "bronze", is_changed=result.appended > 0)
        self._counts = {"rows_in": result.rows, "appended": result.appended}
        return result

    def refine(self) -> Findings:
        """The records of the manifest's files, of the run's extraction, or of all files if there is no manifest, from bronze to silver."""
        findings = Findings()
        refinement = Refinement(
            spark=self.spark,
            contract=self._contract,
            tables=SilverTables(bronze=self._table("bronze"), silver=self._table("silver"), quarantine=self._table("quarantine")),
            files=self._versions(),
            run_id=self.arguments.run_id,
            batch_id=self._batch_id,
            now=utc_now(),
            other=self._readable,
            tell=self._tell,
            reached=self._reached,
        )
        try:
            refinement.run(findings)
            self._counts = {**findings.counts, "written": findings.written}
        except BaseException:
            # What was found to belong in silver is not there.
            self._counts = {name: findings.counts[name] for name in _KNOWN_OF_A_FAILURE if name in findings.counts}
            raise
        finally:
            self._reasons = findings.reasons
        self._trace(["bronze"], "silver", is_changed=findings.written > 0)
        if findings.counts["quarantined"]:
            self._trace(["bronze"], "quarantine", is_changed=True)
        return findings

    def publish(self, transform: Transform) -> dict[str, int]:
        """The result of a transform to a gold table."""
        tables = {str(name): IcebergTable(self.spark, name.table(self.arguments.database_prefix)).read() for name in self.arguments.reads}
        publication = Publication(
            contract=self._contract,
            table=self._table("gold"),
            run_id=self.arguments.run_id,
            other=self._readable,
            tell=self._tell,
            reached=self._reached,
        )
        self._counts = publication.run(transform(tables))
        is_changed = any(self._counts[name] for name in ("inserted", "updated", "deleted"))
        self._trace(tables, "gold", is_changed=is_changed)
        return self._counts

    def _extract(self, source: DatabaseSource) -> Extracted:
        arguments = self.arguments
        if arguments.source_address is None or arguments.source_secret_arn is None or not arguments.watermarks_table:
            raise RunFailed(
                "job_failed",
                f"{self._contract.id} is read from the connection {source.connection}, but the job was told no address, secret or watermarks table: deploy again",
            )
        marks = self._services.watermarks(arguments)
        names = (mark_name(self._contract.id, source), reconciled_name(self._contract.id, source))
        held = {name: marks.get(pipeline=arguments.pipeline, name=name) for name in names}
        result = Extraction(
            spark=self.spark,
            contract=self._contract,
            bronze=self._table("bronze"),
            silver=self._table("silver"),
            quarantine=self._table("quarantine"),
            session=SourceSession(
                self.spark,
                address=DatabaseAddress.parse(arguments.source_address, secret_arn=arguments.source_secret_arn),
                credentials=self._services.credentials(),
                fetch_size=source.fetch_size,
                application=f"{arguments.project}-{arguments.env}-{arguments.pipeline}",
            ),
            marks={name: mark.value for name, mark in held.items() if mark is not None},
            run_id=arguments.run_id,
            batch_id=self._batch_id,
            now=utc_now(),
            reached=self._reached,
        ).run()
        if result.extras:
            text = f"{source.uri} has columns that {self._contract.id} does not know: {', '.join(result.extras)}; their values are kept in _extra"
            self._audit.warn(pipeline=arguments.pipeline, run_id=arguments.run_id, warning=text)
        self._trace([source.uri], "bronze", is_changed=result.appended > 0)
        self._counts = {"rows_in": result.rows, "appended": result.appended}
        self._marks = dict(result.marks)
        return result

    def _versions(self) -> Sequence[Version] | None:
        """What is refined: the run's extraction, the manifest's files, or everything."""
        source = self._contract.database
        if source is not None:
            return [extraction_of(self._table("bronze"), source, run_id=self.arguments.run_id)]
        return None if self._manifest is None else self._manifest.files

    @property
    def _batch_id(self) -> str:
        return self.arguments.batch_id or ("none" if self._contract.database is None else self.arguments.run_id)

    @cached_property
    def _audit(self) -> AuditTrail:
        return self._services.audit(self.arguments)

    @cached_property
    def _contract(self) -> CompiledContract:
        contracts = self._services.contracts(self.arguments.contracts)
        name = self.arguments.writes.contract_id
        if name not in contracts:
            raise RunFailed(
                "job_failed",
                f"{self.arguments.contracts} holds no contract {name!r}: it holds {', '.join(sorted(contracts))}; deploy again",
            )
        return CompiledContract.from_dict(contracts[name])

    @cached_property
    def _manifest(self) -> Manifest | None:
        return None if self.arguments.manifest is None else self._services.manifest(self.arguments.manifest)

    def _table(self, zone: str) -> IcebergTable:
        name = DatasetName(zone=zone, domain=self.arguments.writes.domain, dataset=self.arguments.writes.dataset)
        return IcebergTable(self.spark, name.table(self.arguments.database_prefix))

    def _readable(self, name: str) -> str | None:
        dataset = DatasetName.parse(name)
        return f"lake.{dataset.table(self.arguments.database_prefix)}" if dataset in self.arguments.reads else None

    def _tell(self, results: Iterable[QualityRecord]) -> None:
        self._audit.record_quality(pipeline=self.arguments.pipeline, run_id=self.arguments.run_id, results=results)

    def _trace(self, sources: Iterable[str], zone: str, *, is_changed: bool) -> None:
        """Keep the edges of the lineage; a source without a dot is a zone of the written dataset."""
        lineage = self._services.lineage(self.arguments)
        if lineage is None:
            return
        name = self.arguments.writes.contract_id
        snapshot = self._table(zone).snapshot_id() if is_changed else None
        edges = [
            Edge(
                pipeline=self.arguments.pipeline,
                run_id=self.arguments.run_id,
                step=self.arguments.step,
                source=source if "." in source else f"{source}.{name}",
                target=f"{zone}.{name}",
                snapshot_id="" if snapshot is None else str(snapshot),
            )
            for source in sources
        ]
        lineage.record(edges)

    def _note_files(self, result: Ingested) -> None:
        for file, rejection in result.rejected.items():
            record = FileRecord(
                source=file.uri,
                version=file.version_id,
                outcome="skipped" if rejection.outcome == "skipped" else "rejected",
                reason=rejection.reason,
                message=rejection.message,
            )
            self._audit.record_file(pipeline=self.arguments.pipeline, run_id=self.arguments.run_id, file=record)
        for file, names in result.extras.items():
            text = f"{file.uri} has columns that {self._contract.id} does not know: {', '.join(names)}; their values are kept in _extra"
            self._audit.warn(pipeline=self.arguments.pipeline, run_id=self.arguments.run_id, warning=text)
            record = FileRecord(source=file.uri, version=file.version_id, outcome="loaded", reason="extra_column", message=text)
            self._audit.record_file(pipeline=self.arguments.pipeline, run_id=self.arguments.run_id, file=record)
