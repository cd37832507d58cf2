"""The queue: one message whole, a person's corrections, leases for consumers. Lists are `store.lists`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from settings import USAGE
from store.assessing import (
    DONE,
    HISTORICAL,
    alerted_among,
    clean,
    columns,
    expand,
    raise_alerts,
    remember,
    ring_again,
    set_places,
    stays_done,
    utc,
)
from store.audit import corrected
from store.db import Database, Tx, chunks, rows_in
from store.errors import NotFound, NotHeld, StoreError
from store.tables import WAITING, alerts, judgements, messages, revisions
from store.values import Place
from store.views import BLANK, alert_view, message_view, plain

Clocks = Callable[[Mapping[str, Any], Mapping[str, datetime]], Mapping[str, datetime]]
BY_QUEUE = (messages.c.priority, messages.c.due_at, messages.c.listed_at, messages.c.id)
_CORRECTABLE = frozenset(BLANK) - {"model"}
_ALLOWED = {
    "urgency": ("urgent", "prompt", None),
    "reaction": ("required", "none", "refuse"),
    "emergency": (True, False),
}


GONE = "автор сообщения {} забыт по его требованию; с ним больше не работают"


def number(id_: str | int, what: str = "сообщения") -> int:
    """The number behind an id that came from outside."""
    text = str(id_).strip()
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    raise NotFound(f"{what} с номером «{clean(text)[:40]}» нет; номера показывает список")


# --- one message, whole -----------------------------------------------------------------------------------------------


def show(db: Database, id_: str, *, full: bool = False) -> dict[str, Any]:
    """One message; `full` adds `revisions` (older texts), `history` (assessments, the present one last), `corrected`
    (by whom, when, which fields), `alerts` and `delivery` (who leased or took it)."""
    wanted = number(id_)
    with db.read() as conn:
        row = conn.execute(select(messages).where(messages.c.id == wanted)).mappings().first()
        if row is None:
            raise NotFound(f"сообщения с номером «{id_}» нет; номера показывает otklik queue")
        found = message_view(row)
        if full:
            old = conn.execute(select(revisions).where(revisions.c.message_id == wanted).order_by(revisions.c.n))
            found["revisions"] = [
                {
                    "text": r.text,
                    "attachments": r.attachments or [],
                    "edited_at": r.edited_at,
                    "replaced_at": r.replaced_at,
                }
                for r in old
            ]
            said = conn.execute(select(judgements).where(judgements.c.message_id == wanted).order_by(judgements.c.n))
            found["history"] = [{"by": r.by, "at": r.at, "assessment": r.assessment} for r in said]
            if row["assessment"] is not None:
                person = row["corrected"] or {}
                found["history"].append(
                    {
                        "by": person.get("by", "classifier"),
                        "at": person.get("at", row["assessed_at"]),
                        "assessment": row["assessment"],
                    }
                )
            found["corrected"] = row["corrected"]
            found["erased_at"] = row["erased_at"]
            found["forgotten_at"] = row["forgotten_at"]
            raised = conn.execute(select(alerts).where(alerts.c.message_id == wanted)).mappings()
            found["alerts"] = [alert_view(r) for r in raised]
            found["delivery"] = {
                "consumer": row["lease_by"],
                "lease_until": row["lease_until"],
                "acked_at": row["acked_at"],
            }
    return plain(found)


# --- a person's word --------------------------------------------------------------------------------------------------


def correct(
    db: Database, id_: str, changes: Mapping[str, Any], *, by: str, now: datetime, clocks: Clocks | None = None
) -> dict[str, Any]:
    """Replace fields of the assessment by a person's word: the classifier never overwrites them again.

    `changes`: fields of an assessment; a place is a name, a `Place` or a dict like those of `classify --json`.
    `clocks` (the corrected message, its deadlines so far) -> its deadlines from now on; without it they stay.
    Raises `NotFound`; `StoreError` for a field or value that isn't one.
    """
    wanted = number(id_)
    said = _said(changes)

    def work(tx: Tx) -> dict[str, Any]:
        found = tx.execute(tx.lock(select(messages).where(messages.c.id == wanted))).mappings().first()
        if found is None:
            raise NotFound(f"сообщения с номером «{id_}» нет; номера показывает otklik queue")
        row = dict(found)
        if row["own"]:
            raise StoreError(f"сообщение {id_} написала сама администрация; его не оценивают", exit_code=USAGE)
        if row["forgotten_at"] is not None:
            raise StoreError(GONE.format(id_), exit_code=USAGE)
        if row["assessment"] is not None:
            remember(tx, row)
        # An unassessed message that a person judges gets the plain defaults of an assessment for the rest.
        start = row["assessment"] or {**BLANK, "topic_confidence": 0.0, "reaction": "required", "model": ""}
        fields = {**start, **said}
        if fields["emergency"] is False:
            fields["emergency_kind"] = None
        if {"topic", "topic_group"} & said.keys():
            fields["topic_confidence"] = 1.0
        before = (row["corrected"] or {}).get("fields", [])
        running = {k: datetime.fromisoformat(v) for k, v in (row["deadlines"] or {}).items()}
        if clocks is not None:
            running = {k: utc(v) for k, v in clocks(message_view({**row, "assessment": fields}), running).items()}
        person = {"by": clean(by), "at": tx.now, "fields": sorted(expand([*before, *said]))}
        if calmed := _calmed_by(row, fields, by):
            person["calmed_by"] = calmed
        values = {
            **columns(fields, running, row["historical"]),
            "assessed_at": row["assessed_at"] or tx.now,
            "corrected": person,
        }
        if stays_done(row, fields):
            values["priority"] = DONE
        tx.execute(update(messages).where(messages.c.id == wanted).values(**values))
        set_places(tx, wanted, fields)
        newly = fields["emergency"] and not row["emergency"]
        row.update(values)
        corrected(tx, row, by, "correct", _told(said))
        if row["emergency"] and not alerted_among(tx, [wanted]):
            raise_alerts(tx, [(row["id"], row["assessment"]["emergency_kind"])])
        elif newly:
            ring_again(tx, row)
        return plain(message_view(row))

    return db.transact(work, utc(now))


def _calmed_by(row: Mapping[str, Any], fields: Mapping[str, Any], by: str) -> str | None:
    """Who said that a message is no emergency after all, or that one which nobody had judged is none: what follows from
    it needs another person (clause 9, 17)."""
    if fields["emergency"]:
        return None
    if row["emergency"] or row["assessment"] is None:
        return clean(by)
    return (row["corrected"] or {}).get("calmed_by")


def _told(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the log keeps of a correction."""
    names = ("topic", "topic_group", "urgency", "emergency", "emergency_kind", "reaction", "conduct")
    told = {k: said[k] for k in names if k in said}
    return {**told, "places": [p["name"] for p in said["places"]]} if "places" in said else told


def _said(changes: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(changes) - _CORRECTABLE)
    if unknown or not changes:
        raise StoreError(
            f"нельзя исправить {', '.join(unknown) or 'ничего'}; можно: {', '.join(sorted(_CORRECTABLE))}",
            exit_code=USAGE,
        )
    for name, allowed in _ALLOWED.items():
        if name in changes and changes[name] not in allowed:
            raise StoreError(
                f"{name}: допустимо {', '.join(str(a) for a in allowed)}, а не {changes[name]}", exit_code=USAGE
            )
    said = dict(changes)
    if "places" in said:
        said["places"] = [_place(p) for p in said["places"]]
    for name in ("conduct", "reasons"):
        if name in said:
            said[name] = [clean(str(v)) for v in said[name]]
    return said


def _place(value: Any) -> dict[str, Any]:
    blank = {"name": "", "kind": "", "parents": [], "lat": None, "lon": None, "span": None, "confidence": 1.0}
    if isinstance(value, Place):
        return {k: list(v) if isinstance(v := getattr(value, k), tuple) else v for k in blank}
    if isinstance(value, Mapping):
        return {**blank, **{k: value[k] for k in blank if k in value}, "parents": list(value.get("parents") or ())}
    return {**blank, "name": clean(str(value))}


# --- leases -----------------------------------------------------------------------------------------------------------


def take(
    db: Database, consumer: str, limit: int, lease_s: float, now: datetime, *, historical: bool = False
) -> list[dict[str, Any]]:
    """Lease up to `limit` messages to `consumer` for `lease_s` seconds, in the order of the queue.

    Nobody else gets them until the lease runs out; deleted ones are not handed over, those from before the first sight
    of their page only with `historical`.
    """

    def work(tx: Tx) -> list[dict[str, Any]]:
        m = messages.c
        free = m.lease_until.is_(None) | (m.lease_until <= tx.now)
        query = select(messages).where(WAITING, free).order_by(*BY_QUEUE).limit(limit)
        if not historical:
            query = query.where(m.priority < HISTORICAL)
        if not tx.is_sqlite:
            query = query.with_for_update(skip_locked=True)
        rows = tx.execute(query).mappings().all()
        lease = {"lease_by": clean(consumer), "lease_until": tx.now + timedelta(seconds=lease_s)}
        _set(tx, [r["id"] for r in rows], lease)
        return [plain(message_view(r)) for r in rows]

    return db.transact(work, utc(now))


def _set(tx: Tx, ids: Sequence[int], values: Mapping[str, Any]) -> None:
    """The same values for all these messages, as many at a time as a statement may have parameters."""
    for part in chunks(ids):
        tx.execute(update(messages).where(messages.c.id.in_(part)).values(**values))


def ack(db: Database, ids: Sequence[str], consumer: str, now: datetime) -> int:
    """The consumer has the messages for good: nobody gets them again. Repeating it does no harm.

    Raises `NotHeld` naming the ids that are another's or nobody's; the rest is done all the same.
    """
    return _end_leases(db, ids, consumer, now, done=True)


def nack(db: Database, ids: Sequence[str], consumer: str | None, now: datetime) -> int:
    """Give leased messages back at once; `consumer` None: whoever holds them. Errors as in `ack`."""
    return _end_leases(db, ids, consumer, now, done=False)


def _end_leases(db: Database, ids: Sequence[str], consumer: str | None, now: datetime, *, done: bool) -> int:
    wanted = {number(i): str(i) for i in ids}
    name = None if consumer is None else clean(consumer)

    def work(tx: Tx) -> tuple[int, list[str]]:
        m = messages.c
        query = tx.lock(select(m.id, m.lease_by, m.acked_at).where(~m.own).order_by(m.id))
        rows = {r.id: r for r in rows_in(tx.conn, query, m.id, sorted(wanted))}
        good, already, refused = [], 0, []
        for number_, shown in wanted.items():
            row = rows.get(number_)
            if row is None or row.lease_by is None or (name is not None and row.lease_by != name):
                refused.append(shown)
            elif row.acked_at is None:
                good.append(number_)
            elif done:
                already += 1
            else:
                refused.append(shown)
        if good:
            values: dict[str, Any] = {"acked_at": tx.now} if done else {"lease_by": None, "lease_until": None}
            _set(tx, good, values)
        return len(good) + already, refused

    count, refused = db.transact(work, utc(now))
    if refused:
        whom = f"получателем {consumer}" if consumer else "никем"
        raise NotHeld(
            f"не взяты {whom}: {', '.join(refused)}; срок аренды вышел или их взял другой, возьмите заново "
            f"(остальные выполнены: {count})",
            refused,
            count,
        )
    return count
