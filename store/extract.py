"""Messages for training and statistics without the people: pseudonyms that only this database can make, masked texts.

The same person, message or place in the thread always gets the same pseudonym, so repeats and authors can be counted;
nothing leads back to the comment: no address, no id of the network, times to the minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import select

from store.assessing import utc
from store.db import Database
from store.personal import plain_assessment
from store.seals import keyed, make_key
from store.tables import messages
from store.values import utcnow
from store.views import BLANK, plain

Mask = Callable[[str, tuple[str, ...], tuple[str, ...]], str]
"""(a text, names that must not be in it, its words for places) -> it without names, telephones, addresses, links."""


def pseudonymised(db: Database, mask: Mask) -> Iterator[dict[str, Any]]:
    """Every resident's message that is not wholly erased, in the order of numbers, from one snapshot."""
    key = db.transact(make_key, utc(utcnow()))
    query = select(messages).where(~messages.c.own, messages.c.forgotten_at.is_(None)).order_by(messages.c.id)
    with db.read() as conn:
        if db.in_memory:
            yield from [_line(r, key, mask) for r in conn.execute(query).mappings().all()]
            return
        with conn.execution_options(stream_results=True, yield_per=500).execute(query) as result:
            for row in result.mappings():
                yield _line(row, key, mask)


def _line(row: Mapping[str, Any], key: bytes, mask: Mask) -> dict[str, Any]:
    author = row["author"] or {}
    names = tuple(n for n in (author.get("name"),) if n)
    spans = [p["span"] for p in (row["assessment"] or {}).get("places", ()) if p.get("span")]
    places = tuple(row["text"][start:end] for start, end in spans)
    said = plain_assessment(row["assessment"]) or {**BLANK, "places": []}
    who = author.get("id")
    return plain(
        {
            "id": _name(key, "message", str(row["id"])),
            "author": None if who is None else _name(key, "author", row["network"], who),
            "author_kind": author.get("kind", "unknown"),
            "network": row["network"],
            "page": row["page_id"],
            "post": _name(key, "post", row["network"], row["post_id"]),
            "answers": None if row["parent_id"] is None else _name(key, "comment", row["network"], row["parent_id"]),
            "comment": _name(key, "comment", row["network"], row["external_id"]),
            "text": mask(row["text"], names, places),
            "attachments": [a["kind"] for a in row["attachments"] or ()],
            "published_at": _minute(row["published_at"]),
            "collected_at": _minute(row["collected_at"]),
            "edited_at": _minute(row["edited_at"]),
            "deleted_at": _minute(row["deleted_at"]),
            "status": row["status"],
            "historical": row["historical"],
            "division": row["division"],
            "deadlines": row["deadlines"] or {},
            "repeat_of": None if row["repeat_of"] is None else _name(key, "message", str(row["repeat_of"])),
            "corrected": sorted((row["corrected"] or {}).get("fields", ())),
            **{k: said[k] for k in BLANK if k not in ("reasons", "places")},
            "places": [_place(p, mask, names) for p in said["places"]],
        }
    )


def _place(place: Mapping[str, Any], mask: Mask, names: tuple[str, ...]) -> dict[str, Any]:
    """A place by its name; one that is in no gazetteer was typed by a person, who may have typed more."""
    name = place["name"] if place.get("lat") is not None else mask(place["name"], names, ())
    return {"name": name, "kind": place.get("kind"), "parents": place.get("parents") or []}


def _name(key: bytes, kind: str, *parts: str) -> str:
    return keyed(key, f"export {kind}", *parts)[:20]


def _minute(at: Any) -> Any:
    return None if at is None else at.replace(second=0, microsecond=0)
