"""A list by times: the only paging that MAX has for comments.

`after` and `before` are milliseconds. What sources leave open is not relied on: whether a page begins with the newest
or the oldest, and whether the bounds are inside. The walk takes whatever page comes first, then goes on to both sides
of it; neighbouring pages share some items (several may bear one time), so that a page which shares none with what was
seen shows that the network does not page in order: then the walk is not complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from collectors.paging import Slice

T = TypeVar("T")

PAGE = 100
OVERLAP = 10
MAX_CALLS = 10_000


class TimeWalk(Generic[T]):
    """Iterate: lists of items not seen before; like `CursorWalk` for `Reading`.

    `fetch(after, before)` reads a page; `key` and `time` (ms) of an item. `began`: the network's time (ms) when the
    walk began; what was written since is left to the next one. `short_ends`: a first page with less than half of what
    was asked is taken for the whole list.
    """

    short = 0

    def __init__(
        self,
        fetch: Callable[[int | None, int | None], Sequence[T]],
        key: Callable[[T], str],
        time: Callable[[T], int],
        *,
        began: int,
        short_ends: bool = False,
    ) -> None:
        self._fetch = fetch
        self._key = key
        self._time = time
        self._began = began
        self._short_ends = short_ends
        self._seen: dict[str, int] = {}
        self.complete = False
        self.last: Slice[T] | None = None
        self.reason: str | None = None

    def __iter__(self) -> Iterator[list[T]]:
        first = list(self._fetch(None, None))
        self.last = Slice(first)
        if fresh := self._fresh(first):
            yield fresh
        if not first or (self._short_ends and len(first) < PAGE // 2):
            self.complete = True
            return
        for backward in (True, False):
            yield from self._side(backward)
            if self.reason is not None:
                return
        self.complete = True

    def _side(self, backward: bool) -> Iterator[list[T]]:
        """To one side as long as it leads further: what comes and goes on the way there must not keep it for ever."""
        for _ in range(MAX_CALLS):
            edge, before = self._edge(backward), self._end(backward)
            page = list(self._fetch(None, edge + 1) if backward else self._fetch(edge - 1, None))
            known = any(self._key(item) in self._seen for item in page)
            fresh = self._fresh(page)
            full = len(page) >= PAGE // 2
            if fresh:
                yield fresh
            elif full and len({self._time(item) for item in page}) == 1:
                self.reason = "слишком много комментариев с одним и тем же временем"
            if not fresh:
                return
            if not known:
                self.reason = "сеть отдаёт комментарии не подряд"
                return
            if (self._end(backward) == before and not full) or (not backward and self._end(False) >= self._began):
                return
        self.reason = "список не кончается"

    def _end(self, backward: bool) -> int:
        """The oldest or the newest time seen."""
        return (min if backward else max)(self._seen.values())

    def _edge(self, backward: bool) -> int:
        """The time from which the next page shares some items with what was seen."""
        times = sorted(self._seen.values(), reverse=not backward)
        return times[min(OVERLAP, len(times)) - 1]

    def _fresh(self, page: Sequence[T]) -> list[T]:
        found = []
        for item in page:
            key = self._key(item)
            if key not in self._seen:
                self._seen[key] = self._time(item)
                found.append(item)
        return found


def newest_first(
    fetch: Callable[..., Sequence[Any]], key: Callable[[Any], str], time: Callable[[Any], int]
) -> Iterator[Any]:
    """Items of a list of which only `from` and `to` are known, newest first.

    The specification calls `from` the time *until* which messages are given and `to` the time *since* which: both ways
    are tried, and the one that leads to older items is kept.
    """
    seen: set[str] = set()
    page = list(fetch())
    names = ("to", "from")
    while True:
        fresh = [item for item in page if key(item) not in seen]
        seen.update(map(key, fresh))
        yield from sorted(fresh, key=time, reverse=True)
        if not fresh:
            return
        oldest = min(map(time, page))
        page = []
        for name in names:
            tried = [item for item in fetch(**{name: oldest + 1}) if time(item) <= oldest + 1]
            if any(key(item) not in seen for item in tried):
                page, names = tried, (name,)
                break
