"""Pages with generated parts: between `<!-- generated: NAME -->` and `<!-- end -->` stands what the code says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.golden import assert_golden

PART = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def assert_generated(page: Path, sections: Mapping[str, str]) -> None:
    """The generated parts of a page are what the code says, and each stands once."""
    text = page.read_text(encoding="utf-8")
    assert sorted(PART.findall(text)) == sorted(sections)
    assert_golden(page, PART.sub(lambda found: f"<!-- generated: {found[1]} -->\n{sections[found[1]].strip()}\n<!-- end -->", text))
