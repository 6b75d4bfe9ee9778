"""Security configurations of EMR: kept, held to their form, and asked whether steps have roles of their own.

Encryption of disks and in transit, and the version of the instances' metadata service, are settings of machines, of which there are none.
"""

from __future__ import annotations

import json
import time
from typing import Any

from local.aws import modelled_service
from local.aws.emr_checks import invalid
from local.aws.modelled_service import Answer, Call, Operation, ServiceError, no_resource, paginated

SECTIONS = {
    "EncryptionConfiguration": {
        "EnableAtRestEncryption", "EnableInTransitEncryption", "AtRestEncryptionConfiguration", "InTransitEncryptionConfiguration",
    },
    "AuthorizationConfiguration": {"IAMConfiguration"},
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion", "HttpPutResponseHopLimit"},
}  # fmt: skip
"""Sections that are served, with their members; Kerberos, Lake Formation, Ranger and Identity Center are not."""

DISK_PROVIDERS = {"AwsKms": "AwsKmsKey", "Custom": "EncryptionKeyProviderClass"}

_configurations = modelled_service.store()

STATE = {"security_configurations": _configurations}
"""What is kept."""


def find(name: str) -> dict[str, Any]:
    """A configuration by its name.

    Raises:
        ServiceError: There is none.
    """
    found = _configurations.get(name)
    if found is None:
        raise ServiceError("InvalidRequestException", f"Security configuration with name '{name}' does not exist.")
    return dict(found)


def has_runtime_roles(name: str) -> bool:
    """Whether steps of clusters with this configuration name their role."""
    content = json.loads((_configurations.get(name) or {}).get("SecurityConfiguration") or "{}")
    return bool((content.get("AuthorizationConfiguration") or {}).get("IAMConfiguration", {}).get("EnableApplicationScopedIAMRole"))


def _create(call: Call) -> Answer:
    name, text = call.params["Name"], call.params["SecurityConfiguration"]
    if name in _configurations:
        raise ServiceError("InvalidRequestException", f"SecurityConfiguration with name '{name}' already exists.")
    _check(text)
    _configurations[name] = {"Name": name, "SecurityConfiguration": text, "CreationDateTime": time.time()}
    return {"Name": name, "CreationDateTime": _configurations[name]["CreationDateTime"]}


def _describe(call: Call) -> Answer:
    return find(call.params["Name"])


def _list(call: Call) -> Answer:
    return paginated(call, [{name: one[name] for name in ("Name", "CreationDateTime")} for one in _configurations.values()])


def _delete(call: Call) -> Answer:
    find(call.params["Name"])
    del _configurations[call.params["Name"]]


def _check(text: str) -> None:
    """Refuse what EMR would refuse, and what would do something in EMR and nothing here.

    Raises:
        ServiceError: With the setting.
    """
    try:
        content = json.loads(text)
    except ValueError as fault:
        raise invalid(f"The security configuration is no JSON: {fault}") from fault
    if not isinstance(content, dict):
        raise invalid("The security configuration is not an object")
    for section, inner in content.items():
        if section not in SECTIONS:
            raise invalid(f"{section} of a security configuration is not served by the laptop platform; it serves {', '.join(SECTIONS)}")
        unknown = sorted(set(inner) - SECTIONS[section])
        if unknown:
            raise invalid(f"{section}.{unknown[0]} of a security configuration is not served by the laptop platform")
    _check_encryption(content.get("EncryptionConfiguration"))
    roles = (content.get("AuthorizationConfiguration") or {}).get("IAMConfiguration") or {}
    unknown = sorted(set(roles) - {"EnableApplicationScopedIAMRole"})
    if unknown:
        raise invalid(f"IAMConfiguration.{unknown[0]} of a security configuration is not served by the laptop platform")
    version = (content.get("InstanceMetadataServiceConfiguration") or {}).get("MinimumInstanceMetadataServiceVersion", 2)
    if version not in {1, 2}:
        raise invalid(f"MinimumInstanceMetadataServiceVersion must be 1 or 2, got {version}")


def _check_encryption(settings: dict[str, Any] | None) -> None:
    if settings is None:
        return
    for name in ("EnableAtRestEncryption", "EnableInTransitEncryption"):
        if not isinstance(settings.get(name), bool):
            raise invalid(f"EncryptionConfiguration.{name} is required, and is true or false")
        details = name.removeprefix("Enable") + "Configuration"
        if settings[name] != bool(settings.get(details)):
            raise invalid(f"EncryptionConfiguration.{details} belongs to {name}: true, and to nothing else")
    disks = (settings.get("AtRestEncryptionConfiguration") or {}).get("LocalDiskEncryptionConfiguration")
    if disks:
        kind = disks.get("EncryptionKeyProviderType")
        if kind not in DISK_PROVIDERS or not disks.get(DISK_PROVIDERS[kind]):
            raise invalid(f"LocalDiskEncryptionConfiguration needs EncryptionKeyProviderType AwsKms with AwsKmsKey, got {kind}")


OPERATIONS = {
    "CreateSecurityConfiguration": Operation(_create, on=no_resource),
    "DescribeSecurityConfiguration": Operation(_describe, on=no_resource),
    "ListSecurityConfigurations": Operation(_list, on=no_resource),
    "DeleteSecurityConfiguration": Operation(_delete, on=no_resource),
}
"""Operations of configurations."""
