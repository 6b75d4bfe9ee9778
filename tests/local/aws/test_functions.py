"""A function runs with its role alone, on a bare Python, and logs with its role's rights."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

LOGS = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])


def invoke(local_aws: LocalAws, function: str, event: Any = None) -> tuple[str | None, Any]:
    answer = local_aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_a_function_works_as_its_role_over_tls(local_aws: LocalAws) -> None:
    code = (
        "import boto3\ndef handler(e, c): return boto3.client('sts').get_caller_identity()['Arn'], boto3.client('sqs').list_queues() and 1"
    )
    allowed = local_aws.role(allow("sqs:ListQueues"), service="lambda.amazonaws.com")
    error, answer = invoke(local_aws, local_aws.function(code, role=allowed))
    assert error is None
    assert answer[0].startswith(f"arn:aws:sts::000000000000:assumed-role/{allowed.rsplit('/', 1)[-1]}/")
    error, answer = invoke(local_aws, local_aws.function(code, role=local_aws.role(service="lambda.amazonaws.com")))
    assert error == "Unhandled"
    assert answer["errorType"] == "ClientError"
    assert "is not authorized to perform: sqs:listqueues" in answer["errorMessage"]


def test_a_function_finds_boto3_and_none_of_the_platforms_packages_or_variables(local_aws: LocalAws) -> None:
    code = (
        "import importlib.util, os\n"
        "def handler(e, c):\n"
        "    seen = sorted(k for k in os.environ if k.startswith(('LAKE_R', 'LAKE_F', 'MINISTACK')))\n"
        "    return [n for n in e if importlib.util.find_spec(n)], seen"
    )
    names = ["boto3", "botocore", "urllib3", "pydantic", "yaml", "pyspark", "ministack", "lakehouse", "local"]
    function = local_aws.function(code, role=local_aws.role(service="lambda.amazonaws.com"))
    assert invoke(local_aws, function, names) == (None, [["boto3", "botocore", "urllib3"], []])


def test_an_environment_stays_warm_even_after_an_error(local_aws: LocalAws) -> None:
    code = "seen = []\ndef handler(e, c):\n    seen.append(e)\n    if e == 2: raise ValueError('two')\n    return len(seen)"
    function = local_aws.function(code, role=local_aws.role(service="lambda.amazonaws.com"))
    assert [invoke(local_aws, function, number)[0] for number in (1, 2)] == [None, "Unhandled"]
    assert invoke(local_aws, function, 3) == (None, 3)


def test_a_function_that_takes_too_long_is_stopped(local_aws: LocalAws) -> None:
    code = "import time\ndef handler(e, c): time.sleep(5)"
    error, answer = invoke(local_aws, local_aws.function(code, role=local_aws.role(service="lambda.amazonaws.com"), timeout=1))
    assert error == "Unhandled"
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]


def test_a_module_that_is_not_in_the_bundle_fails_as_in_aws(local_aws: LocalAws) -> None:
    function = local_aws.function("import pandas\ndef handler(e, c): ...", role=local_aws.role(service="lambda.amazonaws.com"))
    error, answer = invoke(local_aws, function)
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert answer["errorMessage"] == "Unable to import module 'index': No module named 'pandas'"


def test_a_function_without_the_right_to_log_has_no_log(local_aws: LocalAws) -> None:
    for statements, has_log in (([LOGS], True), ([], False)):
        function = local_aws.function("def handler(e, c): print('hi')", role=local_aws.role(*statements, service="lambda.amazonaws.com"))
        invoke(local_aws, function)
        group = f"/aws/lambda/{function.rsplit(':', 1)[-1]}"
        groups = local_aws.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert bool(groups) is has_log


def test_a_role_that_stops_trusting_lambda_stops_the_function(local_aws: LocalAws) -> None:
    role = local_aws.role(service="lambda.amazonaws.com")
    function = local_aws.function("def handler(e, c): return 1", role=role)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "glue.amazonaws.com"}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    local_aws.client("iam").update_assume_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyDocument=trust)
    error, answer = invoke(local_aws, function)
    assert error == "Unhandled"
    assert "cannot be assumed by Lambda" in answer["errorMessage"]
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        local_aws.function("def handler(e, c): return 1", role=role)
