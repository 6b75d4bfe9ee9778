"""A Glue crawler for files and databases that no contract describes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import ACCOUNT, arn
from constructs_lib.catalog.classifiers import Classifier
from constructs_lib.catalog.crawl_targets import JdbcTarget, S3Target
from constructs_lib.catalog.crawled_database import CrawledDatabase
from constructs_lib.checks import InvalidProps, require, require_one_of
from constructs_lib.log_group import STREAMS, log_group_arn
from constructs_lib.order import after
from constructs_lib.permissions import acknowledge, allow, service_principal, service_principal_conditions, wait_for_permissions
from constructs_lib.processing.security_configuration import SecurityConfiguration
from lakehouse.naming import Names
from lakehouse.schedules import InvalidScheduleError, check_schedule

RECRAWLS = ("CRAWL_EVENT_MODE", "CRAWL_EVERYTHING", "CRAWL_NEW_FOLDERS_ONLY")
"""What a crawl looks at after the first one."""

UPDATES = ("LOG", "UPDATE_IN_DATABASE")
"""What becomes of a table whose files have changed."""

DELETES = ("DEPRECATE_IN_DATABASE", "LOG")
"""What becomes of a table whose files are gone. Glue could delete it as well: an upload that is a minute late would then cost a table and its grants."""

LOG_GROUP = "/aws-glue/crawlers"
"""Log group of every crawler of an account; the name is Glue's own."""

_FULL = "CRAWL_EVERYTHING"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_TABLE_PREFIX = re.compile(r"([a-z][a-z0-9_]{0,63})?")
_TABLES = "Tables are named by what a crawl finds; the database is the limit, and holds nothing else."
_LOGS = (
    "Crawlers log names of folders, tables and columns, and no values, to a group of Glue's own that all crawlers of the account share: its owner gives it a key "
    "and a retention. Encryption in the security configuration would move them to groups that Glue names by role, with no retention."
)

_CATALOG = (
    "glue:BatchCreatePartition",
    "glue:BatchGetPartition",
    "glue:BatchUpdatePartition",
    "glue:CreatePartition",
    "glue:CreateTable",
    "glue:GetDatabase",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:GetTable",
    "glue:GetTableVersion",
    "glue:GetTableVersions",
    "glue:GetTables",
    "glue:UpdatePartition",
    "glue:UpdateTable",
)
"""What a crawler does in its database: it adds and changes, and deletes nothing."""


class GlueCrawler(Construct):
    """Crawler that finds tables in files and databases of others, and keeps a database of their own for them.

    With `full_schedule`, a second crawler beside it looks at everything, under the same role and into the same tables.

    Attributes:
        crawler_name: Its name.
        full_crawler_name: Name of the one that looks at everything; None without `full_schedule`.
        role: What both act as.
        resource: The CloudFormation resource.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        name: str,
        database: CrawledDatabase,
        targets: Sequence[S3Target | JdbcTarget],
        security_configuration: SecurityConfiguration,
        table_prefix: str = "",
        schedule: str | None = None,
        recrawl_behavior: str = _FULL,
        update_behavior: str | None = None,
        delete_behavior: str = "LOG",
        full_schedule: str | None = None,
        classifiers: Sequence[Classifier] = (),
    ) -> None:
        """
        Args:
            names: Names of the environment.
            name: Name of the crawler, after the environment's prefix.
            database: Database that it fills.
            targets: What it looks at.
            security_configuration: Encryption of the lake, as for jobs.
            table_prefix: Beginning of every table's name.
            schedule: When it crawls, in UTC: `cron(minutes hours day-of-month month day-of-week year)`; None: when it is started.
            recrawl_behavior: What a crawl looks at after the first: `CRAWL_EVERYTHING`, `CRAWL_NEW_FOLDERS_ONLY`, or, by the queue of its one target,
                `CRAWL_EVENT_MODE`.
            update_behavior: `UPDATE_IN_DATABASE` adds columns to a table and never takes one away; `LOG` leaves the table as it is. By default the first, but for
                new folders only, where Glue knows the second alone.
            delete_behavior: `LOG`, or `DEPRECATE_IN_DATABASE`, which marks a table whose files are gone.
            full_schedule: When everything is crawled beside new folders or events, such as weekly.
            classifiers: How files are read that Glue would read otherwise.

        Raises:
            InvalidProps: Glue would refuse it, or do something else than it says.
        """
        super().__init__(scope, id)
        _check_names(name, table_prefix, classifiers)
        _check_targets(targets, recrawl_behavior)
        update = update_behavior or ("LOG" if recrawl_behavior == "CRAWL_NEW_FOLDERS_ONLY" else "UPDATE_IN_DATABASE")
        _check_policy(recrawl_behavior, update, delete_behavior)
        _check_schedules(schedule, full_schedule, recrawl_behavior)
        self.crawler_name = names.crawler(name)
        self.full_crawler_name = None if full_schedule is None else f"{self.crawler_name}-full"
        self.role = _role(self, self.crawler_name, database, targets)
        found = [
            glue.CfnClassifier(self, f"Classifier-{item.name}", **item.properties(f"{self.crawler_name}-{item.name}")).ref
            for item in classifiers
        ]

        def crawler(id: str, crawler_name: str, *, when: str | None, recrawl: str, update: str) -> glue.CfnCrawler:
            with_events = recrawl == "CRAWL_EVENT_MODE"
            resource = glue.CfnCrawler(
                self,
                id,
                name=crawler_name,
                description=f"Finds tables for {database.database_name}",
                role=self.role.role_arn,
                database_name=database.database_name,
                table_prefix=table_prefix or None,
                targets={
                    "s3Targets": [target.properties(with_events=with_events) for target in targets if isinstance(target, S3Target)] or None,
                    "jdbcTargets": [target.properties() for target in targets if isinstance(target, JdbcTarget)] or None,
                },
                classifiers=found or None,
                schedule=None if when is None else glue.CfnCrawler.ScheduleProperty(schedule_expression=when),
                recrawl_policy=glue.CfnCrawler.RecrawlPolicyProperty(recrawl_behavior=recrawl),
                schema_change_policy=glue.CfnCrawler.SchemaChangePolicyProperty(update_behavior=update, delete_behavior=delete_behavior),
                configuration=_configuration(update),
                crawler_security_configuration=security_configuration.name,
            )
            after(resource, database.resource)
            wait_for_permissions(resource, self.role)
            acknowledge(resource, "AwsSolutions-GL1", reason=_LOGS)
            return resource

        self.resource = crawler("Resource", self.crawler_name, when=schedule, recrawl=recrawl_behavior, update=update)
        if self.full_crawler_name is not None:
            crawler("Full", self.full_crawler_name, when=full_schedule, recrawl=_FULL, update="UPDATE_IN_DATABASE")
        crawlers = [self.crawler_name, *([self.full_crawler_name] if self.full_crawler_name is not None else [])]
        self.grants = GlueCrawlerGrants(crawlers, database, targets)


class GlueCrawlerGrants:
    """Permissions on a crawler and on what it found."""

    def __init__(self, crawlers: Sequence[str], database: CrawledDatabase, targets: Sequence[S3Target | JdbcTarget]) -> None:
        self._crawlers, self._database, self._targets = crawlers, database, targets

    def run(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it start crawls, watch them and stop them (`lakehouse.crawls`)."""
        crawlers = [arn("glue", f"crawler/{name}") for name in self._crawlers]
        return allow(grantee, actions=["glue:GetCrawler", "glue:StartCrawler", "glue:StopCrawler"], resources=crawlers)

    def query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it query the tables of files in Athena; the workgroup's `run_queries` gives the rest. Tables of databases are names and types only."""
        for target in self._targets:
            if isinstance(target, S3Target):
                target.read(grantee)
        return allow(
            grantee,
            actions=["glue:GetDatabase", "glue:GetPartitions", "glue:GetTable"],
            resources=self._database.catalog_resources(),
            because=_TABLES,
        )


def _role(scope: Construct, name: str, database: CrawledDatabase, targets: Sequence[S3Target | JdbcTarget]) -> iam.Role:
    role = iam.Role(
        scope,
        "Role",
        assumed_by=service_principal("glue.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
        description=f"Crawls as {name}",
    )
    for target in targets:
        target.grant(role)
    allow(role, actions=_CATALOG, resources=database.catalog_resources(), because=_TABLES)
    log_group = log_group_arn(LOG_GROUP)
    allow(
        role,
        actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[log_group, f"{log_group}:*"],
        because=STREAMS,
    )
    return role


def _configuration(update: str) -> str:
    """What Glue takes as JSON: partitions are read as their table is, columns are added and never taken away, one folder of one schema is one table."""
    tables = {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}} if update == "UPDATE_IN_DATABASE" else {}
    return json.dumps(
        {
            "Version": 1.0,
            "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}, **tables},
            "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"},
        },
        sort_keys=True,
    )


def _check_names(name: str, table_prefix: str, classifiers: Sequence[Classifier]) -> None:
    require(
        _NAME.fullmatch(name) is not None, f"name is made of up to 64 lower-case letters, digits and hyphens, a letter first, got {name!r}"
    )
    require(
        _TABLE_PREFIX.fullmatch(table_prefix) is not None,
        f"table_prefix is made of up to 64 lower-case letters, digits and underscores, a letter first, got {table_prefix!r}",
    )
    known = [classifier.name for classifier in classifiers]
    require(len(set(known)) == len(known), f"classifiers have names of their own, got {', '.join(known)}")
    for classifier in known:
        require(
            _NAME.fullmatch(classifier) is not None,
            f"a classifier's name is made of lower-case letters, digits and hyphens, got {classifier!r}",
        )


def _check_targets(targets: Sequence[S3Target | JdbcTarget], recrawl: str) -> None:
    require(bool(targets), "targets is empty: name a folder (S3Target) or tables of a database (JdbcTarget)")
    require_one_of(recrawl, RECRAWLS, name="recrawl_behavior")
    databases = [target for target in targets if isinstance(target, JdbcTarget)]
    require(
        recrawl == _FULL or not databases,
        f"{recrawl} is for files: a database has no folders and sends no events. Crawl it with {_FULL}, in a crawler of its own",
    )
    files = [target for target in targets if isinstance(target, S3Target)]
    if recrawl == "CRAWL_EVENT_MODE":
        require(len(files) == 1, f"CRAWL_EVENT_MODE takes one target, got {len(files)}: make a crawler for each")
        require(files[0].events is not None, "CRAWL_EVENT_MODE reads a queue: give the target `events`")
    else:
        unread = [target.prefix for target in files if target.events is not None]
        require(
            not unread,
            f"nobody would read the `events` of {', '.join(unread)}: set recrawl_behavior to CRAWL_EVENT_MODE, or leave them out",
        )


def _check_policy(recrawl: str, update: str, delete: str) -> None:
    require_one_of(update, UPDATES, name="update_behavior")
    require_one_of(delete, DELETES, name="delete_behavior")
    require(
        recrawl != "CRAWL_NEW_FOLDERS_ONLY" or (update, delete) == ("LOG", "LOG"),
        f"CRAWL_NEW_FOLDERS_ONLY goes with update_behavior LOG and delete_behavior LOG alone, got {update} and {delete}: leave both out and give full_schedule a "
        "time, when everything is crawled and tables are changed",
    )


def _check_schedules(schedule: str | None, full: str | None, recrawl: str) -> None:
    for name, expression in (("schedule", schedule), ("full_schedule", full)):
        if expression is None:
            continue
        require(
            expression.startswith("cron("),
            f"{name} is a cron expression in UTC, such as cron(0 1 * * ? *): Glue knows no other, got {expression!r}",
        )
        try:
            check_schedule(expression)
        except InvalidScheduleError as error:
            raise InvalidProps(f"{name}: {error}") from error
    require(
        full is None or recrawl != _FULL, f"every crawl looks at everything ({_FULL}): leave full_schedule out, or set recrawl_behavior"
    )
    require(
        full is None or full != schedule,
        "full_schedule is the schedule: both crawlers would change the same tables at once; have the full one crawl at another time",
    )
