"""Where databases are, who reads them, and what is never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakehouse.databases import (
    CredentialCache,
    Credentials,
    DatabaseAddress,
    InvalidAddressError,
    InvalidSecretError,
    address_text,
    is_aurora_writer,
    jdbc_url,
    read_credentials,
    tls_properties,
)

ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:shop-AbCdEf"


class Secrets:
    """A Secrets Manager that holds one secret and counts how often it is read."""

    def __init__(self, *values: Any) -> None:
        self.values, self.reads = list(values), 0

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - boto3's word
        assert SecretId == ARN
        self.reads += 1
        value = self.values[0] if len(self.values) == 1 else self.values.pop(0)
        return {"SecretString": value if isinstance(value, str) else json.dumps(value)}


class RefusedError(Exception):
    """The database does not take the password."""


@pytest.mark.parametrize("engine", ["postgres", "aurora-postgresql", "mysql", "aurora-mysql"])
def test_an_address_reads_as_it_was_written(engine: str) -> None:
    text = address_text(engine, host="reader.example.com", port=6000, dbname="shop")
    address = DatabaseAddress.parse(text, secret_arn=ARN)
    assert (address.engine, address.host, address.port, address.dbname) == (engine, "reader.example.com", 6000, "shop")
    assert str(address) == text


def test_each_engine_has_its_jdbc_url() -> None:
    assert DatabaseAddress.parse("postgres://a.b/shop", secret_arn=ARN).jdbc_url == "jdbc:postgresql://a.b:5432/shop"
    assert jdbc_url("aurora-postgresql", host="a", port=1, dbname="s") == "jdbc:postgresql://a:1/s"
    assert DatabaseAddress.parse("mysql://a.b/shop", secret_arn=ARN).jdbc_url == "jdbc:mysql://a.b:3306/shop"
    assert jdbc_url("aurora-mysql", host="a", port=1, dbname="s") == "jdbc:mysql://a:1/s"


@pytest.mark.parametrize(
    ("host", "is_writer"),
    [
        ("shop.cluster-c1a2b3.eu-west-1.rds.amazonaws.com", True),
        ("shop.cluster-ro-c1a2b3.eu-west-1.rds.amazonaws.com", False),
        ("etl.cluster-custom-c1a2b3.eu-west-1.rds.amazonaws.com", False),
        ("shop-1.c1a2b3.eu-west-1.rds.amazonaws.com", False),
    ],
)
def test_the_writer_of_an_aurora_cluster_is_known_by_its_name(host: str, *, is_writer: bool) -> None:
    assert is_aurora_writer(host) is is_writer


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_drivers_insist_on_tls_and_on_the_name_of_the_host(engine: str) -> None:
    properties = tls_properties(engine, roots="/roots")
    assert properties.get("sslmode", properties.get("sslMode")) in ("verify-full", "VERIFY_IDENTITY")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("oracle://a:1/b", "there is no engine 'oracle'"),
        ("postgres://me:secret@a:1/b", "no user and no password"),
        ("postgres://a:x/b", "port"),
        ("postgres://a:1/", "not the address"),
        ("postgres:///b", "not the address"),
        ("postgres://a:1/b?sslmode=disable", "not the address"),
        ("postgres://a:1/b;drop", "not the address"),
        ("", "there is no engine ''"),
    ],
)
def test_what_is_no_address_is_refused_with_the_form(text: str, word: str) -> None:
    with pytest.raises(InvalidAddressError, match=word) as raised:
        DatabaseAddress.parse(text, secret_arn=ARN)
    assert "postgres://reader.example.com:5432/shop" in str(raised.value)
    assert "secret@" not in str(raised.value)


def test_a_secret_that_rds_manages_is_enough_and_further_keys_do_not_matter() -> None:
    expected = Credentials(username="u", password="p")
    assert read_credentials(Secrets({"username": "u", "password": "p"}), ARN) == expected
    assert read_credentials(Secrets({"username": "u", "password": "p", "host": "h", "port": 5432, "engine": "postgres"}), ARN) == expected


@pytest.mark.parametrize("value", ["no json", "[]", '"text"', {}, {"username": "u"}, {"username": "u", "password": ""}, {"password": 1}])
def test_a_secret_without_credentials_is_refused_by_its_keys_not_its_values(value: Any) -> None:
    with pytest.raises(InvalidSecretError, match=r"(holds no JSON object|has no (username|password))") as raised:
        read_credentials(Secrets(value), ARN)
    assert "no json" not in str(raised.value)


def test_a_password_is_never_shown() -> None:
    assert "hunter2" not in f"{Credentials(username='u', password='hunter2')!r}"


def test_a_secret_is_read_once_in_its_time() -> None:
    now = [0.0]
    secrets = Secrets({"username": "u", "password": "old"}, {"username": "u", "password": "new"})
    cache = CredentialCache(secrets, seconds=10, clock=lambda: now[0])
    assert [cache.read(ARN).password, cache.read(ARN).password, secrets.reads] == ["old", "old", 1]
    now[0] = 10
    assert [cache.read(ARN).password, secrets.reads] == ["new", 2]


def test_a_rotated_password_is_read_anew_after_the_first_refusal() -> None:
    secrets = Secrets({"username": "u", "password": "old"}, {"username": "u", "password": "new"})
    cache = CredentialCache(secrets)

    def connect(credentials: Credentials) -> str:
        if credentials.password == "old":
            raise RefusedError
        return credentials.password

    assert cache.use(ARN, connect, is_auth_error=lambda error: isinstance(error, RefusedError)) == "new"
    assert secrets.reads == 2


def test_a_wrong_password_is_not_tried_twice() -> None:
    secrets, tries = Secrets({"username": "u", "password": "wrong"}), []

    def connect(credentials: Credentials) -> None:
        tries.append(credentials)
        raise RefusedError

    with pytest.raises(RefusedError):
        CredentialCache(secrets).use(ARN, connect, is_auth_error=lambda error: isinstance(error, RefusedError))
    assert len(tries) == 1


def test_a_failure_of_another_kind_leaves_the_secret_alone() -> None:
    secrets = Secrets({"username": "u", "password": "p"})

    def connect(_: Credentials) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        CredentialCache(secrets).use(ARN, connect, is_auth_error=lambda error: isinstance(error, RefusedError))
    assert secrets.reads == 1
