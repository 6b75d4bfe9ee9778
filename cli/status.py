"""`lake status`: what is deployed, what waits, what ran, what is alarmed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

from cli.queues import queues
from cli.results import Alarm, Stack, Status, Table
from cli.session import LOCAL, Session, load_config, open_session
from lakehouse.audit import STATUSES
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
    deployed = bool(found) and all(stack.status.endswith("_COMPLETE") and "ROLLBACK" not in stack.status for stack in found)
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
    """Stacks of the environment, by the tags that it gives all of them."""
    pages = session.client("cloudformation").get_paginator("describe_stacks").paginate()
    mine = {"project": session.names.project, "env": session.names.env}
    found = [
        stack
        for page in pages
        for stack in page["Stacks"]
        if mine.items() <= {tag["Key"].lower(): tag["Value"] for tag in stack.get("Tags", [])}.items()
    ]
    return sorted((Stack(name=stack["StackName"], status=stack["StackStatus"]) for stack in found), key=lambda stack: stack.name)


def alarms(session: Session) -> list[Alarm]:
    """Alarms of the environment, by the prefix of its names."""
    pages = (
        session.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=f"{session.names.prefix}-", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    )
    return [
        Alarm(name=alarm["AlarmName"], state=alarm["StateValue"], reason=alarm.get("StateReason", ""))
        for page in pages
        for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", []))
    ]


def tables(session: Session) -> list[Table]:
    """Tables of the lake, by zone, in the databases of the project's contracts."""
    glue = session.client("glue")
    found: list[Table] = []
    for zone in TABLE_ZONES:
        for domain in sorted({contract.domain for contract in session.contracts.values()}):
            database = session.names.database(zone, domain)
            try:
                pages = list(glue.get_paginator("get_tables").paginate(DatabaseName=database))
            except glue.exceptions.EntityNotFoundException:
                continue
            for table in (table for page in pages for table in page["TableList"]):
                updated = table.get("UpdateTime")
                found.append(
                    Table(zone=zone, database=database, name=table["Name"], updated_at=None if updated is None else to_text(updated))
                )
    return found
