import zipfile
from pathlib import Path

import pytest

from tools.bundle import EMR, LAMBDA, Target, unpack_wheels
from tools.console import SetupError


def wheel(folder: Path, name: str, *files: str) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as content:
        for file in files:
            content.writestr(file, file)
    return path


def test_a_pure_package_is_unpacked_without_its_installation_records(tmp_path: Path) -> None:
    pure = wheel(
        tmp_path, "a-1-py3-none-any.whl", "a/__init__.py", "a-1.dist-info/METADATA", "a-1.dist-info/RECORD", "a-1.data/scripts/a.py"
    )
    (tmp_path / "to" / "old").mkdir(parents=True)
    unpack_wheels([pure], to=tmp_path / "to", requirements="lambdas/requirements.txt", target=LAMBDA)
    assert sorted(path.relative_to(tmp_path / "to").as_posix() for path in (tmp_path / "to").rglob("*") if path.is_file()) == [
        "a-1.dist-info/METADATA",
        "a/__init__.py",
    ]


@pytest.mark.parametrize(
    ("target", "way_out"), [(LAMBDA, "Lambda layer.*--additional-python-modules"), (EMR, "image of your own")], ids=["Lambda", "EMR"]
)
@pytest.mark.parametrize(
    ("name", "file"), [("b-1-cp313-cp313-manylinux_2_28_x86_64.whl", "b/__init__.py"), ("b-1-py3-none-any.whl", "b/fast.so")]
)
def test_native_code_is_refused_with_the_way_out_and_changes_nothing(
    tmp_path: Path, name: str, file: str, target: Target, way_out: str
) -> None:
    (tmp_path / "to" / "old").mkdir(parents=True)
    with pytest.raises(SetupError, match=f"is a native wheel.*{way_out}"):
        unpack_wheels([wheel(tmp_path, name, file)], to=tmp_path / "to", requirements="jobs/requirements.txt", target=target)
    assert (tmp_path / "to" / "old").is_dir()
