"""Loopback endpoint that gives each engine process its role's credentials and its work, to nobody but the holder of its token.

The AWS SDKs of Java and Python ask such an endpoint by themselves and renew what they got (`AWS_CONTAINER_CREDENTIALS_FULL_URI`),
so no secret stands in a process's environment and a run may outlive a session.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

POLL_SECONDS = 20
"""Longest that a waiting process's question for work stays open."""


@dataclass(kw_only=True)
class Seat:
    """What one engine process may learn.

    Attributes:
        token: Secret of the process.
        credentials: Gives the role's credentials as the SDKs want them, once the process has work.
        work: What to run; None while it waits.
        outcome: What the process reported at its end, or None.
    """

    token: str
    credentials: Callable[[], Mapping[str, str]] | None = None
    work: Mapping[str, Any] | None = None
    outcome: Mapping[str, Any] | None = None
    assigned: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def assign(self, work: Mapping[str, Any], credentials: Callable[[], Mapping[str, str]]) -> None:
        """Give the process its one piece of work and the role to do it with."""
        self.credentials, self.work = credentials, work
        self.assigned.set()


class RoleEndpoint:
    """The endpoint, one a platform."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._seats))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="role-endpoint", daemon=True).start()

    @property
    def url(self) -> str:
        """Address of the endpoint."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def seat(self) -> Seat:
        """A place for a new process."""
        seat = Seat(token=secrets.token_urlsafe(32))
        self._seats[seat.token] = seat
        return seat

    def leave(self, seat: Seat) -> None:
        """The process has ended: its token opens nothing any more."""
        seat.closed = True
        self._seats.pop(seat.token, None)

    def environment(self, seat: Seat) -> dict[str, str]:
        """Variables by which a process finds its credentials and its work; no other source of credentials is left open."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": seat.token,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "LAKE_ENGINE_URL": self.url,
        }

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def _handler(seats: Mapping[str, Seat]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seat = self._seat()
            if seat is None:
                self._answer(403)
            elif self.path == "/credentials":
                self._credentials(seat)
            elif self.path == "/work":
                seat.assigned.wait(POLL_SECONDS)
                self._answer(200 if seat.work is not None else 204, seat.work)
            else:
                self._answer(404)

        def do_POST(self) -> None:
            seat = self._seat()
            if seat is None:
                self._answer(403)
                return
            seat.outcome = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self._answer(204)

        def _credentials(self, seat: Seat) -> None:
            if seat.credentials is None:
                self._answer(404, {"code": "NoWork", "message": "this process has no work yet, hence no role"})
                return
            try:
                self._answer(200, seat.credentials())
            except PermissionError as refused:
                self._answer(403, {"code": "AccessDenied", "message": str(refused)})

        def _seat(self) -> Seat | None:
            return seats.get(self.headers.get("Authorization") or "")

        def _answer(self, status: int, body: Mapping[str, Any] | None = None) -> None:
            data = json.dumps(body).encode() if body is not None else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
