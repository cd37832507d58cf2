"""What one administrator decides about now: the next message that nobody has sent on, offered to one person at a time.

An offer is a row that runs out by itself: whoever's terminal died holds nothing up for long, and has lost nothing, for
an offer changes nothing of the message. That two people do not decide the same is the work of the message's version.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select

from store.assessing import DONE, REST, clean, utc
from store.clusters import members
from store.db import Database, Tx, among
from store.queue import BY_QUEUE, number
from store.tables import cases, messages, messages_of_pages, offers, pages, replies
from store.views import message_view, plain

UNROUTED = ("new", "accepted")
MANY = 1000
"""What waits is counted up to this many, what asks the same is shown up to this many."""
_RACES = 20


def waiting(every: bool) -> list[ColumnElement[bool]]:
    """What waits for an administrator; `every`: also thanks and chat, which need no reaction."""
    m = messages.c
    # The place in the queue says the same, and the index ends there: what is done with is never walked through.
    found = [~m.own, m.status.in_(UNROUTED), m.priority < (DONE if every else REST), m.deleted_at.is_(None)]
    return found if every else [*found, or_(m.reaction.is_(None), m.reaction != "none", m.emergency)]


def offer(
    db: Database,
    by: str,
    now: datetime,
    hold_s: float,
    *,
    skip: Sequence[str] = (),
    every: bool = False,
    only: str | None = None,
) -> dict[str, Any] | None:
    """The first message in the queue's order that nobody else is looking at, held for `by` until `hold_s` seconds from
    now; what `by` held before is free again. None: there is none.

    `skip`: not these; `only`: this one, if it waits still. The message as shown, with `version` and `page_title`.
    """
    me = clean(by)

    def work(tx: Tx) -> dict[str, Any] | None:
        m, o = messages.c, offers.c
        tx.execute(delete(offers).where((o.by == me) | (o.until <= tx.now)))
        others = select(o.message_id).where(o.message_id == m.id, o.until > tx.now).exists()
        query = (
            select(messages, pages.c.title, cases.c.version)
            .select_from(messages_of_pages.outerjoin(cases, cases.c.message_id == m.id))
            .where(*waiting(every or only is not None), ~others)
            .order_by(*BY_QUEUE)
            .limit(1)
        )
        if only is not None:
            query = query.where(m.id == number(only))
        if skip:
            query = query.where(~among(tx.conn, m.id, [number(i) for i in skip]))
        for _ in range(_RACES):
            row = tx.execute(query).mappings().first()
            if row is None:
                return None
            mine = {"message_id": row["id"], "by": me, "until": tx.now + timedelta(seconds=hold_s)}
            put = tx.insert(offers).values(**mine).on_conflict_do_nothing().returning(o.message_id)
            if tx.execute(put).first() is not None:
                shown = {"version": row["version"] or 0, "page_title": row["title"] or row["page_id"]}
                return plain({**message_view(row), **shown})
        return None

    return db.transact(work, utc(now), durable=False)


def release(db: Database, by: str, now: datetime) -> None:
    """This person looks at nothing any more."""
    db.transact(lambda tx: tx.execute(delete(offers).where(offers.c.by == clean(by))), utc(now), durable=False)


def count(db: Database, every: bool = False) -> dict[str, int]:
    """How many wait: `all` (at most `MANY` + 1 are counted), `emergencies` and `urgent` among them."""
    first = select(messages.c.priority).where(*waiting(every)).order_by(*BY_QUEUE).limit(MANY + 1).subquery()
    with db.read() as conn:
        found = dict(conn.execute(select(first.c.priority, func.count()).group_by(first.c.priority)).all())
    return {"all": sum(found.values()), "emergencies": found.get(0, 0), "urgent": found.get(1, 0)}


def siblings(db: Database, id_: str) -> dict[str, Any]:
    """What else asks the same as `id_`: `messages` (how many others still stand), `open` (those of them that wait:
    `id`, `version`), `division` that has or had one of them, `answer` that was published last to one of them
    (`message_id`, `text`, `at`) or None."""
    wanted = number(id_)
    m, r = messages.c, replies.c
    with db.read() as conn:
        listed = (
            select(m.id, m.status, m.division, m.historical, cases.c.version)
            .select_from(messages.outerjoin(cases, cases.c.message_id == m.id))
            .where(m.id.in_(members(conn, wanted)), m.id != wanted, m.deleted_at.is_(None), ~m.own)
            .order_by(m.listed_at, m.id)
            .limit(MANY)
        )
        rows = conn.execute(listed).all()
        answer = None
        if rows:
            told = (
                select(r.message_id, r.text, r.changed_at)
                .where(among(conn, r.message_id, [x.id for x in rows]), r.state == "published", r.kind == "final")
                .order_by(r.changed_at.desc())
                .limit(1)
            )
            answer = conn.execute(told).first()
    waits = [x for x in rows if x.status in UNROUTED and not x.historical]
    return plain(
        {
            "messages": len(rows),
            "open": [{"id": str(x.id), "version": x.version or 0} for x in waits],
            "division": next((x.division for x in reversed(rows) if x.division), None),
            "answer": answer and {"message_id": str(answer[0]), "text": answer[1], "at": answer[2]},
        }
    )
