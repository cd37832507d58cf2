"""One page's turn: which posts there are, which of them are read and how, what is remembered of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from collectors import schedule
from collectors.buffer import Buffer
from collectors.contract import Blocked, CollectError, Collector, Gone, RateLimited, Unauthorised
from collectors.report import Progress, Tally
from collectors.walking import walk_post
from settings import Collect, OtklikError, scrub
from store.values import Outcome, PageRef, PageState, Post, PostMark, PostState

if TYPE_CHECKING:
    from store import Store

log = logging.getLogger("otklik.poll")

RECENT_OVERLAP = timedelta(days=2)  # posts are listed again this far back: postponed and restored ones turn up late
CONSECUTIVE_FAILURES = 5  # posts failing in a row after which the page's run ends
AHEAD = 25  # posts a collector may read ahead


class Interrupted(Exception):
    """The stop flag was seen; what came is landed, the run ends."""


class Late(Exception):
    """The run's time is over; what came is landed, the next run goes on."""


@dataclass(slots=True)
class Visit:
    """What one page's turn works with. `clock`: the network's now; `check`: raises `Interrupted` or `Late`.

    `since` and `full` are what the run was asked for.
    """

    store: Store
    settings: Collect
    collector: Collector
    page: PageRef
    state: PageState
    buffer: Buffer
    tally: Tally
    progress: Progress
    clock: Callable[[], datetime]
    check: Callable[[], None]
    since: datetime | None = None
    full: bool = False
    blind: bool = False  # the page's posts can't be listed: what is refused then tells nothing of a single post

    def run(self) -> None:
        """List, decide, read. What came is landed even when it ends with an error."""
        try:
            states = {s.post.id: s for s in self.store.post_states(self.page)}
            now = self.clock()
            todo: list[tuple[Post, PostState | None, bool]] = []
            found = self._find(states, now)
            for post in found:
                state = states.get(post.id)
                what = self._decide(post, state, now)
                if what == "denied" and state is not None and not post.denied:
                    post = replace(post, denied=True, problem=state.post.problem)
                if what not in ("full", "tail"):
                    self._mark_unread(post, state, what, now)
                    continue
                todo.append((post, state, what == "full"))
                if state is None:  # remembered before it is read: a run cut short must not forget it
                    self.buffer.mark(PostMark(post, now, None, None, next_check_at=now))
            # What is only read again comes after what may have news, so that a run cut short has those.
            todo.sort(key=lambda t: t[2] and t[1] is not None and t[1].walked_counter == t[0].counter)
            self.tally.posts = len(found)
            self.progress.posts_found(len(found), len(todo))
            self._read(todo, now)
        except Late:
            self.tally.problem(Outcome.partial, "время запуска вышло; остальное возьмёт следующий запуск")
        finally:
            self.buffer.flush()
            if not self.buffer.lost:  # else the network, or the inbox, keeps what it told until the next run
                self.collector.landed(self.page)

    def _read(self, todo: list[tuple[Post, PostState | None, bool]], now: datetime) -> None:
        failures = 0
        refused: Unauthorised | None = None  # said at one post: true of that one only, if the next can be read
        for number, (post, state, full) in enumerate(todo):
            self.check()
            if number % AHEAD == 0:
                self.collector.prefetch(self.page, [(p, f) for p, _, f in todo[number : number + AHEAD]])
            try:
                walk_post(self, post, state, full)
                failures = 0
                if refused is not None:
                    self.tally.problem(Outcome.partial, str(refused), refused.code)
                    refused = None
            except RateLimited:
                raise
            except Unauthorised as e:
                if refused is not None or e.page_wide:
                    raise
                refused = e
            except Gone as e:
                self._mark_unread(replace(post, gone=True), state, "gone", now)
                log.info("post %s is gone: %s", post.id, scrub(str(e)))
            except CollectError as e:
                if e.page_wide:
                    raise
                failures += 1
                log.info("post %s: %s", post.id, scrub(str(e)))
                self.tally.problem(Outcome.partial, f"{post.url or post.id}: {e}", e.code)
                if isinstance(e, Blocked):
                    self.tally.denied += 1
                    denied = replace(post, denied=True, problem=scrub(str(e)))
                    self.buffer.mark(PostMark(denied, now, next_check_at=now + schedule.CHECK_MAX))
                    failures = 0
                if failures >= CONSECUTIVE_FAILURES:
                    raise
            except (OtklikError, Interrupted, Late):
                raise
            except Exception as e:
                # A post that a collector stumbles over must not keep the others from their turn.
                log.error("post %s: %s", post.id, type(e).__name__)
                log.debug("post %s", post.id, exc_info=True)
                self.tally.problem(
                    Outcome.failed,
                    f"{post.url or post.id}: ошибка программы ({type(e).__name__}); сообщите разработчикам",
                )
            self.progress.post_done()
        if refused is not None:
            raise refused

    # --- which posts -------------------------------------------------------------------------------------------------

    def _find(self, states: dict[str, PostState], now: datetime) -> list[Post]:
        """Recent posts of the page, then the known older ones whose turn it is; each with its counter of now.

        A success in the future (a clock was wrong) tells nothing: then everything is listed.
        """
        since, last_success = self.since, self.state.last_success_at
        if since is None and not self.full and last_success is not None:
            since = last_success - RECENT_OVERLAP if last_success <= now else None
        found: dict[str, Post] = {}
        self.blind = not self._gather(found, self.collector.posts(self.page, since))
        # A list that shows nothing of what stood in it is not believed: the posts themselves are asked.
        listed = {p.kind for p in found.values()}
        unlisted = {
            s.post.id
            for s in states.values()
            if s.post.kind not in listed
            and not s.post.gone
            and not s.post.denied
            and (since is None or (s.post.published_at is not None and s.post.published_at >= since))
        }
        older = [
            s.post
            for s in states.values()
            if s.post.id not in found
            and not s.post.gone
            and s.post.kind + "s" in self.page.include
            and (self.full or s.post.id in unlisted or self._due(s, now))
        ]
        if older:
            self._gather(found, self.collector.refresh(self.page, older))
        if any(found[i].counter is not None and not found[i].gone for i in unlisted if i in found):
            self.tally.problem(
                Outcome.blocked,
                "список публикаций пуст, хотя они есть; новые не видны — проверьте права токена и повторите позже",
            )
        return list(found.values())

    def _gather(self, found: dict[str, Post], posts: Iterable[Post]) -> bool:
        """Add `posts`; an error that does not end the page's run is told (False), what came before it is kept."""
        try:
            for post in posts:
                self.check()
                found.setdefault(post.id, post)
        except CollectError as e:
            if e.page_wide or isinstance(e, Unauthorised | RateLimited):
                raise
            self.tally.problem(e.outcome, str(e), e.code)
            return False
        return True

    def _due(self, state: PostState, now: datetime) -> bool:
        watch = timedelta(seconds=self.settings.watch)
        return (
            schedule.watched(now, state.post.published_at, state.last_new_at, watch=watch)
            and min(state.next_check_at or now, state.next_full_at or now) <= now
        )

    def _decide(self, post: Post, state: PostState | None, now: datetime) -> str:
        """full, tail, baseline (old at first sight), denied, gone, empty or skip."""
        if post.gone:
            return "gone"
        if post.denied:
            return "denied"
        if self.full or (state is not None and state.post.gone):  # back again: its comments are taken for deleted
            return "full"
        if (
            state is not None
            and state.post.denied
            and state.next_check_at is not None
            and state.next_check_at > now
            and post.counter in (None, state.post.counter)  # a new comment is reason enough to ask again
        ):
            return "denied"
        if state is None or state.walked_at is None:
            if self.state.last_success_at is None and self._too_old(post, now):
                return "baseline"
            return "full" if post.counter is None or post.counter > 0 else "empty"
        due_full = state.next_full_at is not None and state.next_full_at <= now
        if due_full and state.full_walked_at is not None:
            return "full"
        if post.counter is None or post.counter != state.walked_counter or not self.collector.counter_tells_all:
            return "tail"
        return "full" if due_full and (post.counter or state.stored) else "skip"

    def _too_old(self, post: Post, now: datetime) -> bool:
        """At the first sight of a page: older than `first_depth` and not asked for by `--since`."""
        if self.settings.first_depth is None or post.published_at is None:
            return False
        if self.since is not None and post.published_at >= self.since:
            return False
        return now - post.published_at > timedelta(seconds=self.settings.first_depth)

    # --- posts that are not read -------------------------------------------------------------------------------------

    def _mark_unread(self, post: Post, state: PostState | None, what: str, now: datetime) -> None:
        check_at = schedule.next_check(now, post.published_at, state.last_new_at if state else None)
        if what == "gone":
            known = self.store.known(post.network, post.id) if state else {}
            self.buffer.mark(
                PostMark(replace(post, gone=True), now), [i for i, k in known.items() if not k.deleted]
            )  # fmt: skip
        elif what == "denied":
            self.tally.denied += 1
            self.tally.problem(Outcome.partial, post.problem or f"{post.url or post.id}: комментарии недоступны")
            known_at = state.next_check_at if state is not None and state.post.denied else None
            if known_at is not None and known_at > now:
                check_at = known_at
            elif self.blind:
                check_at = now
            self.buffer.mark(PostMark(post, now, next_check_at=check_at))
        elif what in ("baseline", "empty"):
            walked = "baseline" if what == "baseline" else "full"
            # A counter of 0 is believed, but not for ever.
            full_at = now + timedelta(seconds=self.settings.full_every) if what == "empty" else None
            self.buffer.mark(PostMark(post, now, walked, None, check_at, full_at, 0))
        else:
            cursor, full_at = (state.cursor, state.next_full_at) if state else (None, None)
            self.buffer.mark(PostMark(post, now, None, cursor, check_at, full_at))
