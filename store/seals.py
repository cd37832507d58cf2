"""Keyed hashes that stand for what is no longer kept, so that it is recognised when a network shows it again.

A comment whose author was forgotten is known by `hidden_id` instead of its own id. A message of which less is kept than
the network shows has a `seal` of the whole: the same words landed again are no news. The key lies in the database and
is made when first needed; without one nothing was ever erased. Nobody who has only a copy of these hashes can tell
whose they are; whoever has the key and the public comments could try them one by one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, select

from store.db import Tx, rows_in
from store.tables import messages, meta
from store.values import Known

_NAME = "key"
HIDDEN = "forgotten:"


def find_key(conn: Connection) -> bytes | None:
    """The key of this database; None when nothing was ever erased from it."""
    found = conn.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar()
    return bytes.fromhex(found) if found else None


def make_key(tx: Tx) -> bytes:
    """The key, made when there is none yet; of two that make one at once both get the same."""
    row = tx.insert(meta).values(name=_NAME, value=os.urandom(32).hex())
    tx.execute(row.on_conflict_do_nothing(index_elements=["name"]))
    found = find_key(tx.conn)
    assert found is not None
    return found


def keyed(key: bytes, kind: str, *parts: str | None) -> str:
    """32 hex digits that nobody makes without the key; equal parts of one kind give equal ones."""
    return hashlib.blake2b(orjson.dumps([kind, *parts]), key=key, digest_size=16).hexdigest()


def hidden_id(key: bytes, network: str, external_id: str) -> str:
    """What a forgotten comment is called instead of its external id."""
    return external_id if external_id.startswith(HIDDEN) else HIDDEN + keyed(key, "comment", network, external_id)


def seal(key: bytes, text: str, attachments: Sequence[Mapping[str, Any]] | None) -> str:
    """The seal of a comment's words and attachments; links to the same attachment may change."""
    same = [[a["kind"], a["id"] or a["url"]] for a in attachments or ()]
    return keyed(key, "content", text, orjson.dumps(same).decode())


class KnownComments(dict[str, Known]):
    """Stored comments by external id, forgotten ones by their hidden one until somebody asks by the real one."""

    def __init__(self, found: Mapping[str, Known], key: bytes, network: str) -> None:
        super().__init__(found)
        self._key, self._network = key, network

    def _real(self, id_: object) -> bool:
        if dict.__contains__(self, id_):
            return True
        if not isinstance(id_, str) or (hidden := hidden_id(self._key, self._network, id_)) == id_:
            return False
        if not dict.__contains__(self, hidden):
            return False
        self[id_] = dict.pop(self, hidden)
        return True

    def __contains__(self, id_: object) -> bool:
        return self._real(id_)

    def get(self, id_: str, default: Any = None) -> Any:
        return dict.get(self, id_, default) if self._real(id_) else default


def hidden_among(tx: Tx, key: bytes, network: str, ids: Collection[str]) -> dict[str, Any]:
    """The forgotten messages behind these external ids: real id -> row (id, external_id, post_id, deleted_at)."""
    real = {hidden_id(key, network, i): i for i in ids}
    m = messages.c
    query = select(m.id, m.external_id, m.post_id, m.deleted_at).where(m.network == network, m.forgotten_at.isnot(None))
    return {real[r.external_id]: r for r in rows_in(tx.conn, tx.lock(query), m.external_id, sorted(real))}
