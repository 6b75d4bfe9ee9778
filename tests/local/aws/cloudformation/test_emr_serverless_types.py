"""An EMR Serverless application from a template: its limits arrive, it changes while it is stopped, and the caller's rights count."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

STACKS = allow("cloudformation:*")
MAKE = allow(["emr-serverless:CreateApplication", "emr-serverless:GetApplication", "emr-serverless:TagResource"])
OUTPUTS = {"Outputs": {"Id": {"Value": {"Ref": "App"}}, "Arn": {"Value": {"Fn::GetAtt": ["App", "Arn"]}}}}


def application(**more: Any) -> dict[str, Any]:
    worker = {"Cpu": "2 vCPU", "Memory": "8 GB"}
    properties = {
        "Name": "spark", "ReleaseLabel": "emr-spark-8.0.0", "Type": "SPARK", "MaximumCapacity": {"Cpu": "16 vCPU", "Memory": "64 GB"},
        "InitialCapacity": [{"Key": "Driver", "Value": {"WorkerCount": 1, "WorkerConfiguration": worker}}],
        "AutoStopConfiguration": {"Enabled": True, "IdleTimeoutMinutes": 5}, "Tags": [{"Key": "team", "Value": "data"}],
        "MonitoringConfiguration": {
            "CloudWatchLoggingConfiguration": {"Enabled": True, "LogTypeMap": [{"Key": "SPARK_DRIVER", "Value": ["STDOUT"]}]}
        },
    }  # fmt: skip
    return {"App": {"Type": "AWS::EMRServerless::Application", "Properties": {**properties, **more}}}


def test_an_application_is_made_changed_and_removed_by_its_api(local_aws: LocalAws) -> None:
    emr, name = local_aws.client("emr-serverless"), local_aws.name("stack")
    stack = local_aws.stack(application(), name=name, template=OUTPUTS)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    found = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    made = emr.get_application(applicationId=found["Id"])["application"]
    assert made["arn"] == found["Arn"]
    assert made["maximumCapacity"] == {"cpu": "16 vCPU", "memory": "64 GB"}
    assert made["initialCapacity"]["Driver"]["workerCount"] == 1
    assert made["autoStopConfiguration"] == {"enabled": True, "idleTimeoutMinutes": 5}
    assert made["monitoringConfiguration"]["cloudWatchLoggingConfiguration"]["logTypes"] == {"SPARK_DRIVER": ["STDOUT"]}
    assert made["tags"]["team"] == "data"
    emr.start_application(applicationId=found["Id"])
    wider = application(MaximumCapacity={"Cpu": "32 vCPU", "Memory": "128 GB"})
    refused = local_aws.stack(wider, name=name, update=True, template=OUTPUTS)
    assert refused["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert any("[CREATED, STOPPED]. Current status: STARTED" in text for text in refused["Failures"])
    emr.stop_application(applicationId=found["Id"])
    changed = local_aws.stack(wider, name=name, update=True, template=OUTPUTS)
    assert changed["StackStatus"] == "UPDATE_COMPLETE", changed["Failures"]
    assert emr.get_application(applicationId=found["Id"])["application"]["maximumCapacity"]["cpu"] == "32 vCPU"
    local_aws.client("cloudformation").delete_stack(StackName=name)
    local_aws.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    assert emr.get_application(applicationId=found["Id"])["application"]["state"] == "TERMINATED"


def test_an_application_that_cannot_be_fails_its_stack_with_the_reason(local_aws: LocalAws) -> None:
    old = local_aws.stack(application(ReleaseLabel="emr-6.15.0"))
    assert old["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("emr-6.15.0 is not served by the laptop platform; it serves emr-spark-8.0.0" in text for text in old["Failures"])
    small = local_aws.stack(application(MaximumCapacity={"Cpu": "1 vCPU", "Memory": "2 GB"}))
    assert any("initial capacity is larger" in text for text in small["Failures"])


def test_the_callers_rights_count(local_aws: LocalAws) -> None:
    assert local_aws.stack(application(), caller=local_aws.caller(STACKS, MAKE))["StackStatus"] == "CREATE_COMPLETE"
    denied = local_aws.stack(application(), caller=local_aws.caller(STACKS))
    assert "is not authorized to perform: emr-serverless:CreateApplication" in denied["Failures"][-1]
