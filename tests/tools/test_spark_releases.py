"""A Spark beside Glue's is there whole or not at all, and knows when the lock files ask for another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools import spark_releases
from tools.console import SetupError
from tools.installation import ROOT
from tools.store import Store


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the lock file and nothing installed."""
    (tmp_path / "tools").mkdir()
    (tmp_path / ".cache").mkdir()
    shutil.copy(ROOT / "tools" / "spark40.txt", tmp_path / "tools")
    return tmp_path


def test_what_is_installed_is_what_the_lock_files_name(checkout: Path) -> None:
    assert not spark_releases.is_installed(checkout, "4.0")
    shutil.copytree(
        ROOT / ".cache" / "spark-4.0", checkout / ".cache" / "spark-4.0", symlinks=True, ignore=shutil.ignore_patterns("classes.*")
    )
    assert spark_releases.is_installed(checkout, "4.0")
    (checkout / "tools" / "spark40.txt").write_text("pyspark==4.0.3")
    assert not spark_releases.is_installed(checkout, "4.0")


def test_a_spark_is_prepared_for_fast_starts_once(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[str] = []
    archive = checkout / ".cache" / "spark-4.0" / "classes.jsa"

    def prepare(_: Path, series: str) -> bool:
        prepared.append(series)
        archive.touch()
        return True

    archive.parent.mkdir()
    monkeypatch.setattr(spark_releases, "ROOT", checkout)
    monkeypatch.setattr(spark_releases, "is_installed", lambda *_: True)
    monkeypatch.setattr(spark_releases, "prepare_spark", prepare)
    assert [spark_releases.main(), spark_releases.main()] == [0, 0]
    assert prepared == ["4.0"]


def test_an_archive_of_another_installation_is_gone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = checkout / ".cache" / "spark-4.0" / "classes.jsa"
    archive.parent.mkdir()
    archive.touch()
    monkeypatch.setattr(spark_releases, "pip_install", lambda *_, options, **__: Path(options[1]).mkdir())
    monkeypatch.setattr(spark_releases, "install_jars", lambda *_, **__: None)
    monkeypatch.setattr(spark_releases, "link", lambda *_: None)
    spark_releases.install(checkout, Store(folder=checkout / "store"), "4.0")
    assert not archive.exists()


def test_an_installation_that_failed_is_none(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(SetupError, match=r"Spark 4\.0 could not be installed: the package registry cannot be reached"):
        spark_releases.install(checkout, Store(folder=checkout / "store"), "4.0")
    assert not spark_releases.is_installed(checkout, "4.0")
    assert not (checkout / ".cache" / "spark-4.0" / "python").exists()
