"""Endpoints of AWS services inside a network, and who may use them for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib.arns import ACCOUNT, PARTITION, REGION
from constructs_lib.checks import require, require_one_of
from lakehouse.networks import INTERFACE_SERVICES

_PACKAGES = (
    "al2023-repos-{region}-de612dc2",
    "aws157-instance-data-0-prod-{region}",
    "aws157-instance-data-1-prod-{region}",
    "repo.{region}.emr.amazonaws.com",
)
"""Buckets of AWS that the machines of an EMR cluster install themselves from; nobody signs those requests."""


@dataclass(frozen=True, kw_only=True)
class InterfaceEndpoint:
    """A service within reach of a network that has no way out.

    Attributes:
        service: Service as AWS spells it in the endpoint's name, such as `secretsmanager`.
        actions: Actions that may be called through it; all of the service by default.
    """

    service: str
    actions: Sequence[str] = ("*",)

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: There is no such service, or no action.
        """
        require_one_of(self.service, INTERFACE_SERVICES, name="service")
        require(bool(self.actions), f"actions of the endpoint of {self.service} must name at least one action, or be left out")

    @property
    def service_name(self) -> str:
        """Name of the service in this region."""
        return service_name(self.service)

    @property
    def policy(self) -> dict[str, Any]:
        """Who may use it: principals of this account, so that nobody carries data out with keys of another."""
        return policy(_ours(list(self.actions)))


def service_name(service: str) -> str:
    """Name of a service's endpoint in this region."""
    return f"com.amazonaws.{REGION}.{service}"


def gateway_policy(service: str) -> dict[str, Any]:
    """Who may use a gateway endpoint: principals of this account; S3 also serves the packages of EMR's machines, which nobody signs."""
    statements = [_ours(["*"])]
    if service == "s3":
        buckets = [f"arn:{PARTITION}:s3:::{name.format(region=REGION)}/*" for name in _PACKAGES]
        statements.append({"Sid": "PackagesOfClusters", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": buckets})
    return policy(*statements)


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _ours(actions: list[str]) -> dict[str, Any]:
    return {
        "Sid": "PrincipalsOfThisAccount",
        "Effect": "Allow",
        "Principal": "*",
        "Action": actions if len(actions) > 1 else actions[0],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
    }
