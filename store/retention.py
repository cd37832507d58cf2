"""Retention: what is kept longer than its kind allows is erased, in small steps that a run can afford.

Messages are looked at in the order of their numbers, which is that of collecting; a mark in `meta` says how far a round
has come. A message that somebody still works on is passed by, the next round looks at it again. Events and the audit
log lose their beginning, so that what is left is still without a gap (`store.soundness`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from store import audit as log
from store import events as feed
from store.assessing import utc
from store.db import Database, Tx, rows_in
from store.personal import NOBODY, change, erase_words, is_open, without_author, without_words
from store.seals import make_key
from store.tables import (
    NEVER,
    alerts,
    audit,
    calls,
    cases,
    coverage,
    events,
    messages,
    meta,
    pages,
    replies,
    revisions,
    runs,
    seen,
    sendings,
)
from store.values import SETTLED, Retention

_MARK = "sweep"
KINDS = tuple(Retention.__slots__)


def step(db: Database, terms: Retention, now: datetime, rows: int = 500) -> tuple[dict[str, int], bool]:
    """One step: at most `rows` rows of each kind are looked at. (What was erased, whether a round came to its end)."""
    now = utc(now)
    done: Counter[str] = Counter()
    ended = _messages_step(db, terms, now, rows, done)
    for kind, erase in _REST.items():
        if (at := _before(now, getattr(terms, kind))) is not None:
            done[kind], more = db.transact(lambda tx, erase=erase, at=at: erase(tx, at, rows), now)
            ended = ended and not more
    return {k: v for k, v in done.items() if v}, ended


def sweep(db: Database, terms: Retention, now: datetime, rows: int = 2000) -> dict[str, int]:
    """Steps until a whole round has nothing more to erase."""
    db.transact(lambda tx: _move(tx, 0), utc(now))
    total: Counter[str] = Counter()
    ended = False
    while not ended:
        found, ended = step(db, terms, now, rows)
        total.update(found)
    return dict(total)


def _before(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now - timedelta(seconds=seconds)


# --- messages ---------------------------------------------------------------------------------------------------------


def overdue(row: Mapping[str, Any], terms: Retention, now: datetime) -> tuple[bool, bool]:
    """(its words are to be erased, its author's data is): of a message that nobody works on."""
    if row["forgotten_at"] is not None or is_open(row):
        return False, False
    last = max(row["collected_at"], row["edited_at"] or row["collected_at"])
    text, authors, deleted = (_before(now, getattr(terms, kind)) for kind in ("text", "authors", "deleted"))
    old = text is not None and last < text
    gone = deleted is not None and row["deleted_at"] is not None and row["deleted_at"] < deleted
    words = (old or gone) and row["erased_at"] is None
    return words, authors is not None and last < authors and row["author"] not in (None, NOBODY)


def _shortest(terms: Retention, now: datetime) -> datetime | None:
    """Nothing collected since has anything to erase."""
    known = [t for t in (terms.text, terms.authors, terms.deleted) if t is not None]
    return now - timedelta(seconds=min(known)) if known else None


def _messages_step(db: Database, terms: Retention, now: datetime, rows: int, done: Counter[str]) -> bool:
    """Look at the next messages of the round; True when it came to its end."""
    until = _shortest(terms, now)
    if until is None:
        return True
    m = messages.c
    with db.read() as conn:
        told = conn.execute(select(meta.c.value).where(meta.c.name == _MARK)).scalar()
        after = int(told or 0)
        query = select(m.id, m.collected_at).where(m.id > after).order_by(m.id).limit(rows)
        ahead = [r.id for r in conn.execute(query) if r.collected_at < until]
    if not ahead:
        if after:
            db.transact(lambda tx: _move(tx, 0), now)
        return True

    def work(tx: Tx) -> None:
        found = tx.lock(select(messages).where(or_(*_perhaps(terms, now))).order_by(m.id))
        if tx.is_sqlite:
            tx.conn.exec_driver_sql("PRAGMA secure_delete=ON")  # what is erased is overwritten, not only set free
        waiting = _needed(tx.conn)
        for row in [dict(r._mapping) for r in rows_in(tx.conn, found, m.id, ahead)]:
            words, author = (False, False) if row["id"] in waiting else overdue(row, terms, now)
            values: dict[str, Any] = {}
            if words:
                erase_words(tx, [row["id"]], replies_too=False)
                values |= without_words(row, make_key(tx), now)
                done["text" if row["deleted_at"] is None else "deleted"] += 1
            if author:
                values |= without_author({**row, **values})
                done["authors"] += 1
            if values:
                change(tx, row["id"], values)
        _move(tx, ahead[-1])

    db.transact(work, now)
    return False


def _needed(conn: Any) -> set[int]:
    """Messages whose alert nobody took over yet, or by which an author is still blocked."""
    waiting = select(alerts.c.message_id).where(alerts.c.acknowledged_at.is_(None))
    blocked = select(cases.c.message_id).where(cases.c.blocked_until.isnot(None))
    return {*conn.execute(waiting).scalars(), *conn.execute(blocked).scalars()}


def _perhaps(terms: Retention, now: datetime) -> list[ColumnElement[bool]]:
    """What `overdue` may be true of, as far as columns tell."""
    m = messages.c
    found: list[ColumnElement[bool]] = []
    if (at := _before(now, terms.text)) is not None:
        found.append((m.collected_at < at) & m.erased_at.is_(None))
    if (at := _before(now, terms.deleted)) is not None:
        found.append((m.deleted_at < at) & m.erased_at.is_(None))
    if (at := _before(now, terms.authors)) is not None:
        found.append((m.collected_at < at) & m.forgotten_at.is_(None))
    return found


def _move(tx: Tx, after: int) -> None:
    row = tx.insert(meta).values(name=_MARK, value=str(after))
    tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": str(after)}))


# --- the rest ---------------------------------------------------------------------------------------------------------

# Each erases what is older than `at`, about `rows` rows of it: how much, and whether there may be more.


def _settled() -> Any:
    """Messages that nobody works on: the same as `not is_open`, as SQL."""
    m = messages.c
    untouched = (m.status == "new") & ((m.due_at >= NEVER) | m.acked_at.isnot(None) | m.deleted_at.isnot(None))
    return m.own | (m.status.in_(SETTLED) & (m.due_at >= NEVER)) | untouched


def _old_events(tx: Tx, at: datetime, rows: int) -> tuple[int, bool]:
    head = tx.execute(select(events.c.seq, events.c.time).order_by(events.c.seq).limit(rows)).all()
    cut = next((i for i, row in enumerate(head) if row.time >= at), len(head))
    if not cut:
        return 0, False
    return feed.drop_before(tx, head[cut - 1].seq + 1), cut == rows


def _old_audit(tx: Tx, at: datetime, rows: int) -> tuple[int, bool]:
    """From the beginning up to the first entry that is young enough or about a message somebody works on."""
    head = tx.execute(select(audit.c.seq, audit.c.at, audit.c.message_id).order_by(audit.c.seq).limit(rows)).all()
    ids = sorted({r.message_id for r in head if r.message_id is not None and r.at < at})
    open_ = {r.id for r in rows_in(tx.conn, select(messages.c.id).where(~_settled()), messages.c.id, ids)}
    cut = next((i for i, row in enumerate(head) if row.at >= at or row.message_id in open_), len(head))
    if not cut:
        return 0, False
    return log.drop_before(tx, head[cut - 1].seq + 1), cut == rows


def _old_revisions(tx: Tx, at: datetime, rows: int) -> tuple[int, bool]:
    settled = select(messages.c.id).where(messages.c.id == revisions.c.message_id, _settled()).exists()
    old = select(revisions.c.message_id, revisions.c.n).where(revisions.c.replaced_at < at, settled).limit(rows)
    found = tx.execute(old).all()
    for row in found:
        tx.execute(delete(revisions).where(revisions.c.message_id == row.message_id, revisions.c.n == row.n))
    return len(found), len(found) == rows


def _old_replies(tx: Tx, at: datetime, rows: int) -> tuple[int, bool]:
    settled = select(messages.c.id).where(messages.c.id == replies.c.message_id, _settled()).exists()
    here = (replies.c.changed_at < at) & (replies.c.text != "") & settled
    found = tx.execute(select(replies.c.message_id, replies.c.n).where(here).limit(rows)).all()
    for row in found:
        one = (replies.c.message_id == row.message_id) & (replies.c.n == row.n)
        tx.execute(update(replies).where(one).values(text=""))
    return len(found), len(found) == rows


def _old_alerts(tx: Tx, at: datetime, rows: int) -> tuple[int, bool]:
    """What was sent where, and the words of drills; that there was an alert stays with its message."""
    old = (alerts.c.created_at < at) & alerts.c.acknowledged_at.isnot(None)
    sent = select(sendings.c.alert_id).where(sendings.c.alert_id == alerts.c.id).exists()
    ids = tx.execute(select(alerts.c.id).where(old, sent | (alerts.c.text != "")).limit(rows)).scalars().all()
    if ids:
        tx.execute(delete(sendings).where(sendings.c.alert_id.in_(ids)))
        tx.execute(update(alerts).where(alerts.c.id.in_(ids)).values(text=""))
    return len(ids), len(ids) == rows


def _old_coverage(tx: Tx, at: datetime, rows: int) -> tuple[int, bool]:
    """Records of runs; each page keeps its last one."""
    last = select(pages.c.last_coverage).where(pages.c.last_coverage == coverage.c.id).exists()
    ids = tx.execute(select(coverage.c.id).where(coverage.c.finished_at < at, ~last).limit(rows)).scalars().all()
    if ids:
        tx.execute(delete(coverage).where(coverage.c.id.in_(ids)))
    tx.execute(delete(runs).where(runs.c.started_at < at))
    tx.execute(delete(calls).where(calls.c.day < at.date().isoformat()))
    return len(ids), len(ids) == rows


def _old_access(tx: Tx, at: datetime, rows: int) -> tuple[int, bool]:
    edge = tx.execute(select(seen.c.at).where(seen.c.at < at).order_by(seen.c.at).limit(1).offset(rows)).scalar()
    gone = tx.execute(delete(seen).where(seen.c.at < (edge or at))).rowcount
    return gone, edge is not None


_REST = {
    "events": _old_events,
    "audit": _old_audit,
    "revisions": _old_revisions,
    "replies": _old_replies,
    "alerts": _old_alerts,
    "coverage": _old_coverage,
    "access": _old_access,
}


# --- asking -----------------------------------------------------------------------------------------------------------


def due(db: Database, terms: Retention, now: datetime) -> dict[str, int]:
    """What a whole sweep would erase now, by kind; nothing is written."""
    now = utc(now)
    found: Counter[str] = Counter()
    m = messages.c
    with db.read() as conn:
        waiting = _needed(conn)
        if perhaps := _perhaps(terms, now):
            for row in conn.execution_options(yield_per=500).execute(select(messages).where(or_(*perhaps))).mappings():
                if row["id"] in waiting:
                    continue
                words, author = overdue(row, terms, now)
                found["text" if row["deleted_at"] is None else "deleted"] += words
                found["authors"] += author

        def count(kind: str, query: Any) -> None:
            at = _before(now, getattr(terms, kind))
            if at is not None:
                found[kind] += conn.execute(query(at)).scalar_one()

        n = func.count()
        about = select(m.id).where(_settled())
        count("events", lambda at: select(n).select_from(events).where(events.c.time < at))
        count("audit", lambda at: select(n).select_from(audit).where(audit.c.at < at))
        count(
            "revisions",
            lambda at: (
                select(n).select_from(revisions).where(revisions.c.replaced_at < at, revisions.c.message_id.in_(about))
            ),
        )
        count(
            "replies",
            lambda at: (
                select(n)
                .select_from(replies)
                .where(replies.c.changed_at < at, replies.c.text != "", replies.c.message_id.in_(about))
            ),
        )
        count(
            "alerts",
            lambda at: (
                select(n)
                .select_from(alerts)
                .where(
                    alerts.c.created_at < at,
                    alerts.c.acknowledged_at.isnot(None),
                    alerts.c.id.in_(select(sendings.c.alert_id)) | (alerts.c.text != ""),
                )
            ),
        )
        kept = select(pages.c.last_coverage).where(pages.c.last_coverage.isnot(None))
        count(
            "coverage",
            lambda at: select(n).select_from(coverage).where(coverage.c.finished_at < at, coverage.c.id.not_in(kept)),
        )
        count("access", lambda at: select(n).select_from(seen).where(seen.c.at < at))
    return {kind: found[kind] for kind in KINDS if found[kind]}
