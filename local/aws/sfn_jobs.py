"""What Step Functions' integrations of jobs share: calling a service of ours as the machine's role, and waiting for the job's end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from local.aws import guard, modelled_service, seam, states
from local.aws.modelled_service import ServiceError

POLL_SECONDS = 0.25
"""Time between two looks at a job. Step Functions takes longer; it charges nobody for looking."""

ASK_SECONDS = 30.0
"""Time between two questions to IAM whether the role may still look."""

_states = seam.module("services.stepfunctions")


def wait(
    look: Callable[[], dict[str, Any]], *, is_over: Callable[[dict[str, Any]], bool], ask: Callable[[], None], end: Callable[[], None]
) -> dict[str, Any]:
    """Look until a job is over; end it when nobody waits for the task any more, or the role may not look any more.

    Args:
        look: Gives the job as it is.
        is_over: Whether that job has ended.
        ask: Fails the task if the role may not look.
        end: Ends the job, if the role may.

    Returns:
        The job after its end.
    """
    asked = 0.0
    while True:
        if states.is_abandoned():
            end()
            states.fail("States.TaskFailed", "the execution or the task ended before its job")
        if time.monotonic() - asked > ASK_SECONDS:
            try:
                ask()
            except _states._ExecutionError:
                end()
                raise
            asked = time.monotonic()
        found = look()
        if is_over(found):
            return found
        time.sleep(POLL_SECONDS)


def is_sync(resource: str) -> bool:
    """Whether a task waits for the end of what it starts."""
    return resource.endswith(".sync")


def call(service: str, operation: str, data: Mapping[str, Any], *, integration: str) -> dict[str, Any]:
    """Call an operation of a modelled service as the machine's role.

    Args:
        service: The service.
        operation: Its operation.
        data: The task's parameters, named as Step Functions names them: the API's names with a capital letter.
        integration: Entry of `states.INTEGRATIONS` whose error names are used.

    Returns:
        The answer, named as Step Functions names it.
    """
    served = modelled_service.served(service)
    try:
        shape = served.api.input_of(operation)
        tokens = {name: str(uuid.uuid4()) for name, member in shape.members.items() if member.metadata.get("idempotencyToken")}
        params = {**tokens, **renamed(data, shape, is_upper=False)}
        answer = modelled_service.invoke(service, operation, params, key=states.session_key())
    except ServiceError as error:
        fail(error, integration)
    return renamed(answer, served.api.output_of(operation), is_upper=True)


def fail(error: ServiceError, integration: str, *, name: str = "") -> NoReturn:
    """Fail the task with an error of its service: one of the model by its name, another one by the service's base class.

    Args:
        error: What the service answered.
        integration: Entry of `states.INTEGRATIONS` whose names are used.
        name: Name that every error of the service has, if they all have one.
    """
    known = states.INTEGRATIONS[integration]
    prefix, base = known.error.split(".", maxsplit=1)
    is_denied = error.code.startswith("AccessDenied")
    status = known.status if is_denied else 400
    states.fail(
        name or f"{prefix}.{base if is_denied else error.code}",
        f"{error.message} (Service: {known.sdk}; Status Code: {status}; Error Code: {error.code}; Request ID: {uuid.uuid4()}; Proxy: null)",
    )


def may(action: str, resource: str, *, context: Mapping[str, Any] | None = None) -> bool:
    """Whether the machine's role may do something."""
    return guard.authorize(states.session_key(), action=action, resource=resource, context=context) is None


def renamed(value: Any, shape: Any, *, is_upper: bool) -> Any:
    """A value with the names of its structures' members as Step Functions spells them, or as the API does.

    Args:
        value: Members by name; names of maps stay.
        shape: The model's shape of it.
        is_upper: Whether names get a capital letter (Step Functions), else the API's spelling; times become milliseconds then.
    """
    if shape is None or value is None:
        return value
    match shape.type_name:
        case "structure":
            known = {name.lower(): (name, member) for name, member in shape.members.items()}
            found: dict[str, Any] = {}
            for given, part in value.items():
                name, member = known.get(given.lower(), (given, None))
                found[name[:1].upper() + name[1:] if is_upper else name] = renamed(part, member, is_upper=is_upper)
            return found
        case "list":
            return [renamed(part, shape.member, is_upper=is_upper) for part in value]
        case "map":
            return {name: renamed(part, shape.value, is_upper=is_upper) for name, part in value.items()}
        case "timestamp":
            return int(value * 1000) if is_upper else value
        case _:
            return value
