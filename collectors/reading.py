"""Reading the comments under one post, for any network: a list, with or without threads below, to any depth.

A network says how its comments are listed (`Tree`); what has been seen, when a short walk may stop, and what a walk may
claim at its end is the same for all and is here.

Full walks read oldest first, to the end. Short ones read newest first and stop once they have met what is stored,
nothing stored is missing on the way, and stored plus new makes the counter; else they read everything as well. What a
counter can't tell (one reply more in an old thread, another comment less) waits for the next full walk.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from collectors.contract import Batch, CollectError, Gone, RateLimited, Unauthorised, Walk
from collectors.paging import CursorWalk, OffsetWalk, PageWalk
from store.values import Comment, Known, Outcome, Post

T = TypeVar("T")
Level = OffsetWalk[T] | CursorWalk[T] | PageWalk[T]


class Thread(NamedTuple):
    """The replies that came with a comment. `count`: how many the network says there are; `whole`: these are all."""

    items: Sequence[Any] = ()
    count: int = 0
    whole: bool = True


NO_THREAD = Thread()


class Tree(ABC, Generic[T]):
    """How one network shows the comments of one post. `T`: a comment as the network gives it.

    `title`: the network's name in a sentence.
    """

    title: str = "сеть"

    @abstractmethod
    def level(self, under: str | None, newest_first: bool) -> Level[T]:
        """The top level, or the thread under a comment (its external id), ready to be iterated."""

    @abstractmethod
    def key(self, raw: T) -> str:
        """The comment's external id."""

    @abstractmethod
    def comment(self, raw: T, more: Any, under: str | None) -> Comment:
        """`raw` as a value; `more` is what came with its page of the list (`Slice.more`)."""

    def thread(self, raw: T) -> Thread:
        """What came along of the thread under `raw`."""
        return NO_THREAD

    def threads(self, under: Sequence[str]) -> Iterator[Level[T] | CollectError]:
        """Several threads, in order; for networks that can read many at the price of one call."""
        return (self.level(one, newest_first=False) for one in under)

    def first(self) -> Comment | None:
        """The post itself, when it is a message to the administration; counted in `Post.counter`."""
        return None

    def total(self, more: Any) -> int | None:
        """The count of all comments below the post that came with a page of the top level; None: not told there."""
        return None

    def counter(self) -> int | None:
        """The post's counter, asked for anew; None when there is none."""
        return None

    def order(self, external_id: str) -> int | None:
        """A number that is larger for a later comment; None when ids tell no order."""
        return None


@dataclass(slots=True)
class Reading(Generic[T]):
    """One walk over one post; `run` yields what it finds and sets the findings of `walk`."""

    tree: Tree[T]
    post: Post
    walk: Walk
    seen: dict[str, bool] = field(default_factory=dict)  # comment -> live
    entered: set[str] = field(default_factory=set)  # comments whose thread was read by itself
    skipped: list[str] = field(default_factory=list)  # threads taken for unchanged
    short: int = 0
    problems: list[str] = field(default_factory=list)
    told: int | None = None  # what the list itself says of all comments
    itself: Comment | None = None
    fresh: int = 0  # live ones that the store does not have, or takes for deleted
    stored: int = 0  # live ones that the store has, the post itself apart
    _below: dict[str, int] | None = None

    def run(self) -> Iterator[Batch]:
        self.itself = self.tree.first()
        self.stored = self.walk.live
        if self.itself is not None:
            self.stored -= not self._unknown(self.itself.external_id)
            yield Batch([self.itself])
        tail = not self.walk.full
        for attempt in (1, 2):
            top = self.tree.level(None, newest_first=tail)
            for items in top:
                more = top.last.more if top.last else None
                self.told = self.tree.total(more)
                found, enter = self._sort(items, None, more, tail)
                if found:
                    yield Batch(found)
                yield from self._threads(enter)
                if tail and self._accounted(items):
                    self._finish_tail()
                    return
            if top.last is not None:
                self.told = self.tree.total(top.last.more)
            if self.seen or attempt == 2 or not self._promised():
                break
        if not top.complete:
            self.problems.append(top.reason or "список комментариев прочитан не весь")
        self.short += top.short
        if self.skipped and not self._balanced():
            yield from self._threads(self.skipped)
            self.skipped = []
        yield from self._finish()

    # --- reading -----------------------------------------------------------------------------------------------------

    def _sort(
        self, items: Sequence[T], under: str | None, more: Any, tail: bool = False
    ) -> tuple[list[Comment], list[str]]:
        """(what is new among `items` and the replies that came with them, comments whose thread did not come whole)."""
        tree, seen = self.tree, self.seen
        found: list[Comment] = []
        enter: list[str] = []
        stack = [(i, under) for i in reversed(items)]
        while stack:
            raw, above = stack.pop()
            key = tree.key(raw)
            if key not in seen:
                c = tree.comment(raw, more, above)
                seen[key] = not c.deleted
                self.fresh += not c.deleted and self._unknown(key)
                found.append(c)
            thread = tree.thread(raw)
            if thread.items:
                stack += [(r, key) for r in reversed(thread.items)]
            if thread.whole or key in self.entered:
                continue
            if tail and thread.count == self._known_below(key):
                self.skipped.append(key)
            else:
                enter.append(key)
        return found, enter

    def _threads(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The threads under `keys` and all that hang below them, one generation after the other."""
        waiting = list(keys)
        while waiting:
            now = [k for k in dict.fromkeys(waiting) if k not in self.entered]
            self.entered.update(now)
            waiting = []
            for key, level in zip(now, self.tree.threads(now), strict=True):
                try:
                    if isinstance(level, CollectError):
                        raise level
                    anything = False
                    for items in level:
                        anything = True
                        found, enter = self._sort(items, key, level.last.more if level.last else None)
                        waiting += enter
                        if found:
                            yield Batch(found)
                except CollectError as e:
                    if e.page_wide or isinstance(e, RateLimited | Unauthorised):
                        raise
                    gone = "исчез во время чтения" if isinstance(e, Gone) else f"ответы не прочитаны: {e}"
                    self.problems.append(f"комментарий {key}: {gone}")
                    continue
                if not level.complete:
                    self.problems.append(f"ответы на комментарий {key}: {level.reason}")
                elif not anything and self._known_below(key):  # entered, so the network counts some
                    self.problems.append(f"ответы на комментарий {key}: есть, но не показаны")
                self.short += level.short

    # --- judging -----------------------------------------------------------------------------------------------------

    @property
    def bonus(self) -> int:
        return 1 if self.itself is not None else 0

    @property
    def count(self) -> int | None:
        """How many comments the network counts below the post, itself apart."""
        if self.told is not None or self.post.counter is None:
            return self.told
        return self.post.counter - self.bonus

    def _unknown(self, key: str) -> bool:
        """Is this not among the live stored ones?"""
        known = self.walk.known.get(key)
        return known is None or known.deleted

    def _known_below(self, key: str) -> int:
        if self._below is None:
            self._below = below(self.walk.known)
        return self._below.get(key, 0)

    def _balanced(self) -> bool:
        """Do the stored and the new ones (the post itself apart) make what the network counts?"""
        if self.count is None:
            return False
        return self.stored + self.fresh == self.count - _note(self.walk.cursor, "beyond")

    def _accounted(self, items: Sequence[T]) -> bool:
        """May a walk from the newest stop here? It has met what is stored, nothing stored is missing, sums agree."""
        last = self.tree.key(items[-1])
        return last in self.walk.known and self._balanced() and not self._vanished(last)

    def _vanished(self, down_to: str) -> bool:
        """Some stored top-level comment, newer than the last one read, was not among those read."""
        end = self.tree.order(down_to)
        if end is None:
            return False
        itself = self.itself.external_id if self.itself is not None else None
        return any(
            k.parent_id is None
            and not k.deleted
            and not k.hidden
            and not self.seen.get(key, False)
            and key != itself
            and (self.tree.order(key) or 0) > end
            for key, k in self.walk.known.items()
        )

    def _promised(self) -> int:
        return max(self.count or 0, (self.post.counter or 0) - self.bonus)

    # --- concluding --------------------------------------------------------------------------------------------------

    def _finish_tail(self) -> None:
        self.walk.complete, self.walk.exhaustive = True, False
        self.walk.counter = (self.count or 0) + self.bonus
        self.walk.stubs = _note(self.walk.cursor, "stubs")

    def _finish(self) -> Iterator[Batch]:
        walk = self.walk
        live = sum(self.seen.values())
        walk.stubs = len(self.seen) - live
        itself = self.itself.external_id if self.itself is not None else None
        # Hidden by us: the network shows them to us or not, and counts them or not.
        ours = [key for key, k in walk.known.items() if k.hidden and not k.deleted and key != itself]
        unseen = sum(1 for key in ours if not self.seen.get(key, False))
        total = len(self.seen) + self.bonus
        counted = None if self.told is None else self.told + self.bonus
        now = self.post.counter
        if (total if counted is None and now is not None else counted) != now:
            # Drift between two calls, or two counters of different meaning? Asking again tells.
            now = self.tree.counter()
        if counted is not None and now == counted:
            walk.counter = counted
        elif counted is None and now is not None:
            walk.counter = now
        else:
            walk.counter = self.post.counter if self.post.counter is not None else counted
        missing = max(counted or 0, now or 0) - total if not self.skipped else 0
        if missing > 0 or self.short:
            walk.counter = max(walk.counter or 0, total + max(missing, self.short))
        if not self.seen and missing > unseen:
            walk.outcome = Outcome.blocked
            walk.problem = f"{self.tree.title} считает комментариев {missing}, но не показывает ни одного"
            return
        if self.problems:
            walk.outcome = Outcome.partial
            walk.problem = "; ".join(self.problems[:3])
            return
        walk.complete = True
        walk.exhaustive = not self.skipped
        if walk.exhaustive and self.count is not None:
            plain = live - (len(ours) - unseen)
            yield Batch((), cursor=json.dumps({"beyond": self.count - plain, "stubs": walk.stubs}))


def below(known: Mapping[str, Known]) -> dict[str, int]:
    """How many stored replies, neither deleted nor hidden by us, hang below each comment, at any depth. A ring of
    parents counts for nobody."""
    waiting: dict[str, int] = {}  # comment -> direct replies not summed up yet
    for k in known.values():
        if k.parent_id is not None:
            waiting[k.parent_id] = waiting.get(k.parent_id, 0) + 1
    sums: dict[str, int] = {}
    ready = [key for key in known if key not in waiting]
    while ready:
        key = ready.pop()
        one = known.get(key)
        if one is None or one.parent_id is None:
            continue
        there = not one.deleted and not one.hidden
        sums[one.parent_id] = sums.get(one.parent_id, 0) + sums.get(key, 0) + there
        waiting[one.parent_id] -= 1
        if not waiting[one.parent_id]:
            ready.append(one.parent_id)
    return {key: n for key, n in sums.items() if not waiting.get(key)}


def _note(cursor: str | None, name: str) -> int:
    """What the last exhaustive walk left for the next one.

    "beyond": how many more than the live ones, those that we have hidden apart, the network counted (stubs, hidden
    ones; less: it counts no replies);
    "stubs": how many of these were stubs.
    """
    try:
        return int(json.loads(cursor or "{}").get(name, 0))
    except (ValueError, TypeError, AttributeError):
        return 0
