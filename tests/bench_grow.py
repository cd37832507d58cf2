"""`python -m tests.bench grow`: what people and programs wait for, at 10^5 and at 10^6 messages in the store.

The store is made of copies of the messages of a small collected and judged world, with their places, signatures, keys
and events, all of them still to be taken: the longest queue there can be. One database, other sizes:
`python -m tests.bench_grow postgresql 100000 1000000 10000000`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from store import Store
from store.tables import events, messages, places, signature_keys, signatures
from store.values import Judged, Landing, PageRef, QueueFilter, utcnow
from tests.bench_feed import collected, postgres

SIZES = (100_000, 1_000_000)
TIMES = 60
BATCH = 50
_NEW = {
    messages: {"id": "id + :by", "external_id": "external_id || '-' || CAST(:n AS TEXT)"},
    places: {"message_id": "message_id + :by"},
    signatures: {"message_id": "message_id + :by", "cluster": "cluster + :by"},
    signature_keys: {"message_id": "message_id + :by"},
    events: {"seq": "seq + :by_events", "id": "id || '-' || CAST(:n AS TEXT)", "message_id": "message_id + :by"},
}
"""What of a row is another one's in a copy."""
_SPREAD = ("listed_at", "collected_at", "published_at")
_STEP_US = 600_000_000
_ENDS = (("id", "messages"), ("seq", "events"))


def grow(sizes: tuple[int, ...] = SIZES, databases: tuple[str, ...] = ("sqlite", "postgresql")) -> Iterator[str]:
    for database in databases:
        if database == "sqlite":
            with tempfile.TemporaryDirectory(prefix="otklik-bench-") as folder:
                yield from _grown("SQLite", f"sqlite:///{folder}/otklik.db", sizes)
        else:
            with postgres() as url:
                yield from _grown("PostgreSQL", url, sizes)


def _grown(name: str, url: str, sizes: tuple[int, ...]) -> Iterator[str]:
    with Store.open(url) as store:
        collected(url)
        judged = _judged([m["text"] for m in store.messages(QueueFilter(order="id", limit=2000))])
        with store._db.write() as conn:  # the world was there before its pages were first seen
            conn.execute(
                text("UPDATE messages SET historical = :no, priority = priority - 5 WHERE historical"), {"no": False}
            )
            top = conn.execute(text("SELECT MAX(id) FROM messages")).scalar_one()
        small = (top, store.last_seq())
        first: dict[str, float] = {}
        copies = 1
        for size in sizes:
            start = time.perf_counter()
            copies = _multiply(store, small, copies, -(-size // top))
            took = time.perf_counter() - start
            yield f"{name}: {copies * top:,} messages ({took:.0f} s to make them), p95 of {TIMES}"
            for what, wait in _measured(store, judged, size):
                p95 = statistics.quantiles(wait, n=20)[-1]
                before = first.setdefault(what, p95)
                yield f"  {what}: {1e3 * p95:.1f} ms, {p95 / before:.1f} times that of the smallest store"


def _multiply(store: Store, small: tuple[int, int], have: int, wanted: int) -> int:
    top, last = small
    with store._db.write() as conn:
        ids, seqs = (conn.execute(text(f"SELECT MAX({q}) FROM {t}")).scalar_one() for q, t in _ENDS)
        for n in range(have, wanted):
            values = {"by": ids, "by_events": seqs, "n": n, "top": top, "last": last}
            ids, seqs = ids + top, seqs + last
            for table, new in _NEW.items():
                names = [c.name for c in table.columns]
                spread = {c: f"{c} - {n * _STEP_US}" for c in _SPREAD if table is messages}
                chosen = ", ".join({**spread, **new}.get(c, f'"{c}"') for c in names)
                listed = ", ".join(f'"{c}"' for c in names)
                among = "seq <= :last" if table is events else f"{'id' if table is messages else 'message_id'} <= :top"
                conn.execute(
                    text(f"INSERT INTO {table.name} ({listed}) SELECT {chosen} FROM {table.name} WHERE {among}"), values
                )
        for counter, value in (("messages", ids), ("events", seqs)):
            conn.execute(
                text("UPDATE counters SET value = :v WHERE name = :n AND value < :v"), {"v": value, "n": counter}
            )
        if store.dialect == "postgresql":
            conn.execute(text("SELECT setval('messages_ids', :v)"), {"v": ids})
    with store._db.session() as conn:
        conn.execute(text("ANALYZE"))
    return wanted


def _judged(texts: list[str]) -> list[Judged]:
    """Comments as a judged landing has them."""
    from cli import make_judge
    from settings import parse
    from tests.store.build import comment

    judge = make_judge(parse('store: {url: "sqlite://"}\n'))[0]
    now = utcnow()
    comments = [comment(i, said, published_at=now, page_id="-900") for i, said in enumerate(texts)]
    return judge(PageRef("vk", "-900", "Страница"), comments, now)


def _measured(store: Store, judged: list[Judged], mark: int) -> Iterator[tuple[str, list[float]]]:
    page = PageRef("vk", "-900", "Страница")
    now = utcnow()
    last = store.last_seq()
    store.see_page(page, now - timedelta(days=1))
    topics = [m["topic"] for m in store.messages(QueueFilter(limit=500)) if m["topic"]]

    def land(i: int) -> None:
        batch = [
            replace(j, comment=replace(j.comment, external_id=f"g{mark}-{i}-{k}"))
            for k, j in enumerate(judged[i * BATCH % 1000 :][:BATCH])
        ]
        store.land(Landing(page, batch, server_time=now), now)

    steps: dict[str, Callable[[int], Any]] = {
        "queue, the first 20": lambda i: list(store.messages(QueueFilter(limit=20))),
        "queue of a topic, the first 20": lambda i: list(
            store.messages(QueueFilter(topic=topics[i % len(topics)], limit=20))
        ),
        "take 10 and acknowledge them": lambda i: store.ack(
            [m["id"] for m in store.take("bench", 10, 600.0, now)], "bench", now
        ),
        "feed, a page of 1,000 events": lambda i: list(store.events_raw(i * (last // TIMES), 1000)),
        f"insert of a batch of {BATCH}": land,
    }
    for what, step in steps.items():
        for i in range(3):  # what is read first comes from the disk
            step(TIMES + i)
        wait = []
        for i in range(TIMES):
            start = time.perf_counter()
            step(i)
            wait.append(time.perf_counter() - start)
        yield what, wait


if __name__ == "__main__":
    for line in grow(tuple(map(int, sys.argv[2:])) or SIZES, (sys.argv[1],)):
        print(line, flush=True)
