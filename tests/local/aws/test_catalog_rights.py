"""An operation on a table needs the catalog, the database and the table."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

BASE = "arn:aws:glue:us-east-1:000000000000:"


def test_a_table_is_read_only_with_catalog_database_and_table(local_aws: LocalAws) -> None:
    database, glue = local_aws.name("db"), local_aws.client("glue")
    glue.create_database(DatabaseInput={"Name": database})
    glue.create_table(DatabaseName=database, TableInput={"Name": "orders"})
    levels = [f"{BASE}catalog", f"{BASE}database/{database}", f"{BASE}table/{database}/orders"]
    caller = local_aws.caller(allow("glue:GetTable", levels))
    assert caller.client("glue").get_table(DatabaseName=database, Name="orders")["Table"]["Name"] == "orders"
    for missing in levels:
        partial = local_aws.caller(allow("glue:GetTable", [level for level in levels if level != missing]))
        with pytest.raises(ClientError, match="is not authorized to perform: glue:GetTable on resource: " + missing):
            partial.client("glue").get_table(DatabaseName=database, Name="orders")
