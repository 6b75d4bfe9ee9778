"""Archives of the classes that Spark loads, by which a driver starts with half the work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.console import say

_LONGEST_TRAINING_SECONDS = 600


def prepare_spark(root: Path, *series: str) -> bool:
    """A training run, about a minute; what asked for it goes on without the archive if it fails.

    Args:
        root: The checkout.
        series: Which Spark; Glue's if none is named.

    Returns:
        Whether the archive is there.
    """
    build = [sys.executable, "-m", "local.engines.spark_build"]
    try:
        done = subprocess.run([*build, *series], cwd=root, check=False, timeout=_LONGEST_TRAINING_SECONDS)
    except subprocess.TimeoutExpired:
        done = None
    finally:
        # A build that is killed leaves a platform running; ended here, it cannot outlive what asked for it.
        subprocess.run([*build, "--clean"], cwd=root, check=False)
    if done is None or done.returncode:
        say("  this did not work out; Spark runs all the same and starts more slowly, and the next set-up tries again")
        return False
    return True
