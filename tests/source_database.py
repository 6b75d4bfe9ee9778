"""A real PostgreSQL with TLS as the source of an extraction, and a lake whose bronze it feeds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.contracts.model import CompiledContract, DatabaseSource, Source
from lakehouse.databases import CredentialCache, DatabaseAddress
from lakehouse.extraction.failures import connected
from lakehouse.spark.extraction import Extracted, Extraction
from lakehouse.spark.progress import Reached
from lakehouse.spark.silver import Findings, Refinement
from lakehouse.spark.source_session import SourceSession
from lakehouse.spark.versions import SourceVersion
from lakehouse.watermarks import Mark
from local.certificates import ensure
from local.engines.postgres import PostgresServer
from local.engines.postgres_tls import Tls
from tests.spark_lake import NOW, Lake

SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:shop"
USER, PASSWORD = "reader", "it's a secret"


class Secrets:
    """Stands for Secrets Manager."""

    def __init__(self, **values: str) -> None:
        self.values = values or {"username": USER, "password": PASSWORD}
        self.reads = 0

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - as boto3 has it

        assert SecretId == SECRET
        self.reads += 1
        return {"SecretString": json.dumps(self.values)}


@dataclass
class SourceDatabase:
    """The source: a server, a database `shop`, and a user who may read it."""

    server: PostgresServer
    authority: Path

    @property
    def address(self) -> DatabaseAddress:
        return DatabaseAddress(engine="postgres", host="localhost", port=self.server.address[1], dbname="shop", secret_arn=SECRET)

    def execute(self, sql: str, *parameters: Any) -> None:
        with self.server.connect("shop", is_autocommit=True) as connection:
            connection.execute(sql, parameters or None)  # type: ignore[arg-type]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.server.connect("shop", is_autocommit=True) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[arg-type]


@contextmanager
def source_database(folder: Path, **settings: str) -> Iterator[SourceDatabase]:
    """Start the source; the process trusts its certificate by AWS_CA_BUNDLE, as jobs do."""
    certificates = ensure(folder / "tls", {})
    server = PostgresServer(
        folder=folder / "postgres", tls=Tls(certificate=certificates.certificate, key=certificates.key), settings=settings
    )
    server.start()
    before = os.environ.get("AWS_CA_BUNDLE")
    os.environ["AWS_CA_BUNDLE"] = str(certificates.authority)
    try:
        with server.connect(is_autocommit=True) as connection:
            connection.execute("CREATE DATABASE shop")
            connection.execute(f"CREATE USER {USER} PASSWORD 'it''s a secret'")
            connection.execute(f"GRANT pg_read_all_data TO {USER}")
        yield SourceDatabase(server=server, authority=certificates.authority)
    finally:
        server.stop()
        if before is None:
            os.environ.pop("AWS_CA_BUNDLE", None)
        else:
            os.environ["AWS_CA_BUNDLE"] = before


def fed_by(contract: CompiledContract, **source: Any) -> CompiledContract:
    """A contract that a table of the source feeds, a full extraction unless it is said otherwise."""
    plain = DatabaseSource(connection="shop", engine="postgresql", schema="public", table=contract.dataset, mode="full")
    return replace(contract, source=Source(formats=(), database=replace(plain, **source)))


@dataclass
class Extractions:
    """Runs over a lake: extract, refine, and what the recorder does at the end."""

    lake: Lake
    source: SourceDatabase
    marks: dict[str, Mark] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)
    runs: int = 0
    later: timedelta = timedelta()

    @property
    def spark(self) -> SparkSession:
        return self.lake.spark

    def new_run(self) -> str:
        self.runs += 1
        return f"0190-{self.runs:04d}"

    def session(self, **changes: Any) -> SourceSession:
        given: dict[str, Any] = {
            "address": self.source.address,
            "credentials": CredentialCache(self.secrets),
            "fetch_size": 1000,
            "connect": lambda open_, *, may_try_again: connected(open_, may_try_again=may_try_again, seconds=0),
        }
        return SourceSession(self.spark, **{**given, **changes})

    def extract(self, run_id: str, *, reached: Reached = lambda _: None, **session: Any) -> Extracted:
        extraction = Extraction(
            spark=self.spark,
            contract=self.lake.contract,
            bronze=self.lake.table("bronze"),
            silver=self.lake.table("silver"),
            quarantine=self.lake.table("quarantine"),
            session=self.session(**session),
            marks=self.marks,
            run_id=run_id,
            batch_id=run_id,
            now=NOW,
            reached=reached,
        )
        return extraction.run()

    def refine(self, version: SourceVersion | None, run_id: str, *, reached: Reached = lambda _: None) -> Findings:
        findings = Findings()
        Refinement(
            spark=self.spark,
            contract=self.lake.contract,
            tables=self.lake.tables,
            files=None if version is None else [version],
            run_id=run_id,
            batch_id=run_id,
            now=NOW,
            other=lambda _: None,
            tell=lambda results: self.lake.quality.update({result.rule: result for result in results}),
            reached=reached,
        ).run(findings)
        return findings

    def publish(self, marks: Mapping[str, Mark]) -> None:
        """Move the marks, as the recorder does: never back."""
        for name, mark in marks.items():
            held = self.marks.get(name)
            if held is None or held < mark:  # type: ignore[operator]
                self.marks[name] = mark

    def run(self) -> Findings:
        """A whole run."""
        run_id = self.new_run()
        extracted = self.extract(run_id)
        findings = self.refine(extracted.version, run_id)
        self.publish(extracted.marks)
        return findings
