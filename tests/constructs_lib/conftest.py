"""Small stacks in one warm kernel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stacks.synthesis import CONTEXT, use_bundled_node

use_bundled_node()

from aws_cdk import App, Aws, Stack  # noqa: E402 - jsii starts with its import, after Node was chosen
from aws_cdk import aws_kms as kms  # noqa: E402

from constructs_lib.storage import LakeBuckets  # noqa: E402
from lakehouse.naming import Names  # noqa: E402

Synth = Callable[[], dict[str, dict[str, Any]]]


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(
        builtin_cloud_formation_validation=False, analytics_reporting=False, context=CONTEXT, outdir=str(tmp_path), tree_metadata=False
    )


@pytest.fixture
def stack(app: App) -> Stack:
    return Stack(app, "stack")


@pytest.fixture
def synth(app: App) -> Synth:
    """Resources of the stack by logical id."""

    def resources() -> dict[str, dict[str, Any]]:
        return json.loads((Path(app.synth().directory) / "stack.template.json").read_text())["Resources"]

    return resources


@pytest.fixture
def names() -> Names:
    return Names(project="lakehouse", env="test", prefix="lakehouse-test", account=Aws.ACCOUNT_ID, region=Aws.REGION)


@pytest.fixture
def key(stack: Stack) -> kms.IKey:
    return kms.Key.from_key_arn(stack, "AnyKey", "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555")


@pytest.fixture
def lake(names: Names) -> LakeBuckets:
    return LakeBuckets.from_names(names, key_arn="arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555")


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]
