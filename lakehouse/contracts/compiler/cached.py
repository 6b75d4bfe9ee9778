"""Contracts that were compiled before, read back: a synth and every `lake` verb need them, and nothing has changed most of the time."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lakehouse.contracts.model import CompiledContract

_LAKEHOUSE = Path(__file__).resolve().parents[2]
_PINS = "requirements.txt"
_FILE = Path(".cache") / "contracts.json"


def compiled_contracts(root: Path) -> dict[str, CompiledContract]:
    """The contracts of a project, compiled only if they, the compiler or its dependencies have changed since the last time.

    What was compiled stands in `.cache/contracts.json`; contracts with faults never do. If it cannot be written, every call compiles.

    Args:
        root: Folder with `contracts`.

    Returns:
        Compiled contracts by id, sorted.

    Raises:
        ConfigurationError: Contracts or lock files have faults; it names all of them.
    """
    key, file = _key(root), root / _FILE
    with suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads(file.read_bytes())
        if document["key"] == key:
            return {id_: CompiledContract.from_dict(contract) for id_, contract in document["contracts"].items()}
    # The compiler and what it imports cost a third of a second, so they are loaded only here.
    from lakehouse.contracts.compiler.project import compile_contracts

    contracts = compile_contracts(root / "contracts")
    with suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        partial = file.with_suffix(f".{key[:16]}.partial")
        partial.write_text(json.dumps({"key": key, "contracts": {id_: contract.to_dict() for id_, contract in contracts.items()}}))
        partial.replace(file)
    return contracts


def _key(root: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in _inputs(root):
        digest.update(f"\0{path}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _inputs(root: Path) -> Iterator[Path]:
    """All that decides what is compiled: the contracts with their locks, the library with the compiler and its schema, the pins of what it imports."""
    for folder in (root / "contracts", _LAKEHOUSE):
        yield from sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    if (root / _PINS).is_file():
        yield root / _PINS
