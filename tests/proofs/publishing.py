"""kill -9 while answers are being published: at random instants, and between any two steps on purpose.

Runs are forked children of a parent that has loaded everything (see `lab`); the network lives in a process of its own
and survives, so its ledger says what was really published, and how often.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from desk import publishing
from desk.work import act
from store import QueueFilter, Store
from store.admin import verify
from tests.proofs.lab import Lab

STEPS = ("intend", "send", "received", "find", "seen", "act")
A_RUN = 4  # answers that one run would publish if it were left alone


@dataclass
class Result:
    """What was found; `wrong` is empty when everything held."""

    answers: int = 0
    runs: int = 0
    kills: int = 0
    aimed: Counter[str] = field(default_factory=Counter)  # kills between two steps, by the step
    left: int = 0  # publications that a killed run left half-way, over all runs
    exits: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"answers {self.answers}, runs {self.runs}, kills {self.kills} (aimed {sum(self.aimed.values())}), "
            f"left half-way {self.left}, wrong {len(self.wrong)}, exits {dict(self.exits)}, {self.seconds:.0f} s"
        )


def prepare(lab: Lab, answers: int) -> dict[str, str]:
    """So many messages with an approved answer; message id -> its text."""
    import jconfig.memory  # noqa: F401  (what every child would load)
    import vk_api  # noqa: F401

    import collectors.outlet
    import collectors.poll
    import collectors.transport
    import collectors.vk  # noqa: F401
    from cli import judge_with
    from tests.rig import PlainJudge

    judge = PlainJudge()
    lab.judges = judge_with(judge, lab.settings), judge
    lab.collect()  # first sight: what comes later is not historical
    texts: dict[str, str] = {}
    for _ in range(1000):
        lab.advance()
        lab.collect()
        with Store.open(lab.url) as store:
            for message in store.messages(QueueFilter(status="new", historical=False, deleted=False)):
                if len(texts) == answers:
                    return texts
                id = message["id"]
                texts[id] = f"Этим занимается Росреестр, ответ на сообщение {id}."
                args = {"body": "Росреестр", "text": texts[id]}
                act(store, lab.settings, id, "redirect", args, by="me", now=datetime.now(UTC))
    raise AssertionError(f"only {len(texts)} messages came")


def child(lab: Lab, todo: list[str], aim: tuple[str, int, bool] | None) -> int:
    """Start a run that takes up what is left and publishes `todo`; `aim`: it dies at the n-th call of that step,
    before or after it. Its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        from cli import open_outlet

        if aim is not None:
            _die_at(*aim)
        with Store.open(lab.url) as store, open_outlet(lab.settings, store) as outlet:
            for _ in publishing.resume(store, lab.settings, outlet):
                pass
            for id in todo:
                with suppress(publishing.Refused, publishing.Busy):
                    publishing.publish(store, lab.settings, outlet, id, by="me")
        code = 0
    except BaseException as e:
        print(f"child failed: {type(e).__name__}: {e}", flush=True)
    finally:
        os._exit(code)


def _die_at(step: str, nth: int, after: bool) -> None:
    from collectors.outlet import Outlet

    home: Any = Outlet if step in ("send", "find") else Store
    real, count = getattr(home, step), {"n": 0}

    def dies(self: Any, *args: Any, **how: Any) -> Any:
        count["n"] += 1
        if count["n"] == nth and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(self, *args, **how)
        if count["n"] == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(home, step, dies)


def kill_publishing(lab: Lab, kills: int, answers: int, *, seed: int = 1, say: Any = None) -> Result:
    """Kill so many runs, then let the rest be published, and count in the network's ledger. There must be enough
    answers for the kills: about two each."""
    rng = random.Random(seed)
    started = time.monotonic()
    texts = prepare(lab, answers)
    waiting = list(texts)
    result = Result(answers=len(texts))
    span = 0.2
    while result.kills < kills and waiting:
        todo, aim = waiting[:A_RUN], None
        if rng.random() < 0.7:
            aim = (rng.choice(STEPS), rng.randint(1, 2), rng.random() < 0.5)
        begun = time.monotonic()
        pid = child(lab, todo, aim)
        if aim is None:
            time.sleep(rng.uniform(0, span))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        code = lab.wait(pid)
        result.runs += 1
        if code == -signal.SIGKILL:
            result.kills += 1
            result.aimed.update([aim[0]] if aim else [])
        elif aim is None:
            span = max(0.05, min(span, (time.monotonic() - begun) * 1.2))
        with Store.open(lab.url) as store:
            result.left += len(store.unfinished())
            while waiting and store.message(waiting[0])["status"] != "approved":
                waiting.pop(0)
        if say and result.runs % 50 == 0:
            say(f"killed {result.kills} of {kills}")
    lab.wait(child(lab, waiting, None))
    lab.wait(child(lab, [], None))
    lab.collect(full=True)
    result.exits = lab.exits
    result.wrong = list(_wrong(lab, texts))
    result.seconds = time.monotonic() - started
    return result


def _wrong(lab: Lab, texts: dict[str, str]) -> Any:
    entries = [json.loads(line) for line in lab.ledger()]
    published = Counter((e["parent"], e["text"]) for e in entries if e["own"])
    with Store.open(lab.url) as store:
        for id, text in texts.items():
            message = store.message(id)
            n = published.pop((message["external_id"], text), 0)
            if n != 1:
                yield f"the answer to {id} was published {n} times"
            if message["status"] != "published":
                yield f"message {id} is {message['status']}"
            (p,) = store.publications(id)
            if p.state != "done" or p.receipt is None:
                yield f"the publication of {id} is {p.state}"
        if store.unfinished():
            yield "something is left half-way"
        known = {m["external_id"] for m in store.messages()}
        ours = [e["external_id"] for e in entries if e["own"] and e["external_id"] in known]
        if ours:
            yield f"{len(ours)} own answers were taken for residents' messages"
    if published:
        yield f"{len(published)} comments that nobody approved"
    yield from verify(lab.url)
    bad = {c: n for c, n in lab.exits.items() if c not in (0, 1, 6, -signal.SIGKILL)}
    if bad:
        yield f"exit codes {bad}"
