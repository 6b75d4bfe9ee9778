"""State machines are refused at creation for what AWS refuses them for: definition, role, and the right to write their log."""

from __future__ import annotations

import json
from typing import Any

from local.aws import definitions, door, executions, guard, seam, states
from local.aws.cloudformation import acting

NOT_TRUSTED = "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the provided role."

_responses = seam.module("core.responses")
_provisioners = seam.module("services.cloudformation.provisioners")


def register() -> None:
    """Look at machines at the door and in CloudFormation."""
    door.add_check(_check_request)
    acting.add_check("AWS::StepFunctions::StateMachine", _check_resource)
    seam.original("services.cloudformation.provisioners._sfn_definition")


def _check_request(request: door.Request) -> door.Response | None:
    if request.service != "states" or request.operation not in {
        "CreateStateMachine", "UpdateStateMachine", "ValidateStateMachineDefinition",
    }:  # fmt: skip
        return None
    data: dict[str, Any] = json.loads(request.body or b"{}")
    found = definitions.problems(data["definition"]) if "definition" in data else []
    if request.operation == "ValidateStateMachineDefinition":
        diagnostics = [{"severity": "ERROR", "code": text.split(":")[0], "message": text} for text in found]
        return _json(200, {"result": "FAIL" if found else "OK", "diagnostics": diagnostics})
    if found:
        return _refusal("InvalidDefinition", f"Invalid State Machine Definition: '{'; '.join(found)}'")
    role = data.get("roleArn")
    if not role:
        return None
    machine = data.get("stateMachineArn") or machine_arn(data.get("name", ""))
    record = guard.role_record(role)
    if record is None or not guard.trusts(record, states.SERVICE, source_arn=machine):
        return _refusal("AccessDeniedException", NOT_TRUSTED)
    problem = _rule_problem(role, str(data.get("definition") or ""), machine) or executions.logging_problem(
        role, data.get("loggingConfiguration"), machine_arn=machine
    )
    return _refusal("AccessDeniedException", problem) if problem else None


def machine_arn(name: str) -> str:
    """ARN of a machine of the request's account and region."""
    return f"arn:aws:states:{_responses.get_region()}:{_responses.get_account_id()}:stateMachine:{name}"


def _check_resource(properties: dict[str, Any]) -> str:
    found = definitions.problems(_provisioners._sfn_definition(properties))
    if found:
        return f"Invalid State Machine Definition: '{'; '.join(found)}'"
    role = str(properties.get("RoleArn", ""))
    machine = machine_arn(str(properties.get("StateMachineName") or "unnamed"))
    record = guard.role_record(role)
    if record is None or not guard.trusts(record, states.SERVICE, source_arn=machine):
        return NOT_TRUSTED
    if (properties.get("TracingConfiguration") or {}).get("Enabled"):
        executions.ask_tracing(role, machine_arn=machine)
    problem = _rule_problem(role, _provisioners._sfn_definition(properties), machine)
    return problem or executions.logging_problem(role, properties.get("LoggingConfiguration"), machine_arn=machine)


def _rule_problem(role: str, definition: str, machine: str) -> str:
    """Why Step Functions cannot make the rules that tell it of the ends of jobs; empty if it can, or needs none."""
    for rule in sorted(definitions.managed_rules(definition)):
        arn = f"arn:aws:events:{_responses.get_region()}:{_responses.get_account_id()}:rule/{rule}"
        for action in ("events:PutTargets", "events:PutRule", "events:DescribeRule"):
            denied = guard.authorize_role(
                role, service=states.SERVICE, session="StepFunctions", action=action, resource=arn, source_arn=machine
            )
            if denied:
                return f"'{role}' is not authorized to create managed-rule."
    return ""


def _refusal(code: str, message: str) -> door.Response:
    return _json(400, {"__type": code, "message": message}, code)


def _json(status: int, body: dict[str, Any], code: str = "") -> door.Response:
    headers = {"Content-Type": "application/x-amz-json-1.0", **({"x-amzn-errortype": code} if code else {})}
    return status, headers, json.dumps(body).encode()
