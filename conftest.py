"""What every test run needs before anything is imported: the checkout's own tools, and a synth that checks nothing twice."""

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from local.toolchain import GLUE_SPARK, Toolchain

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The same examples for everybody: a change is judged by what it changes. `HYPOTHESIS_PROFILE=search` looks for others.
settings.register_profile("search", derandomize=False)
settings.register_profile("same", derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# jsii starts `node` once, at the first aws_cdk import, so this stands before any test module.
os.environ.update(Toolchain().environment())
# `LAKE_TEST_SPARK=4.0` runs the tests of the jobs on the Spark of EMR; its pyspark has to be found before the installed one.
if _path := Toolchain().spark(os.environ.get("LAKE_TEST_SPARK", GLUE_SPARK)).python:
    sys.path.insert(0, str(_path))
# CloudFormation's built-in validation costs x2.5 a synth; one test switches it on (docs/decisions.md).
os.environ.setdefault("CDK_VALIDATION", "false")
os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    """The one Spark session of a test process: a second one in the same JVM would not see the jars of the first."""
    from tests.spark_lake import shared_session

    with shared_session(tmp_path_factory.mktemp("warehouse")) as session:
        yield session
