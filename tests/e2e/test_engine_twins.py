"""One word moves a pipeline to another engine: the same files give the same tables on Glue's Spark, on EMR Serverless's and on a cluster's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.results import Run
from local.tpch.dirty import DIRTY_DAY, write_dirty_drop
from local.tpch.drops import generate
from tests.e2e.conftest import Checkout, new_checkout
from tests.e2e.rows import csv
from tests.e2e.shop import strike

pytestmark = [pytest.mark.e2e, pytest.mark.apart, pytest.mark.timeout(900)]

SERVERLESS, CLUSTER = "orders_emr", "orders_cluster"
TWINS = {SERVERLESS: "emr-serverless", CLUSTER: "emr"}
"""Datasets that are orders but for their name and their engine."""

REPORT = "daily_revenue"
"""Pipeline that the clock starts, on a cluster."""

NOT_COMPARED = {"_source_file", "_source_version", "_sequence", "_batch_id", "_ingested_at", "_run_id", "_quarantined_at"}
"""Columns that say where and when a row came from."""


def move(root: Path) -> None:
    """Author the twins."""
    for twin, engine in TWINS.items():
        for name in ("odcs.yaml", "lock.json"):
            text = (root / "contracts" / "tpch" / f"orders.{name}").read_text(encoding="utf-8")
            for before, after in (
                ("tpch.orders", f"tpch.{twin}"), ("tpch/orders/", f"tpch/{twin}/"), ("id: orders\n", f"id: {twin}\n"),
                ("name: orders\n", f"name: {twin}\n"), ("element: orders.", f"element: {twin}."),
            ):  # fmt: skip
                text = text.replace(before, after)
            (root / "contracts" / "tpch" / f"{twin}.{name}").write_text(text, encoding="utf-8")
        pipeline = (root / "pipelines" / "orders.yaml").read_text(encoding="utf-8")
        moved = pipeline.replace("pipeline: orders", f"pipeline: {twin}").replace("tpch.orders", f"tpch.{twin}")
        (root / "pipelines" / f"{twin}.yaml").write_text(moved.replace("engine: glue", f"engine: {engine}"), encoding="utf-8")
    report = root / "pipelines" / f"{REPORT}.yaml"
    text = report.read_text(encoding="utf-8").replace("{after: [orders, customer, lineitem]}", '{schedule: "cron(0 3 * * ? *)"}')
    report.write_text(text.replace("engine: glue", "engine: emr"), encoding="utf-8")


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A platform on which all engines got the same clean and dirty files."""
    with new_checkout(tmp_path_factory.mktemp("engines"), change=move) as checkout:
        drops = generate(scale=0.001, days=1, out=checkout.work / "tpch")
        files = [drop.path for drop in drops.of("tpch.orders")] + [path for _, path in write_dirty_drop(checkout.work / "dirty")]
        for dataset in ("orders", *TWINS):
            checkout.drop(f"tpch.{dataset}", files, day=DIRTY_DAY)
        for dataset in ("tpch.customer", "tpch.lineitem"):
            checkout.drop(dataset, [drop.path for drop in drops.of(dataset)], day=DIRTY_DAY)
        checkout.wait(code=1)
        yield checkout


def rows(checkout: Checkout, table: str) -> list[Any]:
    """Rows of a table, by value, without what tells the deliveries apart."""
    columns = [row[0].split("\t")[0].strip() for row in checkout.sql(f"SHOW COLUMNS IN {table}")]
    wanted = ", ".join(f'"{name}"' for name in columns if name not in NOT_COMPARED)
    return sorted(checkout.sql(f"SELECT {wanted} FROM {table}"), key=str)  # maps have no order in SQL


def ended(runs: list[Run]) -> list[Any]:
    """What became of runs: status, reason, counts."""
    return sorted((run.status, run.reason or "", str(run.counts)) for run in runs)


@pytest.mark.parametrize("twin", TWINS)
def test_every_engine_makes_the_same_of_the_same_files(twins: Checkout, twin: str) -> None:
    assert ended(twins.runs("orders")) == ended(twins.runs(twin))


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("zone", ["bronze", "silver", "quarantine"])
def test_the_tables_of_all_engines_are_equal(twins: Checkout, zone: str, twin: str) -> None:
    found, wanted = rows(twins, f"{zone}_tpch.{twin}"), rows(twins, f"{zone}_tpch.orders")
    assert wanted
    assert found == wanted


def test_the_twin_ran_on_emr_serverless_and_its_audit_says_where_its_log_is(twins: Checkout) -> None:
    steps = [step for run in twins.runs(SERVERLESS) for step in twins.show(run).steps]
    assert {step.engine for step in steps} == {"emr-serverless"}
    emr, logs = twins.client("emr-serverless"), twins.client("logs")
    (application,) = emr.list_applications()["applications"]
    runs = {run["id"]: run for run in emr.list_job_runs(applicationId=application["id"])["jobRuns"]}
    assert {runs[step.job_run_id]["releaseLabel"] for step in steps} == {"emr-spark-8.0.0"}
    for step in steps:
        events = logs.get_log_events(logGroupName=step.log_group, logStreamName=step.log_stream, startFromHead=True)["events"]
        assert any("lakehouse" in event["message"] for event in events), step


def test_what_the_twin_on_emr_serverless_cost_is_what_it_was_billed_for(twins: Checkout) -> None:
    found = twins.lake("costs", "--json").json
    jobs = {job["step"]: job for job in found["jobs"] if job["pipeline"] == SERVERLESS}
    assert {job["engine"] for job in jobs.values()} == {"emr-serverless"}
    assert sum(job["runs"] for job in jobs.values()) == sum(len(twins.show(run).steps) for run in twins.runs(SERVERLESS))
    assert all(job["vcpu_hours"] > 0 and job["memory_gb_hours"] > 0 and job["price"] > 0 for job in jobs.values())
    s3, bucket = twins.session.client("s3"), twins.names.bucket("logs")
    for step in jobs:
        kept = s3.list_objects_v2(Bucket=bucket, Prefix=f"spark-events/{twins.names.job(SERVERLESS, step)}/")["Contents"]
        assert any("/sparklogs/eventlog_v2_" in found["Key"] for found in kept)


def test_the_twin_ran_on_a_cluster_of_its_run_that_has_ended_and_its_log_is_read(twins: Checkout) -> None:
    emr, runs = twins.client("emr"), [run for run in twins.runs(CLUSTER) if run.status != "SKIPPED"]
    steps = [step for run in runs for step in twins.show(run).steps]
    assert {step.engine for step in steps} == {"emr"}
    clusters = [emr.describe_cluster(ClusterId=one["Id"])["Cluster"] for one in emr.list_clusters()["Clusters"]]
    tags = {next(tag["Value"] for tag in cluster["Tags"] if tag["Key"] == "run_id"): cluster for cluster in clusters}
    assert set(tags) == {run.run_id for run in runs}
    assert {(cluster["Status"]["State"], cluster["ReleaseLabel"]) for cluster in clusters} == {("TERMINATED", "emr-spark-8.0.0")}
    for run in runs:
        assert "lakehouse" in twins.lake("logs", run.run_id).out


def test_a_step_that_fails_on_a_cluster_leaves_no_cluster_and_a_run_that_is_recorded_and_told(twins: Checkout) -> None:
    known, iam, emr = twins.runs(), twins.client("iam"), twins.client("emr")
    earlier = {one["Id"] for one in emr.list_clusters()["Clusters"]}
    cluster = next(iter(earlier))
    steps = [emr.describe_step(ClusterId=cluster, StepId=one["Id"])["Step"] for one in emr.list_steps(ClusterId=cluster)["Steps"]]
    (role,) = (step["ExecutionRoleArn"].rsplit("/", 1)[-1] for step in steps if "refine" in step["Name"])
    taken = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "glue:UpdateTable", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="taken-away", PolicyDocument=json.dumps(taken))
    twins.drop(f"tpch.{CLUSTER}", [twins.write("denied.csv", csv("orders", range(900_001, 900_005)))], day="1998-08-04")
    twins.wait(code=1)
    (run,) = twins.new_runs(known, CLUSTER)
    steps = twins.show(run).steps
    assert (run.status, {step.status for step in steps if step.step == "refine"}) == ("FAILED", {"FAILED"})
    assert run.reason == "access_denied"
    assert "ForbiddenException" in str(run.message)  # what Glue said comes after a stack trace, where the message is cut
    recorded = twins.session.audit.get_run(run.run_id)
    assert recorded is not None
    assert recorded.notified_at is not None
    clusters = [emr.describe_cluster(ClusterId=one["Id"])["Cluster"] for one in emr.list_clusters()["Clusters"] if one["Id"] not in earlier]
    assert clusters
    assert {cluster["Status"]["State"] for cluster in clusters} <= {"TERMINATED", "TERMINATED_WITH_ERRORS"}


def test_the_clock_starts_a_pipeline_on_a_cluster_of_its_run_that_ends_with_it(twins: Checkout) -> None:
    known, emr = twins.runs(), twins.client("emr")
    earlier = {one["Id"] for one in emr.list_clusters()["Clusters"]}
    strike(twins, [REPORT])
    twins.wait()
    (run,) = twins.new_runs(known)
    assert (run.pipeline, run.trigger, run.status) == (REPORT, "schedule", "SUCCEEDED")
    assert {step.engine for step in twins.show(run).steps} == {"emr"}
    (made,) = [one for one in emr.list_clusters()["Clusters"] if one["Id"] not in earlier]
    cluster = emr.describe_cluster(ClusterId=made["Id"])["Cluster"]
    assert {"Key": "run_id", "Value": run.run_id} in cluster["Tags"]
    assert cluster["Status"]["State"] == "TERMINATED"
    ((count,),) = twins.sql("SELECT count(*) FROM gold_tpch.daily_revenue")
    assert int(count) > 0
