import ast
import csv
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("constructs_lib/**/README.md")])


@cache
def functions(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_row_of_the_coverage_names_tests_that_exist_and_what_is_missing() -> None:
    with (ROOT / "docs" / "coverage.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    for row in rows:
        assert row["status"] in {"done", "partly", "left out"}, row
        assert bool(row["missing"]) is (row["status"] != "done"), row
        assert bool(row["proof"]) is (row["status"] != "left out"), row
        for proof in row["proof"].split():
            path, _, name = proof.partition("::")
            assert name in functions(ROOT / path), row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


def test_the_readme_names_every_folder_of_the_checkout() -> None:
    text = (ROOT / "README.md").read_text()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"config", "contracts", "pipelines", "queries", "docs", "tests"}
    assert [name for name in sorted(packages) if f"`{name}/`" not in text] == []


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z]+):", text, re.MULTILINE)
    assert targets
    assert [name for name in targets if not re.search(rf"^{name}:.*## [A-Z]", text, re.MULTILINE)] == []


def test_ci_runs_the_same_command_as_a_person() -> None:
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()
