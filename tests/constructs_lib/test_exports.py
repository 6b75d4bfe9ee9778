"""What the packages of the domains export, and that each is explained."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import constructs_lib

FOLDER = Path(constructs_lib.__file__).parent
DOMAINS = sorted(path.parent.name for path in FOLDER.glob("*/__init__.py"))


@pytest.mark.parametrize("domain", DOMAINS)
def test_exports_are_sorted_and_exist(domain: str) -> None:
    module = importlib.import_module(f"constructs_lib.{domain}")
    exported = module.__all__
    constants = [name for name in exported if name.isupper()]
    classes = [name for name in exported if name[0].isupper() and not name.isupper()]
    functions = [name for name in exported if name.islower()]
    assert exported == [*sorted(constants), *sorted(classes), *sorted(functions)]
    assert all(hasattr(module, name) for name in exported)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_construct_has_a_section_in_its_readme(domain: str) -> None:
    module = importlib.import_module(f"constructs_lib.{domain}")
    readme = (FOLDER / domain / "README.md").read_text()
    constructs = [
        name
        for name in module.__all__
        if isinstance(getattr(module, name), type) and "scope" in str(getattr(module, name).__init__.__annotations__)
    ]
    assert constructs
    assert [name for name in constructs if f"## {name}" not in readme] == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_imports_neither_boto3_nor_pyspark(domain: str) -> None:
    code = f"import sys, constructs_lib.{domain}; sys.exit(bool({{'boto3', 'botocore', 'pyspark'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parent, check=False).returncode == 0
