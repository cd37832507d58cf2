"""Which stored messages may ask what a new one asks: by key the latest of each, by shared keys the likeliest.

On SQLite what a transaction learnt is kept for the next one on the same connection: the latest messages of the keys
that were looked up, and what they are compared by. It is used only while `PRAGMA data_version` says that no other
connection wrote, and dropped by whatever changes signatures on this one (`stale`), so it never differs from the tables.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import text

from store.db import Tx, chunks
from store.tables import micros
from store.values import Likeness

if TYPE_CHECKING:
    from store.repeats import Asking

PER_KEY = 8
"""The latest messages of one key that are looked at."""
PER_MESSAGE = 16
"""The candidates of one message that are judged: those that share most keys."""
_SURE = 0.95
_KEPT_KEYS, _KEPT_MESSAGES = 60_000, 20_000  # some 30 MB; then it begins anew

_LATEST = {
    True: "SELECT k.value, (SELECT json_group_array(message_id) FROM (SELECT message_id FROM signature_keys "
    "WHERE key = k.value ORDER BY message_id DESC LIMIT :n)) FROM json_each(:keys) k",
    False: "SELECT k.key, (SELECT array_agg(message_id) FROM (SELECT message_id FROM signature_keys "
    "WHERE key = k.key ORDER BY message_id DESC LIMIT :n) m) FROM unnest(CAST(:keys AS bigint[])) AS k(key)",
}
"""Each key with the latest messages that have it."""
_LOADED = (
    "SELECT s.message_id, s.cluster, s.at, s.body, m.network, m.post_id, m.author_id, m.external_id, m.parent_id "
    "FROM signatures s JOIN messages m ON m.id = s.message_id WHERE s.message_id "
)
_LOAD = {True: _LOADED + "IN (SELECT value FROM json_each(:ids))", False: _LOADED + "= ANY(CAST(:ids AS bigint[]))"}
_MEMORY = "otklik repeats"  # in `Connection.info`, which lives as long as the driver's connection


class Candidate(NamedTuple):
    """What a stored message is compared by. `at`: microseconds."""

    id: int
    cluster: int
    at: int
    body: str
    network: str
    post_id: str
    author_id: str | None
    external_id: str
    parent_id: str | None


class _Memory:
    """Of some keys the latest messages, latest last, and of some messages what they are compared by."""

    def __init__(self) -> None:
        self.version = -1
        self.by_key: dict[int, list[int]] = {}
        self.found: dict[int, Candidate] = {}

    @property
    def full(self) -> bool:
        return len(self.by_key) > _KEPT_KEYS or len(self.found) > _KEPT_MESSAGES


def stale(tx: Tx) -> None:
    """Signatures, or what is compared of their messages, were changed past `Known`: nothing remembered holds."""
    tx.conn.info.pop(_MEMORY, None)


def _recall(tx: Tx) -> _Memory:
    """What the last transaction left, if it still holds; it is taken out, so that an undone transaction leaves none."""
    if not tx.is_sqlite:
        return _Memory()
    kept: _Memory | None = tx.conn.info.pop(_MEMORY, None)
    version = tx.conn.exec_driver_sql("PRAGMA data_version").scalar_one()
    if kept is None or kept.version != version or kept.full:
        kept = _Memory()
        kept.version = version
    info = tx.conn.info
    tx.after_commit.append(lambda: info.__setitem__(_MEMORY, kept))
    return kept


class Known:
    """What a batch can be compared with: stored messages that share a key with one of it, and the batch itself."""

    def __init__(self, tx: Tx, asked: Sequence[Asking]) -> None:
        self.tx = tx
        self.window_us = tx.repeat_window // timedelta(microseconds=1)
        memory = _recall(tx)
        self.by_key, self.found = memory.by_key, memory.found
        self._look_up({k for a in asked for k in a.keys} - self.by_key.keys())
        self._load(self._wanted(asked))

    def _look_up(self, keys: set[int]) -> None:
        for part in chunks(sorted(keys)):
            told: Any = orjson.dumps(part).decode() if self.tx.is_sqlite else part
            for key, ids in self.tx.execute(text(_LATEST[self.tx.is_sqlite]), {"keys": told, "n": PER_KEY}).all():
                found = orjson.loads(ids) if self.tx.is_sqlite else ids
                self.by_key[key] = found[::-1] if found else []

    def _load(self, ids: Iterable[int]) -> None:
        """What these messages are compared by, and the first ones of their clusters."""
        for wanted in (ids, None):
            if wanted is None:
                wanted = {self.found[i].cluster for i in ids if i in self.found}
            for part in chunks(sorted(set(wanted) - self.found.keys())):
                told: Any = orjson.dumps(part).decode() if self.tx.is_sqlite else part
                for row in self.tx.execute(text(_LOAD[self.tx.is_sqlite]), {"ids": told}).all():
                    self.found[row[0]] = Candidate._make(row)

    def _wanted(self, asked: Sequence[Asking]) -> set[int]:
        """Stored messages that will likely be compared with one of the batch. A copy needs no other than the text it
        copies."""
        wanted: set[int] = set()
        here: set[int] = set()
        for a in asked:
            copy = a.signature.copy if a.signature is not None else 0
            if copy and (ids := self.by_key.get(copy)):
                wanted.add(ids[-1])
            elif copy not in here:
                wanted.update(self._likely(a))
            if copy:
                here.add(copy)
        return wanted

    def _likely(self, a: Asking) -> list[int]:
        """Ids of the messages that share most keys with `a`, of equals the latest, best first."""
        shared = Counter(itertools.chain.from_iterable([ids for key in a.keys if (ids := self.by_key.get(key))]))
        if len(shared) < 2:
            return list(shared)
        return [i for _, i in sorted([(n, i) for i, n in shared.items()], reverse=True)[:PER_MESSAGE]]

    def add(self, a: Asking, cluster: int) -> None:
        """`a` belongs to the known ones from now on."""
        row = a.row
        id_ = row["id"]
        self.found[id_] = Candidate(
            id_, cluster, micros(row["listed_at"]), a.signature.body, row["network"], row["post_id"], row["author_id"],
            row["external_id"], row["parent_id"],
        )  # fmt: skip
        for key in a.keys:
            ids = self.by_key.setdefault(key, [])
            ids.append(id_)
            if len(ids) > 1 and ids[-2] > id_:
                ids.sort()
            if len(ids) > PER_KEY:  # the latest count, as they do among the stored
                del ids[0]

    def find(self, a: Asking) -> tuple[int, str] | None:
        """The first message of the question that `a` repeats, and the note for people."""
        if a.signature is None:
            return None
        copies = self.by_key.get(a.signature.copy) if a.signature.copy else None
        best = self._best(a, [copies[-1]]) if copies else None
        if best is None:
            best = self._best(a, self._likely(a))
        if best is None:
            return None
        score, cluster, found = best
        return cluster, f"повтор: см. № {cluster} ({found.why}, сходство {score:.2f})"

    def _best(self, a: Asking, ids: Sequence[int]) -> tuple[float, int, Likeness] | None:
        """(score, cluster, likeness) of the most alike of these messages."""
        best: tuple[float, int, Likeness] | None = None
        if not self.found.keys() >= set(ids):
            self._load(ids)
        at = micros(a.row["listed_at"])
        for id_ in ids:
            c = self.found.get(id_)
            if c is None or (best is not None and c.cluster == best[1]):
                continue
            if (found := self._compare(a, at, c)) is None:
                continue
            if c.cluster != id_:
                first = self.found.get(c.cluster)
                if first is not None and first.body and a.signature.contradicts(first.body):
                    continue
            if best is None or found.score > best[0]:
                best = (found.score, c.cluster, found)
            if found.score >= _SURE:
                break
        return best

    def _compare(self, a: Asking, at: int, c: Candidate) -> Likeness | None:
        row = a.row
        apart = abs(at - c.at)
        if apart > self.window_us or not c.body:
            return None
        same_author, near = False, ""
        if row["network"] == c.network:
            author = row["author_id"]
            same_author = bool(author) and author == c.author_id
            if row["post_id"] == c.post_id:
                parent = row["parent_id"]
                tied = (parent and parent == c.external_id) or c.parent_id == row["external_id"]
                near = "thread" if tied else "post"
        return a.signature.likeness(c.body, same_author=same_author, near=near, apart_s=apart / 1e6)
