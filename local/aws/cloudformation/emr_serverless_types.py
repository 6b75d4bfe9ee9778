"""AWS::EMRServerless::Application: made, changed while it is stopped, and removed by EMR Serverless's own API."""

from __future__ import annotations

from typing import Any

from local.aws.cloudformation import modelled
from local.aws.cloudformation.modelled import ModelledType, Properties

LOG_TYPES = "MonitoringConfiguration.CloudWatchLoggingConfiguration.LogTypeMap"


def register() -> None:
    """Make the type known to CloudFormation."""
    modelled.add(
        ModelledType(
            resource_type="AWS::EMRServerless::Application",
            service="emr-serverless",
            create="CreateApplication",
            read="GetApplication",
            update="UpdateApplication",
            delete="DeleteApplication",
            record=lambda answer: answer["application"],
            request=_with_log_types,
            carried=frozenset({LOG_TYPES}),
            tagger=modelled.tag_resource(_arn),
        )
    )


def _with_log_types(_: str, request: Properties) -> Properties:
    """The API calls the map of log types otherwise."""
    monitoring = request.get("MonitoringConfiguration") or {}
    logging = monitoring.get("CloudWatchLoggingConfiguration") or {}
    if "LogTypeMap" not in logging:
        return request
    renamed = {("LogTypes" if name == "LogTypeMap" else name): value for name, value in logging.items()}
    return {**request, "MonitoringConfiguration": {**monitoring, "CloudWatchLoggingConfiguration": renamed}}


def _arn(client: Any, application_id: str) -> str:
    return str(client.get_application(applicationId=application_id)["application"]["arn"])
