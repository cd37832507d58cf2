"""What one reader may get of an event: nothing, all, or the same without personal data. Pure.

Tombstones reach every reader, whatever the division: whoever has a copy must be told to remove it. Without personal
data an event keeps a named list of fields; a field added later stays inside until it is added here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from feed.schema import find
from settings import FeedScope

DELETED, FORGOTTEN = "otklik.message.deleted", "otklik.message.forgotten"
_KEPT = frozenset(
    {
        "id", "network", "page", "post_id", "published_at", "collected_at", "edited_at", "deleted_at", "status",
        "historical", "repeat_of", "division", "deadlines", "topic", "topic_group", "topic_confidence", "urgency",
        "emergency", "emergency_kind", "reaction", "conduct", "model",
    }
)  # fmt: skip
_BLANK: dict[str, Any] = {
    "external_id": "",
    "url": "",
    "comment_id": "",
    "parent_id": None,
    "author": {"id": None, "name": None, "url": None},
    "text": "",
    "attachments": [],
    "reasons": [],
}
_PLACES = frozenset(
    ("settlement", "село", "деревня", "посёлок", "село/посёлок", "город", "хутор", "станица", "аул", "район")
)
_ALERT = ("id", "message_id", "drill", "kind", "state", "created_at", "escalated_at", "acknowledged_at")


@dataclass(frozen=True, slots=True)
class View:
    """A reader's scope. Empty sets narrow nothing."""

    personal: bool = False
    divisions: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    @classmethod
    def of(cls, scope: FeedScope, types: Iterable[str] = ()) -> View:
        """Raises ConfigError of a type that does not exist."""
        return cls(
            scope.scope == "all", frozenset(scope.divisions), frozenset(scope.networks), frozenset(map(find, types))
        )

    @property
    def whole(self) -> bool:
        """Every event goes out exactly as it stands in the log."""
        return self.personal and not (self.divisions or self.networks or self.types)

    def line(self, raw: bytes) -> bytes | None:
        """A line of the log as this reader gets it; None when it does not."""
        if self.whole:
            return raw
        event = self.event(orjson.loads(raw))
        return None if event is None else orjson.dumps(event) + b"\n"

    def event(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """The same, parsed."""
        type_, data = event["type"], event["data"]
        if self.types and type_ not in self.types and type_ not in (DELETED, FORGOTTEN):
            return None
        if type_ == FORGOTTEN:
            return dict(event)
        if self.networks and data.get("network") not in self.networks:
            return None  # an alert names no network: it goes to those who may read all of them
        if type_ == DELETED:
            return dict(event) if self.personal else {**event, "data": {**data, "external_id": ""}}
        if self.divisions and data.get("division") not in self.divisions:
            return None
        return dict(event) if self.personal else {**event, "data": impersonal(type_, data)}

    def message(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """A message of the queue as this reader sees it."""
        if self.networks and message["network"] not in self.networks:
            return None
        if self.divisions and message["division"] not in self.divisions:
            return None
        return dict(message) if self.personal else impersonal("otklik.message.landed", message)


def impersonal(type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The same without who wrote, what was written, and what leads there."""
    if type_.startswith("otklik.alert."):
        return {**{k: data[k] for k in _ALERT if k in data}, "text": "", "acknowledged_by": None}
    out = {k: v for k, v in data.items() if k in _KEPT} | _BLANK
    # A house or a plot leads to those who live there; a settlement does not.
    out["places"] = [{**p, "span": None} for p in data.get("places", ()) if p.get("kind") in _PLACES]
    if step := data.get("step"):
        out["step"] = {**{k: v for k, v in step.items() if k not in ("by", "details")}, "by": "", "details": {}}
    return out


def seen_by(view: View, lines: Iterable[bytes]) -> Iterator[bytes]:
    for raw in lines:
        if (line := view.line(raw)) is not None:
            yield line
