"""How a collector behaves towards a network: its turn, its budget, patience, an end to patience.

Every call of a collector goes through `Manners.call`: it waits for the token's next slot (kept in the store, so that
all runs and workers that use one token share it), counts the call, repeats what is worth repeating, and gives up within
`retries` and `max_wait` of the configuration. Transport (addresses, timeouts, sizes) is `collectors/transport.py`.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from collectors.contract import RateLimited, Stopped, Unavailable
from collectors.quota import Quota
from settings import HIDDEN, scrub

if TYPE_CHECKING:
    from collectors.transport import Gate
    from settings import Network

log = logging.getLogger("otklik.manners")
T = TypeVar("T")

FIRST_PAUSE = 0.5  # seconds; doubles with each attempt
LONGEST_PAUSE = 30.0
SLICE = 0.2  # a stop flag that can't be waited on is looked at this often


class Retry(Exception):
    """Raised by a call that is worth repeating. `reason` is Russian; `after`: seconds the network asked to wait.

    `limited`: the network says we ask too much, so everybody who uses the token waits. `code`: the network's own code.
    """

    def __init__(
        self, reason: str, *, after: float | None = None, limited: bool = False, code: str | int | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.limited = limited
        self.code = code


class Budget(Protocol):
    """What `Store` keeps of a token's use. Times are seconds since the epoch."""

    def reserve(self, key: str, interval_s: float, *, now: float) -> float:
        """Book the next slot of `key`; seconds to wait until it comes."""
        ...

    def hold(self, key: str, until: float) -> None:
        """Nobody who uses `key` calls before `until`."""
        ...

    def count_call(self, key: str, day: str, n: int = 1) -> int:
        """Add `n` units to the day ("2026-11-24"); how many there are now. A negative `n` takes units back."""
        ...

    def calls_on(self, key: str, day: str) -> int:
        """How many units of the day are counted so far."""
        ...


class MemoryBudget:
    """A budget of this process alone, for work without a store (`doctor`, tests, authors of collectors)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._calls: dict[tuple[str, str], int] = {}

    def reserve(self, key: str, interval_s: float, *, now: float) -> float:
        with self._lock:
            at = max(self._next.get(key, now), now)
            self._next[key] = at + interval_s
            return at - now

    def hold(self, key: str, until: float) -> None:
        with self._lock:
            self._next[key] = max(self._next.get(key, until), until)

    def count_call(self, key: str, day: str, n: int = 1) -> int:
        with self._lock:
            self._calls[key, day] = self._calls.get((key, day), 0) + n
            return self._calls[key, day]

    def calls_on(self, key: str, day: str) -> int:
        with self._lock:
            return self._calls.get((key, day), 0)


class Stop(Protocol):
    """Something that says whether the run shall end; `threading.Event` fits and is waited on."""

    def is_set(self) -> bool: ...


class Manners:
    """One network and one token. `calls` counts what was really sent in this run.

    `rate`: calls a second unless the configuration says otherwise. `a_day`: units a day unless it does, None: as
    many as one likes; `zone`: where that day begins; `by_month`: months are counted too. `clock`: seconds since the
    epoch.
    """

    def __init__(
        self,
        network: str,
        config: Network,
        budget: Budget,
        *,
        rate: float = 3.0,
        a_day: int | None = None,
        zone: str = "UTC",
        by_month: bool = False,
        gate: Gate | None = None,
        stop: Stop | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self.network = network
        self.config = config
        self.budget = budget
        self.gate = gate
        self.calls = 0
        self.interval = 1.0 / (config.requests_per_second or rate)
        self._stop = stop
        self._sleep = sleep or self._wait
        self._clock = clock
        self._rng = rng or random.Random()
        self._key: str | None = None
        self._closers: list[Callable[[], None]] = []
        total = config.budget or a_day
        self.quota: Quota | None = None
        if total is None and config.month_budget is not None:
            total = config.month_budget
        if total is not None:
            month = config.month_budget
            self.quota = Quota(lambda: self.key, total, zone, budget, clock, network, month=month, by_month=by_month)

    @property
    def key(self) -> str:
        """Name of the token's budget: the network and a keyed hash, never the token."""
        if self._key is None:
            token = self.config.token.reveal() if self.config.token else ""
            digest = hashlib.blake2b(token.encode(), key=f"otklik:{self.network}".encode(), digest_size=12)
            self._key = f"{self.network}:{digest.hexdigest()}"
        return self._key

    def token(self) -> str:
        """The token itself; `scrub` knows it from now on."""
        return self.config.token.reveal() if self.config.token else ""

    def call(self, send: Callable[[], T], what: str = "", cost: int = 1, units: int = 1, tries: int | None = None) -> T:
        """`send()` in its turn, repeated while it raises `Retry`; then `RateLimited` or `Unavailable`.

        `what`: how the log names the call. `cost`: slots of the budget that it takes. `units`: what
        the network charges for it. `tries`: how often at most, instead of the configuration's.
        """
        give_up_at = self._clock() + self.config.max_wait
        attempt, most = 0, tries or self.config.retries + 1
        while True:
            self._take_turn(cost, give_up_at)
            if self.quota is not None:
                self.quota.spend(units)
            else:
                self.budget.count_call(self.key, datetime.fromtimestamp(self._clock(), UTC).date().isoformat(), cost)
            self.calls += cost
            try:
                return send()
            except Retry as e:
                attempt += 1
                pause = self._pause(attempt, e.after)
                log.info("%s: %s, attempt %d", what, scrub(e.reason), attempt)
                if e.limited:
                    self.budget.hold(self.key, self._clock() + min(pause, self.config.max_wait))
                if attempt >= most or self._clock() + pause > give_up_at:
                    raise self._given_up(e) from None
                self._sleep(pause)

    def hold(self, seconds: float) -> None:
        """Nobody who uses this token calls for so long: the network says that a limit is nearly used up."""
        self.budget.hold(self.key, self._clock() + seconds)

    def now(self) -> float:
        """Unix seconds by the clock that turns are taken by."""
        return self._clock()

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the run may live."""
        self._sleep(seconds)

    def check_stop(self) -> None:
        """Raise `Stopped` if the run shall end."""
        if self._stop is not None and self._stop.is_set():
            raise Stopped("сбор остановлен; остальное возьмёт следующий запуск")

    def on_close(self, close: Callable[[], None]) -> None:
        """Have `close` called when the collector is done."""
        self._closers.append(close)

    def close(self) -> None:
        while self._closers:
            self._closers.pop()()

    def _take_turn(self, cost: int, give_up_at: float) -> None:
        self.check_stop()
        now = self._clock()
        wait = self.budget.reserve(self.key, self.interval * cost, now=now)
        if now + wait > give_up_at:
            raise RateLimited(
                f"сеть {self.network} просит подождать ещё {wait:.0f} с; следующий запуск продолжит с этого места"
            )
        if wait > 0:
            self._sleep(wait)

    def _pause(self, attempt: int, after: float | None) -> float:
        """Full jitter over a doubling bound; what the network asked for is the least."""
        bound = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
        return (after or 0.0) + self._rng.uniform(0.0, bound)

    def _given_up(self, e: Retry) -> RateLimited | Unavailable:
        reason = scrub(e.reason).replace("\n", " ") or HIDDEN
        if e.limited:
            return RateLimited(
                f"сеть {self.network} ограничила запросы ({reason}); следующий запуск продолжит с этого места",
                code=e.code,
            )
        return Unavailable(f"сеть {self.network} не отвечает как надо ({reason}); повторите позже", code=e.code)

    def _wait(self, seconds: float) -> None:
        """Sleep that a stop ends at once."""
        wait = getattr(self._stop, "wait", None)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._stop is None:
                time.sleep(left)
            elif wait is not None:
                wait(left)
            else:
                time.sleep(min(left, SLICE))
            self.check_stop()
