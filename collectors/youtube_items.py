"""YouTube's JSON -> plain values. Pure functions; every field may be missing, of another type, or new.

Field names: the discovery document of the YouTube Data API v3 (CommentThread, CommentSnippet, VideoStatistics).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from collectors.raw import clean, mapping, rows
from collectors.when import from_text
from settings import ConfigError
from store.values import Answer, Attachment, Author, Comment, PageRef, Post

NETWORK = "youtube"
SITE = "https://www.youtube.com/"
_HOSTS = {"youtube.com", "www.youtube.com", "m.youtube.com"}
_HANDLE = re.compile(r"[\w.\-·]{2,60}")
_CHANNEL = re.compile(r"UC[\w-]{22}", re.ASCII)
Raw = dict[str, Any]


def page_name(given: str) -> dict[str, str]:
    """How `channels.list` finds the channel: by id, handle or old user name; ConfigError for what is no channel."""
    text = unquote(given.strip())
    if "/" in text:
        parts = urlsplit(text if "//" in text else f"//{text}")
        words = [w for w in parts.path.split("/") if w]
        if (parts.hostname or "") not in _HOSTS or not words or words[0] in ("watch", "shorts", "playlist", "live"):
            raise ConfigError(
                f"{clean(text)[:100]} не адрес канала YouTube; укажите адрес вида https://www.youtube.com/@имя"
            )
        if words[0] == "user" and len(words) > 1:
            return {"forUsername": words[1]}
        text = words[1] if words[0] in ("channel", "c") and len(words) > 1 else words[0]
    if _CHANNEL.fullmatch(text):
        return {"id": text}
    if not _HANDLE.fullmatch(text.removeprefix("@")):
        raise ConfigError(f"{clean(text)[:100] or 'пустой id'} не похоже на канал YouTube; укажите его адрес или @имя")
    return {"forHandle": "@" + text.removeprefix("@")}


def video_id(raw: Raw) -> str | None:
    return clean(mapping(raw.get("contentDetails")).get("videoId")) or None


def video(raw: Raw, page: PageRef) -> Post | None:
    number, snippet = clean(raw.get("id")), mapping(raw.get("snippet"))
    if not number or clean(snippet.get("channelId")) not in ("", page.id):
        return None
    count = mapping(raw.get("statistics")).get("commentCount")  # a text; absent when comments are off or hidden
    text = "\n\n".join(filter(None, (clean(snippet.get("title")), clean(snippet.get("description")))))
    at = from_text(snippet.get("publishedAt"))
    counter = int(count) if str(count).isdecimal() else None
    return Post(NETWORK, number, page.id, "video", at, counter, f"{SITE}watch?v={number}", text)


def top_of(thread: Raw) -> Raw | None:
    """A thread as its top comment, with what came along of the replies."""
    snippet = mapping(thread.get("snippet"))
    top = snippet.get("topLevelComment")
    if not isinstance(top, dict) or not clean(top.get("id")):
        return None
    count = snippet.get("totalReplyCount")
    replies = [r for r in rows(mapping(thread.get("replies")).get("comments")) if clean(r.get("id"))]
    return top | {"_count": count if isinstance(count, int) and count > 0 else len(replies), "_replies": replies}


def comment_url(video: str, comment: str) -> str:
    return f"{SITE}watch?v={video}&lc={comment}"


def comment_of(raw: Mapping[str, Any], page: PageRef, video: str, under: str | None) -> Comment:
    number, snippet = clean(raw.get("id")), mapping(raw.get("snippet"))
    text = snippet.get("textOriginal")  # only for the author's own token
    at, changed = from_text(snippet.get("publishedAt")), from_text(snippet.get("updatedAt"))
    who = clean(mapping(snippet.get("authorChannelId")).get("value"))
    image = snippet.get("imageUrl")
    parent = clean(snippet.get("parentId")) or under
    return Comment(
        network=NETWORK,
        external_id=number,
        page_id=page.id,
        post_id=video,
        comment_id=number,
        parent_id=parent if parent != number else None,
        author=_author(who, clean(snippet.get("authorDisplayName"))),
        text=clean(text if isinstance(text, str) else snippet.get("textDisplay")),
        published_at=at,
        url=comment_url(video, number),
        attachments=(Attachment("photo", image.partition("?")[0][:2000]),) if isinstance(image, str) and image else (),
        own=bool(who) and who == page.id,
        edited_at=changed if changed is not None and changed != at else None,
    )


def _author(id: str, name: str) -> Author:
    if not id or not name:
        return Author(id or None, None, f"{SITE}channel/{id}" if id else None, "unknown")
    return Author(id, name, f"{SITE}channel/{id}", "person")


def thread_of(comment: str) -> str:
    """The top comment of a thread: a reply's id is "TOP.REPLY" (unconfirmed; so all that were seen)."""
    return comment.partition(".")[0]


def addressed(answer: Answer) -> str:
    """The text of an answer; to a reply it begins with the @name of who wrote that, as all stand in one thread."""
    name = answer.author.name or ""
    if thread_of(answer.external_id) == answer.external_id or not name:
        return answer.text
    return f"@{name.removeprefix('@')} {answer.text}"
