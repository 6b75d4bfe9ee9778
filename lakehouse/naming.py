"""Names of everything that the platform creates or reads: the one place where a name is spelled."""

from __future__ import annotations

import re
from dataclasses import dataclass

EVENT_LOGS = "spark-events/"
"""Folder of the logs bucket that holds what Spark's UI shows of runs, a folder a job; a lifecycle rule of its own empties it."""

ZONES = ("raw", "bronze", "silver", "gold", "quarantine", "logs", "query-results")
"""Zones of the lake; each is a bucket."""

TABLE_ZONES = ("bronze", "silver", "gold", "quarantine")
"""Zones that hold Iceberg tables, and so are never archived or expired by lifecycle rules."""

RUN_TABLES = ("audit", "control", "watermarks", "lineage")
"""DynamoDB tables that hold the state of runs."""

CATALOG = "lake"
"""Name of the Iceberg catalog in every Spark session."""

VENDED_LOGS = "/aws/vendedlogs/states"
"""Where AWS wants the log groups that Step Functions delivers to."""

WAREHOUSE_DATABASE = "lakehouse"
"""Database of the warehouse."""

METRICS_NAMESPACE = "Lakehouse"
"""CloudWatch namespace of every metric that the platform emits."""

PROJECT = r"^[a-z][a-z0-9-]{0,19}$"
"""Pattern of a project's name."""

PREFIX = r"^[a-z][a-z0-9-]*[a-z0-9]$"
"""Pattern of a name prefix: what bucket names may hold, which are the strictest."""

MAX_PREFIX = 20
"""Longest name prefix: the longest bucket name, `<prefix>-query-results-<account>-ap-southeast-1`, then has 62 of the 63 characters allowed."""

DATABASE_PREFIX = r"^([a-z][a-z0-9_]*_)?$"
"""Pattern of what stands before every catalog database."""

_PART = re.compile(r"[a-z][a-z0-9_]*")
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
"""Partitions by the beginning of their regions' names; every other region is in the standard one."""


@dataclass(frozen=True, kw_only=True, order=True)
class DatasetName:
    """A dataset in a zone, written `<zone>.<domain>.<dataset>` in specs and `<zone>_<domain>.<dataset>` in SQL."""

    zone: str
    domain: str
    dataset: str

    @classmethod
    def parse(cls, text: str) -> DatasetName:
        """Read `silver.sales.orders`.

        Raises:
            ValueError: The text does not have three parts, a part is malformed or the zone holds no tables.
        """
        parts = text.split(".")
        if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts[1:]):
            raise ValueError(f"{text!r} is not a dataset name: write <zone>.<domain>.<dataset>, such as silver.sales.orders")
        if parts[0] not in TABLE_ZONES:
            raise ValueError(f"{text!r} names the zone {parts[0]!r}: tables live in {', '.join(TABLE_ZONES)}")
        return cls(zone=parts[0], domain=parts[1], dataset=parts[2])

    @property
    def contract_id(self) -> str:
        """Id of the contract that describes it, `<domain>.<dataset>`."""
        return f"{self.domain}.{self.dataset}"

    def database(self, prefix: str = "") -> str:
        """Catalog database that holds it."""
        return f"{prefix}{self.zone}_{self.domain}"

    def table(self, prefix: str = "") -> str:
        """Name in the catalog and in SQL, `<database>.<table>`."""
        return f"{self.database(prefix)}.{self.dataset}"

    def __str__(self) -> str:
        return f"{self.zone}.{self.domain}.{self.dataset}"


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names of one environment; whatever may be a CloudFormation token is not looked at.

    Attributes:
        project: Name of the project, first part of every parameter path.
        env: Environment, second part of every parameter path.
        prefix: First part of every physical name; `<project>-<env>` unless the config says otherwise.
        account: AWS account id.
        region: AWS region.
        database_prefix: Put before every catalog database, for environments that share an account and region.
    """

    project: str
    env: str
    prefix: str
    account: str
    region: str
    database_prefix: str = ""

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: A part would give a name that AWS refuses.
        """
        _check("project", self.project, PROJECT, "up to 20 lower-case letters, digits and hyphens, a letter first")
        _check("env", self.env, r"^[A-Za-z0-9_-]+$", "letters, digits, hyphens and underscores")
        _check(
            "prefix", self.prefix, PREFIX, "lower-case letters, digits and hyphens, a letter first and no hyphen last, as in bucket names"
        )
        _check("database_prefix", self.database_prefix, DATABASE_PREFIX, "lower-case letters, digits and underscores, an underscore last")
        if len(self.prefix) > MAX_PREFIX and not _is_token(self.prefix):
            raise ValueError(
                f"prefix must have at most {MAX_PREFIX} characters, or the names of buckets get too long, got {self.prefix!r} with {len(self.prefix)}"
            )

    def bucket(self, zone: str) -> str:
        """Bucket of a zone."""
        if zone not in ZONES:
            raise ValueError(f"there is no zone {zone!r}: the zones are {', '.join(ZONES)}")
        return f"{self.prefix}-{zone}-{self.account}-{self.region}"

    def run_table(self, kind: str) -> str:
        """DynamoDB table that holds one kind of run state."""
        if kind not in RUN_TABLES:
            raise ValueError(f"there is no run table {kind!r}: there are {', '.join(RUN_TABLES)}")
        return f"{self.prefix}-{kind}"

    def database(self, zone: str, domain: str) -> str:
        """Catalog database of a domain in a zone."""
        return f"{self.database_prefix}{zone}_{domain}"

    def parameter(self, component: str, key: str) -> str:
        """Path in Parameter Store; the environment is the second part, so that IAM can scope by it."""
        return f"/{self.project}/{self.env}/{component}/{key}"

    def state_machine(self, pipeline: str) -> str:
        """State machine of a pipeline."""
        return f"{self.prefix}-{pipeline}"

    def machine_role(self, pipeline: str) -> str:
        """Role of the state machine of a pipeline that a warehouse knows by name."""
        return f"{self.state_machine(pipeline)}-machine"

    def job(self, pipeline: str, step: str) -> str:
        """Job of a step of a pipeline."""
        return f"{self.prefix}-{pipeline}-{step}"

    def crawler(self, name: str) -> str:
        """Glue crawler."""
        return f"{self.prefix}-{name}"

    def crawled_database(self, name: str) -> str:
        """Catalog database that crawlers fill; no zone is called so, and no contract's table is in it."""
        return f"{self.database_prefix}crawled_{name}"

    def ruleset(self, contract_id: str) -> str:
        """Ruleset of Glue Data Quality that follows a contract."""
        return f"{self.prefix}-{contract_id.replace('.', '-')}"

    def eraser(self, domain: str) -> str:
        """Job that erases rows of a domain."""
        return f"{self.prefix}-erase-{domain}"

    def arrivals_queue(self, pipeline: str) -> str:
        """Queue that collects what starts a pipeline."""
        return f"{self.prefix}-arrivals-{pipeline}"

    def dead_letter_queue(self, pipeline: str) -> str:
        """Queue of arrivals that could not start their pipeline."""
        return f"{self.arrivals_queue(pipeline)}-dlq"

    def function(self, purpose: str) -> str:
        """Lambda function."""
        return f"{self.prefix}-{purpose}"

    def topic(self, severity: str) -> str:
        """SNS topic of alerts, `critical` or `warning`."""
        return f"{self.prefix}-{severity}"

    def log_group(self, kind: str, name: str) -> str:
        """Log group; kind is `jobs` or `functions`."""
        return f"/{self.project}/{self.env}/{kind}/{name}"

    def state_machine_log_group(self, pipeline: str) -> str:
        """Log group of the state machine of a pipeline.

        Step Functions lists the groups that it writes to in a policy of the account that holds 5120 characters, a few dozen groups; those under
        `/aws/vendedlogs/` need no entry.
        """
        return f"{VENDED_LOGS}{self.log_group('pipelines', pipeline)}"

    @staticmethod
    def raw_prefix(contract_id: str) -> str:
        """Folder of the raw bucket where files of a dataset land."""
        return contract_id.replace(".", "/") + "/"

    @property
    def emr_application(self) -> str:
        """EMR Serverless application of the environment."""
        return self.prefix

    @property
    def workgroup(self) -> str:
        """Athena workgroup."""
        return self.prefix

    @property
    def warehouse(self) -> str:
        """Namespace and workgroup of Redshift Serverless."""
        return self.prefix

    @property
    def operator_role(self) -> str:
        """Role that the command line acts as."""
        return f"{self.prefix}-operator"

    @property
    def operator_role_arn(self) -> str:
        """ARN of the operator's role, in the partition that the region is in."""
        partition = next((name for beginning, name in _PARTITIONS.items() if self.region.startswith(beginning)), "aws")
        return f"arn:{partition}:iam::{self.account}:role/{self.operator_role}"


def _check(name: str, value: str, pattern: str, allowed: str) -> None:
    if not re.fullmatch(pattern, value) and not _is_token(value):
        raise ValueError(f"{name} is made of {allowed}, got {value!r}")


def _is_token(value: str) -> bool:
    """Whether only the deployment knows it; this is how the CDK spells such a text."""
    return "${Token[" in value
