"""The run of an erasure: what the job is told, the leases that keep writers away, the audit, and the report that stays."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from pyspark.sql import SparkSession

from lakehouse.audit import AuditTrail
from lakehouse.aws import client
from lakehouse.claims import Claims
from lakehouse.clock import Clock, to_text, utc_now
from lakehouse.contracts.model import CompiledContract
from lakehouse.erasures import TRIGGER, ErasureReport, ErasureRequest, ErasureStore, pipeline_of, summary
from lakehouse.errors import RunFailed
from lakehouse.leases import Holder, Leases
from lakehouse.naming import TABLE_ZONES
from lakehouse.raw_copies import RawCopies
from lakehouse.spark.arguments import NONE
from lakehouse.spark.erasure import INCOMPLETE, REFUSED, Erasure, table_names
from lakehouse.spark.progress import Reached, log_stage
from lakehouse.spark.run import AwsServices, log_to_stderr
from lakehouse.spark.session import spark_session

CONFLICT = "erasure_conflict"
"""Reason code: a run holds a table of the dataset."""


@dataclass(frozen=True, kw_only=True)
class ErasureArguments:
    """Arguments of one run of the job; nothing of the key is among them.

    Attributes:
        request: Key of the request in the logs bucket.
        contracts: Address of the compiled contracts of the domain.
        audit_table: DynamoDB table of the audit.
        control_table: DynamoDB table of leases and claims.
        database_prefix: Put before every database.
        buckets: Bucket of each zone that the job touches.
        audit_ttl_days: Days for which the audit keeps the run.
        seconds: Longest that it may take.
    """

    request: str
    contracts: str
    audit_table: str
    control_table: str
    database_prefix: str
    buckets: dict[str, str]
    audit_ttl_days: int
    seconds: int

    @classmethod
    def parse(cls, argv: Sequence[str] | None = None) -> Self:
        """Read a command line; what engines add for themselves is passed over.

        Args:
            argv: Arguments without the program; those of the process if None.
        """
        parser = argparse.ArgumentParser(allow_abbrev=False, description="An erasure of one dataset.")
        for name in ("request", "contracts", "audit_table", "control_table"):
            parser.add_argument(f"--{name}", required=True)
        for zone in ZONES_TOUCHED:
            parser.add_argument(f"--{zone}_bucket", required=True)
        parser.add_argument("--database_prefix", default="")
        for name in ("audit_ttl_days", "seconds"):
            parser.add_argument(f"--{name}", type=int, required=True)
        given, _ = parser.parse_known_args(sys.argv[1:] if argv is None else list(argv))
        return cls(
            request=given.request,
            contracts=given.contracts,
            audit_table=given.audit_table,
            control_table=given.control_table,
            database_prefix="" if given.database_prefix == NONE else given.database_prefix,
            buckets={zone: getattr(given, f"{zone}_bucket") for zone in ZONES_TOUCHED},
            audit_ttl_days=given.audit_ttl_days,
            seconds=given.seconds,
        )


ZONES_TOUCHED = ("raw", *(zone for zone in TABLE_ZONES if zone != "gold"), "logs")
"""Zones whose buckets an erasure touches."""


class ErasureRun:
    """One run of the job."""

    def __init__(
        self,
        arguments: ErasureArguments,
        *,
        s3: Any,
        dynamodb: Any,
        contracts: Callable[[str], Any],
        spark: Callable[[str], SparkSession],
        reached: Reached = log_stage,
        clock: Clock = utc_now,
    ) -> None:
        """
        Args:
            arguments: What the job was told.
            s3: boto3 S3 client.
            dynamodb: boto3 DynamoDB client.
            contracts: Gives the compiled contracts at an address, by id.
            spark: Gives the session, by the name of the application.
            reached: Told of each stage.
            clock: Gives the present moment.
        """
        self._arguments = arguments
        self._s3 = s3
        self._contracts = contracts
        self._spark = spark
        self._reached = reached
        self._clock = clock
        self._is_reported = False
        self._store = ErasureStore(client=s3, bucket=arguments.buckets["logs"])
        self._audit = AuditTrail(client=dynamodb, table=arguments.audit_table, ttl_days=arguments.audit_ttl_days, clock=clock)
        self._leases = Leases(client=dynamodb, table=arguments.control_table, clock=clock)
        self._claims = Claims(client=dynamodb, table=arguments.control_table, audit=self._audit, clock=clock)

    @classmethod
    def from_args(cls, argv: Sequence[str] | None = None) -> Self:
        """The run that a command line describes, on AWS.

        Args:
            argv: Arguments without the program; those of the process if None.
        """
        log_to_stderr()
        return cls(
            ErasureArguments.parse(argv),
            s3=client("s3"),
            dynamodb=client("dynamodb"),
            contracts=AwsServices().contracts,
            spark=spark_session,
        )

    def run(self) -> ErasureReport:
        """Look for the key, erase it if that is asked for, and write the report; the request is gone afterwards, however it ends.

        Raises:
            RunFailed: It was refused, or is not whole; the report says why.
        """
        request = self._store.asked(self._arguments.request)
        try:
            return self._erase(request) if request.is_erasing else self._reported(self._erasure(request).look())
        except RunFailed as failed:
            if not self._is_reported:
                self._reported(_refused(request, failed))
            raise
        finally:
            self._store.forget(self._arguments.request, now=self._clock())

    def _erase(self, request: ErasureRequest) -> ErasureReport:
        holder = Holder(pipeline=pipeline_of(request.dataset), run_id=request.run_id)
        self._lease(request, holder)
        try:
            erasure = self._erasure(request)
            seen = erasure.look()
            if seen.outcome == "NOT_FOUND":
                return self._reported(seen)
            self._audit.start_run(
                pipeline=holder.pipeline,
                run_id=holder.run_id,
                trigger=TRIGGER,
                batch_id=request.key_sha256,
                seconds=self._arguments.seconds,
            )
            return self._audited(erasure, seen, holder)
        finally:
            self._leases.release(holder)

    def _audited(self, erasure: Erasure, seen: ErasureReport, holder: Holder) -> ErasureReport:
        """Erase, and end the run in the audit: what was asked for and found is there however it ends."""
        report = seen
        try:
            report = erasure.erase(seen)
            address = self._write(report)
        except BaseException as error:
            reason = error.reason if isinstance(error, RunFailed) else "job_failed"
            text = error.message if isinstance(error, RunFailed) else f"{type(error).__name__}: {error}"
            self._reported(replace(seen, outcome="INCOMPLETE", message=f"{reason}: {text}; repeat the erasure"))
            self._audit.end_run(
                pipeline=holder.pipeline, run_id=holder.run_id, status="FAILED", reason=reason, message=text, counts=seen.counts
            )
            raise
        is_whole = report.outcome == "ERASED"
        told = summary(report, tables=report.tables)
        self._audit.end_run(
            pipeline=holder.pipeline,
            run_id=holder.run_id,
            status="SUCCEEDED" if is_whole else "FAILED",
            reason="" if is_whole else INCOMPLETE,
            message=f"{told}; {address}" if is_whole else f"{report.message}. {told}; {address}",
            counts=report.counts,
        )
        return report

    def _lease(self, request: ErasureRequest, holder: Holder) -> None:
        """Take the tables, so that no run begins; refuse if one has them.

        Raises:
            RunFailed: `erasure_conflict`.
        """
        tables = list(table_names(request.dataset, database_prefix=self._arguments.database_prefix).values())
        other = self._leases.acquire(tables=tables, holder=holder, seconds=self._arguments.seconds, is_over=self._is_over)
        if other != holder:
            who = f"run {other.run_id} of {other.pipeline}" if other.run_id else "another run"
            raise RunFailed(CONFLICT, f"{who} is under way on tables of {request.dataset}: erase again when it has ended (`lake runs`)")

    def _is_over(self, holder: Holder) -> bool:
        run = self._audit.get_run(holder.run_id, pipeline=holder.pipeline)
        return run is not None and run.is_ended

    def _erasure(self, request: ErasureRequest) -> Erasure:
        contract = self._contract(request)
        buckets = self._arguments.buckets
        raw = RawCopies(
            s3=self._s3,
            claims=self._claims,
            audit=self._audit,
            raw_bucket=buckets["raw"],
            logs_bucket=buckets["logs"],
            dataset=request.dataset,
            ingests=request.ingests,
        )
        return Erasure(
            spark=self._spark(f"erase-{request.dataset}"),
            contract=contract,
            request=request,
            database_prefix=self._arguments.database_prefix,
            s3=self._s3,
            bucket_of=buckets.__getitem__,
            raw=None if contract.database is not None else raw,
            now=self._clock(),
            reached=self._reached,
        )

    def _contract(self, request: ErasureRequest) -> CompiledContract:
        contracts = self._contracts(self._arguments.contracts)
        if request.dataset not in contracts:
            raise RunFailed(REFUSED, f"the job knows no dataset {request.dataset}: it knows {', '.join(sorted(contracts))}; deploy again")
        contract = CompiledContract.from_dict(contracts[request.dataset])
        if contract.source is None:
            raise RunFailed(REFUSED, f"{contract.id} is written by a transform: erase from what it reads, then run its pipeline")
        return contract

    def _reported(self, report: ErasureReport) -> ErasureReport:
        self._write(report)
        return report

    def _write(self, report: ErasureReport) -> str:
        address = self._store.report(replace(report, ended_at=to_text(self._clock())))
        self._is_reported = True
        return address


def _refused(request: ErasureRequest, failed: RunFailed) -> ErasureReport:
    return ErasureReport(
        run_id=request.run_id,
        dataset=request.dataset,
        key_columns=tuple(request.key),
        key_sha256=request.key_sha256,
        requested_by=request.requested_by,
        outcome="REFUSED",
        message=f"{failed.reason}: {failed.message}",
    )
