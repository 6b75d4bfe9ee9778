"""`lake erase` asks the job of the domain, keeps the key out of everything that stays, and says what is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cli.erase import ended_badly, erase, followers_of, key_of
from cli.erase_results import Erasure
from cli.errors import CommandError, WrongUseError
from cli.output import TextOutput
from cli.progress import Progress
from cli.run import machine_arn
from cli.runs import runs
from lakehouse.erasures import ErasureReport, ErasureRequest, ErasureStore, FileErasure, TableErasure, key_digest, pipeline_of
from lakehouse.leases import Holder, Leases
from lakehouse.run_ids import new_run_id
from tests.cli.conftest import Shop

DATASET = "tpch.customer"
KEY = ["c_custkey=4711"]
TABLES = tuple(
    TableErasure(table=f"{zone}.{DATASET}", rows=1, others=2, unreadable=0, files=1, snapshots=1) for zone in ("silver", "bronze")
)


class Busy(Exception):
    """As Glue says it."""


class Glue:
    """Glue as far as the verb goes: one job, whose run does what a test says."""

    class exceptions:  # noqa: N801 - as boto3 has it
        ConcurrentRunsExceededException = Busy

    def __init__(
        self, shop: Shop, work: Callable[[ErasureRequest], ErasureReport | None], *, state: str = "SUCCEEDED", busy: bool = False
    ) -> None:
        self.store = ErasureStore(client=shop.client("s3"), bucket=shop.names.bucket("logs"))
        self.work, self.state, self.busy = work, state, busy
        self.asked: list[ErasureRequest] = []
        self.started: list[dict[str, Any]] = []

    def start_job_run(self, **given: Any) -> dict[str, str]:
        if self.busy:
            raise Busy
        self.started.append(given)
        self.asked.append(self.store.asked(given["Arguments"]["--request"]))
        return {"JobRunId": "jr_1"}

    def get_job_run(self, **_: Any) -> dict[str, Any]:
        report = self.work(self.asked[-1])
        if report is not None:
            self.store.report(report)
        return {"JobRun": {"JobRunState": self.state, "ErrorMessage": "it broke"}}


def report(request: ErasureRequest, **changes: Any) -> ErasureReport:
    plain = ErasureReport(
        run_id=request.run_id,
        dataset=request.dataset,
        key_columns=tuple(request.key),
        key_sha256=request.key_sha256,
        requested_by=request.requested_by,
        outcome="ERASED" if request.is_erasing else "PLANNED",
        tables=TABLES,
    )
    return replace(plain, **changes)


def tell(**changes: Any) -> Callable[[ErasureRequest], ErasureReport]:
    return lambda request: report(request, **changes)


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """With a bucket for requests and reports."""
    shop.client("s3").create_bucket(Bucket=shop.names.bucket("logs"))
    return shop


def ask(shop: Shop, progress: Progress, glue: Glue, *, key: list[str] = KEY, is_erasing: bool = False, dataset: str = DATASET) -> Erasure:
    shop.session._clients["glue"] = glue  # pyright: ignore[reportPrivateUsage] - moto runs no jobs
    return erase(shop.session, dataset=dataset, key=key, is_erasing=is_erasing, timeout_seconds=60, progress=progress, sleep=lambda _: None)


def test_without_yes_it_shows_what_there_is_and_where_else(shop: Shop, progress: Progress) -> None:
    glue = Glue(shop, tell(files=(FileErasure(uri="s3://raw/a.csv", version="1", rows=1, others=9, note="holds rows with the key"),)))
    found = ask(shop, progress, glue)
    assert (found.outcome, [table.table for table in found.tables], found.files[0].others) == (
        "PLANNED", [f"silver.{DATASET}", f"bronze.{DATASET}"], 9,
    )  # fmt: skip
    assert [asked.is_erasing for asked in glue.asked] == [False]
    text = "\n".join(found.elsewhere)
    assert (
        "gold.tpch.daily_revenue: a run of daily_revenue, which --yes starts, computes it anew; its old snapshots expire after 5 days"
        in text
    )
    assert "results of queries and UNLOADs: they expire after" in text
    assert "the producer: a new file that holds the row brings it again" in text
    assert ended_badly(found) == ""


def test_the_key_is_in_the_request_alone(shop: Shop, progress: Progress) -> None:
    glue = Glue(shop, tell())
    found = ask(shop, progress, glue)
    (request,) = glue.asked
    assert (request.key, request.ingests, request.is_resumed) == ({"c_custkey": "4711"}, ("customer",), False)
    assert "lake-" in request.requested_by
    (given,) = glue.started
    assert given["JobName"] == shop.names.eraser("tpch")
    assert given["Arguments"] == {"--request": f"erasures/requests/tpch/{request.run_id}.json"}
    assert "4711" not in json.dumps([given, found.key_sha256, found.report, found.elsewhere])


def test_what_follows_is_computed_anew_once_the_rows_are_gone(shop: Shop, progress: Progress) -> None:
    started: list[str] = []

    def work(request: ErasureRequest) -> ErasureReport:
        assert not started
        return report(request)

    def end(seconds: float) -> None:
        states = shop.client("stepfunctions")
        (execution,) = states.list_executions(stateMachineArn=machine_arn(shop.session, "daily_revenue"))["executions"]
        given = json.loads(states.describe_execution(executionArn=execution["executionArn"])["input"])
        started.append(given["pipeline"])
        shop.audit.start_run(pipeline="daily_revenue", run_id=given["run_id"], trigger="manual")
        shop.audit.end_run(pipeline="daily_revenue", run_id=given["run_id"], status="SUCCEEDED")

    shop.session._clients["glue"] = Glue(shop, work)  # pyright: ignore[reportPrivateUsage]
    found = erase(shop.session, dataset=DATASET, key=KEY, is_erasing=True, timeout_seconds=60, progress=progress, sleep=end)
    assert [(again.pipeline, again.status) for again in found.runs] == [("daily_revenue", "SUCCEEDED")]
    assert started == ["daily_revenue"]


def test_pipelines_that_compute_gold_from_a_dataset_follow_it(shop: Shop) -> None:
    assert [spec.name for spec in followers_of(shop.session, shop.session.contract(DATASET))] == ["daily_revenue"]
    assert [spec.name for spec in followers_of(shop.session, shop.session.contract("shop.products"))] == ["shop_sales"]


@pytest.mark.parametrize(
    ("dataset", "key", "message"),
    [
        ("tpch.customers", KEY, r"there is no dataset 'tpch\.customers'.*tpch\.customer"),
        (DATASET, ["c_custkey"], r"'c_custkey' is no value of a key column: write COLUMN=VALUE, such as c_custkey=42"),
        (DATASET, ["c_custkey="], r"'c_custkey=' is no value of a key column"),
        (DATASET, ["c_cust=1"], r"tpch\.customer has no column 'c_cust': did you mean c_custkey\?"),
        (DATASET, ["c_name=Ann"], r"c_name is no key column of tpch\.customer, and rows are erased by their key only: c_custkey"),
        (DATASET, ["c_custkey=1", "c_custkey=2"], r"c_custkey stands twice: erase one key at a time"),
        (DATASET, [], r"the key is missing: write one or more of c_custkey=VALUE"),
        ("tpch.daily_revenue", ["day=1"], r"tpch\.daily_revenue is written by a transform: erase from the datasets that it reads"),
    ],
)
def test_what_is_no_key_is_refused_and_nothing_is_started(
    shop: Shop, progress: Progress, dataset: str, key: list[str], message: str
) -> None:
    glue = Glue(shop, tell())
    with pytest.raises(WrongUseError, match=message):
        ask(shop, progress, glue, dataset=dataset, key=key)
    assert glue.started == []


def test_a_part_of_a_key_means_all_rows_that_have_it(shop: Shop) -> None:
    contract = shop.session.contract("tpch.lineitem")
    assert key_of(contract, ["l_orderkey=1"]) == {"l_orderkey": "1"}
    assert key_of(contract, ["l_linenumber=2", "l_orderkey=a=b"]) == {"l_linenumber": "2", "l_orderkey": "a=b"}


def test_a_run_under_way_is_named_and_nothing_is_started(shop: Shop, progress: Progress) -> None:
    glue, run_id = Glue(shop, tell()), new_run_id()
    leases = Leases(client=shop.client("dynamodb"), table=shop.names.run_table("control"))
    holder = Holder(pipeline="customer", run_id=run_id)
    shop.audit.start_run(pipeline="customer", run_id=run_id, trigger="arrival")
    leases.acquire(tables=["silver_tpch.customer"], holder=holder, seconds=60, is_over=lambda _: False)
    with pytest.raises(
        CommandError, match=rf"run {run_id} of customer is under way on silver_tpch\.customer: erase again when it has ended"
    ):
        ask(shop, progress, glue, is_erasing=True)
    assert glue.started == []
    assert ask(shop, progress, glue).outcome == "PLANNED", "looking disturbs nobody"
    shop.audit.end_run(pipeline="customer", run_id=run_id, status="FAILED")
    glue.work = tell(outcome="INCOMPLETE")
    assert ask(shop, progress, glue, is_erasing=True).outcome == "INCOMPLETE", "a run that has ended holds nothing"


@pytest.mark.parametrize("outcome", ["REFUSED", "NOT_FOUND"])
def test_what_the_job_refuses_or_does_not_find_is_told(shop: Shop, progress: Progress, outcome: str) -> None:
    with pytest.raises(CommandError, match=r"^no row has it$"):
        ask(shop, progress, Glue(shop, tell(outcome=outcome, message="no row has it")), is_erasing=True)


def test_a_job_that_says_nothing_is_told_with_its_log(shop: Shop, progress: Progress) -> None:
    with pytest.raises(CommandError, match=r"ended FAILED before it could tell anything: it broke.*/jobs/erase-tpch/error"):
        ask(shop, progress, Glue(shop, lambda _: None, state="FAILED"))


def test_two_at_once_in_a_domain_are_refused(shop: Shop, progress: Progress) -> None:
    with pytest.raises(CommandError, match=r"another erasure in tpch is under way, and there is one at a time"):
        ask(shop, progress, Glue(shop, tell(), busy=True), is_erasing=True)


@pytest.mark.parametrize(("status", "is_resumed"), [("FAILED", True), ("SUCCEEDED", False), (None, True)])
def test_an_erasure_that_did_not_end_well_is_gone_on_with(shop: Shop, progress: Progress, status: Any, *, is_resumed: bool) -> None:
    run_id, pipeline = new_run_id(), pipeline_of(DATASET)
    digest = key_digest(DATASET, {"c_custkey": "4711"})
    shop.audit.start_run(pipeline=pipeline, run_id=run_id, trigger="manual", batch_id=digest)
    if status is not None:
        shop.audit.end_run(pipeline=pipeline, run_id=run_id, status=status)
    glue = Glue(shop, tell())
    ask(shop, progress, glue)
    ask(shop, progress, glue, key=["c_custkey=4712"])
    assert [asked.is_resumed for asked in glue.asked] == [is_resumed, False]


def test_what_is_left_makes_the_command_fail(shop: Shop, progress: Progress) -> None:
    found = ask(shop, progress, Glue(shop, tell(outcome="INCOMPLETE", message="3 objects are young")), is_erasing=True)
    assert ended_badly(found) == "not everything is erased: 3 objects are young"
    assert found.runs == [], "gold is computed anew only when the rows are gone"


def test_a_follower_that_failed_makes_the_command_fail(shop: Shop, progress: Progress) -> None:
    found = ask(shop, progress, Glue(shop, tell()))
    shop.session._clients.pop("glue")  # pyright: ignore[reportPrivateUsage]
    run_id = new_run_id()
    shop.audit.start_run(pipeline="daily_revenue", run_id=run_id, trigger="manual")
    shop.audit.end_run(pipeline="daily_revenue", run_id=run_id, status="FAILED", reason="job_failed")
    left = ended_badly(replace(found, outcome="ERASED", runs=runs(shop.session).runs))
    assert left.startswith("the rows are erased, but daily_revenue did not compute what follows from them")


@pytest.mark.parametrize(
    ("outcome", "last"), [("PLANNED", "nothing was changed; next: the same command with --yes"), ("ERASED", "report: s3://")]
)
def test_people_are_shown_tables_files_and_what_is_elsewhere(
    shop: Shop, progress: Progress, capsys: pytest.CaptureFixture[str], outcome: str, last: str
) -> None:
    mine = FileErasure(uri="s3://raw/mine.csv", version="v1", rows=1, others=9, note="holds rows with the key")
    odd = FileErasure(uri="s3://raw/odd.csv", version="v2", note="unreadable_file")
    found = ask(shop, progress, Glue(shop, tell(files=(mine,), unsearched=(odd,), staged=3)))
    TextOutput().show(replace(found, outcome=outcome))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"tpch.customer, key c_custkey (sha256 {found.key_sha256[:16]}…): {outcome}")
    assert any(line.split()[:4] == ["silver.tpch.customer", "1", "2", "1"] for line in lines)
    assert any(line.split()[:4] == ["s3://raw/mine.csv", "v1", "1", "9"] for line in lines)
    assert "versions of raw files that nobody could search" in lines
    assert any(line.startswith("- gold.tpch.daily_revenue: ") for line in lines)
    assert lines[-1].startswith(last)
