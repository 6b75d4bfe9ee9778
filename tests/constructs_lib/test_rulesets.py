"""Rulesets of Glue Data Quality: the contract's rules over the contract's table, with a role that reads it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from cdk_nag import AwsSolutionsChecks
from constructs import Construct

from constructs_lib.catalog import CatalogTable, DataQualityRuleset
from constructs_lib.checks import InvalidProps
from constructs_lib.permissions import account_principal
from constructs_lib.storage import LakeBuckets
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.dqdl import GATING, SEVERITIES, aliases, ruleset
from lakehouse.contracts.model import CompiledContract
from lakehouse.naming import DatasetName, Names
from stacks.synthesis import ROOT
from tests.constructs_lib.conftest import Synth, of_type
from tests.lakehouse.contracts.dqdl_checker import parse

Make = Callable[..., DataQualityRuleset]
CONTRACTS: dict[str, CompiledContract] = compile_contracts(ROOT / "contracts")
ORDERS, LINEITEM = CONTRACTS["tpch.orders"], CONTRACTS["tpch.lineitem"]


def table(lake: LakeBuckets, name: str) -> CatalogTable:
    return CatalogTable(dataset=DatasetName.parse(name), lake=lake)


@pytest.fixture
def make(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey) -> Make:
    def ruleset_of(
        contract: CompiledContract, *, scope: Construct = stack, related: Sequence[str] | None = None, **more: Any
    ) -> DataQualityRuleset:
        others = sorted(map(str, aliases(contract, severities=more.get("severities", GATING)).values())) if related is None else related
        given: dict[str, Any] = {
            "table": table(lake, f"{contract.zone}.{contract.id}"),
            "related": [table(lake, name) for name in others],
            **more,
        }
        return DataQualityRuleset(scope, "Ruleset", names=names, contract=contract, log_key=key, **given)

    return ruleset_of


def statements(resources: dict[str, dict[str, Any]], of: str) -> list[dict[str, Any]]:
    policies = [policy for policy in of_type(resources, "AWS::IAM::Policy") if policy["PolicyName"].startswith(of)]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def test_a_table_s_ruleset_holds_the_rules_that_gate_it(make: Make, synth: Synth) -> None:
    contract = ORDERS
    make(contract)
    (found,) = of_type(synth(), "AWS::Glue::DataQualityRuleset")
    assert (found["Name"], found["TargetTable"]) == ("lakehouse-test-tpch-orders", {"DatabaseName": "silver_tpch", "TableName": "orders"})
    gating = [rule for rule in contract.quality.rules if rule.severity in {"error", "critical"}]
    assert len(parse(found["Ruleset"])) >= len(gating)
    assert [rule.id for rule in contract.quality.rules if f"# {rule.id}:" in found["Ruleset"]] == [rule.id for rule in gating]


def test_every_rule_is_in_it_if_every_severity_is_asked_for(make: Make, synth: Synth) -> None:
    contract = ORDERS
    make(contract, severities=SEVERITIES)
    (found,) = of_type(synth(), "AWS::Glue::DataQualityRuleset")
    assert found["Ruleset"] == ruleset(contract)


def test_the_role_reads_the_table_and_those_that_it_is_compared_with(make: Make, synth: Synth) -> None:
    contract = LINEITEM
    make(contract, severities=SEVERITIES)
    found = statements(synth(), "Ruleset")
    text = json.dumps(found)
    assert "table/silver_tpch/lineitem" in text
    assert "table/silver_tpch/orders" in text
    actions = {
        action for statement in found for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert not actions & {"glue:UpdateTable", "glue:CreateTable", "s3:PutObject", "s3:DeleteObject"}
    assert not [action for action in actions if "*" in action]
    publish = next(statement for statement in found if "glue:PublishDataQuality" in statement["Action"])
    assert json.dumps(publish["Resource"]).endswith(':dataQualityRuleset/lakehouse-test-tpch-lineitem"]]}')
    metrics = next(statement for statement in found if statement["Action"] == "cloudwatch:PutMetricData")
    assert metrics["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Glue Data Quality"}}


def test_whoever_evaluates_passes_this_role_to_glue_alone(make: Make, synth: Synth, stack: Stack) -> None:
    role = iam.Role(stack, "Asker", assumed_by=account_principal())
    make(ORDERS).grants.evaluate(role)
    found = statements(synth(), "Asker")
    passed = next(statement for statement in found if statement["Action"] == "iam:PassRole")
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}}
    assert passed["Resource"]["Fn::GetAtt"][0].startswith("RulesetRole")
    started = next(statement for statement in found if "glue:StartDataQualityRulesetEvaluationRun" in statement["Action"])
    assert "glue:CancelDataQualityRulesetEvaluationRun" in started["Action"]
    assert not [statement for statement in found if "s3:GetObject" in statement["Action"]]


def test_logs_are_encrypted_and_forgotten(make: Make, synth: Synth, key: kms.IKey) -> None:
    make(ORDERS, log_retention_days=7)
    groups = {group["LogGroupName"]: group for group in of_type(synth(), "AWS::Logs::LogGroup")}
    assert set(groups) == {f"/lakehouse/test/quality/tpch-orders/{end}" for end in ("output", "error")}
    assert {(group["RetentionInDays"], group["KmsKeyId"]) for group in groups.values()} == {(7, key.key_arn)}


def test_a_ruleset_that_would_judge_nothing_or_something_else_is_refused(make: Make, lake: LakeBuckets, stack: Stack) -> None:
    contract = ORDERS
    wrong: list[tuple[CompiledContract, dict[str, Any], str]] = [
        (
            contract,
            {"table": table(lake, "bronze.tpch.orders")},
            "table is bronze.tpch.orders, and the rules of tpch.orders are of silver.tpch.orders",
        ),
        (contract, {"table": table(lake, "silver.tpch.customer")}, "pass that table"),
        (contract, {"severities": ("fatal",)}, "severities must be one of critical, error, info, warning, got 'fatal'"),
        (replace(contract, quality=replace(contract.quality, rules=())), {}, "Glue takes no empty ruleset"),
        (contract, {"related": ["silver.tpch.orders"]}, "compare with, none, got silver.tpch.orders"),
        (LINEITEM, {"related": [], "severities": SEVERITIES}, "compare with, silver.tpch.orders, got none"),
    ]
    for number, (asked, options, said) in enumerate(wrong):
        with pytest.raises(InvalidProps, match=said):
            make(asked, scope=Stack(stack, f"Wrong{number}"), **options)


def test_a_ruleset_that_is_longer_than_glue_takes_is_refused(make: Make) -> None:
    contract = ORDERS
    many = contract.quality.rules * (1 + 66_000 // len(ruleset(contract, severities=GATING)))
    with pytest.raises(InvalidProps, match="Glue takes 65536"):
        make(replace(contract, quality=replace(contract.quality, rules=many)))


def test_cdk_nag_finds_nothing_in_a_ruleset(app: App, make: Make, stack: Stack) -> None:
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    make(ORDERS).grants.evaluate(iam.Role(stack, "Asker", assumed_by=account_principal()))
    app.synth()
