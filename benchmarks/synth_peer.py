"""The resources of an environment written by hand with the CDK's own L2 classes, one call a resource: the peer of benchmarks/synth.py.

What a person would type as literals is read from JSON, which costs less than running our constructs would; whatever the CDK has no L2 class for, or for
which ours use an L1 class too, is an L1 resource. It crosses into the CDK no more often than a good engineer's code would: a key is imported once a
stack, an attribute is read once, a policy takes the role itself, and L2 constructs keep the logical ids that the CDK gives them.
Run as a program: OUTPUT-FOLDER TEMPLATE-FOLDER.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

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
)
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from benchmarks.logical_ids import WRITTEN_WITH_L2, ids_of_peer

Json = dict[str, Any]
_PSEUDO = {
    "AWS::AccountId": Aws.ACCOUNT_ID,
    "AWS::Region": Aws.REGION,
    "AWS::Partition": Aws.PARTITION,
    "AWS::URLSuffix": Aws.URL_SUFFIX,
}
TAGS = {
    "cost-center": "data-platform",
    "environment": "prod",
    "managed-by": "cdk",
    "owner": "data-platform",
    "project": "lakehouse",
}
RETENTION = {
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A stack under construction, with what its code would keep in variables.

    Attributes:
        stack: The stack.
        ids: Logical ids of its resources, by those of the given template.
        made: L2 constructs by the logical id of their resource in the given template.
        keys: Imported keys by ARN.
        actions: What alarms do, by the ARN of the topic.
        values: Tokens by what they stand for.
    """

    stack: Stack
    ids: Mapping[str, str]
    made: dict[str, Construct] = field(default_factory=dict[str, Construct])
    keys: dict[str, kms.IKey] = field(default_factory=dict[str, kms.IKey])
    actions: dict[str, actions.SnsAction] = field(default_factory=dict[str, actions.SnsAction])
    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def value(self, given: Any) -> Any:
        """A literal of a template as what a person would pass: tokens for references, each made once."""
        if isinstance(given, list):
            return [self.value(part) for part in given]
        if not isinstance(given, dict):
            return given
        if len(given) == 1:
            ((function, argument),) = given.items()
            if function == "Fn::Join" and argument[0] == "":
                return "".join(map(str, self.value(argument[1])))
            if function == "Ref" and argument in _PSEUDO:
                return _PSEUDO[argument]
            if function == "Ref" or function.startswith("Fn::"):
                name = json.dumps(given)
                if name not in self.values:
                    self.values[name] = self._token(function, argument)
                return self.values[name]
        return {name: self.value(part) for name, part in given.items()}

    def _token(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", name:
                return Fn.ref(self.ids.get(name, name))
            case "Fn::GetAtt", [name, attribute]:
                return Fn.get_att(self.ids.get(name, name), attribute).to_string()
            case "Fn::Join", [separator, parts]:
                return Fn.join(separator, self.value(parts))
            case "Fn::Sub", text:
                return Fn.sub(text)
            case "Fn::Split", [separator, text]:
                return Fn.split(separator, self.value(text))
            case "Fn::GetAZs", region:
                return Fn.get_azs(self.value(region))
            case "Fn::Select", [place, parts]:
                return Fn.select(int(place), self.value(parts))
            case _:
                raise ValueError(f"the peer does not know {function}: teach it")

    def construct(self, given: Any) -> Any:
        """The construct of this stack that a reference is about, or None."""
        match given:
            case {"Ref": name} | {"Fn::GetAtt": [name, "Arn"]}:
                return self.made.get(name)
            case _:
                return None

    def key(self, given: Any) -> kms.IKey:
        """A key by its ARN: of this stack, or imported once."""
        made = self.construct(given)
        if made is not None:
            return made
        arn = self.value(given)
        if arn not in self.keys:
            self.keys[arn] = kms.Key.from_key_arn(self.stack, f"Key{len(self.keys)}", arn)
        return self.keys[arn]

    def action(self, given: Any) -> Any:
        """What an alarm does: tell a topic, which is imported once."""
        arn = self.value(given)
        if arn not in self.actions:
            self.actions[arn] = actions.SnsAction(sns.Topic.from_topic_arn(self.stack, f"Topic{len(self.actions)}", arn))
        return self.actions[arn]


def key(place: Place, id: str, given: Json) -> Construct:
    """A customer key."""
    return kms.Key(
        place.stack,
        id,
        description=given["Description"],
        enable_key_rotation=True,
        rotation_period=Duration.days(given["RotationPeriodInDays"]) if "RotationPeriodInDays" in given else None,
        pending_window=Duration.days(given["PendingWindowInDays"]) if "PendingWindowInDays" in given else None,
        policy=iam.PolicyDocument.from_json(place.value(given["KeyPolicy"])),
        removal_policy=RemovalPolicy.RETAIN,
    )


def bucket(place: Place, id: str, given: Json) -> Construct:
    """A bucket, without its policy."""
    arn = given["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    made = s3.Bucket(
        place.stack,
        id,
        bucket_name=place.value(given["BucketName"]),
        blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        bucket_key_enabled=True,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=place.key(arn),
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
        prefix=rule.get("Prefix"),
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


def role(place: Place, id: str, given: Json) -> Construct:
    """A role that a service or a principal may assume."""
    (statement,) = given["AssumeRolePolicyDocument"]["Statement"]
    conditions = place.value(statement.get("Condition"))
    ((kind, who),) = statement["Principal"].items()
    principal: Any
    if kind == "Service":
        services: list[Any] = [iam.ServicePrincipal(name, conditions=conditions) for name in (who if isinstance(who, list) else [who])]
        principal = services[0] if len(services) == 1 else iam.CompositePrincipal(*services)
    else:
        someone: Any = iam.ArnPrincipal(place.value(who))
        principal = iam.PrincipalWithConditions(someone, conditions) if conditions else someone
    return iam.Role(
        place.stack,
        id,
        assumed_by=principal,
        description=given.get("Description"),
        managed_policies=[
            iam.ManagedPolicy.from_managed_policy_arn(place.stack, f"{id}{number}", place.value(arn))
            for number, arn in enumerate(given.get("ManagedPolicyArns", []))
        ]
        or None,
        role_name=given.get("RoleName"),
    )


def log_group(place: Place, id: str, given: Json) -> Construct:
    """A log group."""
    return logs.LogGroup(
        place.stack,
        id,
        log_group_name=given["LogGroupName"],
        encryption_key=place.key(given["KmsKeyId"]),
        retention=RETENTION[given["RetentionInDays"]],
        removal_policy=RemovalPolicy.RETAIN,
    )


def queue(place: Place, id: str, given: Json) -> Construct:
    """A queue, without its policy."""
    redrive = given.get("RedrivePolicy")
    return sqs.Queue(
        place.stack,
        id,
        queue_name=given["QueueName"],
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=place.key(given["KmsMasterKeyId"]),
        retention_period=Duration.seconds(given["MessageRetentionPeriod"]) if "MessageRetentionPeriod" in given else None,
        visibility_timeout=Duration.seconds(given["VisibilityTimeout"]) if "VisibilityTimeout" in given else None,
        dead_letter_queue=sqs.DeadLetterQueue(
            max_receive_count=redrive["maxReceiveCount"], queue=place.construct(redrive["deadLetterTargetArn"])
        )
        if redrive
        else None,
    )


def topic(place: Place, id: str, given: Json) -> Construct:
    """A topic, without its policy."""
    return sns.Topic(place.stack, id, topic_name=given["TopicName"], master_key=place.key(given["KmsMasterKeyId"]))


def table(place: Place, id: str, given: Json) -> Construct:
    """A DynamoDB table with its indexes."""
    partition, sort = (dynamodb.Attribute(name=part["AttributeName"], type=dynamodb.AttributeType.STRING) for part in given["KeySchema"])
    made = dynamodb.Table(
        place.stack,
        id,
        table_name=given["TableName"],
        partition_key=partition,
        sort_key=sort,
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        deletion_protection=given.get("DeletionProtectionEnabled"),
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryption_key=place.key(given["SSESpecification"]["KMSMasterKeyId"]),
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


def parameter(place: Place, id: str, given: Json) -> Construct:
    """A parameter."""
    return ssm.StringParameter(
        place.stack, id, parameter_name=given["Name"], description=given["Description"], string_value=place.value(given["Value"])
    )


def alias(place: Place, id: str, given: Json) -> Construct:
    """Another name of a key."""
    return kms.Alias(place.stack, id, alias_name=given["AliasName"], target_key=place.key(given["TargetKeyId"]))


def policy(place: Place, id: str, given: Json) -> Construct:
    """A policy of a role."""
    return iam.Policy(
        place.stack,
        id,
        policy_name=given["PolicyName"],
        document=iam.PolicyDocument.from_json(place.value(given["PolicyDocument"])),
        roles=[place.construct(role) for role in given["Roles"]],
    )


def alarm(place: Place, id: str, given: Json) -> Construct:
    """An alarm that tells a topic."""
    made = cloudwatch.Alarm(
        place.stack,
        id,
        alarm_name=given["AlarmName"],
        alarm_description=given["AlarmDescription"],
        comparison_operator=cloudwatch.ComparisonOperator[_upper(given["ComparisonOperator"])],
        evaluation_periods=given["EvaluationPeriods"],
        metric=cloudwatch.Metric(
            namespace=given["Namespace"],
            metric_name=given["MetricName"],
            dimensions_map={part["Name"]: place.value(part["Value"]) for part in given.get("Dimensions", [])},
            period=_period(given["Period"]),
            statistic=given["Statistic"],
        ),
        threshold=given["Threshold"],
        treat_missing_data=cloudwatch.TreatMissingData[_upper(given["TreatMissingData"])],
    )
    made.add_alarm_action(*(place.action(arn) for arn in given["AlarmActions"]))
    return made


@cache
def _period(seconds: int) -> Duration:
    return Duration.seconds(seconds)


def _upper(text: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).upper()


L2: dict[str, Callable[[Place, str, Json], Construct]] = {
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::DynamoDB::Table": table,
    "AWS::IAM::Policy": policy,
    "AWS::IAM::Role": role,
    "AWS::KMS::Alias": alias,
    "AWS::KMS::Key": key,
    "AWS::Logs::LogGroup": log_group,
    "AWS::S3::Bucket": bucket,
    "AWS::SNS::Topic": topic,
    "AWS::SQS::Queue": queue,
    "AWS::SSM::Parameter": parameter,
}
assert set(L2) == WRITTEN_WITH_L2


def build(stack: Stack, template: Json) -> None:
    """Write one stack."""
    for name, given in template.get("Parameters", {}).items():
        if name != "BootstrapVersion":
            CfnParameter(stack, name, type=given["Type"], default=given.get("Default"))
    place = Place(stack=stack, ids=ids_of_peer(template["Resources"]))
    for name, given in template["Resources"].items():
        make = L2.get(given["Type"])
        if make is not None:
            place.made[name] = make(place, name, given["Properties"])
            resource = place.made[name].node.default_child if "DependsOn" in given else None
        elif given["Type"].startswith("Custom::"):
            resource = _custom(place, name, given).node.default_child if "DependsOn" in given else _custom(place, name, given)
        else:
            resource = _plain(place, name, given)
        if "DependsOn" in given:
            assert isinstance(resource, CfnResource)
            needed = given["DependsOn"]
            resource.add_override("DependsOn", place.ids[needed] if isinstance(needed, str) else [place.ids[one] for one in needed])


def _custom(place: Place, name: str, given: Json) -> CustomResource:
    properties = {key: place.value(part) for key, part in given["Properties"].items() if key != "ServiceToken"}
    return CustomResource(
        place.stack,
        name,
        resource_type=given["Type"],
        service_token=place.value(given["Properties"]["ServiceToken"]),
        properties=properties,
    )


_AS_THEY_ARE = frozenset(
    {"ConnectionProperties", "DefaultArguments", "EventPattern", "KeyPolicy", "Parameters", "PolicyDocument", "Variables"}
)


@cache
def _typed(kind: str) -> type[CfnResource]:
    """Typed class of a CloudFormation type, imported where it is used, as a person's stack would."""
    _, service, name = kind.split("::")
    return getattr(import_module(f"aws_cdk.aws_{service.lower()}"), f"Cfn{name}")


def _props(given: Any) -> Any:
    """Properties in the spelling of the typed classes."""
    if isinstance(given, list):
        return [_props(part) for part in given]
    if not isinstance(given, dict):
        return given
    return {_small(name): part if name in _AS_THEY_ARE else _props(part) for name, part in given.items()}


def _small(name: str) -> str:
    """`KmsKeyId` as `kmsKeyId`, `S3Bucket` as `s3Bucket`."""
    return name[0].lower() + name[1:]


@cache
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _plain(place: Place, name: str, given: Json) -> CfnResource:
    properties = {key: part for key, part in place.value(given.get("Properties", {})).items() if key != "Tags"}
    own = _own_tags(given.get("Properties", {}).get("Tags"))
    made = _typed(given["Type"])(
        place.stack,
        name,
        **{_snake(key): part if key in _AS_THEY_ARE else _props(part) for key, part in properties.items()},  # type: ignore[arg-type]
        **({"tags": own} if own else {}),
    )
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if policy in given:
            made.add_override(policy, given[policy])
    return made


def _own_tags(given: Any) -> Any:
    """Tags that are the resource's own, not the app's."""
    if isinstance(given, dict):
        return {name: text for name, text in given.items() if TAGS.get(name) != text}
    return [{"key": tag["Key"], "value": tag["Value"]} for tag in given or [] if TAGS.get(tag["Key"]) != tag["Value"]]


def main(output: str, templates: Path) -> None:
    """Write every stack of the environment."""
    app = App(
        outdir=output,
        context={"@aws-cdk/aws-iam:minimizePolicies": True},
        analytics_reporting=False,
        builtin_cloud_formation_validation=False,
        stack_traces=False,
        tree_metadata=False,
    )
    for name, text in TAGS.items():
        Tags.of(app).add(name, text)
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
    main(sys.argv[1], Path(sys.argv[2]))
