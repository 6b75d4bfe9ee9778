"""The engines of this server process, made at first use from what the platform put into its environment."""

from __future__ import annotations

import os
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from local.toolchain import Toolchain

if TYPE_CHECKING:
    from local.engines.spark import SparkEngine

_lock = threading.RLock()


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
    from local.engines.spark import SparkEngine  # noqa: PLC0415 - at first use

    return SparkEngine(toolchain=Toolchain(), aws_url=aws_url(), authorities=authorities(), region=region(), folder=folder() / "spark")
