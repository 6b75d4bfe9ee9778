"""Spark jobs on Glue and EMR Serverless, their code, sizes and settings, and what encrypts what they leave behind."""

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

__all__ = [
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
    "CodeAssets",
    "EmrServerlessApplication",
    "EmrServerlessJob",
    "GluePythonShellJob",
    "GlueSparkJob",
    "GlueStreamingJob",
    "JobCode",
    "JobLogs",
    "SecurityConfiguration",
    "ServerlessCapacity",
    "ServerlessSize",
    "ServerlessWorker",
    "SparkSize",
    "WarmWorkers",
    "conf_argument",
    "submit_parameters",
]
