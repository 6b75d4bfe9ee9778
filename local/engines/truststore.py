"""A PEM file of authorities as the PKCS12 store that Java reads."""

from __future__ import annotations

import warnings
from pathlib import Path

PASSWORD = "changeit"  # noqa: S105 - Java insists on one; the store holds public certificates
"""Password of the store."""


def write_trust_store(authorities: Path, store: Path) -> Path:
    """Write *store* with every certificate of *authorities*."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a user's bundle may hold old roots whose serial numbers are not to today's taste
        found = x509.load_pem_x509_certificates(authorities.read_bytes())
    named = [pkcs12.PKCS12Certificate(certificate, f"authority-{number}".encode()) for number, certificate in enumerate(found)]
    partial = store.with_suffix(".partial")
    partial.write_bytes(pkcs12.serialize_java_truststore(named, BestAvailableEncryption(PASSWORD.encode())))
    partial.replace(store)
    return store
