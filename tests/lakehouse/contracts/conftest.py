"""A project of contracts in a temporary folder, and the contracts of the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.model import CompiledContract
from tests.contract_project import Project

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


@pytest.fixture(scope="session")
def contracts() -> dict[str, CompiledContract]:
    return compile_contracts(CHECKOUT / "contracts") | compile_contracts(EXAMPLES, root=CHECKOUT)
