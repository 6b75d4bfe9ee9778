"""A security configuration of EMR and an instance profile from templates, with the caller's rights."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

STACKS = allow("cloudformation:*")
SECURITY = {
    "EncryptionConfiguration": {
        "EnableAtRestEncryption": True, "EnableInTransitEncryption": False,
        "AtRestEncryptionConfiguration": {
            "LocalDiskEncryptionConfiguration": {"EncryptionKeyProviderType": "AwsKms", "AwsKmsKey": "arn:aws:kms:us-east-1:000000000000:key/k"}
        },
    },
    "AuthorizationConfiguration": {"IAMConfiguration": {"EnableApplicationScopedIAMRole": True}},
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": 2, "HttpPutResponseHopLimit": 1},
}  # fmt: skip
PROFILE = "AWS::IAM::InstanceProfile"
REFS = {"Outputs": {"Name": {"Value": {"Ref": "It"}}}}


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def profile(*roles: str, **more: Any) -> dict[str, Any]:
    return {"It": {"Type": PROFILE, "Properties": {"Roles": [role.rsplit("/", 1)[-1] for role in roles], **more}}}


def configuration(**more: Any) -> dict[str, Any]:
    return {"It": {"Type": "AWS::EMR::SecurityConfiguration", "Properties": {"SecurityConfiguration": SECURITY, **more}}}


def delete(local_aws: LocalAws, name: str) -> None:
    client = local_aws.client("cloudformation")
    client.delete_stack(StackName=name)
    client.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def test_a_security_configuration_is_made_replaced_and_removed(local_aws: LocalAws) -> None:
    emr, name = local_aws.client("emr"), local_aws.name("stack")
    stack = local_aws.stack(configuration(Name=local_aws.name("security")), name=name, template=REFS)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    first = outputs(stack)["Name"]
    assert '"EnableApplicationScopedIAMRole": true' in emr.describe_security_configuration(Name=first)["SecurityConfiguration"]
    second = outputs(local_aws.stack(configuration(Name=local_aws.name("security")), name=name, update=True, template=REFS))["Name"]
    assert second != first
    with pytest.raises(emr.exceptions.InvalidRequestException, match="does not exist"):
        emr.describe_security_configuration(Name=first)
    delete(local_aws, name)
    with pytest.raises(emr.exceptions.InvalidRequestException, match="does not exist"):
        emr.describe_security_configuration(Name=second)


def test_a_security_configuration_that_emr_refuses_fails_its_stack(local_aws: LocalAws) -> None:
    wrong = {"AuthenticationConfiguration": {"KerberosConfiguration": {}}}
    stack = local_aws.stack(configuration(SecurityConfiguration=wrong))
    assert any("AuthenticationConfiguration of a security configuration is not served" in text for text in stack["Failures"])
    denied = local_aws.stack(configuration(), caller=local_aws.caller(STACKS))
    assert any("not authorized to perform: elasticmapreduce:CreateSecurityConfiguration" in text for text in denied["Failures"])


def test_an_instance_profile_is_referred_to_by_its_name_and_changes_its_role_in_place(local_aws: LocalAws) -> None:
    iam, name = local_aws.client("iam"), local_aws.name("stack")
    first, second = local_aws.role(service="ec2.amazonaws.com"), local_aws.role(service="ec2.amazonaws.com")
    both = {"Outputs": {**REFS["Outputs"], "Arn": {"Value": {"Fn::GetAtt": ["It", "Arn"]}}}}
    stack = local_aws.stack(profile(first), name=name, template=both)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    found = outputs(stack)
    held = iam.get_instance_profile(InstanceProfileName=found["Name"])["InstanceProfile"]
    assert (held["Arn"], [role["Arn"] for role in held["Roles"]]) == (found["Arn"], [first])
    changed = local_aws.stack(profile(second), name=name, update=True, template=both)
    assert changed["StackStatus"] == "UPDATE_COMPLETE", changed["Failures"]
    assert outputs(changed) == found
    held = iam.get_instance_profile(InstanceProfileName=found["Name"])["InstanceProfile"]
    assert [role["Arn"] for role in held["Roles"]] == [second]
    delete(local_aws, name)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_instance_profile(InstanceProfileName=found["Name"])


def test_who_makes_an_instance_profile_may_pass_its_role(local_aws: LocalAws) -> None:
    role, name = local_aws.role(service="ec2.amazonaws.com"), local_aws.name("profile")
    arn = f"arn:aws:iam::000000000000:instance-profile/{name}"
    make = allow(
        [
            "iam:CreateInstanceProfile",
            "iam:GetInstanceProfile",
            "iam:AddRoleToInstanceProfile",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:DeleteInstanceProfile",
        ],
        arn,
    )
    denied = local_aws.stack(profile(role, InstanceProfileName=name), caller=local_aws.caller(STACKS, make))
    assert denied["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any(f"is not authorized to perform: iam:PassRole on resource: {role}" in text for text in denied["Failures"]), "\n".join(
        denied["Failures"]
    )
    with pytest.raises(ClientError, match="not found"):
        local_aws.client("iam").get_instance_profile(InstanceProfileName=name)
    passing = allow("iam:PassRole", role, Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}})
    stack = local_aws.stack(profile(role, InstanceProfileName=name), caller=local_aws.caller(STACKS, make, passing))
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]


def test_an_instance_profile_with_a_role_that_is_not_there_fails_its_stack(local_aws: LocalAws) -> None:
    stack = local_aws.stack(profile("nothing"))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("Role nothing not found" in text for text in stack["Failures"])
