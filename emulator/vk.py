"""The VK face of a world: API 5.199 as the official schema has it, with its tokens, errors, limits and oddities.

What the schema leaves open is a `Behaviour`: a collector has to live with every choice. Every method is one function
in `METHODS`; its parameters are declared beside it and checked before it runs, so that a wrong request is answered
like VK does (error 100) instead of being guessed at.
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from emulator import vkscript
from emulator.faults import VK_CODES, Fault, Plan
from emulator.world import THREADED, Author, Comment, Page, Post, Shaker, Shown, World, shown
from store.values import Attachment

VERSION = "5.199"
USER_TOKEN, GROUP_TOKEN, SERVICE_TOKEN = "otklik-user-token", "otklik-group-token", "otklik-service-token"
TOKENS: dict[str, str] = {USER_TOKEN: "user", GROUP_TOKEN: "group", SERVICE_TOKEN: "service"}
REAL_RATES: dict[str, float] = {"user": 3, "group": 20, "service": 5}
"""Requests a second of each kind of token, as VK limits them."""

ANY = ("user", "group", "service")
EXECUTE_BYTES = 5 * 2**20


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is not known for sure about VK, or differs from place to place.

    counter_replies: a post's counter counts replies too. counter_stubs: and stubs of deleted comments. stub_author:
    `from_id` of a stub is "zero", "absent" or "kept". hidden_author: an author without profile shows as "absent"
    (id without profile), "zero" (from_id 0) or "flag" (profile marked hidden). thread_depth: levels shown (2 as VK does
    today). thread_stubs: stubs also inside threads. start_inclusive: the page begins with `start_comment_id` itself.
    wall_max: most posts and comments a call. missing_post: error for comments of a post that is gone.
    echo_token: `request_params` of an error repeat the access token. unknown_name: `utils.resolveScreenName` answers an
    "error" (104) or an "empty" list when nobody has the name.
    """

    counter_replies: bool = True
    counter_stubs: bool = True
    stub_author: str = "zero"
    hidden_author: str = "absent"
    thread_depth: int = 2
    thread_stubs: bool = True
    start_inclusive: bool = True
    wall_max: int = 100
    missing_post: int = 15
    echo_token: bool = False
    unknown_name: str = "error"


class ApiError(Exception):
    """An answer with this code; `detail` follows the code's usual message."""

    def __init__(self, code: int, detail: str = "", **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.more = more


# --- parameters -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class P:
    """One parameter: `type` int, str, bool or list; `low`/`high` bounds of a number (of the length of a list)."""

    type: str = "int"
    required: bool = False
    low: int | None = None
    high: int | None = None
    default: Any = None
    enum: tuple[Any, ...] = ()

    def read(self, name: str, raw: str) -> Any:
        if self.type == "str":
            value: Any = raw
        elif self.type == "list":
            value = [x.strip() for x in raw.split(",") if x.strip()]
            if self.high is not None and len(value) > self.high:
                raise ApiError(100, f"{name} should be less or equal to {self.high} items")
        elif self.type == "bool":
            if raw.lower() not in ("0", "1", "true", "false", ""):
                raise ApiError(100, f"{name} not boolean")
            value = raw.lower() in ("1", "true")
        else:
            body = raw[1:] if raw[:1] == "-" else raw
            if not (body.isascii() and body.isdigit() and len(body) <= 18):
                raise ApiError(100, f"{name} not integer")
            value = int(raw)
            if self.low is not None and value < self.low:
                raise ApiError(100, f"{name} should be greater or equal to {self.low}")
            if self.high is not None and value > self.high:
                raise ApiError(100, f"{name} should be less or equal to {self.high}")
        if self.enum and value not in self.enum:
            raise ApiError(100, f"{name} has an unknown value")
        return value


COMMON = frozenset(
    {"v", "access_token", "lang", "https", "test_mode", "captcha_sid", "captcha_key", "success_token", "confirm"}
)
"""Parameters that every method takes."""

OWNER = P()
BOOL = P("bool")
LIST = P("list")
TEXT = P("str")
OFFSET = P(low=0)
_COMMENTS = {
    "owner_id": OWNER,
    "need_likes": BOOL,
    "start_comment_id": P(low=0),
    "offset": P(),
    "extended": BOOL,
    "fields": LIST,
}


@dataclass(frozen=True, slots=True)
class Method:
    run: Callable[[VkFace, Mapping[str, Any]], Any]
    tokens: Sequence[str]
    params: Mapping[str, P] = field(default_factory=dict)


METHODS: dict[str, Method] = {}


def _method(name: str, tokens: Sequence[str], **params: P) -> Callable[[Any], Any]:
    def register(run: Callable[[VkFace, Mapping[str, Any]], Any]) -> Any:
        METHODS[name] = Method(run, tokens, params)
        return run

    return register


class VkFace:
    """Answers API calls about a world. Thread-safe: one call at a time.

    `tokens`: token -> kind (user, group, service). `rates`: kind -> requests a second; empty: no limit.
    """

    network = "vk"

    def __init__(
        self,
        world: World,
        *,
        behaviour: Behaviour | None = None,
        tokens: Mapping[str, str] | None = None,
        rates: Mapping[str, float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.world = world
        self.behaviour = behaviour or Behaviour()
        self.tokens = dict(TOKENS if tokens is None else tokens)
        self.rates = dict(rates or {})
        self.inner_calls: Counter[str] = Counter()
        self.observer: Callable[[str, dict[str, str], str, dict[str, Any]], None] | None = None
        self._monotonic = monotonic
        self._recent: dict[str, deque[float]] = {}
        self._guids: dict[tuple[str, str], dict[str, Any]] = {}
        self._plan = Plan()

    # -- one call ------------------------------------------------------------------------------------------------------

    def kind(self, token: str) -> str:
        """What kind of token this is; "none" when VK does not know it."""
        return self.tokens.get(token, "none")

    def answer(self, method: str, params: Mapping[str, str], plan: Plan, fault: Fault | None = None) -> dict[str, Any]:
        """The whole answer to one HTTP call: `{"response": …}` or `{"error": …}`.

        `plan` also strikes the calls inside `execute`; `fault` is one of content or an error, for this call itself.
        """
        token = params.get("access_token", "")
        own = {k: v for k, v in params.items() if k != "access_token"}
        with self.world.lock:
            self._plan = plan
            try:
                if not token:
                    raise ApiError(5, "no access_token passed.")
                if fault is not None and fault.kind == "error":
                    raise ApiError(fault.value)
                kind = self.kind(token)
                if kind == "none":
                    raise ApiError(5, "invalid access_token (4).")
                self._limit(token, kind)
                _version(own)
                if method == "execute":
                    result = self._execute(own, kind)
                else:
                    result = {"response": self._call(method, own, kind, fault)}
            except ApiError as error:
                result = {"error": self.error(error, method, params)}
            if self.observer is not None:
                self.observer(method, own, self.kind(token), result)
            return result

    def error(self, error: ApiError, method: str, params: Mapping[str, str]) -> dict[str, Any]:
        """The body of an error answer."""
        message = VK_CODES.get(error.code, "Unknown error occurred")
        echo = {"method": method, "oauth": "1", **params}
        if not self.behaviour.echo_token:
            echo.pop("access_token", None)
        body: dict[str, Any] = {
            "error_code": error.code,
            "error_msg": f"{message}: {error.detail}" if error.detail else message,
            "request_params": [{"key": k, "value": str(v)} for k, v in echo.items()],
        }
        if error.code == 14:
            body |= {
                "captcha_sid": "100500",
                "captcha_img": "https://api.vk.ru/captcha.php?sid=100500",
                "redirect_uri": "https://id.vk.ru/not_robot_captcha?session_token=x",
            }
        elif error.code == 17:
            body["redirect_uri"] = "https://m.vk.ru/login?act=security_check"
        return body | error.more

    def _limit(self, token: str, kind: str) -> None:
        rate = self.rates.get(kind)
        if not rate:
            return
        now = self._monotonic()
        recent = self._recent.setdefault(token, deque())
        while recent and now - recent[0] >= 1.0:
            recent.popleft()
        if len(recent) >= rate:
            raise ApiError(6)
        recent.append(now)

    def _call(self, method: str, params: Mapping[str, str], kind: str, fault: Fault | None = None) -> Any:
        """The `response` of one method."""
        found = METHODS.get(method)
        if found is None:
            raise ApiError(3)
        if kind not in found.tokens:
            code = {"group": 27, "service": 28}.get(kind, 5)
            raise ApiError(code, f"method is unavailable with {kind} auth.")
        values = _values(found, params)
        values["_version"] = _number(params.get("v", VERSION))
        values["_kind"] = kind
        self.world.sync()
        if self.world.mutator is not None:
            self.world.mutator(self.world, method)
        if fault is not None and fault.kind == "shift":
            shaker = Shaker(int(self.world.now() * 1000))
            for _ in range(fault.value):
                shaker.shake(self.world)
        response = found.run(self, values)
        if fault is not None and fault.kind == "counter":
            _lie(response, fault.value)
        elif fault is not None and fault.kind == "hollow":
            _empty(response)
        return response

    def _execute(self, params: Mapping[str, str], kind: str) -> dict[str, Any]:
        if kind == "service":
            raise ApiError(28, "method is unavailable with service auth.")
        if "code" not in params:
            raise ApiError(100, "code is undefined")
        errors: list[dict[str, Any]] = []

        def call(name: str, values: dict[str, str]) -> Any:
            fault = self._plan.pick(name, inner=True)
            self.inner_calls[name] += 1
            # Programs change what they are given: a call of its own must not see that.
            own = {"v": params.get("v", VERSION), **values}
            own.pop("access_token", None)
            try:
                if name == "execute":
                    raise ApiError(3)
                if fault is not None and fault.kind == "error":
                    raise ApiError(fault.value)
                response = None if fault is not None and fault.kind == "null" else self._call(name, own, kind, fault)
                result: dict[str, Any] = {"response": response}
            except ApiError as error:
                body = self.error(error, name, own)
                errors.append({"method": name, "error_code": body["error_code"], "error_msg": body["error_msg"]})
                result, response = {"error": body}, False
            if self.observer is not None:
                self.observer(name, own, kind, result)
            return response

        try:
            value = vkscript.run(params["code"], call, {k: v for k, v in params.items() if k not in COMMON})
        except vkscript.CompileError as e:
            raise ApiError(12, str(e)) from None
        except vkscript.RuntimeFault as e:
            raise ApiError(13, str(e)) from None
        try:
            size = len(orjson.dumps(value))
        except orjson.JSONEncodeError:
            raise ApiError(13, "value can't be shown") from None
        if size > EXECUTE_BYTES:
            raise ApiError(13, "response size is too big")
        return {"response": value, "execute_errors": errors} if errors else {"response": value}

    # -- looking things up ---------------------------------------------------------------------------------------------

    def page(self, owner: int | None, kind: str = "page") -> Page:
        """The page with this owner id; its errors for reads of `kind` strike here."""
        if owner is None:
            raise ApiError(100, "owner_id is undefined")
        page = self.world.pages.get(str(owner))
        if page is None:
            raise ApiError(15, "no such wall") if owner < 0 else ApiError(18)
        code = page.errors.get(kind) or page.errors.get("page")
        if code:
            raise ApiError(code)
        return page

    def page_by_name(self, name: str) -> Page | None:
        text = name.strip().lower()
        for page in self.world.pages.values():
            number = page.id.lstrip("-")
            if text in (page.screen_name.lower(), page.id, f"club{number}", f"public{number}", number):
                return page
        return None

    def post(self, owner: int | None, kind: str, number: int) -> Post:
        """A living post whose comments may be read."""
        post = self.page(owner, kind).posts.get((kind, number))
        if post is None or post.deleted:
            raise ApiError(self.behaviour.missing_post, "post was not found")
        if post.unreadable:
            raise ApiError(212 if kind == "post" else 15)
        if kind == "video" and post.closed:
            raise ApiError(801)
        return post

    def shown(self, post: Post) -> Shown:
        depth = max(2, self.behaviour.thread_depth) if post.kind in THREADED else 1
        return shown(post, depth, self.behaviour.thread_stubs or depth > 2)

    def counter(self, post: Post) -> int:
        """The number that VK shows at the post."""
        seen = self.shown(post)
        alive = seen.total if self.behaviour.counter_replies else seen.top
        return alive + (seen.stubs if self.behaviour.counter_stubs else 0)

    def author_id(self, comment: Comment) -> int | None:
        """`from_id` as shown; None when it is left out."""
        if comment.deleted and self.behaviour.stub_author != "kept":
            return 0 if self.behaviour.stub_author == "zero" else None
        author = self.world.authors.get(comment.author)
        if author is not None and author.kind == "hidden" and self.behaviour.hidden_author == "zero":
            return 0
        return comment.author


def _version(params: Mapping[str, str]) -> None:
    if "v" not in params:
        raise ApiError(8, "v (version) is required")
    number = _number(params["v"])
    if not 5.081 <= number <= 5.199:
        raise ApiError(8, "versions below 5.81 and above 5.199 are not served here")


def _number(version: str) -> float:
    major, _, minor = str(version).partition(".")
    if not (major.isdecimal() and minor.isdecimal() and len(major) < 3 and len(minor) < 4):
        return 0.0
    return int(major) + int(minor) / 1000


def _values(method: Method, params: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: spec.default for name, spec in method.params.items()}
    for name, raw in params.items():
        if name in COMMON:
            continue
        spec = method.params.get(name)
        if spec is None:
            raise ApiError(100, f"{name[:60]} is unknown to this method")
        if raw != "" or spec.type in ("str", "list"):
            values[name] = spec.read(name, str(raw))
    for name, spec in method.params.items():
        if spec.required and (values[name] is None or values[name] == [] or values[name] == ""):
            raise ApiError(100, f"{name} is undefined")
    return values


def _lie(response: Any, by: int) -> None:
    """Put every counter in the answer off by `by` (never below zero)."""
    if isinstance(response, list):
        for item in response:
            _lie(item, by)
    if not isinstance(response, dict):
        return
    if "items" in response and isinstance(response.get("count"), int):
        response["count"] = max(0, response["count"] + by)
        if "current_level_count" in response:
            response["current_level_count"] = max(0, response["current_level_count"] + by)
    for item in response.get("items") or ():
        counts = item.get("comments")
        if isinstance(counts, dict) and "count" in counts:
            counts["count"] = max(0, counts["count"] + by)
        elif isinstance(counts, int):
            item["comments"] = max(0, counts + by)


def _empty(response: Any) -> None:
    if isinstance(response, list):
        response.clear()
    elif isinstance(response, dict):
        for key in ("items", "profiles", "groups"):
            if key in response:
                response[key] = []


# --- shapes -----------------------------------------------------------------------------------------------------------


def _bool(value: bool) -> int:
    return 1 if value else 0


def _likes(count: int) -> dict[str, Any]:
    return {"can_like": 1, "count": count, "user_likes": 0, "can_publish": 1, "repost_disabled": False}


def _sizes(url: str) -> list[dict[str, Any]]:
    return [{"type": "x", "url": url, "width": 604, "height": 453}]


def _attachment(item: Attachment, owner: int, date: int) -> dict[str, Any]:
    """An attachment as VK writes it; kinds we know nothing of come through with their bare type."""
    raw = (item.id or "").rpartition("_")
    number = int(raw[2]) if raw[2].isdigit() else 1
    holder = int(raw[0]) if raw[0].lstrip("-").isdigit() else owner
    url = item.url or f"https://sun9-1.userapi.com/{item.kind}{number}.jpg"
    title = item.title or ""
    what: dict[str, Any]
    if item.kind == "photo":
        what = {
            "id": number,
            "owner_id": holder,
            "album_id": -7,
            "date": date,
            "has_tags": False,
            "text": title,
            "sizes": _sizes(url),
            "access_key": "k",
        }
    elif item.kind == "sticker":
        images = [{"url": url, "width": 128, "height": 128}]
        what = {"inner_type": "base_sticker_new", "sticker_id": number, "product_id": 1, "images": images}
        what |= {"images_with_background": images, "is_allowed": True}
    elif item.kind == "link":
        what = {"url": item.url or "https://example.org/", "title": title, "caption": "", "is_favorite": False}
    elif item.kind == "video":
        what = {"id": number, "owner_id": holder, "title": title, "date": date, "duration": 30, "type": "video"}
    elif item.kind == "doc":
        what = {"id": number, "owner_id": holder, "title": title or "document.pdf", "size": 1024, "ext": "pdf"}
        what |= {"date": date, "type": 1, "url": item.url or f"https://vk.ru/doc{holder}_{number}"}
    elif item.kind == "audio":
        what = {"id": number, "owner_id": holder, "artist": "", "title": title, "duration": 60, "url": "", "date": date}
    elif item.kind == "graffiti":
        what = {"id": number, "owner_id": holder, "url": url, "width": 100, "height": 100, "access_key": "k"}
    else:
        return {"type": item.kind}
    return {"type": item.kind, item.kind: what}


def _attachments(items: Iterable[Attachment], owner: int, date: float) -> list[dict[str, Any]]:
    return [_attachment(one, owner, int(date)) for one in items]


def _post(face: VkFace, post: Post) -> dict[str, Any]:
    owner = int(post.page.id)
    can_post = _bool(not post.closed)
    item: dict[str, Any] = {
        "inner_type": "wall_wallpost",
        "id": post.id,
        "owner_id": owner,
        "from_id": post.author,
        "date": int(post.published_at),
        "text": post.text,
        "type": "post",
        "post_type": "post",
        "attachments": _attachments(post.attachments, owner, post.published_at),
        "comments": {
            "count": 0 if post.unreadable else face.counter(post),
            "can_post": can_post,
            "can_view": _bool(not post.unreadable),
            "groups_can_post": bool(can_post),
        },
        "likes": _likes(post.likes),
        "reposts": {"count": 0, "user_reposted": 0},
        "views": {"count": post.likes * 10},
        "donut": {"is_donut": False},
        "post_source": {"type": "vk"},
        "hash": "h",
    }
    if post.pinned:
        item["is_pinned"] = 1
    if post.repost:
        from_owner, number, text = post.repost
        item["copy_history"] = [
            {
                "inner_type": "wall_wallpost",
                "id": number,
                "owner_id": from_owner,
                "from_id": from_owner,
                "date": int(post.published_at) - 3600,
                "text": text,
                "type": "post",
                "post_type": "post",
                "attachments": [],
                "post_source": {"type": "vk"},
            }
        ]
    return item


def _comment(
    face: VkFace, seen: Shown, one: Comment, values: Mapping[str, Any], level: int = 1, parents: tuple[int, ...] = ()
) -> dict[str, Any]:
    post = one.post
    owner = int(post.page.id)
    item: dict[str, Any] = {
        "id": one.id,
        "from_id": face.author_id(one),
        "date": int(one.published_at),
        "text": "" if one.deleted else one.text,
    }
    if item["from_id"] is None:
        del item["from_id"]
    if post.kind != "topic":
        item["can_edit"] = 0
    if post.kind == "post":
        item["post_id"] = post.id
        item["owner_id"] = owner
    elif post.kind == "photo":
        item["pid"] = item["photo_id"] = post.id
        item["owner_id"] = owner
    elif post.kind == "video":
        item["video_id"] = post.id
        item["owner_id"] = owner
    cut = values.get("preview_length")
    if cut:
        item["text"] = item["text"][:cut]
    if one.deleted:
        item["deleted"] = True
    elif one.attachments:
        item["attachments"] = _attachments(one.attachments, owner, one.published_at)
    if values.get("need_likes"):
        item["likes"] = _likes(one.likes)
    if one.parent is not None and post.kind != "topic":
        item["reply_to_comment"] = one.parent.id
        replied = face.author_id(one.parent)
        if replied:
            item["reply_to_user"] = replied
    if post.kind in THREADED:
        item["parents_stack"] = list(parents)
        item["is_from_post_author"] = one.author == post.author and not one.deleted
        if level < max(2, face.behaviour.thread_depth):
            below = seen.levels.get(one.id, ())
            some = below[: values.get("thread_items_count") or 0]
            item["thread"] = {
                "count": len(below),
                "items": [_comment(face, seen, c, values, level + 1, (*parents, one.id)) for c in some],
                "can_post": not post.closed,
                "show_reply_button": not post.closed,
                "groups_can_post": not post.closed,
                "author_replied": any(c.own and not c.deleted for c in below),
            }
    return item


def _profile(face: VkFace, author: Author) -> dict[str, Any] | None:
    if author.kind == "hidden":
        if face.behaviour.hidden_author != "flag":
            return None
        return {"id": author.id, "first_name": "", "last_name": "", "hidden": 1}
    if author.kind in ("deleted", "banned"):
        first = "DELETED" if author.kind == "deleted" else author.name or "Страница"
        return {"id": author.id, "first_name": first, "last_name": "", "deactivated": author.kind}
    first, _, last = author.name.partition(" ")
    return {
        "id": author.id,
        "first_name": first or "Пользователь",
        "last_name": last,
        "is_closed": False,
        "can_access_closed": True,
    }


def _group(number: int, name: str, screen_name: str) -> dict[str, Any]:
    return {"id": number, "name": name, "screen_name": screen_name, "is_closed": 0, "type": "page"}


def _group_of(face: VkFace, owner: int) -> dict[str, Any]:
    page = face.world.pages.get(str(owner))
    if page is not None:
        return _group(-owner, page.title, page.screen_name)
    author = face.world.authors.get(owner)
    name = author.name if author is not None and author.name else "Сообщество"
    return _group(-owner, name, (author and author.screen_name) or f"club{-owner}")


def _people(face: VkFace, ids: Iterable[int | None], names: Iterable[str] = ()) -> dict[str, Any]:
    """`profiles` and `groups` of these authors; `screen_name` of people only when `fields` ask."""
    profiles, groups = [], []
    wanted = set(names)
    for one in dict.fromkeys(i for i in ids if i):
        if one < 0:
            groups.append(_group_of(face, one))
            continue
        author = face.world.authors.get(one) or Author(one)
        profile = _profile(face, author)
        if profile is not None:
            if wanted & {"screen_name", "domain"} and author.kind != "hidden":
                profile |= dict.fromkeys(wanted & {"screen_name", "domain"}, author.screen_name or f"id{one}")
            profiles.append(profile)
    return {"profiles": profiles, "groups": groups}


def _authors(items: Iterable[Mapping[str, Any]]) -> Iterable[int | None]:
    for item in items:
        yield item.get("from_id")
        yield item.get("reply_to_user")
        yield from _authors((item.get("thread") or {}).get("items") or ())
        yield from _authors(item.get("copy_history") or ())


# --- methods: posts ---------------------------------------------------------------------------------------------------


@_method(
    "wall.get",
    ("user", "service"),
    owner_id=OWNER,
    domain=TEXT,
    offset=OFFSET,
    count=P(low=0, default=20),
    filter=P("str", enum=("owner", "others", "all", "postponed", "suggests", "archived", "donut"), default="all"),
    extended=BOOL,
    fields=LIST,
)
def _wall_get(face: VkFace, p: Mapping[str, Any]) -> Any:
    owner = p["owner_id"]
    if owner is None and p["domain"]:
        found = face.page_by_name(p["domain"])
        if found is None:
            raise ApiError(100, "domain is invalid")
        owner = int(found.id)
    page = face.page(owner, "post")
    if p["filter"] in ("all", "owner", "others"):
        own = {"all": (True, False), "owner": (True,), "others": (False,)}[p["filter"]]
        posts = [x for x in face.world.posts(page, "post") if not x.deleted and (x.author == page.author_id) in own]
    else:
        posts = []
    posts.sort(key=lambda x: (x.pinned, x.published_at, x.id), reverse=True)
    some = posts[p["offset"] or 0 :][: min(p["count"], face.behaviour.wall_max)]
    items = [_post(face, x) for x in some]
    answer: dict[str, Any] = {"count": len(posts), "items": items}
    return answer | _people(face, _authors(items), p["fields"] or ()) if p["extended"] else answer


@_method(
    "wall.getById",
    ("user", "service"),
    posts=P("list", required=True),
    extended=BOOL,
    copy_history_depth=P(default=2),
    fields=LIST,
)
def _wall_get_by_id(face: VkFace, p: Mapping[str, Any]) -> Any:
    items = []
    for name in p["posts"][: face.behaviour.wall_max]:
        owner, number = _pair(name, "posts")
        page = face.world.pages.get(str(owner))
        post = page.posts.get(("post", number)) if page and not (page.errors.keys() & {"page", "post"}) else None
        if post is not None and not post.deleted:
            items.append(_post(face, post))
    if p["extended"]:
        return {"items": items} | _people(face, _authors(items), p["fields"] or ())
    return items if p["_version"] < 5.139 else {"items": items}


def _pair(name: str, what: str) -> tuple[int, int]:
    """ "-123_45" -> (-123, 45)."""
    owner, _, rest = name.partition("_")
    number = rest.split("_")[0]
    if not (owner.lstrip("-").isdecimal() and number.isdecimal() and len(name) < 60):
        raise ApiError(100, f"{what} is invalid")
    return int(owner), int(number)


def _photo(face: VkFace, post: Post, extended: bool) -> dict[str, Any]:
    owner = int(post.page.id)
    url = post.attachments[0].url if post.attachments and post.attachments[0].url else None
    item: dict[str, Any] = {
        "id": post.id,
        "owner_id": owner,
        "album_id": post.album,
        "user_id": 100,
        "date": int(post.published_at),
        "has_tags": False,
        "text": post.text,
        "sizes": _sizes(url or f"https://sun9-1.userapi.com/photo{post.id}.jpg"),
    }
    if extended:
        item |= {
            "likes": {"count": post.likes, "user_likes": 0},
            "reposts": {"count": 0, "user_reposted": 0},
            "comments": {"count": face.counter(post)},
            "can_comment": _bool(not post.closed),
            "tags": {"count": 0},
        }
    return item


def _newest(face: VkFace, page: Page, kind: str) -> list[Post]:
    posts = [x for x in face.world.posts(page, kind) if not x.deleted]
    return sorted(posts, key=lambda x: (x.published_at, x.id), reverse=True)


@_method(
    "photos.get",
    ("user", "service"),
    owner_id=OWNER,
    album_id=TEXT,
    photo_ids=LIST,
    rev=BOOL,
    extended=BOOL,
    feed_type=TEXT,
    feed=P(),
    photo_sizes=BOOL,
    offset=OFFSET,
    count=P(low=0, high=1000, default=50),
)
def _photos_get(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(p["owner_id"], "photo")
    named = {"wall": -7, "profile": -6, "saved": -15}
    album = named.get(p["album_id"] or "", p["album_id"])
    if p["photo_ids"]:
        wanted = {x.rpartition("_")[2] for x in p["photo_ids"]}
        photos = [x for x in _newest(face, page, "photo") if str(x.id) in wanted]
    elif album is None:
        raise ApiError(100, "album_id is undefined")
    else:
        photos = [x for x in _newest(face, page, "photo") if str(x.album) == str(album)]
    if not p["rev"]:
        photos.reverse()
    some = photos[p["offset"] or 0 :][: p["count"]]
    return {"count": len(photos), "items": [_photo(face, x, p["extended"]) for x in some]}


@_method(
    "photos.getAll",
    ("user",),
    owner_id=OWNER,
    extended=BOOL,
    offset=OFFSET,
    count=P(low=0, high=200, default=20),
    photo_sizes=BOOL,
    no_service_albums=BOOL,
    need_hidden=BOOL,
    skip_hidden=BOOL,
)
def _photos_get_all(face: VkFace, p: Mapping[str, Any]) -> Any:
    photos = _newest(face, face.page(p["owner_id"], "photo"), "photo")
    if p["no_service_albums"]:
        photos = [x for x in photos if x.album > 0]
    start = p["offset"] or 0
    some = photos[start:][: p["count"]]
    more = _bool(start + len(some) < len(photos))
    return {"count": len(photos), "items": [_photo(face, x, p["extended"]) for x in some], "more": more}


@_method(
    "photos.getById", ("user", "service"), photos=P("list", required=True, high=500), extended=BOOL, photo_sizes=BOOL
)
def _photos_get_by_id(face: VkFace, p: Mapping[str, Any]) -> Any:
    items = []
    for name in p["photos"]:
        owner, number = _pair(name, "photos")
        page = face.world.pages.get(str(owner))
        post = page.posts.get(("photo", number)) if page and not (page.errors.keys() & {"page", "photo"}) else None
        if post is not None and not post.deleted:
            items.append(_photo(face, post, p["extended"]))
    return items


@_method(
    "photos.getAlbums",
    ("user", "service"),
    owner_id=OWNER,
    album_ids=P("list", high=1000),
    offset=OFFSET,
    count=P(low=0),
    need_system=BOOL,
    need_covers=BOOL,
    photo_sizes=BOOL,
)
def _photos_get_albums(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(p["owner_id"], "photo")
    sizes = Counter(x.album for x in face.world.posts(page, "photo") if not x.deleted)
    titles = {-7: "Фотографии на стене", -6: "Фотографии со страницы"}
    albums = [
        {"id": a, "owner_id": int(page.id), "title": titles.get(a, f"Альбом {a}"), "size": n}
        for a, n in sorted(sizes.items())
        if (a > 0 or p["need_system"]) and (not p["album_ids"] or str(a) in p["album_ids"])
    ]
    some = albums[p["offset"] or 0 :][: p["count"] if p["count"] is not None else None]
    return {"count": len(albums), "items": some}


@_method(
    "video.get",
    ("user",),
    owner_id=P(default=0),
    videos=LIST,
    album_id=P(),
    count=P(low=0, high=200, default=100),
    offset=OFFSET,
    extended=BOOL,
    fields=LIST,
    sort_album=P(enum=(0, 1), default=0),
)
def _video_get(face: VkFace, p: Mapping[str, Any]) -> Any:
    if p["videos"]:
        found = []
        for name in p["videos"]:
            owner, number = _pair(name, "videos")
            post = face.page(owner, "video").posts.get(("video", number))
            if post is not None and not post.deleted:
                found.append(post)
    else:
        found = _newest(face, face.page(p["owner_id"] or None, "video"), "video")
    some = found[p["offset"] or 0 :][: p["count"]]
    items = [
        {
            "id": x.id,
            "owner_id": int(x.page.id),
            "title": x.title or x.text[:60],
            "description": x.text,
            "date": int(x.published_at),
            "adding_date": int(x.published_at),
            "duration": 60,
            "type": "video",
            "views": x.likes * 10,
            "comments": 0 if x.unreadable else face.counter(x),
            "can_comment": _bool(not x.closed),
            "player": f"https://vk.ru/video_ext.php?oid={x.page.id}&id={x.id}",
        }
        for x in some
    ]
    answer: dict[str, Any] = {"count": len(found), "items": items}
    return answer | _people(face, [int(x.page.id) for x in some]) if p["extended"] else answer


@_method(
    "board.getTopics",
    ("user", "service"),
    group_id=P(required=True, low=1),
    topic_ids=LIST,
    order=P(enum=(1, 2, -1, -2, 0)),
    offset=OFFSET,
    count=P(low=0, high=100, default=40),
    extended=BOOL,
    preview=P(enum=(0, 1, 2)),
    preview_length=P(low=0, default=90),
)
def _board_get_topics(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(-p["group_id"], "topic")
    wanted = set(p["topic_ids"] or ())
    topics = [x for x in face.world.posts(page, "topic") if not x.deleted and (not wanted or str(x.id) in wanted)]
    updated = {x.id: _last_comment(x) for x in topics}
    by_creation = p["order"] in (2, -2)
    topics.sort(key=lambda x: (x.published_at if by_creation else updated[x.id][0], x.id))
    if p["order"] not in (-1, -2):
        topics.reverse()
    topics.sort(key=lambda x: not x.pinned)
    some = topics[p["offset"] or 0 :][: p["count"]]
    items = []
    for x in some:
        item = {
            "id": x.id,
            "title": x.title or x.text[:60] or f"Тема {x.id}",
            "created": int(x.published_at),
            "created_by": x.author,
            "updated": int(updated[x.id][0]),
            "updated_by": updated[x.id][1],
            "is_closed": _bool(x.closed),
            "is_fixed": _bool(x.pinned),
            "comments": face.counter(x),
        }
        if p["preview"] in (1, 2):
            alive = face.shown(x).levels[None]
            text = alive[0 if p["preview"] == 1 else -1].text if alive else ""
            item["first_comment" if p["preview"] == 1 else "last_comment"] = text[: p["preview_length"] or None]
        items.append(item)
    answer: dict[str, Any] = {"count": len(topics), "items": items, "default_order": 1, "can_add_topics": 0}
    return answer | _people(face, [i["created_by"] for i in items]) if p["extended"] else answer


def _last_comment(post: Post) -> tuple[float, int]:
    last = next((c for c in reversed(post.comments.values()) if not c.deleted), None)
    return (last.published_at, last.author) if last else (post.published_at, post.author)


# --- methods: comments ------------------------------------------------------------------------------------------------


def _comment_page(
    face: VkFace, post: Post, level: list[Comment], p: Mapping[str, Any], parents: tuple[int, ...] = ()
) -> tuple[list[dict[str, Any]], int]:
    """One page of a level -> (items, true position of the first)."""
    backwards = p.get("sort") == "desc"
    row = level[::-1] if backwards else level
    start = 0
    after = p["start_comment_id"]
    if after:
        inclusive = face.behaviour.start_inclusive
        passed = (lambda c: c.id > after) if backwards else (lambda c: c.id < after)
        start = sum(1 for c in row if passed(c) or (not inclusive and c.id == after))
    start = max(0, start + (p["offset"] or 0))
    some = row[start : start + p["count"]]
    seen = face.shown(post)
    return [_comment(face, seen, c, p, len(parents) + 1, parents) for c in some], start


def _level(face: VkFace, post: Post, comment_id: int | None) -> tuple[list[Comment], tuple[int, ...]]:
    """The top level, or the thread under a comment, with the ids of the comments it hangs under."""
    seen = face.shown(post)
    if not comment_id:
        return seen.levels[None], ()
    top = post.comments.get(comment_id)
    if top is None or (top.deleted and not top.alive_below):
        raise ApiError(100, "comment_id is invalid")
    if comment_id not in seen.levels:
        return [], (comment_id,)
    return seen.levels[comment_id], _stack(seen, comment_id)


def _stack(seen: Shown, comment_id: int) -> tuple[int, ...]:
    """Under which comments the thread of this one hangs, from the top."""
    stack = [comment_id]
    while True:
        above = next((k for k, row in seen.levels.items() if any(c.id == stack[0] for c in row)), None)
        if above is None:
            return tuple(stack)
        stack.insert(0, above)


def _comments(face: VkFace, post: Post, p: Mapping[str, Any], author_of_post: bool = False) -> dict[str, Any]:
    level, parents = _level(face, post, p.get("comment_id"))
    items, start = _comment_page(face, post, level, p, parents)
    total = len(level) if parents else face.counter(post)
    answer: dict[str, Any] = {"count": total, "items": items}
    if post.kind in THREADED:
        answer |= {
            "current_level_count": len(level),
            "can_post": not post.closed,
            "show_reply_button": not post.closed,
            "groups_can_post": not post.closed,
        }
    if start and post.kind in ("video", "photo", "topic"):
        answer["real_offset"] = start
    elif start and items:
        items[0]["real_offset"] = start
    if p["extended"]:
        answer |= _people(face, _authors(items), p.get("fields") or ())
        if author_of_post:
            answer["post_author_id"] = post.author
    return answer


@_method(
    "wall.getComments",
    ("user", "service"),
    **_COMMENTS,
    post_id=P(low=0),
    count=P(low=0, default=10),
    sort=P("str", enum=("asc", "desc", "smart"), default="asc"),
    preview_length=P(low=0),
    comment_id=P(low=0),
    thread_items_count=P(low=0, high=10, default=0),
)
def _wall_get_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(p["owner_id"], "post")
    number = p["post_id"]
    if number is None and p["comment_id"]:
        number = next((x.id for x in face.world.posts(page, "post") if p["comment_id"] in x.comments), None)
    if number is None:
        raise ApiError(100, "post_id is undefined")
    post = face.post(p["owner_id"], "post", number)
    return _comments(face, post, {**p, "count": min(p["count"], face.behaviour.wall_max)}, author_of_post=True)


@_method("wall.getComment", ("user",), owner_id=OWNER, comment_id=P(required=True, low=0), extended=BOOL, fields=LIST)
def _wall_get_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    one = _find_comment(face, p["owner_id"], p["comment_id"])
    seen = face.shown(one.post)
    visible = next((k for k, row in seen.levels.items() if one in row), 0)
    if visible == 0 or one.post.unreadable:
        raise ApiError(211)
    parents = _stack(seen, visible) if visible else ()
    items = [_comment(face, seen, one, p, len(parents) + 1, parents)]
    answer: dict[str, Any] = {"items": items, "can_post": not one.post.closed, "groups_can_post": not one.post.closed}
    if p["extended"]:
        answer |= _people(face, _authors(items), p["fields"] or ()) | {"post_author_id": one.post.author}
    return answer


def _find_comment(face: VkFace, owner: int | None, number: int) -> Comment:
    page = face.page(owner, "post")
    for post in face.world.posts(page, "post"):
        if number in post.comments and not post.deleted:
            return post.comments[number]
    raise ApiError(211)


@_method(
    "photos.getComments",
    ("user",),
    **_COMMENTS,
    photo_id=P(required=True),
    count=P(low=0, high=100, default=20),
    sort=P("str", enum=("asc", "desc"), default="asc"),
    access_key=TEXT,
)
def _photos_get_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    return _comments(face, face.post(p["owner_id"], "photo", p["photo_id"]), p)


@_method(
    "photos.getAllComments",
    ("user",),
    owner_id=OWNER,
    album_id=P(low=0),
    need_likes=BOOL,
    offset=OFFSET,
    count=P(low=0, default=20),
)
def _photos_get_all_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(p["owner_id"], "photo")
    found: list[Comment] = []
    for post in face.world.posts(page, "photo"):
        if not post.deleted and not post.unreadable and p["album_id"] in (None, post.album):
            found.extend(face.shown(post).levels[None])
    found.sort(key=lambda c: (c.published_at, c.id), reverse=True)
    some = found[p["offset"] or 0 :][: min(p["count"], 100)]
    return {"count": len(found), "items": [_comment(face, face.shown(c.post), c, p) for c in some]}


@_method(
    "video.getComments",
    ("user",),
    **{**_COMMENTS, "start_comment_id": P()},
    video_id=P(required=True, low=0),
    count=P(low=0, high=100, default=20),
    sort=P("str", enum=("asc", "desc", "interest"), default="asc"),
    comment_id=P(),
    thread_items_count=P(low=0, high=10, default=0),
)
def _video_get_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    return _comments(face, face.post(p["owner_id"], "video", p["video_id"]), p)


@_method(
    "board.getComments",
    ("user", "service"),
    group_id=P(required=True, low=1),
    topic_id=P(required=True, low=0),
    need_likes=BOOL,
    start_comment_id=P(low=0),
    offset=P(),
    count=P(low=0, high=100, default=20),
    extended=BOOL,
    sort=P("str", enum=("asc", "desc"), default="asc"),
)
def _board_get_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    return _comments(face, face.post(-p["group_id"], "topic", p["topic_id"]), p)


# --- methods: writing -------------------------------------------------------------------------------------------------


def _write(face: VkFace, post: Post, p: Mapping[str, Any], parent: int | None) -> Comment:
    if post.closed:
        raise ApiError(213)
    text = p["message"] or ""
    if not text and not p["attachments"] and not p["sticker_id"]:
        raise ApiError(100, "message or attachments is undefined")
    if len(text) > 16384:
        raise ApiError(100, "message is too long")
    author = -p["from_group"] if p["from_group"] else (int(post.page.id) if p["_kind"] == "group" else 1)
    answered = None
    if parent:
        answered = post.comments.get(parent)
        if answered is None or answered.deleted:
            raise ApiError(100, "reply_to_comment is invalid")
    kinds = []
    for name in p["attachments"] or ():
        m = _ATTACHED.match(name)
        if m is None:
            raise ApiError(100, "attachments is invalid")
        kinds.append(Attachment(m[1], id=m[2]))
    if p["sticker_id"]:
        kinds.append(Attachment("sticker", id=f"0_{p['sticker_id']}"))
    return face.world.add_comment(post, text, author, parent=answered, attachments=kinds)


_ATTACHED = re.compile(r"([a-z_]+?)(-?\d{1,18}_\d{1,18})", re.ASCII)
_WRITE = {"message": TEXT, "attachments": LIST, "sticker_id": P(low=0), "guid": TEXT}


def _once(face: VkFace, method: str, p: Mapping[str, Any], write: Callable[[], Any]) -> Any:
    """A repeat with the same `guid` answers what the first call answered and writes nothing."""
    key = (method, p["guid"] or "")
    if not p["guid"]:
        return write()
    if key not in face._guids:
        face._guids[key] = write()
    return face._guids[key]


@_method(
    "wall.createComment",
    ("user", "group"),
    owner_id=OWNER,
    post_id=P(required=True, low=0),
    from_group=P(low=0),
    reply_to_comment=P(),
    **_WRITE,
)
def _wall_create_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    def write() -> dict[str, Any]:
        post = face.post(p["owner_id"], "post", p["post_id"])
        one = _write(face, post, p, p["reply_to_comment"])
        seen = face.shown(post)
        above = next(k for k, row in seen.levels.items() if one in row)
        return {"comment_id": one.id, "parents_stack": list(_stack(seen, above)) if above else []}

    return _once(face, "wall", p, write)


@_method(
    "wall.editComment", ("user",), owner_id=OWNER, comment_id=P(required=True, low=0), message=TEXT, attachments=LIST
)
def _wall_edit_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    one = _find_comment(face, p["owner_id"], p["comment_id"])
    if one.deleted:
        raise ApiError(211)
    face.world.edit(one, p["message"] or "")
    return 1


@_method("wall.deleteComment", ("user",), owner_id=OWNER, post_id=P(low=0), comment_id=P(required=True, low=0))
def _wall_delete_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    one = _find_comment(face, p["owner_id"], p["comment_id"])
    if one.deleted:
        raise ApiError(211)
    face.world.delete(one)
    return 1


@_method("wall.restoreComment", ("user",), owner_id=OWNER, comment_id=P(required=True, low=0))
def _wall_restore_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    one = _find_comment(face, p["owner_id"], p["comment_id"])
    if not one.deleted:
        raise ApiError(211)
    face.world.restore(one)
    return 1


def _set_closed(closed: bool) -> Callable[[VkFace, Mapping[str, Any]], Any]:
    def run(face: VkFace, p: Mapping[str, Any]) -> Any:
        post = face.page(p["owner_id"], "post").posts.get(("post", p["post_id"]))
        if post is None or post.deleted:
            raise ApiError(210)
        post.closed = closed
        return 1

    return run


for _name, _closed in (("wall.closeComments", True), ("wall.openComments", False)):
    _method(_name, ("user", "group"), owner_id=P(required=True), post_id=P(required=True, low=0))(_set_closed(_closed))


# --- methods: people, names, time -------------------------------------------------------------------------------------


@_method(
    "users.get",
    ANY,
    user_ids=P("list", high=1000),
    fields=LIST,
    name_case=P("str", enum=("nom", "gen", "dat", "acc", "ins", "abl")),
    from_group_id=P(default=0),
)
def _users_get(face: VkFace, p: Mapping[str, Any]) -> Any:
    if not p["user_ids"]:
        # The owner of the token; a community's or an application's token has none.
        return [{"id": 1, "first_name": "Редактор", "last_name": ""}] if p["_kind"] == "user" else []
    names = {a.screen_name.lower(): a.id for a in face.world.authors.values() if a.screen_name and a.id > 0}
    ids = []
    for raw in p["user_ids"]:
        text = raw.lower().removeprefix("id")
        number = int(text) if text.isdecimal() and len(text) < 16 else names.get(raw.lower())
        if number in face.world.authors:
            ids.append(number)
    return _people(face, ids, p["fields"] or ())["profiles"]


@_method("groups.getById", ANY, group_ids=LIST, group_id=TEXT, fields=LIST)
def _groups_get_by_id(face: VkFace, p: Mapping[str, Any]) -> Any:
    names = list(p["group_ids"] or ()) + ([p["group_id"]] if p["group_id"] else [])
    if not names:
        raise ApiError(100, "group_ids is undefined")
    groups = []
    for name in names:
        page = face.page_by_name(name)
        if page is not None and page.id.startswith("-"):
            groups.append(_group(-int(page.id), page.title, page.screen_name))
        elif name.isdecimal() and len(name) < 16 and -int(name) in face.world.authors:
            groups.append(_group_of(face, -int(name)))
    if not groups:
        raise ApiError(100, "group_ids is invalid")
    return groups if p["_version"] < 5.139 else {"groups": groups, "profiles": []}


@_method("groups.getTokenPermissions", ("group",))
def _groups_get_token_permissions(face: VkFace, p: Mapping[str, Any]) -> Any:
    rights = {"photos": 4, "wall": 8192, "manage": 262144}
    return {
        "mask": sum(rights.values()),
        "permissions": [{"name": name, "setting": bit} for name, bit in rights.items()],
    }


@_method("account.getAppPermissions", ("user",), user_id=P(low=0))
def _account_get_app_permissions(face: VkFace, p: Mapping[str, Any]) -> Any:
    return 4 + 16 + 8192 + 65536 + 262144  # photos, video, wall, offline, groups


@_method("utils.resolveScreenName", ANY, screen_name=P("str", required=True))
def _utils_resolve_screen_name(face: VkFace, p: Mapping[str, Any]) -> Any:
    name = p["screen_name"].strip()
    page = None if name.lstrip("-").isdecimal() else face.page_by_name(name)
    if page is not None and page.id.startswith("-"):
        return {"object_id": -int(page.id), "group_id": -int(page.id), "type": "group"}
    if page is not None:
        return {"object_id": int(page.id), "type": "user"}
    for author in face.world.authors.values():
        if author.screen_name and author.screen_name.lower() == name.lower():
            return {"object_id": abs(author.id), "type": "user" if author.id > 0 else "group"}
    if face.behaviour.unknown_name == "empty":
        return []
    raise ApiError(104)


@_method("utils.getServerTime", ANY)
def _utils_get_server_time(face: VkFace, p: Mapping[str, Any]) -> Any:
    return int(face.world.now())
