"""What makes a pipeline run: its state machine, its run tables and the functions that record and notify."""

from constructs_lib.orchestration.pipeline import Pipeline
from constructs_lib.orchestration.rows_step import RowsStep
from constructs_lib.orchestration.run_backstop import RunBackstop
from constructs_lib.orchestration.run_functions import Notifier, RunRecorder
from constructs_lib.orchestration.run_tables import RunTableNames, RunTables
from constructs_lib.orchestration.steps import EmrServerlessStep, GlueStep, MachineStep, Permission, StepPlace

__all__ = [
    "EmrServerlessStep",
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
    "StepPlace",
]
