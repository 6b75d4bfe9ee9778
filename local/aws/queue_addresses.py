"""Queues keep working when the platform comes back on another port: MiniStack files them under their whole address."""

from __future__ import annotations

from typing import Any

from local.aws import seam

_sqs = seam.module("services.sqs")


def register() -> None:
    """Give restored queues the address at which they can be reached now."""
    seam.replace("services.sqs._restore_state", _restore_state)
    seam.original("services.sqs._queue_url_for_account")


def _restore_state(data: Any) -> None:
    seam.original("services.sqs._restore_state")(data)
    for scoped_key, queue in list(_sqs._queues.all_items()):
        account, region, address = scoped_key
        now = _sqs._queue_url_for_account(account, queue["name"])
        if now != address:
            queue["url"] = now
            _sqs._queues.pop_scoped(account, region, address)
            _sqs._queues.set_scoped(account, region, now, queue)
            _sqs._queue_name_to_url.set_scoped(account, region, queue["name"], now)
