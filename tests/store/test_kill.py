"""A process killed while it lands: whatever it had committed is whole, the rest comes with the next run."""

from __future__ import annotations

import random
import subprocess
import sys
import time

from store import Store
from store.admin import verify
from tests.store.build import see

COMMENTS, BATCH, KILLS = 2000, 50, 4

CODE = f"""
import sys
from store import Store
from tests.store.build import EMERGENCY, NOW, judged, landing, mark
with Store.open(sys.argv[1]) as store:
    print("ready", flush=True)
    for start in range(0, {COMMENTS}, {BATCH}):
        batch = [judged(i, "пожар", EMERGENCY) if i % 10 == 0 else judged(i) for i in range(start, start + {BATCH})]
        store.land(landing(*batch, posts=[mark(counter=start, walked="tail", cursor=str(start))]), NOW)
"""


def start(url: str) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", CODE, url], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline().strip() == "ready"
    return child


def end(child: subprocess.Popen[str]) -> int:
    code = child.wait(120)
    assert child.stdout is not None
    child.stdout.close()
    return code


def test_kills_lose_and_double_nothing(store_url):
    moments = random.Random(3)
    with Store.open(store_url) as store:
        see(store)
    for _ in range(KILLS):
        child = start(store_url)
        time.sleep(moments.uniform(0, 0.4))
        child.kill()
        end(child)
        assert verify(store_url) == []
        with Store.open(store_url) as store:
            stored = sum(1 for _ in store.messages())
            assert stored % BATCH == 0
            for state in store.post_states(store.page_states()[0].page):
                # The cursor never stands before what was stored with it.
                assert state.stored == stored and int(state.cursor) + BATCH <= stored
    assert end(start(store_url)) == 0
    assert verify(store_url) == []
    with Store.open(store_url) as store:
        found = [m["external_id"] for m in store.messages()]
        assert len(found) == len(set(found)) == COMMENTS
        assert len(store.alerts()) == COMMENTS // 10 and store.last_seq() == COMMENTS + COMMENTS // 10
