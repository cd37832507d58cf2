"""The feed over HTTP: what each address answers. `feed.serving` runs it; `feed.openapi` describes it.

The store is asked in threads; waiting for news costs no thread: one look a moment at the log's last number serves all.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, Router

from feed import query, views
from feed.keys import Keys, Pace, Reader, presented
from feed.openapi import LONGEST_WAIT, document
from feed.page import LIMIT, MOST, CursorError, Page, page
from feed.problems import MEDIA, Problem, body
from feed.read import seq_of
from feed.schema import schema
from feed.scope import View
from settings import ConfigError
from store.values import QueueFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store import Store


LOOK_S = 0.25
ALIVE_S = 15.0
STREAMS = 8
"""Streams and long polls that one reader may hold open."""
_FAILURES = 30
"""Wrong keys a minute from one address before it is told to wait."""
_AFTER = query.number(0, 2**63 - 1)
_NDJSON, _JSON, _SSE = "application/x-ndjson", "application/json", "text/event-stream"
_BATCH = "application/cloudevents-batch+json"
"""CloudEvents' JSON batch format (https://github.com/cloudevents/spec, JSON format 1.0, section 4)."""
Answer = Callable[[Request, Reader], Awaitable[Response]]


class Service:
    """Every address of the feed. `titles`: ids of topics -> their names, loaded when first needed."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        owner: str = "",
        titles: Callable[[], Mapping[str, str]] = dict,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        look_s: float = LOOK_S,
    ) -> None:
        self.store, self.keys, self.owner, self.stopping, self.clock = store, keys, owner, stopping, clock
        self._titles, self._names = titles, None
        self._pace, self._failed = Pace(), Pace()
        self._open: Counter[str] = Counter()
        self._look_s, self._last, self._looked, self._looking = look_s, 0, -1e9, asyncio.Lock()
        self.source = store.source()

    def router(self) -> Router:
        def route(path: str, answer: Answer, *, free: bool = False) -> Route:
            return Route(path, self._guarded(answer, free), methods=["GET"])

        return Router(
            [
                route("/health", self.health, free=True),
                route("/openapi.json", self.openapi, free=True),
                route("/v1/schema", self.schema, free=True),
                route("/v1/schema/{type}", self.schema, free=True),
                route("/v1/events", self.events),
                route("/v1/stream", self.stream),
                route("/v1/atom/topics/{topic}", partial(self.atom, "topic")),
                route("/v1/atom/places/{place}", partial(self.atom, "place")),
                route("/v1/places.geojson", self.places),
                route("/v1/open311/requests.json", self.requests),
            ],
            redirect_slashes=False,
            default=_nowhere,
        )

    # --- who asks ----------------------------------------------------------------------------------------------------

    def _guarded(self, answer: Answer, free: bool) -> Callable[[Request], Awaitable[Response]]:
        async def run(request: Request) -> Response:
            try:
                reader = Reader("", View(), 0) if free else self._reader(request)
                request.scope["otklik.reader"] = reader.name
                return await answer(request, reader)
            except Problem as e:
                return problem(e)
            except HTTPException as e:
                return problem(Problem(e.status_code, "запрос не понят"))
            except CursorError as e:
                return problem(Problem(410 if e.gone else 409, str(e), first=e.first, last=e.last))
            except ConfigError as e:
                return problem(Problem(404, str(e)))

        return run

    def _reader(self, request: Request) -> Reader:
        now = self.clock()
        reader = self.keys.find(presented(request.headers.get("authorization")))
        if reader is None:
            address = request.client.host if request.client else ""
            if wait := self._failed.take(address, _FAILURES, now):
                raise _slow_down(wait, "слишком много неверных ключей")
            asks = {"WWW-Authenticate": 'Bearer realm="otklik", Basic realm="otklik"'}
            raise Problem(401, "нужен ключ доступа: заголовок Authorization: Bearer …", asks)
        if wait := self._pace.take(reader.name, reader.per_minute, now):
            raise _slow_down(wait, f"больше {reader.per_minute} запросов в минуту")
        return reader

    @contextmanager
    def _held(self, reader: Reader) -> Iterator[None]:
        if self._open[reader.name] >= STREAMS:
            raise _slow_down(1, f"открыто больше {STREAMS} ожиданий и потоков сразу")
        self._open[reader.name] += 1
        try:
            yield
        finally:
            self._open[reader.name] -= 1

    # --- events ------------------------------------------------------------------------------------------------------

    async def events(self, request: Request, reader: Reader) -> Response:
        asked = _asked(
            request,
            after=_AFTER,
            limit=query.number(1, MOST),
            wait=query.number(0, LONGEST_WAIT),
            types=query.types,
            format=query.one_of("json", "ndjson", "cloudevents"),
        )
        accept = request.headers.get("accept", "")
        kind = asked.get("format") or ("ndjson" if _NDJSON in accept else "cloudevents" if _BATCH in accept else "json")
        view = replace(reader.view, types=asked.get("types", frozenset()))
        read = partial(page, self.store, view, limit=asked.get("limit", LIMIT))
        found = await run_in_threadpool(read, asked.get("after", 0))
        if not found.lines and asked.get("wait"):
            with self._held(reader):
                found = await self._wait(request, read, found, asked["wait"])
        headers = {"Otklik-Cursor": str(found.next), "Otklik-More": "true" if found.more else "false"}
        if kind == "ndjson":
            return _cached(request, b"".join(found.lines), _NDJSON, headers)
        parts = b",".join(line.rstrip(b"\n") for line in found.lines)
        if kind == "cloudevents":
            return _cached(request, b"[%b]" % parts, _BATCH, headers)
        more = b"true" if found.more else b"false"
        text = b'{"events":[%b],"next":%d,"more":%b}' % (parts, found.next, more)
        return _cached(request, text, _JSON, headers)

    async def _wait(self, request: Request, read: Callable[..., Page], found: Page, seconds: int) -> Page:
        end = self.clock() + seconds
        while not found.lines and self.clock() < end and not self.stopping() and not await request.is_disconnected():
            if found.more or await self._last_seq() > found.next:
                before = found
                found = await run_in_threadpool(read, found.next)
                if found.next > before.next:
                    continue
            await asyncio.sleep(min(self._look_s, max(0.0, end - self.clock())))
        return found

    async def _last_seq(self) -> int:
        async with self._looking:
            if self.clock() - self._looked >= self._look_s:
                self._last, self._looked = await run_in_threadpool(self.store.last_seq), self.clock()
            return self._last

    async def stream(self, request: Request, reader: Reader) -> Response:
        """Server-sent events; a cursor without data now and then, so that a narrow view goes on from near the end."""
        asked = _asked(request, after=_AFTER, types=query.types)
        header = request.headers.get("last-event-id")
        after = _AFTER("Last-Event-ID", header) if header else asked.get("after", 0)
        view = replace(reader.view, types=asked.get("types", frozenset()))
        read = partial(page, self.store, view, limit=LIMIT)
        first = await run_in_threadpool(read, after)
        if self._open[reader.name] >= STREAMS:
            raise _slow_down(1, f"открыто больше {STREAMS} ожиданий и потоков сразу")
        headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type=_SSE)
        return StreamingResponse(self._told(reader, read, first), media_type=_SSE, headers=headers)

    async def _told(self, reader: Reader, read: Callable[..., Page], found: Page) -> AsyncIterator[bytes]:
        with self._held(reader):
            quiet_since = self.clock()
            yield b"retry: 5000\n\n"
            while not self.stopping():
                if found.lines:
                    for line in found.lines:
                        yield b"id: %d\ndata: %b\n\n" % (seq_of(line), line.rstrip(b"\n"))
                    quiet_since = self.clock()
                elif self.clock() - quiet_since >= ALIVE_S:
                    yield b"id: %d\n\n" % found.next
                    quiet_since = self.clock()
                if not found.more and await self._last_seq() <= found.next:
                    await asyncio.sleep(self._look_s)
                    found = Page((), found.next, False)
                    continue
                before = found.next
                found = await run_in_threadpool(read, before)
                if found.next == before:
                    await asyncio.sleep(self._look_s)

    # --- views of messages -------------------------------------------------------------------------------------------

    async def atom(self, by: str, request: Request, reader: Reader) -> Response:
        asked = _asked(request, limit=query.number(1, 200))
        name = query.word()(by, request.path_params[by])
        names = await self._topics()
        if by == "topic" and names and name not in names:
            raise Problem(404, "такой темы нет; темы показывает otklik topics")
        f = QueueFilter(**{by: name}, deleted=False, order="newest", limit=asked.get("limit", 50))
        found = await self._messages(f, reader)
        title = f"{self.owner or 'otklik'}: {names.get(name, name)}"
        made = views.atom(f"{self.source}:atom:{by}?{name}", title, self.owner, found, names)
        return _cached(request, made, "application/atom+xml", {})

    async def places(self, request: Request, reader: Reader) -> Response:
        known = {"limit": query.number(1, MOST), "topic": query.word(), "place": query.word()}
        asked = _asked(request, **known)
        f = QueueFilter(deleted=False, order="newest", **{"limit": LIMIT, **asked})
        made = views.geojson(await self._messages(f, reader))
        return _cached(request, orjson.dumps(made), "application/geo+json", {})

    async def requests(self, request: Request, reader: Reader) -> Response:
        known = {"limit": query.number(1, 1000), "service_code": query.word(), "status": query.one_of("open", "closed")}
        asked = _asked(request, **known)
        f = QueueFilter(deleted=False, order="newest", topic=asked.get("service_code"), limit=asked.get("limit", 100))
        wanted, names = asked.get("status"), await self._topics()
        made = [views.open311(m, names) for m in await self._messages(f, reader)]
        made = [r for r in made if wanted in (None, r["status"])]
        return _cached(request, orjson.dumps(made), _JSON, {})

    async def _messages(self, f: QueueFilter, reader: Reader) -> list[dict[str, Any]]:
        """Of one division or network the database chooses; of several they are chosen from the latest."""
        view = reader.view
        if len(view.divisions) == 1:
            f = replace(f, division=next(iter(view.divisions)))
        if len(view.networks) == 1:
            f = replace(f, network=next(iter(view.networks)))

        def read() -> list[dict[str, Any]]:
            seen = (view.message(m) for m in self.store.messages(f))
            return [m for m in seen if m is not None]

        return await run_in_threadpool(read)

    async def _topics(self) -> Mapping[str, str]:
        if self._names is None:
            self._names = await run_in_threadpool(self._titles)
        return self._names

    # --- about itself ------------------------------------------------------------------------------------------------

    async def health(self, request: Request, reader: Reader) -> Response:
        _asked(request)
        await self._last_seq()
        return Response(b'{"status":"ok"}', media_type=_JSON)

    async def openapi(self, request: Request, reader: Reader) -> Response:
        _asked(request)
        return _cached(request, orjson.dumps(document()), _JSON, {})

    async def schema(self, request: Request, reader: Reader) -> Response:
        _asked(request)
        made = schema(request.path_params.get("type"))
        return _cached(request, orjson.dumps(made), "application/schema+json", {})


def _asked(request: Request, **known: query.Read) -> dict[str, Any]:
    return query.parse(request.query_params.multi_items(), known)


def _slow_down(wait: float, why: str) -> Problem:
    return Problem(429, f"{why}; повторите позже", {"Retry-After": str(max(1, int(wait + 0.999)))})


def problem(e: Problem) -> Response:
    return Response(e.body(), e.status, {**e.headers, "Cache-Control": "no-store"}, MEDIA)


def _cached(request: Request, content: bytes, media: str, headers: dict[str, str]) -> Response:
    """The content with its ETag, or 304 when the reader has it. By content: forgetting rewrites the log in place."""
    kind = media.encode() + repr(sorted(headers.items())).encode()
    tag = f'"{hashlib.blake2b(content, digest_size=16, key=hashlib.sha256(kind).digest()).hexdigest()}"'
    headers = {**headers, "ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Accept"}
    known = [t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media)


async def _nowhere(scope: Any, receive: Any, send: Any) -> None:
    e = Problem(404, "такого адреса нет; адреса описаны в /openapi.json")
    await Response(body(e.status, e.detail), e.status, media_type=MEDIA)(scope, receive, send)
