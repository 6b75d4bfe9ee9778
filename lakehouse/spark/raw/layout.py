"""The columns of a file against those of the contract: what is missing, what is new, where each value stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.contracts.model import CompiledContract
from lakehouse.spark.raw.staging import Rejection


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Columns of a file, in its order.

    Attributes:
        columns: Names as the file has them; a column without a name is called after its place, `_3`.
    """

    columns: tuple[str, ...]

    def extras(self, contract: CompiledContract) -> tuple[str, ...]:
        """Columns that the contract does not know."""
        known = {column.name for column in contract.raw}
        return tuple(name for name in self.columns if name not in known)


def layout_of(names: Sequence[str], contract: CompiledContract, *, uri: str) -> Layout | Rejection:
    """The layout of a file with these columns, or why the file cannot be loaded."""
    source = contract.source
    if source is None:
        raise ValueError(f"{contract.id} has no source: only a transform writes it, no file is ingested for it")
    columns = tuple(name or f"_{place}" for place, name in enumerate(names, start=1))
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        return Rejection(
            reason="duplicate_column", message=f"{uri} has {_list(twice)} more than once: nobody can tell which value is meant"
        )
    missing = [name for name in contract.raw_columns if name not in columns]
    if missing and source.on_missing_column == "halt":
        return Rejection(
            reason="missing_column",
            message=f"{uri} lacks {_list(missing)}; it has {_list(columns)}. Deliver it with every column of {contract.id}, or set onMissingColumn to warn",
        )
    layout = Layout(columns=columns)
    extras = layout.extras(contract)
    if extras and source.on_extra_column == "halt":
        return Rejection(
            reason="extra_column",
            message=f"{uri} has {_list(extras)}, which {contract.id} does not know: add it, or set onExtraColumn to warn",
        )
    return layout


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
