"""What is under way, for whoever counts it: few columns of many messages, in the order of their terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, literal, select

from store.db import Database
from store.tables import BEGUN, NEVER, TIMED, Instant, cases, messages

DONE = ("published", "closed")


def workload(db: Database, division: str | None = None) -> Iterator[dict[str, Any]]:
    """Open messages that have a term, nearest first, then those without one that the desk has begun with: `id`,
    `status`, `division`, `urgency`, `emergency`, `deadlines` (aware times), `worker`, `part` (the division whose
    information is waited for). `division`: only what it answers or owes a part to.

    One at a time, however many there are.
    """
    m = messages.c
    begun = (BEGUN, m.deleted_at.is_(None), m.due_at >= literal(NEVER, Instant(), literal_execute=True))
    for where, order in (((TIMED,), (m.due_at, m.id)), (begun, (m.priority, m.id))):
        for row in _rows(db, where, order):
            data = row.data or {}
            part = next((p["division"] for p in data.get("parts") or () if p["given_at"] is None), None)
            if division is None or division in (row.division, part):
                yield {
                    "id": str(row.id), "status": row.status, "division": row.division, "urgency": row.urgency,
                    "emergency": row.emergency, "deadlines": _times(row.deadlines), "worker": data.get("worker"),
                    "part": part,
                }  # fmt: skip


def _rows(db: Database, where: tuple[ColumnElement[bool], ...], order: tuple[Any, ...]) -> Iterator[Any]:
    m = messages.c
    query = (
        select(m.id, m.status, m.division, m.urgency, m.emergency, m.deadlines, cases.c.data)
        .select_from(messages.outerjoin(cases, cases.c.message_id == m.id))
        .where(*where, m.status.not_in(DONE))
        .order_by(*order)
    )
    with db.read() as conn:
        if db.in_memory:  # its one connection must be free for whoever does something with the first row
            rows = conn.execute(query).all()
        else:
            with conn.execution_options(stream_results=True, yield_per=1000).execute(query) as result:
                yield from result
            return
    yield from rows


def _times(deadlines: Mapping[str, str] | None) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(at) for name, at in (deadlines or {}).items()}
