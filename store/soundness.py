"""Is a database sound? Everything is read, and what is wrong is told in Russian."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from sqlalchemy import func, or_, select
from sqlalchemy.exc import DBAPIError

from store import audit
from store import migrate as schema
from store.copies import RESTORED, existing
from store.errors import translate
from store.events import first_kept
from store.tables import alerts, counters, events, messages, meta, posts


def verify(url: str) -> list[str]:
    """What is wrong with the database, one Russian sentence each; nothing when it is sound. Reads everything."""
    with existing(url) as db:
        with db.read() as conn:
            schema.check_version(schema.version_of(conn), db.name)
        try:
            with db.engine.connect() as conn:
                if not db.is_sqlite:
                    conn = conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                return [*_file_problems(conn, db.is_sqlite), *_problems(conn)]
        except DBAPIError as e:
            raise translate(e, db.name) from None


def _file_problems(conn: Any, is_sqlite: bool) -> Iterator[str]:
    if not is_sqlite:
        return
    for (found,) in conn.exec_driver_sql("PRAGMA integrity_check(5)"):
        if found != "ok":
            yield f"файл базы повреждён: {found}; восстановите копию (otklik store restore)"
    if conn.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        yield "есть записи о сообщениях, которых нет; восстановите копию (otklik store restore)"


def _problems(conn: Any) -> Iterator[str]:
    def one(query: Any) -> Any:
        return conn.execute(query).scalar_one()

    m = messages.c
    yield from _holes(conn)
    landed = select(events.c.message_id).where(events.c.type == "otklik.message.landed")
    # Of a forgotten one, tombstones; of what landed before the oldest event that is kept, none.
    told = select(m.id).where(~m.own, m.forgotten_at.is_(None), m.collected_at > first_kept(conn)[1])
    silent = one(select(func.count()).select_from(told.except_(landed).subquery()))
    if silent:
        yield f"сообщений без события о поступлении: {silent}"
    orphans = one(select(func.count()).select_from(landed.except_(select(m.id)).subquery()))
    if orphans:
        yield f"событий о сообщениях, которых нет: {orphans}"
    doubled_events = one(
        select(func.count() - func.count(events.c.message_id.distinct())).where(
            events.c.type == "otklik.message.landed"
        )
    )
    if doubled_events:
        yield f"лишних событий о поступлении: {doubled_events}"
    emergencies = select(m.id).where(m.emergency, ~m.own, ~m.historical)
    missed = one(select(func.count()).select_from(emergencies.except_(select(alerts.c.message_id)).subquery()))
    if missed:
        yield f"чрезвычайных сообщений без тревоги: {missed}"
    twice = select(m.network, m.external_id).group_by(m.network, m.external_id).having(func.count() > 1).subquery()
    if doubled := one(select(func.count()).select_from(twice)):
        yield f"комментариев, записанных дважды: {doubled}"
    live = (
        select(m.network, m.post_id, func.count().label("n"))
        .where(m.deleted_at.is_(None))
        .group_by(m.network, m.post_id)
        .subquery()
    )
    same = (live.c.network == posts.c.network) & (live.c.post_id == posts.c.id)
    wrong = (
        select(func.count())
        .select_from(posts)
        .join(live, same, isouter=True)
        .where(posts.c.stored != func.coalesce(live.c.n, 0))
    )
    if off := one(wrong):
        yield f"публикаций, у которых счётчик сохранённых комментариев не сходится: {off}"
    lost = one(
        select(func.count()).select_from(
            select(m.network, m.post_id).except_(select(posts.c.network, posts.c.id)).subquery()
        )
    )
    if lost:
        yield f"публикаций с комментариями, но без записи о них: {lost}"
    yield from audit.problems(conn)


def _holes(conn: Any) -> Iterator[str]:
    """Numbers of events that are missing. After a restore they go on in a higher range: that gap alone is right."""
    told = conn.execute(select(meta.c.value).where(meta.c.name == RESTORED)).scalar()
    restores = orjson.loads(told) if told else []
    counted = conn.execute(select(counters.c.value).where(counters.c.name == "events")).scalar() or 0
    ranges = list(zip((1, *(r["next"] for r in restores)), (*(r["last"] for r in restores), counted), strict=True))
    removed = first_kept(conn)[0] - 1
    ranges = [(max(first, removed + 1), last) for first, last in ranges]
    expected = sum(max(0, last - first + 1) for first, last in ranges)
    seq = events.c.seq
    given = or_(*(seq.between(first, last) for first, last in ranges))
    found, strange, last = conn.execute(
        select(func.count().filter(given), func.count().filter(~given), func.coalesce(func.max(seq), 0)).select_from(
            events
        )
    ).one()
    if found != expected:
        yield (
            f"в журнале событий пропуски: событий {found}, должно быть {expected} "
            f"(счётчик событий {counted}, последний номер {last})"
        )
    if strange:
        yield f"событий с номерами, которых никто не выдавал: {strange} (счётчик событий {counted})"
