"""Secrets Manager: who reads or writes a secret must be allowed to use its key, and secrets that a service manages are the service's.

Rotation by a function, replicas in other regions and AWS::SecretsManager types are refused. A secret without a key of its own is under the
AWS managed key, which every caller of the account may use through Secrets Manager.
"""

from __future__ import annotations

import json
import secrets
import string
from typing import Any

from local.aws import door, guard, key_use, seam, supported

OPERATIONS = (
    "CreateSecret", "GetSecretValue", "ListSecrets", "DeleteSecret", "RestoreSecret", "UpdateSecret", "DescribeSecret", "PutSecretValue",
    "UpdateSecretVersionStage", "TagResource", "UntagResource", "ListSecretVersionIds", "GetRandomPassword", "PutResourcePolicy",
    "GetResourcePolicy", "DeleteResourcePolicy", "ValidateResourcePolicy",
)  # fmt: skip
"""Operations that behave."""

OWNER = "aws:secretsmanager:owningService"
"""Tag of a secret that a service manages, which nobody else may set."""

PASSWORD_LENGTH = 28

_CHANGES = frozenset({"DeleteSecret", "UpdateSecret", "PutSecretValue", "UpdateSecretVersionStage", "RestoreSecret"})
_KEY_ACTIONS = {
    "GetSecretValue": key_use.READ,
    "CreateSecret": key_use.WRITE,
    "PutSecretValue": key_use.WRITE,
    "UpdateSecret": key_use.WRITE,
}

_responses = seam.module("core.responses")
_secrets = seam.module("services.secretsmanager")


def register() -> None:
    """Ask at the front door."""
    supported.allow("secretsmanager", *OPERATIONS)
    door.add_check(_check)
    for name in ("_resolve", "_store_new_secret", "_publish_new_version", "_purge_secret"):
        seam.original(f"services.secretsmanager.{name}")


def create_managed(name: str, value: dict[str, Any], *, service: str, key_id: str = "", tags: dict[str, str] | None = None) -> str:
    """Make a secret on behalf of a service, such as `rds!db-…`; its ARN.

    The right to do so is the caller's, and is asked by the service: `secretsmanager:CreateSecret` and `TagResource` on the secret, and
    `kms:DescribeKey`, `GenerateDataKey` and `Decrypt` on the key, if it has one.

    Args:
        name: Name, which begins with the service's.
        value: What it holds, as JSON.
        service: Owning service, such as `rds`.
        key_id: Customer key; empty for the AWS managed key.
        tags: More tags, such as `aws:rds:primaryDBInstanceArn`.
    """
    owned = [{"Key": key, "Value": item} for key, item in {OWNER: service, **(tags or {})}.items()]
    arn, _ = _secrets._store_new_secret(name, secret_string=json.dumps(value), tags=owned, kms_key_id=key_id or None)
    _secrets._secrets[name]["OwningService"] = service
    return str(arn)


def put_managed(arn: str, value: dict[str, Any]) -> None:
    """Give a service's own secret a new version."""
    _, record = _secrets._resolve(arn)
    if record is not None:
        _secrets._publish_new_version(record, secret_string=json.dumps(value))


def value_of(arn: str) -> dict[str, Any]:
    """What a service's own secret holds now; empty if it is gone."""
    text = _secrets.resolve_secret_string(arn)
    return json.loads(text) if text else {}


def delete_managed(arn: str) -> None:
    """Remove a service's own secret at once, as the services do with what they own."""
    name, record = _secrets._resolve(arn)
    if record is not None:
        _secrets._purge_secret(name, record)


def arn_pattern(name: str) -> str:
    """ARN of a secret that is yet to be made: what IAM is asked on."""
    return f"arn:aws:secretsmanager:{_responses.get_region()}:{_responses.get_account_id()}:secret:{name}"


def new_password() -> str:
    """A password as RDS and Redshift make them: letters, digits and signs that need no quoting."""
    letters = string.ascii_letters + string.digits
    return "".join(
        [secrets.choice(string.ascii_lowercase), secrets.choice(string.ascii_uppercase), secrets.choice(string.digits)]
        + [secrets.choice(letters + "!#$%&()*+,-.<=>?[]^_{|}~") for _ in range(PASSWORD_LENGTH - 3)]
    )


def _check(request: door.Request) -> door.Response | None:
    if request.service != "secretsmanager":
        return None
    try:
        data = json.loads(request.body or b"{}")
    except ValueError:
        return None
    operation = request.operation
    _, record = _secrets._resolve(data.get("SecretId")) if data.get("SecretId") else ("", None)
    owner = (record or {}).get("OwningService")
    if owner and operation in _CHANGES:
        return door.refusal(
            "InvalidRequestException", f"You can't perform this operation on the secret because it is owned by the service {owner}."
        )
    tagged = [tag.get("Key", "") for tag in data.get("Tags") or [] if isinstance(tag, dict)]
    if operation in {"CreateSecret", "TagResource"} and any(str(key).startswith("aws:") for key in tagged):
        return door.refusal("InvalidParameterException", "Tag keys that begin with aws: are reserved for AWS.")
    if operation == "CreateSecret" and data.get("RotationLambdaARN"):
        return door.refusal("InvalidParameterException", "rotation is not implemented on the laptop platform")
    return _key_refused(request, operation, data, record)


def _key_refused(request: door.Request, operation: str, data: dict[str, Any], record: dict[str, Any] | None) -> door.Response | None:
    key_id = str(data.get("KmsKeyId") or (record or {}).get("KmsKeyId") or "")
    if not key_id or operation not in _KEY_ACTIONS:
        return None
    if not key_use.is_usable(key_id):
        code = "DecryptionFailure" if operation == "GetSecretValue" else "EncryptionFailure"
        return door.refusal(code, f"the key {key_id} does not exist or is not enabled")
    arn = (record or {}).get("ARN")
    context = {"kms:EncryptionContext:SecretARN": arn} if arn else {}
    actions = _KEY_ACTIONS[operation]
    if operation == "UpdateSecret" and not data.keys() & {"SecretString", "SecretBinary", "KmsKeyId"}:
        return None
    denied = key_use.ask(request.key, key_id=key_id, actions=actions, service="secretsmanager", context=context)
    return _denied(denied) if denied else None


def _denied(denied: guard.Denied) -> door.Response:
    """Secrets Manager's own words, with the reason that KMS gave."""
    return door.refusal("AccessDeniedException", f"Access to KMS is not allowed: {denied}")
