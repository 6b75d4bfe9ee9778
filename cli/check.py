"""`lake check`: tables as they stand against their contracts, one statement of Athena's a table."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cli.check_results import Check, Checks
from cli.progress import Progress
from cli.session import Session
from cli.sql import query
from lakehouse.contracts.model import CompiledContract
from lakehouse.table_checks import judge, statement

_AT_ONCE = 4
"""Statements at a time: an account may run 20 or more, and others want some of them."""


def check(session: Session, *, datasets: Sequence[str], progress: Progress) -> Checks:
    """Check the tables of datasets.

    Args:
        session: Environment.
        datasets: `<domain>.<dataset>`; none = all that there are.
        progress: Where to show what is under way.

    Raises:
        WrongUseError: There is no such dataset.
        CommandError: A statement failed, in Athena's own words.
    """
    contracts = [session.contract(name) for name in (dict.fromkeys(datasets) if datasets else sorted(session.contracts))]
    session.client("athena")  # made here: threads would each make one
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        found = pool.map(lambda contract: _check(session, contract, progress=progress), contracts)
        return Checks(env=session.env, checks=[one for checks in found for one in checks])


def _check(session: Session, contract: CompiledContract, *, progress: Progress) -> list[Check]:
    (row,) = query(session, statement=statement(contract, session.names), progress=progress).rows
    return [
        Check(
            table=f"{contract.zone}.{contract.id}",
            check=finding.check,
            outcome=finding.outcome,
            value=finding.value,
            limit=finding.limit,
            message=finding.message,
        )
        for finding in judge(contract, row)
    ]
