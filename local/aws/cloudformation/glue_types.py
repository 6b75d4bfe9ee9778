"""Resource types of Glue that MiniStack lacks: AWS::Glue::SecurityConfiguration and AWS::Glue::TableOptimizer.

A security configuration is named in a job and kept; the laptop's encryption follows the buckets' and log groups' keys. A
table optimizer is kept and does nothing: known differences.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from local.aws import guard, seam

_STATE = "lake_table_optimizers"

_glue = seam.module("services.glue")
_provisioners = seam.module("services.cloudformation.provisioners")
_responses = seam.module("core.responses")

_optimizers: Any = _responses.AccountRegionScopedDict()


def register() -> None:
    """Make both types known to CloudFormation."""
    handlers = _provisioners._RESOURCE_HANDLERS
    handlers["AWS::Glue::SecurityConfiguration"] = {"create": _create_configuration, "delete": _delete_configuration}
    handlers["AWS::Glue::TableOptimizer"] = {"create": _create_optimizer, "update": _update_optimizer, "delete": _delete_optimizer}
    app = seam.module("app")
    app._loaded_modules[_STATE] = sys.modules[__name__]
    app._state_map[_STATE] = _STATE
    _provisioners._REPLACING_PROPERTIES["AWS::Glue::SecurityConfiguration"] = ("Name", "EncryptionConfiguration")
    _provisioners._REPLACING_PROPERTIES["AWS::Glue::TableOptimizer"] = ("CatalogId", "DatabaseName", "TableName", "Type")


def get_state() -> dict[str, Any]:
    """What MiniStack saves when it stops."""
    return {"optimizers": _optimizers}


def load_persisted_state(data: dict[str, Any]) -> None:
    """Take back what was saved."""
    _optimizers.clear()
    _optimizers.update(data.get("optimizers") or {})


def reset() -> None:
    """Forget everything."""
    _optimizers.clear()


def _create_configuration(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, Any]]:
    status, _, body = _glue._create_security_configuration(props)
    if status != 200:
        raise ValueError(json.loads(body)["message"])
    return props["Name"], {}


def _delete_configuration(physical_id: str, _props: dict[str, Any]) -> None:
    _glue._security_configs.pop(physical_id, None)


def _create_optimizer(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, Any]]:
    table = f"{props['DatabaseName']}/{props['TableName']}"
    if table not in _glue._tables:
        raise ValueError(f"Entity Not Found: table {props['DatabaseName']}.{props['TableName']}")
    physical_id = f"{props['CatalogId']}|{props['DatabaseName']}|{props['TableName']}|{props['Type']}"
    configuration = props.get("TableOptimizerConfiguration") or {}
    role = guard.role_record(str(configuration.get("RoleArn", "")))
    if role is None or not guard.trusts(role, "glue.amazonaws.com"):
        raise ValueError(f"Glue cannot assume the role {configuration.get('RoleArn')} of the {props['Type']} optimizer")
    if (_glue._tables[table].get("Parameters") or {}).get("table_type", "").upper() != "ICEBERG":
        raise ValueError(f"{props['DatabaseName']}.{props['TableName']} is not an Iceberg table, and only those have optimizers")
    if physical_id in _optimizers:
        raise ValueError(f"A {props['Type']} optimizer of {props['DatabaseName']}.{props['TableName']} already exists")
    _optimizers[physical_id] = props
    return physical_id, {}


def _update_optimizer(physical_id: str, _old: dict[str, Any], new: dict[str, Any], *_: str) -> tuple[str, dict[str, Any]]:
    _optimizers[physical_id] = new
    return physical_id, {}


def _delete_optimizer(physical_id: str, _props: dict[str, Any]) -> None:
    _optimizers.pop(physical_id, None)
