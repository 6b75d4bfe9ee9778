"""The one place that touches MiniStack's private functions: modules as `Any`, and replacements that are pinned."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

MINISTACK_VERSION = "1.5.33"
"""Release that the adapter was written against; any other is refused at start."""

PINS = Path(__file__).with_name("pins.json")
"""Fingerprint of every MiniStack function that the adapter replaces or leans on."""

_originals: dict[str, Callable[..., Any]] = {}


class PinMismatch(RuntimeError):
    """MiniStack is not the one that the adapter was written for."""


def module(name: str) -> Any:
    """A MiniStack module, `module("services.s3")`."""
    return importlib.import_module(f"ministack.{name}")


def original(name: str) -> Callable[..., Any]:
    """A MiniStack function as shipped, `original("services.s3._put_object")`, noted as leaned on."""
    if name not in _originals:
        where, _, attribute = name.rpartition(".")
        _originals[name] = getattr(module(where), attribute)
    return _originals[name]


def replace(name: str, replacement: Callable[..., Any]) -> None:
    """Put *replacement* where MiniStack looks up the function *name*; the original stays available."""
    original(name)
    where, _, attribute = name.rpartition(".")
    setattr(module(where), attribute, replacement)


def fingerprints() -> dict[str, str]:
    """Fingerprint of each function that was replaced or leaned on so far."""
    return {name: _fingerprint(function) for name, function in sorted(_originals.items())}


def verify() -> None:
    """Refuse to run on another MiniStack than the one that was read.

    Raises:
        PinMismatch: Another version is installed, or a function's source differs from its pin.
    """
    found = importlib.metadata.version("ministack")
    if found != MINISTACK_VERSION:
        raise PinMismatch(f"the laptop platform is written for ministack {MINISTACK_VERSION}, found {found}. Run `make setup`.")
    pinned: dict[str, str] = json.loads(PINS.read_text(encoding="utf-8"))
    actual = fingerprints()
    changed = sorted(name for name in pinned.keys() | actual.keys() if pinned.get(name) != actual.get(name))
    if changed:
        raise PinMismatch(
            f"ministack {found} is installed, but these functions are not the ones that the adapter was written for: "
            f"{', '.join(changed)}. Read them again, adapt local/aws, then run `python -m local.aws.pins` to pin them."
        )


def _fingerprint(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
