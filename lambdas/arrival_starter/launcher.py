"""Starts runs: decision first, then the execution, so that a crash in between is made good by whoever comes next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lakehouse.audit import AuditTrail
from lakehouse.claims import Claim, Claims, Launch
from lakehouse.errors import TransientError
from lakehouse.manifests import execution_name


class Launcher:
    """Starts executions of one state machine, each decided launch once."""

    def __init__(self, *, claims: Claims, audit: AuditTrail, states: Any, machine_arn: str) -> None:
        """
        Args:
            claims: Keeps decisions.
            audit: Knows which runs have begun.
            states: boto3 Step Functions client.
            machine_arn: State machine of the pipeline.
        """
        self._claims = claims
        self._audit = audit
        self._states = states
        self._machine_arn = machine_arn

    def launch(self, launch: Launch, claims: Sequence[Claim]) -> None:
        """Decide that a run starts, start it, and note it in its claims; a step that was done before is not done again.

        Raises:
            TransientError: The name is taken by an execution that the audit does not know (yet).
        """
        self._claims.decide(launch)
        self._start(launch)
        for claim in claims:
            self._claims.mark_started(claim, batch_id=launch.batch_id)

    def _start(self, launch: Launch) -> None:
        name = execution_name(batch_id=launch.batch_id, attempt=launch.attempt)
        try:
            self._states.start_execution(stateMachineArn=self._machine_arn, name=name, input=execution_input(launch))
        except self._states.exceptions.ExecutionAlreadyExists as error:
            if self._audit.get_run(launch.run_id, pipeline=launch.pipeline) is None:
                raise TransientError(
                    f"an execution {name} of {launch.pipeline} exists, but the audit does not know run {launch.run_id} yet: trying again later"
                ) from error


def execution_input(launch: Launch) -> str:
    """Input of an execution; equal launches give equal text, without which Step Functions would refuse the second start."""
    document = {
        "pipeline": launch.pipeline,
        "run_id": launch.run_id,
        "attempt": launch.attempt,
        "trigger": launch.trigger,
        "manifest": launch.manifest,
        "batch_id": launch.batch_id,
        "files": launch.files,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
