"""A Maven repository on the loopback that can be told to misbehave."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.repository import Repository


@dataclass
class FakeRepository:
    content: bytes = bytes(range(256)) * 4096
    drops_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    honours_ranges: bool = True
    asked: list[dict[str, str]] = field(default_factory=list)
    address: str = ""

    @property
    def repository(self) -> Repository:
        return Repository(name="the test repository", address=self.address)


@pytest.fixture
def maven() -> Iterator[FakeRepository]:
    fake = FakeRepository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(dict(self.headers.items()))
            if fake.statuses:
                self.send_error(fake.statuses.pop(0))
                return
            start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if fake.honours_ranges else 0
            body = fake.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: fake.drops_after.pop(0)] if fake.drops_after else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield fake
        server.shutdown()
        thread.join()
