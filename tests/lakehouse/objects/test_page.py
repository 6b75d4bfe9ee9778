"""What docs/library.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from moto.moto_api import state_manager

from lakehouse.aws import client as platform_client
from tests.lakehouse.objects.buckets import make_bucket

PAGE = Path(__file__).parents[3] / "docs" / "library.md"


def test_the_examples_of_the_page_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "orders.csv").write_text("1,2\n")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    writing, looking, deleting, lending, waiting = blocks
    with mock_aws():
        platform_client.cache_clear()
        make_bucket(boto3.client("s3"), "team-exports")
        role = "arn:aws:iam::123456789012:role/team"
        boto3.client("glue").create_job(
            Name="team-report", Role=role, Command={"Name": "glueetl", "ScriptLocation": "s3://team-exports/report.py"}
        )
        state_manager.set_transition("glue::job_run", {"progression": "immediate"})
        names: dict[str, object] = {}
        for block in (writing, writing, looking, lending, waiting, deleting):
            exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - the page is the project's own
        platform_client.cache_clear()
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "somebody else has published this export"
    assert said[1] == "('1', '2') () True 4 of 4 bytes"
    assert said[-1].startswith("2 objects (")
