"""Lists of messages: filters, orders, and the way to the first ones however many there are.

What names few messages (a topic, a page, a place) is looked up by its index and sorted. Of what names many, the first
come along the way of the queue's own index: no need to sort them all, nor for every landing to keep one more index in
that order. `search` alone reads every message it passes, in the queue's order, until enough are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, exists, false, func, literal, or_, select, tuple_, type_coerce

from store.assessing import HISTORICAL, clean, fold, utc
from store.db import Database
from store.errors import NotFound
from store.queue import BY_QUEUE, number
from store.tables import BEGUN, TIMED, cases, messages, pages, places, posts
from store.values import QueueFilter
from store.views import message_view, plain

_MANY = 4_000


def find(db: Database, f: QueueFilter) -> Iterator[dict[str, Any]]:
    """Residents' messages that pass the filter, in its order, one at a time from one snapshot."""
    if db.in_memory:  # its one connection must be free before anybody does something with the first message
        with db.read() as conn:
            rows = conn.execute(_listing(conn, f)).all()
        yield from (plain(message_view(row._mapping)) for row in rows)
        return
    with db.read() as conn:
        query = _listing(conn, f)
        with conn.execution_options(stream_results=True, yield_per=500).execute(query) as result:
            for row in result:
                yield plain(message_view(row._mapping))


def _listing(conn: Any, f: QueueFilter) -> Select[Any]:
    query = _ordered(conn, _filtered(conn, f), f)
    return query if f.limit is None else query.limit(f.limit)


def _filtered(conn: Any, f: QueueFilter) -> Select[Any]:
    m = messages.c
    query = select(messages).where(~m.own)
    for column, value in (
        (m.status, f.status),
        (m.urgency, f.urgency),
        (m.network, f.network),
    ):
        if value is not None:
            query = query.where(column == value)
    for flag, wanted in ((m.emergency, f.emergency), (m.historical, f.historical)):
        if wanted is not None:
            query = query.where(flag if wanted else ~flag)
    if f.historical is not None:  # says the same once more, by the column that lists are sorted by
        query = query.where(m.priority >= HISTORICAL if f.historical else m.priority < HISTORICAL)
    if f.deleted is not None:
        query = query.where(m.deleted_at.isnot(None) if f.deleted else m.deleted_at.is_(None))
    if f.status not in (None, "new"):
        query = query.where(BEGUN)  # so that its index is seen to fit
    if f.group is not None:
        query = query.where(_equals(conn, m.topic_group, f.group))
    if f.page is not None:
        query = query.where(_under(conn, f.page))
    if f.topic is not None:
        query = query.where(_about(conn, f.topic))
    if f.place is not None:
        query = query.where(_at(conn, fold(f.place.strip())))
    if f.overdue is not None:
        query = query.where(TIMED, m.due_at < utc(f.overdue))
    if f.division is not None:
        query = query.where(m.division == f.division)
    if f.owed is not None:
        query = query.where(_owing(f.owed))
    if f.search is not None and (words := fold(f.search).split()):
        for word in words:
            query = query.where(m.folded.contains(clean(word), autoescape=True))
    return query


def _owing(notice: str) -> ColumnElement[bool]:
    """Whose author is owed this notice: the desk's value is JSON as text, without spaces (`store.tables.Json`)."""
    data = type_coerce(cases.c.data, Text)
    named = or_(data.contains(f'"owed":["{notice}"', autoescape=True), data.like(f'%"owed":["%","{notice}"%'))
    return exists().where(cases.c.message_id == messages.c.id, named)


def _many(conn: Any, query: Select[Any]) -> bool:
    return conn.execute(select(func.count()).select_from(query.limit(_MANY).subquery())).scalar_one() == _MANY


def _equals(conn: Any, column: Any, value: str) -> ColumnElement[bool]:
    same = column == value
    return column.concat("") == value if _many(conn, select(messages.c.id).where(same)) else same


def _about(conn: Any, topic: str) -> ColumnElement[bool]:
    """Of this topic or group. Usually the id names one of them only."""
    kinds = (messages.c.topic, messages.c.topic_group)
    named = [k for k in kinds if conn.execute(select(messages.c.id).where(k == topic).limit(1)).first()]
    return or_(false(), *(_equals(conn, k, topic) for k in named))


def _at(conn: Any, place: str) -> ColumnElement[bool]:
    here = select(places.c.message_id).where(places.c.place == place)
    return here.where(places.c.message_id == messages.c.id).exists() if _many(conn, here) else messages.c.id.in_(here)


def _under(conn: Any, page: str) -> ColumnElement[bool]:
    """Under the posts of this page."""
    networks = select(pages.c.network).where(pages.c.id == page)
    among = (posts.c.network.in_(networks)) & (posts.c.page_id == page)
    if conn.execute(select(func.coalesce(func.sum(posts.c.stored), 0)).where(among)).scalar_one() >= _MANY:
        return messages.c.page_id == page
    key = tuple_(messages.c.network, messages.c.post_id)
    return (messages.c.page_id == page) & key.in_(select(posts.c.network, posts.c.id).where(among))


def _ordered(conn: Any, query: Select[Any], f: QueueFilter) -> Select[Any]:
    m = messages.c
    orders: dict[str, tuple[tuple[Any, ...], bool]] = {
        "queue": (BY_QUEUE, False),
        "due": ((m.due_at, m.id), False),
        "newest": ((m.id,), True),
        "id": ((m.id,), False),
    }
    if f.order not in orders:
        raise ValueError(f"unknown order {f.order!r}")
    keys, descending = orders[f.order]
    if f.after_id is not None:
        last = conn.execute(select(*keys).where(m.id == number(f.after_id))).first()
        if last is None:
            raise NotFound(f"сообщения с номером «{f.after_id}» нет; номера показывает otklik queue")
        mark = tuple_(*(literal(value, key.type) for value, key in zip(last, keys, strict=True)))
        here = tuple_(*keys)
        query = query.where(here < mark if descending else here > mark)
    return query.order_by(*(k.desc() if descending else k for k in keys))
