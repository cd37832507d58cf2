"""Whose turn it is: a page has it after its pace, earlier when it was woken, at once when nobody has been there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from collectors.turns import by_page, in_turn
from settings import Page
from store.values import PageRef, PageState

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def state(id: str, ago: timedelta | None, woken: timedelta | None = None) -> PageState:
    return PageState(
        PageRef("vk", id), NOW, last_started_at=None if ago is None else NOW - ago,
        next_due_at=None if woken is None else NOW - woken,
    )  # fmt: skip


def turns(*states: PageState, every: timedelta = 5 * MINUTE, **more: object) -> list[str]:
    pages = [Page(network="vk", id=s.page.id) for s in states]
    resolved = {("vk", s.page.id): s.page for s in states}
    return [p.id for p in in_turn(pages, by_page(states), resolved, NOW, every, **more)]  # type: ignore[arg-type]


def test_the_order() -> None:
    found = turns(
        state("-1", 6 * MINUTE), state("-2", 4 * MINUTE), state("-3", None), state("-4", 9 * MINUTE),
        state("-5", 2 * MINUTE, woken=MINUTE), state("-6", -MINUTE),
    )  # fmt: skip
    assert found == ["-3", "-5", "-4", "-1", "-6"]


def test_a_woken_page_waits_its_least() -> None:
    woken = state("-1", 10 * timedelta(seconds=1), woken=timedelta(seconds=1))
    assert turns(woken, woken_every=timedelta(seconds=15)) == []
    assert turns(woken, woken_every=timedelta(seconds=9)) == ["-1"]
    assert turns(state("-1", MINUTE, woken=-MINUTE)) == [], "its time has not come"


def test_pages_that_never_resolved_are_known_by_what_the_configuration_calls_them() -> None:
    failed = state("club1", MINUTE)
    assert in_turn([Page(network="vk", id="club1")], by_page([failed]), {}, NOW, 5 * MINUTE) == []
    assert turns(failed, forced=True) == ["club1"]
