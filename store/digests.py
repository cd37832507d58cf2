"""Which digests were sent: one of each division through each channel for each time of a day, never two.

A claim is written before anything is sent. What is known to have failed is tried again; what a program that died may or
may not have sent is not: one digest less does less harm than the same one over and over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, update

from settings import scrub
from store.assessing import clean, utc
from store.db import Database, Tx
from store.tables import digests

KEPT = timedelta(days=60)


def claim(
    db: Database, slot: datetime, division: str, channel: str, now: datetime, claim_s: float, max_attempts: int
) -> bool:
    """Whether the caller is to send this one now; nobody else will for `claim_s` seconds."""
    d = digests.c

    def work(tx: Tx) -> bool:
        tx.execute(delete(digests).where(d.slot < tx.now - KEPT))
        held = tx.now + timedelta(seconds=claim_s)
        new = {"slot": utc(slot), "division": clean(division), "channel": channel}
        put = tx.insert(digests).values(**new, claimed_until=held, attempts=1)
        put = put.on_conflict_do_update(
            index_elements=["slot", "division", "channel"],
            set_={"claimed_until": held, "attempts": d.attempts + 1, "error": None},
            where=d.done_at.is_(None) & d.error.isnot(None) & (d.claimed_until <= tx.now) & (d.attempts < max_attempts),
        )
        return tx.execute(put.returning(d.attempts)).first() is not None

    return db.transact(work, utc(now))


def result(
    db: Database, slot: datetime, division: str, channel: str, error: str | None, now: datetime, retry_s: float
) -> None:
    """How a claimed sending went; after a failure the next try is due in `retry_s` seconds."""
    d = digests.c
    values = {"done_at": utc(now)} if error is None else {"error": clean(scrub(error))[:500] or "?"}
    again = utc(now) + timedelta(seconds=retry_s)
    query = update(digests).where(d.slot == utc(slot), d.division == clean(division), d.channel == channel)
    db.transact(lambda tx: tx.execute(query.values(**values, claimed_until=again)), utc(now))
