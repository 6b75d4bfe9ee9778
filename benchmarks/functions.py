"""Cold starts of the Lambda functions: import and memory, against the same function on pandas and against bare boto3 with Powertools.

As on Lambda, the function's own packages come without compiled files, and boto3 comes with the runtime.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import PAIRS, Figure, take_turns
from constructs_lib.packaging import function_bundle
from tools.packages import pip_install

FUNCTIONS = {
    "arrival_starter": ("dynamodb", "s3", "stepfunctions"),
    "iceberg_table": ("glue", "s3"),
    "notifier": ("dynamodb", "sns"),
    "run_recorder": ("cloudwatch", "dynamodb"),
}
"""Functions and the clients that their first event makes."""

RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "six.py", "urllib3")
"""Packages of Lambda's Python runtime."""

_CHILD = """
import json, resource, sys, time
before = set(sys.modules)
started = time.perf_counter()
exec(sys.argv[1])
seconds = time.perf_counter() - started
try:  # Linux counts the parent's memory into ru_maxrss, as of the moment of the fork
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
    peak = int(line.split()[1]) * 1024
except FileNotFoundError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"ms": seconds * 1000, "mb": peak / 1e6}))
"""

BARE = """
import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
logger = Logger(service="bare")
@logger.inject_lambda_context
def handler(event, context: LambdaContext):
    return boto3.client("dynamodb").put_item(TableName="t", Item=event)
"""
"""The smallest function that logs well and calls AWS."""


@dataclass(frozen=True, kw_only=True)
class Cold:
    """One cold start.

    Attributes:
        ms: Milliseconds of importing the handler.
        mb: Peak memory of the process after it, in MB.
    """

    ms: float
    mb: float


def measure(root: Path, *, pairs: int = PAIRS) -> list[Figure]:
    """Measure every function.

    Args:
        root: The checkout.
    """
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = lay_out(root, Path(folder))
        for name, services in FUNCTIONS.items():
            handler = f"import lambdas.{name}.handler"
            clients = "from lakehouse.aws import client\n" + "\n".join(f'client("{service}")' for service in services)
            bare_clients = "\n".join(f'boto3.client("{service}")' for service in services)
            for peer, code, peer_code, limits in (
                ("the same on pandas", handler, f"import pandas\n{handler}", (1 / 5, 1 / 2)),
                ("bare boto3 + Powertools", handler, BARE, (1.3, 1.3)),
                ("bare boto3 + Powertools, clients made", f"{handler}\n{clients}", f"{BARE}\n{bare_clients}", (1.3, 1.3)),
            ):
                ours, theirs = take_turns(lambda code=code: _start(code, paths), lambda code=peer_code: _start(code, paths), pairs=pairs)
                for unit, limit in zip(("ms", "mb"), limits, strict=True):
                    figures.append(
                        Figure(
                            name=f"`{name}`: {'cold import' if unit == 'ms' else 'memory'}, against {peer}",
                            unit=unit.replace("mb", "MB"),
                            ours=tuple(getattr(cold, unit) for cold in ours),
                            peer=tuple(getattr(cold, unit) for cold in theirs),
                            limit=limit,
                        )
                    )
    return figures


def lay_out(root: Path, folder: Path) -> list[Path]:
    """Folders for the import path: the deployed bundle, pandas, and the runtime's packages with their compiled files."""
    bundle, pandas, runtime = folder / "bundle", root / ".cache" / "pandas", folder / "runtime"
    with zipfile.ZipFile(function_bundle().path) as content:
        content.extractall(bundle)
    requirements = root / "benchmarks" / "requirements.txt"
    if not pandas.exists():
        fresh = pandas.with_name("pandas.new")
        shutil.rmtree(fresh, ignore_errors=True)
        options = ("--target", str(fresh), "--no-compile")
        pip_install(Path(sys.executable), root=root, requirements=requirements.read_text(), label="pandas", options=options)
        fresh.rename(pandas)
    runtime.mkdir()
    packages = Path(sysconfig.get_path("purelib"))
    for name in RUNTIME:
        (runtime / name).symlink_to(packages / name)
    return [bundle, pandas, runtime]


def _start(code: str, paths: list[Path]) -> Cold:
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_LAMBDA_FUNCTION_NAME": "measured",
    }
    done = subprocess.run([sys.executable, "-S", "-c", _CHILD, code], env=environment, capture_output=True, text=True, check=True)
    return Cold(**json.loads(done.stdout))
