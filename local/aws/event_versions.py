"""S3's events on EventBridge name the version of the object, as AWS's do; MiniStack knows it and leaves it out."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any

from local.aws import seam

_version: ContextVar[str | None] = ContextVar("version of the object that an event is about", default=None)


def register() -> None:
    """Carry the version from S3 to the event."""
    seam.replace("services.s3._fire_s3_event", _fire_s3_event)
    seam.replace("services.eventbridge._dispatch_event", _dispatch_event)


def _fire_s3_event(*args: Any, **kwargs: Any) -> None:
    token = _version.set(kwargs.get("version_id"))
    try:
        seam.original("services.s3._fire_s3_event")(*args, **kwargs)
    finally:
        _version.reset(token)


def _dispatch_event(event: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    version = _version.get()
    if version is not None and event.get("Source") == "aws.s3":
        detail = json.loads(event["Detail"])
        detail["object"].setdefault("version-id", version)
        event = {**event, "Detail": json.dumps(detail)}
    return seam.original("services.eventbridge._dispatch_event")(event, *args, **kwargs)
