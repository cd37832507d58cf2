"""The VK face of a world: API 5.199 as the official schema has it, with its tokens, errors, limits and oddities.

What the schema leaves open is a `Behaviour`: a collector has to live with every choice. The methods are in
`vk_methods`; a wrong request is answered as VK does (error 100) instead of being guessed at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import emulator.vk_methods  # noqa: F401  (fills METHODS)
from emulator import vkscript
from emulator.face import Answer, Call, Face
from emulator.faults import VK_CODES, Fault, Plan
from emulator.vk_events import LONG_POLL, long_poll
from emulator.vk_params import COMMON, METHODS, ApiError, check_version, read_values, version_number
from emulator.wire import dumps
from emulator.world import KINDS, THREADED, VK_NAMING, Comment, Page, Post, Shaker, Shown, World, shown

if TYPE_CHECKING:
    from emulator.server import Request

VERSION = "5.199"
USER_TOKEN, GROUP_TOKEN, SERVICE_TOKEN = "otklik-user-token", "otklik-group-token", "otklik-service-token"
TOKENS: dict[str, str] = {USER_TOKEN: "user", GROUP_TOKEN: "group", SERVICE_TOKEN: "service"}
REAL_RATES: dict[str, float] = {"user": 3, "group": 20, "service": 5}
"""Requests a second of each kind of token, as VK limits them."""

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
    "error" (104) or an "empty" list when nobody has the name. guid_seconds: how long a `guid` is remembered (None: for
    ever). token_owner: who a user token belongs to.
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
    guid_seconds: float | None = None
    token_owner: int = 1


class VkFace(Face):
    """Answers API calls about a world, those inside `execute` too.

    `tokens`: token -> kind (user, group, service). `rates`: kind -> requests a second; empty: no limit.
    """

    network = "vk"
    naming = VK_NAMING
    prefix = "/method/"
    known = TOKENS
    real_rates = REAL_RATES
    kinds = KINDS
    codes = tuple(VK_CODES)
    null: ClassVar = {"response": None}
    shape: ClassVar = {"ok": True, "result": []}

    def __init__(
        self,
        world: World,
        *,
        behaviour: Behaviour | None = None,
        tokens: Mapping[str, str] | None = None,
        rates: Mapping[str, float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(world, behaviour=behaviour or Behaviour(), tokens=tokens, rates=rates, monotonic=monotonic)
        self._guids: dict[tuple[str, str], tuple[float, Any]] = {}
        self.banned: dict[tuple[int, int], tuple[int, int]] = {}  # (community, author) -> until when, for what
        self._plan = Plan()
        self.address = ""  # "http://127.0.0.1:PORT", told by the server that shows this face
        self.long_poll_keys: dict[int, str] = {}  # community -> key

    # -- one call ------------------------------------------------------------------------------------------------------

    def read(self, request: Request) -> Call | None:
        if request.verb not in ("GET", "POST"):
            return None
        params = request.params()
        token = params.pop("access_token", "")
        return Call(unquote(request.path[len(self.prefix) :])[:100], params, token, request.verb, request.path)

    def handle(self, call: Call, plan: Plan, fault: Fault | None = None) -> Answer:
        if call.method.startswith(LONG_POLL):
            return Answer(long_poll(self, call.method, call.params))
        params = dict(call.params) | ({"access_token": call.token} if call.token else {})
        return Answer(self.answer(call.method, params, plan, fault))

    def run(self, call: Call) -> Any:
        return self._call(call.method, call.params, self.kind(call.token))

    def refuse(self, refusal: Any, call: Call) -> Answer:
        return Answer({"error": self.error(ApiError(int(refusal.code)), call.method, call.params)})

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
                self._limit(token)
                check_version(own)
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

    def too_fast(self) -> ApiError:  # type: ignore[override]
        return ApiError(6)

    def _call(self, method: str, params: Mapping[str, str], kind: str, fault: Fault | None = None) -> Any:
        """The `response` of one method."""
        found = METHODS.get(method)
        if found is None:
            raise ApiError(3)
        if kind not in found.tokens:
            code = {"group": 27, "service": 28}.get(kind, 5)
            raise ApiError(code, f"method is unavailable with {kind} auth.")
        values = read_values(found, params)
        values["_version"] = version_number(params.get("v", VERSION))
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
            size = len(dumps(value))
        except (TypeError, ValueError, RecursionError):
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


FACE = VkFace
