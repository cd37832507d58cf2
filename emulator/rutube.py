"""The face of RuTube: the JSON addresses of its site as clients of 2024 saw them; nobody promises them.

What was never seen is a `Behaviour`: where a counter stands, whether comments bear a time, the order, the page's size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from emulator.face import Answer, Call, Face, Refusal
from emulator.world import Comment, Naming, Page, Post, Shown, shown

if TYPE_CHECKING:
    from emulator.server import Request

DEEP = 10**6  # threads nest as deep as people like
CODES = (401, 403, 404, 429, 451, 500)
_PATHS = (
    (re.compile(r"video/category/"), "video.category"),
    (re.compile(r"profile/user/(\d+)/"), "profile.user"),
    (re.compile(r"video/person/(\d+)/"), "video.person"),
    (re.compile(r"comments/video/([0-9a-f]{32})/"), "comments.video"),
    (re.compile(r"video/([0-9a-f]{32})/"), "video"),
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """counter: it stands in the "list" of comments, at the "video", at "both", or nowhere ("none"); counter_replies: it
    counts replies too. stubs: a removed comment with replies stays, marked. time, author: comments bear them.
    """

    counter: str = "both"
    counter_replies: bool = True
    stubs: bool = True
    time: bool = True
    author: bool = True
    newest_first: bool = True
    size: int = 20


def channel(page: Page) -> str:
    return page.id.lstrip("-")


def video(post: Post) -> str:
    return f"{int(channel(post.page)):016x}{post.id:016x}"


class RutubeFace(Face):
    network = "rutube"
    keys: ClassVar = {"agreed": "true"}
    naming = Naming(video, lambda c: f"{video(c.post)}_{c.id}", page=channel)
    prefix = "/api/"
    kinds = ("video",)
    codes = CODES

    def __init__(self, world: Any, *, behaviour: Behaviour | None = None, **options: Any) -> None:
        super().__init__(world, behaviour=behaviour or Behaviour(), **options)

    def read(self, request: Request) -> Call | None:
        path = request.path.removeprefix(self.prefix)
        for pattern, method in _PATHS:
            if request.verb == "GET" and (m := pattern.fullmatch(path)):
                named = {"id": m[1]} if m.groups() else {}
                return Call(method, request.params() | named, "", "GET", request.path)
        return None

    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        status = int(refusal.code)
        detail = {404: "Страница не найдена.", 403: "Доступ запрещён."}.get(status, refusal.detail or "Ошибка")
        return Answer({"detail": detail}, status)

    def run(self, call: Call) -> Any:
        return getattr(self, "_" + call.method.replace(".", "_"))(call.params)

    # -- addresses ----------------------------------------------------------------------------------------------------

    def _video_category(self, p: Mapping[str, str]) -> Any:
        return {"has_next": False, "page": 1, "per_page": 20, "results": [{"id": 1, "name": "Разное"}]}

    def _page(self, number: str) -> Page:
        for page in self.world.pages.values():
            if channel(page) == number:
                if code := page.errors.get("video") or page.errors.get("page"):
                    raise Refusal(code)
                return page
        raise Refusal(404)

    def _profile_user(self, p: Mapping[str, str]) -> Any:
        page = self._page(p["id"])
        return {"id": int(channel(page)), "name": page.title, "subscribers_count": 10}

    def _video_person(self, p: Mapping[str, str]) -> Any:
        posts = [x for x in self.world.posts(self._page(p["id"]), "video") if not x.deleted]
        posts.sort(key=lambda x: (x.published_at, x.id), reverse=True)
        return self._paged(p, posts, self._item)

    def _item(self, post: Post) -> dict[str, Any]:
        item: dict[str, Any] = {
            "id": video(post),
            "title": post.title,
            "description": post.text,
            "video_url": f"https://rutube.ru/video/{video(post)}/",
            "author": {"id": int(channel(post.page)), "name": post.page.title},
            "created_ts": _moscow(post.published_at),
            "publication_ts": _moscow(post.published_at),
            "hits": 10,
            "is_hidden": False,
        }
        return item | ({"comments_count": self._count(post)} if self.behaviour.counter in ("video", "both") else {})

    def _find(self, name: str) -> Post:
        for post in self.world.posts(None, "video"):
            if video(post) == name and not post.deleted:
                if code := post.page.errors.get("video") or post.page.errors.get("page"):
                    raise Refusal(code)
                return post
        raise Refusal(404)

    def _video(self, p: Mapping[str, str]) -> Any:
        return self._item(self._find(p["id"]))

    def _shown(self, post: Post) -> Shown:
        return shown(post, DEEP)

    def _count(self, post: Post) -> int:
        seen = self._shown(post)
        return seen.total if self.behaviour.counter_replies else seen.top

    def _comments_video(self, p: Mapping[str, str]) -> Any:
        post = self._find(p["id"])
        if post.unreadable:
            raise Refusal(403)
        seen = self._shown(post)
        parent = p.get("parent_id")
        if parent is not None and not parent.isdecimal():
            raise Refusal(400, "parent_id")
        level = seen.levels.get(int(parent) if parent else None, [])
        if not self.behaviour.stubs:
            level = [c for c in level if not c.deleted]
        level = sorted(level, key=lambda c: c.id, reverse=self.behaviour.newest_first)
        body = self._paged(p, level, lambda c: self._comment(c, seen))
        if self.behaviour.counter in ("list", "both") and not parent:
            body["comments_count"] = self._count(post)
        return body

    def _comment(self, one: Comment, seen: Shown) -> dict[str, Any]:
        item: dict[str, Any] = {
            "id": one.id,
            "video_id": video(one.post),
            "text": "" if one.deleted else one.text,
            "likes_number": one.likes,
            "dislikes_number": 0,
            "replies_number": len(seen.levels.get(one.id, ())),
        }
        if one.deleted:
            return item | {"is_deleted": True}
        if self.behaviour.time:
            item["created_ts"] = _moscow(one.published_at)
        author = self.world.authors.get(one.author)
        kind = author.kind if author is not None else "person"
        if self.behaviour.author and kind != "hidden":
            name = one.post.page.title if one.own else author.name if author is not None else "Житель"
            item["user"] = {"id": abs(one.author), "name": "" if kind == "deleted" else name, "site_url": None}
        if one.attachments:
            item["stickers"] = [{"type": a.kind, "id": a.id} for a in one.attachments]
        return item

    def _paged(self, p: Mapping[str, str], things: Sequence[Any], show: Callable[[Any], Any]) -> dict[str, Any]:
        size = self.behaviour.size
        page = int(p["page"]) if p.get("page", "1").isdecimal() and "page" in p else 1
        start = (page - 1) * size
        if page < 1 or (start >= len(things) and page > 1):
            raise Refusal(404, "Неправильная страница")
        more = start + size < len(things)
        return {
            "has_next": more,
            "next": f"https://rutube.ru/api/?page={page + 1}" if more else None,
            "previous": None,
            "page": page,
            "per_page": size,
            "results": [show(x) for x in things[start : start + size]],
        }

    # -- faults of content --------------------------------------------------------------------------------------------

    def lie(self, body: Any, by: int) -> None:
        for one in [body, *body.get("results", ())] if isinstance(body, dict) else []:
            if "comments_count" in one:
                one["comments_count"] = max(0, one["comments_count"] + by)

    def hollow(self, body: Any) -> None:
        if isinstance(body, dict) and "results" in body:
            body |= {"results": [], "has_next": False, "next": None}


def _moscow(at: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at + 3 * 3600)).strftime("%Y-%m-%dT%H:%M:%S")


FACE = RutubeFace
