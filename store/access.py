"""Who was shown the personal data of which message: a row a person, message, day and way.

Looking again on the same day writes nothing, so the log costs a read. It holds numbers of messages and people of the
staff, never a resident's name; whoever asks by author gets the messages that are still known as that author's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from store.assessing import clean, utc
from store.db import Database, Tx, chunks, rows_in
from store.errors import NotFound
from store.forgetting import find_person
from store.tables import messages, seen
from store.views import plain

HOW = ("show", "list", "take", "review", "export")


def saw(db: Database, actor: str, ids: Sequence[str], how: str, now: datetime) -> int:
    """Remember that `actor` was shown these messages; how many of them were news today."""
    if how not in HOW:
        raise ValueError(f"unknown way {how!r}")
    now = utc(now)
    day, who = now.date().isoformat(), clean(actor)
    wanted = sorted({int(i) for i in ids})
    s = seen.c
    query = select(s.message_id).where(s.actor == who, s.day == day, s.how == how)
    with db.read() as conn:
        known = {r.message_id for r in rows_in(conn, query, s.message_id, wanted)}
    fresh = [i for i in wanted if i not in known]
    if not fresh:
        return 0

    def work(tx: Tx) -> int:
        there = sorted(r.id for r in rows_in(tx.conn, select(messages.c.id), messages.c.id, fresh))
        rows = [{"message_id": i, "actor": who, "day": day, "how": how, "at": tx.now} for i in there]
        for part in chunks(rows, 1000):
            tx.execute(tx.insert(seen).on_conflict_do_nothing(), list(part))
        return len(rows)

    return db.transact(work, now, durable=False)


def find(db: Database, who: str | None, limit: int) -> list[dict[str, Any]]:
    """Who saw what, latest first; of one message (its number), of one author's messages (see `find_person`), or all."""
    query = select(seen).order_by(seen.c.at.desc(), seen.c.message_id.desc(), seen.c.actor).limit(limit)
    with db.read() as conn:
        if who is None:
            rows = conn.execute(query).mappings().all()
        elif who.strip().isascii() and who.strip().isdigit() and len(who.strip()) < 19:
            id_ = int(who)
            if conn.execute(select(messages.c.id).where(messages.c.id == id_)).first() is None:
                raise NotFound(f"сообщения с номером «{id_}» нет; номера показывает otklik queue")
            rows = conn.execute(query.where(seen.c.message_id == id_)).mappings().all()
        else:
            person = find_person(conn, who)
            if person is None:
                raise NotFound(f"автора «{clean(who)[:80]}» в базе нет; укажите сеть:id или ссылку на профиль")
            found = [r._mapping for r in rows_in(conn, query, seen.c.message_id, list(person.ids))]
            rows = sorted(found, key=lambda r: r["at"], reverse=True)[:limit]
        return [plain({**r, "message_id": str(r["message_id"])}) for r in rows]
