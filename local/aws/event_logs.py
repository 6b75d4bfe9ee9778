"""Event logs of Spark: the driver writes them beside itself, and whoever ran it brings them to S3 as the run's role, as Glue's and EMR Serverless' own agents do.

They go once, when the driver has ended, however it ended; in AWS they go every half minute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

FOLDER = "spark-events"


def settings(folder: Path) -> dict[str, str]:
    """Spark properties that have a driver write its event logs below its working folder."""
    events = folder / FOLDER
    events.mkdir(parents=True, exist_ok=True)
    return {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events.as_uri(), "spark.eventLog.compress": "true"}


def ship(s3: Any, folder: Path, address: str) -> str:
    """Put what a driver wrote into a folder of S3; what went wrong, as a run ends without its event logs too.

    Args:
        s3: Client of the run's role.
        folder: Working folder of the driver.
        address: S3 folder of the run.
    """
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    events = folder / FOLDER
    for path in sorted(events.rglob("*")):
        if not path.is_file() or path.name.startswith("."):  # the checksums of Hadoop's local files
            continue
        key = f"{prefix.rstrip('/')}/{path.relative_to(events).as_posix()}".lstrip("/")
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        except (ClientError, BotoCoreError) as error:
            return f"{bucket}/{key}: {error}"
    return ""
