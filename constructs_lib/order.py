"""What has to come after what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from constructs import IConstruct, IDependable

_waiting: list[dict[IConstruct, dict[IDependable, None]]] = []
"""What each construct waits for, while that is gathered."""


def after(construct: IConstruct, *needed: IDependable) -> None:
    """Have a construct, with all that is in it, come after others with all that is in them.

    Args:
        construct: What comes later.
        needed: What has to be there first.
    """
    if _waiting:
        _waiting[0].setdefault(construct, {}).update(dict.fromkeys(needed))
    else:
        construct.node.add_dependency(*needed)


@contextmanager
def gathered_order() -> Iterator[None]:
    """Gather what constructs wait for, and say it at the end: two calls into the CDK a construct, however many it waits for."""
    if _waiting:
        yield
        return
    waiting: dict[IConstruct, dict[IDependable, None]] = {}
    _waiting.append(waiting)
    try:
        yield
    finally:
        _waiting.clear()
    for construct, needed in waiting.items():
        construct.node.add_dependency(*needed)
