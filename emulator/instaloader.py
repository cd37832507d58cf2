"""Instagram's site as instaloader 4.16 asks it: pages that embed their data, GraphQL, the mobile endpoints.

Only what that library reads is there (its instaloadercontext.py and structures.py are the source). The world is one of
the network "instagram"; the face is put up by name, `Emulator(world, network="instaloader")` after `install()`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from emulator.face import OTHERS, Answer, Call, Face, Refusal
from emulator.instagram import InstagramFace, alive, comment_id, media_id, page_id, shortcode, top
from emulator.world import Comment, Page, Post

if TYPE_CHECKING:
    from emulator.server import Request

COOKIES = {"sessionid": "100001%3Aotklik-session%3A1", "csrftoken": "otklik-csrf", "ds_user_id": "100001"}
TIMELINE, MEDIA, PROFILE = "29104886249145907", "27128499623469141", "27937681195819736"
COMMENTS, ANSWERS, WHO = (
    "97b41c52301f77ce508f55e66d17620e",
    "51fdd02b67508306ad4484ff574a0b62",
    "d6f4427fbe92d846298cf93df0b937d3",
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`page`: comments and posts a call; `shown`: replies that come with a comment; `private`: pages are closed; `cut`:
    so many replies of a thread are given by the mobile address, the newest."""

    page: int = 12
    shown: int = 2
    private: bool = False
    cut: int = 1000


class InstaloaderFace(Face):
    """Sessions instead of tokens: the cookie `sessionid`."""

    network = "instaloader"
    naming = InstagramFace.naming
    prefix = "/"
    known: ClassVar[Mapping[str, str]] = {COOKIES["sessionid"]: "person"}
    codes = ("login", "checkpoint", "429", "404", "403")

    def __init__(self, world: Any, *, behaviour: Behaviour | None = None, **more: Any) -> None:
        super().__init__(world, behaviour=behaviour or Behaviour(), **more)

    def read(self, request: Request) -> Call | None:
        params = dict(request.params())
        cookies = dict(p.strip().partition("=")[::2] for p in request.headers.get("cookie", "").split(";"))
        path = request.path.strip("/")
        name = {"graphql/query": "graphql", "api/graphql": "graphql", "": "start"}.get(path)
        if name is None:
            parts = path.split("/")
            if parts[:3] == ["api", "v1", "media"]:
                name = "child_comments" if parts[-1] == "child_comments" else "comments"
            else:
                name = "page"
        if name == "graphql":
            asked = params.get("doc_id") or params.get("query_hash", "")
            kinds = {TIMELINE: "timeline", MEDIA: "media", PROFILE: "profile", WHO: "who"}
            name = kinds.get(asked, {COMMENTS: "comments", ANSWERS: "child_comments"}.get(asked, "graphql"))
        session = cookies.get("sessionid", "").strip('"')
        bearer = params.pop("access_token", "")
        if bearer.startswith("IGT:2:"):  # the mobile endpoints take the session in a header
            session = json.loads(base64.b64decode(bearer[6:]))["sessionid"]
        return Call(name, params, session, request.verb, path, request.body)

    def run(self, call: Call) -> Any:
        if call.method in ("start", "page"):
            return Answer(self._html(call).encode(), headers={"X-Html": "1"})
        if self.kind(call.token) != "person":
            raise Refusal("login")
        variables = json.loads(call.params.get("variables", "{}"))
        run: dict[str, Callable[[Call, Mapping[str, Any]], Any]] = {
            "who": lambda c, v: {"user": {"username": "redaktor"}},
            "profile": self._profile,
            "timeline": self._timeline,
            "media": self._media,
            "comments": self._comments,
            "child_comments": self._children,
        }
        if call.method not in run:
            raise Refusal("404")
        body = run[call.method](call, variables)
        return body if call.path.startswith("api/v1/") else {"data": body, "status": "ok"}

    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        code = str(refusal.code)
        if code == "login":
            return Answer({}, 302, {"Location": "https://www.instagram.com/accounts/login/"})
        if code == "checkpoint":
            return Answer({"message": "checkpoint_required", "status": "fail"}, 400)
        return Answer({"message": "fail", "status": "fail"}, int(code) if code.isdecimal() else 400)

    def lie(self, body: Any, by: int) -> None:
        """Counters stand in publications only."""

    def hollow(self, body: Any) -> None:
        if isinstance(body, dict):
            for key in ("comments", "child_comments", "edges"):
                if isinstance(body.get(key), list):
                    body[key] = []
            body.pop("next_min_id", None)
            for one in body.values():
                self.hollow(one)

    # -- pages ---------------------------------------------------------------------------------------------------------

    def _html(self, call: Call) -> str:
        if call.method == "start":
            return (
                '<script>["DTSGInitialData",[],{"token":"dtsg-1"}]["LSD",[],{"token":"lsd-1"}]'
                '"IG_USER_EIMU":"100001"</script>'
            )
        page = self._page(call.path)
        data = {"xig_user_by_username": {"pk": page_id(page), "id": "x1", **self._account(page)}}
        box = json.dumps({"require": [{"__bbox": {"result": {"data": data}}}]})
        return f'<html><script type="application/json" data-sjs>{box}</script></html>'

    def _page(self, name: str) -> Page:
        for page in self.world.pages.values():
            if name.lower() in (page.screen_name.lower(), page_id(page)):
                return page
        raise Refusal("404")

    def _account(self, page: Page) -> dict[str, Any]:
        return {"username": page.screen_name, "full_name": page.title, "is_private": self.behaviour.private}

    def _profile(self, call: Call, v: Mapping[str, Any]) -> Any:
        page = self._page(str(v.get("id")))
        friendship = {"following": not self.behaviour.private}
        return {"user": {"pk": page_id(page), **self._account(page), "friendship_status": friendship}}

    # -- publications --------------------------------------------------------------------------------------------------

    def _timeline(self, call: Call, v: Mapping[str, Any]) -> Any:
        posts = [p for p in self._page(str(v.get("username"))).posts.values() if not p.deleted]
        posts.sort(key=lambda p: (p.pinned, p.published_at, p.id), reverse=True)
        start = int(v.get("after") or 0)
        some = posts[start : start + self.behaviour.page]
        info = {"has_next_page": start + len(some) < len(posts), "end_cursor": str(start + len(some))}
        edges = [{"node": self._item(p)} for p in some]
        return {"xdt_api__v1__feed__user_timeline_graphql_connection": {"edges": edges, "page_info": info}}

    def _item(self, post: Post) -> dict[str, Any]:
        return {
            "pk": media_id(post),
            "code": shortcode(post),
            "media_type": 1,
            "taken_at": int(post.published_at),
            "caption": {"text": post.text} if post.text else None,
            "comment_count": sum(1 for c in post.comments.values() if alive(c)),
            "like_count": post.likes,
            "has_liked": False,
            "user": {"pk": page_id(post.page), "profile_pic_url": "", **self._account(post.page)},
        }

    def _find(self, code: str) -> Post | None:
        for post in self.world.posts(None, "post"):
            if not post.deleted and code in (shortcode(post), media_id(post)):
                return post
        return None

    def _media(self, call: Call, v: Mapping[str, Any]) -> Any:
        post = self._find(str(v.get("shortcode")))
        return {"xdt_api__v1__media__shortcode__web_info": {"items": [self._item(post)] if post else []}}

    # -- comments ------------------------------------------------------------------------------------------------------

    def _comments(self, call: Call, v: Mapping[str, Any]) -> Any:
        mobile = call.path.startswith("api/v1/")
        post = self._find(call.path.split("/")[3] if mobile else str(v.get("shortcode")))
        if post is None:
            raise Refusal("404")
        tops = [c for c in post.comments.values() if c.parent is None and alive(c)][::-1]
        query = dict(parse_qsl(str(call.params.get("min_id", ""))))
        start = int(call.params.get("min_id") or v.get("after") or 0) if not query else 0
        some = tops[start : start + self.behaviour.page]
        following = start + len(some)
        if mobile:
            more = {"next_min_id": str(following)} if following < len(tops) else {}
            return {"comments": [self._mobile(c, True) for c in some], "status": "ok", **more}
        info = {"has_next_page": following < len(tops), "end_cursor": str(following)}
        edges = [{"node": self._node(c, True)} for c in some]
        return {"shortcode_media": {"edge_media_to_parent_comment": {"edges": edges, "page_info": info}}}

    def _children(self, call: Call, v: Mapping[str, Any]) -> Any:
        mobile = call.path.startswith("api/v1/")
        wanted = call.path.split("/")[5] if mobile else str(v.get("comment_id"))
        one = next((c for c in self.world.comments() if comment_id(c) == wanted), None)
        if one is None:
            raise Refusal("404")
        if mobile:
            return {
                "child_comments": [self._mobile(c, False) for c in self._below(one)[-self.behaviour.cut :]],
                "status": "ok",
            }
        start = int(v.get("after") or 0)
        some = self._below(one)[start : start + self.behaviour.page]
        info = {"has_next_page": start + len(some) < len(self._below(one)), "end_cursor": str(start + len(some))}
        edges = [{"node": self._node(c, False)} for c in some]
        return {"comment": {"edge_threaded_comments": {"edges": edges, "page_info": info}}}

    def _below(self, one: Comment) -> list[Comment]:
        return [c for c in one.post.comments.values() if c.parent is not None and top(c) is one and alive(c)]

    def _owner(self, author: int) -> dict[str, Any]:
        for page in self.world.pages.values():
            if page.author_id == author:
                return {"pk": page_id(page), "profile_pic_url": "", **self._account(page)}
        known = self.world.authors.get(author)
        name = f"user{abs(author)}" if known is None or not known.screen_name else known.screen_name
        return {"pk": str(abs(author)), "username": name, "full_name": "", "is_private": False, "profile_pic_url": ""}

    def _mobile(self, c: Comment, full: bool) -> dict[str, Any]:
        below = self._below(c) if full else []
        shape = {
            "pk": comment_id(c),
            "created_at": int(c.published_at),
            "text": c.text,
            "comment_like_count": c.likes,
            "user": self._owner(c.author),
        }
        shown = [self._mobile(x, False) for x in below[: self.behaviour.shown]]
        return shape | ({"child_comment_count": len(below), "preview_child_comments": shown} if full else {})

    def _node(self, c: Comment, full: bool) -> dict[str, Any]:
        owner = self._owner(c.author)
        shape: dict[str, Any] = {
            "id": comment_id(c),
            "created_at": int(c.published_at),
            "text": c.text,
            "edge_liked_by": {"count": c.likes},
            "owner": {"id": owner["pk"], "username": owner["username"]},
        }
        if full:
            below = self._below(c)
            edges = [{"node": self._node(x, False)} for x in below[: self.behaviour.shown]]
            shape["edge_threaded_comments"] = {"count": len(below), "edges": edges}
        return shape


def install() -> None:
    """Let `Emulator(…, network="instaloader")` find this face."""
    OTHERS["instaloader"] = InstaloaderFace
