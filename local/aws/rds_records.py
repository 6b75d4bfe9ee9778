"""What instances and Aurora clusters of the local RDS have in common: where they are kept, what is checked of a request, the master user's password."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from local.aws import key_use, seam, secrets
from local.aws.modelled_service import Call, ServiceError, store

USER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")

_IDENTIFIER = re.compile(r"[a-z](-?[a-z0-9])*")
_RESERVED_USERS = frozenset({"admin", "user", "rdsadmin", "postgres_admin", "platform", "public"})
_BAD_PASSWORD = re.compile(r"[/\"@ ]|[^\x20-\x7e]")

instances: Any = store()
clusters: Any = store()

_ec2 = seam.module("services.ec2")


def instance(name: str) -> dict[str, Any]:
    """An instance.

    Raises:
        ServiceError: There is none of that name.
    """
    found = instances.get(name.lower())
    if found is None:
        raise ServiceError("DBInstanceNotFoundFault", f"DBInstance {name} not found.")
    return found


def cluster(name: str) -> dict[str, Any]:
    """A cluster, by its name or its ARN.

    Raises:
        ServiceError: There is none.
    """
    found = clusters.get(name.rsplit(":", 1)[-1].lower())
    if found is None:
        raise ServiceError("DBClusterNotFoundFault", f"DBCluster {name} not found.")
    return found


# ---- checks ------------------------------------------------------------------------------------------------------------


def checked_name(call: Call, member: str) -> str:
    """Name of a new instance or cluster.

    Raises:
        ServiceError: It is none.
    """
    name = str(call.params[member]).lower()
    if not _IDENTIFIER.fullmatch(name) or len(name) > 63:
        raise ServiceError(
            "InvalidParameterValue",
            f"The parameter {member} is not a valid identifier, got {name!r}: letters, digits and single hyphens, a letter first",
        )
    return name


def check_master(user: str, database: str, *, member: str = "DBName") -> None:
    """Refuse a master user or a first database that RDS refuses.

    Raises:
        ServiceError: It does.
    """
    if not USER.fullmatch(user) or user.lower() in _RESERVED_USERS or user.startswith(("rds_", "pg_")):
        raise ServiceError(
            "InvalidParameterValue", f"MasterUsername {user} cannot be used as it is a reserved word used by the engine, or is no name"
        )
    if database and not DATABASE.fullmatch(database):
        raise ServiceError(
            "InvalidParameterValue", f"{member} must begin with a letter and contain only alphanumeric characters, got {database!r}"
        )


def refuse_untaken(call: Call, taken: frozenset[str] | set[str]) -> None:
    """Refuse members of a request that would have no effect here.

    Raises:
        ServiceError: There is one.
    """
    for name, value in call.params.items():
        if name not in taken and value not in (None, False, "", [], 0):
            raise ServiceError(
                "InvalidParameterCombination",
                f"{name} of {call.operation} is not implemented on the laptop platform: docs/known-differences.md says more",
            )


def log_exports(names: Iterable[str], *, known: frozenset[str], version: str) -> list[str]:
    """Logs that go to CloudWatch.

    Raises:
        ServiceError: The engine has no such log.
    """
    unknown = sorted(set(names) - known)
    if unknown:
        message = f"You cannot use the log types '{', '.join(unknown)}' with engine version {version}. For supported log types, see the documentation."
        raise ServiceError("InvalidParameterCombination", message)
    return sorted(names)


def changed_log_exports(call: Call, record: Mapping[str, Any]) -> set[str]:
    """Logs that go to CloudWatch after a change."""
    exports = call.params.get("CloudwatchLogsExportConfiguration") or {}
    before = set(record["EnabledCloudwatchLogsExports"])
    return (before | set(exports.get("EnableLogTypes") or ())) - set(exports.get("DisableLogTypes") or ())


def security_groups(ids: Iterable[str], *, vpc: str) -> list[dict[str, str]]:
    """Security groups as RDS shows them.

    Raises:
        ServiceError: One is not of the VPC.
    """
    for group in ids:
        found = _ec2._security_groups.get(group)
        if found is None or found.get("VpcId") != vpc:
            raise ServiceError(
                "InvalidParameterValue",
                f"Invalid security group , groupId= {group}, groupName=. It must be of {vpc}, as the subnet group is",
            )
    return [{"VpcSecurityGroupId": group, "Status": "active"} for group in ids]


def ask_key(call: Call, key: str, actions: tuple[str, ...], *, via: str) -> None:
    """Ask for the caller's right to use a key.

    Raises:
        ServiceError: There is no such key, or the caller may not.
    """
    found = key_use.key_arn(key)
    if not key_use.is_usable(key):
        raise ServiceError(
            "KMSKeyNotAccessibleFault",
            f"The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it.",
        )
    for action in actions if found else ():
        call.require(action, found, context=key_use.for_resource(via))


def checked_storage_key(call: Call, key: str, *, is_encrypted: bool) -> None:
    """Ask for the key that a request names for storage.

    Raises:
        ServiceError: Storage is not encrypted, there is no such key, or the caller may not use it.
    """
    if key and not is_encrypted:
        raise ServiceError("InvalidParameterCombination", "KmsKeyId was given, but StorageEncrypted is not true")
    if key:
        ask_key(call, key, ("kms:DescribeKey", "kms:CreateGrant"), via="rds")


# ---- the master user's password ------------------------------------------------------------------------------------------


def first_password(call: Call) -> str:
    """Password of a new database's master user.

    Raises:
        ServiceError: The request says none, says it twice, or it is no password.
    """
    params = call.params
    if bool(params.get("ManageMasterUserPassword")) == bool(params.get("MasterUserPassword")):
        raise ServiceError(
            "InvalidParameterCombination", "You must specify either MasterUserPassword or ManageMasterUserPassword, and not both."
        )
    if params.get("ManageMasterUserPassword"):
        return secrets.new_password()
    return _checked_password(str(params["MasterUserPassword"]))


def _checked_password(password: str) -> str:
    if not 8 <= len(password) <= 128 or _BAD_PASSWORD.search(password):
        raise ServiceError(
            "InvalidParameterValue",
            "The parameter MasterUserPassword is not a valid password: 8-128 printable ASCII characters besides '/', '@', '\"', ' ' may be used.",
        )
    return password


def managed_secret(call: Call, record: Mapping[str, Any], password: str) -> dict[str, str]:
    """The secret that RDS makes and owns: user and password, nothing else."""
    is_cluster = "DBClusterArn" in record
    resource = record["DbClusterResourceId" if is_cluster else "DbiResourceId"]
    tag = {f"aws:rds:primaryDB{'Cluster' if is_cluster else 'Instance'}Arn": record["DBClusterArn" if is_cluster else "DBInstanceArn"]}
    name, key = f"rds!{resource.lower()}", str(call.params.get("MasterUserSecretKmsKeyId") or "")
    for action in ("secretsmanager:CreateSecret", "secretsmanager:TagResource"):
        call.require(action, secrets.arn_pattern(f"{name}-??????".replace("?", "x")))
    if key:
        ask_key(call, key, ("kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"), via="secretsmanager")
    made = secrets.create_managed(
        name, {"username": record["MasterUsername"] if "MasterUsername" in record else call.params["MasterUsername"], "password": password},
        service="rds", key_id=key_use.key_arn(key) or key, tags=tag,
    )  # fmt: skip
    return {"SecretArn": made, "SecretStatus": "active", "KmsKeyId": key_use.key_arn(key) or "alias/aws/secretsmanager"}


def changed_password(call: Call, record: dict[str, Any]) -> str | None:
    """A new password of the master user, None if it keeps its own.

    Raises:
        ServiceError: The request contradicts itself, or what the secret is.
    """
    params, managed = call.params, record.get("MasterUserSecret")
    if params.get("RotateMasterUserPassword"):
        if managed is None or not params.get("ApplyImmediately"):
            raise ServiceError("InvalidParameterCombination", "RotateMasterUserPassword needs a managed password, and ApplyImmediately")
        password = secrets.new_password()
        secrets.put_managed(managed["SecretArn"], {"username": record["MasterUsername"], "password": password})
        return password
    if params.get("ManageMasterUserPassword") and managed is None:
        password = secrets.new_password()
        record["MasterUserSecret"] = managed_secret(call, record, password)
        return password
    if params.get("MasterUserPassword"):
        if managed is not None and params.get("ManageMasterUserPassword") is not False:
            raise ServiceError(
                "InvalidParameterCombination", "the password is managed in Secrets Manager: rotate it, or end the management"
            )
        if managed is not None:
            secrets.delete_managed(record.pop("MasterUserSecret")["SecretArn"])
        return _checked_password(str(params["MasterUserPassword"]))
    return None
