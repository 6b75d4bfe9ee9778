"""Where Spark jobs run on EMR Serverless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aws_cdk import aws_emrserverless as emrserverless
from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.permissions import allow
from constructs_lib.processing.serverless_size import ServerlessWorker

MAX_IDLE_MINUTES = 7 * 24 * 60
JOB_RUNS = "Job runs are named by EMR Serverless; the application is the limit."
"""Why permissions on job runs end in a star."""


@dataclass(frozen=True, kw_only=True)
class EmrRelease:
    """What the code of a job has to know of a release.

    Attributes:
        spark: Version of Spark.
        python: Interpreter to ask for; None takes the release's own.
        jars: Java archives on the workers that Spark does not load by itself.
    """

    spark: str
    python: str | None = None
    jars: tuple[str, ...] = ()


RELEASES: Mapping[str, EmrRelease] = {
    # Iceberg is on the class path of release 8; the path of the 7.x images fails there with NoSuchFileException.
    "emr-spark-8.0.0": EmrRelease(spark="4.0.2"),
    "emr-7.13.0": EmrRelease(spark="3.5.6", python="/usr/bin/python3.11", jars=("/usr/share/aws/iceberg/lib/iceberg-spark3-runtime.jar",)),
}
"""Releases on which the platform's jobs run."""


@dataclass(frozen=True, kw_only=True)
class ServerlessCapacity:
    """Most that all workers of an application take together at a time; a job that needs more waits for others to end.

    Attributes:
        vcpu: vCPU.
        memory_gb: Memory.
        disk_gb: Disk.
    """

    vcpu: int = 200
    memory_gb: int = 1000
    disk_gb: int = 2000

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: A limit would let nothing run.
        """
        require_range(self.vcpu, name="vcpu", at_least=2, why="a driver and an executor")
        require_range(self.memory_gb, name="memory_gb", at_least=4, why="a driver and an executor")
        require_range(self.disk_gb, name="disk_gb", at_least=40, why="a driver and an executor")


@dataclass(frozen=True, kw_only=True)
class WarmWorkers:
    """Workers that wait while the application is started, and are paid for as long.

    Attributes:
        worker: Size of each; only jobs whose workers are of exactly this size or smaller use them.
        drivers: Number of drivers.
        executors: Number of executors.
    """

    worker: ServerlessWorker
    drivers: int = 1
    executors: int = 2

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: There is none.
        """
        require_range(self.drivers, name="drivers", at_least=1)
        require_range(self.executors, name="executors", at_least=1)


class EmrServerlessApplication(Construct):
    """EMR Serverless application for Spark: it starts with a job, stops when idle, and never takes more than its maximum capacity.

    Attributes:
        application_id: Its id.
        application_arn: Its ARN.
        name: Its name.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        network: NetworkReference | None = None,
        release: str = "emr-spark-8.0.0",
        architecture: Literal["ARM64", "X86_64"] = "X86_64",
        capacity: ServerlessCapacity | None = None,
        warm_workers: WarmWorkers | None = None,
        idle_minutes: int = 15,
        max_concurrent_runs: int = 15,
        queue_minutes: int = 60,
    ) -> None:
        """
        Args:
            name: Name of the application.
            network: Network that the workers live in; None is EMR's own, from where nothing private can be reached.
            release: Release label, one of `RELEASES`.
            architecture: Processor of the workers.
            capacity: Most that it takes; None takes the defaults of `ServerlessCapacity`. An application without a limit does not exist.
            warm_workers: Workers that are there before a job comes; None pays for none.
            idle_minutes: Minutes without a job after which it stops.
            max_concurrent_runs: Most job runs at a time; the next ones queue.
            queue_minutes: Longest that a run queues before it fails.
        """
        super().__init__(scope, id)
        require_one_of(release, RELEASES, name="release")
        require_one_of(architecture, ("ARM64", "X86_64"), name="architecture")
        require_range(idle_minutes, name="idle_minutes", at_least=1, at_most=MAX_IDLE_MINUTES, why="a week, the service's longest")
        require_range(max_concurrent_runs, name="max_concurrent_runs", at_least=1, at_most=1000)
        require_range(queue_minutes, name="queue_minutes", at_least=15, at_most=720, why="EMR Serverless' range")
        capacity = capacity if capacity is not None else ServerlessCapacity()
        if warm_workers is not None:
            _check_warm(warm_workers, capacity)
        self.resource = emrserverless.CfnApplication(
            self,
            "Resource",
            name=name,
            type="SPARK",
            release_label=release,
            architecture=architecture,
            auto_start_configuration={"enabled": True},
            auto_stop_configuration={"enabled": True, "idleTimeoutMinutes": idle_minutes},
            maximum_capacity={"cpu": f"{capacity.vcpu} vCPU", "memory": f"{capacity.memory_gb} GB", "disk": f"{capacity.disk_gb} GB"},
            initial_capacity=_initial(warm_workers) if warm_workers is not None else None,
            # Runs log to a group of their own, under a customer key; EMR's own copy would lie outside the account.
            monitoring_configuration={"managedPersistenceMonitoringConfiguration": {"enabled": False}},
            network_configuration=None
            if network is None
            else {"subnetIds": network.private_subnet_ids, "securityGroupIds": [network.job_security_group_id]},
            scheduler_configuration={"maxConcurrentRuns": max_concurrent_runs, "queueTimeoutMinutes": queue_minutes},
        )
        self.name = name
        self.application_id = self.resource.attr_application_id
        self.application_arn = application_arn(self.application_id)
        self.grants = EmrServerlessApplicationGrants(self.application_id)


class EmrServerlessApplicationGrants:
    """Permissions on an application."""

    def __init__(self, application_id: str) -> None:
        self._arn = application_arn(application_id)

    def watch(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it see the application and its runs."""
        return allow(
            grantee,
            actions=["emr-serverless:GetApplication", "emr-serverless:GetJobRun", "emr-serverless:ListJobRuns"],
            resources=[self._arn, f"{self._arn}/jobruns/*"],
            because=JOB_RUNS,
        )


def application_arn(application_id: str) -> str:
    """ARN of an application of this account and region."""
    return arn("emr-serverless", f"/applications/{application_id}")


def _initial(warm: WarmWorkers) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"workerCount": count, "workerConfiguration": warm.worker.configuration()}}
        for key, count in (("Driver", warm.drivers), ("Executor", warm.executors))
    ]


def _check_warm(warm: WarmWorkers, capacity: ServerlessCapacity) -> None:
    count, worker = warm.drivers + warm.executors, warm.worker
    for what, used, limit in (
        ("vCPU", count * worker.vcpu, capacity.vcpu),
        ("GB of memory", count * worker.memory_gb, capacity.memory_gb),
        ("GB of disk", count * worker.disk_gb, capacity.disk_gb),
    ):
        require(
            used <= limit,
            f"warm workers take {used} {what}, and the maximum capacity is {limit}: have fewer or smaller ones, or raise the capacity",
        )
