"""Scripts that Glue's bookmarks can follow: a bookmark is kept by the name of a read, so a read without one, or under a changing one, is read anew each time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from constructs_lib.checks import require

READS = ("from_catalog", "from_options")
"""Reads of `create_dynamic_frame` that a bookmark follows; a plain `spark.read` is none."""

NAME = "transformation_ctx"
"""Argument of a read that its bookmark is kept by."""


def check_bookmarked(script: Path) -> None:
    """Refuse a script whose bookmark would not hold: it reads everything again, or nothing.

    Args:
        script: Entry point of the job.

    Raises:
        InvalidProps: It reads no DynamicFrame, a read has no name of its own, or nobody begins and commits the bookmark.
    """
    tree = ast.parse(script.read_text(encoding="utf-8"), filename=str(script))
    reads = sorted(_reads(tree), key=lambda call: call.lineno)
    require(
        bool(reads),
        f"{script.name} reads no DynamicFrame, and Glue's bookmarks follow no other read: set bookmark to 'disable' (the platform's own jobs know by their manifests "
        f"what is new), or read by create_dynamic_frame with a {NAME}",
    )
    known: dict[str, int] = {}
    for call in reads:
        given = next((keyword.value for keyword in call.keywords if keyword.arg == NAME), None)
        name = given.value if isinstance(given, ast.Constant) else None
        require(
            isinstance(name, str) and bool(name),
            f"{script.name}:{call.lineno}: the read has no {NAME} that is written out as text: its bookmark is kept by it, and lost with it",
        )
        assert isinstance(name, str)
        require(
            name not in known,
            f"{script.name}:{call.lineno}: {NAME} {name!r} is that of line {known.get(name)} as well: one bookmark would stand for both reads, name them apart",
        )
        known[name] = call.lineno
    called = {node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    missing = [word for word in ("init", "commit") if word not in called]
    require(
        not missing,
        f"{script.name} never calls {' and '.join(f'Job.{word}' for word in missing)}: `init` looks the bookmark up, and only `commit`, once all is written, moves it",
    )


def _reads(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        made, of = node.func.attr, node.func.value
        if made in {f"create_dynamic_frame_{read}" for read in READS} or (
            made in READS and isinstance(of, ast.Attribute) and of.attr == "create_dynamic_frame"
        ):
            yield node
