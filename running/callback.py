"""The address that networks send events to: `otklik worker --callback HOST:PORT` (VK's Callback API, path /vk).

TLS is the business of the proxy in front. An event changes no more than when a page is looked at.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from collectors.vk_push import MOST_BYTES, Community, Confirmation, News, Refused, read
from feed.serving import HEAD_BYTES, Protocol
from settings import ConfigError, VkNetwork, os_problem, scrub
from store.values import utcnow

if TYPE_CHECKING:
    from settings import Settings
    from store import Store

log = logging.getLogger("otklik.push")

PATH = "/vk"
AT_ONCE = 64
BODY_S = 15.0


class Receiver:
    """The service: one path, POST. `woken()` is called when a page's turn was moved."""

    def __init__(self, store: Store, communities: Sequence[Community], woken: Callable[[], None]) -> None:
        self.store, self.communities, self.woken = store, communities, woken
        self.open = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        if scope["type"] != "http":
            return
        self.open += 1
        try:
            status, text = await self._answer(scope, receive)
        except Exception as e:
            log.warning("an event was not taken: %s", scrub(f"{type(e).__name__}: {e}"[:300]))
            status, text = 503, "later"
        finally:
            self.open -= 1
        body = text.encode()
        head = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        head += [(b"x-content-type-options", b"nosniff")]
        if status != 200:
            head.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]]) -> tuple[int, str]:
        if self.open > AT_ONCE:
            return 503, "later"
        if scope["path"] != PATH:
            return 404, "no such page"
        if scope["method"] != "POST":
            return 405, "POST"
        try:
            found = read(await _body(receive), self.communities)
        except Refused as e:
            log.info("a request was refused: %d", e.status)
            return e.status, "refused"
        if isinstance(found, Confirmation):
            return 200, found.text
        if found is not None:
            await asyncio.to_thread(self.take, found)
        return 200, "ok"

    def take(self, news: News) -> None:
        if wake(self.store, news):
            self.woken()


def wake(store: Store, news: News) -> bool:
    """The page's turn is now; False when it is none of ours (a page that was never collected needs no hint)."""
    return store.wake(news.network, news.page_id, news.post_id, whole=news.whole, now=utcnow())


async def _body(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bytes:
    parts, size, until = [], 0, time.monotonic() + BODY_S
    while True:
        try:
            message = await asyncio.wait_for(receive(), max(0.01, until - time.monotonic()))
        except TimeoutError:
            raise Refused(408) from None
        if message["type"] != "http.request":
            raise Refused(400)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise Refused(413)
        if not message.get("more_body"):
            return b"".join(parts)


def communities(settings: Settings) -> list[Community]:
    """Those of the configuration, their secrets read. Raises ConfigError."""
    vk = settings.network("vk")
    told = vk.callbacks if isinstance(vk, VkNetwork) else []
    if not told:
        raise ConfigError(
            "в networks.vk.callbacks нет ни одного сообщества; впишите его или уберите --callback (docs/operating.md)"
        )
    return [Community.of(one) for one in told]


def address(text: str) -> tuple[str, int]:
    """HOST:PORT. Raises ConfigError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"--callback {text[:60]}: нужно АДРЕС:ПОРТ, например 127.0.0.1:8312")
    return host, int(port)


@contextmanager
def listening(store: Store, settings: Settings, at: str, woken: Callable[[], None]) -> Iterator[int]:
    """The service in a thread of its own, as long as the block lasts; its port. Raises ConfigError."""
    receiver = Receiver(store, communities(settings), woken)
    host, port = address(at)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        sock = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, UnicodeError) as e:
        why = os_problem(e) if isinstance(e, OSError) and (e.errno or 0) > 0 else "такого адреса нет"
        raise ConfigError(f"--callback {at[:60]}: порт не открывается: {why}; укажите другой") from None
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would show what strangers sent, and tracebacks
    server = uvicorn.Server(
        uvicorn.Config(
            receiver, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, timeout_keep_alive=15, timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="otklik-callback", daemon=True)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        sock.close()
