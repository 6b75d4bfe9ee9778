"""What tests of functions share."""

import os
from collections.abc import Iterator

import pytest

from tests.lambdas.world import REGION, World, a_world


@pytest.fixture(autouse=True)
def _no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that work nowhere, and no configuration of the machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.fixture
def world(_no_real_aws: None) -> Iterator[World]:
    """A small world of one dataset."""
    with a_world() as made:
        yield made
