"""Crawlers: what Glue takes alone, a role that reads its targets and fills its database, and never a table of a contract."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from constructs_lib.catalog import (
    CrawledDatabase,
    CsvClassifier,
    EventQueue,
    GlueCrawler,
    GrokClassifier,
    JdbcTarget,
    JsonClassifier,
    S3Target,
    XmlClassifier,
)
from constructs_lib.checks import InvalidProps
from constructs_lib.ingestion import ConnectionReference
from constructs_lib.permissions import account_principal
from constructs_lib.processing import SecurityConfiguration
from constructs_lib.storage import LakeBuckets
from lakehouse.naming import TABLE_ZONES, Names
from tests.constructs_lib.conftest import Synth, of_type

SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:shop-AbCdEf"
SECRET_KEY = "arn:aws:kms:us-east-1:111122223333:key/22222222-2222-3333-4444-555555555555"
QUEUE = "arn:aws:sqs:us-east-1:111122223333:clicks"


def connection(engine: str = "postgres") -> ConnectionReference:
    return ConnectionReference(
        name="shop", glue_name="lakehouse-test-shop", address=f"{engine}://reader:5432/shop", secret_arn=SECRET, secret_key_arn=SECRET_KEY
    )


def crawler(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, **more: Any) -> GlueCrawler:
    database = CrawledDatabase(stack, "Database", names=names, name="partners")
    security = SecurityConfiguration(stack, "Security", name_prefix="lakehouse-test", key=key)
    given: dict[str, Any] = {"name": "clicks", "targets": [S3Target(lake=lake, zone="raw", prefix="partners/clicks/")], **more}
    return GlueCrawler(stack, "Crawler", names=names, database=database, security_configuration=security, **given)


def events(stack: Stack, key: kms.IKey | None = None) -> EventQueue:
    queue = sqs.Queue.from_queue_arn(stack, "Events", QUEUE)
    return EventQueue(queue=queue, dead_letters=sqs.Queue.from_queue_arn(stack, "DeadEvents", f"{QUEUE}-dlq"), key=key)


def crawlers(synth: Synth) -> dict[str, dict[str, Any]]:
    return {made["Name"]: made for made in of_type(synth(), "AWS::Glue::Crawler")}


def statements(resources: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [statement for policy in of_type(resources, "AWS::IAM::Policy") for statement in policy["PolicyDocument"]["Statement"]]


def granted(resources: dict[str, dict[str, Any]]) -> set[str]:
    found = (statement["Action"] for statement in statements(resources))
    return {action for actions in found for action in ([actions] if isinstance(actions, str) else actions)}


def test_a_crawler_adds_to_its_own_database_and_leaves_unfinished_files_out(
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth
) -> None:
    crawler(stack, names, lake, key, table_prefix="silver_", schedule="cron(0 6 * * ? *)")
    (made,) = crawlers(synth).values()
    assert (made["Name"], made["DatabaseName"], made["TablePrefix"]) == ("lakehouse-test-clicks", "crawled_partners", "silver_")
    (target,) = made["Targets"]["S3Targets"]
    assert "lakehouse-test-raw-" in json.dumps(target["Path"])
    assert json.dumps(target["Path"]).endswith('/partners/clicks/"]]}')
    assert {"**/_temporary/**", "_temporary/**", "**/_spark_metadata/**", "_spark_metadata/**"} == set(target["Exclusions"])
    assert made["Schedule"] == {"ScheduleExpression": "cron(0 6 * * ? *)"}
    assert made["RecrawlPolicy"] == {"RecrawlBehavior": "CRAWL_EVERYTHING"}
    assert made["SchemaChangePolicy"] == {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"}
    assert json.loads(made["Configuration"])["CrawlerOutput"] == {
        "Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}, "Tables": {"AddOrUpdateBehavior": "MergeNewColumns"},
    }  # fmt: skip
    assert made["CrawlerSecurityConfiguration"]


def test_new_folders_are_crawled_daily_and_everything_weekly_under_one_role(
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth
) -> None:
    made = crawler(
        stack, names, lake, key, schedule="cron(0 1 * * ? *)", full_schedule="cron(0 3 ? * SUN *)", recrawl_behavior="CRAWL_NEW_FOLDERS_ONLY"
    )  # fmt: skip
    resources = synth()
    daily, weekly = (crawlers(synth)[name] for name in ("lakehouse-test-clicks", "lakehouse-test-clicks-full"))
    assert made.full_crawler_name == weekly["Name"]
    assert daily["SchemaChangePolicy"] == {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    assert "Tables" not in json.loads(daily["Configuration"])["CrawlerOutput"]
    assert (daily["RecrawlPolicy"]["RecrawlBehavior"], weekly["RecrawlPolicy"]["RecrawlBehavior"]) == (
        "CRAWL_NEW_FOLDERS_ONLY", "CRAWL_EVERYTHING",
    )  # fmt: skip
    assert weekly["SchemaChangePolicy"] == {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"}
    assert weekly["Schedule"] == {"ScheduleExpression": "cron(0 3 ? * SUN *)"}
    for same in ("Role", "Targets", "DatabaseName", "CrawlerSecurityConfiguration"):
        assert daily[same] == weekly[same]
    assert len(of_type(resources, "AWS::IAM::Role")) == 1


@pytest.mark.parametrize("update", ["UPDATE_IN_DATABASE", "LOG"])
@pytest.mark.parametrize("delete", ["DEPRECATE_IN_DATABASE", "LOG"])
def test_new_folders_only_go_with_log_and_log_alone(  # noqa: PLR0917 - fixtures
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, update: str, delete: str
) -> None:  # fmt: skip
    policy = {"recrawl_behavior": "CRAWL_NEW_FOLDERS_ONLY", "update_behavior": update, "delete_behavior": delete}
    if (update, delete) == ("LOG", "LOG"):
        crawler(stack, names, lake, key, **policy)
    else:
        with pytest.raises(
            InvalidProps, match=f"goes with update_behavior LOG and delete_behavior LOG alone, got {update} and {delete}: leave both out"
        ):
            crawler(stack, names, lake, key, **policy)


def test_a_crawl_of_events_takes_messages_of_its_queue(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth) -> None:
    target = S3Target(lake=lake, zone="raw", prefix="partners/clicks", events=events(stack, key))
    crawler(stack, names, lake, key, targets=[target], recrawl_behavior="CRAWL_EVENT_MODE", full_schedule="cron(0 3 ? * SUN *)")
    by_events, full = crawlers(synth).values()
    assert by_events["RecrawlPolicy"] == {"RecrawlBehavior": "CRAWL_EVENT_MODE"}
    (queued,) = by_events["Targets"]["S3Targets"]
    assert (queued["EventQueueArn"], queued["DlqEventQueueArn"]) == (QUEUE, f"{QUEUE}-dlq")
    assert "EventQueueArn" not in full["Targets"]["S3Targets"][0]
    consumed = [statement for statement in statements(synth()) if "sqs:ReceiveMessage" in statement["Action"]]
    assert [statement["Resource"] for statement in consumed] == [[QUEUE, f"{QUEUE}-dlq"]]


def test_a_database_is_crawled_by_night_through_the_library_s_connection(
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth
) -> None:
    crawler(
        stack, names, lake, key, name="shop", schedule="cron(0 1 * * ? *)",
        targets=[JdbcTarget(connection=connection(), path="shop/public/%", exclusions=("shop/public/tmp_*",))],
    )  # fmt: skip
    resources = synth()
    (made,) = crawlers(synth).values()
    assert made["Targets"] == {
        "JdbcTargets": [{"ConnectionName": "lakehouse-test-shop", "Path": "shop/public/%", "Exclusions": ["shop/public/tmp_*"]}]
    }
    assert made["Schedule"] == {"ScheduleExpression": "cron(0 1 * * ? *)"}
    assert {"glue:GetConnection", "secretsmanager:GetSecretValue", "ec2:CreateNetworkInterface"} <= granted(resources)
    assert SECRET in [statement["Resource"] for statement in statements(resources)]
    assert not [action for action in granted(resources) if action.startswith("s3:")]


def test_a_role_reads_its_folder_fills_its_database_and_deletes_nothing(
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth
) -> None:
    crawler(stack, names, lake, key)
    resources = synth()
    assert not [
        action
        for action in granted(resources)
        if "Delete" in action or "*" in action or ("Put" in action and action != "logs:PutLogEvents")
    ]
    catalog = next(statement for statement in statements(resources) if "glue:CreateTable" in statement["Action"])
    places = [json.dumps(resource).rpartition(":")[2].rstrip('"]}') for resource in catalog["Resource"]]
    assert places == ["catalog", "database/crawled_partners", "table/crawled_partners/*"]
    reads = [json.dumps(statement["Resource"]) for statement in statements(resources) if statement["Action"] == "s3:GetObject"]
    assert len(reads) == 1
    assert "/partners/clicks/*" in reads[0]
    lists = next(statement for statement in statements(resources) if statement["Action"] == "s3:ListBucket")
    assert lists["Condition"] == {"StringLike": {"s3:prefix": ["partners/clicks*"]}}
    (role,) = of_type(resources, "AWS::IAM::Role")
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    }
    assert "ManagedPolicyArns" not in role


def test_a_crawl_waits_for_the_rights_of_its_role(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth) -> None:
    crawler(stack, names, lake, key)
    resources = synth()
    (policy,) = [name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Policy"]
    (made,) = [resource for resource in resources.values() if resource["Type"] == "AWS::Glue::Crawler"]
    assert policy in made["DependsOn"]


def test_whoever_runs_a_crawler_starts_and_stops_it_and_changes_nothing(
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth
) -> None:
    role = iam.Role(stack, "Runner", assumed_by=account_principal())
    crawler(stack, names, lake, key, recrawl_behavior="CRAWL_NEW_FOLDERS_ONLY", full_schedule="cron(0 3 ? * SUN *)").grants.run(role)
    (policy,) = [policy for policy in of_type(synth(), "AWS::IAM::Policy") if policy["PolicyName"].startswith("Runner")]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["glue:GetCrawler", "glue:StartCrawler", "glue:StopCrawler"]
    assert [json.dumps(resource).rpartition(":crawler/")[2].rstrip('"]}') for resource in statement["Resource"]] == [
        "lakehouse-test-clicks", "lakehouse-test-clicks-full",
    ]  # fmt: skip


def test_whoever_queries_reads_files_and_partitions(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth) -> None:
    role = iam.Role(stack, "Analyst", assumed_by=account_principal())
    crawler(stack, names, lake, key).grants.query(role)
    policies = {policy["PolicyName"]: policy for policy in of_type(synth(), "AWS::IAM::Policy")}
    (text,) = [json.dumps(policy) for name, policy in policies.items() if name.startswith("Analyst")]
    for action in ("glue:GetPartitions", "glue:GetTable", "s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation", "kms:Decrypt"):
        assert f'"{action}"' in text
    assert "CreateTable" not in text


CLASSIFIERS = [
    (
        CsvClassifier(name="pipes", delimiter="|"),
        {
            "CsvClassifier": {
                "Name": "lakehouse-test-clicks-pipes",
                "Delimiter": "|",
                "QuoteSymbol": '"',
                "ContainsHeader": "PRESENT",
                "AllowSingleColumn": False,
            }
        },
    ),
    (
        JsonClassifier(name="records", json_path="$.records[*]"),
        {"JsonClassifier": {"Name": "lakehouse-test-clicks-records", "JsonPath": "$.records[*]"}},
    ),
    (
        XmlClassifier(name="rows", row_tag="row", classification="rows"),
        {"XMLClassifier": {"Name": "lakehouse-test-clicks-rows", "RowTag": "row", "Classification": "rows"}},
    ),
    (
        GrokClassifier(name="log", pattern="%{WORD:level} %{GREEDYDATA:message}", classification="log"),
        {
            "GrokClassifier": {
                "Name": "lakehouse-test-clicks-log",
                "GrokPattern": "%{WORD:level} %{GREEDYDATA:message}",
                "Classification": "log",
            }
        },
    ),
]


@pytest.mark.parametrize(("classifier", "properties"), CLASSIFIERS)
def test_a_classifier_is_the_crawler_s_own(  # noqa: PLR0917 - fixtures
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth, classifier: Any, properties: dict[str, Any]
) -> None:  # fmt: skip
    crawler(stack, names, lake, key, classifiers=[classifier])
    resources = synth()
    ((logical_id, made),) = [(name, resource) for name, resource in resources.items() if resource["Type"] == "AWS::Glue::Classifier"]
    assert made["Properties"] == properties
    assert crawlers(synth)["lakehouse-test-clicks"]["Classifiers"] == [{"Ref": logical_id}]


@pytest.mark.parametrize("zone", TABLE_ZONES)
def test_files_of_tables_that_contracts_own_are_never_crawled(lake: LakeBuckets, zone: str) -> None:
    with pytest.raises(InvalidProps, match=f"zone {zone} holds Iceberg tables, which contracts own"):
        S3Target(lake=lake, zone=zone, prefix="sales/orders")


def test_no_database_of_contracts_is_called_as_one_of_crawlers(names: Names) -> None:
    assert all(not names.crawled_database("sales").startswith(names.database(zone, "sales")) for zone in (*TABLE_ZONES, "raw"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"targets": []}, "targets is empty"),
        ({"name": "Clicks"}, "lower-case letters, digits and hyphens"),
        ({"table_prefix": "silver-"}, "table_prefix"),
        ({"recrawl_behavior": "CRAWL_NEW"}, "recrawl_behavior must be one of CRAWL_EVENT_MODE, CRAWL_EVERYTHING, CRAWL_NEW_FOLDERS_ONLY"),
        ({"update_behavior": "OVERWRITE"}, "update_behavior must be one of LOG, UPDATE_IN_DATABASE"),
        ({"delete_behavior": "DELETE_FROM_DATABASE"}, "delete_behavior must be one of DEPRECATE_IN_DATABASE, LOG"),
        ({"schedule": "rate(1 day)"}, "schedule is a cron expression in UTC"),
        ({"schedule": "cron(0 25 * * ? *)"}, "schedule: '25' is no hours"),
        ({"full_schedule": "cron(0 3 ? * SUN *)"}, "every crawl looks at everything"),
        (
            {"recrawl_behavior": "CRAWL_NEW_FOLDERS_ONLY", "schedule": "cron(0 1 * * ? *)", "full_schedule": "cron(0 1 * * ? *)"},
            "at once; have the full one crawl at another time",
        ),
        ({"recrawl_behavior": "CRAWL_EVENT_MODE"}, "give the target `events`"),
        (
            {"targets": [JdbcTarget(connection=connection(), path="shop/public/%")], "recrawl_behavior": "CRAWL_NEW_FOLDERS_ONLY"},
            "is for files",
        ),
        ({"classifiers": [CsvClassifier(name="a", delimiter="||")]}, "delimiter of the classifier a must be one character"),
        ({"classifiers": [CsvClassifier(name="a", delimiter='"')]}, "so they differ"),
        ({"classifiers": [CsvClassifier(name="a", delimiter=";", header="NO")]}, "header of the classifier a must be one of"),
        ({"classifiers": [CsvClassifier(name="a", delimiter=";", header="ABSENT")]}, "name their `columns`"),
        ({"classifiers": [JsonClassifier(name="a", json_path="records")]}, r"begins with \$"),
        ({"classifiers": [XmlClassifier(name="a", row_tag="<row>", classification="b")]}, "without brackets"),
        ({"classifiers": [XmlClassifier(name="a", row_tag="row", classification="xml")]}, "not one of Glue's"),
        ({"classifiers": [GrokClassifier(name="a", pattern=".*", classification="b")]}, "names no part"),
        ({"classifiers": [JsonClassifier(name="a", json_path="$"), JsonClassifier(name="a", json_path="$")]}, "names of their own"),
        ({"classifiers": [JsonClassifier(name="a_b", json_path="$")]}, "a classifier's name"),
    ],
)
def test_what_glue_would_refuse_or_take_otherwise_is_refused(  # noqa: PLR0917 - fixtures
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, wrong: dict[str, Any], said: str
) -> None:  # fmt: skip
    with pytest.raises(InvalidProps, match=said):
        crawler(stack, names, lake, key, **wrong)


def test_events_that_nobody_reads_and_two_targets_of_events_are_refused(
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey
) -> None:
    target = S3Target(lake=lake, zone="raw", prefix="partners/clicks", events=events(stack))
    with pytest.raises(InvalidProps, match="nobody would read the `events` of partners/clicks"):
        crawler(stack, names, lake, key, targets=[target])
    with pytest.raises(InvalidProps, match="takes one target, got 2: make a crawler for each"):
        crawler(Stack(stack, "Other"), names, lake, key, targets=[target, target], recrawl_behavior="CRAWL_EVENT_MODE")


@pytest.mark.parametrize(
    ("prefix", "exclusions", "said"),
    [
        ("/partners", (), "without a slash in front"),
        ("", (), "prefix is a folder"),
        ("partners/*", (), "without wildcards"),
        ("partners", ("s3://bucket/x",), "relative to the target"),
        ("partners", ("x",) * 101, "up to 100 exclusions, got 101"),
    ],
)
def test_a_folder_that_is_none_is_refused(lake: LakeBuckets, prefix: str, exclusions: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidProps, match=said):
        S3Target(lake=lake, zone="raw", prefix=prefix, exclusions=exclusions)


@pytest.mark.parametrize(
    ("engine", "path", "said"),
    [
        ("postgres", "shop/orders", "path of postgres has 3 parts, database/schema/table"),
        ("aurora-mysql", "shop/public/orders", "path of aurora-mysql has 2 parts"),
        ("postgres", "shop", "path is database/schema/table"),
        ("postgres", "%/public/%", "path is database/schema/table"),
    ],
)
def test_a_path_that_finds_nothing_is_refused(engine: str, path: str, said: str) -> None:
    with pytest.raises(InvalidProps, match=said):
        JdbcTarget(connection=connection(engine), path=path)


def test_the_engine_of_a_connection_of_another_stack_is_not_known_at_synth(stack: Stack, names: Names) -> None:
    found = ConnectionReference.from_parameters(stack, names=names, name="shop")
    assert JdbcTarget(connection=found, path="shop/public/%").path == JdbcTarget(connection=found, path="shop/public/%").path


def test_a_database_of_crawlers_is_named_as_athena_can(stack: Stack, names: Names) -> None:
    with pytest.raises(InvalidProps, match="lower-case letters, digits and underscores"):
        CrawledDatabase(stack, "Database", names=names, name="Partner-1")


def test_cdk_nag_finds_nothing_in_crawlers(app: App, stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey) -> None:
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    target = S3Target(lake=lake, zone="raw", prefix="partners/clicks", events=events(stack, key))
    made = crawler(stack, names, lake, key, targets=[target], recrawl_behavior="CRAWL_EVENT_MODE", full_schedule="cron(0 3 ? * SUN *)")
    made.grants.query(iam.Role(stack, "Analyst", assumed_by=account_principal()))
    other = Stack(app, "Other")
    crawler(other, names, lake, key, targets=[JdbcTarget(connection=connection(), path="shop/public/%")])
    app.synth()
