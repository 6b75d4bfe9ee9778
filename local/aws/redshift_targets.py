"""Whereto statements of the Data API go, and as which database user: workgroups of Redshift Serverless, and provisioned clusters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.aws import guard, redshift_cluster, redshift_serverless
from local.aws.caller_clients import caller_client
from local.aws.modelled_service import Call, ServiceError
from local.aws.redshift_engine import PRINCIPALS, Endpoint
from local.redshift.errors import SqlError
from local.redshift.warehouse import Warehouse


@dataclass(kw_only=True)
class Target:
    """Whereto statements go.

    Attributes:
        endpoint: The workgroup or the cluster.
        database: The database.
        user: Database user of the caller.
        secret: ARN of the secret that the user comes from; empty = the caller's own identity.
    """

    endpoint: Endpoint
    database: str
    user: str
    secret: str = ""

    @property
    def warehouse(self) -> Warehouse:
        """Its databases."""
        return self.endpoint.warehouse

    @property
    def shown(self) -> dict[str, str]:
        """How answers name it."""
        named = {**self.endpoint.shown, "Database": self.database, "DbUser": self.user}
        return {**named, "SecretArn": self.secret} if self.secret else named

    def client(self, service: str, role: str) -> Any:
        """A client with the session of a role that the statement's user has Redshift act as.

        Raises:
            SqlError: The role does not trust Redshift for this user.
        """
        refused: guard.Denied | None = None
        arn = self.endpoint.arn.split(":")
        # What Redshift gives as external id when it assumes a role: the database user for whom it does.
        external_id = f"arn:{arn[1]}:redshift:{arn[3]}:{arn[4]}:dbuser:{self.endpoint.name}/{self.user}"
        for principal in PRINCIPALS:
            try:
                key = guard.role_session(
                    role, principal, "RedshiftIamRoleSession", source_arn=self.endpoint.source_arn, external_id=external_id
                )
            except guard.Denied as denied:
                refused = denied
                continue
            return caller_client(service, key)
        raise SqlError(f"User arn:aws:redshift-serverless is not authorized to assume IAM Role {role}: {refused}")


def invalid(message: str) -> ServiceError:
    """What the Data API refuses."""
    return ServiceError("ValidationException", message)


def target_of(call: Call, given: Mapping[str, Any]) -> Target:
    """Whereto a request goes, once the caller's right to connect was asked.

    Raises:
        ServiceError: There is no such workgroup, cluster or secret, it is paused, or the caller may not connect.
    """
    endpoint = _endpoint(given)
    if endpoint is None:
        raise invalid("Redshift endpoint doesn't exist in this region.")
    database, secret = str(given.get("Database") or endpoint.database), str(given.get("SecretArn") or "")
    if endpoint.closed:
        raise invalid(endpoint.closed)
    return Target(endpoint=endpoint, database=database, user=_user(call, endpoint, database, given, secret), secret=secret)


def arn_of(call: Call) -> str:
    """What the right to run a request is asked on."""
    found = _endpoint(call.params, is_lenient=True)
    if found is not None:
        return found.arn
    cluster = call.params.get("ClusterIdentifier")
    if cluster:
        return f"arn:aws:redshift:{call.region}:{call.account}:cluster:{cluster}"
    return f"arn:aws:redshift-serverless:{call.region}:{call.account}:workgroup/{call.params.get('WorkgroupName') or '*'}"


def _endpoint(given: Mapping[str, Any], *, is_lenient: bool = False) -> Endpoint | None:
    cluster, group = given.get("ClusterIdentifier"), given.get("WorkgroupName")
    if not is_lenient:
        if bool(cluster) == bool(group):
            raise invalid("Either a ClusterIdentifier or a WorkgroupName must be provided.")
        if group and given.get("DbUser"):
            raise invalid(
                "DbUser is not supported with a serverless workgroup: the user is the caller's IAM identity, or that of SecretArn"
            )
        if given.get("DbUser") and given.get("SecretArn"):
            raise invalid("DbUser and SecretArn both name a user: leave one of them out")
    if cluster:
        return redshift_cluster.endpoint(str(cluster))
    return redshift_serverless.endpoint(str(group)) if group else None


def _user(call: Call, endpoint: Endpoint, database: str, given: Mapping[str, Any], secret: str) -> str:
    if secret:
        return _secret_user(call, endpoint, secret)
    if not endpoint.is_cluster:
        call.require("redshift-serverless:GetCredentials", endpoint.arn)
        return _identity(call.caller)
    named = endpoint.arn.split(":cluster:", maxsplit=1)[0]
    user = given.get("DbUser")
    if not user:
        call.require("redshift:GetClusterCredentialsWithIAM", f"{named}:dbname:{endpoint.name}/{database}")
        return _identity(call.caller)
    for resource in (f"dbuser:{endpoint.name}/{user}", f"dbname:{endpoint.name}/{database}"):
        call.require("redshift:GetClusterCredentials", f"{named}:{resource}")
    if not endpoint.warehouse.has_user(str(user)):
        raise invalid(f'FATAL: user "{user}" does not exist')
    return str(user)


def _secret_user(call: Call, endpoint: Endpoint, arn: str) -> str:
    client = caller_client("secretsmanager", call.key)
    try:
        value = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
        user = str(value["username"])
    except client.exceptions.ClientError as error:
        raise invalid(f"The secret {arn} cannot be read: {error.response['Error'].get('Message', error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise invalid(f"The secret {arn} has no username and password") from error
    if arn != endpoint.admin_secret:
        raise invalid(
            f"The secret {arn} is not the administrator's of {endpoint.name}: nobody else logs in by password on the laptop platform"
        )
    return user


def _identity(arn: str) -> str:
    """Database user of an IAM identity: `IAMR:<role>` or `IAM:<user>`."""
    if ":assumed-role/" in arn:
        return f"IAMR:{arn.split('/')[1]}"
    return f"IAM:{arn.rsplit('/', maxsplit=1)[-1]}" if ":user/" in arn else "IAM:root"
