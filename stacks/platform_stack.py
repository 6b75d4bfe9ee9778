"""What every stack of an environment has in common."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from aws_cdk import DefaultStackSynthesizer, RemovalPolicy, Stack, Tags
from aws_cdk import Environment as CdkEnvironment
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.arns import ACCOUNT, REGION, imported_key
from lakehouse.environments.environment import Environment
from lakehouse.naming import Names

KEYS = ("lake", "logs", "messaging", "secrets")
"""Customer keys, by the names under which Parameter Store knows them."""

_TAGGED: WeakKeyDictionary[Construct, dict[str, str]] = WeakKeyDictionary()
"""Tags of each app: those of its first stack."""


class PlatformStack(Stack):
    """A stack of one environment: its name, tags, boundary and protection.

    Attributes:
        environment_config: The environment.
        names: Names of everything in it; account and region are CloudFormation's.
        removal_policy: What happens to data when a stack goes.
    """

    def __init__(self, scope: Construct, *, tier: str, environment: Environment, allow_destroy: bool) -> None:
        """
        Args:
            scope: The app.
            tier: Last part of the stack's name.
            environment: The environment.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(
            scope,
            tier,
            stack_name=f"{environment.name_prefix}-{tier}",
            description=f"{environment.project} {environment.env}: {tier}",
            analytics_reporting=False,
            env=CdkEnvironment(account=environment.account, region=environment.region),
            # Files of this environment lie in a folder of their own in the bootstrap bucket, which is what its jobs may read.
            synthesizer=DefaultStackSynthesizer(bucket_prefix=f"{environment.name_prefix}/"),
            termination_protection=environment.termination_protection,
        )
        self.environment_config = environment
        self.names: Names = environment.names(account=ACCOUNT, region=REGION)
        self._key_arns: dict[str, str] = {}
        self.removal_policy = removal_policy(environment, allow_destroy=allow_destroy)
        _tag(scope, self, {**environment.tags, "environment": environment.env, "project": environment.project})
        if environment.permissions_boundary is not None:
            boundary = iam.ManagedPolicy.from_managed_policy_name(self, "PermissionsBoundary", environment.permissions_boundary)
            iam.PermissionsBoundary.of(self).apply(boundary)

    def key_arn(self, domain: str) -> str:
        """ARN of a customer key that the foundation made; read from Parameter Store at each deployment."""
        if domain not in self._key_arns:
            self._key_arns[domain] = ssm.StringParameter.value_for_string_parameter(self, self.names.parameter("keys", domain))
        return self._key_arns[domain]

    def key(self, domain: str) -> kms.IKey:
        """A customer key that the foundation made."""
        return imported_key(self, f"{domain.capitalize()}Key", self.key_arn(domain))


def _tag(scope: Construct, stack: Stack, tags: dict[str, str]) -> None:
    """Tag a stack; all stacks of an app at once if they are of one environment, as each tag is two calls into the CDK."""
    known = _TAGGED.setdefault(scope, tags)
    if known == tags and known is not tags:
        return
    target = Tags.of(scope if known is tags else stack)
    for name, value in tags.items():
        target.add(name, value)


def of_domain(tier: str, domain: str) -> str:
    """Tier of a stack that holds one domain; names of stacks know no underscores."""
    return f"{tier}-{domain.replace('_', '-')}"


def removal_policy(environment: Environment, *, allow_destroy: bool) -> RemovalPolicy:
    """RETAIN, unless both the environment and the person at the keyboard say otherwise."""
    return RemovalPolicy.DESTROY if environment.removal == "destroy" and allow_destroy else RemovalPolicy.RETAIN
