"""Worker of a Python function: one execution environment, which stays warm after a handled error, as AWS's does.

The platform starts it in the function's folder, on a bare Python; it may import nothing but the standard library.
It reads one JSON line to begin with, then one line an invocation, and answers each with one line.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

FAILURE = "__lake_failure__"
"""Key of an answer that holds an error instead of a result."""

TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


class Identity:
    """Identity of a mobile caller, which no function here has."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """What AWS hands a handler besides the event."""

    def __init__(self, begun: dict[str, Any], invocation: dict[str, Any]) -> None:
        self.function_name = begun["function_name"]
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        self.memory_limit_in_mb = str(begun["memory"])
        self.invoked_function_arn = invocation.get("invoked_function_arn") or begun["arn"]
        self.aws_request_id = invocation.get("request_id", "")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self.identity = Identity()
        self.client_context = None
        self._deadline = time.monotonic() + invocation.get("timeout_ms", 3000) / 1000

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is stopped."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def main() -> None:
    """Load the handler, then answer invocations until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a handler prints is its log
    begun = json.loads(sys.stdin.readline())
    os.environ.update(begun.get("env") or {})
    sys.path.insert(0, begun["code_dir"])
    try:
        handler = getattr(importlib.import_module(begun["module"]), begun["handler"])
    except BaseException as error:  # noqa: BLE001 - whatever the module raised is the function's error
        _say(answers, {"status": "ready"})
        _refuse_all(answers, _load_failure(begun["module"], error))
        return
    _say(answers, {"status": "ready"})
    for line in sys.stdin:
        message = json.loads(line)
        invocation = message.get("ctx") or {}
        if invocation.get("trace_id"):
            os.environ[TRACE_VARIABLE] = invocation["trace_id"]
        _say(answers, _invoke(handler, message["event"], Context(begun, invocation)))


def _invoke(handler: Callable[[Any, Context], Any], event: Any, context: Context) -> dict[str, Any]:
    try:
        result = handler(event, context)
    except BaseException as error:  # noqa: BLE001 - a function that exits is a failed invocation too
        traceback.print_exc()
        return _failure(error)
    try:
        json.dumps(result)
    except (TypeError, ValueError) as error:
        return _failure(error, kind="Runtime.MarshalError")
    return {"status": "ok", "result": result}


def _failure(error: BaseException, *, kind: str | None = None) -> dict[str, Any]:
    """An error as Lambda words it, with the frames of the function's own code."""
    frames = traceback.format_tb(error.__traceback__)[1:]
    return {
        "status": "ok",
        "result": {FAILURE: {"errorMessage": str(error), "errorType": kind or type(error).__name__, "stackTrace": frames}},
    }


def _load_failure(module: str, error: BaseException) -> dict[str, Any]:
    failure = _failure(error)
    if isinstance(error, ImportError):
        failure["result"][FAILURE] |= {
            "errorMessage": f"Unable to import module '{module}': {error}",
            "errorType": "Runtime.ImportModuleError",
        }
    return failure


def _refuse_all(answers: TextIO, failure: dict[str, Any]) -> None:
    """A function that cannot be loaded fails each invocation; a new environment would fail the same way."""
    for _ in sys.stdin:
        print(failure["result"][FAILURE]["errorMessage"], file=sys.stderr)  # noqa: T201 - the function's log
        _say(answers, failure)


def _say(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
