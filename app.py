"""The CDK app: `cdk synth -c env=prod`, or `python app.py prod` without the CDK's command line."""

from __future__ import annotations

import gc
import json
import os
import sys

from lakehouse.errors import ConfigurationError
from stacks.synthesis import synthesize

GARBAGE_THRESHOLD = 200_000
"""Objects between two collections: with Python's own 700 a synth spends a tenth of its time on garbage that it hardly makes."""


def main(argv: list[str]) -> int:
    """Synthesize one environment; 0 done, 1 something that a person wrote is wrong."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    context = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    try:
        synthesize(argv[0] if argv else context.get("env"))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    # Python ends by looking for garbage in all that is left, which takes it a sixth of a synth; the system takes it back faster.
    gc.freeze()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
