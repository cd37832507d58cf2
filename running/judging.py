"""The poll loop's judge: the classifier says what residents' comments are, the desk when they are due."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from store.values import utcnow

if TYPE_CHECKING:
    from collectors.poll import Judge
    from settings import Settings
    from store import Store
    from store.values import Comment, Judged, PageRef

log = logging.getLogger("otklik")


def make_judge(settings: Settings) -> tuple[Judge, Any]:
    """The poll loop's judge (classifier + clocks) and the classifier itself, loaded."""
    import classifier

    judge = classifier.load_for(settings)
    _spare_the_collector_of_garbage()
    return judge_with(judge, settings), judge


def _spare_the_collector_of_garbage() -> None:
    """Dictionaries of words live as long as the program: looking for cycles among them again and again took a fifth of
    the time. Batches leave hardly any cycles, so the search is rarer, too."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def judge_with(judge: Any, settings: Settings) -> Judge:
    """The poll loop's judge: `judge` (a classifier) says what residents' comments are, the desk when they are due."""
    from classifier.contract import Text
    from desk.deadlines import clocks
    from store.values import Judged

    def judged(page: PageRef, comments: Sequence[Comment], now: datetime) -> list[Judged]:
        residents = [c for c in comments if not c.own]
        texts = [Text(c.text, c.external_id, page.title, tuple(a.kind for a in c.attachments)) for c in residents]
        found = assess(judge, texts)
        by_id = {c.external_id: a for c, a in zip(residents, found, strict=True)}
        return [
            Judged(c, a := by_id.get(c.external_id), clocks(c, a, settings, now) if a is not None else {})
            for c in comments
        ]

    return judged


def assess(judge: Any, texts: Sequence[Any]) -> list[Any]:
    """An assessment for each text, None where the classifier fails; one text never spoils the others.

    What it fails on lands all the same, and the next run takes it up (design, "The way of the data", 2).
    """
    try:
        return judge.assess_many(texts)
    except Exception as e:
        log.error("the classifier failed on %d texts: %s", len(texts), type(e).__name__)
        log.debug("the classifier failed", exc_info=True)
    return [found for text in texts for found in assess(judge, [text])] if len(texts) > 1 else [None] * len(texts)


def take_up_unassessed(store: Store, settings: Settings, judge: Any, clock: Callable[[], datetime] = utcnow) -> int:
    """Judge what an earlier run landed unassessed; returns how many. A text that can't be judged holds up no other."""
    from classifier.contract import Text
    from desk.deadlines import clocks_from

    total, after = 0, "0"
    while waiting := store.unassessed(settings.collect.batch, after):
        after = waiting[-1].message_id
        found = assess(judge, [Text(w.text, w.message_id, w.page, tuple(w.attachments)) for w in waiting])
        now = clock()
        done = [
            (w.message_id, a, clocks_from(w.collected_at, a, settings))
            for w, a in zip(waiting, found, strict=True)
            if a is not None
        ]
        if done:
            store.assess(done, now)
            total += len(done)
    return total
