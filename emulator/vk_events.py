"""The events that VK tells by itself: Callback API (POST to an address) and Bots Long Poll (a call that waits).

Made from the world's journal, in the forms of VK's schema (callback/objects).
"""

from __future__ import annotations

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from emulator.vk_params import ApiError, P, method

if TYPE_CHECKING:
    from emulator.vk import VkFace
    from emulator.world import Comment, Post, World

VERSION = "5.199"
LONG_POLL = "longpoll/"
_NAMES = {"post": "wall_reply", "photo": "photo_comment", "video": "video_comment", "topic": "board_post"}
_NEW = {"post": "wall_post_new", "photo": "photo_new", "video": "video_new"}


def event(what: str, thing: Any, face: VkFace) -> dict[str, Any] | None:
    """One entry of the journal as VK tells it, without its secret; None for what VK is silent about."""
    post: Post = thing if what == "post" else thing.post
    owner = int(post.page.id)
    if owner >= 0:
        return None  # a person's page has no events
    if what == "post":
        if post.kind not in _NEW:
            return None
        told: dict[str, Any] = {
            "id": post.id,
            "owner_id": owner,
            "from_id": post.author,
            "date": int(post.published_at),
        }
        return _whole(_NEW[post.kind], told | {"date": int(post.published_at), "text": post.text}, owner)
    kind = f"{_NAMES[post.kind]}_{what}"
    return _whole(kind, _gone(thing, owner) if what == "delete" else _said(thing, owner, face), owner)


def _said(comment: Comment, owner: int, face: VkFace) -> dict[str, Any]:
    post = comment.post
    told = {
        "id": comment.id,
        "from_id": face.author_id(comment) or 0,
        "date": int(comment.published_at),
        "text": comment.text,
    }
    return (
        told
        | {
            "post": {"post_id": post.id, "owner_id": owner, "post_owner_id": owner},
            "photo": {"photo_id": post.id, "photo_owner_id": owner},
            "video": {"video_id": post.id, "video_owner_id": owner},
            "topic": {"topic_id": post.id, "topic_owner_id": owner},
        }[post.kind]
    )


def _gone(comment: Comment, owner: int) -> dict[str, Any]:
    post, told = comment.post, {"id": comment.id, "deleter_id": 100}
    return (
        told
        | {
            "post": {"owner_id": owner, "post_id": post.id},
            "photo": {"owner_id": owner, "user_id": comment.author, "photo_id": post.id},
            "video": {"owner_id": owner, "video_id": post.id},
            "topic": {"topic_owner_id": owner, "topic_id": post.id},
        }[post.kind]
    )


def _whole(kind: str, told: Mapping[str, Any], owner: int) -> dict[str, Any]:
    return {"group_id": -owner, "type": kind, "event_id": secrets.token_hex(20), "v": VERSION, "object": dict(told)}


def events(face: VkFace, after: int, group: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number in the journal, event) of what happened after `after`."""
    with face.world.lock:
        face.world.sync()
        news = [entry for entry in face.world.journal if entry[0] > after]
    for number, what, thing in news:
        made = event(what, thing, face)
        if made is not None and group in (None, made["group_id"]):
            yield number, made


def send(face: VkFace, to: str, secret: str, after: int) -> tuple[int, list[int]]:
    """Send what happened after `after` to an address, as VK does; (the last number, HTTP statuses)."""
    statuses = []
    for number, made in events(face, after):
        body = json.dumps({**made, "secret": secret}).encode()
        request = urllib.request.Request(to, body, {"Content-Type": "application/json"}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                statuses.append(answer.status if answer.read() == b"ok" else 0)
        except urllib.error.HTTPError as e:
            statuses.append(e.code)
        after = number
    return after, statuses


def last(world: World) -> int:
    with world.lock:
        return world.journal[-1][0] if world.journal else 0


# --- long poll --------------------------------------------------------------------------------------------------------


@method("groups.getLongPollServer", ("user", "group"), group_id=P(required=True, low=1))
def _get_long_poll_server(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.world.pages.get(str(-p["group_id"]))
    if page is None:
        raise ApiError(100, "group_id is invalid")
    if page.errors.get("write"):
        raise ApiError(15)
    key = face.long_poll_keys.setdefault(p["group_id"], secrets.token_hex(20))
    return {"key": key, "server": f"{face.address}{face.prefix}{LONG_POLL}{p['group_id']}", "ts": str(last(face.world))}


def long_poll(face: VkFace, path: str, params: Mapping[str, str]) -> dict[str, Any]:
    """The call that waits; `failed` 1: the place is too old, 2: the key is over, 3: both."""
    group = path.removeprefix(LONG_POLL)
    known = face.long_poll_keys.get(int(group)) if group.isdecimal() and len(group) < 16 else None
    if known is None or params.get("key") != known or params.get("act") != "a_check":
        return {"failed": 2}
    try:
        after, wait = int(params.get("ts", "")), min(90.0, float(params.get("wait", "25")))
    except ValueError:
        return {"failed": 3}
    with face.world.lock:
        oldest = face.world.journal[0][0] if face.world.journal else 1
    if after < oldest - 1 or after > last(face.world):
        return {"failed": 1, "ts": str(last(face.world))}
    until = time.monotonic() + wait
    while not (found := list(events(face, after, int(group)))) and time.monotonic() < until:
        time.sleep(0.02)
    return {"ts": str(found[-1][0] if found else last(face.world)), "updates": [made for _, made in found]}
