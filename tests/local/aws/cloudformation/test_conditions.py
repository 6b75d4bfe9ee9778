"""Conditions are evaluated with every function that CloudFormation allows in them."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.cloudformation.conditions import evaluate


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"Fn::Equals": ["", {"Fn::Join": ["", {"Ref": "List"}]}]}, True),
        ({"Fn::Not": [{"Fn::Equals": ["", {"Fn::Join": ["", {"Ref": "List"}]}]}]}, False),
        ({"Fn::Equals": [{"Fn::Sub": "x-${Name}"}, "x-prod"]}, True),
        ({"Fn::Equals": [{"Fn::FindInMap": ["Map", {"Ref": "Name"}, "key"]}, "value"]}, True),
        ({"Fn::And": [{"Condition": "Yes"}, {"Fn::Equals": [{"Fn::If": ["Yes", "a", "b"]}, "a"]}]}, True),
        ({"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Fn::Not": [{"Condition": "Yes"}]}]}, False),
    ],
)
def test_a_condition_has_its_value(expression: dict[str, Any], *, expected: bool) -> None:
    template = {
        "Mappings": {"Map": {"prod": {"key": "value"}}},
        "Conditions": {"Asked": expression, "Yes": {"Fn::Equals": [{"Ref": "Name"}, "prod"]}},
    }
    parameters = {
        "List": {"Value": "", "Type": "CommaDelimitedList", "NoEcho": False},
        "Name": {"Value": "prod", "Type": "String", "NoEcho": False},
    }
    assert evaluate(template, parameters)["Asked"] is expected


def test_a_condition_that_names_itself_or_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="Circular dependencies for condition A"):
        evaluate({"Conditions": {"A": {"Fn::Not": [{"Condition": "A"}]}}}, {})
    with pytest.raises(ValueError, match="Unresolved condition dependency B"):
        evaluate({"Conditions": {"A": {"Fn::Not": [{"Condition": "B"}]}}}, {})
