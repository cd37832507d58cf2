"""Repeats: which message asks what an earlier one asked. Candidates are found by index, judged by their signatures.

A cluster bears the id of its first message: the one that landed first, of one batch the one written first. Whatever
came later points to it, never the other way, so there are no circles and landing again changes nothing. Linking is
the last step of a transaction: on PostgreSQL it holds a lock until the commit, so that of two copies landed at once
the later transaction sees the earlier one. The work for a message is bounded: of each key only the latest messages
are looked at.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, select, text, update

from store.assessing import message_event
from store.db import Tx, chunks, rows_in
from store.tables import messages, signature_keys, signatures
from store.values import Likeness, Signature
from store.views import dump, message_view

PER_KEY = 8
"""The latest messages of one key that are looked at."""
PER_MESSAGE = 16
"""The candidates of one message that are judged: those that share most keys."""
_SURE = 0.95
_PG_LOCK = 0x72657065617473  # "repeats"

_LATEST = {
    True: "SELECT k.value, (SELECT json_group_array(message_id) FROM (SELECT message_id FROM signature_keys "
    "WHERE key = k.value ORDER BY message_id DESC LIMIT :n)) FROM json_each(:keys) k",
    False: "SELECT k.key, (SELECT array_agg(message_id) FROM (SELECT message_id FROM signature_keys "
    "WHERE key = k.key ORDER BY message_id DESC LIMIT :n) m) FROM unnest(CAST(:keys AS bigint[])) AS k(key)",
}
"""Each key with the latest messages that have it."""


@dataclass(slots=True)
class Asking:
    """A message whose question is to be looked up: its row, its signature (None: it asks nothing any more), and the
    places of its events in the transaction, which will tell of the repeat."""

    row: dict[str, Any]
    signature: Signature | None
    events: list[int] = field(default_factory=list)
    fresh: bool = False  # it landed in this transaction, nothing of it is stored yet
    keys: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Candidate:
    id: int
    cluster: int
    at: datetime
    body: str
    network: str
    post_id: str
    author_id: str | None
    external_id: str
    parent_id: str | None


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
        a.keys = frozenset(_keys(a)) if a.signature is not None else frozenset()
    known = _Known(tx, new)
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
    tx.insert_many(signature_keys, [{"key": k, "message_id": a.row["id"]} for a in new for k in sorted(a.keys)])


def _settled(a: Asking, row: Any) -> bool:
    """Whether nothing has to be done: the signature is the one that is stored, or there is and was none."""
    if a.signature is None:
        return row is None
    return row is not None and row.body == a.signature.body


def firsts(tx: Tx, ids: Sequence[int]) -> set[int]:
    """Which of these messages others point to."""
    query = select(signatures.c.cluster).where(signatures.c.cluster != signatures.c.message_id).distinct()
    return {r.cluster for r in rows_in(tx.conn, query, signatures.c.cluster, sorted(ids))}


def _keys(a: Asking) -> Iterator[int]:
    """The signature's keys, and its topical ones as they are for this author and under this post."""
    yield from a.signature.keys
    row = a.row
    if not a.signature.topical:
        return
    post = _mixed("post", row["network"], row["post_id"])
    author = _mixed("author", row["network"], row["author_id"]) if row["author_id"] else None
    for key in a.signature.topical:
        yield key ^ post
        if author is not None:
            yield key ^ author


@lru_cache(maxsize=65_536)
def _mixed(*parts: str | int) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=6).digest())


def _row(a: Asking, cluster: int, by: str | None) -> dict[str, Any]:
    return {
        "message_id": a.row["id"],
        "cluster": cluster,
        "at": a.row["listed_at"],
        "body": "" if a.signature is None else a.signature.body,
        "keys": orjson.dumps(sorted(a.keys)).decode(),
        "by": by,
    }


def _point(tx: Tx, a: Asking, first: int | None, note: str | None) -> bool:
    """Let the row in hand and its events say which message it repeats; whether that is news."""
    before = (a.row.get("repeat_of"), a.row.get("repeat_note"))
    a.row.update(repeat_of=first, repeat_note=note)
    if before == (first, note):
        return False
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


class _Known:
    """What a batch can be compared with: stored messages that share a key with one of it, and the batch itself."""

    def __init__(self, tx: Tx, asked: Sequence[Asking]) -> None:
        self.window: timedelta = tx.repeat_window
        self.by_key: dict[int, list[int]] = {}
        wanted = sorted({k for a in asked for k in a.keys})
        mine = {a.row["id"] for a in asked}
        for part in chunks(wanted):
            keys: Any = orjson.dumps(part).decode() if tx.is_sqlite else part
            for key, ids in tx.execute(text(_LATEST[tx.is_sqlite]), {"keys": keys, "n": PER_KEY}).all():
                found = orjson.loads(ids) if tx.is_sqlite else ids
                if found:
                    self.by_key[key] = [i for i in found if i not in mine]
        self.found = _load(tx, self._wanted(asked))
        heads = {c.cluster for c in self.found.values()} - self.found.keys()
        self.found |= _load(tx, heads)

    def _wanted(self, asked: Sequence[Asking]) -> set[int]:
        """Stored messages that may be compared with one of the batch. A copy needs no other than the text it copies."""
        wanted: set[int] = set()
        here: set[int] = set()
        for a in asked:
            copy = a.signature.copy if a.signature is not None else 0
            if copy and (ids := self.by_key.get(copy)):
                wanted.add(max(ids))
            elif copy not in here:
                wanted.update(self._likely(a))
            if copy:
                here.add(copy)
        return wanted

    def _likely(self, a: Asking) -> list[int]:
        """Ids of the messages that share most keys with `a`, of equals the latest, best first."""
        shared = Counter(itertools.chain.from_iterable(self.by_key.get(key, ()) for key in a.keys))
        return [i for _, i in sorted(((n, i) for i, n in shared.items()), reverse=True)[:PER_MESSAGE]]

    def add(self, a: Asking, cluster: int) -> None:
        row = a.row
        self.found[row["id"]] = _Candidate(
            row["id"], cluster, row["listed_at"], a.signature.body, row["network"], row["post_id"], row["author_id"],
            row["external_id"], row["parent_id"],
        )  # fmt: skip
        for key in a.keys:
            ids = self.by_key.setdefault(key, [])
            ids.append(row["id"])
            if len(ids) > PER_KEY:  # the latest count, as they do among the stored
                ids.remove(min(ids))

    def find(self, a: Asking) -> tuple[int, str] | None:
        """The first message of the question that `a` repeats, and the note for people."""
        if a.signature is None:
            return None
        copies = self.by_key.get(a.signature.copy) if a.signature.copy else None
        best = self._best(a, [max(copies)]) if copies else None
        if best is None:
            best = self._best(a, self._likely(a))
        if best is None:
            return None
        score, cluster, found = best
        return cluster, f"повтор: см. № {cluster} ({found.why}, сходство {score:.2f})"

    def _best(self, a: Asking, ids: Sequence[int]) -> tuple[float, int, Likeness] | None:
        """(score, cluster, likeness) of the most alike of these messages."""
        best: tuple[float, int, Likeness] | None = None
        for id_ in ids:
            c = self.found.get(id_)
            if c is None or (best is not None and c.cluster == best[1]) or (found := self._compare(a, c)) is None:
                continue
            first = self.found.get(c.cluster)
            if first is not None and first.id != c.id and first.body and a.signature.contradicts(first.body):
                continue
            if best is None or found.score > best[0]:
                best = (found.score, c.cluster, found)
            if found.score >= _SURE:
                break
        return best

    def _compare(self, a: Asking, c: _Candidate) -> Likeness | None:
        row = a.row
        apart = abs(row["listed_at"] - c.at)
        if apart > self.window or not c.body:
            return None
        same_network = row["network"] == c.network
        near = ""
        if same_network and row["post_id"] == c.post_id:
            tied = (row["parent_id"] and row["parent_id"] == c.external_id) or c.parent_id == row["external_id"]
            near = "thread" if tied else "post"
        return a.signature.likeness(
            c.body,
            same_author=bool(same_network and row["author_id"] and row["author_id"] == c.author_id),
            near=near,
            apart_s=apart.total_seconds(),
        )


def _load(tx: Tx, ids: Iterable[int]) -> dict[int, _Candidate]:
    s, m = signatures.c, messages.c
    query = select(
        s.message_id, s.cluster, s.at, s.body, m.network, m.post_id, m.author_id, m.external_id, m.parent_id
    ).join_from(signatures, messages, m.id == s.message_id)
    return {r.message_id: _Candidate(*r) for r in rows_in(tx.conn, query, s.message_id, sorted(ids))}


def succeed(tx: Tx, first: int) -> None:
    """Message `first` leaves the cluster that it began: the next one becomes its first."""
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
    for r in rows:
        keys = orjson.loads(r.keys)
        if keys:
            gone = signature_keys.c.key.in_(keys) & (signature_keys.c.message_id == r.message_id)
            tx.execute(delete(signature_keys).where(gone))
    if rows:
        tx.execute(delete(signatures).where(signatures.c.message_id.in_([r.message_id for r in rows])))
