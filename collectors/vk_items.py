"""VK's JSON -> plain values. Pure functions; every field may be missing, of another type, or new.

Field names: the VK API schema 5.199 (wall_wall_comment, wall_wallpost_full, board_topic_comment, photos_photo…).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from collectors.raw import MAX_TEXT, clean, mapping, rows, whole
from store.values import Attachment, Author, Comment, PageRef, Post

NETWORK = "vk"
SITE = "https://vk.com/"
WORDS = {"post": "wall", "photo": "photo", "video": "video", "topic": "topic"}
KINDS = {word: kind for kind, word in WORDS.items()}
_POST_ID = re.compile(r"(wall|photo|video|topic)(-?\d+)_(\d+)")
_BOARD_ANSWER = re.compile(r"\[(?:id|club|public)\d+:bp-\d+_(\d+)\|")
MAX_TIME = 253_402_300_799  # 9999-12-31


@dataclass(frozen=True, slots=True)
class Target:
    """What comments stand under: `kind` post, photo, video or topic; `owner` negative for a community."""

    kind: str
    owner: int
    item: int

    @property
    def id(self) -> str:
        return _target_id(self.kind, self.owner, self.item)

    @classmethod
    def parse(cls, post_id: str) -> Target | None:
        m = _POST_ID.fullmatch(post_id)
        return cls(KINDS[m[1]], int(m[2]), int(m[3])) if m else None

    def comment_id(self, comment: int) -> str:
        """The external id: a wall numbers posts and comments together, so there the post is not part of it."""
        return f"wall{self.owner}_{comment}" if self.kind == "post" else f"{self.id}_{comment}"

    def url(self, comment: int, thread: int | None = None) -> str:
        if self.kind == "topic":
            return f"{SITE}{self.id}?post={comment}"
        return f"{SITE}{self.id}?reply={comment}" + (f"&thread={thread}" if thread else "")


@lru_cache(maxsize=1024)
def _target_id(kind: str, owner: int, item: int) -> str:
    return f"{WORDS[kind]}{owner}_{item}"


# --- small things ----------------------------------------------------------------------------------------------------


def moment(value: Any) -> datetime | None:
    """Unix seconds -> aware UTC; None when there is no sensible time."""
    seconds = whole(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 < seconds <= MAX_TIME else None


def _http(value: Any) -> str | None:
    return value[:2000] if isinstance(value, str) and re.match(r"https?://", value) else None


# --- authors ---------------------------------------------------------------------------------------------------------


class Authors:
    """The profiles and groups that came with an answer (`extended=1`)."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self._people = {whole(p.get("id")): p for p in rows(answer.get("profiles"))}
        self._groups = {whole(g.get("id")): g for g in rows(answer.get("groups"))}
        self._made: dict[int | None, Author] = {}

    def __call__(self, from_id: int | None) -> Author:
        """Hidden (no id or 0) and deleted authors are `unknown`; the comment counts all the same."""
        made = self._made.get(from_id)
        if made is None:
            made = self._made[from_id] = self._make(from_id)
        return made

    def _make(self, from_id: int | None) -> Author:
        if not from_id:
            return Author()
        if from_id < 0:
            group = self._groups.get(-from_id, {})
            return Author(str(from_id), clean(group.get("name")) or None, f"{SITE}club{-from_id}", "community")
        person = self._people.get(from_id)
        url = f"{SITE}id{from_id}"
        if person is None or person.get("hidden") or person.get("deactivated") == "deleted":
            return Author(str(from_id), None, url, "unknown")
        name = " ".join(filter(None, (clean(person.get("first_name")), clean(person.get("last_name")))))
        return Author(str(from_id), name or None, url, "person")


# --- attachments -----------------------------------------------------------------------------------------------------


def attachments(value: Any) -> tuple[Attachment, ...]:
    """Typed links that stay the same from call to call (VK signs direct file addresses anew each time)."""
    return tuple(_attachment(a) for a in rows(value)) if value else ()


def _attachment(raw: Mapping[str, Any]) -> Attachment:
    kind = clean(raw.get("type"))[:64] or "unknown"
    body = mapping(raw.get(kind))
    owner, number = whole(body.get("owner_id")), whole(body.get("id"))
    id_ = f"{owner}_{number}" if owner is not None and number is not None else None
    title = clean(body.get("title"))[:500] or None
    if kind == "sticker":
        sticker = whole(body.get("sticker_id"))
        url = f"{SITE}sticker/1-{sticker}-256" if sticker is not None else None
        return Attachment(kind, url, None, None if sticker is None else str(sticker))
    if kind == "link":
        return Attachment(kind, _http(body.get("url")), title)
    if kind == "photo":
        title = clean(body.get("text"))[:500] or None
    elif kind in ("audio", "audio_playlist"):
        title = " - ".join(filter(None, (clean(body.get("artist")), clean(body.get("title")))))[:500] or None
    if kind in ("photo", "video", "doc", "audio", "poll", "note", "market") and id_:
        word = "product" if kind == "market" else kind
        return Attachment(kind, f"{SITE}{word}{id_}", title, id_)
    return Attachment(kind, _http(body.get("view_url")) or _http(body.get("url")), title, id_)


# --- comments --------------------------------------------------------------------------------------------------------


def comment(raw: Mapping[str, Any], target: Target, page: PageRef, authors: Authors, under: int | None) -> Comment:
    """One comment; `under`: the comment in whose thread it was found. `raw["id"]` must be an integer."""
    number = int(raw["id"])
    from_id = whole(raw.get("from_id"))
    text = clean(raw.get("text"))
    above = raw.get("parents_stack")
    stack = above if above and isinstance(above, list) else ()  # from the top; hundreds long in a long argument
    parent = whole(raw.get("reply_to_comment")) or next(filter(None, map(whole, reversed(stack))), None) or under
    if target.kind == "topic" and (answer := _BOARD_ANSWER.match(text)):
        parent = int(answer[1])
    if parent == number:
        parent = None
    thread = next(filter(None, map(whole, stack)), None) or under
    deleted = raw.get("deleted") is True
    return Comment(
        network=NETWORK,
        external_id=target.comment_id(number),
        page_id=page.id,
        post_id=target.id,
        comment_id=str(number),
        parent_id=target.comment_id(parent) if parent else None,
        author=authors(from_id),
        text="" if deleted else text,
        published_at=moment(raw.get("date")),
        url=target.url(number, thread if thread != number else None),
        attachments=() if deleted else attachments(raw.get("attachments")),
        own=from_id is not None and str(from_id) == page.id,
        deleted=deleted,
    )


def by_resident(raw: Mapping[str, Any], owner: int) -> bool:
    """A wall post that somebody else than the page wrote: it is itself a message to the administration."""
    from_id = whole(raw.get("from_id"))
    return bool(from_id) and from_id != owner


def post_as_comment(raw: Mapping[str, Any], target: Target, page: PageRef, authors: Authors) -> Comment:
    """A resident's post on the page's wall as the first message of its own discussion; its id is the post's."""
    return Comment(
        network=NETWORK,
        external_id=target.id,
        page_id=page.id,
        post_id=target.id,
        comment_id=str(target.item),
        parent_id=None,
        author=authors(whole(raw.get("from_id"))),
        text=post_text(raw),
        published_at=moment(raw.get("date")),
        url=f"{SITE}{target.id}",
        attachments=attachments(raw.get("attachments")),
        own=False,
        edited_at=moment(raw.get("edited")),
    )


# --- posts -----------------------------------------------------------------------------------------------------------


def post_text(raw: Mapping[str, Any]) -> str:
    """The post's own text and, for a repost, what it repeats."""
    texts = [clean(raw.get("text")), *(clean(r.get("text")) for r in rows(raw.get("copy_history")))]
    return "\n\n".join(filter(None, texts))[:MAX_TEXT]


def wall_post(raw: Mapping[str, Any], page: PageRef) -> Post | None:
    """A wall item; None when it is no post. A resident's post counts itself as one message more (see vk.py)."""
    number = whole(raw.get("id"))
    owner = whole(raw.get("owner_id")) or int(page.id)
    if not number or str(owner) != page.id:
        return None
    comments = mapping(raw.get("comments"))
    count = whole(comments.get("count"))
    if comments.get("can_view") in (0, False):
        count = None  # a zero that may only mean "not for you": asking for the comments tells
    if count is not None and by_resident(raw, owner):
        count += 1
    target = Target("post", owner, number)
    return Post(
        network=NETWORK,
        id=target.id,
        page_id=page.id,
        kind="post",
        published_at=moment(raw.get("date")),
        counter=count,
        url=f"{SITE}{target.id}",
        text=post_text(raw),
        pinned=bool(raw.get("is_pinned")),
        closed=comments.get("can_post") in (0, False),
        gone=raw.get("is_deleted") is True,
    )


def photo_post(raw: Mapping[str, Any], page: PageRef) -> Post | None:
    count = whole(mapping(raw.get("comments")).get("count"))
    return _media(raw, page, "photo", clean(raw.get("text")), count, raw.get("can_comment"))


def video_post(raw: Mapping[str, Any], page: PageRef) -> Post | None:
    text = "\n\n".join(filter(None, (clean(raw.get("title")), clean(raw.get("description")))))
    return _media(raw, page, "video", text, whole(raw.get("comments")), raw.get("can_comment"))


def _media(raw: Mapping[str, Any], page: PageRef, kind: str, text: str, count: int | None, may: Any) -> Post | None:
    number, owner = whole(raw.get("id")), whole(raw.get("owner_id")) or int(page.id)
    if not number or str(owner) != page.id:  # a video of somebody else in the page's list is not the page's
        return None
    target = Target(kind, owner, number)
    return Post(
        network=NETWORK,
        id=target.id,
        page_id=page.id,
        kind=kind,
        published_at=moment(raw.get("date")),
        counter=count,
        url=f"{SITE}{target.id}",
        text=text,
        closed=may in (0, False),
    )


def topic_post(raw: Mapping[str, Any], page: PageRef) -> Post | None:
    number = whole(raw.get("id"))
    if not number:
        return None
    target = Target("topic", int(page.id), number)
    return Post(
        network=NETWORK,
        id=target.id,
        page_id=page.id,
        kind="topic",
        published_at=moment(raw.get("created")),
        counter=whole(raw.get("comments")),
        url=f"{SITE}{target.id}",
        text=clean(raw.get("title")),
        pinned=bool(raw.get("is_fixed")),
        closed=bool(raw.get("is_closed")),
    )
