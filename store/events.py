"""The event log: read by cursor, a line of JSON an event."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import delete, select

from store.db import Database, Tx
from store.tables import counters, events, meta

_CHUNK = 1000
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def source(db: Database) -> str:
    """The URN of this log: together with an event's id it is unique in the world."""
    with db.read() as conn:
        return conn.execute(select(meta.c.value).where(meta.c.name == "source")).scalar_one()


def last_seq(db: Database) -> int:
    """The last number given out, 0 before the first. After a restore no event has it: numbers go on behind it."""
    with db.read() as conn:
        return conn.execute(select(counters.c.value).where(counters.c.name == "events")).scalar_one()


BASE = "events_base"
"""In `meta`: JSON, `seq` and `at` of the last event that the retention rule removed from the beginning."""


def first_kept(conn: Any) -> tuple[int, datetime]:
    """(number of the first event that is kept, a time: every event later than it is kept)."""
    told = conn.execute(select(meta.c.value).where(meta.c.name == BASE)).scalar()
    if not told:
        return 1, _BEGINNING
    found = orjson.loads(told)
    return found["seq"] + 1, datetime.fromisoformat(found["at"])


def first_seq(db: Database) -> int:
    """The number of the first event that is kept; 1 when none was removed yet."""
    with db.read() as conn:
        return first_kept(conn)[0]


def drop_before(tx: Tx, seq: int) -> int:
    """Remove the events before number `seq` from the beginning of the log; how many. Their numbers are not reused."""
    last = tx.execute(
        select(events.c.seq, events.c.time).where(events.c.seq < seq).order_by(events.c.seq.desc()).limit(1)
    ).first()
    if last is None:
        return 0
    value = orjson.dumps({"seq": last.seq, "at": last.time.isoformat()}).decode()
    row = tx.insert(meta).values(name=BASE, value=value)
    tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
    return tx.execute(delete(events).where(events.c.seq < seq)).rowcount


def read(db: Database, after: int, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` events with `seq` > `after`, in order."""
    return [orjson.loads(line) for line in raw(db, after, limit)]


def raw(db: Database, after: int, limit: int) -> Iterator[bytes]:
    """The same as NDJSON lines. Reads in chunks: a slow reader holds no transaction open."""
    head = _escaped(source(db))
    columns = (events.c.seq, events.c.id, events.c.type, events.c.time, events.c.message_id, events.c.data)
    while limit > 0:
        query = select(*columns).where(events.c.seq > after).order_by(events.c.seq).limit(min(limit, _CHUNK))
        with db.read() as conn:
            rows = conn.execute(query).all()
        for row in rows:
            yield _line(row, head)
        if len(rows) < min(limit, _CHUNK):
            return
        after = rows[-1].seq
        limit -= len(rows)


def _line(row: Any, source_json: str) -> bytes:
    subject = "" if row.message_id is None else f'"subject":"{row.message_id}",'
    return (
        f'{{"seq":{row.seq},"id":"{row.id}","type":"{row.type}","time":"{_rfc3339(row.time)}","specversion":"1.0",'
        f'"source":{source_json},{subject}"datacontenttype":"application/json","data":{row.data}}}\n'
    ).encode()


def _escaped(text: str) -> str:
    return orjson.dumps(text).decode()


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
