"""Our extensions of ODCS: customProperties with `vendor: lakehouse`, every one known and typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.contracts.compiler.documents import Document, Place, nearest
from lakehouse.errors import Fault

VENDOR = "lakehouse"
"""Vendor of our extensions; customProperties of other vendors are documentation."""

NOT_YET: Mapping[str, str] = {
    "masking": "leave the column out, or reduce it by transformLogic",
    "clearance": "remove it: no grants are made from roles yet",
}
"""Extensions that are planned and that nothing applies yet, each with the way out."""

_WORDS: Mapping[type, str] = {str: "text", dict: "a mapping", list: "a list"}


ALLOWED: Mapping[str, Mapping[str, type]] = {
    "object": {"sortOrder": list, "write": dict, "source": dict, "gate": dict, "warehouse": dict},
    "property": {"partitionTransform": str},
    "quality": {"onFailure": str},
}
"""Type of each extension by the kind of node where it may stand."""


def check_extensions(node: Mapping[str, Any], kind: str, *, place: Place, document: Document, faults: list[Fault]) -> None:
    """Check the platform's customProperties of a node.

    Args:
        node: What has the customProperties.
        kind: Its kind, as in `fields.NODES`.
        place: Where it stands.
        document: The contract.
        faults: Receives what is wrong.
    """
    allowed = ALLOWED.get(kind, {})
    raw = node.get("customProperties")
    found: set[str] = set()
    for index, item in enumerate(raw if isinstance(raw, list) else []):
        if not isinstance(item, dict) or not isinstance(item.get("property"), str):
            continue
        name: str = item["property"]
        here = (*place, "customProperties", index)
        vendor, value = item.get("vendor"), item.get("value")
        if vendor is None and (name in allowed or name in NOT_YET):
            faults.append(document.fault(here, f"{name!r} has no vendor, so it would be documentation only", f"add vendor: {VENDOR}"))
        if vendor != VENDOR:
            continue
        if name in allowed:
            if name in found:
                faults.append(document.fault((*here, "property"), f"{name!r} stands twice", "keep one of them"))
            if not isinstance(value, allowed[name]):
                faults.append(
                    document.fault((*here, "value"), f"{value!r} is not {_WORDS[allowed[name]]}", f"write {_WORDS[allowed[name]]}")
                )
            found.add(name)
        elif name in NOT_YET:
            faults.append(document.fault((*here, "property"), f"{name} cannot be applied yet", NOT_YET[name]))
        else:
            places = [other for other, names in ALLOWED.items() if name in names]
            where = {"object": "the table", "property": "a column", "quality": "a quality entry"}
            fix = (
                f"move it to {where[places[0]]}"
                if places
                else nearest(name, allowed)
                if allowed
                else "remove it, or give it another vendor"
            )
            faults.append(document.fault((*here, "property"), f"{name!r} is not an extension that may stand here", fix))


def extension(node: Mapping[str, Any], name: str, type_: type) -> Any:
    """Value of one extension of a node, or None if it is absent or of another type."""
    raw = node.get("customProperties")
    for item in raw if isinstance(raw, list) else []:
        if (
            isinstance(item, dict)
            and item.get("property") == name
            and item.get("vendor") == VENDOR
            and isinstance(item.get("value"), type_)
        ):
            return item["value"]
    return None


def extension_place(node: Mapping[str, Any], name: str, place: Place) -> Place:
    """Place of the value of one extension."""
    raw = node.get("customProperties")
    for index, item in enumerate(raw if isinstance(raw, list) else []):
        if isinstance(item, dict) and item.get("property") == name and item.get("vendor") == VENDOR:
            return (*place, "customProperties", index, "value")
    return (*place, "customProperties")
