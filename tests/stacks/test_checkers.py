"""What other people's checkers say of our templates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.stacks.conftest import Assembly


def test_cfn_lint_finds_nothing(prod: Assembly) -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "-t", *map(str, sorted(prod.folder.glob("*.template.json")))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == ""
    assert result.returncode == 0
