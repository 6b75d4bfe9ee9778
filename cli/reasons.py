"""Reason codes: why a row is in quarantine, a file was not loaded, a run did not succeed; and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["row", "file", "run"]


@dataclass(frozen=True, kw_only=True)
class ReasonCode:
    """A code that the audit, the quarantine and `lake` show.

    Attributes:
        code: The code; it never changes its meaning.
        scope: What it is about.
        outcome: What became of it: quarantined (row), loaded, skipped or rejected (file), FAILED, TIMED_OUT or SKIPPED (run).
        meaning: What was found.
        remedy: What to do.
    """

    code: str
    scope: Scope
    outcome: str
    meaning: str
    remedy: str


def _row(code: str, meaning: str, remedy: str) -> ReasonCode:
    return ReasonCode(code=code, scope="row", outcome="quarantined", meaning=meaning, remedy=remedy)


def _skipped(code: str, meaning: str, remedy: str) -> ReasonCode:
    return ReasonCode(code=code, scope="file", outcome="skipped", meaning=meaning, remedy=remedy)


def _rejected(code: str, meaning: str, remedy: str) -> ReasonCode:
    return ReasonCode(code=code, scope="file", outcome="rejected", meaning=meaning, remedy=remedy)


def _failed(code: str, meaning: str, remedy: str, *, outcome: str = "FAILED") -> ReasonCode:
    return ReasonCode(code=code, scope="run", outcome=outcome, meaning=meaning, remedy=remedy)


_RESEND = "Correct the row at its source and drop it again in a new file."

REASON_CODES: tuple[ReasonCode, ...] = (
    _row("unparseable_record", "The record does not follow the format of the file: an open quote, broken JSON.", _RESEND),
    _row("invalid_encoding", "The record holds bytes that are not UTF-8.", "Have the producer write UTF-8 and drop the row again."),
    _row("column_count", "The record has more or fewer values than the header has columns.", _RESEND),
    _row("missing_value", "A required column or a part of the key is empty.", _RESEND),
    _row("invalid_value", "A value cannot be read as its type: an impossible date, a word for a number, too many digits.", _RESEND),
    _row("not_in_set", "A value is none of those that the contract lists.", "Correct the row, or add the value to the contract's `enum`."),
    _row("pattern", "A text does not match the contract's pattern.", "Correct the row, or the pattern in the contract."),
    _row("out_of_range", "A number or date lies outside the contract's limits.", "Correct the row, or the limits in the contract."),
    _row("length", "A text is shorter or longer than the contract allows.", "Correct the row, or the length in the contract."),
    _row(
        "rule",
        "A condition of the contract over several columns does not hold.",
        "The row's `rule` names the condition: correct the row or it.",
    ),
    _row("duplicate_key", "Another row of the same file has the same key and other content; the last one won.", _RESEND),
    _skipped("empty_file", "The file has no bytes.", "Nothing, if the producer had nothing to say."),
    _skipped("header_only", "The file has a header and no record.", "Nothing, if the producer had nothing to say."),
    _skipped("marker_file", "A marker of the producer's tool, such as `_SUCCESS`.", "Nothing."),
    _skipped(
        "unknown_suffix", "The name ends in none of the dataset's formats.", "Drop it as .csv, .json or .parquet, with .gz if compressed."
    ),
    _skipped("outside_layout", "The key is not `<domain>/<dataset>/year=YYYY/month=MM/day=DD/<name>`.", "Drop it with `lake drop`."),
    _skipped("same_content", "The same bytes have arrived before.", "Nothing: the first arrival was loaded, or will be."),
    ReasonCode(
        code="extra_column",
        scope="file",
        outcome="loaded",
        meaning="A column that the contract does not know; its values are kept in `_extra`, the run warns.",
        remedy="Add the column to the contract, or have the producer leave it out.",
    ),
    _rejected(
        "missing_column", "A column that the contract reads is not in the file.", "Have the producer add it and drop the file again."
    ),
    _rejected(
        "unreadable_file",
        "The file is not what its name says: broken gzip, no Parquet, nested too deep.",
        "Correct the file and drop it again.",
    ),
    _rejected("duplicate_column", "The header names a column twice.", "Correct the header and drop the file again."),
    _rejected("object_gone", "The version of the object was deleted before it was read.", "Drop the file again."),
    _rejected("archived_object", "The object lies in an archive tier.", "Restore the object (the message names it), then drop it again."),
    _failed(
        "files_rejected",
        "A file was rejected; the good files of the run are published.",
        "`lake show RUN` lists the files and their reasons.",
    ),
    _failed(
        "quality_gate",
        "A rule over the table failed; nothing of the run is published.",
        "`lake show RUN` lists the rules; correct the data.",
    ),
    _failed(
        "too_many_quarantined",
        "More rows went to quarantine than the contract allows; nothing is published.",
        "`lake quarantine DATASET` shows the rows.",
    ),
    _failed(
        "row_accounting",
        "Rows in are not silver + superseded + quarantined; a fault of the platform.",
        "Keep `lake logs RUN` and report it.",
    ),
    _failed("access_denied", "A permission is missing; the message names role and action.", "Deploy anew, or undo the change to the role."),
    _failed("job_failed", "A step's job ended with an error.", "`lake logs RUN` has it; drop a file again to repeat the run."),
    _failed(
        "timed_out",
        "A step or the run took longer than it may.",
        "Raise `timeout_minutes` of the pipeline, or the workers.",
        outcome="TIMED_OUT",
    ),
    _failed("aborted", "Somebody stopped the execution.", "Drop a file again to repeat the run."),
)
"""Every code there is, by scope, in the order in which they are looked for."""
