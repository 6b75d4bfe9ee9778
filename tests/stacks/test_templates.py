"""What every environment's templates hold."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

from lakehouse import metrics
from lakehouse.contracts.tables import tables_of
from lakehouse.naming import TABLE_ZONES, ZONES
from tests.stacks.conftest import Assembly, flat, listed, parameters, plain
from tests.stacks.projects import CHECKOUT, jobs_on_glue

MAX_RESOURCES = 500
ARCHIVE = {"GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING"}
ALARMS_OF_A_PIPELINE, ALARMS_OF_A_FUNCTION = 6, 2
ALARMS_OF_THE_WORKGROUP = 2
WATCHED_FUNCTIONS = 2
"""The run recorder and the notifier; starters have an alarm of their pipeline."""


def bucket(assembly: Assembly, zone: str) -> dict[str, Any]:
    return next(properties for properties in assembly.properties("AWS::S3::Bucket") if f"-{zone}-<" in flat(properties["BucketName"]))


def wanted_tables() -> list[tuple[str, str]]:
    """Database and name of every table that the contracts ask for."""
    return sorted((f"{table.zone}_{table.domain}", table.name) for contract in CHECKOUT.contracts.values() for table in tables_of(contract))


def test_each_tier_has_room_to_grow(assembly: Assembly) -> None:
    assert {
        name: len(template["Resources"]) for name, template in assembly.templates.items() if len(template["Resources"]) > MAX_RESOURCES / 2
    } == {}


def test_a_zone_is_a_bucket(assembly: Assembly) -> None:
    names = sorted(flat(properties["BucketName"]) for properties in assembly.properties("AWS::S3::Bucket"))
    assert names == sorted(f"lakehouse-{assembly.env}-{zone}-<AWS::AccountId>-<AWS::Region>" for zone in ZONES)


def test_every_bucket_is_private_versioned_and_under_the_customer_key(assembly: Assembly) -> None:
    for properties in assembly.properties("AWS::S3::Bucket"):
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["BucketKeyEnabled"] is True
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert rule["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}


def test_no_rule_archives_or_expires_what_a_table_needs(assembly: Assembly) -> None:
    for zone in TABLE_ZONES:
        for rule in bucket(assembly, zone)["LifecycleConfiguration"]["Rules"]:
            assert not {"Transitions", "ExpirationInDays", "ExpirationDate"} & set(rule), zone
            assert set(rule) - {"Id", "Status"} <= {
                "NoncurrentVersionExpiration",
                "AbortIncompleteMultipartUpload",
                "ExpiredObjectDeleteMarker",
            }


def test_raw_files_age_down_the_ladder(prod: Assembly) -> None:
    (ageing,) = [rule for rule in bucket(prod, "raw")["LifecycleConfiguration"]["Rules"] if rule["Id"] == "age-files"]
    assert [(step["StorageClass"], step["TransitionInDays"]) for step in ageing["Transitions"]] == [
        ("STANDARD_IA", 30),
        ("GLACIER_IR", 90),
        ("DEEP_ARCHIVE", 365),
    ]
    assert ageing["ExpirationInDays"] == 2555


def test_a_replaced_raw_file_outlives_its_run_and_a_replaced_file_of_a_table_goes_soon(assembly: Assembly) -> None:
    kept = {
        zone: [
            rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
            for rule in bucket(assembly, zone)["LifecycleConfiguration"]["Rules"]
            if "NoncurrentVersionExpiration" in rule
        ]
        for zone in ZONES
    }
    assert kept == {zone: [90] if zone == "raw" else [7] for zone in ZONES}


def test_every_bucket_forgets_unfinished_uploads_and_old_versions(assembly: Assembly) -> None:
    for properties in assembly.properties("AWS::S3::Bucket"):
        rules = properties["LifecycleConfiguration"]["Rules"]
        assert any(rule.get("AbortIncompleteMultipartUpload") == {"DaysAfterInitiation": 7} for rule in rules)
        assert any("NoncurrentVersionExpiration" in rule for rule in rules)


def test_only_raw_tells_eventbridge(assembly: Assembly) -> None:
    telling = [
        flat(properties["BucketName"]) for properties in assembly.properties("AWS::S3::Bucket") if "NotificationConfiguration" in properties
    ]
    assert len(telling) == 1
    assert "-raw-" in telling[0]


def test_data_survives_unless_both_locks_are_open(assemblies: dict[str, Assembly]) -> None:
    # Synthesized without the flag: even environments whose config says destroy retain.
    for assembly in assemblies.values():
        for kind in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::Glue::Database"):
            assert {resource["DeletionPolicy"] for resource in assembly.resources(kind).values()} == {"Retain"}


def test_only_production_is_protected_against_deletion(assemblies: dict[str, Assembly]) -> None:
    tables = {
        env: {bool(table.get("DeletionProtectionEnabled")) for table in a.properties("AWS::DynamoDB::Table")}
        for env, a in assemblies.items()
    }
    assert tables == {"dev": {False}, "local": {False}, "staging": {False}, "prod": {True}}


def test_every_key_rotates_every_year(assembly: Assembly) -> None:
    keys = assembly.properties("AWS::KMS::Key")
    assert len(keys) == 4
    assert {(key["EnableKeyRotation"], key["RotationPeriodInDays"]) for key in keys} == {(True, 365)}


def test_every_log_group_forgets_and_is_encrypted(assembly: Assembly) -> None:
    for properties in assembly.properties("AWS::Logs::LogGroup"):
        assert properties["RetentionInDays"] > 0
        assert "KmsKeyId" in properties
        assert f"/lakehouse/{assembly.env}/" in properties["LogGroupName"]


def test_the_key_of_logs_serves_every_log_group(assembly: Assembly) -> None:
    statements = [statement for key in assembly.properties("AWS::KMS::Key") for statement in key["KeyPolicy"]["Statement"]]
    patterns = [
        flat(pattern).split(":log-group:")[1]
        for statement in statements
        for pattern in listed(statement.get("Condition", {}).get("ArnLike", {}).get("kms:EncryptionContext:aws:logs:arn", []))
    ]
    assert len(patterns) == 2
    for properties in assembly.properties("AWS::Logs::LogGroup"):
        assert any(fnmatchcase(properties["LogGroupName"], pattern) for pattern in patterns), properties["LogGroupName"]


def test_no_state_machine_needs_an_entry_in_the_account_s_policy_of_log_groups(assembly: Assembly) -> None:
    for machine in assembly.properties("AWS::StepFunctions::StateMachine"):
        (destination,) = machine["LoggingConfiguration"]["Destinations"]
        group = flat(destination["CloudWatchLogsLogGroup"]["LogGroupArn"]).split(":log-group:")[1]
        assert group.startswith(f"/aws/vendedlogs/states/lakehouse/{assembly.env}/")


def test_every_function_writes_a_log_group_of_its_own(assembly: Assembly) -> None:
    groups = {properties["LogGroupName"] for properties in assembly.properties("AWS::Logs::LogGroup")}
    used = [properties["LoggingConfig"]["LogGroup"] for properties in assembly.properties("AWS::Lambda::Function")]
    assert len(used) == len(set(used)) > len(CHECKOUT.pipelines)
    assert set(used) <= groups


def test_jobs_differ_between_environments_in_size_only(assemblies: dict[str, Assembly]) -> None:
    sizes = {"NumberOfWorkers", "Timeout", "WorkerType"}
    times = {"--audit_ttl_days", "--seconds"}

    def shape(assembly: Assembly) -> dict[str, dict[str, Any]]:
        """Everything but the sizes of each job, with ENV for the environment and HERE for its account and region."""
        jobs = json.dumps({
            job["Name"]: plain({**job, **dict.fromkeys(sizes), "DefaultArguments": {**job["DefaultArguments"], **dict.fromkeys(times)}})
            for job in assembly.properties("AWS::Glue::Job")
        })  # fmt: skip
        for reference, path in parameters(assembly).items():
            jobs = jobs.replace(reference, path)
        jobs = re.sub(rf"\b{assembly.env}\b", "ENV", jobs)
        return json.loads(re.sub(r"000000000000|us-east-1|\${AWS::(AccountId|Region)}", "HERE", jobs))

    prod = shape(assemblies["prod"])
    assert set(prod) == jobs_on_glue("lakehouse-ENV")
    for job in prod.values():
        assert (job["GlueVersion"], job["MaxRetries"], job["JobRunQueuingEnabled"]) == ("6.0", 0, True)
        assert re.fullmatch(r"s3://cdk-hnb659fds-assets-HERE-HERE/lakehouse-ENV/[0-9a-f]{64}\.py", job["Command"]["ScriptLocation"])
        assert job["DefaultArguments"]["--env"] == "ENV"
    for assembly in assemblies.values():
        assert shape(assembly) == prod, assembly.env
    assert {job["NumberOfWorkers"] for job in assemblies["prod"].properties("AWS::Glue::Job")} == {4}
    assert {job["NumberOfWorkers"] for job in assemblies["local"].properties("AWS::Glue::Job")} == {2}


def test_a_job_never_outlives_its_task_nor_the_task_its_machine(assembly: Assembly) -> None:
    for job in assembly.properties("AWS::Glue::Job"):
        assert 1 <= job["Timeout"] <= 120
        assert job["MaxRetries"] == 0


def test_every_alarm_watches_a_metric_that_somebody_emits(assembly: Assembly) -> None:
    ours = {metric.name for metric in metrics.RUN_METRICS}
    pipelines = {
        flat(machine["StateMachineName"]).removeprefix(f"lakehouse-{assembly.env}-")
        for machine in assembly.properties("AWS::StepFunctions::StateMachine")
    }
    queues = {queue["QueueName"] for queue in assembly.properties("AWS::SQS::Queue")}
    functions = {function["FunctionName"] for function in assembly.properties("AWS::Lambda::Function")}
    for alarm in assembly.properties("AWS::CloudWatch::Alarm"):
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        match alarm["Namespace"]:
            case "Lakehouse":
                assert alarm["MetricName"] in ours
                assert set(dimensions) == set(metrics.DIMENSIONS)
                assert dimensions[metrics.ENVIRONMENT] == assembly.env
                assert dimensions[metrics.PIPELINE] in pipelines
            case "AWS/SQS":
                assert alarm["MetricName"] in {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}
                assert dimensions["QueueName"] in queues
            case "AWS/Lambda":
                assert alarm["MetricName"] == "Errors"
                assert dimensions["FunctionName"] in functions
            case "AWS/Athena":
                (workgroup,) = assembly.properties("AWS::Athena::WorkGroup")
                assert workgroup["WorkGroupConfiguration"]["PublishCloudWatchMetricsEnabled"] is True
                assert alarm["MetricName"] in {"ProcessedBytes", "TotalExecutionTime"}
                assert dimensions["WorkGroup"] == workgroup["Name"]
            case other:
                raise AssertionError(f"nobody is known to emit {other}/{alarm['MetricName']}")


def test_every_alarm_tells_a_topic_and_what_to_do_next(assembly: Assembly) -> None:
    alarms = assembly.properties("AWS::CloudWatch::Alarm")
    of_pipelines, of_functions = ALARMS_OF_A_PIPELINE * len(CHECKOUT.pipelines), ALARMS_OF_A_FUNCTION * WATCHED_FUNCTIONS
    assert len(alarms) == of_pipelines + of_functions + ALARMS_OF_THE_WORKGROUP
    for alarm in alarms:
        assert len(alarm["AlarmActions"]) == 1
        assert "Next: lake " in alarm["AlarmDescription"]
        assert alarm["TreatMissingData"] == "notBreaching"


def test_a_poison_message_goes_to_the_dead_letters_after_five_receives(assembly: Assembly) -> None:
    queues = assembly.properties("AWS::SQS::Queue")
    redriven = [queue["RedrivePolicy"]["maxReceiveCount"] for queue in queues if "RedrivePolicy" in queue]
    assert redriven == [5] * len(CHECKOUT.pipelines)
    assert {queue["MessageRetentionPeriod"] for queue in queues if "RedrivePolicy" not in queue} == {14 * 86_400}


def test_an_arrival_batch_is_not_handed_out_twice_while_it_is_at_work(assembly: Assembly) -> None:
    (window,) = {source["MaximumBatchingWindowInSeconds"] for source in assembly.properties("AWS::Lambda::EventSourceMapping")}
    timeouts = {
        f["FunctionName"]: f["Timeout"] for f in assembly.properties("AWS::Lambda::Function") if "arrival-starter" in f["FunctionName"]
    }
    for queue in assembly.properties("AWS::SQS::Queue"):
        if "RedrivePolicy" in queue:
            assert queue["VisibilityTimeout"] >= 6 * max(timeouts.values()) + window


def test_arrivals_are_taken_in_batches_that_fail_one_by_one(assembly: Assembly) -> None:
    for source in assembly.properties("AWS::Lambda::EventSourceMapping"):
        assert source["BatchSize"] == 1000
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_a_rule_names_the_folder_or_the_machines_that_start_its_pipeline(prod: Assembly) -> None:
    patterns = {rule["Name"]: rule["EventPattern"]["detail"] for rule in prod.properties("AWS::Events::Rule", "pipelines")}
    assert patterns["lakehouse-prod-arrival-orders"]["object"] == {"key": [{"prefix": "tpch/orders/"}]}
    machines = [flat(arn).rpartition(":")[2] for arn in patterns["lakehouse-prod-after-daily_revenue"]["stateMachineArn"]]
    assert machines == ["lakehouse-prod-orders", "lakehouse-prod-customer", "lakehouse-prod-lineitem"]


def test_tables_carry_their_definition_and_stay_when_the_stack_goes(prod: Assembly) -> None:
    tables = prod.properties("Custom::IcebergTable")
    assert {table["OnDelete"] for table in tables} == {"keep"}
    assert sorted((flat(table["Database"]), table["Table"]) for table in tables) == wanted_tables()


def test_every_table_is_kept_in_order(prod: Assembly) -> None:
    optimizers = [(o["DatabaseName"], o["TableName"], o["Type"]) for o in prod.properties("AWS::Glue::TableOptimizer")]
    kinds = ("compaction", "orphan_file_deletion", "retention")
    assert sorted(optimizers) == [(database, table, kind) for database, table in wanted_tables() for kind in kinds]


def test_what_runs_a_pipeline_is_named_after_it(prod: Assembly) -> None:
    assert {job["Name"] for job in prod.properties("AWS::Glue::Job")} == jobs_on_glue("lakehouse-prod")


def test_the_workgroup_caps_scans_and_settles_where_results_go(prod: Assembly) -> None:
    (workgroup,) = prod.properties("AWS::Athena::WorkGroup")
    configuration = workgroup["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["BytesScannedCutoffPerQuery"] == 100_000_000_000
    assert flat(configuration["ResultConfiguration"]["OutputLocation"]).startswith("s3://lakehouse-prod-query-results-")


def test_no_template_names_an_account_or_a_partition(prod: Assembly) -> None:
    for name, template in prod.templates.items():
        text = flat(template)
        assert not re.search(r"arn:aws:(?!states)", text), name
        assert "000000000000" not in text, name


def test_nothing_grants_on_a_deny_by_mistake(assembly: Assembly) -> None:
    for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"):
        for resource in assembly.resources(kind).values():
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    assert all("*" not in action for action in listed(statement["Action"]))
