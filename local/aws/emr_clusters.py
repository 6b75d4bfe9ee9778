"""A cluster of EMR from its request to its end: roles and network looked at, bootstrap actions fetched, steps run, idle time counted.

There are no machines: bootstrap actions are fetched with the rights of the instances and not run, the service role calls nothing.
"""

from __future__ import annotations

import logging
import secrets
import string
import threading
import time
from collections.abc import Mapping
from typing import Any

from local.aws import caller_objects, emr_events, emr_roles, emr_steps, guard, modelled_service, seam
from local.aws.emr_steps import Place, StepRun

log = logging.getLogger("lake.emr")

STARTING, BOOTSTRAPPING, RUNNING, WAITING = "STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"
TERMINATING, TERMINATED, TERMINATED_WITH_ERRORS = "TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"
ALIVE = frozenset({STARTING, BOOTSTRAPPING, RUNNING, WAITING})
"""States in which a cluster takes steps."""

ENDED = frozenset({TERMINATED, TERMINATED_WITH_ERRORS})

PENDING, STEP_RUNNING, CANCEL_PENDING = "PENDING", "RUNNING", "CANCEL_PENDING"
CANCELLED, FAILED, INTERRUPTED = emr_steps.CANCELLED, emr_steps.FAILED, "INTERRUPTED"
STEP_ENDED = frozenset({emr_steps.COMPLETED, FAILED, CANCELLED, INTERRUPTED})

GOES_ON, WAITS = "CONTINUE", "CANCEL_AND_WAIT"
ENDS = frozenset({"TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"})
"""Actions on failure that end the cluster."""

USER_REQUEST = {"Code": "USER_REQUEST", "Message": "Terminated by user request"}
STEP_FAILED = {"Code": "STEP_FAILURE", "Message": "Shut down as step failed"}
ALL_COMPLETED = {"Code": "ALL_STEPS_COMPLETED", "Message": "Steps completed"}
SOME_FAILED = {"Code": "STEP_FAILURE", "Message": "Steps completed with errors"}
IDLE = {"Code": "ALL_STEPS_COMPLETED", "Message": "Auto-terminated: the cluster was idle"}

END_SECONDS = 60.0
"""How long steps that were told to end may take."""

_LETTERS = string.ascii_uppercase + string.digits

_ec2 = seam.module("services.ec2")

_running: dict[str, Cluster] = {}


def new_id(kind: str) -> str:
    """An id as EMR makes them, of a cluster (`j`), a step (`s`), a fleet (`if`) or a group (`ig`)."""
    return f"{kind}-{''.join(secrets.choice(_LETTERS) for _ in range(13))}"


def running(cluster_id: str) -> Cluster | None:
    """A cluster that has not ended."""
    return _running.get(cluster_id)


class _EndedError(Exception):
    """The cluster ends before its first step."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.reason = {"Code": code, "Message": message}


class Cluster:
    """One cluster, on a thread of its own; everything that changes it takes its lock.

    Args:
        record: Its record; its state is kept here.
        steps: Records of its steps, in their order.
    """

    def __init__(self, record: dict[str, Any], steps: list[dict[str, Any]]) -> None:
        self.record, self.steps = record, steps
        self.lock = threading.Condition(threading.RLock())
        self._runs: dict[str, StepRun] = {}
        self._end: tuple[Mapping[str, str], str] | None = None
        self._applications = 0
        self._idle_since = 0.0
        self._has_failed = False
        self._instance = f"i-{secrets.token_hex(8)}0"
        self._instances = emr_roles.of_instances(emr_roles.of_profile(record["_instance_profile"]), self._instance)
        _running[record["Id"]] = self

    # ---- what others ask of it -------------------------------------------------------------------------------------

    def add(self, step: dict[str, Any]) -> None:
        """Take a step that is pending."""
        with self.lock:
            self.steps.append(step)
            self.lock.notify_all()
        emr_events.step_changed(self.record, step)

    def cancel(self, step: dict[str, Any]) -> str:
        """Cancel a step that has not ended; why it cannot be, or an empty string."""
        with self.lock:
            state = step["Status"]["State"]
            if state == PENDING:
                self._set_step(step, CANCELLED)
            elif state == STEP_RUNNING:
                self._set_step(step, CANCEL_PENDING)
                self._runs[step["Id"]].stop()
            elif state in STEP_ENDED:
                return f"The step is in the state {state} and cannot be cancelled"
            self.lock.notify_all()
        return ""

    def end(self, reason: Mapping[str, str], state: str = TERMINATED) -> None:
        """Ask it to end; the first reason counts."""
        with self.lock:
            self._end = self._end or (reason, state)
            if self.record["Status"]["State"] in ALIVE:
                self._set(TERMINATING, reason)
            for run in self._runs.values():
                run.stop()
            self.lock.notify_all()

    def touch(self) -> None:
        """Look again: a policy or a protection has changed."""
        with self.lock:
            self.lock.notify_all()

    # ---- its life --------------------------------------------------------------------------------------------------

    def execute(self) -> None:
        """Live to the end; whatever happens, it ends in a final state and leaves nothing running."""
        try:
            self._start()
            self._serve()
        except _EndedError as ended:
            self.end(ended.reason, TERMINATED_WITH_ERRORS)
        except Exception as error:
            log.exception("cluster %s", self.record["Id"])
            message = f"the laptop platform could not run the cluster: {error}"
            self.end({"Code": "INTERNAL_ERROR", "Message": message}, TERMINATED_WITH_ERRORS)
        finally:
            self._close()

    def _start(self) -> None:
        emr_events.cluster_changed(self.record)
        self._look_at_roles()
        self._look_at_network()
        with self.lock:
            if self._end:
                return
            self._set(BOOTSTRAPPING)
        for number, action in enumerate(self.record["_bootstrap"], start=1):
            self._fetch(number, action)

    def _serve(self) -> None:
        self.record["Status"]["Timeline"]["ReadyDateTime"] = self._idle_since = time.time()
        for one in (*self.record["_fleets"], *self.record["_groups"]):
            one["Status"] |= {"State": RUNNING, "Timeline": {**one["Status"]["Timeline"], "ReadyDateTime": self._idle_since}}
        while True:
            with self.lock:
                if not self._end:
                    self._begin()
                if self._end:
                    return
                self.lock.wait(self._seconds_left())

    def _begin(self) -> None:
        """Start the steps that may start; without any, wait, or end as the cluster was told to."""
        for step in self.steps:
            if len(self._runs) >= self.record["StepConcurrencyLevel"]:
                break
            if step["Status"]["State"] == PENDING:
                self._launch(step)
        if self._runs:
            self._set(RUNNING, {"Message": "Running step"})
            return
        if not self.record["_keep_alive"]:
            self.end(SOME_FAILED if self._has_failed else ALL_COMPLETED)
            return
        ready = "Cluster ready after last step completed." if self.steps else "Cluster ready to run steps."
        self._set(WAITING, {"Message": ready})
        if self._seconds_left() == 0:
            self.end(IDLE)

    def _seconds_left(self) -> float | None:
        """Time until an idle cluster ends itself; None if it does not."""
        policy = self.record["_auto_termination"]
        if self._runs or not policy or self.record["TerminationProtected"]:
            return None
        return max(0.0, self._idle_since + policy["IdleTimeout"] - time.time())

    def _launch(self, step: dict[str, Any]) -> None:
        self._applications += 1
        application = f"application_{int(self.record['Status']['Timeline']['CreationDateTime'] * 1000)}_{self._applications:04d}"
        place = Place(cluster=self.record, instance=self._instance, instances=self._instances, application=application)
        run = StepRun(step, place, ended=self._ended)
        self._runs[step["Id"]] = run
        step["Status"]["Timeline"]["StartDateTime"] = time.time()
        self._set_step(step, STEP_RUNNING)
        modelled_service.in_background(run.execute, name=f"emr-{step['Id']}")

    def _ended(self, run: StepRun, state: str, failure: Mapping[str, str]) -> None:
        step, action = next(one for one in self.steps if one["Id"] == run.record["Id"]), run.record["ActionOnFailure"]
        with self.lock:
            self._runs.pop(step["Id"], None)
            self._idle_since = time.time()
            if failure:
                step["Status"]["FailureDetails"] = dict(failure)
            self._set_step(step, state)
            self._has_failed = self._has_failed or state == FAILED
            if state == FAILED and action != GOES_ON and self.record["StepConcurrencyLevel"] == 1:
                self._cancel_pending()
                if self.record["TerminationProtected"]:
                    self.record["_keep_alive"] = True  # a protected cluster waits for somebody to look at it
                elif action in ENDS:
                    self.end(STEP_FAILED, TERMINATED_WITH_ERRORS)
            self.lock.notify_all()

    def _close(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        with self.lock:
            while self._runs and time.monotonic() < deadline:
                self.lock.wait(1)
            self._cancel_pending()
            now = time.time()
            for one in (*self.record["_fleets"], *self.record["_groups"]):
                one["Status"] |= {"State": TERMINATED, "Timeline": {**one["Status"]["Timeline"], "EndDateTime": now}}
            self.record["Status"]["Timeline"]["EndDateTime"] = now
            reason, state = self._end or (USER_REQUEST, TERMINATED)
            _running.pop(self.record["Id"], None)
            self._set(state, reason)

    # ---- what it needs to begin ------------------------------------------------------------------------------------

    def _look_at_roles(self) -> None:
        service_role, arn = self.record["_service_role_arn"], self.record["ClusterArn"]
        try:
            guard.role_session(service_role, emr_roles.SERVICE, "EMR", source_arn=arn)
        except guard.Denied as denied:
            raise _EndedError("VALIDATION_ERROR", f"EMR service role {service_role} is invalid") from denied
        try:
            self._instances.key()
        except guard.Denied as denied:
            name = self.record["_instance_profile"]
            raise _EndedError("VALIDATION_ERROR", f"The role of the instance profile {name} is invalid: {denied}") from denied

    def _look_at_network(self) -> None:
        attributes = self.record["Ec2InstanceAttributes"]
        networks: set[str] = set()
        for subnet in attributes.get("RequestedEc2SubnetIds") or ():
            found = _ec2._subnets.get(subnet)
            if found is None:
                raise _EndedError("VALIDATION_ERROR", f"The subnet configuration was invalid: the subnet ID '{subnet}' does not exist")
            networks.add(str(found.get("VpcId")))
        if len(networks) > 1:
            raise _EndedError("VALIDATION_ERROR", "The subnet configuration was invalid: the subnets lie in different VPCs")
        groups = [
            attributes.get(name) for name in ("EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup", "ServiceAccessSecurityGroup")
        ]
        for name in ("AdditionalMasterSecurityGroups", "AdditionalSlaveSecurityGroups"):
            groups += attributes.get(name) or ()
        for group in filter(None, groups):
            found = _ec2._security_groups.get(group)
            if found is None:
                raise _EndedError("VALIDATION_ERROR", f"The security group {group} does not exist")
            if networks and str(found.get("VpcId")) not in networks:
                raise _EndedError("VALIDATION_ERROR", f"The security group {group} lies in another VPC than the subnets")

    def _fetch(self, number: int, action: Mapping[str, Any]) -> None:
        """Download a bootstrap action as an instance would; there is no machine to run it on."""
        bucket, key = caller_objects.split(action["ScriptBootstrapAction"]["Path"])
        try:
            caller_objects.get(self._instances.key(), bucket, key, via="elasticmapreduce:bootstrap")
        except (caller_objects.RefusedError, caller_objects.NoSuchObjectError) as error:
            log.warning("bootstrap action %s of cluster %s: %s", number, self.record["Id"], error)
            raise _EndedError(
                "BOOTSTRAP_FAILURE",
                f"Master instance ({self._instance}) failed attempting to download bootstrap action {number} file from S3",
            ) from error

    # ---- its state -------------------------------------------------------------------------------------------------

    def _cancel_pending(self) -> None:
        for step in self.steps:
            if step["Status"]["State"] == PENDING:
                self._set_step(step, CANCELLED)

    def _set(self, state: str, reason: Mapping[str, str] | None = None) -> None:
        status = self.record["Status"]
        status["StateChangeReason"] = dict(reason or {})
        if status["State"] == state:
            return
        status["State"] = state
        emr_events.cluster_changed(self.record)

    def _set_step(self, step: dict[str, Any], state: str) -> None:
        step["Status"]["State"] = state
        if state in STEP_ENDED:
            step["Status"]["Timeline"]["EndDateTime"] = time.time()
        emr_events.step_changed(self.record, step)
