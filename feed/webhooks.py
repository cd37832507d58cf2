"""Webhooks by the Standard Webhooks specification (https://github.com/standard-webhooks/standard-webhooks).

Delivered at least once, always with the same `webhook-id`; events of one message in their order. An event is tried
over `WINDOW`, then it is a dead letter and the next ones of its message go on. A receiver that is not there is tried a
few times a run only, so what was never tried does not age.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

from feed.egress import Egress, Refused, check_url
from feed.read import seq_of
from feed.scope import View
from settings import ConfigError, Secret

if TYPE_CHECKING:
    from settings import Settings, Webhook
    from store import Store

DELAYS = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000))
"""Before the second try, the third…, as the specification proposes them."""
WINDOW = sum(DELAYS, timedelta())
"""51 h 35 min: a receiver that was down for 48 h is still tried."""
_LOOKED, _WAITING, _TRIES = 500, 10_000, 3


class Post(Protocol):
    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str]]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Outcome:
    """What a run did for one webhook or broker. `lost`: events that the retention rule removed before they were looked
    at. `problem`: why it stopped, a Russian phrase."""

    name: str
    sent: int = 0
    failed: int = 0
    dead: int = 0
    waiting: int = 0
    lost: int = 0
    problem: str | None = None


# --- signature --------------------------------------------------------------------------------------------------------


def key_of(secret: Secret) -> bytes:
    """The bytes of `whsec_…`. Raises ConfigError."""
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise secret._error(
            "нужен секрет вида whsec_ и base64 от 24 до 64 случайных байтов; создайте: "
            "echo whsec_$(openssl rand -base64 32)"
        )
    return key


def signed(id_: str, at: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers of a delivery; every key signs, so that a receiver may change its own at any time."""
    text = f"{id_}.{at}.".encode() + body
    made = [base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode() for key in keys]
    return {
        "Content-Type": "application/json",
        "User-Agent": "otklik",
        "webhook-id": id_,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{one}" for one in made),
    }


def payload(raw: bytes, view: View) -> tuple[str, bytes] | None:
    """(id, body) of an event of the log: what the feed says, and `timestamp` as the specification names its time."""
    import orjson

    event = view.event(orjson.loads(raw))
    if event is None:
        return None
    return event["id"], orjson.dumps({"type": event["type"], "timestamp": event["time"], **event})


# --- delivering -------------------------------------------------------------------------------------------------------


def deliver(
    store: Store,
    settings: Settings,
    *,
    now: Callable[[], datetime],
    only: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    make: Callable[[Settings], Post] | None = None,
    seconds: float | None = None,
) -> list[Outcome]:
    """Send what is due to each webhook; for `seconds` at most. Raises ConfigError, StoreError."""
    found = [w for w in settings.feed.webhooks if w.enabled and only in (None, w.name)]
    keys = {w.name: [key_of(s) for s in w.secrets] for w in found}  # all are checked before anything is sent
    for w in found:
        try:
            check_url(w.url.reveal(), settings.feed.loopback)
        except Refused as e:
            raise w.url._error(str(e)) from None
    end = None if seconds is None else time.monotonic() + seconds
    over = lambda: stop() or (end is not None and time.monotonic() >= end)  # noqa: E731
    return [_deliver(store, settings, w, keys[w.name], now, over, make or _egress) for w in found]


def _egress(settings: Settings) -> Post:
    return Egress(settings.feed.timeout, loopback=settings.feed.loopback)


def _deliver(
    store: Store,
    settings: Settings,
    hook: Webhook,
    keys: Sequence[bytes],
    now: Callable[[], datetime],
    over: Callable[[], bool],
    make: Callable[[Settings], Post],
) -> Outcome:
    told = Outcome(hook.name)
    lock = store.try_lock(f"webhook {hook.name}")
    if lock is None:
        told.problem = "его сейчас обслуживает другой запуск"
        return told
    with lock:
        way = make(settings)
        try:
            _Run(store, hook, keys, now, over, way, told).run()
        finally:
            way.close()
        told.waiting = store.hook_waiting(hook.name)
    return told


class _Run:
    """One webhook's turn, under its lock."""

    def __init__(
        self, store: Store, hook: Webhook, keys: Sequence[bytes], now: Callable[[], datetime],
        over: Callable[[], bool], way: Post, told: Outcome,
    ) -> None:  # fmt: skip
        self.store, self.hook, self.keys, self.now, self.over, self.way, self.told = (
            store, hook, keys, now, over, way, told,
        )  # fmt: skip
        self.view, self.url, self.lost = View.of(hook, hook.types), hook.url.reveal(), 0

    def run(self) -> None:
        cursor, disabled = self.store.hook_cursor(self.hook.name, self.now())
        if disabled:
            self.told.problem = "получатель отказался от событий (410); снова: otklik feed webhooks resume"
            return
        while not self.over():
            cursor, moved = self._look(cursor)
            sent = self._send()
            if self.told.problem or not (moved or sent):
                return

    def _look(self, cursor: int) -> tuple[int, bool]:
        """Take up the next events of the log, unless enough of them wait already."""
        if self.store.hook_waiting(self.hook.name) >= _WAITING:
            return cursor, False
        self.told.lost += max(0, self.store.first_seq() - 1 - cursor)
        found, last = [], cursor
        import orjson

        for raw in self.store.events_raw(cursor, _LOOKED):
            last = seq_of(raw)
            event = self.view.event(orjson.loads(raw))
            if event is not None:
                found.append((last, int(event.get("subject") or -last)))
        if last == cursor:
            return cursor, False
        taken = self.store.hook_take(self.hook.name, cursor, last, found, self.now())
        return (last, True) if taken else self.store.hook_cursor(self.hook.name, self.now())

    def _send(self) -> int:
        """Send what is due, once each; how many were tried."""
        tried = after = 0
        while not self.over() and not self.told.problem:
            due = self.store.hook_due(self.hook.name, self.now(), after, 200)
            if not due:
                break
            for item in due:
                if self.over() or self.told.problem:
                    break
                after = item.seq
                tried += 1
                self._one(item.seq, item.attempts, item.first_at)
        return tried

    def _one(self, seq: int, attempts: int, first_at: datetime | None) -> None:
        name, raw = self.hook.name, next(iter(self.store.events_raw(seq - 1, 1)), None)
        made = payload(raw, self.view) if raw is not None and seq_of(raw) == seq else None
        if made is None:  # the retention rule removed it, or it is no longer for this receiver
            self.store.hook_done(name, seq, self.now())
            return
        id_, body = made
        at = self.now()
        try:
            status, headers = self.way.post(self.url, signed(id_, int(at.timestamp()), body, self.keys), body)
        except ConnectionError as e:
            self._failed(seq, attempts, first_at, str(e), None, down=True)
            return
        except Refused as e:
            self._failed(seq, attempts, first_at, str(e), None, down=True)
            self.told.problem = str(e)
            return
        if 200 <= status < 300:
            self.store.hook_done(name, seq, self.now())
            if self.told.sent == 0:
                self.store.hook_wake(name, self.now())
            self.told.sent, self.lost = self.told.sent + 1, 0
        elif status == 410:
            self.store.hook_disable(name, self.now())
            self.told.problem = "получатель отказался от событий (410); снова: otklik feed webhooks resume"
        else:
            down = status >= 500 or status in (408, 429)
            later = _retry_after(headers.get("retry-after"), self.now()) if status in (429, 503) else None
            self._failed(seq, attempts, first_at, f"получатель ответил {status}", later, down=down)

    def _failed(
        self, seq: int, attempts: int, first_at: datetime | None, error: str, later: datetime | None, *, down: bool
    ) -> None:
        now = self.now()
        again = max(now + DELAYS[min(attempts, len(DELAYS) - 1)], later or now)
        over = now - (first_at or now) >= WINDOW
        self.store.hook_failed(self.hook.name, seq, error, now, None if over else again, down=down)
        self.told.failed += 1
        self.told.dead += over
        self.lost = self.lost + 1 if down else 0
        if self.lost >= _TRIES:
            self.told.problem = error


def _retry_after(text: str | None, now: datetime) -> datetime | None:
    """When a receiver asks to come back; at most a day later."""
    if not text:
        return None
    try:
        if text.strip().isascii() and text.strip().isdigit() and len(text) < 10:
            at = now + timedelta(seconds=int(text))
        else:
            at = parsedate_to_datetime(text)
        return min(at, now + timedelta(days=1))
    except (ValueError, TypeError, OverflowError):
        return None


def known(settings: Settings, name: str) -> Webhook:
    """The webhook of this name. Raises ConfigError."""
    for hook in settings.feed.webhooks:
        if hook.name == name:
            return hook
    names = ", ".join(w.name for w in settings.feed.webhooks) or "пока ни одного"
    raise ConfigError(f"вебхука «{name[:60]}» в feed.webhooks нет; есть {names}")
