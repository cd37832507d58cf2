"""One post's turn: its walk, made again when it is inconsistent, and what may be concluded from it.

Nothing is believed by its word alone: what the counter says, what was seen and what is stored are compared. A comment
that an exhaustive walk did not meet is deleted when the sums agree. When they do not (the network counts more than it
shows, has no counter at all, or shows nothing any more of many), the walk only remembers which were absent: the next
exhaustive walk that finds the very same is the second witness. Some counters are too high for ever, so agreement can't
be waited for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from collectors import schedule
from collectors.contract import Walk
from store.values import Outcome, Post, PostMark, PostState

if TYPE_CHECKING:
    from collectors.visit import Visit

MANY = 5  # so many comments of a post that vanish at once, all of them, are looked for by a second walk
ATTEMPTS = 2  # an inconsistent walk is made again at once
EMPTIED = "все комментарии исчезли разом; следующий запуск проверит, удалены ли они"


@dataclass(frozen=True, slots=True)
class Note:
    """What a walk leaves for the next one, kept by the store as the post's cursor.

    `cursor`: the collector's own. `doubt`: a digest of what was absent and could not be called deleted yet.
    """

    cursor: str | None = None
    doubt: str | None = None

    @classmethod
    def read(cls, kept: str | None) -> Note:
        """A kept text; one that is no note is the collector's own cursor."""
        try:
            found = json.loads(kept or "")
        except ValueError:
            return cls(kept)
        if not (isinstance(found, dict) and found.keys() == {"cursor", "doubt"}):
            return cls(kept)
        return cls(found["cursor"], found["doubt"])

    def write(self) -> str | None:
        return self.cursor if self.doubt is None else json.dumps({"cursor": self.cursor, "doubt": self.doubt})


def doubt_of(absent: Iterable[str], gap: int | None) -> str:
    """The same absent comments and the same gap make the same digest."""
    return hashlib.blake2b("\n".join([str(gap), *sorted(absent)]).encode(), digest_size=12).hexdigest()


@dataclass(slots=True)
class _Sight:
    """What one walk saw, against what is stored."""

    walk: Walk
    live: set[str]  # seen, and no stubs

    @property
    def stored(self) -> set[str]:
        return {i for i, k in self.walk.known.items() if not k.deleted}

    @property
    def hidden(self) -> set[str]:
        """Those that we have hidden ourselves and the network therefore does not show, though it may count them."""
        return {i for i, k in self.walk.known.items() if k.hidden and not k.deleted and i not in self.live}

    @property
    def absent(self) -> set[str]:
        """Stored ones that the network does not show (any more)."""
        return self.stored - self.live - self.hidden if self.walk.exhaustive else set()

    @property
    def there(self) -> int:
        return len(self.live if self.walk.exhaustive else self.live | self.stored)

    @property
    def gap(self) -> int | None:
        """How many the network counts and does not show; None: it has no counter."""
        if self.walk.counter is None:
            return None
        unseen = len(self.hidden) if self.walk.exhaustive else 0
        return max(0, self.walk.counter - self.there - self.walk.stubs - unseen)


def walk_post(visit: Visit, post: Post, state: PostState | None, full: bool) -> None:
    """Read the comments of `post` into the visit's buffer, then mark what is known of it now."""
    note = Note.read(state.cursor if state else None)
    usual_gap = state.gap if state is not None and state.gap is not None else 0
    met: set[str] = set()  # whatever any attempt saw
    fresh: set[str] = set()
    for attempt in range(1, ATTEMPTS + 1):
        if attempt > 1:
            visit.buffer.flush()  # so that `known` has what the first attempt brought
        known = visit.store.known(post.network, post.id) if state is not None or attempt > 1 else {}
        walk = Walk(full=full or attempt > 1, known=known, cursor=note.cursor, counter=post.counter)
        sight, cursor = _read(visit, post, walk, met, fresh)
        if walk.complete and (sight.gap or 0) <= usual_gap:
            break
    visit.tally.walked += 1
    visit.tally.stubs += walk.stubs
    now = visit.clock()
    last_new = now if fresh else (state.last_new_at if state else None)
    check_at = schedule.next_check(now, post.published_at, last_new)
    name = post.url or post.id
    if not walk.complete:
        visit.tally.problem(walk.outcome or Outcome.partial, f"{name}: {walk.problem or 'прочитано не всё'}")
        visit.buffer.mark(PostMark(post, now, None, state.cursor if state else None, check_at, now))
        return
    gap = sight.gap
    if gap:
        visit.tally.problem(
            Outcome.partial, f"{name}: сеть считает комментариев {walk.counter}, показывает {sight.there}"
        )
    if walk.note:
        visit.tally.problem(Outcome.partial, f"{name}: {walk.note}")
    doubt = note.doubt if not walk.exhaustive else None
    deleted = sight.absent
    emptied = len(deleted) >= MANY and not sight.live
    if deleted and (gap is None or gap or emptied) and doubt_of(deleted, gap) != note.doubt:
        doubt, deleted = doubt_of(deleted, gap), set()
        if emptied:
            visit.tally.problem(Outcome.partial, f"{name}: {EMPTIED}")
    if doubt is not None or (gap or 0) > usual_gap:
        full_at = now
    else:
        longest = timedelta(seconds=visit.settings.full_every)
        full_at = schedule.next_full(now, post.published_at, last_new, longest=longest)
        if not walk.exhaustive and state is not None and state.next_full_at is not None:
            full_at = min(full_at, state.next_full_at)
    kept = Note(cursor, doubt).write()
    walked = "full" if walk.exhaustive else "tail"
    at_end = replace(post, counter=walk.counter if walk.counter is not None else post.counter)
    visit.buffer.mark(PostMark(at_end, now, walked, kept, check_at, full_at, gap), sorted(deleted))


def _read(visit: Visit, post: Post, walk: Walk, met: set[str], fresh: set[str]) -> tuple[_Sight, str | None]:
    """One walk to its end: what was seen, and the collector's cursor. Adds to `met` and `fresh`."""
    seen: set[str] = set()
    live: set[str] = set()
    cursor = walk.cursor
    for batch in visit.collector.comments(visit.page, post, walk):
        comments = []
        for c in batch.comments:
            if c.external_id in seen:
                continue
            seen.add(c.external_id)
            comments.append(c)
            if not c.deleted:
                live.add(c.external_id)
            if c.external_id in met:
                continue
            met.add(c.external_id)
            visit.tally.seen += 1
            if c.external_id not in walk.known:
                fresh.add(c.external_id)
                if c.published_at is not None and c.published_at >= visit.state.first_seen_at and not c.own:
                    visit.tally.delays.append((visit.clock() - c.published_at).total_seconds())
        visit.buffer.comments(comments)
        cursor = batch.cursor if batch.cursor is not None else cursor
        visit.check()
    return _Sight(walk, live), cursor
