"""Rulesets of Glue Data Quality, evaluated over a table of the catalog and waited for outside of a state machine; whatever did not pass blocks.

Actions: glue:StartDataQualityRulesetEvaluationRun, GetDataQualityRulesetEvaluationRun, CancelDataQualityRulesetEvaluationRun and GetDataQualityResult on the
ruleset, GetDatabase and GetTable on the tables, iam:PassRole on the role.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lakehouse.errors import LakehouseError, TerminalError, TransientError
from lakehouse.polling import Pauses, looks

PAUSES = Pauses(first_seconds=15, factor=1, longest_seconds=15)
"""Waits between two looks at an evaluation."""

WORKERS = 5
"""Workers of an evaluation, unless the caller says otherwise."""

_UNDER_WAY = frozenset({"STARTING", "RUNNING", "STOPPING"})
_PASSED = "PASS"
_MOST_RESULTS = 100
"""Results that one call of Glue's gives."""

_SHOWN = 5
_PASSING = frozenset({"ConflictException", "InternalServiceException", "OperationTimeoutException", "ThrottlingException"})


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """What became of one rule.

    Attributes:
        name: Glue's name of it, such as `Rule_1`.
        rule: Its text.
        outcome: PASS, FAIL or ERROR.
        message: Why it did not pass, or "".
    """

    name: str
    rule: str
    outcome: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluation that is over and has results.

    Attributes:
        run_id: Its id.
        ruleset: The ruleset.
        score: Share of the rules that passed, 0-100.
        rules: What became of each.
    """

    run_id: str
    ruleset: str
    score: float
    rules: Sequence[RuleResult]

    @property
    def broken(self) -> Sequence[RuleResult]:
        """Rules that did not pass: those that fail, and those that could not be judged."""
        return [rule for rule in self.rules if rule.outcome != _PASSED]


class EvaluationRefused(TerminalError):
    """Glue does not take the evaluation."""


class EvaluationNotStarted(TransientError):
    """Glue did not start the evaluation, or did not say how it stands, for now."""


class EvaluationTimedOut(TransientError):
    """The evaluation was not over in time, and is cancelled."""


class EvaluationBlocked(TerminalError):
    """The evaluation ended in another way than with every rule passed: nothing that waits for it may go on.

    Attributes:
        run_id: Its id.
        status: STOPPED, FAILED, TIMEOUT, or SUCCEEDED if it was judged and rules are broken or results missing.
        evaluation: What it found; None if there is nothing, or not all of it.
    """

    def __init__(self, message: str, *, run_id: str, status: str, evaluation: Evaluation | None = None) -> None:
        self.run_id, self.status, self.evaluation = run_id, status, evaluation
        super().__init__(message)


class Ruleset:
    """One ruleset of a table."""

    def __init__(
        self,
        glue: Any,
        name: str,
        *,
        database: str,
        table: str,
        role: str,
        others: Mapping[str, tuple[str, str]] | None = None,
        log_prefix: str = "",
        pauses: Pauses = PAUSES,
        on_look: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            glue: boto3's client of Glue.
            name: Name of the ruleset.
            database: Database of the table in the catalog.
            table: The table.
            role: ARN of the role that it is evaluated with.
            others: Tables that its rules compare with, (database, table) by alias, as `lakehouse.contracts.dqdl.aliases` names them.
            log_prefix: Log groups `<prefix>/output` and `<prefix>/error` of evaluations; empty = those that Glue shares among all.
            pauses: Waits between two looks.
            on_look: Told the evaluation's state, at each look.
            clock: Seconds that only go forward.
            sleep: Waits some seconds.
        """
        self._glue, self._name, self._role, self._log_prefix = glue, name, role, log_prefix
        self._source, self._others = _source(database, table), {alias: _source(*other) for alias, other in (others or {}).items()}
        self._pauses, self._on_look, self._clock, self._sleep = pauses, on_look, clock, sleep

    def require_passed(self, *, timeout_minutes: int = 30, workers: int = WORKERS) -> Evaluation:
        """Evaluate the ruleset once and let only a table pass that keeps every rule.

        Args:
            timeout_minutes: Longest that it may take; it is Glue's own timeout and that of the wait, after which it is cancelled. An interrupt cancels it as well.
            workers: Workers of the evaluation.

        Returns:
            What was found: every rule passed.

        Raises:
            EvaluationRefused: Glue does not take it.
            EvaluationNotStarted: It was not started, or not followed, for now.
            EvaluationBlocked: It ended otherwise, a rule fails or could not be judged, or there are no results.
            EvaluationTimedOut: It was not over in time.
        """
        run_id = self._start(timeout_minutes, workers)
        status, run = "", dict[str, Any]()
        try:
            for _ in looks(timeout_minutes * 60, pauses=self._pauses, clock=self._clock, sleep=self._sleep):
                run = self._called("get_data_quality_ruleset_evaluation_run", RunId=run_id)
                status = str(run.get("Status", ""))
                if status not in _UNDER_WAY:
                    return self._judged(run_id, status, run)
                self._on_look(status)
        except EvaluationBlocked:
            raise
        except BaseException:
            self._cancel(run_id)
            raise
        self._cancel(run_id)
        raise EvaluationTimedOut(
            f"the evaluation {run_id} of {self._name} was still {status} after {timeout_minutes} minutes and is cancelled: give it more workers or more time"
        )

    def _start(self, timeout_minutes: int, workers: int) -> str:
        options = {"CloudWatchMetricsEnabled": True, **({"CustomLogGroupPrefix": self._log_prefix} if self._log_prefix else {})}
        answer = self._called(
            "start_data_quality_ruleset_evaluation_run",
            DataSource=self._source,
            Role=self._role,
            RulesetNames=[self._name],
            NumberOfWorkers=workers,
            Timeout=timeout_minutes,
            ClientToken=uuid.uuid4().hex,
            AdditionalRunOptions=options,
            **({"AdditionalDataSources": self._others} if self._others else {}),
        )
        return str(answer["RunId"])

    def _judged(self, run_id: str, status: str, run: Mapping[str, Any]) -> Evaluation:
        if status != "SUCCEEDED":
            reason = str(run.get("ErrorString") or "Glue says no reason")
            raise EvaluationBlocked(f"the evaluation {run_id} of {self._name} ended as {status}: {reason}", run_id=run_id, status=status)
        ids: list[str] = list(run.get("ResultIds") or [])
        results: list[Mapping[str, Any]] = []
        for start in range(0, len(ids), _MOST_RESULTS):
            results += self._called("batch_get_data_quality_result", ResultIds=ids[start : start + _MOST_RESULTS])["Results"]
        rules = [_rule(item) for result in results for item in result.get("RuleResults") or []]
        if not ids or len(results) < len(ids) or not rules:
            message = f"the evaluation {run_id} of {self._name} has {len(results)} of {len(ids)} results with {len(rules)} rules: what was not judged has not passed"
            raise EvaluationBlocked(message, run_id=run_id, status=status)
        passed = sum(rule.outcome == _PASSED for rule in rules)
        evaluation = Evaluation(run_id=run_id, ruleset=self._name, score=100 * passed / len(rules), rules=rules)
        if evaluation.broken:
            raise EvaluationBlocked(_broken(evaluation), run_id=run_id, status=status, evaluation=evaluation)
        return evaluation

    def _called(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            return getattr(self._glue, operation)(**request)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            kind: type[LakehouseError] = EvaluationNotStarted if code in _PASSING else EvaluationRefused
            raise kind(f"{self._name}: {code}: {message}") from error

    def _cancel(self, run_id: str) -> None:
        """Cancel what nobody waits for any more; what stopped the waiting is told, not what fails here."""
        with contextlib.suppress(Exception):
            self._glue.cancel_data_quality_ruleset_evaluation_run(RunId=run_id)


def _source(database: str, table: str) -> dict[str, Any]:
    return {"GlueTable": {"DatabaseName": database, "TableName": table}}


def _rule(item: Mapping[str, Any]) -> RuleResult:
    return RuleResult(
        name=str(item.get("Name", "")),
        rule=str(item.get("Description", "")),
        outcome=str(item.get("Result", "")),
        message=str(item.get("EvaluationMessage", "")),
    )


def _broken(evaluation: Evaluation) -> str:
    broken = evaluation.broken
    shown = "; ".join(
        f"{rule.outcome or 'no outcome'} {rule.rule or rule.name}{': ' if rule.message else ''}{rule.message}" for rule in broken[:_SHOWN]
    )
    more = f"; and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    return f"{len(broken)} of {len(evaluation.rules)} rules of {evaluation.ruleset} did not pass ({evaluation.run_id}): {shown}{more}"
