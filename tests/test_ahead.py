"""The judge in a process of its own: the same store as without it, whatever happens to the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from running.ahead import Ahead
from running.judging import judge_with
from settings import parse
from store import Store
from store.drafting import Frame, Later, prepare
from store.values import Landing, PageRef
from tests.store.build import comment

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PAGE = PageRef("vk", "-1", "Администрация района")
SAID = (
    "Нет воды в селе Хкем второй день", "Спасибо большое!", "Горит дом в Лутуне, люди внутри!", "+1", "",
    "В Ахты яма на улице Ленина, примите меры", "Опять нет света в Хрюге, сколько можно", "Когда починят мост?",
)  # fmt: skip
needs_a_second_core = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="one core: judging stays in the process"
)
pytestmark = [
    needs_a_second_core,
    pytest.mark.skipif(
        not os.environ.get("OTKLIK_SOAK"), reason="the judge beside is not used by collect: in the soak"
    ),
]


@pytest.fixture(scope="module")
def plain() -> Any:
    import classifier

    settings = parse('store: {url: "sqlite://"}\n')
    return judge_with(classifier.load(), settings)


def batches(n: int, size: int = 60) -> list[list[Any]]:
    return [
        [comment(b * size + i, SAID[(b + i) % len(SAID)], published_at=NOW - timedelta(minutes=i)) for i in range(size)]
        for b in range(n)
    ]


def land(store: Store, judge: Any, parts: list[list[Any]], between: Callable[[int], None] = lambda _: None) -> None:
    """Land these batches as the poll loop does: judged ahead, in their order."""
    first_seen = store.see_page(PAGE, NOW - timedelta(days=1)).first_seen_at
    waiting: list[Any] = []

    def one() -> None:
        ready, frame = waiting.pop(0)
        judged, draft = ready()
        store.land(Landing(PAGE, judged, server_time=frame.cap, run_id="r", draft=draft), frame.now)

    for number, part in enumerate(parts):
        frame = store.frame(first_seen, NOW, NOW + timedelta(seconds=number), "r")
        waiting.append((judge.begin(PAGE, part, frame), frame))
        between(number)
        if len(waiting) > judge.ahead:
            one()
    while waiting:
        one()


class Here:
    """The same without a process."""

    ahead = 0

    def __init__(self, judge: Any) -> None:
        self.judge = judge

    def begin(self, page: PageRef, comments: Any, frame: Frame) -> Any:
        return lambda: (self.judge(page, comments, frame.now), None)


def told(store: Store) -> list[Any]:
    """Everything but the ids of events, which are drawn."""
    return [
        list(store.messages()),
        [{k: v for k, v in e.items() if k not in ("id", "source")} for e in store.events(0, 100_000)],
        store.alerts(),
    ]


def wanted(tmp_path: Path, plain: Any, parts: list[list[Any]]) -> list[Any]:
    with Store.open(f"sqlite:///{tmp_path}/plain.db") as store:
        land(store, Here(plain), parts)
        return told(store)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(pid: int, within_s: float = 60) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not alive(pid):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def judge(plain: Any) -> Any:
    made = Ahead(plain, start_after=0)
    yield made
    made.rest()


def test_the_store_is_the_same(store: Store, judge: Ahead, plain: Any, tmp_path: Path) -> None:
    """On both databases: messages, repeats, events in their order, alerts."""
    parts = batches(6)
    seen = set()
    land(store, judge, parts, lambda _: seen.add(judge.pid))
    assert len(seen) == 1 and None not in seen, "one process for all"
    assert told(store) == wanted(tmp_path, plain, parts)
    (pid,) = seen
    judge.rest()
    assert judge.pid is None and ended(pid)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_falls_silent_in_mid_batch_loses_nothing(
    judge: Ahead, plain: Any, tmp_path: Path, sign: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = batches(8)
    pids = []

    def strike(number: int) -> None:
        if number == 3:
            pids.append(judge.pid)
            os.kill(judge.pid, sign)
            monkeypatch.setattr("running.ahead.PATIENCE_S", 0.2)

    with Store.open(f"sqlite:///{tmp_path}/struck.db") as store:
        land(store, judge, parts, strike)
        assert told(store) == wanted(tmp_path, plain, parts)
    assert judge.pid is None, "not started again in this run"
    assert ended(pids[0])


def test_what_can_not_be_judged_there_is_judged_and_told_here(plain: Any, tmp_path: Path) -> None:
    here = os.getpid()

    def fails_there(page: Any, comments: Any, now: Any) -> Any:
        if os.getpid() != here:
            raise RuntimeError
        return plain(page, comments, now)

    parts = batches(3)
    judge = Ahead(fails_there, start_after=0)
    with Store.open(f"sqlite:///{tmp_path}/failing.db") as store:
        land(store, judge, parts)
        judge.rest()
        assert told(store) == wanted(tmp_path, plain, parts)


def test_it_stays_when_the_terminal_tells_the_group_to_stop_and_ends_with_us(judge: Ahead) -> None:
    frame = Frame(NOW, NOW, NOW, None, True)
    (part,) = batches(1)
    judge.begin(PAGE, part, frame)()
    for sign in (signal.SIGINT, signal.SIGTERM):
        os.kill(judge.pid, sign)
    pid = judge.pid
    judged, draft = judge.begin(PAGE, part, frame)()
    assert judge.pid == pid and draft is not None and len(judged) == len(part)


ORPHAN = """
import os, signal, sys
from datetime import UTC, datetime
from running.ahead import Ahead
from store.drafting import Frame
from store.values import PageRef
now = datetime(2026, 11, 24, tzinfo=UTC)
judge = Ahead(lambda page, comments, at: __import__("time").sleep(600), start_after=0)
from tests.store.build import comment
judge.begin(PageRef("vk", "-1"), [comment(1, "a")], Frame(now, now, now, None, True))
print(judge.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_dies_with_a_killed_parent_in_mid_batch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert ended(int(done.stdout))


def test_a_few_comments_start_nothing(plain: Any) -> None:
    judge = Ahead(plain)
    for part in batches(3):
        _, draft = judge.begin(PAGE, part, Frame(NOW, NOW, NOW, None, True))()
        assert draft is None
    assert judge.pid is None


def test_a_draft_of_another_frame_is_not_taken(store: Store, plain: Any) -> None:
    """The page was first seen at another time than the draft says: the rows are made anew."""
    (part,) = batches(1)
    store.see_page(PAGE, NOW - timedelta(minutes=30))
    frame = store.frame(NOW - timedelta(days=9), NOW, NOW, "r")
    from store.drafting import Draft

    made = prepare(plain(PAGE, part, NOW), frame)
    later = [Later(c, lambda one: plain(PAGE, [one], NOW)[0]) for c in part]
    store.land(Landing(PAGE, later, server_time=NOW, run_id="r", draft=Draft(frame, made)), NOW)
    assert {m["historical"] for m in store.messages()} == {True, False}
