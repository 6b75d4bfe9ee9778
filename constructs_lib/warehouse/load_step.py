"""The step of a pipeline that loads a gold table into the warehouse: Athena unloads it, one batch of Redshift takes it over."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_iam as iam

from constructs_lib.catalog.athena_workgroup import RESULTS_OBJECTS, AthenaWorkgroupGrants
from constructs_lib.catalog.table_grants import CatalogTable
from constructs_lib.checks import require
from constructs_lib.orchestration.steps import MachineStep, Permission, State, StepPlace, catch, function_task
from constructs_lib.permissions import allow
from constructs_lib.storage.data_lake import OBJECTS, LakeBuckets
from constructs_lib.warehouse.reference import STATEMENT_ACTIONS, STATEMENTS, WarehouseReference
from constructs_lib.warehouse.roles import UNLOADED
from lakehouse.contracts.model import HotRows
from lakehouse.warehouse.loads import COUNTS, FILE_COLUMN, LoadPlan, in_query_group, mirror, unload_select
from lakehouse.warehouse.tables import WarehouseTable
from lakehouse.warehouse.wlm import LOADS

ENGINE = "redshift"
"""What the audit calls the engine of such a step."""

MIN_LOOK_SECONDS = 3
MAX_LOOKS = 500
"""Looks at a statement that a step may take, nine events each: an execution has 25,000, of which waiting for leases may take 16,000."""

CALL_SECONDS = 60
"""Longest that one call of the Data API may take."""

_CALL_RETRY: list[dict[str, Any]] = [
    {
        "ErrorEquals": [
            "RedshiftData.ActiveStatementsExceededException",
            "RedshiftData.DatabaseConnectionException",
            "RedshiftData.InternalServerException",
            "RedshiftData.SdkClientException",
            "RedshiftData.ThrottlingException",
        ],
        "IntervalSeconds": 5,
        "MaxAttempts": 5,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    },
]
"""Every call may be made again: a submission carries a token, the others change nothing or stop what is stopped."""

_UNLOAD_RETRY: list[dict[str, Any]] = [
    {
        "ErrorEquals": ["Athena.InternalServerException", "Athena.SdkClientException", "Athena.TooManyRequestsException"],
        "IntervalSeconds": 5,
        "MaxAttempts": 5,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    },
]
"""The token makes a submission that is repeated the same query; one that failed is not repeated, for it may have left files in the folder."""

_LIST_RETRY: list[dict[str, Any]] = [
    {"ErrorEquals": ["S3.S3Exception", "S3.SdkClientException"], "IntervalSeconds": 2, "MaxAttempts": 3, "BackoffRate": 2}
]


@dataclass(frozen=True, kw_only=True)
class RedshiftLoadStep(MachineStep):
    """A step that makes a table of the warehouse the same as a gold table, in one transaction.

    The step keeps its own record in the audit by the run recorder, with the rows that were staged, removed and added. A statement that outlives the step's time,
    or that nobody can look at any more, is cancelled.

    Attributes:
        table: The table as it is in the warehouse.
        dataset: The gold table, as specs name it; what lineage calls the source.
        catalog_database: Its database in the catalog.
        athena_workgroup: Athena workgroup that unloads it.
        bucket: Bucket of the zone `query-results`.
        warehouse: The warehouse.
        role_arn: Role of COPY.
        slices: Slices of a provisioned cluster: Athena writes as many files at least, so that none of them is idle; 0 = as Athena likes.
        hot: Rows that the warehouse holds, by their age; None: all. A row that grows older leaves with the next load.
    """

    table: WarehouseTable
    dataset: str
    catalog_database: str
    athena_workgroup: str
    bucket: str
    warehouse: WarehouseReference
    role_arn: str
    slices: int = 0
    hot: HotRows | None = None

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The name is none, there is no time, or the table has no key.
        """
        super().__post_init__()
        require(bool(self.table.keys), f"step {self.name} loads {self.table.name}, which has no primary key: add one to its contract")

    @property
    def folder(self) -> str:
        """Folder of what Athena unloads for the step, in the bucket; runs and attempts have folders of their own in it."""
        return f"{UNLOADED}{self.table.schema}/{self.table.name}/"

    def states(self, place: StepPlace) -> Mapping[str, State]:
        """See `MachineStep`."""
        partition = place.functions.partition
        with_rows = self._queued(mirror(self.table, source="{folder}/", role_arn="{role}"))
        without_rows = self._queued(mirror(self.table, source=None, role_arn="{role}"))
        return {
            self.state(): function_task(
                place.functions,
                place.functions.recorder,
                {
                    "action": "begin_step",
                    "pipeline": place.pipeline,
                    "run_id.$": "$.run_id",
                    "step": self.name,
                    "engine": ENGINE,
                    # The same for every try of this state: a call that is repeated begins no second attempt.
                    "job_run_id.$": "States.Format('{}/{}', $$.Execution.Name, $$.State.EnteredTime)",
                },
                next_=self.state("name its folder"),
                on_error=place.failed,
                result_path="$.work",
                selector={"attempt.$": "$.Payload.attempt"},
            ),
            self.state("name its folder"): {
                "Type": "Pass",
                "Parameters": {
                    "attempt.$": "$.work.attempt",
                    "prefix.$": f"States.Format('{self.folder}{{}}/{{}}/', $.run_id, $.work.attempt)",
                    "folder.$": f"States.Format('s3://{self.bucket}/{self.folder}{{}}/{{}}', $.run_id, $.work.attempt)",
                    "token.$": f"States.Format('{{}}-{_short(self.name)}-{{}}', $.run_id, $.work.attempt)",
                    "role": self.role_arn,
                    "looks": {"taken": 0},
                },
                "ResultPath": "$.work",
                "Next": self.state("unload"),
            },
            self.state("unload"): self._unload(partition, place),
            self.state("look for rows"): self._task(
                partition,
                "s3:listObjectsV2",
                {"Bucket": self.bucket, "Prefix.$": "$.work.prefix", "MaxKeys": 1},
                next_=self.state("are there rows?"),
                on_error=place.failed,
                result_path="$.work.found",
                selector={"files.$": "$.KeyCount"},
                retry=_LIST_RETRY,
            ),
            self.state("are there rows?"): {
                "Type": "Choice",
                "Choices": [{"Variable": "$.work.found.files", "NumericEquals": 0, "Next": self.state("write for none")}],
                "Default": self.state("write"),
            },
            **self._submit("", with_rows, partition, place),
            **self._submit(" for none", without_rows, partition, place),
            **self._waiting(partition, place),
            self.state("count"): self._task(
                partition,
                "redshiftdata:getStatementResult",
                {"Id.$": "$.work.rows"},
                next_=self.state("record"),
                on_error=place.failed,
                result_path="$.work.counts",
                selector={"row.$": "$.Records[0]"},
            ),
            self.state("record"): function_task(
                place.functions,
                place.functions.recorder,
                {
                    "action": "end_step",
                    "pipeline": place.pipeline,
                    "run_id.$": "$.run_id",
                    "step": self.name,
                    "attempt.$": "$.work.attempt",
                    "count_names": list(COUNTS),
                    "row.$": "$.work.counts.row",
                    "source": self.dataset,
                    "target": f"warehouse.{self.table.schema}.{self.table.name}",
                },
                next_=place.next_,
                on_error=place.failed,
                result_path=None,
            ),
        }

    def permissions(self) -> Sequence[Permission]:
        """See `MachineStep`; what Athena reads and writes with the role, `grant_unload` gives."""
        action, resource = self.warehouse.sign_in
        return (
            Permission(actions=(action,), resources=(resource,)),
            Permission(actions=("redshift-data:BatchExecuteStatement",), resources=(self.warehouse.arn,)),
            Permission(actions=STATEMENT_ACTIONS, resources=("*",), because=STATEMENTS),
        )

    def grant_unload(self, role: iam.IGrantable, *, lake: LakeBuckets, table: CatalogTable) -> None:
        """Give the role of the machine what Athena does with it: query the table, write the folder of the step, list it.

        Args:
            role: Role of the machine.
            lake: Buckets of the lake.
            table: The gold table.
        """
        AthenaWorkgroupGrants(self.athena_workgroup, lake).run_queries(role)
        table.grants.query(role)
        lake.grants.list(role, "query-results", prefix=self.folder)
        allow(role, actions=RESULTS_OBJECTS, resources=[f"{lake.bucket_arn('query-results')}/{self.folder}*"], because=OBJECTS)

    def _queued(self, plan: LoadPlan) -> LoadPlan:
        """A provisioned cluster has a queue for loads; Redshift Serverless has none."""
        return in_query_group(plan, LOADS) if self.warehouse.kind == "provisioned" else plan

    def _unload(self, partition: str, place: StepPlace) -> State:
        select = _quoted(unload_select(self.table, database=self.catalog_database, files=self.slices, hot=self.hot))
        spread = f", partitioned_by = ARRAY[\\'{FILE_COLUMN}\\']" if self.slices else ""
        query = f"UNLOAD ({select}) TO \\'{{}}/\\' WITH (format = \\'PARQUET\\', compression = \\'SNAPPY\\'{spread})"
        return {
            "Type": "Task",
            "Resource": f"arn:{partition}:states:::athena:startQueryExecution.sync",
            "Parameters": {
                "ClientRequestToken.$": "$.work.token",
                "QueryString.$": f"States.Format('{query}', $.work.folder)",
                "WorkGroup": self.athena_workgroup,
            },
            "ResultPath": None,
            "TimeoutSeconds": self.timeout_minutes * 60,
            "Retry": _UNLOAD_RETRY,
            "Catch": catch(place.failed),
            "Next": self.state("look for rows"),
        }

    def _submit(self, which: str, plan: LoadPlan, partition: str, place: StepPlace) -> dict[str, State]:
        """States that write the statements down and submit them; only what the run fills in is formatted, so nothing else needs to be escaped."""
        written: dict[str, str] = {}
        for number, statement in enumerate(plan.statements):
            if "{folder}" in statement:
                template = _quoted(statement.replace("{folder}", "\0").replace("{role}", "\1")).replace("\0", "{}").replace("\1", "{}")
                written[f"s{number}.$"] = f"States.Format('{template}', $.work.folder, $.work.role)"
            else:
                written[f"s{number}"] = statement
        listed = ", ".join(f"$.work.sql.s{number}" for number in range(len(plan.statements)))
        return {
            self.state(f"write{which}"): {
                "Type": "Pass",
                "Parameters": written,
                "ResultPath": "$.work.sql",
                "Next": self.state(f"submit{which}"),
            },
            self.state(f"submit{which}"): self._task(
                partition,
                "redshiftdata:batchExecuteStatement",
                {
                    "ClientToken.$": "$.work.token",
                    "Sqls.$": f"States.Array({listed})",
                    "StatementName.$": "$.work.token",
                    **self.warehouse.target,
                },
                next_=self.state(f"name the counts{which}"),
                on_error=place.failed,
                result_path="$.work.statement",
                selector={"id.$": "$.Id"},
            ),
            self.state(f"name the counts{which}"): {
                "Type": "Pass",
                "Parameters": {"id.$": f"States.Format('{{}}:{plan.counts_at + 1}', $.work.statement.id)"},
                "ResultPath": "$.work.answer",
                "Next": self.state("wait"),
            },
        }

    def _waiting(self, partition: str, place: StepPlace) -> dict[str, State]:
        seconds = max(MIN_LOOK_SECONDS, math.ceil(self.timeout_minutes * 60 / MAX_LOOKS))
        looks = math.ceil(self.timeout_minutes * 60 / seconds)
        running = [{"Variable": "$.work.look.status", "StringEquals": status} for status in ("SUBMITTED", "PICKED", "STARTED")]
        late = {"Variable": "$.work.looks.taken", "NumericGreaterThanEquals": looks}
        statement = {"Id.$": "$.work.statement.id"}
        return {
            self.state("wait"): {"Type": "Wait", "Seconds": seconds, "Next": self.state("look")},
            self.state("look"): self._task(
                partition,
                "redshiftdata:describeStatement",
                statement,
                next_=self.state("is it over?"),
                on_error=self.state("stop"),
                result_path="$.work.look",
                selector={"status.$": "$.Status"},
            ),
            self.state("is it over?"): {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.work.look.status", "StringEquals": "FINISHED", "Next": self.state("name the rows")},
                    {"And": [{"Or": running}, late], "Next": self.state("give up")},
                    {"Or": running, "Next": self.state("count the look")},
                ],
                # FAILED, ABORTED, or a word that nobody knows: none of them is a load that went well.
                "Default": self.state("ask why"),
            },
            self.state("count the look"): {
                "Type": "Pass",
                "Parameters": {"taken.$": "States.MathAdd($.work.looks.taken, 1)"},
                "ResultPath": "$.work.looks",
                "Next": self.state("wait"),
            },
            self.state("name the rows"): {
                "Type": "Pass",
                "InputPath": "$.work.answer.id",
                "ResultPath": "$.work.rows",
                "Next": self.state("count"),
            },
            self.state("ask why"): self._task(
                partition,
                "redshiftdata:describeStatement",
                statement,
                next_=self.state("say why"),
                on_error=place.failed,
                result_path="$.work.described",
            ),
            self.state("say why"): {
                "Type": "Pass",
                "Parameters": {"Error": "Redshift.StatementFailed", "Cause.$": "States.JsonToString($.work.described)"},
                "ResultPath": "$.failure",
                "Next": place.failed,
            },
            self.state("give up"): {
                "Type": "Pass",
                "Parameters": {
                    "Error": "States.Timeout",
                    "Cause": f"the load was not over after {self.timeout_minutes} minutes and was cancelled; the table is as it was",
                },
                "ResultPath": "$.failure",
                "Next": self.state("stop"),
            },
            self.state("stop"): {
                **self._task(
                    partition, "redshiftdata:cancelStatement", statement, next_=place.failed, on_error=place.failed, result_path=None
                ),
                # What went wrong first stays in $.failure: a statement that was over before is no news.
                "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.work.stop", "Next": place.failed}],
            },
        }

    @staticmethod
    def _task(
        partition: str,
        call: str,
        parameters: Mapping[str, Any],
        *,
        next_: str,
        on_error: str,
        result_path: str | None,
        selector: Mapping[str, str] | None = None,
        retry: Sequence[Mapping[str, Any]] = (),
    ) -> State:
        return {
            "Type": "Task",
            "Resource": f"arn:{partition}:states:::aws-sdk:{call}",
            "Parameters": parameters,
            **({"ResultSelector": selector} if selector is not None else {}),
            "ResultPath": result_path,
            "TimeoutSeconds": CALL_SECONDS,
            "Retry": [*(retry or _CALL_RETRY)],
            "Catch": catch(on_error),
            "Next": next_,
        }


def _quoted(text: str) -> str:
    """A text as the template of States.Format takes it."""
    for character in ("\\", "'", "{", "}"):
        text = text.replace(character, f"\\{character}")
    return text


def _short(step: str) -> str:
    """A step's name in 8 characters, for a token that may have 64."""
    return hashlib.sha256(step.encode()).hexdigest()[:8]
