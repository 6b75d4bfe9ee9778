"""Checks of what a caller passed, made at synth so that nobody waits for a deployment to learn of a slip."""

from __future__ import annotations

from collections.abc import Iterable


class InvalidProps(ValueError):
    """What was passed to a construct cannot work; the message says what was wrong, what is allowed and what to change."""


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence: require(x > 0, "...")
    """Refuse the call unless the condition holds.

    Raises:
        InvalidProps: The condition does not hold.
    """
    if not condition:
        raise InvalidProps(message)


def require_one_of(value: str, allowed: Iterable[str], *, name: str) -> None:
    """Refuse a word that is not on the list.

    Raises:
        InvalidProps: The value is not allowed.
    """
    options = sorted(allowed)
    require(value in options, f"{name} must be one of {', '.join(options)}, got {value!r}")
