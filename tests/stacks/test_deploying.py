"""The guide to deployment says what a deployment needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.aws.cloudformation.rights import Call, Place, calls
from stacks.synthesis import ROOT
from tests.stacks.conftest import Assembly, flat

BOOTSTRAP_BUCKET = "cdk-hnb659fds-assets-"


@pytest.fixture(scope="module")
def deploy_policy() -> str:
    """The part of the guide that says what CloudFormation has to be allowed."""
    page = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    return page.split("## 2. Bootstrap the account, once")[1].split("### ")[0]


def of_cloudformation(assembly: Assembly) -> Iterator[Call]:
    """What CloudFormation calls to create every stack."""
    place = Place(account="111122223333", region="eu-west-1")
    for template in assembly.templates.values():
        for resource in template["Resources"].values():
            properties = resolved(resource.get("Properties", {}))
            yield from calls(resource["Type"], "create", properties=properties, before=None, name="name", place=place) or ()


def resolved(value: Any) -> Any:
    """Properties with CloudFormation's functions as text."""
    if isinstance(value, dict):
        intrinsic = len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::"))
        return flat(value) if intrinsic else {key: resolved(inner) for key, inner in value.items()}
    return [resolved(inner) for inner in value] if isinstance(value, list) else value


def test_every_service_that_a_deployment_calls_is_in_the_deploy_policy(prod: Assembly, deploy_policy: str) -> None:
    services = {call.action.split(":")[0] for call in of_cloudformation(prod)}
    assert len(services) > 10
    assert {service for service in services if f"`{service}`" not in deploy_policy} == set()


def test_what_a_deployment_does_with_the_bootstraps_bucket_is_in_the_deploy_policy(prod: Assembly, deploy_policy: str) -> None:
    actions = {call.action for call in of_cloudformation(prod) if BOOTSTRAP_BUCKET in call.resource}
    assert actions
    for action in actions:
        assert f"`{action}` on `{BOOTSTRAP_BUCKET}*/<prefix>/*`" in deploy_policy
