"""What every role may do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.stacks.conftest import Assembly, flat, listed

SNAPSHOT = Path(__file__).parent / "permissions.json"


def test_no_role_has_an_action_with_a_wildcard(assembly: Assembly) -> None:
    wild = [(name, action) for name, statement in assembly.statements() for action in listed(statement["Action"]) if "*" in action]
    assert not wild


def test_only_what_knows_no_resource_is_given_on_everything(assembly: Assembly) -> None:
    actions = {
        action for _, statement in assembly.statements() if "*" in listed(statement["Resource"]) for action in listed(statement["Action"])
    }
    assert {action.split(":")[0] for action in actions} <= {"cloudwatch", "ec2", "elasticmapreduce", "logs", "redshift-data", "xray"}
    statements = {f"redshift-data:{verb}" for verb in ("CancelStatement", "DescribeStatement", "GetStatementResult", "ListStatements")}
    assert {action for action in actions if action.startswith("redshift-data:")} <= statements
    assert all(action.startswith("ec2:Describe") for action in actions if action.startswith("ec2:"))
    clusters = {"elasticmapreduce:ListClusters", "elasticmapreduce:RunJobFlow"}
    assert {action for action in actions if action.startswith("elasticmapreduce:")} <= clusters
    assert {action for action in actions if action.startswith("cloudwatch:")} <= {
        "cloudwatch:PutMetricData",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
    }


def test_metrics_of_runs_come_from_the_recorder_alone_and_those_of_jobs_are_glue_s(assembly: Assembly) -> None:
    found = {
        name: statement["Condition"]["StringEquals"]["cloudwatch:namespace"]
        for name, statement in assembly.statements()
        if "cloudwatch:PutMetricData" in listed(statement["Action"])
    }
    assert set(found.values()) == {"Glue", "Lakehouse"}
    assert {"Recorder" in name for name, namespace in found.items() if namespace == "Lakehouse"} == {True}
    assert {"Job" in name for name, namespace in found.items() if namespace == "Glue"} == {True}


def test_no_role_trusts_a_service_of_another_account(assembly: Assembly) -> None:
    for name, resource in assembly.resources("AWS::IAM::Role").items():
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            service = statement["Principal"].get("Service")
            # Lambda and EC2 offer no source condition for the roles of functions and machines.
            if isinstance(service, list) and "redshift.amazonaws.com" in service:
                # Redshift tells whose role it takes by the external id: account, warehouse and user.
                assert ":dbuser:" in flat(statement["Condition"]["StringLike"]["sts:ExternalId"]), name
            elif service is not None and service not in {"ec2.amazonaws.com", "lambda.amazonaws.com"}:
                assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}, name


def test_no_alias_stands_where_only_a_key_matches(assembly: Assembly) -> None:
    for name, statement in assembly.statements():
        for resource in listed(statement["Resource"]):
            assert ":alias/" not in flat(resource), name


def test_a_job_writes_only_the_tables_of_its_step(prod: Assembly) -> None:
    written = {
        re.sub(r"[0-9A-F]{8}$", "", name.split("/")[1]): sorted(
            flat(resource).split("prod-")[-1]
            for resource in listed(statement["Resource"])
            if listed(statement["Action"]) and "s3:PutObject" in listed(statement["Action"])
        )
        for name, statement in prod.statements()
        if "JobRole" in name and "s3:PutObject" in listed(statement["Action"])
    }
    assert {name: resources for name, resources in written.items() if name.startswith("ordersrefine")} == {
        "ordersrefineJobRoleDefaultPolicy": [
            "quarantine-<AWS::AccountId>-<AWS::Region>/tpch/orders/*",
            "silver-<AWS::AccountId>-<AWS::Region>/tpch/orders/*",
        ]
    }


def test_the_operator_changes_no_resource(prod: Assembly) -> None:
    actions = {
        action
        for name, statement in prod.statements()
        if "Operator" in name and "Optimizer" not in name
        for action in listed(statement["Action"])
    }
    # Items of the control table are no resources; which of them it may write, tests/stacks/test_groups.py says.
    actions -= {"dynamodb:PutItem", "dynamodb:UpdateItem"}
    changing = re.compile(r":(Create|Delete|Update|Put(?!Object$)|Tag|Untag|Attach|Detach|Pass)")
    assert actions
    assert not {action for action in actions if changing.search(action)}


def test_every_service_that_may_deliver_is_named_with_its_source(assembly: Assembly) -> None:
    for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for name, resource in assembly.resources(kind).items():
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    assert "Service" in statement["Principal"], name
                    assert set(statement["Condition"]) == {"StringEquals", "ArnLike"}, name


def test_permissions_are_those_that_were_reviewed(prod: Assembly) -> None:
    now = _permissions(prod)
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    assert json.loads(SNAPSHOT.read_text()) == now, "review the change, then delete permissions.json and run again"


def _permissions(assembly: Assembly) -> dict[str, Any]:
    """Resource -> actions of every policy; statements with a condition carry it in their name."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, statement in assembly.statements():
        policy = found.setdefault(re.sub(r"[0-9A-F]{8}$", "", name), {})
        condition = f" if {json.dumps(statement['Condition'], sort_keys=True)}" if "Condition" in statement else ""
        for resource in listed(statement["Resource"]):
            key = re.sub(r"SsmParameterValue\w+?(keys\w+?)C9\w+", r"\1", flat(resource)) + condition
            policy[key] = sorted({*policy.get(key, []), *listed(statement["Action"])})
    return found
