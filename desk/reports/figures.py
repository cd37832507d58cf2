"""The figures of a stretch of time, counted from the store's rows. Pure: rows in, sums out, nothing kept of a message
but what was wrong with it.

What counts, by the clauses of the Regulation:

- a message belongs to the month in which it was collected, by the organisation's calendar;
- its answer is in term when the first published answer (an interim one names the term of the final one, clause 7.8,
  and a redirection is an answer, clause 7.12) came by the term that it had then, extensions included (7.3, 7.9);
- a clock is the division's whose turn it was when the clock stopped: as the audit log tells; routing, approving and
  publishing are the administrator's (clauses 7.1, 7.5, 7.7).
"""

from __future__ import annotations

import gc
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from store.values import NO_DUTY

ADMINISTRATOR = ""
"""Stands for the administrator where divisions are named."""
OF_ADMINISTRATOR = frozenset({"route", "approve", "publish"})
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """A term that was not kept. `stopped_at`, `actor`: when it was done, and by whom; None: not done yet."""

    message: str
    url: str
    topic: str | None
    group: str | None
    place: str
    urgency: str | None
    emergency: bool
    clock: str
    division: str
    due_at: datetime
    stopped_at: datetime | None
    late_s: float
    actor: str | None


@dataclass(slots=True)
class Answers:
    """What became of the messages of one division that need an answer. Every one is in one of: `in_term`, `late`,
    `overdue` (no answer, term over), `waiting` (no answer, term to come), `without` (closed or deleted unanswered)."""

    total: int = 0
    in_term: Counter[str] = field(default_factory=Counter)  # by urgency
    late: Counter[str] = field(default_factory=Counter)
    overdue: int = 0
    waiting: int = 0
    without: int = 0
    seconds: array = field(default_factory=lambda: array("d"))  # from collecting to the first answer

    @property
    def answered(self) -> int:
        return self.in_term.total() + self.late.total()

    def share(self) -> float | None:
        """Of those whose term is over or that are answered: answered in term."""
        due = self.answered + self.overdue
        return self.in_term.total() / due if due else None


@dataclass(slots=True)
class ClockSums:
    """A kind of clock: stopped in time, stopped late, running past its end, running."""

    in_term: int = 0
    late: int = 0
    overdue: int = 0
    running: int = 0

    def share(self) -> float | None:
        due = self.in_term + self.late + self.overdue
        return self.in_term / due if due else None


@dataclass(slots=True)
class Quality:
    """Messages of a division: returned as not its own (of these, late), reworked drafts, repeats of a question that was
    asked before, reopened after an answer, terms extended, refused."""

    returned: int = 0
    returned_late: int = 0
    reworked: int = 0
    reworks: int = 0
    repeats: int = 0
    reopened: int = 0
    extended: int = 0


@dataclass(slots=True)
class Figures:
    """Everything counted of one stretch of time."""

    received: int = 0
    by_reaction: Counter[str | None] = field(default_factory=Counter)
    urgent: int = 0
    emergencies: int = 0
    repeats: int = 0
    deleted: int = 0
    by_outcome: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Answers] = field(default_factory=dict)  # by division
    clocks: dict[tuple[str, str], ClockSums] = field(default_factory=dict)  # by division and clock
    quality: dict[str, Quality] = field(default_factory=dict)
    topics: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    where: dict[str, tuple[float, float]] = field(default_factory=dict)
    pages: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)  # terms not kept, by division
    faults: list[Fault] | None = None

    def clock(self, division: str, name: str) -> ClockSums:
        return self.clocks.setdefault((division, name), ClockSums())


Steps = Callable[[Sequence[int]], Mapping[int, Sequence[Mapping[str, Any]]]]


def count(rows: Iterable[Any], steps: Steps, now: datetime, *, name_faults: bool = False) -> Figures:
    """Count the rows of `Store.report_messages`; `steps` gives the audit log of messages, asked for only of those where
    something went not straight. `now`: as of when. `name_faults`: keep each term that was not kept, by its end."""
    found = Figures(faults=[] if name_faults else None)
    with _no_cycles():
        _count(found, rows, steps, now)
    if found.faults is not None:
        found.faults.sort(key=lambda f: (f.due_at, int(f.message), f.clock))
    return found


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Millions of small values come and go, none in a cycle: looking for cycles would take a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _count(found: Figures, rows: Iterable[Any], steps: Steps, now: datetime) -> None:
    waiting: list[Any] = []
    for row in rows:
        _message(found, row)
        clocks = _clocks(row, now)
        if any(c.late or c.name == "rework" or c.stopped_by in _TELLING for c in clocks):
            waiting.append((row, clocks))
            if len(waiting) >= _BATCH:
                _replay(found, waiting, steps, now)
                waiting = []
        else:
            _settle(found, row, clocks, row.division or ADMINISTRATOR, (), now)
    _replay(found, waiting, steps, now)


_TELLING = frozenset({"return", "rework", "reopen"})


@dataclass(slots=True)
class _Clock:
    name: str
    division: str | None
    started_by: str
    due_at: datetime
    stopped_at: datetime | None
    stopped_by: str | None
    late: bool


def _clocks(row: Any, now: datetime) -> list[_Clock]:
    """The clocks of a message as the desk keeps them; those of one that it has not touched stand in its deadlines."""
    at = datetime.fromisoformat
    if row.case is None or row.status == "new":  # a correction moves the first clocks in the message itself
        if row.deleted_at is not None:
            return []
        return [
            _Clock(name, None, "collect", due := at(text), None, None, due < now)
            for name, text in (row.deadlines or {}).items()
        ]
    out = []
    gone = row.deleted_at is not None
    live = row.deadlines or {}
    for c in row.case["clocks"]:
        stopped = c["stopped_at"]
        if c["name"] in NO_DUTY and c["stopped_by"] != c["name"]:
            continue  # nobody had to
        due = at(c["due_at"])
        if stopped is None:
            if c["name"] in live:
                due = at(live[c["name"]])
            out.append(_Clock(c["name"], c["division"], c["started_by"], due, None, None, due < now and not gone))
        else:
            end = at(stopped)
            out.append(_Clock(c["name"], c["division"], c["started_by"], due, end, c["stopped_by"], end > due))
    return out


def _message(found: Figures, row: Any) -> None:
    found.received += 1
    found.by_reaction[row.reaction] += 1
    found.urgent += row.urgency == "urgent"
    found.emergencies += bool(row.emergency)
    found.repeats += row.repeat_of is not None
    found.deleted += row.deleted_at is not None
    found.topics[row.topic_group, row.topic] += 1
    found.pages[row.network, row.page_id] += 1
    for place in (row.assessment or {}).get("places") or ():
        name = place["name"]
        found.places[name] += 1
        if place["lat"] is not None and place["lon"] is not None and name not in found.where:
            found.where[name] = place["lat"], place["lon"]


def _replay(found: Figures, waiting: Sequence[tuple[Any, list[_Clock]]], steps: Steps, now: datetime) -> None:
    if not waiting:
        return
    logs = steps([row.id for row, _ in waiting])
    for row, clocks in waiting:
        _settle(found, row, clocks, row.division or ADMINISTRATOR, logs.get(row.id, ()), now)


def _settle(
    found: Figures, row: Any, clocks: Sequence[_Clock], division: str, log: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    turns = _turns(log)
    last = division or (turns[-1][1] if turns else ADMINISTRATOR)
    if row.reaction == "required":
        _answer(found, row, clocks, last, turns)
    for c in clocks:
        whose = _whose(c, last, turns)
        sums = found.clock(whose, c.name)
        if c.stopped_at is None:
            if row.deleted_at is None:
                sums.overdue += c.late
                sums.running += not c.late
        elif c.late:
            sums.late += 1
        else:
            sums.in_term += 1
        if c.late:
            found.broken[whose] += 1
            if found.faults is not None:
                found.faults.append(_fault(row, c, whose, log, now))
    _judge_quality(found, row, log, last)


def _turns(log: Sequence[Mapping[str, Any]]) -> list[tuple[datetime, str]]:
    """From when which division had the message."""
    turns = []
    for step in log:
        if step["verb"] == "route":
            turns.append((step["at"], step["details"].get("compiler") or ADMINISTRATOR))
    return turns


def _whose(clock: _Clock, last: str, turns: Sequence[tuple[datetime, str]]) -> str:
    if clock.name in OF_ADMINISTRATOR:
        return ADMINISTRATOR
    if clock.division:
        return clock.division
    if clock.stopped_at is not None:
        held = [division for at, division in turns if at < clock.stopped_at]
        if held:
            return held[-1]
    return last


def _answer(
    found: Figures, row: Any, clocks: Sequence[_Clock], division: str, turns: Sequence[tuple[datetime, str]]
) -> None:
    first = next((c for c in clocks if c.name == "answer" and c.stopped_by == "publish"), None)
    kind = "urgent" if row.urgency == "urgent" else "prompt"
    if first is not None and first.stopped_at is not None:
        mine = found.answers.setdefault(_whose(first, division, turns), Answers())
        (mine.late if first.late else mine.in_term)[kind] += 1
        mine.seconds.append((first.stopped_at - row.collected_at).total_seconds())
    else:
        mine = found.answers.setdefault(division, Answers())
        running = next((c for c in clocks if c.name == "answer" and c.stopped_at is None), None)
        redirected = (
            row.case is not None and row.case["outcome"] == "redirected" and row.status in ("published", "closed")
        )
        if redirected:  # published before any term of an answer ran
            mine.in_term[kind] += 1
        elif row.deleted_at is not None or row.status == "closed":
            mine.without += 1
        elif running is not None and running.late:
            mine.overdue += 1
        else:
            mine.waiting += 1
    mine.total += 1
    outcome = row.status
    if row.case is not None and row.status in ("published", "closed"):
        outcome = row.case["outcome"] or row.status
    found.by_outcome[outcome] += 1


def _judge_quality(found: Figures, row: Any, log: Sequence[Mapping[str, Any]], division: str) -> None:
    holder = ADMINISTRATOR
    reworked: set[str] = set()
    for step in log:
        verb, details = step["verb"], step["details"]
        if verb == "route":
            holder = details.get("compiler") or ADMINISTRATOR
        elif verb == "return":
            mine = found.quality.setdefault(details.get("from") or holder, Quality())
            mine.returned += 1
            mine.returned_late += "return" in (details.get("late") or ())
        elif verb == "rework":
            mine = found.quality.setdefault(holder, Quality())
            mine.reworks += 1
            if holder not in reworked:
                reworked.add(holder)
                mine.reworked += 1
        elif verb == "reopen":
            found.quality.setdefault(holder, Quality()).reopened += 1
    if row.repeat_of is not None:
        found.quality.setdefault(division, Quality()).repeats += 1
    if row.case is not None and row.case["limit"] is not None:
        found.quality.setdefault(division, Quality()).extended += 1


def _fault(row: Any, c: _Clock, whose: str, log: Sequence[Mapping[str, Any]], now: datetime) -> Fault:
    actor = None
    if c.stopped_at is not None:
        actor = next((s["actor"] for s in log if s["at"] == c.stopped_at and s["verb"] == c.stopped_by), None)
    places = (row.assessment or {}).get("places") or ()
    return Fault(
        message=str(row.id),
        url=row.url,
        topic=row.topic,
        group=row.topic_group,
        place=places[0]["name"] if places else "",
        urgency=row.urgency,
        emergency=bool(row.emergency),
        clock=c.name,
        division=whose,
        due_at=c.due_at,
        stopped_at=c.stopped_at,
        late_s=((c.stopped_at or now) - c.due_at).total_seconds(),
        actor=actor,
    )
