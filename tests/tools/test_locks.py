import json
import re
from pathlib import Path

import pytest

from tools.artifacts import LOCK, read_lock
from tools.lock import render

ROOT = Path(__file__).resolve().parents[2]
LOCKS = (
    "requirements.txt", "lambdas/requirements.txt", "jobs/requirements.txt", "tools/java25.txt", "tools/spark40.txt",
    "benchmarks/requirements.txt",
)  # fmt: skip


@pytest.mark.parametrize("name", LOCKS)
def test_every_python_package_is_pinned_with_a_hash(name: str) -> None:
    text = (ROOT / name).read_text()
    for block in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n?", "", text)):
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", block), block
        assert "--hash=sha256:" in block, block


def test_no_lock_file_names_a_registry() -> None:
    for name in (*LOCKS, "package-lock.json", "tools/maven.lock"):
        assert not re.search(r"https?://", (ROOT / name).read_text()), name


def test_every_node_package_is_pinned_with_a_hash() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert all("integrity" in entry for name, entry in packages.items() if name)
    assert packages["node_modules/aws-cdk"]["version"] == "2.1148.1"


def test_the_maven_lock_is_as_the_tool_writes_it() -> None:
    artifacts = list(read_lock())
    assert render(artifacts) == LOCK.read_text()
    assert all(len(artifact.sha256) == 64 and artifact.size > 0 for artifact in artifacts)


def test_a_coordinate_is_a_path_in_every_repository() -> None:
    (trino,) = (artifact for artifact in read_lock() if artifact.use == "trino")
    assert trino.path == "io/trino/trino-server/476/trino-server-476.tar.gz"
