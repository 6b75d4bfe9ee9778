"""What runs a session's COPY and UNLOAD: with the role that the statement names, which the namespace must have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from local.redshift import copying, unloading
from local.redshift.errors import SqlError
from local.redshift.lake import read_external
from local.redshift.objects import Objects
from local.redshift.session import Session


@dataclass(frozen=True, kw_only=True)
class RoleMover:
    """COPY and UNLOAD of one namespace.

    Attributes:
        roles: ARNs of the roles that are attached to the namespace.
        default_role: The one that `IAM_ROLE default` names; empty = none.
        session_of: Gives S3 with a role's session; raises SqlError if the role does not trust Redshift.
        catalog_of: Gives boto3's client of Glue with a role's session; raises as `session_of` does.
        query_id: Number of the statement in the system views.
    """

    roles: Sequence[str]
    default_role: str
    session_of: Callable[[str], Objects]
    catalog_of: Callable[[str], Any]
    query_id: int = 0

    def copy(self, sql: str, session: Session) -> int:
        """Run a COPY."""
        command = copying.read_command(sql, session.context({}))
        return copying.run_copy(command, self._objects(command.role), session, query_id=self.query_id)

    def unload(self, sql: str, session: Session) -> int:
        """Run an UNLOAD."""
        command = unloading.read_command(sql)
        objects = self._objects(command.role)
        outcome = session.run(command.query, is_in_transaction=True, query_id=self.query_id)
        if not outcome.has_result:
            raise SqlError("UNLOAD takes a SELECT")
        return unloading.run_unload(command, objects, session, outcome, query_id=self.query_id)

    def external(self, database: str, table: str, role: str) -> Any:
        """Rows of a table of the catalog."""
        attached = self._attached(role)
        return read_external(self.catalog_of(attached), self.session_of(attached), database=database, table=table)

    def _objects(self, role: str) -> Objects:
        return self.session_of(self._attached(role))

    def _attached(self, role: str) -> str:
        if role == "default":
            if not self.default_role:
                raise SqlError("No default IAM role is set for the namespace: set it, or name a role that is attached")
            role = self.default_role
        if role not in self.roles:
            raise SqlError(f"The IAM role {role} is not valid: it is not associated with the namespace")
        return role
