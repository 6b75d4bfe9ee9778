"""What the guide of docs/pipelines.md says of the engines is what the code does."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from constructs_lib.processing import ClusterSize, ServerlessSize
from lakehouse.environments.loading import load_environment
from lakehouse.job_costs import GLUE_MIN_SECONDS
from lakehouse.pipelines.spec import Engine
from stacks.synthesis import ROOT

PAGE = ROOT / "docs" / "pipelines.md"


def guide() -> dict[str, dict[str, str]]:
    """The table that compares the engines: question -> engine -> answer."""
    text = PAGE.read_text(encoding="utf-8").partition("Which one is a question of money")[2]
    lines = itertools.takewhile(
        lambda line: line.startswith("|"), itertools.dropwhile(lambda line: not line.startswith("|"), text.splitlines())
    )
    (_, *engines), _, *rows = ([cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines)
    return {question: dict(zip(engines, answers, strict=True)) for question, *answers in rows}


GUIDE = guide()


def test_it_compares_the_engines_that_a_step_may_name() -> None:
    assert all(set(answers) == set(get_args(Engine)) for answers in GUIDE.values())
    assert len(GUIDE) == 6


def test_the_minute_that_glue_bills_at_least_is_the_one_that_costs_are_reckoned_with() -> None:
    assert "a minute at least" in GUIDE["what is paid"]["glue"]
    assert GLUE_MIN_SECONDS == 60


@pytest.mark.parametrize("env", ["dev", "staging", "prod", "local"])
def test_nothing_is_paid_while_nothing_runs_as_no_environment_keeps_warm_workers(env: str) -> None:
    assert GUIDE["while nothing runs"]["emr-serverless"] == "nothing, without warm workers"
    assert load_environment(ROOT / "config", env).emr_serverless.warm_drivers == 0


def test_workers_come_and_go_with_the_stages_on_emr_serverless() -> None:
    assert "workers come and go" in GUIDE["size"]["emr-serverless"]
    settings = ServerlessSize(executors=1, max_executors=4).settings()
    assert settings["spark.dynamicAllocation.maxExecutors"] == "4"
    assert settings["spark.dynamicAllocation.enabled"] == "true"


def test_task_machines_alone_have_spot_prices() -> None:
    assert GUIDE["Spot prices"] == {"glue": "no", "emr-serverless": "no", "emr": "yes, for task nodes"}
    fleets = {fleet["InstanceFleetType"]: fleet for fleet in ClusterSize().fleets()}
    spot = {kind for kind, fleet in fleets.items() if fleet.get("TargetSpotCapacity")}
    assert spot == {"TASK"}
