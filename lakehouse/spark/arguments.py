"""What a job is told on its command line: the same words on every engine."""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.naming import DatasetName

NONE = "none"
"""Text of an argument that a run does not have; engines pass no empty ones."""

JOB_RUN_ID = "JOB_RUN_ID"
"""What stands for the id of the run in the name of a log stream, which is written down before there is a run."""


@dataclass(frozen=True, kw_only=True)
class JobArguments:
    """Arguments of one run of one step.

    Attributes:
        env: Environment.
        project: Project.
        pipeline: Pipeline.
        step: Step of the pipeline.
        contracts: Address of the compiled contracts.
        writes: Dataset that the step writes.
        reads: Datasets that it may read besides.
        audit_table: DynamoDB table of the audit.
        lineage_table: DynamoDB table of the lineage, or "".
        database_prefix: Put before every database.
        log_group: Log group of the driver.
        log_stream: Stream of the driver in it, `JOB_RUN_ID` standing for that of the run; "" is as Glue names it.
        engine: glue, emr-serverless or emr.
        job_run_id: Id by which the engine knows this run of the job.
        run_id: Run of the pipeline.
        attempt: Attempt of the run.
        manifest: Address of the manifest, or None.
        batch_id: Batch, or None.
        transform: `<domain>.<function>`, for publish.
        watermarks_table: DynamoDB table of the watermarks, or ""; for an ingest from a database.
        source_address: Where that database is read, `postgres://reader:5432/shop`, or None.
        source_secret_arn: Secret that opens it, or None.
    """

    env: str
    project: str
    pipeline: str
    step: str
    contracts: str
    writes: DatasetName
    reads: tuple[DatasetName, ...]
    audit_table: str
    lineage_table: str
    database_prefix: str
    log_group: str
    log_stream: str
    engine: str
    job_run_id: str
    run_id: str
    attempt: int
    manifest: str | None
    batch_id: str | None
    transform: str | None
    watermarks_table: str = ""
    source_address: str | None = None
    source_secret_arn: str | None = None

    @classmethod
    def parse(cls, argv: Sequence[str] | None = None) -> JobArguments:
        """Read a command line; what engines add for themselves is passed over.

        Args:
            argv: Arguments without the program; those of the process if None.
        """
        given, _ = _parser().parse_known_args(sys.argv[1:] if argv is None else list(argv))
        return cls(
            env=given.env,
            project=given.project,
            pipeline=given.pipeline,
            step=given.step,
            contracts=given.contracts,
            writes=DatasetName.parse(given.writes),
            reads=tuple(DatasetName.parse(name.strip()) for name in given.reads.split(",") if name.strip() not in {"", NONE}),
            audit_table=given.audit_table,
            lineage_table=given.lineage_table,
            database_prefix="" if given.database_prefix == NONE else given.database_prefix,
            log_group=given.log_group,
            log_stream=given.log_stream,
            engine=given.engine,
            job_run_id=given.job_run_id or f"local-{uuid.uuid4()}",
            run_id=given.run_id,
            attempt=given.attempt,
            manifest=None if given.manifest in {"", NONE} else given.manifest,
            batch_id=None if given.batch_id in {"", NONE} else given.batch_id,
            transform=None if given.transform in {"", NONE} else given.transform,
            watermarks_table=given.watermarks_table,
            source_address=None if given.source_address in {"", NONE} else given.source_address,
            source_secret_arn=None if given.source_secret_arn in {"", NONE} else given.source_secret_arn,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, description="One step of a pipeline on Spark.")
    for name in ("env", "project", "pipeline", "step", "contracts", "writes", "audit_table", "run_id"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("reads", "lineage_table", "database_prefix", "log_group", "log_stream", "manifest", "batch_id", "transform"):
        parser.add_argument(f"--{name}", default="")
    for name in ("watermarks_table", "source_address", "source_secret_arn"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--engine", default="glue")
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--JOB_RUN_ID", dest="job_run_id", default="")
    return parser
