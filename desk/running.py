"""The clocks of a case: the first ones, those that a step stops and starts, those that a correction moves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from desk.calendar import calendar_of
from desk.clocks import due, term
from desk.deadlines import answer_term, draft_due
from desk.states import Case, Clock, Facts, Transition
from settings import Settings
from store.values import NO_DUTY


def move_clocks(
    old: Case, case: Case, facts: Facts, row: Transition, now: datetime, settings: Settings
) -> tuple[Case, tuple[str, ...]]:
    """Stop and start the clocks of this row; the names of those that were stopped after their end."""
    clocks, late = [], []
    for clock in case.clocks:
        if clock.stopped_at is None and ("*" in row.stops or clock.name in row.stops):
            if now > clock.due_at and (clock.name not in NO_DUTY or clock.name == row.verb):
                late.append(clock.name)
            clock = replace(clock, stopped_at=now, stopped_by=row.verb)
        clocks.append(clock)
    case = replace(case, clocks=tuple(clocks))
    for name in row.starts:
        if not facts.historical:
            case = _start(old, case, facts, name, row, now, settings)
    return case, tuple(late)


def _start(old: Case, case: Case, facts: Facts, name: str, row: Transition, now: datetime, settings: Settings) -> Case:
    """The case with one more clock, where there is a reason for one."""
    calendar, terms = calendar_of(settings), settings.desk.deadlines
    division = None
    if name == "answer":
        if "answer" in case.running:
            return case  # sending it on does not give more time
        reply = old.reply
        if (
            row.verb == "publish" and reply is not None and reply.until is not None
        ):  # an interim answer that names a day
            return _with_clock(case, Clock(name, "", now, reply.until, row.verb))
        # One that names a condition: at the latest when an extension would end.
        length = term(terms.extension) if row.verb == "publish" else answer_term(facts.urgency, settings)
        end = due(now, length, calendar)
    elif name == "draft":
        answer = case.running.get("answer")
        if answer is None:
            return case
        length, end = term(terms.draft), draft_due(answer.due_at, settings)
    elif name == "part":
        waited_for = case.part_due()
        if waited_for is None:
            return case
        division, length = waited_for.division, term(terms.part)
        end = due(now, length, calendar)
    elif name == "route" and row.verb == "recall":  # it goes on as if it had never stopped: a recall gives no time
        stopped = next((c for c in reversed(case.clocks) if c.name == "route"), None)
        length, end = term(terms.route), due(now, term(terms.route), calendar)
        if stopped is not None:
            end = min(end, stopped.due_at)
    else:
        length = term(terms.return_ if name == "return" else getattr(terms, name))
        end = due(now, length, calendar)
    return _with_clock(case, Clock(name, length.text, now, end, row.verb, division))


def _with_clock(case: Case, clock: Clock) -> Case:
    return replace(case, clocks=(*case.clocks, clock))


def first_case(facts: Facts, deadlines: Mapping[str, datetime], settings: Settings) -> Case:
    """The case of a message that the desk has not touched yet; its clocks run since it was collected."""
    terms = settings.desk.deadlines
    length = {"route": terms.route, "answer": answer_term(facts.urgency, settings).text}
    clocks = tuple(
        Clock(name, length.get(name, ""), facts.collected_at, at, "collect") for name, at in deadlines.items()
    )
    return Case(clocks=clocks)


def corrected(case: Case, facts: Facts, deadlines: Mapping[str, datetime], settings: Settings) -> Case:
    """The case with the terms that a later correction of the message has set."""
    if case.state == "new":
        return replace(case, clocks=first_case(facts, deadlines, settings).clocks)
    moved = (
        replace(c, due_at=deadlines[c.name]) if c.stopped_at is None and c.name in deadlines else c for c in case.clocks
    )
    return replace(case, clocks=tuple(moved))
