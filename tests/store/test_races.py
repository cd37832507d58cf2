"""Processes that do different things to the same rows at once: no error, no deadlock, nothing twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy import text

from store import NotHeld, Store
from store.admin import verify
from store.values import PageRef
from tests.store.build import EMERGENCY, NOW, PAGE, PLAIN, URGENT, dense, judged, landing, mark, see, together

COMMENTS, ROUNDS = 24, 12


def everything(round_: int) -> list:
    """All comments, with another text each round; their keys sort unlike their ids."""
    kinds = (PLAIN, URGENT, EMERGENCY)
    return [judged(f"{(n * 7) % COMMENTS:02}", f"текст {round_}", kinds[(n + round_) % 3]) for n in range(COMMENTS)]


def _lands(store: Store, chance: random.Random) -> None:
    for i in range(ROUNDS):
        batch = everything(i)
        chance.shuffle(batch)
        store.see_page(PageRef(PAGE.network, PAGE.id, f"Имя {i}", PAGE.url), NOW)
        store.land(landing(*batch, posts=[mark(counter=i, walked="full", cursor=str(i))]), NOW + timedelta(minutes=i))
        gone = [j.comment.external_id for j in batch[:4]]
        store.land(landing(deleted=gone), NOW + timedelta(minutes=i))


def _corrects(store: Store, chance: random.Random) -> None:
    for i in range(ROUNDS * 3):
        wanted = str(chance.randint(1, COMMENTS))
        store.correct(wanted, {"emergency": i % 2 == 0, "places": ["Хрюг"]}, by="кто", now=NOW)
        for alert in store.alerts()[:2]:
            store.acknowledge(alert["id"], "кто", NOW)
        store.claim_alerts(NOW + timedelta(hours=1), 30, [("k", "head"), ("e", "escalation")], 60, 60, 3)


def _consumes(store: Store, chance: random.Random) -> list[str]:
    done: list[str] = []
    for _ in range(ROUNDS * 2):
        mine = [m["id"] for m in store.take(f"c{chance.random()}", 5, 3600, NOW)]
        if not mine:
            continue
        who = store.message(mine[0], full=True)["delivery"]["consumer"]
        chance.shuffle(mine)
        store.nack(mine[:2], who, NOW)
        try:
            store.ack(mine[2:], who, NOW)
            done += mine[2:]
        except NotHeld as e:  # only what is held can be acknowledged, and all of it was
            raise AssertionError(str(e)) from None
    return done


def _work(url: str, role: str, seed: int) -> list[str]:
    with Store.open(url) as store:
        return {"lands": _lands, "corrects": _corrects, "consumes": _consumes}[role](store, random.Random(seed)) or []


def test_the_same_rows_from_many_sides(store_url):
    with Store.open(store_url) as store:
        see(store)
        store.land(landing(*everything(0)), NOW)
    roles = ("lands", "lands", "corrects", "corrects", "consumes", "consumes")
    done = [i for part in together(_work, [(store_url, role, n) for n, role in enumerate(roles)]) for i in part]
    assert len(done) == len(set(done)) > 0
    assert verify(store_url) == []
    with Store.open(store_url) as store:
        assert dense(store) and len(list(store.messages())) == COMMENTS
        assert {m["id"] for m in store.take("rest", 99, 60, NOW)}.isdisjoint(done)

    assert deadlocks(store_url) == 0


def deadlocks(url: str) -> int:
    """How many PostgreSQL has broken by undoing one of the two (which is then done again, a second later)."""
    if url.startswith("sqlite"):
        return 0
    with Store.open(url) as store, store._db.read() as conn:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return conn.execute(text(query)).scalar_one()


def waiting(conn: Any) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return conn.execute(query).fetchone()[0]


def test_all_who_lock_messages_go_the_same_way(postgres_url):
    """A third one holds the row that both come to; were their orders different, each would end up with half."""
    with Store.open(postgres_url) as store:
        see(store)
        store.land(landing(judged("b")), NOW)  # message 1
        store.land(landing(judged("a")), NOW)  # message 2
        store.take("x", 9, 60, NOW)
    jobs = (
        lambda s: s.land(landing(judged("a", "иначе"), judged("b", "иначе")), NOW),
        lambda s: s.ack(["1", "2"], "x", NOW),
    )
    held = psycopg.connect(postgres_url.replace("+psycopg", ""))
    held.execute("SELECT 1 FROM messages WHERE id = 2 FOR UPDATE")
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as watch:
        threads = []
        for n, job in enumerate(jobs, 1):
            thread = threading.Thread(target=_alone, args=(postgres_url, job))
            thread.start()
            threads.append(thread)
            until = time.monotonic() + 60
            while waiting(watch) < n and time.monotonic() < until:
                time.sleep(0.01)
        assert waiting(watch) == 2
        held.close()
        for thread in threads:
            thread.join(60)
    assert deadlocks(postgres_url) == 0
    with Store.open(postgres_url) as store:
        assert {m["text"] for m in store.messages()} == {"иначе"} and store.take("y", 9, 60, NOW) == []


def _alone(url: str, job: Callable[[Store], Any]) -> None:
    with Store.open(url) as store:
        job(store)
