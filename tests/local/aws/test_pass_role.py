"""Handing a role to a service needs iam:PassRole for that role and that service."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

MACHINE = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})


@pytest.mark.parametrize("service", ["glue", "states"])
def test_a_role_is_passed_only_with_the_right_to_pass_it_to_that_service(local_aws: LocalAws, service: str) -> None:
    role = local_aws.role(service=f"{service}.amazonaws.com")

    def create(caller_may_pass_to: str) -> None:
        caller = local_aws.caller(
            allow(["glue:CreateJob", "states:CreateStateMachine"]),
            allow("iam:PassRole", role, Condition={"StringEquals": {"iam:PassedToService": f"{caller_may_pass_to}.amazonaws.com"}}),
        )
        if service == "glue":
            caller.client("glue").create_job(
                Name=local_aws.name("job"), Role=role, GlueVersion="6.0", Command={"Name": "glueetl", "ScriptLocation": "s3://b/k"}
            )
        else:
            caller.client("stepfunctions").create_state_machine(name=local_aws.name("machine"), definition=MACHINE, roleArn=role)

    create(service)
    with pytest.raises(ClientError, match=f"is not authorized to perform: iam:PassRole on resource: {role}"):
        create("lambda")


def test_a_service_refuses_a_role_that_does_not_trust_it(local_aws: LocalAws) -> None:
    states = local_aws.client("stepfunctions")
    with pytest.raises(ClientError, match=r"Neither the global service principal states\.amazonaws\.com"):
        states.create_state_machine(
            name=local_aws.name("machine"), definition=MACHINE, roleArn=local_aws.role(service="glue.amazonaws.com")
        )
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        local_aws.function("def handler(e, c): ...", role=local_aws.role(service="glue.amazonaws.com"))


def test_a_service_refuses_a_role_that_is_not_there(local_aws: LocalAws) -> None:
    nobody = "arn:aws:iam::000000000000:role/nobody"
    with pytest.raises(ClientError, match=r"Neither the global service principal states\.amazonaws\.com"):
        local_aws.client("stepfunctions").create_state_machine(name=local_aws.name("machine"), definition=MACHINE, roleArn=nobody)
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        local_aws.function("def handler(e, c): ...", role=nobody)
