"""Builds a Spark's class archive: `python -m local.engines.spark_build [SERIES]`, a step of set-up; without it runs work and start slower.

A throwaway platform serves a training job, whose classes make the archive. It lives in a folder of the checkout, so that whatever a killed build
left behind is found and ended: by the next build, and by `--clean`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import boto3

from lakehouse.errors import LakehouseError
from local.engines.spark import SparkEngine, SparkWork
from local.engines.spark_archive import SparkArchive
from local.platform import Platform
from local.toolchain import GLUE_SPARK, Toolchain

REGION = "us-east-1"
BUCKET = "training"
SECONDS = 300
"""Longest that the training job may take."""

CONF = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.lake.type": "glue",
    "spark.sql.catalog.lake.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    "spark.sql.catalog.lake.s3.path-style-access": "true",
    "spark.sql.catalog.lake.warehouse": f"s3://{BUCKET}/lake",
    "spark.sql.ansi.enabled": "true",
}


def main(arguments: list[str]) -> int:
    """Build the archive of a Spark, Glue's without an argument, unless it is there; with `--clean` end and remove what a build left behind."""
    toolchain = Toolchain()
    folder = toolchain.cache / "training"
    if "--clean" in arguments:
        _clean(folder)
        return 0
    series = arguments[0] if arguments else GLUE_SPARK
    archive = SparkArchive(toolchain=toolchain, series=series)
    archive.path.parent.mkdir(parents=True, exist_ok=True)
    if archive.is_built():
        return 0
    started = time.monotonic()
    print("preparing Spark for fast starts (once, about a minute) ...", flush=True)  # noqa: T201 - a step of set-up
    _clean(folder)
    folder.mkdir(parents=True)
    try:
        problem = _train(toolchain, series, folder, folder / "classes.lst")
        if problem:
            print(f"Spark was not prepared: {problem}", file=sys.stderr)  # noqa: T201
            return 1
        archive.dump(folder / "classes.lst")
    except (LakehouseError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"Spark was not prepared: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        _clean(folder)
    print(f"Spark is prepared ({time.monotonic() - started:.0f} s)", flush=True)  # noqa: T201
    return 0


def _clean(folder: Path) -> None:
    if folder.is_dir():
        Platform(folder).wipe()
        shutil.rmtree(folder, ignore_errors=True)


def _train(toolchain: Toolchain, series: str, folder: Path, class_list: Path) -> str:
    """Run the training job; returns what went wrong, or an empty string."""
    platform = Platform(folder)
    platform.start()
    try:
        own = platform.environment()
        keys = {"aws_access_key_id": own["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": own["AWS_SECRET_ACCESS_KEY"]}
        s3 = boto3.client("s3", endpoint_url=own["AWS_ENDPOINT_URL"], region_name=REGION, verify=own["AWS_CA_BUNDLE"], **keys)
        s3.create_bucket(Bucket=BUCKET)
        engine = SparkEngine(
            toolchain=toolchain, aws_url=own["AWS_ENDPOINT_URL"], authorities=Path(own["AWS_CA_BUNDLE"]), region=REGION,
            folder=folder / "spark", class_list=class_list,
        )  # fmt: skip
        driver = engine.start_driver(iceberg=True, series=series)
        script = Path(__file__).with_name("spark_training.py")
        work = SparkWork(script=script, arguments=(f"s3://{BUCKET}/raw", f"s3://{BUCKET}/lake"), python_path=(), conf=CONF)
        root = {"AccessKeyId": keys["aws_access_key_id"], "SecretAccessKey": keys["aws_secret_access_key"], "Token": ""}
        driver.run(work, lambda: {**root, "Expiration": "2099-01-01T00:00:00Z"})
        output = driver.output.read().decode("utf-8", "replace")
        code = driver.wait(SECONDS)
        problem = "" if code == 0 else f"{driver.error or code}\n{output[:1500]}"
        driver.close()
        engine.close()
        return problem
    finally:
        platform.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
