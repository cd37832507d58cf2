"""The event log: read by cursor, a line of JSON an event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import delete, select

from store.db import Database, Tx, driver_rows
from store.tables import counters, events, instant, meta

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
    for _, lines in blocks(db, after, limit):
        yield from lines


def blocks(db: Database, after: int, limit: int) -> Iterator[tuple[int, list[bytes]]]:
    """The same many lines at a time, with the number of the last one. What is stored of an event is copied out as it
    stands, as bytes."""
    head = _escaped(source(db)).encode()
    while limit > 0:
        asked = min(limit, _CHUNK)
        with db.read() as conn:
            rows = driver_rows(conn, _QUERY[db.is_sqlite], (after, asked))
        if rows:
            after = rows[-1][0]
            yield after, _lines(rows, head)
        if len(rows) < asked:
            return
        limit -= len(rows)


_QUERY = {
    True: "SELECT seq, id, type, time, message_id, CAST(data AS BLOB) FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
    False: "SELECT seq, id, type, time, message_id, convert_to(data, 'UTF8') FROM events WHERE seq > %s "
    "ORDER BY seq LIMIT %s",
}
"""As bytes: taking a text apart into characters and together again costs more than all the rest."""


def _lines(rows: Sequence[Any], source_json: bytes) -> list[bytes]:
    found = []
    told: tuple[str, int] | None = None
    about = b""
    for seq, id_, type_, time, message_id, data in rows:
        if told != (type_, time):  # those of one transaction share it
            told = (type_, time)
            at = instant(time).isoformat().replace("+00:00", "Z")
            about = b'","type":"%b","time":"%b","specversion":"1.0","source":%b,' % (
                type_.encode(), at.encode(), source_json,
            )  # fmt: skip
        subject = b"" if message_id is None else b'"subject":"%d",' % message_id
        found.append(
            b'{"seq":%d,"id":"%b%b%b"datacontenttype":"application/json","data":%b}\n'
            % (seq, id_.encode(), about, subject, data)
        )
    return found


def _escaped(value: str) -> str:
    return orjson.dumps(value).decode()
