"""All eight tables of TPC-H go through the platform, and the 22 queries give over them what an independent engine gives over the generator's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tpch import run
from local.tpch.queries import NUMBERS

pytestmark = [pytest.mark.bulk, pytest.mark.timeout(1800)]


def test_the_22_queries_answer_over_our_tables(tmp_path: Path) -> None:
    report = run(scale=0.01, folder=tmp_path)
    assert not report.wrong, report.text()
    assert set(report.queries) == set(NUMBERS)
