"""iam:PassRole over the API: whoever hands a role to a service must be allowed to, and the role must trust the service."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from local.aws import door, guard, seam
from local.aws.cloudformation import rights

ROLES: dict[tuple[str, str], dict[str, str]] = {
    **{("glue", name): {path: "glue"} for name, path in (
        ("CreateJob", "Role"), ("UpdateJob", "JobUpdate.Role"), ("CreateCrawler", "Role"), ("UpdateCrawler", "Role"),
        ("CreateSession", "Role"), ("CreateTableOptimizer", "TableOptimizerConfiguration.roleArn"),
        ("UpdateTableOptimizer", "TableOptimizerConfiguration.roleArn"),
    )},
    **{("states", name): {"roleArn": "states"} for name in ("CreateStateMachine", "UpdateStateMachine")},
    **{("lambda", name): {"Role": "lambda"} for name in ("CreateFunction", "UpdateFunctionConfiguration")},
    ("events", "PutTargets"): {"Targets[].RoleArn": "events"},
    ("events", "PutRule"): {"RoleArn": "events"},
    **{("scheduler", name): {"Target.RoleArn": "scheduler"} for name in ("CreateSchedule", "UpdateSchedule")},
    **{("cloudformation", name): {"RoleARN": "cloudformation"} for name in (
        "CreateStack", "UpdateStack", "DeleteStack", "CreateChangeSet", "ContinueUpdateRollback", "RollbackStack",
    )},
}  # fmt: skip
"""Operation -> path of the role in its request -> service that the role is passed to."""

_NOT_TRUSTED = "The role defined for the function cannot be assumed by Lambda."

_responses = seam.module("core.responses")


def roles(data: dict[str, Any], path: str) -> list[str]:
    """ARNs of the roles at a path of a request."""
    place = rights.Place(account=_responses.get_account_id(), region=_responses.get_region())
    return [rights.role_arn(value, place) for value in rights.values(data, path)]


def register() -> None:
    """Ask at the front door; CloudFormation's own calls are asked where it makes them."""
    door.add_check(_check)


def _check(request: door.Request) -> door.Response | None:
    paths = ROLES.get((request.service, request.operation))
    if not paths:
        return None
    data = _data(request)
    for path, service in paths.items():
        for arn in roles(data, path):
            context = {"iam:PassedToService": f"{service}.amazonaws.com"}
            denied = guard.authorize(request.key, action="iam:PassRole", resource=arn, context=context)
            if denied:
                return door.access_denied(request, denied)
            record = guard.role_record(arn)
            if service == "lambda" and (record is None or not guard.trusts(record, "lambda.amazonaws.com")):
                code = "InvalidParameterValueException"
                headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
                return 400, headers, json.dumps({"__type": code, "message": _NOT_TRUSTED}).encode()
    return None


def _data(request: door.Request) -> dict[str, Any]:
    if request.body[:1] == b"{":
        try:
            return json.loads(request.body)
        except ValueError:
            return {}
    form = urllib.parse.parse_qs(request.body.decode("utf-8", "replace")) | request.query
    return {name: value[0] for name, value in form.items() if value}
