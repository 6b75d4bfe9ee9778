"""Fixtures of the engines' tests."""

from __future__ import annotations

import pytest

from tests.fixtures.platform import LocalAws
from tests.local.engines.lake import Lake


@pytest.fixture(scope="session")
def lake(local_aws: LocalAws) -> Lake:
    """One lake for all tests; each makes tables and jobs of its own."""
    return Lake.make(local_aws)
