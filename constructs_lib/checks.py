"""Checks of what a caller passed, made at synth so that nobody waits for a deployment to learn of a slip."""

from __future__ import annotations

from collections.abc import Iterable

_TOKENS_BELOW = -1e200
"""The CDK stands for a number that only the deployment knows by one of about -1.9e289."""


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


def require_range(value: float, *, name: str, at_least: int, at_most: int | None = None, why: str = "") -> None:
    """Refuse a number out of range.

    Args:
        value: What was passed.
        name: What the caller knows it as.
        at_least: Least that is allowed.
        at_most: Most that is allowed; None if there is no limit.
        why: Whose range it is.

    Raises:
        InvalidProps: The number is out of range.
    """
    allowed = f"at least {at_least}" if at_most is None else f"{at_least}-{at_most}"
    reason = f" ({why})" if why else ""
    require(at_least <= value and (at_most is None or value <= at_most), f"{name} must be {allowed}{reason}, got {shown(value)}")


def shown(value: float) -> str:
    """A number as a message shows it."""
    return f"{value}" if value > _TOKENS_BELOW else "one that only the deployment knows: write the number itself, as it is checked at synth"
