"""Stages of a job, as they are reached: logged for people, and the points at which tests stop a job."""

from __future__ import annotations

import logging
from collections.abc import Callable

Reached = Callable[[str], None]
"""Is told the name of each stage that is behind us."""

_logger = logging.getLogger("lakehouse")


def log_stage(stage: str) -> None:
    """Write the stage to the log."""
    _logger.info("%s", stage)
