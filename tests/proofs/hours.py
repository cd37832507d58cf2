"""The administrator's hour and the board at sizes that `make test` has no time for."""

from __future__ import annotations

import resource
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from desk.board import board
from store import Store
from store.admin import verify
from store.values import Judged
from tests.desk.test_review import DUE, NOW, PLAIN, fill, session
from tests.store.build import comment, landing, see


def two_at_once(url: str, messages: int) -> tuple[str, list[str]]:
    """Two administrators press Enter until nothing waits: each message is decided once. What was seen, what is not."""
    with Store.open(url) as store:
        fill(store, *[PLAIN] * messages)
    shown: Counter[str] = Counter()
    refused: list[str] = []

    def work(by: str) -> None:
        with Store.open(url) as mine:
            review = session(mine, by)
            while review.counts["all"]:
                if review.offer is None:  # the other one has the last of them
                    time.sleep(0.01)
                    review._next()
                    continue
                shown[review.offer["id"]] += 1
                review.press("enter")
                refused.extend([review.notice] if review.failed else [])

    began, people = time.monotonic(), [threading.Thread(target=work, args=(by,)) for by in ("adm", "two")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    took = time.monotonic() - began
    with Store.open(url) as store:
        states = Counter(m["status"] for m in store.messages())
        twice = sum(1 for n in range(1, messages + 1) if len(store.desk(str(n))["log"]) != 1)
    wrong = [*refused[:3], *verify(url)]
    if states != {"routed": messages} or twice or max(shown.values()) > 1:
        wrong.append(f"states {dict(states)}, decided more than once: {twice}, shown {max(shown.values())} times")
    return f"{messages} messages by two people at once in {took:.0f} s, {messages / took:.0f} a second", wrong


def big_board(url: str, messages: int) -> tuple[str, list[str]]:
    """The board over many open messages: seconds and memory. What was seen, what is wrong."""
    with Store.open(url) as store:
        see(store)
        for first in range(0, messages, 5000):
            items: list[Any] = [_judged(n) for n in range(first, min(first + 5000, messages))]
            store.land(landing(*items), NOW)
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        rows = board(store.workload(), NOW)
        took = time.monotonic() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        offered = time.monotonic()
        review = session(store)
        offered = time.monotonic() - offered
    total = sum(r.total for r in rows)
    wrong = [] if total == messages and review.offer and grown < 50 else [f"{total} counted, {grown:.0f} MB more"]
    return (
        f"board of {total}: {took:.1f} s, {grown:.0f} MB more; the first message is offered in {offered:.2f} s",
        wrong,
    )


def _judged(n: int) -> Any:
    due = {name: at + timedelta(seconds=n % 5000) for name, at in DUE.items()}
    return Judged(comment(n, f"вопрос {n}"), PLAIN, due)
