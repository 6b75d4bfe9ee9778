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
        outcome: What became of it: quarantined (row), loaded, skipped or rejected (file), FAILED, TIMED_OUT, SKIPPED or RUNNING (run).
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


END_NOT_RECORDED = "end_not_recorded"
"""Code of a run that stands RUNNING though it must be over; `lake` finds it out, the audit does not hold it."""

_RESEND = "Correct the row at its source and drop it again in a new file."
_REPEAT = "repeat the run (docs/operating.md): the same bytes again would be `same_content`."
_RUN_AGAIN = "start the pipeline again: `lake run PIPELINE`, or wait for its schedule."
_DROP_ALL = "drop every file of the run again, those of its manifest, or repeat the run (docs/operating.md)."

REASON_CODES: tuple[ReasonCode, ...] = (
    _row("unparseable_record", "The record does not follow the format of the file: an open quote, broken JSON.", _RESEND),
    _row("invalid_encoding", "The record holds bytes that are not UTF-8.", "Have the producer write UTF-8 and drop the row again."),
    _row("column_count", "The record has more or fewer values than the header has columns.", _RESEND),
    _row("missing_value", "A required column or a part of the key is empty.", _RESEND),
    _row("invalid_value", "A value cannot be read as its type: an impossible date, a word for a number, too many digits.", _RESEND),
    _row(
        "not_in_set",
        "A value is none of those that the contract lists.",
        f"{_RESEND} Or add the value to the contract's `enum`, deploy and {_REPEAT}",
    ),
    _row(
        "pattern",
        "A text does not match the contract's pattern.",
        f"{_RESEND} Or correct the pattern in the contract, deploy and {_REPEAT}",
    ),
    _row(
        "out_of_range",
        "A number or date lies outside the contract's limits.",
        f"{_RESEND} Or correct the limits in the contract, deploy and {_REPEAT}",
    ),
    _row(
        "length",
        "A text is shorter or longer than the contract allows.",
        f"{_RESEND} Or correct the length in the contract, deploy and {_REPEAT}",
    ),
    _row(
        "rule",
        "A condition of the contract over several columns does not hold.",
        f"The row's `rule` names the condition. {_RESEND} Or correct the condition, deploy and {_REPEAT}",
    ),
    _row("duplicate_key", "Another row of the same file has the same key and other content; the last one won.", _RESEND),
    _skipped("empty_file", "The file has no bytes.", "Nothing, if the producer had nothing to say."),
    _skipped("header_only", "The file has a header and no record.", "Nothing, if the producer had nothing to say."),
    _skipped("marker_file", "A marker of the producer's tool, such as `_SUCCESS`.", "Nothing."),
    _skipped(
        "unknown_suffix", "The name ends in none of the dataset's formats.", "Drop it as .csv, .json or .parquet, with .gz if compressed."
    ),
    _skipped("outside_layout", "The key is not `<domain>/<dataset>/year=YYYY/month=MM/day=DD/<name>`.", "Drop it with `lake drop`."),
    _skipped(
        "same_content",
        "The same bytes have arrived before, under a name of the same format.",
        "Nothing: the first arrival was loaded, or will be. To judge it anew, repeat its run (docs/operating.md).",
    ),
    ReasonCode(
        code="extra_column",
        scope="file",
        outcome="loaded",
        meaning="A column that the contract does not know; its values are kept in `_extra`, the run warns.",
        remedy="Have the producer leave it out, or add the column to the contract; then files that come are read with it.",
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
        "`lake show RUN` lists the files and their reasons: correct those and drop them again; the others are loaded.",
    ),
    _failed(
        "quality_gate",
        "A rule over the table failed; nothing of the run is published.",
        f"`lake show RUN` lists the rules. Correct the data at its source and drop all files of the run anew, or correct the rule, deploy and {_DROP_ALL}",
    ),
    _failed(
        "too_many_quarantined",
        "More rows went to quarantine than the contract allows; nothing is published.",
        "`lake quarantine DATASET` shows the rows. Correct them at their source and drop all files of the run anew, or raise"
        f" `maxQuarantinePercent` in the contract, deploy and {_DROP_ALL}",
    ),
    _failed(
        "row_accounting",
        "Rows in are not silver + superseded + quarantined + deleted; a fault of the platform.",
        "Keep `lake logs RUN` and report it.",
    ),
    _failed(
        "access_denied",
        "A permission is missing; the message names role and action.",
        f"Undo the change to the role, or deploy anew; then {_DROP_ALL}",
    ),
    _failed(
        "source_unreachable",
        "The source database does not answer: its host, port, name or certificate; the message says what.",
        f"See that it runs and that the job's network reaches its reader, then {_RUN_AGAIN}",
    ),
    _failed(
        "source_denied",
        "The source database refuses the user, the password or the right to read.",
        f"Correct the secret of the connection, or grant SELECT to its user, then {_RUN_AGAIN}",
    ),
    _failed(
        "source_table_missing", "The source has no such table.", f"Bring it back, or correct the contract or the row, then {_RUN_AGAIN}"
    ),
    _failed(
        "source_column_missing",
        "A column that the contract reads, or that the table of a row has, is not in the source table.",
        f"Bring it back, or take it out of the contract; a row gets another target; then {_RUN_AGAIN}",
    ),
    _failed(
        "source_column_retyped",
        "The watermark or partition column has another type than the contract says (other columns go on as text), or a column of a row has another than before.",
        f"Correct the type in the source or in the contract; a row gets another target; then {_RUN_AGAIN}",
    ),
    _failed(
        "source_column_unknown",
        "The source table has a column that the contract does not know, and `onExtraColumn` is `halt`.",
        f"Add it to the contract, or set `onExtraColumn: warn`, then {_RUN_AGAIN}",
    ),
    _failed(
        "source_interrupted",
        "The source cut a read off: a standby that caught up, a failover, or a reader endpoint that leads to several instances.",
        "Nothing was appended. If it happens often, read from an instance endpoint, or let the standby wait longer (`max_standby_streaming_delay`);"
        f" then {_RUN_AGAIN}",
    ),
    _failed(
        "rows_failed",
        "Some rows of a group failed; the others are published.",
        "`lake show RUN` lists the rows with their own runs and reasons: mend those (`lake rows put GROUP FILE`), then `lake run GROUP`; the others change nothing.",
    ),
    _failed(
        "row_invalid",
        "A row of a group cannot be run as it stands: a key, its target, or names in its source; the message says which.",
        "Correct it with `lake rows put GROUP FILE`, then `lake run GROUP`.",
    ),
    _failed(
        "key_not_unique",
        "The keys of a row of a group do not identify a row of its source table; nothing was appended.",
        "Name columns that do with `lake rows put GROUP FILE`, then `lake run GROUP`.",
    ),
    _failed(
        "too_many_rows",
        "A group has more active rows than one execution can run; none was begun.",
        "Spread them over several groups, or `lake rows disable GROUP ROW` some.",
    ),
    _failed("no_rows", "A group has no active row.", "`lake rows put GROUP FILE` adds one.", outcome="SKIPPED"),
    _failed(
        "warehouse_unavailable",
        "The warehouse takes no statement: its cluster is paused or restarts, or it is not there; the message has its words.",
        f"Resume the cluster (`aws redshift resume-cluster --cluster-identifier NAME`), or wait for its hours, then {_RUN_AGAIN}",
    ),
    _failed("job_failed", "A step's job ended with an error.", f"`lake logs RUN` has it: mend that, then {_DROP_ALL}"),
    _failed(
        "timed_out",
        "A step or the run took longer than it may.",
        f"Raise `timeout_minutes` of the pipeline, or the workers, deploy and {_DROP_ALL}",
        outcome="TIMED_OUT",
    ),
    _failed("aborted", "Somebody stopped the execution.", f"When that is in order, {_DROP_ALL}"),
    _failed(
        END_NOT_RECORDED,
        "The run must be over, but the record of its end is lost: nobody knows what it did.",
        f"See how its execution ended (`lake show RUN` names it), then {_DROP_ALL}",
        outcome="RUNNING",
    ),
)
"""Every code there is, by scope, in the order in which they are looked for."""
