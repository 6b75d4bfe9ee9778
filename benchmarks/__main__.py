"""`make bench`: every measurement, and the table in docs/performance.md. Give names (`functions synth lineitem extraction`) to run a part and print it only."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime

from benchmarks import extraction, functions, lineitem, synth
from benchmarks.pairs import HEADER, Figure
from tools.installation import ROOT

PARTS = ("functions", "synth", "lineitem", "extraction")
PAGE = ROOT / "docs" / "performance.md"
TEXT = """\
# Performance

What the platform costs, each figure against a peer that does the same without it. `make bench` writes this page: ours and the peer take turns, the
ratio is the median of the ratios of the pairs, and a peer counts only because it leaves the same resources or the same tables (asserted at each run).

Measured {day} on {cores} cores ({machine}), Python {python}.

{table}

- Synth is the whole process, from `python app.py` to the last file. The peer, [benchmarks/synth_peer.py](../benchmarks/synth_peer.py), makes
  resource for resource the same templates.
- A function's cold import is the import of its handler in a new process from the deployed bundle, without compiled files, as on Lambda. Ours makes its
  clients at the first event, so a second figure has the clients made on both sides.
- Line items are four CSV files into an empty bronze and silver. The peer, [benchmarks/lineitem_peer.py](../benchmarks/lineitem_peer.py), is
  hand-written Spark with the same steps; it knows clean data only, and nothing of dirty rows, reruns or history.
- An extraction is the first one of a table into an empty bronze. The peer, [benchmarks/extraction_peer.py](../benchmarks/extraction_peer.py), is a
  partitioned JDBC read with real bounds; it knows nothing of one snapshot, deletes, late commits or reruns.
"""


def main(arguments: list[str]) -> int:
    """Measure and write.

    Returns:
        Exit code: 0 if every limit holds, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="parts to measure; all of them by default")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="TPC-H scale factor of the line items, and share of the rows that are extracted"
    )
    parser.add_argument("--pairs", type=int, default=9, help="pairs of synth, line items and extraction")
    chosen = parser.parse_args(arguments)
    figures: list[Figure] = []
    for name in chosen.parts or PARTS:
        match name:
            case "functions":
                figures += functions.measure(ROOT)
            case "synth":
                figures += synth.measure(ROOT, pairs=chosen.pairs)
            case "extraction":
                figures += extraction.measure(ROOT, scale=chosen.scale, pairs=chosen.pairs)
            case _:
                figures += lineitem.measure(ROOT, scale=chosen.scale, pairs=chosen.pairs)
    table = "\n".join([HEADER, *(figure.row() for figure in figures)])
    print(table)
    if not chosen.parts:
        PAGE.write_text(
            TEXT.format(
                day=datetime.now(UTC).date().isoformat(),
                cores=os.cpu_count(),
                machine=f"{platform.system()} {platform.machine()}",
                python=platform.python_version(),
                table=table,
            )
        )
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
