"""ARNs of this account and region, computed from names: cheaper than reading them from resources, and the same across stacks."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from aws_cdk import Aws
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.checks import require

PARTITION = Aws.PARTITION
REGION = Aws.REGION
ACCOUNT = Aws.ACCOUNT_ID
URL_SUFFIX = Aws.URL_SUFFIX
"""CloudFormation's own values, read once: each read crosses from Python to the CDK and back."""

_KEYS: WeakKeyDictionary[kms.IKey, str] = WeakKeyDictionary()
_NAMES = {PARTITION: "<AWS::Partition>", REGION: "<AWS::Region>", ACCOUNT: "<AWS::AccountId>"}


def arn(service: str, resource: str) -> str:
    """ARN of a resource of a regional service."""
    return f"arn:{PARTITION}:{service}:{REGION}:{ACCOUNT}:{resource}"


def catalog_arn() -> str:
    """The Glue catalog."""
    return arn("glue", "catalog")


def database_arn(database: str) -> str:
    """A database of the Glue catalog."""
    return arn("glue", f"database/{database}")


def table_arn(database: str, table: str) -> str:
    """A table of the Glue catalog."""
    return arn("glue", f"table/{database}/{table}")


def job_arn(name: str) -> str:
    """A Glue job."""
    return arn("glue", f"job/{name}")


def run_table_arn(name: str) -> str:
    """A DynamoDB table."""
    return arn("dynamodb", f"table/{name}")


def state_machine_arn(name: str) -> str:
    """A state machine."""
    return arn("states", f"stateMachine:{name}")


def execution_arn(machine: str, execution: str = "*") -> str:
    """Executions of a state machine."""
    return arn("states", f"execution:{machine}:{execution}")


def workgroup_arn(name: str) -> str:
    """An Athena workgroup."""
    return arn("athena", f"workgroup/{name}")


def queue_arn(name: str) -> str:
    """A queue."""
    return arn("sqs", name)


def topic_arn(name: str) -> str:
    """A topic."""
    return arn("sns", name)


def rule_arn(name: str) -> str:
    """A rule on the default event bus."""
    return arn("events", f"rule/{name}")


def bucket_arn(bucket: str) -> str:
    """A bucket."""
    return f"arn:{PARTITION}:s3:::{bucket}"


def key_arn(key: kms.IKey) -> str:
    """ARN of a key, read once: every log group and queue of a stack asks for it.

    Raises:
        InvalidProps: It is an alias.
    """
    if key not in _KEYS:
        _KEYS[key] = refuse_alias(key.key_arn)
    return _KEYS[key]


def imported_key(scope: Construct, id: str, arn: str) -> kms.IKey:
    """A key that is not of this stack, by its ARN.

    Args:
        scope: What it belongs to.
        id: Construct id.
        arn: Its ARN, of the key itself.

    Raises:
        InvalidProps: It is an alias.
    """
    key = kms.Key.from_key_arn(scope, id, refuse_alias(arn))
    _KEYS[key] = arn
    return key


def refuse_alias(arn: str) -> str:
    """The ARN, unless it is that of an alias: permissions on an alias are permissions on nothing, whatever the alias points to.

    Raises:
        InvalidProps: It is an alias.
    """
    # An alias that the same app makes is spelled with a token after the account, so what tells it is that it is no key.
    is_alias = ":kms:" in arn and ":key/" not in arn
    require(not is_alias, f"{readable(arn)} is an alias, and IAM matches keys only: pass the key itself, such as Key.from_key_arn(...)")
    return arn


def readable(text: str) -> str:
    """An ARN with CloudFormation's values under their names, as checkers print it."""
    for token, name in _NAMES.items():
        text = text.replace(token, name)
    return text
