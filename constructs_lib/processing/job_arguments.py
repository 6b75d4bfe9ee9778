"""Arguments of jobs: what no engine may be given, because everybody who sees the job sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from constructs_lib.checks import require

_SECRET = re.compile(r"passw|passphrase|pwd|secret|token(?!s|iz)|credential|api[-_]?key|access[-_]?key|private[-_]?key", re.IGNORECASE)
"""Names of secrets; `--max_tokens` and `--tokenizer` are none."""

_SECRET_REFERENCE = re.compile(r"[-_](arn|name|id)$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/@\s:]*:[^/@\s]+@|[?&;](password|pwd|secret|token)=[^&;]", re.IGNORECASE)
"""An address that carries its password: `jdbc:postgresql://user:word@host`, `...;password=word`."""


def check_arguments(arguments: Mapping[str, str], *, owned: Mapping[str, str], engine_s_own: tuple[str, ...] = (), engine: str) -> None:
    """Refuse arguments that hold a secret, that the engine sets, or that the construct has a better word for.

    Args:
        arguments: Arguments by name with their `--`.
        owned: Arguments that belong to the construct, each with what to use instead.
        engine_s_own: Arguments that the engine sets by itself.
        engine: Name of the engine, for people.

    Raises:
        InvalidProps: One of them is such an argument.
    """
    for name, value in arguments.items():
        require(name.startswith("--"), f"job arguments start with `--`: write --{name.lstrip('-')} for {name!r}")
        require(name not in owned, f"{name} belongs to the construct: use {owned.get(name)} instead")
        require(name not in engine_s_own, f"{name} is set by {engine} itself: call your own argument something else")
        require(
            not _SECRET.search(name) or bool(_SECRET_REFERENCE.search(name)),
            f"{name} looks like a secret, and job arguments are visible to everybody who may see the job: store it in Secrets Manager, pass its ARN as "
            f"{name}_arn and read it in the job; if it is none, call it something else",
        )
        require(
            not _SECRET_VALUE.search(value),
            f"the value of {name} holds a password, and job arguments are visible to everybody who may see the job: store the address in Secrets Manager, "
            f"pass its ARN as {name}_secret_arn and read it in the job",
        )
