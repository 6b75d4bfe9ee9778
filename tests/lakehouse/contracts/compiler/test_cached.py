"""Contracts are compiled and queries checked once for each content, and never remembered wrongly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.contracts.compiler.cached import checked_queries, compiled_contracts
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.compiler.queries import load_queries
from lakehouse.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[4]
HAS_WORKED = """
import sys; from pathlib import Path; from lakehouse.contracts.compiler.cached import checked_queries, compiled_contracts
checked_queries(Path(sys.argv[1]), compiled_contracts(Path(sys.argv[1])))
print(*(f"lakehouse.contracts.compiler.{name}" in sys.modules for name in ("project", "queries")))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("contracts", "queries"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def _works(project: Path) -> tuple[bool, bool]:
    """Whether another process has to compile contracts, and to check queries."""
    done = subprocess.run([sys.executable, "-c", HAS_WORKED, str(project)], cwd=ROOT, capture_output=True, text=True, check=True)
    compiled, checked = (word == "True" for word in done.stdout.split())
    return compiled, checked


def test_what_is_read_back_is_what_was_compiled(project: Path) -> None:
    wanted = compile_contracts(project / "contracts")
    assert compiled_contracts(project) == compiled_contracts(project) == wanted


def test_only_a_change_compiles_again(project: Path) -> None:
    assert [_works(project), _works(project)] == [(True, True), (False, False)]
    contract = project / "contracts" / "tpch" / "customer.odcs.yaml"
    contract.write_text(contract.read_text().replace("One row per customer.", "Newly worded."))
    assert [_works(project), _works(project)] == [(True, True), (False, False)]
    _query(project).write_text("-- Rows.\nSELECT count(*) FROM silver_tpch.customer\n")
    assert [_works(project), _works(project)] == [(False, True), (False, False)]


def test_queries_are_read_back_as_they_were_checked(project: Path) -> None:
    contracts = compiled_contracts(project)
    wanted = load_queries(project / "queries", contracts)
    assert checked_queries(project, contracts) == checked_queries(project, contracts) == wanted
    assert all(query.prefixed("dev_").databases[0].startswith("dev_") for query in checked_queries(project, contracts))
    shutil.rmtree(project / "queries")
    assert checked_queries(project, contracts) == ()


def test_queries_with_faults_are_never_remembered(project: Path) -> None:
    contracts = compiled_contracts(project)
    checked_queries(project, contracts)
    _query(project).write_text("-- Rows.\nSELECT count(*) FROM silver_tpch.nowhere\n")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="no contract has a table"):
            checked_queries(project, contracts)


def _query(project: Path) -> Path:
    return next((project / "queries").glob("*/*.sql"))


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
