"""CloudFormation can do what the deployer, or the role that it was given, can do, and not more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws.cloudformation import rights, schemas
from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

STACKS = allow("cloudformation:*")


def queue(name: str, **more: Any) -> dict[str, Any]:
    return {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name, **more}}}


def test_a_stack_is_created_with_the_callers_rights(local_aws: LocalAws) -> None:
    allowed = local_aws.caller(STACKS, allow(["sqs:CreateQueue", "sqs:GetQueueAttributes"]))
    assert local_aws.stack(queue(local_aws.name("queue")), caller=allowed)["StackStatus"] == "CREATE_COMPLETE"
    denied = local_aws.stack(queue(local_aws.name("queue")), caller=local_aws.caller(STACKS))
    assert denied["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "is not authorized to perform: sqs:createqueue on resource: arn:aws:sqs:us-east-1:000000000000:queue-" in denied["Failures"][-1]
    assert "HandlerErrorCode: AccessDenied" in denied["Failures"][-1]


def test_a_stack_role_acts_instead_of_the_caller_and_must_be_passed(local_aws: LocalAws) -> None:
    able = local_aws.role(allow(["sqs:CreateQueue", "sqs:GetQueueAttributes"]), service="cloudformation.amazonaws.com")
    unable = local_aws.role(service="cloudformation.amazonaws.com")
    caller = local_aws.caller(STACKS, allow("iam:PassRole", [able, unable]))
    assert local_aws.stack(queue(local_aws.name("queue")), caller=caller, RoleARN=able)["StackStatus"] == "CREATE_COMPLETE"
    assert local_aws.stack(queue(local_aws.name("queue")), caller=caller, RoleARN=unable)["StackStatus"] == "ROLLBACK_COMPLETE"
    with pytest.raises(ClientError, match="is not authorized to perform: iam:PassRole"):
        local_aws.stack(queue(local_aws.name("queue")), caller=local_aws.caller(STACKS), RoleARN=able)
    with pytest.raises(ClientError, match="is invalid or cannot be assumed"):
        local_aws.stack(queue(local_aws.name("queue")), RoleARN=local_aws.role(service="glue.amazonaws.com"))


def test_a_stack_keeps_the_role_that_it_was_given(local_aws: LocalAws) -> None:
    actions = ["sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:SetQueueAttributes"]
    role = local_aws.role(allow(actions), service="cloudformation.amazonaws.com")
    caller, name, queue_name = local_aws.caller(STACKS, allow("iam:PassRole", role)), local_aws.name("stack"), local_aws.name("queue")
    local_aws.stack(queue(queue_name), caller=caller, RoleARN=role, name=name)
    updated = local_aws.stack(queue(queue_name, VisibilityTimeout=60), caller=caller, name=name, update=True)
    assert updated["StackStatus"] == "UPDATE_COMPLETE"
    assert [line["decision"] for line in local_aws.calls(role=role, action="sqs:SetQueueAttributes")] == ["Allow"]


def test_a_role_in_a_resource_must_be_passed_and_must_trust_the_service(local_aws: LocalAws) -> None:
    def machine(role: str) -> dict[str, Any]:
        definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
        properties = {"StateMachineName": local_aws.name("machine"), "RoleArn": role, "DefinitionString": definition}
        return {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}

    role = local_aws.role(service="states.amazonaws.com")
    create = allow(["states:CreateStateMachine", "states:DescribeStateMachine"])
    able = local_aws.caller(STACKS, create, allow("iam:PassRole", role))
    assert local_aws.stack(machine(role), caller=able)["StackStatus"] == "CREATE_COMPLETE"
    refused = local_aws.stack(machine(role), caller=local_aws.caller(STACKS, create))
    assert "is not authorized to perform: iam:PassRole" in refused["Failures"][-1]
    untrusting = local_aws.stack(machine(local_aws.role(service="glue.amazonaws.com")))
    assert "Neither the global service principal states.amazonaws.com" in untrusting["Failures"][-1]


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({"Colour": "red"}, "extraneous key [Colour] is not permitted"),
        ({"Arn": "arn:aws:sqs:us-east-1:000000000000:q"}, "Encountered unsupported property Arn"),
        ({"VisibilityTimeout": "soon"}, "expected type: Integer, found: String"),
    ],
)
def test_properties_that_break_the_schema_fail_the_resource(local_aws: LocalAws, properties: dict[str, Any], sentence: str) -> None:
    failed = local_aws.stack(queue(local_aws.name("queue"), **properties))
    assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
    assert sentence in failed["Failures"][-1]


def test_a_failed_update_goes_back_to_what_was(local_aws: LocalAws) -> None:
    name, first, second = local_aws.name("stack"), local_aws.name("queue"), local_aws.name("queue")
    local_aws.stack(queue(first, VisibilityTimeout=40), name=name)
    other = {"Type": "AWS::SQS::Queue", "DependsOn": "Queue", "Properties": {"QueueName": second, "X": 1}}
    broken = {**queue(first, VisibilityTimeout=50), "Other": other}
    assert local_aws.stack(broken, name=name, update=True)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    sqs = local_aws.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName=first)["QueueUrl"], AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "40"
    with pytest.raises(ClientError, match=r"NonExistentQueue|does not exist"):
        sqs.get_queue_url(QueueName=second)


def test_a_changed_name_replaces_the_resource(local_aws: LocalAws) -> None:
    name, first, second = local_aws.name("stack"), local_aws.name("queue"), local_aws.name("queue")
    local_aws.stack(queue(first), name=name)
    assert local_aws.stack(queue(second), name=name, update=True)["StackStatus"] == "UPDATE_COMPLETE"
    queues = [url.rsplit("/", 1)[-1] for url in local_aws.client("sqs").list_queues(QueueNamePrefix="queue-").get("QueueUrls", [])]
    assert second in queues
    assert first not in queues


def test_taking_a_policy_off_needs_the_right_to_take_it_off(local_aws: LocalAws) -> None:
    roles = [{"Ref": "One"}, {"Ref": "Two"}]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "glue.amazonaws.com"}}],
    }
    statement = {"Version": "2012-10-17", "Statement": [allow("s3:ListAllMyBuckets")]}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}

    def resources(count: int) -> dict[str, Any]:
        policy = {"PolicyName": "p", "PolicyDocument": statement, "Roles": roles[:count]}
        return {"One": role, "Two": role, "Policy": {"Type": "AWS::IAM::Policy", "Properties": policy}}

    name = local_aws.name("stack")
    assert local_aws.stack(resources(2), name=name)["StackStatus"] == "CREATE_COMPLETE"
    everything_else = allow(["iam:CreateRole", "iam:GetRole", "iam:PutRolePolicy", "iam:DeleteRole"])
    unable = local_aws.caller(STACKS, everything_else)
    refused = local_aws.stack(resources(1), name=name, update=True, caller=unable)
    assert refused["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "is not authorized to perform: iam:deleterolepolicy" in refused["Failures"][0].lower()
    able = local_aws.caller(STACKS, everything_else, allow("iam:DeleteRolePolicy"))
    assert local_aws.stack(resources(1), name=name, update=True, caller=able)["StackStatus"] == "UPDATE_COMPLETE"


def test_a_deployer_can_be_held_to_bounded_roles(local_aws: LocalAws) -> None:
    iam = local_aws.client("iam")
    document = {"Version": "2012-10-17", "Statement": [allow("*")]}
    boundary = iam.create_policy(PolicyName=local_aws.name("boundary"), PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "glue.amazonaws.com"}}],
    }
    inline = [{"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow("s3:ListAllMyBuckets")]}}]
    bounded_only = {
        **allow(["iam:CreateRole", "iam:PutRolePolicy"]),
        "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}},
    }
    deployer = local_aws.caller(STACKS, bounded_only, allow(["iam:GetRole", "iam:DeleteRole", "iam:DeleteRolePolicy"]))

    def role(**more: Any) -> dict[str, Any]:
        return {"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust, "Policies": inline, **more}}}

    assert local_aws.stack(role(PermissionsBoundary=boundary), caller=deployer)["StackStatus"] == "CREATE_COMPLETE"
    refused = local_aws.stack(role(), caller=deployer)
    assert refused["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "is not authorized to perform: iam:createrole" in refused["Failures"][-1].lower()
    own = deployer.client("iam")
    own.create_role(RoleName=local_aws.name("role"), AssumeRolePolicyDocument=json.dumps(trust), PermissionsBoundary=boundary)
    with pytest.raises(ClientError, match="AccessDenied"):
        own.create_role(RoleName=local_aws.name("role"), AssumeRolePolicyDocument=json.dumps(trust))
    bounded, free = (local_aws.name("role") for _ in range(2))
    iam.create_role(RoleName=bounded, AssumeRolePolicyDocument=json.dumps(trust), PermissionsBoundary=boundary)
    iam.create_role(RoleName=free, AssumeRolePolicyDocument=json.dumps(trust))
    own.put_role_policy(RoleName=bounded, PolicyName="p", PolicyDocument=json.dumps(document))
    with pytest.raises(ClientError, match="AccessDenied"):
        own.put_role_policy(RoleName=free, PolicyName="p", PolicyDocument=json.dumps(document))


def test_every_right_that_is_asked_is_one_that_the_types_handler_lists() -> None:
    wrong: list[str] = []
    for resource_type, known in rights.TYPES.items():
        if schemas.schema(resource_type) is None:
            continue
        listed = {handler: schemas.handler_actions(resource_type, handler) for handler in ("create", "update", "delete")}
        for handler, actions in (("create", known.create), ("update", known.update), ("delete", known.delete)):
            wrong += [f"{resource_type} {handler} {action}" for action in actions if listed[handler] and action not in listed[handler]]
        for actions in (*known.given.values(), *known.changed.values()):
            wrong += [f"{resource_type} {action}" for action in actions if action not in listed["create"] | listed["update"]]
        for actions in known.taken.values():
            wrong += [f"{resource_type} {action}" for action in actions if action not in listed["delete"]]
    assert wrong == []
