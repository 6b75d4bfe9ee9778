"""`lake status` asks for the stacks that the platform is made of."""

from __future__ import annotations

from pathlib import Path

from cli.session import Session
from cli.status import stack_names
from tests.stacks.projects import contract, pipeline, templates


def test_the_stacks_are_those_of_the_assembly_foundation_first(session: Session, tmp_path: Path) -> None:
    contracts = [contract(id_) for id_ in ("sales.orders", "sales_returns.returns", "stock.items")]
    pipelines = [pipeline("orders", "sales.orders"), pipeline("returns", "sales_returns.returns")]
    vars(session).update(contracts={contract.id: contract for contract in contracts}, pipelines=tuple(pipelines))
    found = [name.removeprefix(f"{session.names.prefix}-") for name in stack_names(session)]
    assert sorted(found) == sorted(templates(tmp_path / "out", contracts, pipelines))
    assert found[0] == "foundation"
