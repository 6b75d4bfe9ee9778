"""EMR on EC2: Spark steps as its command-runner takes them, and clusters that end with what they were made for, whatever happens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.errors import LakehouseError, TerminalError
from lakehouse.polling import Pauses, looks

ACTIONS_ON_FAILURE = ("TERMINATE_CLUSTER", "CANCEL_AND_WAIT", "CONTINUE")
"""What becomes of a cluster whose step fails: a chain ends with its first failure, what is tried by hand goes on."""

LIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
"""States of a cluster that is there, and costs."""

READY = ("RUNNING", "WAITING")
GONE = ("TERMINATED", "TERMINATED_WITH_ERRORS")
ENDING = "TERMINATING"

PENDING_STEPS = ("PENDING", "CANCEL_PENDING", "RUNNING")
COMPLETED = "COMPLETED"
FAILED_STEPS = ("CANCELLED", "FAILED", "INTERRUPTED")

MAX_TERMINATED_AT_ONCE = 10
"""Most clusters that one call may terminate."""

PAUSES = Pauses(first_seconds=10.0, factor=1.5, longest_seconds=30.0)
"""Waits between two looks at a cluster or step."""

END_SECONDS = 15 * 60.0
"""Time for the end of a cluster, even if the time for everything is over."""

_ODD = re.compile(r"[\s\"'\\$`;&|<>(){}\[\]*?!~]")
"""What a shell would read as something else: with roles of steps, command-runner hands its words to one."""

_FORCED = {
    "spark.submit.deployMode": "steps always run in cluster mode: the driver belongs into the cluster, not onto the primary node",
    "spark.master": "steps run on the YARN of their cluster",
}


class InvalidStepError(TerminalError):
    """A step would not run as it is written."""


class ClusterFailed(TerminalError):
    """A cluster ended with errors, or before its steps were over.

    Attributes:
        cluster_id: The cluster.
        state: Its state.
        code: EMR's code of the reason, such as `BOOTSTRAP_FAILURE`.
    """

    def __init__(self, *, cluster_id: str, state: str, code: str, message: str) -> None:
        self.cluster_id, self.state, self.code = cluster_id, state, code
        super().__init__(f"cluster {cluster_id} is {state}: {code or 'no code'}: {message or 'EMR gives no reason'}")


class StepFailed(TerminalError):
    """A step failed, was cancelled, or never ran because of the one before.

    Attributes:
        cluster_id: The cluster.
        step_id: The step.
        state: Its state.
        log: Address of its log, or "".
    """

    def __init__(self, *, cluster_id: str, step_id: str, name: str, state: str, reason: str, message: str, log: str) -> None:
        self.cluster_id, self.step_id, self.state, self.log = cluster_id, step_id, state, log
        why = ": ".join(part for part in (reason, message) if part) or "EMR gives no reason"
        super().__init__(f"step {name} ({step_id}) of cluster {cluster_id} is {state}: {why}{f'; its log is {log}' if log else ''}")


class ClusterTimeout(LakehouseError):
    """A cluster was not where it should be when its time was up, and is terminated."""

    def __init__(self, *, cluster_id: str, waiting_for: str, state: str, seconds: float) -> None:
        self.cluster_id = cluster_id
        super().__init__(f"cluster {cluster_id}: {waiting_for} was still {state} after {seconds:.0f} s: give it more time, or less to do")


@dataclass(frozen=True, kw_only=True)
class ClusterStep:
    """A step to run.

    Attributes:
        config: StepConfig, such as `spark_step` writes it.
        role_arn: Role that it runs as, if the security configuration of the cluster asks for one.
    """

    config: Mapping[str, Any]
    role_arn: str | None = None


def spark_words(
    script: str,
    *,
    settings: Mapping[str, str],
    py_files: Sequence[str] = (),
    archives: Sequence[str] = (),
    jars: Sequence[str] = (),
) -> tuple[str, ...]:
    """The command of a Spark step, up to the arguments of its script: always in cluster mode, and waiting for its end.

    Args:
        script: Address of the script.
        settings: Spark settings.
        py_files: Addresses of Python archives.
        archives: Addresses of archives to unpack, each `<address>#<folder>`.
        jars: Addresses of Java archives.

    Raises:
        InvalidStepError: A word would not reach Spark as it is written, or a setting is one that the step decides.
    """
    for name, why in _FORCED.items():
        if name in settings:
            raise InvalidStepError(f"{name} is not for a step to set: {why}; leave it out")
    files = {"--py-files": py_files, "--archives": archives, "--jars": jars}
    whole = {**settings, "spark.yarn.maxAppAttempts": "1", "spark.yarn.submit.waitAppCompletion": "true"}
    words = (
        "spark-submit",
        "--deploy-mode",
        "cluster",
        *(word for option, addresses in files.items() if addresses for word in (option, ",".join(addresses))),
        *(word for name, value in sorted(whole.items()) for word in ("--conf", f"{name}={value}")),
        script,
    )
    check_words(words)
    return words


def check_words(words: Iterable[str]) -> None:
    """Refuse words that would not reach the script as they are written; those of CloudFormation, `${Token[…]}`, are not looked into.

    Raises:
        InvalidStepError: There is one.
    """
    for word in words:
        found = _ODD.search(re.sub(r"\$\{Token\[[^\]]*\]\}", "", word))
        if found or not word:
            what = f"{found[0]!r} in {word!r}" if found else "an empty word"
            raise InvalidStepError(
                f"command-runner hands the words of a step to a shell, and {what} would not arrive: write it into the job's code or a file"
            )


def spark_step(
    name: str,
    script: str,
    *,
    arguments: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    py_files: Sequence[str] = (),
    archives: Sequence[str] = (),
    jars: Sequence[str] = (),
    action_on_failure: str = "TERMINATE_CLUSTER",
) -> dict[str, Any]:
    """A Spark step as AddJobFlowSteps takes it.

    Args:
        name: Name of the step.
        script: Address of the script.
        arguments: Arguments of the script.
        settings: Spark settings.
        py_files: Addresses of Python archives.
        archives: Addresses of archives to unpack.
        jars: Addresses of Java archives.
        action_on_failure: What becomes of the cluster if it fails; the steps of a chain end it, so that none runs on what the one before did not make.

    Raises:
        InvalidStepError: It would not run as it is written.
    """
    if action_on_failure not in ACTIONS_ON_FAILURE:
        raise InvalidStepError(f"action_on_failure must be one of {', '.join(ACTIONS_ON_FAILURE)}, got {action_on_failure!r}")
    check_words(arguments)
    words = [*spark_words(script, settings=settings or {}, py_files=py_files, archives=archives, jars=jars), *arguments]
    return {"Name": name, "ActionOnFailure": action_on_failure, "HadoopJarStep": {"Jar": "command-runner.jar", "Args": words}}


class Clusters:
    """Clusters of an account and region."""

    def __init__(
        self,
        *,
        client: Any,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        pauses: Pauses = PAUSES,
    ) -> None:
        """
        Args:
            client: boto3 client of `emr`.
            clock: Seconds that only go forward.
            sleep: Waits some seconds.
            pauses: Waits between two looks.
        """
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._pauses = pauses

    def run(self, request: Mapping[str, Any], steps: Sequence[ClusterStep], *, seconds: float) -> tuple[str, ...]:
        """Make a cluster, run steps on it in order, and end it, whatever happens.

        Args:
            request: What RunJobFlow is asked. The cluster must stay when it has no step, or it would be gone before its first one, and must end by itself when it
                is idle, as this process may die.
            steps: Steps in order.
            seconds: Longest that everything may take.

        Returns:
            Ids of the steps.

        Raises:
            InvalidStepError: The request would leave a cluster behind, or none to run on.
            ClusterFailed: The cluster ended with errors, or too soon.
            StepFailed: A step failed.
            ClusterTimeout: It took too long.
        """
        if not request.get("Instances", {}).get("KeepJobFlowAliveWhenNoSteps"):
            raise InvalidStepError(
                "Instances.KeepJobFlowAliveWhenNoSteps must be true: the cluster would end before its first step is added"
            )
        if "AutoTerminationPolicy" not in request:
            raise InvalidStepError("AutoTerminationPolicy is missing: nothing would end the cluster if this process died")
        give_up = self._clock() + seconds
        cluster_id: str = self._client.run_job_flow(**request)["JobFlowId"]
        try:
            self._wait_until_ready(cluster_id, give_up, seconds)
            done = tuple(self._run_step(cluster_id, step, give_up, seconds) for step in steps)
        except BaseException as error:
            try:
                self.end([cluster_id])
            except Exception as second:  # noqa: BLE001 - what failed first is what the caller has to know; this is added to it
                error.add_note(
                    f"cluster {cluster_id} could not be terminated: {second}; it ends by itself when idle, or terminate it by hand"
                )
            raise
        self.end([cluster_id])
        self._wait_until_gone(cluster_id, give_up, seconds)
        return done

    def live(self, *, name: str, created_after: datetime | None = None) -> tuple[str, ...]:
        """Ids of the clusters of a name that are there.

        Args:
            name: Name of the clusters.
            created_after: Nothing older is looked at.
        """
        since = {} if created_after is None else {"CreatedAfter": created_after}
        pages = self._client.get_paginator("list_clusters").paginate(ClusterStates=list(LIVE), **since)
        return tuple(cluster["Id"] for page in pages for cluster in page["Clusters"] if cluster["Name"] == name)

    def end(self, cluster_ids: Sequence[str]) -> tuple[str, ...]:
        """Terminate clusters, protected ones as well; those that are gone or going are left alone.

        Returns:
            Ids of those that were there.
        """
        states = {cluster_id: self._describe(cluster_id)["Status"]["State"] for cluster_id in cluster_ids}
        there = [cluster_id for cluster_id, state in states.items() if state in LIVE]
        for first in range(0, len(there), MAX_TERMINATED_AT_ONCE):
            part = there[first : first + MAX_TERMINATED_AT_ONCE]
            # To terminate a protected cluster is an error, not nothing.
            self._client.set_termination_protection(JobFlowIds=part, TerminationProtected=False)
            self._client.terminate_job_flows(JobFlowIds=part)
        return tuple(there)

    def cancel(self, cluster_id: str, step_ids: Sequence[str], *, is_killed: bool = False) -> dict[str, str]:
        """Cancel steps that wait or run.

        Args:
            cluster_id: The cluster.
            step_ids: Steps of it.
            is_killed: Whether a running one is killed and not only asked to end.

        Returns:
            What was wrong by the id of the step; nothing of those that are cancelled.
        """
        how = "TERMINATE_PROCESS" if is_killed else "SEND_INTERRUPT"
        told = self._client.cancel_steps(ClusterId=cluster_id, StepIds=list(step_ids), StepCancellationOption=how)["CancelStepsInfoList"]
        return {info["StepId"]: info.get("Reason", "") for info in told if info["Status"] != "SUBMITTED"}

    def _run_step(self, cluster_id: str, step: ClusterStep, give_up: float, seconds: float) -> str:
        role = {} if step.role_arn is None else {"ExecutionRoleArn": step.role_arn}
        step_id: str = self._client.add_job_flow_steps(JobFlowId=cluster_id, Steps=[dict(step.config)], **role)["StepIds"][0]
        state = "not looked at"
        for _ in self._looks(give_up):
            found = self._client.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]
            state = found["Status"]["State"]
            if state == COMPLETED:
                return step_id
            if state not in PENDING_STEPS:
                details = found["Status"].get("FailureDetails", {})
                reason = details.get("Reason") or found["Status"].get("StateChangeReason", {}).get("Message", "")
                raise StepFailed(
                    cluster_id=cluster_id,
                    step_id=step_id,
                    name=found.get("Name", ""),
                    state=state,
                    reason=reason,
                    message=details.get("Message", ""),
                    log=details.get("LogFile", ""),
                )
        raise ClusterTimeout(cluster_id=cluster_id, waiting_for=f"step {step_id}", state=state, seconds=seconds)

    def _wait_until_ready(self, cluster_id: str, give_up: float, seconds: float) -> None:
        state = "not looked at"
        for _ in self._looks(give_up):
            status = self._describe(cluster_id)["Status"]
            state = status["State"]
            if state in READY:
                return
            if state not in LIVE:
                raise _failed(cluster_id, status)
        raise ClusterTimeout(cluster_id=cluster_id, waiting_for="it", state=state, seconds=seconds)

    def _wait_until_gone(self, cluster_id: str, give_up: float, seconds: float) -> None:
        state = "not looked at"
        for _ in self._looks(max(give_up, self._clock() + END_SECONDS)):
            status = self._describe(cluster_id)["Status"]
            state = status["State"]
            if state == "TERMINATED":
                return
            if state not in (*LIVE, ENDING):
                raise _failed(cluster_id, status)
        raise ClusterTimeout(cluster_id=cluster_id, waiting_for="its end", state=state, seconds=seconds)

    def _looks(self, give_up: float) -> Iterator[float]:
        return looks(give_up - self._clock(), pauses=self._pauses, clock=self._clock, sleep=self._sleep)

    def _describe(self, cluster_id: str) -> Mapping[str, Any]:
        return self._client.describe_cluster(ClusterId=cluster_id)["Cluster"]


def cluster_name(machine: str, run_id: str) -> str:
    """Name of the cluster of a run."""
    return f"{machine}-{run_id}"


def _failed(cluster_id: str, status: Mapping[str, Any]) -> ClusterFailed:
    reason = status.get("StateChangeReason", {})
    return ClusterFailed(cluster_id=cluster_id, state=status["State"], code=reason.get("Code", ""), message=reason.get("Message", ""))
