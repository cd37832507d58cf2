"""What is left of a message when its words or its author are erased: the facts that statistics need. Pure, but for the
last part.

Kept: when it was written and collected, where (page, post), what about (topic, places without house numbers), how
urgent, the clocks and steps, who of the staff did them. Everything a resident wrote, or that says who it was, goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import delete, select, update

from store.assessing import DONE, HISTORICAL, fold
from store.audit import FORGOTTEN
from store.db import Tx, rows_in
from store.repeats import remove
from store.seals import seal
from store.tables import NEVER, judgements, messages, replies, revisions, signatures
from store.values import SETTLED

NOBODY = {"id": None, "name": None, "url": None, "kind": "unknown"}
_EXACT = frozenset({"дом", "house", "address", "квартира"})
_PLAIN_DETAILS = frozenset(
    {"to", "compiler", "n", "kind", "until", "late", "for", "ground", "outcome", "division", "of", "alert", "asked"}
    | {"topic", "topic_group", "urgency", "emergency", "emergency_kind", "reaction", "conduct"}
)
"""Details of the audit log that are ids, numbers and words of our own, never somebody's text."""


def is_open(row: Mapping[str, Any]) -> bool:
    """Whether somebody still works on a message or owes something to its author: a clock runs, or a step is due."""
    if row["own"]:
        return False
    if row["status"] not in ("new", *SETTLED):
        return True
    untouched = row["status"] == "new"
    over = untouched and (row["acked_at"] is not None or row["deleted_at"] is not None)
    return row["due_at"] < NEVER and not over


def plain_assessment(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """An assessment without the words it was drawn from, and without the exact address."""
    if fields is None:
        return None
    places = [{**p, "span": None} for p in fields.get("places") or () if p.get("kind") not in _EXACT]
    return {**fields, "places": places, "reasons": []}


def plain_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details of a step without what people wrote."""
    return {k: v for k, v in details.items() if k in _PLAIN_DETAILS}


def without_words(row: Mapping[str, Any], key: bytes, now: datetime) -> dict[str, Any]:
    """Columns of a message whose text goes; its seal stays, so that collecting the same text again brings nothing."""
    return {
        "text": "",
        "folded": fold((row["author"] or {}).get("name") or ""),
        "attachments": None,
        "assessment": plain_assessment(row["assessment"]),
        "repeat_note": None,
        "seal": row["seal"] or seal(key, row["text"], row["attachments"]),
        "erased_at": now,
    }


def without_author(row: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a message whose author's data goes."""
    return {"author": NOBODY, "author_id": None, "folded": fold(row["text"])}


def forgotten(row: Mapping[str, Any], hidden: str, now: datetime) -> dict[str, Any]:
    """Columns of a message whose author is forgotten; its clocks stop. `hidden`: what it is called from now on."""
    done = row["priority"] if row["historical"] else DONE
    return {
        "external_id": hidden,
        "comment_id": "",
        "author": NOBODY,
        "author_id": None,
        "url": "",
        "text": "",
        "folded": "",
        "attachments": None,
        "assessment": plain_assessment(row["assessment"]),
        "assessed_at": row["assessed_at"] or now,
        "repeat_note": None,
        "status": row["status"] if row["status"] == "published" else "closed",
        "deadlines": None,
        "due_at": NEVER,
        "priority": max(done, HISTORICAL) if row["historical"] else done,
        "lease_by": None,
        "lease_until": None,
        "acked_at": row["acked_at"] or now,
        "seal": None,
        "erased_at": now,
        "forgotten_at": now,
    }


def tombstone(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The data of an event that stands in the place of one that is erased; `row`: type, message_id, data."""
    told = orjson.loads(row["data"])
    step = told.get("step") or {}
    return {
        "id": str(row["message_id"]),
        "forgotten_at": told.get("forgotten_at", now) if row["type"] == FORGOTTEN else now,
        "erased": told.get("erased") if row["type"] == FORGOTTEN else row["type"],
        "step": {"seq": step["seq"], "hash": step["hash"]} if "hash" in step else None,
    }


# --- tables beside the message's own --------------------------------------------------------------------------------


def erase_words(tx: Tx, ids: Sequence[int], *, replies_too: bool) -> None:
    """Old texts, old assessments' reasons and signatures of these messages; `replies_too`: the answers' texts."""
    wanted = sorted(ids)
    for row in rows_in(tx.conn, select(judgements), judgements.c.message_id, wanted):
        plain = plain_assessment(row.assessment)
        if plain != row.assessment:
            here = (judgements.c.message_id == row.message_id) & (judgements.c.n == row.n)
            tx.execute(update(judgements).where(here).values(assessment=plain))
    remove(tx, list(rows_in(tx.conn, select(signatures), signatures.c.message_id, wanted)))
    tx.execute(delete(revisions).where(revisions.c.message_id.in_(wanted)))
    if replies_too:
        tx.execute(update(replies).where(replies.c.message_id.in_(wanted)).values(text="", url=None))


def change(tx: Tx, id_: int, values: Mapping[str, Any]) -> None:
    tx.execute(update(messages).where(messages.c.id == id_).values(**values))
