"""The dirty drop: one file for each fault that data can have, and what must become of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

DIRTY_DAY = "1998-08-03"
"""Order date of every row of the dirty drop: the day after TPC-H's last, so no clean row is touched."""

_HEADER = "o_orderkey,o_custkey,o_orderstatus,o_totalprice,o_orderdate,o_orderpriority,o_clerk,o_shippriority,o_comment"

FIRST_KEY = 2_000_000_000
"""Order keys of the dirty drop begin here: no scale below 333 reaches them."""


@dataclass(frozen=True, kw_only=True)
class DirtyFile:
    """A file with one kind of fault.

    Attributes:
        name: File name.
        dataset: Contract id.
        fault: What is wrong with it, for people.
        content: Its bytes.
        outcome: What becomes of the file.
        reason: Why it is skipped or rejected; "" if it is loaded.
        rows_in: Records that enter bronze.
        silver: Rows that reach silver.
        superseded: Rows that give way to a newer or identical one of their key.
        reasons: Quarantined rows by reason code.
        warns: Whether the run warns.
        extra: Values that the contract does not know, by order key.
    """

    name: str
    dataset: str
    fault: str
    content: bytes
    outcome: Literal["loaded", "skipped", "rejected"] = "loaded"
    reason: str = ""
    rows_in: int = 0
    silver: int = 0
    superseded: int = 0
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    warns: bool = False
    extra: dict[int, dict[str, str]] = field(default_factory=dict[int, dict[str, str]])

    @property
    def quarantined(self) -> int:
        """Rows that go to quarantine."""
        return sum(self.reasons.values())


def _order(
    number: int,
    *,
    key: str | None = None,
    status: str = "O",
    price: str = "100.00",
    day: str = DIRTY_DAY,
    comment: str = "fine",
) -> str:
    """One line of orders; every argument that is left out is good."""
    order_key = str(FIRST_KEY + number) if key is None else key
    return f"{order_key},1,{status},{price},{day},5-LOW,Clerk#000000001,0,{comment}"


def _csv(*lines: str, header: str = _HEADER) -> bytes:
    return "".join(f"{line}\n" for line in (header, *lines)).encode()


DIRTY_FILES = (
    DirtyFile(
        name="null-keys.csv",
        dataset="tpch.orders",
        fault="two of three rows have no key",
        content=_csv(_order(1), _order(2, key=""), _order(3, key="")),
        rows_in=3,
        silver=1,
        reasons={"missing_value": 2},
    ),
    DirtyFile(
        name="impossible-dates.csv",
        dataset="tpch.orders",
        fault="the 30th of February, and a word where a date belongs",
        content=_csv(_order(10, day="1998-02-30"), _order(11), _order(12, day="yesterday")),
        rows_in=3,
        silver=1,
        reasons={"invalid_value": 2},
    ),
    DirtyFile(
        name="duplicate-keys.csv",
        dataset="tpch.orders",
        fault="a key twice with different content (the last row wins), another key twice with the same content",
        content=_csv(_order(20, price="1.00"), _order(20, price="2.00"), _order(21), _order(21), _order(22)),
        rows_in=5,
        silver=3,
        superseded=1,
        reasons={"duplicate_key": 1},
    ),
    DirtyFile(
        name="unknown-status.csv",
        dataset="tpch.orders",
        fault="a status that the contract does not know",
        content=_csv(_order(30, status="X"), _order(31, status="F")),
        rows_in=2,
        silver=1,
        reasons={"not_in_set": 1},
    ),
    DirtyFile(
        name="extra-column.csv",
        dataset="tpch.orders",
        fault="a column that the contract does not know: kept in _extra, with a warning",
        content=_csv(f"{_order(40)},call first", f"{_order(41)},ring twice", header=f"{_HEADER},o_note"),
        rows_in=2,
        silver=2,
        warns=True,
        extra={FIRST_KEY + 40: {"o_note": "call first"}, FIRST_KEY + 41: {"o_note": "ring twice"}},
    ),
    DirtyFile(
        name="missing-column.csv",
        dataset="tpch.orders",
        fault="the column o_totalprice is not there: the file is rejected and kept in raw",
        content=_csv(f"{FIRST_KEY + 50},1,O,{DIRTY_DAY},5-LOW,Clerk#000000001,0,no price", header=_HEADER.replace("o_totalprice,", "")),
        outcome="rejected",
        reason="missing_column",
    ),
    DirtyFile(
        name="empty.csv",
        dataset="tpch.orders",
        fault="no bytes at all",
        content=b"",
        outcome="skipped",
        reason="empty_file",
    ),
    DirtyFile(
        name="not-utf8.csv",
        dataset="tpch.orders",
        fault="a comment in Latin-1, which is not UTF-8",
        content=_csv(_order(60)) + _order(61, comment="na\u00efve").encode("latin-1") + b"\n" + _order(62).encode() + b"\n",
        rows_in=3,
        silver=2,
        reasons={"invalid_encoding": 1},
    ),
    DirtyFile(
        name="quoted-newline.csv",
        dataset="tpch.orders",
        fault="a comment of two lines, in quotes: nothing is wrong, it must stay one record",
        content=_csv(_order(70, comment='"first line\nsecond line, with a comma and a ""quote"""'), _order(71)),
        rows_in=2,
        silver=2,
    ),
    DirtyFile(
        name="header-only.csv",
        dataset="tpch.orders",
        fault="a header and no record",
        content=_csv(),
        outcome="skipped",
        reason="header_only",
    ),
)
"""Every case of the dirty drop; rows of different files share no key."""


def write_dirty_drop(folder: Path) -> tuple[tuple[DirtyFile, Path], ...]:
    """Write every dirty file into a folder.

    Returns:
        Each case with its path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = tuple((dirty, folder / dirty.name) for dirty in DIRTY_FILES)
    for dirty, path in written:
        path.write_bytes(dirty.content)
    return written


def expected_reasons(files: Iterable[DirtyFile] = DIRTY_FILES) -> dict[str, int]:
    """Quarantined rows by reason over several files."""
    total: dict[str, int] = {}
    for dirty in files:
        for reason, rows in dirty.reasons.items():
            total[reason] = total.get(reason, 0) + rows
    return total
