"""Step Functions: every integration runs with the state machine's role, and fails with AWS's error name when it may not."""

from __future__ import annotations

import contextvars
import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from botocore.loaders import Loader

from local.aws import caller_objects, door, guard, key_use, recorder, seam

SERVICE = "states.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class Integration:
    """How an optimised integration calls its service and how its denial is named.

    Attributes:
        scope: Signing name of the service.
        target: `x-amz-target` of the call; empty for the query protocol.
        error: Error name that a Catch sees.
        sdk: Service name in the cause, as SDK v1 writes it.
        status: HTTP status of the denial.
        code: Error code of the denial.
        is_asked: Whether the call is asked of the role here; otherwise the integration itself asks.
        key_error: Error name if the key of what is called is refused, with `{}` for the kind of refusal; as any denial if left out.
        key_code: Error code of that, likewise.
    """

    scope: str
    target: str
    error: str
    sdk: str
    status: int = 400
    code: str = "AccessDeniedException"
    is_asked: bool = True
    key_error: str = ""
    key_code: str = ""


INTEGRATIONS: dict[str, Integration] = {
    "sqs:sendMessage": Integration(
        scope="sqs", target="AmazonSQS.SendMessage", error="SQS.AmazonSQSException", sdk="AmazonSQS", status=403, code="AccessDenied",
        key_error="SQS.AmazonSQSException", key_code="KMS.{}Exception",
    ),
    "sns:publish": Integration(
        scope="sns", target="", error="SNS.AuthorizationErrorException", sdk="AmazonSNS", status=403, code="AuthorizationError",
        key_error="SNS.KMS{}Exception", key_code="KMS{}",
    ),
    "events:putEvents": Integration(
        scope="events", target="AWSEvents.PutEvents", error="EventBridge.AmazonEventBridgeException", sdk="AmazonEventBridge"
    ),
    "glue:startJobRun": Integration(scope="glue", target="AWSGlue.StartJobRun", error="Glue.AccessDeniedException", sdk="AWSGlue"),
    "athena:startQueryExecution": Integration(
        scope="athena", target="AmazonAthena.StartQueryExecution", error="Athena.AmazonAthenaException", sdk="AmazonAthena"
    ),
    "states:startExecution": Integration(
        scope="states", target="AWSStepFunctions.StartExecution", error="StepFunctions.AWSStepFunctionsException", sdk="AWSStepFunctions"
    ),
    **{
        f"dynamodb:{name}": Integration(
            scope="dynamodb", target=f"DynamoDB_20120810.{name[0].upper()}{name[1:]}", error="DynamoDB.AmazonDynamoDBException",
            sdk="AmazonDynamoDBv2",
        )
        for name in ("putItem", "getItem", "updateItem", "deleteItem")
    },
}  # fmt: skip
"""Optimised integrations that run here, besides `lambda:invoke`; others fail, and say that they are not implemented."""

_WITHOUT_CAUSE = frozenset({"States.Timeout", "States.HeartbeatTimeout"})
_FORBIDDEN_STATUS = frozenset({"s3", "sqs", "sns", "lambda", "ec2", "iam", "sts", "rds", "cloudwatch"})
_MODELS = {
    "sfn": "stepfunctions",
    "eventbridge": "events",
    "cloudwatchlogs": "logs",
    "rdsdata": "rds-data",
    "redshiftdata": "redshift-data",
}
_DENIAL_CODES = {"sns": "AuthorizationError", "ec2": "UnauthorizedOperation"}
_KEY_ERRORS = frozenset({"sqs", "sns"})
"""Services that have errors of their own for the refusal of a key."""

_app = seam.module("app")
_states = seam.module("services.stepfunctions")
_responses = seam.module("core.responses")

_execution: contextvars.ContextVar[tuple[str, str, str] | None] = contextvars.ContextVar("lake_execution", default=None)
_execution_record: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("lake_execution_record", default=None)
_abandoned: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("lake_task_abandoned", default=None)
_sdk_service: contextvars.ContextVar[str] = contextvars.ContextVar("lake_sdk_service", default="")


# ---- for the engines' integrations -----------------------------------------------------------------------------------


def session_key() -> str:
    """Access key of the running state machine's role.

    Raises:
        Exception: MiniStack's `_ExecutionError`, if the role does not trust Step Functions any more.
    """
    running = _execution.get()
    if running is None:
        raise RuntimeError("no state machine is running in this context: copy the context into the thread that works for it")
    role, session, machine = running
    try:
        return guard.role_session(role, SERVICE, session, source_arn=machine)
    except guard.Denied as denied:
        fail("States.Runtime", f"The role {role} cannot be assumed by {SERVICE}: {denied}")


def require(integration: str, *, action: str, resource: str, context: Mapping[str, Any] | None = None) -> None:
    """Fail the task, as AWS does, if the state machine's role may not do *action*.

    Args:
        integration: Entry of `INTEGRATIONS` whose error names are used, such as `glue:startJobRun`.
        action: IAM action, such as `glue:GetJobRun`.
        resource: ARN.
        context: Condition keys.
    """
    denied = guard.authorize(session_key(), action=action, resource=resource, context=context)
    if denied:
        _fail_denied(denied, INTEGRATIONS[integration])


def is_abandoned() -> bool:
    """Whether nobody waits for the running task any more: it timed out, or its execution was stopped or timed out.

    Whatever runs a remote job for a task looks here while it waits, and ends the job, as Step Functions does.
    """
    given_up, execution = _abandoned.get(), _execution_record.get()
    return (given_up is not None and given_up.is_set()) or (execution is not None and execution["status"] != "RUNNING")


def fail(error: str, cause: str) -> NoReturn:
    """End the task with an error name and a cause."""
    raise _states._ExecutionError(error, cause)


# ---- MiniStack's execution, with the role --------------------------------------------------------------------------


def register() -> None:
    """Run executions with their role."""
    seam.replace("services.stepfunctions._run_execution", _run_execution)
    seam.replace("services.stepfunctions._invoke_resource", _invoke_resource)
    seam.replace("services.stepfunctions._invoke_resource_with_timeout", _invoke_resource_with_timeout)
    seam.replace("services.stepfunctions._invoke_with_callback", _invoke_with_callback)
    seam.replace("services.stepfunctions._apply_catcher", _apply_catcher)
    seam.replace("services.stepfunctions._invoke_aws_sdk_integration", _invoke_aws_sdk_integration)
    seam.replace("services.stepfunctions._s3_object_text", _s3_object_text)
    seam.replace("services.stepfunctions._read_map_items", _read_map_items)
    seam.replace("app.call_service_handler_sync", _call_service_handler_sync)


def _run_execution(execution_arn: str) -> Any:
    run = seam.original("services.stepfunctions._run_execution")
    execution = _states._executions.get(execution_arn)
    machine = _states._state_machines.get(execution["stateMachineArn"]) if execution else None
    if not machine:
        return run(execution_arn)

    def as_role() -> Any:
        _execution.set((machine["roleArn"], execution["name"].replace("-", "")[:32], machine["stateMachineArn"]))
        _execution_record.set(execution)
        return run(execution_arn)

    return guard.as_service(as_role, via=f"states:{machine['name']}")


def _invoke_resource(resource: str, data: Any) -> Any:
    run = seam.original("services.stepfunctions._invoke_resource")
    if _execution.get() is None:
        return run(resource, data)
    _require_running()
    _check(resource, data)
    return guard.as_service(run, resource, data, key=session_key())


def _invoke_resource_with_timeout(resource: str, data: Any, timeout: float) -> Any:
    """Run a task with its timeout; MiniStack's own leaves the task running and tells it nothing."""
    given_up = threading.Event()
    token = _abandoned.set(given_up)
    try:
        return seam.original("services.stepfunctions._invoke_resource_with_timeout")(resource, data, timeout)
    except _states._ExecutionError as error:
        if error.error == "States.Timeout":
            given_up.set()
        raise
    finally:
        _abandoned.reset(token)


def _invoke_with_callback(resource: str, data: Any, token: str, state: Any) -> Any:
    if _execution.get() is not None:
        _require_running()
        _check(resource, data)
    return seam.original("services.stepfunctions._invoke_with_callback")(resource, data, token, state)


def _apply_catcher(catcher: Any, raw_input: Any, context: Any, language: str, failure: dict[str, Any]) -> Any:
    """Hand a Catch what failed; nobody says why something ran out of time, and MiniStack makes a Cause up."""
    told = {"Error": failure["Error"]} if failure["Error"] in _WITHOUT_CAUSE else failure
    return seam.original("services.stepfunctions._apply_catcher")(catcher, raw_input, context, language, told)


def _require_running() -> None:
    """Begin no task for an execution that is over: MiniStack goes on with the retries and the catchers of one that was stopped."""
    execution = _execution_record.get()
    if execution is not None and execution["status"] != "RUNNING":
        fail("States.Runtime", f"the execution is {execution['status']}")


def _check(resource: str, data: Any) -> None:
    """Ask whether the role may make the call that an integration is about to make."""
    if "aws-sdk:" in resource or ":activity:" in resource:
        return  # each call of the SDK integration is asked when it is made; an activity asks nothing of the role
    function = (data or {}).get("FunctionName", "") if "states:::lambda:invoke" in resource else _states._extract_lambda_ref(resource)
    if function:
        denied = guard.authorize(session_key(), action="lambda:InvokeFunction", resource=_function_arn(str(function), data))
        if denied:
            _fail_denied(denied, Integration(scope="lambda", target="", error="Lambda.AWSLambdaException", sdk="AWSLambda", status=403))
        return
    name = resource.split(":::", 1)[-1].split(".", maxsplit=1)[0]
    integration = INTEGRATIONS.get(name)
    if integration is None:
        fail(
            "States.Runtime",
            f"{resource} is not implemented on the laptop platform. Implemented: lambda:invoke, {', '.join(sorted(INTEGRATIONS))}",
        )
    denied = _dry_run(name, integration, data) if integration.is_asked else None
    if denied:
        _fail_denied(denied, integration)


def _dry_run(name: str, integration: Integration, data: dict[str, Any]) -> guard.Denied | None:
    headers = {"host": f"{integration.scope}.{_responses.get_region()}.amazonaws.com"}
    if name == "sns:publish":
        query = {"Action": ["Publish"]} | {key: [value] for key, value in data.items() if isinstance(value, str)}
        headers["content-type"] = "application/x-www-form-urlencoded"
        return door.authorize_request(session_key(), scope="sns", headers=headers, query=query)
    body = {"stateMachineArn": data.get("StateMachineArn", data.get("stateMachineArn"))} if name == "states:startExecution" else data
    headers |= {"content-type": "application/x-amz-json-1.0", "x-amz-target": integration.target}
    return door.authorize_request(session_key(), scope=integration.scope, headers=headers, body=json.dumps(body))


def _function_arn(function: str, data: Any) -> str:
    arn = (
        function
        if function.startswith("arn:")
        else f"arn:aws:lambda:{_responses.get_region()}:{_responses.get_account_id()}:function:{function.rsplit(':function:', maxsplit=1)[-1]}"
    )
    qualifier = data.get("Qualifier") if isinstance(data, dict) else None
    return f"{arn}:{qualifier}" if qualifier and arn.count(":") == 6 else arn


def _fail_denied(denied: guard.Denied, integration: Integration) -> NoReturn:
    error, code, status = integration.error, integration.code, integration.status
    if integration.key_error and denied.action.startswith("kms:"):
        kind = key_use.refusal_kind(denied.resource)
        error, code, status = integration.key_error.format(kind), integration.key_code.format(kind), 400
    fail(
        error, f"{denied} (Service: {integration.sdk}; Status Code: {status}; Error Code: {code}; Request ID: {uuid.uuid4()}; Proxy: null)"
    )


# ---- aws-sdk:* integrations: each ends in a real request, made with the role ------------------------------------------


def _invoke_aws_sdk_integration(resource: str, data: Any) -> Any:
    token = _sdk_service.set(resource.split("aws-sdk:", 1)[-1].split(":", maxsplit=1)[0].lower())
    try:
        return seam.original("services.stepfunctions._invoke_aws_sdk_integration")(resource, data)
    finally:
        _sdk_service.reset(token)


def _call_service_handler_sync(  # noqa: PLR0917 - MiniStack's signature
    handler: Any, method: str, path: str, headers: dict[str, str], body: Any, query: Any, timeout: float | None = None
) -> Any:
    call = seam.original("app.call_service_handler_sync")
    service = _sdk_service.get()
    if _execution.get() is None or not service:
        return call(handler, method, path, headers, body, query, timeout)
    key, scope = session_key(), headers["authorization"].split("/")[3]
    denied = door.authorize_request(key, scope=scope, headers=headers, body=body, query=query, method=method, path=path)
    if denied:
        error, prefix = _sdk_error(service)
        status = 403 if service in _FORBIDDEN_STATUS else 400
        if scope in _KEY_ERRORS and denied.action.startswith("kms:"):
            error, status = f"{prefix}.Kms{key_use.refusal_kind(denied.resource)}Exception", 400
        fail(error, f"{denied} (Service: {prefix}, Status Code: {status}, Request ID: {uuid.uuid4()}) (SDK Attempt Count: 1)")
    return call(handler, method, path, {**headers, "authorization": door.authorization(key, scope)}, body, query, timeout)


def _sdk_error(service: str) -> tuple[str, str]:
    """Name of a denial: SDK v2 names a modelled error by its class, anything else `<Service>.<Service>Exception`."""
    prefix = str(_states._AWS_SDK_ERROR_PREFIX.get(service, service.capitalize()))
    if service == "s3":  # botocore models S3's AccessDenied now; Step Functions answers S3.S3Exception
        return "S3.S3Exception", prefix
    shapes: dict[str, Any] = Loader().load_service_model(_MODELS.get(service, service), "service-2")["shapes"]
    code = _DENIAL_CODES.get(service, "AccessDenied")
    for name, shape in shapes.items():
        if shape.get("exception") and code in (name, shape.get("error", {}).get("code"), name.removesuffix("Exception")):
            return f"{prefix}.{name.removesuffix('Exception')}Exception", prefix
    return f"{prefix}.{prefix}Exception", prefix


# ---- Distributed Map reads S3 itself --------------------------------------------------------------------------------


def _s3_object_text(bucket: str, key: str) -> Any:
    """Text of an object, read as the role: the object, its bucket and its key have their say."""
    if _execution.get() is None:
        return seam.original("services.stepfunctions._s3_object_text")(bucket, key)
    try:
        return caller_objects.get(session_key(), bucket, key, via=recorder.via.get()).decode("utf-8")
    except caller_objects.RefusedError as refused:
        fail("States.ItemReaderFailed", str(refused))
    except caller_objects.NoSuchObjectError:
        fail("States.ItemReaderFailed", f"The specified key does not exist. (Bucket: {bucket}, Key: {key})")


def _read_map_items(reader: dict[str, Any], effective: Any, context: Any) -> Any:
    if reader.get("Resource", "").endswith("s3:listObjectsV2"):
        parameters = _states._resolve_params_obj(reader.get("Parameters") or reader.get("Arguments") or {}, effective, context)
        _require_item_reader("s3:ListBucket", f"arn:aws:s3:::{parameters.get('Bucket')}")
    return seam.original("services.stepfunctions._read_map_items")(reader, effective, context)


def _require_item_reader(action: str, resource: str) -> None:
    if _execution.get() is None:
        return
    denied = guard.authorize(session_key(), action=action, resource=resource, via=recorder.via.get())
    if denied:
        fail("States.ItemReaderFailed", str(denied))
