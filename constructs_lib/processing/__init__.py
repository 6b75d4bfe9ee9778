"""Spark jobs: the Glue job, its code, its settings and what encrypts what it leaves behind."""

from constructs_lib.processing.glue_python_shell_job import GluePythonShellJob
from constructs_lib.processing.glue_spark_job import WORKER_TYPES, GlueSparkJob, SparkSize
from constructs_lib.processing.glue_streaming_job import GlueStreamingJob
from constructs_lib.processing.job_code import CodeAssets, JobCode
from constructs_lib.processing.job_logs import JobLogs
from constructs_lib.processing.security_configuration import SecurityConfiguration
from constructs_lib.processing.spark_settings import ICEBERG_SETTINGS, conf_argument

__all__ = [
    "ICEBERG_SETTINGS",
    "WORKER_TYPES",
    "CodeAssets",
    "GluePythonShellJob",
    "GlueSparkJob",
    "GlueStreamingJob",
    "JobCode",
    "JobLogs",
    "SecurityConfiguration",
    "SparkSize",
    "conf_argument",
]
