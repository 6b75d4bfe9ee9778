"""Clusters of EMR for tests: roles, an instance profile, a request that EMR takes, steps of a script's source."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fixtures.platform import allow, wait_for
from tests.local.engines.lake import Lake

RELEASE = "emr-spark-8.0.0"
ENDED = {"TERMINATED", "TERMINATED_WITH_ERRORS"}
STEP_ENDED = {"COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED"}
FLEETS: list[dict[str, Any]] = [
    {"Name": "primary", "InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge"}]},
    {"Name": "core", "InstanceFleetType": "CORE", "TargetOnDemandCapacity": 2, "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge"}]},
]
ROLES_OF_STEPS = {"AuthorizationConfiguration": {"IAMConfiguration": {"EnableApplicationScopedIAMRole": True}}}
INSTANCE_RIGHTS = ("s3:GetObject", "s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey", "sts:AssumeRole", "sts:TagSession")


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """EMR of a lake.

    Attributes:
        lake: The lake.
        client: EMR's client of root.
        service_role: A role that EMR may assume.
        instance_role: Role of the instances.
        profile: Instance profile with that role.
    """

    lake: Lake
    client: Any
    service_role: str
    instance_role: str
    profile: str

    @classmethod
    def make(cls, lake: Lake) -> Clusters:
        """Roles and a profile of their own."""
        aws = lake.aws
        service_role = aws.role(allow("ec2:*"), service="elasticmapreduce.amazonaws.com")
        instance_role = aws.role(allow(list(INSTANCE_RIGHTS)), service="ec2.amazonaws.com")
        return cls(
            lake=lake, client=aws.client("emr"), service_role=service_role, instance_role=instance_role, profile=profile(aws, instance_role)
        )

    def request(self, **more: Any) -> dict[str, Any]:
        """A RunJobFlow request; `Instances` in *more* are added to its own."""
        instances = {"InstanceFleets": FLEETS, "KeepJobFlowAliveWhenNoSteps": True, **more.pop("Instances", {})}
        return {
            "Name": self.lake.aws.name("cluster"), "ReleaseLabel": RELEASE, "Applications": [{"Name": "Spark"}], "ServiceRole": self.service_role,
            "JobFlowRole": self.profile, "LogUri": f"s3://{self.lake.bucket}/clusters/", "Instances": instances,
            "Configurations": [{"Classification": "iceberg-defaults", "Properties": {"iceberg.enabled": "true"}}], **more,
        }  # fmt: skip

    def run(self, **more: Any) -> str:
        """Start a cluster; its id."""
        return str(self.client.run_job_flow(**self.request(**more))["JobFlowId"])

    def waiting(self, **more: Any) -> str:
        """A cluster that waits for steps."""
        cluster = self.run(**more)
        wait_for(lambda: self.state(cluster) == "WAITING")
        return cluster

    def describe(self, cluster: str) -> dict[str, Any]:
        """A cluster as it is now."""
        return dict(self.client.describe_cluster(ClusterId=cluster)["Cluster"])

    def state(self, cluster: str) -> str:
        """Its state."""
        return str(self.describe(cluster)["Status"]["State"])

    def end(self, cluster: str, *, seconds: float = 120) -> dict[str, Any]:
        """Status of a cluster after its end."""
        found = wait_for(lambda: next((one for one in [self.describe(cluster)] if one["Status"]["State"] in ENDED), None), seconds=seconds)
        return dict(found["Status"])

    def script(self, source: str) -> str:
        """Address of a script."""
        key = f"code/{self.lake.aws.name('step')}.py"
        self.lake.aws.client("s3").put_object(Bucket=self.lake.bucket, Key=key, Body=source.encode())
        return f"s3://{self.lake.bucket}/{key}"

    def step(
        self, source: str, *, action: str = "CONTINUE", options: Sequence[str] = ("--deploy-mode", "cluster"), arguments: Sequence[str] = ()
    ) -> dict[str, Any]:
        """A step that runs a script's source; an empty source has no script."""
        script = self.script(source) if source else f"s3://{self.lake.bucket}/code/nothing.py"
        own = () if "spark.yarn.maxAppAttempts=2" in options else ("--conf", "spark.yarn.maxAppAttempts=1")
        args = ["spark-submit", *own, *options, script, *arguments]
        return {"Name": "step", "ActionOnFailure": action, "HadoopJarStep": {"Jar": "command-runner.jar", "Args": args}}

    def add(self, cluster: str, *steps: Mapping[str, Any], **more: Any) -> list[str]:
        """Add steps; their ids."""
        return list(self.client.add_job_flow_steps(JobFlowId=cluster, Steps=list(steps), **more)["StepIds"])

    def step_state(self, cluster: str, step: str) -> str:
        """State of a step."""
        return str(self.client.describe_step(ClusterId=cluster, StepId=step)["Step"]["Status"]["State"])

    def step_end(self, cluster: str, step: str, *, seconds: float = 150) -> dict[str, Any]:
        """A step after its end."""

        def ended() -> dict[str, Any] | None:
            found = self.client.describe_step(ClusterId=cluster, StepId=step)["Step"]
            return dict(found) if found["Status"]["State"] in STEP_ENDED else None

        return dict(wait_for(ended, seconds=seconds))

    def logs(self, cluster: str, folder: str) -> dict[str, str]:
        """Logs of a cluster in S3 below a folder, by their names."""
        s3, prefix = self.lake.aws.client("s3"), f"clusters/{cluster}/"
        found = s3.list_objects_v2(Bucket=self.lake.bucket, Prefix=prefix + folder).get("Contents", [])
        return {
            one["Key"].removeprefix(prefix): gzip.decompress(s3.get_object(Bucket=self.lake.bucket, Key=one["Key"])["Body"].read()).decode()
            for one in found
        }

    def secured(self) -> str:
        """A security configuration under which steps have roles of their own; its name."""
        name = self.lake.aws.name("security")
        self.client.create_security_configuration(Name=name, SecurityConfiguration=json.dumps(ROLES_OF_STEPS))
        return name

    def runtime_role(self, *statements: Mapping[str, Any], trusted: str = "") -> str:
        """A role of a step, which the instances may assume."""
        principal = {"AWS": trusted or self.instance_role}
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}],
        }
        return self.lake.aws.role(*statements, trust=trust)


def profile(aws: Any, role: str) -> str:
    """An instance profile with a role; its name."""
    iam, name = aws.client("iam"), aws.name("profile")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role.rsplit("/", 1)[-1])
    return str(name)
