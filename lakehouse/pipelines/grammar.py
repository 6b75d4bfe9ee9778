"""The grammar of pipeline specs as data: the loader checks by it and docs/pipelines.md is written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.schedules import EXAMPLE

VERSION = 1
"""Version of the grammar."""

MAX_NAME = 24
"""Longest name of a pipeline: the longest function name, `<prefix>-arrival-starter-<pipeline>`, then stays within Lambda's 64 characters."""

DEFAULT_TIMEOUT_MINUTES = 90
MAX_TIMEOUT_MINUTES = 1440


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that may stand in a spec.

    Attributes:
        name: The key.
        type: Python type of its value.
        form: How the value is written, for people.
        required: Whether it must stand.
        meaning: What it says.
    """

    name: str
    type: type
    form: str
    required: bool
    meaning: str


PIPELINE_KEYS = (
    Key(name="version", type=int, form="1", required=False, meaning=f"Version of the grammar; {VERSION} if left out."),
    Key(
        name="pipeline",
        type=str,
        form="name",
        required=True,
        meaning=f"Name of the pipeline, the same as that of the file; up to {MAX_NAME} characters.",
    ),
    Key(name="owner", type=str, form="team", required=True, meaning="Team that answers for it."),
    Key(name="description", type=str, form="text", required=False, meaning="Sentence for people."),
    Key(name="trigger", type=dict, form="{arrival: …}, {after: […]} or {schedule: …}", required=True, meaning="What starts it."),
    Key(
        name="timeout_minutes",
        type=int,
        form=f"1-{MAX_TIMEOUT_MINUTES}",
        required=False,
        meaning=f"A step that takes longer is stopped and the run is TIMED_OUT; waiting for other runs of its tables does not count. {DEFAULT_TIMEOUT_MINUTES} if left out.",
    ),
    Key(
        name="steps",
        type=list,
        form="list of steps",
        required=True,
        meaning="Jobs in order; a step starts when the one before has succeeded.",
    ),
)
"""Keys of a pipeline spec."""

TRIGGER_KEYS = (
    Key(
        name="arrival",
        type=str,
        form="<domain>.<dataset>",
        required=False,
        meaning="Files that land in `raw/<domain>/<dataset>/` start it; what arrives close together is one run.",
    ),
    Key(
        name="after",
        type=list,
        form="[pipeline, …]",
        required=False,
        meaning="What runs of these pipelines have published starts it: runs that succeeded, or failed only because of rejected files beside good ones. It starts once none of them is under way, one run for all of it, and after `arrivals.follow_minutes` in any case.",
    ),
    Key(
        name="schedule",
        type=str,
        form=f'"{EXAMPLE}"',
        required=False,
        meaning="The clock starts it: `cron(minutes hours day-of-month month day-of-week year)` or `rate(n unit)` of EventBridge Scheduler, each time once. Environments may switch schedules off; `lake run` starts it by hand.",
    ),
    Key(
        name="time_zone",
        type=str,
        form="Europe/Berlin",
        required=False,
        meaning="IANA time zone of the schedule; UTC if left out. A time that a change of clocks leaves out is left out, one that comes twice starts one run.",
    ),
)
"""Keys of a trigger, of which exactly one of `TRIGGERS` stands."""

TRIGGERS = ("arrival", "after", "schedule")
"""What can start a pipeline."""

STEP_KEYS = (
    Key(
        name="name", type=str, form="name", required=False, meaning="Name of the step, unique in the pipeline; that of the job if left out."
    ),
    Key(name="job", type=str, form="ingest, refine or publish", required=True, meaning="What it does."),
    Key(name="writes", type=str, form="<zone>.<domain>.<dataset>", required=True, meaning="Dataset that it writes."),
    Key(
        name="reads",
        type=list,
        form="[<zone>.<domain>.<dataset>, …]",
        required=False,
        meaning="Datasets that the transform reads, in silver or gold; publish only, the other jobs imply theirs.",
    ),
    Key(
        name="transform",
        type=str,
        form="<domain>.<function>",
        required=False,
        meaning="Function of `jobs/transforms/<domain>.py`; publish only.",
    ),
    Key(
        name="engine",
        type=str,
        form="glue, emr-serverless or emr",
        required=False,
        meaning="Where it runs, with the same tables every way; glue if left out.",
    ),
)
"""Keys of a step."""

LOAD_KEYS = (
    Key(name="load", type=str, form="redshift", required=True, meaning="Warehouse that receives it."),
    Key(
        name="reads",
        type=str,
        form="gold.<domain>.<dataset>",
        required=True,
        meaning="Gold dataset whose table in the warehouse becomes the same: rows come, change and leave in one transaction.",
    ),
    Key(name="name", type=str, form="name", required=False, meaning="Name of the step, unique in the pipeline; load if left out."),
)
"""Keys of a step that loads; such steps follow the jobs."""

WAREHOUSES = ("redshift",)
"""Warehouses of this version."""

JOBS: Mapping[str, str] = {
    "ingest": "Reads the files of the run's manifest, or the table of a database that the contract names, and appends the records to bronze. First step of a pipeline; files need an arrival, a database a schedule (or other pipelines) to start it.",
    "refine": "Merges the new bronze records into silver and sends bad ones to quarantine. Comes after the ingest of the same dataset; it reads bronze, and the tables that the contract's relationships name.",
    "publish": "Computes a gold table by a transform over silver or gold tables.",
}
"""Jobs of this version, and what each does."""

ENGINES = ("emr", "emr-serverless", "glue")
"""Engines of this version."""

ZONE_OF_JOB: Mapping[str, str] = {"ingest": "bronze", "refine": "silver", "publish": "gold"}
"""Zone that each job writes."""

NOT_YET: Mapping[str, Mapping[str, str]] = {
    "trigger": {
        "stream": "use arrival: streams come in a later version",
    },
    "step": {},
    "load": {},
    "engine": {
        "athena": "write engine: glue",
        "lambda": "write engine: glue",
    },
    "job": {},
}
"""Words of the design that this version does not run, each with the way out."""
