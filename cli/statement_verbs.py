"""`lake statements`: what the warehouse was told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.options import AsJson, DefaultVerb, Env, output
from cli.output import TextOutput
from cli.session import open_session


class StatementStatus(StrEnum):
    """How statements stand that `lake statements` lists."""

    running = "running"
    finished = "finished"
    failed = "failed"
    aborted = "aborted"


statements_app = typer.Typer(
    cls=DefaultVerb,
    help="See and cancel statements of the warehouse that the operator role ran in the last day, such as those of `lake sql --engine redshift`.",
    add_completion=False,
    rich_markup_mode="rich",
)

StatementId = Annotated[str, typer.Argument(metavar="STATEMENT", help="Id as `lake statements` prints it, or `latest`.")]


@statements_app.command(name=DefaultVerb.default)
def list_statements(
    standing: Annotated[
        StatementStatus | None,
        typer.Option("--status", help="Only those that stand so: running, finished, failed or aborted; all if left out."),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
    env: Env = "local",
) -> None:
    """List the newest statements; `lake statements` is the same. Those of loads are told by `lake show RUN`."""
    from cli.statements import statements

    output(as_json).show(statements(open_session(env), status=None if standing is None else standing.value))


@statements_app.command(name="show")
def show_statement(statement: StatementId, as_json: AsJson = False, env: Env = "local") -> None:  # noqa: FBT002
    """Show what became of a statement, and of each one of a batch."""
    from cli.statements import statement as detail

    output(as_json).show(detail(open_session(env), statement_id=statement))


@statements_app.command(name="cancel")
def cancel_statement(statement: StatementId, env: Env = "local") -> None:
    """Stop a statement; its transaction is undone. Exit code 1 if it does not run."""
    from cli.statements import cancel

    TextOutput().show(cancel(open_session(env), statement_id=statement))
