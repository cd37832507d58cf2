"""Telegram's JSON -> plain values. Pure functions; every field may be missing, of another type, or new.

Field names: Bot API 10.1 (https://core.telegram.org/bots/api, types Message, Chat, User, MessageOrigin). Comments under
a channel's post are messages of the group that is linked to the channel as its discussion: the post stands there as an
automatic forward (`is_automatic_forward`), the comments in its thread (`message_thread_id`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from collectors.raw import clean, mapping, rows, whole
from collectors.when import from_seconds
from store.values import Attachment, Author, Comment, Post

NETWORK = "telegram"
SITE = "https://t.me/"
GROUP_CHAT = 0
"""Stands for the thread of what is written in the group outside of any post's thread."""
_MEDIA = (
    "photo", "video", "animation", "audio", "document", "voice", "video_note", "sticker", "live_photo", "paid_media",
    "story", "location", "venue", "poll", "contact", "dice", "game", "checklist", "giveaway", "giveaway_winners",
)  # fmt: skip
_CALLED = {"document": "doc", "animation": "gif", "live_photo": "photo"}
_SERVICE = frozenset({
    "new_chat_members", "left_chat_member", "chat_owner_left", "chat_owner_changed", "new_chat_title",
    "new_chat_photo", "delete_chat_photo", "group_chat_created", "supergroup_chat_created", "channel_chat_created",
    "message_auto_delete_timer_changed", "migrate_to_chat_id", "migrate_from_chat_id", "pinned_message", "invoice",
    "successful_payment", "refunded_payment", "users_shared", "chat_shared", "gift", "unique_gift",
    "gift_upgrade_sent", "connected_website", "write_access_allowed", "passport_data", "proximity_alert_triggered",
    "boost_added", "chat_background_set", "checklist_tasks_done", "checklist_tasks_added",
    "direct_message_price_changed", "forum_topic_created", "forum_topic_edited", "forum_topic_closed",
    "forum_topic_reopened", "general_forum_topic_hidden", "general_forum_topic_unhidden", "giveaway_created",
    "giveaway_completed", "managed_bot_created", "paid_message_price_changed", "poll_option_added",
    "poll_option_deleted", "suggested_post_approved", "suggested_post_approval_failed", "suggested_post_declined",
    "suggested_post_paid", "suggested_post_refunded", "video_chat_scheduled", "video_chat_started",
    "video_chat_ended", "video_chat_participants_invited", "web_app_data",
})  # fmt: skip
"""What tells of something that happened in the group; nobody wrote it."""
_ADDRESS = re.compile(r"^(?:https?:)?(?://)?(?:www\.)?(?:t\.me|telegram\.me|telegram\.dog)/(?P<rest>.*)$", re.I)
_NAME = re.compile(r"@?([A-Za-z][A-Za-z0-9_]{3,31})")


@dataclass(frozen=True, slots=True)
class Place:
    """A watched page: its channel (None: a group that stands for itself), the group of its discussion, their names."""

    page_id: str
    group: int
    channel: int | None = None
    group_name: str = ""
    channel_name: str = ""

    def post_id(self, thread: int) -> str:
        return f"{self.group}_{thread}"

    def comment_id(self, message: int) -> str:
        return f"{self.group}_{message}"

    def url(self, message: int, thread: int) -> str:
        """For people: the way to one message of the group."""
        name = self.group_name or f"c/{bare(self.group)}"
        return f"{SITE}{name}/{message}" + (f"?thread={thread}" if thread and thread != message else "")

    def post_url(self, message: int) -> str:
        """The way to a post of the channel."""
        return f"{SITE}{self.channel_name or f'c/{bare(self.channel or self.group)}'}/{message}"

    def note(self) -> list[Any]:
        """What `kept` makes a place of again."""
        return [self.page_id, self.group, self.channel, self.group_name, self.channel_name]

    @classmethod
    def kept(cls, note: Any) -> Place | None:
        return cls(*note) if isinstance(note, list) and len(note) == 5 else None


def bare(chat: int) -> str:
    """The number of a chat as addresses have it: without the -100 of supergroups and channels."""
    return str(chat).removeprefix("-100").lstrip("-")


def chat_named(given: str) -> int | str | None:
    """What a person wrote in `pages.id` -> `chat_id` for the API; None when it is no address of Telegram."""
    text = given.strip()
    if re.fullmatch(r"-?\d{1,19}", text):
        return int(text)
    m = _ADDRESS.match(text)
    if m:
        parts = [p for p in m["rest"].partition("?")[0].split("/") if p]
        if parts and parts[0] == "c" and len(parts) > 1 and parts[1].isdigit():
            return int(f"-100{parts[1][:15]}")
        text = (parts[1] if len(parts) > 1 and parts[0] == "s" else parts[0]) if parts else ""
    m = _NAME.fullmatch(text)
    return f"@{m[1]}" if m else None


# --- one message -----------------------------------------------------------------------------------------------------


def is_service(message: Mapping[str, Any]) -> bool:
    """It tells of something that happened in the group. What is of no known kind counts as written by somebody."""
    return not _SERVICE.isdisjoint(message) and not any(k in message for k in ("text", "caption", *_MEDIA))


def is_copy(message: Mapping[str, Any]) -> bool:
    """It is the copy of a channel's post in the group of its discussion."""
    return message.get("is_automatic_forward") is True


def thread_of(message: Mapping[str, Any]) -> int | None:
    """The thread that a message of the group lies in; for the copy of a post itself; None: in none.

    Without `message_thread_id` the message that is answered tells it, when that is a copy or lies in a thread.
    """
    if is_copy(message):
        return whole(message.get("message_id"))
    answered = mapping(message.get("reply_to_message"))
    if is_copy(answered):
        return whole(answered.get("message_id"))
    return whole(message.get("message_thread_id")) or whole(answered.get("message_thread_id"))


def alias_of(message: Mapping[str, Any]) -> tuple[int, int] | None:
    """(number of the thread, id of the post's copy) where a message tells both and they differ."""
    answered = mapping(message.get("reply_to_message"))
    thread, copy = whole(message.get("message_thread_id")), whole(answered.get("message_id"))
    return (thread, copy) if is_copy(answered) and thread and copy and thread != copy else None


def text_of(message: Mapping[str, Any]) -> str:
    """Text, caption, or what a formatted or a polling message says."""
    for found in (message.get("text"), message.get("caption"), mapping(message.get("poll")).get("question")):
        if isinstance(found, str) and found:
            return clean(found)
    return clean("\n".join(_texts(message.get("rich_message"), 0)))


def _texts(value: Any, depth: int) -> list[str]:
    """Every `text` inside a formatted message, in order."""
    if depth > 20:
        return []
    if isinstance(value, list):
        return [t for v in value for t in ([v] if isinstance(v, str) else _texts(v, depth + 1))]
    if not isinstance(value, dict):
        return []
    return [t for k, v in value.items() for t in ([v] if k == "text" and isinstance(v, str) else _texts(v, depth + 1))]


def attachments_of(message: Mapping[str, Any]) -> list[Attachment]:
    """What is attached, without addresses: Telegram gives a file only to who asks with the token."""
    found = []
    for kind in _MEDIA:
        value = message.get(kind)
        if (
            value is None
            or (kind == "document" and "animation" in message)
            or (kind == "location" and "venue" in message)
        ):
            continue
        one = rows(value)[-1] if kind == "photo" and rows(value) else mapping(value)
        if kind == "live_photo" and "photo" in message:
            continue
        title = clean(one.get("file_name") or one.get("title") or one.get("emoji") or "") or None
        if kind == "venue":
            title = ", ".join(filter(None, (clean(one.get("title")), clean(one.get("address"))))) or None
        elif kind == "location" and isinstance(one.get("latitude"), float | int):
            title = f"{one.get('latitude')}, {one.get('longitude')}"
        id = clean(one.get("file_unique_id") or "") or None
        found.append(Attachment(_CALLED.get(kind, kind), None, title, id))
    if not found and "text" not in message and not text_of(message) and not is_service(message):
        found.append(Attachment("unknown"))
    return found


def author_of(message: Mapping[str, Any]) -> Author:
    """Who wrote; a deleted account has no name and is unknown."""
    chat = mapping(message.get("sender_chat"))
    if (id := whole(chat.get("id"))) is not None:
        name = clean(chat.get("title")) or None
        return Author(str(id), name, f"{SITE}{clean(chat['username'])}" if chat.get("username") else None, "community")
    user = mapping(message.get("from"))
    id = whole(user.get("id"))
    if id is None:
        return Author()
    name = " ".join(filter(None, (clean(user.get("first_name")), clean(user.get("last_name")))))
    if not name:
        return Author(str(id))
    return Author(str(id), name, f"{SITE}{clean(user['username'])}" if user.get("username") else None, "person")


def is_own(message: Mapping[str, Any], place: Place, staff: Collection[str]) -> bool:
    """Written in the administration's name: by an anonymous administrator (the group itself), by the channel, by a
    bot or a person that is known as ours."""
    chat = whole(mapping(message.get("sender_chat")).get("id"))
    if chat is not None:
        return chat in (place.group, place.channel)
    user = mapping(message.get("from"))
    return str(user.get("id")) in staff or clean(user.get("username")).lower() in staff


# --- what becomes of them --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """One comment on its way: its messages (an album is several), the latest version of each. `first`: its number."""

    first: int
    thread: int
    parts: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def add(self, number: int, message: Mapping[str, Any], *, known: bool) -> None:
        """`known`: the album came in an earlier run, so its number stands."""
        self.parts[number] = message
        if not known:
            self.first = min(self.first, number)

    def note(self) -> dict[str, Any]:
        """What an edit of one part needs of the others later."""
        parts = [_trimmed(p) for p in self.parts.values()]
        return {"first": self.first, "date": parts[0].get("date"), "parts": parts}

    @classmethod
    def kept(cls, note: Any, thread: int) -> Found:
        parts = {n: p for p in rows(mapping(note).get("parts")) if (n := whole(p.get("message_id"))) is not None}
        return cls(whole(mapping(note).get("first")) or min(parts, default=0), thread, dict(parts))


def _trimmed(message: Mapping[str, Any]) -> dict[str, Any]:
    """No more of a message than `comment` looks at."""
    kept = {
        k: message[k]
        for k in ("message_id", "date", "edit_date", "from", "sender_chat", "caption", "media_group_id")
        if k in message
    }
    if answered := mapping(message.get("reply_to_message")):
        kept["reply_to_message"] = {k: answered[k] for k in ("message_id", "is_automatic_forward") if k in answered}
    for kind in _MEDIA:
        if kind in message:
            one = rows(message[kind])[-1] if rows(message[kind]) else mapping(message[kind])
            one = {k: one[k] for k in ("file_unique_id", "file_name", "title", "emoji") if k in one}
            kept[kind] = [one] if kind == "photo" else one
    return kept


def comment(found: Found, place: Place, staff: Collection[str]) -> Comment:
    """A comment from its message, or from the messages of an album: the earliest gives its id, whichever has words its
    text."""
    parts = [found.parts[i] for i in sorted(found.parts)]
    head = parts[0]
    answered = mapping(head.get("reply_to_message"))
    parent = whole(answered.get("message_id"))
    if parent is None or is_copy(answered) or parent == found.thread:
        parent = None
    edited = [t for p in parts if (t := from_seconds(p.get("edit_date"))) is not None]
    return Comment(
        NETWORK,
        place.comment_id(found.first),
        place.page_id,
        place.post_id(found.thread),
        str(found.first),
        place.comment_id(parent) if parent is not None else None,
        author_of(head),
        next(filter(None, map(text_of, parts)), ""),
        from_seconds(head.get("date")),
        place.url(found.first, found.thread),
        tuple(a for p in parts for a in attachments_of(p)),
        own=is_own(head, place, staff),
        edited_at=max(edited, default=None),
    )


def post(thread: int, copy: Mapping[str, Any], place: Place) -> Post:
    """A post from its copy in the group; an empty `copy`: only its thread is known (the copy is older than the bot)."""
    origin = mapping(copy.get("forward_origin"))
    original = whole(origin.get("message_id"))
    return Post(
        NETWORK,
        place.post_id(thread),
        place.page_id,
        published_at=from_seconds(origin.get("date")) or from_seconds(copy.get("date")),
        url=place.post_url(original) if original is not None and place.channel else place.url(thread, 0),
        text=text_of(copy),
    )
