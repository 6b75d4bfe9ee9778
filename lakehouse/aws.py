"""Clients of AWS: one a service and process, with deadlines and the SDK's standard retries, which are the only retries there are."""

from __future__ import annotations

from functools import cache
from typing import Any

ATTEMPTS = 5
"""Calls that one request may make, the first included."""

CONNECT_SECONDS = 5
READ_SECONDS = 30
"""Longest wait for an answer, a call."""


@cache
def client(service: str, *, attempts: int = ATTEMPTS, read_seconds: int = READ_SECONDS) -> Any:
    """The client of a service, such as `dynamodb`; made at its first use, in the region and with the endpoint of the environment.

    Args:
        service: Name of the service as boto3 knows it.
        attempts: Calls that one request may make.
        read_seconds: Longest wait for an answer, a call.
    """
    # At the first use, not at import: a function that needs no client pays for none.
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            # Left to itself boto3 signs addresses that lend an object (presigned ones) in a way that S3 refuses for objects under a KMS key.
            **({"signature_version": "s3v4"} if service == "s3" else {}),
        ),
    )
