"""What other people's checkers say of our templates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from lakehouse.environments import load_environment
from stacks.platform import build
from stacks.project import Project
from stacks.synthesis import CONTEXT, ROOT
from tests.stacks.conftest import Assembly


@pytest.mark.parametrize("env", ["prod", "local"])
def test_cdk_nag_finds_nothing_that_is_not_explained(env: str, tmp_path: Path) -> None:
    app = App(
        analytics_reporting=False,
        builtin_cloud_formation_validation=False,
        context=CONTEXT,
        outdir=str(tmp_path),
        stack_traces=False,
        tree_metadata=False,
    )
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    build(app, environment=load_environment(ROOT / "config", env), project=Project.load(ROOT))
    app.synth()  # raises on a finding that nobody acknowledged, with a reason, beside its cause
    report = tmp_path / "validation-report.json"
    assert not report.exists() or '"violations": []' in report.read_text() or '"violatingConstructs"' not in report.read_text()


def test_cfn_lint_finds_nothing(prod: Assembly) -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "-t", *map(str, sorted(prod.folder.glob("*.template.json")))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == ""
    assert result.returncode == 0
