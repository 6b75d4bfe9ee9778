"""The shape of every `--json`, held to the page that describes it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from cli.reference import SHAPES


def assert_described(verb: str, text: str) -> None:
    """A document has the keys that the page names for a verb, at every depth, and values of their types."""
    adapter = TypeAdapter[Any](SHAPES[verb])
    again = adapter.dump_python(adapter.validate_json(text), mode="json")
    assert _keys(again) == _keys(json.loads(text))


def _keys(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _keys(value) for key, value in document.items()}
    return [_keys(value) for value in document] if isinstance(document, list) else None
