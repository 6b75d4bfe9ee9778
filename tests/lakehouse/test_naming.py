"""Names that AWS would refuse are refused where they are spelled."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.naming import Names
from lakehouse.pipelines.grammar import MAX_NAME

GOOD: dict[str, Any] = {"project": "weather", "env": "dev", "prefix": "weather-dev", "account": "1" * 12, "region": "eu-west-1"}
TOKEN = "${Token[TOKEN.7]}"


@pytest.mark.parametrize(("part", "value", "message"), [
    ("prefix", "Weather_Dev", "prefix is made of lower-case letters, .* got 'Weather_Dev'"),
    ("prefix", "weather-", "no hyphen last"),
    ("prefix", "a" * 21, "at most 20 characters, .* with 21"),
    ("prefix", "", "prefix is made of"),
    ("project", "Weather", "project is made of up to 20 lower-case letters"),
    ("env", "de v", "env is made of letters"),
    ("database_prefix", "dev", "database_prefix is made of .* an underscore last"),
])  # fmt: skip
def test_a_part_that_would_spoil_a_name_is_refused(part: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Names(**GOOD | {part: value})


def test_the_longest_prefix_still_makes_a_bucket_name() -> None:
    assert len(Names(**GOOD | {"prefix": "a" * 20, "region": "ap-southeast-1"}).bucket("query-results")) <= 63


def test_the_longest_pipeline_still_makes_a_role_s_name() -> None:
    assert len(Names(**GOOD | {"prefix": "a" * 20}).machine_role("p" * MAX_NAME)) <= 64


def test_what_only_the_deployment_knows_is_not_looked_at() -> None:
    names = Names(project=TOKEN, env=TOKEN, prefix=TOKEN, account=TOKEN, region=TOKEN, database_prefix=TOKEN)
    assert names.function("notifier") == f"{TOKEN}-notifier"


@pytest.mark.parametrize(("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_the_operator_s_role_is_in_the_partition_of_its_region(region: str, partition: str) -> None:
    assert Names(**GOOD | {"region": region}).operator_role_arn == f"arn:{partition}:iam::111111111111:role/weather-dev-operator"
