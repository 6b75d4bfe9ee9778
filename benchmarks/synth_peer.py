"""The resources of an environment written by hand with the CDK's own L2 classes, one call a resource: the peer of benchmarks/synth.py.

What a person would type as literals is read from JSON, which costs less than running our constructs would; whatever the CDK has no L2 class for, or for
which ours use an L1 class too, is an L1 resource. Run as a program: OUTPUT-FOLDER TEMPLATE-FOLDER.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import (
    App,
    Aws,
    CfnParameter,
    CfnResource,
    CustomResource,
    DefaultStackSynthesizer,
    Duration,
    Fn,
    RemovalPolicy,
    Stack,
    Tags,
    Token,
)
from aws_cdk import aws_athena as athena
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

Json = dict[str, Any]
_PSEUDO = {
    "AWS::AccountId": Aws.ACCOUNT_ID,
    "AWS::Region": Aws.REGION,
    "AWS::Partition": Aws.PARTITION,
    "AWS::URLSuffix": Aws.URL_SUFFIX,
}


def value(given: Any) -> Any:
    """A literal of a template as what a person would pass: tokens for references."""
    if isinstance(given, list):
        return [value(part) for part in given]
    if not isinstance(given, dict):
        return given
    match given:
        case {"Ref": name}:
            return _PSEUDO.get(name) or Fn.ref(name)
        case {"Fn::GetAtt": [name, attribute]}:
            return Fn.get_att(name, attribute).to_string()
        case {"Fn::Join": [separator, parts]}:
            return separator.join(value(parts))
        case {"Fn::Sub": text}:
            return Fn.sub(text)
        case {"Fn::Select": [place, {"Fn::Split": [separator, text]}]}:
            return Fn.select(place, Fn.split(separator, value(text)))
        case _:
            return {name: value(part) for name, part in given.items()}


def key(scope: Construct, id: str, given: Json) -> Construct:
    """A customer key."""
    return kms.Key(
        scope,
        id,
        description=given["Description"],
        enable_key_rotation=True,
        rotation_period=Duration.days(given["RotationPeriodInDays"]) if "RotationPeriodInDays" in given else None,
        pending_window=Duration.days(given["PendingWindowInDays"]) if "PendingWindowInDays" in given else None,
        policy=iam.PolicyDocument.from_json(value(given["KeyPolicy"])),
        removal_policy=RemovalPolicy.RETAIN,
    )


def bucket(scope: Construct, id: str, given: Json) -> Construct:
    """A bucket, without its policy."""
    arn = value(given["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])
    made = s3.Bucket(
        scope,
        id,
        bucket_name=value(given["BucketName"]),
        blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        bucket_key_enabled=True,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=kms.Key.from_key_arn(scope, f"{id}Key", arn),
        lifecycle_rules=[_lifecycle(rule) for rule in given["LifecycleConfiguration"]["Rules"]],
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=RemovalPolicy.RETAIN,
        versioned=True,
    )
    if "NotificationConfiguration" in given:
        # L2's own switch adds a function and a role that no template of ours has.
        resource = made.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        resource.add_property_override("NotificationConfiguration", given["NotificationConfiguration"])
    return made


def _lifecycle(rule: Json) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id=rule["Id"],
        expiration=Duration.days(rule["ExpirationInDays"]) if "ExpirationInDays" in rule else None,
        noncurrent_version_expiration=Duration.days(rule["NoncurrentVersionExpiration"]["NoncurrentDays"])
        if "NoncurrentVersionExpiration" in rule
        else None,
        abort_incomplete_multipart_upload_after=Duration.days(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"])
        if "AbortIncompleteMultipartUpload" in rule
        else None,
        expired_object_delete_marker=rule.get("ExpiredObjectDeleteMarker"),
        transitions=[
            s3.Transition(
                storage_class=s3.StorageClass(transition["StorageClass"]), transition_after=Duration.days(transition["TransitionInDays"])
            )
            for transition in rule["Transitions"]
        ]
        if "Transitions" in rule
        else None,
    )


def role(scope: Construct, id: str, given: Json) -> Construct:
    """A role that a service may assume."""
    (statement,) = given["AssumeRolePolicyDocument"]["Statement"]
    conditions = value(statement.get("Condition"))
    ((kind, who),) = statement["Principal"].items()
    principal: Any
    if kind == "Service":
        principal = iam.ServicePrincipal(who, conditions=conditions)
    else:
        someone: Any = iam.ArnPrincipal(value(who))
        principal = iam.PrincipalWithConditions(someone, conditions) if conditions else someone
    return iam.Role(scope, id, assumed_by=principal, description=given.get("Description"), role_name=given.get("RoleName"))


def log_group(scope: Construct, id: str, given: Json) -> Construct:
    """A log group."""
    return logs.LogGroup(
        scope,
        id,
        log_group_name=given["LogGroupName"],
        encryption_key=kms.Key.from_key_arn(scope, f"{id}Key", value(given["KmsKeyId"])),
        retention=logs.RetentionDays.ONE_YEAR if given["RetentionInDays"] == 365 else logs.RetentionDays.ONE_MONTH,
        removal_policy=RemovalPolicy.RETAIN,
    )


def queue(scope: Construct, id: str, given: Json) -> Construct:
    """A queue, without its policy."""
    redrive = given.get("RedrivePolicy")
    return sqs.Queue(
        scope,
        id,
        queue_name=given["QueueName"],
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=kms.Key.from_key_arn(scope, f"{id}Key", value(given["KmsMasterKeyId"])),
        retention_period=Duration.seconds(given["MessageRetentionPeriod"]) if "MessageRetentionPeriod" in given else None,
        visibility_timeout=Duration.seconds(given["VisibilityTimeout"]) if "VisibilityTimeout" in given else None,
        dead_letter_queue=sqs.DeadLetterQueue(
            max_receive_count=redrive["maxReceiveCount"],
            queue=sqs.Queue.from_queue_arn(scope, f"{id}Dead", value(redrive["deadLetterTargetArn"])),
        )
        if redrive
        else None,
    )


def topic(scope: Construct, id: str, given: Json) -> Construct:
    """A topic, without its policy."""
    return sns.Topic(
        scope, id, topic_name=given["TopicName"], master_key=kms.Key.from_key_arn(scope, f"{id}Key", value(given["KmsMasterKeyId"]))
    )


def table(scope: Construct, id: str, given: Json) -> Construct:
    """A DynamoDB table with its indexes."""
    partition, sort = (dynamodb.Attribute(name=part["AttributeName"], type=dynamodb.AttributeType.STRING) for part in given["KeySchema"])
    made = dynamodb.Table(
        scope,
        id,
        table_name=given["TableName"],
        partition_key=partition,
        sort_key=sort,
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        deletion_protection=given.get("DeletionProtectionEnabled"),
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryption_key=kms.Key.from_key_arn(scope, f"{id}Key", value(given["SSESpecification"]["KMSMasterKeyId"])),
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
        time_to_live_attribute=given["TimeToLiveSpecification"]["AttributeName"],
        removal_policy=RemovalPolicy.RETAIN,
    )
    for index in given.get("GlobalSecondaryIndexes", []):
        partition, sort = (
            dynamodb.Attribute(name=part["AttributeName"], type=dynamodb.AttributeType.STRING) for part in index["KeySchema"]
        )
        made.add_global_secondary_index(index_name=index["IndexName"], partition_key=partition, sort_key=sort)
    return made


def parameter(scope: Construct, id: str, given: Json) -> Construct:
    """A parameter."""
    return ssm.StringParameter(
        scope, id, parameter_name=given["Name"], description=given["Description"], string_value=value(given["Value"])
    )


def custom(scope: Construct, id: str, given: Json) -> Construct:
    """A custom resource."""
    properties = {name: value(part) for name, part in given.items() if name != "ServiceToken"}
    return CustomResource(
        scope, id, resource_type="Custom::IcebergTable", service_token=value(given["ServiceToken"]), properties=properties
    )


def alias(scope: Construct, id: str, given: Json) -> Construct:
    """Another name of a key."""
    return kms.Alias(
        scope, id, alias_name=given["AliasName"], target_key=kms.Key.from_key_arn(scope, f"{id}Key", value(given["TargetKeyId"]))
    )


def policy(scope: Construct, id: str, given: Json) -> Construct:
    """A policy of a role."""
    arn = f"arn:aws:iam::123456789012:role/{id}"
    made = iam.Policy(
        scope,
        id,
        policy_name=given["PolicyName"],
        document=iam.PolicyDocument.from_json(value(given["PolicyDocument"])),
        roles=[iam.Role.from_role_arn(scope, f"{id}Role", arn)],
    )
    resource = made.node.default_child
    assert isinstance(resource, iam.CfnPolicy)
    resource.roles = value(given["Roles"])
    return made


def alarm(scope: Construct, id: str, given: Json) -> Construct:
    """An alarm that tells a topic."""
    made = cloudwatch.Alarm(
        scope,
        id,
        alarm_name=given["AlarmName"],
        alarm_description=given["AlarmDescription"],
        comparison_operator=cloudwatch.ComparisonOperator[_upper(given["ComparisonOperator"])],
        evaluation_periods=given["EvaluationPeriods"],
        metric=cloudwatch.Metric(
            namespace=given["Namespace"],
            metric_name=given["MetricName"],
            dimensions_map={part["Name"]: value(part["Value"]) for part in given.get("Dimensions", [])},
            period=Duration.seconds(given["Period"]),
            statistic=given["Statistic"],
        ),
        threshold=given["Threshold"],
        treat_missing_data=cloudwatch.TreatMissingData[_upper(given["TreatMissingData"])],
    )
    made.add_alarm_action(*(_Arn(value(arn)) for arn in given["AlarmActions"]))
    return made


@jsii.implements(cloudwatch.IAlarmAction)
class _Arn:
    def __init__(self, arn: str) -> None:
        self._arn = arn

    def bind(self, scope: Construct, alarm: cloudwatch.IAlarm) -> cloudwatch.AlarmActionConfig:  # noqa: ARG002 (jsii passes them by name)
        return cloudwatch.AlarmActionConfig(alarm_action_arn=self._arn)


def _upper(text: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).upper()


L2: dict[str, Callable[[Construct, str, Json], Construct]] = {
    "AWS::DynamoDB::Table": table,
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::IAM::Policy": policy,
    "AWS::IAM::Role": role,
    "AWS::KMS::Alias": alias,
    "AWS::KMS::Key": key,
    "AWS::Logs::LogGroup": log_group,
    "AWS::S3::Bucket": bucket,
    "AWS::SNS::Topic": topic,
    "AWS::SQS::Queue": queue,
    "AWS::SSM::Parameter": parameter,
    "Custom::IcebergTable": custom,
}


def build(stack: Stack, template: Json) -> None:
    """Write one stack."""
    for name, given in template.get("Parameters", {}).items():
        if name != "BootstrapVersion":
            CfnParameter(stack, name, type=given["Type"], default=given.get("Default"))
    for name, given in template["Resources"].items():
        make = L2.get(given["Type"])
        if make is None:
            resource = _plain(stack, name, given)
        else:
            resource = make(stack, f"{name}L2", given["Properties"]).node.default_child
            assert isinstance(resource, CfnResource)
            resource.override_logical_id(name)
        if "DependsOn" in given:
            resource.add_override("DependsOn", given["DependsOn"])


TYPED: dict[str, type[CfnResource]] = {
    "AWS::Athena::WorkGroup": athena.CfnWorkGroup,
    "AWS::Events::Rule": events.CfnRule,
    "AWS::Glue::Database": glue.CfnDatabase,
    "AWS::Glue::Job": glue.CfnJob,
    "AWS::Glue::SecurityConfiguration": glue.CfnSecurityConfiguration,
    "AWS::Glue::TableOptimizer": glue.CfnTableOptimizer,
    "AWS::Lambda::EventSourceMapping": lambda_.CfnEventSourceMapping,
    "AWS::Lambda::Function": lambda_.CfnFunction,
    "AWS::Lambda::Permission": lambda_.CfnPermission,
    "AWS::S3::BucketPolicy": s3.CfnBucketPolicy,
    "AWS::SNS::TopicPolicy": sns.CfnTopicPolicy,
    "AWS::SQS::QueuePolicy": sqs.CfnQueuePolicy,
    "AWS::StepFunctions::StateMachine": stepfunctions.CfnStateMachine,
}
_AS_THEY_ARE = frozenset({"DefaultArguments", "EventPattern", "PolicyDocument", "Variables"})


def _props(given: Any) -> Any:
    """Properties in the spelling of the typed classes."""
    if isinstance(given, list):
        return [_props(part) for part in given]
    if not isinstance(given, dict):
        return given
    return {name[0].lower() + name[1:]: part if name in _AS_THEY_ARE else _props(part) for name, part in given.items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _plain(stack: Stack, name: str, given: Json) -> CfnResource:
    properties = {key: part for key, part in value(given["Properties"]).items() if key != "Tags"}
    kind = TYPED[given["Type"]]
    made = kind(stack, name, **{_snake(key): part if key in _AS_THEY_ARE else _props(part) for key, part in properties.items()})  # type: ignore[call-arg]
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if policy in given:
            made.add_override(policy, given[policy])
    return made


def main(output: str, templates: Path) -> None:
    """Write every stack of the environment."""
    app = App(outdir=output, analytics_reporting=False, builtin_cloud_formation_validation=False, stack_traces=False, tree_metadata=False)
    Tags.of(app).add("cost-center", "data-platform")
    Tags.of(app).add("environment", "prod")
    Tags.of(app).add("managed-by", "cdk")
    Tags.of(app).add("owner", "data-platform")
    Tags.of(app).add("project", "lakehouse")
    for file in sorted(templates.glob("*.template.json")):
        name = file.name.removesuffix(".template.json")
        template = json.loads(file.read_text())
        stack = Stack(app, name, synthesizer=DefaultStackSynthesizer(bucket_prefix="lakehouse-prod/"), description=template["Description"])
        for number, asset in enumerate(sorted(json.loads((templates / f"{name}.assets.json").read_text())["files"].values(), key=str)):
            path = templates / asset["source"]["path"]
            if path.name != file.name:
                assets.Asset(stack, f"Asset{number}", path=str(path))
        build(stack, template)
    app.synth()


if __name__ == "__main__":
    assert not Token.is_unresolved(sys.argv[1])
    main(sys.argv[1], Path(sys.argv[2]))
