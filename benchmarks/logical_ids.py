"""Logical ids of the synth peer: the CDK hashes the path of an L2 construct into that of its resource, and overriding that would cost the peer time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

WRITTEN_WITH_L2 = frozenset({
    "AWS::CloudWatch::Alarm",
    "AWS::DynamoDB::Table",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
})  # fmt: skip
"""Types that the peer writes with an L2 class of its own choice of ids; custom resources keep their id, and so does every L1 resource."""


def ids_of_peer(resources: Mapping[str, Any]) -> dict[str, str]:
    """Logical ids in the peer's template by those of the given one."""
    return {name: _id(name) if resource["Type"] in WRITTEN_WITH_L2 else name for name, resource in resources.items()}


def as_peer(resources: Mapping[str, Any]) -> dict[str, Any]:
    """The resources of a template under the logical ids that they have in the peer's."""
    ids = ids_of_peer(resources)
    return {ids[name]: _renamed(resource, ids) for name, resource in resources.items()}


def _id(name: str) -> str:
    return name + hashlib.md5(f"{name}/Resource".encode(), usedforsecurity=False).hexdigest()[:8].upper()


def _renamed(value: Any, ids: Mapping[str, str]) -> Any:
    match value:
        case {"Ref": str(name)}:
            return {"Ref": ids.get(name, name)}
        case {"Fn::GetAtt": [name, attribute]}:
            return {"Fn::GetAtt": [ids.get(name, name), attribute]}
        case list():
            return [_renamed(part, ids) for part in value]
        case dict():
            return {name: _depends(part, ids) if name == "DependsOn" else _renamed(part, ids) for name, part in value.items()}
        case _:
            return value


def _depends(given: str | list[str], ids: Mapping[str, str]) -> str | list[str]:
    return ids[given] if isinstance(given, str) else [ids[name] for name in given]
