"""Arguments and options that several verbs of `lake` take, and the shape of verbs that have verbs of their own."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.output import JsonOutput, Output, TextOutput

Env = Annotated[str, typer.Option("--env", help="Environment: the name of a file in config/.", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run as `lake runs` prints it, the beginning of one, or `latest`.")]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Dataset, `<domain>.<dataset>`, such as `tpch.orders`.")]


class DefaultVerb(TyperGroup):
    """A verb with verbs of its own, one of which need not be written: `lake rows GROUP` is `lake rows list GROUP`."""

    default = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default in front of words that name no verb."""
        is_verb = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if is_verb else [self.default, *args])


def output(as_json: bool) -> Output:  # noqa: FBT001 - the flag itself
    """Where a verb shows what it found."""
    return JsonOutput() if as_json else TextOutput()
