"""Metric math gives CloudWatch's number, or says that it does not know the expression."""

from __future__ import annotations

import pytest

from local.aws.metric_math import UnknownMath, check, evaluate


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b * 2", 5.0),
        ("(a / b) * 100", 50.0),
        ("a / 0", None),
        ("SUM([a, b, c])", 3.0),
        ("IF(a > b, 1, 0)", 0.0),
        ("c + 1", None),
        ("FILL(c, 7)", 7.0),
    ],
)
def test_metric_math_gives_the_number(expression: str, expected: float | None) -> None:
    check(expression)
    assert evaluate(expression, {"a": 1.0, "b": 2.0, "c": None}) == expected


@pytest.mark.parametrize("expression", ["__import__('os')", "a.b", "RATE(a)", "SEARCH('x')", "a and b", "lambda: 1", "a +"])
def test_metric_math_refuses_the_rest(expression: str) -> None:
    with pytest.raises(UnknownMath, match="is not implemented"):
        check(expression)
