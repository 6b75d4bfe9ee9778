"""A warehouse on nodes of its own: deployed from the config, loaded, asked, paused and resumed by the clock, and loaded again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.results import RunDetail
from lakehouse.clock import utc_now
from tests.e2e.conftest import Call, Checkout, new_checkout
from tests.e2e.rows import csv

pytestmark = [pytest.mark.e2e, pytest.mark.apart, pytest.mark.timeout(600)]

BALANCES = "balances"
"""The pipeline that loads, and the gold dataset that it makes."""

GOLD = f"gold_tpch.{BALANCES}"
QUERY = f"SELECT c_custkey, c_mktsegment, c_acctbal FROM {GOLD} ORDER BY 1"
CUSTOMERS = 200
SLICES = 4
"""Two nodes of ra3.large."""

NODES = """
warehouse:
  kind: provisioned
  cluster:
    node_type: ra3.large
    nodes: 2
    pause: cron(0 3 1 1 ? *)
    resume: cron(0 4 1 1 ? *)
    spectrum_tb: 5
"""

CONTRACT = """
apiVersion: v3.2.0
kind: DataContract
id: tpch.balances
name: balances
version: 1.0.0
status: active
domain: tpch
team: {name: order-data}
servers:
  - {server: lake, type: glue, account: "${AWS_ACCOUNT_ID}", database: gold_tpch, format: iceberg}
schema:
  - id: balances
    name: balances
    description: One row per customer.
    properties:
      - {id: c_custkey, name: c_custkey, logicalType: integer, logicalTypeOptions: {format: i64}, required: true, primaryKey: true, primaryKeyPosition: 1,
         classification: internal, description: Customer.}
      - {id: c_mktsegment, name: c_mktsegment, logicalType: string, required: true, classification: internal, description: Market segment.}
      - {id: c_acctbal, name: c_acctbal, logicalType: number, physicalType: "decimal(15,2)", required: true, classification: internal, description: Balance.}
"""

PIPELINE = """
pipeline: balances
owner: order-data
trigger: {after: [customer]}
steps:
  - {job: publish, transform: tpch.balances, reads: [silver.tpch.customer], writes: gold.tpch.balances}
  - {load: redshift, reads: gold.tpch.balances}
"""

TRANSFORM = """

def balances(tables: Mapping[str, DataFrame]) -> DataFrame:
    return tables["silver.tpch.customer"].select("c_custkey", "c_mktsegment", F.col("c_acctbal").cast("decimal(15,2)").alias("c_acctbal"))
"""


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened, in order.

    Attributes:
        loaded: The run that a delivery started.
        files: Folders of the files that Athena wrote for it.
        athena: Rows of gold after it.
        redshift: Rows of the warehouse after it.
        lost: Rows that somebody deleted in the warehouse then.
        asked: A query while the cluster was paused.
        refused: A run while it was.
        kept: Rows of the warehouse once it was resumed.
        repaired: The next run.
        again: Rows of the warehouse after it.
    """

    loaded: RunDetail
    files: set[str]
    athena: list[list[Any]]
    redshift: list[list[Any]]
    lost: int
    asked: Call
    refused: RunDetail
    kept: list[list[Any]]
    repaired: RunDetail
    again: list[list[Any]]


def on_nodes(root: Path) -> None:
    """Leave of the project what customers need, put the warehouse on nodes, and load what their balances are."""
    for folder, kept in (("pipelines", "customer.yaml"), ("contracts/tpch", "customer."), ("queries", "nothing")):
        for path in (root / folder).iterdir():
            if not path.name.startswith(kept):
                path.unlink() if path.is_file() else shutil.rmtree(path)
    shutil.rmtree(root / "contracts" / "shop")
    for name, more in (("base.yaml", NODES), ("local.yaml", "")):
        lines = (root / "config" / name).read_text(encoding="utf-8").splitlines()
        others = [line for line in lines if not line.startswith(("warehouse:", "databases:", "  shop:"))]
        (root / "config" / name).write_text("\n".join(others) + more, encoding="utf-8")
    (root / "contracts" / "tpch" / "balances.odcs.yaml").write_text(CONTRACT.lstrip(), encoding="utf-8")
    (root / "pipelines" / "balances.yaml").write_text(PIPELINE.lstrip(), encoding="utf-8")
    with (root / "jobs" / "transforms" / "tpch.py").open("a", encoding="utf-8") as transforms:
        transforms.write(TRANSFORM)
    subprocess.run([sys.executable, "-m", "lakehouse.contracts.compiler", "lock"], cwd=root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A platform whose warehouse is a cluster."""
    with new_checkout(tmp_path_factory.mktemp("nodes"), change=on_nodes) as checkout:
        yield checkout


@pytest.fixture(scope="module")
def story(cluster: Checkout) -> Story:
    """A delivery, an accident, a night, and the run of the morning."""
    cluster.drop("tpch.customer", [cluster.write("customers.csv", csv("customer", range(1, CUSTOMERS + 1)))], day="1998-08-01")
    cluster.wait()
    loaded, athena, redshift = newest(cluster), cluster.sql(QUERY), ask(cluster)
    lost = as_administrator(cluster, f"DELETE FROM {GOLD} WHERE c_custkey <= 10")
    strike(cluster, "pause", until="paused")
    asked = cluster.lake("sql", "--engine", "redshift", QUERY, code=1)
    cluster.lake("run", BALANCES, code=1)
    refused = newest(cluster)
    strike(cluster, "resume", until="available")
    kept = ask(cluster)
    cluster.lake("run", BALANCES)
    return Story(
        loaded=loaded,
        files=unloaded(cluster, loaded),
        athena=athena,
        redshift=redshift,
        lost=lost,
        asked=asked,
        refused=refused,
        kept=kept,
        repaired=newest(cluster),
        again=ask(cluster),
    )


def newest(checkout: Checkout) -> RunDetail:
    """The newest run of the pipeline that loads."""
    return checkout.show(checkout.runs(BALANCES)[-1])


def ask(checkout: Checkout) -> list[list[Any]]:
    """Rows of the warehouse, as the command line shows them."""
    return checkout.lake("sql", "--engine", "redshift", QUERY, "--json").json["rows"]


def strike(checkout: Checkout, verb: str, *, until: str) -> None:
    """Let the hour come at which the cluster's schedule does something."""
    redshift, name = checkout.client("redshift"), checkout.names.warehouse
    soon = utc_now() + timedelta(seconds=4)  # the scheduler looks once a second, and has to see it coming
    redshift.modify_scheduled_action(ScheduledActionName=f"{name}-{verb}", Schedule=f"at({soon:%Y-%m-%dT%H:%M:%S})")
    deadline = time.monotonic() + 60
    while (found := redshift.describe_clusters(ClusterIdentifier=name)["Clusters"][0]["ClusterStatus"]) != until:
        assert time.monotonic() < deadline, f"the cluster is {found}, not {until}"
        time.sleep(0.3)


def as_administrator(checkout: Checkout, statement: str) -> int:
    """Rows that a statement of the administrator's changed."""
    name = checkout.names.warehouse
    secret = checkout.client("redshift").describe_clusters(ClusterIdentifier=name)["Clusters"][0]["MasterPasswordSecretArn"]
    data = checkout.client("redshift-data")
    given = data.execute_statement(ClusterIdentifier=name, Database="lakehouse", SecretArn=secret, Sql=statement)
    described = data.describe_statement(Id=given["Id"], WaitTimeSeconds=20)
    assert described["Status"] == "FINISHED", described
    return described["ResultRows"]


def unloaded(checkout: Checkout, run: RunDetail) -> set[str]:
    """Folders of the files that Athena wrote for a run."""
    bucket, prefix = checkout.names.bucket("query-results"), f"unload/gold_tpch/{BALANCES}/{run.run.run_id}/1/"
    found = checkout.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    return {entry["Key"].removeprefix(prefix).split("/")[0] for entry in found}


def counts(run: RunDetail) -> dict[str, int]:
    """Rows that the load of a run staged, removed and added."""
    (load,) = (step for step in run.steps if step.engine == "redshift")
    return load.counts


def test_a_delivery_is_loaded_onto_the_nodes_and_answered_from_there(story: Story) -> None:
    assert (story.loaded.run.status, story.loaded.run.trigger) == ("SUCCEEDED", "after")
    assert len(story.athena) == CUSTOMERS
    assert story.redshift == story.athena
    assert counts(story.loaded)["rows_added"] == counts(story.loaded)["rows_in_table"] == len(story.athena)


def test_every_slice_has_a_file_to_load(story: Story) -> None:
    assert story.files == {f"load_file={number}" for number in range(SLICES)}


def test_a_query_of_a_paused_cluster_says_what_to_do(cluster: Checkout, story: Story) -> None:
    assert f"The cluster {cluster.names.warehouse} is paused" in story.asked.err
    assert f"aws redshift resume-cluster --cluster-identifier {cluster.names.warehouse}" in story.asked.err


def test_a_load_while_the_cluster_is_paused_fails_with_the_reason_and_tells_people(cluster: Checkout, story: Story) -> None:
    run = story.refused.run
    assert (run.status, run.reason) == ("FAILED", "warehouse_unavailable")
    assert f"the warehouse takes no statement: The cluster {cluster.names.warehouse} is paused" in run.message
    assert "resume it, then start the pipeline again" in run.message
    assert [(step.step, step.status) for step in story.refused.steps] == [("publish", "SUCCEEDED"), ("load", "FAILED")]
    told = cluster.session.audit.get_run(run.run_id, pipeline=BALANCES)
    assert told is not None
    assert told.notified_at


def test_after_the_pause_the_rows_are_there_and_the_next_load_brings_what_is_missing(story: Story) -> None:
    assert story.lost == 10
    assert story.kept == [row for row in story.athena if row[0] > 10]
    assert story.repaired.run.status == "SUCCEEDED"
    assert (counts(story.repaired)["rows_removed"], counts(story.repaired)["rows_added"]) == (0, story.lost)
    assert story.again == story.athena


def test_the_statements_of_a_cluster_are_listed(cluster: Checkout, story: Story) -> None:
    listed = cluster.lake("statements", "--status", "finished", "--json").json["statements"]
    assert {entry["sql"] for entry in listed} == {QUERY}
    shown = cluster.lake("statements", "show", listed[0]["statement_id"], "--json").json
    assert (shown["status"], shown["parts"][0]["rows"]) == ("FINISHED", len(story.again))
