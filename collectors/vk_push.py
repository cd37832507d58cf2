"""What VK tells by itself: events of the Callback API and of Bots Long Poll, which have one form.

An event is only a hint that something happened under a publication: nothing of what it says is believed or kept, the
page is looked at earlier, through the API. So events that are lost, doubled, late or forged lose and invent nothing.
Forms: https://dev.vk.com/ru/api/callback/getting-started, the schema of VK's API (callback/objects).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collectors.manners import Retry
from collectors.transport import parse_json
from collectors.vk_items import NETWORK, Target

if TYPE_CHECKING:
    from settings import VkCallback

MOST_BYTES = 256 * 1024
"""An event holds a comment or a publication with its attachments."""

# What the name of an event begins with -> kind of publication, keys of its owner and of its number in the object.
_UNDER = {
    "wall_reply": ("post", ("owner_id",), ("post_id",)),
    "photo_comment": ("photo", ("photo_owner_id", "owner_id"), ("photo_id",)),
    "video_comment": ("video", ("video_owner_id", "owner_id"), ("video_id",)),
    "board_post": ("topic", ("topic_owner_id",), ("topic_id",)),
}
_CHANGES = ("edit", "delete", "restore")
_OF_A_PAGE = frozenset({"wall_post_new", "photo_new", "video_new"})


class Refused(Exception):
    """The request is none of VK's; `status` is the HTTP answer. Whoever sent it is told nothing else."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class News:
    """Something happened on a page, under `post_id` when it is known under which. `whole`: a comment was changed or
    removed or came back, which only reading the publication whole shows."""

    page_id: str
    post_id: str | None = None
    whole: bool = False
    network: str = NETWORK


@dataclass(frozen=True, slots=True)
class Confirmation:
    """VK asks whether the address is ours; `text` is what it wants to see."""

    text: str


@dataclass(frozen=True, slots=True)
class Community:
    """A `callbacks` entry with its secret read."""

    group: int
    confirmation: str
    secret: bytes

    @classmethod
    def of(cls, told: VkCallback) -> Community:
        return cls(int(told.group), told.confirmation, told.secret.reveal().encode())


def read(body: bytes, communities: Sequence[Community]) -> Confirmation | News | None:
    """What a request of the Callback API says; None: an event that is nothing to us. Raises `Refused`."""
    if len(body) > MOST_BYTES:
        raise Refused(413)
    try:
        event = parse_json(body)
    except Retry:
        raise Refused(400) from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise Refused(400)
    community = next((c for c in communities if c.group == _number(event.get("group_id"))), None)
    secret = event.get("secret")
    # VK may ask for the confirmation before it knows the secret; a wrong one is refused all the same.
    asked = event["type"] == "confirmation" and secret is None
    given = secret.encode("utf-8", "replace") if isinstance(secret, str) else b""
    right = hmac.compare_digest(given, community.secret if community else b"\0")
    if community is None or not (right or asked):
        raise Refused(403)
    if event["type"] == "confirmation":
        return Confirmation(community.confirmation)
    return news(event)


def news(event: Any) -> News | None:
    """What an event means for us, whoever brought it; None: nothing."""
    if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
        return None
    group, kind = _number(event.get("group_id")), event["type"]
    if group is None or group <= 0:
        return None
    page = f"-{group}"
    if kind in _OF_A_PAGE:
        return News(page)
    name, _, what = kind.rpartition("_")
    if name not in _UNDER or what not in ("new", *_CHANGES):
        return None
    told = event.get("object")
    post = _publication(told, *_UNDER[name]) if isinstance(told, Mapping) else None
    return News(page, post.id if post is not None and post.owner == -group else None, what in _CHANGES)


def _publication(told: Mapping[str, Any], kind: str, owners: Sequence[str], numbers: Sequence[str]) -> Target | None:
    owner = next((n for key in owners if (n := _number(told.get(key))) is not None), None)
    number = next((n for key in numbers if (n := _number(told.get(key))) is not None), None)
    return None if owner is None or number is None or number < 0 else Target(kind, owner, number)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None
