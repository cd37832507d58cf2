"""What every collector must hold, as tests that a network inherits by giving an emulator.

    class TestVk(CollectorContract):
        network = "vk"
        ...

The network says how its world, emulator and configuration are made (`make_world`, `emulate`, `configure`) and how its
methods are called; the rest is here. What the collector declares in its `Capabilities` decides what is asked of it: of
a network without counters no gap is expected and a deletion needs two agreeing walks, of one that tells no deletions
none is expected, and so on. `Shelf` stands where the poll loop and the store stand in the program: it keeps what came,
by external id, and believes only what a walk may claim.

Sizes: VK, whose transport and paging all others share, runs in full; `light` ones run small unless OTKLIK_SOAK=1.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import pytest

import collectors
from collectors.contract import Capabilities, CollectError, Collector, Gone, RateLimited, Unauthorised, Walk
from collectors.inbox import MemoryInbox
from collectors.manners import MemoryBudget
from emulator import Emulator, Shaker, World, face_of, generate
from emulator.faults import SOME_FAULTS, WIRE_FAULTS
from settings import Settings, parse
from store.values import Comment, Known, Outcome, PageRef, Post

SOAK = bool(os.environ.get("OTKLIK_SOAK"))


@dataclass
class Shelf:
    """Comments of one page as a program would have stored them."""

    kept: dict[str, Comment] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    cursors: dict[str, str | None] = field(default_factory=dict)
    doubts: dict[str, set[str]] = field(default_factory=dict)  # post -> what a walk missed without a counter's word
    calls: int = 0

    def known(self, post: Post) -> dict[str, Known]:
        return {
            i: Known(c.parent_id, i in self.deleted or c.deleted) for i, c in self.kept.items() if c.post_id == post.id
        }

    @property
    def live(self) -> dict[str, Comment]:
        return {i: c for i, c in self.kept.items() if i not in self.deleted and not c.deleted}


@dataclass
class Run:
    """What one run over a page brought: walks by post, errors met, and whether all of it may be called complete."""

    walks: dict[str, Walk] = field(default_factory=dict)
    errors: list[CollectError] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    yielded: list[str] = field(default_factory=list)
    gaps: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """As the poll loop sees it: no error, nothing denied, every walk complete and without a gap."""
        return (
            not self.errors
            and not any(p.denied for p in self.posts)
            and all(w.complete for w in self.walks.values())
            and not any(self.gaps.values())
        )


def collect(collector: Collector, page: PageRef, shelf: Shelf, *, full: bool = True, since: Any = None) -> Run:
    """One run over a page the way the poll loop makes it, without its schedule."""
    run = Run()
    try:
        for post in collector.posts(page, since):
            run.posts.append(post)
    except CollectError as e:
        run.errors.append(e)
    for post in run.posts:
        if post.gone or post.denied:
            continue
        known = shelf.known(post)
        walk = Walk(full=full, known=known, cursor=shelf.cursors.get(post.id))
        run.walks[post.id] = walk
        seen: set[str] = set()
        try:
            for batch in collector.comments(page, post, walk):
                for c in batch.comments:
                    assert c.external_id not in seen, f"{c.external_id} came twice in one walk"
                    seen.add(c.external_id)
                    run.yielded.append(c.external_id)
                    shelf.kept[c.external_id] = c
                    shelf.deleted.discard(c.external_id)
                if batch.cursor is not None:
                    shelf.cursors[post.id] = batch.cursor
        except CollectError as e:
            run.errors.append(e)
            walk.complete = False
            if isinstance(e, Unauthorised | RateLimited) or e.page_wide:
                break
            continue
        live = {i for i, k in shelf.known(post).items() if not k.deleted}
        hidden = {i for i, k in known.items() if k.hidden and i not in seen}
        if walk.exhaustive:
            live &= seen | hidden
        gap = 0 if walk.counter is None else max(0, walk.counter - len(live) - walk.stubs)
        run.gaps[post.id] = gap
        if walk.exhaustive and walk.complete and not gap:
            absent = {i for i, k in known.items() if not k.deleted and i not in seen | hidden}
            if walk.counter is not None or shelf.doubts.get(post.id) == absent:
                shelf.deleted |= absent
            shelf.doubts[post.id] = absent
    collector.landed(page)
    return run


def named(world: World, page: str) -> str:
    """What the network calls a page of the world."""
    return world.naming.page(world.pages[page]) if page in world.pages else page


def truth(world: World, page: str, *, deleted: bool = False) -> dict[str, dict[str, Any]]:
    """External id -> ledger line of every comment of the page that should be readable now; `deleted`: those that are
    gone as well."""
    name = named(world, page)
    return {
        e["external_id"]: e
        for e in world.ledger()
        if e["page"] == name and (deleted or not (e["deleted"] or e["post_deleted"]))
    }


FULL = Capabilities(counters=True, replies=True, edits=True, deletions=True)


def assert_same(shelf: Shelf, world: World, page: str, can: Capabilities = FULL) -> None:
    """The shelf holds the truth, comment by comment, as far as the network `can` tell it."""
    expected, got = truth(world, page), shelf.live
    possible = expected if can.deletions else truth(world, page, deleted=True)
    assert set(expected) - set(got) == set(), "lost"
    assert set(got) - set(possible) == set(), "not deleted"
    for i, e in expected.items():
        c = got[i]
        assert (c.parent_id, c.own, c.post_id, c.page_id) == (
            e["parent"] if can.replies else None,
            e["own"],
            e["post"],
            e["page"],
        ), i
        assert c.text == e["text"] if can.edits else c.text in e["texts"], i
        if can.attachments:
            assert [a.kind for a in c.attachments] == e["attachments"], i
        assert c.published_at is not None and c.published_at.tzinfo is not None
        assert abs(c.published_at.timestamp() - _stamp(e["published_at"])) < 1, i
        assert c.url.startswith("https://"), i


def _stamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class CollectorContract:
    """Inherit, fill in the upper part, and get the tests."""

    network: ClassVar[str]
    token: ClassVar[str]
    behaviours: ClassVar[dict[str, Any]] = {"default": None}
    methods: ClassVar[tuple[str, ...]] = ()
    """Methods whose failing is tried with each fault (`fault`: parametrised by `faults`); the last reads comments."""
    harmless: ClassVar[tuple[str, ...]] = ()
    """Beginnings of faults after which a run may rightly be called complete, besides the usual ones."""
    inboxes: ClassVar[WeakKeyDictionary[Emulator, MemoryInbox]] = WeakKeyDictionary()
    """What the program keeps in its store from run to run."""
    light: ClassVar[bool] = not SOAK
    kinds: ClassVar[tuple[str, ...]] = ("person", "community", "hidden", "deleted")
    """Kinds of authors that the network shows apart."""

    def make_world(self, seed: int, **shape: Any) -> World:
        """A world of the network; `shape` as for `generate`."""
        return generate(seed, **({"pages": 2, "posts": 8, "comments": 300, "network": self.network} | shape))

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        """A configuration of this network alone, its API at `url`."""
        more = "".join(f", {k}: {v}" for k, v in network.items())
        return parse(
            f'networks: {{{self.network}: {{token: "{self.token}", api: "{url}"{more}}}}}\n'
            f'pages: [{{network: {self.network}, id: "{page}"}}]'
        )

    @classmethod
    def faults(cls) -> tuple[str, ...]:
        """What the tests named after faults are run with."""
        codes = face_of(cls.network).codes
        some = codes if not cls.light else codes[:: max(1, len(codes) // 4)]
        return (*(f"error={code}" for code in some), *(SOME_FAULTS if cls.light else WIRE_FAULTS))

    # --- help --------------------------------------------------------------------------------------------------------

    @property
    def can(self) -> Capabilities:
        return collectors.load(self.network).capabilities

    def size(self, whole: int, small: int | None = None) -> int:
        """How much of something: `whole`, or less in a light run."""
        return whole if not self.light else small or max(12, whole // 5)

    def ways(self) -> list[tuple[str, Any]]:
        return list(self.behaviours.items())

    def emulate(self, world: World, **options: Any) -> Emulator:
        return Emulator(world, network=self.network, **options)

    def same(self, shelf: Shelf, world: World, page: str) -> None:
        assert_same(shelf, world, page, self.can)

    def settle(self, collector: Collector, ref: PageRef, shelf: Shelf) -> Run:
        """A full run that sees deletions: without a counter that takes two."""
        if self.can.deletions and not self.can.counters:
            collect(collector, ref, shelf)
        return collect(collector, ref, shelf)

    @contextmanager
    def open(
        self, emulator: Emulator, page: str, *, budget: Any = None, stop: Any = None, **network: Any
    ) -> Iterator[tuple[Collector, PageRef]]:
        """A collector of the emulated network and the page, resolved."""
        network = {"retries": 4, "max_wait": 5, "timeout": 3, "requests_per_second": 10000} | network
        settings = self.configure(emulator.url, named(emulator.world, page), **network)
        inbox = self.inboxes.setdefault(emulator, MemoryInbox())
        collector = collectors.make(settings, self.network, budget, stop=stop, inbox=inbox)
        every = (named(emulator.world, p) for p in emulator.world.pages)
        collector.configured = tuple(settings.pages[0].model_copy(update={"id": name}) for name in every)
        manners = collector.manners
        manners._sleep = lambda seconds: manners.check_stop()  # type: ignore[method-assign]  # these are no timed tests
        try:
            yield collector, collector.resolve(settings.pages[0])
        finally:
            collector.close()

    # --- all of it, once ---------------------------------------------------------------------------------------------

    def test_every_comment_exactly_once(self) -> None:
        for name, behaviour in self.ways():
            for depth in (1, 2, 5) if not self.light or behaviour is self.ways()[0][1] else (5,):
                world = self.make_world(seed=depth, comments=self.size(400), depth=depth)
                with self.emulate(world, behaviour=behaviour) as emulator:
                    for page in world.pages:
                        shelf = Shelf()
                        with self.open(emulator, page) as (collector, ref):
                            run = collect(collector, ref, shelf)
                        assert run.complete, (name, depth, run.errors, run.gaps)
                        assert all(w.exhaustive for w in run.walks.values()) or not self.can.deletions
                        assert len(run.yielded) == len(set(run.yielded))
                        self.same(shelf, world, page)

    def test_many_comments_under_one_post(self) -> None:
        world = self.make_world(seed=3, posts=2, pages=1, comments=self.size(1500), depth=4)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (collector, ref):
            shelf = Shelf()
            run = collect(collector, ref, shelf)
            assert run.complete
            self.same(shelf, world, page)

    def test_authors_unknown_are_kept(self) -> None:
        world = self.make_world(seed=4, pages=1, comments=self.size(300, 150), people=40)
        kinds = {a.id: a.kind for a in world.authors.values()}
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (collector, ref):
            shelf = Shelf()
            collect(collector, ref, shelf)
        met = set()
        assert set(truth(world, page)) <= set(shelf.live)
        for i, e in truth(world, page).items():
            author = shelf.live[i].author
            kind = kinds.get(e["author"])
            met.add(kind)
            if kind not in self.kinds:
                continue
            if kind in ("hidden", "deleted"):
                assert author.kind == "unknown" and author.name is None, i
            elif kind == "person":
                assert author.kind == "person" and author.name and author.id == self.author_id(e["author"]), i
            elif kind == "community":
                assert author.kind == "community" and author.id, i
        assert set(self.kinds) <= met

    def author_id(self, author: int) -> str:
        """What the network calls an author of the world."""
        return str(author)

    def test_an_argument_of_many_levels(self) -> None:
        for name, behaviour in self.ways():
            world = self.make_world(seed=4, pages=1, posts=2, comments=20)
            page = next(iter(world.pages))
            last = None
            for n in range(self.size(120)):
                world.advance(1)
                last = world.add_comment(world.pages[page].posts[self.threaded(world)], f"Ответ {n}", 1, parent=last)
            with self.emulate(world, behaviour=behaviour) as emulator, self.open(emulator, page) as (collector, ref):
                shelf = Shelf()
                assert collect(collector, ref, shelf).complete, name
                self.same(shelf, world, page)

    def threaded(self, world: World) -> tuple[str, int]:
        """The key of a post that shows threads, of the first page."""
        posts = next(iter(world.pages.values())).posts
        return next(k for k, p in posts.items() if p.kind == "post" and not p.closed)

    def test_texts_and_dates_that_break_things(self) -> None:
        """Nothing that a database or a terminal chokes on, nothing lost, the same from call to call."""
        world = self.make_world(seed=4, pages=1, posts=2, comments=20)
        page = next(iter(world.pages))
        post = world.pages[page].posts[self.threaded(world)]
        texts = [
            "нуль\x00 \x1b[31mкрасный\x1b[0m \x9b1m \u2028",
            "пол\ud83dпары",
            "<script>alert(1)</script>",
            "Вода " * 20_000,
            "",
            " \n\t ",
        ]
        made = [world.add_comment(post, text, 1) for text in texts]
        made += [world.add_comment(post, "Когда?", 1, at=at) for at in (0, -5, 4_070_908_800)]
        with self.emulate(world) as emulator, self.open(emulator, page) as (collector, ref):
            shelf, again = Shelf(), Shelf()
            assert collect(collector, ref, shelf).complete
            assert collect(collector, ref, again).complete
        assert shelf.live == again.live or not self.can.history
        for c in made:
            kept = shelf.live[world.external_id(c)]
            assert kept.text.encode() is not None
            assert not set(kept.text) & set("\x00\x1b\x9b\x7f\u2028"), kept.text[:50]
            assert kept.published_at is None or kept.published_at.year in (datetime.now(UTC).year, 2099)
        assert shelf.live[world.external_id(made[3])].text.strip() == texts[3].strip()
        assert [shelf.live[world.external_id(c)].published_at is None for c in made[6:]] == [True, True, False]

    # --- coming back -------------------------------------------------------------------------------------------------

    def test_edits_deletions_and_returns_are_found(self) -> None:
        for name, behaviour in self.ways():
            world = self.make_world(seed=5, pages=1, comments=self.size(250, 60), depth=3)
            page = next(iter(world.pages))
            with self.emulate(world, behaviour=behaviour) as emulator:
                shelf = Shelf()
                shaker = Shaker(7)
                for _ in range(4):
                    with self.open(emulator, page) as (collector, ref):
                        run = self.settle(collector, ref, shelf)
                    assert run.complete, (name, run.errors, run.gaps, {p: w.problem for p, w in run.walks.items()})
                    self.same(shelf, world, page)
                    for _ in range(self.size(40, 20)):
                        shaker.shake(world)

    def test_new_comments_come_without_reading_everything(self) -> None:
        world = self.make_world(seed=6, pages=1, posts=2, comments=self.size(1200, 800), depth=1, deleted=0)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (collector, ref):
            shelf = Shelf()
            collect(collector, ref, shelf)
            calls_full = collector.manners.calls
            before = set(shelf.kept)
            posts = [p for p in world.posts(world.pages[page]) if not p.closed and p.comments]
            new = [world.add_comment(p, f"новое {n}", 1) for p in posts for n in range(3)]
            run = collect(collector, ref, shelf, full=False)
            assert run.complete
            assert set(shelf.kept) - before == {world.external_id(c) for c in new}
            if self.can.counters:  # without one, all must be read to know that nothing is missing
                assert collector.manners.calls - calls_full < calls_full / 2
                assert not any(w.exhaustive for w in run.walks.values() if len(w.known) > 200)

    def test_a_reply_in_an_old_thread_is_found_by_a_short_walk(self) -> None:
        world = self.make_world(seed=7, pages=1, posts=1, comments=self.size(600), depth=2, deleted=0)
        page = next(iter(world.pages))
        post = next(p for p in world.posts() if p.comments)
        old = next(c for c in post.comments.values() if c.parent is None and len(c.children) > 0)
        with self.emulate(world) as emulator, self.open(emulator, page) as (collector, ref):
            shelf = Shelf()
            collect(collector, ref, shelf)
            new = world.add_comment(post, "ответ через неделю", 1, parent=old)
            run = collect(collector, ref, shelf, full=False)
            assert run.complete
            assert world.external_id(new) in shelf.live
            self.same(shelf, world, page)

    def test_refresh_tells_counters_and_vanished_posts(self) -> None:
        world = self.make_world(seed=8, pages=1, posts=9, comments=90)
        page = next(iter(world.pages))
        with self.emulate(world) as emulator, self.open(emulator, page) as (collector, ref):
            posts = {p.id: p for p in collector.posts(ref, None)}
            if not self.can.posts:
                assert list(collector.refresh(ref, list(posts.values()))) == []
                return
            victim, grown = [p for p in world.posts() if not p.closed][:2]
            world.delete_post(victim)
            world.add_comment(grown, "ещё одно", 1)
            fresh = {p.id: p for p in collector.refresh(ref, list(posts.values()))}
            assert set(fresh) == set(posts)
            assert [i for i, p in fresh.items() if p.gone] == [world.external_id(victim)]
            name = world.external_id(grown)
            if self.can.counters:
                assert fresh[name].counter == (posts[name].counter or 0) + 1
            else:
                assert {p.counter for p in fresh.values()} == {None}
            with pytest.raises(Gone):
                list(collector.comments(ref, posts[world.external_id(victim)], Walk(full=True)))

    # --- while it moves ----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("full", [True, False])
    def test_drift_while_paging(self, seed: int, full: bool) -> None:
        """What stood there during the whole run is kept; once it is quiet, the shelf is the truth."""
        if self.light and seed >= 2:
            pytest.skip("one of many (OTKLIK_SOAK)")
        behaviour = self.ways()[seed % len(self.behaviours)][1]
        world = self.make_world(seed=seed, pages=1, posts=3, comments=self.size(400, 120), depth=3)
        page = next(iter(world.pages))
        shaker = Shaker(seed)
        post_of = {i: e["post"] for i, e in truth(world, page).items()}
        standing = set(post_of)

        def mutate(world: World, method: str) -> None:
            for _ in range(6):
                shaker.shake(world)
            standing.difference_update([e["external_id"] for e in world.ledger() if e["deleted"]])

        with self.emulate(world, behaviour=behaviour) as emulator:
            shelf = Shelf()
            if not full:
                with self.open(emulator, page) as (collector, ref):
                    collect(collector, ref, shelf)
            world.mutator = mutate
            with self.open(emulator, page) as (collector, ref):
                run = collect(collector, ref, shelf, full=full)
            world.mutator = None
            assert not run.errors
            for post, walk in run.walks.items():
                if walk.complete and not run.gaps[post] and full:
                    below = {i for i in standing if post_of[i] == post}
                    assert below <= set(shelf.kept), (post, walk)
                    assert not below & shelf.deleted
            with self.open(emulator, page) as (collector, ref):
                assert self.settle(collector, ref, shelf).complete
            self.same(shelf, world, page)

    # --- when it fails -----------------------------------------------------------------------------------------------

    def fault_world(self) -> World:
        return self.make_world(seed=9, pages=1, posts=self.size(8, 4), comments=self.size(160), depth=3)

    def check_fault(self, plan: str, caplog: pytest.LogCaptureFixture) -> Run:
        """With `plan` a run is never called complete when it is not, loses nothing that came, shows no token; the
        next run without faults repairs everything."""
        caplog.set_level(logging.DEBUG)
        world = self.fault_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator:
            shelf = Shelf()
            run = Run()
            emulator.plan = type(emulator.plan).parse(plan)
            try:
                with self.open(emulator, page) as (collector, ref):
                    run = collect(collector, ref, shelf)
            except CollectError as e:
                run.errors.append(e)
            expected = truth(world, page)
            moved = "shift" in plan  # then the truth of the end is not the truth of the walk; see the tests of drift
            if "hollow" in plan and not self.can.counters:
                moved = True  # an empty list without a counter can't be told from the truth
            if run.complete and not moved:
                assert set(expected) <= set(shelf.live), plan
            else:
                for e in run.errors:
                    assert e.outcome is not Outcome.complete
            possible = expected if self.can.deletions else truth(world, page, deleted=True)
            for i, c in shelf.live.items() if not moved else ():
                assert i in possible and (c.text == possible[i]["text"] or not self.can.edits), plan
            shown = " ".join([caplog.text, *(f"{e!r} {e} {e.__cause__!r}" for e in run.errors)])
            shown += " ".join(str(w.problem) for w in run.walks.values())
            assert self.token not in shown
            for e in run.errors:
                assert "\n" not in str(e) and len(str(e)) < 500
            emulator.plan = type(emulator.plan)()
            with self.open(emulator, page) as (collector, ref):
                assert self.settle(collector, ref, shelf).complete
            self.same(shelf, world, page)
        return run

    def test_faults_once_are_survived(self, fault: str, caplog: pytest.LogCaptureFixture) -> None:
        """Each fault strikes the second call of each method, once."""
        self.check_fault("; ".join(f"{m}:{fault}@2" for m in self.methods), caplog)

    def test_faults_that_stay(self, fault: str, caplog: pytest.LogCaptureFixture) -> None:
        """Each fault strikes every call that reads comments."""
        run = self.check_fault(f"{self.methods[-1]}:{fault}", caplog)
        harmless = ("counter=-", "slow", "drip", "shift", *self.harmless)
        if not self.can.counters:
            harmless += ("counter", "hollow")
        if not fault.startswith(harmless):
            assert not run.complete, fault

    def test_known_comments_survive_a_network_that_shows_nothing(self) -> None:
        """An empty answer never deletes what is stored: the counter, or the lack of agreement, forbids it."""
        world = self.fault_world()
        page = next(iter(world.pages))
        with self.emulate(world) as emulator:
            shelf = Shelf()
            with self.open(emulator, page) as (collector, ref):
                assert collect(collector, ref, shelf).complete
            emulator.plan = type(emulator.plan).parse(f"{self.methods[-1]}:hollow")
            if not self.can.counters:  # once; twice the same is the network's word
                with self.open(emulator, page) as (collector, ref):
                    collect(collector, ref, shelf)
                self.same(shelf, world, page)
                return
            for full in (True, False):
                with self.open(emulator, page) as (collector, ref):
                    run = collect(collector, ref, shelf, full=full)
                blocked = [w for p, w in run.walks.items() if w.known and w.outcome is Outcome.blocked]
                assert blocked and not run.complete
                self.same(shelf, world, page)

    # --- manners -----------------------------------------------------------------------------------------------------

    def test_every_call_is_booked(self) -> None:
        world = self.make_world(seed=10, pages=1, comments=self.size(200))
        booked: list[tuple[str, float]] = []
        counted: list[int] = []

        class Ledger(MemoryBudget):
            def reserve(self, key: str, interval_s: float, *, now: float) -> float:
                booked.append((key, interval_s))
                return super().reserve(key, interval_s, now=now)

            def count_call(self, key: str, day: str, n: int = 1) -> int:
                if len(day) == 10:
                    counted.append(n)
                return super().count_call(key, day, n)

        with self.emulate(world) as emulator:
            with self.open(emulator, next(iter(world.pages)), budget=Ledger(), requests_per_second=500) as (c, ref):
                collect(c, ref, Shelf())
                sent = sum(emulator.calls.values())
                assert c.manners.calls == len(booked) == sent
                assert c.prices.by_item or sum(counted) == sent
        assert {i for _, i in booked} == {1 / 500}
        keys = {k for k, _ in booked}
        assert len(keys) == 1 and self.token not in keys.pop()

    def test_two_collectors_share_one_budget(self) -> None:
        """Slots are at least an interval apart whoever takes them; checked on booked times, not by a clock."""
        world = self.make_world(seed=10, pages=1, comments=50)
        slots: list[float] = []

        class Book(MemoryBudget):
            def reserve(self, key: str, interval_s: float, *, now: float) -> float:
                wait = super().reserve(key, interval_s, now=now)
                slots.append(now + wait)
                return wait

        book = Book()
        with self.emulate(world) as emulator:
            page = next(iter(world.pages))
            with self.open(emulator, page, budget=book, requests_per_second=200) as (one, ref):
                with self.open(emulator, page, budget=book, requests_per_second=200) as (two, _):
                    for a, b in zip(one.posts(ref, None), two.posts(ref, None), strict=True):
                        list(one.comments(ref, a, Walk(full=True)))
                        list(two.comments(ref, b, Walk(full=True)))
        slots.sort()
        assert all(b - a > 0.9 / 200 for a, b in itertools.pairwise(slots))

    def test_a_stop_is_obeyed(self) -> None:
        import threading

        from collectors.contract import Stopped

        world = self.make_world(seed=10, pages=1, comments=100)
        stop = threading.Event()
        with self.emulate(world) as emulator, self.open(emulator, next(iter(world.pages)), stop=stop) as (c, ref):
            posts = list(c.posts(ref, None))
            before = c.manners.calls
            stop.set()
            with pytest.raises(Stopped):
                list(c.comments(ref, posts[0], Walk(full=True)) if self.can.history else c.posts(ref, None))
            assert c.manners.calls == before

    def test_answers_are_tested_where_the_network_takes_them(self) -> None:
        """A network that declares `capabilities.reply` inherits `ReplyContract` too; another one refuses politely."""
        from tests.collectors.reply_suite import ReplyContract

        cls = collectors.load(self.network)
        assert cls.capabilities.reply == isinstance(self, ReplyContract)

    absent_page: ClassVar[str] = "-999999999"

    def test_doctor_lines(self) -> None:
        world = self.make_world(seed=10, pages=1, comments=20)
        with self.emulate(world) as emulator, self.open(emulator, next(iter(world.pages))) as (c, ref):
            lines = list(c.check([ref, replace(ref, id=self.absent_page, title="нет такой")]))
            assert [x.ok for x in lines[-2:]] == [True, False]
            assert lines[0].ok
            assert all(self.token not in f"{x}" for x in lines)

    # --- what it says of itself --------------------------------------------------------------------------------------

    def test_what_it_can_agrees_with_its_emulator(self) -> None:
        face, cls = face_of(self.network), collectors.load(self.network)
        assert cls.network == face.network == self.network
        assert cls.capabilities.depth == face.naming.depth
        assert cls.title and cls.api.endswith("/") and cls.capabilities.cost
