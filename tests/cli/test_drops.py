"""`lake drop`: raw keys, versions, checksums, the journal, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import date
from pathlib import Path

import pytest

from cli.drops import drop, journal
from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from tests.cli.conftest import Shop

DAY = date(1998, 8, 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders-1.csv"
    path.write_bytes(b"o_orderkey\n1\n")
    return path


def test_a_file_lands_in_the_folder_of_its_day_with_its_checksum(shop: Shop, file: Path, progress: Progress) -> None:
    (item,) = drop(shop.session, dataset="tpch.orders", files=[file], day=DAY, progress=progress)
    assert item.key == "tpch/orders/year=1998/month=08/day=01/orders-1.csv"
    head = shop.client("s3").head_object(Bucket=item.bucket, Key=item.key, VersionId=item.version_id, ChecksumMode="ENABLED")
    assert base64.b64decode(head["ChecksumSHA256"]) == hashlib.sha256(file.read_bytes()).digest() == bytes.fromhex(item.sha256)


def test_the_same_file_again_is_another_version_of_the_key(shop: Shop, file: Path, progress: Progress) -> None:
    first = drop(shop.session, dataset="tpch.orders", files=[file], day=DAY, progress=progress)[0]
    second = drop(shop.session, dataset="tpch.orders", files=[file], day=DAY, progress=progress)[0]
    assert first.key == second.key
    assert first.version_id != second.version_id


def test_the_journal_remembers_drops_in_order(shop: Shop, file: Path, progress: Progress) -> None:
    other = file.with_name("orders-2.csv")
    other.write_bytes(b"")
    dropped = drop(shop.session, dataset="tpch.orders", files=[file, other], day=DAY, progress=progress)
    assert journal(shop.session) == dropped


def test_without_a_date_the_folder_is_todays(shop: Shop, file: Path, progress: Progress) -> None:
    (item,) = drop(shop.session, dataset="tpch.orders", files=[file], day=None, progress=progress)
    assert item.dropped_at[:10] in item.key.replace("/month=", "-").replace("/day=", "-").replace("year=", "")


def test_a_year_has_four_digits(shop: Shop, file: Path, progress: Progress) -> None:
    (item,) = drop(shop.session, dataset="tpch.orders", files=[file], day=date(999, 1, 2), progress=progress)
    assert item.key == "tpch/orders/year=0999/month=01/day=02/orders-1.csv"


@pytest.mark.parametrize(("name", "shown"), [(b"na\xefve.csv", r"na\xefve.csv"), (b"a\x1b[2J.csv", r"a\x1b[2J.csv")])
def test_a_name_that_is_no_text_is_wrong_use(shop: Shop, tmp_path: Path, progress: Progress, name: bytes, shown: str) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"x")
    with pytest.raises(WrongUseError, match="rename it") as refused:
        drop(shop.session, dataset="tpch.orders", files=[path], day=DAY, progress=progress)
    assert shown in str(refused.value)
    assert journal(shop.session) == []


def test_a_journal_that_cannot_be_written_says_that_the_file_is_in_raw(shop: Shop, file: Path, progress: Progress) -> None:
    (shop.session.root / ".lake").write_text("in the way")
    with pytest.raises(CommandError, match=r"orders-1\.csv is in raw as tpch/orders/.* `lake wait` does not know of it"):
        drop(shop.session, dataset="tpch.orders", files=[file], day=DAY, progress=progress)


def test_an_unknown_dataset_is_wrong_use_with_the_nearest_name(shop: Shop, file: Path, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match=r"there is no dataset 'tpch.order'.*did you mean tpch.orders\?"):
        drop(shop.session, dataset="tpch.order", files=[file], day=DAY, progress=progress)


def test_a_dataset_that_no_arrival_starts_is_wrong_use(shop: Shop, file: Path, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match=r"no pipeline starts on arrivals of tpch\.daily_revenue"):
        drop(shop.session, dataset="tpch.daily_revenue", files=[file], day=DAY, progress=progress)


def test_a_missing_file_stops_the_drop_before_anything_is_put(shop: Shop, file: Path, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match=r"did you mean orders-1\.csv\?"):
        drop(shop.session, dataset="tpch.orders", files=[file, file.with_name("orders-7.csv")], day=DAY, progress=progress)
    assert journal(shop.session) == []


def test_a_folder_is_wrong_use(shop: Shop, tmp_path: Path, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match="is a folder"):
        drop(shop.session, dataset="tpch.orders", files=[tmp_path], day=DAY, progress=progress)


def test_two_files_of_one_name_are_wrong_use(shop: Shop, file: Path, tmp_path: Path, progress: Progress) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / file.name
    twin.write_bytes(b"x")
    with pytest.raises(WrongUseError, match="named twice"):
        drop(shop.session, dataset="tpch.orders", files=[file, twin], day=DAY, progress=progress)
