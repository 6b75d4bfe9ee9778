import io
import tarfile
from pathlib import Path

import pytest

from tools.console import SetupError
from tools.trino import unpack_trino


def archive(folder: Path, *, files: dict[str, str], links: dict[str, str]) -> Path:
    path = folder / "trino.tar.gz"
    with tarfile.open(path, "w:gz") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(f"trino-1/{name}")
            member.size = len(content)
            member.mode = 0o755 if name.startswith("bin/") else 0o644
            members.addfile(member, io.BytesIO(content.encode()))
        for name, target in links.items():
            member = tarfile.TarInfo(f"trino-1/{name}")
            member.type = tarfile.LNKTYPE
            member.linkname = f"trino-1/{target}"
            members.addfile(member)
    return path


def test_a_jar_that_is_stored_with_a_plugin_left_out_is_unpacked_all_the_same(tmp_path: Path) -> None:
    packed = archive(
        tmp_path,
        files={"bin/launcher": "run", "lib/a.jar": "a", "plugin/delta-lake/shared.jar": "shared", "plugin/kafka/k.jar": "k"},
        links={"plugin/iceberg/shared.jar": "plugin/delta-lake/shared.jar", "plugin/hive/shared.jar": "plugin/delta-lake/shared.jar"},
    )
    unpack_trino(packed, tmp_path / "to")
    found = {path.relative_to(tmp_path / "to").as_posix(): path.read_text() for path in (tmp_path / "to").rglob("*") if path.is_file()}
    assert found == {"bin/launcher": "run", "lib/a.jar": "a", "plugin/iceberg/shared.jar": "shared", "plugin/hive/shared.jar": "shared"}
    assert (tmp_path / "to" / "bin" / "launcher").stat().st_mode & 0o111


def test_an_archive_laid_out_differently_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="has no folder plugin/iceberg, plugin/hive"):
        unpack_trino(archive(tmp_path, files={"bin/launcher": "", "lib/a.jar": ""}, links={}), tmp_path / "to")
