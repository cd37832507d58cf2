"""Whose turn it is: the configured pages that are due, the longest unvisited first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from settings import Page
from store.values import PageRef, PageState

Key = tuple[str, str]


def by_page(states: Iterable[PageState]) -> dict[Key, PageState]:
    return {(s.page.network, s.page.id): s for s in states}


def state_of(page: Page, states: Mapping[Key, PageState], resolved: Mapping[Key, PageRef]) -> PageState | None:
    """What is known of a configured page; one that was never resolved is known by its configured id, if at all."""
    ref = resolved.get((page.network, page.id))
    found = states.get((page.network, ref.id)) if ref else None
    return found or states.get((page.network, page.id))


def in_turn(
    pages: Iterable[Page],
    states: Mapping[Key, PageState],
    resolved: Mapping[Key, PageRef],
    now: datetime,
    every: timedelta,
    *,
    woken_every: timedelta = timedelta(0),
    forced: bool = False,
) -> list[Page]:
    """The pages that are due: those never visited, those visited `every` ago, and those that were woken (by an event
    of their network) once `woken_every` is over. `forced`: all of them."""
    waiting = []
    for order, page in enumerate(pages):
        state = state_of(page, states, resolved)
        last = state.last_started_at if state else None
        woken = state is not None and state.next_due_at is not None and state.next_due_at <= now
        if forced or is_due(state, now, every, woken_every):
            waiting.append((last is not None, not woken, last or now, order, page))
    waiting.sort(key=lambda w: w[:4])
    return [page for *_, page in waiting]


def is_due(state: PageState | None, now: datetime, every: timedelta, woken_every: timedelta = timedelta(0)) -> bool:
    if state is None or state.last_started_at is None:
        return True
    since = now - state.last_started_at
    if since < timedelta(0):  # a last run in the future (a clock was wrong) is no reason to wait
        return True
    if state.next_due_at is not None and state.next_due_at <= now:
        every = min(every, woken_every)
    return since >= every
