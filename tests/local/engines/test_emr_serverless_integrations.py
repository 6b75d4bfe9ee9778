"""Step Functions waits for EMR Serverless with the state machine's role, and cancels what nobody waits for any more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import allow, wait_for
from tests.local.engines.emr import SMALL, Emr
from tests.local.engines.lake import Lake
from tests.local.engines.test_glue_runs import SLEEP
from tests.local.engines.test_integrations import end

pytestmark = [pytest.mark.platform, pytest.mark.timeout(400)]

RULE = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForEMRServerlessJobRule"
RULES = allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], RULE)
RIGHTS = ("emr-serverless:StartJobRun", "emr-serverless:GetJobRun", "emr-serverless:CancelJobRun", "iam:PassRole")


def parameters(emr: Emr, script: str, application: str, **more: Any) -> dict[str, Any]:
    name = emr.lake.aws.name("job")
    emr.lake.aws.client("s3").put_object(Bucket=emr.lake.bucket, Key=f"code/{name}.py", Body=script.encode())
    driver = {
        "EntryPoint": f"s3://{emr.lake.bucket}/code/{name}.py", "EntryPointArguments": ["--day", "2026-01-01"],
        "SparkSubmitParameters": SMALL,
    }  # fmt: skip
    return {
        "ApplicationId": application,
        "ExecutionRoleArn": emr.role(),
        "JobDriver": {"SparkSubmit": driver},
        "Name": "from a machine",
        **more,
    }


def start(lake: Lake, task: dict[str, Any], *rights: str, resource: str = "emr-serverless:startJobRun.sync", **state: Any) -> str:
    states = lake.aws.client("stepfunctions")
    role = lake.aws.role(RULES, *([allow(list(rights))] if rights else []), service="states.amazonaws.com")
    definition = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": task, "End": True, **state}
    machine = states.create_state_machine(
        name=lake.aws.name("m"), roleArn=role, definition=json.dumps({"StartAt": "T", "States": {"T": definition}})
    )
    return str(states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"])


def runs(emr: Emr, application: str) -> list[dict[str, Any]]:
    return list(emr.client.list_job_runs(applicationId=application)["jobRuns"])


def test_a_task_ends_with_its_job_run(emr: Emr) -> None:
    application = emr.application()
    found = end(
        emr.lake, start(emr.lake, parameters(emr, "import sys\nassert sys.argv[1:] == ['--day', '2026-01-01']\n", application), *RIGHTS)
    )
    assert found["status"] == "SUCCEEDED", found
    output = json.loads(found["output"])
    (run,) = runs(emr, application)
    assert (output["State"], output["JobRunId"], output["ApplicationId"], output["Name"]) == (
        "SUCCESS",
        run["id"],
        application,
        "from a machine",
    )
    assert output["CreatedAt"] > 1_700_000_000_000


def test_a_failed_run_fails_its_task_with_the_run_as_cause(emr: Emr) -> None:
    found = end(emr.lake, start(emr.lake, parameters(emr, "raise ValueError('no such day')", emr.application()), *RIGHTS))
    assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(found["cause"])
    assert (cause["State"], cause["StateDetails"].endswith("ValueError: no such day")) == ("FAILED", True)


@pytest.mark.parametrize("missing", RIGHTS)
def test_a_task_needs_its_rights(emr: Emr, missing: str) -> None:
    application = emr.application()
    task = parameters(emr, "print('done')" if missing != "emr-serverless:CancelJobRun" else SLEEP, application)
    execution = start(emr.lake, task, *(right for right in RIGHTS if right != missing))
    if missing == "emr-serverless:CancelJobRun":  # who may not cancel leaves the run to itself, as Step Functions does
        wait_for(lambda: runs(emr, application), seconds=30)
        emr.lake.aws.client("stepfunctions").stop_execution(executionArn=execution)
        (run,) = runs(emr, application)
        assert run["state"] in {"SUBMITTED", "SCHEDULED", "RUNNING"}
        emr.client.cancel_job_run(applicationId=application, jobRunId=run["id"])
        return
    found = end(emr.lake, execution)
    assert (found["status"], found["error"]) == ("FAILED", "EMRServerless.AWSEMRServerlessException")
    assert missing in found["cause"]
    assert "Error Code: AccessDeniedException" in found["cause"]


def test_a_machine_needs_the_right_to_the_rule_that_tells_of_the_end(emr: Emr) -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::emr-serverless:startJobRun.sync", "Parameters": {}, "End": True}
    definition, states = json.dumps({"StartAt": "T", "States": {"T": task}}), emr.lake.aws.client("stepfunctions")
    role = emr.lake.aws.role(allow(list(RIGHTS)), service="states.amazonaws.com")
    with pytest.raises(ClientError, match=f"'{role}' is not authorized to create managed-rule"):
        states.create_state_machine(name=emr.lake.aws.name("m"), roleArn=role, definition=definition)
    plain = definition.replace(".sync", "")
    states.create_state_machine(name=emr.lake.aws.name("m"), roleArn=role, definition=plain)


def test_the_services_own_refusals_have_its_names(emr: Emr) -> None:
    task = parameters(emr, "", "00nothing")
    assert end(emr.lake, start(emr.lake, task, *RIGHTS))["error"] == "EMRServerless.ResourceNotFoundException"
    wrong = parameters(emr, "", emr.application())
    wrong["JobDriver"]["SparkSubmit"]["SparkSubmitParameters"] = "--conf spark.master=local"
    found = end(emr.lake, start(emr.lake, wrong, *RIGHTS))
    assert (found["error"], "Option 'spark.master' is not supported" in found["cause"]) == ("EMRServerless.ValidationException", True)


def test_a_plain_task_does_not_wait_and_an_application_is_started_and_stopped(emr: Emr) -> None:
    application = emr.application()
    output = json.loads(
        end(emr.lake, start(emr.lake, parameters(emr, SLEEP, application), *RIGHTS, resource="emr-serverless:startJobRun"))["output"]
    )
    assert set(output) == {"ApplicationId", "Arn", "JobRunId"}
    emr.client.cancel_job_run(applicationId=application, jobRunId=output["JobRunId"])
    emr.end(application, output["JobRunId"])
    stopped = end(
        emr.lake,
        start(emr.lake, {"ApplicationId": application}, "emr-serverless:StopApplication", resource="emr-serverless:stopApplication"),
    )
    assert json.loads(stopped["output"]) == {"ApplicationId": application}
    assert emr.client.get_application(applicationId=application)["application"]["state"] == "STOPPED"


def test_a_task_that_times_out_or_is_stopped_cancels_its_run(emr: Emr) -> None:
    application = emr.application()
    late = start(emr.lake, parameters(emr, SLEEP, application), *RIGHTS, TimeoutSeconds=12)
    assert end(emr.lake, late)["error"] == "States.Timeout"
    (run,) = runs(emr, application)
    assert emr.end(application, run["id"], seconds=30)["state"] == "CANCELLED"
    execution = start(emr.lake, parameters(emr, SLEEP, application), *RIGHTS)
    run = wait_for(lambda: next((r for r in runs(emr, application) if r["state"] == "RUNNING"), None), seconds=60)
    emr.lake.aws.client("stepfunctions").stop_execution(executionArn=execution)
    found = emr.end(application, run["id"], seconds=30)
    assert (found["state"], "Step Functions" in found["stateDetails"]) == ("CANCELLED", True)
