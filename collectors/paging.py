"""Paging that doesn't lose what stands still, however the list moves while it is read.

**Offsets.** `OffsetWalk` reads a list L(t) in pages; a page is one instant's slice, and everything but the relative
order of what stays may change between two calls. Call a page *accepted* when it was read at offset 0 or its first item
lies on an accepted page.

Claim: for every item i on an accepted page, every item that stands during the whole walk and comes before i was
yielded. Offset 0: the page shows the list from its very beginning to its last item, so all that stands before i is on
the page itself. Otherwise the page's first item f is on an earlier accepted page; what stands before f was yielded by
induction, what stands between f and i is on this page, since the page is one contiguous slice of that instant, and the
order of standing items never changes. So nothing that stands can slip through between accepted pages, neither when
items before it vanish (the slice would begin with an unknown item: the page is not accepted, and the walk steps back,
doubling, until it begins with a known one or at 0), nor when items appear (the slice begins with more known items).

The walk ends properly when an accepted page reaches the end of the list of that very instant: the page is not full, and
its offset and length make the total that came with it (a full page never ends a walk, so a total that is too low does
no harm). Then every item that stood during the whole walk comes before that page's last item, or is it: all were
yielded. When a short page leaves the total unexplained, the walk asks exactly beyond it; nothing there while the total
still counts more is remembered as `short`: whether the network hides items or lies, is not for the walk to say.

Items of pages that were not accepted are yielded all the same: nothing that came is dropped.

**Page numbers.** `PageWalk` reads pages 1, 2, 3… of a size that the network chooses, so pages can't overlap and an item
that slips over a border is not noticed. A list of one page is one instant's whole list. A longer one is read twice
(`twice`), and complete only when both readings were the same list: what vanished while it was read the first time can't
be there the second time, so a list that moved in between looks different (unless it moved there and back).

**Cursors.** `CursorWalk` follows opaque cursors; there completeness is the network's promise. It de-duplicates, goes on
over empty pages, refuses a cursor that comes a second time, begins anew when a cursor has died, and is complete only
when the network itself said "end".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

OVERLAP = 10  # items that neighbouring pages share
SPARE_CALLS = 50  # calls beyond what a quiet list needs before a walk gives up on one that moves too fast


RESTARTS = 3  # a list by cursors is begun anew at most so often
BARREN = 100  # pages by cursors that bring nothing new, one after the other, after which a list is given up
STALE = 3  # the same for pages by numbers


class CursorExpired(Exception):
    """Raised by `fetch` of a `CursorWalk`: the network does not know the cursor any more."""


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """One page as the network gave it. `total`: how many the list has at this instant, None when not told.

    `more`: whatever else came with the page and the caller wants back.
    """

    items: Sequence[T]
    total: int | None = None
    more: Any = None


class OffsetWalk(Generic[T]):
    """Iterate: lists of items not seen before, page by page. Afterwards `complete`, `short`, `total`, `last` speak.

    `fetch(offset, count)` reads a slice, `key(item)` names an item for good. `first`: the slice at offset 0 when it was
    read already. `complete`: the end was reached in the sense above. `short`: items the network counted at the end and
    did not show. `reason` (Russian) tells why the walk is not complete.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], Slice[T]],
        key: Callable[[T], Hashable],
        *,
        size: int = 100,
        overlap: int = OVERLAP,
        first: Slice[T] | None = None,
        max_calls: int | None = None,
    ) -> None:
        if not 0 < overlap < size:
            raise ValueError("overlap must be between 0 and size")
        self._fetch = fetch
        self._key = key
        self._size = size
        self._full = size  # items that make a page full
        self._overlap = overlap
        self._first = first
        self._max_calls = max_calls
        self.calls = 0
        self.complete = False
        self.short = 0
        self.total: int | None = None
        self.last: Slice[T] | None = None
        self.reason: str | None = None

    def __iter__(self) -> Iterator[list[T]]:
        accepted: set[Hashable] = set()
        yielded: set[Hashable] = set()
        offset, step = 0, self._overlap
        standard = 0  # length of the newest accepted page
        probed: int | None = None  # asked without overlap, because a short page left the total unexplained
        while True:
            if self._spent(len(yielded)):
                self.reason = "список меняется быстрее, чем читается"
                return
            page = self._read(offset)
            keys = [self._key(item) for item in page.items]
            unseen = {k: item for k, item in zip(keys, page.items, strict=True) if k not in yielded}
            fresh = list(unseen.values())
            yielded.update(unseen)
            if fresh:
                yield fresh
            if not keys and probed == offset and (page.total or 0) > offset:
                self.complete, self.short = True, (page.total or 0) - offset
                return
            if offset > 0 and (not keys or keys[0] not in accepted):
                if keys and probed == offset and standard > 1:
                    # There is more beyond a short page: the network gives less than asked, so that is a full page.
                    self._full = standard
                    self._overlap = step = min(self._overlap, standard // 2)
                offset, step = max(0, offset - step), step * 2
                continue
            news = not accepted.issuperset(keys)
            accepted.update(keys)
            step = self._overlap
            end = offset + len(keys)
            standard = len(keys)
            if len(keys) < self._full:
                if page.total is None or end >= page.total:
                    self.complete = True
                    return
                if not news and probed is not None and end <= probed:
                    self.reason = "сеть отдаёт список с пропусками"
                    return
                offset = probed = end
            else:
                offset = end - self._overlap

    def _spent(self, seen: int) -> bool:
        limit = self._max_calls
        if limit is None:
            limit = SPARE_CALLS + 4 * max(self.total or 0, seen) // (self._full - self._overlap)
        return self.calls >= limit

    def _read(self, offset: int) -> Slice[T]:
        if self._first is not None and offset == 0:
            page, self._first = self._first, None
        else:
            page = self._fetch(offset, self._size)
            self.calls += 1
        self.last = page
        self.total = page.total if page.total is not None else self.total
        return page


class CursorWalk(Generic[T]):
    """Iterate: lists of items not seen before. `fetch(cursor)` -> (slice, next cursor or None at the end)."""

    short = 0  # whether a list by cursors shows all it counts can't be told

    def __init__(
        self,
        fetch: Callable[[str | None], tuple[Slice[T], str | None]],
        key: Callable[[T], Hashable],
        *,
        start: str | None = None,
        max_calls: int = 100_000,
    ) -> None:
        self._fetch = fetch
        self._key = key
        self._start = self._cursor = start
        self._max_calls = max_calls
        self.complete = False
        self.last: Slice[T] | None = None
        self.reason: str | None = None

    def __iter__(self) -> Iterator[list[T]]:
        yielded: set[Hashable] = set()
        used: set[str | None] = set()
        restarts = barren = longest = 0
        for _ in range(self._max_calls):
            used.add(self._cursor)
            try:
                self.last, following = self._fetch(self._cursor)
            except CursorExpired:
                if restarts == RESTARTS or self._cursor == self._start:
                    self.reason = "сеть забывает место в списке, не дав дочитать его"
                    return
                restarts += 1
                self._cursor = self._start
                longest, barren = max(longest, len(used)), 0  # what was read before is read again
                used.clear()
                continue
            fresh = []
            for item in self.last.items:
                k = self._key(item)
                if k not in yielded:
                    yielded.add(k)
                    fresh.append(item)
            if fresh:
                yield fresh
            if following is None:
                self.complete = True
                return
            if following in used:
                self.reason = "сеть водит по кругу"
                return
            barren = 0 if fresh else barren + 1
            if barren > BARREN + longest:
                break
            self._cursor = following
        self.reason = "список не кончается"


class PageWalk(Generic[T]):
    """Iterate: lists of items not seen before. `fetch(number)` -> (slice, is there a page after it?), from page 1.

    `twice`: prove a list of several pages by a second reading; without it `complete` only means that the end was met.
    """

    short = 0

    def __init__(
        self,
        fetch: Callable[[int], tuple[Slice[T], bool]],
        key: Callable[[T], Hashable],
        *,
        twice: bool = True,
        max_pages: int = 10_000,
    ) -> None:
        self._fetch = fetch
        self._key = key
        self._twice = twice
        self._max_pages = max_pages
        self.complete = False
        self.last: Slice[T] | None = None
        self.reason: str | None = None

    def __iter__(self) -> Iterator[list[T]]:
        yielded: set[Hashable] = set()
        before: list[Hashable] | None = None
        for attempt in (1, 2, 3):
            order: list[Hashable] = []
            stale = 0
            for number in range(1, self._max_pages + 1):
                self.last, more = self._fetch(number)
                unseen = {k: i for i in self.last.items if (k := self._key(i)) not in yielded}
                stale = 0 if {self._key(i) for i in self.last.items} - set(order) else stale + 1
                order += [self._key(i) for i in self.last.items]
                yielded.update(unseen)
                if unseen:
                    yield list(unseen.values())
                if not more:
                    break
                if stale == STALE:
                    self.reason = "сеть водит по кругу"
                    return
            else:
                self.reason = "список не кончается"
                return
            if number == 1 or not self._twice or order == before:
                self.complete = True
                return
            before = order
            if attempt == 3:
                self.reason = "список меняется быстрее, чем читается"
