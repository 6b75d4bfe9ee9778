"""The library's way with objects, over HTTP and with the rights that its modules name: conditions, parts, copies, deletions, lent addresses."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from lakehouse.object_versions import VersionsRefused, versions_below
from lakehouse.objects.deletions import delete, plan_deletion
from lakehouse.objects.errors import ObjectChanged, ObjectExists, ObjectForbidden
from lakehouse.objects.presigned import PresignedUrl, presign_get, presign_put
from lakehouse.objects.store import ObjectStore
from lakehouse.objects.transfers import MB, TransferProfile, TransferRefused, Transfers
from local.platform import REGION
from tests.fixtures.platform import Caller, LocalAws, allow

pytestmark = pytest.mark.platform

READ, LIST, WRITE = "s3:GetObject", "s3:ListBucket", "s3:PutObject"


@pytest.fixture(scope="module")
def bucket(local_aws: LocalAws) -> str:
    """A bucket as the lake's are: with versions, under a key."""
    name, s3 = local_aws.name("bucket"), local_aws.client("s3")
    key = local_aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return name


def caller(local_aws: LocalAws, bucket: str, *actions: str) -> Any:
    """S3 for somebody with these rights, and with a key of the bucket; signs as the library's own client does."""
    may = allow(list(actions), [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"])
    somebody = local_aws.caller(may, allow(["kms:GenerateDataKey", "kms:Decrypt"]))
    return _signing_v4(somebody)


def _signing_v4(somebody: Caller) -> Any:
    import boto3

    return boto3.client(
        "s3", endpoint_url=somebody.endpoint, verify=somebody.bundle, region_name=REGION, aws_access_key_id=somebody.key,
        aws_secret_access_key=somebody.secret, aws_session_token=somebody.token, config=Config(signature_version="s3v4"),
    )  # fmt: skip


def sent(local_aws: LocalAws, lent: PresignedUrl, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """What a stranger gets who has the address and nothing else."""
    assert lent.url.startswith("https://")
    request = urllib.request.Request(lent.url, data=body, method=lent.method, headers={**lent.headers, **headers})  # noqa: S310 - see above
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=local_aws.root.bundle)) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_documents_are_written_under_conditions_and_told_apart(local_aws: LocalAws, bucket: str) -> None:
    store = ObjectStore(client=caller(local_aws, bucket, READ, LIST, WRITE), bucket=bucket)
    assert store.stat("state/ü.json") is None
    first = store.write_json("state/ü.json", {"runs": 1}, if_none_match="*", metadata={"pipeline": "orders"})
    with pytest.raises(ObjectExists):
        store.write_json("state/ü.json", {"runs": 9}, if_none_match="*")
    second = store.write_json("state/ü.json", {"runs": 2}, if_match=first.etag)
    with pytest.raises(ObjectChanged):
        store.write_json("state/ü.json", {"runs": 3}, if_match=first.etag)
    assert store.read("state/ü.json").json() == {"runs": 2}
    assert second.version_id != first.version_id
    found = store.wait_for("state/ü.json", seconds=1)
    assert (found.etag, found.version_id, found.content_type) == (second.etag, second.version_id, "application/json")


def test_who_may_not_is_told_and_who_may_not_list_is_not_told_what_is_missing(local_aws: LocalAws, bucket: str) -> None:
    store = ObjectStore(client=caller(local_aws, bucket, READ), bucket=bucket)
    with pytest.raises(ObjectForbidden, match="lacks a permission"):
        store.write("nowhere", b"1")
    with pytest.raises(ObjectForbidden):
        store.stat("nowhere")
    with pytest.raises(ObjectForbidden):
        store.read("nowhere")


def test_large_files_go_in_parts_are_promoted_and_come_back(local_aws: LocalAws, bucket: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * (11 * MB // 256)
    (tmp_path / "large").write_bytes(content)
    (tmp_path / "small").write_bytes(b"1,2\n")
    client = caller(local_aws, bucket, READ, LIST, WRITE)
    transfers = Transfers(client=client, bucket=bucket, profile=TransferProfile(threshold_mb=5, part_mb=5, threads=4))
    notes = {"row_count": "7"}
    transfers.upload({"bronze/large": tmp_path / "large", "bronze/small": tmp_path / "small"}, content_type="text/csv", metadata=notes)
    transfers.copy({"bronze/large": "silver/large", "bronze/small": "silver/small"}, metadata="COPY")
    stat = ObjectStore(client=client, bucket=bucket).stat("silver/large")
    assert stat is not None
    assert (stat.size, stat.etag.endswith('-3"'), stat.content_type, dict(stat.metadata)) == (len(content), True, "text/csv", notes)
    back = {"silver/large": tmp_path / "back" / "large", "silver/small": tmp_path / "back" / "small"}
    transfers.download(back)
    assert back["silver/large"].read_bytes() == content
    assert back["silver/small"].read_bytes() == b"1,2\n"
    with pytest.raises(TransferRefused, match="1 of 2 objects were not copied: bronze/gone: there is no object") as caught:
        transfers.copy({"bronze/small": "gold/small", "bronze/gone": "gold/gone"}, metadata={})
    assert caught.value.done == ("bronze/small",)


def test_a_folder_is_hidden_and_then_gone_for_good_by_whoever_may(local_aws: LocalAws, bucket: str) -> None:
    root = local_aws.client("s3")
    for key in ("tmp/a", "tmp/a", "tmp/b", "tmp-other/a"):
        root.put_object(Bucket=bucket, Key=key, Body=b"1")
    hider = caller(local_aws, bucket, "s3:ListBucketVersions", "s3:DeleteObject")
    assert delete(hider, plan_deletion(hider, bucket=bucket, folder="tmp/", which="current")) == 2
    everything = plan_deletion(hider, bucket=bucket, folder="tmp/", which="all")
    assert (everything.objects, len(everything.versions)) == (2, 5)
    with pytest.raises(VersionsRefused, match=r"S3 did not delete 5 of 5 versions .*AccessDenied"):
        delete(hider, everything)
    eraser = caller(local_aws, bucket, "s3:ListBucketVersions", "s3:DeleteObject", "s3:DeleteObjectVersion")
    assert delete(eraser, everything) == 5
    assert list(versions_below(root, bucket=bucket, prefix="tmp/")) == []
    assert len(list(versions_below(root, bucket=bucket, prefix="tmp-other/"))) == 1


def test_an_address_lends_one_object_in_one_way(local_aws: LocalAws, bucket: str) -> None:
    owner = caller(local_aws, bucket, READ, WRITE)
    put = presign_put(owner, bucket=bucket, key="inbox/a ü.csv", content_type="text/csv", seconds=60)
    assert put.may_end_earlier  # the test's session does not tell its end
    status, said = sent(local_aws, put, b"1,2\n", **{"Content-Type": "text/plain"})
    assert (status, b"SignatureDoesNotMatch" in said) == (403, True)
    assert sent(local_aws, put, b"1,2\n")[0] == 200
    get = presign_get(owner, bucket=bucket, key="inbox/a ü.csv", seconds=60)
    assert sent(local_aws, get) == (200, b"1,2\n")
    reader = presign_get(caller(local_aws, bucket, LIST), bucket=bucket, key="inbox/a ü.csv", seconds=60)
    assert sent(local_aws, reader)[0] == 403  # whoever signs needs the right when the address is used
