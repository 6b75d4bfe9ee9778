"""Golden files: what an emitter wrote when somebody last looked at it."""

from __future__ import annotations

import os
from pathlib import Path

UPDATE = "UPDATE_GOLDEN"
"""Environment variable that has the files written anew instead of compared."""


def assert_golden(file: Path, text: str) -> None:
    """The text is what the golden file holds."""
    if os.environ.get(UPDATE):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    assert file.exists(), f"{file.name} is missing: run the tests with {UPDATE}=1 and look at what it wrote"
    assert text == file.read_text(encoding="utf-8"), f"{file.name} differs: if the change is meant, run the tests with {UPDATE}=1"
