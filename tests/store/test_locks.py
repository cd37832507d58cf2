"""Locks between processes and machines; budgets shared by all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from store import Store
from tests.store.build import together


def test_a_lock_is_held_by_one(store):
    with store.try_lock("page:vk:-1") as lock:
        assert lock is not None and store.try_lock("page:vk:-1") is None
        other = store.try_lock("page:vk:-2")
        assert other is not None
        other.release()
        other.release()
    again = store.try_lock("page:vk:-1")
    assert again is not None
    again.release()


def test_two_stores_of_one_process_are_two(store_url):
    with Store.open(store_url) as one, Store.open(store_url) as two:
        lock = one.try_lock("x")
        assert two.try_lock("x") is None
        lock.release()
        two.try_lock("x").release()


def test_names_may_be_anything(store):
    for name in ("../../etc/passwd", "a/b", "х" * 1000, "", "a\0b"):
        with store.try_lock(name) as lock:
            assert lock is not None


def test_many_locks_at_once(store):
    held = [store.try_lock(f"page:{i}") for i in range(40)]
    assert all(held)
    for lock in held:
        lock.release()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_the_holder_frees_it(store_url, how):
    code = (
        "import sys, time; from store import Store; s = Store.open(sys.argv[1]); l = s.try_lock('x');"
        "print('held' if l else 'no', flush=True); time.sleep(120)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, store_url], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline().strip() == "held"
        with Store.open(store_url) as store:
            assert store.try_lock("x") is None
            os.kill(child.pid, how)
            child.wait()
            until = time.monotonic() + 30
            while (lock := store.try_lock("x")) is None and time.monotonic() < until:
                time.sleep(0.02)  # PostgreSQL notices the closed connection a moment later
            assert lock is not None
            lock.release()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _grab(url: str, who: int) -> int:
    got = 0
    with Store.open(url) as store:
        for i in range(25):
            if (lock := store.try_lock(f"page:{i}")) is not None:
                got += 1
                globals().setdefault("_kept", []).append(lock)  # until the process ends
        time.sleep(2)
    return got


def test_processes_never_hold_the_same_lock(store_url):
    assert sum(together(_grab, [(store_url, w) for w in range(3)])) == 25


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_slots_stand_an_interval_apart(store):
    waits = [store.reserve("vk:ab", 0.25, now=1000.0) for _ in range(4)]
    assert waits == [0, 0.25, 0.5, 0.75]
    assert store.reserve("vk:ab", 0.25, now=1000.9) == pytest.approx(0.1)
    assert store.reserve("vk:other", 0.25, now=1000.0) == 0
    assert store.reserve("vk:ab", 0.25, now=2000.0) == 0  # nothing is saved up
    assert store.reserve("vk:ab", 0.25, now=2000.0) == 0.25


def test_a_hold_keeps_everybody_waiting_and_is_never_shortened(store):
    store.hold("k", 1060.0)
    store.hold("k", 1010.0)
    assert store.reserve("k", 1.0, now=1000.0) == 60.0
    assert store.reserve("k", 1.0, now=1000.0) == 61.0


def test_calls_are_counted_by_day(store):
    assert [store.count_call("k", "2026-11-24") for _ in range(3)] == [1, 2, 3]
    assert store.count_call("k", "2026-11-24", 5) == 8 and store.count_call("k", "2026-11-25") == 1


def _book(url: str, n: int) -> list[float]:
    with Store.open(url) as store:
        return [store.reserve("k", 0.5, now=1000.0) for _ in range(n)]


def test_processes_share_one_budget(store_url):
    slots = sorted(s for part in together(_book, [(store_url, 25)] * 3) for s in part)
    assert slots == [i * 0.5 for i in range(75)]


def test_threads_share_one_store(store):
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(store.reserve("k", 1.0, now=0.0))) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(found) == [float(i) for i in range(12)]
