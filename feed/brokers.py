"""The feed to a message broker: NATS JetStream and Kafka, through FastStream (https://faststream.ag2.ai).

An event goes out as a CloudEvent in structured mode (the JSON of the feed; content type of the CloudEvents bindings for
Kafka and NATS), at least once, events of one message in their order: the next one leaves when the broker has confirmed
the one before. The cursor moves behind what was confirmed, so a killed run repeats at most what it had under way. What
is repeated can be told by the event's id: JetStream drops it itself within its window (`Nats-Msg-Id`).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

import orjson

from feed.read import seq_of
from feed.scope import View
from feed.webhooks import Outcome
from settings import ConfigError, remember_secret

if TYPE_CHECKING:
    from settings import Broker, Settings
    from store import Store

MEDIA = "application/cloudevents+json"
_LOOKED = 500
_PREFIX = "otklik."


class Publish(Protocol):
    def __call__(self, event: Event) -> Any:
        """Awaitable; returns when the broker has confirmed the event. Raises whatever its library does."""


@dataclass(frozen=True, slots=True)
class Event:
    """`key`: events of one key keep their order; "" when the event belongs to no message."""

    seq: int
    id: str
    type: str
    key: str
    body: bytes


def event_of(raw: bytes, view: View) -> Event | None:
    """A line of the log as this broker gets it; None when it does not."""
    found = view.event(orjson.loads(raw))
    if found is None:
        return None
    return Event(found["seq"], found["id"], found["type"], found.get("subject", ""), orjson.dumps(found))


def waves(events: Iterable[Event]) -> Iterator[list[Event]]:
    """In order; within a wave no two events of one message, so that a whole wave may be on its way at once."""
    wave: list[Event] = []
    keys: set[str] = set()
    for event in events:
        if event.key in keys:
            yield wave
            wave, keys = [], set()
        wave.append(event)
        if event.key:
            keys.add(event.key)
    if wave:
        yield wave


# --- connecting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Address:
    kind: str
    tls: bool
    hosts: tuple[str, ...]
    user: str = ""
    password: str = ""

    @classmethod
    def of(cls, url: str) -> Address:
        """Of what `settings.Broker.address` let through."""
        scheme, _, rest = url.partition("://")
        kind, _, tls = scheme.partition("+")
        who, _, hosts = rest.rstrip("/").rpartition("@")
        user, _, password = who.partition(":")
        return cls(kind, bool(tls), tuple(h for h in hosts.split(",") if h), unquote(user), unquote(password))


def _library(kind: str) -> Any:
    """FastStream's module for this broker. Raises ConfigError when it isn't installed."""
    # What failed is told in our words; the library's own lines would stand beside them.
    logging.getLogger("faststream").setLevel(logging.CRITICAL)
    name = {"nats": "faststream.nats", "kafka": "faststream.confluent"}[kind]
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"для {kind} нужен пакет: pip install 'otklik[{kind}]'") from None


def _security(address: Address) -> Any:
    from faststream.security import BaseSecurity, SASLPlaintext, SASLScram512

    if address.kind == "kafka" and address.user:
        return SASLScram512(username=address.user, password=address.password, use_ssl=address.tls)
    if address.user:
        return SASLPlaintext(username=address.user, password=address.password, use_ssl=address.tls)
    return BaseSecurity(use_ssl=address.tls) if address.tls else None


@asynccontextmanager
async def connected(broker: Broker, timeout: float) -> AsyncIterator[Publish]:
    """The way to publish. Raises ConfigError; whatever the library does when there is no connection."""
    address = Address.of(broker.address())
    if address.password:
        remember_secret(address.password)
    library = _library(address.kind)
    make = _nats if address.kind == "nats" else _kafka
    client, publish = make(library, address, broker.topic, timeout)
    try:
        await asyncio.wait_for(client.start(), timeout)
        yield publish
    finally:
        try:
            await asyncio.wait_for(client.stop(), timeout)
        except Exception as e:
            logging.getLogger("otklik.feed").debug("broker %s: closing failed: %s", broker.name, type(e).__name__)


def _nats(library: Any, address: Address, topic: str, timeout: float) -> tuple[Any, Publish]:
    client = library.NatsBroker(
        [f"nats://{host}" for host in address.hosts],
        security=_security(address),
        connect_timeout=max(1, round(timeout)),
        allow_reconnect=False,
        logger=None,
    )

    async def publish(event: Event) -> None:
        await client.publish(
            event.body,
            f"{topic}.{event.type.removeprefix(_PREFIX)}",
            headers={"Nats-Msg-Id": event.id, "content-type": MEDIA},
            stream=topic.upper(),
            timeout=timeout,
        )

    return client, publish


def _kafka(library: Any, address: Address, topic: str, timeout: float) -> tuple[Any, Publish]:
    ms = int(timeout * 1000)
    config = {
        "enable.idempotence": True,
        "message.timeout.ms": ms,
        "socket.timeout.ms": ms,
        "socket.connection.setup.timeout.ms": max(1000, ms),
    }
    client = library.KafkaBroker(list(address.hosts), security=_security(address), config=config, logger=None)

    async def publish(event: Event) -> None:
        await client.publish(
            event.body, topic, key=event.key.encode() or None, headers={"content-type": MEDIA, "id": event.id}
        )

    return client, publish


# --- delivering -------------------------------------------------------------------------------------------------------


def deliver(
    store: Store,
    settings: Settings,
    *,
    now: Callable[[], datetime],
    only: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    seconds: float | None = None,
) -> list[Outcome]:
    """Publish to each broker what stands behind its cursor; for about `seconds`. Raises ConfigError, StoreError."""
    found = [b for b in settings.feed.brokers if b.enabled and only in (None, b.name)]
    for broker in found:  # all are checked before anything is sent
        _library(Address.of(broker.address()).kind)
        View.of(broker, broker.types)
    end = None if seconds is None else time.monotonic() + seconds
    over = lambda: stop() or (end is not None and time.monotonic() >= end)  # noqa: E731
    return [_deliver(store, broker, settings.feed.timeout, now, over) for broker in found]


def _deliver(
    store: Store, broker: Broker, timeout: float, now: Callable[[], datetime], over: Callable[[], bool]
) -> Outcome:
    told = Outcome(broker.name)
    lock = store.try_lock(broker.key)
    if lock is None:
        told.problem = "его сейчас обслуживает другой запуск"
        return told
    with lock:
        cursor, _ = store.hook_cursor(broker.key, now())
        if store.last_seq() > cursor:
            cursor = asyncio.run(_publish(store, broker, timeout, cursor, now, over, told))
        told.waiting = max(0, store.last_seq() - cursor)
    return told


async def _publish(
    store: Store, broker: Broker, timeout: float, cursor: int, now: Callable[[], datetime],
    over: Callable[[], bool], told: Outcome,
) -> int:  # fmt: skip
    """Everything behind the cursor, or until the broker fails; the cursor it came to."""
    from settings import OtklikError

    key, view = broker.key, View.of(broker, broker.types)

    def move(to: int) -> None:
        nonlocal cursor
        if to > cursor and store.hook_take(key, cursor, to, [], now()):
            cursor = to

    try:
        async with connected(broker, timeout) as publish:
            while not over():
                told.lost += max(0, store.first_seq() - 1 - cursor)
                lines = list(store.events_raw(cursor, _LOOKED))
                if not lines:
                    break
                done = cursor
                try:
                    for wave in waves(e for raw in lines if (e := event_of(raw, view)) is not None):
                        await _wave(publish, wave, timeout)
                        told.sent += len(wave)
                        done = wave[-1].seq
                        if over():
                            break
                    else:
                        done = seq_of(lines[-1])
                finally:
                    move(done)
    except OtklikError:
        raise
    except Exception as e:
        told.failed += 1
        told.problem = _why(e, broker)
    return cursor


async def _wave(publish: Publish, wave: Sequence[Event], timeout: float) -> None:
    """Each event of it confirmed. Raises the first failure, when all have ended."""
    ends = [asyncio.wait_for(publish(event), timeout + 1) for event in wave]
    for end in await asyncio.gather(*ends, return_exceptions=True):
        if isinstance(end, BaseException):
            raise end


def _why(e: Exception, broker: Broker) -> str:
    """Why a broker did not take an event; a Russian phrase without its address."""
    name = type(e).__name__
    if name in ("NoStreamResponseError", "NoRespondersError"):
        stream, subjects = broker.topic.upper(), f"{broker.topic}.>"
        return f"в NATS нет потока {stream} для {subjects}; создайте: nats stream add {stream} --subjects '{subjects}'"
    if "Auth" in name:
        return "брокер не принял имя или пароль"
    if isinstance(e, TimeoutError | ConnectionError | OSError) or name in (
        "NoServersError",
        "ConnectionClosedError",
        "KafkaException",
    ):
        return "брокер не отвечает или не принял событие; проверьте адрес и связь"
    return f"брокер ответил ошибкой ({name})"


def known(settings: Settings, name: str) -> Broker:
    """The broker of this name. Raises ConfigError."""
    for broker in settings.feed.brokers:
        if broker.name == name:
            return broker
    names = ", ".join(b.name for b in settings.feed.brokers) or "пока ни одного"
    raise ConfigError(f"брокера «{name[:60]}» в feed.brokers нет; есть {names}")
