"""Callers are denied in AWS's words, and every decision is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from local import permissions
from tests.fixtures.platform import LocalAws, allow, deny

pytestmark = pytest.mark.platform


def test_a_caller_without_the_right_is_denied_with_role_action_and_resource(local_aws: LocalAws) -> None:
    bucket = local_aws.name("bucket")
    local_aws.client("s3").create_bucket(Bucket=bucket)
    caller = local_aws.caller(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
    caller.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    with pytest.raises(ClientError) as denied:
        caller.client("s3").get_object(Bucket=bucket, Key="a")
    assert denied.value.response["Error"]["Code"] == "AccessDenied"
    role = caller.arn.rsplit("/", 1)[-1]
    assert denied.value.response["Error"]["Message"] == (
        f"User: arn:aws:sts::000000000000:assumed-role/{role}/test is not authorized to perform: s3:GetObject on resource: "
        f'"arn:aws:s3:::{bucket}/a" because no identity-based policy allows the s3:GetObject action'
    )


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("s3", lambda client: client.list_buckets(), "SignatureDoesNotMatch"),
        ("sts", lambda client: client.get_caller_identity(), "SignatureDoesNotMatch"),
        ("glue", lambda client: client.get_databases(), "InvalidSignatureException"),
        ("redshift-data", lambda client: client.list_statements(), "InvalidSignatureException"),
    ],
)
def test_whoever_knows_roots_key_but_not_its_secret_is_refused(
    local_aws: LocalAws, service: str, call: Callable[[Any], object], code: str
) -> None:
    call(local_aws.client(service))
    with pytest.raises(ClientError) as denied:
        call(replace(local_aws.root, secret="guessed").client(service))
    assert denied.value.response["Error"]["Code"] == code


def test_a_presigned_address_of_root_needs_its_secret(local_aws: LocalAws) -> None:
    bucket = local_aws.name("bucket")
    local_aws.client("s3").create_bucket(Bucket=bucket)
    local_aws.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    asked = {"ClientMethod": "get_object", "Params": {"Bucket": bucket, "Key": "a"}}
    with urllib3.PoolManager(ca_certs=local_aws.root.bundle) as pool:
        answer = pool.request("GET", local_aws.client("s3").generate_presigned_url(**asked))
        assert (answer.status, answer.data) == (200, b"1")
        guessed = replace(local_aws.root, secret="guessed").client("s3").generate_presigned_url(**asked)
        assert pool.request("GET", guessed).status == 403


def test_twelve_digits_are_nobodys_key(local_aws: LocalAws) -> None:
    for digits in ("000000000000", "111111111111"):
        with pytest.raises(ClientError, match="security token included in the request is invalid"):
            replace(local_aws.root, key=digits).client("sqs").list_queues()


def test_an_explicit_deny_and_a_boundary_name_themselves(local_aws: LocalAws) -> None:
    denied_by_policy = local_aws.caller(allow("sqs:*"), deny("sqs:CreateQueue"))
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        denied_by_policy.client("sqs").create_queue(QueueName=local_aws.name("queue"))
    boundary = local_aws.client("iam").create_policy(
        PolicyName=local_aws.name("boundary"), PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:*")]})
    )["Policy"]["Arn"]
    bounded = local_aws.caller(allow("sqs:*"), boundary=boundary)
    with pytest.raises(ClientError, match="because no permissions boundary allows the sqs:createqueue action"):
        bounded.client("sqs").create_queue(QueueName=local_aws.name("queue"))


def test_every_decision_is_recorded_with_role_action_resource_and_verdict(local_aws: LocalAws) -> None:
    caller = local_aws.caller(allow("dynamodb:ListTables"))
    caller.client("dynamodb").list_tables()
    with pytest.raises(ClientError):
        caller.client("sns").list_topics()
    calls = {(line["action"], line["decision"]) for line in local_aws.calls(role=caller.arn)}
    assert calls == {("dynamodb:ListTables", "Allow"), ("sns:ListTopics", "ImplicitDeny")}
    line = local_aws.calls(role=caller.arn)[0]
    assert {"ts", "via", "account", "region", "principal", "role", "action", "resource", "decision"} <= line.keys()


def test_assuming_a_role_asks_its_trust_policy(local_aws: LocalAws) -> None:
    for_services = local_aws.role(service="glue.amazonaws.com")
    trusting = local_aws.role()
    caller = local_aws.caller(allow("sts:AssumeRole", [for_services, trusting]))
    caller.client("sts").assume_role(RoleArn=trusting, RoleSessionName="session")
    with pytest.raises(ClientError, match="is not authorized to perform: sts:AssumeRole"):
        local_aws.client("sts").assume_role(RoleArn=for_services, RoleSessionName="session")
    with pytest.raises(ClientError, match="is not authorized to perform: sts:AssumeRole"):
        caller.client("sts").assume_role(RoleArn=for_services, RoleSessionName="session")


def test_a_request_without_a_known_action_is_denied_to_narrow_policies(local_aws: LocalAws) -> None:
    function = local_aws.function("def handler(e, c): return 1", role=local_aws.role(service="lambda.amazonaws.com"))
    narrow = local_aws.caller(allow("lambda:GetFunction"))
    narrow.client("lambda").get_function(FunctionName=function)
    with pytest.raises(ClientError, match="lambda:PutFunctionConcurrency"):  # plain MiniStack authorises it as another operation
        narrow.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)


def test_what_attached_policies_grant_counts_as_granted(local_aws: LocalAws) -> None:
    iam, prefix = local_aws.client("iam"), local_aws.name("granted")
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "glue.amazonaws.com"}}
    trust = {"Version": "2012-10-17", "Statement": [assume]}
    iam.create_role(RoleName=f"{prefix}-job", AssumeRolePolicyDocument=json.dumps(trust))

    def document(action: str) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [allow(action)]})

    iam.put_role_policy(RoleName=f"{prefix}-job", PolicyName="p", PolicyDocument=document("s3:ListAllMyBuckets"))
    policy = iam.create_policy(PolicyName=local_aws.name("policy"), PolicyDocument=document("sqs:ListQueues"))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=f"{prefix}-job", PolicyArn=policy)
    assert {grant.action for grant in permissions.granted(iam, prefix)} == {"s3:ListAllMyBuckets", "sqs:ListQueues"}


def test_many_objects_are_deleted_by_the_right_to_each(local_aws: LocalAws) -> None:
    s3, bucket = local_aws.client("s3"), local_aws.name("bucket")
    s3.create_bucket(Bucket=bucket)
    for key in ("mine/a", "mine/ü & b", "theirs/b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    caller = local_aws.caller(allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/mine/*"))
    named = [{"Key": "theirs/b"}, {"Key": "mine/a"}, {"Key": "mine/ü & b"}, {"Key": "mine/a", "VersionId": "null"}]
    answer = caller.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": named})
    assert [deleted["Key"] for deleted in answer["Deleted"]] == ["mine/a", "mine/ü & b"]
    assert [(error["Key"], error.get("VersionId"), error["Code"]) for error in answer["Errors"]] == [
        ("theirs/b", None, "AccessDenied"),
        ("mine/a", "null", "AccessDenied"),
    ]
    assert f'not authorized to perform: s3:DeleteObject on resource: "arn:aws:s3:::{bucket}/theirs/b"' in answer["Errors"][0]["Message"]
    assert "s3:DeleteObjectVersion" in answer["Errors"][1]["Message"]
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["theirs/b"]
    quiet = caller.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "theirs/b"}], "Quiet": True})
    assert [error["Key"] for error in quiet["Errors"]] == ["theirs/b"]
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        replace(caller, secret="guessed").client("s3").delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "mine/a"}]})
    with pytest.raises(ClientError, match="MalformedXML"):
        caller.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"mine/{number}"} for number in range(1001)]})


def test_a_missing_object_is_hidden_from_whoever_may_not_list_its_bucket(local_aws: LocalAws) -> None:
    s3, bucket = local_aws.client("s3"), local_aws.name("bucket")
    s3.create_bucket(Bucket=bucket)
    objects, listed = f"arn:aws:s3:::{bucket}/*", f"arn:aws:s3:::{bucket}"
    reader = local_aws.caller(allow(["s3:GetObject", "s3:PutObject"], objects)).client("s3")
    some = {**allow("s3:ListBucket", listed), "Condition": {"StringLike": {"s3:prefix": ["a/*"]}}}
    lister_of_some = local_aws.caller(allow("s3:GetObject", objects), some).client("s3")
    lister = local_aws.caller(allow("s3:GetObject", objects), allow("s3:ListBucket", listed)).client("s3")
    for client in (reader, lister_of_some):
        with pytest.raises(ClientError) as denied:
            client.get_object(Bucket=bucket, Key="a/b")
        assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert denied.value.response["Error"]["Code"] == "AccessDenied"
        assert f's3:ListBucket on resource: "arn:aws:s3:::{bucket}" because' in denied.value.response["Error"]["Message"]
        with pytest.raises(ClientError, match=r"\(403\)"):
            client.head_object(Bucket=bucket, Key="a/b")
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "a/b"})
    with pytest.raises(ClientError, match="NoSuchKey"):
        lister.get_object(Bucket=bucket, Key="a/b")
    with pytest.raises(ClientError, match=r"\(404\)"):
        lister.head_object(Bucket=bucket, Key="a/b")
    reader.put_object(Bucket=bucket, Key="a/b", Body=b"1")
    assert reader.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"1"
    assert reader.head_object(Bucket=bucket, Key="a/b")["ContentLength"] == 1
