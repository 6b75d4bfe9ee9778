"""Resource types that MiniStack lacks, custom resources, and types that nobody has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

LOGS = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])
ANSWER = """
import json, urllib.request
def handler(event, context):
    body = json.dumps({"Status": %r, "Reason": "because", "PhysicalResourceId": "mine", "Data": {"Got": event["ResourceProperties"]["Number"]},
        **{k: event[k] for k in ("StackId", "RequestId", "LogicalResourceId")}}).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data=body, method="PUT"))
"""


def custom(function: str) -> dict[str, Any]:
    return {"Own": {"Type": "Custom::Thing", "Properties": {"ServiceToken": function, "Number": 5}}}


def test_a_custom_resource_is_made_by_its_function(local_aws: LocalAws) -> None:
    function = local_aws.function(ANSWER % "SUCCESS", role=local_aws.role(LOGS, service="lambda.amazonaws.com"))
    outputs = {"Outputs": {"Got": {"Value": {"Fn::GetAtt": ["Own", "Got"]}}, "Id": {"Value": {"Ref": "Own"}}}}
    stack = local_aws.stack(custom(function), template=outputs)
    assert {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]} == {"Got": "5", "Id": "mine"}
    unable = local_aws.stack(custom(function), caller=local_aws.caller(allow("cloudformation:*")))
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {function}" in unable["Failures"][-1]


def test_a_custom_resource_fails_with_its_functions_reason_or_its_crash(local_aws: LocalAws) -> None:
    role = local_aws.role(LOGS, service="lambda.amazonaws.com")
    answered = local_aws.stack(custom(local_aws.function(ANSWER % "FAILED", role=role)))
    assert "Message returned: because" in answered["Failures"][-1]
    crashed = local_aws.stack(custom(local_aws.function("def handler(e, c): raise KeyError('gone')", role=role)))
    assert "failed 3 times without an answer: 'gone'" in crashed["Failures"][-1]


def test_a_composite_alarm_follows_its_children(local_aws: LocalAws) -> None:
    name = local_aws.name("alarm")
    child = {
        "AlarmName": name, "Namespace": "Lakehouse", "MetricName": name, "Period": 60, "EvaluationPeriods": 1, "Threshold": 1,
        "Statistic": "Sum", "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
    }  # fmt: skip
    composite = {"AlarmName": f"{name}-any", "AlarmRule": {"Fn::Sub": 'ALARM("${Child}")'}}
    resources = {
        "Child": {"Type": "AWS::CloudWatch::Alarm", "Properties": child},
        "Any": {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": composite},
    }
    assert local_aws.stack(resources)["StackStatus"] == "CREATE_COMPLETE"
    cloudwatch = local_aws.client("cloudwatch")

    def state() -> str:
        cloudwatch.describe_alarms(AlarmNames=[name])
        return str(
            cloudwatch.describe_alarms(AlarmNames=[f"{name}-any"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]["StateValue"]
        )

    assert state() == "OK"
    cloudwatch.put_metric_data(Namespace="Lakehouse", MetricData=[{"MetricName": name, "Value": 2}])
    assert state() == "ALARM"


def test_an_optimizer_needs_an_iceberg_table(local_aws: LocalAws) -> None:
    role = local_aws.role(service="glue.amazonaws.com")
    database, glue = local_aws.name("db"), local_aws.client("glue")
    glue.create_database(DatabaseInput={"Name": database})
    tables: dict[str, dict[str, str]] = {"plain": {}, "iceberg": {"table_type": "ICEBERG", "metadata_location": "s3://b/m.json"}}
    for table, parameters in tables.items():
        glue.create_table(DatabaseName=database, TableInput={"Name": table, "Parameters": parameters})

    def optimizer(table: str) -> dict[str, Any]:
        properties = {
            "CatalogId": "000000000000", "DatabaseName": database, "TableName": table, "Type": "compaction",
            "TableOptimizerConfiguration": {"RoleArn": role, "Enabled": True},
        }  # fmt: skip
        return {"Optimizer": {"Type": "AWS::Glue::TableOptimizer", "Properties": properties}}

    assert local_aws.stack(optimizer("iceberg"))["StackStatus"] == "CREATE_COMPLETE"
    assert "is not an Iceberg table" in local_aws.stack(optimizer("plain"))["Failures"][-1]
    assert "Entity Not Found" in local_aws.stack(optimizer("missing"))["Failures"][-1]


def test_a_type_that_is_not_implemented_is_refused_and_the_others_named(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match=r"does not implement: \[AWS::ElastiCache::CacheCluster\].*AWS::SQS::Queue"):
        local_aws.stack({"Database": {"Type": "AWS::ElastiCache::CacheCluster", "Properties": {}}})


def test_a_log_group_parameter_and_bucket_of_a_template_behave(local_aws: LocalAws) -> None:
    key = local_aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    bucket, parameter = local_aws.name("bucket"), f"/{local_aws.name('p')}"
    local_aws.client("ssm").put_parameter(Name=parameter, Value=bucket, Type="String")
    encryption = {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    properties = {
        "BucketName": {"Ref": "Name"},
        "VersioningConfiguration": {"Status": "Enabled"},
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
        "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
        "LifecycleConfiguration": {"Rules": [{"Id": "a", "Status": "Enabled", "ExpirationInDays": 30}]},
    }
    parameters = {"Parameters": {"Name": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": parameter}}}
    stack = local_aws.stack({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}, template=parameters)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    s3 = local_aws.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["Expiration"] == {"Days": 30}
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=bucket)
    assert json.dumps(s3.get_bucket_encryption(Bucket=bucket)).count(key) == 1
