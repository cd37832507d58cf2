"""Clusters of repeats as people see and change them: who else asks the same, a person's word, forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, select, update

from settings import USAGE
from store.assessing import clean, utc
from store.audit import corrected
from store.db import Database, Tx, rows_in
from store.errors import NotFound, StoreError
from store.likely import stale
from store.queue import GONE
from store.repeats import firsts, remove, succeed
from store.tables import messages, signatures
from store.views import message_view, plain

# --- forgetting -------------------------------------------------------------------------------------------------------


def drop(tx: Tx, ids: Sequence[int]) -> None:
    """Take these messages out of their clusters, before their rows are removed. A cluster whose first message goes gets
    the next one as its first."""
    rows = list(rows_in(tx.conn, select(signatures), signatures.c.message_id, sorted(ids)))
    remove(tx, rows)
    for first in sorted(set(ids)):
        succeed(tx, first)


# --- asking -----------------------------------------------------------------------------------------------------------


def repeats(db: Database, id_: int, limit: int) -> list[dict[str, Any]]:
    """The messages of one question, earliest first, that of `id_` among them; nothing when nobody asked it twice."""
    with db.read() as conn:
        found = (
            select(messages).where(messages.c.id.in_(members(conn, id_))).order_by(messages.c.listed_at, messages.c.id)
        )
        rows = conn.execute(found.limit(limit)).mappings().all()
        return [plain(message_view(r)) for r in rows] if len(rows) > 1 else []


def counts(db: Database, id_: int) -> dict[str, Any]:
    """How many write of the same: messages that still stand, different authors, first and last time."""
    with db.read() as conn:
        return counts_in(conn, id_)


def counts_in(conn: Any, id_: int) -> dict[str, Any]:
    """`counts` within a transaction."""
    m = messages.c
    author = func.count(func.distinct(m.network + ":" + m.author_id))
    query = select(func.count(), author, func.min(m.listed_at), func.max(m.listed_at)).where(
        m.id.in_(members(conn, id_)), m.deleted_at.is_(None)
    )
    n, authors, first, last = conn.execute(query).one()
    return plain({"messages": n, "authors": authors, "first": first, "last": last})


def members(conn: Any, id_: int) -> Any:
    """A query of the ids of the cluster of message `id_`."""
    cluster = conn.execute(select(signatures.c.cluster).where(signatures.c.message_id == id_)).scalar()
    first = id_ if cluster is None else cluster
    return select(signatures.c.message_id).where(signatures.c.cluster == first).union(select(literal(first)))


# --- a person's word --------------------------------------------------------------------------------------------------


def relate(db: Database, id_: int, of: int | None, *, by: str, now: datetime) -> dict[str, Any]:
    """A person says which message this one repeats (None: none); the classifier does not say otherwise again."""

    def work(tx: Tx) -> dict[str, Any]:
        row = point(tx, id_, of, by)
        corrected(tx, row, by, "relate", {"of": None if of is None else str(of)})
        return plain(message_view(row))

    return db.transact(work, utc(now))


def point(tx: Tx, id_: int, of: int | None, by: str) -> dict[str, Any]:
    """Put `id_` into the cluster of `of`, or (None) into one of its own; its row as it is then."""
    wanted = sorted({id_, *(() if of is None else (of,))})
    query = tx.lock(select(messages).where(~messages.c.own).order_by(messages.c.id))
    rows = {r.id: dict(r._mapping) for r in rows_in(tx.conn, query, messages.c.id, wanted)}
    for gone in (i for i, row in rows.items() if row["forgotten_at"] is not None):
        raise StoreError(GONE.format(gone), exit_code=USAGE)
    for missing in (i for i in wanted if i not in rows):
        raise NotFound(f"сообщения с номером «{missing}» нет; номера показывает otklik queue")
    if id_ == of:
        raise StoreError(f"сообщение {id_} не может повторять само себя; назовите другой номер", exit_code=USAGE)
    row = rows[id_]
    if of is not None and id_ in firsts(tx, [id_]):
        raise StoreError(f"сообщение {id_} само повторяют другие; свяжите с ним сообщение {of}", exit_code=USAGE)
    first = None if of is None else rows[of]["repeat_of"] or of
    if first == id_:
        raise StoreError(f"сообщение {of} само повторяет {id_}; сначала отвяжите его", exit_code=USAGE)
    stale(tx)
    for one in {id_, *(() if of is None else (of, first))}:
        _ensure(tx, one, rows.get(one))
    tx.execute(update(signatures).where(signatures.c.message_id == id_).values(cluster=first or id_, by=clean(by)))
    row["repeat_of"] = first
    row["repeat_note"] = None if first is None else f"повтор: см. № {first} (указал человек)"
    values = {k: row[k] for k in ("repeat_of", "repeat_note")}
    tx.execute(update(messages).where(messages.c.id == id_).values(**values))
    return row


def _ensure(tx: Tx, id_: int, row: Mapping[str, Any] | None) -> None:
    """A row of `signatures` for a message that asks nothing: a person put it into a cluster."""
    if row is None or tx.execute(select(signatures.c.by).where(signatures.c.message_id == id_)).first() is not None:
        return
    blank = {"message_id": id_, "cluster": id_, "at": row["listed_at"], "body": "", "keys": "[]", "by": None}
    tx.insert_many(signatures, [blank])
