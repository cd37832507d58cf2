"""A person's traces in what is not the person's own: other messages, answers, events, any text column of any table.

Tables are walked as the metadata lists them, so a new one is looked through too. Events and the audit log have rules
of their own; what is found is first listed, then changed under a lock and looked at once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import String, Table, Text, select, update

from store.assessing import message_event
from store.audit import redact
from store.db import Database, Tx, chunks, rows_in
from store.drafting import folded
from store.needles import Needles
from store.personal import plain_details
from store.seals import seal
from store.tables import (
    Json,
    audit,
    budgets,
    calls,
    counters,
    events,
    messages,
    meta,
    metadata,
    pages,
    resolved,
    seen,
    signature_keys,
    signatures,
)
from store.views import dump

_CHUNK = 500
_APART = frozenset(t.name for t in (messages, events, audit))
"""Handled by functions of their own."""
_NEVER = frozenset(t.name for t in (meta, counters, budgets, calls, pages, resolved, seen, signatures, signature_keys))
"""Hold no words of people: numbers, hashes, what is configured, who of the staff looked."""
_MESSAGE_TEXTS = ("text", "attachments", "url", "assessment", "corrected", "repeat_note")


def text_columns(table: Table) -> list[Any]:
    """Columns of a table that may hold somebody's words."""
    return [c for c in table.columns if isinstance(c.type, String | Text | Json) and not c.primary_key]


def plain_tables() -> Iterator[Table]:
    """Every table that has no rules of its own."""
    yield from (t for t in metadata.sorted_tables if t.name not in _APART | _NEVER and text_columns(t))


def _raw(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _hits(row: Any, columns: Collection[Any], needles: Needles, *, near: bool = False) -> bool:
    return any(row[c.name] is not None and needles.found(_raw(row[c.name]), near=near) for c in columns)


def _stream(db: Database, query: Any) -> Iterator[Mapping[str, Any]]:
    with db.read() as conn:
        if db.in_memory:
            yield from conn.execute(query).mappings().all()
        else:
            with conn.execution_options(stream_results=True, yield_per=_CHUNK).execute(query) as result:
                yield from result.mappings()


# --- finding ----------------------------------------------------------------------------------------------------------


def find(db: Database, needles: Needles, own: Collection[int]) -> dict[str, list[Any]]:
    """Keys of the rows that name the person, by table; `own`: the person's messages, which are not among them."""
    found: dict[str, list[Any]] = {}
    columns = [messages.c[name] for name in _MESSAGE_TEXTS]
    children: set[int] = set()
    hits = []
    for row in _stream(db, select(messages.c.id, messages.c.network, messages.c.parent_id, *columns)):
        if row["id"] in own:
            continue
        near = row["network"] == needles.network and row["parent_id"] in needles.parents
        if near:
            children.add(row["id"])
        if near or _hits(row, columns, needles):
            hits.append(row["id"])
    found["messages"] = hits
    near_ids = children | set(own)
    for table in plain_tables():
        keys = list(table.primary_key.columns)
        about = _message_of(table)
        query = select(*keys, *([about] if about is not None else ()), *text_columns(table))
        hits = [
            tuple(row[k.name] for k in keys)
            for row in _stream(db, query)
            if _hits(row, text_columns(table), needles, near=about is not None and row[about.name] in near_ids)
        ]
        if hits:
            found[table.name] = hits
    of_events = select(events.c.seq, events.c.message_id, events.c.data)
    found["events"] = [
        row["seq"]
        for row in _stream(db, of_events)
        if row["message_id"] not in own
        and (
            needles.found(row["data"])
            or (row["message_id"] in children and _mask_event(row["data"], needles, near=True) is not None)
        )
    ]
    of_audit = select(audit.c.seq, audit.c.message_id, audit.c.details)
    found["audit"] = [
        row["seq"]
        for row in _stream(db, of_audit)
        if row["message_id"] not in own and needles.found(row["details"], near=row["message_id"] in children)
    ]
    return {name: keys for name, keys in found.items() if keys}


def _message_of(table: Table) -> Any:
    return table.c.get("message_id")


# --- masking ----------------------------------------------------------------------------------------------------------


def mask_messages(tx: Tx, ids: Collection[int], needles: Needles, key: bytes) -> int:
    """Mask other people's messages; each keeps a seal of what the network shows, and the feed tells of it."""
    n = 0
    query = tx.lock(select(messages).order_by(messages.c.id))
    for row in [dict(r._mapping) for r in rows_in(tx.conn, query, messages.c.id, sorted(ids))]:
        near = row["network"] == needles.network and row["parent_id"] in needles.parents
        new = {name: needles.masked_json(row[name], near=near, key=name) for name in _MESSAGE_TEXTS}
        if near:
            new["parent_id"] = needles.parents[row["parent_id"]]
        values = {k: v for k, v in new.items() if v != row[k]}
        if not values:
            continue
        n += 1
        if values.keys() & {"text", "attachments"}:
            values["seal"] = row["seal"] or seal(key, row["text"], row["attachments"])
            values["folded"] = folded(new["text"], (row["author"] or {}).get("name"))
        tx.execute(update(messages).where(messages.c.id == row["id"]).values(**values))
        if not row["own"] and values.keys() & {"text", "attachments"}:
            message_event(tx, "revised", {**row, **values})
    return n


def mask_rows(tx: Tx, table: Table, keys: Collection[tuple[Any, ...]], needles: Needles, near: Collection[int]) -> int:
    """Mask the text columns of these rows."""
    n = 0
    columns = text_columns(table)
    about = _message_of(table)
    for key in keys:
        here = [c == v for c, v in zip(table.primary_key.columns, key, strict=True)]
        row = tx.execute(tx.lock(select(table).where(*here))).mappings().first()
        if row is None:
            continue
        nearby = about is not None and row[about.name] in near
        values = {}
        for c in columns:
            if (old := row[c.name]) is None:
                continue
            new = needles.masked_json(_parsed(old), near=nearby)
            if not isinstance(old, str) or isinstance(new, str):
                values |= {c.name: new} if new != old else {}
            elif new != _parsed(old):
                values[c.name] = orjson.dumps(new).decode()
        if values:
            tx.execute(update(table).where(*here).values(**values))
            n += 1
    return n


def _parsed(value: Any) -> Any:
    """JSON that lies in a text column as what it says; any other text as it is."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def _mask_event(data: str, needles: Needles, *, near: bool) -> str | None:
    """The masked data; None when there is nothing to mask."""
    told = orjson.loads(data)
    masked = needles.masked_json(told, near=near)
    return None if masked == told else dump(masked).decode()


def mask_events(tx: Tx, seqs: Collection[int], needles: Needles, children: Collection[int]) -> int:
    n = 0
    query = tx.lock(select(events.c.seq, events.c.message_id, events.c.data).order_by(events.c.seq))
    for row in list(rows_in(tx.conn, query, events.c.seq, sorted(seqs))):
        data = _mask_event(row.data, needles, near=row.message_id in children)
        if data is not None:
            tx.execute(update(events).where(events.c.seq == row.seq).values(data=data))
            n += 1
    return n


def mask_audit(tx: Tx, seqs: Collection[int], needles: Needles, *, by: str, verb: str) -> int:
    """Erase what people wrote in these rows of the log, as a recorded redaction."""
    query = select(audit).order_by(audit.c.seq)
    rows = [r._mapping for r in rows_in(tx.conn, query, audit.c.seq, sorted(seqs))]
    left = [needles.masked_json(plain_details(orjson.loads(r["details"])), near=True) for r in rows]
    if rows:
        redact(tx, rows, left, by=by, verb=verb)
    return len(rows)


def mask(
    db: Database,
    found: Mapping[str, list[Any]],
    needles: Needles,
    own: Collection[int],
    key: bytes,
    *,
    by: str,
    now: datetime,
) -> Counter[str]:
    """Mask all that `find` found, a few rows a transaction; how many of each table were changed."""
    done: Counter[str] = Counter()
    children = _children(db, found.get("messages", ()), needles)
    near = children | set(own)
    for name in ("messages", "events", "audit"):
        for part in chunks(found.get(name, ()), _CHUNK):
            work = {
                "messages": lambda tx, part=part: mask_messages(tx, part, needles, key),
                "events": lambda tx, part=part: mask_events(tx, part, needles, children),
                "audit": lambda tx, part=part: mask_audit(tx, part, needles, by=by, verb="forget"),
            }[name]
            done[name] += db.transact(work, now)
    for name, keys in found.items():
        if name in _APART:
            continue
        table = metadata.tables[name]
        for part in chunks(keys, _CHUNK):
            done[name] += db.transact(lambda tx, t=table, part=part: mask_rows(tx, t, part, needles, near), now)
    return done


def _children(db: Database, ids: Collection[int], needles: Needles) -> set[int]:
    """Which of these messages answer the person's comments (also those whose parent is called by the hidden id)."""
    wanted = {*needles.parents, *needles.parents.values()}
    with db.read() as conn:
        query = select(messages.c.id, messages.c.parent_id).where(messages.c.network == needles.network)
        return {r.id for r in rows_in(conn, query, messages.c.id, sorted(ids)) if r.parent_id in wanted}


__all__ = ["find", "mask", "plain_tables", "text_columns"]
