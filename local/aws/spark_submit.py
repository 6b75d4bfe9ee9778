"""What a spark-submit command line asks for: its properties, files and archives, and which of its options the laptop serves."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONF_OPTIONS = {
    "--driver-memory": "spark.driver.memory", "--driver-cores": "spark.driver.cores", "--executor-memory": "spark.executor.memory",
    "--executor-cores": "spark.executor.cores", "--num-executors": "spark.executor.instances", "--name": "spark.app.name",
    "--py-files": "spark.submit.pyFiles", "--archives": "spark.archives", "--jars": "spark.jars",
}  # fmt: skip
"""Options that are properties by another name."""

IGNORED = frozenset({"--verbose", "-v"})
"""Flags without effect here."""

NOT_SERVED = {
    "--class": "only Python entry points run here",
    "--packages": "give jars that lie in S3 with --jars",
    "--repositories": "give jars that lie in S3 with --jars",
    "--exclude-packages": "give jars that lie in S3 with --jars",
    "--files": "give an archive with --archives, or read the file from S3",
    "--properties-file": "give the properties with --conf",
    "--driver-java-options": "the driver's Java is the platform's",
    "--driver-library-path": "the driver's Java is the platform's",
    "--driver-class-path": "give jars that lie in S3 with --jars",
}
"""Options that are refused -> what to do instead."""

CLUSTER_OPTIONS = {"--master": "spark.master", "--deploy-mode": "spark.submit.deployMode", "--queue": "spark.yarn.queue"}
"""Options that are properties by another name on a cluster, and unknown to EMR Serverless."""

MANAGED_CONF = ("spark.master", "spark.submit.deployMode")
"""Properties that EMR Serverless itself sets, and refuses."""

REFUSED_CONF = {
    "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": "the job runs on the platform's Python",
    "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": "the job runs on the platform's Python",
    "spark.jars.packages": "give jars that lie in S3 with spark.jars",
}
"""Properties that would silently do nothing here -> why."""


class SubmitError(ValueError):
    """A command line that is refused; the text says what and what to do."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job for spark-submit.

    Attributes:
        entry_point: Script, an S3 address.
        arguments: What the script sees behind its name.
        conf: Spark properties, those for files taken out.
        py_files: Archives and modules for the Python path, S3 addresses.
        archives: Archives that are unpacked beside the job: S3 address -> name of the folder.
        jars: Jars for the class path, S3 addresses.
        local_jars: Jars that are meant to lie on the workers, such as the `/usr/share/aws/…` of older releases.
        environment: Variables of the driver.
    """

    entry_point: str
    arguments: tuple[str, ...]
    conf: Mapping[str, str]
    py_files: tuple[str, ...]
    archives: Mapping[str, str]
    jars: tuple[str, ...]
    local_jars: tuple[str, ...]
    environment: Mapping[str, str]


def read(
    entry_point: str, arguments: Iterable[str], parameters: str, *, defaults: Mapping[str, str], on_cluster: bool = False
) -> Submission:
    """Sort out a submission.

    Args:
        entry_point: Script.
        arguments: Its arguments.
        parameters: Options of spark-submit in one text.
        defaults: Properties that the options may override.
        on_cluster: Whether the options of a cluster are known.

    Raises:
        SubmitError: Something in it is not served here.
    """
    if not entry_point.startswith("s3://") or not entry_point.endswith(".py"):
        raise SubmitError(f"the entry point must be a Python script in S3 on the laptop platform, got {entry_point!r}")
    conf = {**defaults, **_options(parameters, on_cluster=on_cluster)}
    for name, why in REFUSED_CONF.items():
        if name in conf:
            raise SubmitError(f"{name} is not served by the laptop platform: {why}")
    for name in () if on_cluster else MANAGED_CONF:
        if name in conf:
            raise SubmitError(f"Option '{name}' is not supported")
    jars = _listed(conf.pop("spark.jars", ""))
    local_jars = tuple(jar.removeprefix("local://") for jar in jars if jar.startswith(("/", "local://")))
    env = "spark.emr-serverless.driverEnv."
    return Submission(
        entry_point=entry_point,
        arguments=tuple(arguments),
        py_files=_in_s3(_listed(conf.pop("spark.submit.pyFiles", "")), "--py-files"),
        archives=_named(_listed(conf.pop("spark.archives", ""))),
        jars=_in_s3((jar for jar in jars if not jar.startswith(("/", "local://"))), "--jars"),
        local_jars=local_jars,
        environment={name.removeprefix(env): value for name, value in conf.items() if name.startswith(env)},
        conf=conf,
    )


def split(words: Iterable[str]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Options, entry point and arguments of a command line behind `spark-submit`.

    Raises:
        SubmitError: It has no entry point.
    """
    given = list(words)
    at = 0
    while at < len(given) and given[at].startswith("-"):
        at += 1 if given[at] in IGNORED or "=" in given[at].split(" ", maxsplit=1)[0] else 2
    if at >= len(given):
        raise SubmitError("spark-submit has no entry point: it stands behind the options")
    return tuple(given[:at]), given[at], tuple(given[at + 1 :])


def _options(parameters: str, *, on_cluster: bool) -> dict[str, str]:
    try:
        words = shlex.split(parameters)
    except ValueError as unbalanced:
        raise SubmitError(f"the parameters of spark-submit cannot be read: {unbalanced}") from unbalanced
    conf: dict[str, str] = {}
    at = 0
    while at < len(words):
        option, equals, value = words[at].partition("=") if words[at].startswith("--") else (words[at], "", "")
        at += 1
        if option in IGNORED:
            continue
        known = option in CONF_OPTIONS or option == "--conf" or option in NOT_SERVED or (on_cluster and option in CLUSTER_OPTIONS)
        if not known:
            raise SubmitError(f"{option} is no option of spark-submit that the laptop platform knows")
        if option in NOT_SERVED:
            raise SubmitError(f"{option} is not served by the laptop platform: {NOT_SERVED[option]}")
        if not equals:
            if at >= len(words):
                raise SubmitError(f"{option} has no value")
            value = words[at]
            at += 1
        if option == "--conf":
            name, equals, value = value.partition("=")
            if not equals or not name.startswith("spark."):
                raise SubmitError(f"--conf takes spark.<name>=<value>, got {name + equals + value!r}")
            conf[name.strip()] = value.strip()
        else:
            conf[{**CONF_OPTIONS, **CLUSTER_OPTIONS}[option]] = value
    return conf


def _named(archives: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for archive in archives:
        address, _, name = archive.partition("#")
        _in_s3((address,), "--archives")
        found[address] = name or address.rsplit("/", 1)[-1]
        if "/" in found[address] or found[address] in {"", ".", ".."}:
            raise SubmitError(f"the folder of an archive is a plain name behind #, got {archive!r}")
    return found


def _in_s3(addresses: Iterable[str], option: str) -> tuple[str, ...]:
    found = tuple(addresses)
    for address in found:
        if not address.startswith("s3://"):
            raise SubmitError(f"{option} takes s3:// addresses, got {address!r}")
    return found


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
