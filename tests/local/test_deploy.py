"""The real CDK deploys an assembly: progress as it comes, a deadline, and CloudFormation's own reason when it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from local.deploy import DeployError, deploy
from local.platform import Platform
from local.toolchain import Toolchain
from tests.fixtures.platform import LocalAws

pytestmark = pytest.mark.platform


def assembly(folder: Path, **resources: Any) -> Path:
    """A cloud assembly of one stack, as `cdk synth` writes it, with CloudFormation's default rights (no CDK roles)."""
    (folder / "one.template.json").write_text(json.dumps({"Resources": resources}), encoding="utf-8")
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://000000000000/us-east-1",
        "properties": {"templateFile": "one.template.json", "stackName": folder.name.replace("_", "-"), "validateOnSynth": False},
        "displayName": folder.name,
    }
    manifest = {"version": "36.0.0", "artifacts": {"one": stack}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_a_stack_is_deployed_and_its_progress_told(local_aws: LocalAws, platform: Platform, tmp_path: Path) -> None:
    told: list[str] = []
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": tmp_path.name}}
    first = deploy(platform, assembly(tmp_path, Queue=queue), cdk=Toolchain().cdk, progress=told.append)
    assert local_aws.client("sqs").get_queue_url(QueueName=tmp_path.name)
    assert any("CREATE_COMPLETE" in line for line in told)
    second = deploy(platform, tmp_path, cdk=Toolchain().cdk)
    assert (first.bootstrapped, second.bootstrapped) in {(True, False), (False, False)}


def test_a_failure_says_what_cloudformation_said(platform: Platform, tmp_path: Path) -> None:
    wrong = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": tmp_path.name, "Colour": "red"}}
    with pytest.raises(DeployError, match=r"extraneous key \[Colour\] is not permitted"):
        deploy(platform, assembly(tmp_path, Queue=wrong), cdk=Toolchain().cdk)


def test_a_deployment_that_hangs_is_given_up(platform: Platform, tmp_path: Path) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {}}
    with pytest.raises(DeployError, match="was not done after 1 s and was given up"):
        deploy(platform, assembly(tmp_path, Queue=queue), cdk=[sys.executable, "-c", "import time; time.sleep(60)"], seconds=1)


def test_a_folder_that_is_no_assembly_is_refused(platform: Platform, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"it has no manifest\.json"):
        deploy(platform, tmp_path, cdk=Toolchain().cdk)
