"""Custom resources: the function is invoked as in AWS, and a function that fails fails the resource at once instead of after an hour."""

from __future__ import annotations

import threading
import time
from typing import Any

from local.aws import seam

DEFAULT_TIMEOUT_SECONDS = 3600
"""How long CloudFormation waits for an answer unless the resource says otherwise."""

ATTEMPTS = 3
"""How often Lambda tries an asynchronous invocation."""

RETRY_SECONDS = 1.0
"""Wait between the attempts; AWS waits one minute, then two."""

_custom = seam.module("services.cloudformation.custom_resource")
_lambda = seam.module("services.lambda_svc")
_provisioners = seam.module("services.cloudformation.provisioners")
_responses = seam.module("core.responses")


def register() -> None:
    """Invoke here; the answer still comes in by MiniStack's response address."""
    seam.replace("services.cloudformation.custom_resource.invoke_custom_resource", invoke)
    seam.original("services.cloudformation.custom_resource.register_token")
    seam.original("services.cloudformation.custom_resource._normalise_resource_properties")
    seam.original("services.cloudformation.custom_resource._response_url")


def invoke(  # noqa: PLR0917 - MiniStack's signature
    request_type: str, logical_id: str, props: dict[str, Any], stack_name: str, stack_id: str, resource_type: str,  # noqa: ARG001
    physical_id: str | None = None, old_props: dict[str, Any] | None = None,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """Invoke the function behind a custom resource and wait for its answer.

    Returns:
        The physical id and the attributes that it answered.

    Raises:
        ValueError: There is no such function.
        TimeoutError: It did not answer in time.
        RuntimeError: It answered FAILED, or failed without an answer.
    """
    token_arn = str(props.get("ServiceToken", ""))
    function, config, _ = _lambda._get_func_record_for_ref(token_arn)
    if function is None or config is None:
        raise ValueError(f"Custom resource {logical_id}: there is no function {token_arn!r} in {_responses.get_region()}")
    token, request_id = _responses.new_uuid(), _responses.new_uuid()
    event: dict[str, Any] = {
        "RequestType": request_type,
        "ServiceToken": token_arn,
        "ResponseURL": _custom._response_url(token),
        "StackId": stack_id,
        "RequestId": request_id,
        "LogicalResourceId": logical_id,
        "ResourceType": resource_type,
        "ResourceProperties": _custom._normalise_resource_properties(props),
    }
    if physical_id is not None:
        event["PhysicalResourceId"] = physical_id
    if old_props is not None:
        event["OldResourceProperties"] = _custom._normalise_resource_properties(old_props)
    answered = _custom.register_token(token)
    deadline = time.monotonic() + _timeout(props)
    failure = _run(_lambda._execution_record_for_config(function, config), event, answered, deadline)
    if not failure:
        answered.wait(timeout=max(deadline - time.monotonic(), 0))
    with _custom._lock:
        entry = _custom._pending.pop(token, None)
    result = (entry or {}).get("result")
    if result is None:
        if failure:
            raise RuntimeError(
                f"The function {config['FunctionName']} of {logical_id} failed {ATTEMPTS} times without an answer: {failure} "
                f"(AWS would wait {_timeout(props):.0f} s for one). Its log says more."
            )
        raise TimeoutError(
            f"CloudFormation did not receive a response from your Custom Resource {logical_id} within {_timeout(props):.0f} s"
        )
    if result.get("Status") != "SUCCESS":
        raise RuntimeError(
            f"Received response status [FAILED] from custom resource. Message returned: {result.get('Reason', 'none')} (RequestId: {request_id})"
        )
    answer_id = result.get("PhysicalResourceId") or physical_id
    if not answer_id:
        raise RuntimeError(f"Invalid PhysicalResourceId: the function of {logical_id} answered without one")
    return str(answer_id), result.get("Data") or {}


def _run(record: Any, event: dict[str, Any], answered: threading.Event, deadline: float) -> str:
    """Invoke as Lambda does asynchronously; the error of the last attempt, or an empty string."""
    failure = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(RETRY_SECONDS)
        result = _lambda._execute_function_with_config_scope(record, event)
        if answered.is_set() or not result.get("error"):
            return ""
        body = result.get("body")
        failure = str(body.get("errorMessage", body)) if isinstance(body, dict) else str(body)
        if time.monotonic() > deadline:
            break
    return failure


def _timeout(props: dict[str, Any]) -> float:
    try:
        return float(props.get("ServiceTimeout") or DEFAULT_TIMEOUT_SECONDS)
    except (TypeError, ValueError):
        return float(DEFAULT_TIMEOUT_SECONDS)
