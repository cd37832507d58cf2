"""Following the log: by cursor, in order, never missing an event, ending quietly."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from feed.read import BATCH, FeedError, copy, read
from store import Store
from tests.store.build import NOW, THANKS, judged, landing, see, together

ROOT = Path(__file__).parents[2]


def fill(store: Store, first: int, count: int, batch: int = 500) -> None:
    for start in range(first, first + count, batch):
        numbers = range(start, min(start + batch, first + count))
        store.land(landing(*(judged(n, f"т {n}", THANKS) for n in numbers)), NOW)


def seqs(lines) -> list[int]:
    return [json.loads(line)["seq"] for line in lines]


def test_after_and_limit(store):
    see(store)
    count = 2 * BATCH + 7  # several chunks and a rest
    fill(store, 1, count)
    assert seqs(read(store)) == list(range(1, count + 1))
    assert seqs(read(store, after=count - 2)) == [count - 1, count]
    assert seqs(read(store, after=count)) == []
    assert seqs(read(store, limit=1)) == [1]
    assert seqs(read(store, after=5, limit=BATCH + 1)) == list(range(6, BATCH + 7))
    assert seqs(read(store, limit=0)) == []


@pytest.mark.parametrize("follow", [False, True])
def test_a_cursor_that_the_log_never_reached_is_refused(store, follow):
    see(store)
    fill(store, 1, 3)
    for after in (4, 10**12):
        with pytest.raises(FeedError, match=f"{after}.*последнее 3") as e:
            next(read(store, after=after, follow=follow, poll_s=0.01))
        assert e.value.exit_code == 2 and "\n" not in str(e.value)


def test_each_line_is_one_event_whatever_a_resident_wrote(store):
    see(store)
    evil = '\n{"seq":999999,"type":"x"}\r\n\u2028\u2029\x0b "seq":77 \\ \x1b[2J'
    store.land(landing(judged(1, evil, THANKS), judged(2, "после", THANKS)), NOW)
    lines = list(read(store))
    assert [line.count(b"\n") for line in lines] == [1, 1] and all(line.endswith(b"}\n") for line in lines)
    assert seqs(lines) == [1, 2]
    assert json.loads(lines[0])["data"]["text"] == evil


def test_following_sees_what_lands_later_and_stops_when_told(store):
    see(store)
    fill(store, 1, 3)
    got: list[int] = []
    done = threading.Event()

    def follow() -> None:
        for line in read(store, follow=True, poll_s=0.01, stop=done.is_set):
            got.append(json.loads(line)["seq"])
            if len(got) == 6:
                done.set()

    reader = threading.Thread(target=follow)
    reader.start()
    while len(got) < 3 and reader.is_alive():
        time.sleep(0.01)
    fill(store, 4, 3)
    reader.join(60)
    assert not reader.is_alive() and got == [1, 2, 3, 4, 5, 6]


def test_a_limit_ends_following(store):
    see(store)
    fill(store, 1, 5)
    assert seqs(read(store, follow=True, limit=4, poll_s=0.01)) == [1, 2, 3, 4]


def test_the_reader_is_told_before_it_waits(store):
    see(store)
    fill(store, 1, 2)
    calls: list[int] = []
    lines = read(store, follow=True, poll_s=0.01, stop=lambda: bool(calls), idle=lambda: calls.append(1))
    assert seqs(lines) == [1, 2] and calls == [1]


# --- many writers -----------------------------------------------------------------------------------------------------

WRITERS, EACH, SIZE = 4, 25, 4


def _write(url: str, who: int) -> int:
    with Store.open(url) as store:
        for i in range(EACH):
            numbers = range(SIZE * i, SIZE * (i + 1))
            store.land(landing(*(judged(f"{who}_{n}", "т", THANKS, post_id=f"p{who}") for n in numbers)), NOW)
    return EACH * SIZE


def _follow(url: str) -> tuple[list[int], set[str]]:
    """Read while others write, keeping nothing but the last `seq`."""
    found: list[int] = []
    keys: set[str] = set()
    with Store.open(url) as store:
        end = time.monotonic() + 100
        lines = read(store, follow=True, poll_s=0.001, limit=WRITERS * EACH * SIZE, stop=lambda: time.monotonic() > end)
        for line in lines:
            event = json.loads(line)
            found.append(event["seq"])
            keys.add(event["data"]["external_id"])
    return found, keys


def _work(url: str, who: int | None) -> object:
    return _follow(url) if who is None else _write(url, who)


def test_a_follower_misses_nothing_while_many_processes_write(store_url):
    with Store.open(store_url) as store:
        see(store)
    jobs = [(store_url, None), (store_url, None), *((store_url, who) for who in range(WRITERS))]
    results = together(_work, jobs)
    total = WRITERS * EACH * SIZE
    followed = [r for r in results if isinstance(r, tuple)]
    assert len(followed) == 2
    for found, keys in followed:
        assert found == list(range(1, total + 1))  # in order, none missing, none twice
        assert len(keys) == total


# --- where it goes ----------------------------------------------------------------------------------------------------


def test_copy_writes_and_counts(store):
    see(store)
    fill(store, 1, 4)
    out = io.BytesIO()
    assert copy(store, out, 1, 2) == 2
    assert seqs(out.getvalue().splitlines()) == [2, 3]


def test_a_reader_that_goes_away_ends_it_quietly(sqlite_url):
    with Store.open(sqlite_url) as store:
        see(store)
        fill(store, 1, 3000)  # far more than a pipe holds
    program = (
        "import sys\nfrom feed.read import copy\nfrom store import Store\n"
        "with Store.open(sys.argv[1]) as store:\n    copy(store, sys.stdout.buffer, follow=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, sqlite_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert json.loads(child.stdout.readline())["seq"] == 1
    child.stdout.close()
    complaint = child.stderr.read()
    child.stderr.close()
    assert (child.wait(60), complaint) == (0, b"")
