"""Nothing that stands still slips through, however the list moves between two calls."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.paging import CursorWalk, OffsetWalk, PageWalk, Slice

quick = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


class Moving:
    """A list in a fixed order that changes before every call. `lie`: added to the total; `cap`: most items a call."""

    def __init__(
        self, rng: random.Random, length: int, *, churn: int = 0, lie: int = 0, cap: int | None = None
    ) -> None:
        self.rng = rng
        self.rows = [float(i) for i in range(length)]
        self.churn = churn
        self.lie = lie
        self.cap = cap
        self.standing = set(self.rows)
        self.gone: list[float] = []
        self.calls = 0
        self.quiet_after = 60

    def fetch(self, offset: int, count: int) -> Slice[float]:
        self.calls += 1
        if self.calls > 1 and self.calls < self.quiet_after:
            for _ in range(self.rng.randint(0, self.churn)):
                self.change()
        rows = self.rows[offset : offset + min(count, self.cap or count)]
        return Slice(rows, max(0, len(self.rows) + self.lie))

    def change(self) -> None:
        what = self.rng.choice(("add", "head", "tail", "drop", "drop head", "drop run", "restore"))
        n = len(self.rows)
        if what == "drop run" and n:
            start = self.rng.randrange(n)
            for x in self.rows[start : start + self.rng.randint(1, 60)]:
                self.drop(x)
        elif what.startswith("drop") and n:
            self.drop(self.rows[0 if what == "drop head" else self.rng.randrange(n)])
        elif what == "restore" and self.gone:
            self.rows.append(self.gone.pop(self.rng.randrange(len(self.gone))))
            self.rows.sort()
        elif what == "head":
            self.rows.insert(0, min([0.0, *self.rows, *self.gone]) - 1.0)
        elif what == "tail" or n < 2:
            self.rows.append(max([0.0, *self.rows, *self.gone]) + 1.0)
        else:
            i = self.rng.randrange(n - 1)
            middle = (self.rows[i] + self.rows[i + 1]) / 2
            if self.rows[i] < middle < self.rows[i + 1] and middle not in self.gone:
                self.rows.insert(i + 1, middle)

    def drop(self, x: float) -> None:
        self.rows.remove(x)
        self.standing.discard(x)
        self.gone.append(x)


def read(walk: OffsetWalk[float]) -> list[float]:
    return [x for batch in walk for x in batch]


@quick
@given(
    rng=st.randoms(use_true_random=False),
    length=st.integers(0, 300),
    churn=st.integers(0, 25),
    size=st.integers(12, 60),
)
def test_what_stands_is_yielded_once(rng: random.Random, length: int, churn: int, size: int) -> None:
    world = Moving(rng, length, churn=churn)
    walk = OffsetWalk(world.fetch, lambda x: x, size=size, max_calls=5000)
    got = read(walk)
    assert len(got) == len(set(got))
    assert walk.complete, walk.reason
    assert walk.short == 0
    assert world.standing <= set(got)


@quick
@given(
    rng=st.randoms(use_true_random=False),
    length=st.integers(0, 200),
    churn=st.integers(0, 10),
    lie=st.integers(-300, 300),
)
def test_a_total_that_lies_loses_nothing(rng: random.Random, length: int, churn: int, lie: int) -> None:
    world = Moving(rng, length, churn=churn, lie=lie)
    walk = OffsetWalk(world.fetch, lambda x: x, size=30, max_calls=5000)
    got = set(read(walk))
    assert not walk.complete or world.standing <= got
    if lie > 0 and not churn:
        assert walk.complete
        assert walk.short == lie


@quick
@given(
    rng=st.randoms(use_true_random=False),
    length=st.integers(0, 200),
    churn=st.integers(0, 6),
    cap=st.integers(1, 29),
)
def test_a_network_that_gives_less_than_asked(rng: random.Random, length: int, churn: int, cap: int) -> None:
    world = Moving(rng, length, churn=churn, cap=cap)
    walk = OffsetWalk(world.fetch, lambda x: x, size=30, max_calls=5000)
    got = set(read(walk))
    assert not walk.complete or walk.short or world.standing <= got


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 29, 30, 31, 50, 60, 61, 119])
def test_a_quiet_list_costs_few_calls(length: int) -> None:
    world = Moving(random.Random(0), length)
    walk = OffsetWalk(world.fetch, lambda x: x, size=30)
    assert read(walk) == world.rows
    assert walk.complete and walk.short == 0 and walk.total == length
    assert world.calls <= 1 + max(0, length - 10) // 20


def test_an_empty_answer_is_asked_again_and_then_short() -> None:
    calls = []

    def fetch(offset: int, count: int) -> Slice[int]:
        calls.append(offset)
        return Slice([], 7)

    walk = OffsetWalk(fetch, lambda x: x, size=30)
    assert list(walk) == []
    assert walk.complete and walk.short == 7
    assert calls == [0, 0]


def test_an_empty_answer_that_was_a_hiccup_is_made_good() -> None:
    answers = iter([Slice([], 3), Slice([1, 2, 3], 3)])
    walk = OffsetWalk(lambda o, c: next(answers), lambda x: x, size=30)
    assert [x for b in walk for x in b] == [1, 2, 3]
    assert walk.complete and walk.short == 0


def test_a_list_that_runs_away_is_not_called_complete() -> None:
    head = [0]

    def fetch(offset: int, count: int) -> Slice[int]:
        head[0] += 1000  # a thousand newer ones before every call
        return Slice(list(range(head[0] - offset, head[0] - offset - count, -1)), 10_000)

    walk = OffsetWalk(fetch, lambda x: x, size=30, max_calls=40)
    got = [x for b in walk for x in b]
    assert not walk.complete and walk.reason
    assert len(got) == len(set(got)) > 0


def test_the_first_page_may_be_given() -> None:
    world = Moving(random.Random(0), 70)
    walk = OffsetWalk(world.fetch, lambda x: x, size=30, first=Slice(world.rows[:30], 70))
    assert read(walk) == world.rows
    assert world.calls == walk.calls == 3


@pytest.mark.parametrize("overlap", [0, 30, 31, -1])
def test_overlap_must_leave_room(overlap: int) -> None:
    with pytest.raises(ValueError):
        OffsetWalk(lambda o, c: Slice([]), lambda x: x, size=30, overlap=overlap)


def test_cursors_over_empty_pages_and_repeats() -> None:
    pages = {None: ([1, 2], "a"), "a": ([], "b"), "b": ([2, 3], None)}
    walk = CursorWalk(lambda c: (Slice(pages[c][0]), pages[c][1]), lambda x: x)
    assert list(walk) == [[1, 2], [3]]
    assert walk.complete


def test_a_cursor_that_comes_back_is_refused() -> None:
    pages = {None: ([1], "a"), "a": ([2], "b"), "b": ([3], "a")}
    walk = CursorWalk(lambda c: (Slice(pages[c][0]), pages[c][1]), lambda x: x)
    assert list(walk) == [[1], [2], [3]]
    assert not walk.complete and walk.reason


@pytest.mark.parametrize("cap", [2, 3, 7, 11, 15, 29])
def test_a_quiet_network_that_gives_less_than_asked_is_read_to_the_end(cap: int) -> None:
    world = Moving(random.Random(0), 200, cap=cap)
    walk = OffsetWalk(world.fetch, lambda x: x, size=30)
    assert read(walk) == world.rows
    assert walk.complete and walk.short == 0


@quick
@given(
    rng=st.randoms(use_true_random=False),
    length=st.integers(0, 120),
    churn=st.integers(0, 3),
    size=st.integers(3, 40),
)
def test_pages_by_number_are_believed_only_when_nothing_slipped_through(
    rng: random.Random, length: int, churn: int, size: int
) -> None:
    world = Moving(rng, length, churn=churn)

    def fetch(number: int) -> tuple[Slice[float], bool]:
        page = world.fetch((number - 1) * size, size)
        return page, number * size < len(world.rows)

    walk = PageWalk(fetch, lambda x: x)
    got = read(walk)  # type: ignore[arg-type]
    assert len(got) == len(set(got))
    assert walk.complete or walk.reason
    assert not walk.complete or world.standing <= set(got)
    if not churn:
        assert walk.complete and set(got) == set(world.rows)
        assert world.calls == (1 if length <= size else 2 * -(-length // size))


def test_pages_without_an_end_are_left() -> None:
    walk = PageWalk(lambda number: (Slice([number]), True), lambda x: x, max_pages=20)
    assert len([x for b in walk for x in b]) == 20
    assert not walk.complete and walk.reason


def test_a_list_that_never_ends_and_brings_nothing_is_given_up() -> None:
    numbers = itertools.count()
    cursors: CursorWalk[int] = CursorWalk(lambda _: (Slice([]), str(next(numbers))), lambda x: x)
    assert list(cursors) == [] and cursors.reason == "список не кончается" and next(numbers) < 200
    numbers = itertools.count()
    pages: PageWalk[int] = PageWalk(lambda _: (next(numbers), (Slice([1, 2]), True))[1], lambda x: x)
    assert list(pages) == [[1, 2]] and pages.reason == "сеть водит по кругу" and next(numbers) < 10
    assert not pages.complete and not cursors.complete


def test_empty_pages_within_reason_are_no_end() -> None:
    def fetch(cursor: str | None) -> tuple[Slice[int], str | None]:
        n = int(cursor or 0)
        return Slice([n] if n % 50 == 0 else []), str(n + 1) if n < 200 else None

    walk = CursorWalk(fetch, lambda x: x)
    assert [x for some in walk for x in some] == [0, 50, 100, 150, 200] and walk.complete
