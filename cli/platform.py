"""`lake up` and `lake down`: the life of the laptop platform; no other environment has one."""

from __future__ import annotations

from pathlib import Path

from cli.errors import WrongUseError
from cli.progress import Progress
from cli.results import Done
from cli.session import LOCAL, load_config


def up(root: Path, *, env: str, progress: Progress) -> Done:
    """Start the laptop platform with the state of its last stop, and bootstrap it for the CDK.

    Raises:
        WrongUseError: The environment is not the laptop.
    """
    _require_local(
        root, env=env, verb="up", instead="run `cdk bootstrap aws://ACCOUNT/REGION` once for its account, then `lake deploy --env {env}`"
    )
    from local.deploy import bootstrap
    from local.platform import Platform
    from local.toolchain import Toolchain

    cdk = Toolchain(root=root).cdk
    platform = Platform(root)
    if not platform.status().has_saved_state and not platform.status().is_running:
        _forget(root)
    status = platform.start(keep_state=True, progress=progress.update)
    progress.update("bootstrapping for the CDK")
    bootstrap(platform, cdk=cdk, progress=progress.update)
    return Done(text=f"the platform is up on {status.endpoint}", next="lake deploy")


def down(root: Path, *, env: str, is_wiping: bool, progress: Progress) -> Done:
    """Stop the laptop platform with everything that it started.

    Args:
        root: The project.
        env: Environment.
        is_wiping: Whether to forget its state as well: tables, files, runs.
        progress: Where to show what goes on.

    Raises:
        WrongUseError: The environment is not the laptop.
    """
    _require_local(root, env=env, verb="down", instead="docs/deploying.md says how to tear it down")
    from local.platform import Platform

    platform = Platform(root)
    was_running = platform.stop(progress=progress.update)
    if is_wiping:
        progress.update("removing its state")
        platform.wipe()
        return Done(text="the platform is down and its state is gone", next="lake up")
    if not was_running:
        return Done(text="the platform was not running", next="lake up")
    return Done(text="the platform is down; its state is kept (`lake down --wipe` removes it)", next="lake up")


def _require_local(root: Path, *, env: str, verb: str, instead: str) -> None:
    load_config(root, env)
    if env != LOCAL:
        raise WrongUseError(f"`lake {verb}` is for the laptop platform, {env} is in AWS: {instead.format(env=env)}")


def _forget(root: Path) -> None:
    """Drop the journals of a platform whose state is gone: nothing of it can end any more."""
    for name in ("drops.jsonl", "wait.json"):
        (root / ".lake" / LOCAL / name).unlink(missing_ok=True)
