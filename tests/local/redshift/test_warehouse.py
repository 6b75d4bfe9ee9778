"""A namespace's databases: rows outlive the server, users have rights of their own, a write conflict is an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.redshift.errors import SqlError
from local.redshift.session import Session
from local.redshift.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    found = Warehouse(tmp_path_factory.mktemp("warehouse") / "server", database="lakehouse", admin="keeper")
    yield found
    found.remove()


def _session(warehouse: Warehouse, user: str) -> Session:
    connection = warehouse.connect("lakehouse", user)
    return Session(connection, database="lakehouse", user=user, platform=lambda: warehouse.platform_connection("lakehouse"))


def test_rows_are_there_when_the_server_starts_again(warehouse: Warehouse) -> None:
    session = _session(warehouse, "keeper")
    session.run("CREATE TABLE kept (a INT) DISTSTYLE ALL")
    session.run("INSERT INTO kept VALUES (7)")
    session.connection.commit()
    warehouse.stop()
    again = _session(warehouse, "keeper")
    assert again.run("SELECT a FROM kept").rows == [["7"]]
    assert again.run("SELECT diststyle FROM svv_table_info WHERE \"table\" = 'kept'").rows == [["ALL"]]
    with pytest.raises(SqlError, match='database "other" does not exist'):
        warehouse.connect("other", "keeper")


def test_a_user_has_the_rights_that_were_granted(warehouse: Warehouse) -> None:
    keeper, reader = _session(warehouse, "keeper"), _session(warehouse, "IAMR:Reader")
    keeper.run("CREATE SCHEMA gold")
    keeper.run("CREATE TABLE gold.t (a INT)")
    keeper.connection.commit()
    with pytest.raises(SqlError, match="permission denied for schema gold"):
        reader.run("SELECT a FROM gold.t")
    reader.connection.rollback()
    keeper.run('GRANT USAGE ON SCHEMA gold TO "IAMR:Reader"')
    keeper.run('GRANT SELECT ON gold.t TO "IAMR:Reader"')
    keeper.connection.commit()
    assert reader.run("SELECT a FROM gold.t").rows == []
    with pytest.raises(SqlError, match="permission denied for table t"):
        reader.run("INSERT INTO gold.t VALUES (1)")


def test_two_writers_of_one_row_do_not_both_win(warehouse: Warehouse) -> None:
    one, two = _session(warehouse, "keeper"), _session(warehouse, "keeper")
    one.run("CREATE TABLE t (a INT)")
    one.run("INSERT INTO t VALUES (1)")
    one.connection.commit()
    assert two.run("SELECT a FROM t").rows == [["1"]]
    one.run("UPDATE t SET a = 2")
    one.connection.commit()
    assert two.run("SELECT a FROM t").rows == [["1"]], "a transaction sees one snapshot"
    with pytest.raises(SqlError, match="could not serialize access"):
        two.run("UPDATE t SET a = 3")
