"""`lake rows`: the rows of groups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, DefaultVerb, Env, output
from cli.output import TextOutput
from cli.session import open_session

rows_app = typer.Typer(
    cls=DefaultVerb,
    help="See and change the rows of groups, each a pipeline that needs no deployment; `lake rows GROUP` lists those of a group.",
    add_completion=False,
    rich_markup_mode="rich",
)

Group = Annotated[str, typer.Argument(metavar="GROUP", help="Pipeline with `rows:` in its spec.")]
RowName = Annotated[str, typer.Argument(metavar="ROW", help="Name of a row.")]


@rows_app.command(name=DefaultVerb.default)
def list_rows(
    group: Annotated[
        str | None, typer.Argument(metavar="[GROUP]", help="Pipeline with `rows:` in its spec; all of them if left out.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
    env: Env = "local",
) -> None:
    """List the rows of groups; `lake rows [GROUP]` is the same."""
    from cli.rows import list_rows as read

    output(as_json).show(read(open_session(env), group=group))


@rows_app.command(name="put")
def put_rows(
    group: Group,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="YAML with `rows:`, a list of rows; those that are there are replaced, others stay.")
    ],
    env: Env = "local",
) -> None:
    """Write rows of a group; nothing is written unless all of them are sound."""
    from cli.rows import put_rows as put

    TextOutput().show(put(open_session(env), group=group, file=file))


@rows_app.command(name="enable")
def enable_row(group: Group, row: RowName, env: Env = "local") -> None:
    """Switch a row on."""
    from cli.rows import switch_row

    TextOutput().show(switch_row(open_session(env), group=group, row=row, is_active=True))


@rows_app.command(name="disable")
def disable_row(group: Group, row: RowName, env: Env = "local") -> None:
    """Switch a row off: the next run passes it over, its table stays."""
    from cli.rows import switch_row

    TextOutput().show(switch_row(open_session(env), group=group, row=row, is_active=False))
