"""Calls that CloudFormation makes for a stack, over the local AWS's own front door, with the rights of whoever the stack acts for."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import Any

from boto3.session import Session
from botocore.config import Config

from local.aws import guard, seam
from local.aws.cloudformation import acting

_ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
"""The handshake of TLS counts as connecting, and waits while the server is busy with the templates of four stacks at once."""

_responses = seam.module("core.responses")
_session = Session()
_making = threading.Lock()  # one session makes all clients, which saves reading the models anew, and is not thread-safe


def client(service: str) -> Any:
    """A client of the stack's actor; only for handlers that run on a worker thread, as the call comes back to this very server."""
    key = acting.actor()
    with _making:
        return _client(service, "" if guard.is_root(key) else key, _responses.get_region())


@lru_cache(maxsize=64)
def _client(service: str, key: str, region: str) -> Any:
    session = guard.credentials(key) if key else {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": None}
    return _session.client(
        service, region_name=region, endpoint_url=os.environ["AWS_ENDPOINT_URL"], verify=os.environ["AWS_CA_BUNDLE"], config=_ONE_TRY,
        aws_access_key_id=session["AWS_ACCESS_KEY_ID"], aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=session["AWS_SESSION_TOKEN"],
    )  # fmt: skip
