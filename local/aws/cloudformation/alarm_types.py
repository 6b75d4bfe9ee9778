"""AWS::CloudWatch::CompositeAlarm, which MiniStack has in its API and not in CloudFormation."""

from __future__ import annotations

import re
from typing import Any

from local.aws import seam

TYPE = "AWS::CloudWatch::CompositeAlarm"

_PLAIN = (
    "AlarmDescription", "AlarmRule", "ActionsEnabled", "AlarmActions", "OKActions", "InsufficientDataActions", "ActionsSuppressor",
    "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod",
)  # fmt: skip

_cloudwatch = seam.module("services.cloudwatch")
_provisioners = seam.module("services.cloudformation.provisioners")
_responses = seam.module("core.responses")


def register() -> None:
    """Make the type known to CloudFormation."""
    _provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}
    _provisioners._REPLACING_PROPERTIES[TYPE] = ("AlarmName",)
    _provisioners._STACK_TAG_PROPERTY.setdefault(TYPE, ("Tags", "list"))
    seam.original("services.cloudwatch._put_composite_alarm")


def _create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    return _put(props.get("AlarmName") or _provisioners._physical_name(stack_name, logical_id, max_len=255), props)


def _update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *_: str) -> tuple[str, dict[str, Any]]:
    del old
    return _put(physical_id, new)


def _put(name: str, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if "ActionsSuppressor" in props:
        raise ValueError("ActionsSuppressor of a composite alarm is not implemented on the laptop platform")
    request = {key: props[key] for key in _PLAIN if key in props} | {"AlarmName": name}
    status, _, body = _cloudwatch._put_composite_alarm({}, request, False, True)  # noqa: FBT003 - MiniStack's signature
    if status != 200:
        found = re.search(rb'"message":\s*"([^"]*)"', body)
        raise ValueError(found.group(1).decode() if found else body.decode("utf-8", "replace"))
    arn = f"arn:aws:cloudwatch:{_responses.get_region()}:{_responses.get_account_id()}:alarm:{name}"
    return name, {"Arn": arn}


def _delete(physical_id: str, props: dict[str, Any]) -> None:
    del props
    _cloudwatch._composite_alarms.pop(physical_id, None)
