"""A PostgreSQL server that follows another one: made by a base backup, kept up by streaming, read-only."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from local.engines.postgres import (
    HOST,
    START_SECONDS,
    SUPERUSER,
    PostgresError,
    PostgresServer,
    as_plain_user,
    binaries,
    give_away,
    plain_environment,
)


@dataclass(kw_only=True)
class PostgresReplica(PostgresServer):
    """One replica and its files; its source must run when it starts, and after a restart of the source it has to be started anew.

    Attributes:
        source: Server that it follows.
    """

    source: PostgresServer

    def _create(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._data.mkdir(mode=0o700)
        give_away(self._data)
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self.source._password(), encoding="utf-8")
        host, port = self._source()
        made = subprocess.run(
            as_plain_user([
                str(binaries() / "pg_basebackup"), "-D", str(self._data), "-h", host, "-p", str(port), "-U", SUPERUSER, "-w", "-X", "stream",
                "--checkpoint=fast", "--no-sync",
            ]),
            env={**plain_environment(), "PGPASSFILE": str(self._passfile())}, capture_output=True, text=True, timeout=START_SECONDS, check=False,
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise PostgresError(f"PostgreSQL could not copy {self.source.folder}: {made.stderr.strip() or made.stdout.strip()}")
        signal = self._data / "standby.signal"
        signal.touch(mode=0o600)
        give_away(signal)

    def _arguments(self, port: int) -> Sequence[str]:
        host, source_port = self._source()
        follows = f"host={host} port={source_port} user={SUPERUSER} passfile={self._passfile()} application_name={self.folder.name}"
        return [*super()._arguments(port), "-c", f"primary_conninfo={follows}", "-c", "recovery_target_timeline=latest"]

    def _source(self) -> tuple[str, int]:
        if not self.source.is_running() or self.source._backend is None:
            raise PostgresError(f"the source {self.source.folder} is not running: start it first")
        return self.source._backend

    def _passfile(self) -> str:
        path = self.folder / "passfile"
        path.touch(mode=0o600)
        escaped = self.source._password().replace("\\", "\\\\").replace(":", "\\:")
        path.write_text(f"{HOST}:*:*:{SUPERUSER}:{escaped}\n", encoding="utf-8")
        give_away(path)
        return str(path)
