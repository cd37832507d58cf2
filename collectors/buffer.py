"""Comments and marks on their way into the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from store.values import Comment, PostMark, utcnow

FLUSH_AFTER = timedelta(seconds=5)  # an emergency must not wait for a batch to fill


class Buffer:
    """Comments and marks waiting for their transaction. A mark never lands before the comments of its post.

    `lost`: a landing failed, so not everything that was put in is in the store.
    """

    def __init__(self, land: Callable[[list[Comment], list[PostMark], list[str]], None], size: int) -> None:
        self._land = land
        self._size = size
        self._comments: list[Comment] = []
        self._marks: list[PostMark] = []
        self._deleted: list[str] = []
        self._since: datetime | None = None
        self.lost = False

    def comments(self, comments: Iterable[Comment]) -> None:
        self._comments.extend(comments)
        self._since = self._since or utcnow()
        if len(self._comments) >= self._size or utcnow() - self._since > FLUSH_AFTER:
            self.flush()

    def mark(self, mark: PostMark, deleted: Sequence[str] = ()) -> None:
        self._marks.append(mark)
        self._deleted.extend(deleted)
        self._since = self._since or utcnow()
        if len(self._marks) >= self._size:
            self.flush()

    def flush(self) -> None:
        if self._comments or self._marks or self._deleted:
            comments, marks, deleted = self._comments, self._marks, self._deleted
            self._comments, self._marks, self._deleted = [], [], []
            lost, self.lost = self.lost, True
            while len(comments) > self._size:
                self._land(comments[: self._size], [], [])
                comments = comments[self._size :]
            self._land(comments, marks, deleted)
            self.lost = lost
        self._since = None
