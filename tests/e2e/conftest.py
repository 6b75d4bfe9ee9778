"""One laptop platform for all scenarios: a copy of the checkout, started and deployed once, spoken to by `lake` alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.tpch.dirty import DIRTY_DAY, write_dirty_drop
from local.tpch.drops import DATASETS, Drops, generate

ROOT = Path(__file__).resolve().parents[2]

COPIED = (
    "app.py",
    "cdk.json",
    "cli",
    "config",
    "constructs_lib",
    "contracts",
    "jobs",
    "lakehouse",
    "lambdas",
    "local",
    "pipelines",
    "stacks",
    "package.json",
)
"""What a scenario may change: everything that is authored."""

LINKED = (".venv", ".cache", "node_modules")
"""What set-up installed; scenarios only read it."""

SCALE = 0.01

MACHINE_WAIT = "600"


@dataclass(frozen=True, kw_only=True)
class Call:
    """How a call of `lake` ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Checkout:
    """A checkout of its own with a platform of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.work.mkdir()

    def lake(self, *arguments: str, code: int | None = 0) -> Call:
        """Run a verb; a call that ends with another code than expected fails the test with all that it said."""
        result = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments], cwd=self.root, capture_output=True, text=True, check=False, env=_environment()
        )
        call = Call(code=result.returncode, out=result.stdout, err=result.stderr)
        if code is not None and call.code != code:
            pytest.fail(f"`lake {' '.join(arguments)[:300]}` ended with {call.code}, not {code}:\n{call.out}\n{call.err}")
        return call

    def drop(self, dataset: str, files: Iterable[Path], *, day: str) -> None:
        self.lake("drop", dataset, *map(str, files), "--date", day)

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def wait(self, *, code: int | None = 0) -> Call:
        return self.lake("wait", "--timeout", MACHINE_WAIT, code=code)

    def sql(self, query: str) -> list[list[Any]]:
        return self.lake("sql", query, "--json").json["rows"]

    def runs(self, pipeline: str | None = None) -> list[dict[str, Any]]:
        """Runs, the oldest first."""
        found = reversed(self.lake("runs", "--json").json["runs"])
        return [run for run in found if pipeline in {None, run["pipeline"]}]

    def show(self, run_id: str) -> dict[str, Any]:
        return self.lake("show", run_id, "--json").json

    def quarantine(self, dataset: str, *, files: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Quarantined rows, of some files by their names or of all."""
        rows = self.lake("quarantine", dataset, "--json").json["rows"]
        return [row for row in rows if not files or Path(row["source_file"]).name in files]

    def client(self, service: str) -> Any:
        """A client with the platform's root keys, for what only an outsider does: repeat an event, look at a table's snapshots."""
        from local.platform import Platform

        variables = Platform(self.root).environment()
        return boto3.client(
            service,
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            verify=variables["AWS_CA_BUNDLE"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )

    def account(self, zone: str) -> str:
        """Bucket of a zone."""
        return f"lakehouse-local-{zone}-000000000000-us-east-1"

    def snapshots(self, table: str) -> dict[str, int]:
        """Rows of a table's main branch and number of its commits."""
        database, name = table.split(".")
        rows = self.sql(f"SELECT count(*) FROM {database}.{name}")[0][0]
        commits = self.sql(f'SELECT count(*) FROM {database}."{name}$snapshots"')[0][0]
        return {"rows": rows, "commits": commits}


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The platform, up and deployed; stopped and gone at the end."""
    root = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    for name in LINKED:
        (root / name).symlink_to(ROOT / name)
    checkout = Checkout(root)
    try:
        checkout.lake("up")
        checkout.lake("deploy")
        yield checkout
    finally:
        if os.environ.get("LAKE_KEEP"):
            print(f"\nkept: cd {root} && {sys.executable} -m cli.main status")
        else:
            checkout.lake("down", "--wipe", code=None)


@pytest.fixture(scope="session")
def drops(checkout: Checkout) -> Drops:
    """Three days of TPC-H."""
    return generate(scale=SCALE, days=3, out=checkout.work / "tpch")


@pytest.fixture(scope="session")
def clean(checkout: Checkout, drops: Drops) -> list[dict[str, Any]]:
    """Runs of the clean delivery: every dataset's days together."""
    for dataset in DATASETS:
        for file in drops.of(f"tpch.{dataset}"):
            checkout.drop(file.dataset, [file.path], day=file.day.isoformat())
    checkout.wait()
    return checkout.runs()


@pytest.fixture(scope="session")
def dirty(checkout: Checkout, clean: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs of the dirty delivery, which comes after the clean one."""
    known = {run["run_id"] for run in clean}
    files = [path for _, path in write_dirty_drop(checkout.work / "dirty")]
    checkout.drop("tpch.orders", files, day=DIRTY_DAY)
    checkout.wait(code=1)
    return [run for run in checkout.runs() if run["run_id"] not in known]


def wait_until(condition: Any, *, seconds: float, what: str) -> Any:
    """The first true answer of a condition."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.5)
    pytest.fail(f"{what} did not happen within {seconds:.0f} s")


def _environment() -> dict[str, str]:
    """The user's environment without AWS settings of theirs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
