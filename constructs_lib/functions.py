"""The Lambda functions of the platform: one shared code asset, a log group and a role each."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from constructs_lib.arns import arn
from constructs_lib.checks import require
from constructs_lib.log_group import LogGroup
from constructs_lib.packaging import function_bundle
from constructs_lib.permissions import allow

MAX_TIMEOUT_SECONDS = 900
MIN_MEMORY_MB = 128
MAX_MEMORY_MB = 10_240


class PlatformFunction(Construct):
    """One of the functions that ship with the platform, with a role that may write its own log and nothing else until granted.

    Attributes:
        function: The function.
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
        require(1 <= timeout_seconds <= MAX_TIMEOUT_SECONDS, f"timeout_seconds must be 1-{MAX_TIMEOUT_SECONDS} (Lambda's range), got {timeout_seconds}")
        require(
            MIN_MEMORY_MB <= memory_mb <= MAX_MEMORY_MB,
            f"memory_mb must be {MIN_MEMORY_MB}-{MAX_MEMORY_MB} (Lambda's range), got {memory_mb}",
        )
        log_group = LogGroup(
            self, "Log", name=log_group_name, key=log_key, retention_days=log_retention_days, removal_policy=removal_policy
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"), description=f"Runs {name}")
        log_group.grants.write(self.role)
        self.function = lambda_.Function(
            self,
            "Resource",
            function_name=name,
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"lambdas.{package}.handler.handler",
            code=_shared_code(self),
            role=self.role,
            environment=dict(environment),
            timeout=Duration.seconds(timeout_seconds),
            memory_size=memory_mb,
            log_group=log_group.log_group,
        )
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


def _shared_code(scope: Construct) -> lambda_.Code:
    """The one code object of a stack: the asset is staged once, not once a function."""
    stack = Stack.of(scope)
    code = getattr(stack, "_lakehouse_function_code", None)
    if code is None:
        bundle = function_bundle()
        code = lambda_.Code.from_asset(str(bundle.path), asset_hash=bundle.content_hash)
        stack._lakehouse_function_code = code  # type: ignore[attr-defined]
    return code
