"""Spark jobs on Glue, EMR Serverless and EMR, their code, sizes and settings, and what encrypts what they leave behind."""

from constructs_lib.processing.cluster_configurations import configurations
from constructs_lib.processing.cluster_packages import ClusterPackages
from constructs_lib.processing.cluster_size import ClusterSize, ManagedScaling
from constructs_lib.processing.emr_job import EmrJob
from constructs_lib.processing.emr_security import ClusterGroups, EmrSecurityConfiguration, EmrSecurityGroups
from constructs_lib.processing.emr_serverless_application import (
    RELEASES,
    EmrServerlessApplication,
    ServerlessCapacity,
    WarmWorkers,
)
from constructs_lib.processing.emr_serverless_job import EmrServerlessJob
from constructs_lib.processing.glue_python_shell_job import GluePythonShellJob
from constructs_lib.processing.glue_spark_job import (
    GLUE_HUGE,
    GLUE_LARGE,
    GLUE_MEDIUM,
    GLUE_SMALL,
    WORKER_TYPES,
    GlueSparkJob,
    SparkSize,
)
from constructs_lib.processing.glue_streaming_job import GlueStreamingJob
from constructs_lib.processing.job_code import CodeAssets, JobCode
from constructs_lib.processing.job_logs import JobLogs
from constructs_lib.processing.security_configuration import SecurityConfiguration
from constructs_lib.processing.serverless_size import (
    SERVERLESS_LARGE,
    SERVERLESS_MEDIUM,
    SERVERLESS_SMALL,
    ServerlessSize,
    ServerlessWorker,
)
from constructs_lib.processing.spark_settings import ICEBERG_SETTINGS, conf_argument, submit_parameters
from constructs_lib.processing.transient_cluster import CLUSTER_RELEASES, TransientCluster

__all__ = [
    "CLUSTER_RELEASES",
    "GLUE_HUGE",
    "GLUE_LARGE",
    "GLUE_MEDIUM",
    "GLUE_SMALL",
    "ICEBERG_SETTINGS",
    "RELEASES",
    "SERVERLESS_LARGE",
    "SERVERLESS_MEDIUM",
    "SERVERLESS_SMALL",
    "WORKER_TYPES",
    "ClusterGroups",
    "ClusterPackages",
    "ClusterSize",
    "CodeAssets",
    "EmrJob",
    "EmrSecurityConfiguration",
    "EmrSecurityGroups",
    "EmrServerlessApplication",
    "EmrServerlessJob",
    "GluePythonShellJob",
    "GlueSparkJob",
    "GlueStreamingJob",
    "JobCode",
    "JobLogs",
    "ManagedScaling",
    "SecurityConfiguration",
    "ServerlessCapacity",
    "ServerlessSize",
    "ServerlessWorker",
    "SparkSize",
    "TransientCluster",
    "WarmWorkers",
    "conf_argument",
    "configurations",
    "submit_parameters",
]
