"""A lake on a local disk for tests of the jobs: one shared Spark session, Iceberg's Hadoop catalog, files instead of S3 objects."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.audit_records import QualityRecord
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import TableDefinition, tables_of
from lakehouse.manifests import Manifest, ManifestFile
from lakehouse.spark.bronze import Ingested, ingest
from lakehouse.spark.iceberg import IcebergTable
from lakehouse.spark.progress import Reached
from lakehouse.spark.raw.staging import LocalStaging
from lakehouse.spark.session import prepare
from lakehouse.spark.silver import Findings, Refinement, SilverTables
from local.toolchain import GLUE_SPARK, Toolchain

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BUCKET = "raw"


@contextmanager
def shared_session(warehouse: Path) -> Iterator[SparkSession]:
    """The one session of a test process: two threads, a catalog `lake` on the disk."""
    tools, series = Toolchain(), os.environ.get("LAKE_TEST_SPARK", GLUE_SPARK)
    os.environ.update(tools.environment(series=series))
    spark = (
        SparkSession.builder.master("local[2]")
        .appName("tests")
        .config("spark.driver.memory", "1500m")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.jars", ",".join(map(str, _jars(tools, series))))
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
        .config("spark.sql.catalog.lake.type", "hadoop")
        .config("spark.sql.catalog.lake.warehouse", str(warehouse))
        .config("spark.sql.warehouse.dir", str(warehouse / "spark"))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    prepare(spark)
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    try:
        yield spark
    finally:
        spark.stop()


def _jars(tools: Toolchain, series: str) -> list[Path]:
    return [*(jar for jar in tools.spark(series).jars if jar.name.startswith("iceberg-spark-runtime")), *tools.job_jars]


def create_table(spark: SparkSession, definition: TableDefinition) -> None:
    """Create a table as the custom resource would; an older one of that name goes."""
    iceberg: Any = spark.sparkContext._jvm.org.apache.iceberg  # type: ignore[union-attr]
    catalog = iceberg.spark.Spark3Util.loadIcebergCatalog(spark._jsparkSession, "lake")
    name = iceberg.catalog.TableIdentifier.parse(definition.dataset.table())
    schema = iceberg.SchemaParser.fromJson(json.dumps(definition.schema))
    partition = iceberg.PartitionSpecParser.fromJson(schema, json.dumps(definition.partition_spec))
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS lake.{definition.dataset.database()}")
    if catalog.tableExists(name):
        catalog.dropTable(name, True)
    catalog.createTable(name, schema, partition, definition.properties)


@dataclass
class Lake:
    """A dataset's tables, and the jobs over them."""

    spark: SparkSession
    contract: CompiledContract
    folder: Path
    quality: dict[str, QualityRecord] = field(default_factory=dict)
    delivered: int = 0

    def __post_init__(self) -> None:
        for definition in tables_of(self.contract):
            create_table(self.spark, definition)

    def table(self, zone: str) -> IcebergTable:
        return IcebergTable(self.spark, f"{zone}_{self.contract.domain}.{self.contract.dataset}")

    @property
    def tables(self) -> SilverTables:
        return SilverTables(bronze=self.table("bronze"), silver=self.table("silver"), quarantine=self.table("quarantine"))

    def deliver(self, name: str, content: bytes, *, version: str | None = None, sequence: str | None = None) -> ManifestFile:
        """Put a file version into raw, as a producer would."""
        self.delivered += 1
        version = version or f"v{self.delivered}"
        key = f"{self.contract.id.replace('.', '/')}/{name}"
        path = self.folder / BUCKET / f"{key}@{version}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        parts = name.split(".")
        return ManifestFile(
            bucket=BUCKET,
            key=key,
            version_id=version,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            sequence=sequence or f"2026-11-22T10:00:{self.delivered:02d}Z#{self.delivered:032d}",
            format="json" if "json" in parts[1] else "parquet" if parts[1] == "parquet" else "csv",
            compression="gzip" if parts[-1] == "gz" else None,
        )

    def ingest(self, files: Sequence[ManifestFile], *, reached: Reached = lambda _: None, run_id: str = "run-1") -> Ingested:
        return ingest(
            self.spark,
            files,
            contract=self.contract,
            bronze=self.table("bronze"),
            staging=LocalStaging(root=self.folder, folder=self.folder / "staging" / run_id),
            run_id=run_id,
            batch_id=self.batch(files),
            now=NOW,
            reached=reached,
        )

    def refine(self, files: Sequence[ManifestFile] | None, *, reached: Reached = lambda _: None, run_id: str = "run-1") -> Findings:
        findings = Findings()
        self.refine_into(findings, files, reached=reached, run_id=run_id)
        return findings

    def refine_into(
        self, findings: Findings, files: Sequence[ManifestFile] | None, *, reached: Reached = lambda _: None, run_id: str = "run-1"
    ) -> None:
        Refinement(
            spark=self.spark,
            contract=self.contract,
            tables=self.tables,
            files=files,
            run_id=run_id,
            batch_id=self.batch(files or ()),
            now=NOW,
            other=lambda _: None,
            tell=lambda results: self.quality.update({result.rule: result for result in results}),
            reached=reached,
        ).run(findings)

    def run(self, *files: ManifestFile) -> Findings:
        """Ingest and refine."""
        self.ingest(files)
        return self.refine(files)

    def batch(self, files: Sequence[ManifestFile]) -> str:
        return Manifest.of(dataset=self.contract.id, pipeline=self.contract.dataset, files=files).batch_id

    def rows(self, zone: str, *columns: str, order: str | None = None) -> list[tuple[Any, ...]]:
        frame = self.table(zone).read()
        frame = frame.select(*columns) if columns else frame
        return [tuple(row) for row in frame.orderBy(order or frame.columns[0]).collect()]

    def content(self, zone: str) -> list[str]:
        """Every row of a table as text, sorted: equal content gives equal lists."""
        return sorted(self.table(zone).read().toJSON().collect())

    def snapshots(self) -> dict[str, int | None]:
        """The current snapshot of each table: a run that changes nothing leaves them."""
        return {zone: self.table(zone).snapshot_id() for zone in ("bronze", "silver", "quarantine")}
