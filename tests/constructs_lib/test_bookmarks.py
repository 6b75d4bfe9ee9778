"""A bookmark is switched on only for scripts that it can follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from constructs_lib.checks import InvalidProps
from constructs_lib.packaging import job_script
from constructs_lib.processing.bookmarks import check_bookmarked

BEGIN = "job = Job(context)\njob.init(arguments['JOB_NAME'], arguments)\n"
END = "job.commit()\n"
ORDERS = "orders = context.create_dynamic_frame.from_catalog(database='d', table_name='t', transformation_ctx='orders')\n"
SHOPS = "shops = context.create_dynamic_frame_from_options('s3', {'paths': ['s3://b/']}, transformation_ctx='shops')\n"

Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    def written(text: str) -> Path:
        path = tmp_path / "job.py"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_reads_with_names_of_their_own_are_followed(script: Script) -> None:
    check_bookmarked(script(BEGIN + ORDERS + SHOPS + END))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            BEGIN + ORDERS.replace(", transformation_ctx='orders'", "") + END,
            r"job\.py:3: the read has no transformation_ctx that is written out",
        ),
        (BEGIN + ORDERS.replace("'orders'", "''") + END, r"job\.py:3: the read has no"),
        (BEGIN + ORDERS.replace("'orders'", "f'orders-{day}'") + END, r"job\.py:3: the read has no"),
        (BEGIN + ORDERS.replace("'orders'", "name") + END, r"job\.py:3: the read has no"),
        (BEGIN + ORDERS + SHOPS.replace("'shops'", "'orders'") + END, r"job\.py:4: transformation_ctx 'orders' is that of line 3 as well"),
        (BEGIN + "orders = spark.read.parquet('s3://b/')\n" + END, r"job\.py reads no DynamicFrame"),
        (
            BEGIN + "orders = context.create_data_frame.from_catalog(database='d', table_name='t', transformation_ctx='o')\n" + END,
            "reads no DynamicFrame",
        ),
        (BEGIN + ORDERS, r"never calls Job\.commit:"),
        (ORDERS + END, r"never calls Job\.init:"),
        (ORDERS, r"never calls Job\.init and Job\.commit:"),
    ],
)
def test_what_would_read_everything_again_or_lose_its_place_is_refused(script: Script, text: str, said: str) -> None:
    with pytest.raises(InvalidProps, match=said):
        check_bookmarked(script(text))


def test_the_platform_s_own_jobs_need_none_and_are_told_so() -> None:
    with pytest.raises(InvalidProps, match="set bookmark to 'disable'"):
        check_bookmarked(job_script("refine"))
