"""JSON Schema (2020-12) of every event of the feed, made from one definition of the fields.

`python -m feed.schema docs/schema` writes the published files. The version follows SemVer: a new optional field or
event type is a minor version, so a reader must ignore what it doesn't know; a field removed or narrowed is a major one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from settings import ConfigError

SCHEMA_VERSION = "1.3.0"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def _text(about: str, **more: Any) -> Schema:
    return {"type": "string", "description": about, **more}


def _maybe(schema: Schema) -> Schema:
    """The same, or null."""
    out = dict(schema)
    if "enum" in out:
        out["enum"] = [*out["enum"], None]
    out["type"] = [out["type"], "null"]
    return out


def _time(about: str) -> Schema:
    pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"
    return {"type": "string", "format": "date-time", "pattern": pattern, "description": f"{about}; RFC 3339, UTC"}


def _id(about: str) -> Schema:
    return _text(about, pattern=r"^[0-9]+$")


def _object(about: str, fields: Mapping[str, Schema]) -> Schema:
    """An object that has at least these fields."""
    return {"type": "object", "description": about, "required": list(fields), "properties": dict(fields)}


def _list(about: str, items: Schema) -> Schema:
    return {"type": "array", "description": about, "items": items}


# --- the one definition ----------------------------------------------------------------------------------------------

PLACE = _object(
    "A recognised place",
    {
        "name": _text("Canonical name"),
        "kind": _text("Kind of place, e.g. settlement, street, river, road"),
        "parents": _list("Names of what it lies in, nearest first", {"type": "string"}),
        "lat": {"type": ["number", "null"], "minimum": -90, "maximum": 90, "description": "Latitude, WGS 84"},
        "lon": {"type": ["number", "null"], "minimum": -180, "maximum": 180, "description": "Longitude, WGS 84"},
        "span": {
            "type": ["array", "null"],
            "items": {"type": "integer", "minimum": 0},
            "minItems": 2,
            "maxItems": 2,
            "description": "[start, end) in characters of the text; null when a person named it",
        },
        "confidence": {"type": "number", "minimum": 0, "maximum": 1, "description": "0..1"},
    },
)

ASSESSMENT: dict[str, Schema] = {
    "topic": _maybe(_text("Id of the topic; null: not known")),
    "topic_group": _maybe(_text("Id of the group of topics; null: not known")),
    "topic_confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "0..1"},
    "places": _list("Places the text names", PLACE),
    "urgency": _maybe(_text("Category of importance; null: none", enum=["urgent", "prompt"])),
    "emergency": {"type": "boolean", "description": "Goes to the Head at once"},
    "emergency_kind": _maybe(_text("What happened, a short Russian phrase")),
    "reaction": _maybe(_text("Is an answer due; null: not assessed yet", enum=["required", "none", "refuse"])),
    "conduct": _list("Grounds of clauses 9 and 10 that a person should look at", {"type": "string"}),
    "reasons": _list("Why, in short Russian phrases", {"type": "string"}),
    "model": _maybe(_text("Who assessed: a model and its version; null: nobody yet")),
}

AUTHOR = _object(
    "Who wrote; all null when the network does not say",
    {"id": _maybe(_text("Id in the network")), "name": _maybe(_text("Name")), "url": _maybe(_text("Profile"))},
)

ATTACHMENT = _object(
    "A typed link",
    {
        "kind": _text("The network's own word: photo, video, sticker…"),
        "url": _maybe(_text("Address")),
        "title": _maybe(_text("Title")),
        "id": _maybe(_text("Id in the network")),
    },
)

MESSAGE: dict[str, Schema] = {
    "id": _id("Id of the message, a decimal number as text"),
    "network": _text("vk, ok, instagram, facebook, x, telegram, max, youtube, rutube"),
    "external_id": _text("Id of the comment, unique in its network; with `network` the key of the message"),
    "page": _text("Id of the watched page in its network"),
    "url": _text("Address of the comment; empty when it has none"),
    "post_id": _text("Id of the publication"),
    "comment_id": _text("The network's own number of the comment"),
    "parent_id": _maybe(_text("`external_id` of the comment it answers; null at top level")),
    "author": AUTHOR,
    "text": _text("What the resident wrote, exactly; data, never markup"),
    "attachments": _list("What is attached", ATTACHMENT),
    "published_at": _maybe(_time("When it was published, by the network's clock")),
    "collected_at": _time("When otklik first saw it; its clocks run from here"),
    "edited_at": _maybe(_time("When the last edit was made, or found where the network gives no time")),
    "deleted_at": _maybe(_time("When it was found deleted")),
    "status": _text("State of the message, e.g. new"),
    "historical": {"type": "boolean", "description": "Older than the first sight of its page: no clocks, no alerts"},
    "repeat_of": _maybe(_id("Id of the message it repeats")),
    "division": _maybe(_text("Id of the division that answers")),
    "deadlines": {
        "type": "object",
        "description": "Deadlines by name (route, …)",
        "additionalProperties": _time("Deadline"),
    },
    **ASSESSMENT,
}

STEP = _object(
    "What somebody at the desk did",
    {
        "verb": _text("accept, route, return, begin, part, draft, approve, rework, publish, …"),
        "from": _text("State before"),
        "to": _text("State after; the same when it stayed"),
        "by": _text("Who"),
        "version": {"type": "integer", "minimum": 1, "description": "Steps of this message so far"},
        "seq": {"type": "integer", "minimum": 1, "description": "Number of the entry in the audit log"},
        "hash": _text("Hash of that entry", pattern="^[0-9a-f]{64}$"),
        "details": {
            "type": "object",
            "description": "What belongs to the verb: divisions, reason, ground, term, clocks that were late",
            "additionalProperties": True,
        },
    },
)

STEPPED: dict[str, Schema] = {**MESSAGE, "step": STEP}

WORD = _object(
    "A person's word on a message; absent in older events, and where a repeat was linked without a person",
    {
        "verb": _text("correct, relate"),
        **{name: STEP["properties"][name] for name in ("by", "seq", "hash")},
        "details": {"type": "object", "description": "What the person said", "additionalProperties": True},
    },
)

TOMBSTONE: dict[str, Schema] = {
    name: MESSAGE[name] if name != "deleted_at" else _time("When it was found deleted")
    for name in ("id", "network", "external_id", "deleted_at")
}

FORGOTTEN: dict[str, Schema] = {
    "id": _id("Id of the message whose author is forgotten; remove every copy of it"),
    "forgotten_at": _time("When"),
    "erased": _maybe(_text("Type of the event that stood here; null: the event that announces it")),
    "step": {
        "type": ["object", "null"],
        "description": "Of an erased step of the desk: its entry in the audit log",
        "required": ["seq", "hash"],
        "properties": {"seq": STEP["properties"]["seq"], "hash": STEP["properties"]["hash"]},
    },
}

ALERT: dict[str, Schema] = {
    "id": _id("Id of the alert, a decimal number as text"),
    "message_id": _maybe(_id("Id of the message; null for a drill")),
    "drill": {"type": "boolean", "description": "An exercise"},
    "kind": _maybe(_text("What happened, a short Russian phrase")),
    "text": _text("Words of a drill"),
    "state": _text("State of the alert", enum=["raised", "escalated", "acknowledged"]),
    "created_at": _time("When it was raised"),
    "escalated_at": _maybe(_time("When it went further because nobody acknowledged")),
    "acknowledged_at": _maybe(_time("When a person took it over")),
    "acknowledged_by": _maybe(_text("Who did")),
}

EVENTS: dict[str, tuple[str, dict[str, Schema]]] = {
    "otklik.message.landed": ("A comment became a message", MESSAGE),
    "otklik.message.revised": (
        "Its author changed it, or somebody it names was forgotten; `data` is the message as it is now",
        MESSAGE,
    ),
    "otklik.message.deleted": ("It was found deleted: a tombstone, copies are to be removed", TOMBSTONE),
    "otklik.message.forgotten": (
        "Its author was forgotten: a tombstone, in the place of each event of the message and once at the end",
        FORGOTTEN,
    ),
    "otklik.message.restored": ("A deleted one is there again", MESSAGE),
    "otklik.message.assessed": ("The classifier judged what had landed without judgement", MESSAGE),
    "otklik.message.corrected": ("A person corrected the assessment", MESSAGE),
    "otklik.message.routed": ("It was sent to a division, or to several", STEPPED),
    "otklik.message.returned": ("A division gave it back as not its own", STEPPED),
    "otklik.message.answered": ("A reply was published: interim, final, or naming the body responsible", STEPPED),
    "otklik.message.closed": ("Nothing more will be done about it", STEPPED),
    "otklik.message.moved": ("Any other step of the desk", STEPPED),
    "otklik.alert.raised": ("An emergency, or a drill", ALERT),
    "otklik.alert.acknowledged": ("A person took the alert over", ALERT),
    "otklik.alert.escalated": ("Nobody did in time; it went further", ALERT),
}
"""Every event type -> what it says, the fields of its `data`."""


def _envelope(type_: str, about: str, data: Schema) -> Schema:
    return _object(
        about,
        {
            "seq": {
                "type": "integer",
                "minimum": 1,
                "description": "Place in the log, in the order of commits; dense, but for a jump where a backup was "
                "restored; keep the last one as your cursor",
            },
            "id": _text("Unique in the log (CloudEvents)", minLength=1),
            "type": _text("Event type", const=type_),
            "time": _time("When it was committed"),
            "specversion": _text("CloudEvents version", const="1.0"),
            "source": _text("The log, a URN (CloudEvents); another one after a backup was restored", minLength=1),
            "datacontenttype": _text("CloudEvents", const="application/json"),
            "data": data,
        },
    )


# --- what is asked for -----------------------------------------------------------------------------------------------


def find(name: str) -> str:
    """The event type behind a full or short name ("message.landed", "landed"). Raises ConfigError."""
    wanted = name.strip().lower()
    found = [t for t in EVENTS if wanted in (t, t.removeprefix("otklik."), t.rpartition(".")[2])]
    if len(found) != 1:
        from difflib import get_close_matches

        short = {t.rpartition(".")[2]: t for t in EVENTS}
        near = get_close_matches(wanted.rpartition(".")[2], short, n=1)
        tip = f"возможно, {short[near[0]]}" if near else f"известны: {', '.join(EVENTS)}"
        raise ConfigError(f"нет такого события: {name[:60]}; {tip}")
    return found[0]


def schema(name: str | None = None, *, strict: bool = False) -> Schema:
    """The JSON Schema of one event type, or of any event when `name` is None.

    `strict`: fields that are not described are an error; for our own tests, not for readers.
    """
    out: Schema = {"$schema": DIALECT}
    if name is None:
        out |= {
            "$id": f"urn:otklik:schema:event:{SCHEMA_VERSION}",
            "title": "otklik event",
            "version": SCHEMA_VERSION,
            "oneOf": [_event(type_) for type_ in EVENTS],
        }
    else:
        type_ = find(name)
        out |= {"$id": f"urn:otklik:schema:{type_}:{SCHEMA_VERSION}", "title": type_, "version": SCHEMA_VERSION}
        out |= _event(type_)
    return _closed(out) if strict else out


def _event(type_: str) -> Schema:
    about, fields = EVENTS[type_]
    event = _envelope(type_, about, _object("The payload", fields))
    if type_ == "otklik.message.corrected":
        event["properties"]["data"]["properties"]["step"] = WORD
    event["properties"]["subject"] = _id("Id of the message it is about; absent when there is none")
    return deepcopy(event)


def _closed(value: Any) -> Any:
    if isinstance(value, dict):
        out = {k: _closed(v) for k, v in value.items()}
        if "properties" in out and "additionalProperties" not in out:
            out["additionalProperties"] = False
        return out
    return [_closed(v) for v in value] if isinstance(value, list) else value


def files() -> dict[str, str]:
    """Name -> content of every published file."""
    made = {"event.json": schema()}
    made |= {f"{type_.removeprefix('otklik.')}.json": schema(type_) for type_ in EVENTS}
    return {name: json.dumps(body, ensure_ascii=False, indent=2) + "\n" for name, body in made.items()}


def publish(folder: Path) -> None:
    """Write the files, and remove those of types that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = files()
    for old in folder.glob("*.json"):
        if old.name not in fresh:
            old.unlink()
    for name, body in fresh.items():
        (folder / name).write_text(body, encoding="utf-8")


if __name__ == "__main__":
    publish(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schema"))
