"""Prepared statements and external tables come by stacks, change and go with them, with the deployer's rights."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform


def statement(sql: str) -> dict[str, Any]:
    properties = {"StatementName": "one_day", "WorkGroup": "primary", "QueryStatement": sql, "Description": "of a day"}
    return {"Statement": {"Type": "AWS::Athena::PreparedStatement", "Properties": properties}}


def test_a_prepared_statement_is_made_changed_and_removed(local_aws: LocalAws) -> None:
    name, athena = local_aws.name("stack"), local_aws.client("athena")
    assert local_aws.stack(statement("SELECT 1 WHERE 1 = ?"), name=name)["StackStatus"] == "CREATE_COMPLETE"
    assert local_aws.stack(statement("SELECT 2 WHERE 1 = ?"), name=name, update=True)["StackStatus"] == "UPDATE_COMPLETE"
    kept = athena.get_prepared_statement(StatementName="one_day", WorkGroup="primary")["PreparedStatement"]
    assert (kept["QueryStatement"], kept["Description"]) == ("SELECT 2 WHERE 1 = ?", "of a day")
    local_aws.client("cloudformation").delete_stack(StackName=name)
    local_aws.client("cloudformation").get_waiter("stack_delete_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    with pytest.raises(ClientError, match="does not exist"):
        athena.get_prepared_statement(StatementName="one_day", WorkGroup="primary")


def test_a_statement_that_cannot_be_prepared_fails_the_stack(local_aws: LocalAws) -> None:
    failed = local_aws.stack(statement("DROP TABLE x"))
    assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "DROP cannot be prepared" in failed["Failures"][-1]


def table(database: str, **parameters: str) -> dict[str, Any]:
    storage = {"Columns": [{"Name": "line", "Type": "string"}], "Location": "s3://somewhere/x/"}
    given = {"Name": "lines", "TableType": "EXTERNAL_TABLE", "Parameters": parameters, "StorageDescriptor": storage}
    return {
        "Table": {"Type": "AWS::Glue::Table", "Properties": {"CatalogId": "000000000000", "DatabaseName": database, "TableInput": given}}
    }


def test_an_external_table_is_made_and_changed_with_the_callers_rights(local_aws: LocalAws) -> None:
    glue, database, name = local_aws.client("glue"), local_aws.name("db").replace("-", "_"), local_aws.name("stack")
    glue.create_database(DatabaseInput={"Name": database})
    stacks = allow("cloudformation:*")
    denied = local_aws.stack(table(database), caller=local_aws.caller(stacks))
    assert "glue:CreateTable" in denied["Failures"][-1]
    caller = local_aws.caller(stacks, allow(["glue:CreateTable", "glue:GetTable", "glue:UpdateTable"]))
    made = {"projection.enabled": "true"}
    assert local_aws.stack(table(database, **made), name=name, caller=caller)["StackStatus"] == "CREATE_COMPLETE"
    assert glue.get_table(DatabaseName=database, Name="lines")["Table"]["Parameters"] == made
    assert local_aws.stack(table(database, **made, more="1"), name=name, caller=caller, update=True)["StackStatus"] == "UPDATE_COMPLETE"
    assert glue.get_table(DatabaseName=database, Name="lines")["Table"]["Parameters"] == {**made, "more": "1"}


def test_a_federated_catalog_is_kept_and_queries_over_it_are_refused(local_aws: LocalAws) -> None:
    name = local_aws.name("cat").replace("-", "_")
    function = "arn:aws:lambda:us-east-1:000000000000:function:connector"
    properties = {"Name": name, "Type": "LAMBDA", "Parameters": {"function": function}}
    made = local_aws.stack({"Catalog": {"Type": "AWS::Athena::DataCatalog", "Properties": properties}})
    assert made["StackStatus"] == "CREATE_COMPLETE", made
    athena = local_aws.client("athena")
    assert athena.get_data_catalog(Name=name)["DataCatalog"]["Parameters"] == {"function": function}
    with pytest.raises(ClientError, match=f"Catalog {name} is not served by the laptop platform"):
        athena.start_query_execution(
            QueryString="SELECT 1", QueryExecutionContext={"Catalog": name}, ResultConfiguration={"OutputLocation": "s3://somewhere/"}
        )
