"""Names and texts as they stand in SQL: names from an allow-list, in quotes; texts escaped or refused."""

from __future__ import annotations

import re

from lakehouse.errors import TerminalError

MAX_NAME_BYTES = 127
"""Longest name of a table or column in Redshift."""

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_ROLE = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}")
_LOCATION = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[\w!.*()=/-]{0,900}", re.ASCII)
_PLACEHOLDER = re.compile(r"\{[a-z_]+\}|\$\{Token\[[^\]]+\]\}")
"""What stands for a value that only the deployment or the run knows; whoever fills it in answers for its form."""


class SqlRefused(TerminalError):
    """A statement is not built: a part of it is not allowed, or cannot go together with another."""


def name(text: str) -> str:
    """A name in quotes.

    Raises:
        SqlRefused: It is not made of lower-case letters, digits and underscores, or is too long.
    """
    if not _NAME.fullmatch(text) or len(text) > MAX_NAME_BYTES:
        raise SqlRefused(
            f"{text!r} is no name for a table or column: use up to {MAX_NAME_BYTES} lower-case letters, digits and underscores, no digit first"
        )
    return f'"{text}"'


def names(texts: tuple[str, ...] | list[str]) -> str:
    """Names in quotes, with commas between."""
    return ", ".join(name(text) for text in texts)


def user(text: str) -> str:
    """The database user of an IAM role, in quotes.

    Args:
        text: Name of the role.

    Raises:
        SqlRefused: No role can be called so.
    """
    if not re.fullmatch(r"[\w+=,.@-]{1,64}", _PLACEHOLDER.sub("x", text), re.ASCII):
        raise SqlRefused(f"{text!r} is no name of an IAM role: use letters, digits and + = , . @ _ -")
    return f'"IAMR:{text}"'


def literal(text: str) -> str:
    """A text in single quotes.

    Raises:
        SqlRefused: It holds a character that no text of ours needs: a backslash or a control character.
    """
    if "\\" in text or any(ord(character) < 32 for character in text):
        raise SqlRefused(f"{text!r} holds a backslash or a control character: leave it out")
    return "'" + text.replace("'", "''") + "'"


def dollar_quoted(statement: str) -> str:
    """A statement inside another, as UNLOAD takes it: quotes in it stay as they are.

    Raises:
        SqlRefused: The statement would end the quotation.
    """
    if "$$" in statement:
        raise SqlRefused("the statement holds `$$`, which would end the quotation: leave it out")
    return f"$${statement}$$"


def location(text: str) -> str:
    """An `s3://` address in single quotes.

    Raises:
        SqlRefused: It is none.
    """
    # A placeholder at the beginning stands for the bucket too.
    filled = _PLACEHOLDER.sub("xxx", _PLACEHOLDER.sub("s3://xxx/xxx", text, count=1) if _PLACEHOLDER.match(text) else text)
    if not _LOCATION.fullmatch(filled):
        raise SqlRefused(
            f"{text!r} is no address of objects: write s3://<bucket>/<prefix>, letters, digits and ! . * ( ) = / _ - in the prefix"
        )
    return f"'{text}'"


def role(arn: str) -> str:
    """ARN of a role in single quotes.

    Raises:
        SqlRefused: It is none.
    """
    if not _PLACEHOLDER.fullmatch(arn) and not _ROLE.fullmatch(arn):
        raise SqlRefused(f"{arn!r} is no ARN of a role: write arn:aws:iam::<account>:role/<name>")
    return f"'{arn}'"


def region(text: str) -> str:
    """A region in single quotes.

    Raises:
        SqlRefused: It is none.
    """
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]", text):
        raise SqlRefused(f"{text!r} is no region: write one such as eu-west-1")
    return f"'{text}'"


def day(text: str) -> str:
    """A day as a DATE literal.

    Raises:
        SqlRefused: It is not written YYYY-MM-DD.
    """
    from datetime import date

    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise SqlRefused(f"{text!r} is no day: write YYYY-MM-DD, such as 2026-11-22")
    return f"DATE '{text}'"
