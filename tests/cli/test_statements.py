"""`lake statements`: what the operator role ran in the warehouse, what became of it, and how it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cli.errors import CommandError, WrongUseError
from cli.session import Session
from cli.statements import cancel, statement, statements

ID = "5a2b1c3d-1111-2222-3333-444455556666"
MOMENT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ENTRY: dict[str, Any] = {"Id": ID, "Status": "STARTED", "CreatedAt": MOMENT, "UpdatedAt": MOMENT}
NEWEST = ({"Statements": [{**ENTRY, "QueryString": "SELECT 1"}]}, {"Status": "ALL", "MaxResults": 1})


@pytest.fixture
def redshift(session: Session) -> Iterator[tuple[Session, Stubber]]:
    client = boto3.client("redshift-data", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield replace(session, _clients={"redshift-data": client}), stub
        stub.assert_no_pending_responses()


def test_all_are_listed_unless_only_some_are_asked_for(redshift: tuple[Session, Stubber]) -> None:
    session, stub = redshift
    entry = {**ENTRY, "StatementName": "lake-sql", "QueryString": "SELECT 1"}
    stub.add_response("list_statements", {"Statements": [entry]}, {"Status": "ALL", "MaxResults": 100})
    (found,) = statements(session).statements
    assert (found.statement_id, found.label, found.status, found.sql) == (ID, "lake-sql", "STARTED", "SELECT 1")
    assert found.submitted_at == "2026-11-22T06:00:00.000Z"
    stub.add_response("list_statements", {"Statements": []}, {"Status": "FAILED", "MaxResults": 100})
    assert statements(session, status="failed").statements == []


def test_those_that_run_are_those_that_wait_as_well(redshift: tuple[Session, Stubber]) -> None:
    session, stub = redshift
    for status in ("SUBMITTED", "PICKED", "STARTED"):
        stub.add_response("list_statements", {"Statements": []}, {"Status": status, "MaxResults": 100})
    assert statements(session, status="running").statements == []


def test_the_newest_is_shown_by_a_word(redshift: tuple[Session, Stubber]) -> None:
    session, stub = redshift
    stub.add_response("list_statements", *NEWEST)
    described = {
        **ENTRY,
        "Status": "FAILED",
        "Error": "ERROR: no x",
        "QueryString": "SELECT x",
        "Duration": 1_500_000_000,
        "ResultRows": -1,
    }
    stub.add_response("describe_statement", described, {"Id": ID})
    found = statement(session, statement_id="latest")
    assert (found.statement_id, found.status, found.error) == (ID, "FAILED", "ERROR: no x")
    assert [(part.sql, part.rows, part.seconds) for part in found.parts] == [("SELECT x", None, 1.5)]


def test_a_statement_is_cancelled_once(redshift: tuple[Session, Stubber]) -> None:
    session, stub = redshift
    stub.add_response("cancel_statement", {"Status": True}, {"Id": ID})
    assert cancel(session, statement_id=ID).text == f"statement {ID} is cancelled and its transaction undone"
    stub.add_client_error("cancel_statement", "ValidationException", "Could not cancel a query that is already in ABORTED state")
    stub.add_response("describe_statement", {**ENTRY, "Status": "ABORTED"}, {"Id": ID})
    with pytest.raises(CommandError, match=f"nothing was cancelled, the statement is ABORTED: `lake statements show {ID}`"):
        cancel(session, statement_id=ID)


def test_what_nobody_ran_is_wrong_use(redshift: tuple[Session, Stubber]) -> None:
    session, stub = redshift
    stub.add_client_error("describe_statement", "ValidationException", "Id must match")
    with pytest.raises(WrongUseError, match="there is no statement 'yesterday'"):
        statement(session, statement_id="yesterday")
    stub.add_client_error("cancel_statement", "ResourceNotFoundException", "Query does not exist.")
    with pytest.raises(WrongUseError, match="there is no statement"):
        cancel(session, statement_id=ID)
    for call in ("cancel_statement", "describe_statement"):
        stub.add_client_error(call, "ValidationException", "Id must match")
    with pytest.raises(WrongUseError, match="there is no statement 'x'"):
        cancel(session, statement_id="x")
    stub.add_response("list_statements", {"Statements": []}, {"Status": "ALL", "MaxResults": 1})
    with pytest.raises(WrongUseError, match="has run no statement in the last day; those of loads are told by `lake show RUN`"):
        cancel(session, statement_id="latest")
