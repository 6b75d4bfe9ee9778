import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import installation
from tools.console import SetupError
from tools.packages import pip_install

SETUP = Path(installation.ROOT) / "tools" / "setup.py"


def checkout(folder: Path) -> Path:
    (folder / "requirements.txt").write_text("a==1")
    (folder / ".cache").mkdir()
    (folder / "made").touch()
    stamp = {"inputs": installation.inputs_hash(folder), "outputs": ["made"]}
    (folder / ".cache" / "setup.json").write_text(json.dumps(stamp))
    return folder


def test_a_second_set_up_does_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert installation.install([], root=checkout(tmp_path)) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("change", ["lock file", "output", "stamp"])
def test_set_up_runs_again_when_something_changed(tmp_path: Path, change: str) -> None:
    root = checkout(tmp_path)
    assert installation.is_current(root)
    match change:
        case "lock file":
            (root / "requirements.txt").write_text("a==2")
        case "output":
            (root / "made").unlink()
        case _:
            (root / ".cache" / "setup.json").write_text("{")
    assert not installation.is_current(root)


def test_an_old_python_is_one_sentence(tmp_path: Path) -> None:
    code = "import runpy, sys; sys.version_info = (3, 9, 1, 'final', 0); sys.argv = [sys.argv[1]]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(SETUP)], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("set-up: Python 3.11 or newer is needed, and ")
    assert done.stderr.count("\n") == 1


def test_the_entry_reads_on_pythons_older_than_the_project() -> None:
    compile(SETUP.read_text(), str(SETUP), "exec", flags=0, dont_inherit=True)
    source = SETUP.read_text()
    assert "from __future__" not in source
    assert ":=" not in source
    assert 'f"' not in source


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    requirements = f"nothing-that-exists==1 --hash=sha256:{'0' * 64}\n"
    nobody = ("--index-url", "http://127.0.0.1:9/simple", "--retries", "1", "--isolated")
    with pytest.raises(SetupError, match="packages could not be installed: the package registry cannot be reached"):
        pip_install(Path(sys.executable), root=tmp_path, requirements=requirements, label="packages", options=nobody)


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(installation.shutil, "disk_usage", lambda _: os.terminal_size((0, 0)) and type("Usage", (), {"free": 1e9})())
    assert installation.install([], root=tmp_path) == 1
    assert "5 GB of free disk are needed" in capfd.readouterr().err
