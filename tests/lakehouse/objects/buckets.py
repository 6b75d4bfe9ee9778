"""Buckets of a fake S3 for tests."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

BUCKET = "lake"


def s3_client(**config: Any) -> Any:
    """A client of nobody's account."""
    return boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x", config=Config(**config) if config else None
    )


def make_bucket(client: Any, name: str = BUCKET, *, versioning: str = "Enabled") -> None:
    """A bucket that keeps versions, or not."""
    client.create_bucket(Bucket=name)
    if versioning:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
