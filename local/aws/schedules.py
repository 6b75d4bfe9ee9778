"""EventBridge Scheduler: schedules are checked as AWS checks them and fire in their own time zone; MiniStack fires all of them in UTC.

A schedule fires within a second of its time while the platform runs. Times at which it does not run are left out, but for the latest one if
the machine only slept. A delivery that is denied goes to the dead letters at once: nobody waits for a day of retries. Flexible time windows
and universal targets are refused.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lakehouse.schedules import InvalidScheduleError, check_schedule, check_time_zone
from local.aws import deliveries, guard, key_use, seam

TYPE = "AWS::Scheduler::Schedule"
TICK_SECONDS = 1

_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_ROLE = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."

_arn = seam.module("core.arn")
_events = seam.module("services.eventbridge")
_provisioners = seam.module("services.cloudformation.provisioners")
_responses = seam.module("core.responses")
_scheduler = seam.module("services.scheduler")

_accounted: dict[Any, datetime] = {}
"""Moment up to which each schedule's times have been dealt with; not kept over a restart."""

_turn = threading.Lock()

_others: list[Callable[[datetime], None]] = []
"""What else fires by the clock, such as Redshift's own scheduler."""


def register() -> None:
    """Check schedules as they are made, and fire them."""
    seam.replace("services.scheduler._tick_schedules", tick)
    seam.replace("services.scheduler._create_schedule", _create_schedule)
    seam.replace("services.scheduler._update_schedule", _update_schedule)
    for name in ("_cron_next_fire", "_parse_cron_fields", "_parse_rate_seconds"):
        seam.original(f"services.eventbridge.{name}")
    _scheduler._SCHEDULE_TICK_INTERVAL = TICK_SECONDS
    _provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}
    _provisioners._REPLACING_PROPERTIES[TYPE] = ("Name",)


def tick() -> None:
    """Fire every schedule whose time has come."""
    now = datetime.now(UTC)
    with _turn:
        for place, schedule in list(_scheduler._schedules._data.items()):
            after = _accounted.setdefault(place, now)
            due = None
            while (following := next_time(schedule, after=due or after)) is not None and following <= now:
                due = following
            if due is None:
                continue
            _accounted[place] = due
            if schedule.get("State") == "ENABLED":
                account, region, _ = place
                with _responses.request_scope(account, region):
                    _fire(schedule, due)
                if schedule["ScheduleExpression"].startswith("at(") and schedule.get("ActionAfterCompletion") == "DELETE":
                    _scheduler._schedules._data.pop(place, None)
        for fire in _others:
            fire(now)


def fire_also(fire: Callable[[datetime], None]) -> None:
    """Have something else called at every tick, with the moment."""
    _others.append(fire)


def next_time(schedule: dict[str, Any], *, after: datetime) -> datetime | None:
    """First time of a schedule after a moment, in UTC; None if there is none.

    As clocks change, a time that does not exist is left out, and of one that comes twice the first counts.
    """
    start, end = _moment(schedule.get("StartDate")), _moment(schedule.get("EndDate"))
    if start is not None and start > after:
        after = start - timedelta(seconds=1)
    expression, zone = schedule["ScheduleExpression"], ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
    seconds, once = _events._parse_rate_seconds(expression), _AT.fullmatch(expression)
    if once is not None:
        found = datetime.fromisoformat(once[1]).replace(tzinfo=zone).astimezone(UTC)
        found = found if found > after else None
    elif seconds is not None:
        anchor = start or _moment(schedule["CreationDate"]) or after
        found = anchor + timedelta(seconds=seconds * (math.floor((after - anchor).total_seconds() / seconds) + 1))
    else:
        found = _next_cron(expression, zone, after)
    return None if found is None or (end is not None and found > end) else found


def _next_cron(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    fields = _events._parse_cron_fields(expression)
    wall = after.astimezone(zone).replace(tzinfo=None)
    while fields is not None:
        following = _events._cron_next_fire(fields, wall)
        if following is None:
            return None
        wall = following.replace(tzinfo=None)
        moment = wall.replace(tzinfo=zone).astimezone(UTC)
        if moment > after and moment.astimezone(zone).replace(tzinfo=None) == wall:
            return moment
    return None


def _moment(value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    found = datetime.fromisoformat(str(value))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _fire(schedule: dict[str, Any], due: datetime) -> None:
    target = dict(schedule["Target"])
    if "Input" in target:
        told = {
            "schedule-arn": schedule["Arn"], "scheduled-time": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "execution-id": _responses.new_uuid().replace("-", "")[:16], "attempt-number": "1",
        }  # fmt: skip
        target["Input"] = re.sub(r"<aws\.scheduler\.([a-z-]+)>", lambda found: told.get(found[1], found[0]), target["Input"])
    event = {
        "EventId": _responses.new_uuid(), "Source": "aws.scheduler", "DetailType": "Scheduled Event", "Detail": "{}", "Time": time.time(),
        "Resources": [schedule["Arn"]], "Account": _responses.get_account_id(), "Region": _responses.get_region(),
    }  # fmt: skip
    try:
        _events._invoke_target(target, event, schedule)
    except Exception:
        _scheduler.logger.exception("%s was not delivered", schedule["Arn"])


# ---- what AWS refuses ------------------------------------------------------------------------------------------------


def _create_schedule(name: str, body: dict[str, Any]) -> Any:
    return _refused(body) or seam.original("services.scheduler._create_schedule")(name, body)


def _update_schedule(name: str, body: dict[str, Any]) -> Any:
    return _refused(body) or seam.original("services.scheduler._update_schedule")(name, body)


def _refused(body: dict[str, Any]) -> Any:
    problem = _problem(body)
    return None if problem is None else _scheduler._error(400, "ValidationException", problem)


def _problem(body: dict[str, Any]) -> str | None:
    expression, zone = str(body.get("ScheduleExpression", "")), str(body.get("ScheduleExpressionTimezone") or "UTC")
    try:
        if not _AT.fullmatch(expression):
            check_schedule(expression)
    except InvalidScheduleError:
        return f"Invalid Schedule Expression {expression}."
    try:
        check_time_zone(zone)
    except InvalidScheduleError:
        return f"Invalid Schedule Expression Timezone {zone}."
    if (body.get("FlexibleTimeWindow") or {}).get("Mode") not in (None, "OFF"):
        return "flexible time windows are not implemented on the laptop platform: write Mode OFF"
    target = body.get("Target") or {}
    arn, role_arn = str(target.get("Arn", "")), str(target.get("RoleArn", ""))
    if arn and _service(arn) not in deliveries.ACTIONS:
        return (
            f"targets of {_service(arn)} are not implemented on the laptop platform; implemented: {', '.join(sorted(deliveries.ACTIONS))}"
        )
    role = guard.role_record(role_arn)
    group = deliveries.schedule_group_arn(str(body.get("GroupName") or "default"))
    if role_arn and (role is None or not guard.trusts(role, "scheduler.amazonaws.com", source_arn=group)):
        return _ROLE
    key = str(body.get("KmsKeyArn") or "")
    if key and not key_use.is_usable(key):
        return f"KMS key {key} does not exist or is not enabled."
    return None


def _service(arn: str) -> str:
    try:
        return str(_arn.parse_arn(arn).service)
    except ValueError:
        return arn


# ---- CloudFormation --------------------------------------------------------------------------------------------------


def _create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    name = props.get("Name") or _provisioners._physical_name(stack_name, logical_id, max_len=64)
    return _put(_scheduler._create_schedule, name, props)


def _update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *_: str) -> tuple[str, dict[str, Any]]:
    del old
    return _put(_scheduler._update_schedule, physical_id, new)


def _put(call: Any, name: str, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    status, _, body = call(name, {key: value for key, value in props.items() if key != "Name"})
    if status != 200:
        raise ValueError(json.loads(body).get("Message") or json.loads(body).get("message") or body.decode())
    return name, {"Arn": json.loads(body)["ScheduleArn"]}


def _delete(physical_id: str, props: dict[str, Any]) -> None:
    _scheduler._schedules.pop(f"{props.get('GroupName') or 'default'}/{physical_id}", None)
