"""What is done beside collecting: one list, for `collect` (in the list's order) and for `worker` (each at its pace).

A step that fails spoils neither the collecting nor another step: it is told to the log, and its next turn tries again.
What several do at once is kept apart by the store (claims, leases, locks), not here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from settings import OtklikError, scrub
from store.errors import Outdated
from store.values import utcnow

if TYPE_CHECKING:
    from collectors.outlet import Outlet
    from feed.webhooks import Outcome
    from settings import Settings
    from store import Store

log = logging.getLogger("otklik")


class When(StrEnum):
    """A step's place in a `collect`: before the pages, beside them (in the background), after them, or at the very end,
    when alerts had their time."""

    before = "before"
    beside = "beside"
    after = "after"
    last = "last"


@dataclass(frozen=True, slots=True)
class Work:
    """What a step works with. `judge()`: the classifier, loaded when first asked for. `stop`: an event that ends long
    steps tidily. `poke()`: there are new alerts."""

    store: Store
    settings: Settings
    judge: Callable[[], Any]
    stop: Any = None
    poke: Callable[[], None] = lambda: None
    now: Callable[[], datetime] = utcnow

    def stopping(self) -> bool:
        return self.stop is not None and self.stop.is_set()


@dataclass(frozen=True, slots=True)
class Step:
    """`every`: seconds between two turns in a worker. `failed`: the log's words for a failure. `do` gives sentences for
    whoever looks on (Russian). `stopped_too`: done also by a run that was told to stop."""

    name: str
    when: When
    every: int
    failed: str
    do: Callable[[Work], list[str] | None]
    stopped_too: bool = True


def run_step(step: Step, work: Work) -> tuple[list[str], str | None]:
    """(sentences, why it failed: a phrase that the log has already). A failed step raises nothing but `Outdated`."""
    try:
        return step.do(work) or [], None
    except Outdated:
        raise
    except OtklikError as e:
        log.error("%s: %s", step.failed, scrub(str(e)))
        return [], scrub(str(e))
    except Exception as e:
        log.exception("%s", step.failed)
        return [], type(e).__name__


@contextmanager
def open_outlet(settings: Settings, store: Store, stop: Any = None) -> Iterator[Outlet]:
    """The way of the desk's answers into the networks."""
    from collectors import make
    from collectors.outlet import Outlet

    with Outlet(settings, lambda name: make(settings, name, store, stop=stop)) as outlet:
        yield outlet


# --- the steps --------------------------------------------------------------------------------------------------------


def _unassessed(work: Work) -> None:
    from running.judging import take_up_unassessed

    if work.store.unassessed(1) and take_up_unassessed(work.store, work.settings, work.judge(), work.now):
        work.poke()


def _alerts(work: Work) -> None:
    from desk.alerts import Deliverer

    deliverer = Deliverer(work.store, work.settings)
    while deliverer.deliver_due() and not work.stopping():
        pass  # what was raised meanwhile, and what one claim did not hold


def _blocks(work: Work) -> list[str]:
    from desk.blocks import lift_due, told

    if not work.store.blocks(due=work.now()):
        return []
    with open_outlet(work.settings, work.store, work.stop) as gate:
        lifted = lift_due(work.store, work.settings, work.now(), gate)
    return [told(lifted)] if lifted else []


def _activity(work: Work) -> None:
    from classifier.names import titles
    from desk.spikes import watch

    if watch(work.store, work.settings, work.now(), titles()):
        work.poke()


def _publishing(work: Work) -> None:
    """Answers that were left half-way."""
    from desk import publish_commands

    publish_commands.take_up(work.store, work.settings, lambda s, store: open_outlet(s, store, work.stop))


def _retention(work: Work) -> None:
    """A small step of the retention rule."""
    from desk.privacy import terms_of

    work.store.sweep_some(terms_of(work.settings), work.now())


def _digests(work: Work) -> None:
    if not any(d.notify for d in work.settings.divisions):
        return
    from classifier.names import titles
    from desk.digest import send_due

    for sent in send_due(work.store, work.settings, titles(), work.now()):
        if sent.error:
            log.warning("the digest of %s was not delivered through %s: %s", sent.division, sent.channel, sent.error)


def _webhooks(work: Work) -> None:
    if work.settings.feed.webhooks:
        from feed.webhooks import deliver

        _told("webhook", deliver(work.store, work.settings, now=work.now, stop=work.stopping, seconds=60))


def _brokers(work: Work) -> None:
    if work.settings.feed.brokers:
        from feed.brokers import deliver

        _told("broker", deliver(work.store, work.settings, now=work.now, stop=work.stopping, seconds=60))


def _told(what: str, outcomes: Sequence[Outcome]) -> None:
    for told in outcomes:
        if told.problem:
            logging.getLogger("otklik.feed").warning("%s %s: %s", what, told.name, told.problem)


STEPS = (
    Step("unassessed", When.before, 60, "judging what was left unassessed failed", _unassessed),
    Step("alerts", When.beside, 10, "alerts were not delivered", _alerts),
    Step("blocks", When.before, 60, "blockings were not ended", _blocks),
    Step("activity", When.after, 60, "the watch for raised activity failed", _activity),
    Step("publishing", When.after, 60, "answers under way were not taken up", _publishing, stopped_too=False),
    Step("retention", When.after, 300, "what is kept too long was not erased", _retention),
    Step("digests", When.last, 60, "digests were not sent", _digests, stopped_too=False),
    Step("webhooks", When.last, 10, "webhooks were not delivered", _webhooks, stopped_too=False),
    Step("brokers", When.last, 10, "brokers did not get the events", _brokers, stopped_too=False),
)
