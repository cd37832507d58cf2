"""The X face of a world: users, their posts, conversations by search, as API v2 shows them, with its seven days.

Names of fields come in either vocabulary (`Behaviour.vocabulary`): spec 2.159 (`referenced_tweets`) or 2.167
(`referenced_posts`).
"""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from emulator.face import Answer, Call, Face, Refusal
from emulator.world import Comment, Naming, Page, Post

if TYPE_CHECKING:
    from emulator.server import Request

BEARER = "otklik-x-bearer"
OWNER = {
    "consumer_key": "otklik-x-consumer",
    "consumer_secret": "otklik-x-consumer-secret",
    "token": "otklik-x-owner-token",
    "token_secret": "otklik-x-owner-token-secret",
}
"""The page's owner, OAuth 1.0a."""
_FIRST = 10**18  # ids are above 2**53: whoever reads them as floats loses
_PAGE, _COMMENT = 10**10, 5 * 10**9
_PROBLEM = "https://api.x.com/2/problems/"
WINDOW = 7 * 86400.0
LONG = 280  # characters; more of a post stands in its note only
PROBLEMS: dict[str, tuple[int, str]] = {
    "invalid-request": (400, "Invalid Request"),
    "unauthorized": (401, "Unauthorized"),
    "client-forbidden": (403, "Client Forbidden"),
    "unsupported-authentication": (403, "Unsupported Authentication"),
    "not-authorized-for-resource": (403, "Authorization Error"),
    "resource-not-found": (404, "Not Found Error"),
    "rate-limit-exceeded": (429, "Too Many Requests"),
    "usage-capped": (429, "UsageCapExceeded"),
    "credits-depleted": (402, "Payment Required"),
    "internal-error": (500, "Internal Error"),
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is not known for sure about X. vocabulary: "tweet" or "post". root_found: search shows the root as well.

    parent_version: a reply to an edited post names its "first" or "last" id. counter_all: `reply_count` counts replies
    of all depths. lost_every: every n-th reply is never shown by search (0: none). strict: a parameter of the other
    vocabulary is an error; else it is ignored. hidden_found: search shows replies that the page has hidden.
    """

    vocabulary: str = "tweet"
    root_found: bool = True
    parent_version: str = "first"
    counter_all: bool = False
    lost_every: int = 0
    strict: bool = True
    page_max: int = 100
    hidden_found: bool = True


def signed(header: str, verb: str, url: str) -> bool:
    """Is this the header of a request that the owner has signed (HMAC-SHA1, a body that is no form)?"""
    from oauthlib.oauth1.rfc5849 import signature

    fields = dict(re.findall(r'(oauth_\w+)="([^"]*)"', header)) if header.startswith("OAuth ") else {}
    found = {k: unquote(v) for k, v in fields.items()}
    if (found.get("oauth_consumer_key"), found.get("oauth_token")) != (OWNER["consumer_key"], OWNER["token"]):
        return False
    params = signature.normalize_parameters([(k, v) for k, v in found.items() if k != "oauth_signature"])
    base = signature.signature_base_string(verb, signature.base_string_uri(url), params)
    key = f"{OWNER['consumer_secret']}&{OWNER['token_secret']}".encode()
    want = base64.b64encode(hmac.new(key, base.encode(), "sha1").digest()).decode()
    return hmac.compare_digest(want, found.get("oauth_signature", ""))


def page_id(page: Page) -> str:
    return page.id.lstrip("-")


def post_id(post: Post) -> str:
    return str(_FIRST + int(page_id(post.page)) * _PAGE + post.id * 10)


def comment_id(one: Comment) -> str:
    return str(_FIRST + int(page_id(one.post.page)) * _PAGE + _COMMENT + one.id * 10)


class XFace(Face):
    """Tokens: "app" reads; "poor" is no good for this API."""

    network = "x"
    prefix = "/2/"
    naming = Naming(post_id, comment_id, page=page_id)
    known: ClassVar[Mapping[str, str]] = {BEARER: "app", "otklik-x-poor": "poor", OWNER["token"]: "owner"}
    keys: ClassVar = {f"user.{k}": v for k, v in OWNER.items()}
    codes = tuple(PROBLEMS)
    null: ClassVar = {}

    def __init__(self, world: Any, *, behaviour: Behaviour | None = None, **more: Any) -> None:
        super().__init__(world, behaviour=behaviour or Behaviour(), **more)

    # -- one call ------------------------------------------------------------------------------------------------------

    _ROUTES: ClassVar = [
        (re.compile(r"users/by/username/(\w{1,15})"), "user"),
        (re.compile(r"users/(\d{1,19})"), "user"),
        (re.compile(r"users/(\d{1,19})/tweets"), "timeline"),
        (re.compile(r"tweets/search/(recent|all)"), "search"),
        (re.compile(r"tweets"), "lookup"),
        (re.compile(r"usage/tweets"), "usage"),
        (re.compile(r"tweets/(\d{1,19})/hidden"), "hide"),
    ]

    def read(self, request: Request) -> Call | None:
        path = request.path[len(self.prefix) :].strip("/")
        params = request.params()
        token = params.pop("access_token", "")
        for pattern, name in self._ROUTES:
            if (m := pattern.fullmatch(path)) and request.verb == ("PUT" if name == "hide" else "GET"):
                if name == "hide":
                    token, params = self._signed_by(request), {}
                asked = {"_": m[1] if m.groups() else "", **params}
                return Call(name, asked, token, request.verb, path, request.body)
        return None

    def _signed_by(self, request: Request) -> str:
        """The token of a request signed by OAuth 1.0a; empty when the signature is not good."""
        header = request.headers.get("authorization", "")
        url = f"http://{request.headers.get('host', '')}{request.path}"
        return OWNER["token"] if signed(header, "PUT", url) else ""

    def run(self, call: Call) -> Any:
        kind = self.kind(call.token)
        if kind == "none":
            raise Refusal("unauthorized")
        if kind == "poor":
            raise Refusal("client-forbidden", "your App must be attached to a Project")
        other = {"tweet": "post.fields", "post": "tweet.fields"}[self.behaviour.vocabulary]
        if self.behaviour.strict and other in call.params:
            raise Refusal("invalid-request", f"The query parameter [{other}] is not one of the known", parameter=other)
        run: dict[str, Callable[[Mapping[str, str]], Any]] = {
            "user": self._user,
            "timeline": self._timeline,
            "search": self._search,
            "lookup": self._lookup,
            "hide": lambda p: self._hide(p["_"], call),
            "usage": lambda p: {"data": {"project_usage": "17", "project_cap": "3000000", "cap_reset_day": 1}},
        }
        return run[call.method](call.params)

    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        status, title = PROBLEMS.get(str(refusal.code), (400, "Invalid Request"))
        said = refusal.detail or title
        body = {"type": f"{_PROBLEM}{refusal.code}", "title": title, "detail": said, "status": status}
        if status in (400, 404):
            body |= refusal.more
        reset = {"x-rate-limit-reset": str(int(self.world.now()) + 2), "x-rate-limit-remaining": "0"}
        return Answer(body, status, reset if status == 429 else {})

    def too_fast(self) -> Refusal:
        return Refusal("rate-limit-exceeded")

    def lie(self, body: Any, by: int) -> None:
        if isinstance(body, dict):
            meta = body.get("meta", {})
            if "result_count" in meta:
                meta["result_count"] = max(0, meta["result_count"] + by)
            for one in body.get("data") if isinstance(body.get("data"), list) else []:
                metrics = one.get("public_metrics", {})
                if "reply_count" in metrics:
                    metrics["reply_count"] = max(0, metrics["reply_count"] + by)

    def hollow(self, body: Any) -> None:
        if isinstance(body, dict) and isinstance(body.get("data"), list):
            del body["data"]
            body.pop("includes", None)
            body["meta"] = {"result_count": 0}

    # -- methods -------------------------------------------------------------------------------------------------------

    def _user(self, p: Mapping[str, str]) -> Any:
        name = p["_"].lower()
        for page in self.world.pages.values():
            if name in (page_id(page), page.screen_name.lower()):
                code = page.errors.get("page")
                if code:
                    raise Refusal(code)
                return {"data": {"id": page_id(page), "name": page.title, "username": page.screen_name}}
        return {"errors": [self._absent("user", p["_"])]}

    def _absent(self, what: str, id: str) -> dict[str, Any]:
        return {
            "type": f"{_PROBLEM}resource-not-found",
            "title": "Not Found Error",
            "detail": f"Could not find {what} with id: [{id}].",
            "resource_type": "tweet" if what == "post" else what,
            "resource_id": id,
            "parameter": "ids",
            "value": id,
        }

    def _hide(self, id: str, call: Call) -> Any:
        if self.kind(call.token) != "owner":
            raise Refusal("unsupported-authentication", "This endpoint needs the user context")
        try:
            hidden = json.loads(call.body)["hidden"]
        except (ValueError, KeyError, TypeError):
            hidden = None
        if not isinstance(hidden, bool):
            raise Refusal("invalid-request", "hidden must be true or false", parameter="hidden")
        found = self._find(int(id))
        if not isinstance(found, Comment):
            raise Refusal("resource-not-found", f"Could not find tweet with id: [{id}].")
        if found.post.page.errors.get("write"):
            raise Refusal("not-authorized-for-resource", "You are not allowed to hide this reply")
        self.world.hide(found, hidden)
        return {"data": {"hidden": hidden}}

    def _timeline(self, p: Mapping[str, str]) -> Any:
        page = next((x for x in self.world.pages.values() if page_id(x) == p["_"]), None)
        if page is None:
            return {"errors": [self._absent("user", p["_"])]}
        posts = [x for x in page.posts.values() if not x.deleted and x.author == page.author_id]
        if "start_time" in p:
            posts = [x for x in posts if x.published_at >= datetime.fromisoformat(p["start_time"]).timestamp()]
        posts.sort(key=lambda x: (x.published_at, x.id), reverse=True)
        return self._page(posts, lambda x: [x.published_at, x.id], p, "pagination_token", 5)

    def _search(self, p: Mapping[str, str]) -> Any:
        wanted = set(re.findall(r"conversation_id:(\d{1,19})", p.get("query", "")))
        if not wanted or len(p["query"]) > 512:
            raise Refusal("invalid-request", "query is not valid", parameter="query")
        since = 0.0 if p["_"] == "all" else self.world.now() - WINDOW
        found: list[Post | Comment] = []
        for post in self.world.posts(None, "post"):
            if post.deleted or post_id(post) not in wanted or post.unreadable:
                continue
            every = self.behaviour.lost_every
            shown = [c for c in post.comments.values() if not c.hidden or self.behaviour.hidden_found]
            found += [c for c in shown if not c.deleted and not (every and c.id % every == 0)]
            found += [post] if self.behaviour.root_found else []
        # Comments dated before 1970 or in 2099 are the tests' own; X's clock makes no such.
        found = [x for x in found if x.published_at >= since or x.published_at <= 0]
        if "since_id" in p:
            newest = self._find(int(p["since_id"]) + 1) or self._find(int(p["since_id"]))
            if newest is not None and 0 < newest.published_at < since:
                raise Refusal("invalid-request", "since_id is older than 7 days", parameter="since_id")
            found = [x for x in found if int(self._id(x)) > int(p["since_id"])]
        found.sort(key=lambda x: int(self._id(x)), reverse=True)
        return self._page(found, lambda x: [int(self._id(x))], p, "next_token", 10)

    def _lookup(self, p: Mapping[str, str]) -> Any:
        ids = p.get("ids", "").split(",")
        if not 1 <= len(ids) <= 100 or not all(i.isdecimal() for i in ids):
            raise Refusal("invalid-request", "ids is not valid", parameter="ids")
        found = [(i, self._find(int(i))) for i in ids]
        body = self._body([x for _, x in found if x is not None], p)
        absent = [self._absent("post", i) for i, x in found if x is None]
        return body | ({"errors": absent} if absent else {})

    def _find(self, id: int) -> Post | Comment | None:
        page_number, rest = divmod(id - _FIRST, _PAGE)
        page = next((x for x in self.world.pages.values() if page_id(x) == str(page_number)), None)
        if page is None:
            return None
        if rest < _COMMENT:
            post = page.posts.get(("post", rest // 10))
            return None if post is None or post.deleted else post
        for post in page.posts.values():
            one = post.comments.get((rest - _COMMENT) // 10)
            if one is not None:
                return None if one.deleted or post.deleted else one
        return None

    # -- shapes --------------------------------------------------------------------------------------------------------

    def _page(
        self, items: Sequence[Any], key: Callable[[Any], list[Any]], p: Mapping[str, str], token: str, least: int
    ) -> Any:
        size = p.get("max_results", "10")
        if not size.isdecimal() or not least <= int(size) <= 100:
            raise Refusal("invalid-request", f"max_results must be {least}..100", parameter="max_results")
        if token in p:
            try:
                after = json.loads(base64.b32hexdecode(p[token].upper().encode()))
            except ValueError:
                raise Refusal("invalid-request", f"{token} is not valid", parameter=token) from None
            items = [x for x in items if key(x) < after]
        some = list(items[: min(int(size), self.behaviour.page_max)])
        body = self._body(some, p)
        meta: dict[str, Any] = {"result_count": len(some)}
        if some:
            meta |= {"newest_id": self._id(some[0]), "oldest_id": self._id(some[-1])}
        if len(items) > len(some):
            place = json.dumps(key(some[-1])).encode()
            place += b" " * (-len(place) % 5)  # so that base32 needs no padding
            meta["next_token"] = base64.b32hexencode(place).decode().lower()
        return body | {"meta": meta}

    def _body(self, things: Sequence[Post | Comment], p: Mapping[str, str]) -> dict[str, Any]:
        if not things:
            return {}
        expansions = p.get("expansions", "").split(",")
        fields = set(p.get(f"{self.behaviour.vocabulary}.fields", "").split(",")) | set(expansions)
        body: dict[str, Any] = {"data": [self._shape(x, fields) for x in things]}
        includes: dict[str, Any] = {}
        if "author_id" in expansions:
            users = [u for a in dict.fromkeys(x.author for x in things) if (u := self._who(a)) is not None]
            includes |= {"users": users} if users else {}
        media = [self._medium(a) for x in things for a in x.attachments]
        if "attachments.media_keys" in expansions and media:
            includes["media"] = media
        return body | ({"includes": includes} if includes else {})

    def _shape(self, x: Post | Comment, fields: set[str]) -> dict[str, Any]:
        words = self.behaviour.vocabulary
        ids = self._versions(x)
        root = x if isinstance(x, Post) else x.post
        shape: dict[str, Any] = {
            "author_id": str(abs(x.author)),
            "conversation_id": post_id(root),
            "created_at": datetime.fromtimestamp(x.published_at, UTC).isoformat(timespec="milliseconds")[:23] + "Z",
            f"edit_history_{words}_ids": ids,
            "public_metrics": {
                "repost_count" if words == "post" else "retweet_count": 0,
                "reply_count": self._replies(x),
                "like_count": x.likes,
                "quote_count": 0,
                "bookmark_count": 0,
                "impression_count": 10,
            },
        }
        if isinstance(x, Comment):
            above = root if x.parent is None else x.parent
            ids_above = self._versions(above)
            parent = ids_above[-1 if self.behaviour.parent_version == "last" else 0]
            shape[f"referenced_{words}s"] = [{"type": "replied_to", "id": parent}]
        if x.attachments:
            shape["attachments"] = {"media_keys": [self._medium(a)["media_key"] for a in x.attachments]}
        always = {f"edit_history_{words}_ids"}
        text = html.escape(x.text, quote=False)
        if len(x.text) > LONG:
            shape[f"note_{words}"] = {"text": text}
            text = f"{text[:LONG]}… https://t.co/0123456789"
        return {"id": ids[-1], "text": text, **{k: v for k, v in shape.items() if k in fields | always}}

    def _versions(self, x: Post | Comment) -> list[str]:
        first = int(post_id(x) if isinstance(x, Post) else comment_id(x))
        return [str(first + n) for n in range(min(9, len(getattr(x, "texts", [""])) - 1) + 1)]

    def _id(self, x: Post | Comment) -> str:
        return self._versions(x)[-1]

    def _replies(self, x: Post | Comment) -> int:
        if isinstance(x, Comment):
            return sum(1 for c in x.children if not c.deleted)
        alive = [c for c in x.comments.values() if not c.deleted]
        return len(alive) if self.behaviour.counter_all else sum(1 for c in alive if c.parent is None)

    def _who(self, author: int) -> dict[str, str] | None:
        for page in self.world.pages.values():
            if page.author_id == author:
                return {"id": page_id(page), "name": page.title, "username": page.screen_name}
        known = self.world.authors.get(author)
        if known is None or known.kind in ("hidden", "deleted"):
            return None
        name = known.name or f"user{abs(author)}"
        return {"id": str(abs(author)), "name": name, "username": known.screen_name or f"user{abs(author)}"}

    def _medium(self, a: Any) -> dict[str, str]:
        return {"media_key": f"3_{a.id}", "type": a.kind, "url": f"https://pbs.twimg.com/media/{a.id}.jpg"}


FACE = XFace
