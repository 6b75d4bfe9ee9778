"""What belongs to provisioned Redshift clusters in time and money: scheduled actions, which really run, and usage limits, which nothing here reaches."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lakehouse.schedules import InvalidScheduleError, check_schedule
from local.aws import guard, redshift_cluster, schedules, seam
from local.aws.modelled_service import Answer, Call, Operation, ServiceError, invoke, no_resource, paginated, store
from local.aws.redshift_groups import arn, invalid, parameter_groups, subnet_groups

log = logging.getLogger("lake.redshift")

SCHEDULER = "scheduler.redshift.amazonaws.com"
"""Service as which Redshift's scheduler assumes the role of an action."""

ACTIONS, LIMITS = store(), store()

MOST_LIMITS = 4
"""Usage limits of a feature that a cluster may have."""

_KINDS = {
    "concurrency-scaling": "time", "cross-region-datasharing": "data-scanned", "extra-compute-for-automatic-optimization": "time",
    "spectrum": "data-scanned",
}  # fmt: skip
"""What a limit of each feature counts."""

_SHOWN = ("StartTime", "EndTime", "ScheduledActionDescription")

_accounted: dict[Any, datetime] = {}
"""Moment up to which each action's times have been dealt with; not kept over a restart."""

_responses = seam.module("core.responses")


# ---- scheduled actions -------------------------------------------------------------------------------------------------


def _create_action(call: Call) -> Answer:
    given, name = call.params, str(call.params["ScheduledActionName"]).lower()
    if name in ACTIONS:
        raise ServiceError("ScheduledActionAlreadyExists", f"The scheduled action {name} already exists.")
    return _put(call, {**given, "ScheduledActionName": name, "State": "DISABLED" if given.get("Enable") is False else "ACTIVE"})


def _modify_action(call: Call) -> Answer:
    record = _action(call)
    given = {key: value for key, value in call.params.items() if value is not None}
    state = {"State": "ACTIVE" if given["Enable"] else "DISABLED"} if "Enable" in given else {}
    return _put(call, {**record, **given, **state, "ScheduledActionName": record["ScheduledActionName"]})


def _put(call: Call, record: dict[str, Any]) -> Answer:
    expression, role = str(record["Schedule"]), str(record["IamRole"])
    try:
        if expression.startswith("rate("):
            raise InvalidScheduleError("a schedule is at() or cron()", "Redshift's scheduler takes no rate()")
        if not expression.startswith("at("):
            check_schedule(expression)
    except InvalidScheduleError as error:
        raise ServiceError("InvalidSchedule", f"The schedule {expression} is not valid: {error}") from error
    target = record["TargetAction"]
    if len(target) != 1:
        raise ServiceError("ScheduledActionTypeUnsupported", "TargetAction is one of PauseCluster, ResumeCluster and ResizeCluster")
    found = guard.role_record(role)
    if found is None or not guard.trusts(found, SCHEDULER):
        raise ServiceError("UnauthorizedOperation", f"The role {role} must let {SCHEDULER} assume it.")
    call.require("iam:PassRole", role, context={"iam:PassedToService": SCHEDULER})
    kept = {
        name: record[name] for name in ("ScheduledActionName", "TargetAction", "Schedule", "IamRole", "State", *_SHOWN) if record.get(name)
    }
    ACTIONS[record["ScheduledActionName"]] = kept
    _accounted.pop((call.account, call.region, record["ScheduledActionName"]), None)
    return _shown(kept)


def _describe_actions(call: Call) -> Answer:
    name, kind = call.params.get("ScheduledActionName"), call.params.get("TargetActionType")
    found = [_action(call)] if name else list(ACTIONS.values())
    active = call.params.get("Active")
    return paginated(call, [
        _shown(record) for record in found
        if kind in {None, *record["TargetAction"]} and (active is None or active == (record["State"] == "ACTIVE"))
    ])  # fmt: skip


def _delete_action(call: Call) -> Answer:
    del ACTIONS[_action(call)["ScheduledActionName"]]
    return None


def _action(call: Call) -> dict[str, Any]:
    name = str(call.params["ScheduledActionName"]).lower()
    if name not in ACTIONS:
        raise ServiceError("ScheduledActionNotFound", f"The scheduled action {name} does not exist.")
    return dict(ACTIONS[name])


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    following = _next(record, after=datetime.now(UTC))
    return {**record, "NextInvocations": [following] if following and record["State"] == "ACTIVE" else []}


def _next(record: Mapping[str, Any], *, after: datetime) -> datetime | None:
    """First time of an action after a moment; Redshift's schedules are in UTC."""
    timing = {
        "ScheduleExpression": record["Schedule"], "ScheduleExpressionTimezone": "UTC", "StartDate": record.get("StartTime"),
        "EndDate": record.get("EndTime"), "CreationDate": after.timestamp(),
    }  # fmt: skip
    return schedules.next_time(timing, after=after)


def tick(now: datetime) -> None:
    """Run every action whose time has come, with its role."""
    for place, record in list(ACTIONS._data.items()):
        after = _accounted.setdefault(place, now)
        due = _next(record, after=after)
        if due is None or due > now:
            continue
        _accounted[place] = now
        if record["State"] == "ACTIVE":
            with _responses.request_scope(place[0], place[1]):
                _run(record)


def _run(record: Mapping[str, Any]) -> None:
    ((operation, params),) = record["TargetAction"].items()
    try:
        key = guard.role_session(record["IamRole"], SCHEDULER, "RedshiftScheduledAction")
        invoke("redshift", operation, dict(params), key=key)
    except (guard.Denied, ServiceError) as error:
        log.warning("the scheduled action %s did not run: %s", record["ScheduledActionName"], error)


# ---- usage limits ------------------------------------------------------------------------------------------------------


def _create_limit(call: Call) -> Answer:
    given = call.params
    cluster = redshift_cluster.cluster(given["ClusterIdentifier"])["ClusterIdentifier"]
    feature, period = given["FeatureType"], given.get("Period") or "monthly"
    if given["LimitType"] != _KINDS[feature]:
        raise ServiceError("InvalidUsageLimit", f"A limit of {feature} is one of {_KINDS[feature]}, got {given['LimitType']}")
    if given["Amount"] <= 0:
        raise ServiceError("InvalidUsageLimit", f"Amount is a positive number, got {given['Amount']}")
    others = [limit for limit in LIMITS.values() if (limit["ClusterIdentifier"], limit["FeatureType"]) == (cluster, feature)]
    action = given.get("BreachAction") or "log"
    if any((limit["Period"], limit["BreachAction"]) == (period, action) for limit in others):
        raise ServiceError("UsageLimitAlreadyExists", f"The cluster {cluster} has a {period} limit of {feature} with {action} already.")
    if len(others) >= MOST_LIMITS:
        raise ServiceError("LimitExceededFault", f"The cluster {cluster} has {MOST_LIMITS} limits of {feature} already.")
    limit_id = str(uuid.uuid4())
    LIMITS[limit_id] = {
        "UsageLimitId": limit_id, "ClusterIdentifier": cluster, "FeatureType": feature, "LimitType": given["LimitType"],
        "Amount": given["Amount"], "Period": period, "BreachAction": action, "Tags": call.tags,
    }  # fmt: skip
    return LIMITS[limit_id]


def _modify_limit(call: Call) -> Answer:
    record = _limit(call)
    changed = {**record, **{name: call.params[name] for name in ("Amount", "BreachAction") if call.params.get(name) is not None}}
    if changed["Amount"] <= 0:
        raise ServiceError("InvalidUsageLimit", f"Amount is a positive number, got {changed['Amount']}")
    LIMITS[record["UsageLimitId"]] = changed
    return changed


def _describe_limits(call: Call) -> Answer:
    given = call.params
    found = [_limit(call)] if given.get("UsageLimitId") else list(LIMITS.values())
    return paginated(call, [
        limit for limit in found if all(given.get(name) in {None, limit[name]} for name in ("ClusterIdentifier", "FeatureType"))
    ])  # fmt: skip


def _delete_limit(call: Call) -> Answer:
    del LIMITS[_limit(call)["UsageLimitId"]]
    return None


def _limit(call: Call) -> dict[str, Any]:
    limit_id = str(call.params["UsageLimitId"])
    if limit_id not in LIMITS:
        raise ServiceError("UsageLimitNotFound", f"Usage limit {limit_id} not found.")
    return dict(LIMITS[limit_id])


def _limit_arn(call: Call) -> str:
    return arn(call, "usagelimit", str(call.params.get("UsageLimitId") or "*"))


# ---- tags of all that Redshift has -------------------------------------------------------------------------------------


def _create_tags(call: Call) -> Answer:
    new = {tag["Key"]: tag.get("Value", "") for tag in call.params["Tags"]}
    return _retag(call, lambda tags: {**tags, **new})


def _delete_tags(call: Call) -> Answer:
    gone = set(call.params["TagKeys"])
    return _retag(call, lambda tags: {key: value for key, value in tags.items() if key not in gone})


def _retag(call: Call, change: Any) -> Answer:
    where, name, field = _tagged(call)
    tags = {tag["Key"]: tag["Value"] for tag in where[name][field]}
    where[name] = {**where[name], field: [{"Key": key, "Value": value} for key, value in change(tags).items()]}
    return None


def _describe_tags(call: Call) -> Answer:
    if not call.params.get("ResourceName"):
        raise invalid("The laptop platform tells the tags of one resource: give ResourceName")
    where, name, field = _tagged(call)
    kind = call.params["ResourceName"].split(":")[5]
    shown = [{"Tag": tag, "ResourceName": call.params["ResourceName"], "ResourceType": kind} for tag in where[name][field]]
    return paginated(call, shown)


def _tagged(call: Call) -> tuple[Any, str, str]:
    """Store, name and field of what an ARN names.

    Raises:
        ServiceError: There is no such resource.
    """
    stores: Mapping[str, tuple[Any, str]] = {
        "cluster": (redshift_cluster.CLUSTERS, "_tags"), "subnetgroup": (subnet_groups, "Tags"), "parametergroup": (parameter_groups, "Tags"),
        "usagelimit": (LIMITS, "Tags"),
    }  # fmt: skip
    parts = str(call.params["ResourceName"]).split(":", 6)
    where, field = stores.get(parts[5], ({}, "")) if len(parts) == 7 else ({}, "")
    if len(parts) != 7 or parts[6] not in where:
        raise ServiceError("ResourceNotFoundFault", f"There is no {call.params['ResourceName']}.")
    return where, parts[6], field


def _given_arn(call: Call) -> str:
    return str(call.params.get("ResourceName") or "*")


OPERATIONS = {
    "CreateScheduledAction": Operation(_create_action, on=no_resource),
    "ModifyScheduledAction": Operation(_modify_action, on=no_resource),
    "DescribeScheduledActions": Operation(_describe_actions, on=no_resource),
    "DeleteScheduledAction": Operation(_delete_action, on=no_resource),
    "CreateUsageLimit": Operation(_create_limit, on=_limit_arn),
    "ModifyUsageLimit": Operation(_modify_limit, on=_limit_arn),
    "DescribeUsageLimits": Operation(_describe_limits, on=_limit_arn),
    "DeleteUsageLimit": Operation(_delete_limit, on=_limit_arn),
    "CreateTags": Operation(_create_tags, on=_given_arn),
    "DeleteTags": Operation(_delete_tags, on=_given_arn),
    "DescribeTags": Operation(_describe_tags, on=_given_arn),
}
"""Operations of this module."""
