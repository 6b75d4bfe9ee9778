"""Stages of set-up run when they have to, and what did not work out is tried again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.console import SetupError
from tools.stages import Stage, run_stages


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, ran: list[str]) -> Callable[..., Stage]:
    (tmp_path / "input").write_text("1")

    def stage(name: str, *, result: bool | None = None, makes: bool = True) -> Stage:
        output = tmp_path / name

        def run() -> bool | None:
            ran.append(name)
            if makes:
                output.write_text("")
            return result

        return Stage(name=name, inputs=(tmp_path / "input",), outputs=(output,), run=run)

    return stage


def test_a_stage_runs_again_only_if_its_inputs_changed_its_outputs_are_gone_or_it_is_asked_to(
    tmp_path: Path, ran: list[str], make: Callable[..., Stage]
) -> None:
    stages = [make("a"), make("b")]
    assert run_stages(stages, stamps=tmp_path / "stamps")
    assert run_stages(stages, stamps=tmp_path / "stamps")
    assert ran == ["a", "b"]
    (tmp_path / "b").unlink()
    run_stages(stages, stamps=tmp_path / "stamps")
    assert ran == ["a", "b", "b"]
    (tmp_path / "input").write_text("2")
    run_stages(stages, stamps=tmp_path / "stamps")
    assert ran == ["a", "b", "b", "a", "b"]
    run_stages(stages, stamps=tmp_path / "stamps", is_forced=True)
    assert ran == ["a", "b", "b", "a", "b", "a", "b"]


def test_a_stage_that_did_not_work_out_is_tried_again_and_the_others_go_on(
    tmp_path: Path, ran: list[str], make: Callable[..., Stage]
) -> None:
    stages = [make("a", result=False, makes=False), make("b")]
    assert not run_stages(stages, stamps=tmp_path / "stamps")
    assert not run_stages(stages, stamps=tmp_path / "stamps")
    assert ran == ["a", "b", "a"]


def test_a_stage_that_leaves_nothing_behind_is_a_fault(tmp_path: Path, make: Callable[..., Stage]) -> None:
    with pytest.raises(SetupError, match="is not there after the stage"):
        run_stages([make("a", makes=False)], stamps=tmp_path / "stamps")
