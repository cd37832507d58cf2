"""Running the service: limits on what strangers may cost, no traceback to anybody, a stop that waits for nobody long.

TLS is the business of the proxy in front; by itself the server listens on loopback only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from feed.problems import MEDIA, body
from feed.service import Service
from settings import ConfigError, OtklikError, os_problem, scrub

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("otklik.feed")
HEAD_BYTES = 16 * 1024
PATH_CHARS = 2000
AT_ONCE = 256
_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """Around the service: what breaks becomes problem+json and one line of the log."""

    def __init__(self, app: ASGIApp, at_once: int = AT_ONCE) -> None:
        self.app, self.at_once, self.open = app, at_once, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun, told = time.monotonic(), 0

        async def safe(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start":
                told = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_SAFE]}
            await send(message)

        answer: Response | None = None
        self.open += 1
        try:
            if self.open > self.at_once:
                answer = _problem(503, "слишком много запросов сразу; повторите позже", {"Retry-After": "5"})
            elif len(scope["path"]) + len(scope["query_string"]) > PATH_CHARS:
                answer = _problem(414, f"адрес длиннее {PATH_CHARS} знаков")
            elif sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_BYTES:
                answer = _problem(431, "заголовки слишком длинны")
            elif scope["method"] not in ("GET", "HEAD"):
                answer = _problem(405, "лента только читается: GET", {"Allow": "GET, HEAD"})
            if answer is not None:
                await answer(scope, receive, safe)
            else:
                await self.app(scope, receive, safe)
        except Exception as e:
            log.warning("%s %s: %s", scope["method"], _shown(scope["path"]), scrub(f"{type(e).__name__}: {e}"[:300]))
            if not told:
                ours = isinstance(e, OtklikError)
                text = (
                    "база сейчас не отвечает; повторите позже" if ours else "внутренняя ошибка; сообщите администратору"
                )
                await _problem(503 if ours else 500, text)(scope, receive, safe)
        finally:
            self.open -= 1
            log.info(
                "%s %s %d %s %.3f", scope["method"], _shown(scope["path"]), told, scope.get("otklik.reader") or "-",
                time.monotonic() - begun,
            )  # fmt: skip


def _problem(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(body(status, text), status, headers, MEDIA)


def _shown(path: str) -> str:
    return scrub(ascii(path[:200])[1:-1])


class Protocol(H11Protocol):
    """HTTP/1.1 that gives up on whoever sends a request, or takes an answer, too slowly."""

    head_s = 15.0
    drain_s = 30.0
    _timer: asyncio.TimerHandle | None = None
    _drain: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def _await_head(self) -> None:
        self._cancel()
        self._timer = self.loop.call_later(self.head_s, self._give_up)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._drain = self.loop.call_later(self.drain_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        if self._drain is not None:
            self._drain.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        text = body(400, "запрос не понят: это не HTTP/1.1, или его заголовки слишком длинны")
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (MEDIA.encode(), len(text)) + text)
        self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. ConfigError when there can be none."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as e:
        why = os_problem(e) if isinstance(e, OSError) and (e.errno or 0) > 0 else "такого адреса нет"
        raise ConfigError(f"{host}:{port}: порт не открывается: {why}; укажите другой: --host, --port") from None


def run(
    make: Callable[[Callable[[], bool]], Service], sock: socket.socket, stop: Callable[[], bool] = lambda: False
) -> None:
    """Serve until SIGTERM, SIGINT or `stop()`. `make`: the service, given a function that says when it ends."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would show what strangers sent, and tracebacks
    if not log.handlers and os.environ.get("OTKLIK_FEED_LOG"):
        log.setLevel(logging.INFO)
    server: Any = None
    service = make(lambda: server is not None and server.should_exit)
    config = uvicorn.Config(
        Guard(service.router()),
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        async def watch() -> None:
            while not stop():
                await asyncio.sleep(0.1)
            server.should_exit = True

        watching = asyncio.ensure_future(watch())
        try:
            await server.serve(sockets=[sock])
        finally:
            watching.cancel()

    asyncio.run(serve())
