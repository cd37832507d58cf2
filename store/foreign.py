"""Ids of both sides: which number a message has in another system. One each way, and never silently another one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from store.assessing import utc
from store.db import Database, Tx
from store.tables import foreign_ids, messages

f = foreign_ids.c


def known(db: Database, system: str) -> dict[str, str]:
    with db.read() as conn:
        found = conn.execute(select(f.message_id, f.foreign_id).where(f.system == system))
        return {str(row.message_id): row.foreign_id for row in found}


def link(db: Database, system: str, pairs: Sequence[tuple[str, str]], now: datetime) -> list[str | None]:
    """All in one transaction; for each pair a Russian phrase why it is not kept, None when it is."""

    def one(tx: Tx, ours: str, theirs: str) -> str | None:
        if not (ours.isascii() and ours.isdigit() and len(ours) < 19):
            return f"«{ours[:40]}» не номер сообщения"
        mine = select(f.foreign_id).where(f.system == system, f.message_id == int(ours))
        before = tx.execute(mine).scalar()
        if before is not None:
            return None if before == theirs else f"у сообщения {ours} уже записан другой номер: {before}"
        other = select(f.message_id).where(f.system == system, f.foreign_id == theirs)
        if (taken := tx.execute(other).scalar()) is not None:
            return f"номер {theirs} уже принадлежит сообщению {taken}"
        if tx.execute(select(messages.c.id).where(messages.c.id == int(ours), ~messages.c.own)).first() is None:
            return f"сообщения {ours} нет"
        row = {"system": system, "message_id": int(ours), "foreign_id": theirs, "at": tx.now}
        tx.execute(tx.insert(foreign_ids).values(**row))
        return None

    return db.transact(lambda tx: [one(tx, *pair) for pair in pairs], utc(now))
