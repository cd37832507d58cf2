"""Workers in the laboratory: several at once, killed at random, the world moving on meanwhile."""

from __future__ import annotations

import importlib
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from running.judging import judge_with
from settings import parse
from store import Store
from store.copies import existing
from store.jobs import facts
from store.ledger import Comparison, compare
from tests.proofs.lab import CONFIG, PAGES, Lab

PACE = "worker: {every: 1s, push_every: 1s, heartbeat: 1s, pages: 2}\n"
PATIENCE_S = 120.0


def at_pace(lab: Lab, batch: int = 50, more: str = PACE, judge: Any = None, network: str = "") -> str:
    """The laboratory's configuration with workers that look every second; its text. `judge`: a light one."""
    pages = ", ".join(f'{{network: vk, id: "-{100 + p}"}}' for p in range(PAGES))
    told = CONFIG.format(url=lab.url, api=lab.api, pages=pages, phone=lab.phone, batch=batch)
    told = told.replace("requests_per_second: 10000", f"requests_per_second: 10000{network}")
    lab.settings = parse(told + more)
    classifier = judge or lab.judges[1]
    lab.judges = judge_with(classifier, lab.settings), classifier
    return told + more


def load_all() -> None:
    """Load in the parent what every worker loads."""
    from running import worker

    importlib.import_module("jconfig.memory")
    worker.load_all(["vk"])


def fork_worker(lab: Lab, *, before: Any = None, events: Any = None) -> int:
    """A worker in a child; its pid. `before()` is called in the child first. `events`: a pipe's end that is told the
    port to which VK's events may be sent."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        if before is not None:
            before()
        code = _work(lab, events)
    except BaseException as e:
        print(f"worker failed: {type(e).__name__}: {e}", flush=True)
        code = getattr(e, "exit_code", 70)
    finally:
        os._exit(code)


def _work(lab: Lab, events: Any) -> int:
    from console import stop_on_signals
    from running.callback import listening
    from running.classifying import Judges
    from running.worker import Worker

    with stop_on_signals() as stop, Store.open(lab.url, guarded=True) as store, ExitStack() as beside:
        worker = Worker(store, lab.settings, Judges(lab.settings, lab.judges), stop, plan_every=1)
        if events is not None:
            events.send(beside.enter_context(listening(store, lab.settings, "127.0.0.1:0", worker.look)))
        worker.run()
    return 0


def dies_at(landing: int, *, after: bool) -> Any:
    """For a worker: it kills itself at its n-th landing, before the transaction or right after it."""

    def prepare() -> None:
        land, count = Store.land, iter(range(1, 10**9))

        def killed(store: Store, *args: Any) -> Any:
            mine = next(count) == landing
            if mine and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            found = land(store, *args)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        Store.land = killed  # type: ignore[method-assign]

    return prepare


def told_to_stop(pid: int) -> int:
    """SIGTERM; how the worker ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def jobs(lab: Lab) -> Any:
    """What `otklik status` says of workers' jobs."""
    with existing(lab.url) as db, db.read() as conn:
        return facts(conn, 1000, lab.settings.worker.stalled)


def wait_until(true: Callable[[], Any]) -> bool:
    """Whether it came true in time."""
    limit = time.monotonic() + PATIENCE_S
    while not (found := true()) and time.monotonic() < limit:
        time.sleep(0.3)
    return bool(found)


def caught_up(lab: Lab) -> Comparison:
    """Wait until the workers have landed every comment that is there; what is still amiss after a long time."""
    found = compare(lab.url, lab.ledger())
    limit = time.monotonic() + PATIENCE_S
    while found.lost and time.monotonic() < limit:
        time.sleep(0.5)
        found = compare(lab.url, lab.ledger())
    return found


@dataclass
class Outcome:
    """What came of it. `lost`: comments that the workers by themselves never landed; `rung`: how often the Head's phone
    rang for alerts that had rung already, at most once for each kill (between sending and noting)."""

    kills: int = 0
    total: int = 0
    lost: list[Any] = field(default_factory=list)
    comparison: Comparison = field(default_factory=Comparison)
    alerts: int = 0
    heard: int = 0
    rung_again: int = 0
    left: int = 0
    exits: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> list[str]:
        found = list(self.comparison.examples())
        if self.lost:
            found.append(f"not landed by the workers: {self.lost[:5]}")
        if self.heard != self.alerts:
            found.append(f"alerts {self.alerts}, heard {self.heard}")
        if self.rung_again > self.kills:
            found.append(f"alerts told again: {self.rung_again} with {self.kills} kills")
        if self.left:
            found.append(f"jobs of dead workers that nobody took back: {self.left}")
        if any(self.exits):
            found.append(f"workers that were told to stop ended with {self.exits}")
        return found

    def __str__(self) -> str:
        c = self.comparison
        return (
            f"kills {self.kills}, comments {c.total}, lost {len(c.lost)}, doubled {len(c.doubled)}, different "
            f"{len(c.different)}, unknown {len(c.unknown)}, alerts {self.alerts}, heard {self.heard}, told again "
            f"{self.rung_again}, {self.seconds:.0f} s"
        )


def kill_workers(
    lab: Lab, kills: int, *, width: int = 2, longest: float = 3.0, seed: int = 1, settle: bool = True, say: Any = None
) -> Outcome:
    """`width` workers at any time; at random instants one gets kill -9 and another one starts. Then all is quiet, the
    rest catch up by themselves and are told to stop. `settle`: full runs before and after."""
    rng = random.Random(seed)
    started = time.monotonic()
    found = Outcome()
    if settle:
        lab.collect()  # first sight: what comes later is not historical
    running = [fork_worker(lab) for _ in range(width)]
    try:
        while found.kills < kills:
            lab.advance()
            time.sleep(rng.uniform(0, longest))
            gone = running.pop(rng.randrange(len(running)))
            os.kill(gone, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(gone, 0)[1])
            assert code == -signal.SIGKILL, f"a worker ended by itself with {code}"
            found.kills += 1
            running.append(fork_worker(lab))
            if say and found.kills % 20 == 0:
                say(f"killed {found.kills} of {kills}")
        lab.advance()
        found.lost = list(caught_up(lab).lost)
        # The dead are taken for dead, and what they were at is nobody's any more.
        if not wait_until(lambda: jobs(lab).workers == width and not jobs(lab).stalled):
            found.left = jobs(lab).stalled or 1
    finally:
        found.exits = [told_to_stop(pid) for pid in running]
    # Edits and deletions that change no counter are seen by a full run.
    found.comparison = lab.settle() if settle else compare(lab.url, lab.ledger())
    found.alerts, found.heard = lab.alerts()
    found.rung_again = sum(n - 1 for n in lab.heard().values())
    found.seconds = time.monotonic() - started
    return found
