"""`python -m lakehouse.contracts.compiler check|lock [FOLDER]`: check contracts, or bring their lock files up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lakehouse.contracts.compiler.project import compile_contracts, update_locks
from lakehouse.errors import ConfigurationError


def main(argv: list[str] | None = None) -> int:
    """Entry point; 0 done, 1 a contract has faults."""
    parser = argparse.ArgumentParser(
        prog="python -m lakehouse.contracts.compiler", description="Check contracts, or bring their lock files up to date."
    )
    parser.add_argument("command", choices=("check", "lock"))
    parser.add_argument("folder", nargs="?", type=Path, default=Path("contracts"))
    arguments = parser.parse_args(argv)
    out = sys.stdout.write
    try:
        if arguments.command == "lock":
            changes = update_locks(arguments.folder)
            for change in changes:
                out(f"{change.path}: locked {change.contract} {change.version}\n")
            if not changes:
                out("every lock file is up to date\n")
        else:
            contracts = compile_contracts(arguments.folder)
            out(f"{len(contracts)} contracts compile: {', '.join(contracts)}\n")
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
