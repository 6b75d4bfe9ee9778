"""EMR's own rules: clusters, their instances and policies, steps, security configurations. Real clients, no server, no Spark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import emr, emr_clusters, emr_commands, emr_roles, emr_steps
from local.aws.spark_submit import SubmitError
from tests.fixtures.in_process import ACCOUNT, REGION, adapter, client, user
from tests.fixtures.platform import allow, wait_for

CLUSTERS = f"arn:aws:elasticmapreduce:{REGION}:{ACCOUNT}:cluster"
XLARGE = [{"InstanceType": "m5.xlarge"}]
MASTER = {"InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": XLARGE}
CORE = {"InstanceFleetType": "CORE", "TargetOnDemandCapacity": 2, "InstanceTypeConfigs": XLARGE}
TASK = {"InstanceFleetType": "TASK", "TargetSpotCapacity": 2, "InstanceTypeConfigs": XLARGE}
GROUPS = [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}]


def role(service: str) -> str:
    iam, name = client("iam"), emr_clusters.new_id("role")
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])


def profile(role_arn: str) -> str:
    iam, name = client("iam"), emr_clusters.new_id("profile")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role_arn.rsplit("/", 1)[-1])
    return name


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    """EMR's client of the account's root."""
    adapter(emr.SERVED)
    yield client("emr")
    for cluster in list(emr_clusters._running.values()):
        cluster.end(emr_clusters.USER_REQUEST)
    wait_for(lambda: not emr_clusters._running)
    for store in emr.SERVED.state.values():
        store._data.clear()


@pytest.fixture(scope="module")
def roles(api: Any) -> dict[str, str]:
    """Roles of a cluster that begins."""
    del api
    return {"ServiceRole": role("elasticmapreduce.amazonaws.com"), "JobFlowRole": profile(role("ec2.amazonaws.com"))}


def request(roles: dict[str, str], **more: Any) -> dict[str, Any]:
    instances = {"InstanceFleets": [MASTER, CORE], "KeepJobFlowAliveWhenNoSteps": True, **more.pop("Instances", {})}
    return {"Name": "c", "ReleaseLabel": "emr-spark-8.0.0", "Applications": [{"Name": "Spark"}], **roles, "Instances": instances, **more}


def state(api: Any, cluster: str) -> str:
    return str(api.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"])


def waiting(api: Any, roles: dict[str, str], **more: Any) -> str:
    cluster = str(api.run_job_flow(**request(roles, **more))["JobFlowId"])
    wait_for(lambda: state(api, cluster) == "WAITING")
    return cluster


def ended(api: Any, cluster: str) -> dict[str, Any]:
    wait_for(lambda: state(api, cluster) in emr_clusters.ENDED)
    return dict(api.describe_cluster(ClusterId=cluster)["Cluster"]["Status"])


# ---- what a cluster is -------------------------------------------------------------------------------------------------


def test_a_cluster_waits_for_steps_and_ends_when_it_is_told_to(api: Any, roles: dict[str, str]) -> None:
    tags = [{"Key": "run_id", "Value": "1"}]
    made = api.run_job_flow(**request(roles, Tags=tags, LogUri="s3://b/logs/"))
    cluster = made["JobFlowId"]
    assert made["ClusterArn"] == f"{CLUSTERS}/{cluster}"
    wait_for(lambda: state(api, cluster) == "WAITING")
    api.get_waiter("cluster_running").wait(ClusterId=cluster, WaiterConfig={"Delay": 1})
    found = api.describe_cluster(ClusterId=cluster)["Cluster"]
    assert (found["Name"], found["ReleaseLabel"], found["Tags"], found["AutoTerminate"], found["TerminationProtected"]) == (
        "c", "emr-spark-8.0.0", tags, False, False,
    )  # fmt: skip
    assert (found["InstanceCollectionType"], found["LogUri"], found["StepConcurrencyLevel"]) == ("INSTANCE_FLEET", "s3://b/logs/", 1)
    assert found["Ec2InstanceAttributes"]["IamInstanceProfile"] == roles["JobFlowRole"]
    assert found["Status"]["StateChangeReason"]["Message"] == "Cluster ready to run steps."
    assert cluster in [
        one["Id"] for page in api.get_paginator("list_clusters").paginate(ClusterStates=["WAITING"]) for one in page["Clusters"]
    ]
    fleets = api.list_instance_fleets(ClusterId=cluster)["InstanceFleets"]
    assert [(fleet["InstanceFleetType"], fleet["ProvisionedOnDemandCapacity"], fleet["Status"]["State"]) for fleet in fleets] == [
        ("MASTER", 1, "RUNNING"), ("CORE", 2, "RUNNING"),
    ]  # fmt: skip
    api.terminate_job_flows(JobFlowIds=[cluster])
    api.get_waiter("cluster_terminated").wait(ClusterId=cluster, WaiterConfig={"Delay": 1})
    status = ended(api, cluster)
    assert (status["State"], status["StateChangeReason"]) == (
        "TERMINATED",
        {"Code": "USER_REQUEST", "Message": "Terminated by user request"},
    )
    assert status["Timeline"]["EndDateTime"] >= status["Timeline"]["ReadyDateTime"] >= status["Timeline"]["CreationDateTime"]
    api.terminate_job_flows(JobFlowIds=[cluster])  # again is no error


def test_a_cluster_without_steps_that_is_not_kept_alive_ends_at_once(api: Any, roles: dict[str, str]) -> None:
    cluster = api.run_job_flow(**request(roles, Instances={"KeepJobFlowAliveWhenNoSteps": False}))["JobFlowId"]
    assert ended(api, cluster)["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"


def test_instance_groups_and_the_simple_form_are_known_too(api: Any, roles: dict[str, str]) -> None:
    simple = {"InstanceFleets": [], "MasterInstanceType": "m5.xlarge", "SlaveInstanceType": "m5.large", "InstanceCount": 3}
    cluster = waiting(api, roles, Instances=simple)
    groups = api.list_instance_groups(ClusterId=cluster)["InstanceGroups"]
    assert [(group["InstanceGroupType"], group["RequestedInstanceCount"]) for group in groups] == [("MASTER", 1), ("CORE", 2)]
    with pytest.raises(ClientError, match="mutually exclusive"):
        api.list_instance_fleets(ClusterId=cluster)


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ({"InstanceFleets": []}, "one and only one of the following"),
        ({"InstanceGroups": GROUPS}, "one and only one of the following"),
        ({"InstanceFleets": [CORE]}, "exactly one master instance fleet, got 0"),
        ({"InstanceFleets": [MASTER, MASTER]}, "exactly one master instance fleet, got 2"),
        ({"InstanceFleets": [MASTER, CORE, CORE]}, "at most one core instance fleet, got 2"),
        ({"InstanceFleets": [MASTER, TASK]}, "task instance fleet needs a core instance fleet"),
        ({"InstanceFleets": [{**MASTER, "TargetOnDemandCapacity": 2}]}, "target capacity of exactly one"),
        ({"InstanceFleets": [{**MASTER, "TargetSpotCapacity": 1}]}, "target capacity of exactly one"),
        ({"InstanceFleets": [MASTER, {**CORE, "TargetOnDemandCapacity": 0}]}, "capacity of at least one"),
        ({"InstanceFleets": [MASTER, {**CORE, "InstanceTypeConfigs": []}]}, "from 1 to 5 instance types, got 0"),
        ({"InstanceFleets": [MASTER, {**CORE, "InstanceTypeConfigs": XLARGE * 2}]}, "m5.xlarge is in the instance fleet CORE more than once"),
        ({"InstanceFleets": [MASTER, {**CORE, "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge", "WeightedCapacity": 0}]}]}, "at least 1"),
        ({"InstanceFleets": [MASTER, CORE, {**TASK, "LaunchSpecifications": {
            "SpotSpecification": {"TimeoutDurationMinutes": 4, "TimeoutAction": "SWITCH_TO_ON_DEMAND"}}}]}, "from 5 to 1440, got 4"),
        ({"Ec2SubnetId": "subnet-1", "Ec2SubnetIds": ["subnet-1"]}, "cannot be given together"),
        ({"InstanceFleets": [], "InstanceGroups": GROUPS, "Ec2SubnetIds": ["subnet-1", "subnet-2"]}, "needs instance fleets"),
        ({"InstanceFleets": [], "InstanceGroups": [*GROUPS, *GROUPS]}, "exactly one master instance group, got 2"),
    ],
)  # fmt: skip
def test_instances_are_what_emr_takes(api: Any, roles: dict[str, str], instances: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        api.run_job_flow(**request(roles, Instances=instances))
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ReleaseLabel": "emr-7.13.0"}, r"release label is invalid: emr-7\.13\.0\. The laptop platform serves emr-spark-8\.0\.0 \(Spark 4\.0\)"),
        ({"ServiceRole": ""}, "ServiceRole is required"),
        ({"JobFlowRole": ""}, "InstanceProfile is required"),
        ({"JobFlowRole": "nothing"}, "Invalid InstanceProfile: nothing"),
        ({"SecurityConfiguration": "nothing"}, "Security configuration with name 'nothing' does not exist"),
        ({"Applications": [{"Name": "Spark"}, {"Name": "Hive"}]}, "Hive are not served"),
        ({"LogUri": "file:///tmp"}, "LogUri must be an s3:// address"),
        ({"CustomAmiId": "ami-1"}, "CustomAmiId is not served"),
        ({"StepConcurrencyLevel": 257}, "from 1 to 256, got 257"),
        ({"AutoTerminationPolicy": {"IdleTimeout": 59}}, "from 60 to 604800 seconds, got 59"),
        ({"Configurations": [{"Classification": "hive-site"}]}, "hive-site is not served"),
        ({"BootstrapActions": [{"Name": "b", "ScriptBootstrapAction": {"Path": "/tmp/b.sh"}}]}, "must lie in S3"),
        ({"MonitoringConfiguration": {"CloudWatchLogConfiguration": {"Enabled": True}}}, "needs the application AmazonCloudWatchAgent"),
        ({"ManagedScalingPolicy": {"ComputeLimits": {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 2}}},
         "Instances is not valid for a cluster of instance fleets: it is InstanceFleetUnits"),
        ({"ManagedScalingPolicy": {"ComputeLimits": {"UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": 3, "MaximumCapacityUnits": 2}}},
         r"from 1 to MaximumCapacityUnits \(2\), got 3"),
        ({"ManagedScalingPolicy": {"ComputeLimits": {
            "UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 2, "MaximumCoreCapacityUnits": 3}}},
         "MaximumCoreCapacityUnits must not be more"),
    ],
)  # fmt: skip
def test_what_a_cluster_asks_for_is_served_or_refused_by_name(api: Any, roles: dict[str, str], more: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        api.run_job_flow(**request(roles, **more))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ServiceRole": f"arn:aws:iam::{ACCOUNT}:role/nothing"}, "EMR service role .*role/nothing is invalid"),
        ({"ServiceRole": "stranger"}, "EMR service role .* is invalid"),
        ({"JobFlowRole": "stranger"}, "The role of the instance profile .* is invalid"),
        ({"Instances": {"Ec2SubnetIds": ["subnet-none"]}}, "the subnet ID 'subnet-none' does not exist"),
        ({"Instances": {"EmrManagedMasterSecurityGroup": "sg-none"}}, "The security group sg-none does not exist"),
    ],
)
def test_what_emr_sees_only_while_it_starts_ends_the_cluster(api: Any, roles: dict[str, str], more: dict[str, Any], message: str) -> None:
    stranger = role("glue.amazonaws.com")
    given = {
        name: (profile(stranger) if name == "JobFlowRole" else stranger) if value == "stranger" else value for name, value in more.items()
    }
    status = ended(api, api.run_job_flow(**request(roles, **given))["JobFlowId"])
    assert (status["State"], status["StateChangeReason"]["Code"]) == ("TERMINATED_WITH_ERRORS", "VALIDATION_ERROR")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(status["StateChangeReason"]["Message"])


def test_a_bootstrap_action_is_fetched_with_the_rights_of_the_instances(api: Any, roles: dict[str, str]) -> None:
    s3, name = (
        client("s3", config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")),
        emr_clusters.new_id("bucket").lower(),
    )
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="b.sh", Body=b"exit 1")
    action = {"Name": "packages", "ScriptBootstrapAction": {"Path": f"s3://{name}/b.sh", "Args": ["a"]}}
    refused = api.run_job_flow(**request(roles, BootstrapActions=[action]))["JobFlowId"]
    status = ended(api, refused)
    assert (status["State"], status["StateChangeReason"]["Code"]) == ("TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE")
    assert "failed attempting to download bootstrap action 1 file from S3" in status["StateChangeReason"]["Message"]
    reader = role("ec2.amazonaws.com")
    document = {"Version": "2012-10-17", "Statement": [allow("s3:GetObject", f"arn:aws:s3:::{name}/*")]}
    client("iam").put_role_policy(RoleName=reader.rsplit("/", 1)[-1], PolicyName="p", PolicyDocument=json.dumps(document))
    cluster = waiting(api, {**roles, "JobFlowRole": profile(reader)}, BootstrapActions=[action])
    assert api.list_bootstrap_actions(ClusterId=cluster)["BootstrapActions"] == [
        {"Name": "packages", "ScriptPath": f"s3://{name}/b.sh", "Args": ["a"]}
    ]


def test_every_state_is_told_in_its_order(api: Any, roles: dict[str, str]) -> None:
    sqs, events, name = client("sqs"), client("events"), emr_clusters.new_id("told")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.emr"], "detail": {"name": [name]}}))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}])
    cluster = waiting(api, roles, Name=name)
    api.terminate_job_flows(JobFlowIds=[cluster])
    ended(api, cluster)
    heard: list[dict[str, Any]] = []

    def has_ended() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            heard.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(heard) == 3

    wait_for(has_ended)
    events.remove_targets(Rule=name, Ids=["q"])
    assert [event["detail"]["state"] for event in heard] == ["STARTING", "WAITING", "TERMINATED"]
    assert {event["detail-type"] for event in heard} == {"EMR Cluster State Change"}
    last = heard[-1]["detail"]
    assert (last["clusterId"], last["severity"], last["stateChangeReason"]) == (
        cluster, "INFO", '{"code":"USER_REQUEST","message":"Terminated by user request"}',
    )  # fmt: skip


# ---- protection, idle time, policies -----------------------------------------------------------------------------------


def test_a_protected_cluster_is_ended_only_after_its_protection_is_lifted(api: Any, roles: dict[str, str]) -> None:
    cluster = waiting(api, roles, Instances={"TerminationProtected": True})
    with pytest.raises(ClientError, match="Could not shut down one or more job flows since they are termination protected") as caught:
        api.terminate_job_flows(JobFlowIds=[cluster])
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    api.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=False)
    api.terminate_job_flows(JobFlowIds=[cluster])
    ended(api, cluster)
    with pytest.raises(ClientError, match="terminated, or finished may not be modified"):
        api.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=True)


def test_one_protected_cluster_keeps_the_others_of_its_call(api: Any, roles: dict[str, str]) -> None:
    protected, plain = waiting(api, roles, Instances={"TerminationProtected": True}), waiting(api, roles)
    with pytest.raises(ClientError, match="termination protected"):
        api.terminate_job_flows(JobFlowIds=[plain, protected])
    assert state(api, plain) == "WAITING"
    with pytest.raises(ClientError, match="more than 10 clusters"):
        api.terminate_job_flows(JobFlowIds=[plain] * 11)
    with pytest.raises(ClientError, match="Specified job flow ID does not exist"):
        api.terminate_job_flows(JobFlowIds=["j-NOTHING"])


def test_an_idle_cluster_ends_itself_unless_it_is_protected(api: Any, roles: dict[str, str]) -> None:
    cluster = waiting(api, roles, AutoTerminationPolicy={"IdleTimeout": 60}, Instances={"TerminationProtected": True})
    running = emr_clusters.running(cluster)
    assert running
    running._idle_since -= 61
    running.touch()
    assert state(api, cluster) == "WAITING"
    api.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=False)
    status = ended(api, cluster)
    assert (status["State"], "idle" in status["StateChangeReason"]["Message"]) == ("TERMINATED", True)
    young = waiting(api, roles, AutoTerminationPolicy={"IdleTimeout": 60})
    running = emr_clusters.running(young)
    assert running
    running._idle_since -= 58
    running.touch()
    assert state(api, young) == "WAITING"
    wait_for(lambda: state(api, young) == "TERMINATED", seconds=10)


def test_policies_and_tags_are_put_shown_and_removed(api: Any, roles: dict[str, str]) -> None:
    cluster = waiting(api, roles)
    limits = {"UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 4}
    api.put_managed_scaling_policy(ClusterId=cluster, ManagedScalingPolicy={"ComputeLimits": limits})
    api.put_auto_termination_policy(ClusterId=cluster, AutoTerminationPolicy={"IdleTimeout": 600})
    assert api.get_managed_scaling_policy(ClusterId=cluster)["ManagedScalingPolicy"]["ComputeLimits"] == limits
    assert api.get_auto_termination_policy(ClusterId=cluster)["AutoTerminationPolicy"] == {"IdleTimeout": 600}
    api.remove_managed_scaling_policy(ClusterId=cluster)
    api.remove_auto_termination_policy(ClusterId=cluster)
    assert "ManagedScalingPolicy" not in api.get_managed_scaling_policy(ClusterId=cluster)
    assert "AutoTerminationPolicy" not in api.get_auto_termination_policy(ClusterId=cluster)
    api.add_tags(ResourceId=cluster, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    api.remove_tags(ResourceId=cluster, TagKeys=["a"])
    assert api.describe_cluster(ClusterId=cluster)["Cluster"]["Tags"] == [{"Key": "b", "Value": "2"}]


# ---- IAM ---------------------------------------------------------------------------------------------------------------


def test_who_makes_a_cluster_may_tag_it_and_pass_both_roles(api: Any, roles: dict[str, str]) -> None:
    del api
    instance_role = emr_roles.of_profile(roles["JobFlowRole"])
    tags = [{"Key": "machine", "Value": "m"}]
    own: dict[str, Any] = {"Condition": {"StringEquals": {"aws:RequestTag/machine": "m"}}}
    statements = {
        "elasticmapreduce:RunJobFlow": allow("elasticmapreduce:RunJobFlow", **own),
        "elasticmapreduce:AddTags": allow("elasticmapreduce:AddTags", f"{CLUSTERS}/*", **own),
        roles["ServiceRole"]: allow(
            "iam:PassRole", roles["ServiceRole"], Condition={"StringEquals": {"iam:PassedToService": "elasticmapreduce.amazonaws.com"}}
        ),
        instance_role: allow("iam:PassRole", instance_role, Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
    }
    for missing in statements:
        caller = client("emr", key=user(*(statement for name, statement in statements.items() if name != missing)))
        with pytest.raises(ClientError, match="is not authorized to perform") as caught:
            caller.run_job_flow(**request(roles, Tags=tags))
        assert missing in str(caught.value)
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    whole = client("emr", key=user(*statements.values()))
    with pytest.raises(ClientError, match="elasticmapreduce:RunJobFlow"):
        whole.run_job_flow(**request(roles, Tags=[{"Key": "machine", "Value": "other"}]))
    whole.run_job_flow(**request(roles, Tags=tags))


def test_rights_may_depend_on_the_clusters_tags_and_on_the_role_of_the_step(api: Any, roles: dict[str, str]) -> None:
    secured, tags = secured_by(api), [{"Key": "machine", "Value": "m"}]
    mine = waiting(api, roles, Tags=tags, SecurityConfiguration=secured)
    other = waiting(api, roles)
    tagged = {"StringEquals": {"aws:ResourceTag/machine": "m"}}
    step_role = f"arn:aws:iam::{ACCOUNT}:role/step"
    caller = client(
        "emr",
        key=user(
            allow(["elasticmapreduce:TerminateJobFlows", "elasticmapreduce:DescribeCluster"], f"{CLUSTERS}/*", Condition=tagged),
            allow(
                "elasticmapreduce:AddJobFlowSteps",
                f"{CLUSTERS}/*",
                Condition={"StringEquals": {"elasticmapreduce:ExecutionRoleArn": step_role}},
            ),
        ),
    )
    with pytest.raises(ClientError, match=f"not authorized to perform: elasticmapreduce:DescribeCluster on resource: {CLUSTERS}/{other}"):
        caller.describe_cluster(ClusterId=other)
    with pytest.raises(ClientError, match="not authorized to perform: elasticmapreduce:AddJobFlowSteps"):
        caller.add_job_flow_steps(JobFlowId=mine, Steps=[step()], ExecutionRoleArn=step_role + "-other")
    with pytest.raises(ClientError, match="Step s: the command"):
        caller.add_job_flow_steps(JobFlowId=mine, Steps=[step("hive-script")], ExecutionRoleArn=step_role)
    with pytest.raises(ClientError, match=f"elasticmapreduce:TerminateJobFlows on resource: {CLUSTERS}/{other}"):
        caller.terminate_job_flows(JobFlowIds=[mine, other])
    caller.terminate_job_flows(JobFlowIds=[mine])


# ---- steps -------------------------------------------------------------------------------------------------------------


def step(*args: str, **more: Any) -> dict[str, Any]:
    jar = {"Jar": "command-runner.jar", "Args": list(args or ("spark-submit", "s3://b/k.py"))}
    return {"Name": "s", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar, **more}


def test_a_cluster_that_ends_takes_no_steps(api: Any, roles: dict[str, str]) -> None:
    cluster = waiting(api, roles)
    api.terminate_job_flows(JobFlowIds=[cluster])
    with pytest.raises(ClientError, match="shutting down, terminated, or finished may not be modified"):
        api.add_job_flow_steps(JobFlowId=cluster, Steps=[step()])
    with pytest.raises(ClientError, match="Specified job flow ID does not exist"):
        api.add_job_flow_steps(JobFlowId="j-NOTHING", Steps=[step()])
    with pytest.raises(api.exceptions.InvalidRequestException, match="Cluster id 'j-NOTHING' is not valid"):
        api.describe_cluster(ClusterId="j-NOTHING")
    with pytest.raises(api.exceptions.InvalidRequestException, match="Step id 's-NOTHING' is not valid"):
        api.describe_step(ClusterId=cluster, StepId="s-NOTHING")


def test_steps_beside_each_other_may_not_end_each_other(api: Any, roles: dict[str, str]) -> None:
    cluster = waiting(api, roles, StepConcurrencyLevel=2)
    for action in ("CANCEL_AND_WAIT", "TERMINATE_CLUSTER"):
        with pytest.raises(ClientError, match=f"ActionOnFailure {action} of the step s is not valid"):
            api.add_job_flow_steps(JobFlowId=cluster, Steps=[step(ActionOnFailure=action)])


def test_runtime_roles_are_required_or_not_supported(api: Any, roles: dict[str, str]) -> None:
    plain, secured = waiting(api, roles), waiting(api, roles, SecurityConfiguration=secured_by(api))
    with pytest.raises(ClientError, match="Runtime roles are not supported on this cluster"):
        api.add_job_flow_steps(JobFlowId=plain, Steps=[step()], ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/r")
    with pytest.raises(
        ClientError, match=r"Runtime roles are required for this cluster\. Please specify the role using the ExecutionRoleArn"
    ):
        api.add_job_flow_steps(JobFlowId=secured, Steps=[step()])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("hive-script", "-f", "q"), "the command 'hive-script' is not served"),
        (("bash", "-c", "true"), "the command 'bash' is not served"),
        (("spark-submit", "--deploy-mode", "cluster"), "has no entry point"),
        (("spark-submit", "s3://b/k.jar"), "must be a Python script in S3"),
        (("spark-submit", "--class", "a.B", "s3://b/k.py"), "--class is not served"),
        (("spark-submit", "--master", "local", "s3://b/k.py"), "spark.master .* must be yarn"),
        (("spark-submit", "--conf", "spark.master=local[2]", "s3://b/k.py"), "spark.master .* must be yarn"),
        (("spark-submit", "--deploy-mode", "remote", "s3://b/k.py"), "must be client or cluster, got remote"),
        (("spark-submit", "--queue", "fast", "s3://b/k.py"), "the queue fast is not served"),
        (("spark-submit", "--conf", "spark.yarn.submit.waitAppCompletion=false", "s3://b/k.py"), "its step would succeed at once"),
        (("spark-submit", "--conf", "spark.yarn.jars=x", "s3://b/k.py"), "spark.yarn.jars is not served"),
        (("spark-submit", "--conf", "spark.emr-serverless.driverEnv.A=1", "s3://b/k.py"), "means nothing on a cluster"),
        (("spark-submit", "--archives", "s3://b/a.zip#a", "s3://b/k.py"), "use --deploy-mode cluster"),
        (
            ("spark-submit", "--deploy-mode", "cluster", "--conf", "spark.yarn.appMasterEnv.PYSPARK_PYTHON=x", "s3://b/k.py"),
            "the platform's Python",
        ),
        (("spark-submit", "s3://b/k.py", "x" * 10_240), "longer than 10240 characters"),
    ],
)
def test_what_a_step_asks_for_is_served_or_refused_by_name(args: tuple[str, ...], message: str) -> None:
    with pytest.raises(SubmitError, match=message):
        emr_commands.read(step(*args), defaults={})


def test_a_step_is_sorted_out() -> None:
    found = emr_commands.read(
        step(
            "spark-submit", "--master", "yarn", "--deploy-mode", "cluster", "--py-files", "s3://b/l.zip", "--archives", "s3://b/p.zip#packages",
            "--conf", "spark.yarn.appMasterEnv.PYTHONPATH=./packages", "--conf", "spark.yarn.maxAppAttempts=1", "--conf", "spark.x=a b",
            "--conf", "spark.yarn.submit.waitAppCompletion=true", "s3://b/k.py", "--conf", "of the script",
        ),
        defaults={"spark.x": "0", "spark.y": "kept"},
    )  # fmt: skip
    assert (found.deploy_mode, found.attempts, found.submission.arguments) == ("cluster", 1, ("--conf", "of the script"))
    assert dict(found.submission.conf) == {"spark.x": "a b", "spark.y": "kept"}
    assert (dict(found.submission.environment), dict(found.submission.archives)) == (
        {"PYTHONPATH": "./packages"},
        {"s3://b/p.zip": "packages"},
    )
    plain = emr_commands.read(step("spark-submit", "--deploy-mode=cluster", "s3://b/k.py"), defaults={})
    assert (plain.deploy_mode, plain.attempts) == ("cluster", 2)  # YARN starts a driver twice unless it is told otherwise
    assert emr_commands.read(step(), defaults={}).attempts == 1  # in deploy mode client nobody starts it again


def test_the_size_of_a_cluster_does_not_become_the_size_of_a_laptops_jobs() -> None:
    defaults = {"spark.default.parallelism": "400", "spark.sql.shuffle.partitions": "400", "spark.x": "1"}
    cluster: dict[str, Any] = {"Id": "j-1", "Configurations": [{"Classification": "spark-defaults", "Properties": defaults}]}
    role = emr_roles.of_instances(f"arn:aws:iam::{ACCOUNT}:role/r", "i-1")
    place = emr_steps.Place(cluster=cluster, instance="i-1", instances=role, application="application_1_0001")
    assert place.defaults == {"spark.x": "1"}
    own = emr_commands.read(step("spark-submit", "--conf", "spark.sql.shuffle.partitions=7", "s3://b/k.py"), defaults=place.defaults)
    assert own.submission.conf["spark.sql.shuffle.partitions"] == "7"


# ---- security configurations ---------------------------------------------------------------------------------------------


def secured_by(api: Any) -> str:
    name = emr_clusters.new_id("security")
    content = {"AuthorizationConfiguration": {"IAMConfiguration": {"EnableApplicationScopedIAMRole": True}}}
    api.create_security_configuration(Name=name, SecurityConfiguration=json.dumps(content))
    return name


def test_a_security_configuration_is_kept_and_made_once(api: Any) -> None:
    name = secured_by(api)
    assert "EnableApplicationScopedIAMRole" in api.describe_security_configuration(Name=name)["SecurityConfiguration"]
    assert name in [one["Name"] for one in api.list_security_configurations()["SecurityConfigurations"]]
    with pytest.raises(api.exceptions.InvalidRequestException, match="already exists"):
        api.create_security_configuration(Name=name, SecurityConfiguration="{}")
    api.delete_security_configuration(Name=name)
    with pytest.raises(api.exceptions.InvalidRequestException, match="does not exist"):
        api.describe_security_configuration(Name=name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "is no JSON"),
        ("[]", "is not an object"),
        ('{"AuthenticationConfiguration": {}}', "AuthenticationConfiguration of a security configuration is not served"),
        ('{"AuthorizationConfiguration": {"LakeFormationConfiguration": {}}}', "LakeFormationConfiguration .* is not served"),
        ('{"EncryptionConfiguration": {"EnableAtRestEncryption": true}}', "AtRestEncryptionConfiguration belongs to"),
        ('{"EncryptionConfiguration": {"EnableAtRestEncryption": false, "EnableInTransitEncryption": 1}}', "is true or false"),
        ('{"InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": 3}}', "must be 1 or 2"),
    ],
)
def test_a_security_configuration_is_what_emr_takes(api: Any, content: str, message: str) -> None:
    with pytest.raises(ClientError, match=message):
        api.create_security_configuration(Name=emr_clusters.new_id("security"), SecurityConfiguration=content)


# ---- what is kept and what is not there ------------------------------------------------------------------------------------


def test_a_cluster_that_the_end_of_the_platform_interrupted_has_ended(api: Any, roles: dict[str, str]) -> None:
    cluster = waiting(api, roles)
    kept: dict[str, Any] = emr._clusters[cluster]
    copied: dict[str, Any] = {**kept, "Id": "j-COPY", "Status": {**kept["Status"], "Timeline": {}}}
    steps: dict[str, Any] = {
        name: {"Id": name, "_cluster": "j-COPY", "Status": {"State": name, "Timeline": {}}} for name in ("PENDING", "RUNNING", "COMPLETED")
    }
    emr._clusters["j-COPY"] = copied
    for name, one in steps.items():
        emr._steps[f"j-COPY/{name}"] = one
    alive = emr._clusters.pop(cluster)
    emr.SERVED.restored()
    emr._clusters[cluster] = alive
    assert (copied["Status"]["State"], copied["Status"]["StateChangeReason"]["Code"]) == ("TERMINATED_WITH_ERRORS", "INTERNAL_ERROR")
    assert [one["Status"]["State"] for one in steps.values()] == ["CANCELLED", "INTERRUPTED", "COMPLETED"]


def test_what_is_not_here_says_so(api: Any, roles: dict[str, str]) -> None:
    cluster = waiting(api, roles)
    for call in (lambda: api.list_instances(ClusterId=cluster), lambda: api.create_studio_session_mapping(
        StudioId="a", IdentityType="USER", SessionPolicyArn="a")):  # fmt: skip
        with pytest.raises(ClientError, match="is not implemented on the laptop platform"):
            call()
