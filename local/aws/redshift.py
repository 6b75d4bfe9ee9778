"""The API of provisioned Redshift: clusters, the groups that they are in, scheduled actions and usage limits."""

from __future__ import annotations

from local.aws import redshift_cluster, redshift_groups, redshift_limits, schedules
from local.aws.modelled_service import ModelledService, serve


def register() -> None:
    """Serve the API, and run scheduled actions."""
    serve(
        ModelledService(
            name="redshift",
            state={
                "clusters": redshift_cluster.CLUSTERS, "subnet_groups": redshift_groups.subnet_groups,
                "parameter_groups": redshift_groups.parameter_groups, "scheduled_actions": redshift_limits.ACTIONS,
                "usage_limits": redshift_limits.LIMITS,
            },
            restored=redshift_cluster.restored,
            invalid="InvalidParameterValue",
            operations={**redshift_groups.OPERATIONS, **redshift_cluster.OPERATIONS, **redshift_limits.OPERATIONS},
        )
    )  # fmt: skip
    schedules.fire_also(redshift_limits.tick)
