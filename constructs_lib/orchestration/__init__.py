"""What makes a pipeline run: its state machine, its run tables and the functions that record and notify."""

from constructs_lib.orchestration.emr_serverless_step import EmrServerlessStep
from constructs_lib.orchestration.emr_step import EmrCluster, EmrStep
from constructs_lib.orchestration.pipeline import Pipeline
from constructs_lib.orchestration.rows_step import RowsStep
from constructs_lib.orchestration.run_backstop import RunBackstop
from constructs_lib.orchestration.run_functions import ClusterEnder, Notifier, RunRecorder
from constructs_lib.orchestration.run_tables import RunTableNames, RunTables
from constructs_lib.orchestration.serverless_backstop import ServerlessBackstop
from constructs_lib.orchestration.steps import GlueStep, MachineStep, Permission, StepPlace

__all__ = [
    "ClusterEnder",
    "EmrCluster",
    "EmrServerlessStep",
    "EmrStep",
    "GlueStep",
    "MachineStep",
    "Notifier",
    "Permission",
    "Pipeline",
    "RowsStep",
    "RunBackstop",
    "RunRecorder",
    "RunTableNames",
    "RunTables",
    "ServerlessBackstop",
    "StepPlace",
]
