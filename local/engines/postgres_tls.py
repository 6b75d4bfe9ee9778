"""TLS in front of a PostgreSQL server, whose build has none: answers the protocol's SSLRequest, then hands bytes through."""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

HOST = "127.0.0.1"
START_SECONDS = 10.0

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_NO_ENCRYPTION = "no pg_hba.conf entry for this host and user, no encryption: connect with TLS"


@dataclass(frozen=True, kw_only=True)
class Tls:
    """A server's certificate.

    Attributes:
        certificate: PEM file of the certificate and its chain.
        key: PEM file of its key.
        is_required: Whether connections without TLS are refused.
    """

    certificate: Path
    key: Path
    is_required: bool = True


class TlsFront:
    """Listens for clients of one server, in a thread of its own.

    Args:
        backend: Host and port of the server.
        port: Port to listen on; 0 = a free one.
        tls: The certificate.
    """

    def __init__(self, *, backend: tuple[str, int], port: int, tls: Tls) -> None:
        self._backend, self._wanted, self._tls = backend, port, tls
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(tls.certificate, tls.key)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._fault: OSError | None = None
        self._port = 0
        self._thread = threading.Thread(target=self._run, name="postgres-tls", daemon=True)

    def start(self) -> int:
        """Begin to listen; returns the port.

        Raises:
            OSError: The port is taken.
        """
        self._thread.start()
        self._ready.wait(START_SECONDS)
        if self._fault is not None:
            raise self._fault
        return self._port

    def stop(self) -> None:
        """Stop to listen and cut every connection."""
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)

    def _run(self) -> None:
        try:
            server = self._loop.run_until_complete(
                self._loop.create_server(lambda: _Greeting(self._loop, self._backend, self._context, self._tls), HOST, self._wanted)
            )
        except OSError as fault:
            self._fault = fault
            self._ready.set()
            return
        self._port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()


class _Greeting(asyncio.Protocol):
    """The first bytes of a client: they say whether TLS follows."""

    def __init__(self, loop: asyncio.AbstractEventLoop, backend: tuple[str, int], context: ssl.SSLContext, tls: Tls) -> None:
        self._loop, self._backend, self._context, self._tls = loop, backend, context, tls
        self._seen = b""
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        assert transport is not None
        self._seen += data
        if len(self._seen) < 8:
            return
        code = struct.unpack("!I", self._seen[4:8])[0]
        if code == _GSS_REQUEST:
            self._seen = self._seen[8:]
            transport.write(b"N")
        elif code == _SSL_REQUEST:
            transport.write(b"S")
            self._begin(self._encrypted(transport))
        elif self._tls.is_required and code != _CANCEL_REQUEST:
            transport.write(_refusal(_NO_ENCRYPTION))
            transport.close()
        else:
            transport.pause_reading()
            self._begin(self._plain(transport, self._seen))

    def _begin(self, work: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _encrypted(self, transport: asyncio.Transport) -> None:
        client = _Half()
        try:
            wrapped = await self._loop.start_tls(transport, client, self._context, server_side=True)
        except (OSError, ssl.SSLError):
            transport.close()
            return
        if wrapped is not None:
            await self._connect(client, wrapped, b"")

    async def _plain(self, transport: asyncio.Transport, seen: bytes) -> None:
        client = _Half()
        transport.set_protocol(client)
        await self._connect(client, transport, seen)

    async def _connect(self, client: _Half, transport: asyncio.Transport, seen: bytes) -> None:
        client.transport = transport
        server = _Half()
        try:
            found, _ = await self._loop.create_connection(lambda: server, *self._backend)
        except OSError:
            transport.close()
            return
        server.transport = found
        server.peer, client.peer = client, server
        found.write(seen + client.early)
        if not transport.is_closing():
            transport.resume_reading()


class _Half(asyncio.Protocol):
    """One side of a connection: what it gets goes to its peer, as fast as the peer takes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _Half | None = None
        self.early = b""

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self.peer.transport is None:
            self.early += data
        else:
            self.peer.transport.write(data)

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()


def _refusal(text: str) -> bytes:
    fields = b"".join(
        letter + value.encode() + b"\0" for letter, value in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", "28000"), (b"M", text))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"
