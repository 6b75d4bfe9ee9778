"""What each request asks of the warehouse; asked twice, the second time changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from lakehouse.warehouse.data_api import DataApi, StatementError
from lakehouse.warehouse.evolution import columns_found, columns_query, evolution
from lakehouse.warehouse.migrations import migrate
from lakehouse.warehouse.tables import WarehouseTable, create_statements
from lakehouse.warehouse.text import literal, name, role, user
from lambdas.custom_resource import Answer
from lambdas.warehouse_schema.requests import SchemaRequest, TableRequest

SCHEMA_ID = "warehouse-schema"
"""Physical id of the one resource with migrations and external schemas."""


class WarehouseSchema:
    """The schema of one warehouse, changed as its admin."""

    def __init__(self, api: DataApi) -> None:
        self._api = api

    def answer(self, request: TableRequest | SchemaRequest) -> Answer:
        """Do what is asked.

        Raises:
            LakehouseError: It cannot be done; says why.
        """
        match request:
            case TableRequest(action="Delete"):
                return self._leave(request)
            case TableRequest():
                return self._put(request)
            case SchemaRequest(action="Delete"):
                return Answer(physical_id=SCHEMA_ID, data={})
            case SchemaRequest():
                return self._migrate(request)

    def _put(self, request: TableRequest) -> Answer:
        table = request.table
        found = columns_found(self._api.execute(columns_query(table)).records())
        if found:
            change = evolution(table, found, before=request.before)
            if change.together:
                self._api.batch(change.together)
            for statement in change.alone:
                self._api.execute(statement)
        else:
            self._api.batch(create_statements(table))
        self._make_users((*request.writers, *request.readers))
        self._api.batch(_granted(table, request.writers, request.readers))
        for role_name in request.former:
            self._unless("does not exist", f"REVOKE ALL ON TABLE {table.qualified} FROM {user(role_name)}")
        return Answer(physical_id=_id(table), data={"Outcome": "changed" if found else "created"})

    def _leave(self, request: TableRequest) -> Answer:
        table = request.table
        if request.physical_id == _id(table) and request.drops_on_delete:
            self._api.execute(f"DROP TABLE IF EXISTS {table.qualified}")
        return Answer(physical_id=request.physical_id or _id(table), data={})

    def _migrate(self, request: SchemaRequest) -> Answer:
        ran = migrate(self._api, request.migrations)
        self._make_users(request.readers)
        for external in request.external:
            source = f"DATABASE {literal(external.database)} IAM_ROLE {role(request.spectrum_role)}"
            grants = [f"GRANT USAGE ON SCHEMA {name(external.schema)} TO {user(reader)}" for reader in request.readers]
            self._api.batch([f"CREATE EXTERNAL SCHEMA IF NOT EXISTS {name(external.schema)} FROM DATA CATALOG {source}", *grants])
        return Answer(physical_id=SCHEMA_ID, data={"Ran": ", ".join(ran)})

    def _make_users(self, roles: Iterable[str]) -> None:
        """Database users of IAM roles, made before the roles first connect so that they can be given rights; they have no password.

        Redshift knows no IF NOT EXISTS for users, and a role that connected before has one.
        """
        for role_name in dict.fromkeys(roles):
            self._unless("already exists", f"CREATE USER {user(role_name)} PASSWORD DISABLE")

    def _unless(self, said: str, statement: str) -> None:
        """Run a statement; that it fails with these words is as good."""
        try:
            self._api.execute(statement)
        except StatementError as error:
            if said not in error.error:
                raise


def _id(table: WarehouseTable) -> str:
    return f"{table.schema}.{table.name}"


def _granted(table: WarehouseTable, writers: Iterable[str], readers: Iterable[str]) -> list[str]:
    schema, target = name(table.schema), table.qualified
    grants: list[str] = []
    for writer in writers:
        grants.append(f"GRANT USAGE ON SCHEMA {schema} TO {user(writer)}")
        grants.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {target} TO {user(writer)}")
    for reader in readers:
        grants.append(f"GRANT USAGE ON SCHEMA {schema} TO {user(reader)}")
        grants.append(f"GRANT SELECT ON TABLE {target} TO {user(reader)}")
    return grants
