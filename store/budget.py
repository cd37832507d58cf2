"""Rate budgets shared by all runs and machines that use one token (GCRA: one number a key)."""

from __future__ import annotations

from sqlalchemy import case, literal, select

from store.db import Database, Tx
from store.tables import budgets, calls
from store.values import utcnow

LONGEST = 86_400.0 / 4
"""Seconds. A key held for longer was held by a clock that was wrong."""


def reserve(db: Database, key: str, interval_s: float, *, now: float) -> float:
    """Book the next slot of `key`, one every `interval_s` seconds; seconds to wait until it begins.

    Atomic: two processes never get the same slot. `now`: seconds since 1970.
    """

    def work(tx: Tx) -> float:
        start = tx.insert(budgets).values(key=key, next_at=now + interval_s)
        booked = (budgets.c.next_at > now) & (budgets.c.next_at <= now + LONGEST)
        later = case((booked, budgets.c.next_at), else_=literal(now)) + interval_s
        query = start.on_conflict_do_update(index_elements=["key"], set_={"next_at": later})
        return tx.execute(query.returning(budgets.c.next_at)).scalar_one()

    slot = db.transact(work, utcnow(), durable=False) - interval_s
    return max(0.0, slot - now)


def hold(db: Database, key: str, until: float) -> None:
    """No call of `key` before `until` (seconds since 1970): the network said so."""

    def work(tx: Tx) -> None:
        query = tx.insert(budgets).values(key=key, next_at=until)
        later = case((budgets.c.next_at > until, budgets.c.next_at), else_=literal(until))
        tx.execute(query.on_conflict_do_update(index_elements=["key"], set_={"next_at": later}))

    db.transact(work, utcnow(), durable=False)


def count_call(db: Database, key: str, day: str, n: int = 1) -> int:
    """Count `n` calls of `key` on `day` (negative: take them back); how many there were that day."""

    def work(tx: Tx) -> int:
        query = tx.insert(calls).values(key=key, day=day, n=n)
        query = query.on_conflict_do_update(index_elements=["key", "day"], set_={"n": calls.c.n + n})
        return tx.execute(query.returning(calls.c.n)).scalar_one()

    return db.transact(work, utcnow(), durable=False)


def calls_on(db: Database, key: str, day: str) -> int:
    with db.read() as conn:
        return conn.execute(select(calls.c.n).where(calls.c.key == key, calls.c.day == day)).scalar() or 0
