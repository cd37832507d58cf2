"""Comments and marks on their way into the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from store.values import Comment, PostMark, utcnow

FLUSH_AFTER = timedelta(seconds=5)  # an emergency must not wait for a batch to fill
T = TypeVar("T")


class _Waiting(NamedTuple, Generic[T]):
    begun: T
    marks: list[PostMark]
    deleted: list[str]
    since: datetime


class Buffer(Generic[T]):
    """Comments and marks waiting for their transaction. A mark never lands before the comments of its post.

    A full batch is begun (`begin`: its judging) as soon as it is there; up to `ahead` batches may be under way before
    the oldest is landed (`land`), so that reading goes on meanwhile. They land in their order.
    `lost`: a landing failed, so not everything that was put in is in the store; what came after it is dropped too.
    """

    def __init__(
        self,
        begin: Callable[[list[Comment]], T],
        land: Callable[[T, list[PostMark], list[str]], None],
        size: int,
        ahead: int = 0,
    ) -> None:
        self._begin = begin
        self._land = land
        self._size = size
        self._ahead = ahead
        self._waiting: deque[_Waiting[T]] = deque()
        self._clear()
        self.lost = False

    def _clear(self) -> None:
        self._waiting.clear()
        self._comments: list[Comment] = []
        self._marks: list[PostMark] = []
        self._deleted: list[str] = []
        self._since: datetime | None = None  # when the first of these came

    def comments(self, comments: Iterable[Comment]) -> None:
        now = utcnow()
        self._comments.extend(comments)
        self._since = self._since or now
        if len(self._comments) >= self._size:
            self._work(whole=False)
        oldest = self._waiting[0].since if self._waiting else self._since
        if oldest is not None and now - oldest > FLUSH_AFTER:
            self.flush()

    def mark(self, mark: PostMark, deleted: Sequence[str] = ()) -> None:
        self._marks.append(mark)
        self._deleted.extend(deleted)
        self._since = self._since or utcnow()
        if len(self._marks) >= self._size:
            self.flush()

    def flush(self) -> None:
        """Everything into the store, now."""
        self._work(whole=True)

    def _work(self, *, whole: bool) -> None:
        lost, self.lost = self.lost, True
        try:
            while len(self._comments) >= self._size or (whole and (self._comments or self._marks or self._deleted)):
                self._begin_batch()
                self._land_down_to(self._ahead)
            if whole:
                self._land_down_to(0)
        except BaseException:
            self._clear()  # a mark behind the lost ones must not say that they were read
            raise
        self.lost = lost

    def _begin_batch(self) -> None:
        """The marks that are here belong to posts whose comments came before the last call of `comments`: what was left
        then is less than a batch, so it is all in this one."""
        batch, self._comments = self._comments[: self._size], self._comments[self._size :]
        marks, self._marks = self._marks, []
        deleted, self._deleted = self._deleted, []
        since = self._since or utcnow()
        self._since = utcnow() if self._comments else None
        self._waiting.append(_Waiting(self._begin(batch), marks, deleted, since))

    def _land_down_to(self, left: int) -> None:
        while len(self._waiting) > left:
            one = self._waiting.popleft()
            self._land(one.begun, one.marks, one.deleted)
