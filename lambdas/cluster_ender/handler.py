"""Ends the EMR clusters of a run, by their name: those of which its machine knows, and those of which it never learnt.

Asked by Step Functions (`{"machine", "run_id", "started_at"}`) at the end of every run that has a cluster, and by a rule on 'Step Functions Execution Status Change'
(FAILED, TIMED_OUT, ABORTED of the platform's machines), as a machine that is stopped ends nothing any more. It asks EMR to terminate and does not wait.

Environment: none.

Actions (besides writing its log):

- elasticmapreduce:ListClusters on `*`
- elasticmapreduce:DescribeCluster, SetTerminationProtection, TerminateJobFlows on clusters whose tag `machine` is one of the environment's
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lakehouse.aws import client
from lakehouse.emr import Clusters
from lambdas.cluster_ender.ender import ClusterEnder, EndRequest

logger = Logger(service="lambdas.cluster_ender")


@cache
def ender() -> ClusterEnder:
    """The one ender of this execution environment."""
    return ClusterEnder(clusters=Clusters(client=client("emr")))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:  # noqa: ARG001 - Lambda passes it, the logger reads it
    """Lambda entry point."""
    ended = ender().end(EndRequest.from_event(event))
    logger.info("clusters ended", extra={"clusters": list(ended)})
    return {"ended": list(ended)}
