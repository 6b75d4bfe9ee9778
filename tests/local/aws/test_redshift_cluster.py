"""Provisioned Redshift on the local AWS, by boto3 and from a stack: one engine with the workgroups, a front door of its own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lakehouse.warehouse.data_api import DataApi, StatementError, StatementRefused, Target
from local.platform import ACCOUNT, REGION
from tests.fixtures.platform import Caller, LocalAws, allow, wait_for

REDSHIFT, SCHEDULER = "redshift.amazonaws.com", "scheduler.redshift.amazonaws.com"
WLM = json.dumps([
    {"name": "loads", "auto_wlm": True, "queue_type": "auto", "priority": "high", "query_group": ["loads"]},
    {"auto_wlm": True, "priority": "normal"},
    {"short_query_queue": True},
])  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that a stack made.

    Attributes:
        aws: The local AWS.
        name: Its identifier, and that of its stack.
        secret: ARN of the admin's secret.
        role: Role of COPY.
        bucket: Bucket that the role may read.
        template: Resources of its stack.
    """

    aws: LocalAws
    name: str
    secret: str
    role: str
    bucket: str
    template: dict[str, Any]

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:{self.name}"

    @property
    def status(self) -> str:
        """How it is."""
        return str(self.described["ClusterStatus"])

    @property
    def described(self) -> dict[str, Any]:
        """Redshift's description."""
        return self.aws.client("redshift").describe_clusters(ClusterIdentifier=self.name)["Clusters"][0]

    def api(self, caller: Caller | None = None, **target: Any) -> DataApi:
        """The platform's own client, as the admin unless told otherwise."""
        given = target or {"secret_arn": self.secret}
        client = (caller or self.aws.root).client("redshift-data")
        return DataApi(client=client, target=Target(database="lakehouse", cluster=self.name, **given), deadline_seconds=30)

    def update(self, **properties: Any) -> dict[str, Any]:
        """Change properties of the cluster by its stack."""
        self.template["Cluster"]["Properties"].update(properties)
        return self.aws.stack(self.template, name=self.name, update=True)


@pytest.fixture(scope="session")
def cluster(local_aws: LocalAws) -> Iterator[Cluster]:
    name, bucket, ec2 = local_aws.name("cluster"), local_aws.name("bucket"), local_aws.client("ec2")
    local_aws.client("s3").create_bucket(Bucket=bucket)
    role = local_aws.role(
        allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"), service=REDSHIFT
    )
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName=name, Description="a cluster", VpcId=vpc)["GroupId"]
    parameters = {"require_ssl": "true", "wlm_json_configuration": WLM}
    resources: dict[str, Any] = {
        "Subnets": {"Type": "AWS::Redshift::ClusterSubnetGroup", "Properties": {"Description": "subnets", "SubnetIds": [subnet]}},
        "Parameters": {
            "Type": "AWS::Redshift::ClusterParameterGroup",
            "Properties": {
                "Description": "parameters", "ParameterGroupFamily": "redshift-2.0",
                "Parameters": [{"ParameterName": key, "ParameterValue": value} for key, value in parameters.items()],
            },
        },
        "Cluster": {
            "Type": "AWS::Redshift::Cluster",
            "Properties": {
                "ClusterIdentifier": name, "ClusterType": "multi-node", "NodeType": "ra3.large", "NumberOfNodes": 2, "DBName": "lakehouse",
                "MasterUsername": "keeper", "ManageMasterPassword": True, "Encrypted": True, "IamRoles": [role], "EnhancedVpcRouting": True,
                "PubliclyAccessible": False, "ClusterSubnetGroupName": {"Ref": "Subnets"}, "ClusterParameterGroupName": {"Ref": "Parameters"},
                "VpcSecurityGroupIds": [group], "AutomatedSnapshotRetentionPeriod": 7, "PreferredMaintenanceWindow": "sun:03:00-sun:03:30",
                "LoggingProperties": {"LogDestinationType": "cloudwatch", "LogExports": ["userlog", "connectionlog"]},
                "Tags": [{"Key": "team", "Value": "data"}],
            },
        },
        "Limit": {
            "Type": "AWS::Redshift::UsageLimit",
            "Properties": {
                "ClusterIdentifier": {"Ref": "Cluster"}, "FeatureType": "spectrum", "LimitType": "data-scanned", "Amount": 5,
                "BreachAction": "disable",
            },
        },
    }  # fmt: skip
    outputs = {"Secret": {"Value": {"Fn::GetAtt": ["Cluster", "MasterPasswordSecretArn"]}}}
    made = local_aws.stack(resources, name=name, template={"Outputs": outputs})
    assert made["StackStatus"] == "CREATE_COMPLETE", made["Failures"]
    yield Cluster(aws=local_aws, name=name, secret=made["Outputs"][0]["OutputValue"], role=role, bucket=bucket, template=resources)
    local_aws.client("cloudformation").delete_stack(StackName=name)
    wait_for(lambda: not [c for c in local_aws.client("redshift").describe_clusters()["Clusters"] if c["ClusterIdentifier"] == name])


def test_a_cluster_comes_from_a_stack_as_the_template_says(cluster: Cluster) -> None:
    found, client = cluster.described, cluster.aws.client("redshift")
    assert (found["ClusterStatus"], found["NumberOfNodes"], found["Encrypted"], found["PubliclyAccessible"]) == (
        "available",
        2,
        True,
        False,
    )
    assert [role["IamRoleArn"] for role in found["IamRoles"]] == [cluster.role]
    assert client.describe_logging_status(ClusterIdentifier=cluster.name)["LogExports"] == ["userlog", "connectionlog"]
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]}["team"] == "data"
    group = found["ClusterParameterGroups"][0]["ParameterGroupName"]
    shown = client.describe_cluster_parameters(ParameterGroupName=group, Source="user")["Parameters"]
    assert {parameter["ParameterName"] for parameter in shown} == {"require_ssl", "wlm_json_configuration"}
    (limit,) = client.describe_usage_limits(ClusterIdentifier=cluster.name)["UsageLimits"]
    assert (limit["FeatureType"], limit["Amount"], limit["BreachAction"]) == ("spectrum", 5, "disable")


def test_a_stack_changes_what_can_be_changed(cluster: Cluster) -> None:
    assert cluster.update(NumberOfNodes=3, AutomatedSnapshotRetentionPeriod=3)["StackStatus"] == "UPDATE_COMPLETE"
    assert (cluster.described["NumberOfNodes"], cluster.described["AutomatedSnapshotRetentionPeriod"]) == (3, 3)
    assert (
        cluster.update(LoggingProperties={"LogDestinationType": "cloudwatch", "LogExports": ["useractivitylog"]})["StackStatus"]
        == "UPDATE_COMPLETE"
    )
    assert cluster.aws.client("redshift").describe_logging_status(ClusterIdentifier=cluster.name)["LogExports"] == ["useractivitylog"]


def test_the_admin_runs_statements_and_copies_with_the_role(cluster: Cluster) -> None:
    api = cluster.api()
    cluster.aws.client("s3").put_object(Bucket=cluster.bucket, Key="in/one.csv", Body=b"1,Ann\n2,Bob\n")
    api.execute("CREATE TABLE people (id INT, name VARCHAR(10))")
    api.batch([
        "SET query_group TO 'loads'",
        f"COPY people FROM 's3://{cluster.bucket}/in/' IAM_ROLE '{cluster.role}' CSV",
    ])  # fmt: skip
    assert api.execute("SELECT id, name FROM people ORDER BY id").rows == ((1, "Ann"), (2, "Bob"))
    with pytest.raises(StatementError, match="does not exist"):
        api.execute("SELECT * FROM nobody")


def test_a_role_comes_in_as_a_user_of_its_own_if_iam_lets_it(cluster: Cluster) -> None:
    run = allow(["redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement"], cluster.arn)
    look = allow(["redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:CancelStatement"])
    where = f"arn:aws:redshift:{REGION}:{ACCOUNT}"
    with pytest.raises(ClientError, match=f"redshift-data:ExecuteStatement on resource: {cluster.arn}"):
        cluster.api(cluster.aws.caller(look), db_user=None).execute("SELECT 1")
    halfway = cluster.aws.caller(run, look)
    with pytest.raises(ClientError, match="redshift:GetClusterCredentialsWithIAM"):
        cluster.api(halfway, db_user=None).execute("SELECT 1")
    friend = cluster.aws.caller(run, look, allow("redshift:GetClusterCredentialsWithIAM", f"{where}:dbname:{cluster.name}/lakehouse"))
    answer = cluster.api(friend, db_user=None).execute("SELECT CURRENT_USER")
    assert str(answer.rows[0][0]).lower() == f"iamr:{friend.arn.rsplit('/', 1)[-1]}"
    with pytest.raises(ClientError, match="redshift:GetClusterCredentials on resource"):
        cluster.api(friend, db_user="keeper").execute("SELECT 1")


def test_a_database_user_is_one_that_there_is(cluster: Cluster) -> None:
    cluster.api().execute("CREATE USER reader PASSWORD DISABLE")
    assert cluster.api(db_user="reader").execute("SELECT CURRENT_USER").rows == (("reader",),)
    with pytest.raises(StatementRefused, match='user "nobody" does not exist'):
        cluster.api(db_user="nobody").execute("SELECT 1")


def test_a_target_is_named_once(cluster: Cluster) -> None:
    client = cluster.aws.client("redshift-data")
    with pytest.raises(ClientError, match="Either a ClusterIdentifier or a WorkgroupName"):
        client.execute_statement(ClusterIdentifier=cluster.name, WorkgroupName="warehouse", Database="lakehouse", Sql="SELECT 1")
    with pytest.raises(ClientError, match="endpoint doesn't exist"):
        client.execute_statement(ClusterIdentifier="nobody", Database="lakehouse", SecretArn=cluster.secret, Sql="SELECT 1")


def test_a_paused_cluster_takes_no_statements_and_keeps_its_rows(cluster: Cluster) -> None:
    client, api = cluster.aws.client("redshift"), cluster.api()
    api.execute("CREATE TABLE kept (id INT)")
    api.execute("INSERT INTO kept VALUES (7)")
    client.pause_cluster(ClusterIdentifier=cluster.name)
    wait_for(lambda: cluster.status == "paused")
    with pytest.raises(StatementRefused, match=r"is paused.*resume-cluster"):
        api.execute("SELECT 1")
    with pytest.raises(ClientError, match="must be available"):
        client.pause_cluster(ClusterIdentifier=cluster.name)
    with pytest.raises(ClientError, match="must be available"):
        client.modify_cluster(ClusterIdentifier=cluster.name, AutomatedSnapshotRetentionPeriod=2)
    client.resume_cluster(ClusterIdentifier=cluster.name)
    wait_for(lambda: cluster.status == "available")
    assert api.execute("SELECT id FROM kept").rows == ((7,),)
    with pytest.raises(ClientError, match="can't resume"):
        client.resume_cluster(ClusterIdentifier=cluster.name)


def test_a_scheduled_action_pauses_with_its_role_and_only_with_its_right(cluster: Cluster) -> None:
    aws = cluster.aws
    allowed = aws.role(allow("redshift:PauseCluster", cluster.arn), service=SCHEDULER)
    denied, client = aws.role(service=SCHEDULER), aws.client("redshift")

    def schedule(role: str) -> str:
        name, soon = aws.name("pause"), datetime.now(UTC) + timedelta(seconds=3)
        client.create_scheduled_action(
            ScheduledActionName=name, TargetAction={"PauseCluster": {"ClusterIdentifier": cluster.name}}, IamRole=role,
            Schedule=f"at({soon:%Y-%m-%dT%H:%M:%S})",
        )  # fmt: skip
        return name

    with pytest.raises(ClientError, match=SCHEDULER):
        schedule(cluster.role)
    schedule(denied)
    wait_for(lambda: aws.calls(role=denied, action="redshift:PauseCluster"))
    assert cluster.status == "available"
    schedule(allowed)
    wait_for(lambda: cluster.status == "paused")
    client.resume_cluster(ClusterIdentifier=cluster.name)
    wait_for(lambda: cluster.status == "available")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"NodeType": "dc2.large"}, "dc2.large is retired.*use ra3.large"),
        ({"NodeType": "ra3.4xlarge", "ClusterType": "single-node"}, "2-32 nodes"),
        ({"NumberOfNodes": None}, "2 nodes at least"),
        ({"Encrypted": False}, "encrypted"),
        ({"MasterUserPassword": "Secret-123"}, "ManageMasterPassword"),
        ({"AutomatedSnapshotRetentionPeriod": 0}, "1-35"),
        ({"PreferredMaintenanceWindow": "always"}, "PreferredMaintenanceWindow"),
        ({"Port": 80}, "Port is 5431-5455"),
        ({"ClusterIdentifier": "no--name"}, "single hyphens"),
        ({"ClusterParameterGroupName": "nobody"}, "ParameterGroup not found"),
        ({"MultiAZ": True}, "not served by the laptop platform"),
    ],
)
def test_what_redshift_would_not_make_is_not_made(local_aws: LocalAws, changes: dict[str, Any], told: str) -> None:
    given: dict[str, Any] = {
        "ClusterIdentifier": local_aws.name("bad"), "ClusterType": "multi-node", "NodeType": "ra3.large", "NumberOfNodes": 2,
        "MasterUsername": "keeper", "ManageMasterPassword": True,
    }  # fmt: skip
    given = {name: value for name, value in {**copy.deepcopy(given), **changes}.items() if value is not None}
    if changes.get("ClusterType") == "single-node":
        given.pop("NumberOfNodes")
    with pytest.raises(ClientError, match=told):
        local_aws.client("redshift").create_cluster(**given)


def test_queues_that_redshift_would_not_take_are_refused(local_aws: LocalAws) -> None:
    client, name = local_aws.client("redshift"), local_aws.name("group")
    client.create_cluster_parameter_group(ParameterGroupName=name, ParameterGroupFamily="redshift-2.0", Description="queues")

    def set_to(**parameters: str) -> None:
        given = [{"ParameterName": key, "ParameterValue": value} for key, value in parameters.items()]
        client.modify_cluster_parameter_group(ParameterGroupName=name, Parameters=given)

    set_to(wlm_json_configuration=WLM)
    for value, told in (
        (json.dumps([{"auto_wlm": True}] * 9), "9 queues, and Redshift takes 8"),
        (json.dumps([{"auto_wlm": True, "query_group": ["x"]}]), "default queue"),
        (json.dumps([{"auto_wlm": True, "priority": "urgent"}]), "priority is one of"),
        ("no json", "is no JSON"),
    ):
        with pytest.raises(ClientError, match=told):
            set_to(wlm_json_configuration=value)
    with pytest.raises(ClientError, match="Could not find parameter"):
        set_to(no_such_thing="1")
    client.delete_cluster_parameter_group(ParameterGroupName=name)


def test_roles_are_passed_to_a_cluster_and_asked_for(cluster: Cluster) -> None:
    caller = cluster.aws.caller(allow("redshift:*"))
    with pytest.raises(ClientError, match="iam:PassRole"):
        caller.client("redshift").modify_cluster_iam_roles(ClusterIdentifier=cluster.name, AddIamRoles=[cluster.aws.role(service=REDSHIFT)])
