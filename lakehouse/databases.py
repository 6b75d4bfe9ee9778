"""Relational databases that data is read from: where one is, who reads it, and how its drivers are told to insist on TLS.

Where a database is (engine, host of its *reader*, port, name) is no secret: the deployment puts it into a job's arguments as one address,
`postgres://reader.example.com:5432/shop`. Who reads it is: jobs get the ARN of a Secrets Manager secret and read it when they connect. Of
the secret only `username` and `password` are used, the two keys that a secret managed by RDS holds; further keys (`host`, `port`, `dbname`,
`engine`, `replica_host`) may stand beside them.

Parameters of a connection, in Parameter Store: `/{project}/{env}/databases/<connection>-address` and `-secret-arn`.
Actions: secretsmanager:GetSecretValue on the secret, kms:Decrypt on its key.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from lakehouse.errors import TerminalError

ENGINES: Mapping[str, str] = {
    "postgres": "postgresql",
    "aurora-postgresql": "postgresql",
    "mysql": "mysql",
    "aurora-mysql": "mysql",
}
"""Engines by RDS's names, and the JDBC scheme of each."""

PORTS: Mapping[str, int] = {"postgresql": 5432, "mysql": 3306}
"""Usual ports by JDBC scheme."""

CREDENTIALS_SECONDS = 300
"""Time for which a secret that was read is used again; a rotated password is noticed sooner, by the first refusal."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]*")

_AURORA_WRITER = re.compile(r"\.cluster-(?!ro-|custom-)[a-z0-9]+\.", re.IGNORECASE)

_T = TypeVar("_T")


class InvalidAddressError(TerminalError):
    """What should be the address of a database is none."""


class InvalidSecretError(TerminalError):
    """A secret does not hold what a connection needs; the message names keys, never values."""


@dataclass(frozen=True, kw_only=True)
class DatabaseAddress:
    """Where a database is read, and the secret that opens it.

    Attributes:
        engine: One of `ENGINES`.
        host: Reader endpoint.
        port: Port.
        dbname: Database.
        secret_arn: ARN of the secret with `username` and `password`.
    """

    engine: str
    host: str
    port: int
    dbname: str
    secret_arn: str

    @classmethod
    def parse(cls, text: str, *, secret_arn: str) -> DatabaseAddress:
        """Read `postgres://reader.example.com:5432/shop`.

        Raises:
            InvalidAddressError: The text is malformed, names an engine that is not read, or holds a user or password.
        """
        form = "write <engine>://<reader host>:<port>/<database>, such as postgres://reader.example.com:5432/shop"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InvalidAddressError(f"the port of a database address is wrong ({error}): {form}") from error
        if "@" in parts.netloc:
            raise InvalidAddressError("a database address holds no user and no password, they belong into the secret: " + form)
        if parts.scheme not in ENGINES:
            raise InvalidAddressError(f"there is no engine {parts.scheme!r}, known are {', '.join(ENGINES)}: {form}")
        dbname = parts.path.removeprefix("/")
        if not _HOST.fullmatch(parts.hostname or "") or not _DATABASE.fullmatch(dbname) or parts.query or parts.fragment:
            raise InvalidAddressError(f"{text!r} is not the address of a database: {form}")
        return cls(
            engine=parts.scheme,
            host=str(parts.hostname),
            port=port if port is not None else PORTS[ENGINES[parts.scheme]],
            dbname=dbname,
            secret_arn=secret_arn,
        )

    @property
    def jdbc_url(self) -> str:
        """JDBC URL without user, password or TLS; those are driver properties."""
        return jdbc_url(self.engine, host=self.host, port=self.port, dbname=self.dbname)

    def __str__(self) -> str:
        return address_text(self.engine, host=self.host, port=self.port, dbname=self.dbname)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who reads a database; the password shows in no representation.

    Attributes:
        username: Database user.
        password: Its password.
    """

    username: str
    password: str = field(repr=False)


class CredentialCache:
    """Credentials of databases, read from Secrets Manager and kept for a while.

    One secret may serve many connections at once, so it is not read for each; after a refusal by the database it is read again, once.
    """

    def __init__(self, client: Any, *, seconds: float = CREDENTIALS_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            client: boto3 Secrets Manager client.
            seconds: Time for which a secret that was read is used again.
            clock: Gives seconds that never go back.
        """
        self._client = client
        self._seconds = seconds
        self._clock = clock
        self._kept: dict[str, tuple[float, Credentials]] = {}

    def read(self, secret_arn: str) -> Credentials:
        """Credentials of a secret.

        Raises:
            InvalidSecretError: It does not hold a username and a password.
        """
        kept = self._kept.get(secret_arn)
        if kept is not None and self._clock() < kept[0]:
            return kept[1]
        credentials = read_credentials(self._client, secret_arn)
        self._kept[secret_arn] = (self._clock() + self._seconds, credentials)
        return credentials

    def forget(self, secret_arn: str) -> None:
        """Read a secret anew the next time."""
        self._kept.pop(secret_arn, None)

    def use(self, secret_arn: str, connect: Callable[[Credentials], _T], *, is_auth_error: Callable[[Exception], bool]) -> _T:
        """Connect with a secret's credentials; if the database refuses them, read the secret anew and try once more.

        Args:
            secret_arn: The secret.
            connect: Opens the connection.
            is_auth_error: Whether what `connect` raised means a wrong user or password; a password that was rotated meanwhile does.
        """
        credentials = self.read(secret_arn)
        try:
            return connect(credentials)
        except Exception as error:
            if not is_auth_error(error):
                raise
            self.forget(secret_arn)
            anew = self.read(secret_arn)
            if anew == credentials:
                raise
        return connect(anew)


def read_credentials(client: Any, secret_arn: str) -> Credentials:
    """Read the credentials that a secret holds now; `CredentialCache` spares the call.

    Args:
        client: boto3 Secrets Manager client.
        secret_arn: The secret.

    Raises:
        InvalidSecretError: It does not hold a username and a password.
    """
    text = client.get_secret_value(SecretId=secret_arn).get("SecretString")
    try:
        found: Any = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidSecretError(f'the secret {secret_arn} holds no JSON object: store {{"username": …, "password": …}}')
    keys = cast("dict[str, Any]", found)
    missing = [key for key in ("username", "password") if not isinstance(keys.get(key), str) or not keys[key]]
    if missing:
        raise InvalidSecretError(
            f"the secret {secret_arn} has no {' and no '.join(missing)} (its keys: {', '.join(sorted(keys)) or 'none'}): add what is missing"
        )
    return Credentials(username=keys["username"], password=keys["password"])


def address_text(engine: str, *, host: str, port: int | str, dbname: str) -> str:
    """An address as text, as `DatabaseAddress.parse` reads it; host and port may be CloudFormation tokens."""
    return f"{engine}://{host}:{port}/{dbname}"


def jdbc_url(engine: str, *, host: str, port: int | str, dbname: str) -> str:
    """JDBC URL of a database without user, password or TLS; host and port may be CloudFormation tokens."""
    return f"jdbc:{ENGINES[engine]}://{host}:{port}/{dbname}"


def is_aurora_writer(host: str) -> bool:
    """Whether a host is the writer endpoint of an Aurora cluster, which its name tells: `….cluster-<id>.…`; readers are `….cluster-ro-<id>.…`."""
    return _AURORA_WRITER.search(host) is not None


def tls_properties(engine: str, *, roots: str) -> dict[str, str]:
    """Driver properties by which a JDBC driver insists on TLS, on a certificate of these roots and on the host's name in it.

    Args:
        engine: One of `ENGINES`.
        roots: Path of the trusted roots: PEM for PostgreSQL, PKCS12 (without a password) for MySQL, whose driver reads key stores only.
    """
    if ENGINES[engine] == "postgresql":
        return {"sslmode": "verify-full", "sslrootcert": roots}
    return {"sslMode": "VERIFY_IDENTITY", "trustCertificateKeyStoreUrl": f"file:{roots}", "trustCertificateKeyStoreType": "PKCS12"}
