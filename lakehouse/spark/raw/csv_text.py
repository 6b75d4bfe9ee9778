"""RFC 4180 in Spark expressions: where records end, and which values they hold.

A value that begins with a quote ends at the next quote that is not doubled, and blanks, a delimiter or the end must follow; a quote elsewhere in a value is an
ordinary character. All repetitions are possessive, so that no value, however long, exhausts the stack of Java's matcher.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.contracts.model import Source


def leaves_open(line: Column, source: Source) -> Column:
    """Whether a line that begins outside quotes ends inside a quoted value; the line holds a quote."""
    # Most lines are settled without the pattern: a last quote that follows text and ends its value can only be a closing one.
    tail = F.substring_index(line, source.quote, -1)
    before = F.substring(line, F.char_length(line) - F.char_length(tail) - 1, F.lit(1))
    ends_value = (tail == "") | F.startswith(tail, F.lit(source.delimiter))
    is_closing = F.is_valid_utf8(line) & ends_value & ~before.isin(source.quote, source.delimiter, "")
    return ~is_closing & line.rlike(_open_pattern(source))


def is_well_quoted(line: Column, source: Source) -> Column:
    """Whether quotes of a line stand around whole values only, every one of them closed on the line."""
    quote, delimiter = _escaped(source.quote), _escaped(source.delimiter)
    value = rf"(?:[^{quote}{delimiter}]*+|{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote})"
    return _has_at_most_one_quoted_value(line, source) | line.rlike(rf"(?s)\A(?:{value}{delimiter})*+{value}\r?\z")


def _has_at_most_one_quoted_value(line: Column, source: Source) -> Column:
    # Many lines quote one value, a text: one look from quote to quote settles them in half the time of the pattern.
    before, rest = _cut(line, source.quote)
    inside, tail = _cut(rest, source.quote)
    has_none = F.octet_length(before) == F.octet_length(line)
    begins = (before == "") | F.endswith(before, F.lit(source.delimiter))
    ends = (tail == "") | (tail == "\r") | (F.startswith(tail, F.lit(source.delimiter)) & ~F.contains(tail, F.lit(source.quote)))
    is_closed = F.octet_length(inside) < F.octet_length(rest)
    return has_none | (begins & is_closed & ends)


def _cut(text: Column, at: str) -> tuple[Column, Column]:
    """What stands before the first `at`, a character of one byte, and what after it."""
    before = F.substring_index(text, at, 1)
    # As bytes, whose places need no counting of characters.
    return before, F.substring(text.cast("binary"), F.octet_length(before) + 2, F.octet_length(text)).cast("string")


def _open_pattern(source: Source) -> str:
    quote, delimiter = _escaped(source.quote), _escaped(source.delimiter)
    value = rf"(?:{_quoted(quote)}|{_bare(quote, delimiter)})?"
    inside = rf"{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+"
    return rf"(?s)\A(?:{value}{delimiter})*+{inside}\z"


def quoted_cells(record: Column, source: Source) -> Column:
    """Values of a record with their quotes still on; NULL if a quote stands where none may."""
    quote, delimiter = _escaped(source.quote), _escaped(source.delimiter)
    pattern = rf"(?s)\G({_quoted(quote)}|{_bare(quote, delimiter)}|){delimiter}"
    cells = F.regexp_extract_all(F.concat(record, F.lit(source.delimiter)), F.lit(pattern), F.lit(1))
    return F.when(F.array_join(cells, source.delimiter) == record, cells)


def cell_value(cell: Column, source: Source) -> Column:
    """What a cell of `quoted_cells` says: without its quotes; NULL if it is the text for NULL and stands without quotes."""
    quote = source.quote
    closed = F.rtrim(cell)
    inner = F.substring(closed, F.lit(2), F.char_length(closed) - 2)
    plain = F.nullif(cell, F.lit(source.null_value))
    return F.when(F.startswith(cell, F.lit(quote)), F.replace(inner, F.lit(quote * 2), F.lit(quote))).otherwise(plain)


def parse_header(line: str, source: Source) -> tuple[str, ...] | None:
    """Column names of a header; None if its quotes are not closed or misplaced."""
    cells: list[str] = []
    position = 0
    while True:
        if line.startswith(source.quote, position):
            end = _closing_quote(line, position, source.quote)
            if end is None:
                return None
            cells.append(line[position + 1 : end].replace(source.quote * 2, source.quote).strip())
            position = end + 1
            if position < len(line) and line[position] != source.delimiter:
                return None
        else:
            end = line.find(source.delimiter, position)
            end = len(line) if end < 0 else end
            cells.append(line[position:end].strip())
            position = end
        if position >= len(line):
            return tuple(cells)
        position += 1


def _closing_quote(line: str, start: int, quote: str) -> int | None:
    position = line.find(quote, start + 1)
    while position >= 0 and line.startswith(quote * 2, position):
        position = line.find(quote, position + 2)
    return None if position < 0 else position


def _quoted(quote: str) -> str:
    return rf"{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}[ \t]*+"


def _bare(quote: str, delimiter: str) -> str:
    return rf"[^{quote}{delimiter}][^{delimiter}]*+"


def _escaped(character: str) -> str:
    return character if character.isalnum() else f"\\{character}"
