"""What each verb asks of AWS: the operator role grants exactly this, and a test holds the two against each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Permission:
    """An action that a verb needs.

    Attributes:
        verb: Verb of `lake`.
        action: IAM action.
        on: Resource, in the words of `lakehouse.naming`.
    """

    verb: str
    action: str
    on: str


def _needs(verb: str, on: str, *actions: str) -> tuple[Permission, ...]:
    return tuple(Permission(verb=verb, action=action, on=on) for action in actions)


PERMISSIONS: tuple[Permission, ...] = (
    *_needs("drop", "objects of the raw bucket below each arrival dataset's folder", "s3:PutObject"),
    *_needs("drop", "key of the lake", "kms:GenerateDataKey"),
    *_needs("wait", "table control", "dynamodb:GetItem"),
    *_needs("wait", "table audit", "dynamodb:GetItem"),
    *_needs("wait", "index by_status of table audit", "dynamodb:Query"),
    *_needs("wait", "queues arrivals and their dead-letter queues", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
    *_needs("wait", "state machines of the pipelines", "states:ListExecutions"),
    *_needs("run", "state machines of the pipelines", "states:StartExecution"),
    *_needs("run", "table audit", "dynamodb:GetItem"),
    *_needs("run --date", "index by_status of table audit", "dynamodb:Query"),
    *_needs("run --date", "table control", "dynamodb:GetItem"),
    *_needs("run --date", "the raw bucket below each domain of an arrival dataset", "s3:ListBucketVersions"),
    *_needs("run --date", "objects of the bucket logs below manifests, of each domain of an arrival dataset", "s3:PutObject"),
    *_needs("run --date", "key of the lake", "kms:GenerateDataKey"),
    *_needs("stop", "executions of the environment's state machines", "states:StopExecution"),
    *_needs("stop", "table audit and its indexes by_run and by_status", "dynamodb:GetItem", "dynamodb:Query"),
    *_needs("runs", "index by_status of table audit", "dynamodb:Query"),
    *_needs("show", "table audit and its indexes by_run and by_status", "dynamodb:Query"),
    *_needs("logs", "table audit and its indexes by_run and by_status", "dynamodb:Query"),
    *_needs("logs", "log groups of the jobs", "logs:FilterLogEvents"),
    *_needs(
        "sql",
        "workgroup",
        "athena:StartQueryExecution",
        "athena:GetQueryExecution",
        "athena:GetQueryResults",
        "athena:StopQueryExecution",
        "athena:GetPreparedStatement",
    ),
    *_needs("sql", "catalog, databases and tables of the lake", "glue:GetDatabase", "glue:GetTable"),
    *_needs("sql", "objects of the table zones' buckets", "s3:GetObject"),
    *_needs("sql", "buckets of the table zones", "s3:ListBucket"),
    *_needs("sql", "bucket query-results", "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
    *_needs(
        "sql",
        "objects of the bucket query-results in the workgroup's folder",
        "s3:GetObject",
        "s3:PutObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ),
    *_needs("sql", "key of the lake", "kms:Decrypt", "kms:GenerateDataKey"),
    *_needs(
        "sql --engine redshift, serverless",
        "workgroup of the warehouse",
        "redshift-serverless:GetCredentials",
        "redshift-data:ExecuteStatement",
    ),
    *_needs("sql --engine redshift, provisioned", "database of the cluster", "redshift:GetClusterCredentialsWithIAM"),
    *_needs("sql --engine redshift, provisioned", "cluster of the warehouse", "redshift-data:ExecuteStatement"),
    *_needs(
        "sql --engine redshift",
        "statements (the Data API knows no resource for them)",
        "redshift-data:DescribeStatement",
        "redshift-data:GetStatementResult",
        "redshift-data:CancelStatement",
    ),
    *_needs(
        "statements",
        "statements of the warehouse, if there is one (the Data API knows no resource for them)",
        "redshift-data:ListStatements",
        "redshift-data:DescribeStatement",
        "redshift-data:CancelStatement",
    ),
    *_needs("quarantine", "as sql, on the quarantine zone", "athena:StartQueryExecution"),
    *_needs("erase", "objects of the bucket logs below erasures/requests, of each domain", "s3:PutObject"),
    *_needs("erase", "objects of the bucket logs below erasures/reports, of each domain", "s3:GetObject"),
    *_needs("erase", "key of the lake", "kms:Decrypt", "kms:GenerateDataKey"),
    *_needs("erase", "the domain's job that erases", "glue:StartJobRun", "glue:GetJobRun"),
    *_needs("erase", "tables audit and control", "dynamodb:GetItem"),
    *_needs("erase", "index by_status of table audit", "dynamodb:Query"),
    *_needs("erase", "as run, for pipelines that compute gold tables from the dataset", "states:StartExecution"),
    *_needs("check", "as sql, on every table zone", "athena:StartQueryExecution"),
    *_needs("tables", "catalog, databases and tables of the lake", "glue:GetTable"),
    *_needs("tables", "rows of groups in table control", "dynamodb:Query"),
    *_needs("tables", "metadata of the tables, in the table zones' buckets", "s3:GetObject"),
    *_needs("tables", "key of the lake", "kms:Decrypt"),
    *_needs("costs", "jobs of the environment", "glue:GetJobRuns"),
    *_needs("costs", "metrics (CloudWatch knows no resource for them)", "cloudwatch:GetMetricData"),
    *_needs(
        "costs of steps on EMR Serverless",
        "applications and their job runs",
        "emr-serverless:ListApplications",
        "emr-serverless:ListJobRuns",
        "emr-serverless:GetJobRun",
    ),
    *_needs("rows", "rows of groups in table control", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"),
    *_needs("status", "stacks of the environment", "cloudformation:DescribeStacks"),
    *_needs("status", "alarms of the environment", "cloudwatch:DescribeAlarms"),
    *_needs("status", "catalog, databases and tables of the lake", "glue:GetTable"),
    *_needs("status", "queues arrivals and their dead-letter queues", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
    *_needs("status", "index by_status of table audit", "dynamodb:Query"),
)
"""Everything that the verbs ask for; `up` and `deploy` act as the user, not as the operator."""
