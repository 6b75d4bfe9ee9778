"""boto3 clients by which a service acts as its caller inside the platform: with the caller's permissions, asked at the door."""

from __future__ import annotations

from typing import Any

import boto3

from local.aws import guard, seam
from local.engines import host

_responses = seam.module("core.responses")


def caller_client(service: str, key: str) -> Any:
    """A client that works as the holder of an access key, in the region of the request under way."""
    found = guard.credentials(key) if not guard.is_root(key) else host.engine_credentials()
    return boto3.client(
        service, endpoint_url=host.aws_url(), region_name=_responses.get_region(), aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"], aws_session_token=found.get("AWS_SESSION_TOKEN"),
    )  # fmt: skip
