"""`lake deploy`: synthesizes an environment and hands the assembly to the real CDK command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from cli.errors import CommandError
from cli.progress import Progress
from cli.results import Done
from cli.session import LOCAL, load_config
from lakehouse.errors import LakehouseError

_FAULT_LINE = re.compile(r"(CREATE|UPDATE|DELETE)_FAILED")


def deploy(root: Path, *, env: str, progress: Progress) -> Done:
    """Synthesize an environment and deploy all of its stacks.

    Raises:
        WrongUseError: There is no such environment.
        CommandError: The synth or the deployment failed; the whole text is in the log that it names.
    """
    load_config(root, env)
    began = time.monotonic()
    if env == LOCAL:
        _require_platform(root)
    progress.update(f"synthesizing {env}")
    assembly = synthesize(root, env=env)
    if env == LOCAL:
        _deploy_local(root, assembly, progress)
    else:
        _deploy_aws(root, assembly, env=env)
    suffix = "" if env == LOCAL else f" --env {env}"
    return Done(text=f"{env} is deployed ({time.monotonic() - began:.0f} s)", next=f"lake drop DATASET FILE...{suffix}")


def synthesize(root: Path, *, env: str) -> Path:
    """Write the cloud assembly of an environment.

    Returns:
        Its folder, `cdk.out/<env>`.

    Raises:
        CommandError: The app refused the config, a contract or a pipeline, or failed.
    """
    from local.toolchain import Toolchain

    assembly = root / "cdk.out" / env
    # The CDK CLI would give the app the context of cdk.json in the same way.
    settings: dict[str, object] = json.loads((root / "cdk.json").read_text(encoding="utf-8")).get("context", {})
    # On a laptop everything may go again; elsewhere whoever means it says so to the CDK (docs/deploying.md).
    unlocked = {"allow-destroy": "true"} if env == LOCAL else {}
    context = json.dumps({**settings, **unlocked, "env": env})
    environment = {**os.environ, **Toolchain(root=root).environment(), "CDK_CONTEXT_JSON": context, "CDK_OUTDIR": str(assembly)}
    result = subprocess.run(
        [sys.executable, "app.py"], cwd=root, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    log = _log(root, env, "synth.log", [result.stdout, result.stderr])
    if result.returncode != 0:
        raise CommandError(f"the synth of {env} failed: {_last_error(result.stderr)}\nThe whole text is in {log}")
    return assembly


def first_fault(lines: Iterable[str]) -> str:
    """The line that says why a deployment failed: the first resource that failed, else the CDK's own error, else the last line."""
    texts = [line.strip() for line in lines if line.strip()]
    failed = [text for text in texts if _FAULT_LINE.search(text)]
    own = [text for text in texts if "❌" in text or "rror:" in text]
    return (failed or own or texts[-1:] or ["no output"])[0]


def _require_platform(root: Path) -> None:
    from local.platform import Platform

    if not Platform(root).status().is_running:
        raise CommandError("the platform is not running: start it with `lake up`, then `lake deploy`")


def _deploy_local(root: Path, assembly: Path, progress: Progress) -> None:
    from local.deploy import deploy as deploy_assembly
    from local.platform import Platform
    from local.toolchain import Toolchain

    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        progress.update(_shortened(line))

    try:
        deploy_assembly(Platform(root), assembly, cdk=Toolchain(root=root).cdk, progress=tell)
    except LakehouseError as error:
        log = _log(root, LOCAL, "deploy.log", [*lines, str(error)])
        fault = first_fault(lines or str(error).splitlines())
        raise CommandError(
            f"the deployment failed: {fault}\nWhat the CDK wrote is in {log}; what failed is rolled back, so `lake deploy` can be repeated"
        ) from error
    _log(root, LOCAL, "deploy.log", lines)


def _deploy_aws(root: Path, assembly: Path, *, env: str) -> None:
    """Run the CDK on the user's own terminal: it asks before it widens permissions."""
    from local.toolchain import Toolchain

    toolchain = Toolchain(root=root)
    command = [*toolchain.cdk, "deploy", "--all", f"--app={assembly}", f"--output={assembly}"]
    result = subprocess.run(command, cwd=root / ".lake", env={**os.environ, **toolchain.environment()}, stdout=sys.stderr, check=False)
    if result.returncode != 0:
        raise CommandError(
            f"the CDK ended with code {result.returncode} and said why above; "
            f"CloudFormation rolled back what failed, so `lake deploy --env {env}` can be repeated"
        )


def _log(root: Path, env: str, name: str, lines: Iterable[str]) -> Path:
    path = root / ".lake" / env / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _last_error(text: str) -> str:
    """What an app printed last: its own faults, or the last line of a stack trace."""
    lines = text.strip().splitlines()
    traces = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
    if not traces:
        return "\n".join(lines[-20:]) or "it gave no reason"
    # After the frames of the last trace, which are indented, stands the error itself, perhaps over several lines.
    for number in range(traces[-1] + 1, len(lines)):
        if not lines[number].startswith(" "):
            return "\n".join(lines[number:])
    return lines[-1]


def _shortened(line: str, width: int = 110) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
