"""Steps of EMR clusters: what `command-runner.jar` is told to run, and which of it is served."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.aws import spark_submit
from local.aws.spark_submit import Submission, SubmitError

JAR = "command-runner.jar"
"""The one jar that runs here."""

SPARK_SUBMIT = frozenset({"spark-submit", "/usr/bin/spark-submit"})

CLIENT, CLUSTER = "client", "cluster"

MOST_CHARACTERS = 10_240
"""Characters of a step's values together, as EMR takes them."""

ATTEMPTS = 2
"""Times that YARN starts the driver of a job in deploy mode `cluster`: the default of `yarn.resourcemanager.am.max-attempts`, and its limit."""

_ENVIRONMENT = "spark.yarn.appMasterEnv."

WITHOUT_EFFECT = (
    "spark.yarn.am.", "spark.yarn.driver.memoryOverhead", "spark.yarn.executor.memoryOverhead", "spark.yarn.heterogeneousExecutors.",
    "spark.yarn.tags", "spark.yarn.containerLauncherMaxThreads", "spark.yarn.scheduler.", "spark.yarn.submit.waitAppCompletion", "spark.yarn.queue",
)  # fmt: skip
"""Properties of YARN that may be given and change nothing on one machine; the last two in one value only."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a step runs.

    Attributes:
        submission: The job.
        deploy_mode: Where its driver is: on the cluster, or in the step's own process on the primary node.
        attempts: Times that the driver is started until it succeeds.
    """

    submission: Submission
    deploy_mode: str
    attempts: int


def read(step: Mapping[str, Any], *, defaults: Mapping[str, str]) -> Command:
    """Sort out a step.

    Args:
        step: A StepConfig.
        defaults: Spark properties of the cluster, which the step may override.

    Raises:
        SubmitError: Something in it is not served here, or would be refused by EMR.
    """
    jar = step["HadoopJarStep"]
    words = [str(word) for word in jar.get("Args") or ()]
    if sum(len(text) for text in (jar["Jar"], jar.get("MainClass") or "", *words)) > MOST_CHARACTERS:
        raise SubmitError(f"the values of HadoopJarStep are longer than {MOST_CHARACTERS} characters together")
    if jar["Jar"] != JAR:
        raise SubmitError(f"the jar {jar['Jar']} is not served by the laptop platform; it serves {JAR} with spark-submit")
    for name in ("MainClass", "Properties"):
        if jar.get(name):
            raise SubmitError(f"{name} of a step is not served by the laptop platform: {JAR} takes everything as Args")
    if not words or words[0] not in SPARK_SUBMIT:
        raise SubmitError(f"the command {words[0] if words else ''!r} is not served by the laptop platform; {JAR} runs spark-submit here")
    options, entry_point, arguments = spark_submit.split(words[1:])
    found = spark_submit.read(entry_point, arguments, shlex.join(options), defaults=defaults, on_cluster=True)
    return _on_cluster(found)


def _on_cluster(submission: Submission) -> Command:
    """A submission whose properties of YARN have been read, held to what is served, and taken out."""
    conf = dict(submission.conf)
    if conf.pop("spark.master", "yarn") != "yarn":
        raise SubmitError("spark.master (--master) must be yarn on a cluster: anything else leaves the cluster idle")
    mode = conf.pop("spark.submit.deployMode", CLIENT)
    if mode not in {CLIENT, CLUSTER}:
        raise SubmitError(f"spark.submit.deployMode (--deploy-mode) must be client or cluster, got {mode}")
    if conf.get("spark.yarn.submit.waitAppCompletion", "true").lower() != "true":
        raise SubmitError("spark.yarn.submit.waitAppCompletion=false is not served by the laptop platform: its step would succeed at once")
    if conf.get("spark.yarn.queue", "default") != "default":
        raise SubmitError(f"the queue {conf['spark.yarn.queue']} is not served by the laptop platform; it has the queue default")
    attempts = _attempts(conf.pop("spark.yarn.maxAppAttempts", str(ATTEMPTS)))
    environment = {name.removeprefix(_ENVIRONMENT): conf.pop(name) for name in list(conf) if name.startswith(_ENVIRONMENT)}
    for name in conf:
        if name.startswith("spark.emr-serverless."):
            raise SubmitError(f"{name} means nothing on a cluster; variables of the driver are spark.yarn.appMasterEnv.<name>")
        if name.startswith("spark.yarn.") and not name.startswith(WITHOUT_EFFECT):
            raise SubmitError(f"{name} is not served by the laptop platform")
    if mode == CLIENT and (submission.archives or environment):
        what = "--archives" if submission.archives else f"{_ENVIRONMENT}<name>"
        raise SubmitError(
            f"{what} reaches the executors only in deploy mode client, and the laptop platform has none: use --deploy-mode cluster"
        )
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        if name in environment:
            raise SubmitError(f"{_ENVIRONMENT}{name} is not served by the laptop platform: the job runs on the platform's Python")
    kept = {name: value for name, value in conf.items() if not name.startswith("spark.yarn.")}
    return Command(
        submission=dataclasses.replace(submission, conf=kept, environment=environment), deploy_mode=mode,
        attempts=attempts if mode == CLUSTER else 1,
    )  # fmt: skip


def _attempts(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise SubmitError(f"spark.yarn.maxAppAttempts must be a number from 1, got {text!r}")
    return min(int(text), ATTEMPTS)
