"""The most that a workgroup of Redshift Serverless may use in a month; asked twice, the second time changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.custom_resource import Answer
from lambdas.warehouse_schema.requests import LimitRequest

USAGE, PERIOD = "serverless-compute", "monthly"
BREACH = "deactivate"
"""What happens at the limit: the workgroup takes no more queries until the month ends."""


class UsageLimits:
    """Usage limits of Redshift Serverless."""

    def __init__(self, client: Any) -> None:
        """
        Args:
            client: boto3 client of `redshift-serverless`.
        """
        self._client = client

    def answer(self, request: LimitRequest) -> Answer:
        """Do what is asked; a limit that somebody made by hand is taken over, for a workgroup has one for a month."""
        found = self._found(request.workgroup_arn)
        if request.action == "Delete":
            if found is not None and found["usageLimitId"] == request.physical_id:
                self._client.delete_usage_limit(usageLimitId=request.physical_id)
            return Answer(physical_id=request.physical_id or "none")
        wanted = {"amount": request.rpu_hours, "breachAction": BREACH}
        if found is None:
            made = self._client.create_usage_limit(resourceArn=request.workgroup_arn, usageType=USAGE, period=PERIOD, **wanted)
            return Answer(physical_id=made["usageLimit"]["usageLimitId"])
        if {name: found[name] for name in wanted} != wanted:
            self._client.update_usage_limit(usageLimitId=found["usageLimitId"], **wanted)
        return Answer(physical_id=found["usageLimitId"])

    def _found(self, workgroup_arn: str) -> Mapping[str, Any] | None:
        pages = self._client.get_paginator("list_usage_limits").paginate(resourceArn=workgroup_arn, usageType=USAGE)
        return next((limit for page in pages for limit in page.get("usageLimits", ()) if limit["period"] == PERIOD), None)
