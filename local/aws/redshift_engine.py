"""One engine room behind both kinds of Redshift: the databases of a namespace or of a cluster, and what statements are sent to."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from local.aws import secrets
from local.aws.modelled_service import Call
from local.engines import host
from local.redshift.warehouse import Warehouse

PRINCIPALS = ("redshift-serverless.amazonaws.com", "redshift.amazonaws.com")
"""Services as which Redshift assumes the roles of a namespace or of a cluster; the role trusts one of them at least."""

LOG_EXPORTS = ("userlog", "connectionlog", "useractivitylog")
"""Logs that Redshift exports."""

_warehouses: dict[str, Warehouse] = {}
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What statements are sent to.

    Attributes:
        name: Name of the workgroup or of the cluster.
        arn: ARN that the right to run statements is asked on.
        source_arn: ARN for which roles are assumed.
        storage: Id of its databases.
        database: First database.
        admin: Administrator.
        admin_secret: ARN of the administrator's secret; empty if there is none.
        roles: ARNs of the roles that are attached.
        default_role: ARN of the default one; empty if there is none.
        shown: How answers name it, such as `{"WorkgroupName": "wh"}`.
        is_cluster: Whether it is a provisioned cluster.
        closed: Why nobody can connect, in the service's words; empty if one can.
    """

    name: str
    arn: str
    source_arn: str
    storage: str
    database: str
    admin: str
    admin_secret: str
    roles: tuple[str, ...]
    default_role: str
    shown: Mapping[str, str]
    is_cluster: bool
    closed: str = ""

    @property
    def warehouse(self) -> Warehouse:
        """Its databases."""
        return warehouse(self.storage, database=self.database, admin=self.admin)


def warehouse(storage: str, *, database: str, admin: str) -> Warehouse:
    """The databases of an id; they start at first use."""
    with _lock:
        found = _warehouses.get(storage)
        if found is None:
            found = Warehouse(host.folder() / "state" / "redshift" / storage, database=database, admin=admin)
            _warehouses[storage] = found
        return found


def remove(storage: str, *, database: str, admin: str) -> None:
    """Remove the databases of an id."""
    warehouse(storage, database=database, admin=admin).remove()
    with _lock:
        _warehouses.pop(storage, None)


def admin_secret(call: Call, *, name: str, admin: str, key_id: str, service: str, tags: Mapping[str, str]) -> str:
    """Make the administrator's secret, which Redshift owns and the caller must be allowed to make; its ARN."""
    secret = f"redshift!{name}-{admin}"
    for action in ("secretsmanager:CreateSecret", "secretsmanager:TagResource"):
        call.require(action, secrets.arn_pattern(secret))
    value = {"username": admin, "password": secrets.new_password()}
    return secrets.create_managed(secret, value, service=service, key_id=key_id, tags=dict(tags))
