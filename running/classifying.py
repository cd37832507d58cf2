"""The classifier of a long life: one for all threads, loaded anew when another model has gone live."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from running.judging import judge_with, make_judge

if TYPE_CHECKING:
    from collectors.poll import Judge
    from settings import Settings
    from store.values import Comment, Judged, PageRef


class Judges:
    """`judged` is the poll loop's judge, `classifier()` the classifier. Texts are judged by one thread at a time: more
    would only take the interpreter from each other."""

    def __init__(self, settings: Settings, loaded: tuple[Judge, Any] | None = None) -> None:
        self._settings = settings
        self._given = loaded is not None
        self._lock = threading.Lock()
        self._version = self._live()
        self._judge, self._classifier = loaded or make_judge(settings)

    def _live(self) -> str:
        from classifier.live import Models

        return Models.of(self._settings).current()

    def _fresh(self) -> None:
        if not self._given and (live := self._live()) != self._version:
            import classifier

            found = classifier.load_for(self._settings)
            self._judge, self._classifier, self._version = judge_with(found, self._settings), found, live

    def judged(self, page: PageRef, comments: Sequence[Comment], now: datetime) -> list[Judged]:
        with self._lock:
            self._fresh()
            return self._judge(page, comments, now)

    def classifier(self) -> Any:
        with self._lock:
            self._fresh()
        return self

    def assess_many(self, texts: Sequence[Any]) -> list[Any]:
        with self._lock:
            return self._classifier.assess_many(texts)
