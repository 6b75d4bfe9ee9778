"""Reference pages say what the code does."""

from __future__ import annotations

from pathlib import Path

import yaml

from lakehouse.contracts.compiler import reference as contracts_reference
from lakehouse.contracts.compiler.contract import parse_contract
from lakehouse.contracts.compiler.documents import Document
from lakehouse.environments import reference as environments_reference
from lakehouse.errors import Fault
from lakehouse.pipelines import reference as pipelines_reference
from tests.generated_docs import assert_generated

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_pipelines() -> None:
    assert_generated(DOCS / "pipelines.md", pipelines_reference.sections())


def test_contracts() -> None:
    assert_generated(DOCS / "contracts.md", contracts_reference.sections())


def test_configuration() -> None:
    assert_generated(DOCS / "configuration.md", environments_reference.sections())


def test_the_smallest_contract_of_the_page_has_no_faults() -> None:
    text = (DOCS / "contracts.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    faults: list[Fault] = []
    parse_contract(Document(file="contracts/sales/customers.odcs.yaml", value=yaml.safe_load(text), lines={}), faults)
    assert faults == []
