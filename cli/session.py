"""An environment as the command line sees it: its config, its names, and clients that act as the operator role."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session as BotocoreSession

from cli.errors import CommandError, WrongUseError, nearest
from lakehouse.audit import AuditTrail
from lakehouse.naming import Names

if TYPE_CHECKING:
    from lakehouse.contracts.model import CompiledContract
    from lakehouse.environments import Environment
    from lakehouse.pipelines.spec import PipelineSpec

ROOT = Path(__file__).resolve().parents[1]
"""The checkout that holds this command line."""

LOCAL = "local"
"""The environment that runs on the laptop."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach AWS, or what stands in for it.

    Attributes:
        region: AWS region.
        endpoint: Address that answers every service; None = AWS itself.
        ca_bundle: Certificates to trust; None = the usual ones.
        access_key: Access key of the caller; None = the user's own credentials, as the AWS CLI finds them.
        secret_key: Its secret.
    """

    region: str | None = None
    endpoint: str | None = None
    ca_bundle: str | None = None
    access_key: str | None = None
    secret_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Session:
    """One environment: what `lake --env` chose.

    Attributes:
        root: The project: the folder with `config/`, `contracts/` and `pipelines/`.
        config: Config of the environment.
        names: Names of what it deployed.
        access: How to reach it.
    """

    root: Path
    config: Environment
    names: Names
    access: Access
    _clients: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    @property
    def env(self) -> str:
        """Name of the environment."""
        return self.config.env

    @property
    def state(self) -> Path:
        """Folder for what the command line remembers between calls."""
        return self.root / ".lake" / self.env

    def client(self, service: str) -> Any:
        """A boto3 client that acts as the operator role, made at first use."""
        if service not in self._clients:
            self._clients[service] = self._operator.client(service, **_client_options(self.access))
        return self._clients[service]

    @cached_property
    def audit(self) -> AuditTrail:
        """The audit trail, read as the operator."""
        return AuditTrail(client=self.client("dynamodb"), table=self.names.run_table("audit"))

    @cached_property
    def contracts(self) -> dict[str, CompiledContract]:
        """Contracts of the project by id."""
        from lakehouse.contracts.compiler.cached import compiled_contracts

        return compiled_contracts(self.root)

    @cached_property
    def pipelines(self) -> tuple[PipelineSpec, ...]:
        """Pipelines of the project."""
        from lakehouse.pipelines.loader import load_pipelines

        return load_pipelines(self.root / "pipelines", self.contracts)

    @cached_property
    def arrivals(self) -> dict[str, str]:
        """Pipelines by the dataset whose arrivals start them."""
        from lakehouse.pipelines.spec import Arrival

        return {pipeline.trigger.dataset: pipeline.name for pipeline in self.pipelines if isinstance(pipeline.trigger, Arrival)}

    @cached_property
    def follows(self) -> dict[str, tuple[str, ...]]:
        """Pipelines that a pipeline is started after, by its name; only those that follow any."""
        from lakehouse.pipelines.spec import After

        return {pipeline.name: pipeline.trigger.pipelines for pipeline in self.pipelines if isinstance(pipeline.trigger, After)}

    def contract(self, dataset: str) -> CompiledContract:
        """The contract of a dataset, named `<domain>.<dataset>`.

        Raises:
            WrongUseError: There is none.
        """
        if dataset not in self.contracts:
            raise WrongUseError(f"there is no dataset {dataset!r}: {nearest(dataset, self.contracts)}")
        return self.contracts[dataset]

    @cached_property
    def _operator(self) -> boto3.Session:
        source = _user(self.access)
        credentials = source.get_credentials()
        if credentials is None:
            raise CommandError(
                f"there are no AWS credentials for {self.env}: sign in as for the AWS CLI (AWS_PROFILE, `aws sso login`) and try again"
            )
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=lambda service, **keys: source.client(service, **keys, **_client_options(self.access)),
            source_credentials=credentials,
            role_arn=self.names.operator_role_arn,
            extra_args={"RoleSessionName": _session_name()},
        )
        session = BotocoreSession()
        # The documented way to chain refreshable credentials: a run can outlive the hour that a chained role lasts.
        session._credentials = DeferredRefreshableCredentials(method="assume-role", refresh_using=lambda: _assumed(fetcher, self))  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]
        return boto3.Session(botocore_session=session, region_name=self.access.region)


def project_root() -> Path:
    """The project that this command line belongs to, or else the one around the current folder.

    Raises:
        WrongUseError: Neither is a project.
    """
    here = Path.cwd()
    for folder in (ROOT, here, *here.parents):
        if (folder / "config" / "base.yaml").is_file():
            return folder
    raise WrongUseError(f"no project found in {here} or above it: run `lake` in the folder that holds config/base.yaml")


def load_config(root: Path, env: str) -> Environment:
    """Config of an environment.

    Raises:
        WrongUseError: There is no such environment.
    """
    from lakehouse.environments import environment_names, load_environment

    known = environment_names(root / "config")
    if env not in known:
        raise WrongUseError(f"there is no environment {env!r}: {nearest(env, known)}")
    return load_environment(root / "config", env)


def open_session(env: str) -> Session:
    """The session of an environment: the laptop platform's endpoint for `local`, the user's own credentials for all others.

    Raises:
        WrongUseError: There is no such environment.
        CommandError: The laptop platform is not running, or AWS does not know the caller.
    """
    root = project_root()
    config = load_config(root, env)
    if env == LOCAL:
        access = local_access(root)
        return Session(
            root=root,
            config=config,
            names=config.names(account=_account_of(config, access), region=access.region or "us-east-1"),
            access=access,
        )
    access = _aws_access(config.region)
    region = access.region
    if region is None:
        raise CommandError(f"no region for {env}: set `region` in config/{env}.yaml or AWS_REGION")
    return Session(root=root, config=config, names=config.names(account=_account_of(config, access), region=region), access=access)


def local_access(root: Path) -> Access:
    """How to reach the laptop platform of a project.

    Raises:
        CommandError: It is not running.
    """
    from local.platform import Platform

    platform = Platform(root)
    if not platform.status().is_running:
        raise CommandError("the platform is not running: start it with `lake up`")
    variables = platform.environment()
    return Access(
        region=variables["AWS_REGION"],
        endpoint=variables["AWS_ENDPOINT_URL"],
        ca_bundle=variables["AWS_CA_BUNDLE"],
        access_key=variables["AWS_ACCESS_KEY_ID"],
        secret_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


def _aws_access(region: str | None) -> Access:
    return Access(
        region=region or boto3.Session().region_name, endpoint=os.environ.get("AWS_ENDPOINT_URL"), ca_bundle=os.environ.get("AWS_CA_BUNDLE")
    )


def _account_of(config: Environment, access: Access) -> str:
    if config.account:
        return config.account
    return _user(access).client("sts", **_client_options(access)).get_caller_identity()["Account"]


def _user(access: Access) -> boto3.Session:
    return boto3.Session(aws_access_key_id=access.access_key, aws_secret_access_key=access.secret_key, region_name=access.region)


def _client_options(access: Access) -> dict[str, Any]:
    options: dict[str, Any] = {"config": Config(retries={"mode": "standard"}, user_agent_extra="lake")}
    if access.endpoint is not None:
        # One address for all buckets: their names cannot be host names of it. And no proxy stands before it.
        options["config"] = options["config"].merge(Config(s3={"addressing_style": "path"}, proxies={}))
        options["endpoint_url"] = access.endpoint
    if access.ca_bundle is not None:
        options["verify"] = access.ca_bundle
    return options


def _assumed(fetcher: AssumeRoleCredentialFetcher, session: Session) -> dict[str, Any]:
    try:
        return fetcher.fetch_credentials()
    except ClientError as error:
        message = error.response.get("Error", {}).get("Message", str(error))
        raise CommandError(
            f"cannot act as {session.names.operator_role_arn}: {message}. "
            f"If {session.env} is not deployed yet, run `lake deploy --env {session.env}`; else ask for sts:AssumeRole on that role"
        ) from error
    except BotoCoreError as error:
        raise CommandError(
            f"cannot reach {session.env}: {error}. {'Start the platform: `lake up`' if session.env == LOCAL else 'Check the network'}"
        ) from error


def _session_name() -> str:
    """Name under which CloudTrail shows who ran `lake`."""
    return f"lake-{re.sub(r'[^A-Za-z0-9_=,.@-]', '-', getpass.getuser())}"[:64]
