"""Contracts that were compiled and queries that were checked before, read back: a synth needs them, and nothing has changed most of the time."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lakehouse.contracts.model import CompiledContract
from lakehouse.saved_queries import SavedQuery

_LAKEHOUSE = Path(__file__).resolve().parents[2]
_PINS = "requirements.txt"
_T = TypeVar("_T")


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

    def compiled() -> dict[str, CompiledContract]:
        # The compiler and what it imports cost a third of a second, so they are loaded only here.
        from lakehouse.contracts.compiler.project import compile_contracts

        return compile_contracts(root / "contracts")

    return _remembered(
        root,
        "contracts",
        key=_key(root, "contracts"),
        make=compiled,
        write=lambda contracts: {id_: contract.to_dict() for id_, contract in contracts.items()},
        read=lambda document: {id_: CompiledContract.from_dict(contract) for id_, contract in document.items()},
    )


def checked_queries(root: Path, contracts: Mapping[str, CompiledContract]) -> tuple[SavedQuery, ...]:
    """The queries of a project, checked only if they, the contracts or whatever decides about either have changed since the last time.

    What was checked stands in `.cache/queries.json`, as contracts do in theirs.

    Args:
        root: Folder with `queries`; without that folder there are none.
        contracts: Its compiled contracts by id.

    Raises:
        ConfigurationError: Queries have faults; it names all of them.
    """
    if not (root / "queries").is_dir():
        return ()

    def checked() -> tuple[SavedQuery, ...]:
        # The parser of their SQL is loaded only here.
        from lakehouse.contracts.compiler.queries import load_queries

        return load_queries(root / "queries", contracts)

    return _remembered(
        root,
        "queries",
        key=_key(root, "contracts", "queries"),
        make=checked,
        write=lambda queries: [asdict(query) for query in queries],
        read=lambda document: tuple(replace(SavedQuery(**query), databases=tuple(query["databases"])) for query in document),
    )


def _remembered(root: Path, name: str, *, key: str, make: Callable[[], _T], write: Callable[[_T], Any], read: Callable[[Any], _T]) -> _T:
    """What was made under the same key, else what is made now; what raises is never remembered."""
    file = root / ".cache" / f"{name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        document = json.loads(file.read_bytes())
        if document["key"] == key:
            return read(document[name])
    made = make()
    with suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        partial = file.with_suffix(f".{key[:16]}.partial")
        partial.write_text(json.dumps({"key": key, name: write(made)}))
        partial.replace(file)
    return made


def _key(root: Path, *folders: str) -> str:
    """All that decides: what people wrote, with locks; this Python and the library with the compiler and its schema; the pins of what it imports."""
    digest = hashlib.sha256(f"{sys.version}\0{_library()}".encode())
    for folder in folders:
        digest.update(_digest(root / folder).encode())
    if (root / _PINS).is_file():
        digest.update((root / _PINS).read_bytes())
    return digest.hexdigest()


@cache
def _library() -> str:
    return _digest(_LAKEHOUSE)


def _digest(folder: Path) -> str:
    """Names and contents of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        digest.update(f"\0{path}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
