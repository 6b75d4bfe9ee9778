"""A small Python script on Glue, without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import aws_glue as glue
from constructs import Construct

from constructs_lib.arns import job_arn
from constructs_lib.checks import require, require_range
from constructs_lib.permissions import acknowledge
from constructs_lib.processing.glue_job import (
    LOGS_ENCRYPTED,
    MAX_TIMEOUT_MINUTES,
    GlueJobGrants,
    bookmark_option,
    check_glue_arguments,
    connect,
    glue_role,
    report,
)
from constructs_lib.processing.job_code import CodeAssets
from constructs_lib.processing.job_logs import JobLogs
from constructs_lib.processing.security_configuration import SecurityConfiguration

CAPACITIES = (0.0625, 1.0)
"""Capacities of a Python-shell job in DPU: 1 GB or 16 GB of memory."""


class GluePythonShellJob(Construct):
    """Glue job that runs one Python script on a sixteenth of a DPU, such as a call of an interface that takes hours and may not be a Lambda function.

    Its Python is 3.9, Glue's only one for this kind, and the platform's library needs 3.11: the script stands alone, with packages that `python_modules` names.

    Attributes:
        job_name: Its name.
        job_arn: Its ARN.
        role: Role that it runs as.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        script: Path,
        logs: JobLogs,
        security_configuration: SecurityConfiguration,
        arguments: Mapping[str, str] | None = None,
        description: str = "",
        capacity: float = 0.0625,
        python_modules: Sequence[str] = (),
        timeout_minutes: int = 60,
        max_concurrent_runs: int = 1,
        connections: Sequence[str] = (),
    ) -> None:
        """
        Args:
            name: Name of the job.
            script: The Python file.
            logs: Log groups that it writes to.
            security_configuration: What encrypts what it leaves behind.
            arguments: Default arguments by name with their `--`; nothing secret, as everybody who sees the job sees them.
            description: Sentence for people.
            capacity: DPU: 0.0625 or 1.
            python_modules: Packages that Glue installs when a run starts, each with its version: `pandas==2.2.3`.
            timeout_minutes: Longest run; Glue's own default is eight hours.
            max_concurrent_runs: Most runs at a time.
            connections: Names of Glue connections, whose network the job runs in.
        """
        super().__init__(scope, id)
        require(script.is_file() and script.suffix == ".py", f"{script} is not a Python file: give the path of the script")
        require(capacity in CAPACITIES, f"capacity must be 0.0625 or 1 (Glue has no other for a Python shell), got {capacity}")
        require_range(timeout_minutes, name="timeout_minutes", at_least=1, at_most=MAX_TIMEOUT_MINUTES, why="seven days, Glue's longest")
        require_range(max_concurrent_runs, name="max_concurrent_runs", at_least=1)
        for module in python_modules:
            require("==" in module, f"{module!r} names no version, so two runs could differ: write <package>==<version> in python_modules")
        arguments = arguments if arguments is not None else {}
        check_glue_arguments(arguments)
        self.role = glue_role(self, name)
        assets = CodeAssets.of(self)
        address = assets.file(script)
        assets.grants.read(self.role, [address])
        report(self.role, logs)
        connect(self.role, connections)
        self.resource = glue.CfnJob(
            self,
            "Resource",
            name=name,
            description=description or None,
            role=self.role.role_arn,
            command={"name": "pythonshell", "pythonVersion": "3.9", "scriptLocation": address},
            default_arguments={
                "--job-language": "python",
                "--job-bookmark-option": bookmark_option("disable", max_concurrent_runs=max_concurrent_runs),
                "--custom-logGroup-prefix": logs.prefix,
                **({"--additional-python-modules": ",".join(python_modules)} if python_modules else {}),
                **arguments,
            },
            connections={"connections": list(connections)} if connections else None,
            execution_property={"maxConcurrentRuns": max_concurrent_runs},
            glue_version="3.0",  # what Glue pairs with Python 3.9; Spark's releases know no Python shell
            max_capacity=capacity,
            max_retries=0,
            security_configuration=security_configuration.name,
            timeout=timeout_minutes,
        )
        acknowledge(self.resource, "AwsSolutions-GL1", reason=LOGS_ENCRYPTED)
        self.job_name = name
        self.job_arn = job_arn(name)
        self.grants = GlueJobGrants(name)
