"""What tests of the warehouse share."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.contracts.compiler.cached import compiled_contracts
from lakehouse.contracts.model import CompiledContract


@pytest.fixture(scope="session")
def contracts() -> dict[str, CompiledContract]:
    """Contracts of the project."""
    return dict(compiled_contracts(Path(__file__).parents[3]))
