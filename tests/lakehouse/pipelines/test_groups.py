"""Pipelines with rows instead of steps: what their specs may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.errors import ConfigurationError
from lakehouse.pipelines.loader import load_pipelines
from lakehouse.pipelines.spec import PipelineSpec, Rows, Schedule

CHECKOUT = Path(__file__).resolve().parents[3]
GROUP = """\
pipeline: tables
owner: team
trigger: {schedule: "cron(30 2 * * ? *)"}
rows: {domain: shop, connection: shop}
"""


def load(folder: Path, text: str) -> PipelineSpec:
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "tables.yaml").write_text(text, encoding="utf-8")
    (spec,) = load_pipelines(folder / "pipelines", {})
    return spec


def test_a_group_names_a_domain_and_a_connection_and_the_rest_follows(tmp_path: Path) -> None:
    spec = load(tmp_path, GROUP)
    assert spec.rows == Rows(domain="shop", connection="shop", concurrency=4, timeout_minutes=60)
    assert (spec.domain, spec.steps, spec.outputs, spec.contract_ids) == ("shop", (), (), ())
    assert isinstance(spec.trigger, Schedule)


def test_a_row_takes_no_longer_than_its_group(tmp_path: Path) -> None:
    spec = load(tmp_path, GROUP + "timeout_minutes: 20\n")
    assert spec.rows is not None
    assert spec.rows.timeout_minutes == 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GROUP.replace("rows: {domain: shop, connection: shop}\n", ""), "has neither steps nor rows"),
        (GROUP + "steps:\n  - {job: ingest, writes: bronze.shop.orders}\n", "has both steps and rows"),
        (GROUP.replace("connection: shop", "concurrency: 4"), "rows: connection is missing"),
        (GROUP.replace("domain: shop", "domain: Shop"), "rows.domain: 'Shop' is not a name"),
        (
            GROUP.replace("connection: shop", "connection: shop, concurrency: 41"),
            "rows.concurrency: 41 is out of bounds. Fix: write 1 to 40",
        ),
        (
            GROUP.replace("connection: shop", "connection: shop, timeout_minutes: 91"),
            "rows.timeout_minutes: 91 is out of bounds. Fix: write 1 to 90",
        ),
        (GROUP.replace("connection: shop", "connection: shop, tables: [a]"), "rows.tables: there is no key 'tables'"),
        (GROUP.replace("rows: {domain: shop, connection: shop}", "rows: [a]"), "rows: ['a'] is not a mapping"),
    ],
)
def test_what_makes_no_group_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, text)
    assert said in str(refused.value)


def test_files_start_no_group(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    text = GROUP.replace('{schedule: "cron(30 2 * * ? *)"}', "{arrival: tpch.orders}")
    (tmp_path / "pipelines" / "tables.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no file brings rows of a database"):
        load_pipelines(tmp_path / "pipelines", compile_contracts(CHECKOUT / "contracts"))
