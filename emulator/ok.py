"""The face of Odnoklassniki: REST methods of groups, topics and discussions, signed as apiok.ru says.

No machine-readable description exists; which methods, fields and error numbers there are comes from public clients
(docs/ok-youtube-rutube.md). What nobody confirmed is a `Behaviour`: a collector has to live with every choice. Unknown
parameters are refused (error 100), a wrong signature too (104).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import TYPE_CHECKING, Any, ClassVar

from emulator.face import Answer, Call, Face, Refusal
from emulator.world import Comment, Naming, Page, Post, shown

if TYPE_CHECKING:
    from emulator.server import Request

TOKEN = "otklik-ok-token"
APPLICATION_KEY = "OTKLIKPUBLICKEY"
APPLICATION_SECRET = "otklik-ok-application-secret"
SESSION_SECRET = md5((TOKEN + APPLICATION_SECRET).encode(), usedforsecurity=False).hexdigest()
DEEP = 10**6  # threads nest as deep as people like
TYPES = {"post": "GROUP_TOPIC", "photo": "GROUP_PHOTO", "video": "GROUP_MOVIE"}
KINDS = {v: k for k, v in TYPES.items()}
CODES = (
    1, 2, 3, 4, 7, 8, 9, 10, 11, 22, 24, 25, 26, 30, 31, 50, 100, 101, 102, 103, 104, 106, 140, 141, 160, 200, 210, 220,
    300, 401, 402, 403, 451, 453, 454, 455, 456, 457, 458, 700, 701, 702, 704, 900, 5000, 9999,
)  # fmt: skip
COMMON = {"application_key", "method", "format", "sig", "session_key", "call_id", "__online"}
_PAGING = {"count", "anchor", "direction", "fields"}
METHODS: dict[str, set[str]] = {
    "users.getLoggedInUser": set(),
    "url.getInfo": {"url"},
    "group.getInfo": {"uids", "fields"},
    "mediatopic.getTopics": {"gid", "filter", *_PAGING},
    "mediatopic.getByIds": {"topic_ids", "fields"},
    "photos.getPhotos": {"gid", "aid", "fid", *_PAGING},
    "discussions.getList": {"category", "gid", *_PAGING},
    "discussions.get": {"discussionId", "discussionType", "fields"},
    "discussions.getComments": {"discussionId", "discussionType", "includeRemoved", "mark_as_read", *_PAGING},
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is not known for sure.

    stubs: a removed comment that has replies stays, marked by its type. counter_stubs: and is counted. summary: topics
    come with their comment counter. date: "ms" or "text" (Moscow time without a zone). walk_order: a page's items
    lie in the direction asked for; else always oldest first. last_anchor: an anchor comes with the last page too.
    gone_is_error: one topic that is gone makes an error of the whole answer to `mediatopic.getByIds`.
    """

    stubs: bool = False
    counter_stubs: bool = False
    summary: bool = True
    date: str = "ms"
    walk_order: bool = True
    last_anchor: bool = True
    gone_is_error: bool = False


def group(page: Page) -> str:
    return page.id.lstrip("-")


def number(post: Post) -> str:
    return f"{group(post.page)}{post.id:05d}"


def comment_id(comment: Comment) -> str:
    return _pack(f"c{comment.id:08d}")


def _pack(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _unpack(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text.encode()).decode()
    except ValueError:
        raise Refusal(100, "anchor") from None


def _post_name(post: Post) -> str:
    return f"{TYPES.get(post.kind, 'GROUP_TOPIC')}:{number(post)}"


class OkFace(Face):
    network = "ok"
    keys: ClassVar = {"application_key": APPLICATION_KEY, "session_secret_key": SESSION_SECRET}
    naming = Naming(_post_name, lambda c: f"{_post_name(c.post)}:{comment_id(c)}", page=group)
    known: ClassVar = {TOKEN: "user"}
    real_rates: ClassVar = {"user": 3}
    kinds = tuple(TYPES)
    codes = CODES

    def __init__(self, world: Any, *, behaviour: Behaviour | None = None, **options: Any) -> None:
        super().__init__(world, behaviour=behaviour or Behaviour(), **options)

    # -- the wire -----------------------------------------------------------------------------------------------------

    def read(self, request: Request) -> Call | None:
        params = request.params()
        if request.path.startswith("/api/"):
            params.setdefault("method", request.path.removeprefix("/api/").replace("/", "."))
        elif request.path != "/fb.do":
            return None
        token = params.pop("access_token", "")
        method = params.get("method", "")[:100]
        return Call(method or "none", params, token, request.verb, request.path)

    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        code = int(refusal.code)
        return Answer({"error_code": code, "error_msg": f"ERROR_{code} : {refusal.detail}", "error_data": None})

    def too_fast(self) -> Refusal:
        return Refusal(8, "FLOOD_BLOCKED")

    def run(self, call: Call) -> Any:
        params = dict(call.params)
        if params.get("application_key") != APPLICATION_KEY:
            raise Refusal(101, "application_key")
        if self.kind(call.token) == "none":
            raise Refusal(103, "PARAM_SESSION_KEY")
        secret = md5((call.token + APPLICATION_SECRET).encode(), usedforsecurity=False).hexdigest()
        joined = "".join(f"{k}={params[k]}" for k in sorted(params) if k not in ("sig", "session_key"))
        if params.get("sig") != md5((joined + secret).encode(), usedforsecurity=False).hexdigest():
            raise Refusal(104, "PARAM_SIGNATURE")
        allowed = METHODS.get(call.method)
        if allowed is None:
            raise Refusal(3, "METHOD")
        if unknown := set(params) - allowed - COMMON:
            raise Refusal(100, f"unknown parameter {sorted(unknown)[0]}")
        return getattr(self, "_" + call.method.replace(".", "_"))(params)

    # -- methods ------------------------------------------------------------------------------------------------------

    def _users_getLoggedInUser(self, p: Mapping[str, str]) -> Any:
        return "570000000001"

    def _url_getInfo(self, p: Mapping[str, str]) -> Any:
        name = p.get("url", "").rstrip("/").rpartition("/")[2].lower()
        for page in self.world.pages.values():
            if page.screen_name.lower() == name:
                return {"type": "GROUP", "objectId": int(group(page)), "objectIdStr": group(page)}
        return {"type": "UNKNOWN"}

    def _group_getInfo(self, p: Mapping[str, str]) -> Any:
        wanted = p.get("uids", "").split(",")
        return [
            {"uid": group(x), "name": x.title, "shortname": x.screen_name, "private": False}
            for x in self.world.pages.values()
            if group(x) in wanted
        ]

    def _page(self, gid: str, kind: str) -> Page:
        for page in self.world.pages.values():
            if group(page) == gid:
                if code := page.errors.get(kind) or page.errors.get("page"):
                    raise Refusal(code)
                return page
        raise Refusal(160, "PARAM_GROUP_ID")

    def _newest(self, page: Page, *kinds: str) -> list[Post]:
        posts = [x for x in self.world.posts(page, *kinds) if not x.deleted]
        return sorted(posts, key=lambda x: (x.pinned, x.published_at, x.id), reverse=True)

    def _mediatopic_getTopics(self, p: Mapping[str, str]) -> Any:
        posts = self._newest(self._page(p.get("gid", ""), "post"), "post")
        return self._paged(p, "media_topics", posts, number, self._topic)

    def _mediatopic_getByIds(self, p: Mapping[str, str]) -> Any:
        wanted = p.get("topic_ids", "").split(",")
        posts = [x for x in self.world.posts(None, "post") if number(x) in wanted and not x.deleted]
        if self.behaviour.gone_is_error and len(posts) < len(set(wanted)):
            raise Refusal(300, "NOT_FOUND")
        posts = [x for x in posts if not x.page.errors.keys() & {"page", "post"}]
        return {"media_topics": [self._topic(x) for x in posts]}

    def _photos_getPhotos(self, p: Mapping[str, str]) -> Any:
        posts = self._newest(self._page(p.get("gid", ""), "photo"), "photo")
        return self._paged(p, "photos", posts, number, self._photo, more="hasMore")

    def _discussions_getList(self, p: Mapping[str, str]) -> Any:
        """Discussions of the token's owner: of all groups, whatever `gid` says."""
        if p.get("category") not in (None, "GROUP", "ALL"):
            raise Refusal(100, "category")
        self._page(p.get("gid", ""), "video")
        posts = sorted(
            (x for x in self.world.posts(None, *TYPES) if not x.deleted), key=lambda x: x.published_at, reverse=True
        )
        return self._paged(p, "discussions", posts, _post_name, self._discussion)

    def _paged(
        self, p: Mapping[str, str], key: str, things: Sequence[Any], name: Any, show: Any, more: str = "has_more"
    ) -> dict[str, Any]:
        """A list after the thing that the anchor names; when that is gone, after where it would stand: the start."""
        names = [name(x) for x in things]
        after = _unpack(p["anchor"]) if p.get("anchor") else None
        start = names.index(after) + 1 if after in names else 0
        count = self._count(p, 100)
        some = things[start : start + count]
        rest = start + count < len(things)
        answer: dict[str, Any] = {key: [show(x) for x in some], more: rest}
        if some and (rest or self.behaviour.last_anchor):
            answer["anchor"] = _pack(name(some[-1]))
        return answer

    def _count(self, p: Mapping[str, str], most: int) -> int:
        text = p.get("count", "20")
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise Refusal(100, "count")
        return int(text)

    def _ref(self, author: int) -> str:
        return f"group:{-author}" if author < 0 else f"user:{author}"

    def counter(self, post: Post) -> int:
        seen = shown(post, DEEP)
        return seen.total + (seen.stubs if self.behaviour.stubs and self.behaviour.counter_stubs else 0)

    def _topic(self, post: Post) -> dict[str, Any]:
        known = self.world.authors.get(post.author)
        media = [{"type": "text", "text": t} for t in (post.text, post.repost[2] if post.repost else "") if t]
        item = {
            "id": number(post),
            "created_ms": int(post.published_at * 1000),
            "author_ref": self._ref(post.author),
            "author_name": known.name if known else "",
            "owner_ref": f"group:{group(post.page)}",
            "media": media,
            "is_pinned": post.pinned,
            "is_commenting_denied": post.closed,
        }
        if self.behaviour.summary:
            item["discussion_summary"] = {
                "discussion_id": number(post), "discussion_type": "GROUP_TOPIC", "comments_count": self.counter(post),
            }  # fmt: skip
        return item

    def _photo(self, post: Post) -> dict[str, Any]:
        item: dict[str, Any] = {"id": number(post), "text": post.text, "created_ms": int(post.published_at * 1000)}
        return item | ({"comments_count": self.counter(post)} if self.behaviour.summary else {})

    def _discussion(self, post: Post) -> dict[str, Any]:
        return {
            "object_id": number(post),
            "object_type": TYPES[post.kind],
            "title": post.title or post.text[:50],
            "creation_date": _moscow(post.published_at),
            "total_comments_count": self.counter(post),
            "new_comments_count": 0,
            "owner_uid": group(post.page),
            "ref_objects": [{"type": "GROUP", "id": group(post.page)}],
        }

    def _post(self, p: Mapping[str, str]) -> Post | None:
        kind = KINDS.get(p.get("discussionType", ""))
        if kind is None:
            raise Refusal(100, "discussionType")
        for post in self.world.posts(None, kind):
            if number(post) == p.get("discussionId"):
                if code := post.page.errors.get(kind) or post.page.errors.get("page"):
                    raise Refusal(code)
                return None if post.deleted else post
        return None

    def _discussions_get(self, p: Mapping[str, str]) -> Any:
        post = self._post(p)
        return {} if post is None else {"discussion": self._discussion(post)}

    def _discussions_getComments(self, p: Mapping[str, str]) -> Any:
        post = self._post(p)
        if post is None:
            raise Refusal(300, "NOT_FOUND")
        if post.unreadable:
            raise Refusal(457, "UNAUTHORIZED_RESTRICTION")
        direction = p.get("direction", "BACKWARD")
        if direction not in ("FORWARD", "BACKWARD"):
            raise Refusal(100, "direction")
        forward = direction == "FORWARD"
        seen = shown(post, 1 if not self.behaviour.stubs else DEEP)
        items = sorted((c for level in seen.levels.values() for c in level), key=lambda c: c.id, reverse=not forward)
        if p.get("anchor"):
            after = int(_unpack(p["anchor"]).removeprefix("c"))
            items = [c for c in items if (c.id > after) == forward and c.id != after]
        count = self._count(p, 100)
        some = items[:count]
        answer: dict[str, Any] = {
            "has_more": len(items) > count,
            "discussionId": number(post),
            "discussionType": TYPES[post.kind],
        }
        if some and (len(items) > count or self.behaviour.last_anchor):
            answer["anchor"] = comment_id(some[-1])
        if not self.behaviour.walk_order:
            some = sorted(some, key=lambda c: c.id)
        return answer | {"comments": [self._comment(c, p.get("fields", "")) for c in some]}

    def _comment(self, one: Comment, fields: str) -> dict[str, Any]:
        item: dict[str, Any] = {"id": comment_id(one), "type": "ACTIVE_MESSAGE", "like_count": one.likes}
        item |= {"date": _moscow(one.published_at)} if self.behaviour.date == "text" else {
            "date_ms": int(one.published_at * 1000)
        }  # fmt: skip
        if one.parent is not None:
            item |= {"reply_to_comment_id": comment_id(one.parent), "reply_to_id": str(one.parent.author)}
        if one.deleted:
            return item | {"type": "REMOVED_MESSAGE"}
        item["text"] = one.text
        author = self.world.authors.get(one.author)
        kind = author.kind if author is not None else "person"
        if kind != "hidden":
            item |= {"author_id": str(abs(one.author)), "author_ref": self._ref(one.author)}
        name = one.post.page.title if one.own else author.name if author is not None else "Житель"
        if kind not in ("hidden", "deleted") and name:
            item["author_name"] = name
        if one.attachments:
            item["attachments"] = [{"type": a.kind.upper(), "id": a.id} for a in one.attachments]
        return _only(item, fields)

    # -- faults of content --------------------------------------------------------------------------------------------

    def lie(self, body: Any, by: int) -> None:
        if not isinstance(body, dict):
            return
        for one in [*body.get("media_topics", ()), *body.get("photos", ()), *body.get("discussions", ()), *_one(body)]:
            for where in (one, one.get("discussion_summary") or {}):
                for key in ("comments_count", "total_comments_count"):
                    if key in where:
                        where[key] = max(0, where[key] + by)

    def hollow(self, body: Any) -> None:
        if isinstance(body, dict):
            for key in ("media_topics", "photos", "discussions", "comments"):
                if key in body:
                    body[key] = []
            body |= {k: False for k in ("has_more", "hasMore") if k in body}


def _one(body: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return [body["discussion"]] if "discussion" in body else []


def _only(item: dict[str, Any], fields: str) -> dict[str, Any]:
    """Only asked-for fields come back: "comment.*", or names as "comment.ID,comment.TEXT"."""
    asked = {f.strip().removeprefix("comment.").lower() for f in fields.split(",") if f.strip()}
    if "*" in asked:
        return item
    asked |= {"id", "date_ms"} & item.keys() if "date" in asked else {"id"}
    return {k: v for k, v in item.items() if k in asked}


def _moscow(at: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at + 3 * 3600)).strftime("%Y-%m-%d %H:%M:%S")


FACE = OkFace
