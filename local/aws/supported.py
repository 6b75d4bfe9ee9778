"""What the local AWS can do: services, operations and resource types that behave; everything else is refused, and told so."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

from local.aws import door, seam
from local.aws.cloudformation import rights

_app = seam.module("app")

OPERATIONS: dict[str, set[str]] = {
    "athena": {
        "StartQueryExecution", "StopQueryExecution", "GetQueryExecution", "BatchGetQueryExecution", "GetQueryResults",
        "ListQueryExecutions", "*WorkGroup", "ListWorkGroups", "ListEngineVersions", "TagResource",
        "UntagResource", "ListTagsForResource", "*NamedQuery", "ListNamedQueries", "*PreparedStatement", "ListPreparedStatements", "GetDatabase", "ListDatabases", "GetTableMetadata",
        "ListTableMetadata", "ListDataCatalogs", "*DataCatalog",
    },
    "cloudformation": {
        "CreateStack", "UpdateStack", "DeleteStack", "DescribeStack*", "DescribeEvents", "ListStacks", "ListStackResources",
        "GetTemplate", "GetTemplateSummary", "ValidateTemplate", "*ChangeSet", "ListChangeSets", "DescribeChangeSetHooks",
        "ContinueUpdateRollback", "RollbackStack", "CancelUpdateStack", "UpdateTerminationProtection", "GetStackPolicy",
        "SetStackPolicy", "ListExports", "ListImports",
    },
    "dynamodb": {
        "*Item", "TransactGetItems", "TransactWriteItems", "Query", "Scan", "CreateTable", "UpdateTable", "DeleteTable", "DescribeTable",
        "ListTables", "*TimeToLive", "*ContinuousBackups", "TagResource", "UntagResource", "ListTagsOfResource", "DescribeEndpoints",
        "DescribeLimits",
    },
    "events": {
        "*Rule", "ListRules", "PutTargets", "RemoveTargets", "ListTargetsByRule", "ListRuleNamesByTarget", "PutEvents",
        "TestEventPattern", "*EventBus", "ListEventBuses", "PutPermission", "RemovePermission", "TagResource", "UntagResource",
        "ListTagsForResource",
    },
    "glue": {
        "*Database", "GetDatabases", "*Table", "GetTables", "*Partition",
        "GetPartitions", "*Job", "GetJobs", "ListJobs", "BatchGetJobs", "StartJobRun", "GetJobRun", "GetJobRuns", "BatchStopJobRun",
        "*SecurityConfiguration", "GetSecurityConfigurations", "TagResource", "UntagResource", "GetTags",
        "GetCatalog", "GetCatalogs",
    },
    "iam": {
        "*Role", "ListRoles", "*RolePolicy", "*RolePolicies", "*Policy", "ListPolicies", "*PolicyVersion", "ListPolicyVersions",
        "*User", "ListUsers", "*UserPolicy", "ListUserPolicies", "ListAttached*", "*AccessKey", "ListAccessKeys", "*PermissionsBoundary",
        "UpdateRoleDescription", "UpdateAssumeRolePolicy", "Tag*", "Untag*", "List*Tags", "*Group", "ListGroups*", "AddUserToGroup",
        "RemoveUserFromGroup", "*InstanceProfile", "ListEntitiesForPolicy", "GetAccountAuthorizationDetails", "*AccountAlias",
        "ListAccountAliases",
    },
    "kms": {
        "*Key", "ListKeys", "*Alias", "ListAliases", "Encrypt", "Decrypt", "GenerateDataKey*", "GenerateRandom",
        "*KeyPolicy", "ListKeyPolicies", "*KeyRotation", "GetKeyRotationStatus", "ScheduleKeyDeletion", "CancelKeyDeletion", "*Grant",
        "ListGrants", "TagResource", "UntagResource", "ListResourceTags", "UpdateKeyDescription",
    },
    "lambda": {
        "*Function", "ListFunctions", "UpdateFunctionCode", "*FunctionConfiguration", "*Permission", "GetPolicy",
        "*EventSourceMapping", "ListEventSourceMappings", "PublishVersion", "ListVersionsByFunction", "*Alias", "ListAliases",
        "*FunctionConcurrency", "*FunctionEventInvokeConfig", "ListFunctionEventInvokeConfigs", "*LayerVersion", "ListLayers",
        "ListLayerVersions", "ListTags", "TagResource", "UntagResource", "GetAccountSettings", "*RuntimeManagementConfig",
        "GetFunctionCodeSigningConfig", "GetFunctionRecursionConfig", "InvokeFunction",
    },
    "logs": {
        "*LogGroup", "DescribeLogGroups", "ListLogGroups", "*RetentionPolicy", "*LogStream", "DescribeLogStreams", "PutLogEvents",
        "GetLogEvents", "FilterLogEvents", "TagResource", "UntagResource", "ListTagsForResource", "TagLogGroup", "UntagLogGroup",
        "ListTagsLogGroup", "*KmsKey", "*ResourcePolicy", "DescribeResourcePolicies", "DescribeIndexPolicies", "GetDataProtectionPolicy",
    },
    "monitoring": {
        "PutMetricData", "GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricAlarm", "PutCompositeAlarm",
        "DescribeAlarms*", "DescribeAlarmHistory", "DeleteAlarms", "EnableAlarmActions", "DisableAlarmActions", "SetAlarmState",
        "TagResource", "UntagResource", "ListTagsForResource", "*Dashboard", "*Dashboards",
    },
    "s3": {"*"},
    "scheduler": {"*Schedule", "ListSchedules", "*ScheduleGroup", "ListScheduleGroups", "TagResource", "UntagResource", "ListTagsForResource"},
    "sns": {
        "*Topic", "ListTopics", "*TopicAttributes", "Subscribe", "Unsubscribe", "ConfirmSubscription", "*SubscriptionAttributes",
        "ListSubscriptions*", "Publish", "PublishBatch", "AddPermission", "RemovePermission", "TagResource", "UntagResource",
        "ListTagsForResource",
    },
    "sqs": {"*"},
    "ssm": {
        "PutParameter", "GetParameter*", "DeleteParameter*", "DescribeParameters", "LabelParameterVersion", "UnlabelParameterVersion",
        "AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource",
    },
    "states": {
        "*StateMachine", "ListStateMachines", "ValidateStateMachineDefinition", "StartExecution", "StartSyncExecution", "StopExecution",
        "DescribeExecution", "DescribeStateMachineForExecution", "ListExecutions", "GetExecutionHistory", "SendTask*", "*StateMachineVersion*",
        "*StateMachineAlias*", "*MapRun*", "TagResource", "UntagResource", "ListTagsForResource",
    },
    "sts": {"*"},
    "tagging": {"GetResources", "GetTagKeys", "GetTagValues", "TagResources", "UntagResources"},
}  # fmt: skip
"""Operations that behave, by service; `*` stands for any letters. Modules that add one call `allow`."""

REFUSED = {
    "glue": {"BatchDeletePartition", "UpdatePartition", "UpdateSourceControlFromJob"},
    "s3": {
        "SelectObjectContent", "PutReplicationConfiguration", "PutAccelerateConfiguration", "PutInventoryConfiguration",
        "PutAnalyticsConfiguration", "PutIntelligentTieringConfiguration", "PutBucketWebsite",
    },
}  # fmt: skip
"""Operations that a pattern above would let through, and that MiniStack stores and does not do, or does not know."""

RESOURCE_TYPES: set[str] = {
    *rights.TYPES,
    "AWS::CloudFormation::CustomResource",
    "AWS::CloudFormation::Stack",
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudWatch::Dashboard",
    "AWS::ECR::Repository",  # CDK's bootstrap has one; nothing else of ECR is here
    "AWS::Lambda::Alias",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Version",
    "AWS::Logs::ResourcePolicy",
}
"""CloudFormation types that behave; modules that add one call `allow_type`."""


def allow(service: str, *operations: str) -> None:
    """Let operations through that a module implements."""
    OPERATIONS.setdefault(service, set()).update(operations)


def allow_type(*resource_types: str) -> None:
    """Let resource types through that a module implements."""
    RESOURCE_TYPES.update(resource_types)


class _Handlers(dict[str, door.Handler]):
    """MiniStack's services; those that it has never heard of get a handler too, behind the door, so that they are refused as all others."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default) or door.wrap(key, _never_reached)


async def _never_reached(*_: Any) -> door.Response:
    raise AssertionError("the door let a service through that nobody serves")


def register() -> None:
    """Stand at the door before every other check, and in front of every template."""
    door.add_check(_check)
    door.add_look(_look)
    _app.SERVICE_HANDLERS = _Handlers(_app.SERVICE_HANDLERS)
    for where in ("engine", "handlers", "changesets"):
        if hasattr(seam.module(f"services.cloudformation.{where}"), "validate_template_support"):
            seam.replace(f"services.cloudformation.{where}.validate_template_support", _validate_template_support)


def is_supported(service: str, operation: str) -> bool:
    """Whether an operation of a service behaves here."""
    if operation in REFUSED.get(service, ()):
        return False
    return any(fnmatchcase(operation, pattern) for pattern in OPERATIONS.get(service, ()))


def _check(request: door.Request) -> door.Response | None:
    operation = _operation(request)
    return None if is_supported(request.service, operation) else _refusal(request, operation)


_UNKNOWN = re.compile(rb"Unknown (?:\w+ )?(?:action|operation): (\w+)")
"""How MiniStack says that it does not know an operation, in codes of its own that no SDK has a word for."""


def _look(request: door.Request, answer: door.Response) -> door.Response:
    """Refuse by name what a pattern above lets through and MiniStack turns out not to know."""
    status, _, body = answer
    found = _UNKNOWN.search(body) if status == 400 and isinstance(body, bytes) else None
    return _refusal(request, found[1].decode()) if found else answer


def _refusal(request: door.Request, operation: str) -> door.Response:
    if request.service not in OPERATIONS:
        text = (
            f"{request.service} is not implemented on the laptop platform. Implemented: {', '.join(sorted(OPERATIONS))}."
            " The page docs/known-differences.md says more."
        )
    else:
        text = (
            f"{request.service}:{operation} is not implemented on the laptop platform. Implemented of {request.service}: "
            f"{', '.join(sorted(OPERATIONS[request.service]))}. The page docs/known-differences.md says more."
        )
    return _not_implemented(request, text)


def _operation(request: door.Request) -> str:
    """Name of the API operation: as the request names it, else as its IAM action does."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return target.rsplit(".", 1)[-1]
    found = re.search(r"/operation/([^/?]+)", request.path)
    return found.group(1) if found and request.service == "monitoring" else request.operation


_XML = {"s3", "route53", "cloudfront"}
"""Services whose clients read XML though they send no form."""


def _not_implemented(request: door.Request, text: str) -> door.Response:
    """A refusal that every SDK can read, with HTTP 501, which none of them tries again."""
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if request.service in _XML or is_form:
        escaped = text.replace("&", "&amp;").replace("<", "&lt;")
        error = f"<Error><Type>Sender</Type><Code>NotImplemented</Code><Message>{escaped}</Message></Error>"
        body = error if request.service == "s3" else f"<ErrorResponse>{error}<RequestId>lake</RequestId></ErrorResponse>"
        return 501, {"Content-Type": "text/xml"}, body.encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": "NotImplementedException"}
    return 501, headers, json.dumps({"__type": "NotImplementedException", "message": text}).encode()


def _validate_template_support(template: dict[str, object], conditions: dict[str, bool], *args: object, **kwargs: object) -> None:
    """Refuse a template with types that only pretend.

    Raises:
        ValueError: It has some.
    """
    seam.original("services.cloudformation.engine.validate_template_support")(template, conditions, *args, **kwargs)
    resources = template.get("Resources")
    found = {
        str(resource.get("Type"))
        for resource in (resources.values() if isinstance(resources, dict) else ())
        if isinstance(resource, dict) and conditions.get(str(resource.get("Condition")), True)
    }
    unknown = sorted(name for name in found if name not in RESOURCE_TYPES and not name.startswith("Custom::"))
    if unknown:
        raise ValueError(
            f"Template format error: resource types that the laptop platform does not implement: [{', '.join(unknown)}]. "
            f"Implemented: {', '.join(sorted(RESOURCE_TYPES))}, Custom::*"
        )
