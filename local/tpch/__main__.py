"""Command that writes TPC-H drops and the dirty drop: `python -m local.tpch --scale 0.1 --days 3 --out DIR`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lakehouse.errors import LakehouseError
from local.tpch.dirty import write_dirty_drop
from local.tpch.drops import generate


def main(argv: list[str] | None = None) -> int:
    """Generate, then print each file and its rows."""
    parser = argparse.ArgumentParser(prog="python -m local.tpch", description="Write TPC-H as daily CSV drops, and a drop full of faults.")
    parser.add_argument("--scale", type=float, default=0.1, help="scale factor; 1 is a gigabyte (default: %(default)s)")
    parser.add_argument("--days", type=int, default=3, help="order dates, counted back from the newest (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    arguments = parser.parse_args(argv)
    try:
        drops = generate(scale=arguments.scale, days=arguments.days, out=arguments.out)
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for file in drops.files:
        sys.stdout.write(f"{file.dataset}\t{file.day}\t{file.rows}\t{file.path}\n")
    for dirty, path in write_dirty_drop(arguments.out / "dirty"):
        sys.stdout.write(f"{dirty.dataset}\tdirty\t{dirty.rows_in}\t{path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
