"""How the installation does, as far as the database knows; for `otklik status` and whoever watches it.

Every query follows an index and stops: a count goes no further than `CAP` rows, so that it costs the same with 10^6
messages as with 10^3. Nothing here holds a word of a message or a secret.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Select, func, literal, select, text

from store import jobs
from store.assessing import HISTORICAL, utc
from store.audit import append
from store.db import Database, Tx, rows_in
from store.jobs import JobFacts
from store.migrate import HEAD
from store.queue import BY_QUEUE
from store.tables import (
    BEGUN,
    TIMED,
    UNASSESSED,
    UNDERWAY,
    WAITING,
    alerts,
    counters,
    events,
    hook_events,
    hooks,
    instant,
    messages,
    meta,
    micros,
    publications,
    runs,
    sendings,
)
from store.workload import DONE

CAP = 10_000
"""A count that reaches this means "so many or more"."""

BACKUP = "backup_at"
"""In `meta`: when the last backup was taken, in microseconds since 1970."""

_LATEST_RUNS = 50
_LATEST_ALERTS = 200
_RECENT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A collecting; `exit_code` None: it goes on, or was killed. `command`: "collect", or "page" (a worker's, of one
    page)."""

    id: str
    host: str
    started_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    command: str = "collect"


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """Counts up to `CAP`. `waiting`: not handed over yet, without the archive; `untouched`: have a term, and nobody
    has begun; `oldest_untouched_at`: when the longest waiting of these came; `unassessed`: the classifier owes them.
    """

    waiting: int
    untouched: int
    oldest_untouched_at: datetime | None
    overdue: int
    unassessed: int


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """`open`: nobody acknowledged them; `undelivered`: of these, no channel has taken them. Delays of alerts that were
    raised within a week, in seconds from raising to the first delivery; of the last `_LATEST_ALERTS` at most."""

    open: int
    oldest_open_at: datetime | None
    undelivered: int
    oldest_undelivered_at: datetime | None
    delay_p50: float | None
    delay_max: float | None


@dataclass(frozen=True, slots=True)
class PublicationFacts:
    """`underway`: begun and not known to stand in the network; `approved`: answers that wait to be published."""

    underway: int
    oldest_underway_at: datetime | None
    approved: int


@dataclass(frozen=True, slots=True)
class HookFacts:
    """A webhook. `behind`: events of the log that it has not looked at; `waiting` and `dead`: events that it has not
    delivered, and given up, of the first `CAP`; `oldest_tried_at`: since when one of these is tried in vain."""

    name: str
    behind: int
    waiting: int
    dead: int
    oldest_tried_at: datetime | None
    disabled: bool


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`size`: bytes, with SQLite's write-ahead log. `events`: number of the last event."""

    dialect: str
    version: str
    schema: str
    size: int
    events: int
    backup_at: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """`last_run`: the last one that began; `finished_run`: the last one that ended. `jobs`: None where no worker
    has ever been."""

    last_run: RunFacts | None
    finished_run: RunFacts | None
    queue: QueueFacts
    alerts: AlertFacts
    publications: PublicationFacts
    webhooks: tuple[HookFacts, ...]
    database: DatabaseFacts
    jobs: JobFacts | None = None


def health(db: Database, now: datetime, stalled_s: float = 30.0) -> Health:
    """`stalled_s`: after so long without a sign of life a worker is taken for dead."""
    now = utc(now)
    with db.read() as conn:
        latest = conn.execute(latest_runs()).all()
        return Health(
            last_run=_run(latest[0]) if latest else None,
            finished_run=next((_run(r) for r in latest if r.finished_at is not None), None),
            queue=_queue(conn, now),
            alerts=_alerts(conn, now),
            publications=_publications(conn),
            webhooks=_webhooks(conn),
            database=_database(conn, db),
            jobs=jobs.facts(conn, CAP, stalled_s),
        )


# --- the queries; a test looks at their plans -------------------------------------------------------------------------


def latest_runs() -> Select[Any]:
    return select(runs).order_by(runs.c.id.desc()).limit(_LATEST_RUNS)  # ids sort by time


# Each in the order of its index: where much qualifies PostgreSQL would rather walk the table, which may have no end.


def _some(where: tuple[Any, ...], order: tuple[Any, ...]) -> Select[Any]:
    return select(literal(1)).select_from(messages).where(*where).order_by(*order).limit(CAP)


def waiting() -> Select[Any]:
    return _some((WAITING, messages.c.priority < HISTORICAL), BY_QUEUE)


def untouched() -> Select[Any]:
    m = messages.c
    return select(m.collected_at).where(TIMED, m.status == "new").order_by(m.due_at, m.id).limit(CAP)


def overdue(now: datetime) -> Select[Any]:
    m = messages.c
    return _some((TIMED, m.due_at < now, m.status.not_in(DONE)), (m.due_at, m.id))


def unassessed() -> Select[Any]:
    return _some((UNASSESSED,), (messages.c.id,))


def approved() -> Select[Any]:
    return _some((BEGUN, messages.c.status == "approved"), BY_QUEUE)


def open_alerts() -> Select[Any]:
    a = alerts.c
    return select(a.id, a.created_at).where(a.acknowledged_at.is_(None)).order_by(a.id).limit(CAP)


def latest_alerts() -> Select[Any]:
    a = alerts.c
    return select(a.id, a.created_at, a.drill).order_by(a.id.desc()).limit(_LATEST_ALERTS)


def underway() -> Select[Any]:
    p = publications.c
    return select(p.at).where(UNDERWAY).order_by(p.message_id, p.n).limit(CAP)


def undelivered(hook: str) -> Select[Any]:
    e = hook_events.c
    return select(e.first_at, e.dead_at).where(e.hook == hook).order_by(e.seq).limit(CAP)


def _count(conn: Any, query: Select[Any]) -> int:
    return conn.execute(select(func.count()).select_from(query.subquery())).scalar_one()


# --- what they say ----------------------------------------------------------------------------------------------------


def _run(row: Any) -> RunFacts:
    return RunFacts(row.id, row.host, row.started_at, row.finished_at, row.exit_code, row.command)


def _queue(conn: Any, now: datetime) -> QueueFacts:
    came = conn.execute(untouched()).scalars().all()
    return QueueFacts(
        waiting=_count(conn, waiting()),
        untouched=len(came),
        oldest_untouched_at=min(came, default=None),
        overdue=_count(conn, overdue(now)),
        unassessed=_count(conn, unassessed()),
    )


def _alerts(conn: Any, now: datetime) -> AlertFacts:
    raised = {r.id: r.created_at for r in conn.execute(open_alerts())}
    recent = {
        r.id: r.created_at for r in conn.execute(latest_alerts()) if not r.drill and r.created_at >= now - _RECENT
    }
    delivered: dict[int, datetime] = {}
    for s in rows_in(
        conn, select(sendings.c.alert_id, sendings.c.delivered_at), sendings.c.alert_id, [*{**raised, **recent}]
    ):
        if s.delivered_at is not None:
            delivered[s.alert_id] = min(delivered.get(s.alert_id, s.delivered_at), s.delivered_at)
    undelivered = [at for id_, at in raised.items() if id_ not in delivered]
    # A clock that was put back would make a delay negative; there is no such thing.
    delays = [max(0.0, (delivered[i] - at).total_seconds()) for i, at in recent.items() if i in delivered]
    return AlertFacts(
        open=len(raised),
        oldest_open_at=min(raised.values(), default=None),
        undelivered=len(undelivered),
        oldest_undelivered_at=min(undelivered, default=None),
        delay_p50=median(delays) if delays else None,
        delay_max=max(delays, default=None),
    )


def _publications(conn: Any) -> PublicationFacts:
    since = conn.execute(underway()).scalars().all()
    return PublicationFacts(len(since), min(since, default=None), _count(conn, approved()))


def _webhooks(conn: Any) -> tuple[HookFacts, ...]:
    last = _last_event(conn)
    found = []
    for hook in conn.execute(select(hooks).order_by(hooks.c.name)).all():
        rows = conn.execute(undelivered(hook.name)).all()
        tried = [r.first_at for r in rows if r.dead_at is None and r.first_at is not None]
        dead = sum(r.dead_at is not None for r in rows)
        behind, off = max(0, last - hook.cursor), hook.disabled_at is not None
        if behind and hook.name.startswith("broker:"):  # a broker has no list of its own: what is behind it, waits
            first = select(events.c.time).where(events.c.seq > hook.cursor).order_by(events.c.seq).limit(1)
            tried = conn.execute(first).scalars().all()
        found.append(HookFacts(hook.name, behind, len(rows) - dead, dead, min(tried, default=None), off))
    return tuple(found)


def _last_event(conn: Any) -> int:
    return conn.execute(select(counters.c.value).where(counters.c.name == "events")).scalar_one()


def _database(conn: Any, db: Database) -> DatabaseFacts:
    if db.is_sqlite:
        version = conn.execute(text("SELECT sqlite_version()")).scalar_one()
        pages, each = (conn.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("page_count", "page_size"))
        size = pages * each
        if db.path is not None:
            with suppress(OSError):  # there is no log while nobody writes
                size += db.path.with_name(f"{db.path.name}-wal").stat().st_size
    else:
        version = conn.execute(text("SHOW server_version")).scalar_one().partition(" ")[0]
        size = conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    taken = conn.execute(select(meta.c.value).where(meta.c.name == BACKUP)).scalar()
    return DatabaseFacts(
        dialect=db.dialect,
        version=version,
        schema=HEAD,
        size=size,
        events=_last_event(conn),
        backup_at=None if taken is None else instant(int(taken)),
    )


# --- backups ----------------------------------------------------------------------------------------------------------


def backup_taken(db: Database, by: str, began: datetime, now: datetime) -> None:
    """A backup that holds everything up to `began` is finished: an entry in the audit log, and its time."""

    def work(tx: Tx) -> None:
        append(tx, by, "backup", None, "", "", {})
        value = str(micros(utc(began)))
        row = tx.insert(meta).values(name=BACKUP, value=value)
        tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

    db.transact(work, utc(now))
