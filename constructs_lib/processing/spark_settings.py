"""Spark settings of every job, and the one argument by which Glue takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs_lib.checks import require
from lakehouse.naming import CATALOG

ICEBERG_SETTINGS: Mapping[str, str] = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    f"spark.sql.catalog.{CATALOG}": "org.apache.iceberg.spark.SparkCatalog",
    f"spark.sql.catalog.{CATALOG}.type": "glue",
    f"spark.sql.catalog.{CATALOG}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
}
"""Iceberg tables of the Glue catalog under the name `lake`, ANSI errors instead of silent NULLs, and UTC."""


def conf_argument(settings: Mapping[str, str]) -> str:
    """Settings as the value of Glue's `--conf`.

    Glue takes one `--conf` argument, so every setting after the first brings its own `--conf` inside the value.

    Raises:
        InvalidProps: There is no setting, or one holds white space.
    """
    require(bool(settings), "settings is empty: leave `--conf` out instead")
    _refuse_blanks(settings, engine="Glue")
    return " --conf ".join(f"{name}={value}" for name, value in settings.items())


def submit_parameters(
    settings: Mapping[str, str], *, py_files: Sequence[str] = (), archives: Sequence[str] = (), jars: Sequence[str] = ()
) -> str:
    """Settings and files as EMR Serverless takes them, the options of spark-submit in one text.

    Args:
        settings: Spark settings.
        py_files: Addresses of Python archives for the Python path.
        archives: Addresses of archives to unpack, each `<address>#<folder>`.
        jars: Java archives, addresses or paths on the workers.

    Raises:
        InvalidProps: A setting holds white space.
    """
    _refuse_blanks(settings, engine="EMR Serverless")
    files = {"--py-files": py_files, "--archives": archives, "--jars": jars}
    options = [f"{option} {','.join(addresses)}" for option, addresses in files.items() if addresses]
    return " ".join([*options, *(f"--conf {name}={value}" for name, value in settings.items())])


def _refuse_blanks(settings: Mapping[str, str], *, engine: str) -> None:
    """
    Raises:
        InvalidProps: A setting holds white space, at which the engine splits the text.
    """
    for name, value in settings.items():
        require(
            not any(character.isspace() for character in name + value),
            f"{engine} splits `--conf` at white space, so {name}={value!r} cannot hold any: set it in the job's code",
        )
