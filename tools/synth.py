"""`make synth`: every environment in one process, each into its own folder of `cdk.out`."""

from __future__ import annotations

import sys

from lakehouse.errors import ConfigurationError
from stacks.synthesis import ROOT, synthesize
from tools.console import say


def main() -> int:
    """Synthesize every environment that has a file in `config/`.

    Returns:
        Exit code: 0 done, 1 something that a person wrote is wrong.
    """
    for env in sorted(file.stem for file in (ROOT / "config").glob("*.yaml") if file.stem != "base"):
        try:
            say(f"synth: {env} -> {synthesize(env, outdir=ROOT / 'cdk.out' / env).relative_to(ROOT)}")
        except ConfigurationError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
