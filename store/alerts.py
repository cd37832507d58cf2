"""Alerts: raised in the landing's transaction, delivered at least once, acknowledged by a person, else escalated.

A delivery is claimed before it is tried. A claim whose holder died runs out, and another deliverer tries again; two
deliverers never hold the same one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, literal, select, update

from settings import scrub
from store.activity import examples_of, without_message
from store.assessing import clean, utc
from store.audit import append
from store.clusters import counts_in
from store.db import Database, Tx, rows_in
from store.errors import NotFound
from store.queue import number
from store.tables import Instant, alerts, messages, sendings
from store.values import SPIKE, AlertJob
from store.views import alert_view, dump, message_view, plain


def find(db: Database, states: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Alerts, newest first, each with `message` (None for a drill) and `deliveries`; `states` narrows."""
    with db.read() as conn:
        query = select(alerts).order_by(alerts.c.id.desc())
        if states is not None and "acknowledged" not in states:
            query = query.where(alerts.c.acknowledged_at.is_(None))
        found = [alert_view(r) for r in conn.execute(query).mappings()]
        if states is not None:
            found = [a for a in found if a["state"] in states]
        texts = _messages(conn, [int(a["message_id"]) for a in found if a["message_id"]])
        sent: dict[int, list[dict[str, Any]]] = {}
        for s in rows_in(conn, select(sendings), sendings.c.alert_id, [int(a["id"]) for a in found]):
            sent.setdefault(s.alert_id, []).append(
                {
                    "level": s.level,
                    "channel": s.channel,
                    "attempts": s.attempts,
                    "delivered_at": s.delivered_at,
                    "error": s.error,
                }
            )
    for alert in found:
        alert["message"] = texts.get(int(alert["message_id"])) if alert["message_id"] else None
        alert["deliveries"] = sent.get(int(alert["id"]), [])
    return plain(found)


def _messages(conn: Any, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    return {r.id: plain(message_view(r._mapping)) for r in rows_in(conn, select(messages), messages.c.id, ids)}


def claim(
    db: Database,
    now: datetime,
    claim_s: float,
    channels: Sequence[tuple[str, str]],
    escalate_after_s: float,
    retry_s: float,
    max_attempts: int,
    limit: int = 100,
    only: str | None = None,
) -> list[AlertJob]:
    """What is to be sent now, claimed for `claim_s` seconds. `channels`: (key, "head" | "escalation"); `only`: of this
    alert.

    A failed sending is due again `retry_s` seconds after it was claimed; after `max_attempts` tries every hour only,
    but it is never given up: an alert ends by being acknowledged. Escalation channels get an alert that nobody
    acknowledged for `escalate_after_s` seconds. Acknowledged alerts are over.
    """

    def work(tx: Tx) -> list[AlertJob]:
        won: list[tuple[int, str, str, int]] = []
        for key, level in channels:
            wait = timedelta(seconds=escalate_after_s) if level == "escalation" else timedelta(0)
            ids = _due(tx, key, level, wait, limit - len(won), only)
            won += _claimed(tx, key, level, ids, claim_s, retry_s, max_attempts)
        if not won:
            return []
        _escalated(tx, sorted({id_ for id_, level, _, _ in won if level == "escalation"}))
        rows = {r.id: r for r in rows_in(tx.conn, select(alerts), alerts.c.id, sorted({w[0] for w in won}))}
        about = [r.message_id for r in rows.values() if r.message_id is not None]
        examples = examples_of(tx.conn, [r.id for r in rows.values() if r.kind == SPIKE])
        texts = _messages(tx.conn, sorted({*about, *(i for listed in examples.values() for i in listed)}))
        asking = {i: counts_in(tx.conn, i) for i in about}
        return [
            AlertJob(
                alert_id=str(id_),
                level=level,
                channel_key=key,
                attempt=attempt,
                message=texts.get(rows[id_].message_id),
                drill=rows[id_].drill,
                created_at=rows[id_].created_at,
                text=rows[id_].text,
                kind=rows[id_].kind,
                asking=asking.get(rows[id_].message_id),
                examples=tuple(
                    texts[i] for i in examples.get(id_, ()) if i in texts and texts[i]["deleted_at"] is None
                ),
            )
            for id_, level, key, attempt in won
        ]

    return db.transact(work, utc(now))


SLOW = timedelta(hours=1)
WRONG = timedelta(hours=6)  # a time so far ahead was written by a clock that was wrong


def _open_sending(now: datetime) -> Any:
    s = sendings.c
    free = (s.claimed_until <= now) | (s.claimed_until > now + WRONG)
    due = (s.next_try_at <= now) | (s.next_try_at > now + WRONG)
    return s.delivered_at.is_(None) & free & due


def _due(tx: Tx, key: str, level: str, wait: timedelta, limit: int, only: str | None) -> list[int]:
    mine = (sendings.c.alert_id == alerts.c.id) & (sendings.c.level == level) & (sendings.c.channel == key)
    query = (
        select(alerts.c.id)
        .join_from(alerts, sendings, mine, isouter=True)
        .where(alerts.c.acknowledged_at.is_(None))
        .where(sendings.c.alert_id.is_(None) | _open_sending(tx.now))
        .order_by(alerts.c.id)
        .limit(max(limit, 0))
    )
    if only is not None:
        query = query.where(alerts.c.id == number(only, "тревоги"))
    if wait:  # without one nothing depends on what the clock said when the alert was raised
        query = query.where((alerts.c.created_at <= tx.now - wait) | (alerts.c.created_at > tx.now + WRONG))
    return list(tx.execute(query).scalars())


def _claimed(
    tx: Tx, key: str, level: str, ids: Sequence[int], claim_s: float, retry_s: float, max_attempts: int
) -> list[tuple[int, str, str, int]]:
    """The claim itself is one conditional write a row: of two deliverers that saw the same, one gets it."""
    if not ids:
        return []
    retry = timedelta(seconds=retry_s)
    claim = {
        "attempts": sendings.c.attempts + 1,
        "claimed_until": tx.now + timedelta(seconds=claim_s),
        "next_try_at": case(
            (sendings.c.attempts + 1 >= max_attempts, literal(tx.now + max(SLOW, retry), Instant())),
            else_=literal(tx.now + retry, Instant()),
        ),
    }
    rows = [
        {
            "alert_id": i,
            "level": level,
            "channel": key,
            "attempts": 1,
            "claimed_until": claim["claimed_until"],
            "next_try_at": tx.now + retry,
        }
        for i in ids
    ]
    query = tx.insert(sendings).on_conflict_do_update(
        index_elements=["alert_id", "level", "channel"], set_=claim, where=_open_sending(tx.now)
    )
    won = tx.execute(query.returning(sendings.c.alert_id, sendings.c.attempts), rows)
    return [(r.alert_id, level, key, r.attempts) for r in won]


def _escalated(tx: Tx, ids: Sequence[int]) -> None:
    if not ids:
        return
    first = update(alerts).where(alerts.c.id.in_(ids), alerts.c.escalated_at.is_(None)).values(escalated_at=tx.now)
    for row in tx.execute(first.returning(*alerts.c)).mappings().all():
        tx.emit("otklik.alert.escalated", row["message_id"], dump(alert_view(row)))


def result(db: Database, job: AlertJob, ok: bool, error: str | None, now: datetime) -> None:
    """How a claimed sending went. A failure frees the claim; the next try is due after the claim's `retry_s`."""
    s = sendings.c
    query = update(sendings).where(
        s.alert_id == number(job.alert_id, "тревоги"), s.level == job.level, s.channel == job.channel_key
    )
    if ok:
        # A late success of an expired claim counts all the same: the Head has been told.
        query = query.values(delivered_at=utc(now), error=None)
    else:
        text = None if error is None else clean(scrub(error))[:500]
        query = query.where(s.attempts == job.attempt, s.delivered_at.is_(None)).values(
            claimed_until=utc(now), error=text
        )
    db.transact(lambda tx: tx.execute(query), utc(now))


def release(db: Database, job: AlertJob, now: datetime) -> None:
    """A claimed sending that was not tried after all: it cost no attempt; its next turn is that of a failed one."""
    s = sendings.c
    query = (
        update(sendings)
        .where(
            s.alert_id == number(job.alert_id, "тревоги"),
            s.level == job.level,
            s.channel == job.channel_key,
            s.attempts == job.attempt,
            s.delivered_at.is_(None),
        )
        .values(attempts=s.attempts - 1, claimed_until=utc(now))
    )
    db.transact(lambda tx: tx.execute(query), utc(now))


def delays(db: Database, since: datetime | None = None, until: datetime | None = None) -> list[dict[str, Any]]:
    """When each alert was raised, delivered through each channel, acknowledged; oldest first. Times are datetimes.

    Fields: those of an alert's row; `published_at`, `collected_at`, `url`, `assessment` of its message (None without
    one); `sendings`: `level`, `channel`, `attempts`, `delivered_at`, `error`. Emergencies of the archive have none.
    """
    m = messages.c
    query = (
        select(alerts, m.published_at, m.collected_at, m.url, m.assessment)
        .join_from(alerts, messages, m.id == alerts.c.message_id, isouter=True)
        .order_by(alerts.c.id)
    )
    if since is not None:
        query = query.where(alerts.c.created_at >= utc(since))
    if until is not None:
        query = query.where(alerts.c.created_at < utc(until))
    with db.read() as conn:
        found = [{**r, "sendings": []} for r in conn.execute(query).mappings()]
        by_id = {a["id"]: a for a in found}
        for s in rows_in(conn, select(sendings), sendings.c.alert_id, list(by_id)):
            fields = ("level", "channel", "attempts", "delivered_at", "error")
            by_id[s.alert_id]["sendings"].append({k: getattr(s, k) for k in fields})
    for a in found:
        a["sendings"].sort(key=lambda s: (s["level"] != "head", s["channel"]))
    return found


def acknowledge(db: Database, id_: str, by: str, now: datetime) -> dict[str, Any]:
    """A person takes the alert over: nothing more is sent. The first one who does is remembered."""
    wanted = number(id_, "тревоги")

    def work(tx: Tx) -> dict[str, Any]:
        row = tx.execute(tx.lock(select(alerts).where(alerts.c.id == wanted))).mappings().first()
        if row is None:
            raise NotFound(f"тревоги с номером «{id_}» нет; номера показывает otklik alerts")
        if row["acknowledged_at"] is not None:
            return plain(alert_view(row))
        values = {"acknowledged_at": tx.now, "acknowledged_by": clean(by)}
        tx.execute(update(alerts).where(alerts.c.id == wanted).values(**values))
        view = alert_view({**row, **values})
        append(tx, by, "acknowledge", row["message_id"], "", "", {"alert": str(wanted)})
        tx.emit("otklik.alert.acknowledged", row["message_id"], dump(view))
        return plain(view)

    return db.transact(work, utc(now))


def drill(db: Database, text: str, now: datetime, by: str = "cli") -> str:
    """An alert without a message that goes the same way; its id. `by`: who practises."""

    def work(tx: Tx) -> str:
        row = without_message(tx, text, drill=True)
        append(tx, by, "drill", None, "", "", {"alert": str(row["id"])})
        return str(row["id"])

    return db.transact(work, utc(now))
