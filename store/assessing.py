"""How an assessment becomes part of a message: columns to filter by, clocks, priority, alert, history. Mostly pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from store.db import Tx, rows_in
from store.tables import NEVER, alerts, judgements, places, sendings
from store.values import Assessment, first_due
from store.views import alert_view, dump, message_view

MACHINE = "classifier"
_OF_EMERGENCY = ("emergency", "emergency_kind", "urgency", "reaction", "reasons")
REST = 3
"""Place in the queue of what needs no answer."""
DONE = 4
"""Place in the queue of what is answered or closed: behind all that is open, before the historical."""
HISTORICAL = 5
"""Priorities from here on are those of messages from before the first sight of their page."""

# Fields that a person corrects together: one means little without the other.
_TOGETHER = {
    "topic": ("topic", "topic_group", "topic_confidence"),
    "topic_group": ("topic", "topic_group", "topic_confidence"),
    "emergency": ("emergency", "emergency_kind"),
    "emergency_kind": ("emergency", "emergency_kind"),
}


def clean(text: str | None) -> Any:
    """Text as both databases can keep it: no NUL, no half of a surrogate pair."""
    if text is None:
        return None
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return text


def fold(text: str) -> str:
    """The form in which texts are compared: letter case and ё make no difference."""
    return text.casefold().replace("ё", "е")


def utc(value: datetime | None) -> datetime | None:
    """The same instant in UTC; a naive time is a mistake of the caller (TypeError)."""
    if value is None or value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise TypeError("naive datetime in the store")
    return value.astimezone(UTC)


def priority(fields: Mapping[str, Any], historical: bool) -> int:
    """Place in the queue: 0 emergency, 1 urgent, 2 needs an answer, 3 the rest; the historical after all of them."""
    if fields["emergency"]:
        found = 0
    elif fields["urgency"] == "urgent":
        found = 1
    elif fields["reaction"] == "none":
        found = REST
    else:
        found = 2
    return found + HISTORICAL if historical else found


def columns(fields: Mapping[str, Any], deadlines: Mapping[str, Any] | None, historical: bool) -> dict[str, Any]:
    """The columns of `messages` that follow from an assessment's fields. `deadlines` hold datetimes."""
    return {
        "topic": fields["topic"],
        "topic_group": fields["topic_group"],
        "urgency": fields["urgency"],
        "emergency": fields["emergency"],
        "reaction": fields["reaction"],
        "assessment": fields,
        "priority": priority(fields, historical),
        "deadlines": deadlines or None,
        "due_at": first_due(deadlines or {}) or NEVER,
    }


def place_names(fields: Mapping[str, Any]) -> set[str]:
    """Folded names of the places and their parents."""
    found: set[str] = set()
    for place in fields["places"]:
        found.add(_fold_name(place["name"]))
        found.update(map(_fold_name, place["parents"]))
    return found


_fold_name = lru_cache(maxsize=4096)(fold)


def fields_of(assessment: Assessment) -> dict[str, Any]:
    return assessment.as_dict()


def merged(row: Mapping[str, Any], assessment: Assessment, *, text_changed: bool, alerted: bool) -> dict[str, Any]:
    """The fields after the classifier judged `row`'s present text: what a person corrected stays.

    Two exceptions on the side of safety. When the text itself changed, the classifier's emergency counts again unless
    its alert was raised already. And an emergency that the Head was told of is taken back by a person or by new words,
    not by another model.
    """
    fields = fields_of(assessment)
    if alerted and not text_changed and row["emergency"] and not fields["emergency"]:
        fields.update({name: row["assessment"][name] for name in _OF_EMERGENCY})
    kept = set((row["corrected"] or {}).get("fields", ()))
    if kept and row["assessment"]:
        if text_changed and fields["emergency"] and not alerted:
            kept -= {"emergency", "emergency_kind"}
        fields.update({name: row["assessment"][name] for name in kept})
    return fields


def reassess(
    tx: Tx,
    row: Mapping[str, Any],
    assessment: Assessment,
    deadlines: Mapping[str, datetime],
    *,
    text_changed: bool,
    alerted: bool,
) -> dict[str, Any]:
    """Columns to set when the classifier judged `row`'s present text (see `merged`); the replaced assessment goes to
    the history. Clocks that run are not reset.
    """
    fields = merged(row, assessment, text_changed=text_changed, alerted=alerted)
    if row["assessment"] is not None and fields != row["assessment"]:
        remember(tx, row)
    clocks = {k: datetime.fromisoformat(v) for k, v in (row["deadlines"] or {}).items()}
    if row["status"] == "new" and not row["historical"]:  # the desk's clocks are the desk's matter
        clocks = {**{k: utc(v) for k, v in deadlines.items()}, **clocks}
    set_places(tx, row["id"], fields)
    values = {**columns(fields, clocks, row["historical"]), "assessed_at": tx.now}
    return {**values, "priority": DONE} if stays_done(row, fields) else values


def stays_done(row: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether a message that was done with stays behind all that is open: not when it is an emergency only now."""
    return row["priority"] == DONE and not (fields["emergency"] and not row["emergency"])


def expand(names: Sequence[str]) -> set[str]:
    """Names of corrected fields with those that go together."""
    found: set[str] = set()
    for name in names:
        found.update(_TOGETHER.get(name, (name,)))
    return found


def remember(tx: Tx, row: Mapping[str, Any]) -> None:
    """Put the present assessment of `row` into the history."""
    n = tx.execute(
        select(func.coalesce(func.max(judgements.c.n), 0)).where(judgements.c.message_id == row["id"])
    ).scalar_one()
    author = row["corrected"] or {}
    tx.execute(
        insert(judgements).values(
            message_id=row["id"],
            n=n + 1,
            by=author.get("by", MACHINE),
            at=datetime.fromisoformat(author["at"]) if author else row["assessed_at"],
            assessment=row["assessment"],
            replaced_at=tx.now,
        )
    )


def set_places(tx: Tx, message_id: int, fields: Mapping[str, Any]) -> None:
    tx.execute(delete(places).where(places.c.message_id == message_id))
    if names := place_names(fields):
        tx.execute(insert(places), [{"place": name, "message_id": message_id} for name in sorted(names)])


def alerted_among(tx: Tx, ids: Sequence[int]) -> set[int]:
    """Which of these messages have an alert."""
    if not ids:
        return set()
    return {r.message_id for r in rows_in(tx.conn, select(alerts.c.message_id), alerts.c.message_id, ids)}


def raise_alerts(tx: Tx, found: Sequence[tuple[int, str | None]]) -> tuple[str, ...]:
    """One alert for each of these (message, kind of emergency) that has none; their events; their ids."""
    if not found:
        return ()
    ids = tx.allocate("alerts", len(found))
    new = [
        {
            "id": id_,
            "message_id": message_id,
            "drill": False,
            "kind": kind,
            "text": "",
            "created_at": tx.now,
            "escalated_at": None,
            "acknowledged_at": None,
            "acknowledged_by": None,
        }
        for id_, (message_id, kind) in zip(ids, sorted(found, key=lambda f: f[0]), strict=True)
    ]
    query = tx.insert(alerts).on_conflict_do_nothing(index_elements=["message_id"]).returning(alerts.c.id)
    landed = set(tx.execute(query, new).scalars())
    for alert in new:
        if alert["id"] in landed:
            tx.emit("otklik.alert.raised", alert["message_id"], dump(alert_view(alert)))
    return tuple(str(a["id"]) for a in new if a["id"] in landed)


def ring_again(tx: Tx, row: Mapping[str, Any]) -> None:
    """A person calls it an emergency after its alert was ended: the alert begins anew, every channel is due."""
    over = (alerts.c.message_id == row["id"]) & alerts.c.acknowledged_at.isnot(None)
    found = tx.execute(tx.lock(select(alerts).where(over))).mappings().first()
    if found is None:
        return  # it still rings
    values = {
        "kind": row["assessment"]["emergency_kind"],
        "created_at": tx.now,
        "escalated_at": None,
        "acknowledged_at": None,
        "acknowledged_by": None,
    }
    tx.execute(update(alerts).where(alerts.c.id == found["id"]).values(**values))
    tx.execute(delete(sendings).where(sendings.c.alert_id == found["id"]))
    tx.emit("otklik.alert.raised", row["id"], dump(alert_view({**found, **values})))


def message_event(tx: Tx, kind: str, row: Mapping[str, Any]) -> int:
    return tx.emit(f"otklik.message.{kind}", row["id"], dump(message_view(row)))
