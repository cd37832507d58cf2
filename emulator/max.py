"""The MAX face of a world: channels with posts (OpenAPI 0.0.32) and the newer comment methods.

What sources leave open is a `Behaviour`; a collector has to live with each. Comments are a flat list by time; a reply
names its parent in `link`; nobody is named as the sender of what the channel itself writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import orjson

from emulator.face import Answer, Call, Face, Refusal
from emulator.world import Comment, Naming, Page, Post

if TYPE_CHECKING:
    from emulator.server import Request

TOKEN = "otklik-max-token-0123456789"
BOT = {
    "user_id": 9001,
    "first_name": "Отклик",
    "name": "Отклик",
    "username": "otklik_bot",
    "is_bot": True,
    "last_activity_time": 1_764_000_000_000,
}
TOO_LONG = 4000
_CODES = {
    "verify.token": (401, "Invalid access_token"),
    "access.denied": (403, "Access denied"),
    "not.found": (404, "Not found"),
    "proto.payload": (400, "Invalid parameter"),
    "method.not.allowed": (405, "Method not allowed"),
    "too.many.requests": (429, "Too many requests"),
    "internal.error": (500, "Internal error"),
    "service.unavailable": (503, "Service unavailable"),
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is not known for sure.

    upper: the parameter of `/messages` that bounds from above, "to" or (as the specification words it) "from".
    newest_first: how a page of comments without bounds begins. inclusive: the bounds themselves belong to the list.
    most: items a page. own_as: the channel's own comments come from "nobody" or from the "bot". gone_is_error: one that
    is gone makes an error of the whole answer when several are asked for by ids.
    """

    upper: str = "from"
    newest_first: bool = True
    inclusive: bool = False
    most: int = 100
    own_as: str = "nobody"
    gone_is_error: bool = False


def _chat(page: Page) -> int:
    return -(70_000_000_000 + abs(int(page.id)))


def _mid(thing: Post | Comment) -> str:
    page = thing.page if isinstance(thing, Post) else thing.post.page
    return f"mid.{abs(_chat(page)):x}{'p' if isinstance(thing, Post) else 'c'}{thing.id:x}"


NAMING = Naming(
    post=_mid,
    comment=lambda c: f"{_mid(c.post)}/{_mid(c)}",
    page=lambda page: str(_chat(page)),
)


class MaxFace(Face):
    network = "max"
    naming = NAMING
    known: ClassVar = {TOKEN: "bot"}
    real_rates: ClassVar = {"bot": 30}
    codes = tuple(_CODES)
    null: ClassVar = {"messages": None}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.behaviour = self.behaviour or Behaviour()
        self.blocked: set[int] = set()

    # --- the wire ----------------------------------------------------------------------------------------------------

    def read(self, request: Request) -> Call | None:
        parts = [unquote(p) for p in request.path.strip("/").split("/")]
        params: dict[str, Any] = dict(request.params())
        params.pop("access_token", None)
        if request.body:
            try:
                found = orjson.loads(request.body)
            except orjson.JSONDecodeError:
                found = None
            params["_body"] = found
        method = _route(request.verb, parts, params)
        if method is None:
            return None
        token = request.headers.get("authorization", "")
        return Call(method, params, token, request.verb, request.path, request.body)

    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        status, words = _CODES.get(str(refusal.code), (400, "Bad request"))
        if refusal.code == 429:
            status, words = 429, "Too many requests"
        return Answer({"code": str(refusal.code), "message": refusal.detail or words}, status)

    def hollow(self, body: Any) -> None:
        if isinstance(body, dict) and "messages" in body:
            body["messages"] = []

    def run(self, call: Call) -> Any:
        if self.kind(call.token) == "none":
            raise Refusal("verify.token")
        return getattr(self, "_" + call.method.replace(".", "_"))(call.params)

    # --- looking up --------------------------------------------------------------------------------------------------

    def page(self, given: Any) -> Page:
        text = str(given).strip()
        for page in self.world.pages.values():
            if text in (str(_chat(page)), page.screen_name, f"@{page.screen_name}"):
                if page.errors.get("page"):
                    raise Refusal("access.denied")
                return page
        raise Refusal("not.found", "Chat not found")

    def post(self, mid: Any) -> Post:
        for post in self.world.posts(None, "post"):
            if _mid(post) == mid and not post.deleted:
                if post.page.errors.get("page") or post.unreadable:
                    raise Refusal("access.denied")
                return post
        raise Refusal("not.found", "Message not found")

    # --- chats -------------------------------------------------------------------------------------------------------

    def _me(self, p: Mapping[str, Any]) -> dict[str, Any]:
        return dict(BOT)

    def _chats_get(self, p: Mapping[str, Any]) -> dict[str, Any]:
        page = self.page(p["chat"])
        return {
            "chat_id": _chat(page),
            "type": "channel",
            "status": "active",
            "title": page.title,
            "icon": None,
            "last_event_time": int(self.world.now() * 1000),
            "participants_count": 1000,
            "is_public": True,
            "link": f"https://max.ru/{page.screen_name}",
            "description": None,
        }

    def _members_me(self, p: Mapping[str, Any]) -> dict[str, Any]:
        page = self.page(p["chat"])
        rights = ["read_all_messages", "delete"] + ([] if page.errors.get("write") else ["write"])
        times = {"last_access_time": 1_764_000_000_000, "join_time": 1_764_000_000_000}
        return BOT | times | {"is_owner": False, "is_admin": True, "permissions": rights}

    def _members_delete(self, p: Mapping[str, Any]) -> dict[str, Any]:
        if self.page(p["chat"]).errors.get("write"):
            raise Refusal("access.denied")
        user = _whole(p.get("user_id"))
        if user is None:
            raise Refusal("proto.payload")
        if str(p.get("block", "")).lower() == "true":
            self.blocked.add(user)
        return {"success": True}

    # --- posts -------------------------------------------------------------------------------------------------------

    def _messages_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        if p.get("message_ids"):
            wanted = str(p["message_ids"]).split(",")
            posts = self.world.posts(None, "post")
            return self._named([self.message(x) for x in posts if not x.deleted and _mid(x) in wanted], wanted)
        if "chat_id" not in p:
            raise Refusal("proto.payload", "chat_id or message_ids required")
        page = self.page(p["chat_id"])
        lower = "to" if self.behaviour.upper == "from" else "from"
        top, bottom = _whole(p.get(self.behaviour.upper)), _whole(p.get(lower))
        found = [x for x in self.world.posts(page, "post") if not x.deleted]
        found = [x for x in found if (top is None or self._ms(x) <= top) and (bottom is None or self._ms(x) >= bottom)]
        found.sort(key=lambda x: (self._ms(x), x.id), reverse=True)
        return {"messages": [self.message(x) for x in found[: self._count(p)]]}

    def _messages_get(self, p: Mapping[str, Any]) -> dict[str, Any]:
        return self.message(self.post(p["message"]))

    def message(self, post: Post) -> dict[str, Any]:
        page = post.page
        text = "\n\n".join(filter(None, (post.text, post.repost[2] if post.repost else "")))
        return {
            "recipient": {"chat_id": _chat(page), "chat_type": "channel", "user_id": None},
            "timestamp": self._ms(post),
            "body": {"mid": _mid(post), "seq": post.id, "text": text or None, "attachments": None},
            "stat": {"views": 10 + post.likes},
            "url": f"https://max.ru/{page.screen_name}/{post.id:x}",
        }

    # --- comments ----------------------------------------------------------------------------------------------------

    def _comments_list(self, p: Mapping[str, Any]) -> dict[str, Any]:
        post = self.post(p["message"])
        alive = sorted((c for c in post.comments.values() if not c.deleted), key=lambda c: (self._ms(c), c.id))
        if p.get("comment_ids"):
            wanted = str(p["comment_ids"]).split(",")
            return self._named([self.comment(c) for c in alive if _mid(c) in wanted], wanted)
        after, before = _whole(p.get("after")), _whole(p.get("before"))
        slack = 0 if self.behaviour.inclusive else 1
        if after is not None:
            alive = [c for c in alive if self._ms(c) >= after + slack]
        if before is not None:
            alive = [c for c in alive if self._ms(c) <= before - slack]
        from_start = after is not None or (before is None and not self.behaviour.newest_first)
        count = self._count(p)
        found = alive[:count] if from_start else alive[-count:]
        if self.behaviour.newest_first:
            found.reverse()
        return {"messages": [self.comment(c) for c in found]}

    def _named(self, found: list[dict[str, Any]], wanted: list[str]) -> dict[str, Any]:
        if self.behaviour.gone_is_error and len(found) < len(wanted):
            raise Refusal("not.found")
        return {"messages": found}

    def _comments_get(self, p: Mapping[str, Any]) -> dict[str, Any]:
        return self.comment(self._comment(self.post(p["message"]), p["comment"]))

    def _comment(self, post: Post, mid: Any) -> Comment:
        for one in post.comments.values():
            if _mid(one) == mid and not one.deleted:
                return one
        raise Refusal("not.found", "Comment not found")

    def _comments_send(self, p: Mapping[str, Any]) -> dict[str, Any]:
        post, body = self.post(p["message"]), p.get("_body")
        if not isinstance(body, dict):
            raise Refusal("proto.payload", "body expected")
        text, link = body.get("text"), body.get("link")
        if not isinstance(text, str) or not text.strip() or len(text) > TOO_LONG or body.get("attachments"):
            raise Refusal("proto.payload", "text: 1..4000 characters, no attachments")
        if post.closed:
            raise Refusal("proto.payload", "Comments are disabled")
        if post.page.errors.get("write"):
            raise Refusal("access.denied")
        parent = None
        if isinstance(link, dict) and link.get("type") == "reply":
            parent = self._comment(post, link.get("mid"))
        made = self.world.add_comment(post, text, post.page.author_id, parent=parent)
        return {"message": self.comment(made)}

    def _comments_edit(self, p: Mapping[str, Any]) -> dict[str, Any]:
        body = p.get("_body")
        one = self._comment(self.post(p["message"]), p.get("comment_id"))
        if isinstance(body, dict) and isinstance(body.get("text"), str):
            self.world.edit(one, body["text"])
        return {"success": True, "message": self.comment(one)}

    def _comments_delete(self, p: Mapping[str, Any]) -> dict[str, Any]:
        self.world.delete(self._comment(self.post(p["message"]), p.get("comment_id")))
        return {"success": True}

    def comment(self, one: Comment) -> dict[str, Any]:
        found: dict[str, Any] = {
            "sender": self._sender(one),
            "recipient": {"chat_id": _chat(one.post.page), "chat_type": "channel", "post_id": _mid(one.post)},
            "timestamp": self._ms(one),
            "body": {"mid": _mid(one), "seq": one.id, "text": one.text or None},
        }
        if one.parent is not None:
            answered = {"mid": _mid(one.parent), "seq": one.parent.id, "text": one.parent.text or None}
            found["link"] = {"type": "reply", "sender": self._sender(one.parent), "message": answered}
        return found

    def _sender(self, one: Comment) -> dict[str, Any] | None:
        if one.own:
            return dict(BOT) if self.behaviour.own_as == "bot" else None
        known = self.world.authors.get(one.author)
        name = known.name if known is not None else "Житель"
        if known is not None and known.kind in ("deleted", "hidden"):
            name = ""
        base = {"user_id": abs(one.author), "username": None, "is_bot": False, "last_activity_time": 0}
        return base | {"first_name": name, "name": name}

    @staticmethod
    def _ms(thing: Post | Comment) -> int:
        return int(thing.published_at * 1000)

    def _count(self, p: Mapping[str, Any]) -> int:
        count = _whole(p.get("count"))
        if count is not None and not 1 <= count <= 100:
            raise Refusal("proto.payload", "count: 1..100")
        return min(count or 50, self.behaviour.most)

    # --- events ------------------------------------------------------------------------------------------------------

    def _updates(self, p: Mapping[str, Any]) -> dict[str, Any]:
        return {"updates": [], "marker": _whole(p.get("marker")) or 1}


def _route(verb: str, parts: list[str], params: dict[str, Any]) -> str | None:
    """The name of the method at an address; ids from the path go into `params`."""
    head, *rest = parts
    if (verb, head, rest) in (("GET", "me", []), ("GET", "updates", [])):
        return head
    if head == "chats" and rest:
        params["chat"] = rest[0]
        below = "/".join(rest[1:])
        return {
            ("GET", ""): "chats.get",
            ("GET", "members/me"): "members.me",
            ("DELETE", "members"): "members.delete",
        }.get((verb, below))
    if head != "messages":
        return None
    if not rest:
        return "messages.list" if verb == "GET" else None
    params["message"] = rest[0]
    if len(rest) == 1:
        return "messages.get" if verb == "GET" else None
    if rest[1] != "comments" or len(rest) > 3:
        return None
    if len(rest) == 3:
        params["comment"] = rest[2]
        return "comments.get" if verb == "GET" else None
    return {"GET": "comments.list", "POST": "comments.send", "PUT": "comments.edit", "DELETE": "comments.delete"}.get(
        verb
    )


def _whole(value: Any) -> int | None:
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Refusal("proto.payload", "number expected") from None


FACE = MaxFace
