"""What `lake stop` returns; a stable shape as those of `cli.results`."""

from __future__ import annotations

from dataclasses import dataclass

from cli.results import Run


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A run that was stopped.

    Attributes:
        env: Environment.
        run: The run as the audit now holds it: FAILED, reason `aborted`, with who stopped it.
        goes_on: What nobody can end from here and ends by itself, or "".
    """

    env: str
    run: Run
    goes_on: str
