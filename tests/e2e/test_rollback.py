"""Code changes and comes back: a release shows in `cdk diff` as the code's key alone, and the former assembly still deploys and runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.results import Run
from local.deploy import deploy
from local.platform import Platform
from local.toolchain import Toolchain
from tests.e2e.conftest import ROOT, Checkout
from tests.e2e.rows import csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KEY = re.compile(r"[0-9a-f]{64}\.zip")


@pytest.fixture
def transform(checkout: Checkout) -> Iterator[Path]:
    """A file of job code; what a test writes there is taken back."""
    path = checkout.root / "jobs" / "transforms" / "tpch.py"
    before = path.read_text(encoding="utf-8")
    yield path
    path.write_text(before, encoding="utf-8")


def test_new_job_code_is_its_key_in_the_diff_and_the_former_assembly_brings_the_old_code_back(
    checkout: Checkout, clean: list[Run], transform: Path, tmp_path: Path
) -> None:
    checkout.lake("deploy")
    former = shutil.copytree(checkout.root / "cdk.out" / "local", tmp_path / "former")
    old = _code(checkout)

    transform.write_text(transform.read_text(encoding="utf-8") + "\n# another thought\n", encoding="utf-8")
    _synthesize(checkout)
    _require_same_but_for_code(_diff(checkout, tmp_path))
    checkout.lake("deploy")
    new = _code(checkout)
    assert new.keys() == old.keys()
    assert all(_keys(new[job]) != _keys(old[job]) for job in old)

    deploy(Platform(checkout.root), former, cdk=Toolchain(root=ROOT).cdk)
    assert _code(checkout) == old
    known = checkout.runs()
    checkout.drop("tpch.customer", [checkout.write("rolled-back.csv", csv("customer", [8_000_001]))], day="1998-08-06")
    checkout.wait()
    assert [run.status for run in checkout.new_runs(known, "customer")] == ["SUCCEEDED"]


def _code(checkout: Checkout) -> dict[str, Any]:
    """What every job runs."""
    jobs = checkout.client("glue").get_jobs()["Jobs"]
    return {job["Name"]: (job["Command"]["ScriptLocation"], job["DefaultArguments"]["--extra-py-files"]) for job in jobs}


def _keys(code: Any) -> list[str]:
    return KEY.findall(str(code))


def _synthesize(checkout: Checkout) -> None:
    from cli.deploy import synthesize

    synthesize(checkout.root, env="local")


def _diff(checkout: Checkout, folder: Path) -> str:
    toolchain = Toolchain(root=ROOT)
    result = subprocess.run(
        [*toolchain.cdk, "diff", "--all", f"--app={checkout.root / 'cdk.out' / 'local'}", "--no-color", "--no-notices", "--no-version-reporting"],
        cwd=folder,
        env=Platform(checkout.root).child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    return result.stdout + result.stderr


def _require_same_but_for_code(diff: str) -> None:
    """Every value that changes is the one it was, once keys of code are made equal."""
    old = [line.split("[-]", 1)[1].strip() for line in diff.splitlines() if "[-]" in line]
    new = [line.split("[+]", 1)[1].strip() for line in diff.splitlines() if "[+]" in line]
    assert old, diff
    assert [KEY.sub("KEY", line) for line in old] == [KEY.sub("KEY", line) for line in new], diff
