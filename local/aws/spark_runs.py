"""What runs of Spark share, whichever service starts them: a place among the laptop's drivers, their role, the files fetched as it."""

from __future__ import annotations

import contextvars
import datetime as dt
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.aws import guard, seam

if TYPE_CHECKING:
    from local.engines.spark import SparkDriver

CONCURRENT_DRIVERS = 2
"""Drivers at a time on one laptop; further runs wait until one ends."""

SLOT_LOOK_SECONDS = 0.5
"""How often a run that waits for a driver looks whether it was stopped."""

CONFIG = Config(retries={"mode": "standard"}, s3={"addressing_style": "path"})
"""How clients that work for a run call the local AWS."""

_responses = seam.module("core.responses")

_slots = threading.BoundedSemaphore(CONCURRENT_DRIVERS)
_working: list[tuple[str, SparkDriver]] = []


class FetchError(Exception):
    """A file of the run could not be downloaded."""


class RunRole:
    """The role that a run works as.

    Args:
        arn: Role.
        service: Principal that assumes it, such as `glue.amazonaws.com`.
        session: Session name that the service uses.
        source_arn: What the service acts for: `aws:SourceArn` of its trust policy.
    """

    def __init__(self, *, arn: str, service: str, session: str, source_arn: str) -> None:
        self.arn, self._service, self._session, self._source_arn = arn, service, session, source_arn

    def assume(self) -> boto3.Session:
        """A session of the role.

        Raises:
            guard.Denied: There is no such role, or it does not trust the service.
        """
        names = guard.credentials(self.key())
        return boto3.Session(
            aws_access_key_id=names["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=names["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=names["AWS_SESSION_TOKEN"],
            region_name=_responses.get_region(),
        )

    def credentials(self) -> Callable[[], Mapping[str, str]]:
        """Gives the role's credentials, anew at each call, as a credentials endpoint answers them."""
        context = contextvars.copy_context()

        def renewed() -> Mapping[str, str]:
            try:
                key = context.copy().run(self.key)
            except guard.Denied as denied:
                raise PermissionError(str(denied)) from denied
            names = guard.credentials(key)
            return {
                "AccessKeyId": names["AWS_ACCESS_KEY_ID"],
                "SecretAccessKey": names["AWS_SECRET_ACCESS_KEY"],
                "Token": names["AWS_SESSION_TOKEN"],
                "Expiration": (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "RoleArn": self.arn,
            }

        return renewed

    def key(self) -> str:
        """Access key of a session of the role; raises `guard.Denied` if the service may not take it."""
        return guard.role_session(self.arn, self._service, self._session, source_arn=self._source_arn)


@contextmanager
def place(stopping: threading.Event) -> Iterator[bool]:
    """Wait for a place among the laptop's drivers; False if *stopping* was set first."""
    while not stopping.is_set():
        if _slots.acquire(timeout=SLOT_LOOK_SECONDS):
            try:
                yield True
            finally:
                _slots.release()
            return
    yield False


@contextmanager
def working_as(role_arn: str, driver: SparkDriver) -> Iterator[None]:
    """Note that a driver works as a role, for `kill`."""
    entry = (role_arn.rsplit("/", 1)[-1], driver)
    _working.append(entry)
    try:
        yield
    finally:
        _working.remove(entry)


def kill(role: str) -> int:
    """Kill the drivers that work as a role, and all that they started, as a lost host would; how many there were.

    Args:
        role: Name of the role.
    """
    found = [driver for name, driver in list(_working) if name == role and driver.is_alive()]
    for driver in found:
        os.killpg(driver.pid, signal.SIGKILL)
    return len(found)


def fetch(s3: Any, address: str, folder: Path) -> Path:
    """Download an object into a folder, under its own name.

    Raises:
        FetchError: It is not there, or the role may not read it.
    """
    bucket, _, key = address.removeprefix("s3://").partition("/")
    target = folder / (key.rsplit("/", 1)[-1] or "file")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            for chunk in body.iter_chunks(1 << 20):
                file.write(chunk)
    except (ClientError, BotoCoreError) as error:
        raise FetchError(f"Error downloading from S3 for bucket: {bucket}, key: {key}. {error}") from error
    return target


def on_python_path(files: list[Path]) -> tuple[Path, ...]:
    """What makes files importable: an archive itself, the folder of a module."""
    return tuple(path if path.suffix in {".zip", ".whl", ".egg"} else path.parent for path in files)


def with_local_addressing(conf: Mapping[str, str]) -> dict[str, str]:
    """A job's Spark properties; each Iceberg catalog over Glue addresses buckets by path, which the local S3 needs."""
    catalogs = [name for name, value in conf.items() if name.startswith("spark.sql.catalog.") and value.endswith("SparkCatalog")]
    return {**{f"{catalog}.s3.path-style-access": "true" for catalog in catalogs}, **conf}
