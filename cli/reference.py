"""docs/cli.md, written from the code: `python -m cli.reference` renews it, a test compares it."""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Literal

import typer

from cli import check_results, cost_results, erase_results, results, row_results, statement_results, stop_results
from cli.errors import EXIT_CODES
from cli.main import app
from cli.permissions import PERMISSIONS
from cli.reasons import REASON_CODES
from cli.session import ROOT

PAGE = ROOT / "docs" / "cli.md"
"""The page."""

SHAPES: dict[str, type] = {
    "run": results.Runs,
    "stop": stop_results.Stopped,
    "runs": results.Runs,
    "show": results.RunDetail,
    "sql": results.QueryResult,
    "quarantine": results.Quarantine,
    "erase": erase_results.Erasure,
    "status": results.Status,
    "check": check_results.Checks,
    "costs": cost_results.Costs,
    "tables": results.Tables,
    "rows list": row_results.GroupRows,
    "statements list": statement_results.Statements,
    "statements show": statement_results.StatementDetail,
}
"""What each verb with `--json` prints."""

OF_DAYS: dict[str, type] = {"run": results.Backfill}
"""What a verb with `--json` prints if it is given days."""

_INTRODUCTION = """# `lake`, the command line

<!-- Written by `python -m cli.reference`; do not edit. -->

The same verbs work against the laptop (`--env local`, the default) and against AWS. Data goes to standard output, progress and errors to standard error.
Except for `up` and `deploy`, which act as you, every verb acts as the environment's operator role, so IAM is asked for each call.
These verbs, flags, exit codes and JSON shapes are a stable interface: keys are added, never renamed or removed.
"""

_EXAMPLES = """## The usual round

```console
$ lake up
$ lake deploy
$ lake drop tpch.orders orders-1998-08-01.csv --date 1998-08-01
$ lake wait
$ lake runs
$ lake sql "SELECT count(*) FROM silver_tpch.orders"
$ lake quarantine tpch.orders
$ lake down
```

`RUN` may be a whole id, the beginning of one, or `latest`. `LAKE_DEBUG=1` shows the stack trace behind an error.
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, _EXAMPLES, *_verbs(), _exit_codes(), *_shapes(), *_reasons(), _permissions()]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _verbs() -> Iterator[str]:
    yield "## Verbs\n"
    for name, command in commands(typer.main.get_command(app)):
        arguments = [parameter for parameter in command.params if parameter.name != "help"]
        places = [_placeholder(parameter) for parameter in arguments if parameter.param_type_name == "argument"]
        lines = [f"### `lake {' '.join([name, *places])}`", "", f"{command.help}", "", "| argument | default | meaning |", "|---|---|---|"]
        for parameter in arguments:
            shown = _placeholder(parameter) if parameter.param_type_name == "argument" else _option(parameter)
            default = "required" if parameter.required else _default(parameter)
            lines.append(f"| `{shown}` | {default} | {parameter.help} |")
        if name in SHAPES:
            lines += ["", f"With `--json`: [{SHAPES[name].__name__}](#{SHAPES[name].__name__.lower()})."]
        if name in OF_DAYS:
            lines[-1] += f" With days as well: [{OF_DAYS[name].__name__}](#{OF_DAYS[name].__name__.lower()})."
        yield "\n".join(lines) + "\n"


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb with its words, those of a verb with verbs of its own one by one."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _placeholder(parameter: Any) -> str:
    return str(parameter.metavar)


def _option(parameter: Any) -> str:
    return f"{parameter.opts[0]} {parameter.metavar}" if parameter.metavar else str(parameter.opts[0])


def _default(parameter: Any) -> str:
    if parameter.default is None or parameter.default is False:
        return ""
    number = parameter.default
    return f"`{number:g}`" if isinstance(number, float) else f"`{number}`"


def _exit_codes() -> str:
    return _table("## Exit codes", ("code", "meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items()))


def _shapes() -> Iterator[str]:
    yield "## JSON shapes\n\nTimes are texts, ISO 8601 in UTC. A key is always there; what may be missing is null.\n"
    seen: list[type] = []
    for shape in (*SHAPES.values(), *OF_DAYS.values()):
        _collect(shape, seen)
    for shape in seen:
        meanings = meanings_of(shape)
        summary = (inspect.getdoc(shape) or "").split("\n")[0]
        hints = typing.get_type_hints(shape)
        rows = ((f"`{entry.name}`", _type(hints[entry.name]), meanings[entry.name]) for entry in fields(shape))
        yield _table(f"### {shape.__name__}\n\n{summary}", ("key", "type", "meaning"), rows)


def _collect(shape: Any, seen: list[type]) -> None:
    """Every dataclass that a type holds, outermost first."""
    if is_dataclass(shape) and isinstance(shape, type):
        if shape not in seen:
            seen.append(shape)
            for hint in typing.get_type_hints(shape).values():
                _collect(hint, seen)
        return
    for argument in typing.get_args(shape):
        _collect(argument, seen)


def meanings_of(shape: type) -> dict[str, str]:
    """Meaning of each field of a dataclass, from the Attributes of its docstring."""
    text = (inspect.getdoc(shape) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if start := re.match(r"    (\w+): (.*)", line):
            name = start[1]
            found[name] = start[2]
        elif line.strip():
            found[name] += f" {line.strip()}"
    return found


def _type(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        parts = [_type(argument) for argument in arguments if argument is not types.NoneType]
        return " or ".join([*dict.fromkeys(parts), *(["null"] if types.NoneType in arguments else [])])
    if origin is list:
        return f"array of ({_type(arguments[0])})" if " or " in _type(arguments[0]) else f"array of {_type(arguments[0])}"
    if origin is dict:
        return f"object of {_type(arguments[1])} by name"
    if origin is Literal:
        return "string"
    if isinstance(hint, type) and is_dataclass(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return {str: "string", int: "integer", float: "number", bool: "boolean"}[hint]


def _reasons() -> Iterator[str]:
    yield "## Reason codes\n\nWhy a row is in quarantine, a file was not loaded, a run did not succeed.\n"
    for scope, title in (("row", "Rows in quarantine"), ("file", "Files"), ("run", "Runs")):
        rows = ((f"`{reason.code}`", reason.outcome, reason.meaning, reason.remedy) for reason in REASON_CODES if reason.scope == scope)
        yield _table(f"### {title}", ("code", "outcome", "meaning", "what to do"), rows)


def _permissions() -> str:
    title = "## What the operator role may do\n\nNothing else is granted; a test compares this list with the deployed role."
    return _table(title, ("verb", "action", "on"), ((entry.verb, f"`{entry.action}`", entry.on) for entry in PERMISSIONS))


def _table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(columns)
    lines = [title, "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} written\n")


if __name__ == "__main__":
    main()
