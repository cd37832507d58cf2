"""What a message and an alert look like outside: the fields of the design, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

# The fields of an assessment in the order of `classify --json`; what an unassessed message shows.
BLANK: dict[str, Any] = {
    "topic": None,
    "topic_group": None,
    "topic_confidence": None,
    "places": [],
    "urgency": None,
    "emergency": False,
    "emergency_kind": None,
    "reaction": None,
    "conduct": [],
    "reasons": [],
    "model": None,
}


def dump(value: Any) -> bytes:
    """JSON with times as RFC 3339 in UTC ("2026-11-24T18:22:54Z")."""
    # A copy of its own length: what orjson returns holds at least 8 KB, and a transaction keeps its events to its end.
    return bytes(memoryview(orjson.dumps(value, option=orjson.OPT_UTC_Z)))


def plain(value: Any) -> Any:
    """The value as its JSON reads: times become strings."""
    return orjson.loads(dump(value))


def message_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a message (design.md), its id a decimal string. Times are still datetimes; see `dump`, `plain`."""
    author = row["author"] or {}
    repeat = row.get("repeat_of")
    said = row["assessment"] or BLANK
    if note := row.get("repeat_note"):  # no part of the assessment: judging anew must not lose it
        said = {**said, "reasons": [*said["reasons"], note]}
    return {
        "id": str(row["id"]),
        "network": row["network"],
        "external_id": row["external_id"],
        "page": row["page_id"],
        "url": row["url"],
        "post_id": row["post_id"],
        "comment_id": row["comment_id"],
        "parent_id": row["parent_id"],
        "author": {"id": author.get("id"), "name": author.get("name"), "url": author.get("url")},
        "text": row["text"],
        "attachments": row["attachments"] or [],
        "published_at": row["published_at"],
        "collected_at": row["collected_at"],
        "edited_at": row["edited_at"],
        "deleted_at": row["deleted_at"],
        "status": row["status"],
        "historical": row["historical"],
        "repeat_of": None if repeat is None else str(repeat),
        "division": row.get("division"),
        "deadlines": row["deadlines"] or {},
        **said,
    }


_UNNUMBERED = b'{"id":"0",'


def numbered(view: bytes, id_: int) -> bytes:
    """The JSON of a message that had no id yet (0), with its id."""
    if not view.startswith(_UNNUMBERED):
        raise ValueError("not the JSON of a message without an id")
    return b'{"id":"%d",' % id_ + view[len(_UNNUMBERED) :]


_ALONE = b'"repeat_of":null,'
_END_OF_REASONS = b'],"model":'


def pointed(view: bytes, first: int, note: str) -> bytes:
    """The JSON of an assessed message that repeated nothing yet, now with what it repeats. No text in it can look like
    the two places: in a text every quotation mark has a backslash before it."""
    before, alone, after = view.partition(_ALONE)
    reasons, end, rest = after.rpartition(_END_OF_REASONS)
    if not alone or not end:
        raise ValueError("not the JSON of an assessed message that repeats nothing")
    comma = b"" if reasons.endswith(b"[") else b","
    return b'%b"repeat_of":"%d",%b%b%b%b%b' % (before, first, reasons, comma, orjson.dumps(note), end, rest)


def tombstone(row: Mapping[str, Any], deleted_at: datetime) -> dict[str, Any]:
    """A deletion as the feed tells it: which message, and nothing of what it said."""
    return {
        "id": str(row["id"]),
        "network": row["network"],
        "external_id": row["external_id"],
        "deleted_at": deleted_at,
    }


def alert_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an alert; `state`: raised, escalated or acknowledged."""
    message = row["message_id"]
    state = "acknowledged" if row["acknowledged_at"] else "escalated" if row["escalated_at"] else "raised"
    return {
        "id": str(row["id"]),
        "message_id": None if message is None else str(message),
        "drill": row["drill"],
        "kind": row["kind"],
        "text": row["text"],
        "state": state,
        "created_at": row["created_at"],
        "escalated_at": row["escalated_at"],
        "acknowledged_at": row["acknowledged_at"],
        "acknowledged_by": row["acknowledged_by"],
    }
