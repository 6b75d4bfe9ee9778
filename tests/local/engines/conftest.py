"""Fixtures of the engines' tests."""

from __future__ import annotations

import pytest

from tests.fixtures.platform import LocalAws
from tests.local.engines.emr import Emr
from tests.local.engines.emr_clusters import Clusters
from tests.local.engines.lake import Lake


@pytest.fixture(scope="session")
def lake(local_aws: LocalAws) -> Lake:
    """One lake for all tests; each makes tables and jobs of its own."""
    return Lake.make(local_aws)


@pytest.fixture(scope="session")
def emr(lake: Lake) -> Emr:
    """EMR Serverless, called by root."""
    return Emr(lake=lake, client=lake.aws.client("emr-serverless"))


@pytest.fixture(scope="session")
def clusters(lake: Lake) -> Clusters:
    """EMR's clusters, called by root."""
    return Clusters.make(lake)
