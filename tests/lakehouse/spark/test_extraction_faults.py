"""Values, schemas and sources that are not as one would like: every type arrives as it was written, and every fault has its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contracts.model import SourcePartitions, WatermarkColumn
from lakehouse.errors import RunFailed
from lakehouse.extraction import postgresql
from lakehouse.spark.source_session import SourceSession
from tests.lakehouse.spark.small_contract import contract
from tests.source_database import Extractions, Secrets, SourceDatabase, fed_by, source_database
from tests.spark_lake import Lake

pytestmark = pytest.mark.spark

STRUCT = {
    "type": "struct",
    "fields": [{"id": 91, "name": "a", "required": False, "type": "int"}, {"id": 92, "name": "b", "required": False, "type": "string"}],
}
LIST = {"type": "list", "element-id": 93, "element": "string", "element-required": False}
TYPES: dict[str, str | dict[str, Any]] = {
    "id": "long",
    "small": "int",
    "exact": "decimal(38, 10)",
    "ratio": "double",
    "flag": "boolean",
    "day": "date",
    "zoned": "timestamptz",
    "plain": "timestamp",
    "word": "string",
    "raw": "binary",
    "tags": LIST,
    "pair": STRUCT,
}
TABLE = (
    "CREATE TABLE things (id bigint, small smallint, exact numeric, ratio double precision, flag boolean, day date, zoned timestamptz, plain timestamp,"
    " word text, raw bytea, tags text[], pair json, unknown uuid, mood interval)"
)
WATERMARK = WatermarkColumn(column="changed", type="timestamptz", overlap=60)
SIMPLE: dict[str, str | dict[str, Any]] = {"id": "long", "name": "string", "changed": "timestamptz"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceDatabase]:
    with source_database(tmp_path_factory.mktemp("source")) as database:
        yield database


def world_of(spark: SparkSession, source: SourceDatabase, folder: Path, types: Any = SIMPLE, **given: Any) -> Extractions:
    source.execute("DROP TABLE IF EXISTS things CASCADE")
    return Extractions(lake=Lake(spark=spark, contract=fed_by(contract(types=types), **given), folder=folder), source=source)


def test_every_type_arrives_as_it_was_written(spark: SparkSession, source: SourceDatabase, tmp_path: Path) -> None:
    world = world_of(spark, source, tmp_path, TYPES)
    source.execute(TABLE)
    source.execute(
        "INSERT INTO things VALUES (9223372036854775807, -32768, 1234567890123456789012345678.0123456789, 0.1, true, '9999-12-31',"
        " '2026-03-29 02:30:00.123456+02', '2026-03-29 02:30:00.123456', E'a\"b,c\\nd é', decode('00ff10', 'hex'), ARRAY['x', NULL, 'y\"z'],"
        " '{\"a\": 1, \"b\": \"c\"}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1 day 2 hours')"
    )
    source.execute("INSERT INTO things (id, ratio, exact) VALUES (2, 'NaN', -0.5), (3, '-Infinity', 0)")
    source.execute("INSERT INTO things (id, day) VALUES (4, 'infinity'), (5, '0044-03-15 BC')")
    source.execute("INSERT INTO things (id, exact) VALUES (6, 'NaN'), (7, 0.00000000001)")
    source.execute("INSERT INTO things (id) VALUES (8)")
    found = world.run()
    assert (found.counts["silver"], found.counts["quarantined"], found.reasons) == (4, 4, {"invalid_value": 4})
    rows = {row["id"]: row for row in world.lake.table("silver").read().collect()}
    first = rows[9223372036854775807]
    assert first["small"] == -32768
    assert first["exact"] == Decimal("1234567890123456789012345678.0123456789")
    assert (first["ratio"], first["flag"], first["day"]) == (0.1, True, date(9999, 12, 31))
    assert first["zoned"].astimezone(UTC) == datetime(2026, 3, 29, 0, 30, 0, 123456, tzinfo=UTC)
    assert first["plain"] == datetime(2026, 3, 29, 2, 30, 0, 123456)  # noqa: DTZ001 - the column has no zone
    assert first["word"] == 'a"b,c\nd é'
    assert bytes(first["raw"]) == b"\x00\xff\x10"
    assert first["tags"] == ["x", None, 'y"z']
    assert (first["pair"]["a"], first["pair"]["b"]) == (1, "c")
    assert str(rows[2]["ratio"]) == "nan"
    assert rows[3]["ratio"] == float("-inf")
    assert all(rows[8][name] is None for name in TYPES if name != "id")
    extra = {row["id"]: row["_extra"] for row in world.lake.table("bronze").read().collect()}
    assert extra["9223372036854775807"] == {"unknown": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "mood": "P1DT2H"}
    assert extra["8"] is None


def test_a_column_that_changed_its_type_goes_on_as_text_and_what_does_not_fit_is_quarantined(
    spark: SparkSession, source: SourceDatabase, tmp_path: Path
) -> None:
    world = world_of(spark, source, tmp_path, {"id": "long", "amount": "decimal(10, 2)"})
    source.execute("CREATE TABLE things (id bigint, amount text, news text)")
    source.execute("INSERT INTO things VALUES (1, '1.50', NULL), (2, 'a lot', 'x')")
    run_id = world.new_run()
    extracted = world.extract(run_id)
    assert extracted.extras == ("news",)
    found = world.refine(extracted.version, run_id)
    assert (found.counts["silver"], found.reasons) == (1, {"invalid_value": 1})


def failed(world: Extractions, **session: Any) -> tuple[str, str]:
    with pytest.raises(RunFailed) as caught:
        world.extract(world.new_run(), **session)
    assert world.lake.table("bronze").snapshot_id() is None
    return caught.value.reason, caught.value.message


def test_a_source_that_is_not_as_the_contract_says_fails_with_its_reason(
    spark: SparkSession, source: SourceDatabase, tmp_path: Path
) -> None:
    world = world_of(spark, source, tmp_path, mode="incremental", watermark=WATERMARK)
    assert failed(world)[0] == "source_table_missing"
    source.execute("CREATE TABLE things (id bigint, changed timestamptz)")
    reason, message = failed(world)
    assert (reason, "lacks name" in message) == ("source_column_missing", True)
    source.execute("DROP TABLE things")
    source.execute("CREATE TABLE things (id bigint, name text, changed text)")
    reason, message = failed(world)
    assert (reason, "it is text, the contract has timestamptz" in message) == ("source_column_retyped", True)
    world.lake.contract = fed_by(contract(types=SIMPLE), partitions=SourcePartitions(column="changed", type="timestamptz", count=2))
    assert failed(world)[0] == "source_column_retyped"
    strict = fed_by(contract(types={"id": "long"}))
    assert strict.source is not None
    world.lake.contract = replace(strict, source=replace(strict.source, on_extra_column="halt"))
    assert failed(world)[0] == "source_column_unknown"


def test_a_source_that_cannot_be_entered_fails_with_its_reason(spark: SparkSession, source: SourceDatabase, tmp_path: Path) -> None:
    from lakehouse.databases import CredentialCache

    world = world_of(spark, source, tmp_path)
    source.execute("CREATE TABLE things (id bigint, name text, changed timestamptz)")
    wrong = CredentialCache(Secrets(username="reader", password="wrong"))
    reason, message = failed(world, credentials=wrong)
    assert (reason, "password authentication failed" in message, "wrong" in message) == ("source_denied", True, False)
    assert failed(world, address=replace(source.address, port=1))[0] == "source_unreachable"
    assert failed(world, address=replace(source.address, dbname="nowhere"))[0] == "source_unreachable"
    # The certificate is for localhost: another name of the same machine is not what was asked for.
    reason, message = failed(world, address=replace(source.address, host="ip6-localhost.invalid"))
    assert reason == "source_unreachable"
    source.execute("CREATE USER nobody PASSWORD 'x'")
    assert failed(world, credentials=CredentialCache(Secrets(username="nobody", password="x")))[0] == "source_denied"
    source.execute("DROP USER nobody")


def test_rows_without_a_partition_value_are_read_like_the_others(spark: SparkSession, source: SourceDatabase, tmp_path: Path) -> None:
    world = world_of(spark, source, tmp_path, partitions=SourcePartitions(column="changed", type="timestamptz", count=5))
    source.execute("CREATE TABLE things (id bigint, name text, changed timestamptz)")
    source.execute(
        "INSERT INTO things SELECT i, 'n', CASE WHEN i % 3 > 0 THEN now() + i * interval '1 day' END FROM generate_series(1, 90) i"
    )
    assert world.run().counts["silver"] == 90


def test_a_table_is_read_by_no_more_connections_than_the_database_has_left(
    spark: SparkSession, source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(spark, source, tmp_path, partitions=SourcePartitions(column="id", type="long", count=9))
    source.execute("CREATE TABLE things (id bigint, name text, changed timestamptz)")
    source.execute("INSERT INTO things SELECT i, 'n', now() FROM generate_series(1, 90) i")
    read = SourceSession.read
    counts: list[int] = []

    def counted(session: SourceSession, query: str, predicates: Sequence[str] = ()) -> DataFrame:
        counts.append(len(predicates))
        return read(session, query, predicates)

    monkeypatch.setattr(SourceSession, "read", counted)
    assert world.run().counts["silver"] == 90
    whole = max(counts)
    counts.clear()
    source.execute("UPDATE things SET name = 'm'")
    with ExitStack() as held:
        ((left,),) = source.rows(postgresql.CAPACITY)
        # The session of the extraction takes one of those that are left, and its own look another while it lasts.
        for _ in range(left - 3):
            held.enter_context(source.server.connect("shop", is_autocommit=True))
        assert world.run().counts["silver"] == 90
    assert 0 < max(counts) < 5 < whole
