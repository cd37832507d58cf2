"""What networks pushed and nobody has landed yet, so that it may be confirmed to them at once.

A network that tells each piece of news only once and for a short time (Telegram, MAX) is asked, the news are kept here
in one transaction with the place to go on from, and only then the network is told that we have them. Each page takes
its own pieces when its turn comes; they leave once what was made of them is landed. The state of a source carries a
version: of two runs that asked at the same time the second writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import delete, select, update

from store.db import Database, Tx, chunks
from store.needles import MASK
from store.tables import inbox, inbox_states
from store.values import Pushed

MOST = 10_000  # pieces that one `put` takes


def state(db: Database, source: str) -> tuple[int, dict[str, Any]]:
    """(version, what the collector left there); (0, {}) before the first time."""
    with db.read() as conn:
        row = conn.execute(
            select(inbox_states.c.version, inbox_states.c.state).where(inbox_states.c.source == source)
        ).first()
    return (0, {}) if row is None else (row.version, json.loads(row.state))


def put(
    db: Database, source: str, version: int, state_: Mapping[str, Any], items: Sequence[Pushed], now: datetime
) -> bool:
    """Keep `items` (fewer than `MOST`) and the new state; a piece that is there already stays as it is.

    False, and nothing is kept, when the version is not the one that was read.
    """
    if len(items) >= MOST:
        raise ValueError("too many pieces for one turn")

    def work(tx: Tx) -> bool:
        values = {"version": version + 1, "state": json.dumps(state_)}
        if version == 0:
            first = tx.insert(inbox_states).values(source=source, **values).on_conflict_do_nothing()
            if tx.execute(first.returning(inbox_states.c.version)).first() is None:
                return False
        else:
            mine = (inbox_states.c.source == source) & (inbox_states.c.version == version)
            moved = update(inbox_states).where(mine).values(**values).returning(inbox_states.c.version)
            if tx.execute(moved).first() is None:
                return False
        if items:
            first_n = version * MOST  # versions only grow, so a later piece has a larger number
            rows = [
                {"source": source, "n": first_n + i, "ref": p.ref, "page_id": p.page_id, "raw": p.raw, "at": now}
                for i, p in enumerate(items)
            ]
            tx.execute(tx.insert(inbox).on_conflict_do_nothing(), rows)
        return True

    return db.transact(work, now)


def items(db: Database, source: str, page_id: str) -> list[Pushed]:
    """The pieces of one page, in the order in which they came."""
    mine = (inbox.c.source == source) & (inbox.c.page_id == page_id)
    with db.read() as conn:
        found = conn.execute(select(inbox.c.ref, inbox.c.page_id, inbox.c.raw).where(mine).order_by(inbox.c.n)).all()
    return [Pushed(row.ref, row.page_id, row.raw) for row in found]


def done(db: Database, source: str, refs: Sequence[str], now: datetime) -> None:
    """These are landed."""

    def work(tx: Tx) -> None:
        for some in chunks(refs, 500):
            tx.execute(delete(inbox).where(inbox.c.source == source, inbox.c.ref.in_(some)))

    if refs:
        db.transact(work, now)


# --- forgetting -------------------------------------------------------------------------------------------------------


def forget(tx: Tx, network: str, author_id: str) -> int:
    """Remove what this person wrote, empty what others quote of it; how many pieces. Networks name a writer by an
    object with an `id`, beside the words; what else there is of the person in free text is not looked for here."""
    n = 0
    here = inbox.c.source.startswith(network, autoescape=True)
    for row in tx.execute(tx.lock(select(inbox).where(here))).all():
        told = orjson.loads(row.raw)
        mine = (inbox.c.source == row.source) & (inbox.c.n == row.n)
        if _wrote(told, author_id):
            tx.execute(delete(inbox).where(mine))
        elif (left := _without(told, author_id)) != told:
            tx.execute(update(inbox).where(mine).values(raw=orjson.dumps(left).decode()))
        else:
            continue
        n += 1
    states = select(inbox_states).where(inbox_states.c.source.startswith(network, autoescape=True))
    for row in tx.execute(tx.lock(states)).all():
        told = orjson.loads(row.state)
        if (left := _without(told, author_id)) != told:
            changed = {"state": orjson.dumps(left).decode(), "version": row.version + 1}  # who has read it reads again
            tx.execute(update(inbox_states).where(inbox_states.c.source == row.source).values(**changed))
            n += 1
    return n


def _wrote(value: Any, id_: str) -> bool:
    return isinstance(value, dict) and any(isinstance(v, dict) and str(v.get("id")) == id_ for v in value.values())


def _without(value: Any, id_: str, *, whose: bool = False) -> Any:
    """The same without the words in objects that the person wrote, or is; `whose`: this is within one of them."""
    if isinstance(value, dict):
        whose = whose or str(value.get("id")) == id_ or _wrote(value, id_)
        return {k: v if k == "type" else _without(v, id_, whose=whose) for k, v in value.items()}
    if isinstance(value, list):
        return [_without(v, id_, whose=whose) for v in value]
    if not whose or isinstance(value, bool):
        return value
    return MASK if isinstance(value, str) else 0 if str(value) == id_ else value
