"""Places as GeoJSON (RFC 7946), requests as Open311 GeoReport v2 names them, messages as an Atom feed (RFC 4287). Pure.

What residents wrote stands in JSON strings and in Atom's `type="text"` only: nowhere would it be read as markup.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from store.values import SETTLED

ATOM = "http://www.w3.org/2005/Atom"
_UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 has no such characters

Message = Mapping[str, Any]


def is_open(message: Message) -> bool:
    return message["status"] not in SETTLED


def _at(place: Mapping[str, Any]) -> bool:
    return place["lat"] is not None and place["lon"] is not None


def geojson(messages: Iterable[Message]) -> dict[str, Any]:
    """A feature a place, with what is said of it; `geometry` is null where the coordinates are not known."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for message in messages:
        for place in {(_key(p)): p for p in message["places"]}.values():
            spot = found.setdefault(_key(place), {"place": place, "n": Counter(), "topics": Counter(), "latest": ""})
            spot["n"].update(
                messages=1,
                open=is_open(message),
                urgent=message["urgency"] == "urgent",
                emergencies=bool(message["emergency"]),
            )
            spot["topics"][message["topic"] or ""] += 1
            spot["latest"] = max(spot["latest"], message["collected_at"])
    return {"type": "FeatureCollection", "features": [_feature(s) for s in found.values()]}


def _key(place: Mapping[str, Any]) -> tuple[Any, ...]:
    return place["name"], place["kind"], tuple(place["parents"])


def _feature(spot: Mapping[str, Any]) -> dict[str, Any]:
    place, n = spot["place"], spot["n"]
    point = {"type": "Point", "coordinates": [place["lon"], place["lat"]]} if _at(place) else None
    return {
        "type": "Feature",
        "geometry": point,
        "properties": {
            **{k: place[k] for k in ("name", "kind", "parents")},
            **{k: n[k] for k in ("messages", "open", "urgent", "emergencies")},
            "topics": {k: v for k, v in spot["topics"].items() if k},
            "latest": spot["latest"],
        },
    }


def open311(message: Message, titles: Mapping[str, str]) -> dict[str, Any]:
    """One service request of GeoReport v2; `description` is empty without personal data."""
    place = next((p for p in message["places"] if _at(p)), next(iter(message["places"]), None))
    topic = message["topic"] or message["topic_group"]
    return {
        "service_request_id": message["id"],
        "status": "open" if is_open(message) else "closed",
        "service_code": topic,
        "service_name": titles.get(topic or "", topic),
        "description": message["text"],
        "agency_responsible": message["division"],
        "requested_datetime": message["published_at"] or message["collected_at"],
        "updated_datetime": message["edited_at"] or message["collected_at"],
        "expected_datetime": message["deadlines"].get("answer"),
        "address": None if place is None else ", ".join([place["name"], *place["parents"]]),
        "lat": None if place is None else place["lat"],
        "long": None if place is None else place["lon"],
    }


def atom(id_: str, title: str, owner: str, messages: Iterable[Message], titles: Mapping[str, str]) -> bytes:
    """The messages, newest first."""
    ET.register_namespace("", ATOM)
    feed = ET.Element(f"{{{ATOM}}}feed")
    entries = [_entry(m, id_, titles) for m in messages]
    updated = max((str(e.findtext(f"{{{ATOM}}}updated")) for e in entries), default="1970-01-01T00:00:00Z")
    for name, text in (("id", id_), ("title", title), ("updated", updated)):
        _add(feed, name, text)
    _add(ET.SubElement(feed, f"{{{ATOM}}}author"), "name", owner or "otklik")
    feed.extend(entries)
    return ET.tostring(feed, encoding="utf-8", xml_declaration=True)


def _entry(message: Message, feed_id: str, titles: Mapping[str, str]) -> ET.Element:
    entry = ET.Element(f"{{{ATOM}}}entry")
    topic = message["topic"] or message["topic_group"] or ""
    where = [p["name"] for p in message["places"]][:3]
    title = ": ".join(filter(None, [titles.get(topic, topic) or "без темы", ", ".join(where)]))
    _add(entry, "id", f"{feed_id.partition('?')[0]}:message:{message['id']}")
    _add(entry, "title", ("Срочно. " if message["urgency"] == "urgent" else "") + title)
    _add(entry, "published", message["published_at"] or message["collected_at"])
    _add(entry, "updated", message["edited_at"] or message["collected_at"])
    if topic:
        ET.SubElement(entry, f"{{{ATOM}}}category", {"term": _fit(topic), "label": _fit(titles.get(topic, topic))})
    if message["url"].startswith(("https://", "http://")):
        ET.SubElement(entry, f"{{{ATOM}}}link", {"rel": "alternate", "href": _fit(message["url"])})
    _add(entry, "content", message["text"] or title)
    return entry


def _add(parent: ET.Element, name: str, text: str) -> None:
    made = ET.SubElement(parent, f"{{{ATOM}}}{name}")
    made.text = _fit(text)
    if name in ("title", "content"):
        made.set("type", "text")


def _fit(text: str) -> str:
    return _UNFIT.sub("\ufffd", text)
