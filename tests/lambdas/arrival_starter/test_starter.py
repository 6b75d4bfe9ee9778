"""Files and upstream successes become runs: few, once each, and with a reason where they become none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from constructs_lib.orchestration.definition import definition
from constructs_lib.orchestration.steps import GlueStep, MachineFunctions
from lakehouse.audit_records import FileRecord
from lakehouse.claims import Claims, Standing
from lakehouse.clock import from_text
from lambdas.arrival_starter.starter import Message
from tests.lambdas.world import AUDIT, FOLDER, FUNCTION_SECONDS, LOGS, MACHINE, PIPELINE, RAW, Crash, Trap, World, make_tables


def test_a_batch_of_files_becomes_one_run_with_a_manifest_of_versions(world: World) -> None:
    events = [world.drop(f"part-{number:02}.csv", f"id\n{number}\n".encode()) for number in range(30)]

    assert world.deliver(events, workers=8) == []

    (execution,) = world.states.executions.values()
    manifest = world.manifest(execution)
    assert [file.key for file in manifest.files] == [f"{FOLDER}part-{number:02}.csv" for number in range(30)]
    first = manifest.files[0]
    assert (first.bucket, first.format, first.compression, first.size) == (RAW, "csv", None, 5)
    assert first.version_id == events[0]["detail"]["object"]["version-id"]
    assert first.sha256 == hashlib.sha256(b"id\n0\n").hexdigest()
    assert first.sequence == f"{events[0]['time']}#{events[0]['detail']['object']['sequencer']}{'0' * 14}"
    assert execution.name == f"{manifest.batch_id[:40]}-1"
    assert execution.input == {
        "pipeline": PIPELINE,
        "run_id": execution.input["run_id"],
        "attempt": 1,
        "trigger": "arrival",
        "manifest": f"s3://{LOGS}/manifests/tpch/orders/{manifest.batch_id}.json",
        "batch_id": manifest.batch_id,
        "files": 30,
    }


def test_redelivered_messages_start_nothing_more(world: World) -> None:
    events = [world.drop("a b+c%20ü.csv", b"a"), world.drop("b.csv", b"b")]
    world.deliver(events)

    assert world.deliver(events) == []
    assert world.deliver([events[1]]) == []
    assert world.deliver([events[0], events[0]]) == []
    assert world.names() == [["a b+c%20ü.csv", "b.csv"]]


def test_the_same_message_twice_in_a_batch_counts_once(world: World) -> None:
    event = world.drop("a.csv", b"a")
    assert world.deliver([event, event]) == []
    assert world.names() == [["a.csv"]]


def test_the_same_drop_three_times_is_loaded_once(world: World) -> None:
    for _ in range(3):
        events = [world.drop(f"{name}.csv", name.encode()) for name in "abc"]
        assert world.deliver(events) == []
        for execution in world.states.executions.values():
            world.end(execution)

    assert world.names() == [["a.csv", "b.csv", "c.csv"]]
    assert [run.reason for run in world.audit.runs(statuses=("SKIPPED",))] == ["same_content"] * 6


def test_a_new_version_with_other_bytes_is_a_new_arrival_and_going_back_too(world: World) -> None:
    for content in (b"A", b"B", b"A"):
        assert world.deliver([world.drop("a.csv", content)]) == []
        for execution in world.states.executions.values():
            world.end(execution)

    assert len(world.states.executions) == 3
    sequences = [world.manifest(execution).files[0].sequence for execution in world.states.executions.values()]
    assert sequences == sorted(sequences)


def test_versions_of_one_file_in_one_batch_are_judged_in_their_order(world: World) -> None:
    events = [world.drop("a.csv", content) for content in (b"A", b"B", b"A", b"A")]
    assert world.deliver(list(reversed(events))) == []
    assert world.loaded() == [sorted(("a.csv", event["detail"]["object"]["version-id"]) for event in events[:3])]
    assert world.skips() == {"a.csv": "same_content"}


def test_a_version_that_comes_late_revives_the_one_that_was_skipped_for_want_of_it(world: World) -> None:
    first, late, last = (world.drop("a.csv", content) for content in (b"A", b"B", b"A"))
    world.deliver([first])
    world.deliver([last])
    assert world.skips() == {"a.csv": "same_content"}

    assert world.deliver([late]) == []

    versions = [late["detail"]["object"]["version-id"], last["detail"]["object"]["version-id"]]
    assert sorted(world.loaded()[1]) == sorted(("a.csv", version) for version in versions)


def test_the_same_bytes_under_another_name_are_skipped_and_the_reason_says_where_they_are(world: World) -> None:
    world.deliver([world.drop("a.csv", b"same")])
    world.deliver([world.drop("b.csv", b"same")])

    (skipped,) = world.audit.runs(statuses=("SKIPPED",))
    assert (skipped.reason, skipped.source) == ("same_content", f"{FOLDER}b.csv")
    assert f"{FOLDER}a.csv" in skipped.message
    assert next(iter(world.states.executions.values())).input["run_id"] in skipped.message


@pytest.mark.parametrize(("first", "second"), [("a.json", "a.csv"), ("a.csv", "b.json"), ("a.csv", "a.csv.gz"), ("a.csv.gz", "a.json.gz")])
def test_the_same_bytes_read_in_another_way_are_another_content(world: World, first: str, second: str) -> None:
    for name in (first, second, f"again-{second}"):
        assert world.deliver([world.drop(name, b"k,v\n1,2\n")]) == []
        for execution in world.states.executions.values():
            world.end(execution)
    assert world.names() == [[first], [second]]
    assert world.skips() == {f"again-{second}": "same_content"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("_SUCCESS", b"", "marker_file"),
        ("_committed_123.json", b"{}", "marker_file"),
        (".hidden.csv", b"x", "marker_file"),
        (".part-0.csv.crc", b"x", "marker_file"),
        ("part-0.csv.crc", b"x", "marker_file"),
        ("_temporary/0/part-0.csv", b"x", "marker_file"),
        ("", b"", "marker_file"),
        ("sub/", b"", "marker_file"),
        ("a_$folder$", b"", "marker_file"),
        ("empty.csv", b"", "empty_file"),
        ("notes.txt", b"x", "unknown_suffix"),
        ("archive.zip", b"x", "unknown_suffix"),
        ("csv", b"x", "unknown_suffix"),
        ("a.parquet.gz", b"x", "unknown_suffix"),
        ("a.gz", b"x", "unknown_suffix"),
    ],
)
def test_a_file_that_holds_no_rows_for_us_is_skipped_with_a_reason(world: World, name: str, content: bytes, reason: str) -> None:
    good = world.drop("good.csv", b"g")
    assert world.deliver([world.drop(name, content), good]) == []

    (skipped,) = world.audit.runs(statuses=("SKIPPED",))
    assert (skipped.reason, skipped.source) == (reason, FOLDER + name)
    assert skipped.message
    assert skipped.files == {"loaded": 0, "skipped": 1, "rejected": 0}
    assert world.names() == [["good.csv"]]


@pytest.mark.parametrize(
    "folder",
    [
        "tpch/orders/",
        "tpch/orders/2026/11/22/",
        "tpch/orders/year=2026/month=13/day=01/",
        "tpch/orders/year=2026/month=02/day=30/",
        "tpch/orders/year=26/month=2/day=3/",
        "tpch/orders/year=2026/month=11/",
        "tpch/orders/x/year=2026/month=11/day=22/",
    ],
)
def test_a_file_outside_the_layout_is_skipped(world: World, folder: str) -> None:
    assert world.deliver([world.drop("a.csv", b"a", folder=folder)]) == []
    assert world.skips() == {"a.csv": "outside_layout"}


@pytest.mark.parametrize(
    ("name", "format_", "compression"),
    [
        ("a.csv", "csv", None),
        ("A.CSV", "csv", None),
        ("a.csv.gz", "csv", "gzip"),
        ("a.json", "json", None),
        ("a.jsonl", "json", None),
        ("a.ndjson.gz", "json", "gzip"),
        ("a.snappy.parquet", "parquet", None),
        ("a b+c%20ü.csv", "csv", None),
    ],
)
def test_the_end_of_the_name_says_how_a_file_is_read(world: World, name: str, format_: str, compression: str | None) -> None:
    assert world.deliver([world.drop(name, b"x", folder=f"{FOLDER}deeper/")]) == []
    (execution,) = world.states.executions.values()
    (file,) = world.manifest(execution).files
    assert (file.key, file.format, file.compression) == (f"{FOLDER}deeper/{name}", format_, compression)


def test_a_format_that_the_contract_does_not_accept_is_skipped(world: World) -> None:
    assert world.deliver([world.drop("a.parquet", b"x")], formats=frozenset({"csv"})) == []
    assert world.skips() == {"a.parquet": "unknown_suffix"}


def test_a_file_of_a_failed_run_whose_format_is_accepted_no_more_is_skipped_and_no_others_fail(world: World) -> None:
    old = world.drop("a.parquet", b"p")
    world.deliver([old])
    world.end(next(iter(world.states.executions.values())), "FAILED", "job_failed")

    csv = frozenset({"csv"})
    for _ in range(2):
        assert world.deliver([old, world.drop("good.csv", b"g")], formats=csv) == []
    assert world.names() == [["a.parquet"], ["good.csv"]]
    assert world.skips() == {"a.parquet": "unknown_suffix", "good.csv": "same_content"}

    assert world.deliver([world.drop("b.parquet", b"p")]) == [], "nothing that was skipped for its name holds content"
    assert world.names()[2:] == [["b.parquet"]]


def test_a_skipped_file_is_noted_once_however_often_it_is_told(world: World) -> None:
    event = world.drop("_SUCCESS", b"")
    for _ in range(3):
        assert world.deliver([event]) == []
    assert len(world.audit.runs(statuses=("SKIPPED",))) == 1


def _with(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    detail = {**event["detail"], **changes.pop("detail", {})}
    return {**event, **changes, "detail": detail}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda event: _with(event, detail={"bucket": {"name": "other"}}),
        lambda event: _with(
            event, detail={"object": {**event["detail"]["object"], "key": "tpch/customer/year=2026/month=11/day=22/a.csv"}}
        ),
        lambda event: _with(event, detail={"object": {**event["detail"]["object"], "version-id": None}}),
        lambda event: _with(event, detail={"object": {**event["detail"]["object"], "sequencer": None}}),
        lambda event: _with(event, **{"detail-type": "Object Deleted"}),
        lambda _: {"Records": [{"eventSource": "aws:s3", "s3": {}}]},
        lambda _: "no json",
        lambda _: "[]",
        lambda _: "{}",
    ],
)
def test_what_is_not_for_this_function_fails_alone_and_goes_to_the_dead_letters(world: World, spoil: Any) -> None:
    bad, good = spoil(world.drop("bad.csv", b"b")), world.drop("good.csv", b"g")
    assert world.deliver([bad, good]) == ["0"]
    assert world.names() == [["good.csv"]]


def _from_a_topic(event: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": json.dumps(event)}


@pytest.mark.parametrize("wrapped", [dict, _from_a_topic])
def test_the_test_event_of_s3_is_taken_and_forgotten(world: World, wrapped: Any) -> None:
    assert world.deliver([wrapped({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": RAW})]) == []


def test_an_event_that_comes_by_a_topic_is_the_event(world: World) -> None:
    event = world.drop("a.csv", b"a")
    assert world.deliver([_from_a_topic(event), event]) == []
    assert world.deliver([_from_a_topic(event)]) == []
    assert world.names() == [["a.csv"]]


def test_a_version_that_is_gone_stays_in_the_manifest_so_that_the_job_reports_it(world: World) -> None:
    gone, kept = world.drop("gone.csv", b"x"), world.drop("kept.csv", b"y")
    world.s3.delete_object(Bucket=RAW, Key=f"{FOLDER}gone.csv", VersionId=gone["detail"]["object"]["version-id"])

    assert world.deliver([gone, kept]) == []

    (execution,) = world.states.executions.values()
    assert [(file.key[-8:], file.sha256 is None) for file in world.manifest(execution).files] == [("gone.csv", True), ("kept.csv", False)]


def test_a_file_that_was_deleted_or_replaced_meanwhile_is_loaded_in_the_version_that_arrived(world: World) -> None:
    event = world.drop("a.csv", b"first")
    world.drop("a.csv", b"second")
    world.s3.delete_object(Bucket=RAW, Key=f"{FOLDER}a.csv")

    assert world.deliver([event]) == []
    assert world.loaded() == [[("a.csv", event["detail"]["object"]["version-id"])]]


def test_the_checksum_of_s3_spares_reading_the_file(world: World) -> None:
    world.clock.pass_seconds(1)
    answer = world.s3.put_object(Bucket=RAW, Key=f"{FOLDER}a.csv", Body=b"abc", ChecksumAlgorithm="SHA256")
    trap = Trap()
    world.deliver([world.event(f"{FOLDER}a.csv", version=answer["VersionId"], size=3)], trap=trap)

    (execution,) = world.states.executions.values()
    assert world.manifest(execution).files[0].sha256 == hashlib.sha256(b"abc").hexdigest()
    assert "get_object" not in trap.calls


class _SlowS3:
    """Answers as S3 does, but every piece of a file takes its time."""

    def __init__(self, world: World, *, seconds: float) -> None:
        self._world, self._seconds = world, seconds
        self.pieces = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.s3, name)

    def get_object(self, **request: Any) -> dict[str, Any]:
        answer = self._world.s3.get_object(**request)
        return {**answer, "Body": _SlowBody(self, answer["Body"])}

    def wait(self) -> None:
        self.pieces += 1
        self._world.clock.pass_seconds(self._seconds)


class _SlowBody:
    def __init__(self, s3: _SlowS3, body: Any) -> None:
        self._s3, self._body = s3, body

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        for piece in self._body.iter_chunks(size):
            self._s3.wait()
            yield piece

    def close(self) -> None:
        self._body.close()


def test_files_that_cannot_be_read_in_time_are_told_apart_by_their_tag_and_all_start(world: World) -> None:
    events = [world.drop(f"{number}.csv", bytes([number]) * 5 * 1024 * 1024) for number in range(4)]
    slow = _SlowS3(world, seconds=4)
    assert world.deliver(events, s3=slow) == []
    assert slow.pieces * 4 <= FUNCTION_SECONDS / 2 + 4, "reading stops when half of the time is over"

    (execution,) = world.states.executions.values()
    assert [file.sha256 is None for file in world.manifest(execution).files] == [False, True, True, True]
    claims = [world.claims.versions(bucket=RAW, key=f"{FOLDER}{number}.csv")[0] for number in range(4)]
    assert len({claim.digest for claim in claims}) == 4
    assert [(claim.digest or "").startswith("etag:") for claim in claims] == [False, True, True, True]


def test_what_is_known_of_a_files_bytes_is_not_read_again(world: World) -> None:
    event = world.drop("a.csv", b"a")
    world.deliver([event])
    world.end(next(iter(world.states.executions.values())), "FAILED", "job_failed")

    trap = Trap()
    assert world.deliver([event], trap=trap) == []
    assert {"head_object", "get_object"}.isdisjoint(trap.calls)
    first, second = (world.manifest(execution).files[0] for execution in world.states.executions.values())
    assert (second.sha256, second.size) == (first.sha256, 1)


def test_files_of_a_failed_run_may_be_taken_again_as_the_next_attempt(world: World) -> None:
    event = world.drop("a.csv", b"a")
    world.deliver([event])
    world.end(next(iter(world.states.executions.values())), "FAILED", "job_failed")

    assert world.deliver([event]) == []
    assert [execution.input["attempt"] for execution in world.states.executions.values()] == [1, 2]
    assert [name[-2:] for name in world.states.executions] == ["-1", "-2"]
    assert world.deliver([event]) == []
    assert len(world.states.executions) == 2


def test_the_same_bytes_after_a_failed_run_are_a_new_arrival(world: World) -> None:
    world.deliver([world.drop("a.csv", b"a")])
    world.end(next(iter(world.states.executions.values())), "TIMED_OUT", "timed_out")

    assert world.deliver([world.drop("a.csv", b"a")]) == []
    assert len(world.states.executions) == 2
    assert world.skips() == {}


def test_of_a_run_that_rejected_files_only_those_are_taken_again(world: World) -> None:
    good, bad = world.drop("good.csv", b"good"), world.drop("bad.csv", b"bad")
    world.deliver([good, bad])
    (execution,) = world.states.executions.values()
    world.audit.record_file(
        pipeline=PIPELINE,
        run_id=execution.input["run_id"],
        file=FileRecord(
            source=f"s3://{RAW}/{FOLDER}bad.csv",
            version=bad["detail"]["object"]["version-id"],
            outcome="rejected",
            reason="missing_column",
        ),
    )
    world.end(execution, "FAILED", "files_rejected")

    assert world.deliver([good, bad]) == []
    assert world.names()[1:] == [["bad.csv"]]

    world.deliver([world.drop("good.csv", b"good"), world.drop("bad.csv", b"bad")])
    assert world.names()[2:] == []
    assert set(world.skips()) == {"good.csv", "bad.csv"}


def test_a_start_that_fails_fails_the_messages_and_the_next_delivery_starts_the_very_same_run(world: World) -> None:
    events = [world.drop("a.csv", b"a"), world.drop("b.csv", b"b")]
    world.states.failures.append(RuntimeError("throttled"))
    assert world.deliver(events) == ["0", "1"]

    assert world.deliver([events[1], world.drop("c.csv", b"c")]) == []
    assert sorted(world.names()) == [["a.csv", "b.csv"], ["c.csv"]]
    assert world.deliver([events[0]]) == []
    assert len(world.states.executions) == 2


def test_a_claim_in_other_hands_is_left_for_later(world: World) -> None:
    event = world.drop("a.csv", b"a")
    with pytest.raises(Crash):
        world.deliver([event], trap=Trap(at=1, when="after"))

    assert world.deliver([event]) == ["0"]
    world.clock.pass_seconds(66)
    assert world.deliver([event]) == []
    assert world.names() == [["a.csv"]]


def test_a_run_that_was_decided_upon_but_never_began_is_taken_again_after_a_while(world: World) -> None:
    world.states.on_start = None
    event = world.drop("a.csv", b"a")
    world.deliver([event])

    world.clock.pass_seconds(14 * 60)
    assert world.deliver([event]) == []
    assert len(world.states.executions) == 1
    world.clock.pass_seconds(2 * 60)
    assert world.deliver([event]) == []
    assert [execution.input["attempt"] for execution in world.states.executions.values()] == [1, 2]


def test_a_name_that_a_stranger_holds_is_not_taken_for_ours(world: World) -> None:
    event = world.drop("a.csv", b"a")
    world.deliver([event])
    world.dynamodb.delete_table(TableName="control")
    world.dynamodb.delete_table(TableName=AUDIT)
    make_tables(world.dynamodb)
    assert world.deliver([event]) == ["0"]
    world.clock.pass_seconds(16 * 60)
    assert world.deliver([event]) == []
    assert len(world.states.executions) == 2


def test_a_run_whose_end_was_never_recorded_keeps_nobody_from_its_files_for_ever(world: World) -> None:
    first = world.drop("a.csv", b"a")
    world.deliver([first])
    assert world.deliver([world.drop("b.csv", b"a")]) == []
    assert world.skips() == {"b.csv": "same_content"}

    next(iter(world.states.executions.values())).status = "FAILED"
    world.clock.pass_seconds(25 * 3600)
    assert world.deliver([world.drop("c.csv", b"a")]) == []
    assert world.names() == [["a.csv"], ["c.csv"]]
    assert world.deliver([first]) == []
    assert world.names() == [["a.csv"], ["c.csv"]]
    assert world.skips()["a.csv"] == "same_content"


def test_a_run_that_was_never_recorded_as_begun_is_found_lost_even_if_the_audit_keeps_a_day_only(world: World) -> None:
    world.states.on_start = None
    event = world.drop("a.csv", b"a")
    world.deliver([event])
    claims = Claims(client=world.dynamodb, table=world.control_table, audit=world.audit, audit_ttl_days=1, clock=world.clock)
    claim = claims.get(bucket=RAW, key=f"{FOLDER}a.csv", version_id=event["detail"]["object"]["version-id"])
    assert claim is not None
    for seconds, standing in ((14 * 60, Standing.TAKEN_CARE_OF), (2 * 60, Standing.FREE), (24 * 3600, Standing.TAKEN_CARE_OF)):
        world.clock.pass_seconds(seconds)
        assert claims.standing(claim) is standing


def test_what_the_audit_has_forgotten_counts_as_loaded(world: World) -> None:
    event = world.drop("a.csv", b"a")
    world.deliver([event])
    world.dynamodb.delete_item(
        TableName=AUDIT,
        Key={"pipeline": {"S": PIPELINE}, "sk": {"S": f"{next(iter(world.states.executions.values())).input['run_id']}#run"}},
    )
    world.clock.pass_seconds(100 * 24 * 3600)
    assert world.deliver([event, world.drop("b.csv", b"a")]) == []
    assert len(world.states.executions) == 1


def test_with_too_little_time_left_nothing_is_begun(world: World) -> None:
    event = world.drop("a.csv", b"a")
    starter = world.starter()
    assert starter.start([Message(id="m", body=json.dumps(event))], deadline=world.clock()) == ["m"]
    assert world.states.executions == {}
    assert world.deliver([event]) == []


def test_every_crash_between_two_calls_is_made_good_by_redelivery(world: World) -> None:
    """Whichever call the function dies before (dying after one is dying before the next), every file is loaded exactly once."""
    scouting = Trap()
    world.deliver(_batch(world, "scout"), trap=scouting)
    for number in range(1, len(scouting.calls)):
        name = f"crash{number}"
        events, known = _batch(world, name), set(world.states.executions)
        with pytest.raises(Crash):
            world.deliver(events, trap=Trap(at=number))
        world.clock.pass_seconds(400)
        assert world.deliver(events) == [], name
        new = [execution for execution in world.states.executions.values() if execution.name not in known]
        files = [file.key.rpartition("/")[2] for execution in new for file in world.manifest(execution).files]
        assert sorted(files) == [f"{name}-1.csv", f"{name}-2.csv"], name
    skips = world.skips()
    for number in range(1, len(scouting.calls)):
        assert skips[f"crash{number}-3.csv"] == "same_content"
        assert skips[f"crash{number}.txt"] == "unknown_suffix"
    assert len(skips) == 2 * len(scouting.calls)


def _batch(world: World, name: str) -> list[dict[str, Any]]:
    return [
        world.drop(f"{name}-1.csv", f"{name} one".encode()),
        world.drop(f"{name}-2.csv", f"{name} two".encode()),
        world.drop(f"{name}-3.csv", f"{name} one".encode()),
        world.drop(f"{name}.txt", b"text"),
    ]


def test_two_starters_at_once_load_every_file_once(world: World) -> None:
    events = [world.drop(f"{number}.csv", str(number).encode()) for number in range(12)]
    with ThreadPoolExecutor(max_workers=3) as pool:
        answers = list(pool.map(lambda order: world.deliver(order, workers=2), [events, list(reversed(events)), events[::2]]))
    world.clock.pass_seconds(400)
    for _ in range(2):
        assert world.deliver(events) == []
    files = sorted(name for names in world.names() for name in names)
    assert files == sorted(f"{number}.csv" for number in range(12)), answers


def _success(number: int, **detail: Any) -> dict[str, Any]:
    return {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "time": f"2026-11-22T05:00:{number:02}Z",
        "detail": {
            "executionArn": f"arn:aws:states:us-east-1:123456789012:execution:lake-upstream:{number}",
            "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:lake-upstream",
            "status": "SUCCEEDED",
            **detail,
        },
    }


def test_successes_of_upstream_runs_become_one_run_without_a_manifest(world: World) -> None:
    events = [_success(1), _success(2), _success(3)]
    assert world.deliver([*events, events[0]], trigger="after") == []
    assert world.deliver(events, trigger="after") == []
    (execution,) = world.states.executions.values()
    assert (execution.input["trigger"], execution.input["manifest"], execution.input["files"]) == ("after", None, 0)

    assert world.deliver([_success(4)], trigger="after") == []
    assert len(world.states.executions) == 2


def _output(status: str) -> str:
    """What an execution puts out whose RecordFinish was answered so: its input, with the selected answer where the machine puts it."""
    functions = MachineFunctions(partition="aws", recorder="arn:recorder", notifier="arn:notifier")
    step = GlueStep(name="ingest", job_name="job", timeout_minutes=1)
    machine = definition(functions=functions, pipeline="upstream", steps=[step], tables=[], timeout_minutes=60, has_manifest=True)
    finish = machine["States"]["RecordFinish"]
    answer = {"Payload": {"run_id": "r", "status": status, "reason": "", "message": ""}}
    result = {
        name.removesuffix(".$"): answer["Payload"][path.removeprefix("$.Payload.")] for name, path in finish["ResultSelector"].items()
    }
    return json.dumps({"pipeline": "upstream", "run_id": "r", finish["ResultPath"].removeprefix("$."): result})


def test_nothing_follows_from_an_upstream_run_that_had_nothing_to_do(world: World) -> None:
    assert world.deliver([_success(1, output=_output("SKIPPED"))], trigger="after") == []
    assert world.states.executions == {}
    assert world.deliver([_success(2, output=_output("SUCCEEDED"))], trigger="after") == []
    assert len(world.states.executions) == 1


@pytest.mark.parametrize("output", [None, "no json", "[]", '{"result": "SKIPPED"}', '{"status": "SKIPPED"}'])
def test_an_upstream_run_that_does_not_say_how_it_ended_is_followed(world: World, output: str | None) -> None:
    assert world.deliver([_success(1, output=output)], trigger="after") == []
    assert len(world.states.executions) == 1


@pytest.mark.parametrize(
    ("reason", "loaded", "follows"),
    [("files_rejected", 2, True), ("files_rejected", 0, False), ("quality_gate", 2, False), (None, 0, False)],
)
@pytest.mark.parametrize("is_input_long", [False, True])
def test_good_files_beside_a_rejected_one_are_followed_and_other_failures_are_not(
    world: World, reason: str | None, loaded: int, follows: bool, is_input_long: bool
) -> None:
    if reason is not None:
        world.audit.start_run(pipeline="upstream", run_id="r", trigger="arrival", files=loaded + 1)
        world.audit.end_run(pipeline="upstream", run_id="r", status="FAILED", reason=reason, files={"loaded": loaded, "rejected": 1})
    given = {} if is_input_long else {"input": json.dumps({"pipeline": "upstream", "run_id": "r"})}
    failed = _success(1, status="FAILED", **given)
    for _ in range(2):
        assert world.deliver([failed], trigger="after") == []
    assert len(world.states.executions) == (1 if follows and not is_input_long else 0)


@pytest.mark.parametrize("detail", [{"status": "RUNNING"}, {"stateMachineArn": MACHINE}, {"executionArn": None}])
def test_events_that_must_not_start_this_pipeline_are_refused(world: World, detail: dict[str, Any]) -> None:
    assert world.deliver([_success(1, **detail), _success(2)], trigger="after") == ["0"]
    assert len(world.states.executions) == 1


def test_an_upstream_success_starts_its_run_once_whatever_call_dies(world: World) -> None:
    scouting = Trap()
    world.deliver([_success(1)], trigger="after", trap=scouting)
    for number in range(len(scouting.calls)):
        known = len(world.states.executions)
        event = _success(1, executionArn=f"arn:{number}")
        with pytest.raises(Crash):
            world.deliver([event], trigger="after", trap=Trap(at=number))
        world.clock.pass_seconds(400)
        assert world.deliver([event], trigger="after") == []
        assert len(world.states.executions) == known + 1, number


def test_the_claim_says_which_run_deals_with_a_file(world: World) -> None:
    event = world.drop("a.csv", b"a")
    world.deliver([event])
    claim = world.claims.get(bucket=RAW, key=f"{FOLDER}a.csv", version_id=event["detail"]["object"]["version-id"])
    assert claim is not None
    (execution,) = world.states.executions.values()
    assert (claim.status, claim.run_id, claim.batch_id, claim.attempt) == (
        "STARTED",
        execution.input["run_id"],
        execution.input["batch_id"],
        1,
    )
    assert from_text(claim.claimed_until) > world.clock()


def _tick(minute: int, **more: Any) -> dict[str, Any]:
    return {"pipeline": PIPELINE, "scheduled_at": f"2026-11-22T03:{minute:02}:00Z", **more}


def test_a_time_of_the_schedule_starts_one_run_however_often_it_is_told(world: World) -> None:
    assert world.deliver([_tick(0), _tick(0)], trigger="schedule") == []
    assert world.deliver([_tick(0)], trigger="schedule") == []
    (execution,) = world.states.executions.values()
    assert (execution.input["trigger"], execution.input["manifest"], execution.input["files"]) == ("schedule", None, 0)
    batch_id = hashlib.sha256(b"2026-11-22T03:00:00.000Z").hexdigest()
    assert (execution.input["batch_id"], execution.name) == (batch_id, f"{batch_id[:40]}-1")
    world.end(execution)
    assert world.deliver([_tick(0), _tick(5)], trigger="schedule") == []
    assert len(world.states.executions) == 2


def test_times_that_were_held_up_together_start_one_run(world: World) -> None:
    assert world.deliver([_tick(minute) for minute in range(4)], trigger="schedule") == []
    assert len(world.states.executions) == 1


@pytest.mark.parametrize(
    "event",
    [
        {"pipeline": "other", "scheduled_at": "2026-11-22T03:00:00Z"},
        {"pipeline": PIPELINE},
        _tick(0, scheduled_at="<aws.scheduler.scheduled-time>"),
    ],
)
def test_a_message_of_another_kind_does_not_start_a_scheduled_pipeline(world: World, event: dict[str, Any]) -> None:
    assert world.deliver([event, _tick(1)], trigger="schedule") == ["0"]
    assert len(world.states.executions) == 1


def test_a_scheduled_time_starts_its_run_once_whatever_call_dies(world: World) -> None:
    scouting = Trap()
    world.deliver([_tick(59)], trigger="schedule", trap=scouting)
    for number in range(len(scouting.calls)):
        before = len(world.states.executions)
        with pytest.raises(Crash):
            world.deliver([_tick(number)], trigger="schedule", trap=Trap(at=number))
        world.clock.pass_seconds(FUNCTION_SECONDS + 6)
        assert world.deliver([_tick(number)], trigger="schedule") == []
        assert len(world.states.executions) == before + 1
