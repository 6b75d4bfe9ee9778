"""One laptop platform for all scenarios: a copy of the checkout, started and deployed once, spoken to by `lake` alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from rich.console import Console

from cli.drops import journal
from cli.progress import Progress
from cli.quarantine import quarantine
from cli.results import Dropped, QuarantinedRow, Run, RunDetail
from cli.runs import runs, show
from cli.session import Session, load_config, local_access
from cli.sql import query as sql
from lakehouse.naming import Names
from local.tpch.dirty import DIRTY_DAY, write_dirty_drop
from local.tpch.drops import DATASETS, Drops, generate

if TYPE_CHECKING:
    from tests.e2e.shop import Story

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
    "queries",
    "stacks",
    "package.json",
)
"""What a scenario may change: everything that is authored."""

LINKED = (".venv", ".cache", "node_modules")
"""What set-up installed; scenarios only read it."""

SCALE = 0.01

MOST_SECONDS = "900"

SILENT = Progress("testing", console=Console(quiet=True))


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
        return self.lake("wait", "--timeout", MOST_SECONDS, code=code)

    @cached_property
    def session(self) -> Session:
        """The environment as `lake` opens it, as the operator; in this process, which saves a second a call."""
        config = load_config(self.root, "local")
        access = local_access(self.root)
        return Session(root=self.root, config=config, names=config.names(), access=access)

    @property
    def names(self) -> Names:
        return self.session.names

    def sql(self, query: str) -> list[list[Any]]:
        return sql(self.session, statement=query, progress=SILENT).rows

    def runs(self, pipeline: str | None = None) -> list[Run]:
        """Runs, the oldest first."""
        return [run for run in reversed(runs(self.session).runs) if pipeline in {None, run.pipeline}]

    def new_runs(self, known: Iterable[Run], pipeline: str | None = None) -> list[Run]:
        """Runs that are not among the known ones, the oldest first."""
        ids = {run.run_id for run in known}
        return [run for run in self.runs(pipeline) if run.run_id not in ids]

    def show(self, run: Run) -> RunDetail:
        return show(self.session, run=run.run_id)

    def quarantine(self, dataset: str) -> list[QuarantinedRow]:
        return quarantine(self.session, dataset=dataset, progress=SILENT).rows

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

    def deliver_again(self, dropped: Dropped, pipeline: str) -> None:
        """Tell the pipeline of a file a second time, as S3 and SQS may."""
        sqs = self.client("sqs")
        queue = sqs.get_queue_url(QueueName=self.names.arrivals_queue(pipeline))["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(_object_created(dropped)))

    @property
    def dropped(self) -> list[Dropped]:
        """Every drop so far, the oldest first."""
        return journal(self.session)

    def snapshots(self, table: str) -> dict[str, int]:
        """Rows of a table's main branch and number of its commits."""
        database, name = table.split(".")
        rows = self.sql(f"SELECT count(*) FROM {database}.{name}")[0][0]
        commits = self.sql(f'SELECT count(*) FROM {database}."{name}$snapshots"')[0][0]
        return {"rows": rows, "commits": commits}


@contextmanager
def new_checkout(root: Path, *, change: Callable[[Path], None] = lambda _: None) -> Iterator[Checkout]:
    """A checkout of its own whose platform is up and deployed; stopped and gone at the end.

    Args:
        root: Empty folder.
        change: Changes what is authored before it is deployed.
    """
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    for name in LINKED:
        (root / name).symlink_to(ROOT / name)
    change(root)
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
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The platform that most scenarios share."""
    with new_checkout(tmp_path_factory.mktemp("checkout")) as made:
        yield made


@pytest.fixture(scope="session")
def drops(checkout: Checkout) -> Drops:
    """Three days of TPC-H."""
    return generate(scale=SCALE, days=3, out=checkout.work / "tpch")


@pytest.fixture(scope="session")
def clean(checkout: Checkout, drops: Drops) -> list[Run]:
    """Runs of the clean delivery: every dataset's days together."""
    known = checkout.runs()
    for dataset in DATASETS:
        checkout.drop(f"tpch.{dataset}", [file.path for file in drops.of(f"tpch.{dataset}")], day=drops.days[-1].isoformat())
    checkout.wait()
    return checkout.new_runs(known)


@pytest.fixture(scope="session")
def dirty(checkout: Checkout, clean: list[Run]) -> list[Run]:
    """Runs of the dirty delivery, which comes after the clean one."""
    known = checkout.runs()
    files = [path for _, path in write_dirty_drop(checkout.work / "dirty")]
    checkout.drop("tpch.orders", files, day=DIRTY_DAY)
    checkout.wait(code=1)
    return checkout.new_runs(known)


@pytest.fixture(scope="session")
def shop(checkout: Checkout) -> Story:
    """Two extractions of the shop's database, and what became of them in the warehouse."""
    from tests.e2e.shop import tell

    return tell(checkout)


def _environment() -> dict[str, str]:
    """The user's environment without AWS settings of theirs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def _object_created(dropped: Dropped) -> dict[str, Any]:
    """The event of S3, as EventBridge brings it."""
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "000000000000",
        "time": f"{dropped.dropped_at[:19]}Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{dropped.bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": dropped.bucket},
            "object": {
                "key": dropped.key,
                "size": dropped.size,
                "etag": "",
                "version-id": dropped.version_id,
                "sequencer": "00617F08299329D189",
            },
            "request-id": "1",
            "requester": "000000000000",
            "source-ip-address": "127.0.0.1",
            "reason": "PutObject",
        },
    }
