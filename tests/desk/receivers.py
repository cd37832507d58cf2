"""Real HTTP servers on loopback that stand for the channels of an alert."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent. `status`: what it answers; `delay`: holds an answer back until `release` or so long."""

    daemon_threads = True

    def __init__(self, status: int = 200, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.delay = delay
        self.release = threading.Event()
        self.arrived = threading.Event()
        self.heard: list[dict] = []

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_port}"

    @property
    def texts(self) -> list[str]:
        return [f"{h['title']}\n{h['message']}" for h in self.heard]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.heard.append(json.loads(body))
        self.server.arrived.set()
        if self.server.delay:
            self.server.release.wait(self.server.delay)
        try:
            self.send_response(self.server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
        except OSError:
            pass

    def log_message(self, *_: object) -> None: ...


@contextmanager
def receiver(status: int = 200, delay: float = 0.0) -> Iterator[Receiver]:
    server = Receiver(status, delay)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def dead_port() -> int:
    """A loopback port where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
