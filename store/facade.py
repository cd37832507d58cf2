"""`Store`: what the other rooms hold. A thin facade; each method's substance is in the module it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar

from store import (
    access,
    activity,
    audit,
    budget,
    clusters,
    corrections,
    desk,
    digests,
    events,
    extract,
    foreign,
    forgetting,
    health,
    hooks,
    inbox,
    jobs,
    landing,
    lists,
    locks,
    migrate,
    pages,
    publishing,
    queue,
    reassessing,
    reporting,
    retention,
    review,
    workload,
)
from store import alerts as _alerts
from store.assessing import utc
from store.db import REPEAT_WINDOW, Database
from store.drafting import Frame
from store.values import (
    AlertJob,
    Assessment,
    Correction,
    Coverage,
    Forgotten,
    HookEvent,
    Hour,
    Judgeable,
    Known,
    Landed,
    Landing,
    PageRef,
    PageState,
    PostState,
    Publication,
    Pushed,
    QueueFilter,
    Reassessed,
    Reassessing,
    Receipt,
    Retention,
    Spike,
    Subject,
    Unassessed,
    Voice,
)

T = TypeVar("T")


class Store:
    """One open database; usable from several threads. Errors are `StoreError`s."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @classmethod
    def open(cls, url: str, *, repeat_window: timedelta = REPEAT_WINDOW, guarded: bool = False) -> Store:
        """Open the database at `url` (`sqlite:///file`, `postgresql+psycopg://…`); an empty one gets its tables.

        `repeat_window`: how far apart two messages may be to count as one question.
        `guarded`: each transaction makes sure that nobody has migrated the database since (`Outdated`); for programs
        that run for long. Raises `StoreError` when its schema is older (advice: `otklik store migrate`) or newer than
        the program's.
        """
        db = Database(url)
        db.repeat_window = repeat_window
        try:
            migrate.ready(db)
            db.guard = migrate.same_version if guarded else None
        except BaseException:
            db.close()
            raise
        return cls(db)

    @property
    def dialect(self) -> str:
        """ "sqlite" or "postgresql"."""
        return self._db.dialect

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # --- pages and posts ---------------------------------------------------------------------------------------------

    def see_page(self, page: PageRef, now: datetime) -> PageState:
        return pages.see_page(self._db, page, now)

    def page_states(self) -> list[PageState]:
        return pages.page_states(self._db)

    def resolved(self, network: str, configured_id: str) -> tuple[PageRef, datetime] | None:
        return pages.find_resolved(self._db, network, configured_id)

    def all_resolved(self) -> dict[tuple[str, str], PageRef]:
        """Every configured page that was found so far: (network, configured id) -> page."""
        return pages.all_resolved(self._db)

    def wake(self, network: str, page_id: str, post_id: str | None, *, whole: bool, now: datetime) -> bool:
        return pages.wake(self._db, network, page_id, post_id, whole=whole, now=now)

    def remember_resolved(self, network: str, configured_id: str, page: PageRef, now: datetime) -> None:
        pages.remember_resolved(self._db, network, configured_id, page, now)

    def post_states(self, page: PageRef, *, due: datetime | None = None) -> list[PostState]:
        return pages.post_states(self._db, page, due)

    def known(self, network: str, post_id: str) -> dict[str, Known]:
        return pages.known(self._db, network, post_id)

    # --- landing -----------------------------------------------------------------------------------------------------

    def frame(self, first_seen: datetime, server_time: datetime | None, now: datetime, run_id: str | None) -> Frame:
        """What drafts of comments that land at `now` have in common (`store.drafting`)."""
        now = utc(now)
        return Frame(utc(first_seen), utc(server_time) or now, now, run_id, self._db.is_sqlite)

    def land(self, landing_: Landing, now: datetime) -> Landed:
        return landing.land(self._db, landing_, now)

    def unassessed(self, limit: int, after: str = "0") -> list[Unassessed]:
        return landing.unassessed(self._db, limit, after)

    def assess(self, items: Sequence[tuple[str, Assessment, Mapping[str, datetime]]], now: datetime) -> Landed:
        return landing.assess(self._db, items, now)

    # --- judging anew ------------------------------------------------------------------------------------------------

    def reassess_mark(self, run: Reassessing) -> str:
        return reassessing.mark(self._db, run)

    def count_judgeable(self, run: Reassessing, after: str = "0") -> int:
        return reassessing.count(self._db, run, after)

    def judgeable(self, run: Reassessing, after: str, limit: int) -> list[Judgeable]:
        return reassessing.judgeable(self._db, run, after, limit)

    def reassess(
        self, run: Reassessing, items: Sequence[reassessing.Item], after: str, now: datetime, alert_since: datetime
    ) -> Reassessed:
        return reassessing.apply(self._db, run, items, after, now, alert_since)

    def finish_reassessing(self, now: datetime) -> None:
        reassessing.finish(self._db, now)

    # --- runs and coverage -------------------------------------------------------------------------------------------

    def start_run(self, command: str, now: datetime) -> str:
        return pages.start_run(self._db, command, now)

    def finish_run(self, run_id: str, exit_code: int, now: datetime) -> None:
        pages.finish_run(self._db, run_id, exit_code, now)

    def add_coverage(self, run_id: str, coverage: Coverage, next_due_at: datetime | None = None) -> None:
        pages.add_coverage(self._db, run_id, coverage, next_due_at)

    def last_coverage(self) -> list[dict[str, Any]]:
        return pages.last_coverage(self._db)

    # --- locks and budgets -------------------------------------------------------------------------------------------

    def try_lock(self, name: str) -> locks.Lock | None:
        return locks.try_lock(self._db, name)

    def reserve(self, key: str, interval_s: float, *, now: float) -> float:
        return budget.reserve(self._db, key, interval_s, now=now)

    def hold(self, key: str, until: float) -> None:
        budget.hold(self._db, key, until)

    def count_call(self, key: str, day: str, n: int = 1) -> int:
        return budget.count_call(self._db, key, day, n)

    def calls_on(self, key: str, day: str) -> int:
        return budget.calls_on(self._db, key, day)

    # --- workers' jobs -----------------------------------------------------------------------------------------------

    def same_version(self) -> None:
        """Raises `Outdated` when the database was migrated since it was opened."""
        with self._db.read() as conn:
            migrate.same_version(conn)

    def jobs_place(self) -> dict[str, Any]:
        """Where jobs of workers lie, for psycopg's `connect`; the tables are made when there are none."""
        jobs.ensure(self._db, anew=False)
        return jobs.place(self._db)

    # --- what networks pushed ----------------------------------------------------------------------------------------

    def inbox_state(self, source: str) -> tuple[int, dict[str, Any]]:
        return inbox.state(self._db, source)

    def inbox_put(
        self, source: str, version: int, state: Mapping[str, Any], items: Sequence[Pushed], now: datetime
    ) -> bool:
        return inbox.put(self._db, source, version, state, items, now)

    def inbox_items(self, source: str, page_id: str) -> list[Pushed]:
        return inbox.items(self._db, source, page_id)

    def inbox_done(self, source: str, refs: Sequence[str], now: datetime) -> None:
        inbox.done(self._db, source, refs, now)

    # --- the queue ---------------------------------------------------------------------------------------------------

    def messages(self, f: QueueFilter | None = None) -> Iterator[dict[str, Any]]:
        return lists.find(self._db, f or QueueFilter())

    def message(self, id: str, full: bool = False) -> dict[str, Any]:
        return queue.show(self._db, id, full=full)

    def correct(
        self, id: str, changes: Mapping[str, Any], *, by: str, now: datetime, clocks: queue.Clocks | None = None
    ) -> dict[str, Any]:
        return queue.correct(self._db, id, changes, by=by, now=now, clocks=clocks)

    def corrections(self, after: datetime | None = None) -> Iterator[Correction]:
        return corrections.corrections(self._db, after)

    def take(
        self, consumer: str, limit: int, lease_s: float, now: datetime, *, historical: bool = False
    ) -> list[dict[str, Any]]:
        return queue.take(self._db, consumer, limit, lease_s, now, historical=historical)

    def ack(self, ids: Sequence[str], consumer: str, now: datetime) -> int:
        return queue.ack(self._db, ids, consumer, now)

    def nack(self, ids: Sequence[str], consumer: str | None, now: datetime) -> int:
        return queue.nack(self._db, ids, consumer, now)

    # --- repeats -----------------------------------------------------------------------------------------------------

    def repeats(self, id: str, limit: int = 200) -> list[dict[str, Any]]:
        """The messages that ask the same as `id`, itself among them, earliest first; empty when it is alone."""
        return clusters.repeats(self._db, queue.number(id), limit)

    def repeat_counts(self, id: str) -> dict[str, Any]:
        """ "messages" (not deleted), "authors", "first" and "last" (times) of the question that `id` asks."""
        return clusters.counts(self._db, queue.number(id))

    def relate(self, id: str, of: str | None, *, by: str, now: datetime) -> dict[str, Any]:
        """A person says that `id` repeats `of`, or (None) nothing; the classifier does not say otherwise again."""
        return clusters.relate(self._db, queue.number(id), None if of is None else queue.number(of), by=by, now=now)

    # --- the desk ----------------------------------------------------------------------------------------------------

    def act(
        self, id: str, decide: desk.Decide, *, by: str, now: datetime, version: int | None = None
    ) -> dict[str, Any]:
        return desk.act(self._db, id, decide, by=by, now=now, version=version)

    def desk(self, id: str) -> dict[str, Any]:
        return desk.show(self._db, id)

    def hidden(self) -> list[dict[str, Any]]:
        return desk.hidden(self._db)

    def blocks(self, *, due: datetime | None = None, author_of: str | None = None) -> list[dict[str, Any]]:
        return desk.blocks(self._db, due=due, author_of=author_of)

    # --- the administrator's hour ------------------------------------------------------------------------------------

    def offer(
        self,
        by: str,
        now: datetime,
        hold_s: float,
        *,
        skip: Sequence[str] = (),
        every: bool = False,
        only: str | None = None,
    ) -> dict[str, Any] | None:
        return review.offer(self._db, by, now, hold_s, skip=skip, every=every, only=only)

    def release_offers(self, by: str, now: datetime) -> None:
        review.release(self._db, by, now)

    def count_unrouted(self, every: bool = False) -> dict[str, int]:
        return review.count(self._db, every)

    def workload(self, division: str | None = None) -> Iterator[dict[str, Any]]:
        return workload.workload(self._db, division)

    def siblings(self, id: str) -> dict[str, Any]:
        return review.siblings(self._db, id)

    # --- publishing --------------------------------------------------------------------------------------------------

    def intend(self, id: str, n: int, guid: str, *, by: str, now: datetime, version: int | None = None) -> Publication:
        return publishing.intend(self._db, id, n, guid, by=by, now=now, version=version)

    def received(self, id: str, n: int, receipt: Receipt, now: datetime) -> None:
        publishing.received(self._db, id, n, receipt, now)

    def seen(self, id: str, n: int, receipt: Receipt, now: datetime) -> None:
        publishing.seen(self._db, id, n, receipt, now)

    def troubled(self, id: str, n: int, problem: str, now: datetime, *, by_hand: bool = False) -> None:
        publishing.troubled(self._db, id, n, problem, now, by_hand=by_hand)

    def drop_publication(self, id: str, n: int, now: datetime) -> None:
        publishing.drop(self._db, id, n, now)

    def publications(self, id: str) -> list[Publication]:
        return publishing.of_message(self._db, id)

    def published_answers(self, *, besides: str, limit: int) -> list[dict[str, Any]]:
        return desk.published_answers(self._db, besides=besides, limit=limit)

    def unfinished(self) -> list[Publication]:
        return publishing.unfinished(self._db)

    # --- digests -----------------------------------------------------------------------------------------------------

    def claim_digest(
        self, slot: datetime, division: str, channel: str, now: datetime, claim_s: float, max_attempts: int
    ) -> bool:
        return digests.claim(self._db, slot, division, channel, now, claim_s, max_attempts)

    def digest_result(
        self, slot: datetime, division: str, channel: str, error: str | None, now: datetime, retry_s: float
    ) -> None:
        digests.result(self._db, slot, division, channel, error, now, retry_s)

    # --- events ------------------------------------------------------------------------------------------------------

    def events(self, after: int, limit: int) -> list[dict[str, Any]]:
        return events.read(self._db, after, limit)

    def events_raw(self, after: int, limit: int) -> Iterator[bytes]:
        return events.raw(self._db, after, limit)

    def events_blocks(self, after: int, limit: int) -> Iterator[tuple[int, list[bytes]]]:
        return events.blocks(self._db, after, limit)

    def source(self) -> str:
        """The URN of this log; another one after a backup was restored."""
        return events.source(self._db)

    def first_seq(self) -> int:
        """The number of the first event that is kept; the retention rule removes the log's beginning."""
        return events.first_seq(self._db)

    def last_seq(self) -> int:
        return events.last_seq(self._db)

    # --- ids in other systems ----------------------------------------------------------------------------------------

    def foreign_ids(self, system: str) -> dict[str, str]:
        """Our id -> theirs."""
        return foreign.known(self._db, system)

    def link_foreign(self, system: str, pairs: Sequence[tuple[str, str]], now: datetime) -> list[str | None]:
        """Keep pairs (our id, theirs); for each why not, None when it is kept."""
        return foreign.link(self._db, system, pairs, now)

    # --- webhooks ----------------------------------------------------------------------------------------------------

    def hook_cursor(self, name: str, now: datetime) -> tuple[int, bool]:
        return hooks.cursor(self._db, name, now)

    def hook_take(self, name: str, before: int, after: int, found: Sequence[tuple[int, int]], now: datetime) -> bool:
        return hooks.take(self._db, name, before, after, found, now)

    def hook_due(self, name: str, now: datetime, after: int, limit: int) -> list[HookEvent]:
        return hooks.due(self._db, name, now, after, limit)

    def hook_waiting(self, name: str) -> int:
        return hooks.waiting(self._db, name)

    def hook_done(self, name: str, seq: int, now: datetime) -> None:
        hooks.done(self._db, name, seq, now)

    def hook_failed(
        self, name: str, seq: int, error: str, now: datetime, next_at: datetime | None, *, down: bool
    ) -> None:
        hooks.failed(self._db, name, seq, error, now, next_at, down=down)

    def hook_wake(self, name: str, now: datetime) -> int:
        return hooks.wake(self._db, name, now)

    def hook_disable(self, name: str, now: datetime) -> None:
        hooks.disable(self._db, name, now)

    def hook_resume(self, name: str, now: datetime) -> bool:
        return hooks.resume(self._db, name, now)

    def hook_replay(self, name: str, now: datetime, after: int | None = None) -> int:
        return hooks.replay(self._db, name, now, after)

    def hook_dead(self, name: str | None = None) -> list[dict[str, Any]]:
        return hooks.dead(self._db, name)

    def hook_overview(self) -> list[dict[str, Any]]:
        return hooks.overview(self._db)

    # --- alerts ------------------------------------------------------------------------------------------------------

    def alerts(self, states: Sequence[str] | None = None) -> list[dict[str, Any]]:
        return _alerts.find(self._db, states)

    def claim_alerts(
        self,
        now: datetime,
        claim_s: float,
        channels: Sequence[tuple[str, str]],
        escalate_after_s: float,
        retry_s: float,
        max_attempts: int,
        only: str | None = None,
    ) -> list[AlertJob]:
        return _alerts.claim(self._db, now, claim_s, channels, escalate_after_s, retry_s, max_attempts, only=only)

    def release_alert(self, job: AlertJob, now: datetime) -> None:
        _alerts.release(self._db, job, now)

    def alert_result(self, job: AlertJob, ok: bool, error: str | None, now: datetime) -> None:
        _alerts.result(self._db, job, ok, error, now)

    def acknowledge(self, alert_id: str, by: str, now: datetime) -> dict[str, Any]:
        return _alerts.acknowledge(self._db, alert_id, by, now)

    def alert_delays(self, since: datetime | None = None, until: datetime | None = None) -> list[dict[str, Any]]:
        return _alerts.delays(self._db, since, until)

    def raise_drill(self, text: str, now: datetime, by: str = "cli") -> str:
        return _alerts.drill(self._db, text, now, by)

    # --- raised activity ---------------------------------------------------------------------------------------------

    def recent_voices(self, since: datetime, skip: frozenset[str] = frozenset()) -> list[Voice]:
        return activity.recent(self._db, since, skip)

    def fold_activity(self, now: datetime, history: timedelta, skip: frozenset[str] = frozenset()) -> bool:
        return activity.fold(self._db, now, history, skip)

    def activity_mark(self) -> datetime | None:
        return activity.mark(self._db)

    def activity(self, since: datetime) -> Iterator[Hour]:
        return activity.hours(self._db, since)

    def activity_of(self, subject: Subject, since: datetime) -> dict[datetime, int]:
        return activity.hours_of(self._db, subject, since)

    def activity_pages(self) -> dict[tuple[str, str], datetime]:
        return activity.first_hours(self._db)

    def activity_norms(self) -> Any:
        return activity.norms(self._db)

    def save_activity_norms(self, norms: Any, now: datetime) -> None:
        activity.save_norms(self._db, norms, now)

    def spikes(self, since: datetime) -> list[Spike]:
        return activity.told(self._db, since)

    def raise_spike(self, spike: Spike, text: str, now: datetime) -> str:
        return activity.raise_spike(self._db, spike, text, now)

    def still_rising(self, alert_ids: Sequence[str], now: datetime) -> None:
        activity.still_rising(self._db, alert_ids, now)

    def calm_spikes(self, alert_ids: Sequence[str], now: datetime) -> None:
        activity.calm(self._db, alert_ids, now)

    # --- personal data -----------------------------------------------------------------------------------------------

    def forget(
        self, who: str, *, by: str, now: datetime, settle: forgetting.Settle, dry_run: bool = False
    ) -> Forgotten:
        """Erase everything of a person: `network:id`, the address of a profile or comment, the number of a message."""
        return forgetting.forget(self._db, who, by=by, now=now, settle=settle, dry=dry_run)

    def forgetting_unfinished(self) -> bool:
        return forgetting.unfinished(self._db)

    def sweep(self, terms: Retention, now: datetime) -> dict[str, int]:
        """Erase all that is kept too long; how much of each kind."""
        return retention.sweep(self._db, terms, now)

    def sweep_some(self, terms: Retention, now: datetime, rows: int = 500) -> dict[str, int]:
        """One small step of it."""
        return retention.step(self._db, terms, now, rows)[0]

    def overdue_for_erasure(self, terms: Retention, now: datetime) -> dict[str, int]:
        return retention.due(self._db, terms, now)

    def compact(self) -> None:
        """Leave nothing of what was erased in free pages and the write-ahead log."""
        forgetting.compact(self._db)

    def pseudonymised(self, mask: extract.Mask) -> Iterator[dict[str, Any]]:
        return extract.pseudonymised(self._db, mask)

    def saw(self, actor: str, ids: Sequence[str], how: str, now: datetime) -> int:
        """Remember that a person was shown these messages: `how` one of show, list, take, review, export."""
        return access.saw(self._db, actor, ids, how, now)

    def access(self, who: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        return access.find(self._db, who, limit)

    def log(self, verb: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """The audit log's last entries, newest first; `verb`: only of this kind."""
        return audit.latest(self._db, verb, limit)

    def record(self, by: str, verb: str, details: Mapping[str, Any], now: datetime, do: Callable[[], T]) -> T:
        """Something done outside the database (`do`), together with its entry in the audit log."""
        return audit.record(self._db, by, verb, details, now, do)

    # --- upkeep ------------------------------------------------------------------------------------------------------

    def health(self, now: datetime, stalled_s: float = 30.0) -> health.Health:
        """How the installation does, as far as the database knows; bounded, however many messages there are."""
        return health.health(self._db, now, stalled_s)

    def backup_taken(self, by: str, began: datetime, now: datetime) -> None:
        """A backup is finished: an entry in the audit log, and `began`, its time, for `health`."""
        health.backup_taken(self._db, by, began, now)

    # --- reports -----------------------------------------------------------------------------------------------------

    def known_at(self) -> datetime | None:
        return reporting.known_at(self._db)

    def first_collected(self) -> datetime | None:
        return reporting.first_collected(self._db)

    def report_messages(self, start: datetime, end: datetime) -> Iterator[Any]:
        return reporting.received(self._db, start, end)

    def report_steps(self, ids: Sequence[int], *, every: bool = True) -> dict[int, list[dict[str, Any]]]:
        return reporting.steps(self._db, ids, every=every)

    def report_months(self, bounds: reporting.Bounds, now: datetime) -> list[dict[str, int]]:
        return reporting.months(self._db, bounds, now)

    def report_topics(self, start: datetime, end: datetime) -> dict[tuple[str | None, str | None], int]:
        return reporting.topics(self._db, start, end)

    def report_coverage(self, start: datetime, end: datetime) -> list[dict[str, Any]]:
        return reporting.coverage_of(self._db, start, end)
