"""The verbs of `lake`: each reads its arguments, calls one function and shows what that returns."""

from __future__ import annotations

import os
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import DONE, FAILED, CommandError, WrongUseError, explain
from cli.options import AsJson, Dataset, Env, RunId, output
from cli.output import TextOutput
from cli.progress import Progress
from cli.results import Waited
from cli.row_verbs import rows_app
from cli.session import open_session, project_root
from cli.statement_verbs import statements_app
from cli.terminal import visible
from lakehouse.errors import LakehouseError

DEFAULT_TIMEOUT_SECONDS = 1800.0
"""How long `lake wait` waits unless told otherwise."""

_INTERRUPTED = 130
"""What typer ends with after Ctrl-C; ours are the codes of `cli.errors`."""


class SqlEngine(StrEnum):
    """Engines that `lake sql` asks."""

    athena = "athena"
    redshift = "redshift"


app = typer.Typer(
    name="lake",
    help="Run the lakehouse platform: on this laptop (`--env local`, the default) or in AWS, with the same verbs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(rows_app, name="rows")
app.add_typer(statements_app, name="statements")


@app.command()
def up(env: Env = "local") -> None:
    """Start the laptop platform and bootstrap it for the CDK."""
    from cli.platform import up as start

    with Progress("starting the platform") as progress:
        done = start(project_root(), env=env, progress=progress)
    TextOutput().show(done)


@app.command()
def deploy(env: Env = "local") -> None:
    """Synthesize the environment and deploy every stack with the CDK."""
    from cli.deploy import deploy as run

    with Progress(f"deploying {env}") as progress:
        done = run(project_root(), env=env, progress=progress)
    TextOutput().show(done)


@app.command()
def drop(
    dataset: Dataset,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to put, in this order.")],
    date: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Day of the raw folder; today in UTC if left out."),
    ] = None,
    env: Env = "local",
) -> None:
    """Put files into the raw zone, as a producer would."""
    from cli.drops import drop as put

    session = open_session(env)
    with Progress(f"dropping {len(files)} of {dataset}") as progress:
        dropped = put(session, dataset=dataset, files=files, day=None if date is None else date.date(), progress=progress)
    TextOutput().show(dropped)


@app.command()
def wait(
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", min=1, help="Longest to wait, in seconds.")] = DEFAULT_TIMEOUT_SECONDS,
    env: Env = "local",
) -> None:
    """Wait until every drop has ended and the queues are empty; exit code 1 if a run since the last wait failed."""
    from cli.waiting import wait as run

    session = open_session(env)
    with Progress(f"waiting for {env}") as progress:
        waited = run(session, timeout_seconds=timeout, progress=progress)
    TextOutput().show(waited)
    if waited.failed or waited.dead_letters:
        raise CommandError(_failures(waited, suffix=_suffix(env)))


@app.command(name="run")
def run_pipelines(  # noqa: PLR0917 - typer hands over each option by name
    pipelines: Annotated[list[str], typer.Argument(metavar="PIPELINE...", help="Pipelines; without days those that no file starts.")],
    date: Annotated[
        datetime | None,
        typer.Option(
            "--date", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="A day to run: its files again, or the date given to the run."
        ),
    ] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First of several days, run in order.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last of several days; 366 days at most.")
    ] = None,
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency", metavar="N", min=1, max=20, help="Pipelines whose days run side by side; one pipeline runs a day at a time."
        ),
    ] = 2,
    is_again: Annotated[bool, typer.Option("--again", help="Run days again that have succeeded for an earlier command.")] = False,  # noqa: FBT002
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", min=1, help="Longest to wait, in seconds.")] = DEFAULT_TIMEOUT_SECONDS,
    as_json: AsJson = False,  # noqa: FBT002
    env: Env = "local",
) -> None:
    """Start runs by hand, or run days again, and wait for their end; exit code 1 if one failed. A command that was interrupted goes on when it is repeated."""
    from cli.backfill import backfill, days_of
    from cli.run import run as start

    day, begin, end = (None if moment is None else moment.date() for moment in (date, first, last))
    days = days_of(day=day, first=begin, last=end, today=datetime.now(UTC).date())
    session = open_session(env)
    if not days:
        with Progress(f"starting {', '.join(pipelines)}") as progress:
            found = start(session, pipelines=pipelines, timeout_seconds=timeout, progress=progress)
        output(as_json).show(found)
        failed = [run.run_id for run in found.runs if run.status not in {"SUCCEEDED", "SKIPPED"}]
        if failed:
            raise CommandError(f"{len(failed)} of {len(found.runs)} runs failed: `lake show {failed[0]}{_suffix(env)}`")
        return
    with Progress(f"running {len(days)} days of {', '.join(pipelines)}") as progress:
        filled = backfill(
            session, pipelines=pipelines, days=days, concurrency=concurrency, is_again=is_again, timeout_seconds=timeout, progress=progress
        )
    output(as_json).show(filled)
    bad = [day for day in filled.days if day.outcome in {"FAILED", "TIMED_OUT", "RUNNING", "NOT_STARTED"}]
    if bad:
        shown = next((f": `lake show {day.run.run_id}{_suffix(env)}`" for day in bad if day.run), "")
        raise CommandError(
            f"{len(bad)} of {len(filled.days)} days failed or were not started{shown}; then repeat the command: it goes on there"
        )


@app.command()
def stop(run: RunId, as_json: AsJson = False, env: Env = "local") -> None:  # noqa: FBT002
    """Stop a run that is under way, with the job, query or cluster that it waits for; it ends as FAILED with the reason `aborted`, and says who stopped it."""
    from cli.stop import stop as end

    session = open_session(env)
    with Progress(f"stopping run {run}") as progress:
        stopped = end(session, run=run, progress=progress)
    output(as_json).show(stopped)


@app.command()
def runs(as_json: AsJson = False, env: Env = "local") -> None:  # noqa: FBT002 - typer's way to write a flag
    """List the newest runs."""
    from cli.runs import runs as newest

    output(as_json).show(newest(open_session(env)))


@app.command()
def show(run: RunId, as_json: AsJson = False, env: Env = "local") -> None:  # noqa: FBT002
    """Show the audit trail of a run."""
    from cli.runs import show as detail

    output(as_json).show(detail(open_session(env), run=run))


@app.command()
def logs(run: RunId, env: Env = "local") -> None:
    """Print what the steps of a run wrote to CloudWatch Logs."""
    from cli.logs import logs as read

    session, output = open_session(env), TextOutput()
    with Progress(f"looking for run {run}") as progress:
        steps = [(step, list(lines)) for step, lines in read(session, run=run, progress=progress)]
    for step, lines in steps:
        output.heading(f"{step.step}, attempt {step.attempt}: {step.status} ({step.log_group})")
        output.log_lines(lines)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One statement of the engine's SQL.")],
    engine: Annotated[SqlEngine, typer.Option(help="Athena over the lake, or Redshift over the warehouse.")] = SqlEngine.athena,
    as_json: AsJson = False,  # noqa: FBT002
    env: Env = "local",
) -> None:
    """Run a query in Athena or Redshift and print its rows; one that takes half an hour is cancelled."""
    if engine is SqlEngine.redshift:
        from cli.warehouse_sql import query_warehouse as run
    else:
        from cli.sql import query as run

    if not query.strip():
        raise WrongUseError("the query is empty: write one statement of the engine's SQL")
    session = open_session(env)
    with Progress("starting the query") as progress:
        result = run(session, statement=query, progress=progress)
    output(as_json).show(result)


@app.command()
def quarantine(dataset: Dataset, as_json: AsJson = False, env: Env = "local") -> None:  # noqa: FBT002
    """List the rows of a dataset in quarantine, with their reasons."""
    from cli.quarantine import quarantine as read

    session = open_session(env)
    with Progress(f"reading the quarantine of {dataset}") as progress:
        found = read(session, dataset=dataset, progress=progress)
    output(as_json).show(found)


@app.command()
def erase(  # noqa: PLR0917 - typer hands over each option by name
    dataset: Dataset,
    key: Annotated[
        list[str], typer.Argument(metavar="COLUMN=VALUE...", help="Values of key columns; rows that have all of them are meant.")
    ],
    is_sure: Annotated[bool, typer.Option("--yes", help="Erase; without it nothing is changed, and what would be is shown.")] = False,  # noqa: FBT002
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", min=1, help="Longest to wait, in seconds.")] = DEFAULT_TIMEOUT_SECONDS,
    as_json: AsJson = False,  # noqa: FBT002
    env: Env = "local",
) -> None:
    """Erase every copy of the rows with a key: from the tables of a dataset, their past and the raw files; ends well only when absence is verified. See docs/operating.md."""
    from cli.erase import ended_badly
    from cli.erase import erase as run

    session = open_session(env)
    with Progress(f"{'erasing from' if is_sure else 'looking through'} {dataset}") as progress:
        found = run(session, dataset=dataset, key=key, is_erasing=is_sure, timeout_seconds=timeout, progress=progress)
    output(as_json).show(found)
    if left := ended_badly(found):
        raise CommandError(left)


@app.command()
def check(
    datasets: Annotated[
        list[str] | None, typer.Argument(metavar="[DATASET...]", help="Datasets, `<domain>.<dataset>`; all of them if left out.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
    env: Env = "local",
) -> None:
    """Check by Athena that tables have rows, no NULL in a key, the freshness that their contract promises, and every key that bronze holds; exit code 1 if one does not."""
    from cli.check import check as judge

    session = open_session(env)
    with Progress(f"checking {env}") as progress:
        found = judge(session, datasets=datasets or (), progress=progress)
    output(as_json).show(found)
    failed = [one for one in found.checks if one.outcome == "FAILED"]
    if failed:
        raise CommandError(
            f"{len(failed)} of {len(found.checks)} checks failed: {', '.join(f'{one.check} of {one.table}' for one in failed)}"
        )


@app.command()
def tables(as_json: AsJson = False, env: Env = "local") -> None:  # noqa: FBT002
    """List the tables of the lake: rows, files, bytes, snapshots."""
    from cli.tables import tables as read

    session = open_session(env)
    with Progress(f"looking at {env}") as progress:
        found = read(session, progress=progress)
    output(as_json).show(found)


@app.command()
def costs(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day, UTC; seven days if left out.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day, UTC; today if left out.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
    env: Env = "local",
) -> None:
    """Tell what the runs of jobs took on Glue and EMR Serverless, what that costs, and which jobs have more workers than they use."""
    from cli.costs import costs as reckon
    from cli.costs import days_asked

    begin, end = (None if moment is None else moment.date() for moment in (first, last))
    begin, end = days_asked(first=begin, last=end, today=datetime.now(UTC).date())
    session = open_session(env)
    with Progress(f"looking at {env}") as progress:
        found = reckon(session, first=begin, last=end, progress=progress)
    output(as_json).show(found)


@app.command()
def status(as_json: AsJson = False, env: Env = "local") -> None:  # noqa: FBT002
    """Show what is deployed, what waits, what ran and what is alarmed."""
    from cli.status import status as read

    with Progress(f"looking at {env}"):
        found = read(project_root(), env=env)
    output(as_json).show(found)


@app.command()
def down(
    wipe: Annotated[bool, typer.Option("--wipe", help="Forget its state as well: tables, files, runs.")] = False,  # noqa: FBT002
    env: Env = "local",
) -> None:
    """Stop the laptop platform and everything it started."""
    from cli.platform import down as stop

    with Progress("stopping the platform") as progress:
        done = stop(project_root(), env=env, is_wiping=wipe, progress=progress)
    TextOutput().show(done)


def run(arguments: list[str], *, application: typer.Typer = app) -> int:
    """Run one command line.

    Args:
        arguments: Its words.
        application: What understands them.

    Returns:
        Its exit code.
    """
    try:
        typer.main.get_command(application)(args=arguments, prog_name=str(application.info.name))
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            return _fail("interrupted; what runs in the environment goes on: see `lake status`", code=FAILED)
        return end.code if isinstance(end.code, int) else FAILED
    except CommandError as error:
        return _fail(str(error), code=error.exit_code)
    except LakehouseError as error:
        return _fail(str(error), code=FAILED)
    except (ClientError, BotoCoreError) as error:
        return _fail(explain(error, env=_env_of(arguments)), code=FAILED)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, never a stack trace
        return _fail(
            f"this is a fault of `lake` itself: {type(error).__name__}: {error}\nRepeat it with LAKE_DEBUG=1 to see where",
            code=FAILED,
        )
    return DONE


def main() -> None:
    """Entry point of the `lake` script."""
    raise SystemExit(run(sys.argv[1:]))


def _fail(message: str, *, code: int) -> int:
    if os.environ.get("LAKE_DEBUG"):
        traceback.print_exc()
    sys.stderr.write(f"lake: {visible(message)}\n")
    return code


def _failures(waited: Waited, *, suffix: str) -> str:
    """What failed, each with the next command."""
    lines: list[str] = []
    for failed in waited.failed:
        lines += [
            f"run {failed.run_id} of {failed.pipeline} {failed.status}: {failed.reason}: {failed.message}",
            f"  next: lake show {failed.run_id}{suffix}",
        ]
    for queue, count in waited.dead_letters.items():
        lines += [f"{count} arrivals could not start a run and are in {queue}", f"  next: lake status{suffix}"]
    return "\n".join(lines)


def _suffix(env: str) -> str:
    return "" if env == "local" else f" --env {env}"


def _env_of(arguments: list[str]) -> str:
    for position, word in enumerate(arguments):
        if word == "--env" and position + 1 < len(arguments):
            return arguments[position + 1]
        if word.startswith("--env="):
            return word.removeprefix("--env=")
    return "local"


if __name__ == "__main__":
    main()
