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
    "warehouse": "remove it: no table of the warehouse is made yet",
    "clearance": "remove it: no grants are made from roles yet",
}
"""Extensions that are planned and that nothing applies yet, each with the way out."""

_WORDS: Mapping[type, str] = {str: "text", dict: "a mapping", list: "a list", int: "a whole number"}


def extensions(node: Mapping[str, Any], *, place: Place, document: Document, allowed: Mapping[str, type], faults: list[Fault]) -> dict[str, Any]:
    """Values of the platform's customProperties at a node, by name.

    Args:
        node: What has the customProperties.
        place: Where it stands.
        document: The contract.
        allowed: Type of each extension that may stand here.
        faults: Receives what is wrong.
    """
    raw = node.get("customProperties")
    found: dict[str, Any] = {}
    for index, item in enumerate(raw if isinstance(raw, list) else []):
        if not isinstance(item, dict) or not isinstance(item.get("property"), str):
            continue
        name: str = item["property"]
        here = (*place, "customProperties", index)
        vendor = item.get("vendor")
        if vendor is None and (name in allowed or name in NOT_YET):
            faults.append(document.fault(here, f"{name!r} has no vendor, so it would be documentation only", f"add vendor: {VENDOR}"))
        if vendor != VENDOR:
            continue
        if name in NOT_YET and name not in allowed:
            faults.append(document.fault((*here, "property"), f"{name} cannot be applied yet", NOT_YET[name]))
        elif name not in allowed:
            faults.append(document.fault((*here, "property"), f"{name!r} is not an extension that may stand here", nearest(name, allowed)))
        elif name in found:
            faults.append(document.fault((*here, "property"), f"{name!r} stands twice", "keep one of them"))
        elif not isinstance(item.get("value"), allowed[name]) or isinstance(item.get("value"), bool):
            faults.append(document.fault((*here, "value"), f"{item.get('value')!r} is not {_WORDS[allowed[name]]}", f"write {_WORDS[allowed[name]]}"))
        else:
            found[name] = item["value"]
    return found


def extension_place(node: Mapping[str, Any], name: str, place: Place) -> Place:
    """Place of the value of one extension."""
    for index, item in enumerate(node.get("customProperties") or []):
        if isinstance(item, dict) and item.get("property") == name and item.get("vendor") == VENDOR:
            return (*place, "customProperties", index, "value")
    return (*place, "customProperties")
