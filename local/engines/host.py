"""The engines of this server process, made at first use from what the platform put into its environment."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from local.toolchain import Toolchain, ToolMissingError

if TYPE_CHECKING:
    from local.engines.spark import SparkEngine
    from local.engines.trino import TrinoEngine

_lock = threading.RLock()
_lock_of_installation = threading.Lock()


def folder() -> Path:
    """The platform's folder, `.lake` of the checkout."""
    return Path(os.environ.get("LAKE_FOLDER") or tempfile.gettempdir())


def aws_url() -> str:
    """Address of this very server."""
    return os.environ["AWS_ENDPOINT_URL"]


def authorities() -> Path:
    """PEM file with the authorities that engines trust, the platform's own among them."""
    return Path(os.environ["AWS_CA_BUNDLE"])


def region() -> str:
    """Region of the local AWS."""
    return os.environ["AWS_REGION"]


def spark() -> SparkEngine:
    """The Spark engine."""
    with _lock:
        return _spark()


@cache
def _spark() -> SparkEngine:
    from local.engines.spark import SparkEngine

    return SparkEngine(toolchain=Toolchain(), aws_url=aws_url(), authorities=authorities(), region=region(), folder=folder() / "spark")


def install_spark(series: str) -> None:
    """Install a Spark beside Glue's if it is not there: minutes and half a gigabyte once, nothing later.

    Raises:
        ToolMissingError: It cannot be had; the text is the installer's.
    """
    with _lock_of_installation:
        tools = Toolchain()
        try:
            tools.spark(series)
        except ToolMissingError:
            said = folder() / "logs" / f"spark-{series}.log"
            said.parent.mkdir(parents=True, exist_ok=True)
            with said.open("wb") as output:
                command = [str(tools.python), "-m", "tools.spark_releases"]
                code = subprocess.run(command, cwd=tools.root, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
            if code:
                lines = [line for line in said.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
                raise ToolMissingError(f"Spark {series} could not be installed: {lines[-1] if lines else code}") from None


def trino() -> TrinoEngine:
    """The Trino engine; it starts at its first query."""
    with _lock:
        return _trino()


@cache
def _trino() -> TrinoEngine:
    from local.engines.trino import TrinoEngine

    own = folder() / "trino"
    own.mkdir(parents=True, exist_ok=True)
    return TrinoEngine(
        toolchain=Toolchain(), aws_url=aws_url(), authorities=authorities(), region=region(), folder=own, credentials=engine_credentials
    )


def engine_credentials() -> dict[str, str]:
    """A session of the account's root for an engine that asks the caller's permissions before it works; it is no workload."""
    from local.aws import seam

    sts = seam.module("services.sts")
    account = os.environ.get("MINISTACK_ACCOUNT_ID", "000000000000")
    key, secret = sts._gen_session_access_key(), sts._gen_secret()
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:iam::{account}:root", "UserId": account, "SecretAccessKey": secret, "SessionToken": "",
            "AccountId": account, "Expiration": time.time() + 10 * 365 * 86_400, "PrincipalType": "Root",
        },
    )  # fmt: skip
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
