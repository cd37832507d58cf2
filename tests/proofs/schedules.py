"""A hypothesis state machine: comments appear, vanish and change, also while they are being paged; then all must agree.

One emulator serves every schedule: its world is exchanged. The database is a copy of an empty, migrated one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from collectors import make
from collectors.poll import Options, Poller
from collectors.report import Report
from emulator.server import Emulator
from emulator.vk import Behaviour, VkFace
from emulator.world import Clock, Shaker, World
from settings import parse
from store import Store
from store.ledger import compare
from store.tables import metadata
from store.values import Judged

START = 1_790_000_000.0
_ROOM = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


class Bench:
    """What all schedules of one process share: an emulator, and a database that is emptied for each."""

    def __init__(self) -> None:
        os.environ["VK_TOKEN"] = "otklik-user-token"
        self.folder = Path(tempfile.mkdtemp(prefix="otklik-schedules-", dir=_ROOM))
        self.url = f"sqlite:///{self.folder}/otklik.db"
        self.store = Store.open(self.url)
        self.emulator = Emulator(World("vk")).start()

    def empty(self) -> None:
        """No rows but the facts about the database itself."""
        with self.store._db.write() as conn:
            for table in reversed(metadata.sorted_tables):
                if table.name == "counters":
                    conn.execute(table.update().values(value=0))
                elif table.name != "meta":
                    conn.execute(table.delete())

    def show(self, world: World, behaviour: Behaviour) -> None:
        self.emulator.world = world
        self.emulator.face = VkFace(world, behaviour=behaviour)

    def close(self) -> None:
        self.emulator.stop()
        self.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)


_bench: Bench | None = None


def bench() -> Bench:
    global _bench
    if _bench is None:
        _bench = Bench()
        import atexit

        atexit.register(_bench.close)
    return _bench


class Schedule(RuleBasedStateMachine):
    """One page, a few posts. After any order of events two quiet full runs make the store equal to the ledger."""

    @initialize(
        depth=st.sampled_from([2, 2, 3]),
        replies_counted=st.booleans(),
        bulk=st.sampled_from([0, 0, 3, 15, 120]),
        resident=st.booleans(),
    )
    def begin(self, depth: int, replies_counted: bool, bulk: int, resident: bool) -> None:
        self.bench = bench()
        self.world = World("vk", clock=Clock(START, frozen=True), start=START)
        self.page = self.world.add_page("-1", "Страница")
        for i in range(5):
            self.world.add_author(10 + i, f"Житель {i}")
        self.posts = [self.world.add_post(self.page, "Первая"), self.world.add_post(self.page, "Вторая")]
        if resident:
            self.posts.append(self.world.add_post(self.page, "Пишет житель", author=10))
        for i in range(bulk):
            self.world.add_comment(self.posts[0], f"старый {i}", 11)
        self.bench.show(self.world, Behaviour(thread_depth=depth, counter_replies=replies_counted))
        self.bench.empty()
        self.url = self.bench.url
        config = parse(
            f'store: {{url: "{self.url}"}}\n'
            'networks: {vk: {token: "${VK_TOKEN}", requests_per_second: 10000, '
            f'api: "{self.bench.emulator.url}"}}}}\n'
            'pages: [{network: vk, id: "-1", include: [posts]}]\n'
            "collect: {batch: 20}\n"
        )
        self.config = config
        self.store = self.bench.store

    # --- the world ---------------------------------------------------------------------------------------------------

    def _comments(self, *, deleted: bool) -> list[Any]:
        return [c for p in self.posts for c in p.comments.values() if c.deleted is deleted]

    @rule(post=st.integers(0, 9), n=st.integers(1, 4))
    def write(self, post: int, n: int) -> None:
        for i in range(n):
            self.world.add_comment(self.posts[post % len(self.posts)], f"новый {i}", 10 + i)

    @rule(which=st.integers(0, 999), n=st.integers(1, 13))
    def reply(self, which: int, n: int) -> None:
        found = self._comments(deleted=False)
        if found:
            parent = found[which % len(found)]
            for i in range(n):
                self.world.add_comment(parent.post, f"ответ {i}", 10 + i % 5, parent=parent)

    @rule(which=st.integers(0, 999))
    def edit(self, which: int) -> None:
        found = self._comments(deleted=False)
        if found:
            one = found[which % len(found)]
            self.world.edit(one, one.text + "+")

    @rule(which=st.integers(0, 999), n=st.integers(1, 12))
    def delete(self, which: int, n: int) -> None:
        for i in range(n):
            found = self._comments(deleted=False)
            if found:
                self.world.delete(found[(which + i) % len(found)])

    @rule(which=st.integers(0, 999))
    def restore(self, which: int) -> None:
        found = self._comments(deleted=True)
        if found:
            self.world.restore(found[which % len(found)])

    @rule()
    def post_anew(self) -> None:
        self.posts.append(self.world.add_post(self.page, f"Запись {len(self.posts)}"))

    @rule(which=st.integers(0, 9))
    @precondition(lambda self: len(self.posts) > 2)
    def drop_post(self, which: int) -> None:
        post = self.posts.pop(which % len(self.posts))
        self.world.delete_post(post)

    @rule(minutes=st.sampled_from([1, 10, 60, 60 * 24]))
    def wait(self, minutes: int) -> None:
        self.world.advance(60 * minutes)

    # --- the collector -----------------------------------------------------------------------------------------------

    def _run(self, **options: Any) -> Report:
        poller = Poller(
            self.store,
            self.config,
            lambda page, comments, now: [Judged(c, None) for c in comments],
            lambda name: make(self.config, name),
            now=lambda: _utc(self.world.now()),
        )
        return poller.run(Options(**options))

    @rule(full=st.booleans())
    def collect(self, full: bool) -> None:
        report = self._run(full=full)
        assert report.coverages

    @rule(seed=st.integers(0, 2**16), chance=st.sampled_from([0.3, 0.7, 1.0]), full=st.booleans())
    def collect_while_it_moves(self, seed: int, chance: float, full: bool) -> None:
        self.world.mutator = Shaker(seed, chance=chance, limit=40)
        try:
            report = self._run(full=full)
        finally:
            self.world.mutator = None
        assert report.coverages

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self.world.advance(60)
        self._run(full=True)
        report = self._run(full=True)
        found = compare(self.url, [line.encode() for line in self.world.ledger_ndjson().splitlines()])
        assert found.agrees, (found.summary(), found.examples())
        assert report.exit_code == 0, [c.problem for c in report.coverages]


def _utc(seconds: float) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC)


Schedule.TestCase.settings = settings(
    max_examples=int(os.environ.get("OTKLIK_SCHEDULES", "40")),
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
