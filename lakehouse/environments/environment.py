"""One environment, whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lakehouse.environments.sections import (
    Alerts,
    Arrivals,
    Athena,
    Audit,
    Database,
    Emr,
    EmrServerless,
    Glue,
    Lifecycle,
    Network,
    Prices,
    Schedules,
    Section,
    Warehouse,
)
from lakehouse.naming import DATABASE_PREFIX, MAX_PREFIX, METRICS_NAMESPACE, PREFIX, PROJECT, Names

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Retention periods that CloudWatch Logs offers."""


class Environment(Section):
    """One environment: what differs from the others."""

    env: str = Field(description="Name of the environment; it is the name of its file and is not written into it.")
    project: str = Field(pattern=PROJECT, description="Name of the project, first part of parameter paths and log groups.")
    name_prefix: str = Field(
        default="",
        pattern=PREFIX,
        max_length=MAX_PREFIX,
        description="First part of every physical name; `<project>-<env>` if left out.",
    )
    database_prefix: str = Field(
        default="",
        pattern=DATABASE_PREFIX,
        description="Put before every catalog database, for environments that share an account and region.",
    )
    account: str | None = Field(
        default=None, pattern=r"^[0-9]{12}$", description="AWS account id; if left out, that of the credentials at deployment."
    )
    region: str | None = Field(
        default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="AWS region; if left out, that of the credentials at deployment."
    )
    removal: Literal["retain", "destroy"] = Field(
        default="retain", description="What happens to data when its stack goes; destroying also needs the context flag."
    )
    termination_protection: bool = Field(default=False, description="Whether CloudFormation refuses to delete the stacks.")
    permissions_boundary: str | None = Field(default=None, min_length=1, description="Name of the managed policy that bounds every role.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of every resource, beside project and environment.")
    log_retention_days: int = Field(default=90, description="Age at which log events are deleted; one of the periods of CloudWatch Logs.")
    alerts: Alerts = Field(default_factory=Alerts)
    arrivals: Arrivals = Field(default_factory=Arrivals)
    schedules: Schedules = Field(default_factory=Schedules)
    glue: Glue = Field(default_factory=Glue)
    emr_serverless: EmrServerless = Field(default_factory=EmrServerless)
    emr: Emr = Field(default_factory=Emr)
    athena: Athena = Field(default_factory=Athena)
    warehouse: Warehouse = Field(default_factory=Warehouse)
    lifecycle: Lifecycle = Field(default_factory=Lifecycle)
    prices: Prices = Field(default_factory=Prices)
    databases: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,23}$")], Database] = Field(
        default_factory=dict[str, Database], description="Relational databases that are read, by the name of their connection."
    )
    audit: Audit = Field(default_factory=Audit)
    network: Network = Field(default_factory=Network)

    @field_validator("databases", mode="before")
    @classmethod
    def _without_those_taken_away(cls, value: Any) -> Any:
        """An environment takes a database of base.yaml away by `shop: null`."""
        return {name: database for name, database in value.items() if database is not None} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _retention_exists(self) -> Environment:
        if self.log_retention_days not in LOG_RETENTION_DAYS:
            raise ValueError(f"log_retention_days must be one of {', '.join(map(str, LOG_RETENTION_DAYS))}, got {self.log_retention_days}")
        if self.removal == "destroy" and self.termination_protection:
            raise ValueError("removal: destroy and termination_protection: true contradict each other: keep one")
        return self

    @property
    def metrics_namespace(self) -> str:
        """CloudWatch namespace of every metric."""
        return METRICS_NAMESPACE

    def names(self, *, account: str | None = None, region: str | None = None) -> Names:
        """Names of this environment.

        Args:
            account: Account id, or a CloudFormation token; the config's by default.
            region: Region, or a CloudFormation token; the config's by default.

        Raises:
            ValueError: Neither the call nor the config says it.
        """
        account, region = account or self.account, region or self.region
        if account is None or region is None:
            raise ValueError(
                f"the environment {self.env!r} has no account and region: pass them, or set account and region in config/{self.env}.yaml"
            )
        return Names(
            project=self.project,
            env=self.env,
            prefix=self.name_prefix,
            account=account,
            region=region,
            database_prefix=self.database_prefix,
        )
