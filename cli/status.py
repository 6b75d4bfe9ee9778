"""`lake status`: what is deployed, what waits, what ran, what is alarmed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

from cli.queues import queues
from cli.results import Alarm, Stack, Status, Table
from cli.session import LOCAL, Session, load_config, open_session
from lakehouse.audit_records import STATUSES
from lakehouse.clock import to_text, utc_now
from lakehouse.naming import TABLE_ZONES

RUN_DAYS = 7
"""Runs that began in so many days are counted."""


def status(root: Path, *, env: str) -> Status:
    """State of an environment; for the laptop also whether its platform runs.

    Raises:
        WrongUseError: There is no such environment.
    """
    load_config(root, env)
    if env == LOCAL:
        from local.platform import Platform

        if not Platform(root).status().is_running:
            return Status(env=env, platform="stopped", endpoint=None, deployed=False, stacks=[], queues=[], runs={}, alarms=[], tables=[])
    return status_of(open_session(env))


def status_of(session: Session) -> Status:
    """State of an environment that can be reached."""
    found = stacks(session)
    # A stack that was rolled back to its former state still stands; one whose creation was rolled back does not.
    deployed = all(stack.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"} for stack in found)
    since = to_text(utc_now() - timedelta(days=RUN_DAYS))
    counted = Counter(run.status for run in session.audit.runs(since=since, limit=None)) if deployed else Counter[str]()
    return Status(
        env=session.env,
        platform="running" if session.env == LOCAL else "aws",
        endpoint=session.access.endpoint,
        deployed=deployed,
        stacks=found,
        queues=list(queues(session)) if deployed else [],
        runs={name: counted[name] for name in STATUSES},
        alarms=alarms(session),
        tables=tables(session),
    )


def stacks(session: Session) -> list[Stack]:
    """Stacks of the environment that exist; they are asked for by name, so that the operator needs no right to list all of an account."""
    client = session.client("cloudformation")
    found: list[Stack] = []
    for name in stack_names(session):
        try:
            description = client.describe_stacks(StackName=name)["Stacks"][0]
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            found.append(Stack(name=name, status="MISSING"))
            continue
        found.append(Stack(name=name, status=description["StackStatus"]))
    return found


def stack_names(session: Session) -> list[str]:
    """Stacks that the environment is made of, in the order of how seldom they change."""
    groups = {pipeline.domain for pipeline in session.pipelines if pipeline.rows is not None}
    catalogs = {f"catalog-{domain}" for domain in {contract.domain for contract in session.contracts.values()} | groups}
    pipelines = {f"pipelines-{pipeline.domain}" for pipeline in session.pipelines}
    config = session.config
    tiers = (
        "foundation",
        "network",
        *(["sources"] if config.databases else []),
        *sorted(catalogs),
        "compute",
        *(["warehouse"] if config.warehouse.kind != "none" else []),
        "operations",
        *sorted(pipelines),
    )
    return [f"{session.names.prefix}-{tier.replace('_', '-')}" for tier in tiers]


def alarms(session: Session) -> list[Alarm]:
    """Alarms of the environment, by the prefix of its names."""
    pages = session.client("cloudwatch").get_paginator("describe_alarms")
    return [
        Alarm(name=alarm["AlarmName"], state=alarm["StateValue"], reason=alarm.get("StateReason", ""))
        for page in pages.paginate(AlarmNamePrefix=f"{session.names.prefix}-", AlarmTypes=["MetricAlarm"])
        for alarm in page["MetricAlarms"]
    ]


def tables(session: Session) -> list[Table]:
    """Tables of the lake that exist, by zone."""
    from lakehouse.contracts.tables import tables_of

    glue = session.client("glue")
    definitions = [definition for contract in session.contracts.values() for definition in tables_of(contract)]
    found: list[Table] = []
    for definition in sorted(definitions, key=lambda table: (TABLE_ZONES.index(table.zone), table.domain, table.name)):
        database = session.names.database(definition.zone, definition.domain)
        try:
            table = glue.get_table(DatabaseName=database, Name=definition.name)["Table"]
        except glue.exceptions.EntityNotFoundException:
            continue
        updated = table.get("UpdateTime")
        found.append(
            Table(zone=definition.zone, database=database, name=definition.name, updated_at=None if updated is None else to_text(updated))
        )
    return found
