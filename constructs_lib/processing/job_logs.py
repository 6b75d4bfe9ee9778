"""Log groups of the jobs of a pipeline."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.log_group import LogGroup


class JobLogs(Construct):
    """Log groups of the jobs of a pipeline: Glue 5 and later write `<prefix>/output` (what the job prints) and `<prefix>/error` (Spark's own log).

    Attributes:
        prefix: Beginning of both names.
        output: Log group of what jobs print.
        error: Log group of what Spark and the platform log.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        prefix: str,
        key: kms.IKey,
        retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            prefix: Beginning of both names.
            key: Customer key of the logs.
            retention_days: Days for which they are kept.
            removal_policy: What happens to them when the stack goes.
        """
        super().__init__(scope, id)
        self.prefix = prefix
        self.output = LogGroup(
            self, "Output", name=f"{prefix}/output", key=key, retention_days=retention_days, removal_policy=removal_policy
        )
        self.error = LogGroup(self, "Error", name=f"{prefix}/error", key=key, retention_days=retention_days, removal_policy=removal_policy)
