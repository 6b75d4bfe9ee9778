"""`make bench`: every measurement, and docs/performance.md. Name parts to measure only them; `--write` renews their sections of the page."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks import extraction, functions, lineitem, publication, scale, synth
from benchmarks.page import Measurement, renewed, table
from benchmarks.pairs import PAIRS, Figure
from tools.installation import ROOT

PAGE = ROOT / "docs" / "performance.md"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that is measured by itself.

    Attributes:
        title: Heading of its section of the page.
        measure: Measures it: scale, pairs.
        notes: What a reader has to know.
        has_scale: Whether the scale matters.
    """

    title: str
    measure: Callable[[float, int], list[Figure]]
    notes: str
    has_scale: bool = False


PARTS = {
    "functions": Part(
        title="Cold starts of the functions",
        measure=lambda _, pairs: functions.measure(ROOT, pairs=pairs),
        notes="""\
- A function's cold import is the import of its handler in a new process from the deployed bundle, without compiled files, as on Lambda. Ours makes its
  clients at the first event, so a second figure has the clients made on both sides.
""",
    ),
    "synth": Part(
        title="Synth",
        measure=lambda _, pairs: synth.measure(ROOT, pairs=pairs),
        notes="""\
- Synth is the whole process, from `python app.py` to the last file. The peer, [benchmarks/synth_peer.py](../benchmarks/synth_peer.py), makes
  resource for resource the same templates. Ours keeps Python's search for garbage short (app.py), as any CDK app could; the peer does not.
""",
    ),
    "scale": Part(
        title="Synth of large projects",
        measure=lambda _, pairs: scale.measure(ROOT, pairs=pairs),
        notes=scale.NOTES,
    ),
    "lineitem": Part(
        title="Ingest and refine",
        measure=lambda size, pairs: lineitem.measure(ROOT, scale=size, pairs=pairs),
        notes="""\
- Line items are four CSV files into an empty bronze and silver. The peer, [benchmarks/lineitem_peer.py](../benchmarks/lineitem_peer.py), is
  hand-written Spark with the same steps; it knows clean data only, and nothing of dirty rows, reruns or history.
""",
        has_scale=True,
    ),
    "publication": Part(
        title="Publish",
        measure=lambda size, pairs: publication.measure(ROOT, scale=size, pairs=pairs),
        notes="""\
- A publication computes `tpch.daily_revenue` from the three silver tables and publishes it by a branch after the gate: once into an empty gold table, once
  into one of which some days have changed. The peer, [benchmarks/publication_peer.py](../benchmarks/publication_peer.py), is hand-written Spark with the
  same steps; it knows nothing of a transform that gives the wrong columns, of rules that fail, of reruns or of the audit.
""",
        has_scale=True,
    ),
    "extraction": Part(
        title="Extraction",
        measure=lambda size, pairs: extraction.measure(ROOT, scale=size, pairs=pairs),
        notes="""\
- An extraction is the first one of a table into an empty bronze. The peer, [benchmarks/extraction_peer.py](../benchmarks/extraction_peer.py), is a
  partitioned JDBC read with real bounds; it knows nothing of one snapshot, deletes, late commits or reruns.
""",
        has_scale=True,
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write.

    Returns:
        Exit code: 0 if every limit holds, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="parts to measure; all of them by default")
    parser.add_argument(
        "--write", action="store_true", help="renew the sections of these parts in docs/performance.md; all parts always do"
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="TPC-H scale factor of line items and publications, and share of the rows that are extracted",
    )
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs that each figure rests on")
    chosen = parser.parse_args(arguments)
    measured: list[Measurement] = []
    for name in chosen.parts or PARTS:
        part = PARTS[name]
        figures = part.measure(chosen.scale, chosen.pairs)
        print(f"{part.title}\n{table(figures)}\n", flush=True)
        measured.append(
            Measurement(title=part.title, how=_how(name, part, scale=chosen.scale, pairs=chosen.pairs), figures=figures, notes=part.notes)
        )
        if chosen.write or not chosen.parts:
            # Part by part: whoever stops a long measurement keeps what it has.
            held = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
            PAGE.write_text(renewed(held, measured, titles=[part.title for part in PARTS.values()]), encoding="utf-8")
    return 0 if all(figure.holds for measurement in measured for figure in measurement.figures) else 1


def _how(name: str, part: Part, *, scale: float, pairs: int) -> str:
    options = [*([f"--scale {scale:g}"] if part.has_scale and scale != 1 else []), *([f"--pairs {pairs}"] if pairs != PAIRS else [])]
    command = " ".join(["python -m benchmarks", name, *options, "--write"])
    day, machine = datetime.now(UTC).date().isoformat(), f"{platform.system()} {platform.machine()}"
    return f"`{command}`, {day}, {os.cpu_count()} cores ({machine}), Python {platform.python_version()}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
