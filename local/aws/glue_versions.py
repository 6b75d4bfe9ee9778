"""Versions of tables in Glue's catalog: what UpdateTable replaces is kept until somebody deletes it, or the platform stops."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from local.aws import seam
from local.aws.modelled_service import Answer, Call, Operation, ServiceError

_glue = seam.module("services.glue")
_responses = seam.module("core.responses")

_kept: dict[tuple[str, Any], list[dict[str, Any]]] = {}
"""Former versions by table and time of its creation, the oldest first."""


def keep(key: str, before: Mapping[str, Any]) -> None:
    """Keep what a table was before an UpdateTable that does not say SkipArchive.

    Args:
        key: Database and table, `database/table`.
        before: The table.
    """
    _kept.setdefault((key, before.get("CreateTime")), []).append(copy.deepcopy(dict(before)))


def _get_all(call: Call) -> Answer:
    return {"TableVersions": [_version(table) for table in reversed(_versions(call))]}


def _get_one(call: Call) -> Answer:
    versions, wanted = _versions(call), str(call.params.get("VersionId") or "")
    found = next((table for table in versions if _number(table) == wanted), None if wanted else versions[-1])
    if found is None:
        raise ServiceError("EntityNotFoundException", f"Version {wanted} of table {call.params['TableName']} not found.")
    return {"TableVersion": _version(found)}


def _delete_one(call: Call) -> Answer:
    code, text = _deleted(call, str(call.params["VersionId"])) or ("", "")
    if code:
        raise ServiceError(code, text)
    return None


def _delete_many(call: Call) -> Answer:
    failed = {version: _deleted(call, str(version)) for version in call.params["VersionIds"]}
    return {
        "Errors": [
            {"TableName": call.params["TableName"], "VersionId": version, "ErrorDetail": {"ErrorCode": error[0], "ErrorMessage": error[1]}}
            for version, error in failed.items()
            if error is not None
        ]
    }


def _deleted(call: Call, version: str) -> tuple[str, str] | None:
    """Forget a version; code and text of the refusal, if there is one."""
    *former, current = _versions(call)
    if _number(current) == version:
        return "InvalidInputException", f"Cannot delete the current version {version} of table {call.params['TableName']}."
    if version not in {_number(table) for table in former}:
        return "EntityNotFoundException", f"Version {version} of table {call.params['TableName']} not found."
    kept = _kept[_key(call), current.get("CreateTime")]
    kept[:] = [table for table in kept if _number(table) != version]
    return None


def _versions(call: Call) -> list[dict[str, Any]]:
    """Every version of the table that a call names, the current one last."""
    current = _glue._tables.get(_key(call))
    if current is None:
        raise ServiceError("EntityNotFoundException", f"Table {call.params['TableName']} not found.")
    return [*_kept.get((_key(call), current.get("CreateTime")), []), current]


def _version(table: Mapping[str, Any]) -> dict[str, Any]:
    return {"Table": dict(table), "VersionId": _number(table)}


def _number(table: Mapping[str, Any]) -> str:
    return str(table.get("VersionId", "1"))


def _key(call: Call) -> str:
    return f"{call.params['DatabaseName']}/{call.params['TableName']}"


def _arn(call: Call) -> str:
    return f"arn:aws:glue:{_responses.get_region()}:{_responses.get_account_id()}:table/{_key(call)}"


OPERATIONS: Mapping[str, Operation] = {
    "GetTableVersions": Operation(_get_all, on=_arn),
    "GetTableVersion": Operation(_get_one, on=_arn),
    "DeleteTableVersion": Operation(_delete_one, on=_arn),
    "BatchDeleteTableVersion": Operation(_delete_many, on=_arn),
}
"""Operations that are served, by their name."""
