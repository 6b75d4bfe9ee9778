"""A Spark job on a transient cluster of EMR on EC2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.checks import InvalidProps, require, require_range
from constructs_lib.orchestration.emr_step import EmrStep
from constructs_lib.processing.cluster_configurations import check_properties
from constructs_lib.processing.emr_serverless_job import PACKAGES
from constructs_lib.processing.job_arguments import check_arguments
from constructs_lib.processing.job_code import CodeAssets, JobCode
from constructs_lib.processing.spark_settings import ICEBERG_SETTINGS
from constructs_lib.processing.transient_cluster import TransientCluster
from lakehouse.emr import InvalidStepError, check_words, spark_words

MAX_TIMEOUT_MINUTES = 24 * 60

_OWNED = {
    "--JOB_RUN_ID": "nothing, the job finds it",
    "--log_group": "nothing, the construct fills it in",
    "--log_stream": "nothing, the construct fills it in",
}


class EmrJob(Construct):
    """PySpark script that runs on the cluster of a run, as a role that may read its code until granted more.

    EMR has no resource for a job: this is its role, its code and what starts a run; `step` makes it a step of a pipeline. It runs in cluster mode, once a start: YARN
    tries no driver again, Step Functions alone does.

    Attributes:
        job_name: Name of its steps.
        role: Role that it runs as.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        cluster: TransientCluster,
        code: JobCode,
        arguments: Mapping[str, str] | None = None,
        timeout_minutes: int = 60,
        settings: Mapping[str, str] | None = None,
        extra_jars: Sequence[Path] = (),
    ) -> None:
        """
        Args:
            name: Name of the job.
            cluster: Cluster that it runs on.
            code: Its script, bundle and packages.
            arguments: Arguments by name with their `--`; nothing secret, as everybody who sees a step sees them.
            timeout_minutes: Longest run.
            settings: Spark settings besides those of the cluster and those that Iceberg needs; they win.
            extra_jars: Java archives, such as a JDBC driver.
        """
        super().__init__(scope, id)
        require_range(timeout_minutes, name="timeout_minutes", at_least=1, at_most=MAX_TIMEOUT_MINUTES, why="a day")
        arguments = dict(arguments if arguments is not None else {})
        check_arguments(arguments, owned=_OWNED, engine="EMR")
        check_properties(settings or {}, of="settings")
        for jar in extra_jars:
            require(
                jar.is_file() and jar.suffix == ".jar",
                f"{jar} is no Java archive: give the path of a .jar that exists when the stack is synthesized",
            )
        self.job_name = name
        self.role = iam.Role(self, "Role", assumed_by=cluster.grants.principal(), description=f"Runs {name}")
        cluster.grants.run_as(self.role)
        assets = CodeAssets.of(self)
        script, bundle = assets.file(code.script), assets.file(code.bundle, code.bundle_hash)
        packages = assets.file(code.packages.path, code.packages.content_hash)
        jars = [assets.file(jar) for jar in extra_jars]
        assets.grants.read(self.role, [script, bundle, packages, *jars])
        path = f"./{PACKAGES}" if cluster.packages_folder is None else f"./{PACKAGES}:{cluster.packages_folder}"
        environment = {"spark.executorEnv.PYTHONPATH": path, "spark.yarn.appMasterEnv.PYTHONPATH": path}
        try:
            words = spark_words(
                script,
                settings={**ICEBERG_SETTINGS, **environment, **(settings or {})},
                py_files=[bundle],
                archives=[f"{packages}#{PACKAGES}"],
                jars=jars,
            )
            check_words(arguments.values())
        except InvalidStepError as error:
            raise InvalidProps(f"job {name}: {error}") from error
        # The log of a driver lies below its cluster, which is there when the step begins, and its application, which the job knows.
        logs = {"--log_group": cluster.log_address, "--log_stream.$": "States.Format('{}/containers/JOB_RUN_ID', $.cluster.id)"}
        self._step = EmrStep(
            name="job",
            timeout_minutes=timeout_minutes,
            job_name=name,
            role_arn=self.role.role_arn,
            cluster=cluster.cluster,
            words=words,
            arguments={**arguments, **logs},
        )

    def step(self, name: str) -> EmrStep:
        """The job as a step of a pipeline.

        Args:
            name: Name of the step.
        """
        return self._step.called(name)
