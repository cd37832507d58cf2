"""What each webhook has still to deliver. Its cursor and the events behind it move in one transaction; an event leaves
once it is delivered. Rows hold numbers of events, never their content: what is sent is what the log says then, so that
somebody who was forgotten meanwhile is not told of.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, delete, exists, func, literal, select, update

from settings import scrub
from store.assessing import clean, utc
from store.db import Database, Tx, chunks
from store.events import first_kept
from store.tables import hook_events, hooks
from store.values import HookEvent
from store.views import plain

h, e = hooks.c, hook_events.c


def cursor(db: Database, name: str, now: datetime) -> tuple[int, bool]:
    """(the last event that was looked at, whether it is disabled). A new webhook begins with the first kept event."""
    query = select(h.cursor, h.disabled_at).where(h.name == name)
    with db.read() as conn:
        row = conn.execute(query).first()
    if row is None:

        def work(tx: Tx) -> Any:
            first = first_kept(tx.conn)[0] - 1
            tx.execute(tx.insert(hooks).values(name=name, cursor=first).on_conflict_do_nothing())
            return tx.execute(query).one()

        row = db.transact(work, utc(now))
    return row.cursor, row.disabled_at is not None


def take(db: Database, name: str, before: int, after: int, found: Sequence[tuple[int, int]], now: datetime) -> bool:
    """Move the cursor and remember `found` ((seq, key) of what is to be delivered); False when another was quicker."""

    def work(tx: Tx) -> bool:
        mine = update(hooks).where(h.name == name, h.cursor == before).values(cursor=after)
        if tx.execute(mine).rowcount != 1:
            return False
        rows = [
            {"hook": name, "seq": seq, "key": key, "attempts": 0, "next_at": tx.now, "down": False}
            for seq, key in found
        ]
        for part in chunks(rows, 1000):
            tx.execute(tx.insert(hook_events).on_conflict_do_nothing(), list(part))
        return True

    return db.transact(work, utc(now))


def due(db: Database, name: str, now: datetime, after: int, limit: int) -> list[HookEvent]:
    """What may be sent now, with seq > `after`: of each key only the first that waits."""
    earlier = hook_events.alias()
    blocked = exists().where(
        earlier.c.hook == e.hook, earlier.c.key == e.key, earlier.c.seq < e.seq, earlier.c.dead_at.is_(None)
    )
    query = (
        select(e.seq, e.attempts, e.first_at)
        .where(e.hook == name, e.dead_at.is_(None), e.next_at <= utc(now), e.seq > after, ~blocked)
        .order_by(e.seq)
        .limit(limit)
    )
    with db.read() as conn:
        return [HookEvent(*row) for row in conn.execute(query)]


def waiting(db: Database, name: str) -> int:
    with db.read() as conn:
        query = select(func.count()).where(e.hook == name, e.dead_at.is_(None))
        return conn.execute(query.select_from(hook_events)).scalar_one()


def done(db: Database, name: str, seq: int, now: datetime) -> None:
    query = delete(hook_events).where(e.hook == name, e.seq == seq)
    db.transact(lambda tx: tx.execute(query), utc(now))


def failed(
    db: Database, name: str, seq: int, error: str, now: datetime, next_at: datetime | None, *, down: bool
) -> None:
    """It is tried again at `next_at`; without one it is a dead letter."""
    at = utc(now)
    values: dict[str, Any] = {
        "attempts": e.attempts + 1,
        "first_at": func.coalesce(e.first_at, literal(at, e.first_at.type)),
        "error": clean(scrub(error))[:300],
        "down": down,
    }
    values |= {"dead_at": at} if next_at is None else {"next_at": utc(next_at)}
    query = update(hook_events).where(e.hook == name, e.seq == seq).values(**values)
    db.transact(lambda tx: tx.execute(query), at)


def wake(db: Database, name: str, now: datetime) -> int:
    """The receiver is there again: what waits because it was not is due now."""
    query = update(hook_events).where(e.hook == name, e.dead_at.is_(None), e.down, e.next_at > utc(now))
    return db.transact(lambda tx: tx.execute(query.values(next_at=utc(now))).rowcount, utc(now))


def disable(db: Database, name: str, now: datetime) -> None:
    query = update(hooks).where(h.name == name).values(disabled_at=utc(now))
    db.transact(lambda tx: tx.execute(query), utc(now))


def resume(db: Database, name: str, now: datetime) -> bool:
    query = update(hooks).where(h.name == name, h.disabled_at.isnot(None)).values(disabled_at=None)
    return db.transact(lambda tx: tx.execute(query).rowcount, utc(now)) > 0


def replay(db: Database, name: str, now: datetime, after: int | None = None) -> int:
    """Dead letters are sent again (how many); with `after` everything behind that event, whatever was delivered."""

    def work(tx: Tx) -> int:
        fresh = {"dead_at": None, "attempts": 0, "first_at": None, "next_at": tx.now, "down": False}
        query = update(hook_events).where(e.hook == name, e.dead_at.isnot(None))
        count = tx.execute(query.values(**fresh)).rowcount
        if after is not None:
            tx.execute(update(hooks).where(h.name == name, h.cursor > after).values(cursor=after))
        return count

    return db.transact(work, utc(now))


def dead(db: Database, name: str | None = None) -> list[dict[str, Any]]:
    """Dead letters, oldest first."""
    query = select(e.hook, e.seq, e.attempts, e.first_at, e.dead_at, e.error).where(e.dead_at.isnot(None))
    query = query.order_by(e.hook, e.seq)
    with db.read() as conn:
        found = conn.execute(query if name is None else query.where(e.hook == name)).mappings()
        return [plain(dict(row)) for row in found]


def overview(db: Database) -> list[dict[str, Any]]:
    """Each webhook that was ever delivered to: cursor, disabled_at, waiting, dead, oldest (the first that waits)."""
    alive, gone = case((e.dead_at.is_(None), 1), else_=0), case((e.dead_at.isnot(None), 1), else_=0)
    oldest = func.min(case((e.dead_at.is_(None), e.seq)))
    query = (
        select(
            h.name, h.cursor, h.disabled_at, func.coalesce(func.sum(alive), 0).label("waiting"),
            func.coalesce(func.sum(gone), 0).label("dead"), oldest.label("oldest"),
        )
        .select_from(hooks.outerjoin(hook_events, and_(e.hook == h.name)))
        .group_by(h.name, h.cursor, h.disabled_at)
        .order_by(h.name)
    )  # fmt: skip
    with db.read() as conn:
        found = conn.execute(query).mappings().all()
    return [plain({**row, "waiting": int(row["waiting"]), "dead": int(row["dead"])}) for row in found]
