"""Reading comments, for a network unlike VK: cursors instead of offsets, perhaps no counter, ids that tell no order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.contract import CollectError, Gone, RateLimited, Unavailable, Walk
from collectors.paging import CursorWalk, Slice
from collectors.reading import Level, Reading, Thread, Tree, below
from store.values import Author, Comment, Known, Outcome, Post


@dataclass
class Said:
    """A comment of the pretend network."""

    id: str
    under: str | None = None
    deleted: bool = False


@dataclass
class Net(Tree[Said]):
    """All comments in the order of time; `shown`: replies that come with their comment; `calls`: pages asked for."""

    said: list[Said]
    size: int = 4
    shown: int = 2
    counts: bool = True
    broken: dict[str | None, CollectError] = field(default_factory=dict)
    hollow: set[str | None] = field(default_factory=set)
    calls: int = 0

    def _level(self, under: str | None) -> list[Said]:
        return [s for s in self.said if s.under == under]

    def level(self, under: str | None, newest_first: bool) -> Level[Said]:
        def fetch(cursor: str | None) -> tuple[Slice[Said], str | None]:
            self.calls += 1
            if under in self.broken:
                raise self.broken[under]
            items = [] if under in self.hollow else self._level(under)
            items = items[::-1] if newest_first else items
            start = int(cursor or 0)
            more = str(start + self.size) if start + self.size < len(items) else None
            return Slice(items[start : start + self.size], len(self._level(under)), len(self.said)), more

        return CursorWalk(fetch, lambda s: s.id)

    def key(self, raw: Said) -> str:
        return raw.id

    def comment(self, raw: Said, more: Any, under: str | None) -> Comment:
        return Comment("net", raw.id, "p", "post", raw.id, under, Author(), raw.id, None, deleted=raw.deleted)

    def thread(self, raw: Said) -> Thread:
        replies = self._level(raw.id)
        return Thread(replies[: self.shown], len(replies), len(replies) <= self.shown)

    def total(self, more: int | None) -> int | None:
        return more if self.counts else None

    def counter(self) -> int | None:
        return len(self.said) if self.counts else None


def grown(n: int, seed: int = 0) -> list[Said]:
    """`n` comments, two of three answer an earlier one; ids tell nothing."""
    rng = random.Random(seed)
    names = [f"{rng.getrandbits(40):x}" for _ in range(n)]
    return [Said(name, rng.choice(names[:i]) if i and rng.random() < 0.66 else None) for i, name in enumerate(names)]


def read(net: Net, *, known: dict[str, Known] | None = None, cursor: str | None = None, full: bool = True) -> Any:
    """(the walk, what it yielded in order, the cursor it left)."""
    walk = Walk(full=full, known=known or {}, cursor=cursor)
    post = Post("net", "post", "p", counter=net.counter())
    came = []
    for batch in Reading(net, post, walk).run():
        came += [c.external_id for c in batch.comments]
        cursor = batch.cursor or cursor
    assert len(came) == len(set(came))
    return walk, came, cursor


def shelf(said: list[Said]) -> dict[str, Known]:
    return {s.id: Known(s.under, s.deleted) for s in said}


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_everything_comes_once_and_the_walk_says_so(seed: int, counts: bool) -> None:
    net = Net(grown(150, seed), counts=counts)
    walk, came, _ = read(net)
    assert set(came) == {s.id for s in net.said}
    assert walk.complete and walk.exhaustive
    assert walk.counter == (150 if counts else None)


def test_a_chain_of_ten_thousand_answers() -> None:
    said = [Said(str(n), str(n - 1) if n else None) for n in range(10_000)]
    by_parent = {s.under: [s] for s in said}
    net = Net(said, shown=0)
    net._level = lambda under: by_parent.get(under, [])  # type: ignore[method-assign]
    walk, came, _ = read(net)
    assert len(came) == 10_000 and walk.exhaustive


def test_a_short_walk_stops_where_everything_is_accounted_for() -> None:
    net = Net(grown(200))
    known = shelf(net.said)
    _, _, cursor = read(net)
    net.calls = 0
    net.said.append(Said("new"))
    walk, came, _ = read(net, known=known, cursor=cursor, full=False)
    assert "new" in came and walk.complete and not walk.exhaustive
    assert net.calls == 1


def test_a_short_walk_without_a_counter_reads_everything() -> None:
    net = Net(grown(60), counts=False)
    known = shelf(net.said)
    old = next(s for s in net.said if s.under is None)
    net.said.append(Said("late answer", old.id))
    walk, came, _ = read(net, known=known, full=False)
    assert "late answer" in came and walk.complete


@pytest.mark.parametrize("error", [Unavailable("нет ответа"), Gone("нет его"), None])
def test_a_thread_that_cannot_be_read_spoils_only_itself(error: CollectError | None) -> None:
    net = Net(grown(150, 1))
    worst = max(net.said, key=lambda s: len(net._level(s.id)))
    if error is None:
        net.hollow = {worst.id}
    else:
        net.broken = {worst.id: error}
    walk, came, _ = read(net, known=shelf(net.said))
    assert len(came) > 75 and not walk.complete and not walk.exhaustive
    assert walk.outcome is Outcome.partial or error is None


def test_an_error_that_stops_everything_goes_through() -> None:
    net = Net(grown(150, 1))
    net.broken = dict.fromkeys((s.id for s in net.said), RateLimited("ждите"))
    with pytest.raises(RateLimited):
        read(net)


def test_a_list_that_shows_nothing_of_what_it_counts_is_blocked() -> None:
    net = Net(grown(30), hollow={None})
    walk, came, _ = read(net, known=shelf(net.said))
    assert (came, walk.complete, walk.outcome) == ([], False, Outcome.blocked)


def test_a_counter_that_is_too_high_leaves_the_gap_to_the_poll_loop() -> None:
    net = Net(grown(30))
    net.counter = lambda: 33  # type: ignore[method-assign]
    net.total = lambda more: 33  # type: ignore[method-assign]
    walk, _, cursor = read(net)
    assert walk.complete and walk.exhaustive and walk.counter == 33
    net.said.append(Said("new"))
    net.counter = lambda: 34  # type: ignore[method-assign]
    net.total = lambda more: 34  # type: ignore[method-assign]
    net.calls = 0
    walk, came, _ = read(net, known=shelf(net.said[:-1]), cursor=cursor, full=False)
    assert came[0] == "new" and walk.complete and net.calls == 1


# --- what hangs below -------------------------------------------------------------------------------------------------


@st.composite
def forests(draw: st.DrawFn) -> dict[str, Known]:
    """Comments in any order, each perhaps under an earlier one or under one that is not stored."""
    n = draw(st.integers(0, 25))
    made = {
        str(i): Known(draw(st.sampled_from([None, "unknown", *map(str, range(i))])), draw(st.booleans()))
        for i in range(n)
    }
    return {key: made[key] for key in draw(st.permutations(list(made)))}


@given(forests())
@settings(max_examples=200, deadline=None)
def test_below_counts_what_hangs_below(known: dict[str, Known]) -> None:
    slow: dict[str, int] = {}
    for k in known.values():
        over = k.parent_id
        while over is not None:
            slow[over] = slow.get(over, 0) + (not k.deleted)
            over = known[over].parent_id if over in known else None
    assert below(known) == slow


def test_comments_that_answer_each_other_in_a_ring_keep_nobody_busy() -> None:
    ring = {"a": Known("b", False), "b": Known("a", False), "c": Known("c", False), "d": Known("e", False)}
    assert below(ring | {"e": Known(None, False)}) == {"e": 1}
