"""The Lambda functions of the platform: one shared code asset, a log group and a role each."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from constructs_lib.arns import arn
from constructs_lib.checks import require, require_range
from constructs_lib.log_group import LogGroup
from constructs_lib.order import after
from constructs_lib.packaging import function_bundle
from constructs_lib.permissions import acknowledge, allow, service_principal

RUNTIME = "python3.13"
ARCHITECTURE = "arm64"
"""A fifth cheaper than x86_64 and at least as fast; the code is pure Python."""

_RUNTIME = "Deployed code runs on the Pythons that Glue, Lambda and the laptop have in common, of which 3.13 is the newest."

MAX_NAME = 64
MAX_TIMEOUT_SECONDS = 900
MIN_MEMORY_MB = 128
MAX_MEMORY_MB = 10_240

_CODE = "Lakehouse::FunctionCode"
"""Id of the code in its stack; nobody calls a construct of their own so by chance."""

_PLACES: WeakKeyDictionary[Stack, tuple[str, str]] = WeakKeyDictionary()
"""Where the code of each stack lies."""


class PlatformFunction(Construct):
    """One of the functions that ship with the platform, with a role that may write its own log and nothing else until granted.

    Attributes:
        resource: The CloudFormation resource, for what has to come after it.
        function_name: Its name.
        function_arn: Its ARN.
        role: Role that it runs as.
        grants: Permissions on the function.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        package: str,
        description: str,
        log_group_name: str,
        log_key: kms.IKey,
        environment: Mapping[str, str],
        timeout_seconds: int = 60,
        memory_mb: int = 256,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            name: Name of the function.
            package: Folder under `lambdas` that holds its `handler.py`.
            description: Sentence for people.
            log_group_name: Log group that it writes to.
            log_key: Key of the log group.
            environment: Environment variables; nothing secret.
            timeout_seconds: Longest run, 1-900.
            memory_mb: Memory, 128-10240 MB; the CPU grows with it.
            log_retention_days: Days for which the log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        super().__init__(scope, id)
        require(
            len(name) <= MAX_NAME or "${Token[" in name,
            f"name must have at most {MAX_NAME} characters (Lambda's limit), got {name!r} with {len(name)}: shorten the prefix, or the pipeline or domain that it is named after",
        )
        require_range(timeout_seconds, name="timeout_seconds", at_least=1, at_most=MAX_TIMEOUT_SECONDS, why="Lambda's range")
        require_range(memory_mb, name="memory_mb", at_least=MIN_MEMORY_MB, at_most=MAX_MEMORY_MB, why="Lambda's range")
        log_group = LogGroup(
            self, "Log", name=log_group_name, key=log_key, retention_days=log_retention_days, removal_policy=removal_policy
        )
        self.role = iam.Role(self, "Role", assumed_by=service_principal("lambda.amazonaws.com"), description=f"Runs {name}")
        grant = log_group.grants.write(self.role)
        bucket, key = _shared_code(self)
        # The L2 function adds permissions and dependencies of its own accord, and costs twice the time.
        self.resource = lambda_.CfnFunction(
            self,
            "Resource",
            function_name=name,
            description=description,
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            handler=f"lambdas.{package}.handler.handler",
            code={"s3Bucket": bucket, "s3Key": key},
            role=self.role.role_arn,
            environment={"variables": dict(environment)} if environment else None,
            timeout=timeout_seconds,
            memory_size=memory_mb,
            logging_config={"logGroup": log_group_name, "logFormat": "JSON"},
        )
        acknowledge(self.resource, "AwsSolutions-L1", reason=_RUNTIME)
        grant.apply_before(self.resource)
        after(self.resource, log_group.resource)
        self.function_name = name
        self.function_arn = function_arn(name)
        self.grants = PlatformFunctionGrants(self.function_arn)


class PlatformFunctionGrants:
    """Permissions on a function."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it call the function."""
        return allow(grantee, actions=["lambda:InvokeFunction"], resources=[self._arn])


def function_arn(name: str) -> str:
    """ARN of a function of this account and region by its name."""
    return arn("lambda", f"function:{name}")


def _shared_code(scope: Construct) -> tuple[str, str]:
    """Bucket and key of the one code asset of a stack: staged once, not once a function."""
    stack = Stack.of(scope)
    place = _PLACES.get(stack)
    if place is None:
        require(
            stack.node.try_find_child(_CODE) is None,
            f"the id {_CODE!r} belongs to the code of functions: give your own construct another id",
        )
        bundle = function_bundle()
        code = assets.Asset(stack, _CODE, path=str(bundle.path), asset_hash=bundle.content_hash)
        place = _PLACES[stack] = (code.s3_bucket_name, code.s3_object_key)
    return place
