"""Certificates of the laptop platform: an authority of its own, and the bundle that trusts it besides everything else."""

from __future__ import annotations

import datetime as dt
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi
import trustme
from cryptography import x509

HOSTS = ("localhost", "127.0.0.1", "*.localhost")
"""Names that the server's certificate is for."""

TRUST_VARIABLES = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""Environment variables by which a user may already have named authorities, of a company's proxy for example."""

_DAYS = 825
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Files of the platform's TLS.

    Attributes:
        authority: Our authority alone, for those who add it to what they trust.
        bundle: Everything the user trusted before, and our authority.
        certificate: The server's certificate chain.
        key: The server's private key.
    """

    authority: Path
    bundle: Path
    certificate: Path
    key: Path


def ensure(folder: Path, environment: Mapping[str, str]) -> Certificates:
    """Make the certificates once, and the bundle each time, since the user's own may have changed.

    Args:
        folder: Where they are kept.
        environment: The user's environment, which may name other authorities.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    files = Certificates(
        authority=folder / "authority.pem", bundle=folder / "bundle.pem", certificate=folder / "server.pem", key=folder / "server.key"
    )
    if not _usable(files):
        authority = trustme.CA(organization_name="lakehouse laptop platform")
        issued = authority.issue_cert(*HOSTS, not_after=dt.datetime.now(dt.UTC) + dt.timedelta(days=_DAYS))
        _write(files.key, issued.private_key_pem.bytes())
        _write(files.certificate, b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        _write(files.authority, authority.cert_pem.bytes())
    _write(files.bundle, _bundle(files.authority, environment))
    return files


def _usable(files: Certificates) -> bool:
    if not all(path.is_file() for path in (files.authority, files.certificate, files.key)):
        return False
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        ends = x509.load_pem_x509_certificate(files.certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return False
    return ends > dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


def _bundle(authority: Path, environment: Mapping[str, str]) -> bytes:
    """Every authority once: the files the user named, else the usual ones, and ours."""
    named = [Path(environment[name]) for name in TRUST_VARIABLES if environment.get(name)]
    replaces_default = any(environment.get(name) for name in TRUST_VARIABLES if name != "NODE_EXTRA_CA_CERTS")
    sources = [*named, *([] if replaces_default else [Path(certifi.where())]), authority]
    found: dict[bytes, None] = {}
    for source in sources:
        if source.is_file():
            found.update(dict.fromkeys(_CERTIFICATE.findall(source.read_bytes())))
    return b"\n".join(found) + b"\n"


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    partial.replace(path)
