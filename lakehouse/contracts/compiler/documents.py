"""YAML files that people write: read strictly, every value with the line it stands on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lakehouse.errors import Fault

Place = tuple[str | int, ...]
"""Keys and indexes from the root of a document to a value."""

MAX_BYTES = 2_000_000
"""Largest file that is read; a contract has a few kilobytes."""

MAX_DEPTH = 60
"""Deepest nesting that is read."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_PLAIN_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_PLAIN_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A YAML document and where its values stand.

    Attributes:
        file: Path of the file, relative to the project, with forward slashes.
        value: The document as plain Python.
        lines: Line of each value, from 1, by its place.
    """

    file: str
    value: dict[str, Any]
    lines: Mapping[Place, int] = field(repr=False)

    def line(self, place: Place) -> int:
        """Line of the value at a place, or of the nearest value around it."""
        for length in range(len(place), -1, -1):
            found = self.lines.get(place[:length])
            if found is not None:
                return found
        return 0

    def fault(self, place: Place, problem: str, fix: str) -> Fault:
        """A fault at a place of this document."""
        return Fault(file=self.file, line=self.line(place), place=dotted(place), problem=problem, fix=fix)


def read_document(path: Path, *, root: Path, faults: list[Fault]) -> Document | None:
    """Read one YAML file whose root is a mapping; what is wrong is added to the faults.

    Args:
        path: The file.
        root: Folder that reported paths are relative to.
        faults: Receives every fault.

    Returns:
        The document, or None if the file cannot be read at all.
    """
    file = relative(path, root)

    def whole(problem: str, fix: str, line: int = 0) -> None:
        faults.append(Fault(file=file, line=line, place="(file)", problem=problem, fix=fix))

    try:
        data = path.read_bytes()
    except OSError as error:
        whole(f"cannot be read: {error.strerror}", "make it a readable file")
        return None
    if len(data) > MAX_BYTES:
        whole(f"has {len(data)} bytes, more than {MAX_BYTES}", "keep one dataset, pipeline or environment a file")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        whole(f"is not UTF-8 (byte {error.start})", "save it as UTF-8", data[: error.start].count(b"\n") + 1)
        return None
    try:
        nodes = list(yaml.compose_all(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        whole(f"is not valid YAML: {error.problem or error.context}", "correct the YAML syntax at this line", mark.line + 1 if mark else 0)
        return None
    except (yaml.YAMLError, RecursionError) as error:
        whole(f"is not valid YAML: {_first_line(error)}", "correct the YAML syntax")
        return None
    if not nodes:
        whole("is empty", "write `key: value` lines")
        return None
    if len(nodes) != 1:
        whole(f"holds {len(nodes)} YAML documents", "keep exactly one document in a file")
        return None
    reader = _Reader(file=file, faults=faults)
    value = reader.read(nodes[0], ())
    if not isinstance(value, dict):
        whole("is not a mapping of keys to values", "write `key: value` lines", 1)
        return None
    return Document(file=file, value=value, lines=reader.lines)


def relative(path: Path, root: Path) -> str:
    """Path of a file as it is shown to people."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.as_posix()


def dotted(place: Place) -> str:
    """A place as people write it, such as `schema[0].properties[3].logicalType`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(root)"


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Advice for an unknown word: the nearest allowed one, then all of them."""
    words = sorted(allowed)
    close = difflib.get_close_matches(word, words, n=1)
    listed = ", ".join(words)
    return f"did you mean {close[0]!r}? Allowed: {listed}" if close else f"use one of: {listed}" if words else "remove it"


@dataclass(kw_only=True)
class _Reader:
    """Turns YAML nodes into Python, remembering lines and refusing what YAML silently reads as something else."""

    file: str
    faults: list[Fault]
    lines: dict[Place, int] = field(default_factory=dict[Place, int])
    seen: set[int] = field(default_factory=set[int])

    def read(self, node: Any, place: Place) -> Any:
        if node is None:
            return None
        self.lines.setdefault(place, node.start_mark.line + 1)
        if id(node) in self.seen:
            self._fault(
                node,
                place,
                "is an alias (`*name`) of a value that stands elsewhere",
                "write the value out: anchors and aliases are not read",
            )
            return None
        self.seen.add(id(node))
        if len(place) > MAX_DEPTH:
            self._fault(node, place, f"is nested deeper than {MAX_DEPTH} levels", "flatten it")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            items: list[Any] = node.value
            return [self.read(item, (*place, index)) for index, item in enumerate(items)]
        return self._scalar(node, place)

    def _mapping(self, node: Any, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in (f"{_TAG}str", f"{_TAG}merge"):
                shown = getattr(key_node, "value", "?")
                self._fault(key_node, place, f"has the key {shown!r}, which YAML does not read as text", f'quote it: "{shown}"')
                continue
            key: str = key_node.value
            if key_node.tag == f"{_TAG}merge":
                self._fault(key_node, place, "merges another mapping (`<<`)", "write the keys out: anchors and aliases are not read")
                continue
            if key in result:
                self._fault(key_node, (*place, key), f"stands twice, first at line {self.lines[(*place, key)]}", "keep one of them")
                continue
            self.lines[(*place, key)] = line
            result[key] = self.read(value_node, (*place, key))
        return result

    def _scalar(self, node: Any, place: Place) -> Any:
        text: str = node.value
        tag: str = node.tag.removeprefix(_TAG)
        if tag == "str":
            return text
        if tag == "null":
            return None
        if tag == "bool":
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
            self._fault(node, place, f"{text} is read by YAML as a boolean", f'write true or false, or quote it: "{text}"')
        elif tag == "int":
            if _PLAIN_INTEGER.fullmatch(text):
                return int(text)
            self._fault(node, place, f"{text} is read by YAML as a number of another base", f'write a plain number, or quote it: "{text}"')
        elif tag == "float":
            if _PLAIN_FLOAT.fullmatch(text):
                return float(text)
            self._fault(node, place, f"{text} is not a plain number", f'write digits, or quote it: "{text}"')
        elif tag == "timestamp":
            self._fault(node, place, f"{text} is read by YAML as a date", f'quote it: "{text}"')
        else:
            self._fault(node, place, f"has the YAML tag {node.tag}", "remove the tag and write the plain value")
        return text

    def _fault(self, node: Any, place: Place, problem: str, fix: str) -> None:
        self.faults.append(Fault(file=self.file, line=node.start_mark.line + 1, place=dotted(place), problem=problem, fix=fix))


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
