import subprocess
from pathlib import Path

import pytest

from local.engines.spark_archive import SparkArchive
from local.toolchain import Toolchain, ToolMissingError
from tools.installation import ROOT


def output(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_the_tools_are_the_pinned_ones() -> None:
    tools = Toolchain()
    assert output(tools.node, "--version").startswith("v24.")
    assert output(*tools.cdk, "--version").startswith("2.1148.1 ")
    assert '"25.' in output(tools.java_trino, "-version")


def test_java_for_spark_ignores_the_module_that_it_lacks() -> None:
    assert '"21.' in output(Toolchain().java, "--add-modules=jdk.incubator.vector", "-version")


def test_spark_finds_its_jars_and_trino_its_plugins() -> None:
    tools = Toolchain()
    assert [jar.name.split("-")[0] for jar in tools.spark_jars] == ["hadoop", "iceberg", "iceberg", "s3"]
    assert sorted(path.name for path in (tools.trino_home / "plugin").iterdir()) == ["hive", "iceberg"]
    assert tools.spark_submit.is_file()


def test_each_release_has_its_own_spark(tmp_path: Path) -> None:
    glue, emr = Toolchain().spark(), Toolchain().spark("4.0")
    assert [next(release.home.glob("jars/spark-core_2.13-*.jar")).stem.rsplit("-", 1)[-1] for release in (glue, emr)] == ["4.1.1", "4.0.2"]
    assert [jar.name for jar in emr.jars] == [
        "hadoop-aws-3.4.1.jar", "iceberg-aws-bundle-1.10.1.jar", "iceberg-spark-runtime-4.0_2.13-1.10.1.jar", "s3-transfer-manager-2.33.0.jar",
    ]  # fmt: skip
    with pytest.raises(ToolMissingError, match=r"run `\.venv/bin/python -m tools\.spark_releases`"):
        Toolchain(root=tmp_path).spark("4.0")


def test_a_missing_tool_says_make_setup(tmp_path: Path) -> None:
    tools = Toolchain(root=tmp_path)
    for name in ("python", "node", "cdk", "java", "java_trino", "spark_submit", "spark_jars", "trino_home", "lambda_packages"):
        with pytest.raises(ToolMissingError, match="run `make setup`"):
            getattr(tools, name)


def test_a_checkout_that_shares_anothers_tools_by_links_names_them_as_they_are(tmp_path: Path) -> None:
    for name in (".venv", ".cache"):
        (tmp_path / name).symlink_to(ROOT / name)
    ours, theirs = SparkArchive(toolchain=Toolchain()), SparkArchive(toolchain=Toolchain(root=tmp_path))
    assert theirs.class_path == ours.class_path
    assert theirs.is_built()
    assert theirs.options() == ours.options()
