"""Code that is deployed: what is in it, and what its hash depends on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from constructs_lib import packaging
from constructs_lib.checks import InvalidProps
from constructs_lib.packaging import function_bundle, job_bundle
from stacks.synthesis import ROOT


def inside(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_functions_carry_their_handlers_the_library_and_powertools() -> None:
    files = inside(function_bundle().path)
    assert {f"lambdas/{name}/handler.py" for name in ("arrival_starter", "iceberg_table", "notifier", "run_recorder")} <= files
    assert "lakehouse/audit.py" in files
    assert "aws_lambda_powertools/__init__.py" in files


def test_functions_carry_nothing_of_spark_nor_of_authoring() -> None:
    files = inside(function_bundle().path)
    assert not [
        name for name in files if name.startswith(("lakehouse/spark/", "lakehouse/contracts/compiler/", "lakehouse/pipelines/", "jobs/"))
    ]
    assert not any(file.startswith("lakehouse/environments/") for file in files)


def test_functions_do_not_carry_what_only_jobs_use_and_jobs_do() -> None:
    for inside_library in ("lakehouse/objects/store.py", "lakehouse/job_runs.py"):
        assert inside_library not in inside(function_bundle().path)
        assert inside_library in inside(job_bundle().path)


def test_jobs_carry_their_transforms_and_nothing_of_authoring() -> None:
    files = inside(job_bundle().path)
    assert any(name.startswith("jobs/transforms/") for name in files)
    assert any(name.startswith("lakehouse/spark/") for name in files)
    assert not [name for name in files if name.startswith(("lakehouse/contracts/compiler/", "lakehouse/pipelines/", "lambdas/"))]


def test_jobs_carry_the_certificates_that_they_trust_databases_by(tmp_path: Path) -> None:
    (tmp_path / "code.zip").write_bytes(job_bundle().path.read_bytes())
    # As lakehouse.spark.source_session finds them.
    code = "from importlib import resources; print([e.name for e in resources.files('lakehouse').iterdir() if e.name.endswith('-ca-bundle.pem')])"
    environment = {"PYTHONPATH": str(tmp_path / "code.zip")}
    result = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['rds-ca-bundle.pem']"


def test_bundles_hold_no_bytecode_and_no_clock() -> None:
    for bundle in (function_bundle(), job_bundle()):
        with zipfile.ZipFile(bundle.path) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert not [entry.filename for entry in archive.infolist() if entry.filename.endswith(".pyc")]
            assert archive.namelist() == sorted(archive.namelist())


def test_the_hash_follows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("2")
    first = packaging._zip("x", {"a.py": tmp_path / "a.py", "b.py": tmp_path / "b.py"})
    assert packaging._zip("x", {"b.py": tmp_path / "b.py", "a.py": tmp_path / "a.py"}).content_hash == first.content_hash
    assert packaging._zip("x", {"a.py": tmp_path / "b.py", "b.py": tmp_path / "a.py"}).content_hash != first.content_hash
    assert packaging._zip("x", {"c.py": tmp_path / "a.py", "b.py": tmp_path / "b.py"}).content_hash != first.content_hash


def test_a_native_library_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "fast.so").write_bytes(b"\x7fELF")
    with pytest.raises(InvalidProps, match="additional-python-modules"):
        packaging._zip("x", {"fast.so": tmp_path / "fast.so"})


def test_functions_are_not_packed_without_the_packages_that_they_import(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidProps, match="run `make setup`"):
            packaging._packages(folder, of="functions")


def test_what_jobs_bring_to_emr_is_unpacked_there_and_imported_by_any_of_its_pythons(tmp_path: Path) -> None:
    """The library of AWS reads its data from files, which no zip on the path gives it."""
    with zipfile.ZipFile(packaging.job_packages().path) as archive:
        archive.extractall(tmp_path / "packages")
    (tmp_path / "code.zip").write_bytes(packaging.job_bundle().path.read_bytes())
    code = "import boto3, lakehouse.audit, sys; boto3.client('dynamodb', region_name='us-east-1'); print(boto3.__file__)"
    environment = {"PYTHONPATH": os.pathsep.join((str(tmp_path / "code.zip"), "packages")), "HOME": str(tmp_path)}
    result = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "packages/boto3" in result.stdout
    assert packaging.job_packages().content_hash != packaging.job_bundle().content_hash


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [Path(sys.executable).with_name("hatchling"), "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_another_team_s_app_synths_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    example = ROOT / "docs" / "examples" / "another_team"
    environment = {**os.environ, "PYTHONPATH": str(wheel), "CDK_OUTDIR": str(tmp_path / "out"), "PYTHONSAFEPATH": "1"}
    result = subprocess.run(
        [sys.executable, str(example / "app.py")], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    resources = json.loads((tmp_path / "out" / "weather.template.json").read_text())["Resources"].values()
    kinds = {resource["Type"] for resource in resources}
    assert {"AWS::S3::Bucket", "AWS::KMS::Key", "Custom::IcebergTable", "AWS::Glue::Job", "AWS::Lambda::Function"} <= kinds


def test_another_team_s_app_is_short() -> None:
    code = (ROOT / "docs" / "examples" / "another_team" / "app.py").read_text().partition("HERE =")[2]
    assert len([line for line in code.splitlines()[1:] if line.strip()]) <= 20


def test_the_wheel_shadows_nobody_s_packages(wheel: Path) -> None:
    assert {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")} == {"constructs_lib", "lakehouse"}
