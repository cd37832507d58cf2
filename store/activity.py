"""How many residents write of what, where, under which page, by the hour; and the rises that were told of.

`activity` holds whole hours of the past weeks, folded once from the messages by the day they were collected. What
came since is read from the messages themselves, so that a run costs what is new and not what is stored. What counts as
a rise is the desk's matter (`desk/surge.py`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import delete, func, insert, select, update

from store.assessing import clean, utc
from store.db import Database, Tx
from store.tables import activity, alerts, messages, meta, micros, pages, spikes
from store.values import SPIKE, Hour, Spike, Subject, Voice
from store.views import alert_view, dump

MARK = "activity.mark"
NORMS = "activity.norms"
SETTLED = timedelta(days=1)
"""So long after collecting a day is folded: late judgements and corrections are in by then."""
_DAY = timedelta(days=1)
_BATCHES = 10  # days folded in one run: an installation with years of messages catches up within hours
_COUNTED = ("required", "refuse")  # thanks and chat are no questions that need solving (clause 17)


# --- who wrote --------------------------------------------------------------------------------------------------------


def _rows(conn: Any, since: datetime, until: datetime | None, listed: datetime, historical: bool) -> Iterator[Any]:
    m = messages.c
    query = (
        select(m.id, m.listed_at, m.network, m.page_id, m.author_id, m.folded, m.topic, m.topic_group, m.assessment)
        .where(~m.own, m.collected_at >= since, m.listed_at >= listed)
        .where(m.deleted_at.is_(None), m.reaction.in_(_COUNTED))
        .order_by(m.listed_at, m.id)
    )
    if until is not None:
        query = query.where(m.collected_at < until)
    if not historical:
        query = query.where(~m.historical)
    yield from conn.execution_options(yield_per=2000).execute(query)


def _voice(row: Any, skip: frozenset[str]) -> Voice:
    who = row.author_id or hashlib.blake2b(row.folded.encode(), digest_size=8).hexdigest()
    if not row.author_id and not row.folded:
        who = f"#{row.id}"  # a photo of somebody unknown is nobody's copy
    places: dict[str, None] = {}
    for place in (row.assessment or {}).get("places") or ():
        for name in (place["name"], *place["parents"]):
            if name not in skip:
                places.setdefault(name)
    return Voice(
        id=str(row.id),
        at=row.listed_at,
        who=f"{row.network}:{who}",
        group=row.topic_group or "",
        topic=row.topic or "",
        places=tuple(places),
        network=row.network,
        page=row.page_id,
    )


def once(voices: Iterable[Voice]) -> Iterator[Voice]:
    """Each author once a day for the same topic and place, whatever the number of copies and pages; in time's order.

    A voice whose author was heard on one of its places only keeps the other places.
    """
    heard: set[tuple[Any, ...]] = set()
    for v in voices:
        day = micros(v.at) // 86_400_000_000
        fresh = []
        for place in ("", *v.places):
            key = (v.who, day, v.group, v.topic, place)
            if key not in heard:
                heard.add(key)
                fresh.append(place)
        if "" in fresh:
            yield Voice(v.id, v.at, v.who, v.group, v.topic, tuple(fresh[1:]), v.network, v.page)
        elif fresh:
            yield Voice(v.id, v.at, v.who, v.group, v.topic, tuple(fresh), v.network, v.page, whole=False)


def recent(db: Database, since: datetime, skip: frozenset[str]) -> list[Voice]:
    """Residents' messages collected since then that need an answer or are to be refused, each author counted once."""
    with db.read() as conn:
        return list(once(_voice(r, skip) for r in _rows(conn, utc(since), None, utc(since), False)))


# --- folding ----------------------------------------------------------------------------------------------------------


def mark(db: Database) -> datetime | None:
    """Up to when messages (by their collecting) are folded."""
    with db.read() as conn:
        found = conn.execute(select(meta.c.value).where(meta.c.name == MARK)).scalar()
    return None if found is None else datetime.fromisoformat(found)


def fold(db: Database, now: datetime, history: timedelta, skip: frozenset[str]) -> bool:
    """Fold whole days that are settled; whether anything was folded. Hours beyond `history` are dropped."""
    now = utc(now)
    at = mark(db)
    afresh = at is not None and at > now + _DAY  # written by a clock that was wrong: what it folded is counted again
    if at is None or afresh:
        with db.read() as conn:
            at = conn.execute(select(func.min(messages.c.collected_at)).where(~messages.c.own)).scalar()
        if at is None:
            return False
    at = max(at, now - history - _DAY)
    begun = at
    for _ in range(_BATCHES):
        until = at + _DAY
        if until > now - SETTLED:
            break
        _fold_day(db, at, until, now, history, skip, afresh=afresh)
        at, afresh = until, False
    return at > begun


def _fold_day(
    db: Database,
    since: datetime,
    until: datetime,
    now: datetime,
    history: timedelta,
    skip: frozenset[str],
    *,
    afresh: bool,
) -> None:
    found: Counter[tuple[Any, ...]] = Counter()
    with db.read() as conn:
        for v in once(_voice(r, skip) for r in _rows(conn, since, until, now - history, True)):
            hour = v.at.replace(minute=0, second=0, microsecond=0)
            for place in (("",) if v.whole else ()) + v.places:
                found[hour, place, v.group, v.topic, v.network, v.page] += 1
    names = ("hour", "place", "grp", "topic", "network", "page_id")

    def work(tx: Tx) -> None:
        if afresh:
            tx.execute(delete(activity))
        for key, n in sorted(found.items()):
            new = tx.insert(activity).values(**dict(zip(names, key, strict=True)), n=n)
            tx.execute(new.on_conflict_do_update(index_elements=list(names), set_={"n": activity.c.n + n}))
        tx.execute(delete(activity).where(activity.c.hour < now - history))
        _keep(tx, MARK, until.isoformat())

    db.transact(work, now)


def _keep(tx: Tx, name: str, value: str) -> None:
    new = tx.insert(meta).values(name=name, value=value)
    tx.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def hours(db: Database, since: datetime) -> Iterator[Hour]:
    """All folded hours from then on, oldest first."""
    query = select(activity).where(activity.c.hour >= utc(since)).order_by(activity.c.hour)
    with db.read() as conn:
        for r in conn.execution_options(yield_per=5000).execute(query):
            yield Hour(r.hour, r.grp, r.topic, r.place, r.network, r.page_id, r.n)


def hours_of(db: Database, subject: Subject, since: datetime) -> dict[datetime, int]:
    """The folded hours of one subject: hour -> how many wrote."""
    a = activity.c
    query = select(a.hour, func.sum(a.n)).where(a.hour >= utc(since), a.place == subject.place).group_by(a.hour)
    for column, value in (
        (a.grp, subject.group),
        (a.topic, subject.topic),
        (a.network, subject.network),
        (a.page_id, subject.page),
    ):
        if value:
            query = query.where(column == value)
    with db.read() as conn:
        return {hour: int(n) for hour, n in conn.execute(query)}


def first_hours(db: Database) -> dict[tuple[str, str], datetime]:
    """Each page -> since when it is watched, or what was read of it begins."""
    a = activity.c
    with db.read() as conn:
        found = {(r.network, r.id): r.first_seen_at for r in conn.execute(select(pages))}
        earliest = select(a.network, a.page_id, func.min(a.hour)).group_by(a.network, a.page_id)
        for network, page, hour in conn.execute(earliest):
            found[network, page] = min(hour, found.get((network, page), hour))
    return found


def save_norms(db: Database, norms: Any, now: datetime) -> None:
    db.transact(lambda tx: _keep(tx, NORMS, orjson.dumps(norms).decode()), utc(now))


def norms(db: Database) -> Any:
    """What `save_norms` kept; None when nothing is."""
    with db.read() as conn:
        found = conn.execute(select(meta.c.value).where(meta.c.name == NORMS)).scalar()
    return None if found is None else orjson.loads(found)


# --- rises ------------------------------------------------------------------------------------------------------------


def told(db: Database, since: datetime) -> list[Spike]:
    """Rises that go on, and those that ended after `since`; oldest first."""
    s = spikes.c
    query = select(spikes).where(s.ended_at.is_(None) | (s.ended_at > utc(since))).order_by(s.alert_id)
    with db.read() as conn:
        return [_spike(r) for r in conn.execute(query)]


def _spike(r: Any) -> Spike:
    return Spike(
        alert_id=str(r.alert_id),
        subject=Subject(r.grp, r.topic, r.place, r.network, r.page_id),
        window_s=r.window_s,
        started_at=r.started_at,
        last_at=r.last_at,
        ended_at=r.ended_at,
        n=r.n,
        usual=r.usual,
        examples=tuple(r.examples or ()),
    )


def without_message(tx: Tx, text: str, *, kind: str | None = None, drill: bool = False) -> dict[str, Any]:
    """Write an alert that is about no single message, with its event; its row."""
    row = {
        "id": tx.allocate("alerts", 1)[0],
        "message_id": None,
        "drill": drill,
        "kind": kind,
        "text": clean(text),
        "created_at": tx.now,
        "escalated_at": None,
        "acknowledged_at": None,
        "acknowledged_by": None,
    }
    tx.execute(insert(alerts).values(**row))
    tx.emit("otklik.alert.raised", None, dump(alert_view(row)))
    return row


def raise_spike(db: Database, spike: Spike, text: str, now: datetime) -> str:
    """An alert of a rise, without a message; its id. `spike.alert_id` is given here."""

    def work(tx: Tx) -> str:
        row = without_message(tx, text, kind=SPIKE)
        s = spike.subject
        values = {"grp": s.group, "topic": s.topic, "place": s.place, "network": s.network, "page_id": s.page}
        values |= {k: getattr(spike, k) for k in ("window_s", "started_at", "last_at", "n", "usual")}
        tx.execute(insert(spikes).values(alert_id=row["id"], **values, examples=list(spike.examples)))
        return str(row["id"])

    return db.transact(work, utc(now))


def still_rising(db: Database, alert_ids: Sequence[str], now: datetime) -> None:
    """These rises went on until now."""
    if alert_ids:
        query = update(spikes).where(spikes.c.alert_id.in_([int(i) for i in alert_ids]))
        db.transact(lambda tx: tx.execute(query.values(last_at=tx.now)), utc(now))


def calm(db: Database, alert_ids: Sequence[str], now: datetime) -> None:
    """These rises are over."""
    if alert_ids:
        query = update(spikes).where(spikes.c.alert_id.in_([int(i) for i in alert_ids]), spikes.c.ended_at.is_(None))
        db.transact(lambda tx: tx.execute(query.values(ended_at=tx.now)), utc(now))


def examples_of(conn: Any, alert_ids: Sequence[int]) -> dict[int, list[int]]:
    """Alert -> ids of the messages that are its examples."""
    query = select(spikes.c.alert_id, spikes.c.examples).where(spikes.c.alert_id.in_(list(alert_ids)))
    return {r.alert_id: [int(i) for i in r.examples or ()] for r in conn.execute(query)}
