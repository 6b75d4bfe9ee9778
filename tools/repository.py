"""Where Maven artifacts come from: the mirror in the user's Maven settings if there is one, else Maven Central as jgo knows it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from jgo.constants import MAVEN_CENTRAL_URL

from tools.console import SetupError

_VARIABLE = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A Maven repository.

    Attributes:
        name: What to call it in a message.
        address: Its address, without a slash at the end.
        username: User for basic authentication; empty for none.
        password: The user's password.
    """

    name: str
    address: str
    username: str = ""
    password: str = ""


def user_settings() -> Path:
    """Maven's settings file of this user; it need not exist."""
    return Path.home() / ".m2" / "settings.xml"


def find_repository(settings: Path, *, environment: Mapping[str, str] = os.environ) -> Repository:
    """Repository to fetch from.

    Args:
        settings: Maven's settings file; a `<mirror>` of `central`, `*` or `external:*` in it wins, with the credentials of the `<server>` of the same id.
        environment: Values of `${env.NAME}` in the settings.

    Raises:
        SetupError: The file is no XML, or the password is encrypted.
    """
    central = Repository(name="Maven Central", address=MAVEN_CENTRAL_URL.rstrip("/"))
    if not settings.is_file():
        return central
    try:
        root = ET.fromstring(settings.read_text(encoding="utf-8"))  # noqa: S314 (the user's own file)
    except ET.ParseError as error:
        raise SetupError(f"{settings} cannot be read as XML ({error}): mend it, or move it away") from error

    def text(element: ET.Element, tag: str) -> str:
        found = element.find(f"{{*}}{tag}")
        raw = (found.text or "").strip() if found is not None else ""
        return _VARIABLE.sub(lambda match: environment.get(match[1], ""), raw)

    for mirror in root.findall("{*}mirrors/{*}mirror"):
        if not mirrors_central(text(mirror, "mirrorOf")):
            continue
        identifier = text(mirror, "id")
        servers = [server for server in root.findall("{*}servers/{*}server") if text(server, "id") == identifier]
        username, password = (text(servers[0], "username"), text(servers[0], "password")) if servers else ("", "")
        if password.startswith("{") and password.endswith("}"):
            raise SetupError(
                f"the password of server `{identifier}` in {settings} is encrypted, which only Maven can read: give it as ${{env.NAME}}"
            )
        return Repository(
            name=f"the mirror `{identifier}` of your Maven settings",
            address=text(mirror, "url").rstrip("/"),
            username=username,
            password=password,
        )
    return central


def mirrors_central(mirror_of: str) -> bool:
    """Whether a `<mirrorOf>` pattern stands for Maven Central: `central`, `*` or `external:*`, unless `!central` takes it out."""
    parts = {part.strip() for part in mirror_of.split(",")}
    return "!central" not in parts and bool(parts & {"central", "*", "external:*"})
