"""Rows and events of comments that seem new, made before their transaction, in another process perhaps: pure functions.

What a comment's own values tell is made here; its id, and what it repeats, are known in the transaction only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from store.assessing import clean, columns, fold, place_names, priority, utc
from store.db import pack
from store.repeats import Asks, keys_of
from store.tables import NEVER, messages
from store.values import Assessment, Attachment, Comment, Judged
from store.views import dump, message_view


@dataclass(frozen=True, slots=True)
class Frame:
    """What the rows of one landing have in common. `cap`: the network's now; times are UTC."""

    first_seen: datetime
    cap: datetime
    now: datetime
    run_id: str | None
    sqlite: bool


class Drafted(NamedTuple):
    """One comment ready to be stored. `packed`: the values of `COLUMNS` as the driver takes them, id 0. `event`: the
    JSON of "landed", None for the page's own comments. `emergency`: an alert is due."""

    packed: tuple[Any, ...]
    event: bytes | None
    post_id: str
    deleted: bool
    emergency: bool
    kind: str | None
    places: tuple[str, ...]
    asks: Asks | None


@dataclass(frozen=True, slots=True)
class Draft:
    """Drafts of a landing's comments by external id, and the frame they were made in."""

    frame: Frame
    made: Mapping[str, Drafted]


class Later:
    """A `Judged` whose draft is ready: its assessment is made again when it is asked for, which is seldom."""

    __slots__ = ("_again", "_found", "comment")

    def __init__(self, comment: Comment, again: Callable[[Comment], Judged]) -> None:
        self.comment = comment
        self._again = again
        self._found: Judged | None = None

    def _judged(self) -> Judged:
        if self._found is None:
            self._found = self._again(self.comment)
        return self._found

    @property
    def assessment(self) -> Assessment | None:
        return self._judged().assessment

    @property
    def deadlines(self) -> Mapping[str, datetime]:
        return self._judged().deadlines


@cache
def _dialect(sqlite: bool) -> Any:
    return SQLiteDialect_pysqlite() if sqlite else PGDialect_psycopg()


def prepare(judged: Sequence[Judged], frame: Frame) -> dict[str, Drafted]:
    """External id -> draft; of two comments with one id the later one counts."""
    rows = [_row(j, frame) for j in judged]
    packed = pack(messages, rows, _dialect(frame.sqlite))
    return {
        j.comment.external_id: _drafted(j, row, values) for j, row, values in zip(judged, rows, packed, strict=True)
    }


def _drafted(judged: Judged, row: dict[str, Any], packed: tuple[Any, ...]) -> Drafted:
    deleted = row["deleted_at"] is not None
    if row["own"]:
        return Drafted(packed, None, row["post_id"], deleted, False, None, (), None)
    event = dump(message_view(row))
    said, fields = judged.assessment, row["assessment"]
    if said is None:
        return Drafted(packed, event, row["post_id"], deleted, False, None, (), None)
    asks = None
    if said.signature is not None:
        keys = keys_of(said.signature, row)
        asks = Asks(
            said.signature, keys, orjson.dumps(keys).decode(), row["network"], row["post_id"], row["author_id"],
            row["external_id"], row["parent_id"], row["listed_at"],
        )  # fmt: skip
    return Drafted(
        packed,
        event,
        row["post_id"],
        deleted,
        said.emergency and not row["historical"],
        said.emergency_kind,
        tuple(sorted(place_names(fields))) if said.places else (),
        asks,
    )


_UNJUDGED: dict[str, Any] = {
    "topic": None,
    "topic_group": None,
    "urgency": None,
    "emergency": False,
    "reaction": None,
    "assessment": None,
    "deadlines": None,
    "due_at": NEVER,
    "assessed_at": None,
}


def _row(judged: Judged, frame: Frame) -> dict[str, Any]:
    c = judged.comment
    now = frame.now
    published = utc(c.published_at)
    historical = published is not None and published < min(frame.first_seen, frame.cap)
    text = clean(c.text)
    a = c.author
    author = {"id": clean(a.id), "name": clean(a.name), "url": clean(a.url), "kind": a.kind}
    row = {
        "id": 0,  # given in the transaction
        "network": c.network,
        "external_id": c.external_id,
        "page_id": c.page_id,
        "post_id": c.post_id,
        "comment_id": c.comment_id,
        "parent_id": c.parent_id,
        "author_id": author["id"],
        "author": author,
        "url": clean(c.url),
        "text": text,
        "folded": folded(text, author["name"]),
        "attachments": attached(c.attachments),
        "own": c.own,
        "published_at": published,
        "collected_at": now,
        # A comment dated 2099 (or without a date) stands in lists where it was found.
        "listed_at": now if published is None or published > frame.cap else published,
        "edited_at": utc(c.edited_at),
        "deleted_at": now if c.deleted else None,
        "historical": historical,
        "status": "own" if c.own else "new",
        "run_id": frame.run_id,
    }
    if judged.assessment is None or c.own:
        row.update(_UNJUDGED)
        row["priority"] = priority(_UNJUDGED, historical)
    else:
        clocks = {} if historical else {k: utc(v) for k, v in judged.deadlines.items()}
        row.update(columns(judged.assessment.as_dict(), clocks, historical))
        row["assessed_at"] = now
    return row


COLUMNS = (
    "id", "network", "external_id", "page_id", "post_id", "comment_id", "parent_id", "author_id", "author", "url",
    "text", "folded", "attachments", "own", "published_at", "collected_at", "listed_at", "edited_at", "deleted_at",
    "historical", "status", "run_id", *_UNJUDGED, "priority",
)  # fmt: skip
"""The columns that a draft fills."""


def folded(text: str, author: str | None) -> str:
    """What `search` looks through: the text and the author's name."""
    return fold(f"{text}\n{author}" if author else text)


def attached(found: Sequence[Attachment]) -> list[dict[str, Any]] | None:
    """Attachments as they are stored."""
    return [
        {"kind": clean(a.kind), "url": clean(a.url), "title": clean(a.title), "id": clean(a.id)} for a in found
    ] or None
