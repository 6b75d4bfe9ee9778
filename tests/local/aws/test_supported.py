"""What is not implemented is refused and says what is; nothing answers with a made-up success."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws

pytestmark = pytest.mark.platform


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("glue", "start_crawler", {"Name": "c"}),
        ("glue", "create_crawler", {"Name": "c", "Role": "r", "Targets": {}}),
        ("glue", "batch_delete_partition", {"DatabaseName": "d", "TableName": "t", "PartitionsToDelete": []}),
        ("athena", "get_query_runtime_statistics", {"QueryExecutionId": "q"}),
        ("iam", "update_user", {"UserName": "u"}),  # let through by a pattern, unknown to MiniStack
        ("glue", "create_classifier", {"JsonClassifier": {"Name": "c", "JsonPath": "$"}}),
        (
            "glue",
            "start_data_quality_ruleset_evaluation_run",
            {"DataSource": {"GlueTable": {"DatabaseName": "d", "TableName": "t"}}, "Role": "r", "RulesetNames": ["r"]},
        ),
        ("events", "activate_event_source", {"Name": "e"}),
        ("logs", "start_query", {"startTime": 0, "endTime": 1, "queryString": "x"}),
        (
            "dynamodb",
            "export_table_to_point_in_time",
            {"TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/t", "S3Bucket": "bucket"},
        ),
        ("elasticache", "describe_cache_clusters", {}),
        ("cloudcontrol", "create_resource", {"TypeName": "AWS::SQS::Queue", "DesiredState": "{}"}),
        ("emr", "list_studios", {}),
        ("lakeformation", "list_permissions", {}),
        ("quicksight", "list_dashboards", {"AwsAccountId": "000000000000"}),
        ("redshift", "get_cluster_credentials", {"DbUser": "u", "DbName": "d", "ClusterIdentifier": "c"}),
        ("route53", "list_hosted_zones", {}),
        ("cloudfront", "list_distributions", {}),
        ("kinesis", "list_streams", {}),
        ("datazone", "list_domains", {}),
        ("sagemaker", "list_models", {}),
    ],
)
def test_an_operation_that_is_not_implemented_says_so(local_aws: LocalAws, service: str, operation: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=r"is not implemented on the laptop platform\. Implemented"):
        getattr(local_aws.client(service), operation)(**arguments)


def test_a_bucket_setting_that_would_do_nothing_is_refused(local_aws: LocalAws) -> None:
    s3, bucket = local_aws.client("s3"), local_aws.name("bucket")
    s3.create_bucket(Bucket=bucket)
    with pytest.raises(ClientError, match="is not implemented on the laptop platform"):
        s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})


def test_a_runtime_that_cannot_run_is_refused_when_the_function_is_made(local_aws: LocalAws) -> None:
    role = local_aws.role(service="lambda.amazonaws.com")
    with pytest.raises(ClientError, match="java21 functions are not implemented on the laptop platform"):
        local_aws.client("lambda").create_function(
            FunctionName=local_aws.name("function"), Runtime="java21", Role=role, Handler="a.B", Code={"ZipFile": b"PK"}
        )
