"""What the command line remembers between calls, in files of `.lake/<env>` that neither a crash nor a full disk spoils."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.errors import CommandError


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Records of a file of one JSON document a line; none if the file is missing, and not the last one if its line was cut short."""
    with _told(path, "read"):
        if not path.exists():
            return []
        whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
    return [_parsed(line, path=path, number=number) for number, line in enumerate(whole.split("\n"), start=1) if line.strip()]


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record to such a file; what is left of a line that was cut short goes."""
    with _told(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(json.dumps(record, sort_keys=True).encode() + b"\n")


def read_document(path: Path) -> dict[str, Any] | None:
    """A file of one JSON document; None if it is missing or spoiled."""
    with _told(path, "read"):
        if not path.exists():
            return None
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        document: object = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None  # pyright: ignore[reportUnknownVariableType] - JSON has text for keys


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write such a file, as a whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with _told(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps(document), encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _parsed(line: str, *, path: Path, number: int) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError as error:
        raise CommandError(f"line {number} of {path} is no JSON: {error}. Delete that line and try again") from error


@contextmanager
def _told(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"cannot {verb} {path}, where `lake` remembers what it did: {error.strerror or error}. Put that right and try again"
        ) from error
