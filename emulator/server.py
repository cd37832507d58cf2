"""A real HTTP server on loopback that shows a world the way a network does, with faults by plan.

The HTTP part is small on purpose: keep-alive, forms, bounded sizes, and full control over how an answer goes wrong.

    with Emulator(world, faults="wall.getComments:error=6*2") as emulator:
        ...  # networks.vk.api = emulator.url

Another process steers it by HTTP: `GET _otklik/ledger|calls|requests|clock`, `POST _otklik/advance?seconds=60` or
`?to=t2`, `POST _otklik/faults` with a plan as the body; VK: `POST _otklik/push?to=URL&secret=S`, the events since the
last push.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from emulator.face import Answer, Call, face_of
from emulator.faults import CONTENT, Fault, Plan
from emulator.wire import dumps
from emulator.world import World
from settings import ConfigError, OtklikError, os_problem

MAX_LINE = 16 * 1024
MAX_HEADERS = 100
MAX_BODY = 2 * 2**20
LOG_LENGTH = 20_000
LOG_VALUE = 20_000  # characters of one parameter
_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.ASCII)
_JSON = "application/json; charset=utf-8"
_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
_REASONS |= {411: "Length Required", 413: "Content Too Large", 429: "Too Many Requests", 431: "Headers Too Large"}
_PAGE = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>"


class _Bad(Exception):
    """A request that can't be answered properly: status, and the connection is closed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request:
    """One parsed request: `verb`, `path`, `query` and `form` as texts, `headers` in lower case."""

    __slots__ = ("body", "headers", "keep", "path", "query", "verb")

    def __init__(self, verb: str, path: str, query: str, headers: dict[str, str], body: bytes, keep: bool) -> None:
        self.verb = verb
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.keep = keep

    def params(self) -> dict[str, str]:
        """Parameters of the address and the form; the token may also stand in the Authorization header."""
        found = _pairs(self.query)
        if self.body and self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            found |= _pairs(self.body.decode("utf-8", "replace"))
        bearer = self.headers.get("authorization", "")
        if bearer.startswith("Bearer ") and "access_token" not in found:
            found["access_token"] = bearer[7:].strip()
        return found


def _pairs(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=1000))
    except ValueError:
        raise _Bad(400) from None


class Emulator:
    """An emulated network, started by `with` or `start()`.

    `faults`: whatever `Plan.parse` takes. `rates`: token kind -> requests a second (None: no limit). `behaviour` and
    `tokens`: see the face. `observer(method, params, token_kind, answer)` sees every API call, inner ones too.
    `requests`: the last calls as `{method, params, token, status, fault}`, `token` being its kind. `calls`: HTTP calls
    by method; `inner_calls`: those inside `execute`.
    """

    def __init__(
        self,
        world: World,
        faults: Any = None,
        network: str = "vk",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        behaviour: Any = None,
        tokens: Mapping[str, str] | None = None,
        rates: Mapping[str, float] | None = None,
        observer: Callable[[str, dict[str, str], str, dict[str, Any]], None] | None = None,
    ) -> None:
        self.world = world
        self.face = face_of(network)(world, behaviour=behaviour, tokens=tokens, rates=rates)
        self.face.observer = observer
        self.plan = Plan.parse(faults)
        self.requests: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.calls: Counter[str] = Counter()
        self.network = network
        self._address = (host, port)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._log_lock = threading.Lock()
        self._pushed = 0  # so much of the world's journal was sent to whoever is told of events

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Emulator:
        host, port = self._address
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise ConfigError("эмулятор слушает только этот компьютер; укажите 127.0.0.1")
        try:
            self._server = _Server((host, port), self)
        except (OSError, OverflowError) as e:
            reason = os_problem(e) if isinstance(e, OSError) else "такого порта нет"
            raise OtklikError(f"порт {port} не открывается ({reason}); выберите другой или 0") from None
        if hasattr(self.face, "address"):
            self.face.address = self.root
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="emulator")
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.drop_connections()
            self._server.server_close()
            self._server = None
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        assert self._server is not None, "not started"
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """The base address of the API, for VK "http://127.0.0.1:PORT/method/"."""
        return f"{self.root}{self.face.prefix}"

    @property
    def root(self) -> str:
        """ "http://127.0.0.1:PORT", under which `/_otklik/` lies."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, kind: str = "user") -> str:
        """A token of this kind that the network accepts."""
        return next(t for t, k in self.face.tokens.items() if k == kind)

    @property
    def inner_calls(self) -> Counter[str]:
        return self.face.inner_calls

    @inner_calls.setter
    def inner_calls(self, value: Counter[str]) -> None:
        self.face.inner_calls = value

    @property
    def failures(self) -> int:
        """How many requests ended in a bug of the emulator itself."""
        return self._server.failures if self._server is not None else 0

    def forget_calls(self) -> None:
        """Empty the log and the counters."""
        with self._log_lock:
            self.requests.clear()
            self.calls.clear()
            self.face.inner_calls.clear()

    # -- answering -----------------------------------------------------------------------------------------------------

    def handle(self, request: Request, out: _Out) -> None:
        """Answer one request; raises _Bad for one that makes no sense."""
        if not _HOST.fullmatch(request.headers.get("host", "")):
            # A web page whose name was made to point to loopback must not reach us.
            raise _Bad(403)
        if request.path.startswith("/_otklik/"):
            self._admin(request, out)
            return
        call = self.face.read(request) if request.path.startswith(self.face.prefix) else None
        if call is None:
            raise _Bad(404 if request.verb in ("GET", "POST", "HEAD") else 405)
        self._api(call, out)

    def _api(self, call: Call, out: _Out) -> None:
        method = call.method
        fault = self.plan.pick(method)
        of_content = fault is not None and (fault.kind in CONTENT or fault.kind == "error")
        entry = {
            "method": method,
            "params": {k: v[:LOG_VALUE] if isinstance(v, str) else v for k, v in call.params.items()},
            "token": self.face.kind(call.token),
            "status": 200,
            "fault": None if fault is None else str(fault),
        }
        with self._log_lock:
            self.calls[method] += 1
            self.requests.append(entry)
        if fault is not None and fault.kind == "http":
            status, _, wait = str(fault.value).partition(",")
            entry["status"] = int(status)
            headers = {"Retry-After": wait} if wait else {}
            out.send(int(status), _PAGE.encode(), "text/html; charset=utf-8", headers)
            return
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.value)
        answer = self.face.handle(call, self.plan, fault if of_content else None)
        if fault is not None and fault.kind in ("null", "shape"):
            answer = Answer(self.face.null if fault.kind == "null" else self.face.shape)
        entry["status"] = answer.status
        body = answer.body if isinstance(answer.body, bytes) else dumps(answer.body)
        out.send_faulty(body, None if of_content else fault, answer.status, answer.headers)

    def _admin(self, request: Request, out: _Out) -> None:
        what = request.path.removeprefix("/_otklik/")
        query = _pairs(request.query)
        if what in ("ledger", "calls", "requests", "clock"):
            if request.verb != "GET":
                raise _Bad(405)
            if what == "ledger":
                out.send(200, self.world.ledger_ndjson().encode(errors="replace"), "application/x-ndjson")
                return
            if what == "requests":
                with self._log_lock:
                    lines = b"".join(orjson.dumps(e) + b"\n" for e in self.requests)
                out.send(200, lines, "application/x-ndjson")
                return
            value: Any = {"calls": dict(self.calls), "inner_calls": dict(self.inner_calls)}
            out.send(200, orjson.dumps(self._time() if what == "clock" else value))
            return
        if what == "push" and self.network == "vk" and request.verb == "POST":
            from emulator.vk_events import send

            self._pushed, statuses = send(self.face, query.get("to", ""), query.get("secret", ""), self._pushed)
            out.send(200, orjson.dumps({"statuses": statuses}))
            return
        if what not in ("advance", "faults"):
            raise _Bad(404)
        if request.verb != "POST":
            raise _Bad(405)
        try:
            if what == "faults":
                self.plan = Plan.parse(request.body.decode("utf-8", "replace"))
                out.send(200, orjson.dumps({"faults": str(self.plan)}))
                return
            if "to" in query:
                self.world.advance_to(query["to"])
            else:
                seconds = float(query.get("seconds", ""))
                if not seconds < 1e10:
                    raise ValueError
                self.world.advance(seconds)
            out.send(200, orjson.dumps(self._time()))
        except OtklikError as e:
            out.send(400, orjson.dumps({"error": str(e)}))
        except ValueError:
            out.send(400, orjson.dumps({"error": "нужно ?seconds=ЧИСЛО или ?to=ОТМЕТКА"}))

    def _time(self) -> dict[str, Any]:
        now = self.world.now()
        return {"now": datetime.fromtimestamp(now, UTC).isoformat(), "marks": self.world.marks}


class _Out:
    """Writes answers, properly or as badly as a fault wants."""

    def __init__(self, sock: socket.socket, now: Callable[[], float], keep: bool, head: bool = False) -> None:
        self._sock = sock
        self._now = now
        self._head = head
        self.keep = keep

    def _top(self, status: int, length: int, kind: str, more: Mapping[str, str]) -> bytes:
        try:
            date = formatdate(self._now(), usegmt=True)
        except (ValueError, OverflowError, OSError):
            date = formatdate(usegmt=True)
        lines = [
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}",
            f"Date: {date}",
            f"Content-Type: {kind}",
            f"Content-Length: {length}",
            f"Connection: {'keep-alive' if self.keep else 'close'}",
            *(f"{k}: {v}" for k, v in more.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")

    def send(self, status: int, body: bytes, kind: str = _JSON, more: Mapping[str, str] | None = None) -> None:
        self._sock.sendall(self._top(status, len(body), kind, more or {}) + (b"" if self._head else body))

    def send_faulty(
        self, body: bytes, fault: Fault | None, status: int = 200, more: Mapping[str, str] | None = None
    ) -> None:
        kind = fault.kind if fault is not None else ""
        if fault is None or kind in ("slow", "null", "shape"):
            self.send(status, body, more=more)
        elif kind == "redirect":
            self.send(302, b"", "text/plain", {"Location": str(fault.value)})
        elif kind == "html":
            self.send(200, _PAGE.encode(), "text/html; charset=utf-8")
        elif kind == "type":
            self.send(200, body, "text/html; charset=utf-8")
        elif kind == "empty":
            self.send(200, b"")
        elif kind == "json":
            self.send(200, b'{"response":{"count":1,"items":[{"id":1,}]')
        elif kind == "truncate":
            self.keep = False
            sent = min(len(body) - 1, int(len(body) * fault.value))
            self._sock.sendall(self._top(200, len(body), _JSON, {}) + body[:sent])
        elif kind == "drip":
            self._sock.sendall(self._top(200, len(body), _JSON, {}))
            steps = 10
            for i in range(steps):
                time.sleep(fault.value / steps)
                self._sock.sendall(body[i * len(body) // steps : (i + 1) * len(body) // steps])
        elif kind == "huge":
            self._sock.sendall(self._top(200, len(body) + fault.value, _JSON, {}))
            chunk = b" " * 65536
            for done in range(0, fault.value, len(chunk)):
                self._sock.sendall(chunk[: fault.value - done])
            self._sock.sendall(body)
        else:
            self.keep = False
            if kind == "reset":
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self._one():
                pass

    def _one(self) -> bool:
        out = _Out(self.connection, self.server.emulator.world.now, keep=False)
        try:
            request = self._read()
            if request is None:
                return False
            out = _Out(self.connection, self.server.emulator.world.now, request.keep, request.verb == "HEAD")
            self.server.emulator.handle(request, out)
            return out.keep
        except _Bad as bad:
            out.keep = False
            out.send(bad.status, orjson.dumps({"error": _REASONS.get(bad.status, "")}))
            self._drain()
            return False
        except OSError:
            return False
        except Exception:
            # A bug must show as an answer that says so, and must not take the server down.
            self.server.failures += 1
            out.keep = False
            out.send(500, b'{"error":"emulator failure"}')
            raise

    def _drain(self) -> None:
        """Read on for a moment: closing with unread bytes would reset the connection before the answer is read."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1)
        left = MAX_BODY
        while left > 0 and (part := self.connection.recv(65536)):
            left -= len(part)

    def _line(self) -> bytes:
        line = self.rfile.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise _Bad(431)
        return line

    def _read(self) -> Request | None:
        first = self._line()
        if first in (b"\r\n", b"\n"):
            first = self._line()
        if not first:
            return None
        parts = first.decode("latin-1").split()
        if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1].startswith("/"):
            raise _Bad(400)
        verb, target, version = parts
        headers: dict[str, str] = {}
        while True:
            line = self._line()
            if line in (b"\r\n", b"\n"):
                break
            name, colon, value = line.decode("latin-1").partition(":")
            if not line or not colon or len(headers) >= MAX_HEADERS:
                raise _Bad(400 if line else 431)
            headers[name.strip().lower()] = value.strip()
        body = b""
        if "transfer-encoding" in headers:
            raise _Bad(411)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise _Bad(400)
        if int(length[:20]) > MAX_BODY:
            raise _Bad(413)
        if int(length):
            if headers.get("expect", "").lower() == "100-continue":
                self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                return None
        path, _, query = target.partition("?")
        asked = headers.get("connection", "").lower()
        keep = asked != "close" and (version == "HTTP/1.1" or asked == "keep-alive")
        return Request(verb, path, query, headers, body, keep)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], emulator: Emulator) -> None:
        if address[0] == "::1":
            self.address_family = socket.AF_INET6
        self.emulator = emulator
        self.failures = 0
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        lingers = request.fileno() >= 0 and request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)[:1] == b"\x01"
        if lingers:
            request.close()  # a shutdown first would make it an orderly end, not a reset
        else:
            super().shutdown_request(request)

    def drop_connections(self) -> None:
        """Wake the threads that wait on kept-alive connections."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def serve(
    network: str = "vk",
    port: int = 0,
    scenario: str | Path | None = None,
    faults: Any = None,
    *,
    at: str | None = None,
    limits: bool = False,
    say: Callable[[str], None] = partial(print, flush=True),
    stop: threading.Event | None = None,
) -> None:
    """Run an emulator until interrupted (or `stop` is set).

    `scenario`: a file, None for the built-in one. `at`: the scenario's mark to begin at. `limits`: the network's real
    request limits. `say` gets the lines for people; the first one is the address alone.
    """
    from emulator.scenario import load

    face = face_of(network)
    world = load(scenario, network=network, at=at)
    with Emulator(world, faults, network, port=port, rates=face.real_rates if limits else None) as emulator:
        with contextlib.suppress(KeyboardInterrupt):
            say(emulator.url)
            for token, kind in face.known.items():
                say(f"токен ({kind}): {token}")
            for key, value in face.keys.items():
                say(f"{key}: {value}")
            marks = ", ".join(sorted(world.marks, key=lambda m: world.marks[m]))
            base = f"{emulator.root}/"
            say(f"отметки времени: {marks or 'нет'}; вперёд: curl -X POST '{base}_otklik/advance?to=ОТМЕТКА'")
            say(f"как было на самом деле: {base}_otklik/ledger; остановить: Ctrl+C")
            (stop or threading.Event()).wait()
