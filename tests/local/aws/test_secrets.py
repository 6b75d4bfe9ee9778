"""Secrets are read by those who may read them and use their key, and changed by those who own them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform


def key(local_aws: LocalAws) -> str:
    policy = {"Version": "2012-10-17", "Statement": [allow("kms:*", Principal={"AWS": "arn:aws:iam::000000000000:root"})]}
    return str(local_aws.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"])


def secret(local_aws: LocalAws, **more: Any) -> str:
    value = json.dumps({"username": "u", "password": "p"})
    return str(local_aws.client("secretsmanager").create_secret(Name=local_aws.name("secret"), SecretString=value, **more)["ARN"])


def reader(local_aws: LocalAws, actions: str | Sequence[str], resource: str, *more: dict[str, Any]) -> Any:
    return local_aws.caller(allow(actions, resource), *more).client("secretsmanager")


def test_a_secret_is_read_by_whoever_may_read_this_very_one(local_aws: LocalAws) -> None:
    mine, other = secret(local_aws), secret(local_aws)
    client = reader(local_aws, "secretsmanager:GetSecretValue", mine)
    assert json.loads(client.get_secret_value(SecretId=mine)["SecretString"])["password"] == "p"
    with pytest.raises(ClientError, match="not authorized to perform: secretsmanager:GetSecretValue"):
        client.get_secret_value(SecretId=other)
    with pytest.raises(ClientError, match="not authorized to perform: secretsmanager:PutSecretValue"):
        client.put_secret_value(SecretId=mine, SecretString="{}")


def test_the_key_of_a_secret_is_asked_too(local_aws: LocalAws) -> None:
    key_arn = key(local_aws)
    arn = secret(local_aws, KmsKeyId=key_arn)
    read = "secretsmanager:GetSecretValue"
    with pytest.raises(ClientError, match=r"Access to KMS is not allowed.*kms:Decrypt"):
        reader(local_aws, read, arn).get_secret_value(SecretId=arn)
    via = {"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}}
    assert reader(local_aws, read, arn, allow("kms:Decrypt", key_arn, Condition=via)).get_secret_value(SecretId=arn)["ARN"] == arn

    write = "secretsmanager:PutSecretValue"
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        reader(local_aws, write, arn, allow("kms:Decrypt", key_arn)).put_secret_value(SecretId=arn, SecretString="{}")
    reader(local_aws, write, arn, allow(["kms:Decrypt", "kms:GenerateDataKey"], key_arn)).put_secret_value(SecretId=arn, SecretString="{}")


def test_a_secret_is_not_made_under_a_key_that_the_caller_may_not_use_or_that_is_none(local_aws: LocalAws) -> None:
    key_arn, name = key(local_aws), local_aws.name("secret")
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        reader(local_aws, "secretsmanager:CreateSecret", "*").create_secret(Name=name, SecretString="x", KmsKeyId=key_arn)
    with pytest.raises(ClientError, match="does not exist"):
        local_aws.client("secretsmanager").create_secret(Name=name, SecretString="x", KmsKeyId="alias/nothing")


def test_tags_of_aws_are_aws_s(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="reserved for AWS"):
        secret(local_aws, Tags=[{"Key": "aws:secretsmanager:owningService", "Value": "rds"}])


def test_rotation_and_replicas_are_refused(local_aws: LocalAws) -> None:
    arn, client = secret(local_aws), local_aws.client("secretsmanager")
    with pytest.raises(ClientError, match="not implemented on the laptop platform"):
        client.rotate_secret(SecretId=arn)
    with pytest.raises(ClientError, match="not implemented on the laptop platform"):
        client.replicate_secret_to_regions(SecretId=arn, AddReplicaRegions=[{"Region": "eu-west-1"}])
