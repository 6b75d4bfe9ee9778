"""Spark's Java: its class path, its options, and the archive of loaded classes that makes a driver start in half the time."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from local.toolchain import GLUE_SPARK, SparkRelease, Toolchain, ToolMissingError

UNKNOWN_MODULE = "--add-modules=jdk.incubator.vector"
"""Spark's launcher adds it; the Java from PyPI does not have it, and Spark runs without."""

FAST_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xss4m")
"""A run takes seconds: the second compiler and parallel collectors cost more than they give."""


JAVA_VARIABLES = frozenset({"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "JAVA_HOME"})
"""Variables of the user that would change every Java; none of ours is to see them."""


def without_java_options(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the user's own settings for Java."""
    return {name: value for name, value in environment.items() if name not in JAVA_VARIABLES}


class SparkArchive:
    """The Java side of a driver, the same for every run of one Spark.

    Args:
        toolchain: Where Java and the Sparks are.
        series: Which Spark.
    """

    def __init__(self, *, toolchain: Toolchain, series: str = GLUE_SPARK) -> None:
        self._toolchain, self._series = toolchain, series

    @cached_property
    def release(self) -> SparkRelease:
        """The Spark."""
        return self._toolchain.spark(self._series)

    @cached_property
    def java(self) -> Path:
        """Java itself, behind the shim if there is one."""
        return self._toolchain.java

    @cached_property
    def class_path(self) -> tuple[Path, ...]:
        """Spark's jars, then ours."""
        return (*sorted((self.release.home / "jars").glob("*.jar")), *self.release.jars)

    @cached_property
    def java_options(self) -> tuple[str, ...]:
        """Options that spark-submit itself would start Java with, and those that make it start fast."""
        jars = os.pathsep.join(str(jar) for jar in self.class_path)
        launcher = [str(self.java), "-cp", jars, "org.apache.spark.launcher.Main", "org.apache.spark.deploy.SparkSubmit", "run.py"]
        environment = {
            **without_java_options(os.environ),
            "SPARK_HOME": str(self.release.home),
            "JAVA_HOME": str(self.java.parents[1]),
            "SPARK_SCALA_VERSION": "2.13",
        }
        done = subprocess.run(launcher, env=environment, capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise ToolMissingError(
                f"Spark's launcher does not work with {self.java}: {said[0] if said else done.returncode}: run `make setup`"
            )
        printed = done.stdout.decode()
        parts = [part for part in printed.split("\0") if part.strip()]
        options = parts[parts.index("-cp") + 2 : parts.index("org.apache.spark.deploy.SparkSubmit")]
        return (*(option for option in options if option != UNKNOWN_MODULE and not option.startswith("-Xmx")), *FAST_START)

    @property
    def path(self) -> Path:
        """Where the archive is."""
        return self._toolchain.cache / ("spark" if self._series == GLUE_SPARK else f"spark-{self._series}") / "classes.jsa"

    @cached_property
    def key(self) -> str:
        """What the archive was built for: Java, the jars and the options, as they lie here."""
        seen = hashlib.sha256()
        for jar in (self.java.resolve(), *self.class_path):
            stat = jar.stat()
            seen.update(f"{jar}:{stat.st_size}:{int(stat.st_mtime)}\n".encode())
        seen.update(" ".join(FAST_START).encode())
        return seen.hexdigest()

    def is_built(self) -> bool:
        """Whether there is an archive for this very installation."""
        note = self._note
        return self.path.is_file() and note.is_file() and note.read_text(encoding="utf-8") == self.key

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".key")

    def dump(self, class_list: Path) -> None:
        """Build the archive from the names of classes that a driver has loaded; takes the better part of a minute.

        Raises:
            subprocess.CalledProcessError: Java could not; its output is in the error.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        command = [
            str(self.java), *FAST_START, "-Xmx1g", "-Xshare:dump", "-Xlog:cds=off", "-Xlog:cds+verification=off",
            f"-XX:SharedClassListFile={class_list}", f"-XX:SharedArchiveFile={partial}",
            "-cp", os.pathsep.join(str(jar) for jar in self.class_path),
        ]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=without_java_options(os.environ))
        self._note.unlink(missing_ok=True)
        partial.replace(self.path)
        self._note.write_text(self.key, encoding="utf-8")

    def options(self) -> tuple[str, ...]:
        """Options that use the archive, none if it has not been built."""
        return (f"-XX:SharedArchiveFile={self.path}", "-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off") if self.is_built() else ()
