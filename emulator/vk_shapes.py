"""What VK's objects look like in answers: posts, comments, attachments, people (schema 5.199)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from emulator.world import THREADED, Author, Comment, Post, Shown
from store.values import Attachment

if TYPE_CHECKING:
    from emulator.vk import VkFace


NESTED = 10
"""Levels of replies within replies that one answer shows; so deep no answer of the real VK has been seen."""


def bit(value: bool) -> int:
    return 1 if value else 0


def likes(count: int) -> dict[str, Any]:
    return {"can_like": 1, "count": count, "user_likes": 0, "can_publish": 1, "repost_disabled": False}


def sizes(url: str) -> list[dict[str, Any]]:
    return [{"type": "x", "url": url, "width": 604, "height": 453}]


def attachment(item: Attachment, owner: int, date: int) -> dict[str, Any]:
    """An attachment as VK writes it; kinds we know nothing of come through with their bare type."""
    raw = (item.id or "").rpartition("_")
    number = int(raw[2]) if raw[2].isdigit() else 1
    holder = int(raw[0]) if raw[0].lstrip("-").isdigit() else owner
    url = item.url or f"https://sun9-1.userapi.com/{item.kind}{number}.jpg"
    title = item.title or ""
    what: dict[str, Any]
    if item.kind == "photo":
        what = {
            "id": number,
            "owner_id": holder,
            "album_id": -7,
            "date": date,
            "has_tags": False,
            "text": title,
            "sizes": sizes(url),
            "access_key": "k",
        }
    elif item.kind == "sticker":
        images = [{"url": url, "width": 128, "height": 128}]
        what = {"inner_type": "base_sticker_new", "sticker_id": number, "product_id": 1, "images": images}
        what |= {"images_with_background": images, "is_allowed": True}
    elif item.kind == "link":
        what = {"url": item.url or "https://example.org/", "title": title, "caption": "", "is_favorite": False}
    elif item.kind == "video":
        what = {"id": number, "owner_id": holder, "title": title, "date": date, "duration": 30, "type": "video"}
    elif item.kind == "doc":
        what = {"id": number, "owner_id": holder, "title": title or "document.pdf", "size": 1024, "ext": "pdf"}
        what |= {"date": date, "type": 1, "url": item.url or f"https://vk.ru/doc{holder}_{number}"}
    elif item.kind == "audio":
        what = {"id": number, "owner_id": holder, "artist": "", "title": title, "duration": 60, "url": "", "date": date}
    elif item.kind == "graffiti":
        what = {"id": number, "owner_id": holder, "url": url, "width": 100, "height": 100, "access_key": "k"}
    else:
        return {"type": item.kind}
    return {"type": item.kind, item.kind: what}


def attachments_of(items: Iterable[Attachment], owner: int, date: float) -> list[dict[str, Any]]:
    return [attachment(one, owner, int(date)) for one in items]


def post_item(face: VkFace, post: Post) -> dict[str, Any]:
    owner = int(post.page.id)
    can_post = bit(not post.closed)
    item: dict[str, Any] = {
        "inner_type": "wall_wallpost",
        "id": post.id,
        "owner_id": owner,
        "from_id": post.author,
        "date": int(post.published_at),
        "text": post.text,
        "type": "post",
        "post_type": "post",
        "attachments": attachments_of(post.attachments, owner, post.published_at),
        "comments": {
            "count": 0 if post.unreadable else face.counter(post),
            "can_post": can_post,
            "can_view": bit(not post.unreadable),
            "groups_can_post": bool(can_post),
        },
        "likes": likes(post.likes),
        "reposts": {"count": 0, "user_reposted": 0},
        "views": {"count": post.likes * 10},
        "donut": {"is_donut": False},
        "post_source": {"type": "vk"},
        "hash": "h",
    }
    if post.pinned:
        item["is_pinned"] = 1
    if post.repost:
        from_owner, number, text = post.repost
        item["copy_history"] = [
            {
                "inner_type": "wall_wallpost",
                "id": number,
                "owner_id": from_owner,
                "from_id": from_owner,
                "date": int(post.published_at) - 3600,
                "text": text,
                "type": "post",
                "post_type": "post",
                "attachments": [],
                "post_source": {"type": "vk"},
            }
        ]
    return item


def comment_item(
    face: VkFace,
    seen: Shown,
    one: Comment,
    values: Mapping[str, Any],
    level: int = 1,
    parents: tuple[int, ...] = (),
    nested: int = NESTED,
) -> dict[str, Any]:
    """A comment with the beginning of its thread, `nested` levels deep; deeper ones have to be asked for."""
    post = one.post
    owner = int(post.page.id)
    item: dict[str, Any] = {
        "id": one.id,
        "from_id": face.author_id(one),
        "date": int(one.published_at),
        "text": "" if one.deleted else one.text,
    }
    if item["from_id"] is None:
        del item["from_id"]
    if post.kind != "topic":
        item["can_edit"] = 0
    if post.kind == "post":
        item["post_id"] = post.id
        item["owner_id"] = owner
    elif post.kind == "photo":
        item["pid"] = item["photo_id"] = post.id
        item["owner_id"] = owner
    elif post.kind == "video":
        item["video_id"] = post.id
        item["owner_id"] = owner
    cut = values.get("preview_length")
    if cut:
        item["text"] = item["text"][:cut]
    if one.deleted:
        item["deleted"] = True
    elif one.attachments:
        item["attachments"] = attachments_of(one.attachments, owner, one.published_at)
    if values.get("need_likes"):
        item["likes"] = likes(one.likes)
    if one.parent is not None and post.kind != "topic":
        item["reply_to_comment"] = one.parent.id
        replied = face.author_id(one.parent)
        if replied:
            item["reply_to_user"] = replied
    if post.kind in THREADED:
        item["parents_stack"] = list(parents)
        item["is_from_post_author"] = one.author == post.author and not one.deleted
        if level < max(2, face.behaviour.thread_depth):
            below = seen.levels.get(one.id, ())
            some = below[: values.get("thread_items_count") or 0] if nested else ()
            item["thread"] = {
                "count": len(below),
                "items": [comment_item(face, seen, c, values, level + 1, (*parents, one.id), nested - 1) for c in some],
                "can_post": not post.closed,
                "show_reply_button": not post.closed,
                "groups_can_post": not post.closed,
                "author_replied": any(c.own and not c.deleted for c in below),
            }
    return item


def profile_item(face: VkFace, author: Author) -> dict[str, Any] | None:
    if author.kind == "hidden":
        if face.behaviour.hidden_author != "flag":
            return None
        return {"id": author.id, "first_name": "", "last_name": "", "hidden": 1}
    if author.kind in ("deleted", "banned"):
        first = "DELETED" if author.kind == "deleted" else author.name or "Страница"
        return {"id": author.id, "first_name": first, "last_name": "", "deactivated": author.kind}
    first, _, last = author.name.partition(" ")
    return {
        "id": author.id,
        "first_name": first or "Пользователь",
        "last_name": last,
        "is_closed": False,
        "can_access_closed": True,
    }


def group_item(number: int, name: str, screen_name: str) -> dict[str, Any]:
    return {"id": number, "name": name, "screen_name": screen_name, "is_closed": 0, "type": "page"}


def group_of(face: VkFace, owner: int) -> dict[str, Any]:
    page = face.world.pages.get(str(owner))
    if page is not None:
        return group_item(-owner, page.title, page.screen_name)
    author = face.world.authors.get(owner)
    name = author.name if author is not None and author.name else "Сообщество"
    return group_item(-owner, name, (author and author.screen_name) or f"club{-owner}")


def people(face: VkFace, ids: Iterable[int | None], names: Iterable[str] = ()) -> dict[str, Any]:
    """`profiles` and `groups` of these authors; `screen_name` of people only when `fields` ask."""
    profiles, groups = [], []
    wanted = set(names)
    for one in dict.fromkeys(i for i in ids if i):
        if one < 0:
            groups.append(group_of(face, one))
            continue
        author = face.world.authors.get(one) or Author(one)
        profile = profile_item(face, author)
        if profile is not None:
            if wanted & {"screen_name", "domain"} and author.kind != "hidden":
                profile |= dict.fromkeys(wanted & {"screen_name", "domain"}, author.screen_name or f"id{one}")
            profiles.append(profile)
    return {"profiles": profiles, "groups": groups}


def authors_of(items: Iterable[Mapping[str, Any]]) -> Iterable[int | None]:
    for item in items:
        yield item.get("from_id")
        yield item.get("reply_to_user")
        yield from authors_of((item.get("thread") or {}).get("items") or ())
        yield from authors_of(item.get("copy_history") or ())
