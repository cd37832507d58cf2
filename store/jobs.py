"""Where the workers' jobs lie: the tables of procrastinate, in a schema of their own beside ours (PostgreSQL only).

Jobs hold no truth. They only say "look at this page", "take this step"; what is due is told by our own tables, and a
job that is lost is made anew within seconds. So the jobs are not backed up, and when the library's tables change they
are thrown away and made anew, by `otklik store migrate`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from settings import USAGE
from store.db import Database, parse_url
from store.errors import Outdated, StoreError, translate

SCHEMA = "otklik_jobs"
_PG_LOCK = 0x6F746B6A6F62  # "otkjob": of several workers that start at once one makes the tables


HALVES = 2
"""A process is two workers to the library: one for pages, one for the steps beside."""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """`workers`: processes that are alive by their heartbeat. `waiting`, `running`: jobs; `stalled`: of the running
    those whose worker is gone; `failed`: of the last day; `oldest_waiting_at`: since when the longest
    waiting job waits."""

    workers: int
    waiting: int
    running: int
    stalled: int
    failed: int
    oldest_waiting_at: datetime | None


def _wanted() -> tuple[str, str]:
    """The library's tables as SQL, and what they are called by."""
    from procrastinate.schema import SchemaManager

    sql = SchemaManager.get_schema()
    return sql, f"procrastinate {hashlib.sha256(sql.encode()).hexdigest()[:16]}"


def _found(conn: Connection) -> str | None:
    """How the tables that are there are called; None: there are none."""
    query = text("SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = :s")
    return conn.execute(query, {"s": SCHEMA}).scalar()


def ensure(db: Database, *, anew: bool) -> None:
    """Make the tables. Those of another version of the library are replaced with `anew`, else `Outdated` is raised.
    Nothing on SQLite."""
    if db.is_sqlite:
        return
    sql, wanted = _wanted()
    try:
        with db.engine.begin() as conn:
            conn.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _PG_LOCK})
            found = _found(conn)
            if found == wanted:
                return
            if found is not None:
                if not anew:
                    raise Outdated(
                        "таблицы заданий сделаны другой версией procrastinate; выполните otklik store migrate"
                    )
                conn.execute(text(f"DROP SCHEMA {SCHEMA} CASCADE"))
            conn.execute(text(f"CREATE SCHEMA {SCHEMA}"))
            conn.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
            conn.connection.driver_connection.execute(sql)  # many statements at once: past SQLAlchemy's parameters
            conn.execute(text(f"COMMENT ON SCHEMA {SCHEMA} IS '{wanted}'"))
    except DBAPIError as e:
        if getattr(e.orig, "sqlstate", None) == "42501":
            raise StoreError(
                f"{db.name}: нет права создать схему {SCHEMA}; пусть владелец базы выполнит "
                f'GRANT CREATE ON DATABASE "{db.url.database}" TO "{db.url.username}"',
                exit_code=USAGE,
            ) from None
        raise translate(e, db.name) from None


def check(url: str) -> None:
    """Raise `StoreError` when the database at `url` can't have workers; it is not touched."""
    if parse_url(url).get_backend_name() == "sqlite":
        raise StoreError(
            "для otklik worker нужна база PostgreSQL (store.url); на SQLite ту же работу делает otklik collect по "
            "расписанию",
            exit_code=USAGE,
        )


def place(db: Database) -> dict[str, Any]:
    """Arguments of psycopg's `connect` that lead to the jobs."""
    check(str(db.url))
    url = db.url
    told = url.translate_connect_args(username="user", database="dbname")
    extra = {k: v for k, v in url.query.items() if k != "options"}
    options = f"{url.query.get('options', '')} -c search_path={SCHEMA} -c timezone=UTC".strip()
    return {"connect_timeout": "10", "application_name": "otklik worker", **extra, **told, "options": options}


def facts(conn: Connection, cap: int, stalled_s: float) -> JobFacts | None:
    """None when no worker has ever been here. Counts go up to `cap`."""
    if conn.dialect.name != "postgresql" or _found(conn) is None:
        return None
    jobs, workers, events = (f"{SCHEMA}.procrastinate_{name}" for name in ("jobs", "workers", "events"))
    gone = f"(SELECT id FROM {workers} WHERE last_heartbeat < now() - make_interval(secs => :s))"
    alive = f"(SELECT count(*) FROM {workers} WHERE last_heartbeat >= now() - make_interval(secs => :s))"
    row = conn.execute(
        text(
            f"SELECT {alive} AS workers,"
            f"(SELECT count(*) FROM (SELECT 1 FROM {jobs} WHERE status = 'todo' LIMIT :cap) t) AS waiting,"
            f"(SELECT count(*) FROM (SELECT 1 FROM {jobs} WHERE status = 'doing' LIMIT :cap) t) AS running,"
            f"(SELECT count(*) FROM (SELECT 1 FROM {jobs} WHERE status = 'doing'"
            f" AND (worker_id IS NULL OR worker_id IN {gone}) LIMIT :cap) t) AS stalled,"
            f"(SELECT count(*) FROM (SELECT 1 FROM {jobs} WHERE status = 'failed' LIMIT :cap) t) AS failed,"
            f"(SELECT min(e.at) FROM {jobs} j JOIN {events} e ON e.job_id = j.id AND e.type = 'deferred'"
            f" WHERE j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())) AS oldest"
        ),
        {"s": stalled_s, "cap": cap},
    ).one()
    oldest = None if row.oldest is None else row.oldest.astimezone(UTC)
    return JobFacts((row.workers + 1) // HALVES, row.waiting, row.running, row.stalled, row.failed, oldest)
