"""S3: a missing object is hidden from whoever may not list its bucket, and many objects are deleted by the right to each.

AWS documents both (GetObject, HeadObject, DeleteObjects). A right to list that holds for some prefixes only hides all the same: a read
carries no `s3:prefix`. Versions that are missing stay missing to everybody: what AWS asks there is not documented.
"""

from __future__ import annotations

import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from local.aws import actions, door, guard, seam

MOST_DELETED = 1000
"""Most objects that one DeleteObjects names."""

_READS = frozenset({"s3:GetObject", "s3:GetObjectAttributes"})

_s3 = seam.module("services.s3")


def register() -> None:
    """Look at what is missing, and ask for each object that a DeleteObjects names."""
    door.add_look(_hide)
    actions.leave_to_the_service("s3", _batch)
    seam.replace("services.s3._delete_objects", _delete_objects)
    for name in ("services.s3._ensure_bucket", "services.s3._error", "core.iam_actions.s3_access_point_resources"):
        seam.original(name)
    seam.replace("core.iam_actions.s3_additional_checks", _additional_checks)


def _hide(request: door.Request, answer: door.Response) -> door.Response:
    if request.service != "s3" or answer[0] != 404 or not request.key:
        return answer
    bucket, name = _missing(request, answer)
    if not name or _s3._ensure_bucket(bucket) is None:
        return answer
    denied = guard.authorize(request.key, action="s3:ListBucket", resource=f"arn:aws:s3:::{bucket}")
    return _s3._error("AccessDenied", str(denied), 403, f"/{bucket}/{name}") if denied else answer


def _missing(request: door.Request, answer: door.Response) -> tuple[str, str]:
    """The object that a request did not find, as bucket and key; empty if it is about something else."""
    source = request.headers.get("x-amz-copy-source", "")
    if request.method == "PUT" and source and b"<Code>NoSuchKey</Code>" in bytes(answer[2] or b""):
        path, _, version = source.partition("?")
        bucket, _, name = urllib.parse.unquote(path).lstrip("/").partition("/")
        return ("", "") if version else (bucket, name)
    if request.action in _READS and "versionId" not in request.query:
        bucket, name = _s3._parse_bucket_key(request.path, request.headers)
        return bucket, name
    return "", ""


def _batch(method: str, query: Mapping[str, Any]) -> str:
    return "DeleteObjects" if method == "POST" and "delete" in query else ""


def _additional_checks(method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]) -> list[tuple[str, str]]:
    if _batch(method, query_params):
        return []
    return list(seam.original("core.iam_actions.s3_additional_checks")(method, path, headers, body, query_params))


def _delete_objects(bucket_name: str, body: bytes, headers: dict[str, str] | None = None) -> door.Response:
    """DeleteObjects of those that the caller may delete; the others are told among the errors."""
    try:
        root = _s3.fromstring(body)
    except Exception:  # noqa: BLE001 - what the service says of a body that is none
        return seam.original("services.s3._delete_objects")(bucket_name, body, headers)
    asked = [element for element in root if _tag(element) == "Object"]
    if len(asked) > MOST_DELETED:
        return _s3._error("MalformedXML", _s3._MALFORMED_XML, 400)
    bypass = str((headers or {}).get("x-amz-bypass-governance-retention", "")).lower() == "true"
    errors: list[tuple[str, str, str]] = []
    for element in asked:
        key, version = _text(element, "Key"), _text(element, "VersionId")
        denied = _denied(bucket_name, key, version, bypass=bypass) if key else None
        if denied is not None:
            errors.append((key, version, str(denied)))
            root.remove(element)
    answer = seam.original("services.s3._delete_objects")(bucket_name, ET.tostring(root), headers)
    return _with_errors(answer, errors) if errors and answer[0] == 200 else answer


def _denied(bucket: str, key: str, version: str, *, bypass: bool) -> guard.Denied | None:
    wanted = ["s3:DeleteObjectVersion" if version else "s3:DeleteObject", *(["s3:BypassGovernanceRetention"] if bypass else [])]
    caller, versions = guard.caller.get(), {"s3:VersionId": version} if version else {}
    for action in wanted:
        for resource, keys in seam.original("core.iam_actions.s3_access_point_resources")(f"arn:aws:s3:::{bucket}/{key}"):
            if denied := guard.authorize(caller, action=action, resource=resource, context={**keys, **versions}):
                return denied
    return None


def _with_errors(answer: door.Response, errors: list[tuple[str, str, str]]) -> door.Response:
    status, headers, body = answer
    result = ET.fromstring(body)  # noqa: S314 - written a moment ago
    space = result.tag.rpartition("}")[0] + "}" if "}" in result.tag else ""
    for key, version, message in errors:
        element = ET.SubElement(result, f"{space}Error")
        ET.SubElement(element, f"{space}Key").text = key
        if version:
            ET.SubElement(element, f"{space}VersionId").text = version
        ET.SubElement(element, f"{space}Code").text = "AccessDenied"
        ET.SubElement(element, f"{space}Message").text = message
    return status, headers, _s3._xml_body(result)


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ET.Element, tag: str) -> str:
    return next((child.text or "" for child in element if _tag(child) == tag), "")
