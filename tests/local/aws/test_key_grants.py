"""A grant on a key gives its grantee what it names, bound as it says, until it is retired or revoked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import Caller, LocalAws, allow

pytestmark = pytest.mark.platform

OURS = {"team": "ours", "table": "orders"}


@pytest.fixture(scope="module")
def key(local_aws: LocalAws) -> str:
    return str(local_aws.client("kms").create_key()["KeyMetadata"]["Arn"])


def grant(local_aws: LocalAws, key: str, grantee: Caller, *operations: str, by: Caller | None = None, **more: Any) -> dict[str, Any]:
    client = (by or local_aws.root).client("kms")
    made: dict[str, Any] = client.create_grant(KeyId=key, GranteePrincipal=grantee.arn, Operations=list(operations), **more)
    return made


def encrypt(caller: Caller, key: str, context: dict[str, str] | None = None) -> Any:
    return caller.client("kms").encrypt(KeyId=key, Plaintext=b"1", EncryptionContext=context or {})


def test_a_grant_gives_its_operations_and_no_others_until_it_is_revoked(local_aws: LocalAws, key: str) -> None:
    caller = local_aws.caller()
    with pytest.raises(ClientError, match="is not authorized to perform: kms:Encrypt"):
        encrypt(caller, key)
    made = grant(local_aws, key, caller, "Encrypt", Name="ours")
    assert encrypt(caller, key)["KeyId"] == key
    assert [call["reason"] for call in local_aws.calls(role=caller.arn, action="kms:Encrypt") if call["decision"] == "Allow"] == ["a grant"]
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        caller.client("kms").generate_data_key(KeyId=key, KeySpec="AES_256")
    with pytest.raises(ClientError, match="kms:Encrypt"):
        encrypt(local_aws.caller(), key)
    listed = local_aws.client("kms").list_grants(KeyId=key, GranteePrincipal=caller.arn)["Grants"]
    assert [(entry["GrantId"], entry["Operations"], entry["Name"]) for entry in listed] == [(made["GrantId"], ["Encrypt"], "ours")]
    local_aws.client("kms").revoke_grant(KeyId=key, GrantId=made["GrantId"])
    with pytest.raises(ClientError, match="kms:Encrypt"):
        encrypt(caller, key)


def test_a_constraint_binds_a_grant_to_an_encryption_context(local_aws: LocalAws, key: str) -> None:
    exact, part = local_aws.caller(), local_aws.caller()
    grant(local_aws, key, exact, "Encrypt", "DescribeKey", Constraints={"EncryptionContextEquals": OURS})
    grant(local_aws, key, part, "Encrypt", Constraints={"EncryptionContextSubset": {"team": "ours"}})
    assert encrypt(exact, key, OURS)
    assert encrypt(part, key, OURS)
    assert exact.client("kms").describe_key(KeyId=key)  # it has no encryption context to be bound to
    for caller, context in ((exact, {"team": "ours"}), (exact, {}), (part, {"team": "theirs"}), (part, {"Team": "ours"}), (part, {})):
        with pytest.raises(ClientError, match="kms:Encrypt"):
            encrypt(caller, key, context)


def test_a_grant_serves_through_a_service_bound_to_what_the_service_says(local_aws: LocalAws, key: str) -> None:
    s3, bucket = local_aws.client("s3"), local_aws.name("bucket")
    s3.create_bucket(Bucket=bucket)
    caller = local_aws.caller(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
    bound = {"EncryptionContextSubset": {"aws:s3:arn": f"arn:aws:s3:::{bucket}/a"}}
    grant(local_aws, key, caller, "GenerateDataKey", Constraints=bound)
    put: dict[str, Any] = {"Bucket": bucket, "Body": b"1", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    caller.client("s3").put_object(Key="a", **put)
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        caller.client("s3").put_object(Key="b", **put)


def test_a_denial_a_boundary_and_a_disabled_key_stand_above_a_grant(local_aws: LocalAws, key: str) -> None:
    denied = local_aws.caller({"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"})
    boundary = local_aws.client("iam").create_policy(
        PolicyName=local_aws.name("boundary"), PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:*")]})
    )["Policy"]["Arn"]
    for caller in (denied, local_aws.caller(boundary=boundary)):
        grant(local_aws, key, caller, "Encrypt")
        with pytest.raises(ClientError, match="is not authorized to perform: kms:Encrypt"):
            encrypt(caller, key)
    other, caller = local_aws.client("kms").create_key()["KeyMetadata"]["Arn"], local_aws.caller()
    grant(local_aws, other, caller, "Encrypt")
    local_aws.client("kms").disable_key(KeyId=other)
    with pytest.raises(ClientError, match="is disabled"):
        encrypt(caller, other)


def test_only_the_grant_says_who_may_retire_it(local_aws: LocalAws, key: str) -> None:
    retirer, grantee, stranger = local_aws.caller(), local_aws.caller(), local_aws.caller(allow("kms:RetireGrant"))
    made = grant(local_aws, key, grantee, "Encrypt", RetiringPrincipal=retirer.arn)
    for caller in (grantee, stranger):
        with pytest.raises(ClientError, match="is not authorized to perform: kms:RetireGrant"):
            caller.client("kms").retire_grant(KeyId=key, GrantId=made["GrantId"])
    retirer.client("kms").retire_grant(GrantToken=made["GrantToken"])
    with pytest.raises(ClientError, match="kms:Encrypt"):
        encrypt(grantee, key)
    made = grant(local_aws, key, grantee, "Encrypt", "RetireGrant")
    grantee.client("kms").retire_grant(KeyId=key, GrantId=made["GrantId"])
    assert local_aws.client("kms").list_grants(KeyId=key, GrantId=made["GrantId"])["Grants"] == []


def test_a_grant_made_by_right_of_a_grant_gives_no_more(local_aws: LocalAws, key: str) -> None:
    maker, heir = local_aws.caller(), local_aws.caller()
    grant(local_aws, key, maker, "CreateGrant", "Encrypt", Constraints={"EncryptionContextSubset": {"team": "ours"}})
    for operations, constraints in ((["Decrypt"], OURS), (["Encrypt"], {}), (["Encrypt"], {"team": "theirs"})):
        more = {"Constraints": {"EncryptionContextEquals": constraints}} if constraints else {}
        with pytest.raises(ClientError, match="may not give more than that grant gives"):
            grant(local_aws, key, heir, *operations, by=maker, **more)
    grant(local_aws, key, heir, "Encrypt", by=maker, Constraints={"EncryptionContextEquals": OURS})
    assert encrypt(heir, key, OURS)
    with pytest.raises(ClientError, match="kms:CreateGrant"):
        grant(local_aws, key, maker, "Encrypt", by=heir)


def test_policies_narrow_what_may_be_granted(local_aws: LocalAws, key: str) -> None:
    operations = {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "DescribeKey"]}}
    maker, grantee = local_aws.caller(allow("kms:CreateGrant", key, Condition=operations)), local_aws.caller()
    grant(local_aws, key, grantee, "Encrypt", by=maker)
    with pytest.raises(ClientError, match="kms:CreateGrant"):
        grant(local_aws, key, grantee, "Decrypt", by=maker)
    for_services = local_aws.caller(allow("kms:CreateGrant", key, Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}))
    with pytest.raises(ClientError, match="kms:CreateGrant"):
        grant(local_aws, key, grantee, "Encrypt", by=for_services)


def test_an_encryption_context_is_a_condition_of_calls_to_kms_itself(local_aws: LocalAws, key: str) -> None:
    caller = local_aws.caller(allow("kms:Encrypt", key, Condition={"StringEquals": {"kms:EncryptionContext:team": "ours"}}))
    assert encrypt(caller, key, OURS)
    with pytest.raises(ClientError, match="kms:Encrypt"):
        encrypt(caller, key, {"team": "theirs"})


def test_what_grants_cannot_do_here_or_at_all_is_refused(local_aws: LocalAws, key: str) -> None:
    kms, grantee = local_aws.client("kms"), local_aws.caller()
    with pytest.raises(ClientError, match="is not the ARN of"):
        kms.create_grant(KeyId=key, GranteePrincipal="events.amazonaws.com", Operations=["Encrypt"])
    with pytest.raises(ClientError, match="ListRetirableGrants is not implemented"):
        kms.list_retirable_grants(RetiringPrincipal=grantee.arn)
    with pytest.raises(ClientError, match="Invalid grant token"):
        kms.encrypt(KeyId=key, Plaintext=b"1", GrantTokens=["x" * 40])
    assert grant(local_aws, key, grantee, "Encrypt")["GrantToken"]
