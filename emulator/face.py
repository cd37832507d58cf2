"""What a pretend network has to say: how it reads a request, how it answers about a world, how it refuses.

A network is one file, `emulator/<network>.py`, with a subclass of `Face` in its module attribute `FACE`; `face_of`
finds it by that name. Another package names its class by the entry point group `otklik.faces`, a test may put its class
into `OTHERS`. The HTTP server, the plans of faults,
the log of requests and the way time goes are the same for all.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from emulator.faults import Fault, Plan
from emulator.world import Naming, Shaker
from settings import ConfigError

if TYPE_CHECKING:
    from emulator.server import Request
    from emulator.world import World

GROUP = "otklik.faces"
NETWORKS = ("vk", "ok", "instagram", "facebook", "x", "telegram", "max", "youtube", "rutube")
OTHERS: dict[str, type[Face]] = {}
"""Faces that lie in no `emulator/<network>.py`."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the network understands it. `method`: how plans, log and counters call it (no spaces, no colon).

    `params` without the token; `path` and `body` as sent, for judges of the wire.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    token: str = ""
    verb: str = "GET"
    path: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a value that becomes JSON, or bytes as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The network says no. `code`: its own; `detail`: words for people; `more`: whatever else the face wants to say."""

    def __init__(self, code: int | str, detail: str = "", **more: Any) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.detail = detail
        self.more = more


class Face(ABC):
    """Answers calls about a world. Thread-safe: one call at a time.

    `prefix`: the path under which the API lies. `naming`: external ids, the same that the collector makes. `known`:
    token -> kind, accepted unless others are given. `keys`: what else `networks.<name>` must hold. `rates`: kind ->
    requests a second, enforced when given; `real_rates`: as the network limits them. `kinds`: of posts that it shows,
    the usual one first. `codes`: its own errors worth trying, as plans write them.
    `null`, `shape`: answers that say nothing, for the faults of these names.
    `observer(method, params, kind, body)` and `watch(call, answer)` see every call.
    """

    network: ClassVar[str]
    naming: ClassVar[Naming]
    prefix: ClassVar[str] = "/"
    known: ClassVar[Mapping[str, str]] = {}
    keys: ClassVar[Mapping[str, str]] = {}
    real_rates: ClassVar[Mapping[str, float]] = {}
    kinds: ClassVar[tuple[str, ...]] = ("post",)
    codes: ClassVar[tuple[int | str, ...]] = ()
    null: ClassVar[Any] = None
    shape: ClassVar[Any] = {"unexpected": True}

    def __init__(
        self,
        world: World,
        *,
        behaviour: Any = None,
        tokens: Mapping[str, str] | None = None,
        rates: Mapping[str, float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.world = world
        self.behaviour = behaviour
        self.tokens = dict(self.known if tokens is None else tokens)
        self.rates = dict(rates or {})
        self.inner_calls: Counter[str] = Counter()
        self.observer: Callable[[str, Any, str, Any], None] | None = None
        self.watch: Callable[[Call, Answer], None] | None = None
        self._monotonic = monotonic
        self._recent: dict[str, deque[float]] = {}

    # -- what a network says of itself ---------------------------------------------------------------------------------

    @abstractmethod
    def read(self, request: Request) -> Call | None:
        """The call that a request is; None: there is nothing at this address (404)."""

    @abstractmethod
    def run(self, call: Call) -> Any:
        """The body of the answer (or an `Answer`); raises `Refusal`."""

    @abstractmethod
    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        """The network's own way to say no."""

    def too_fast(self) -> Refusal:
        """What is said to who asks too much."""
        return Refusal(429, "Too Many Requests")

    def lie(self, body: Any, by: int) -> None:  # noqa: B027
        """Put every counter in the answer off by `by`, never below zero (fault `counter`); nothing without counters."""

    def hollow(self, body: Any) -> None:  # noqa: B027
        """Take the items out of the answer and leave its counters (fault `hollow`)."""

    # -- one call ------------------------------------------------------------------------------------------------------

    def kind(self, token: str) -> str:
        """What kind of token this is; "none" when the network does not know it."""
        return self.tokens.get(token, "none")

    def handle(self, call: Call, plan: Plan, fault: Fault | None = None) -> Answer:
        """The answer to one call; `fault` is one of content or an error of the network itself."""
        with self.world.lock:
            try:
                if fault is not None and fault.kind == "error":
                    raise Refusal(fault.value)
                self._limit(call.token)
                self.world.sync()
                if self.world.mutator is not None:
                    self.world.mutator(self.world, call.method)
                if fault is not None and fault.kind == "shift":
                    shaker = Shaker(int(self.world.now() * 1000))
                    for _ in range(fault.value):
                        shaker.shake(self.world)
                found = self.run(call)
                answer = found if isinstance(found, Answer) else Answer(found)
                if fault is not None and fault.kind == "counter":
                    self.lie(answer.body, fault.value)
                elif fault is not None and fault.kind == "hollow":
                    self.hollow(answer.body)
            except Refusal as refusal:
                answer = self.refuse(refusal, call)
            if self.observer is not None:
                self.observer(call.method, call.params, self.kind(call.token), answer.body)
            if self.watch is not None:
                self.watch(call, answer)
            return answer

    def _limit(self, token: str) -> None:
        rate = self.rates.get(self.kind(token))
        if not rate:
            return
        now = self._monotonic()
        recent = self._recent.setdefault(token, deque())
        while recent and now - recent[0] >= 1.0:
            recent.popleft()
        if len(recent) >= rate:
            raise self.too_fast()
        recent.append(now)


def face_of(network: str) -> type[Face]:
    """The face of a network; ConfigError when there is none."""
    if network in OTHERS:
        return OTHERS[network]
    if network in NETWORKS and find_spec(f"emulator.{network}") is not None:
        return import_module(f"emulator.{network}").FACE
    foreign = {e.name: e for e in entry_points(group=GROUP)}
    if network in foreign:
        return _foreign(foreign[network])
    known = [n for n in (*NETWORKS, *OTHERS) if n in OTHERS or find_spec(f"emulator.{n}") is not None]
    raise ConfigError(f"эмулятора сети {network} нет; есть: {', '.join([*known, *sorted(foreign)])}")


def _foreign(entry: EntryPoint) -> type[Face]:
    try:
        found: Any = entry.load()
    except Exception as e:  # a foreign package may fail in any way
        raise ConfigError(f"эмулятор сети {entry.name} ({entry.value}) не загружается: {type(e).__name__}") from e
    if not (isinstance(found, type) and issubclass(found, Face)):
        raise ConfigError(f"эмулятор сети {entry.name} ({entry.value}) не подходит: это не класс Face")
    return found
