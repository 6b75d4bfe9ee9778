"""The contracts of a project together: files, relationships, and the command line."""

from __future__ import annotations

import copy

import pytest

from lakehouse.contracts.compiler import __main__ as command
from lakehouse.contracts.compiler.project import bundle
from lakehouse.contracts.model import CompiledContract
from lakehouse.errors import ConfigurationError
from tests.contract_project import Document, Project, altered, on


def customers(reference: str) -> Document:
    """A second contract whose key refers to the first."""
    document = copy.deepcopy(altered())
    document.update(id="sales.customers", name="customers")
    document["servers"][0]["location"] = "s3://${RAW_BUCKET}/sales/customers/"
    document["schema"][0].update(id="customers", name="customers")
    on("order_id", relationships=[{"to": reference}])(document)
    return document


@pytest.mark.parametrize("reference", ["orders.odcs.yaml#/schema/orders/properties/order_id", "orders.order_id"])
def test_a_relationship_is_a_warning_that_names_the_other_table(project: Project, reference: str) -> None:
    project.alter()
    project.write(customers(reference), name="sales/customers")
    project.lock()
    rule = project.compile()["sales.customers"].quality.rules[-1]
    assert (rule.id, rule.kind, rule.severity, rule.action) == ("order_id.relationship", "relationship", "warning", "warn")
    assert rule.args == {"columns": ["order_id"], "to_table": "silver.sales.orders", "to_columns": ["order_id"]}


def test_a_reference_to_a_contract_with_faults_adds_no_fault(project: Project) -> None:
    project.alter(on("status", classification="secret"))
    project.write(customers("orders.order_id"), name="sales/customers")
    assert [fault.place for fault in project.faults_now()] == ["schema[0].properties[1].classification"]


def test_the_faults_of_all_files_are_told_at_once(project: Project) -> None:
    project.alter(on("status", classification="secret"))
    project.write({**customers("orders.order_id"), "version": "1"}, name="sales/customers")
    assert [(fault.file, fault.place) for fault in project.faults_now()] == [
        ("contracts/sales/customers.odcs.yaml", "version"),
        ("contracts/sales/orders.odcs.yaml", "schema[0].properties[1].classification"),
    ]


def test_a_file_that_would_not_be_read_is_told(project: Project) -> None:
    project.alter()
    for name in ("sales/notes.yaml", "sales/more.yml", "orders.odcs.yml"):
        (project.folder / name).write_text("a: 1\n")
    assert sorted(fault.file for fault in project.faults_now()) == [
        "contracts/orders.odcs.yml",
        "contracts/sales/more.yml",
        "contracts/sales/notes.yaml",
    ]


def test_no_folder_is_told(project: Project) -> None:
    with pytest.raises(ConfigurationError, match=r"contracts: \(folder\): does not exist"):
        project.compile()


def test_equal_contracts_give_equal_bytes(project: Project) -> None:
    first = project.compiled().to_json()
    assert project.compiled().to_json() == first
    assert CompiledContract.from_json(first).to_json() == first
    with pytest.raises(ValueError, match="deploy jobs and contracts together"):
        CompiledContract.from_dict({"format": "lakehouse.contract/0"})


def test_the_bundle_holds_every_contract_by_id(project: Project) -> None:
    contract = project.compiled()
    assert bundle({contract.id: contract}) == {"contracts": {"sales.orders": contract.to_dict()}}


def test_the_command_line(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.alter()
    folder = str(project.folder)
    assert command.main(["check", folder]) == 1
    assert "run `python -m lakehouse.contracts.compiler lock`" in capsys.readouterr().err
    assert command.main(["lock", folder]) == 0
    assert "locked sales.orders 1.0.0" in capsys.readouterr().out
    assert command.main(["lock", folder]) == 0
    assert "every lock file is up to date" in capsys.readouterr().out
    assert command.main(["check", folder]) == 0
    assert "1 contract" in capsys.readouterr().out
