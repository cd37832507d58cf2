"""Odnoklassniki's JSON -> plain values. Pure functions; every field may be missing, of another type, or new."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from collectors.raw import clean, mapping
from collectors.when import from_ms, from_text
from settings import ConfigError
from store.values import Attachment, Author, PageRef, Post

NETWORK = "ok"
SITE = "https://ok.ru/"
ZONE = "Europe/Moscow"  # of times written without one (unconfirmed)
TYPES = {"post": "GROUP_TOPIC", "photo": "GROUP_PHOTO", "video": "GROUP_MOVIE"}
KINDS = {type_: kind for kind, type_ in TYPES.items()}
_HOSTS = {"ok.ru", "www.ok.ru", "m.ok.ru", "odnoklassniki.ru", "www.odnoklassniki.ru"}
_ADDRESS = {"GROUP_TOPIC": "topic", "GROUP_PHOTO": "photo", "GROUP_MOVIE": "video"}
Raw = dict[str, Any]


def page_name(given: str) -> str:
    """The number of a group, or its short name: "https://ok.ru/group/57" -> "57"; ConfigError for anything else."""
    text = given.strip()
    if "/" in text:
        parts = urlsplit(text if "//" in text else f"//{text}")
        if (parts.hostname or "") not in _HOSTS:
            raise ConfigError(f"{clean(text)[:100]} не адрес Одноклассников; укажите адрес вида https://ok.ru/group/57")
        words = parts.path.strip("/").split("/")
        text = words[1] if words[0] == "group" and len(words) > 1 else words[0]
    text = text.removeprefix("group:")
    if m := re.fullmatch(r"(?:group)?(\d{1,20})", text):
        return m[1]
    if not re.fullmatch(r"[A-Za-z0-9_.-]{2,64}", text) or text in ("profile", "video", "group"):
        raise ConfigError(f"{clean(text)[:100] or 'пустой id'} не похоже на группу Одноклассников; укажите её адрес")
    return text


def author(id: str, ref: str, name: str) -> Author:
    """Hidden and deleted authors (no id, or no name) are `unknown`; the comment counts all the same."""
    if ref.startswith("group:"):
        number = ref.removeprefix("group:")
        return Author(number, name or None, f"{SITE}group/{number}", "community")
    number = id or ref.removeprefix("user:")
    if not number or number == "0" or not name:
        known = number if number not in ("", "0") else None
        return Author(known, None, f"{SITE}profile/{known}" if known else None, "unknown")
    return Author(number, name, f"{SITE}profile/{number}", "person")


def attachment(raw: Raw) -> Attachment:
    """Kind and id; addresses of files are signed anew each time and would look like edits."""
    kind = clean(raw.get("type")).lower()[:64] or "unknown"
    id_ = id_of(raw, "id", "photo_id", "video_id", "sticker_id")
    return Attachment(kind, None, clean(raw.get("title") or raw.get("name"))[:500] or None, id_)


def removed(raw: Raw) -> bool:
    """A stub of a removed comment (how it is marked is unconfirmed)."""
    marked = any(raw.get(k) is True for k in ("removed", "deleted", "is_removed", "is_deleted"))
    return marked or re.search("REMOVED|DELETED", clean(raw.get("type")).upper()) is not None


def media_post(raw: Raw, page: PageRef, kind: str) -> Post | None:
    number = id_of(raw, "object_id", "id")
    if not number:
        return None
    text = clean(raw.get("text")) or clean(raw.get("title"))
    url = url_of(page, TYPES[kind], number)
    return Post(NETWORK, f"{TYPES[kind]}:{number}", page.id, kind, time_of(raw), count_of(raw), url, text)


def count_of(raw: Raw) -> int | None:
    for value in (
        raw.get("total_comments_count"),
        mapping(raw.get("discussion_summary")).get("comments_count"),
        raw.get("comments_count"),
    ):
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def time_of(raw: Raw) -> datetime | None:
    for key in ("date_ms", "created_ms", "creation_date_ms"):
        if (at := from_ms(raw.get(key))) is not None:
            return at
    return from_text(raw.get("date") or raw.get("creation_date"), ZONE)


def id_of(raw: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        value = raw.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and (text := clean(value).strip()):
            return text[:200]
    return None


def url_of(page: PageRef, type_: str, number: str) -> str:
    return f"{SITE}group/{page.id}/{_ADDRESS.get(type_, 'topic')}/{number}"
