"""A Map of Step Functions as groups of rows use it: some items at a time, each with the machine's rights, over what a query found; and leading keys in IAM."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow
from tests.local.aws.test_states import LOGS, run, task

pytestmark = pytest.mark.platform

SLOW = "import time\ndef handler(e, c):\n    began = time.time()\n    time.sleep(0.5)\n    if e['item'] == 3: raise ValueError('no')\n    return [began, time.time()]"


def table(local_aws: LocalAws) -> str:
    dynamodb, name = local_aws.client("dynamodb"), local_aws.name("rows")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
    )
    for partition, sort in (("rows#a", "one"), ("rows#a", "two"), ("rows#b", "three")):
        dynamodb.put_item(TableName=name, Item={"pk": {"S": partition}, "sk": {"S": sort}})
    return name


def arn(name: str) -> str:
    return f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}"


def test_items_run_some_at_a_time_and_one_that_fails_stops_no_other(local_aws: LocalAws) -> None:
    function = local_aws.function(SLOW, role=local_aws.role(LOGS, service="lambda.amazonaws.com"))
    item: dict[str, Any] = task(
        "arn:aws:states:::lambda:invoke",
        {"FunctionName": function, "Payload": {"item.$": "$.item", "of.$": "$.of"}},
        OutputPath="$.Payload",
        Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Failed"}],
    )
    item["States"]["Failed"] = {"Type": "Pass", "OutputPath": "$.failure.Error", "End": True}
    each = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 2,
        "ItemSelector": {"item.$": "$$.Map.Item.Value.number", "of.$": "$.of"},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **item},
        "End": True,
    }
    given = {
        "StartAt": "Given",
        "States": {
            "Given": {"Type": "Pass", "Result": {"items": [{"number": n} for n in range(6)], "of": 6}, "Next": "Each"},
            "Each": each,
        },
    }
    role = local_aws.role(allow("lambda:InvokeFunction", function), service="states.amazonaws.com")
    answer = run(local_aws, given, role, seconds=30)
    assert answer["status"] == "SUCCEEDED", answer
    found = json.loads(answer["output"])
    assert found[3] == "ValueError"
    times = [span for span in found if isinstance(span, list)]
    assert len(times) == 5
    together = max(sum(other[0] <= span[0] < other[1] for other in times) for span in times)
    assert together == 2
    assert {line["action"] for line in local_aws.calls(role=role)} == {"lambda:InvokeFunction"}
    refused = run(local_aws, given, local_aws.role(service="states.amazonaws.com"))
    assert set(json.loads(refused["output"])) == {"Lambda.AWSLambdaException"}


def test_a_machine_queries_a_table_with_its_own_rights_alone(local_aws: LocalAws) -> None:
    name = table(local_aws)
    query = task(
        "arn:aws:states:::aws-sdk:dynamodb:query",
        {"TableName": name, "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "rows#a"}}, "Limit": 1},
    )
    answer = run(local_aws, query, local_aws.role(allow("dynamodb:Query", arn(name)), service="states.amazonaws.com"))
    assert answer["status"] == "SUCCEEDED", answer
    found = json.loads(answer["output"])
    assert [item["sk"]["S"] for item in found["Items"]] == ["one"]
    assert found["LastEvaluatedKey"]["sk"]["S"] == "one"
    refused = run(local_aws, query, local_aws.role(service="states.amazonaws.com"))
    assert refused["error"].startswith("DynamoDb.")
    assert "is not authorized to perform: dynamodb:Query on resource: " + arn(name) in refused["cause"]


def test_a_right_to_some_partitions_of_a_table_is_none_to_others(local_aws: LocalAws) -> None:
    name = table(local_aws)
    limited = {
        **allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"], arn(name)),
        "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["rows#a"]}},
    }
    dynamodb = local_aws.caller(limited).client("dynamodb")

    def calls(partition: str) -> list[Any]:
        key, value = {"pk": {"S": partition}, "sk": {"S": "one"}}, {":pk": {"S": partition}}
        return [
            lambda: dynamodb.get_item(TableName=name, Key=key),
            lambda: dynamodb.put_item(TableName=name, Item={**key, "x": {"S": "y"}}),
            lambda: dynamodb.update_item(TableName=name, Key=key, UpdateExpression="SET x = :x", ExpressionAttributeValues={":x": {"S": "z"}}),
            lambda: dynamodb.query(TableName=name, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=value),
            lambda: dynamodb.query(
                TableName=name, KeyConditionExpression="#pk = :pk AND begins_with(#sk, :s)", ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
                ExpressionAttributeValues={**value, ":s": {"S": "o"}},
            ),
        ]  # fmt: skip

    for call in calls("rows#a"):
        call()
    for call in calls("rows#b"):
        with pytest.raises(ClientError, match="is not authorized to perform: dynamodb:"):
            call()
