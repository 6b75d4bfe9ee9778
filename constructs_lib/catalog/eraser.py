"""The job that erases rows of a domain, and the only role that may delete versions of its objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import job_arn
from constructs_lib.catalog.table_grants import DomainGrants
from constructs_lib.checks import require
from constructs_lib.orchestration.run_tables import RunTableNames
from constructs_lib.permissions import allow
from constructs_lib.processing import CodeAssets, GlueSparkJob, JobCode, JobLogs, SecurityConfiguration, SparkSize
from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.audit import TTL_DAYS
from lakehouse.contracts.model import CompiledContract
from lakehouse.erasures import reports_of, requests_of, staging_of
from lakehouse.leases import PARTITION
from lakehouse.naming import Names

ZONES = ("bronze", "silver", "quarantine")
"""Zones whose tables hold the rows of a dataset."""


class Eraser(Construct):
    """Glue job that deletes every row with a key from the tables of a dataset, from their past, and from raw; `lake erase` starts it.

    One run at a time, in one domain: its role may delete versions in the domain's folders and nowhere else. Nobody is granted anything of it but to start it.

    Attributes:
        job: The job.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        domain: str,
        contracts: Mapping[str, CompiledContract],
        ingests: Sequence[str],
        lake: LakeBuckets,
        tables: RunTableNames,
        data_key: kms.IKey,
        log_key: kms.IKey,
        glue_version: str = "6.0",
        size: SparkSize | None = None,
        timeout_minutes: int = 60,
        audit_ttl_days: int = TTL_DAYS,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            domain: Domain of data.
            contracts: Contracts of the domain's datasets by id.
            ingests: Pipelines that stage raw files of the domain.
            lake: Buckets of the lake.
            tables: Run tables.
            data_key: Customer key of the data.
            log_key: Customer key of the logs.
            glue_version: Glue release.
            size: Worker type and number; None takes the defaults of `SparkSize`.
            timeout_minutes: Longest run.
            audit_ttl_days: Days for which the audit keeps an erasure.
            log_retention_days: Days for which its logs are kept.
            removal_policy: What happens to its logs when the stack goes.
        """
        super().__init__(scope, id)
        strangers = sorted(name for name, contract in contracts.items() if contract.domain != domain)
        require(
            not strangers, f"contracts are to be of the domain {domain}, got {', '.join(strangers)}: give each domain an Eraser of its own"
        )
        logs = JobLogs(
            self,
            "Logs",
            prefix=names.log_group("jobs", f"erase-{domain}"),
            key=log_key,
            retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        code = CodeAssets.of(self)
        bundle = code.text("contracts.json", _bundle(contracts))
        self.job = GlueSparkJob(
            self,
            "Job",
            name=names.eraser(domain),
            description=f"Erases rows of {domain} by their key",
            code=JobCode.from_platform("erase"),
            logs=logs,
            security_configuration=SecurityConfiguration(
                self, "Security", name_prefix=f"{names.prefix}-erase-{domain.replace('_', '-')}", key=data_key
            ),
            arguments={
                "--audit_table": tables.name("audit"),
                "--audit_ttl_days": str(audit_ttl_days),
                "--contracts": bundle,
                "--control_table": tables.name("control"),
                **({"--database_prefix": names.database_prefix} if names.database_prefix else {}),
                "--env": names.env,
                **{f"--{zone}_bucket": lake.bucket_name(zone) for zone in ("raw", *ZONES, "logs")},
                "--seconds": str(timeout_minutes * 60),
            },
            glue_version=glue_version,
            size=size,
            timeout_minutes=timeout_minutes,
        )
        role = self.job.role
        code.grants.read(role, [bundle])
        for zone in ZONES:
            DomainGrants(lake, zone=zone, domain=domain, database=names.database(zone, domain)).erase(role)
        if any(contract.database is None for contract in contracts.values()):
            lake.grants.delete_versions(role, "raw", prefix=f"{domain}/")
        for pipeline in ingests:
            lake.grants.delete_versions(role, "logs", prefix=staging_of(pipeline))
        lake.grants.read(role, "logs", prefix=requests_of(domain))
        lake.grants.delete_versions(role, "logs", prefix=requests_of(domain))
        lake.grants.put(role, "logs", prefix=reports_of(domain))
        tables.grants.use(role, "audit", actions=("GetItem", "PutItem", "UpdateItem"))
        tables.grants.use(role, "control", actions=("DeleteItem", "PutItem", "Query"), partitions=(PARTITION,))
        tables.grants.use(role, "control", actions=("GetItem",))
        self.grants = EraserGrants(names, lake, domain=domain)


class EraserGrants:
    """Permissions on the job that erases rows of a domain, wherever it was made."""

    def __init__(self, names: Names, lake: LakeBuckets, *, domain: str) -> None:
        """
        Args:
            names: Names of the environment.
            lake: Buckets of the lake.
            domain: Domain of data.
        """
        self._names = names
        self._lake = lake
        self._domain = domain

    def ask(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it ask for erasures and read what became of them; it deletes nothing itself, and cannot read a request, its own or another's."""
        self._lake.grants.put(grantee, "logs", prefix=requests_of(self._domain))
        self._lake.grants.read(grantee, "logs", prefix=reports_of(self._domain))
        return allow(grantee, actions=["glue:GetJobRun", "glue:StartJobRun"], resources=[job_arn(self._names.eraser(self._domain))])


def _bundle(contracts: Mapping[str, CompiledContract]) -> str:
    documents = {name: contract.to_dict() for name, contract in contracts.items()}
    return json.dumps({"contracts": documents}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
