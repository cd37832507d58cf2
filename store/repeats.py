"""Repeats: which message asks what an earlier one asked. Candidates are found by index, judged by their signatures.

A cluster bears the id of its first message: the one that landed first, of one batch the one written first. Whatever
came later points to it, never the other way, so there are no circles and landing again changes nothing. Linking is
the last step of a transaction: on PostgreSQL it holds a lock until the commit, so that of two copies landed at once
the later transaction sees the earlier one. The work for a message is bounded: of each key only the latest messages
are looked at (`store/likely.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, delete, select, text, update

from store.assessing import message_event
from store.db import Tx, chunks, rows_in
from store.likely import Known, stale
from store.tables import messages, signature_keys, signatures
from store.values import Signature
from store.views import dump, message_view
from store.views import pointed as pointed_view

_PG_LOCK = 0x72657065617473  # "repeats"


class Asks(NamedTuple):
    """What the search for repeats needs of a new message. `kept`: `keys` as they are stored with the signature."""

    signature: Signature
    keys: tuple[int, ...]
    kept: str
    network: str
    post_id: str
    author_id: str | None
    external_id: str
    parent_id: str | None
    listed_at: datetime


@dataclass(slots=True)
class Asking:
    """A message whose question is to be looked up: its row (of a new one what `Asks` tells), its signature (None: it
    asks nothing any more), and the places of its events in the transaction, which will tell of the repeat."""

    row: dict[str, Any]
    signature: Signature | None
    events: list[int] = field(default_factory=list)
    fresh: bool = False  # it landed in this transaction, nothing of it is stored yet
    keys: tuple[int, ...] = ()
    kept: str = "[]"  # the keys as JSON


def asking_anew(id_: int, asks: Asks, event: int) -> Asking:
    """A message that landed in this transaction."""
    row = {
        "id": id_,
        "network": asks.network,
        "post_id": asks.post_id,
        "author_id": asks.author_id,
        "external_id": asks.external_id,
        "parent_id": asks.parent_id,
        "listed_at": asks.listed_at,
    }
    return Asking(row, asks.signature, [event], True, asks.keys, asks.kept)


# --- linking ----------------------------------------------------------------------------------------------------------


def link(tx: Tx, asked: Sequence[Asking]) -> None:
    """Keep the signatures, point repeats at the first message of their question, in their rows, in the table and in
    their events. A link that a person made stays; a first message stays first unless an edit made another question of
    it."""
    if not asked:
        return
    if not tx.is_sqlite:
        tx.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _PG_LOCK})
    perhaps = sorted(a.row["id"] for a in asked if not a.fresh)
    old = {r.message_id: r for r in rows_in(tx.conn, select(signatures), signatures.c.message_id, perhaps)}
    new = [a for a in asked if not _settled(a, old.get(a.row["id"]))]
    if not new:
        return
    changed = [old[a.row["id"]] for a in new if a.row["id"] in old]
    fixed = {r.message_id: r.cluster for r in changed if r.by is not None}
    edited = {a.row["id"]: a.signature for a in new}
    for id_ in sorted(firsts(tx, [r.message_id for r in changed]) - fixed.keys()):
        if edited[id_] is None or edited[id_].contradicts(old[id_].body):
            succeed(tx, id_)  # it asks something else now, the others go on without it
    fixed |= {id_: id_ for id_ in firsts(tx, [r.message_id for r in changed]) - fixed.keys()}
    remove(tx, changed)
    for a in new:
        if not a.fresh and a.signature is not None:
            a.keys = keys_of(a.signature, a.row)
            a.kept = orjson.dumps(a.keys).decode()
    known = Known(tx, new)
    rows: list[dict[str, Any]] = []
    pointed: list[dict[str, Any]] = []
    for a in sorted(new, key=lambda a: (a.row["listed_at"], a.row["id"])):
        id_ = a.row["id"]
        before = old.get(id_)
        if id_ in fixed:
            cluster = fixed[id_]
            note = None if cluster == id_ else a.row.get("repeat_note")
        else:
            cluster, note = known.find(a) or (id_, None)
        first = None if cluster == id_ else cluster
        if _point(tx, a, first, note):
            pointed.append({"b_id": id_, "b_of": first, "b_note": note})
        if a.signature is not None or id_ in fixed:
            rows.append(_row(a, cluster, before.by if before is not None else None))
            if a.signature is not None:
                known.add(a, cluster)
    if pointed:
        tx.execute(_POINT, pointed)
    tx.insert_many(signatures, rows)
    tx.insert_packed(signature_keys, ("key", "message_id"), [(k, a.row["id"]) for a in new for k in a.keys])


def _settled(a: Asking, row: Any) -> bool:
    """Whether nothing has to be done: the signature is the one that is stored, or there is and was none."""
    if a.signature is None:
        return row is None
    return row is not None and row.body == a.signature.body


def firsts(tx: Tx, ids: Sequence[int]) -> set[int]:
    """Which of these messages others point to."""
    query = select(signatures.c.cluster).where(signatures.c.cluster != signatures.c.message_id).distinct()
    return {r.cluster for r in rows_in(tx.conn, query, signatures.c.cluster, sorted(ids))}


def keys_of(signature: Signature, row: Mapping[str, Any]) -> tuple[int, ...]:
    """The signature's keys, and its topical ones as they are for this author and under this post; sorted."""
    if not signature.topical:
        return tuple(sorted(signature.keys))
    found = set(signature.keys)
    post = _mixed("post", row["network"], row["post_id"])
    author = _mixed("author", row["network"], row["author_id"]) if row["author_id"] else None
    for key in signature.topical:
        found.add(key ^ post)
        if author is not None:
            found.add(key ^ author)
    return tuple(sorted(found))


@lru_cache(maxsize=65_536)
def _mixed(*parts: str | int) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=6).digest())


def _row(a: Asking, cluster: int, by: str | None) -> dict[str, Any]:
    return {
        "message_id": a.row["id"],
        "cluster": cluster,
        "at": a.row["listed_at"],
        "body": "" if a.signature is None else a.signature.body,
        "keys": a.kept,
        "by": by,
    }


def _point(tx: Tx, a: Asking, first: int | None, note: str | None) -> bool:
    """Let the row in hand and its events say which message it repeats; whether that is news."""
    before = (a.row.get("repeat_of"), a.row.get("repeat_note"))
    a.row.update(repeat_of=first, repeat_note=note)
    if before == (first, note):
        return False
    if a.fresh:
        tx.amend(a.events[0], pointed_view(tx.emitted(a.events[0]), first, note))
        return True
    for place in a.events:
        tx.amend(place, dump(message_view(a.row)))
    if not a.events:  # nothing else of it changed
        message_event(tx, "assessed", a.row)
    return True


_POINT = (
    update(messages)
    .where(messages.c.id == bindparam("b_id"))
    .values(repeat_of=bindparam("b_of"), repeat_note=bindparam("b_note"))
)


def succeed(tx: Tx, first: int) -> None:
    """Message `first` leaves the cluster that it began: the next one becomes its first."""
    stale(tx)
    s, m = signatures.c, messages.c
    among = (s.cluster == first) & (s.message_id != first)
    heir = tx.execute(select(s.message_id).where(among).order_by(s.message_id).limit(1)).scalar()
    if heir is None:
        return
    members = [r.message_id for r in tx.execute(select(s.message_id).where(among).order_by(s.message_id))]
    query = tx.lock(select(messages).where(m.repeat_of == first).order_by(m.id))
    for part in chunks(members, 500):  # a text pasted en masse has very many; only their events are held together
        pointed = []
        for row in [dict(r._mapping) for r in rows_in(tx.conn, query, m.id, part)]:
            note = row["repeat_note"] and row["repeat_note"].replace(f"№ {first} ", f"№ {heir} ")
            values = {"repeat_of": heir, "repeat_note": note}
            if row["id"] == heir:
                values = dict.fromkeys(values)
            pointed.append({"b_id": row["id"], "b_of": values["repeat_of"], "b_note": values["repeat_note"]})
            message_event(tx, "assessed", {**row, **values})
        if pointed:
            tx.execute(_POINT, pointed)
    tx.execute(update(signatures).where(among).values(cluster=heir))


def remove(tx: Tx, rows: Sequence[Any]) -> None:
    """Take signatures and their keys out of the tables."""
    if rows:
        stale(tx)
    for r in rows:
        keys = orjson.loads(r.keys)
        if keys:
            gone = signature_keys.c.key.in_(keys) & (signature_keys.c.message_id == r.message_id)
            tx.execute(delete(signature_keys).where(gone))
    if rows:
        tx.execute(delete(signatures).where(signatures.c.message_id.in_([r.message_id for r in rows])))
