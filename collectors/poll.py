"""The poll loop: one `collect` over the pages that are due, one after another.

The loop knows neither networks nor the classifier: a collector yields comments, `judge` turns them into `Judged`, the
store lands them. What happens with a page is `collectors/visit.py`, with a post `collectors/walking.py`, what is said
of it `collectors/report.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from collectors.buffer import Buffer
from collectors.contract import CollectError, Collector, Gone, Stopped
from collectors.pages import choose_pages, page_shares
from collectors.report import PageResult, Progress, Report, Silent, Tally, add, coverage
from collectors.turns import by_page, in_turn
from collectors.visit import Interrupted, Late, Visit
from settings import ConfigError, OtklikError, SecretError, Settings, logged_about, scrub
from settings import Page as PageSettings
from store.values import Comment, Judged, Landing, Outcome, PageRef, PostMark, utcnow

if TYPE_CHECKING:
    from store import Store
    from store.drafting import Draft, Frame

log = logging.getLogger("otklik.poll")

Judge = Callable[[PageRef, Sequence[Comment], datetime], list[Judged]]
"""(page, comments, now) -> the same comments judged, in order; one that can't be judged gets `assessment=None`."""

Ready = Callable[[], tuple[Sequence[Judged], "Draft | None"]]
"""Waits for the end of a judging: the comments judged, and their drafts when these are made already."""


class JudgeAhead(Protocol):
    """A `Judge` that can judge beside the reading: up to `ahead` batches may be begun before the first is asked for."""

    ahead: int

    def begin(self, page: PageRef, comments: Sequence[Comment], frame: Frame) -> Ready: ...

    def rest(self) -> None:
        """The run is over; what was begun and not asked for is not wanted."""


RESOLVE_AGAIN = timedelta(days=1)
ASK_CLOCK_AGAIN = timedelta(minutes=30)
PAGE = "page"
"""What a run of a worker's job for one page is called in the records."""

Offsets = dict[str, tuple[timedelta, datetime]]
"""Network -> (its clock minus ours, when it was asked): what several runs of one process may share."""


class Stop(Protocol):
    def is_set(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Options:
    """What one `collect` is asked. `only`: numbers, ids or titles of pages; `since`: how far back posts are listed."""

    only: tuple[str, ...] = ()
    since: datetime | None = None
    full: bool = False


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
        offsets: Offsets | None = None,
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
        self._offsets: Offsets = {} if offsets is None else offsets
        self._deadline: datetime | None = None
        self._taken: dict[tuple[str, str], str] = {}  # this run's pages by their stable id -> how they are called

    # --- the run -----------------------------------------------------------------------------------------------------

    def run(self, options: Options, *, pages: Sequence[PageSettings] | None = None) -> Report:
        """Collect every page that is due. A page's failure never keeps the next one from its turn.

        `pages`: just these, due or not, as a worker's job for one page asks.
        """
        if pages is None:
            chosen = [page for _, page in choose_pages(self.settings, options.only, self.store)]
        else:
            chosen = list(pages)
        todo = self._due(chosen, forced=pages is not None or bool(options.only) or options.full)
        command = "collect" if pages is None else PAGE
        report = Report(run_id=self.store.start_run(command, self.now()))
        with logged_about(run=report.run_id):
            self._run(todo, options, report)
            log.info("run ended", extra={"facts": {"exit_code": report.exit_code, "pages": len(report.results)}})
        return report

    def _run(self, pages: Sequence[PageSettings], options: Options, report: Report) -> None:
        self._deadline = self.now() + timedelta(seconds=self.settings.collect.deadline)
        try:
            for page in pages:
                if self._stopping():
                    report.interrupted = True
                    break
                with logged_about(network=page.network, page=page.id):
                    report.results.append(self._page(page, options, report))
        finally:
            for collector in self._collectors.values():
                collector.close()
            if rest := getattr(self.judge, "rest", None):
                rest()
            self.store.finish_run(report.run_id, report.exit_code, self.now())

    def _due(self, pages: Sequence[PageSettings], *, forced: bool) -> list[PageSettings]:
        """Pages whose turn it is, the longest unvisited first."""
        every = timedelta(seconds=self.settings.collect.page_every)
        states = by_page(self.store.page_states())
        return in_turn(pages, states, self.store.all_resolved(), self.now(), every, forced=forced)

    def _stopping(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    def _late(self) -> bool:
        return self._deadline is not None and self.now() > self._deadline

    def _check(self) -> None:
        """Between two steps: shall the run go on?"""
        if self._stopping():
            raise Interrupted
        if self._late():
            raise Late

    def _collector(self, network: str) -> Collector:
        if network not in self._collectors:
            self._collectors[network] = self._make(network)
        return self._collectors[network]

    def _server_now(self, collector: Collector) -> datetime:
        """The network's clock: asked once a run, and again in a long life; else our own clock plus the difference."""
        told = self._offsets.get(collector.network)
        if told is None or not timedelta(0) <= self.now() - told[1] < ASK_CLOCK_AGAIN:
            told = self._offsets[collector.network] = (collector.server_time() - self.now(), self.now())
        return self.now() + told[0]

    # --- one page ----------------------------------------------------------------------------------------------------

    def _page(self, configured: PageSettings, options: Options, report: Report) -> PageResult:
        known = self.store.resolved(configured.network, configured.id)
        name = configured.title or (known[0].title if known else "") or f"{configured.network}:{configured.id}"
        if self._late() and report.results:
            # It gets no record of this run, so it is the first one of the next.
            return PageResult(None, name, postponed=True, note="время запуска вышло; в следующем она первая")
        tally, started = Tally(), self.now()
        ref: PageRef | None = None
        try:
            collector = self._collector(configured.network)
            calls = collector.manners.calls
            with self._told(name, tally, report):
                ref = self._resolve(collector, configured, tally)
        except ConfigError as e:
            # A network that can't be set up (no token, wrong address) fails its own pages only.
            tally.problem(Outcome.unauthorised if isinstance(e, SecretError) else Outcome.failed, str(e))
            calls = None
        name = name if ref is None else configured.title or ref.title or name
        if ref is None:
            self.progress.page_started(name)
            made = 0 if calls is None else collector.manners.calls - calls
            return self._record(self._fallback_ref(configured), name, report, tally, started, made)
        same = self._taken.get((ref.network, ref.id))
        if same is not None:
            note = f"та же страница, что и «{same}», собрана один раз; оставьте в pages одну из двух записей"
            return PageResult(ref, name, note=note)
        lock = self.store.try_lock(f"page:{ref.network}:{ref.id}")
        if lock is None:
            log.info("page %s is being collected by another run", name)
            return PageResult(None, name, locked=True)
        self._taken[ref.network, ref.id] = f"{configured.network}:{configured.id}"
        self.progress.page_started(name)
        with lock:
            quota = collector.manners.quota
            if quota is not None:
                quota.enter(ref.id, page_shares(self.store, self.settings, ref, self.now()))
            with self._told(name, tally, report):
                self._visit(collector, ref, options, report, tally).run()
            if quota is not None:
                quota.enter(None)
            return self._record(ref, name, report, tally, started, collector.manners.calls - calls)

    @contextmanager
    def _told(self, name: str, tally: Tally, report: Report) -> Iterator[None]:
        """What fails inside becomes a problem of the page; errors of ours (store, configuration) go through."""
        try:
            yield
        except (Stopped, Interrupted):
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
            tally.problem(Outcome.failed, f"внутренняя ошибка ({type(e).__name__}); сообщите разработчикам и повторите")

    def _record(
        self, ref: PageRef, name: str, report: Report, tally: Tally, started: datetime, calls: int
    ) -> PageResult:
        """Keep and tell the coverage record that each page's run ends with."""
        # The next run lists posts since this time, so it may not lie after the network's now.
        finished = self.now() + min(self._offsets.get(ref.network, (timedelta(0),))[0], timedelta(0))
        states = self.store.post_states(ref)
        found = coverage(ref, states, tally, started=started, finished=finished, calls=calls)
        self.store.add_coverage(report.run_id, found)
        facts = {k: getattr(found, k) for k in ("outcome", "new", "seen", "stored", "gap", "calls")}
        log.info("page %s: %s", name, found.outcome, extra={"facts": facts})
        self.progress.page_finished(found, ref)
        return PageResult(ref, name, found)

    def _fallback_ref(self, configured: PageSettings) -> PageRef:
        """The page as last resolved, else as configured, for the coverage record of a run that never got that far."""
        known = self.store.resolved(configured.network, configured.id)
        if known:
            return known[0]
        return PageRef(configured.network, configured.id, configured.title, owner=configured.owner)

    def _resolve(self, collector: Collector, configured: PageSettings, tally: Tally) -> PageRef:
        """The page's stable id; once found it stays, whatever its short name leads to later."""
        known = self.store.resolved(configured.network, configured.id)
        if known and self.now() - known[1] < RESOLVE_AGAIN:
            found = known[0]
        else:
            found = self._ask_name(collector, configured, known[0] if known else None, tally)
        return replace(
            found,
            title=configured.title or found.title,
            owner=configured.owner,
            include=tuple(configured.include),
        )

    def _ask_name(self, collector: Collector, configured: PageSettings, known: PageRef | None, tally: Tally) -> PageRef:
        try:
            found = collector.resolve(configured)
        except Gone:
            if known is None:
                raise
            leads = "больше никуда не ведёт"
        else:
            if known is None or found.id == known.id:
                self.store.remember_resolved(configured.network, configured.id, found, self.now())
                return found
            leads = f"ведёт теперь на другую страницу ({found.id})"
        tally.problem(
            Outcome.partial,
            f"адрес {configured.id[:100]} {leads}; читается прежняя страница {known.id}, "
            "впишите в pages номер той, что нужна",
        )
        return known

    def _ours(self, network: str) -> frozenset[str]:
        """Ids of the administration's own pages in this network: on any page, what they write is our own answer."""
        found = set()
        for page in self.settings.pages:
            if page.network == network and page.owner == "administration":
                known = self.store.resolved(page.network, page.id)
                found.add(known[0].id if known else page.id)
        return frozenset(found)

    def _begin(self, page: PageRef, comments: Sequence[Comment], frame: Frame) -> Ready:
        begin = getattr(self.judge, "begin", None)
        if begin is not None:
            return begin(page, comments, frame)
        return lambda: (self.judge(page, comments, frame.now), None)

    def _visit(self, collector: Collector, ref: PageRef, options: Options, report: Report, tally: Tally) -> Visit:
        ours = self._ours(ref.network)

        state = self.store.see_page(ref, min(self.now(), self._server_now(collector)))

        def begin(comments: list[Comment]) -> tuple[Ready, Frame]:
            known = [replace(c, own=True) if c.author.id in ours and not c.own else c for c in comments]
            frame = self.store.frame(state.first_seen_at, self._server_now(collector), self.now(), report.run_id)
            return self._begin(ref, known, frame), frame

        def land(begun: tuple[Ready, Frame], marks: list[PostMark], deleted: list[str]) -> None:
            ready, frame = begun
            comments, draft = ready()
            landed = self.store.land(
                Landing(
                    page=ref,
                    comments=comments,
                    posts=marks,
                    deleted=deleted,
                    server_time=frame.cap,
                    run_id=report.run_id,
                    draft=draft,
                ),
                frame.now,
            )
            tally.landed = add(tally.landed, landed)
            report.landed = add(report.landed, landed)
            self.progress.landed(landed)
            if landed.alerts:
                self.on_alerts()

        return Visit(
            store=self.store,
            settings=self.settings.collect,
            collector=collector,
            page=ref,
            state=state,
            buffer=Buffer(begin, land, self.settings.collect.batch, getattr(self.judge, "ahead", 0)),
            tally=tally,
            progress=self.progress,
            clock=lambda: self._server_now(collector),
            check=self._check,
            since=options.since,
            full=options.full,
        )
