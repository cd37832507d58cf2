"""Judging old messages anew, in batches that survive a kill: each one moves the mark of the run in its transaction.

What a person said stays, clocks that run go on, the replaced assessment goes to the history. An alert is raised only
for a message that is newly an emergency and recent; the rest waits in the queue, on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update

from store.assessing import alerted_among, merged, message_event, raise_alerts, reassess, utc
from store.db import Database, Tx, rows_in
from store.repeats import Asking, link
from store.tables import messages, messages_of_pages, meta, pages
from store.values import Assessment, Judgeable, Reassessed, Reassessing

_MARK = "reassess"


def _wanted(run: Reassessing) -> ColumnElement[bool]:
    m = messages.c
    found = [~m.own, m.deleted_at.is_(None), m.assessed_at.isnot(None), m.assessment.isnot(None), m.erased_at.is_(None)]
    if run.since is not None:
        found.append(m.collected_at >= utc(run.since))
    if not run.historical:
        found.append(~m.historical)
    return and_(*found)


def _name(run: Reassessing) -> str:
    """Tells one run from another: what was begun with other options is not continued."""
    return orjson.dumps([run.model, run.since, run.historical, run.again], option=orjson.OPT_UTC_Z).decode()


def mark(db: Database, run: Reassessing) -> str:
    """Behind which message the same run was broken off; "0": at the beginning."""
    with db.read() as conn:
        value = conn.execute(select(meta.c.value).where(meta.c.name == _MARK)).scalar()
    found = orjson.loads(value) if value else {}
    return str(found["after"]) if found.get("run") == _name(run) else "0"


def count(db: Database, run: Reassessing, after: str = "0") -> int:
    """How many messages the run looks at behind `after`."""
    with db.read() as conn:
        return conn.execute(select(func.count()).where(_wanted(run), messages.c.id > int(after))).scalar_one()


def judgeable(db: Database, run: Reassessing, after: str, limit: int) -> list[Judgeable]:
    """The next messages of the run behind message `after`, oldest first; also those that need no new look."""
    m = messages.c
    query = (
        select(m.id, m.text, m.attachments, m.page_id, m.collected_at, m.assessment, m.corrected, pages.c.title)
        .select_from(messages_of_pages)
        .where(_wanted(run), m.id > int(after))
        .order_by(m.id)
        .limit(limit)
    )
    with db.read() as conn:
        return [
            Judgeable(
                message_id=str(r.id),
                text=r.text,
                page=r.title or r.page_id,
                collected_at=r.collected_at,
                attachments=tuple(a["kind"] for a in r.attachments or ()),
                assessment=r.assessment,
                corrected=frozenset((r.corrected or {}).get("fields", ())),
            )
            for r in conn.execute(query)
        ]


Item = tuple[Judgeable, Assessment, Mapping[str, datetime]]
"""What was judged, what is said of it now, and the clocks it gets if it has none yet."""


def apply(
    db: Database, run: Reassessing, items: Sequence[Item], after: str, now: datetime, alert_since: datetime
) -> Reassessed:
    """Keep the new assessments and move the run's mark to message `after`, in one transaction."""
    wanted = {int(item.message_id): (item, said, clocks) for item, said, clocks in items}
    since = utc(alert_since)

    def work(tx: Tx) -> Reassessed:
        query = tx.lock(select(messages).where(messages.c.deleted_at.is_(None)).order_by(messages.c.id))
        rows = [dict(r._mapping) for r in rows_in(tx.conn, query, messages.c.id, sorted(wanted))]
        alerted = alerted_among(tx, [r["id"] for r in rows])
        changed = 0
        emergencies: list[dict[str, Any]] = []
        to_alert: list[dict[str, Any]] = []
        asking: list[Asking] = []
        for row in rows:
            item, said, clocks = wanted[row["id"]]
            before = row["assessment"]
            if before is None or row["assessed_at"] is None or row["text"] != item.text:
                continue  # edited meanwhile: whoever landed the edit judges it
            asking.append(asked := Asking(row, said.signature))
            fields = merged(row, said, text_changed=False, alerted=row["id"] in alerted)
            if fields == before:
                continue
            if {**fields, "model": before["model"]} == before:  # the same verdict by another model: nothing to tell
                tx.execute(update(messages).where(messages.c.id == row["id"]).values(assessment=fields))
                continue
            open_ = row["status"] == "new" and row["acked_at"] is None
            values = reassess(tx, row, said, clocks if open_ else {}, text_changed=False, alerted=row["id"] in alerted)
            tx.execute(update(messages).where(messages.c.id == row["id"]).values(**values))
            row.update(values)
            asked.events.append(message_event(tx, "assessed", row))
            changed += 1
            if fields["emergency"] and not before["emergency"]:
                emergencies.append(row)
                if not row["historical"] and row["listed_at"] >= since and row["id"] not in alerted:
                    to_alert.append((row["id"], fields["emergency_kind"]))
        _move(tx, run, after)
        alerts = raise_alerts(tx, to_alert)
        link(tx, asking)
        return Reassessed(len(rows), changed, len(emergencies), alerts)

    return db.transact(work, utc(now))


def finish(db: Database, now: datetime) -> None:
    """The run came to its end: the next one begins anew."""
    db.transact(lambda tx: tx.execute(delete(meta).where(meta.c.name == _MARK)), utc(now))


def _move(tx: Tx, run: Reassessing, after: str) -> None:
    value = orjson.dumps({"run": _name(run), "after": int(after)}).decode()
    done = tx.execute(update(meta).where(meta.c.name == _MARK).values(value=value))
    if not done.rowcount:
        tx.execute(insert(meta).values(name=_MARK, value=value))
