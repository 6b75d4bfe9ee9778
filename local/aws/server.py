"""Entry of the local AWS: `python -m local.aws.server` registers the adapter, then runs MiniStack; the platform starts it."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

from local.aws import (
    actions,
    alarms,
    catalog_rights,
    deliveries,
    door,
    event_sources,
    event_versions,
    executions,
    faults,
    functions,
    guard,
    keeping,
    key_grants,
    key_use,
    leading_keys,
    log_keys,
    machines,
    message_keys,
    metrics,
    network_services,
    networks,
    object_keys,
    object_rights,
    pass_role,
    queue_addresses,
    schedules,
    seam,
    secrets,
    states,
    supported,
    table_keys,
)
from local.aws.cloudformation import (
    acting,
    alarm_types,
    athena_types,
    completions,
    conditions,
    custom_resources,
    emr_serverless_types,
    glue_types,
    modelled,
    network_types,
)
from local.aws.engine_adapters import ENGINE_ADAPTERS

ADAPTERS = (
    guard, actions, supported, pass_role, catalog_rights, acting, conditions, completions, custom_resources, modelled, glue_types, alarm_types, athena_types, emr_serverless_types, network_services, networks, network_types, key_use, key_grants, log_keys, message_keys, object_keys, object_rights, secrets, table_keys, leading_keys,
    states, executions, keeping, machines, functions, event_versions, deliveries, schedules, event_sources, queue_addresses, metrics, alarms, *ENGINE_ADAPTERS, door, faults,
)  # fmt: skip
"""Modules of the adapter, in the order in which they register: the door wraps what the others have put in place, and
faults stand in front of the door."""


def register() -> None:
    """Put the adapter in place."""
    seam.module("app")._port_is_bindable = lambda *_: False  # leave port 443 to others
    for adapter in ADAPTERS:
        adapter.register()


def main() -> int:
    """Serve until somebody ends the process."""
    register()
    try:
        seam.verify()
    except seam.PinMismatch as mismatch:
        print(mismatch, file=sys.stderr)  # noqa: T201 - the platform shows it to the user
        return 1
    alarms.start()
    keeping.start()
    sys.argv = [sys.argv[0]]
    _part_quickly()
    seam.module("app").main()
    return 0


def _part_quickly() -> None:
    """Close connections of idle clients after a second: asyncio gives each half a minute to answer, and the end would never come."""
    listen = asyncio.start_server

    async def start_server(*args: Any, **more: Any) -> asyncio.Server:
        return await listen(*args, **({"ssl_shutdown_timeout": 1.0} if more.get("ssl") else {}), **more)

    asyncio.start_server = start_server


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to the command that waits for us
    sys.exit(main())
