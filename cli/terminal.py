"""Text that a terminal shows and does not obey."""

from __future__ import annotations

import re

_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, but for tab and line feed: among them ESC and its one-byte kin, with which text could move the cursor or rename windows."""

_BYTES = re.compile(r"[\udc80-\udcff]")
"""How Python writes bytes that are not UTF-8, in file names for example."""


def visible(text: str) -> str:
    r"""Text with control characters, and bytes that are not UTF-8, as `\xNN`."""
    return _BYTES.sub(
        lambda match: f"\\x{ord(match.group()) - 0xDC00:02x}", _OBEYED.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
    )
