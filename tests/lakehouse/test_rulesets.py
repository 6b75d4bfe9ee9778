"""An evaluation lets a table pass if every rule was judged and passed, and in no other case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lakehouse.rulesets import PAUSES, Evaluation, EvaluationBlocked, EvaluationNotStarted, EvaluationRefused, EvaluationTimedOut, Ruleset

ROLE = "arn:aws:iam::111122223333:role/quality"
EVEN = replace(PAUSES, jitter=0)
RUN = {"RunId": "dqrun-1"}
ASKED: dict[str, Any] = {
    "DataSource": {"GlueTable": {"DatabaseName": "silver_sales", "TableName": "orders"}},
    "Role": ROLE,
    "RulesetNames": ["orders"],
    "NumberOfWorkers": 5,
    "Timeout": 30,
    "ClientToken": ANY,
    "AdditionalRunOptions": {"CloudWatchMetricsEnabled": True},
}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Glue(Stubber):
    """Glue's answers in their order; an answer that nobody fetched fails the test."""

    def __init__(self) -> None:
        super().__init__(boto3.client("glue", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"))

    def starts(self, **asked: Any) -> Glue:
        self.add_response("start_data_quality_ruleset_evaluation_run", RUN, {**ASKED, **asked})
        return self

    def is_(self, status: str, *results: str, **more: str) -> Glue:
        answer = {**RUN, "Status": status, **({"ResultIds": list(results)} if results else {}), **more}
        self.add_response("get_data_quality_ruleset_evaluation_run", answer, RUN)
        return self

    def found(self, *results: list[str], asked: list[str]) -> Glue:
        answers = [
            {
                "RuleResults": [
                    {"Name": f"Rule_{n}", "Description": f"IsComplete c{n}", "Result": each} for n, each in enumerate(result, start=1)
                ]
            }
            for result in results
        ]
        self.add_response("batch_get_data_quality_result", {"Results": answers}, {"ResultIds": asked})
        return self

    def cancels(self) -> Glue:
        self.add_response("cancel_data_quality_ruleset_evaluation_run", {}, RUN)
        return self


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def glue() -> Iterator[Glue]:
    with Glue() as stubbed:
        yield stubbed
        stubbed.assert_no_pending_responses()


@pytest.fixture
def require_passed(glue: Glue, clock: Clock) -> Callable[..., Evaluation]:
    given: dict[str, Any] = {
        "database": "silver_sales",
        "table": "orders",
        "role": ROLE,
        "pauses": EVEN,
        "clock": clock,
        "sleep": clock.sleep,
    }
    return Ruleset(glue.client, "orders", **given).require_passed


def test_a_table_passes_that_keeps_every_rule(glue: Glue, require_passed: Callable[..., Evaluation], clock: Clock) -> None:
    glue.starts().is_("STARTING").is_("RUNNING").is_("SUCCEEDED", "a").found(["PASS", "PASS"], asked=["a"])
    evaluation = require_passed()
    assert (evaluation.run_id, evaluation.score, [rule.outcome for rule in evaluation.rules]) == ("dqrun-1", 100, ["PASS", "PASS"])
    assert clock.now == 30


@pytest.mark.parametrize("outcome", ["FAIL", "ERROR"])
def test_a_rule_that_fails_or_cannot_be_judged_blocks(glue: Glue, require_passed: Callable[..., Evaluation], outcome: str) -> None:
    glue.starts().is_("SUCCEEDED", "a").found(["PASS", "PASS", outcome, "PASS"], asked=["a"])
    with pytest.raises(EvaluationBlocked, match=rf"1 of 4 rules of orders did not pass \(dqrun-1\): {outcome} IsComplete c3") as raised:
        require_passed()
    assert raised.value.evaluation is not None
    assert (raised.value.evaluation.score, raised.value.status) == (75, "SUCCEEDED")


def test_every_result_counts_not_the_first_alone(glue: Glue, require_passed: Callable[..., Evaluation]) -> None:
    glue.starts().is_("SUCCEEDED", "a", "b").found(["PASS"], ["FAIL"], asked=["a", "b"])
    with pytest.raises(EvaluationBlocked, match="1 of 2 rules"):
        require_passed()


def test_a_long_list_of_broken_rules_is_cut(glue: Glue, require_passed: Callable[..., Evaluation]) -> None:
    glue.starts().is_("SUCCEEDED", "a").found(["FAIL"] * 8, asked=["a"])
    with pytest.raises(EvaluationBlocked, match=r"8 of 8 rules .*IsComplete c5; and 3 more"):
        require_passed()


@pytest.mark.parametrize("status", ["STOPPED", "FAILED", "TIMEOUT", "PARTIALLY_DONE"])
def test_an_evaluation_that_ends_otherwise_blocks(glue: Glue, require_passed: Callable[..., Evaluation], status: str) -> None:
    glue.starts().is_("STOPPING").is_(status, ErrorString="no rights")
    with pytest.raises(EvaluationBlocked, match=f"ended as {status}: no rights") as raised:
        require_passed()
    assert (raised.value.status, raised.value.evaluation) == (status, None)


def test_what_was_not_judged_has_not_passed(glue: Glue, require_passed: Callable[..., Evaluation]) -> None:
    glue.starts().is_("SUCCEEDED")
    with pytest.raises(EvaluationBlocked, match="0 of 0 results with 0 rules"):
        require_passed()
    glue.starts().is_("SUCCEEDED", "a").found([], asked=["a"])
    with pytest.raises(EvaluationBlocked, match="1 of 1 results with 0 rules: what was not judged has not passed"):
        require_passed()
    glue.starts().is_("SUCCEEDED", "a", "b").found(["PASS"], asked=["a", "b"])
    with pytest.raises(EvaluationBlocked, match="1 of 2 results with 1 rules"):
        require_passed()


def test_an_evaluation_that_takes_too_long_is_cancelled(glue: Glue, require_passed: Callable[..., Evaluation], clock: Clock) -> None:
    glue.starts(Timeout=1, NumberOfWorkers=2)
    for _ in range(5):
        glue.is_("RUNNING")
    glue.cancels()
    with pytest.raises(EvaluationTimedOut, match="still RUNNING after 1 minutes and is cancelled"):
        require_passed(timeout_minutes=1, workers=2)
    assert clock.now == 60


def test_an_interrupt_cancels_the_evaluation_and_is_what_is_told(glue: Glue, clock: Clock) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    glue.starts().is_("RUNNING").add_client_error("cancel_data_quality_ruleset_evaluation_run", "InternalServiceException")
    ruleset = Ruleset(glue.client, "orders", database="silver_sales", table="orders", role=ROLE, clock=clock, sleep=interrupt)
    with pytest.raises(KeyboardInterrupt):
        ruleset.require_passed()


def test_other_tables_are_named_by_their_alias_and_logs_go_where_they_are_told(glue: Glue, clock: Clock) -> None:
    glue.starts(
        AdditionalDataSources={"sales_customers": {"GlueTable": {"DatabaseName": "silver_sales", "TableName": "customers"}}},
        AdditionalRunOptions={"CloudWatchMetricsEnabled": True, "CustomLogGroupPrefix": "/lakehouse/dev/quality/sales-orders"},
    ).is_("SUCCEEDED", "a").found(["PASS"], asked=["a"])
    Ruleset(
        glue.client, "orders", database="silver_sales", table="orders", role=ROLE, clock=clock, sleep=clock.sleep,
        others={"sales_customers": ("silver_sales", "customers")}, log_prefix="/lakehouse/dev/quality/sales-orders",
    ).require_passed()  # fmt: skip


@pytest.mark.parametrize(("code", "error"), [("EntityNotFoundException", EvaluationRefused), ("ConflictException", EvaluationNotStarted)])
def test_what_glue_refuses_says_whether_a_retry_helps(
    glue: Glue, require_passed: Callable[..., Evaluation], code: str, error: type[Exception]
) -> None:
    glue.add_client_error("start_data_quality_ruleset_evaluation_run", code, "why")
    with pytest.raises(error, match=f"orders: {code}: why"):
        require_passed()
