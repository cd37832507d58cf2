"""What reports are counted from: rows of a stretch of time, streamed, and sums made by the database.

Residents' messages only, by the time they were collected; those from before the first sight of their page are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, case, func, literal, select

from store.assessing import utc
from store.db import Database, rows_in
from store.tables import NEVER, Instant, audit, cases, coverage, events, messages, pages

Bounds = Sequence[tuple[datetime, datetime]]
_DONE = ("published", "closed")


def known_at(db: Database) -> datetime | None:
    """The latest moment that the database knows of: its last event, its last look at a page."""
    with db.read() as conn:
        found = [
            conn.execute(select(events.c.time).order_by(events.c.seq.desc()).limit(1)).scalar(),
            conn.execute(select(coverage.c.finished_at).order_by(coverage.c.id.desc()).limit(1)).scalar(),
        ]
    return max((at for at in found if at is not None), default=None)


def _collected(start: datetime, end: datetime) -> Any:
    m = messages.c
    return and_(~m.own, ~m.historical, m.collected_at >= utc(start), m.collected_at < utc(end))


def received(db: Database, start: datetime, end: datetime) -> Iterator[Any]:
    """Messages collected from `start` until before `end`, by id, each with `case` (the desk's value)."""
    m = messages.c
    query = (
        select(
            m.id, m.collected_at, m.deleted_at, m.status, m.division, m.urgency, m.emergency, m.reaction, m.topic,
            m.topic_group, m.repeat_of, m.network, m.page_id, m.url, m.deadlines, m.assessment,
            cases.c.data.label("case"),
        )
        .join_from(messages, cases, cases.c.message_id == m.id, isouter=True)
        .where(_collected(start, end))
        .order_by(m.id)
    )  # fmt: skip
    with db.read() as conn:
        yield from conn.execution_options(stream_results=True, yield_per=1000).execute(query)


_TURNS = ("route", "return", "rework", "reopen")


def steps(db: Database, ids: Sequence[int], *, every: bool = True) -> dict[int, list[dict[str, Any]]]:
    """The audit log of these messages, oldest first: `at`, `actor`, `verb`, `details` (of routing and returning); not
    `every`: only the steps that tell whose turn it is."""
    found: dict[int, list[dict[str, Any]]] = {}
    a = audit.c
    details = case((a.verb.in_(("route", "return")), a.details), else_=None)
    query = select(a.message_id, a.at, a.actor, a.verb, details).order_by(a.seq)
    if not every:
        query = query.where(a.verb.in_(_TURNS))
    with db.read() as conn:
        for id_, at, actor, verb, said in list(rows_in(conn, query, a.message_id, list(ids))):
            step = {"at": at, "actor": actor, "verb": verb, "details": orjson.loads(said) if said else {}}
            found.setdefault(id_, []).append(step)
    return found


def months(db: Database, bounds: Bounds, now: datetime) -> list[dict[str, int]]:
    """For each stretch: `received`, `required`, `urgent`, `emergencies`, `repeats`, `answered` (of the required,
    with a published answer, interim ones too), `in_term` (of these, the first one not after its term), `overdue`
    (open, a term over at `now`), `returned`, `reworked` (messages)."""
    return [_month(db, start, end, utc(now)) for start, end in bounds]


def _month(db: Database, start: datetime, end: datetime, now: datetime) -> dict[str, int]:
    m, a = messages.c, audit.c

    def n(*conditions: Any) -> Any:
        return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)

    due = m.due_at < literal(min(now, NEVER), Instant())
    sums = select(
        func.count().label("received"),
        n(m.reaction == "required").label("required"),
        n(m.urgency == "urgent").label("urgent"),
        n(m.emergency).label("emergencies"),
        n(m.repeat_of.isnot(None)).label("repeats"),
        n(m.status.notin_(_DONE), m.deleted_at.is_(None), due).label("overdue"),
    ).where(_collected(start, end))
    mine = select(a.message_id, a.verb, a.seq, a.details, m.reaction).join_from(audit, messages, m.id == a.message_id)
    mine = mine.where(_collected(start, end), a.verb.in_(("publish", "return", "rework"))).subquery()
    first = (
        select(func.min(mine.c.seq).label("seq"))
        .where(mine.c.verb == "publish", mine.c.reaction == "required")
        .group_by(mine.c.message_id)
        .subquery()
    )
    late = mine.c.details.like('%"late":[%"answer"%')  # a quote inside a text stands escaped there
    answers = select(func.count(), func.coalesce(func.sum(case((late, 0), else_=1)), 0)).join_from(
        mine, first, first.c.seq == mine.c.seq
    )
    with db.read() as conn:
        found = {k: int(v) for k, v in conn.execute(sums).mappings().one().items()}
        answered, in_term = conn.execute(answers).one()
        by_verb = select(mine.c.verb, func.count(mine.c.message_id.distinct())).group_by(mine.c.verb)
        verbs = {r[0]: r[1] for r in conn.execute(by_verb)}
    return {
        **found, "answered": int(answered), "in_term": int(in_term), "returned": verbs.get("return", 0),
        "reworked": verbs.get("rework", 0),
    }  # fmt: skip


def topics(db: Database, start: datetime, end: datetime) -> dict[tuple[str | None, str | None], int]:
    """How many messages of each (group, topic)."""
    m = messages.c
    query = select(m.topic_group, m.topic, func.count()).where(_collected(start, end))
    with db.read() as conn:
        return {(g, t): n for g, t, n in conn.execute(query.group_by(m.topic_group, m.topic))}


def first_collected(db: Database) -> datetime | None:
    """When the first message that is none of the archive was collected."""
    m = messages.c
    query = select(m.collected_at).where(~m.own, ~m.historical).order_by(m.collected_at).limit(1)
    with db.read() as conn:
        return conn.execute(query).scalar()


def coverage_of(db: Database, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """How each page was covered: a record's outcome holds until the next one begins, at most until `end`.

    Fields: `network`, `page_id`, `title`, `runs`, `seconds` {outcome: how long}, `counts` {outcome: runs}, `gap` (the
    last known one), `new`, `longest_s` (the longest time without a run that read the page).
    """
    c = coverage.c
    start, end = utc(start), utc(end)
    after = func.lead(c.started_at).over(partition_by=(c.network, c.page_id), order_by=(c.started_at, c.id))
    everything = select(
        c.id, c.network, c.page_id, c.started_at, c.outcome, c.gap, c.new, after.label("until")
    ).where(c.started_at < end).subquery()  # fmt: skip
    e = everything.c
    upto = func.coalesce(e.until, literal(end, Instant()))
    begin = case((e.started_at < literal(start, Instant()), literal(start, Instant())), else_=e.started_at)
    held = upto.cast(messages.c.id.type) - begin.cast(messages.c.id.type)
    inside = case((e.started_at >= literal(start, Instant()), 1), else_=0)
    query = (
        select(
            e.network, e.page_id, e.outcome, func.sum(inside).label("runs"), func.sum(held).label("held"),
            func.max(case((e.outcome.in_(("complete", "partial")), 0), else_=held)).label("longest"),
            func.sum(inside * e.new).label("new"), func.max(case((e.gap.isnot(None), e.id))).label("last"),
        )
        .where(upto > literal(start, Instant()))
        .group_by(e.network, e.page_id, e.outcome)
    )  # fmt: skip
    with db.read() as conn:
        rows = conn.execute(query).all()
        last = {(r.network, r.page_id): 0 for r in rows}
        for r in rows:
            last[r.network, r.page_id] = max(last[r.network, r.page_id], r.last or 0)
        gaps = {r.id: r.gap for r in rows_in(conn, select(c.id, c.gap), c.id, sorted(set(last.values())))}
        titles = {(r.network, r.id): r.title for r in conn.execute(select(pages.c.network, pages.c.id, pages.c.title))}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key in sorted(titles.keys() | last.keys()):
        found[key] = {
            "network": key[0], "page_id": key[1], "title": titles.get(key, ""), "runs": 0, "new": 0, "longest_s": 0.0,
            "seconds": {}, "counts": {}, "gap": gaps.get(last.get(key, 0)),
        }  # fmt: skip
    for r in rows:
        one = found[r.network, r.page_id]
        one["runs"] += int(r.runs)
        one["new"] += int(r.new)
        one["seconds"][r.outcome] = int(r.held) / 1e6
        one["counts"][r.outcome] = int(r.runs)
        one["longest_s"] = max(one["longest_s"], int(r.longest) / 1e6)
    return list(found.values())
