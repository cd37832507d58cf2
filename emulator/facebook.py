"""The Facebook face of a world: a page, its posts and its visitors', comments of all levels by the Graph API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from emulator.face import Call, Refusal
from emulator.graph import Behaviour, GraphFace, Kind, Rows, missing, stamp
from emulator.world import Comment, Naming, Page, Post, shown
from store.values import Attachment

PAGE_TOKEN = "otklik-facebook-token"
SITE = "https://www.facebook.com/"
_TYPES = {"photo": "photo", "sticker": "sticker", "video": "video_inline", "link": "share"}


def number(post: Post) -> int:
    """A post's number, unlike that of any other page's."""
    return int(page_id(post.page)) * 1_000_000 + post.id


def page_id(page: Page) -> str:
    return page.id.lstrip("-")


class FacebookFace(GraphFace):
    """Ids: a page "100001", a post "PAGE_NUMBER", a comment "NUMBER_COMMENT"."""

    network = "facebook"
    naming = Naming(lambda p: f"{page_id(p.page)}_{number(p)}", lambda c: f"{number(c.post)}_{c.id}", page=page_id)
    known: ClassVar[Mapping[str, str]] = {
        PAGE_TOKEN: "page",
        "otklik-facebook-poor": "poor",
        "otklik-facebook-old": "expired",
    }
    edge_of_answers = "comments"
    hides_by = "is_hidden"
    scopes = ("pages_read_engagement", "pages_read_user_content", "pages_manage_engagement")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.banned: dict[str, set[str]] = {}  # page -> whom it has blocked
        lists = {
            "published_posts": (True,),
            "posts": (True,),
            "visitor_posts": (False,),
            "feed": (True, False),
            "tagged": (),
            "ads_posts": (),
        }
        self.kinds = {
            "Page": Kind(
                fields={
                    "id": page_id,
                    "name": lambda p: p.title,
                    "username": lambda p: p.screen_name,
                    "link": lambda p: f"{SITE}{p.screen_name}",
                },
                edges={name: self._posts(own) for name, own in lists.items()},
                params={
                    "ads_posts": frozenset({"exclude_dynamic_ads", "include_inline_create", "since", "until"}),
                    **dict.fromkeys(
                        ("published_posts", "posts", "visitor_posts", "feed"),
                        frozenset({"include_hidden", "show_expired", "with"}),
                    ),
                },
                usual=("name",),
            ),
            "PagePost": Kind(
                fields={
                    "id": self.world.external_id,
                    "from": lambda p: self._from(p.author),
                    "message": lambda p: p.text or None,
                    "story": lambda p: f"поделилась публикацией: {p.repost[2]}" if p.repost else None,
                    "created_time": lambda p: stamp(p.published_at),
                    "permalink_url": lambda p: f"{SITE}{p.page.screen_name}/posts/{p.id}",
                    "is_hidden": lambda p: False,
                },
                edges={"comments": self._comments},
                params={"comments": frozenset({"filter", "live_filter", "order", "since"})},
                usual=("created_time", "message"),
            ),
            "Comment": Kind(
                fields={
                    "id": self.world.external_id,
                    "parent": self._parent,
                    "from": lambda c: self._from(c.author),
                    "message": lambda c: c.text,
                    "created_time": lambda c: stamp(c.published_at),
                    "comment_count": lambda c: sum(1 for x in c.children if not x.deleted),
                    "like_count": lambda c: c.likes,
                    "is_hidden": lambda c: self.hidden(c),
                    "can_hide": lambda c: not c.own,
                    "permalink_url": self._link,
                    "attachment": lambda c: self._attachment(c.attachments[0]) if c.attachments else None,
                },
                edges={"comments": self._replies},
                params={"comments": frozenset({"filter", "live_filter", "order", "since"})},
                usual=("created_time", "from", "message"),
            ),
        }

    def find(self, id: str) -> tuple[str, Any, Any] | None:
        if id == "me":
            return "Page", next(iter(self.world.pages.values())), None
        head, _, rest = id.partition("_")
        for page in self.world.pages.values():
            own = page_id(page)
            if id == own or id.lower() == page.screen_name.lower():
                return "Page", page, page
            if not (rest.isdecimal() and head.startswith(own)):
                continue
            if head == own:
                post = page.posts.get(("post", int(rest) - int(own) * 1_000_000))
                return None if post is None or post.deleted else ("PagePost", post, page)
            post = page.posts.get(("post", int(head) - int(own) * 1_000_000)) if head.isdecimal() else None
            one = post.comments.get(int(rest)) if post is not None else None
            if one is not None:
                return None if one.deleted or one.post.deleted else ("Comment", one, page)
        return None

    def change(self, call: Call) -> Any:
        parts = call.path.split("/")
        if len(parts) != 2 or parts[1] != "blocked":
            return super().change(call)
        _, page = self._find(parts[0])
        if page.errors.get("write"):
            raise Refusal(200)
        who = call.params.get("user", "")
        if not isinstance(page, Page) or not who.isdecimal():
            raise Refusal(100, "user must be a number")
        banned = self.banned.setdefault(page_id(page), set())
        if call.verb == "DELETE":
            banned.discard(who)
            return {"success": True}
        banned.add(who)
        return {who: True}

    def _posts(self, own: tuple[bool, ...]) -> Any:
        def rows(page: Page, params: Mapping[str, str]) -> Rows:
            posts = [p for p in page.posts.values() if not p.deleted and (p.author == page.author_id) in own]
            posts.sort(key=_when, reverse=True)
            return Rows("PagePost", posts, _when, down=True)

        return rows

    def _comments(self, post: Post, params: Mapping[str, str]) -> Rows:
        if post.unreadable:
            raise missing(self.world.external_id(post))
        way, order = params.get("filter", "toplevel"), params.get("order", "chronological")
        if way not in ("stream", "toplevel") or order not in ("chronological", "reverse_chronological"):
            raise Refusal(100, "filter or order must be one of the known values")
        alive = shown(post, 1).levels[None]
        items = [c for c in alive if way == "stream" or c.parent is None]
        counted = alive if way == "stream" and self.behaviour.counter_replies else [c for c in alive if not c.parent]
        return self._rows(items, order, len(counted) + (self.behaviour.counter_extra if counted else 0), post.closed)

    def _replies(self, one: Comment, params: Mapping[str, str]) -> Rows:
        items = [c for c in one.children if not c.deleted]
        return self._rows(items, params.get("order", "chronological"), len(items), one.post.closed)

    def _rows(self, items: list[Comment], order: str, total: int, closed: bool) -> Rows:
        down = order != "chronological"
        summary = {"order": order, "total_count": total, "can_comment": not closed}
        return Rows("Comment", items[::-1] if down else items, lambda c: (c.id,), down, summary)

    def _from(self, author: int) -> dict[str, str] | None:
        """Who wrote; absent for people the app may not know."""
        for page in self.world.pages.values():
            if page.author_id == author:
                return {"id": page_id(page), "name": page.title}
        known = self.world.authors.get(author)
        if known is None or known.kind in ("hidden", "deleted"):
            return None
        return {"id": str(abs(author)), "name": known.name}

    def _parent(self, one: Comment) -> dict[str, str] | None:
        return None if one.parent is None else {"id": self.world.external_id(one.parent)}

    def _link(self, one: Comment) -> str:
        return f"{SITE}{one.post.page.screen_name}/posts/{one.post.id}?comment_id={one.id}"

    def _attachment(self, a: Attachment) -> dict[str, Any]:
        return {
            "type": _TYPES.get(a.kind, a.kind),
            "title": a.title or "",
            "url": f"{SITE}attachment/{a.id}",
            "target": {"id": a.id or "", "url": f"{SITE}attachment/{a.id}"},
            "media": {"image": {"src": f"https://scontent.xx.fbcdn.net/{a.id}?oh={int(self.world.now() * 1000)}"}},
        }


def _when(post: Post) -> tuple[float, int]:
    return post.published_at, post.id


FACE = FacebookFace
__all__ = ["FACE", "PAGE_TOKEN", "Behaviour", "FacebookFace"]
