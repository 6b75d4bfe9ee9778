"""The wheel as another team meets it: in an environment that has nothing but what the wheel declares."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from local.toolchain import Toolchain
from tools.wheel import build_wheel

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "another_team"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, to=tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment: the wheel unpacked, and links to the packages that it declares, theirs included."""
    folder = tmp_path_factory.mktemp("environment")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(packages)
    (metadata,) = packages.glob("lakehouse_constructs-*.dist-info")
    todo = list(importlib.metadata.Distribution.at(metadata).requires or [])
    seen: set[str] = set()
    while todo:
        requirement = Requirement(todo.pop())
        if requirement.name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(requirement.name)
        declared = importlib.metadata.distribution(requirement.name)
        assert declared.version in requirement.specifier, f"requirements.txt has {declared.version}, the wheel declares {requirement}"
        todo += declared.requires or []
        for top in {Path(file).parts[0] for file in declared.files or () if ".." not in Path(file).parts}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(declared.locate_file(top))))
    return folder / "bin" / "python"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of another team, with the example and folders of its own that are called as ours are."""
    shutil.copytree(EXAMPLE, tmp_path / "app")
    for name in ("jobs", "lambdas"):
        (tmp_path / "app" / name).mkdir()
        (tmp_path / "app" / name / "__init__.py").write_text("raise RuntimeError('another team')\n")
    return tmp_path / "app"


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "HOME": os.environ["HOME"], "JSII_NODE": str(Toolchain().node), "CDK_VALIDATION": "false"}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("JSII_RUNTIME")}
    return subprocess.run(
        [str(python), *arguments],
        cwd=cwd,
        env=environment | {"CDK_OUTDIR": str(cwd / "cdk.out")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_app_of_another_team_synths_from_the_wheel_alone(python: Path, elsewhere: Path) -> None:
    done = run(python, "app.py", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    template = json.loads((elsewhere / "cdk.out" / "weather.template.json").read_text())
    kinds = [resource["Type"] for resource in template["Resources"].values()]
    assert kinds.count("AWS::S3::Bucket") >= 7
    assert {"AWS::Glue::Job", "Custom::IcebergTable", "AWS::Lambda::Function"} <= set(kinds)
    bundles = list((elsewhere / "cdk.out").glob("asset.*.zip"))
    inside = {name for bundle in bundles for name in zipfile.ZipFile(bundle).namelist()}
    assert {"lambdas/iceberg_table/handler.py", "lakehouse/errors.py", "jobs/ingest.py", "aws_lambda_powertools/__init__.py"} <= inside
    assert not [name for name in inside if name.startswith("lakehouse/contracts/compiler")]
    for bundle in bundles:
        assert b"another team" not in zipfile.ZipFile(bundle).read("lakehouse/errors.py")


def test_nothing_of_the_checkout_is_reachable_from_the_wheel(python: Path, tmp_path: Path) -> None:
    code = "import constructs_lib, lakehouse, importlib.util as u; print(constructs_lib.__file__); print([u.find_spec(n) for n in ('cli', 'local', 'stacks', 'jobs', 'boto3', 'pyspark')])"
    done = run(python, "-c", code, cwd=tmp_path)
    where, found = done.stdout.splitlines()
    assert not where.startswith(str(ROOT))
    assert found == "[None, None, None, None, None, None]"


def test_the_same_sources_make_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    assert build_wheel(ROOT, to=tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_carries_types_and_licence_and_no_compiled_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"constructs_lib/py.typed", "lakehouse/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith(".pyc") or "__pycache__" in name]
