"""Step Functions' `aws-sdk:redshiftdata` integrations: real calls of the Data API with the state machine's role."""

from __future__ import annotations

from local.aws import seam

_states = seam.module("services.stepfunctions")


def register() -> None:
    """Let the integration know the service; the call is asked and made like every other one."""
    _states._AWS_SDK_SERVICE_MAP["redshiftdata"] = {"target_prefix": "RedshiftData", "protocol": "json", "service_key": "redshift-data"}
    _states._AWS_SDK_ERROR_PREFIX["redshiftdata"] = "RedshiftData"
