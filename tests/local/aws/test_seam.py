"""The adapter refuses to start on a MiniStack that nobody has read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.aws import seam


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "MINISTACK_VERSION", "0.0.1")
    with pytest.raises(seam.PinMismatch, match=r"is written for ministack 0\.0\.1, found 1\.5\.33"):
        seam.verify()


def test_a_changed_function_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pinned = seam.fingerprints() | {"services.s3._put_object": "0" * 16}
    pins = tmp_path / "pins.json"
    pins.write_text(json.dumps(pinned), encoding="utf-8")
    monkeypatch.setattr(seam, "PINS", pins)
    with pytest.raises(seam.PinMismatch, match=r"services\.s3\._put_object.*python -m local\.aws\.pins"):
        seam.verify()
