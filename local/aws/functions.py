"""Lambda functions run with their role alone, on a bare Python with boto3, and write their log with the role's rights."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from local.aws import door, guard, lambda_worker, seam
from local.aws.cloudformation import acting

SERVICE = "lambda.amazonaws.com"

RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What AWS's Python runtime has besides the standard library; everything else must be in the function's bundle."""

RUNTIMES = ("python", "nodejs")
"""Beginnings of the runtimes that run here."""

LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")
"""What a function's role needs for the function to have a log."""

TRACE_ACTIONS = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
"""What a traced function does with its role; without it there is no trace, and no error."""

_FROM_SERVER = frozenset(
    {
        "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONUNBUFFERED", "LAKE_PLATFORM",
        "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NO_PROXY", "no_proxy",
        "AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
    }
)  # fmt: skip
"""Variables of the server that a function sees: its endpoint and what makes TLS work, never the platform's own."""

_logs = seam.module("services.cloudwatch_logs")
_responses = seam.module("core.responses")
_runtime = seam.module("core.lambda_runtime")


def register() -> None:
    """Start workers bare, and ask before a log is written and a role is taken."""
    _runtime.subprocess = _Processes()
    _runtime._PYTHON_WORKER_SCRIPT = Path(lambda_worker.__file__).read_text(encoding="utf-8")
    seam.original("core.lambda_runtime._detect_runtime_binary")
    seam.original("core.lambda_runtime.Worker")
    seam.replace("services.lambda_svc._execute_function_warm", _execute_function_warm)
    seam.replace("services.lambda_svc._execute_function_dispatch", _execute_function_dispatch)
    seam.replace("core.lambda_runtime.execution_credentials", _execution_credentials)
    seam.replace("services.lambda_svc._emit_lambda_logs", _emit_lambda_logs)
    acting.add_check("AWS::Lambda::Function", _check_resource)
    door.add_check(_check_request)


class _Processes:
    """The `subprocess` module as MiniStack's Lambda runtime sees it: Python workers are started bare."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, command: Sequence[str], *, env: Mapping[str, str], **options: Any) -> subprocess.Popen[str]:  # noqa: N802
        """Start a worker."""
        own = {name: value for name, value in env.items() if name in _FROM_SERVER or os.environ.get(name) != value}
        binary, *rest = command
        if Path(binary).name.startswith("python"):
            own["PYTHONPATH"] = os.pathsep.join(filter(None, [own.get("PYTHONPATH", ""), str(_runtime_folder())]))
            own["PYTHONDONTWRITEBYTECODE"] = "1"
            command = [binary, "-S", *rest]
        own["AWS_EXECUTION_ENV"] = "AWS_Lambda_python3.13"
        return subprocess.Popen(list(command), env=own, **options)


@cache
def _runtime_folder() -> Path:
    """A folder with links to the packages of AWS's runtime and no others."""
    folder = Path(os.environ["TMPDIR"]) / "lambda-runtime"
    folder.mkdir(parents=True, exist_ok=True)
    for package in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"{package} is not installed, and Lambda functions need it. Run `make setup`.")
        source = Path(spec.origin)
        source = source.parent if source.name == "__init__.py" else source
        link = folder / source.name
        if not link.exists():
            link.symlink_to(source)
    return folder


def _execution_credentials(config: dict[str, Any]) -> dict[str, str]:
    """Credentials of the function's role, if it trusts Lambda.

    Raises:
        RuntimeError: It does not; the invocation fails with AWS's sentence.
    """
    try:
        key = guard.role_session(
            config.get("Role", ""), SERVICE, config.get("FunctionName", "")[:64], source_arn=config.get("FunctionArn", "")
        )
    except guard.Denied as denied:
        raise RuntimeError("The role defined for the function cannot be assumed by Lambda.") from denied
    return guard.credentials(key)


def _execute_function_dispatch(func: dict[str, Any], config: dict[str, Any], event: Any, request_id: str, started: float) -> Any:
    """Run a function, or say that it cannot be run; MiniStack answers some with a made-up success."""
    problem = _unrunnable(config.get("PackageType", "Zip"), config.get("Runtime", ""))
    if not problem and not func.get("code_zip"):
        problem = "the function has no code"
    if problem:
        return {"body": {"errorMessage": problem, "errorType": "Runtime.NotImplemented"}, "error": True, "log": problem}
    return seam.original("services.lambda_svc._execute_function_dispatch")(func, config, event, request_id, started)


def _execute_function_warm(func: dict[str, Any], event: Any, request_id: str) -> Any:
    """Name a function's own error as Lambda does: by its class, with its stack."""
    result = seam.original("services.lambda_svc._execute_function_warm")(func, event, request_id)
    body = result.get("body")
    failure = body.get(lambda_worker.FAILURE) if isinstance(body, dict) else None
    return {**result, "body": failure, "error": True} if failure else result


def _unrunnable(package: str, runtime: str) -> str:
    """Why a kind of function cannot run here; empty if it can."""
    if package != "Zip" or not runtime.startswith(RUNTIMES):
        return f"{runtime or package} functions are not implemented on the laptop platform; it runs {' and '.join(RUNTIMES)} from a zip"
    return ""


def _check_resource(properties: dict[str, Any]) -> str:
    record = guard.role_record(str(properties.get("Role", "")))
    if record is None or not guard.trusts(record, SERVICE):
        return "The role defined for the function cannot be assumed by Lambda."
    return _unrunnable(str(properties.get("PackageType", "Zip")), str(properties.get("Runtime", "")))


def _check_request(request: door.Request) -> door.Response | None:
    if (request.service, request.operation) != ("lambda", "CreateFunction"):
        return None
    data: dict[str, Any] = json.loads(request.body or b"{}")
    problem = _unrunnable(str(data.get("PackageType", "Zip")), str(data.get("Runtime", "")))
    return door.refusal("InvalidParameterValueException", problem) if problem else None


def _emit_lambda_logs(func: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    """Write the log as the function's role; where it may not, there is no log, as in AWS."""
    config = func.get("config") or func
    name = config.get("FunctionName", "")
    if (config.get("TracingConfig") or {}).get("Mode") == "Active":
        for action in TRACE_ACTIONS:
            guard.authorize_role(
                config.get("Role", ""), service=SERVICE, session=name[:64], action=action, resource="*", via=f"lambda:log:{name}"
            )
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
    arn = f"arn:aws:logs:{_responses.get_region()}:{_responses.get_account_id()}:log-group:{group}"
    wanted = [(action, f"{arn}:log-stream:*") for action in LOG_ACTIONS]
    if group not in _logs._log_groups:
        wanted.insert(0, ("logs:CreateLogGroup", f"{arn}:*"))
    for action, resource in wanted:
        denied = guard.authorize_role(
            config.get("Role", ""), service=SERVICE, session=name[:64], action=action, resource=resource, via=f"lambda:log:{name}",
            source_arn=config.get("FunctionArn", ""),
        )  # fmt: skip
        if denied:
            return
    seam.original("services.lambda_svc._emit_lambda_logs")(func, *args, **kwargs)
