"""Packages of a cluster's machines: pinned and whole, or the machine does not start."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack

from constructs_lib.checks import InvalidProps
from constructs_lib.processing import ClusterPackages, TransientCluster
from constructs_lib.processing.cluster_packages import BOOTSTRAP, archive_sha256
from constructs_lib.storage import LakeBuckets
from lakehouse.naming import Names
from tests.constructs_lib.conftest import Synth
from tests.constructs_lib.test_grants import given
from tests.constructs_lib.test_transient_cluster import GROUPS, NETWORK


def wheel(folder: Path, name: str = "greet", version: str = "1.0") -> Path:
    """A wheel that pip installs."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "HELLO = 'hello'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def packages(tmp_path: Path) -> ClusterPackages:
    folder = tmp_path / "packages"
    folder.mkdir()
    made = wheel(folder)
    (folder / "requirements.txt").write_text(f"# what jobs need\ngreet==1.0 \\\n    --hash=sha256:{sha256(made)}\n")
    return ClusterPackages(folder=folder, python=sys.executable)


@pytest.mark.parametrize(("requirements", "message"), [
    ("", "names no package"),
    ("greet", "'greet' is not pinned"),
    ("greet==1.0", "is not pinned"),
    ("greet>=1.0 --hash=sha256:{good}", "is not pinned"),
    ("greet==1.0 --hash=sha256:{bad}", "has a hash that"),
    ("greet==1.0 --hash=sha256:{good}\nother==2.0 --hash=sha256:{bad}", "has no wheel of other"),
])  # fmt: skip
def test_what_is_not_pinned_or_not_there_is_refused_at_synth(packages: ClusterPackages, requirements: str, message: str) -> None:
    (good,) = packages.folder.glob("*.whl")
    (packages.folder / "requirements.txt").write_text(requirements.format(good=sha256(good), bad="0" * 64))
    with pytest.raises(InvalidProps, match=message):
        packages.archive()


def test_a_folder_without_requirements_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidProps, match="does not exist"):
        ClusterPackages(folder=tmp_path).archive()


def install(packages: ClusterPackages, tmp_path: Path, **changed: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The bootstrap action as a machine runs it, with an `aws` that copies from a folder."""
    bundle = packages.archive()
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "aws").write_text('#!/bin/bash\nset -euo pipefail\n[[ "$1 $2 $3" == "s3 cp --only-show-errors" ]]\ncp -- "${4#s3://}" "$5"\n')
    (tools / "aws").chmod(0o755)
    target = tmp_path / "opt" / "packages"
    arguments = {
        "archive": f"s3://{bundle.path}",
        "sha256": archive_sha256(bundle),
        "python": packages.python,
        "target": str(target),
        **changed,
    }
    (tmp_path / "opt").mkdir(exist_ok=True)
    result = subprocess.run(
        [str(BOOTSTRAP), *arguments.values()],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PIP_NO_INDEX": "1", "TMPDIR": str(tmp_path)},
    )
    return result, target


def test_a_machine_has_all_packages_or_does_not_start(packages: ClusterPackages, tmp_path: Path) -> None:
    result, target = install(packages, tmp_path)
    assert result.returncode == 0, result.stderr
    found = subprocess.run(
        [packages.python, "-c", "import greet; print(greet.HELLO)"],
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "hello\n"
    again, _ = install(packages, tmp_path)
    assert again.returncode == 65


@pytest.mark.parametrize("changed", [
    {"archive": "s3:///nowhere/packages.zip"},
    {"sha256": "0" * 64},
    {"python": "/nowhere/python"},
])  # fmt: skip
def test_nothing_is_half_installed(packages: ClusterPackages, tmp_path: Path, changed: dict[str, str]) -> None:
    result, target = install(packages, tmp_path, **changed)
    assert result.returncode != 0
    assert not target.exists()
    assert not list(target.parent.iterdir())


def test_a_wheel_that_was_exchanged_stops_the_machine(packages: ClusterPackages, tmp_path: Path) -> None:
    bundle = packages.archive()
    forged = tmp_path / "forged.zip"
    with zipfile.ZipFile(bundle.path) as before, zipfile.ZipFile(forged, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name) + (b"\n" if name.endswith(".whl") else b""))
    result, target = install(packages, tmp_path, archive=f"s3://{forged}", sha256=sha256(forged))
    assert result.returncode != 0
    assert not target.exists()


def test_the_script_is_clean() -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    result = subprocess.run([str(checker), "--severity=style", str(BOOTSTRAP)], capture_output=True, text=True, check=False)
    assert result.stdout == ""
    assert "set -euo pipefail" in BOOTSTRAP.read_text()


def test_machines_begin_with_the_packages_and_may_read_them(
    stack: Stack, names: Names, lake: LakeBuckets, packages: ClusterPackages, synth: Synth
) -> None:
    options: dict[str, Any] = {
        "network": NETWORK,
        "subnet_ids": ["subnet-1", "subnet-2"],
        "groups": GROUPS,
        "security_configuration": "secured",
    }
    made = TransientCluster(stack, "Cluster", names=names, pipeline="orders", lake=lake, packages=packages, **options)
    (action,) = made.cluster.request["BootstrapActions"]
    script = action["ScriptBootstrapAction"]
    assert script["Path"].endswith(".sh")
    assert script["Args"][1:] == [archive_sha256(packages.archive()), packages.python, "/opt/lakehouse/packages"]
    assert len(given(synth(), "ClusterInstanceRole")["s3:GetObject"]) == 2
    assert made.packages_folder == "/opt/lakehouse/packages"
