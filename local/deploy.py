"""Deploys a cloud assembly into the running local AWS with the real CDK command line."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import TerminalError
from local.platform import ACCOUNT, REGION, Platform

BOOTSTRAP_SECONDS = 120.0
"""Longest that CDK's bootstrap may take; it takes about 3 s."""

DEPLOY_SECONDS = 600.0
"""Longest that a deployment may take; a wrong trust store makes one hang, and a hang must end in a sentence."""

COMMON_FLAGS = ("--no-notices", "--no-version-reporting", "--ci", "--no-color")
"""Flags of every call: nothing is fetched from or sent to the internet, everything goes to standard output."""

DEPLOY_FLAGS = ("--require-approval=never", "--progress=events", "--method=change-set", "--concurrency=4", "--asset-parallelism=true")
"""Flags of a deployment: change sets as in AWS (`--method=direct` saves 0.1 s), independent stacks at once."""

_OFFLINE = {"CDK_DISABLE_CLI_TELEMETRY": "true", "AWS_MAX_ATTEMPTS": "2"}
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_TAIL = 40


class DeployError(TerminalError):
    """A bootstrap or deployment failed or took too long; its text holds what CloudFormation said."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a deployment took.

    Attributes:
        bootstrapped: Whether the account had to be bootstrapped first.
        seconds: Time of it all.
    """

    bootstrapped: bool
    seconds: float


def deploy(
    platform: Platform,
    assembly: Path,
    *,
    cdk: Sequence[str],
    stacks: Sequence[str] = (),
    seconds: float = DEPLOY_SECONDS,
    progress: Callable[[str], None] | None = None,
) -> Deployment:
    """Deploy stacks of an assembly, after a bootstrap if the account has had none.

    Args:
        platform: The running platform.
        assembly: Cloud assembly, as `cdk synth` writes it.
        cdk: Command of the CDK, as `local.toolchain` gives it.
        stacks: Stacks to deploy; all if left out.
        seconds: Deadline.
        progress: Told every line that the CDK prints.

    Raises:
        DeployError: CloudFormation refused or rolled back, or the deadline passed.
        PlatformError: The platform is not running.
    """
    if not (assembly / "manifest.json").is_file():
        raise DeployError(f"{assembly} is not a cloud assembly: it has no manifest.json. Run `cdk synth -c env=local` first.")
    began, tell = time.monotonic(), progress or _silent
    environment = platform.child_environment()
    bootstrapped = bootstrap(platform, cdk=cdk, progress=tell)
    _run(
        [*cdk, "deploy", *(stacks or ("--all",)), f"--app={assembly.resolve()}", f"--output={assembly.resolve()}", *COMMON_FLAGS, *DEPLOY_FLAGS],
        environment=environment, seconds=seconds, tell=tell, what="the deployment",
    )  # fmt: skip
    return Deployment(bootstrapped=bootstrapped, seconds=time.monotonic() - began)


def bootstrap(
    platform: Platform, *, cdk: Sequence[str], execution_policies: Sequence[str] = (), progress: Callable[[str], None] | None = None
) -> bool:
    """Bootstrap the account for the CDK, once.

    Args:
        platform: The running platform.
        cdk: Command of the CDK.
        execution_policies: Managed policies of the role that CloudFormation deploys with; administrator by default, as in AWS.
        progress: Told every line that the CDK prints.

    Returns:
        Whether it had to be done.
    """
    environment = platform.child_environment()
    if _is_bootstrapped(platform):
        return False
    policies = [f"--cloudformation-execution-policies={','.join(execution_policies)}"] if execution_policies else []
    _run(
        [*cdk, "bootstrap", f"aws://{ACCOUNT}/{REGION}", *COMMON_FLAGS, *policies],
        environment=environment, seconds=BOOTSTRAP_SECONDS, tell=progress or _silent, what="the bootstrap",
    )  # fmt: skip
    return True


def _is_bootstrapped(platform: Platform) -> bool:
    import boto3
    from botocore.exceptions import ClientError

    variables = platform.environment()
    parameters = boto3.client(
        "ssm", endpoint_url=variables["AWS_ENDPOINT_URL"], verify=variables["AWS_CA_BUNDLE"], region_name=REGION,
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    try:
        parameters.get_parameter(Name="/cdk-bootstrap/hnb659fds/version")
    except ClientError as fault:
        if fault.response["Error"]["Code"] == "ParameterNotFound":
            return False
        raise
    return True


def _run(command: Sequence[str], *, environment: Mapping[str, str], seconds: float, tell: Callable[[str], None], what: str) -> None:
    """Run the CDK in an empty folder (a cdk.json would make it synthesize again) and show each line as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(
            list(command), cwd=folder, env={**environment, **_OFFLINE}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_pump, args=(child, lines), daemon=True).start()
        tail: deque[str] = deque(maxlen=_TAIL)
        deadline = time.monotonic() + seconds
        try:
            while True:
                line = lines.get(timeout=max(deadline - time.monotonic(), 0))
                if line is None:
                    break
                if text := _ANSI.sub("", line).rstrip():
                    tail.append(text)
                    tell(text)
            code = child.wait(timeout=max(deadline - time.monotonic(), 1))
        except (queue.Empty, subprocess.TimeoutExpired):
            last = "\n  ".join(list(tail)[-5:])
            raise DeployError(f"{what} was not done after {seconds:.0f} s and was given up. Last seen:\n  {last}") from None
        finally:
            _end(child)
    if code:
        raise DeployError(f"{what} failed (exit code {code}):\n  " + "\n  ".join(tail))


def _pump(child: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    if child.stdout is not None:
        for line in child.stdout:
            lines.put(line)
    lines.put(None)


def _end(child: subprocess.Popen[str]) -> None:
    """End the CDK and what it started, if it still runs: after Ctrl-C and after the deadline."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _silent(_: str) -> None: ...
