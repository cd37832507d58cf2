"""The Instagram face of a world: a professional account by the Graph API (media, comments, replies of one level).

`emulator/instaloader.py` adds what the site itself answers, for pages one does not own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from emulator.face import Refusal
from emulator.graph import Behaviour, GraphFace, Kind, Rows, missing, stamp
from emulator.world import Comment, Naming, Page, Post

TOKEN = "otklik-instagram-token"
SITE = "https://www.instagram.com/"
_MEDIA, _COMMENT = 17 * 10**15, 18 * 10**15
_SPAN = 10**6  # numbers a page has for itself


def page_id(page: Page) -> str:
    return page.id.lstrip("-")


def media_id(post: Post) -> str:
    return str(_MEDIA + int(page_id(post.page)) * _SPAN + post.id)


def comment_id(one: Comment) -> str:
    return str(_COMMENT + int(page_id(one.post.page)) * _SPAN + one.id)


class InstagramFace(GraphFace):
    """Ids: an account "100001", media "17…", comments "18…". Replies vanish with the comment they stand under."""

    network = "instagram"
    naming = Naming(media_id, comment_id, page=page_id, depth=2, falls=True)
    known: ClassVar[Mapping[str, str]] = {
        TOKEN: "page",
        "otklik-instagram-poor": "poor",
        "otklik-instagram-old": "expired",
    }
    edge_of_answers = "replies"
    hides_by = "hide"
    longest = 2200
    scopes = ("instagram_business_basic", "instagram_business_manage_comments")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.kinds = {
            "IGUser": Kind(
                fields={
                    "id": page_id,
                    "username": lambda p: p.screen_name,
                    "name": lambda p: p.title,
                    "media_count": lambda p: len(p.posts),
                },
                edges={"media": self._media, "stories": lambda p, a: self._none(), "tags": lambda p, a: self._none()},
                params={"media": frozenset({"since", "until"})},
            ),
            # With a page token on graph.facebook.com `me` is the page, the account hangs on it.
            "Page": Kind(
                fields={
                    "id": lambda p: f"9{page_id(p)}",
                    "name": lambda p: p.title,
                    "instagram_business_account": lambda p: {
                        "id": page_id(p),
                        "username": p.screen_name,
                        "name": p.title,
                    },
                },
            ),
            "IGMedia": Kind(
                fields={
                    "id": media_id,
                    "caption": lambda p: p.text or None,
                    "comments_count": self._count,
                    "timestamp": lambda p: stamp(p.published_at),
                    "permalink": lambda p: f"{SITE}p/{shortcode(p)}/",
                    "shortcode": lambda p: shortcode(p),
                    "media_type": lambda p: "IMAGE",
                    "is_comment_enabled": lambda p: not p.closed,
                    "username": lambda p: p.page.screen_name,
                },
                edges={"comments": self._comments},
            ),
            "IGComment": Kind(
                fields={
                    "id": comment_id,
                    "text": lambda c: c.text,
                    "timestamp": lambda c: stamp(c.published_at),
                    "username": lambda c: self._who(c.author).get("username"),
                    "from": lambda c: self._who(c.author) or None,
                    "like_count": lambda c: c.likes,
                    "hidden": lambda c: self.hidden(c),
                    "parent_id": self._parent,
                    "media": lambda c: {"id": media_id(c.post)},
                },
                edges={"replies": self._replies},
                usual=("text", "timestamp"),
            ),
        }

    def find(self, id: str) -> tuple[str, Any, Any] | None:
        if id == "me":
            page = next(iter(self.world.pages.values()))
            return ("Page" if self.behaviour.page_login else "IGUser"), page, None
        if not id.isdecimal():
            return None
        for page in self.world.pages.values():
            own = page_id(page)
            if id == own:
                return "IGUser", page, page
            rest = int(id) - int(own) * _SPAN
            post = page.posts.get(("post", rest - _MEDIA))
            if post is not None:
                return None if post.deleted else ("IGMedia", post, page)
            if 0 < rest - _COMMENT < _SPAN:
                for post in page.posts.values():
                    one = post.comments.get(rest - _COMMENT)
                    if one is not None:
                        return None if post.deleted or not alive(one) else ("IGComment", one, page)
        return None

    def _none(self) -> Rows:
        return Rows("IGMedia", [], _when)

    def _media(self, page: Page, params: Mapping[str, str]) -> Rows:
        posts = [p for p in page.posts.values() if not p.deleted]
        return Rows("IGMedia", sorted(posts, key=_when, reverse=True), _when, down=True)

    def _count(self, post: Post) -> int:
        tops = [c for c in post.comments.values() if self.behaviour.hidden_counted or not self.left_out(c)]
        tops = [c for c in tops if alive(c) and (self.behaviour.counter_replies or c.parent is None)]
        return len(tops) + (self.behaviour.counter_extra if tops else 0)

    def _comments(self, post: Post, params: Mapping[str, str]) -> Rows:
        """The top level, newest first; no other order can be had."""
        if post.unreadable:
            raise missing(media_id(post))
        tops = [c for c in post.comments.values() if c.parent is None and alive(c) and not self.left_out(c)]
        return Rows("IGComment", tops[::-1], lambda c: (c.id,), down=True)

    def _replies(self, one: Comment, params: Mapping[str, str]) -> Rows:
        if one.parent is not None:
            raise Refusal(100, "Tried accessing nonexisting edge (replies)")
        below = [c for c in one.post.comments.values() if c.parent is not None and top(c) is one and alive(c)]
        below = [c for c in below if not self.left_out(c)]
        return Rows("IGComment", below, lambda c: (c.id,))

    def _parent(self, one: Comment) -> str | None:
        return None if one.parent is None else comment_id(top(one))

    def _who(self, author: int) -> dict[str, str]:
        """Id and name of a writer; empty for one who is not to be named."""
        for page in self.world.pages.values():
            if page.author_id == author:
                return {"id": page_id(page), "username": page.screen_name}
        known = self.world.authors.get(author)
        if known is None or known.kind in ("hidden", "deleted"):
            return {}
        return {"id": str(abs(author)), "username": known.screen_name or f"user{abs(author)}"}


def top(one: Comment) -> Comment:
    """The comment of the first level under which this one stands."""
    while one.parent is not None:
        one = one.parent
    return one


def alive(one: Comment) -> bool:
    return not one.deleted and not top(one).deleted


def shortcode(post: Post) -> str:
    """The name of a publication in addresses: its number in base 64, as Instagram writes it."""
    number, letters = int(media_id(post)), ""
    while number:
        number, digit = divmod(number, 64)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[digit] + letters
    return letters


def _when(post: Post) -> tuple[float, int]:
    return post.published_at, post.id


FACE = InstagramFace
__all__ = ["FACE", "TOKEN", "Behaviour", "InstagramFace"]
