"""Clusters of EMR on EC2: what they are made with, what they may do, and what is refused because it would cost, hang or be lost."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_kms as kms
from cdk_nag import AwsSolutionsChecks

from constructs_lib.checks import InvalidProps
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.orchestration import Pipeline, StepPlace
from constructs_lib.orchestration.steps import MachineFunctions
from constructs_lib.processing import (
    ClusterGroups,
    ClusterSize,
    EmrJob,
    EmrSecurityConfiguration,
    EmrSecurityGroups,
    JobCode,
    ManagedScaling,
    TransientCluster,
    configurations,
)
from constructs_lib.storage import LakeBuckets
from lakehouse.naming import Names
from lakehouse.worker_sizes import machine_of
from tests.constructs_lib.conftest import Synth, of_type
from tests.constructs_lib.test_grants import given
from tests.machine_interpreter import Execution
from tests.stacks.conftest import flat, listed

PLACE = StepPlace(
    functions=MachineFunctions(partition="aws", recorder="arn:r", notifier="arn:n"),
    pipeline="orders",
    next_="RecordFinish",
    failed="Step load: failed",
    has_manifest=True,
)
NETWORK = NetworkReference(
    vpc_id="vpc-1",
    private_subnet_ids=["subnet-1", "subnet-2"],
    isolated_subnet_ids=[],
    job_security_group_id="sg-jobs",
    availability_zones=["a", "b"],
)
GROUPS = ClusterGroups(cluster="sg-cluster", service="sg-service")
Make = Callable[..., TransientCluster]


@pytest.fixture
def cluster(stack: Stack, names: Names, lake: LakeBuckets) -> Make:
    def make(id: str = "Cluster", **options: Any) -> TransientCluster:
        usual: dict[str, Any] = {
            "names": names, "pipeline": "orders", "network": NETWORK, "subnet_ids": ["subnet-1", "subnet-2"], "groups": GROUPS,
            "security_configuration": "secured", "lake": lake,
        }  # fmt: skip
        return TransientCluster(stack, id, **(usual | options))

    return make


def request(cluster: TransientCluster) -> dict[str, Any]:
    return dict(cluster.cluster.request)


def test_a_cluster_has_what_its_loss_would_hurt_on_demand_and_the_rest_on_spot(cluster: Make) -> None:
    primary, core, task = request(cluster())["Instances"]["InstanceFleets"]
    for fleet, kind in ((primary, "MASTER"), (core, "CORE")):
        assert fleet["InstanceFleetType"] == kind
        assert "TargetSpotCapacity" not in fleet
        assert fleet["LaunchSpecifications"] == {"OnDemandSpecification": {"AllocationStrategy": "lowest-price"}}
    assert (primary["TargetOnDemandCapacity"], core["TargetOnDemandCapacity"], task["TargetSpotCapacity"]) == (1, 2, 2)
    assert len({machine["InstanceType"] for machine in task["InstanceTypeConfigs"]}) >= 5
    assert task["LaunchSpecifications"]["SpotSpecification"] == {
        "AllocationStrategy": "price-capacity-optimized",
        "TimeoutAction": "SWITCH_TO_ON_DEMAND",
        "TimeoutDurationMinutes": 5,
    }
    assert "Bid" not in json.dumps(task)
    assert task["InstanceTypeConfigs"][0]["EbsConfiguration"]["EbsBlockDeviceConfigs"][0]["VolumeSpecification"] == {
        "VolumeType": "gp3",
        "SizeInGB": 128,
    }


def test_units_are_the_smallest_machine_and_what_managed_scaling_counts(cluster: Make) -> None:
    asked = request(cluster())
    units = {
        machine["InstanceType"]: machine["WeightedCapacity"] for machine in asked["Instances"]["InstanceFleets"][2]["InstanceTypeConfigs"]
    }
    assert units["r5.xlarge"] == 1
    assert units["m5.2xlarge"] == 2
    assert asked["ManagedScalingPolicy"]["ComputeLimits"] == {
        "UnitType": "InstanceFleetUnits",
        "MinimumCapacityUnits": 2,
        "MaximumCapacityUnits": 20,
        "MaximumOnDemandCapacityUnits": 5,
        "MaximumCoreCapacityUnits": 5,
    }


def test_a_cluster_ends_by_itself_is_not_protected_and_runs_one_step_at_a_time(cluster: Make) -> None:
    asked = request(cluster())
    assert asked["AutoTerminationPolicy"] == {"IdleTimeout": 3600}
    assert asked["Instances"]["TerminationProtected"] is False
    assert asked["StepConcurrencyLevel"] == 1
    assert asked["ReleaseLabel"] == "emr-spark-8.0.0"
    assert asked["LogUri"].startswith("s3://lakehouse-test-logs-")
    assert asked["LogUri"].endswith("/emr/orders/")
    assert "Steps" not in asked
    assert "Ec2KeyName" not in asked["Instances"]
    assert "VisibleToAllUsers" not in asked
    assert "BootstrapActions" not in asked


def test_a_cluster_lives_in_private_subnets_with_groups_of_ours(cluster: Make) -> None:
    instances = request(cluster())["Instances"]
    assert instances["Ec2SubnetIds"] == ["subnet-1", "subnet-2"]
    assert instances["EmrManagedMasterSecurityGroup"] == instances["EmrManagedSlaveSecurityGroup"] == "sg-cluster"
    assert instances["ServiceAccessSecurityGroup"] == "sg-service"
    assert instances["AdditionalMasterSecurityGroups"] == instances["AdditionalSlaveSecurityGroups"] == ["sg-jobs"]


@pytest.mark.parametrize(("size", "message"), [
    ({"task_types": ["r5.xlarge"]}, "task_types must name 5-15 types"),
    ({"task_types": ["r5.xlarge"] * 5}, "names a type twice"),
    ({"core_type": "p4d.24xlarge"}, r"no machine p4d\.24xlarge"),
    ({"core_type": "m5.large"}, r"no machine m5\.large"),
    ({"primary_type": "m7g.xlarge"}, r"m7g\.xlarge have Graviton processors"),
    ({"core_units": 6}, "core_units <= max_core_units"),
    ({"scaling": ManagedScaling(max_on_demand_units=1)}, "core machines are on demand"),
    ({"scaling": ManagedScaling(max_units=3, max_core_units=3, max_on_demand_units=3)}, "between min_units = 2 and max_units = 3"),
    ({"scaling": ManagedScaling(min_units=5)}, "between min_units = 5"),
    ({"executor_memory_gb": 23}, r"r5\.xlarge gives 24 GB to jobs"),
    ({"driver_memory_gb": 30}, "the driver, which runs on a core machine"),
    ({"executor_vcpu": 5}, r"an executor of 5 vCPU does not fit into r5\.xlarge"),
    ({"core_units": 0}, "core_units must be at least 1"),
    ({"task_units": 0}, "task_units must be at least 1"),
    ({"disk_gb": 8}, "disk_gb must be 32-16384"),
])  # fmt: skip
def test_a_size_that_cannot_work_is_refused_with_what_to_change(size: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        ClusterSize(**size)


@pytest.mark.parametrize(("name", "vcpu", "memory", "is_arm"), [
    ("m5.xlarge", 4, 16, False), ("r5.4xlarge", 16, 128, False), ("c6in.2xlarge", 8, 16, False), ("r7gd.xlarge", 4, 32, True),
    ("m6a.8xlarge", 32, 128, False), ("c7gn.xlarge", 4, 8, True),
])  # fmt: skip
def test_machines_are_known_by_their_names(name: str, vcpu: int, memory: int, is_arm: bool) -> None:
    machine = machine_of(name)
    assert machine is not None
    assert (machine.vcpu, machine.memory_gb, machine.is_arm) == (vcpu, memory, is_arm)


@pytest.mark.parametrize(("options", "message"), [
    ({"release": "emr-7.13.0"}, r"release must be one of emr-spark-8\.0\.0"),
    ({"release": "emr-6.15.0"}, "release must be one of"),
    ({"idle_seconds": 10}, "idle_seconds must be 60-604800"),
    ({"subnet_ids": ["subnet-1"]}, "two zones at least"),
    ({"start_minutes": 1}, "start_minutes must be 10-180"),
    ({"more_configurations": {"emrfs-site": {"a": "b"}}}, "emrfs-site configures EMRFS"),
    ({"more_configurations": {"core-site": {"fs.s3.impl": "com.amazon.ws.emr.hadoop.fs.EmrFileSystem"}}}, "is a setting of EMRFS"),
    ({"more_configurations": {"core-site": {"fs.s3.enableServerSideEncryption": "true"}}}, "is a setting of EMRFS"),
    ({"more_configurations": {"hive-site": {"hive.metastore.client.factory.class": "x"}}}, "write spark-hive-site"),
])  # fmt: skip
def test_a_cluster_that_cannot_work_is_refused(cluster: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        cluster("Bad", **options)


def test_classifications_are_golden() -> None:
    found = {
        part["Classification"]: part["Properties"] for part in configurations(ClusterSize(), more={"spark-defaults": {"spark.a": "b"}})
    }
    assert found == {
        "core-site": {"fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem", "fs.s3a.connection.maximum": "200"},
        "iceberg-defaults": {"iceberg.enabled": "true"},
        "spark-defaults": {
            "spark.a": "b",
            "spark.decommission.enabled": "true",
            "spark.default.parallelism": "400",
            "spark.driver.memory": "4g",
            "spark.dynamicAllocation.enabled": "true",
            "spark.executor.cores": "4",
            "spark.executor.memory": "8g",
            "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
            "spark.sql.adaptive.coalescePartitions.enabled": "true",
            "spark.sql.adaptive.enabled": "true",
            "spark.sql.adaptive.skewJoin.enabled": "true",
            "spark.sql.shuffle.partitions": "400",
            "spark.stage.maxConsecutiveAttempts": "10",
            "spark.storage.decommission.enabled": "true",
            "spark.storage.decommission.rddBlocks.enabled": "true",
            "spark.storage.decommission.shuffleBlocks.enabled": "true",
        },
        "yarn-site": {"yarn.node-labels.am.default-node-label-expression": "CORE", "yarn.node-labels.enabled": "true"},
    }


@pytest.fixture
def job(stack: Stack) -> Callable[..., EmrJob]:
    def make(cluster: TransientCluster, id: str = "Job", **options: Any) -> EmrJob:
        usual: dict[str, Any] = {"name": "load", "cluster": cluster, "code": JobCode.from_platform("ingest")}
        return EmrJob(stack, id, **(usual | options))

    return make


def words(job: EmrJob, state: str = "Step load") -> list[str]:
    """What the cluster is told to run, as the run fills it in."""
    parameters = job.step("load").states(PLACE)[state]["Parameters"]
    told: list[Any] = []

    def task(_name: str, _resource: str, filled: Any) -> None:
        told.append(filled)

    machine = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Task", "Resource": "r", "Parameters": parameters, "ResultPath": None, "Next": "B"},
            "B": {"Type": "Succeed"},
        },
    }
    given = {"run_id": "run", "attempt": 1, "manifest": "s3://m", "batch_id": "batch", "cluster": {"id": "j-1"}}
    Execution(machine, task).run(given)
    return told[0]["Step"]["HadoopJarStep"]["Args"]


def test_a_job_runs_in_cluster_mode_with_the_arguments_of_the_other_engines(cluster: Make, job: Callable[..., EmrJob]) -> None:
    found = words(job(cluster(), arguments={"--env": "prod"}, settings={"spark.sql.shuffle.partitions": "8"}))
    assert found[:3] == ["spark-submit", "--deploy-mode", "cluster"]
    script = next(word for word in found if word.endswith(".py"))
    told = found[found.index(script) + 1 :]
    assert dict(zip(told[::2], told[1::2], strict=True)) == {
        "--run_id": "run", "--attempt": "1", "--manifest": "s3://m", "--batch_id": "batch", "--env": "prod",
        "--log_group": told[told.index("--log_group") + 1], "--log_stream": "j-1/containers/JOB_RUN_ID",
    }  # fmt: skip
    assert told[told.index("--log_group") + 1].endswith("/emr/orders")
    settings = dict(word.split("=", 1) for before, word in itertools.pairwise(found) if before == "--conf")
    assert settings["spark.yarn.maxAppAttempts"] == "1"
    assert settings["spark.yarn.submit.waitAppCompletion"] == "true"
    assert settings["spark.yarn.appMasterEnv.PYTHONPATH"] == settings["spark.executorEnv.PYTHONPATH"] == "./packages"
    assert settings["spark.sql.catalog.lake.type"] == "glue"
    assert settings["spark.sql.shuffle.partitions"] == "8"
    assert found[found.index("--archives") + 1].endswith("#packages")
    assert not [word for word in found if "emrfs" in word.lower()]


def test_the_last_try_of_a_step_ends_its_cluster_and_each_try_is_bounded(cluster: Make, job: Callable[..., EmrJob]) -> None:
    states = job(cluster(), timeout_minutes=30).step("load").states(PLACE)
    first, second = states["Step load"], states["Step load: second try"]
    assert first["Parameters"]["Step"]["ActionOnFailure"] == "CONTINUE"
    assert second["Parameters"]["Step"]["ActionOnFailure"] == "TERMINATE_CLUSTER"
    assert {first["TimeoutSeconds"], second["TimeoutSeconds"]} == {30 * 60 + 300}


@pytest.mark.parametrize(("options", "message"), [
    ({"arguments": {"--db_password": "x"}}, "Secrets Manager"),
    ({"arguments": {"--log_group": "x"}}, "--log_group belongs to the construct"),
    ({"arguments": {"--run_id": "x"}}, "--run_id says which run it is"),
    ({"arguments": {"--note": "two words"}}, "would not arrive"),
    ({"arguments": {"--note": "$HOME"}}, "would not arrive"),
    ({"settings": {"spark.submit.deployMode": "client"}}, "always run in cluster mode"),
    ({"settings": {"spark.master": "local"}}, "the YARN of their cluster"),
    ({"settings": {"spark.a": "b c"}}, "would not arrive"),
    ({"settings": {"spark.hadoop.fs.s3.impl": "com.amazon.ws.emr.hadoop.fs.EmrFileSystem"}}, "is a setting of EMRFS"),
    ({"timeout_minutes": 0}, "timeout_minutes must be 1-1440"),
    ({"extra_jars": [Path("driver.jar")]}, r"driver\.jar is no Java archive"),
])  # fmt: skip
def test_a_job_that_would_not_run_as_written_is_refused(
    cluster: Make, job: Callable[..., EmrJob], options: dict[str, Any], message: str
) -> None:
    made = cluster()
    with pytest.raises(InvalidProps, match=message):
        job(made, "Bad", **options)


def test_a_step_runs_as_its_role_which_the_machines_alone_may_take(cluster: Make, job: Callable[..., EmrJob], synth: Synth) -> None:
    made = cluster()
    job(made)
    job(made, "Other", name="other")
    resources = synth()
    trusts = {
        name: resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role" and name.startswith(("JobRole", "OtherRole"))
    }
    assert len(trusts) == 2
    for statements in trusts.values():
        assert {action for statement in statements for action in listed(statement["Action"])} == {"sts:AssumeRole", "sts:TagSession"}
        assert all("ClusterInstanceRole" in flat(statement["Principal"]["AWS"]) for statement in statements)
    machines = given(resources, "ClusterInstanceRole")
    assert set(machines) == {"kms:Decrypt", "kms:GenerateDataKey", "s3:PutObject", "sts:AssumeRole", "sts:TagSession"}
    assert len(machines["sts:AssumeRole"]) == 2
    assert machines["s3:PutObject"] == {"lakehouse-test-logs-ACCOUNT-REGION/emr/orders/*"}
    jobs = given(resources, "JobRole")
    assert set(jobs) == {"s3:GetObject"}


def test_emr_makes_machines_in_this_network_with_its_tag_and_passes_on_one_role(cluster: Make, synth: Synth) -> None:
    made = cluster()
    resources = synth()
    actions = given(resources, "ClusterServiceRole")
    (role,) = actions["iam:PassRole"]
    assert "ClusterInstanceRole" in role
    assert "ec2.amazonaws.com" in role
    unconditional = {name for name in actions["ec2:RunInstances"] if " if " not in name}
    assert unconditional == {
        "subnet/subnet-1", "subnet/subnet-2", "security-group/sg-cluster", "security-group/sg-service", "security-group/sg-jobs",
        "network-interface/*", "fleet/*", "image/ami-*",
    }  # fmt: skip
    tagged = actions["ec2:TerminateInstances"]
    assert all("aws:ResourceTag/for-use-with-amazon-emr-managed-policies" in name for name in tagged)
    assert made.cluster.tags["for-use-with-amazon-emr-managed-policies"] == "true"
    assert "ManagedPolicyArns" not in json.dumps(resources)
    (trust,) = [
        resource["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role" and name.startswith("ClusterServiceRole")
    ]
    assert trust["Principal"] == {"Service": "elasticmapreduce.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_machine_may_make_and_end_its_own_clusters_and_run_these_steps_on_them(  # noqa: PLR0917 - fixtures
    cluster: Make, job: Callable[..., EmrJob], stack: Stack, names: Names, key: kms.IKey, synth: Synth
) -> None:
    steps = [job(cluster()).step("load")]
    Pipeline(stack, "Orders", names=names, pipeline="orders", steps=steps, tables=["a.b"], log_key=key)
    actions = given(synth(), "OrdersRole")
    own = '"aws:ResourceTag/machine": "lakehouse-test-orders"'
    assert all('"aws:RequestTag/machine": "lakehouse-test-orders"' in name for name in actions["elasticmapreduce:RunJobFlow"])
    for action in ("DescribeCluster", "TerminateJobFlows", "SetTerminationProtection", "DescribeStep", "CancelSteps", "AddJobFlowSteps"):
        assert all(name.startswith("cluster/* if") and own in name for name in actions[f"elasticmapreduce:{action}"]), action
    (add,) = actions["elasticmapreduce:AddJobFlowSteps"]
    assert "elasticmapreduce:ExecutionRoleArn" in add
    passed = " ".join(actions["iam:PassRole"])
    assert "elasticmapreduce.amazonaws.com" in passed
    assert "ec2.amazonaws.com" in passed
    assert "JobRole" not in passed


def test_a_security_configuration_is_named_after_what_it_says(stack: Stack, key: kms.IKey, synth: Synth) -> None:
    EmrSecurityConfiguration(stack, "Plain", name_prefix="lakehouse-test", key=key)
    EmrSecurityConfiguration(stack, "Certified", name_prefix="lakehouse-test", key=key, certificates="s3://bucket/certificates.zip")
    plain, certified = of_type(synth(), "AWS::EMR::SecurityConfiguration")
    assert plain["Name"] != certified["Name"]
    content = plain["SecurityConfiguration"]
    assert content["AuthorizationConfiguration"] == {"IAMConfiguration": {"EnableApplicationScopedIAMRole": True}}
    assert content["EncryptionConfiguration"]["EnableAtRestEncryption"] is True
    assert "S3EncryptionConfiguration" not in json.dumps(content)
    assert content["InstanceMetadataServiceConfiguration"]["MinimumInstanceMetadataServiceVersion"] == 2
    assert certified["SecurityConfiguration"]["EncryptionConfiguration"]["EnableInTransitEncryption"] is True


def test_nobody_logs_in_to_a_cluster_and_its_groups_have_every_rule_that_emr_would_add(stack: Stack, synth: Synth) -> None:
    EmrSecurityGroups(stack, "Groups", name_prefix="lakehouse-test", vpc_id="vpc-1")
    resources = synth()
    ingress = of_type(resources, "AWS::EC2::SecurityGroupIngress")
    assert {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in ingress} == {
        ("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", -1, -1), ("tcp", 8443, 8443), ("tcp", 9443, 9443),
    }  # fmt: skip
    assert not any("CidrIp" in rule for rule in ingress)
    cluster, service = of_type(resources, "AWS::EC2::SecurityGroup")
    assert [rule["FromPort"] for rule in cluster["SecurityGroupEgress"]] == [443]
    assert [rule["CidrIp"] for rule in service["SecurityGroupEgress"]] == ["255.255.255.255/32"]


def test_checkers_find_nothing_that_is_not_explained(  # noqa: PLR0917 - fixtures
    app: App, stack: Stack, names: Names, key: kms.IKey, cluster: Make, job: Callable[..., EmrJob], tmp_path: Path
) -> None:
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    EmrSecurityConfiguration(stack, "Security", name_prefix="lakehouse-test", key=key)
    EmrSecurityGroups(stack, "Groups", name_prefix="lakehouse-test", vpc_id="vpc-1")
    Pipeline(stack, "Orders", names=names, pipeline="orders", steps=[job(cluster()).step("load")], tables=["a.b"], log_key=key)
    app.synth()
