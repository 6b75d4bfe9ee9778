"""Settings of a whole cluster, as EMR's classifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructs_lib.checks import require
from constructs_lib.processing.cluster_size import ClusterSize

S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
"""What `s3://` is read with; EMR's own file system, EMRFS, has no part in it since EMR 7.10."""

SHUFFLE_PARTITIONS = 400
"""Partitions that a shuffle begins with; adaptive execution joins the small ones."""

_EMRFS = (
    "com.amazon.ws.emr",
    "fs.s3.consistent",
    "fs.s3.enableserversideencryption",
    "fs.s3.serversideencryption",
    "fs.s3.cse",
    "fs.s3.maxconnections",
)
"""How settings of EMRFS begin, or what they hold, in small letters."""


def configurations(size: ClusterSize, *, more: Mapping[str, Mapping[str, str]] | None = None) -> list[dict[str, Any]]:
    """The classifications of a cluster: adaptive execution, Kryo, memory, shuffle, care of machines that leave, S3A and Iceberg.

    Args:
        size: Size of the cluster.
        more: Properties by classification, which win.

    Raises:
        InvalidProps: A property is one of EMRFS, which does nothing any more, or points the metastore where Spark does not look.
    """
    given = dict(more if more is not None else {})
    for classification, properties in given.items():
        check_properties(properties, of=classification)
        require(classification != "emrfs-site", "emrfs-site configures EMRFS, which reads nothing any more: write fs.s3a.… into core-site")
        require(
            not (classification == "hive-site" and any("metastore" in name for name in properties)),
            "hive-site does not tell Spark where its metastore is: write spark-hive-site",
        )
    own = {
        "core-site": {"fs.s3.impl": S3A, "fs.s3a.connection.maximum": "200"},
        "iceberg-defaults": {"iceberg.enabled": "true"},
        "spark-defaults": _spark(size),
        # A driver on a machine that Spot takes away is a lost job; core machines stay.
        "yarn-site": {"yarn.node-labels.am.default-node-label-expression": "CORE", "yarn.node-labels.enabled": "true"},
    }
    names = sorted({*own, *given})
    return [{"Classification": name, "Properties": {**own.get(name, {}), **given.get(name, {})}} for name in names]


def check_properties(properties: Mapping[str, str], *, of: str) -> None:
    """Refuse settings of EMRFS.

    Args:
        properties: Settings.
        of: Where they stand, for people.

    Raises:
        InvalidProps: There is one.
    """
    for name, value in properties.items():
        is_emrfs = any(part in text.lower() for text in (name, value) for part in _EMRFS)
        require(not is_emrfs, f"{name} of {of} is a setting of EMRFS, which reads nothing any more: write the one of S3A, fs.s3a.…")


def _spark(size: ClusterSize) -> dict[str, str]:
    return {
        "spark.decommission.enabled": "true",
        "spark.default.parallelism": str(SHUFFLE_PARTITIONS),
        "spark.driver.memory": f"{size.driver_memory_gb}g",
        "spark.dynamicAllocation.enabled": "true",
        "spark.executor.cores": str(size.executor_vcpu),
        "spark.executor.memory": f"{size.executor_memory_gb}g",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        "spark.sql.adaptive.coalescePartitions.enabled": "true",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.adaptive.skewJoin.enabled": "true",
        "spark.sql.shuffle.partitions": str(SHUFFLE_PARTITIONS),
        # A machine that leaves takes its shuffle files along, whoever serves them: they move on before it goes, and stages outlive several losses.
        "spark.stage.maxConsecutiveAttempts": "10",
        "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.rddBlocks.enabled": "true",
        "spark.storage.decommission.shuffleBlocks.enabled": "true",
    }
