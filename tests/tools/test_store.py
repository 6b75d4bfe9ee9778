import threading
from pathlib import Path

import pytest

from tools.store import Store, default_folder, link


def test_two_checkouts_make_an_entry_once(tmp_path: Path) -> None:
    made: list[Path] = []
    inside = threading.Event()

    def make(to: Path) -> None:
        made.append(to)
        inside.set()
        to.write_text("whole")

    store = Store(folder=tmp_path)
    with store.lock("entry"):
        other = threading.Thread(target=lambda: store.entry("entry", make))
        other.start()
        assert not inside.wait(0.2)
    other.join()
    assert store.entry("entry", make).read_text() == "whole"
    assert len(made) == 1


def test_an_entry_that_failed_half_way_is_not_there_and_a_file_goes_on(tmp_path: Path) -> None:
    store = Store(folder=tmp_path)

    def stops(to: Path) -> None:
        to.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.entry("entry", stops)
    assert not (tmp_path / "entry").exists()

    def goes_on(to: Path) -> None:
        to.write_text(to.read_text() + " and whole")

    assert store.entry("entry", goes_on).read_text() == "half and whole"


def test_a_folder_that_failed_half_way_starts_empty(tmp_path: Path) -> None:
    (tmp_path / "entry.partial" / "old").mkdir(parents=True)

    def make(to: Path) -> None:
        to.mkdir()

    assert list(Store(folder=tmp_path).entry("entry", make).iterdir()) == []


def test_the_store_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "lakehouse"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_folder() == Path.home() / ".cache" / "lakehouse"


def test_a_link_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "at" / "old").mkdir(parents=True)
    (tmp_path / "new").write_text("new")
    link(tmp_path / "new", tmp_path / "at")
    link(tmp_path / "new", tmp_path / "at")
    assert (tmp_path / "at").read_text() == "new"
