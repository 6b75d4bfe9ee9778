"""Roles of a cluster: its instances' own, and the runtime roles of steps, which the instances assume with it."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from local.aws import guard, seam, spark_runs
from local.aws.spark_runs import RunRole

SERVICE, INSTANCES = "elasticmapreduce.amazonaws.com", "ec2.amazonaws.com"
"""Principals that assume the service role, and the role of the instances."""

_iam = seam.module("services.iam")


def of_profile(name: str) -> str:
    """ARN of the role of an instance profile, given by its name or its ARN; empty if there is none, or none in it."""
    found = _iam._instance_profiles.get(name.rsplit("/", 1)[-1]) or {}
    if name.startswith("arn:") and found.get("Arn") != name:
        return ""
    roles = [_iam._roles.get(role) for role in found.get("Roles") or ()]
    return next((str(role["Arn"]) for role in roles if role), "")


def of_instances(arn: str, instance: str) -> RunRole:
    """The role that an instance works as."""
    return RunRole(arn=arn, service=INSTANCES, session=instance, source_arn="")


class RuntimeRole:
    """The role of a step: assumed by an instance of the cluster, which must be allowed to, and tagged.

    Args:
        arn: Role.
        instances: Role of the instances.
        session: Session name.
    """

    def __init__(self, *, arn: str, instances: RunRole, session: str) -> None:
        self.arn, self._instances, self._session = arn, instances, session

    def assume(self) -> boto3.Session:
        """A session of the role.

        Raises:
            PermissionError: The instances may not assume it, or it does not trust them.
        """
        found = self._assumed()
        return boto3.Session(
            aws_access_key_id=found["AccessKeyId"], aws_secret_access_key=found["SecretAccessKey"],
            aws_session_token=found["SessionToken"], region_name=seam.module("core.responses").get_region(),
        )  # fmt: skip

    def credentials(self) -> Callable[[], Mapping[str, str]]:
        """Gives the role's credentials, anew at each call: a role that another one assumed ends after an hour."""
        context = contextvars.copy_context()

        def renewed() -> Mapping[str, str]:
            found = context.copy().run(self._assumed)
            return {
                "AccessKeyId": found["AccessKeyId"], "SecretAccessKey": found["SecretAccessKey"], "Token": found["SessionToken"],
                "Expiration": found["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"), "RoleArn": self.arn,
            }  # fmt: skip

        return renewed

    def _assumed(self) -> Mapping[str, Any]:
        try:
            denied = guard.authorize(self._instances.key(), action="sts:TagSession", resource=self.arn)
            if denied:
                raise denied
            sts = self._instances.assume().client("sts", config=spark_runs.CONFIG)
            return sts.assume_role(RoleArn=self.arn, RoleSessionName=self._session)["Credentials"]
        except (guard.Denied, ClientError) as refused:
            raise PermissionError(f"The runtime role {self.arn} could not be assumed: {refused}") from refused
