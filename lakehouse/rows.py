"""Rows of a group: each says which table of a database becomes which table of bronze, and is a pipeline of its own that nobody deploys.

Items of the control table: partition `pk` = `rows#<group>`, sort `sk` = name of the row, the keys of `KEYS` beside `changed_at`. Whoever reads an item
parses it again: the table can be written by other hands than `lake rows`.

Actions on the control table: dynamodb:GetItem (get), Query (all), PutItem (put), UpdateItem (set_active).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from lakehouse.clock import Clock, duration_seconds, to_text, utc_now
from lakehouse.errors import RunFailed, TerminalError
from lakehouse.run_ids import child_run_id
from lakehouse.state_table import Item, StateTable

PARTITION = "rows#"
"""Begin of the partition of a group's rows."""

MAX_ROWS = 200
"""Most active rows of a group. The history of its execution holds 25,000 events: 200 rows that all fail twice take 6,400, and waiting for another run may have taken 16,200."""

MAX_KEYS = 16
MAX_PRIORITY = 1000
DEFAULT_PRIORITY = 100
MAX_TEXT = 500
MAX_NAME = 40

ROW_INVALID = "row_invalid"
"""Reason of a row that cannot be run as it stands."""

TOO_MANY_ROWS = "too_many_rows"
"""Reason of a group with more active rows than one execution can run."""

KEYS: Mapping[str, tuple[str, str]] = {
    "row": (
        "name",
        f"Name of the row, up to {MAX_NAME} lower-case letters, digits and underscores; its runs are those of the pipeline `<group>.<row>`.",
    ),
    "table": ("<schema>.<table>", "Table or view of the source database."),
    "keys": ("[column, …]", "Columns that identify a row of the table."),
    "mode": ("full or incremental", "`full` looks at every row each time and finds deletes, `incremental` at what the watermark says."),
    "watermark": ("column", "Column that tells what changed: a timestamp, a date or an integer; incremental only."),
    "overlap": ("PT15M, P1D or a number", "How far below the mark the next run begins; incremental only."),
    "target": ("name", "Table in bronze of the group's domain; the name of the row if left out."),
    "active": ("true or false", "Whether the row is run; true if left out."),
    "priority": (f"0-{MAX_PRIORITY}", f"Rows with a smaller one are begun first; {DEFAULT_PRIORITY} if left out."),
    "owner": ("team", "Team that answers for it."),
    "description": ("text", "Sentence for people."),
}
"""Keys of a row: how the value is written, and what it says."""

REQUIRED = ("row", "table", "keys", "mode")
"""Keys that every row has."""

_OF_THE_ITEM = ("pk", "sk", "changed_at")
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_NAME - 1}}}")
_TARGET = re.compile(r"[a-z][a-z0-9_]{0,63}")
_IDENTIFIER_BYTES = 63
_FAULT_BYTES = 300

Mode = Literal["full", "incremental"]


@dataclass(frozen=True, kw_only=True)
class RowFault:
    """One thing that is wrong in a row.

    Attributes:
        key: Key at fault, or "" if the row as a whole is meant.
        problem: What is wrong.
        fix: What to write instead.
    """

    key: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}: {self.fix}" if self.key else f"{self.problem}: {self.fix}"


class InvalidRowError(TerminalError):
    """A row that cannot be run as it stands.

    Attributes:
        faults: All that is wrong with it.
    """

    def __init__(self, faults: Iterable[RowFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row that was found sound.

    Attributes:
        row: Its name.
        schema: Schema of the source table.
        table: The source table or view.
        keys: Columns that identify a row of the table.
        mode: `full` or `incremental`.
        watermark: Column that tells what changed; None if the mode is full.
        overlap: Seconds or units below the mark, as written: an ISO 8601 duration, or a whole number; None if the mode is full.
        target: Table in bronze of the group's domain.
        active: Whether it is run.
        priority: Smaller ones are begun first.
        owner: Team that answers for it, or "".
        description: Sentence for people, or "".
    """

    row: str
    schema: str
    table: str
    keys: tuple[str, ...]
    mode: Mode
    watermark: str | None
    overlap: str | int | None
    target: str
    active: bool = True
    priority: int = DEFAULT_PRIORITY
    owner: str = ""
    description: str = ""

    @property
    def source(self) -> str:
        """The source table as the row writes it."""
        return f"{self.schema}.{self.table}"

    def to_document(self) -> dict[str, Any]:
        """The row with the keys of `KEYS`, as a person could have written it."""
        document = {**asdict(self), "table": self.source, "keys": list(self.keys)}
        del document["schema"]
        return {name: value for name, value in document.items() if value is not None and value != ""}


def parse_row(given: Mapping[str, Any]) -> Row:
    """Read a row as somebody wrote it, into a file or into the control table.

    Raises:
        InvalidRowError: It cannot be run as it stands; it names everything that is wrong.
    """
    faults: list[RowFault] = []

    def fault(key: str, problem: str, fix: str) -> None:
        faults.append(RowFault(key=key, problem=problem, fix=fix))

    for key in given:
        if key not in KEYS and key not in _OF_THE_ITEM:
            fault(str(key), "is not a key of a row", f"use {', '.join(KEYS)}")
    for key in REQUIRED:
        if given.get(key) is None:
            fault(key, "is missing", f"add {key}: {KEYS[key][0]}")
    name = given.get("row")
    if name is not None and not _matches(_NAME, name):
        fault("row", f"{_shown(name)} is not a name", f"use up to {MAX_NAME} lower-case letters, digits and underscores, a letter first")
    schema, table = _table(given.get("table"), fault)
    mode = given.get("mode")
    if mode is not None and mode not in ("full", "incremental"):
        fault("mode", f"{_shown(mode)} is not a mode", "write full or incremental")
    _check_target(given, fault)
    active, priority = given.get("active", True), given.get("priority", DEFAULT_PRIORITY)
    if not isinstance(active, bool):
        fault("active", f"{_shown(active)} is neither true nor false", "write true or false")
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= MAX_PRIORITY:
        fault("priority", f"{_shown(priority)} is not a priority", f"write a whole number from 0 to {MAX_PRIORITY}")
    for key in ("owner", "description"):
        text = given.get(key, "")
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            fault(key, f"{_shown(text)} is not a text of up to {MAX_TEXT} characters", "write a short one")
    keys = _keys(given.get("keys"), fault)
    watermark, overlap = _watermark(given, mode, fault)
    if faults:
        raise InvalidRowError(faults)
    return Row(
        row=str(name),
        schema=schema,
        table=table,
        keys=keys,
        mode=cast("Mode", mode),
        watermark=watermark,
        overlap=overlap,
        target=given.get("target", name),
        active=active,
        priority=priority,
        owner=given.get("owner", ""),
        description=given.get("description", ""),
    )


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """A row that a run of its group deals with.

    Attributes:
        row: Its name.
        run_id: Id of the row's own run, the same however often the group's run is asked.
        fault: Why it cannot be run, or "".
    """

    row: str
    run_id: str
    fault: str = ""


def plan(items: Iterable[Mapping[str, Any]], *, run_id: str) -> list[PlannedRow]:
    """Rows that a run of a group deals with, in the order in which they are begun: the active ones, and those that cannot be read.

    Args:
        items: Items of the control table.
        run_id: Run of the group.

    Raises:
        RunFailed: There are too many of them.
    """
    sound: list[Row] = []
    broken: dict[str, str] = {}
    for item in items:
        if item.get("active") is False:
            continue
        name = str(item.get("sk", ""))
        try:
            row = parse_row(item)
            if row.row != name:
                raise InvalidRowError([RowFault(key="row", problem=f"is {row.row}, but lies under {name}", fix="put it again")])
            sound.append(row)
        except InvalidRowError as error:
            broken[name] = str(error)
    sound.sort(key=lambda row: (row.priority, row.row))
    writers: dict[str, str] = {}
    for row in sound:
        if row.target in writers:
            broken[row.row] = (
                f"target: row {writers[row.target]} of the same group writes {row.target} already: give each row a table of its own"
            )
        writers.setdefault(row.target, row.row)
    # What cannot be run costs nothing and is told first.
    names = [*sorted(broken), *(row.row for row in sound if row.row not in broken)]
    if len(names) > MAX_ROWS:
        raise RunFailed(
            TOO_MANY_ROWS,
            f"the group has {len(names)} active rows, and one execution runs {MAX_ROWS} at most: spread them over several groups, or disable some",
        )
    return [PlannedRow(row=name, run_id=child_run_id(run_id, name), fault=_cut(broken.get(name, ""))) for name in names]


def pipeline_of(group: str, row: str) -> str:
    """Pipeline that runs of a row belong to; no spec can be called so."""
    return f"{group}.{row}"


class RowTable:
    """The rows of all groups, in the control table."""

    def __init__(self, *, client: Any, table: str, clock: Clock = utc_now) -> None:
        """
        Args:
            client: boto3 DynamoDB client.
            table: Name of the control table.
            clock: Gives the present moment.
        """
        self._table = StateTable(client=client, name=table)
        self._clock = clock

    def all(self, group: str) -> list[Item]:
        """Items of a group as they are, by name; all pages."""
        return list(self._table.query("#pk = :pk", {"pk": PARTITION + group}))

    def get(self, group: str, row: str) -> Item | None:
        """Item of a row as it is, or None."""
        return self._table.get({"pk": PARTITION + group, "sk": row})

    def put(self, group: str, row: Row) -> None:
        """Write a row, over an older one of that name."""
        self._table.put({"pk": PARTITION + group, "sk": row.row, **row.to_document(), "changed_at": to_text(self._clock())})

    def set_active(self, group: str, row: str, *, is_active: bool) -> bool:
        """Switch a row on or off; False if there is none of that name."""
        return self._table.update(
            {"pk": PARTITION + group, "sk": row},
            changes={"active": is_active, "changed_at": to_text(self._clock())},
            condition="attribute_exists(#sk)",
        )


def _table(value: Any, fault: Any) -> tuple[str, str]:
    if value is None:
        return "", ""
    schema, dot, table = value.partition(".") if isinstance(value, str) else ("", "", "")
    if not dot or "." in table or not _is_identifier(schema) or not _is_identifier(table):
        fault("table", f"{_shown(value)} is not a table", "write <schema>.<table> as the database has them, such as public.customers")
    return schema, table


def _check_target(given: Mapping[str, Any], fault: Any) -> None:
    target = given.get("target")
    if target is None:
        if "target" in given:
            fault("target", "is empty", "write the name of a table, or leave it out")
    elif isinstance(target, str) and "." in target:
        fault(
            "target",
            f"{target!r} names more than a table, but rows write bronze of their group's domain only",
            "write the name of the table alone",
        )
    elif not _matches(_TARGET, target):
        fault(
            "target",
            f"{_shown(target)} is not the name of a table",
            "use up to 64 lower-case letters, digits and underscores, a letter first",
        )


def _keys(value: Any, fault: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    names = cast("list[Any]", value) if isinstance(value, list) else []
    if not 1 <= len(names) <= MAX_KEYS or not all(_is_identifier(name) for name in names) or len(set(names)) != len(names):
        fault("keys", f"{_shown(value)} is not a list of 1 to {MAX_KEYS} different columns", "write [customer_id]")
        return ()
    return tuple(names)


def _watermark(given: Mapping[str, Any], mode: Any, fault: Any) -> tuple[str | None, str | int | None]:
    watermark, overlap = given.get("watermark"), given.get("overlap")
    if mode == "full":
        for key, value in (("watermark", watermark), ("overlap", overlap)):
            if value is not None:
                fault(key, "has no meaning where every row is looked at", "remove it, or write mode: incremental")
        return None, None
    if mode != "incremental":
        return None, None
    if not _is_identifier(watermark):
        fault("watermark", f"{_shown(watermark)} is not a column", "name the column that tells what changed, such as updated_at")
    is_number = isinstance(overlap, int) and not isinstance(overlap, bool) and overlap >= 0
    if not is_number and duration_seconds(overlap) is None:
        fault(
            "overlap",
            f"{_shown(overlap)} is no overlap, and rows that are committed late would be lost",
            "write PT15M for a timestamp, P1D for a date, a whole number for an integer; as long as the longest transaction that writes the table",
        )
    return watermark, overlap


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_identifier(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value.encode()) <= _IDENTIFIER_BYTES


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _cut(text: str) -> str:
    """What a text begins with: the state of an execution holds all of them."""
    return text if len(text.encode()) <= _FAULT_BYTES else text.encode()[: _FAULT_BYTES - 3].decode(errors="ignore") + "…"
