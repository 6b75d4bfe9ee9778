"""What is trusted is what the user trusted before, and the platform."""

from __future__ import annotations

from pathlib import Path

import certifi
import trustme

from local.certificates import ensure


def count(path: Path) -> int:
    return path.read_bytes().count(b"BEGIN CERTIFICATE")


def test_the_users_own_authorities_stay_trusted(tmp_path: Path) -> None:
    company = tmp_path / "company.pem"
    company.write_bytes(trustme.CA().cert_pem.bytes())
    files = ensure(tmp_path / "tls", {"SSL_CERT_FILE": str(company)})
    assert count(files.bundle) == 2
    extra = ensure(tmp_path / "tls", {"NODE_EXTRA_CA_CERTS": str(company)})
    assert count(extra.bundle) == count(Path(certifi.where())) + 2


def test_certificates_are_made_once_and_a_bundle_in_a_bundle_does_not_grow(tmp_path: Path) -> None:
    first = ensure(tmp_path, {})
    authority, size = first.authority.read_bytes(), count(first.bundle)
    again = ensure(tmp_path, {"AWS_CA_BUNDLE": str(first.bundle), "SSL_CERT_FILE": str(first.bundle)})
    assert again.authority.read_bytes() == authority
    assert count(again.bundle) == size


def test_a_broken_key_is_replaced(tmp_path: Path) -> None:
    files = ensure(tmp_path, {})
    files.key.write_text("nonsense", encoding="utf-8")
    assert b"PRIVATE KEY" in ensure(tmp_path, {}).key.read_bytes()
    assert files.key.stat().st_mode & 0o077 == 0
