"""Named queries and prepared statements of a workgroup."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_athena as athena
from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import workgroup_arn
from constructs_lib.checks import require
from constructs_lib.permissions import allow
from lakehouse.saved_queries import SavedQuery

READ = (
    "athena:BatchGetNamedQuery",
    "athena:GetNamedQuery",
    "athena:GetPreparedStatement",
    "athena:ListNamedQueries",
    "athena:ListPreparedStatements",
)
"""What finding and running kept queries takes, besides the workgroup's `run_queries`."""

EXECUTE = ("athena:GetPreparedStatement",)
"""What `EXECUTE` takes."""


class SavedQueries(Construct):
    """Queries that a workgroup keeps: those with question marks as prepared statements, the others as named queries.

    Attributes:
        names: Names of the queries.
        grants: Permissions on them.
    """

    def __init__(self, scope: Construct, id: str, *, workgroup: str, queries: Sequence[SavedQuery], database_prefix: str = "") -> None:
        """
        Args:
            workgroup: Name of the workgroup that keeps them; it has to exist.
            queries: The queries, as `lakehouse.contracts.compiler.queries.load_queries` reads and checks them.
            database_prefix: What the environment puts before every database.
        """
        super().__init__(scope, id)
        names = [query.name for query in queries]
        twice = sorted({name for name in names if names.count(name) > 1})
        require(not twice, f"queries of one workgroup must differ in name, {', '.join(twice)} stands twice: rename a file")
        for query in (kept.prefixed(database_prefix) for kept in queries):
            if query.parameters:
                athena.CfnPreparedStatement(
                    self,
                    query.name,
                    statement_name=query.name,
                    work_group=workgroup,
                    description=query.description,
                    query_statement=query.sql,
                )
            else:
                athena.CfnNamedQuery(
                    self,
                    query.name,
                    name=query.name,
                    work_group=workgroup,
                    description=query.description,
                    database=query.databases[0],
                    query_string=query.sql,
                )
        self.names = tuple(names)
        self.grants = SavedQueriesGrants(workgroup)


class SavedQueriesGrants:
    """Permissions on the queries that a workgroup keeps."""

    def __init__(self, workgroup: str) -> None:
        self._workgroup = workgroup

    def execute(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it run the prepared ones by name, with `EXECUTE`; the workgroup's `run_queries` and the tables' `query` give the rest."""
        return allow(grantee, actions=EXECUTE, resources=[workgroup_arn(self._workgroup)])

    def read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it find and run them; the workgroup's `run_queries` and the tables' `query` give the rest."""
        return allow(grantee, actions=READ, resources=[workgroup_arn(self._workgroup)])
