"""Alarms: evaluated by dimensions, periods, datapoints, missing data and metric math, every few seconds, and sent only where they may be."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.aws import guard, message_keys, metric_math, metrics, seam

TICK_SECONDS = 5.0
"""How often alarms are looked at; AWS does each minute."""

PRINCIPAL = "cloudwatch.amazonaws.com"

_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": lambda value, limit: value >= limit,
    "GreaterThanThreshold": lambda value, limit: value > limit,
    "LessThanThreshold": lambda value, limit: value < limit,
    "LessThanOrEqualToThreshold": lambda value, limit: value <= limit,
}

_cloudwatch = seam.module("services.cloudwatch")
_provisioners = seam.module("services.cloudformation.provisioners")
_responses = seam.module("core.responses")
_sns = seam.module("services.sns")

_clock = threading.Lock()
_running = threading.Event()


def register() -> None:
    """Evaluate here instead of in MiniStack, which mixes all dimensions and never goes back for lack of data."""
    seam.replace("services.cloudwatch._evaluate_alarm", evaluate)
    seam.replace("services.cloudwatch._dispatch_alarm_actions", _dispatch_alarm_actions)
    seam.replace("services.cloudwatch._describe_alarms", _describe_alarms)
    seam.replace("services.cloudwatch._put_metric_alarm", _put_metric_alarm)
    seam.replace("services.cloudformation.provisioners._cw_metric_alarm_record", _metric_alarm_record)
    seam.original("services.cloudwatch._evaluate_parent_alarms")
    seam.original("services.cloudwatch._record_history")


def start() -> None:
    """Look at all alarms for ever, in a thread of its own."""
    if not _running.is_set():
        _running.set()
        threading.Thread(target=_tick, name="lake-alarms", daemon=True).start()


def look() -> None:
    """Sample and evaluate everything now."""
    with _clock:
        places = metrics.places()
        if not places:
            return
        metrics.sample()
        for account, region in places:
            with _responses.request_scope(account, region):
                for alarm in list(_cloudwatch._alarms.values()):
                    evaluate(alarm)


def evaluate(alarm: dict[str, Any]) -> None:
    """Bring one alarm to the state that its data say, and tell whom it tells."""
    state, reason = _judged(alarm)
    before = alarm["StateValue"]
    if state == before:
        return
    alarm["StateValue"], alarm["StateReason"], alarm["StateUpdatedTimestamp"] = state, reason, int(time.time())
    _cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
    _cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
    _cloudwatch._evaluate_parent_alarms(alarm)


# ---- judgement ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Series:
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str
    unit: str | None = None


def _judged(alarm: dict[str, Any]) -> tuple[str, str]:
    """State of an alarm and the reason."""
    missing = alarm.get("TreatMissingData") or "missing"
    periods, threshold = int(alarm.get("EvaluationPeriods", 1)), float(alarm.get("Threshold") or 0)
    needed = int(alarm.get("DatapointsToAlarm") or periods)
    compare = _COMPARISONS[alarm["ComparisonOperator"]]
    values = _datapoints(alarm, periods)
    present = [value for value in values if value is not None]
    if not present and missing == "missing":
        return "INSUFFICIENT_DATA", f"Insufficient Data: {periods} datapoints were unknown."
    if not present and missing == "ignore":
        return alarm["StateValue"], alarm.get("StateReason", "")
    breaching = [compare(value, threshold) for value in present] + [missing == "breaching"] * (len(values) - len(present))
    if missing in {"missing", "ignore"}:
        breaching = breaching[: len(present)]
    if sum(breaching) >= min(needed, len(breaching) or needed):
        word = ", ".join(f"{value}" for value in present) or "no datapoints were received and missing data is treated as breaching"
        return (
            "ALARM",
            f"Threshold Crossed: {sum(breaching)} out of the last {periods} datapoints [{word}] was {alarm['ComparisonOperator']} ({threshold}).",
        )
    return (
        "OK",
        f"Threshold Crossed: fewer than {needed} of the last {periods} datapoints were {alarm['ComparisonOperator']} ({threshold}).",
    )


def _datapoints(alarm: dict[str, Any], periods: int) -> list[float | None]:
    """Values of the last periods, the newest first; the running period counts, so that a laptop need not wait for its end."""
    now = time.time()
    queries = alarm.get("Metrics")
    if not queries:
        period = int(alarm.get("Period") or 60)
        series = _Series(
            namespace=alarm.get("Namespace", ""), name=alarm.get("MetricName", ""), dimensions=_dimensions(alarm.get("Dimensions")),
            statistic=alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average", unit=alarm.get("Unit"),
        )  # fmt: skip
        return [_value(series, now - period * (number + 1), now - period * number) for number in range(periods)]
    period = max((int((query.get("MetricStat") or {}).get("Period") or query.get("Period") or 60) for query in queries), default=60)
    return [_math(queries, now - period * (number + 1), now - period * number) for number in range(periods)]


def _math(queries: list[dict[str, Any]], since: float, until: float) -> float | None:
    values: dict[str, float | None] = {}
    for query in (query for query in queries if query.get("MetricStat")):
        stat = query["MetricStat"]
        metric = stat["Metric"]
        series = _Series(
            namespace=metric.get("Namespace", ""), name=metric.get("MetricName", ""), dimensions=_dimensions(metric.get("Dimensions")),
            statistic=stat.get("Stat", "Average"), unit=stat.get("Unit"),
        )  # fmt: skip
        values[query["Id"]] = _value(series, since, until)
    waiting = [query for query in queries if query.get("Expression")]
    while waiting:
        ready = [query for query in waiting if not _names_any(query["Expression"], {other["Id"] for other in waiting})]
        if not ready:
            raise metric_math.UnknownMath("the alarm's expressions name each other in a circle")
        for query in ready:
            values[query["Id"]] = metric_math.evaluate(query["Expression"], values)
            waiting.remove(query)
    watched = next((query["Id"] for query in queries if query.get("ReturnData", True) not in {False, "false"}), None)
    return values.get(watched) if watched else None


def _names_any(expression: str, ids: set[str]) -> bool:
    return bool(set(re.findall(r"\w+", expression)) & ids)


def _value(series: _Series, since: float, until: float) -> float | None:
    """One statistic of one metric in a span of time; a metric is its namespace, its name and its exact dimensions."""
    points = [
        point
        for (namespace, name, _), found in list(_cloudwatch._metrics.items())
        if namespace == series.namespace and name == series.name
        for point in found
        if since <= point["Timestamp"] < until
        and dict(point.get("Dimensions") or {}) == dict(series.dimensions)
        and (series.unit is None or point.get("Unit") == series.unit)
    ]
    return _cloudwatch._stat_value(_cloudwatch._calc_stats(points), series.statistic, points) if points else None


def _dimensions(given: Any) -> dict[str, str]:
    return dict(given) if isinstance(given, Mapping) else {entry["Name"]: entry["Value"] for entry in given or []}


# ---- telling ---------------------------------------------------------------------------------------------------------


def _dispatch_alarm_actions(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> None:
    """Notify the topics that let CloudWatch publish, and whose key lets it encrypt; the others are left out, as in AWS."""
    field = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}[new_state]
    wanted = list(alarm.get(field) or [])
    allowed = [topic for topic in wanted if not _refused(alarm, topic)]
    seam.original("services.cloudwatch._dispatch_alarm_actions")({**alarm, field: allowed}, old_state, new_state, reason)


def _refused(alarm: dict[str, Any], topic: str) -> bool:
    arn, via = alarm.get("AlarmArn", ""), f"cloudwatch:{alarm.get('AlarmName', '')}"
    if not topic.startswith("arn:aws:sns:"):
        _cloudwatch.logger.warning("the action %s of alarm %s is not implemented on the laptop platform", topic, alarm.get("AlarmName"))
        return True
    denied = None
    if not _has_default_policy(topic):  # the default policy admits the owner's own alarms
        denied = guard.authorize_service(PRINCIPAL, action="sns:Publish", resource=topic, source_arn=arn, via=via)
    denied = denied or message_keys.denied_to_service(PRINCIPAL, topic, source=arn, via=via)
    if denied:
        _cloudwatch.logger.warning("CloudWatch: %s", denied)
    return denied is not None


def _has_default_policy(topic: str) -> bool:
    record = _sns._topic_by_arn_any_scope(topic) or {}
    return "AWS:SourceOwner" in str(record.get("attributes", {}).get("Policy", ""))


# ---- the API and CloudFormation --------------------------------------------------------------------------------------


def _describe_alarms(*args: Any) -> Any:
    look()
    return seam.original("services.cloudwatch._describe_alarms")(*args)


def _put_metric_alarm(params: Any, data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Any:  # noqa: FBT001, FBT002
    """Keep an alarm's metric math, which MiniStack drops, and refuse what cannot be evaluated."""
    queries = data.get("Metrics")
    problem = _unknown_math(queries) or _unknown_comparison(data.get("ComparisonOperator") or _cloudwatch._p(params, "ComparisonOperator"))
    if problem:
        return _cloudwatch._error("ValidationError", problem, 400, use_json=is_json, use_cbor=is_cbor)
    answer = seam.original("services.cloudwatch._put_metric_alarm")(params, data, is_cbor, is_json)
    alarm = _cloudwatch._alarms.get(data.get("AlarmName", ""))
    if queries and alarm is not None:
        _take_math(alarm, queries)
        evaluate(alarm)
    return answer


def _metric_alarm_record(name: str, properties: dict[str, Any]) -> Any:
    """An alarm of a template, with metric math, which MiniStack refuses."""
    queries = properties.get("Metrics")
    problem = _unknown_math(queries) or _unknown_comparison(str(properties.get("ComparisonOperator")))
    if problem:
        raise ValueError(problem)
    record = seam.original("services.cloudformation.provisioners._cw_metric_alarm_record")
    if not queries:
        return record(name, properties)
    plain = {key: value for key, value in properties.items() if key != "Metrics"}
    alarm = record(name, {**plain, "MetricName": "math", "Namespace": "math"})
    _take_math(alarm, queries)
    return alarm


def _take_math(alarm: dict[str, Any], queries: list[dict[str, Any]]) -> None:
    for key in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit"):
        alarm.pop(key, None)
    alarm["Metrics"] = queries


def _unknown_math(queries: list[dict[str, Any]] | None) -> str:
    try:
        for query in queries or []:
            if query.get("Expression"):
                metric_math.check(query["Expression"])
    except metric_math.UnknownMath as fault:
        return str(fault)
    return ""


def _unknown_comparison(name: str) -> str:
    if name in _COMPARISONS:
        return ""
    return f"the comparison {name!r} is not implemented on the laptop platform; implemented: {', '.join(_COMPARISONS)}"


def _tick() -> None:
    while True:
        time.sleep(TICK_SECONDS)
        try:
            look()
        except Exception:
            _cloudwatch.logger.exception("alarms could not be evaluated")
