import hashlib
from pathlib import Path

import pytest

from tests.tools.conftest import FakeRepository
from tools.console import SetupError
from tools.download import download
from tools.repository import Repository


def fetch(maven: FakeRepository, to: Path, *, repository: Repository | None = None, sha256: str = "") -> None:
    expected = sha256 or hashlib.sha256(maven.content).hexdigest()
    download(
        "g/a/1/a-1.jar",
        repository=repository or maven.repository,
        sha256=expected,
        size=len(maven.content),
        to=to,
        attempts=2,
        pause_seconds=0,
    )


def test_an_interrupted_download_goes_on_where_it_stopped(maven: FakeRepository, tmp_path: Path) -> None:
    to = tmp_path / "a.partial"
    to.write_bytes(maven.content[:1000])
    fetch(maven, to)
    assert to.read_bytes() == maven.content
    assert [asked.get("Range") for asked in maven.asked] == ["bytes=1000-"]


def test_a_connection_that_breaks_is_taken_up_again_as_long_as_bytes_come(maven: FakeRepository, tmp_path: Path) -> None:
    maven.drops_after = [100_000, 100_000, 100_000, 100_000]
    fetch(maven, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == maven.content
    assert len(maven.asked) == 5


def test_a_server_without_ranges_starts_anew(maven: FakeRepository, tmp_path: Path) -> None:
    maven.honours_ranges = False
    (tmp_path / "a").write_bytes(b"x" * 1000)
    fetch(maven, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == maven.content


def test_a_passing_fault_of_the_server_is_tried_again(maven: FakeRepository, tmp_path: Path) -> None:
    maven.statuses = [503]
    fetch(maven, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == maven.content


def test_another_file_under_the_same_name_is_thrown_away_and_refused(maven: FakeRepository, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"is not the file that tools/maven\.lock names"):
        fetch(maven, tmp_path / "a", sha256="0" * 64)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("status", "sentence"), [(404, "does not have it"), (401, "check its `<server>` entry"), (407, "refuses access")])
def test_a_refusal_says_what_to_look_at(maven: FakeRepository, tmp_path: Path, status: int, sentence: str) -> None:
    maven.statuses = [status]
    with pytest.raises(SetupError, match=sentence):
        fetch(maven, tmp_path / "a")
    assert len(maven.asked) == 1


def test_no_network_is_one_sentence(maven: FakeRepository, tmp_path: Path) -> None:
    nobody = Repository(name="nobody", address="http://127.0.0.1:9")
    with pytest.raises(SetupError, match=r"nobody cannot be reached \(.*\); check the network"):
        fetch(maven, tmp_path / "a", repository=nobody)


def test_a_mirrors_credentials_are_sent(maven: FakeRepository, tmp_path: Path) -> None:
    fetch(maven, tmp_path / "a", repository=Repository(name="m", address=maven.address, username="u", password="p"))
    assert maven.asked[0]["Authorization"] == "Basic dTpw"
