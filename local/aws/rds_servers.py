"""The PostgreSQL server behind each instance and cluster of the local RDS: made once, found again after a restart, its replicas after it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from local.aws import rds_groups
from local.engines import host
from local.engines.postgres import PostgresServer, free_port
from local.engines.postgres_replica import PostgresReplica
from local.engines.postgres_tls import Tls

ADDRESS = "localhost"
"""Host of every endpoint: what the platform's certificate is for."""

_ROLES = ("rds_superuser", "rds_replication", "rds_password", "rds_iam")
"""Roles that RDS makes in every server."""

_servers: dict[str, PostgresServer] = {}
_lock = threading.RLock()


def new_port() -> int:
    """A port for a new instance; it keeps it."""
    return free_port()


def start(instance: Mapping[str, Any], *, source: Mapping[str, Any] | None = None) -> None:
    """Start an instance's server, with its parameter group's settings of now.

    Args:
        instance: RDS's record of it.
        source: Record of the instance that it replicates; its server is started first.
    """
    with _lock:
        stop(instance)
        following = None if source is None else _running(source)
        server = _server(instance, following)
        server.start()
        _servers[instance["DbiResourceId"]] = server


def stop(instance: Mapping[str, Any]) -> None:
    """End an instance's server; its files stay."""
    with _lock:
        server = _servers.pop(instance["DbiResourceId"], None)
        if server is not None:
            server.stop()


def remove(instance: Mapping[str, Any]) -> None:
    """End an instance's server and remove its files."""
    stop(instance)
    shutil.rmtree(_folder(instance), ignore_errors=True)


def keep(instance: Mapping[str, Any], *, snapshot: str) -> None:
    """End an instance's server and keep its files as a snapshot."""
    stop(instance)
    kept = host.folder() / "rds" / "snapshots" / snapshot
    kept.parent.mkdir(parents=True, exist_ok=True)
    if _folder(instance).is_dir():
        _folder(instance).rename(kept)


def remove_snapshot(snapshot: str) -> None:
    """Remove the files of a snapshot."""
    shutil.rmtree(host.folder() / "rds" / "snapshots" / snapshot, ignore_errors=True)


def set_up(instance: Mapping[str, Any], *, password: str) -> None:
    """Make the master user, RDS's roles and the first database; what is there already is left as it is, but for the password."""
    user, database = str(instance["MasterUsername"]), str(instance.get("DBName") or "")
    with _connection(instance) as connection:
        for role in _ROLES:
            _make(connection, sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        connection.execute("GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser WITH ADMIN OPTION")
        _make(connection, sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE").format(sql.Identifier(user)))
        connection.execute(sql.SQL("GRANT rds_superuser TO {}").format(sql.Identifier(user)))
        # RDS gives replication by membership of rds_replication; PostgreSQL itself asks for the attribute.
        connection.execute(sql.SQL("ALTER ROLE {} REPLICATION").format(sql.Identifier(user)))
        connection.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(sql.Identifier(user)))
        if database and database != "postgres":
            _make(connection, sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(user)))
    set_password(instance, password)


def set_password(instance: Mapping[str, Any], password: str) -> None:
    """Give the master user a new password."""
    user = sql.Identifier(str(instance["MasterUsername"]))
    with _connection(instance) as connection:
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(user, sql.Literal(password)))


def _make(connection: psycopg.Connection[Any], statement: sql.Composed) -> None:
    try:
        connection.execute(statement)
    except (psycopg.errors.DuplicateObject, psycopg.errors.DuplicateDatabase):
        return


def _connection(instance: Mapping[str, Any]) -> psycopg.Connection[Any]:
    return _running(instance).connect(is_autocommit=True)


def _running(instance: Mapping[str, Any]) -> PostgresServer:
    found = _servers.get(instance["DbiResourceId"])
    if found is None or not found.is_running():
        start(instance)
        found = _servers[instance["DbiResourceId"]]
    return found


def _server(instance: Mapping[str, Any], source: PostgresServer | None) -> PostgresServer:
    groups, group = _parameters(instance)
    made: dict[str, Any] = {
        "folder": _folder(instance),
        "port": int(instance["Endpoint"]["Port"]),
        "settings": groups.settings_of(group),
        "tls": replace(_tls(), is_required=groups.value_of(group, "rds.force_ssl") == "1"),
    }
    return PostgresServer(**made) if source is None else PostgresReplica(source=source, **made)


def _parameters(instance: Mapping[str, Any]) -> tuple[rds_groups.ParameterGroups, str]:
    """The parameter group that says how a server is set: its own, or that of the cluster that it belongs to."""
    group = instance.get("DBClusterParameterGroup")
    if group:
        return rds_groups.CLUSTER_PARAMETERS, str(group)
    return rds_groups.INSTANCE_PARAMETERS, str(instance["DBParameterGroups"][0]["DBParameterGroupName"])


def _folder(instance: Mapping[str, Any]) -> Path:
    return host.folder() / "rds" / str(instance["DbiResourceId"])


def _tls() -> Tls:
    return Tls(certificate=Path(os.environ["MINISTACK_SSL_CERT"]), key=Path(os.environ["MINISTACK_SSL_KEY"]))
