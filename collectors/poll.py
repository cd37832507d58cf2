"""The poll loop: takes the pages that are due, walks the posts that changed, lands what came, records the coverage.

The loop knows neither networks nor the classifier: a collector yields comments, `judge` turns them into `Judged`, the
store lands them. It never trusts a walk by its word alone: what a post's counter says, what was seen and what is stored
are compared, and only an exhaustive walk that agrees with the counter may mark comments as deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from collectors import schedule
from collectors.contract import Blocked, CollectError, Collector, Gone, RateLimited, Stopped, Unauthorised, Walk
from settings import (
    INTERRUPTED,
    LOCKED,
    NOTHING,
    OK,
    PARTLY,
    UNAUTHORISED,
    ConfigError,
    OtklikError,
    SecretError,
    Settings,
    scrub,
)
from settings import Page as PageSettings
from store.values import (
    Comment,
    Coverage,
    Judged,
    Landed,
    Landing,
    Outcome,
    PageRef,
    Post,
    PostMark,
    PostState,
    utcnow,
)

if TYPE_CHECKING:
    from store import Store

log = logging.getLogger("otklik.poll")

Judge = Callable[[PageRef, Sequence[Comment], datetime], list[Judged]]
"""(page, comments, now) -> the same comments judged, in order; one that can't be judged gets `assessment=None`."""

RESOLVE_AGAIN = timedelta(days=1)
RECENT_OVERLAP = timedelta(days=2)  # posts are listed again this far back: postponed and restored ones turn up late
FLUSH_AFTER = timedelta(seconds=5)  # an emergency must not wait for a batch to fill
CONSECUTIVE_FAILURES = 5  # posts failing in a row after which the page's run ends
MANY = 5  # so many comments of a post that vanish at once, all of them, are looked for in a second run
EMPTIED = "все комментарии исчезли разом; следующий запуск проверит, удалены ли они"
AHEAD = 25  # posts a collector may read ahead
ATTEMPTS_PER_POST = 2  # an inconsistent walk is made again at once


class Stop(Protocol):
    def is_set(self) -> bool: ...


class Progress(Protocol):
    """What a progress display is told."""

    def page_started(self, page: str) -> None: ...

    def posts_found(self, listed: int, to_walk: int) -> None: ...

    def post_done(self) -> None: ...

    def landed(self, landed: Landed) -> None: ...

    def page_finished(self, coverage: Coverage, page: PageRef) -> None: ...


class Silent:
    """No display."""

    def page_started(self, page: str) -> None: ...

    def posts_found(self, listed: int, to_walk: int) -> None: ...

    def post_done(self) -> None: ...

    def landed(self, landed: Landed) -> None: ...

    def page_finished(self, coverage: Coverage, page: PageRef) -> None: ...


@dataclass(frozen=True, slots=True)
class PageResult:
    page: PageRef | None
    configured: str
    coverage: Coverage | None  # None: not due or locked by another run
    locked: bool = False


@dataclass(slots=True)
class Report:
    """What one `collect` did."""

    run_id: str = ""
    results: list[PageResult] = field(default_factory=list)
    landed: Landed = field(default_factory=Landed)
    interrupted: bool = False

    @property
    def coverages(self) -> list[Coverage]:
        return [r.coverage for r in self.results if r.coverage is not None]

    @property
    def exit_code(self) -> int:
        """0 all well; 1 partly; 3 unauthorised; 4 nothing could be collected; 5 interrupted; 6 locked elsewhere."""
        if self.interrupted:
            return INTERRUPTED
        done = self.coverages
        if not done:
            return LOCKED if any(r.locked for r in self.results) else OK
        outcomes = {c.outcome for c in done}
        if outcomes == {Outcome.complete}:
            return OK
        if outcomes & {Outcome.complete, Outcome.partial} or any(c.seen for c in done):
            return PARTLY
        return UNAUTHORISED if outcomes == {Outcome.unauthorised} else NOTHING

    def as_dict(self) -> dict[str, Any]:
        """What `collect --json` prints."""
        return {
            "run": self.run_id,
            "exit_code": self.exit_code,
            "interrupted": self.interrupted,
            "new": self.landed.new,
            "revised": self.landed.revised,
            "deleted": self.landed.deleted,
            "own": self.landed.own,
            "alerts": list(self.landed.alerts),
            "pages": [
                {"page": r.configured, "locked": r.locked, **(asdict(r.coverage) if r.coverage else {})}
                for r in self.results
            ],
        }


def _add(a: Landed, b: Landed) -> Landed:
    return Landed(
        a.new + b.new,
        a.revised + b.revised,
        a.deleted + b.deleted,
        a.unchanged + b.unchanged,
        a.own + b.own,
        a.alerts + b.alerts,
    )


class _Interrupted(Exception):
    """The stop flag was seen; what came is landed, the run ends."""


@dataclass(slots=True)
class _Tally:
    """Figures of one page's run on their way into its coverage record."""

    seen: int = 0
    stubs: int = 0
    posts: int = 0
    walked: int = 0
    denied: int = 0  # posts whose comments the network refuses to show
    landed: Landed = field(default_factory=Landed)
    problems: list[tuple[Outcome, str, str | None]] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def problem(self, outcome: Outcome, text: str, code: str | None = None) -> None:
        self.problems.append((outcome, scrub(text), code))


class _Buffer:
    """Comments and marks waiting for their transaction. A mark never lands before the comments of its post."""

    def __init__(self, land: Callable[[list[Comment], list[PostMark], list[str]], None], size: int) -> None:
        self._land = land
        self._size = size
        self._comments: list[Comment] = []
        self._marks: list[PostMark] = []
        self._deleted: list[str] = []
        self._since: datetime | None = None

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
            while len(comments) > self._size:
                self._land(comments[: self._size], [], [])
                comments = comments[self._size :]
            self._land(comments, marks, deleted)
        self._since = None


@dataclass(frozen=True, slots=True)
class Options:
    """What one `collect` is asked. `only`: numbers, ids or titles of pages; `since`: how far back posts are listed."""

    only: tuple[str, ...] = ()
    since: datetime | None = None
    full: bool = False


def _names(number: int, page: PageSettings, store: Store | None) -> set[str]:
    """Everything a person may call a configured page."""
    names = {str(number), page.id, page.title, f"{page.network}:{page.id}", page.id.rstrip("/").rpartition("/")[2]}
    known = store.resolved(page.network, page.id) if store is not None else None
    if known:
        ref = known[0]
        names |= {ref.id, ref.title, ref.url, ref.url.rstrip("/").rpartition("/")[2]}
    return {n.strip().lower() for n in names if n.strip()}


def choose_pages(settings: Settings, only: Sequence[str], store: Store | None = None) -> list[tuple[int, PageSettings]]:
    """The configured pages that are switched on, or those that `only` names: by number from 1, id, address or title."""
    pages = [(i, p) for i, p in enumerate(settings.pages)]
    if only:
        chosen = []
        for name in only:
            wanted = name.strip().lower()
            hits = [(i, p) for i, p in pages if wanted.rstrip("/") in {n.rstrip("/") for n in _names(i + 1, p, store)}]
            if not hits:
                raise ConfigError(f"страницы «{name[:100]}» нет в настройках; список: otklik pages")
            chosen += [h for h in hits if h not in chosen]
        return chosen
    pages = [(i, p) for i, p in pages if p.enabled and settings.network(p.network).enabled]
    if not pages:
        raise ConfigError(f"{settings.where('pages')}: не указано ни одной страницы; добавьте её в раздел pages")
    return pages


def plan(store: Store, settings: Settings, only: Sequence[str], now: datetime) -> list[dict[str, Any]]:
    """What `collect` would do now, without a call to any network: pages in order, posts known and due."""
    lines = []
    for index, page in choose_pages(settings, only, store):
        known = store.resolved(page.network, page.id)
        ref = known[0] if known else None
        states = store.post_states(ref) if ref else []
        lines.append(
            {
                "number": index + 1,
                "network": page.network,
                "id": ref.id if ref else page.id,
                "title": page.title or (ref.title if ref else ""),
                "first_time": ref is None,
                "posts_known": len(states),
                "posts_due": sum(1 for s in states if s.next_check_at is None or s.next_check_at <= now),
                "posts_to_read_whole": sum(1 for s in states if s.next_full_at is not None and s.next_full_at <= now),
            }
        )
    return lines


def page_lines(store: Store, settings: Settings) -> list[dict[str, Any]]:
    """Every configured page with its last coverage record; what `pages` shows."""
    records = {(r["network"], r["page_id"]): r for r in store.last_coverage()}
    lines = []
    for index, page in enumerate(settings.pages):
        known = store.resolved(page.network, page.id)
        ref = known[0] if known else None
        record = records.get((page.network, ref.id if ref else page.id)) or {}
        lines.append(
            {
                **record,
                "number": index + 1,
                "network": page.network,
                "page_id": ref.id if ref else page.id,
                "title": page.title or (ref.title if ref else ""),
                "url": ref.url if ref else "",
                "owner": page.owner,
                "enabled": page.enabled and settings.network(page.network).enabled,
            }
        )
    return lines


class Poller:
    """One `collect`. `make_collector(network)` gives the collector of a network, once a run."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        judge: Judge,
        make_collector: Callable[[str], Collector],
        *,
        stop: Stop | None = None,
        on_alerts: Callable[[], None] = lambda: None,
        progress: Progress | None = None,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self.store = store
        self.settings = settings
        self.judge = judge
        self.stop = stop
        self.on_alerts = on_alerts
        self.progress = progress or Silent()
        self.now = now
        self._make = make_collector
        self._collectors: dict[str, Collector] = {}
        self._offsets: dict[str, timedelta] = {}
        self._deadline: datetime | None = None

    # --- the run -----------------------------------------------------------------------------------------------------

    def run(self, options: Options) -> Report:
        """Collect every page that is due. A page's failure never keeps the next one from its turn."""
        pages = choose_pages(self.settings, options.only, self.store)
        report = Report(run_id=self.store.start_run("collect", self.now()))
        self._deadline = self.now() + timedelta(seconds=self.settings.collect.deadline)
        try:
            for index, page in self._due(pages, forced=bool(options.only) or options.full):
                if self._stopping():
                    report.interrupted = True
                    break
                result = self._page(index, page, options, report)
                report.results.append(result)
        finally:
            for collector in self._collectors.values():
                collector.close()
            self.store.finish_run(report.run_id, report.exit_code, self.now())
        return report

    def _due(self, pages: list[tuple[int, PageSettings]], *, forced: bool) -> Iterator[tuple[int, PageSettings]]:
        """Pages whose turn it is, the longest unvisited first."""
        every = timedelta(seconds=self.settings.collect.page_every)
        states = {(s.page.network, s.page.id): s for s in self.store.page_states()}
        waiting = []
        for order, (index, page) in enumerate(pages):
            known = self.store.resolved(page.network, page.id)
            state = states.get((page.network, known[0].id)) if known else None
            last = state.last_started_at if state else None
            # A last run in the future (a clock was wrong) is no reason to wait.
            if forced or last is None or not timedelta(0) <= self.now() - last < every:
                waiting.append((last is not None, last, order, index, page))
        waiting.sort(key=lambda w: (w[0], w[1] or self.now(), w[2]))
        for *_, index, page in waiting:
            yield index, page

    def _stopping(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    def _collector(self, network: str) -> Collector:
        if network not in self._collectors:
            self._collectors[network] = self._make(network)
        return self._collectors[network]

    def _server_now(self, collector: Collector) -> datetime:
        """The network's clock: asked once a run, then our own clock plus the difference."""
        if collector.network not in self._offsets:
            self._offsets[collector.network] = collector.server_time() - self.now()
        return self.now() + self._offsets[collector.network]

    # --- one page ----------------------------------------------------------------------------------------------------

    def _page(self, index: int, configured: PageSettings, options: Options, report: Report) -> PageResult:
        known = self.store.resolved(configured.network, configured.id)
        name = configured.title or (known[0].title if known else "") or f"{configured.network}:{configured.id}"
        lock = self.store.try_lock(f"page:{configured.network}:{configured.id.strip().lower()}")
        if lock is None:
            log.info("page %s is being collected by another run", name)
            return PageResult(None, name, None, locked=True)
        started = self.now()
        tally = _Tally()
        ref: PageRef | None = None
        calls_before = 0
        self.progress.page_started(name)
        try:
            with lock:
                collector = self._collector(configured.network)
                calls_before = collector.manners.calls
                try:
                    ref = self._resolve(collector, configured)
                    server_now = self._server_now(collector)
                    self._walk_page(collector, ref, options, tally, server_now, report)
                except (Stopped, _Interrupted):
                    report.interrupted = True
                    tally.problem(Outcome.partial, "сбор остановлен; остальное возьмёт следующий запуск")
                except CollectError as e:
                    log.info("page %s: %s", name, scrub(str(e)))
                    tally.problem(e.outcome, str(e), e.code)
                except OtklikError:
                    raise
                except Exception as e:
                    # A collector that breaks must not take the other pages with it.
                    log.error("page %s: %s", name, type(e).__name__)
                    log.debug("page %s", name, exc_info=True)
                    tally.problem(
                        Outcome.failed, f"внутренняя ошибка ({type(e).__name__}); сообщите разработчикам и повторите"
                    )
                ref = ref or self._fallback_ref(configured)
                coverage = self._coverage(ref, started, tally, collector.manners.calls - calls_before)
                self.store.add_coverage(report.run_id, coverage)
        except OtklikError as e:
            if not isinstance(e, ConfigError) or ref is not None:
                raise
            # A network that can't be set up (no token, wrong address) fails its own pages only.
            ref = self._fallback_ref(configured)
            tally.problem(Outcome.unauthorised if isinstance(e, SecretError) else Outcome.failed, str(e))
            coverage = self._coverage(ref, started, tally, 0)
            self.store.add_coverage(report.run_id, coverage)
        self.progress.page_finished(coverage, ref)
        return PageResult(ref, name, coverage)

    def _fallback_ref(self, configured: PageSettings) -> PageRef:
        """The page as last resolved, else as configured, for the coverage record of a run that never got that far."""
        known = self.store.resolved(configured.network, configured.id)
        if known:
            return known[0]
        return PageRef(configured.network, configured.id, configured.title, owner=configured.owner)

    def _resolve(self, collector: Collector, configured: PageSettings) -> PageRef:
        known = self.store.resolved(configured.network, configured.id)
        if known and self.now() - known[1] < RESOLVE_AGAIN:
            found = known[0]
        else:
            found = collector.resolve(configured)
            self.store.remember_resolved(configured.network, configured.id, found, self.now())
        return replace(
            found,
            title=configured.title or found.title,
            owner=configured.owner,
            include=tuple(configured.include),
        )

    def _walk_page(
        self,
        collector: Collector,
        ref: PageRef,
        options: Options,
        tally: _Tally,
        server_now: datetime,
        report: Report,
    ) -> None:
        page_state = self.store.see_page(ref, min(self.now(), server_now))
        first_run = page_state.last_success_at is None

        def land(comments: list[Comment], marks: list[PostMark], deleted: list[str]) -> None:
            landed = self.store.land(
                Landing(
                    page=ref,
                    comments=self.judge(ref, comments, self.now()),
                    posts=marks,
                    deleted=deleted,
                    server_time=self._server_now(collector),
                    run_id=report.run_id,
                ),
                self.now(),
            )
            tally.landed = _add(tally.landed, landed)
            report.landed = _add(report.landed, landed)
            self.progress.landed(landed)
            if landed.alerts:
                self.on_alerts()

        buffer = _Buffer(land, self.settings.collect.batch)
        try:
            states = {s.post.id: s for s in self.store.post_states(ref)}
            found = self._find_posts(collector, ref, options, states, page_state.last_success_at, server_now, tally)
            todo: list[tuple[Post, PostState | None, str]] = []
            for post in found:
                state = states.get(post.id)
                what = self._decide(post, state, options, server_now, first_run)
                if what == "denied" and state is not None and not post.denied:
                    post = replace(post, denied=True, problem=state.post.problem)
                if what in ("full", "tail"):
                    todo.append((post, state, what))
                    if state is None:  # remembered before it is read: a run cut short must not forget it
                        buffer.mark(PostMark(post, server_now, None, None, next_check_at=server_now))
                else:
                    self._mark_unwalked(buffer, post, state, what, server_now, tally)
            tally.posts = len(found)
            self.progress.posts_found(len(found), len(todo))
            failures = 0
            for number, (post, state, what) in enumerate(todo):
                if self._stopping():
                    raise _Interrupted
                if number % AHEAD == 0:
                    collector.prefetch(ref, [(p, w == "full") for p, _, w in todo[number : number + AHEAD]])
                if self._deadline is not None and self.now() > self._deadline:
                    tally.problem(Outcome.partial, "время запуска вышло; остальное возьмёт следующий запуск")
                    break
                try:
                    self._walk_post(
                        collector, ref, post, state, what == "full", buffer, tally, page_state.first_seen_at
                    )
                    failures = 0
                except (Unauthorised, RateLimited):
                    raise
                except Gone as e:
                    self._mark_unwalked(buffer, replace(post, gone=True), state, "gone", server_now, tally)
                    log.info("post %s is gone: %s", post.id, scrub(str(e)))
                except CollectError as e:
                    if e.page_wide:
                        raise
                    failures += 1
                    log.info("post %s: %s", post.id, scrub(str(e)))
                    tally.problem(Outcome.partial, f"{post.url or post.id}: {e}", e.code)
                    if isinstance(e, Blocked):
                        tally.denied += 1
                        denied = replace(post, denied=True, problem=scrub(str(e)))
                        buffer.mark(PostMark(denied, server_now, next_check_at=server_now + schedule.CHECK_MAX))
                        failures = 0
                    if failures >= CONSECUTIVE_FAILURES:
                        raise
                except (OtklikError, _Interrupted):
                    raise
                except Exception as e:
                    # A post that a collector stumbles over must not keep the others from their turn.
                    log.error("post %s: %s", post.id, type(e).__name__)
                    log.debug("post %s", post.id, exc_info=True)
                    tally.problem(
                        Outcome.failed,
                        f"{post.url or post.id}: ошибка программы ({type(e).__name__}); сообщите разработчикам",
                    )
                self.progress.post_done()
        finally:
            buffer.flush()

    # --- which posts -------------------------------------------------------------------------------------------------

    def _find_posts(
        self,
        collector: Collector,
        ref: PageRef,
        options: Options,
        states: dict[str, PostState],
        last_success_at: datetime | None,
        server_now: datetime,
        tally: _Tally,
    ) -> list[Post]:
        """Recent posts of the page, then the known older ones whose turn it is; each with its counter of now.

        A success in the future (a clock was wrong) tells nothing: then everything is listed.
        """
        since = options.since
        if since is None and not options.full and last_success_at is not None:
            since = last_success_at - RECENT_OVERLAP if last_success_at <= server_now else None
        found: dict[str, Post] = {}
        try:
            for post in collector.posts(ref, since):
                if self._stopping():
                    raise _Interrupted
                found.setdefault(post.id, post)
        except CollectError as e:
            if e.page_wide or isinstance(e, Unauthorised | RateLimited):
                raise
            tally.problem(e.outcome, str(e), e.code)  # what was listed before is read all the same
        watch = timedelta(seconds=self.settings.collect.watch)
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
            and s.post.kind + "s" in ref.include
            and (
                options.full
                or s.post.id in unlisted
                or (
                    schedule.watched(server_now, s.post.published_at, s.last_new_at, watch=watch)
                    and min(s.next_check_at or server_now, s.next_full_at or server_now) <= server_now
                )
            )
        ]
        try:
            for post in collector.refresh(ref, older) if older else ():
                if self._stopping():
                    raise _Interrupted
                found.setdefault(post.id, post)
        except CollectError as e:
            if e.page_wide or isinstance(e, Unauthorised | RateLimited):
                raise
            tally.problem(e.outcome, str(e), e.code)
        if any(found[i].counter is not None and not found[i].gone for i in unlisted if i in found):
            tally.problem(
                Outcome.blocked,
                "список публикаций пуст, хотя они есть; новые не видны — проверьте права токена и повторите позже",
            )
        return list(found.values())

    def _decide(
        self, post: Post, state: PostState | None, options: Options, server_now: datetime, first_run: bool
    ) -> str:
        """full, tail, baseline (old at first sight), denied, gone or skip."""
        if post.gone:
            return "gone"
        if post.denied:
            return "denied"
        if options.full or (state is not None and state.post.gone):  # back again: its comments are taken for deleted
            return "full"
        if state is not None and state.post.denied and state.next_check_at and state.next_check_at > server_now:
            return "denied"
        never_walked = state is None or state.walked_at is None
        if never_walked:
            depth = self.settings.collect.first_depth
            age = server_now - post.published_at if post.published_at is not None else timedelta(0)
            old = depth is not None and age > timedelta(seconds=depth)
            asked = options.since is not None and (post.published_at is None or post.published_at >= options.since)
            if first_run and old and not asked:
                return "baseline"
            return "full" if post.counter is None or post.counter > 0 else "empty"
        assert state is not None
        due_full = state.next_full_at is not None and state.next_full_at <= server_now
        if due_full and state.full_walked_at is not None:
            return "full"
        if post.counter is None or post.counter != state.walked_counter:
            return "tail"
        return "full" if due_full and (post.counter or state.stored) else "skip"

    def _mark_unwalked(
        self, buffer: _Buffer, post: Post, state: PostState | None, what: str, server_now: datetime, tally: _Tally
    ) -> None:
        last_new = state.last_new_at if state else None
        check_at = schedule.next_check(server_now, post.published_at, last_new)
        if what == "gone":
            deleted = [i for i, k in self.store.known(post.network, post.id).items() if not k.deleted] if state else []
            buffer.mark(PostMark(replace(post, gone=True), server_now), deleted)
        elif what == "denied":
            tally.denied += 1
            tally.problem(Outcome.partial, post.problem or f"{post.url or post.id}: комментарии недоступны")
            known_at = state.next_check_at if state is not None and state.post.denied else None
            if known_at is not None and known_at > server_now:
                check_at = known_at
            buffer.mark(PostMark(post, server_now, next_check_at=check_at))
        elif what in ("baseline", "empty"):
            walked = "baseline" if what == "baseline" else "full"
            # A counter of 0 is believed, but not for ever.
            full_at = server_now + timedelta(seconds=self.settings.collect.full_every) if what == "empty" else None
            buffer.mark(PostMark(post, server_now, walked, None, check_at, full_at, 0))
        else:
            buffer.mark(
                PostMark(
                    post,
                    server_now,
                    None,
                    state.cursor if state else None,
                    check_at,
                    state.next_full_at if state else None,
                )
            )

    def _next_full(self, now: datetime, post: Post, last_new: datetime | None) -> datetime:
        longest = timedelta(seconds=self.settings.collect.full_every)
        return schedule.next_full(now, post.published_at, last_new, longest=longest)

    # --- one post ----------------------------------------------------------------------------------------------------

    def _walk_post(
        self,
        collector: Collector,
        ref: PageRef,
        post: Post,
        state: PostState | None,
        full: bool,
        buffer: _Buffer,
        tally: _Tally,
        first_seen_at: datetime,
    ) -> None:
        for attempt in range(1, ATTEMPTS_PER_POST + 1):
            if attempt > 1:
                buffer.flush()  # so that `known` has what the first attempt brought
            known = self.store.known(ref.network, post.id)
            walk = Walk(full=full or attempt > 1, known=known, cursor=state.cursor if state else None)
            walk.counter = post.counter
            seen: set[str] = set()
            live_seen: set[str] = set()
            fresh = 0
            cursor: str | None = walk.cursor
            for batch in collector.comments(ref, post, walk):
                comments = []
                for c in batch.comments:
                    if c.external_id in seen:
                        continue
                    seen.add(c.external_id)
                    if not c.deleted:
                        live_seen.add(c.external_id)
                    if c.external_id not in known:
                        fresh += 1
                        if c.published_at is not None and c.published_at >= first_seen_at and not c.own:
                            tally.delays.append((self._server_now(collector) - c.published_at).total_seconds())
                    comments.append(c)
                tally.seen += len(comments)
                buffer.comments(comments)
                cursor = batch.cursor if batch.cursor is not None else cursor
                if self._stopping():
                    raise _Interrupted
            tally.walked += 1
            absent = [i for i, k in known.items() if not k.deleted and i not in live_seen] if walk.exhaustive else []
            live = (
                len(live_seen) if walk.exhaustive else len(live_seen | {i for i, k in known.items() if not k.deleted})
            )
            gap = None if walk.counter is None else max(0, walk.counter - live - walk.stubs)
            if walk.complete and not gap:
                break
            if state is not None and walk.complete and gap is not None and state.gap is not None and gap <= state.gap:
                break  # the network has counted more than it shows before: nothing new
        server_now = self._server_now(collector)
        tally.stubs += walk.stubs
        last_new = server_now if fresh else (state.last_new_at if state else None)
        check_at = schedule.next_check(server_now, post.published_at, last_new)
        at_end = replace(post, counter=walk.counter if walk.counter is not None else post.counter)
        if not walk.complete:
            outcome = walk.outcome or Outcome.partial
            tally.problem(outcome, f"{post.url or post.id}: {walk.problem or 'прочитано не всё'}")
            buffer.mark(PostMark(post, server_now, None, state.cursor if state else None, check_at, server_now))
            return
        trusted = not gap or (state is not None and state.gap is not None and gap <= state.gap)
        full_at = self._next_full(server_now, post, last_new)
        if gap:
            tally.problem(
                Outcome.partial,
                f"{post.url or post.id}: сеть считает комментариев {walk.counter}, показывает {live}",
            )
        if len(absent) >= MANY and not live_seen and not (state is not None and state.post.problem == EMPTIED):
            trusted, at_end = False, replace(at_end, problem=EMPTIED)
            tally.problem(Outcome.partial, f"{post.url or post.id}: {EMPTIED}")
        if not trusted:
            absent, full_at = [], server_now  # a second walk must agree before anything is called deleted
        walked = "full" if walk.exhaustive else "tail"
        if walked == "tail" and state is not None and state.next_full_at is not None and trusted:
            full_at = min(full_at, state.next_full_at)
        buffer.mark(PostMark(at_end, server_now, walked, cursor, check_at, full_at, gap), absent)

    # --- the record --------------------------------------------------------------------------------------------------

    def _coverage(self, ref: PageRef, started: datetime, tally: _Tally, calls: int) -> Coverage:
        states = [s for s in self.store.post_states(ref) if not s.post.gone]
        read = [s for s in states if s.full_walked_at is not None or s.walked_at is None]
        counters = [s.post.counter for s in read if s.post.counter is not None]
        gaps = [s.gap if s.gap is not None else (s.post.counter or 0) for s in read if s.post.counter is not None]
        stored = sum(s.stored for s in states)
        with_comments = sum(1 for s in states if s.post.counter or s.post.denied)
        outcome, problem, code = Outcome.complete, None, None
        if tally.problems:
            severity = list(Outcome)
            outcome, problem, code = max(tally.problems, key=lambda p: severity.index(p[0]))
            if len(tally.problems) > 1:
                problem = f"{problem} (и ещё: {len(tally.problems) - 1})"
        if outcome is Outcome.blocked and code is None and tally.seen:
            outcome = Outcome.partial  # one post showed nothing, others can be read
        elif outcome is Outcome.partial and tally.denied and not tally.seen and tally.denied >= with_comments:
            outcome = Outcome.blocked  # not one post's comments may be read
        delays = sorted(tally.delays)
        # The next run lists posts since this time, so it may not lie after the network's now.
        finished = self.now() + min(self._offsets.get(ref.network, timedelta(0)), timedelta(0))
        return Coverage(
            network=ref.network,
            page_id=ref.id,
            started_at=started,
            finished_at=finished,
            outcome=outcome,
            counter=sum(counters) if counters else None,
            seen=tally.seen,
            stored=stored,
            new=tally.landed.new,
            revised=tally.landed.revised,
            hidden_or_deleted=tally.stubs + tally.landed.deleted,
            gap=sum(gaps) if counters else None,
            posts=tally.posts,
            posts_walked=tally.walked,
            calls=calls,
            code=code,
            problem=problem,
            delay_p50=delays[len(delays) // 2] if delays else None,
            delay_max=delays[-1] if delays else None,
        )
