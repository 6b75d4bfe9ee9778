"""Redshift Serverless and its Data API on the local AWS, by boto3: real rows, real S3, IAM asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.warehouse_schema.limits import UsageLimits
from lambdas.warehouse_schema.requests import LimitRequest
from local.platform import ACCOUNT, REGION
from tests.fixtures.platform import Caller, LocalAws, allow, wait_for

SERVERLESS = "redshift-serverless.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """A workgroup of a test.

    Attributes:
        aws: The local AWS.
        name: Name of workgroup and namespace.
        workgroup_arn: ARN of the workgroup.
        secret_arn: The administrator's secret.
        role: Role of COPY and UNLOAD.
        bucket: Bucket that the role may read and write below `data/`.
    """

    aws: LocalAws
    name: str
    workgroup_arn: str
    secret_arn: str
    role: str
    bucket: str

    def run(self, *sqls: str, caller: Caller | None = None, **more: Any) -> dict[str, Any]:
        """Run statements to their end as the administrator; the description."""
        client = (caller or self.aws.root).client("redshift-data")
        target = {} if "SessionId" in more else {"WorkgroupName": self.name, "Database": "lakehouse", "SecretArn": self.secret_arn}
        more = {name: value for name, value in {**target, **more}.items() if value is not None}
        if len(sqls) == 1:
            given = client.execute_statement(Sql=sqls[0], WaitTimeSeconds=20, **more)
        else:
            given = client.batch_execute_statement(Sqls=list(sqls), WaitTimeSeconds=20, **more)
        return {**client.describe_statement(Id=given["Id"], WaitTimeSeconds=20), "SessionId": given.get("SessionId")}

    def rows(self, sql: str, **more: Any) -> list[list[Any]]:
        """Rows of a query."""
        described = self.run(sql, **more)
        assert described["Status"] == "FINISHED", described.get("Error")
        client = self.aws.client("redshift-data")
        found: list[list[Any]] = []
        for page in client.get_paginator("get_statement_result").paginate(Id=described["Id"]):
            found += [[None if "isNull" in cell else next(iter(cell.values())) for cell in row] for row in page["Records"]]
        return found


@pytest.fixture(scope="session")
def warehouse(local_aws: LocalAws) -> Iterator[Warehouse]:
    name, bucket, client = local_aws.name("wh"), local_aws.name("bucket"), local_aws.client("redshift-serverless")
    local_aws.client("s3").create_bucket(Bucket=bucket)
    role = local_aws.role(
        allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], f"arn:aws:s3:::{bucket}/data/*"),
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        service=SERVERLESS,
    )
    namespace = client.create_namespace(
        namespaceName=name, dbName="lakehouse", adminUsername="keeper", manageAdminPassword=True, iamRoles=[role], defaultIamRoleArn=role
    )["namespace"]
    group = client.create_workgroup(workgroupName=name, namespaceName=name, baseCapacity=8)["workgroup"]
    yield Warehouse(
        aws=local_aws,
        name=name,
        workgroup_arn=group["workgroupArn"],
        secret_arn=namespace["adminPasswordSecretArn"],
        role=role,
        bucket=bucket,
    )
    client.delete_workgroup(workgroupName=name)
    client.delete_namespace(namespaceName=name)


def test_rows_come_back_with_their_types_and_in_pages(warehouse: Warehouse) -> None:
    described = warehouse.run("SELECT 1 AS a, 2.50 AS b, 'x' AS c, true AS d, NULL AS e, DATE '2024-02-29' AS f, 1.5::float AS g")
    result = warehouse.aws.client("redshift-data").get_statement_result(Id=described["Id"])
    assert result["Records"] == [
        [{"longValue": 1}, {"stringValue": "2.50"}, {"stringValue": "x"}, {"booleanValue": True}, {"isNull": True},
         {"stringValue": "2024-02-29"}, {"doubleValue": 1.5}],
    ]  # fmt: skip
    assert [column["typeName"] for column in result["ColumnMetadata"]] == [
        "int4",
        "numeric",
        "varchar",
        "bool",
        "varchar",
        "date",
        "float8",
    ]
    warehouse.run("CREATE TABLE many (n INT)")
    assert warehouse.run("INSERT INTO many VALUES " + ", ".join(f"({n})" for n in range(2500)))["ResultRows"] == 2500
    assert len(warehouse.rows("SELECT n FROM many ORDER BY n")) == 2500


def test_a_batch_is_one_transaction_and_says_which_statement_failed(warehouse: Warehouse) -> None:
    warehouse.run("CREATE TABLE ledger (id INT PRIMARY KEY, note VARCHAR(10))")
    failed = warehouse.run("INSERT INTO ledger VALUES (1, 'a')", "INSERT INTO ledger VALUES (2, 'far too long a note')", "SELECT 1")
    assert failed["Status"] == "FAILED"
    assert "value too long for type character varying(10)" in failed["Error"]
    assert [part["Status"] for part in failed["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
    assert warehouse.rows("SELECT COUNT(*) FROM ledger") == [[0]]
    done = warehouse.run("INSERT INTO ledger VALUES (1, 'a'), (1, 'b')", "SELECT COUNT(*) FROM ledger")
    assert [part["Id"] for part in done["SubStatements"]] == [f"{done['Id']}:1", f"{done['Id']}:2"]
    result = warehouse.aws.client("redshift-data").get_statement_result(Id=f"{done['Id']}:2")
    assert result["Records"] == [[{"longValue": 2}]], "keys are not enforced"
    each = warehouse.run("INSERT INTO ledger VALUES (9, 'kept')", "SELECT 1/0", ExecutionMode="AUTO_COMMIT")
    assert each["Status"] == "FAILED"
    assert warehouse.rows("SELECT COUNT(*) FROM ledger WHERE id = 9") == [[1]]


def test_truncate_commits_what_stands_before_it_in_a_batch(warehouse: Warehouse) -> None:
    warehouse.run("CREATE TABLE emptied (id INT)", "INSERT INTO emptied VALUES (1)")
    assert warehouse.run("TRUNCATE emptied", "SELECT 1/0")["Status"] == "FAILED"
    assert warehouse.rows("SELECT COUNT(*) FROM emptied") == [[0]]


def test_a_client_token_makes_a_submission_safe_to_repeat(warehouse: Warehouse) -> None:
    warehouse.run("CREATE TABLE once (id INT)")
    first = warehouse.run("INSERT INTO once VALUES (1)", ClientToken="token-1")
    again = warehouse.run("INSERT INTO once VALUES (1)", ClientToken="token-1")
    assert again["Id"] == first["Id"]
    assert warehouse.rows("SELECT COUNT(*) FROM once") == [[1]]
    with pytest.raises(ClientError, match="token"):
        warehouse.run("INSERT INTO once VALUES (2)", ClientToken="token-1")


def test_parameters_are_values_and_never_sql(warehouse: Warehouse) -> None:
    rows = warehouse.rows(
        "SELECT :name, :number + 1", Parameters=[{"name": "name", "value": "x' OR 1=1 --"}, {"name": "number", "value": "41"}]
    )
    assert rows == [["x' OR 1=1 --", 42]]
    described = warehouse.run("DROP TABLE :name", Parameters=[{"name": "name", "value": "x"}])
    assert (described["Status"], "Parameters are not allowed" in described["Error"]) == ("FAILED", True)


def test_a_session_keeps_its_temporary_tables(warehouse: Warehouse) -> None:
    begun = warehouse.run("CREATE TEMP TABLE mine (a INT)", SessionKeepAliveSeconds=60)
    assert begun["SessionId"]
    assert warehouse.run("INSERT INTO mine VALUES (7)", SessionId=begun["SessionId"])["Status"] == "FINISHED"
    assert warehouse.rows("SELECT a FROM mine", SessionId=begun["SessionId"]) == [[7]]
    assert warehouse.run("SELECT a FROM mine")["Status"] == "FAILED"


def test_a_statement_is_cancelled_and_its_transaction_undone(warehouse: Warehouse) -> None:
    client = warehouse.aws.client("redshift-data")
    warehouse.run("CREATE TABLE numbers (n INT)", "INSERT INTO numbers VALUES " + ", ".join(f"({n})" for n in range(2000)))
    slow = client.execute_statement(
        WorkgroupName=warehouse.name, Database="lakehouse", SecretArn=warehouse.secret_arn,
        Sql="SELECT SUM(a.n * b.n * c.n) FROM numbers a, numbers b, numbers c",
    )  # fmt: skip
    wait_for(lambda: client.describe_statement(Id=slow["Id"])["Status"] == "STARTED")
    assert client.cancel_statement(Id=slow["Id"])["Status"] is True
    assert client.describe_statement(Id=slow["Id"], WaitTimeSeconds=20)["Status"] == "ABORTED"
    with pytest.raises(ClientError, match="already in ABORTED state"):
        client.cancel_statement(Id=slow["Id"])


def test_who_may_not_connect_is_denied_and_who_may_is_a_user_of_their_own(warehouse: Warehouse) -> None:
    statements = ["redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement"]
    watching = allow(["redshift-data:DescribeStatement", "redshift-data:GetStatementResult"])
    stranger = warehouse.aws.caller(watching)
    with pytest.raises(ClientError, match=f"redshift-data:ExecuteStatement on resource: {warehouse.workgroup_arn}"):
        warehouse.run("SELECT 1", caller=stranger, SecretArn=None)
    halfway = warehouse.aws.caller(allow(statements, warehouse.workgroup_arn), watching)
    with pytest.raises(ClientError, match="redshift-serverless:GetCredentials"):
        warehouse.run("SELECT 1", caller=halfway, SecretArn=None)
    with pytest.raises(ClientError, match="secretsmanager:GetSecretValue"):
        warehouse.run("SELECT 1", caller=halfway)
    friend = warehouse.aws.caller(allow([*statements, "redshift-serverless:GetCredentials"], warehouse.workgroup_arn), watching)
    described = warehouse.run("SELECT CURRENT_USER", caller=friend, SecretArn=None)
    assert described["DbUser"] == f"IAMR:{friend.arn.rsplit('/', 1)[-1]}"
    warehouse.run("CREATE TABLE secret_plans (a INT)")
    refused = warehouse.run("SELECT a FROM secret_plans", caller=friend, SecretArn=None)
    assert (refused["Status"], refused["Error"]) == ("FAILED", "ERROR: permission denied for table secret_plans")
    warehouse.run(f'GRANT SELECT ON secret_plans TO "{described["DbUser"]}"')
    assert warehouse.run("SELECT a FROM secret_plans", caller=friend, SecretArn=None)["Status"] == "FINISHED"
    with pytest.raises(ClientError, match="Query does not exist"):
        warehouse.aws.client("redshift-data").describe_statement(Id=described["Id"])


def test_a_database_user_is_refused_for_serverless(warehouse: Warehouse) -> None:
    client = warehouse.aws.client("redshift-data")
    with pytest.raises(ClientError, match="DbUser is not supported"):
        client.execute_statement(WorkgroupName=warehouse.name, Database="lakehouse", DbUser="keeper", Sql="SELECT 1")
    with pytest.raises(ClientError, match="endpoint doesn't exist"):
        client.execute_statement(ClusterIdentifier="c", Database="lakehouse", Sql="SELECT 1")
    with pytest.raises(ClientError, match="endpoint doesn't exist"):
        client.execute_statement(WorkgroupName="nobody", Database="lakehouse", Sql="SELECT 1")


def test_copy_and_unload_move_rows_with_the_role(warehouse: Warehouse) -> None:
    s3 = warehouse.aws.client("s3")
    s3.put_object(
        Bucket=warehouse.bucket, Key="data/in/part-0.csv", Body=b"id,name,amount,day\n1,Ann,1.50,2024-02-29\n2,,2.255,2024-03-01\n"
    )
    warehouse.run("CREATE TABLE loaded (id INT NOT NULL, name VARCHAR(20), amount DECIMAL(10,2), day DATE)")
    done = warehouse.run(f"COPY loaded FROM 's3://{warehouse.bucket}/data/in/' IAM_ROLE '{warehouse.role}' CSV IGNOREHEADER 1")
    assert (done["Status"], done["ResultRows"]) == ("FINISHED", 2), done.get("Error")
    assert warehouse.rows("SELECT * FROM loaded ORDER BY id") == [[1, "Ann", "1.50", "2024-02-29"], [2, "", "2.25", "2024-03-01"]]
    out = f"s3://{warehouse.bucket}/data/out/"
    assert warehouse.run(f"UNLOAD ('SELECT * FROM loaded') TO '{out}' IAM_ROLE default FORMAT PARQUET MANIFEST")["Status"] == "FINISHED"
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=warehouse.bucket, Prefix="data/out/")["Contents"]]
    assert keys == ["data/out/0000_part_00.parquet", "data/out/0001_part_00.parquet", "data/out/manifest"]
    again = warehouse.run(f"UNLOAD ('SELECT * FROM loaded') TO '{out}' IAM_ROLE default FORMAT PARQUET")
    assert "unload destination on S3 is not empty" in again["Error"]
    assert (
        warehouse.run(f"UNLOAD ('SELECT * FROM loaded') TO '{out}' IAM_ROLE default FORMAT PARQUET MANIFEST CLEANPATH")["Status"]
        == "FINISHED"
    )
    warehouse.run("CREATE TABLE back (LIKE loaded)")
    s3.delete_object(Bucket=warehouse.bucket, Key="data/out/manifest")
    assert warehouse.run(f"COPY back FROM '{out}' IAM_ROLE default FORMAT AS PARQUET")["Status"] == "FINISHED"
    assert warehouse.rows("SELECT * FROM back EXCEPT SELECT * FROM loaded") == []
    warehouse.run("CREATE TABLE narrow (id INT)")
    wrong = warehouse.run(f"COPY narrow FROM '{out}' IAM_ROLE default FORMAT AS PARQUET")
    assert "Unmatched number of columns between table and file. Table columns: 1, Data columns: 4" in wrong["Error"]


def test_a_bad_row_is_told_of_and_loads_nothing(warehouse: Warehouse) -> None:
    s3 = warehouse.aws.client("s3")
    s3.put_object(Bucket=warehouse.bucket, Key="data/bad/one.csv", Body=b"1,2024-01-01\nx,2024-01-01\n3,2024-13-01\n4,2024-01-04\n")
    warehouse.run("CREATE TABLE strict (id INT, day DATE)")
    source = f"COPY strict FROM 's3://{warehouse.bucket}/data/bad/' IAM_ROLE default CSV"
    failed = warehouse.run(source)
    assert failed["Error"] == "ERROR: Load into table 'strict' failed.  Check 'sys_load_error_detail' system table for details."
    told = warehouse.rows(
        "SELECT line_number, column_name, error_code, error_message FROM sys_load_error_detail WHERE table_name = 'strict'"
    )
    assert told == [[2, "id", 1207, "Invalid digit, Value 'x', Type: Integer"]]
    assert warehouse.rows("SELECT COUNT(*) FROM strict") == [[0]]
    assert warehouse.run(f"{source} MAXERROR 3")["ResultRows"] == 2
    assert warehouse.rows("SELECT id FROM strict ORDER BY id") == [[1], [4]]


def test_a_role_that_is_not_attached_or_not_allowed_reads_nothing(warehouse: Warehouse) -> None:
    s3 = warehouse.aws.client("s3")
    s3.put_object(Bucket=warehouse.bucket, Key="other/one.csv", Body=b"1\n")
    warehouse.run("CREATE TABLE guarded (id INT)")
    denied = warehouse.run(f"COPY guarded FROM 's3://{warehouse.bucket}/other/one.csv' IAM_ROLE default CSV")
    assert "S3ServiceException" in denied["Error"]
    assert "403" in denied["Error"]
    stranger = warehouse.aws.role(allow("s3:*"), service=SERVERLESS)
    foreign = warehouse.run(f"COPY guarded FROM 's3://{warehouse.bucket}/other/one.csv' IAM_ROLE '{stranger}' CSV")
    assert "not associated with the namespace" in foreign["Error"]


def test_namespace_and_workgroup_come_from_a_stack(local_aws: LocalAws) -> None:
    name = local_aws.name("stack")
    role = local_aws.role(allow("s3:ListBucket"), service="redshift.amazonaws.com")
    resources: dict[str, Any] = {
        "Namespace": {
            "Type": "AWS::RedshiftServerless::Namespace",
            "Properties": {
                "NamespaceName": name, "DbName": "lakehouse", "AdminUsername": "keeper", "ManageAdminPassword": True, "IamRoles": [role],
                "LogExports": ["userlog", "connectionlog"], "Tags": [{"Key": "team", "Value": "data"}],
            },
        },
        "Workgroup": {
            "Type": "AWS::RedshiftServerless::Workgroup",
            "Properties": {
                "WorkgroupName": name, "NamespaceName": {"Ref": "Namespace"}, "BaseCapacity": 8, "MaxCapacity": 16, "EnhancedVpcRouting": True,
                "PubliclyAccessible": False, "ConfigParameters": [{"ParameterKey": "require_ssl", "ParameterValue": "true"}],
            },
        },
    }  # fmt: skip
    outputs = {
        "Arn": {"Value": {"Fn::GetAtt": ["Workgroup", "Workgroup.WorkgroupArn"]}},
        "Secret": {"Value": {"Fn::GetAtt": ["Namespace", "Namespace.AdminPasswordSecretArn"]}},
        "Host": {"Value": {"Fn::GetAtt": ["Workgroup", "Workgroup.Endpoint.Address"]}},
        "Since": {"Value": {"Fn::GetAtt": ["Namespace", "Namespace.CreationDate"]}},
    }
    made = local_aws.stack(resources, name=name, template={"Outputs": outputs})
    assert made["StackStatus"] == "CREATE_COMPLETE", made["Failures"]
    told = {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
    assert told["Host"] == f"{name}.{ACCOUNT}.{REGION}.redshift-serverless.amazonaws.com"
    assert datetime.fromisoformat(told["Since"]).isoformat() == told["Since"]
    group = local_aws.client("redshift-serverless").get_workgroup(workgroupName=name)["workgroup"]
    assert (group["workgroupArn"], group["maxCapacity"]) == (told["Arn"], 16)
    secret = json.loads(local_aws.client("secretsmanager").get_secret_value(SecretId=told["Secret"])["SecretString"])
    assert secret["username"] == "keeper"
    resources["Workgroup"]["Properties"]["BaseCapacity"] = 16
    assert local_aws.stack(resources, name=name, update=True, template={"Outputs": outputs})["StackStatus"] == "UPDATE_COMPLETE"
    local_aws.client("cloudformation").delete_stack(StackName=name)
    wait_for(
        lambda: name not in [each["workgroupName"] for each in local_aws.client("redshift-serverless").list_workgroups()["workgroups"]]
    )


def test_roles_are_passed_to_a_namespace_and_asked_for(local_aws: LocalAws) -> None:
    role = local_aws.role(service=SERVERLESS)
    caller = local_aws.caller(allow("redshift-serverless:*"))
    with pytest.raises(ClientError, match="iam:PassRole"):
        caller.client("redshift-serverless").create_namespace(namespaceName=local_aws.name("ns"), iamRoles=[role])


def test_a_usage_limit_belongs_to_a_workgroup(warehouse: Warehouse) -> None:
    client = warehouse.aws.client("redshift-serverless")
    limit = client.create_usage_limit(
        resourceArn=warehouse.workgroup_arn, usageType="serverless-compute", amount=10, period="daily", breachAction="deactivate"
    )["usageLimit"]
    assert client.list_usage_limits(resourceArn=warehouse.workgroup_arn)["usageLimits"] == [limit]
    client.delete_usage_limit(usageLimitId=limit["usageLimitId"])


def test_the_limit_of_a_deployment_is_made_raised_and_removed_with_the_rights_that_it_has(warehouse: Warehouse) -> None:
    verbs = ("CreateUsageLimit", "DeleteUsageLimit", "ListUsageLimits", "UpdateUsageLimit")
    client = warehouse.aws.caller(allow([f"redshift-serverless:{verb}" for verb in verbs])).client("redshift-serverless")
    limits = UsageLimits(client)

    def asked(action: Any, rpu_hours: int, physical_id: str | None = None) -> str:
        request = LimitRequest(action=action, physical_id=physical_id, workgroup_arn=warehouse.workgroup_arn, rpu_hours=rpu_hours)
        return limits.answer(request).physical_id

    def found() -> list[tuple[Any, ...]]:
        listed = client.list_usage_limits(resourceArn=warehouse.workgroup_arn).get("usageLimits", [])
        return [(limit["usageLimitId"], limit["amount"], limit["period"], limit["breachAction"]) for limit in listed]

    made = asked("Create", 100)
    assert asked("Create", 100) == asked("Update", 200, made) == made
    assert found() == [(made, 200, "monthly", "deactivate")]
    asked("Delete", 200, made)
    assert found() == []


def test_a_machine_submits_a_batch_and_looks_at_it_with_its_role(warehouse: Warehouse) -> None:
    machine_role = warehouse.aws.role(
        allow(["redshift-data:BatchExecuteStatement", "redshift-serverless:GetCredentials"], warehouse.workgroup_arn),
        allow(["redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:CancelStatement"]),
        service="states.amazonaws.com",
    )
    definition = {
        "StartAt": "Submit",
        "States": {
            "Submit": {
                "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:redshiftdata:batchExecuteStatement",
                "Parameters": {
                    "WorkgroupName": warehouse.name, "Database": "lakehouse", "Sqls": ["SELECT 1 AS one", "SELECT 2 AS two"],
                    "ClientToken.$": "$$.Execution.Name",
                },
                "ResultPath": "$.work", "Next": "Look",
            },
            "Look": {
                "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:redshiftdata:describeStatement",
                "Parameters": {"Id.$": "$.work.Id", "WaitTimeSeconds": 10}, "ResultPath": "$.seen", "Next": "Read",
            },
            "Read": {
                "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:redshiftdata:getStatementResult",
                "Parameters": {"Id.$": "$.seen.SubStatements[1].Id"}, "End": True,
            },
        },
    }  # fmt: skip
    client = warehouse.aws.client("stepfunctions")
    machine = client.create_state_machine(name=warehouse.aws.name("machine"), definition=json.dumps(definition), roleArn=machine_role)
    ended = _ended(client, client.start_execution(stateMachineArn=machine["stateMachineArn"], input="{}")["executionArn"])
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["Records"] == [[{"LongValue": 2}]]
    warehouse.aws.allow(machine_role, allow("redshift-data:BatchExecuteStatement", warehouse.workgroup_arn))
    denied = _ended(client, client.start_execution(stateMachineArn=machine["stateMachineArn"], input="{}")["executionArn"])
    assert denied["status"] == "FAILED"
    assert "redshift-serverless:GetCredentials" in denied["cause"]


def _ended(client: Any, arn: str) -> dict[str, Any]:
    return wait_for(lambda: next((e for e in [client.describe_execution(executionArn=arn)] if e["status"] != "RUNNING"), None), seconds=30)


def test_the_end_of_a_statement_is_an_event_if_that_is_asked_for(warehouse: Warehouse) -> None:
    queue = warehouse.aws.client("sqs").create_queue(QueueName=warehouse.aws.name("events"))["QueueUrl"]
    sqs, events, rule = warehouse.aws.client("sqs"), warehouse.aws.client("events"), warehouse.aws.name("rule")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"Version": "2012-10-17", "Statement": [{**allow("sqs:SendMessage", arn), "Principal": {"Service": "events.amazonaws.com"}}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.redshift-data"]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    described = warehouse.run("SELECT 1", WithEvent=True, StatementName="told")
    message = wait_for(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"), seconds=15)[0]
    detail = json.loads(message["Body"])["detail"]
    assert (detail["statementId"], detail["statementName"], detail["state"]) == (described["Id"], "told", "FINISHED")


def test_the_catalog_is_listed(warehouse: Warehouse) -> None:
    warehouse.run(
        "CREATE SCHEMA IF NOT EXISTS listed", "CREATE TABLE listed.things (id BIGINT NOT NULL, label VARCHAR(12), price DECIMAL(9,3))"
    )
    client = warehouse.aws.client("redshift-data")
    where = {"WorkgroupName": warehouse.name, "Database": "lakehouse", "SecretArn": warehouse.secret_arn}
    assert client.list_databases(**where)["Databases"] == ["lakehouse"]
    assert "listed" in client.list_schemas(**where)["Schemas"]
    assert client.list_tables(**where, SchemaPattern="listed")["Tables"] == [{"schema": "listed", "name": "things", "type": "TABLE"}]
    columns = client.describe_table(**where, Schema="listed", Table="things")["ColumnList"]
    assert [(c["name"], c["typeName"], c["nullable"], c["length"], c["precision"], c["scale"]) for c in columns] == [
        ("id", "int8", 0, 0, 64, 0), ("label", "varchar", 1, 12, 0, 0), ("price", "numeric", 1, 0, 9, 3),
    ]  # fmt: skip
    named = warehouse.run("SELECT 1", StatementName="find-me")
    assert client.list_statements(StatementName="find-me")["Statements"][0]["Id"] == named["Id"]


def test_only_finished_statements_are_listed_unless_others_are_asked_for(warehouse: Warehouse) -> None:
    client = warehouse.aws.client("redshift-data")
    where = {"WorkgroupName": warehouse.name, "Database": "lakehouse", "SecretArn": warehouse.secret_arn, "StatementName": "no-such-table"}
    failed = client.execute_statement(**where, Sql="SELECT * FROM no_such_table")["Id"]
    client.describe_statement(Id=failed, WaitTimeSeconds=20)
    assert client.list_statements(StatementName="no-such-table")["Statements"] == []
    for status in ("ALL", "FAILED"):
        assert [entry["Id"] for entry in client.list_statements(StatementName="no-such-table", Status=status)["Statements"]] == [failed]


def test_a_row_of_more_than_64_kb_is_refused(warehouse: Warehouse) -> None:
    longest = "REPEAT('x', 65535) AS a, 'y' AS b"
    assert warehouse.run(f"SELECT {longest}")["ResultSize"] == 65536
    assert warehouse.run("SELECT 'é' AS a")["ResultSize"] == 2
    described = warehouse.run(f"SELECT {longest}, 'z' AS c")
    assert (described["Status"], "Packet for query is too large" in described["Error"]) == ("FAILED", True)


def test_csv_results_come_by_the_second_operation(warehouse: Warehouse) -> None:
    described = warehouse.run("SELECT 1 AS a, 'x,y' AS b", ResultFormat="CSV")
    client = warehouse.aws.client("redshift-data")
    assert client.get_statement_result_v2(Id=described["Id"])["Records"] == [{"CSVRecords": 'a,b\n1,"x,y"\n'}]
    with pytest.raises(ClientError, match="not in the format JSON"):
        client.get_statement_result(Id=described["Id"])


def test_a_wait_ends_with_the_statement_not_with_the_time(warehouse: Warehouse) -> None:
    began = time.monotonic()
    assert warehouse.run("SELECT 1")["Status"] == "FINISHED"
    assert time.monotonic() - began < 10


def test_a_role_may_be_kept_for_the_users_of_one_warehouse(warehouse: Warehouse) -> None:
    aws, kept = (
        warehouse.aws,
        warehouse.aws.client("redshift-serverless").get_namespace(namespaceName=warehouse.name)["namespace"]["iamRoles"],
    )

    def trust(workgroup: str) -> dict[str, Any]:
        of = f"arn:aws:redshift:{REGION}:{ACCOUNT}:dbuser:{workgroup}/*"
        condition = {"StringLike": {"sts:ExternalId": of}}
        principal = {"Service": SERVERLESS}
        return {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition}],
        }

    rights = (
        allow("s3:GetObject", f"arn:aws:s3:::{warehouse.bucket}/data/*"),
        allow("s3:ListBucket", f"arn:aws:s3:::{warehouse.bucket}"),
    )
    mine, others = aws.role(*rights, trust=trust(warehouse.name)), aws.role(*rights, trust=trust("another"))
    aws.client("redshift-serverless").update_namespace(namespaceName=warehouse.name, iamRoles=[*kept, mine, others])
    aws.client("s3").put_object(Bucket=warehouse.bucket, Key="data/kept/rows.csv", Body=b"1\n2\n")
    warehouse.run("CREATE TABLE kept_for (id INT)")
    source = f"COPY kept_for FROM 's3://{warehouse.bucket}/data/kept/' IAM_ROLE"
    assert warehouse.run(f"{source} '{mine}' CSV")["Status"] == "FINISHED"
    refused = warehouse.run(f"{source} '{others}' CSV")
    assert (refused["Status"], "not authorized to assume IAM Role" in refused["Error"]) == ("FAILED", True)
