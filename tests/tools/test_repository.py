from pathlib import Path

import pytest
from jgo.constants import MAVEN_CENTRAL_URL

from tools.console import SetupError
from tools.repository import find_repository, mirrors_central

MIRROR = """
<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">
  <servers><server><id>ours</id><username>me</username><password>{password}</password></server></servers>
  <mirrors><mirror><id>ours</id><mirrorOf>{of}</mirrorOf><url>https://example.invalid/maven/</url></mirror></mirrors>
</settings>
"""


def settings(folder: Path, *, of: str = "*", password: str = "${env.SECRET}") -> Path:
    file = folder / "settings.xml"
    file.write_text(MIRROR.format(of=of, password=password))
    return file


def test_without_settings_it_is_maven_central(tmp_path: Path) -> None:
    assert find_repository(tmp_path / "settings.xml").address == MAVEN_CENTRAL_URL


def test_a_mirror_of_the_users_settings_is_honoured_with_its_credentials(tmp_path: Path) -> None:
    found = find_repository(settings(tmp_path), environment={"SECRET": "s"})
    assert (found.address, found.username, found.password) == ("https://example.invalid/maven", "me", "s")


@pytest.mark.parametrize(
    ("pattern", "is_ours"),
    [
        ("*", True),
        ("central", True),
        ("external:*", True),
        ("a, central", True),
        ("*,!central", False),
        ("a", False),
        ("external:http:*", False),
    ],
)
def test_only_a_mirror_of_central_counts(pattern: str, is_ours: bool, tmp_path: Path) -> None:
    assert mirrors_central(pattern) is is_ours
    assert (find_repository(settings(tmp_path, of=pattern)).address != MAVEN_CENTRAL_URL) is is_ours


def test_an_encrypted_password_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"give it as \$\{env\.NAME\}"):
        find_repository(settings(tmp_path, password="{abc=}"))


def test_broken_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "settings.xml").write_text("<settings>")
    with pytest.raises(SetupError, match=r"settings\.xml cannot be read as XML"):
        find_repository(tmp_path / "settings.xml")
