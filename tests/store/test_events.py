"""The event log: dense, ordered, followed without a miss."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest

from store import Store
from tests.store.build import EMERGENCY, NOW, dense, judged, landing, see, together


def test_an_event_is_a_cloudevent_with_a_number(store):
    see(store)
    store.land(landing(judged(1, 'кавычки " и \n строки \u2028')), NOW)
    (event,) = store.events(0, 10)
    assert {k: event[k] for k in ("seq", "type", "time", "specversion", "subject")} == {
        "seq": 1,
        "type": "otklik.message.landed",
        "time": "2026-11-24T09:00:00Z",
        "specversion": "1.0",
        "subject": "1",
    }
    assert event["source"].startswith("urn:uuid:") and event["id"] and event["data"] == store.message("1")


def test_lines_are_the_events_one_a_line(store):
    see(store)
    store.land(landing(*(judged(i, f"строка\n{i}") for i in range(5))), NOW)
    lines = list(store.events_raw(0, 99))
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert [json.loads(line) for line in lines] == store.events(0, 99)


def test_reading_by_cursor_and_limit(store):
    see(store)
    store.land(landing(*(judged(i) for i in range(2500))), NOW)
    assert [e["seq"] for e in store.events(2, 3)] == [3, 4, 5]
    assert len(list(store.events_raw(0, 2300))) == 2300
    assert [e["seq"] for e in store.events(2490, 99)] == list(range(2491, 2501))
    assert store.events(2500, 9) == store.events(99999, 9) == store.events(0, 0) == []
    assert store.last_seq() == 2500 and len({e["id"] for e in store.events(0, 9999)}) == 2500


def test_a_landing_that_failed_leaves_no_hole(store):
    see(store)
    for i in range(3):
        with pytest.raises(TypeError):
            store.land(landing(judged(i), judged(f"x{i}", published_at=NOW.replace(tzinfo=None))), NOW)
        store.land(landing(judged(f"ok{i}")), NOW)
    assert dense(store) and store.last_seq() == 3


def _write(url: str, who: int, n: int) -> int:
    with Store.open(url) as store:
        for i in range(n):
            assessment = EMERGENCY if i % 3 == 0 else None
            store.land(landing(*(judged(f"{who}-{i}-{k}", "x", assessment) for k in range(3))), NOW)
    return 0


def _follow(url: str, want: int, _: int) -> list[int]:
    seen: list[int] = []
    until = time.monotonic() + 90
    with Store.open(url) as store:
        while len(seen) < want and time.monotonic() < until:
            seen += [e["seq"] for e in store.events(seen[-1] if seen else 0, 50)]
    return seen


def _work(url: str, role: str, who: int, n: int):
    return _write(url, who, n) if role == "write" else _follow(url, n, who)


def test_a_follower_misses_nothing_of_many_writers(store_url):
    """Each writer lands 20 batches of 3 comments, 7 of them emergencies: 60 + 21 events."""
    with Store.open(store_url) as store:
        see(store, NOW - timedelta(days=1))
    want = 3 * (60 + 21)
    jobs = [(store_url, "write", w, 20) for w in range(3)] + [(store_url, "follow", f, want) for f in range(2)]
    followed = [r for r in together(_work, jobs) if r != 0]
    assert followed == [list(range(1, want + 1))] * 2
    with Store.open(store_url) as store:
        assert dense(store)
