"""What the command line remembers outlives crashes and full disks."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from cli.errors import CommandError
from cli.remembered import append_line, read_document, read_lines, write_document


def test_lines_are_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "drops.jsonl"
    assert read_lines(path) == []
    for number in range(3):
        append_line(path, {"n": number, "text": "ü\u2028x"})
    assert [line["n"] for line in read_lines(path)] == [0, 1, 2]


@pytest.mark.parametrize("cut", [b'{"n": 2', b"{", b'{"text": "\xc3', b'{"n": 2}'])
def test_a_line_that_was_cut_short_is_no_matter_and_the_next_one_is_whole(tmp_path: Path, cut: bytes) -> None:
    path = tmp_path / "drops.jsonl"
    path.write_bytes(b'{"n": 1}\n' + cut)
    assert read_lines(path) == [{"n": 1}]
    append_line(path, {"n": 3})
    assert read_lines(path) == [{"n": 1}, {"n": 3}]


def test_a_line_in_the_middle_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "drops.jsonl"
    path.write_bytes(b'{"n": 1}\nx\n{"n": 2}\n')
    with pytest.raises(CommandError, match=r"line 2 of .*drops\.jsonl is no JSON.*Delete that line"):
        read_lines(path)


@pytest.mark.parametrize("spoiled", [b"", b'{"drops": 3, "newest', b"[]", b"\xff"])
def test_a_document_that_is_spoiled_counts_as_missing(tmp_path: Path, spoiled: bytes) -> None:
    path = tmp_path / "wait.json"
    assert read_document(path) is None
    path.write_bytes(spoiled)
    assert read_document(path) is None
    write_document(path, {"drops": 4})
    assert read_document(path) == {"drops": 4}


def test_a_document_is_written_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wait.json"
    write_document(path, {"drops": 1})

    def full(self: Path, data: str, **_: Any) -> int:
        with self.open("w") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CommandError, match=r"cannot write .*wait\.json.*No space left on device"):
        write_document(path, {"drops": 2})
    assert read_document(path) == {"drops": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["wait.json"]


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for use in (append_line, write_document):
        with pytest.raises(CommandError, match="where `lake` remembers what it did"):
            use(tmp_path / "file" / "x", {})
