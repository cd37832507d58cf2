"""A world in Telegram's shapes (Bot API 10.1): chats, people, messages. Every object has the fields the API requires.

One page of the world is a channel with its discussion group. Numbers: the world's id of a comment times ten is its
message in the group (an album takes the following ones), a post's id times ten its copy there, and the post itself has
another number in the channel.
"""

from __future__ import annotations

from typing import Any

from emulator.world import Comment, Naming, Page, Post, World
from store.values import Attachment

BOT_ID = 7000000001
ANONYMOUS_ADMIN, CHANNEL_BOT = 1087968824, 136817688
IN_CHANNEL = 1_000_000
MOST_IN_ALBUM = 10


def channel_id(page: Page) -> int:
    return -(1_002_000_000_000 + abs(int(page.id)) % 1_000_000_000)


def group_id(page: Page) -> int:
    return -(1_001_000_000_000 + abs(int(page.id)) % 1_000_000_000)


def number(thing: Post | Comment) -> int:
    """Of the message in the group; of an album, the first."""
    return thing.id * 10


NAMING = Naming(
    post=lambda p: f"{group_id(p.page)}_{number(p)}",
    comment=lambda c: f"{group_id(c.post.page)}_{number(c)}",
    page=lambda page: str(channel_id(page)),
)


# --- chats and people ------------------------------------------------------------------------------------------------


def channel(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = {"id": channel_id(page), "type": "channel", "title": page.title or "Канал"}
    return found | ({"username": page.screen_name} if page.screen_name else {})


def group(page: Page) -> dict[str, Any]:
    return {"id": group_id(page), "type": "supergroup", "title": f"{page.title or 'Канал'} — обсуждение"}


def full(chat: dict[str, Any], linked: int | None) -> dict[str, Any]:
    """As `getChat` tells it (ChatFullInfo)."""
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
    return (
        chat
        | {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": dict.fromkeys(gifts, False)}
        | ({} if linked is None else {"linked_chat_id": linked})
    )


def bot() -> dict[str, Any]:
    return {"id": BOT_ID, "is_bot": True, "first_name": "Отклик", "username": "otklik_emulator_bot"}


def sender(world: World, author: int, page: Page, own_as: str) -> dict[str, Any]:
    """`from` and `sender_chat` of a message."""
    if author == page.author_id:
        if own_as == "bot":
            return {"from": bot()}
        service = (ANONYMOUS_ADMIN, "Group") if own_as == "group" else (CHANNEL_BOT, "Channel")
        user = {"id": service[0], "is_bot": True, "first_name": service[1]}
        return {"from": user, "sender_chat": group(page) if own_as == "group" else channel(page)}
    known = world.authors.get(author)
    kind = known.kind if known is not None else "person"
    if kind == "hidden":
        return {}
    if kind == "community":
        user = {"id": CHANNEL_BOT, "is_bot": True, "first_name": "Channel"}
        title = known.name if known is not None else ""
        return {"from": user, "sender_chat": {"id": author, "type": "channel", "title": title}}
    name = "" if kind == "deleted" else (known.name if known is not None else "") or f"Житель {author}"
    first, _, last = name.partition(" ")
    user = {"id": abs(author), "is_bot": False, "first_name": first}
    return {"from": user | ({"last_name": last} if last else {})}


# --- messages --------------------------------------------------------------------------------------------------------


def copy(post: Post) -> dict[str, Any]:
    """The post's automatic forward in the group."""
    page = post.page
    text = "\n\n".join(filter(None, (post.text, post.repost[2] if post.repost else "")))
    found = {
        "message_id": number(post),
        "from": {"id": 777000, "is_bot": False, "first_name": "Telegram"},
        "sender_chat": channel(page),
        "chat": group(page),
        "date": int(post.published_at) + 1,
        "is_automatic_forward": True,
        "forward_origin": {
            "type": "channel",
            "chat": channel(page),
            "message_id": IN_CHANNEL + post.id,
            "date": int(post.published_at),
        },
    }
    return found | ({"text": text} if text else {"photo": media(Attachment("photo", id=f"post{post.id}"))["photo"]})


def messages(
    world: World, comment: Comment, text: str, attachments: tuple[Attachment, ...], *, own_as: str, thread: int | None
) -> list[dict[str, Any]]:
    """A comment as its messages: one, or as many as an album has pictures."""
    page = comment.post.page
    answered = (
        copy(comment.post)
        if comment.parent is None
        else messages(world, comment.parent, comment.parent.text, (), own_as=own_as, thread=thread)[0]
    )
    base: dict[str, Any] = {
        "message_id": number(comment),
        **sender(world, comment.author, page, own_as),
        "chat": group(page),
        "date": int(comment.published_at),
        **({} if thread is None else {"message_thread_id": thread}),
        "reply_to_message": {k: v for k, v in answered.items() if k != "reply_to_message"},
    }
    if not attachments:
        return [base | {"text": text}]
    caption = {"caption": text} if text else {}
    if len(attachments) == 1:
        return [base | media(attachments[0]) | caption]
    found = [
        base | {"message_id": number(comment) + i, "media_group_id": f"album{comment.id}"} | media(a)
        for i, a in enumerate(attachments[:MOST_IN_ALBUM])
    ]
    found[0] |= caption
    return found


def media(one: Attachment) -> dict[str, Any]:
    """One attachment as Telegram has it; a kind that it does not know becomes a document."""
    unique = (one.id or one.title or one.kind).replace("/", "_")
    file: dict[str, Any] = {"file_id": f"F{unique}", "file_unique_id": unique}
    if one.kind == "photo":
        return {"photo": [file | {"file_unique_id": f"{unique}s", "width": 90, "height": 60}, file | _size(1280, 800)]}
    if one.kind == "sticker":
        return {"sticker": file | _size(512, 512) | {"type": "regular", "is_animated": False, "is_video": False}}
    if one.kind == "video":
        return {"video": file | _size(1280, 720) | {"duration": 9}}
    if one.kind in ("audio", "voice"):
        return {one.kind: file | {"duration": 9}}
    if one.kind == "video_note":
        return {"video_note": file | {"length": 240, "duration": 9}}
    if one.kind == "gif":
        return {"animation": file | _size(320, 240) | {"duration": 2}, "document": dict(file)}
    if one.kind == "location":
        return {"location": {"latitude": 41.46, "longitude": 47.74}}
    return {"document": file | ({"file_name": one.title} if one.title else {})}


def _size(width: int, height: int) -> dict[str, Any]:
    return {"width": width, "height": height}
