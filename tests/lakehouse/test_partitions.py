"""Partitions of Hive tables become known in hundreds, as often as one likes, and are read as their table is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lakehouse.partitions import (
    Dropped,
    HivePartitions,
    InvalidPartitionError,
    PartitionsNotTaken,
    PartitionsRefused,
    Registered,
    folder_of,
)

DESCRIPTOR: dict[str, Any] = {
    "Columns": [{"Name": "amount", "Type": "decimal(10,2)"}],
    "Location": "s3://lake/sales/",
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
KEYS = [{"Name": "year", "Type": "string"}, {"Name": "shop", "Type": "int"}, {"Name": "day", "Type": "date"}]


@pytest.fixture
def glue() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("glue", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        client.create_database(DatabaseInput={"Name": "sales"})
        yield client


def _table(glue: Any, *, keys: list[dict[str, str]] = KEYS, **parameters: str) -> HivePartitions:
    table = {"Name": "orders", "StorageDescriptor": DESCRIPTOR, "PartitionKeys": keys, "Parameters": parameters}
    glue.create_table(DatabaseName="sales", TableInput=table)
    return HivePartitions(client=glue, database="sales", table="orders")


def _shops(count: int) -> list[dict[str, object]]:
    return [{"day": date(2026, 1, 2), "shop": number, "year": "2026"} for number in range(count)]


def _known(glue: Any) -> list[dict[str, Any]]:
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName="sales", TableName="orders")
    return [partition for page in pages for partition in page["Partitions"]]


def test_a_partition_lies_in_its_folder_and_is_read_as_its_table_is(glue: Any) -> None:
    assert _table(glue).register(_shops(1)) == Registered(created=1, known=0)
    (partition,) = _known(glue)
    assert partition["Values"] == ["2026", "0", "2026-01-02"]
    location = "s3://lake/sales/year=2026/shop=0/day=2026-01-02/"
    assert partition["StorageDescriptor"] == {**DESCRIPTOR, "Location": location}


def test_partitions_are_sent_in_hundreds_and_twice_is_once(glue: Any) -> None:
    calls: list[int] = []
    glue.meta.events.register(
        "provide-client-params.glue.BatchCreatePartition", lambda params, **_: calls.append(len(params["PartitionInputList"]))
    )
    table = _table(glue)
    assert table.register([*_shops(250), *_shops(3)]) == Registered(created=250, known=0)
    assert calls == [100, 100, 50]
    assert table.register(_shops(251)) == Registered(created=1, known=250)
    assert len(_known(glue)) == 251
    assert table.register([]) == Registered(created=0, known=0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"year": 2026}, r"year of sales\.orders is a string, which takes a text that is not empty, got 2026"),
        ({"year": ""}, "takes a text that is not empty, got ''"),
        ({"shop": "7"}, "shop of sales.orders is a int, which takes an int, got '7'"),
        ({"shop": True}, "takes an int, got True"),
        ({"day": "2026-01-02"}, "day of sales.orders is a date, which takes a date, got '2026-01-02'"),
        ({"day": datetime(2026, 1, 2)}, "takes a date, got datetime"),  # noqa: DTZ001 - any will do
        ({"month": "01"}, "has a value for each of year, shop, day, got"),
    ],
)
def test_what_does_not_fit_the_keys_is_refused_before_anything_is_sent(glue: Any, wrong: dict[str, object], said: str) -> None:
    table = _table(glue)
    with pytest.raises(InvalidPartitionError, match=said):
        table.register([*_shops(2), _shops(1)[0] | wrong])
    assert _known(glue) == []


@pytest.mark.parametrize(
    ("parameters", "keys", "said"),
    [
        ({"table_type": "ICEBERG"}, KEYS, "is an Iceberg table"),
        ({"projection.enabled": "true"}, KEYS, "has projected partitions"),
        ({}, [], "has no partition keys"),
        ({}, [{"Name": "at", "Type": "timestamp"}], "takes nothing that is supported"),
    ],
)
def test_a_table_that_needs_none_is_refused(glue: Any, parameters: dict[str, str], keys: list[dict[str, str]], said: str) -> None:
    with pytest.raises(InvalidPartitionError, match=said):
        _table(glue, keys=keys, **parameters).register([{"at": datetime(2026, 1, 2)}])  # noqa: DTZ001 - any will do


class Refusing:
    """A Glue that takes no partition of some shops."""

    def __init__(self, glue: Any, **codes: str) -> None:
        self.get_table, self._glue, self._codes = glue.get_table, glue, codes

    def batch_create_partition(self, *, PartitionInputList: list[dict[str, Any]], **table: str) -> dict[str, Any]:  # noqa: N803
        bad = {entry["Values"][1]: entry for entry in PartitionInputList if f"shop{entry['Values'][1]}" in self._codes}
        good = [entry for entry in PartitionInputList if entry["Values"][1] not in bad]
        self._glue.batch_create_partition(PartitionInputList=good, **table)
        return {
            "Errors": [
                {"PartitionValues": entry["Values"], "ErrorDetail": {"ErrorCode": self._codes[f"shop{shop}"], "ErrorMessage": "no"}}
                for shop, entry in bad.items()
            ]
        }


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        ({"shop1": "InternalServiceException"}, PartitionsNotTaken),
        ({"shop1": "InternalServiceException", "shop2": "ResourceNumberLimitExceededException"}, PartitionsRefused),
    ],
)
def test_what_glue_does_not_take_is_told_and_the_others_are_registered(glue: Any, codes: dict[str, str], error: type[Exception]) -> None:
    _table(glue)
    table = HivePartitions(client=Refusing(glue, shop0="AlreadyExistsException", **codes), database="sales", table="orders")
    with pytest.raises(error, match=rf"Glue did not take {len(codes)} partitions of sales\.orders: 2026/1/2026-01-02: Internal"):
        table.register(_shops(5))
    assert len(_known(glue)) == 5 - 1 - len(codes)


def test_folders_are_named_as_hive_names_them() -> None:
    assert folder_of(("city", "month"), ("São/Paulo: 50%", "01")) == "city=São%2FPaulo%3A 50%25/month=01"


def test_partitions_go_in_25s_and_what_is_not_there_is_no_error(glue: Any) -> None:
    calls: list[int] = []
    glue.meta.events.register(
        "provide-client-params.glue.BatchDeletePartition", lambda params, **_: calls.append(len(params["PartitionsToDelete"]))
    )
    table = _table(glue)
    table.register(_shops(60))
    assert table.drop([*_shops(52), *_shops(2), {"year": "1999", "shop": 1, "day": date(1999, 1, 1)}]) == Dropped(dropped=52, unknown=1)
    assert calls == [25, 25, 3]
    assert len(_known(glue)) == 8


def test_folders_that_nobody_registered_are_found_and_others_are_told(glue: Any) -> None:
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    s3.create_bucket(Bucket="lake")
    good = ["year=2026/shop=1/day=2026-01-02", "year=2026/shop=12/day=2026-01-03", "year=20%3A26/shop=1/day=2026-01-02"]
    wrong = [
        "_temporary/0",
        "year=2026/_SUCCESS",
        "year=2026/shop=07/day=2026-01-02",  # the table would look into shop=7
        "year=2026/shop=x/day=2026-01-02",
        "year=2026/shop=1/day=2026-13-02",
        "year=20:26/shop=1/day=2026-01-02",  # spelled as nobody's writer spells it
        "year=2026/shop=1/hour=3",
    ]
    for folder in (*good, *wrong):
        s3.put_object(Bucket="lake", Key=f"sales/{folder}/part-0.parquet", Body=b"x")
    s3.put_object(Bucket="lake", Key="salesmen/year=2026/shop=1/day=2026-01-02/part-0.parquet", Body=b"x")
    table = _table(glue)
    table.register([{"year": "2026", "shop": 1, "day": date(2026, 1, 2)}])
    repaired = table.repair(s3)
    assert repaired.registered == Registered(created=2, known=1)
    assert repaired.passed_over == [
        "_temporary/", "year=2026/_SUCCESS/", "year=2026/shop=07/day=2026-01-02/", "year=2026/shop=1/day=2026-13-02/", "year=2026/shop=1/hour=3/",
        "year=2026/shop=x/day=2026-01-02/", "year=20:26/shop=1/day=2026-01-02/",
    ]  # fmt: skip
    locations = {partition["StorageDescriptor"]["Location"] for partition in _known(glue)}
    assert locations == {f"s3://lake/sales/{folder}/" for folder in good}
    assert table.repair(s3).registered == Registered(created=0, known=3)
