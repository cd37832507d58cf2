"""Old messages judged by the present model: batches, a mark to go on from, counts of what changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from classifier.contract import Judge, Text
from store import Store
from store.values import Assessment, Judgeable, Reassessing

BATCH = 500
TOLD = ("topic", "places", "urgency", "emergency", "reaction", "conduct")  # what a change of is counted
Clocks = Callable[[Assessment, datetime], Mapping[str, datetime]]
"""Deadlines of a message that is found at that time to need an answer."""


@dataclass
class Outcome:
    """What a run did, or (`dry`) would do. `changes`: by field, how many messages get another value."""

    total: int
    dry: bool
    judged: int = 0
    changed: int = 0
    emergencies: int = 0
    alerts: int = 0
    failed: int = 0
    interrupted: bool = False
    continued: bool = False
    changes: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "changes": dict(sorted(self.changes.items()))}


def reassess(
    store: Store,
    judge: Judge,
    run: Reassessing,
    clocks: Clocks,
    now: Callable[[], datetime],
    *,
    alert_within: timedelta,
    dry: bool = False,
    step: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Judge the messages of `run` in batches; what was broken off goes on where it was. `step(n)`: n more are done."""
    after = "0" if dry else store.reassess_mark(run)
    done = Outcome(store.count_judgeable(run, after), dry, continued=after != "0")
    while found := store.judgeable(run, after, BATCH):
        if stop():
            done.interrupted = True
            return done
        after = found[-1].message_id
        at = now()
        items = []
        todo = [j for j in found if run.again or j.assessment.get("model") != run.model]
        said = judge.assess_many([Text(j.text, j.message_id, j.page, j.attachments) for j in todo])
        for item, assessment in zip(todo, said, strict=True):
            if assessment is None:
                done.failed += 1
                continue
            done.judged += 1
            done.changes.update(_changes(item, assessment))
            items.append((item, assessment, clocks(assessment, at)))
        if not dry:
            result = store.reassess(run, items, after, at, at - alert_within)
            done.changed += result.changed
            done.emergencies += result.emergencies
            done.alerts += len(result.alerts)
        step(len(found))
    if not dry:
        store.finish_reassessing(now())
    return done


def _changes(item: Judgeable, said: Assessment) -> list[str]:
    """Fields whose value is another one; a person's word is not among them."""
    new = said.as_dict()
    old = item.assessment
    out = []
    for name in TOLD:
        if name in item.corrected:
            continue
        a, b = old.get(name), new[name]
        if name == "places":
            a, b = [p["name"] for p in a or ()], [p["name"] for p in b]
        if a != b:
            out.append(name)
    return out
