"""What CloudFormation itself calls to create, change and delete a resource: the rights that a deployer must have."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Properties = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call that CloudFormation makes.

    Attributes:
        action: IAM action.
        resource: ARN.
        passed_to: Service that a role is passed to, for `iam:PassRole`.
        key_for: Service that takes a key for the resource, for what is asked of KMS.
    """

    action: str
    resource: str
    passed_to: str = ""
    key_for: str = ""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a stack deploys.

    Attributes:
        account: Account id.
        region: Region.
    """

    account: str
    region: str


@dataclass(frozen=True, kw_only=True)
class Rights:
    """The calls of one resource type.

    Attributes:
        arn: ARN of the resource; `{name}` is its name.
        name: Property that names it.
        create: Actions of every creation, on the resource.
        update: Actions of every change.
        delete: Actions of every removal.
        given: Property -> actions, called if the property is given or changes.
        changed: Property -> actions, called if the property changes; the creating call takes it along.
        taken: Property that is a list -> actions, called if the resource goes or the list loses something.
        unscoped: Actions that know no resource and are asked on `*`.
        roles: Path of a role in the properties -> service that it is passed to.
        others: More calls that follow from the properties, when it is created or changed.
        undone: Calls that take back what properties did, when it is removed, or changed so that they no longer say it.
    """

    arn: str = "*"
    name: str = ""
    create: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    taken: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    unscoped: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    others: Callable[[Properties, Place], Iterator[Call]] | None = None
    undone: Callable[[Properties, Place], Iterator[Call]] | None = None


def calls(
    resource_type: str, handler: str, *, properties: Properties, before: Properties | None, name: str, place: Place
) -> list[Call] | None:
    """What CloudFormation calls for a resource.

    Args:
        resource_type: Type, such as `AWS::SQS::Queue`.
        handler: `create`, `update` or `delete`.
        properties: Properties after the change.
        before: Properties before it, for an update.
        name: Name of the resource: its physical id if it has one, else the one that it will get.
        place: Account and region.

    Returns:
        The calls, or None if nobody has written down the rights of the type.
    """
    if resource_type.startswith("Custom::") or resource_type == "AWS::CloudFormation::CustomResource":
        return [Call(action="lambda:InvokeFunction", resource=str(properties.get("ServiceToken", "*")))]
    rights = TYPES.get(resource_type)
    if rights is None:
        return None
    own = str(properties.get(rights.name) or name) if rights.name else name
    if ":parameter/" in rights.arn:
        own = own.lstrip("/")
    if "{name}" in rights.arn and own.startswith("arn:"):
        arn = own
    else:
        arn = rights.arn.format(
            name=own.rsplit("/", 1)[-1] if own.startswith("https://") else own, account=place.account, region=place.region
        )
    actions = _own_actions(rights, handler, properties, before or {})
    found = [Call(action=action, resource="*" if action in rights.unscoped else arn) for action in dict.fromkeys(actions)]
    if handler != "delete":
        found += [call for path, service in rights.roles.items() for call in _passed(path, service, properties, place)]
        if rights.others is not None:
            found += rights.others(properties, place)
    if rights.undone is not None:
        kept = [] if handler == "delete" else list(rights.undone(properties, place))
        gone = properties if handler == "delete" else before or {}
        found += [call for call in rights.undone(gone, place) if call not in kept]
    return list(dict.fromkeys(found))


def _own_actions(rights: Rights, handler: str, properties: Properties, before: Properties) -> list[str]:
    """Actions on the resource itself."""
    actions = list({"create": rights.create, "update": rights.update, "delete": rights.delete}[handler])
    if handler != "delete":
        for given, more in (*rights.given.items(), *(rights.changed.items() if handler == "update" else ())):
            after, earlier = _own_tags(properties.get(given)), _own_tags(before.get(given))
            if after != earlier and (handler == "update" or after not in (None, [], {})):
                actions += more
    held, left = (properties, {}) if handler == "delete" else (before, properties)
    for listed, more in rights.taken.items():
        if any(item not in (left.get(listed) or []) for item in held.get(listed) or []):
            actions += more
    return actions


def values(properties: Any, path: str) -> list[str]:
    """Strings at a path such as `Targets[].RoleArn`."""
    found: list[Any] = [properties]
    for step in path.split("."):
        name, many = step.removesuffix("[]"), step.endswith("[]")
        inner = [item.get(name) for item in found if isinstance(item, dict)]
        found = [value for item in inner if isinstance(item, list) for value in item] if many else inner
    return [value for value in found if isinstance(value, str) and value]


def role_arn(value: str, place: Place) -> str:
    """ARN of a role that is named or given by ARN."""
    return value if value.startswith("arn:") else f"arn:aws:iam::{place.account}:role/{value}"


def _passed(path: str, service: str, properties: Properties, place: Place) -> list[Call]:
    """Roles that are passed, at a change too: the APIs take the whole record, and its role with it."""
    return [Call(action="iam:PassRole", resource=role_arn(value, place), passed_to=service) for value in values(properties, path)]


def _own_tags(value: Any) -> Any:
    """Tags without those that CloudFormation adds itself."""
    if isinstance(value, list) and all(isinstance(item, dict) and "Key" in item for item in value):
        return [item for item in value if not str(item["Key"]).startswith("aws:")]
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if not str(key).startswith("aws:")}
    return value


# ---- calls that follow from properties -----------------------------------------------------------------------------


def _asset(bucket: str, key: str, version: str) -> Iterator[Call]:
    if bucket and key:
        yield Call(action="s3:GetObject", resource=f"arn:aws:s3:::{bucket}/{key}")
        if version:
            yield Call(action="s3:GetObjectVersion", resource=f"arn:aws:s3:::{bucket}/{key}")


def _function_calls(properties: Properties, place: Place) -> Iterator[Call]:
    del place
    code = properties.get("Code") or {}
    yield from _asset(code.get("S3Bucket", ""), code.get("S3Key", ""), code.get("S3ObjectVersion", ""))
    yield from (Call(action="lambda:GetLayerVersion", resource=layer) for layer in properties.get("Layers") or [] if isinstance(layer, str))


def _machine_calls(properties: Properties, place: Place) -> Iterator[Call]:
    del place
    where = properties.get("DefinitionS3Location") or {}
    yield from _asset(where.get("Bucket", ""), where.get("Key", ""), where.get("Version", ""))


def _policy_calls(properties: Properties, place: Place) -> Iterator[Call]:
    for role in properties.get("Roles") or []:
        yield Call(action="iam:PutRolePolicy", resource=role_arn(str(role), place))


def _policy_undone(properties: Properties, place: Place) -> Iterator[Call]:
    for role in properties.get("Roles") or []:
        yield Call(action="iam:DeleteRolePolicy", resource=role_arn(str(role), place))


def _managed_policy_undone(properties: Properties, place: Place) -> Iterator[Call]:
    for role in properties.get("Roles") or []:
        yield Call(action="iam:DetachRolePolicy", resource=role_arn(str(role), place))


def _managed_policy_calls(properties: Properties, place: Place) -> Iterator[Call]:
    for role in properties.get("Roles") or []:
        yield Call(action="iam:AttachRolePolicy", resource=role_arn(str(role), place))


def _alias_calls(properties: Properties, place: Place) -> Iterator[Call]:
    target = str(properties.get("TargetKeyId", ""))
    yield Call(
        action="kms:CreateAlias",
        resource=target if target.startswith("arn:") else f"arn:aws:kms:{place.region}:{place.account}:key/{target}",
    )


def _queue_policy_calls(properties: Properties, place: Place) -> Iterator[Call]:
    for url in properties.get("Queues") or []:
        yield Call(action="sqs:SetQueueAttributes", resource=f"arn:aws:sqs:{place.region}:{place.account}:{str(url).rsplit('/', 1)[-1]}")


def _topic_policy_calls(properties: Properties, place: Place) -> Iterator[Call]:
    del place
    for topic in properties.get("Topics") or []:
        yield Call(action="sns:SetTopicAttributes", resource=str(topic))


def _glue_database_calls(properties: Properties, place: Place) -> Iterator[Call]:
    name = (properties.get("DatabaseInput") or {}).get("Name") or properties.get("DatabaseName") or "*"
    for resource in ("catalog", f"database/{name}"):
        yield Call(action="glue:CreateDatabase", resource=f"arn:aws:glue:{place.region}:{place.account}:{resource}")


def _optimizer_calls(properties: Properties, place: Place) -> Iterator[Call]:
    table = f"{properties.get('DatabaseName')}/{properties.get('TableName')}"
    for action in ("glue:CreateTableOptimizer", "glue:GetTable"):
        yield Call(action=action, resource=f"arn:aws:glue:{place.region}:{place.account}:table/{table}")


def _table_key_calls(properties: Properties, place: Place) -> Iterator[Call]:
    key = (properties.get("SSESpecification") or {}).get("KMSMasterKeyId")
    if key:
        arn = key if str(key).startswith("arn:") else f"arn:aws:kms:{place.region}:{place.account}:key/{key}"
        for action in ("kms:DescribeKey", "kms:CreateGrant"):
            yield Call(action=action, resource=arn, key_for="dynamodb")


def _schedule_key_calls(properties: Properties, place: Place) -> Iterator[Call]:
    del place
    if properties.get("KmsKeyArn"):
        for action in ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"):
            yield Call(action=action, resource=str(properties["KmsKeyArn"]))


def _permission_calls(properties: Properties, place: Place) -> Iterator[Call]:
    name = str(properties.get("FunctionName", ""))
    yield Call(
        action="lambda:AddPermission",
        resource=name if name.startswith("arn:") else f"arn:aws:lambda:{place.region}:{place.account}:function:{name}",
    )


_BUCKET_PROPERTIES = {
    "BucketEncryption": ("s3:PutEncryptionConfiguration",),
    "LifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "VersioningConfiguration": ("s3:PutBucketVersioning",),
    "PublicAccessBlockConfiguration": ("s3:PutBucketPublicAccessBlock",),
    "NotificationConfiguration": ("s3:PutBucketNotification",),
    "LoggingConfiguration": ("s3:PutBucketLogging",),
    "OwnershipControls": ("s3:PutBucketOwnershipControls",),
    "CorsConfiguration": ("s3:PutBucketCORS",),
    "MetricsConfigurations": ("s3:PutMetricsConfiguration",),
    "ReplicationConfiguration": ("s3:PutReplicationConfiguration",),
    "ObjectLockConfiguration": ("s3:PutBucketObjectLockConfiguration",),
    "Tags": ("s3:PutBucketTagging",),
}

TYPES: dict[str, Rights] = {
    "AWS::S3::Bucket": Rights(
        arn="arn:aws:s3:::{name}", name="BucketName", create=("s3:CreateBucket",), delete=("s3:DeleteBucket",), given=_BUCKET_PROPERTIES
    ),
    "AWS::S3::BucketPolicy": Rights(
        arn="arn:aws:s3:::{name}", name="Bucket", create=("s3:PutBucketPolicy",), update=("s3:PutBucketPolicy",),
        delete=("s3:DeleteBucketPolicy",),
    ),
    "AWS::KMS::Key": Rights(
        arn="arn:aws:kms:{region}:{account}:key/{name}", create=("kms:CreateKey",), update=("kms:DescribeKey",),
        delete=("kms:DescribeKey", "kms:ScheduleKeyDeletion"), unscoped=("kms:CreateKey",),
        given={"EnableKeyRotation": ("kms:EnableKeyRotation",), "Tags": ("kms:TagResource",)},
        changed={"KeyPolicy": ("kms:PutKeyPolicy",), "Description": ("kms:UpdateKeyDescription",)},
    ),
    "AWS::KMS::Alias": Rights(
        arn="arn:aws:kms:{region}:{account}:{name}", name="AliasName", create=("kms:CreateAlias",), update=("kms:UpdateAlias",),
        delete=("kms:DeleteAlias",), others=_alias_calls,
    ),
    "AWS::DynamoDB::Table": Rights(
        arn="arn:aws:dynamodb:{region}:{account}:table/{name}", name="TableName",
        create=("dynamodb:CreateTable", "dynamodb:DescribeTable"), update=("dynamodb:DescribeTable", "dynamodb:UpdateTable"),
        delete=("dynamodb:DeleteTable", "dynamodb:DescribeTable"), others=_table_key_calls,
        given={
            "TimeToLiveSpecification": ("dynamodb:UpdateTimeToLive",),
            "PointInTimeRecoverySpecification": ("dynamodb:UpdateContinuousBackups",),
            "Tags": ("dynamodb:TagResource",),
        },
    ),
    "AWS::SQS::Queue": Rights(
        arn="arn:aws:sqs:{region}:{account}:{name}", name="QueueName", create=("sqs:CreateQueue", "sqs:GetQueueAttributes"),
        update=("sqs:SetQueueAttributes",), delete=("sqs:DeleteQueue",), given={"Tags": ("sqs:TagQueue",)},
    ),
    "AWS::SQS::QueuePolicy": Rights(others=_queue_policy_calls, undone=_queue_policy_calls),
    "AWS::SNS::Topic": Rights(
        arn="arn:aws:sns:{region}:{account}:{name}", name="TopicName", create=("sns:CreateTopic", "sns:GetTopicAttributes"),
        update=("sns:SetTopicAttributes",), delete=("sns:DeleteTopic",),
        given={"Subscription": ("sns:Subscribe",), "Tags": ("sns:TagResource",)},
    ),
    "AWS::SNS::TopicPolicy": Rights(others=_topic_policy_calls, undone=_topic_policy_calls),
    "AWS::SNS::Subscription": Rights(
        arn="{name}", name="TopicArn", create=("sns:Subscribe",), update=("sns:SetSubscriptionAttributes",), delete=("sns:Unsubscribe",)
    ),
    "AWS::Lambda::Function": Rights(
        arn="arn:aws:lambda:{region}:{account}:function:{name}", name="FunctionName",
        create=("lambda:CreateFunction", "lambda:GetFunction"), update=("lambda:GetFunction",), delete=("lambda:DeleteFunction",),
        given={"ReservedConcurrentExecutions": ("lambda:PutFunctionConcurrency",), "Tags": ("lambda:TagResource",)},
        changed={
            "Code": ("lambda:UpdateFunctionCode",),
            **dict.fromkeys(
                ("Environment", "Timeout", "MemorySize", "Handler", "Runtime", "Role", "Layers", "LoggingConfig", "TracingConfig",
                 "DeadLetterConfig", "Description", "KmsKeyArn"), ("lambda:UpdateFunctionConfiguration",)),
        },
        roles={"Role": "lambda"}, others=_function_calls,
    ),
    "AWS::Lambda::Permission": Rights(
        arn="arn:aws:lambda:{region}:{account}:function:{name}", name="FunctionName", delete=("lambda:RemovePermission",),
        others=_permission_calls,
    ),
    "AWS::Lambda::EventSourceMapping": Rights(
        create=("lambda:CreateEventSourceMapping",), update=("lambda:UpdateEventSourceMapping",), delete=("lambda:DeleteEventSourceMapping",)
    ),
    "AWS::Lambda::EventInvokeConfig": Rights(
        arn="arn:aws:lambda:{region}:{account}:function:{name}", name="FunctionName", create=("lambda:PutFunctionEventInvokeConfig",),
        update=("lambda:UpdateFunctionEventInvokeConfig",), delete=("lambda:DeleteFunctionEventInvokeConfig",),
    ),
    "AWS::Logs::LogGroup": Rights(
        arn="arn:aws:logs:{region}:{account}:log-group:{name}:*", name="LogGroupName", create=("logs:CreateLogGroup",),
        update=("logs:DescribeLogGroups",), delete=("logs:DeleteLogGroup",),
        given={"RetentionInDays": ("logs:PutRetentionPolicy",), "Tags": ("logs:TagResource",)},
    ),
    "AWS::IAM::Role": Rights(
        arn="arn:aws:iam::{account}:role/{name}", name="RoleName", create=("iam:CreateRole", "iam:GetRole"),
        delete=("iam:DeleteRole", "iam:GetRole"),
        given={"Policies": ("iam:PutRolePolicy",), "ManagedPolicyArns": ("iam:AttachRolePolicy",), "Tags": ("iam:TagRole",)},
        changed={
            "AssumeRolePolicyDocument": ("iam:UpdateAssumeRolePolicy",), "PermissionsBoundary": ("iam:PutRolePermissionsBoundary",),
            "Description": ("iam:UpdateRole",), "MaxSessionDuration": ("iam:UpdateRole",),
        },
        taken={"Policies": ("iam:DeleteRolePolicy",), "ManagedPolicyArns": ("iam:DetachRolePolicy",)},
    ),
    "AWS::IAM::Policy": Rights(others=_policy_calls, undone=_policy_undone),
    "AWS::IAM::ManagedPolicy": Rights(
        arn="arn:aws:iam::{account}:policy/{name}", name="ManagedPolicyName", create=("iam:CreatePolicy",),
        update=("iam:CreatePolicyVersion",), delete=("iam:DeletePolicy",), others=_managed_policy_calls,
        undone=_managed_policy_undone,
    ),
    "AWS::Glue::Database": Rights(
        arn="arn:aws:glue:{region}:{account}:database/{name}", update=("glue:UpdateDatabase",), delete=("glue:DeleteDatabase",),
        others=_glue_database_calls,
    ),
    "AWS::Glue::Job": Rights(
        arn="arn:aws:glue:{region}:{account}:job/{name}", name="Name", create=("glue:CreateJob",), update=("glue:UpdateJob",),
        delete=("glue:DeleteJob",), given={"Tags": ("glue:TagResource",)}, roles={"Role": "glue"},
    ),
    "AWS::Glue::TableOptimizer": Rights(
        others=_optimizer_calls, roles={"TableOptimizerConfiguration.RoleArn": "glue"}, delete=("glue:DeleteTableOptimizer",),
        update=("glue:UpdateTableOptimizer",),
    ),
    "AWS::Glue::SecurityConfiguration": Rights(
        create=("glue:CreateSecurityConfiguration",), delete=("glue:DeleteSecurityConfiguration",)
    ),
    "AWS::StepFunctions::StateMachine": Rights(
        arn="arn:aws:states:{region}:{account}:stateMachine:{name}", name="StateMachineName",
        create=("states:CreateStateMachine", "states:DescribeStateMachine"), update=("states:UpdateStateMachine",),
        delete=("states:DeleteStateMachine",), given={"Tags": ("states:TagResource",)}, roles={"RoleArn": "states"}, others=_machine_calls,
    ),
    "AWS::Events::Rule": Rights(
        arn="arn:aws:events:{region}:{account}:rule/{name}", name="Name", create=("events:PutRule", "events:DescribeRule"),
        update=("events:PutRule",), delete=("events:DeleteRule", "events:RemoveTargets"),
        given={"Targets": ("events:PutTargets",), "Tags": ("events:TagResource",)},
        roles={"Targets[].RoleArn": "events", "RoleArn": "events"},
    ),
    "AWS::CloudWatch::Alarm": Rights(
        arn="arn:aws:cloudwatch:{region}:{account}:alarm:{name}", name="AlarmName", create=("cloudwatch:PutMetricAlarm",),
        update=("cloudwatch:PutMetricAlarm",), delete=("cloudwatch:DeleteAlarms",), given={"Tags": ("cloudwatch:TagResource",)},
    ),
    "AWS::CloudWatch::CompositeAlarm": Rights(
        arn="arn:aws:cloudwatch:{region}:{account}:alarm:{name}", name="AlarmName", create=("cloudwatch:PutCompositeAlarm",),
        update=("cloudwatch:PutCompositeAlarm",), delete=("cloudwatch:DeleteAlarms",), given={"Tags": ("cloudwatch:TagResource",)},
    ),
    "AWS::Athena::WorkGroup": Rights(
        arn="arn:aws:athena:{region}:{account}:workgroup/{name}", name="Name", create=("athena:CreateWorkGroup",),
        update=("athena:UpdateWorkGroup",), delete=("athena:DeleteWorkGroup",), given={"Tags": ("athena:TagResource",)},
    ),
    "AWS::SSM::Parameter": Rights(
        arn="arn:aws:ssm:{region}:{account}:parameter/{name}", name="Name", create=("ssm:PutParameter",), update=("ssm:PutParameter",),
        delete=("ssm:DeleteParameter",), given={"Tags": ("ssm:AddTagsToResource",)},
    ),
    "AWS::EC2::VPC": Rights(
        arn="arn:aws:ec2:{region}:{account}:vpc/{name}", create=("ec2:CreateVpc", "ec2:DescribeVpcs"), update=("ec2:DescribeVpcAttribute",),
        delete=("ec2:DeleteVpc", "ec2:DescribeVpcs"), unscoped=("ec2:CreateVpc", "ec2:DescribeVpcs", "ec2:DescribeVpcAttribute"),
        given={
            "EnableDnsHostnames": ("ec2:ModifyVpcAttribute",), "EnableDnsSupport": ("ec2:ModifyVpcAttribute",), "Tags": ("ec2:CreateTags",),
        },
    ),
    "AWS::EC2::InternetGateway": Rights(
        arn="arn:aws:ec2:{region}:{account}:internet-gateway/{name}", create=("ec2:CreateInternetGateway", "ec2:DescribeInternetGateways"),
        update=("ec2:DescribeInternetGateways",), delete=("ec2:DeleteInternetGateway", "ec2:DescribeInternetGateways"),
        unscoped=("ec2:CreateInternetGateway", "ec2:DescribeInternetGateways"), given={"Tags": ("ec2:CreateTags",)},
    ),
    "AWS::EC2::VPCGatewayAttachment": Rights(
        arn="arn:aws:ec2:{region}:{account}:internet-gateway/{name}", name="InternetGatewayId",
        create=("ec2:AttachInternetGateway", "ec2:DescribeInternetGateways"), update=("ec2:AttachInternetGateway", "ec2:DetachInternetGateway"),
        delete=("ec2:DetachInternetGateway", "ec2:DescribeInternetGateways"), unscoped=("ec2:DescribeInternetGateways",),
    ),
    "AWS::EC2::RouteTable": Rights(
        arn="arn:aws:ec2:{region}:{account}:route-table/{name}", create=("ec2:CreateRouteTable", "ec2:DescribeRouteTables"),
        update=("ec2:DescribeRouteTables",), delete=("ec2:DeleteRouteTable", "ec2:DescribeRouteTables"),
        unscoped=("ec2:CreateRouteTable", "ec2:DescribeRouteTables"), given={"Tags": ("ec2:CreateTags",)},
    ),
    "AWS::EC2::Route": Rights(
        arn="arn:aws:ec2:{region}:{account}:route-table/{name}", name="RouteTableId", create=("ec2:CreateRoute", "ec2:DescribeRouteTables"),
        update=("ec2:ReplaceRoute", "ec2:DescribeRouteTables"), delete=("ec2:DeleteRoute", "ec2:DescribeRouteTables"),
        unscoped=("ec2:DescribeRouteTables",),
    ),
    "AWS::EC2::SubnetRouteTableAssociation": Rights(
        arn="arn:aws:ec2:{region}:{account}:route-table/{name}", name="RouteTableId",
        create=("ec2:AssociateRouteTable", "ec2:DescribeRouteTables", "ec2:DescribeSubnets"),
        delete=("ec2:DisassociateRouteTable", "ec2:DescribeRouteTables", "ec2:DescribeSubnets"),
        unscoped=("ec2:DescribeRouteTables", "ec2:DescribeSubnets"),
    ),
    "AWS::EC2::SecurityGroup": Rights(
        arn="arn:aws:ec2:{region}:{account}:security-group/{name}", create=("ec2:CreateSecurityGroup", "ec2:DescribeSecurityGroups"),
        update=("ec2:DescribeSecurityGroups",), delete=("ec2:DeleteSecurityGroup", "ec2:DescribeSecurityGroups"),
        unscoped=("ec2:CreateSecurityGroup", "ec2:DescribeSecurityGroups"),
        given={
            "SecurityGroupIngress": ("ec2:AuthorizeSecurityGroupIngress",),
            "SecurityGroupEgress": ("ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress"), "Tags": ("ec2:CreateTags",),
        },
        changed={"SecurityGroupIngress": ("ec2:RevokeSecurityGroupIngress",)},
    ),
    "AWS::Scheduler::Schedule": Rights(
        arn="arn:aws:scheduler:{region}:{account}:schedule/default/{name}", name="Name",
        create=("scheduler:CreateSchedule", "scheduler:GetSchedule"), update=("scheduler:GetSchedule", "scheduler:UpdateSchedule"),
        delete=("scheduler:DeleteSchedule", "scheduler:GetSchedule"), roles={"Target.RoleArn": "scheduler"}, others=_schedule_key_calls,
    ),
    "AWS::CDK::Metadata": Rights(),
    "AWS::CloudFormation::WaitConditionHandle": Rights(),
}  # fmt: skip
"""Rights by type. A type that is not here is asked for every action of its own service that its schema lists."""


def fallback(resource_type: str, handler_actions: frozenset[str]) -> list[Call]:
    """The calls of a type that nobody has written down: everything its schema lists in its own service, on any resource."""
    own = _NAMESPACES.get(resource_type.split("::")[1], resource_type.split("::")[1].lower())
    return [Call(action=action, resource="*") for action in sorted(fnmatch.filter(handler_actions, f"{own}:*"))]


_NAMESPACES = {"StepFunctions": "states", "ECR": "ecr", "SecretsManager": "secretsmanager", "Logs": "logs"}
