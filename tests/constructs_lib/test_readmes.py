"""Every example of a README runs, and every construct has one."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.aws_lambda import Function
from constructs import Construct

import constructs_lib
from constructs_lib.catalog import AthenaWorkgroup, CatalogTable
from constructs_lib.ingestion import FileArrival, FilesLanded
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.observability import AlertTopics
from constructs_lib.orchestration import GlueStep, Pipeline, RunRecorder, RunTables
from constructs_lib.permissions import account_principal, service_principal
from constructs_lib.processing import GlueSparkJob, JobCode, JobLogs, SecurityConfiguration
from constructs_lib.security import DataKeys
from constructs_lib.storage import DataLake
from constructs_lib.warehouse import RedshiftCluster
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.tables import table_of
from lakehouse.naming import DatasetName, Names
from lakehouse.saved_queries import SavedQuery
from lakehouse.warehouse.tables import table_of as warehouse_table_of
from lakehouse.warehouse.wlm import LOAD_QUEUE, Queue
from stacks.synthesis import ROOT

FOLDER = Path(constructs_lib.__file__).parent
DOMAINS = sorted(path.parent.name for path in FOLDER.glob("*/README.md"))


def examples(domain: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", (FOLDER / domain / "README.md").read_text(), re.DOTALL))


@pytest.fixture
def given(app: App, stack: Stack, names: Names) -> dict[str, Any]:
    """What the examples of one domain take from the others, by the names that they give it."""
    scope = Construct(stack, "Given")
    keys = DataKeys(scope, "Keys", names=names)
    lake = DataLake(scope, "Lake", names=names, key=keys.lake)
    run_tables = RunTables(scope, "RunTables", names=names, key=keys.logs)
    logs = JobLogs(scope, "Logs", prefix=names.log_group("jobs", "given"), key=keys.logs)
    security = SecurityConfiguration(scope, "Security", name_prefix=names.prefix, key=keys.lake)
    code = JobCode.from_platform("refine")
    step = GlueStep(name="refine", job_name="refine", timeout_minutes=5)
    return {
        "Function": Function,
        "Path": Path,
        "SavedQuery": SavedQuery,
        "analyst": iam.Role(scope, "Analyst", assumed_by=account_principal()),
        "arrival": FileArrival(
            scope,
            "Arrival",
            names=names,
            pipeline="given",
            tables=run_tables.by_name,
            message_key=keys.messaging,
            log_key=keys.logs,
            trigger=FilesLanded(lake=lake.by_name, contract_id="sales.orders"),
        ),
        "LOAD_QUEUE": LOAD_QUEUE,
        "Queue": Queue,
        "cluster": RedshiftCluster(
            scope,
            "Cluster",
            name="given",
            database="lakehouse",
            network=NetworkReference.from_parameters(stack, names=names),
            lake=lake.by_name,
            data_key=keys.lake,
            secret_key=keys.secrets,
        ),
        "compile_contracts": compile_contracts,
        "job": GlueSparkJob(scope, "Job", name="given", code=code, logs=logs, security_configuration=security),
        "keys": keys,
        "lake": lake,
        "names": names,
        "network": NetworkReference.from_parameters(stack, names=names),
        "pipeline": Pipeline(scope, "Pipeline", names=names, pipeline="given", steps=[step], tables=["a.b"], log_key=keys.logs),
        "recorder": RunRecorder(scope, "Recorder", names=names, tables=run_tables.by_name, log_key=keys.logs),
        "role": iam.Role(scope, "Role", assumed_by=service_principal("glue.amazonaws.com")),
        "run_tables": run_tables,
        "secretsmanager": secretsmanager,
        "security": security,
        "stack": stack,
        "table": CatalogTable(dataset=DatasetName.parse("gold.sales.daily_sales"), lake=lake.by_name),
        "table_of": table_of,
        "Pipeline": Pipeline,
        "warehouse_table_of": warehouse_table_of,
        "topics": AlertTopics(scope, "Topics", names=names, key=keys.messaging),
        "workgroup": AthenaWorkgroup(scope, "Workgroup", name="given", lake=lake.by_name),
    }


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_examples_of_a_readme_run(domain: str, app: App, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "docs" / "examples" / "another_team")
    code = compile(examples(domain), f"{domain}/README.md", "exec")
    exec(code, {**vars(importlib.import_module(f"constructs_lib.{domain}")), **given})  # noqa: S102 - our own pages
    app.synth()


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_construct_has_an_example(domain: str) -> None:
    module = importlib.import_module(f"constructs_lib.{domain}")
    constructs = [
        name for name in module.__all__ if isinstance(getattr(module, name), type) and issubclass(getattr(module, name), Construct)
    ]
    assert constructs
    assert [name for name in constructs if not re.search(rf"\b{name}[.(]", examples(domain))] == []
