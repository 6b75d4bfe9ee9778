"""S3 binds the key of an object to the object, or to its bucket if that has a bucket key, and tells KMS which of both."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

USE = ["kms:GenerateDataKey", "kms:Decrypt"]


def bucket(local_aws: LocalAws, key: str, *, has_bucket_key: bool) -> str:
    name, s3 = local_aws.name("bucket"), local_aws.client("s3")
    s3.create_bucket(Bucket=name)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": has_bucket_key}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return name


def caller(local_aws: LocalAws, key: str, bound: str, **condition: Any) -> Any:
    """S3 for somebody who may use the key where it is bound to this ARN."""
    condition = condition or {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": bound}}
    objects = allow(["s3:PutObject", "s3:GetObject"], "arn:aws:s3:::*")
    return local_aws.caller(objects, allow(USE, key, Condition=condition)).client("s3")


@pytest.fixture(scope="module")
def key(local_aws: LocalAws) -> str:
    return str(local_aws.client("kms").create_key()["KeyMetadata"]["Arn"])


def test_without_a_bucket_key_each_object_is_bound_to_itself(local_aws: LocalAws, key: str) -> None:
    name = bucket(local_aws, key, has_bucket_key=False)
    s3 = caller(local_aws, key, f"arn:aws:s3:::{name}/ours/a ü.csv")
    s3.put_object(Bucket=name, Key="ours/a ü.csv", Body=b"1")
    assert s3.get_object(Bucket=name, Key="ours/a ü.csv")["Body"].read() == b"1"
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        s3.put_object(Bucket=name, Key="ours/b", Body=b"1")
    local_aws.client("s3").put_object(Bucket=name, Key="ours/b", Body=b"1")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        s3.get_object(Bucket=name, Key="ours/b")
    with pytest.raises(ClientError, match="kms:"):
        caller(local_aws, key, f"arn:aws:s3:::{name}").put_object(Bucket=name, Key="ours/c", Body=b"1")


def test_with_a_bucket_key_objects_are_bound_to_the_bucket(local_aws: LocalAws, key: str) -> None:
    name = bucket(local_aws, key, has_bucket_key=True)
    s3 = caller(local_aws, key, f"arn:aws:s3:::{name}")
    assert s3.put_object(Bucket=name, Key="a", Body=b"1")["BucketKeyEnabled"] is True
    assert s3.get_object(Bucket=name, Key="a")["BucketKeyEnabled"] is True
    with pytest.raises(ClientError, match="kms:"):
        caller(local_aws, key, f"arn:aws:s3:::{name}/a").get_object(Bucket=name, Key="a")
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):  # this object is to go without
        s3.put_object(Bucket=name, Key="b", Body=b"1", BucketKeyEnabled=False)


def test_what_an_object_is_bound_to_was_settled_when_it_was_written(local_aws: LocalAws, key: str) -> None:
    name = bucket(local_aws, key, has_bucket_key=False)
    local_aws.client("s3").put_object(Bucket=name, Key="a", Body=b"1")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}
    local_aws.client("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert caller(local_aws, key, f"arn:aws:s3:::{name}/a").get_object(Bucket=name, Key="a")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        caller(local_aws, key, f"arn:aws:s3:::{name}").get_object(Bucket=name, Key="a")


def test_copies_and_uploads_in_parts_are_bound_to_where_they_go(local_aws: LocalAws, key: str) -> None:
    name = bucket(local_aws, key, has_bucket_key=False)
    local_aws.client("s3").put_object(Bucket=name, Key="from", Body=b"1")
    both = {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": [f"arn:aws:s3:::{name}/from", f"arn:aws:s3:::{name}/to"]}}
    s3 = caller(local_aws, key, "", **both)
    s3.copy_object(Bucket=name, Key="to", CopySource={"Bucket": name, "Key": "from"})
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        s3.copy_object(Bucket=name, Key="elsewhere", CopySource={"Bucket": name, "Key": "from"})
    with pytest.raises(ClientError, match="kms:Decrypt"):
        caller(local_aws, key, f"arn:aws:s3:::{name}/to").copy_object(Bucket=name, Key="to", CopySource={"Bucket": name, "Key": "from"})
    upload = s3.create_multipart_upload(Bucket=name, Key="to")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="to", UploadId=upload, PartNumber=1, Body=b"1")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    s3.complete_multipart_upload(Bucket=name, Key="to", UploadId=upload, MultipartUpload=parts)
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        s3.create_multipart_upload(Bucket=name, Key="elsewhere")


def test_a_key_may_be_used_through_s3_only(local_aws: LocalAws, key: str) -> None:
    name = bucket(local_aws, key, has_bucket_key=True)
    through = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    objects = allow(["s3:PutObject", "s3:GetObject"], "arn:aws:s3:::*")
    somebody = local_aws.caller(objects, allow(USE, key, Condition=through))
    somebody.client("s3").put_object(Bucket=name, Key="a", Body=b"1")
    with pytest.raises(ClientError, match="is not authorized to perform: kms:GenerateDataKey"):
        somebody.client("kms").generate_data_key(KeyId=key, KeySpec="AES_256")


def test_an_encryption_context_of_the_callers_own_is_refused_by_name(local_aws: LocalAws, key: str) -> None:
    name = bucket(local_aws, key, has_bucket_key=False)
    with pytest.raises(ClientError, match="x-amz-server-side-encryption-context is not implemented on the laptop platform"):
        local_aws.client("s3").put_object(Bucket=name, Key="a", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSEncryptionContext="e30=")
