"""docs/first-dataset.md, followed word by word: its files are written, its commands typed, and what it says they print is printed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

GUIDE = ROOT / "docs" / "first-dataset.md"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[tuple[str, str]]:
    """Kind and text of every block of the page, in order."""
    for found in _BLOCK.finditer(GUIDE.read_text(encoding="utf-8")):
        yield found[1], found[2]


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, with the lines that it is said to print."""
    command, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, lines
            command, lines = line.removeprefix("$ "), []
        else:
            lines.append(line)
    yield command, lines


def typed(checkout: Checkout, command: str) -> str:
    """What a command prints; the launchers of this environment are those of another checkout, so their modules are called."""
    program, *arguments = shlex.split(command)
    if program == ".venv/bin/lake":
        return checkout.lake(*arguments).out
    assert program == ".venv/bin/python"
    done = subprocess.run([sys.executable, *arguments], cwd=checkout.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def cells(line: str) -> list[str]:
    """Values of a printed row, however they are set apart."""
    return [cell for cell in re.split(r"[\s|│]+", line) if cell]


def test_the_guide_holds_word_by_word(checkout: Checkout) -> None:
    for name in ("tests", "conftest.py", "pyproject.toml"):
        source, copy = ROOT / name, checkout.root / name
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__")) if source.is_dir() else shutil.copy(source, copy)
    seen = 0
    for kind, text in blocks():
        if kind != "console":
            name, content = text.removeprefix("# ").split("\n", 1)
            path: Path = checkout.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            continue
        for command, wanted in commands(text):
            printed = typed(checkout, command)
            rows = [cells(line) for line in printed.splitlines()]
            for line in wanted:
                row = cells(line)
                assert row in rows or (len(row) <= 2 and line in printed), f"{command}\nis said to print\n{line}\nand prints\n{printed}"
            seen += 1
    assert seen >= 12
