"""Workload management of a provisioned cluster: queues with priorities, as the parameter `wlm_json_configuration` says them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

Priority = Literal["highest", "high", "normal", "low", "lowest"]
PRIORITIES: tuple[Priority, ...] = ("highest", "high", "normal", "low", "lowest")
"""Priorities of a queue; `critical` is given to single queries by a superuser and to no queue."""

MAX_QUEUES = 8
"""User queues that Redshift takes, the default queue included."""

MAX_CHARACTERS = 8000
"""Longest value of the parameter."""

MAX_SLOTS = 50
"""Most queries at a time over all queues that fix their slots."""

DEFAULT_NAME = "default"
LOADS = "loads"
"""Query group that loads put themselves into, and name of the queue for it."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
_LABELS = ("query_group", "user_group", "user_role")
_SCALING = ("off", "auto")


class InvalidQueues(ValueError):
    """Queues that Redshift would not take; says what to change."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Queries that are treated alike.

    Attributes:
        name: Its name.
        priority: Which queue's queries get resources first.
        query_groups: Labels that sessions give themselves by `SET query_group`; `*` stands for any letters.
        user_groups: Database groups whose users' queries belong here.
        user_roles: Database roles whose holders' queries belong here.
        concurrency_scaling: Whether queries that wait may run on further clusters, which cost extra.
    """

    name: str
    priority: Priority = "normal"
    query_groups: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    user_roles: tuple[str, ...] = ()
    concurrency_scaling: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The queue as Redshift is told it."""
        labels = {"query_group": self.query_groups, "user_group": self.user_groups, "user_role": self.user_roles}
        return {
            "name": self.name,
            "auto_wlm": True,
            "queue_type": "auto",
            "priority": self.priority,
            "concurrency_scaling": "auto" if self.concurrency_scaling else "off",
            **{key: list(values) for key, values in labels.items() if values},
        }


LOAD_QUEUE = Queue(name=LOADS, priority="high", query_groups=(LOADS,))
"""Where loads of pipelines run: what reports read waits for them, not the other way round."""


def wlm_json(queues: Sequence[Queue], *, default_priority: Priority = "normal", short_queries: bool = True) -> str:
    """Value of `wlm_json_configuration`: these queues in their order, the default queue last.

    Args:
        queues: Queues; a query goes to the first that it belongs to.
        default_priority: Priority of what belongs to none of them.
        short_queries: Whether short queries run in a space of their own and wait for nobody.

    Raises:
        InvalidQueues: Redshift would not take them.
    """
    for queue in queues:
        if not _NAME.fullmatch(queue.name):
            raise InvalidQueues(f"queue {queue.name!r}: a name is up to 30 lower-case letters, digits and underscores, a letter first")
        if not (queue.query_groups or queue.user_groups or queue.user_roles):
            raise InvalidQueues(
                f"queue {queue.name}: no query would ever get into it: give it query_groups, user_groups or user_roles; "
                "the default queue is made by itself"
            )
    names = [queue.name for queue in queues]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or DEFAULT_NAME in names:
        raise InvalidQueues(
            f"queue {(twice or [DEFAULT_NAME])[0]}: the name is taken: queues have different names, and none is {DEFAULT_NAME!r}"
        )
    last = {**Queue(name=DEFAULT_NAME, priority=default_priority).to_dict()}
    value = json.dumps([*(queue.to_dict() for queue in queues), last, {"short_query_queue": short_queries}], separators=(",", ":"))
    found = problem(value)
    if found:
        raise InvalidQueues(found)
    return value


def problem(value: str) -> str:
    """Why Redshift would not take a value of `wlm_json_configuration`; empty if it would."""
    if len(value) > MAX_CHARACTERS:
        return f"wlm_json_configuration has {len(value)} characters, more than {MAX_CHARACTERS}: use fewer queues or shorter lists"
    try:
        parsed: Any = json.loads(value)
    except ValueError as error:
        return f"wlm_json_configuration is no JSON ({error})"
    if not isinstance(parsed, list) or not all(isinstance(item, dict) for item in cast("list[Any]", parsed)):
        return "wlm_json_configuration is a list of queues, each an object"
    items = cast("list[Mapping[str, Any]]", parsed)
    queues = [item for item in items if "short_query_queue" not in item or len(item) > 2]
    if not queues:
        return "wlm_json_configuration has no queue: the default queue is the last one"
    if len(queues) > MAX_QUEUES:
        return f"wlm_json_configuration has {len(queues)} queues, and Redshift takes {MAX_QUEUES}, the default queue included: remove some"
    if any(queues[-1].get(label) for label in _LABELS):
        return "the last queue is the default queue, which takes no user groups, query groups or roles: add one without them"
    return _mixed(queues) or next(filter(None, map(_queue_problem, queues)), "")


def _mixed(queues: Sequence[Mapping[str, Any]]) -> str:
    """Why the queues do not go together; empty if they do."""
    if len({bool(queue.get("auto_wlm", True)) for queue in queues}) > 1:
        return "queues are all automatic or all manual: set auto_wlm alike"
    slots = sum(int(queue.get("query_concurrency", 0)) for queue in queues)
    if slots > MAX_SLOTS:
        return f"the queues have {slots} slots, and Redshift takes {MAX_SLOTS} together: lower query_concurrency"
    return ""


def _queue_problem(queue: Mapping[str, Any]) -> str:
    told = f"queue {queue.get('name', DEFAULT_NAME)}"
    priority, scaling = queue.get("priority", "normal"), queue.get("concurrency_scaling", "off")
    if priority not in PRIORITIES:
        return f"{told}: priority is one of {', '.join(PRIORITIES)}, got {priority!r}"
    if queue.get("auto_wlm", True) and queue.get("query_concurrency"):
        return f"{told}: an automatic queue has no slots: remove query_concurrency, or set auto_wlm to false"
    if scaling not in _SCALING:
        return f"{told}: concurrency_scaling is off or auto, got {scaling!r}"
    return ""
