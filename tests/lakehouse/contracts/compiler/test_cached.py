"""Contracts are compiled once for each content, and never remembered wrongly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.contracts.compiler.cached import compiled_contracts
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[4]
HAS_COMPILED = """
import sys; from pathlib import Path; from lakehouse.contracts.compiler.cached import compiled_contracts
compiled_contracts(Path(sys.argv[1])); print("lakehouse.contracts.compiler.project" in sys.modules)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    return tmp_path


def _compiles(project: Path) -> bool:
    """Whether another process has to compile."""
    done = subprocess.run([sys.executable, "-c", HAS_COMPILED, str(project)], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def test_what_is_read_back_is_what_was_compiled(project: Path) -> None:
    wanted = compile_contracts(project / "contracts")
    assert compiled_contracts(project) == compiled_contracts(project) == wanted


def test_only_a_change_compiles_again(project: Path) -> None:
    assert [_compiles(project), _compiles(project)] == [True, False]
    contract = project / "contracts" / "tpch" / "customer.odcs.yaml"
    contract.write_text(contract.read_text().replace("One row per customer.", "Newly worded."))
    assert [_compiles(project), _compiles(project)] == [True, False]


def test_contracts_with_faults_are_never_remembered(project: Path) -> None:
    compiled_contracts(project)
    contract = project / "contracts" / "tpch" / "customer.odcs.yaml"
    contract.write_text(contract.read_text().replace("status: active", "status: asleep"))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"customer\.odcs\.yaml"):
            compiled_contracts(project)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "other"}', "null"])
def test_a_broken_file_of_the_cache_is_as_none(project: Path, text: str) -> None:
    wanted = compiled_contracts(project)
    cache = project / ".cache" / "contracts.json"
    key = json.loads(cache.read_text())["key"]
    for broken in (text, json.dumps({"key": key}), json.dumps({"key": key, "contracts": {"tpch.orders": {}}})):
        cache.write_text(broken)
        assert compiled_contracts(project) == wanted


def test_a_checkout_that_may_not_be_written_compiles_every_time(project: Path) -> None:
    (project / ".cache").write_text("a file where the folder would be")
    assert compiled_contracts(project) == compile_contracts(project / "contracts")
