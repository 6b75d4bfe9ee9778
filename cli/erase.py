"""`lake erase`: every row with a key leaves a dataset; without `--yes` it says what that would touch.

The key goes to the job in an object of its own, which the job deletes: arguments of jobs, queries and their logs are kept for months.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from cli.erase_results import ErasedFile, ErasedTable, Erasure
from cli.errors import CommandError, WrongUseError, nearest
from cli.progress import Progress
from cli.run import run
from cli.session import Session
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import KEEP_SNAPSHOTS_DAYS
from lakehouse.erasures import ErasureReport, ErasureRequest, ErasureStore, FileErasure, key_digest, pipeline_of, report_key
from lakehouse.leases import Leases
from lakehouse.naming import TABLE_ZONES, DatasetName
from lakehouse.pipelines.spec import Arrival, PipelineSpec
from lakehouse.run_ids import new_run_id

POLL_SECONDS = 2.0
"""Pause between two looks at the job."""

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"})
"""States of a Glue job run that is over."""

ZONES = ("bronze", "silver", "quarantine")


def erase(
    session: Session,
    *,
    dataset: str,
    key: Sequence[str],
    is_erasing: bool,
    timeout_seconds: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Erasure:
    """Look for the rows with a key; if that is asked for, erase them and have what follows from them computed anew.

    Args:
        session: Environment.
        dataset: Contract id.
        key: `COLUMN=VALUE`, of key columns; rows that have all these values are meant.
        is_erasing: Whether to erase; else nothing is changed.
        timeout_seconds: Longest to wait for each of the two.
        progress: Where to show what is under way.
        clock: Seconds that only go forward.
        sleep: Waits some seconds.

    Raises:
        WrongUseError: There is no such dataset, or the key is none of it.
        CommandError: A run is under way on its tables, no row has the key, the job refused or failed, or the time is over.
    """
    zone, _, rest = dataset.partition(".")
    contract = session.contract(rest if zone in TABLE_ZONES and "." in rest else dataset)
    request = ErasureRequest(
        run_id=new_run_id(),
        dataset=contract.id,
        key=key_of(contract, key),
        is_erasing=is_erasing,
        is_resumed=_is_resumed(session, contract, key_of(contract, key)),
        requested_by=str(session.client("sts").get_caller_identity()["Arn"]),
        ingests=tuple(spec.name for spec in session.pipelines if isinstance(spec.trigger, Arrival) and spec.trigger.dataset == contract.id),
    )
    if is_erasing:
        _require_quiet(session, contract)
    deadline = clock() + timeout_seconds
    store = ErasureStore(client=session.client("s3"), bucket=session.names.bucket("logs"))
    job, job_run = session.names.eraser(contract.domain), _start(session, contract, store.ask(request))
    while (state := session.client("glue").get_job_run(JobName=job, RunId=job_run)["JobRun"])["JobRunState"] not in ENDED:
        progress.update(f"{job} {state['JobRunState']}")
        if clock() >= deadline:
            raise CommandError(
                f"not finished after {timeout_seconds:.0f} s, job {job} goes on: see `lake runs --env {session.env}`; repeat the command when it has ended"
            )
        sleep(POLL_SECONDS)
    report = store.reported(contract.id, request.run_id)
    if report is None:
        raise CommandError(
            f"job {job} ended {state['JobRunState']} before it could tell anything: {state.get('ErrorMessage', '')}. Its run is {job_run}; "
            f"see the log group {session.names.log_group('jobs', f'erase-{contract.domain}')}/error, then repeat the command"
        )
    found = _shown(session, contract, report)
    if found.outcome in {"REFUSED", "NOT_FOUND"}:
        raise CommandError(found.message)
    if found.outcome == "ERASED":
        followers = [spec.name for spec in followers_of(session, contract) if not isinstance(spec.trigger, Arrival)]
        if followers:
            progress.update(f"running {', '.join(followers)}")
            again = run(session, pipelines=followers, timeout_seconds=timeout_seconds, progress=progress, clock=clock, sleep=sleep)
            found = replace(found, runs=again.runs)
    return found


def key_of(contract: CompiledContract, given: Sequence[str]) -> dict[str, str]:
    """The key that was written.

    Args:
        contract: Contract of the dataset.
        given: `COLUMN=VALUE`, each.

    Raises:
        WrongUseError: The dataset takes no erasure, or a word is no value of one of its key columns.
    """
    if contract.source is None:
        raise WrongUseError(
            f"{contract.id} is written by a transform: erase from the datasets that it reads; its pipeline is run again for that"
        )
    key: dict[str, str] = {}
    for word in given:
        name, separator, value = word.partition("=")
        if not separator or not value:
            raise WrongUseError(f"{word!r} is no value of a key column: write COLUMN=VALUE, such as {contract.keys[0]}=42")
        if name not in {column.name for column in contract.columns}:
            raise WrongUseError(f"{contract.id} has no column {name!r}: {nearest(name, contract.keys)}")
        if name not in contract.keys:
            keys = ", ".join(contract.keys)
            raise WrongUseError(
                f"{name} is no key column of {contract.id}, and rows are erased by their key only: {keys}. Look up the keys first, with `lake sql`"
            )
        if name in key:
            raise WrongUseError(f"{name} stands twice: erase one key at a time")
        key[name] = value
    if not key:
        raise WrongUseError(f"the key is missing: write one or more of {', '.join(f'{name}=VALUE' for name in contract.keys)}")
    return key


def followers_of(session: Session, contract: CompiledContract) -> list[PipelineSpec]:
    """Pipelines that compute gold tables from a dataset, or from what follows from it, those of which others read first."""
    changed = {DatasetName(zone="silver", domain=contract.domain, dataset=contract.dataset)}
    found: list[PipelineSpec] = []
    while True:
        new = [
            spec
            for spec in session.pipelines
            if spec not in found and any(step.job == "publish" and changed & set(step.reads) for step in spec.steps)
        ]
        if not new:
            return found
        found += new
        changed |= {step.writes for spec in new for step in spec.steps if step.job == "publish"}


def _is_resumed(session: Session, contract: CompiledContract, key: dict[str, str]) -> bool:
    """Whether the newest erasure of this key did not end well."""
    digest = key_digest(contract.id, key)
    runs = [record for record in session.audit.runs(pipeline=pipeline_of(contract.id), limit=None) if record.batch_id == digest]
    return bool(runs) and max(runs, key=lambda record: record.run_id).status != "SUCCEEDED"


def _require_quiet(session: Session, contract: CompiledContract) -> None:
    """
    Raises:
        CommandError: A run holds a table of the dataset.
    """
    leases = Leases(client=session.client("dynamodb"), table=session.names.run_table("control"))
    for zone in ZONES:
        table = DatasetName(zone=zone, domain=contract.domain, dataset=contract.dataset).table(session.names.database_prefix)
        holder = leases.holder(table)
        record = None if holder is None else session.audit.get_run(holder.run_id, pipeline=holder.pipeline)
        if holder is not None and (record is None or not record.is_ended):
            raise CommandError(
                f"run {holder.run_id} of {holder.pipeline} is under way on {table}: erase again when it has ended (`lake wait --env {session.env}`)"
            )


def _start(session: Session, contract: CompiledContract, request: str) -> str:
    glue = session.client("glue")
    try:
        return str(glue.start_job_run(JobName=session.names.eraser(contract.domain), Arguments={"--request": request})["JobRunId"])
    except glue.exceptions.ConcurrentRunsExceededException as busy:
        raise CommandError(
            f"another erasure in {contract.domain} is under way, and there is one at a time: see `lake runs --env {session.env}`, then repeat the command"
        ) from busy


def _shown(session: Session, contract: CompiledContract, report: ErasureReport) -> Erasure:
    return Erasure(
        env=session.env,
        dataset=report.dataset,
        run_id=report.run_id,
        key_columns=list(report.key_columns),
        key_sha256=report.key_sha256,
        outcome=report.outcome,
        message=report.message,
        tables=[
            ErasedTable(
                table=table.table,
                rows=table.rows,
                others=table.others,
                data_files=table.files,
                snapshots=table.snapshots,
                object_versions=table.versions,
                unreadable=table.unreadable,
                young=len(table.young),
            )
            for table in report.tables
        ],
        files=[_file(file) for file in report.files],
        unsearched=[_file(file) for file in report.unsearched],
        staged_versions=report.staged,
        elsewhere=list(_elsewhere(session, contract)),
        report=f"s3://{session.names.bucket('logs')}/{report_key(report.dataset, report.run_id)}",
    )


def _file(file: FileErasure) -> ErasedFile:
    return ErasedFile(file=file.uri, version_id=file.version, rows=file.rows, others=file.others, note=file.note)


def _elsewhere(session: Session, contract: CompiledContract) -> Iterator[str]:
    """Where the rows may be besides, each with when they go or whose task it is."""
    lifecycle = session.config.lifecycle
    for spec in followers_of(session, contract):
        how = "its next run" if isinstance(spec.trigger, Arrival) else f"a run of {spec.name}, which --yes starts,"
        for step in spec.steps:
            if step.job == "publish":
                yield (
                    f"{step.writes}: {how} computes it anew; its old snapshots expire after {KEEP_SNAPSHOTS_DAYS} days, their files "
                    f"{lifecycle.noncurrent_days} days later"
                )
        for load in spec.loads:
            yield f"Redshift, {load.reads}: the same run replaces the rows; snapshots of the warehouse keep them until they expire"
    yield (
        f"results of queries and UNLOADs: they expire after {lifecycle.query_results_expire_days} days, their noncurrent versions {lifecycle.noncurrent_days} days later"
    )
    if contract.database is not None:
        yield f"{contract.database.uri}: while the row is in the source, the next extraction brings it again; delete it there"
    else:
        yield "the producer: a new file that holds the row brings it again; have it forgotten there too"


def ended_badly(found: Erasure) -> str:
    """What is left to say of an erasure that is not whole, or whose followers failed; "" if all is well."""
    failed = [run.pipeline for run in found.runs if run.status not in {"SUCCEEDED", "SKIPPED"}]
    if found.outcome == "INCOMPLETE":
        return f"not everything is erased: {found.message}"
    if failed:
        return f"the rows are erased, but {', '.join(failed)} did not compute what follows from them: see `lake runs --env {found.env}`, then `lake run {' '.join(failed)} --env {found.env}`"
    return ""
