"""Steps of pipelines run as the state machines would, with the services of this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.audit import AuditTrail
from lakehouse.audit_records import RunTrail
from lakehouse.contracts.model import CompiledContract
from lakehouse.databases import CredentialCache
from lakehouse.lineage import Lineage
from lakehouse.manifests import Manifest, ManifestFile
from lakehouse.spark.arguments import JobArguments
from lakehouse.spark.progress import Reached
from lakehouse.spark.raw.staging import LocalStaging
from lakehouse.spark.run import SparkRun, Transform
from lakehouse.watermarks import Watermarks
from tests.source_database import Secrets
from tests.spark_lake import Lake


class LocalServices:
    """Services of a job on this machine."""

    def __init__(self, *, dynamodb: Any, folder: Path, contracts: Mapping[str, CompiledContract]) -> None:
        self._dynamodb = dynamodb
        self._folder = folder
        self._contracts = contracts

    def audit(self, arguments: JobArguments) -> AuditTrail:
        return AuditTrail(client=self._dynamodb, table=arguments.audit_table)

    def lineage(self, arguments: JobArguments) -> Lineage | None:
        return Lineage(client=self._dynamodb, table=arguments.lineage_table)

    def contracts(self, address: str) -> Mapping[str, Any]:
        return {name: json.loads(contract.to_json()) for name, contract in self._contracts.items()}

    def manifest(self, address: str) -> Manifest:
        return Manifest.from_json(Path(address).read_text(encoding="utf-8"))

    def staging(self, arguments: JobArguments) -> LocalStaging:
        return LocalStaging(root=self._folder, folder=self._folder / "staging" / arguments.job_run_id)

    def watermarks(self, arguments: JobArguments) -> Watermarks:
        return Watermarks(client=self._dynamodb, table=arguments.watermarks_table)

    def credentials(self) -> CredentialCache:
        return CredentialCache(Secrets())


class Pipelines:
    """Runs steps as the state machines would."""

    def __init__(self, *, spark: SparkSession, services: LocalServices, audit: AuditTrail, lineage: Lineage, folder: Path) -> None:
        self.spark = spark
        self.services = services
        self.audit = audit
        self.lineage = lineage
        self.folder = folder
        self.job_runs = 0

    def start(self, *, pipeline: str, run_id: str, files: Sequence[ManifestFile] = ()) -> str:
        """Begin a run; answers the address of its manifest."""
        manifest = Manifest.of(dataset=f"tpch.{pipeline}", pipeline=pipeline, files=files)
        path = self.folder / f"{run_id}.json"
        path.write_text(manifest.to_json(), encoding="utf-8")
        self.audit.start_run(pipeline=pipeline, run_id=run_id, trigger="arrival", files=len(files))
        return str(path)

    def step(
        self,
        *,
        pipeline: str,
        run_id: str,
        step: str,
        writes: str,
        manifest: str = "none",
        reads: str = "",
        transform: Transform | None = None,
        reached: Reached = lambda _: None,
        more: Sequence[str] = (),
    ) -> None:
        """Run one step to its end, or to where `reached` stops it; each call is a job run of its own."""
        self.job_runs += 1
        arguments = JobArguments.parse([
            *("--env", "local", "--project", "lakehouse", "--pipeline", pipeline, "--step", step, "--contracts", "contracts.json"),
            *("--writes", writes, "--reads", reads, "--audit_table", "audit", "--lineage_table", "lineage", "--run_id", run_id),
            *("--manifest", manifest, "--batch_id", "none", "--JOB_RUN_ID", f"jr-{self.job_runs}", "--enable-metrics", "true"),
            *more,
        ])  # fmt: skip
        with SparkRun(arguments, services=self.services, spark=self.spark, reached=reached) as run:
            if transform is not None:
                run.publish(transform)
            elif step == "ingest":
                run.ingest()
            else:
                run.refine()

    def run(self, lake: Lake, *files: ManifestFile, run_id: str = "run-1", reached: Reached = lambda _: None) -> RunTrail:
        """Ingest and refine some files of a dataset."""
        name = lake.contract.dataset
        manifest = self.start(pipeline=name, run_id=run_id, files=files)
        self.step(pipeline=name, run_id=run_id, step="ingest", writes=f"bronze.tpch.{name}", manifest=manifest, reached=reached)
        self.step(pipeline=name, run_id=run_id, step="refine", writes=f"silver.tpch.{name}", manifest=manifest, reached=reached)
        return self.trail(name, run_id)

    def trail(self, pipeline: str, run_id: str = "run-1") -> RunTrail:
        return self.audit.trail(pipeline=pipeline, run_id=run_id)
