"""The Graph API as Facebook's and Instagram's faces share it: field expansion, cursors, batches, errors, usage headers.

A face says which kinds of objects there are (`Kind`): their fields and edges. A field that the kind does not have is
refused as Meta does (error 100); the names are compared with Meta's own specs by the tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlencode

from emulator.face import Answer, Call, Face, Refusal
from emulator.faults import Fault, Plan
from emulator.wire import dumps
from emulator.world import Comment, World

if TYPE_CHECKING:
    from emulator.server import Request

BATCH = 50
GRAPH_CODES: dict[int, tuple[str, int]] = {
    1: ("An unknown error occurred", 500),
    2: ("An unexpected error has occurred. Please retry your request later.", 500),
    4: ("Application request limit reached", 403),
    10: ("Application does not have permission for this action", 403),
    17: ("User request limit reached", 400),
    32: ("Page request limit reached", 400),
    100: ("Invalid parameter", 400),
    102: ("Session key invalid or no longer valid", 401),
    190: ("Invalid OAuth access token.", 401),
    200: ("Permissions error", 403),
    341: ("Application limit reached", 400),
    368: ("The action attempted has been deemed abusive or is otherwise disallowed", 400),
    613: ("Calls to this api have exceeded the rate limit.", 400),
    803: ("Some of the aliases you requested do not exist", 404),
    80001: ("There have been too many calls to this Page account.", 400),
    80002: ("There have been too many calls to this Instagram account.", 400),
    2500: ("Unknown path components", 400),
}
"""Code -> Meta's words and the HTTP status (statuses differ from place to place)."""


def missing(id: str) -> Refusal:
    """100 with subcode 33: no such object, or not for this token."""
    text = f"Unsupported get request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions"
    return Refusal(100, text, error_subcode=33)


@dataclass(frozen=True, slots=True)
class Field:
    """One field asked for: `comments.limit(5){id,text}`. `sub`: None when no braces stood there."""

    name: str
    args: Mapping[str, str]
    sub: tuple[Field, ...] | None


def parse_fields(text: str) -> tuple[Field, ...]:
    """The `fields` of a request; Refusal 2500 when they are no such list."""
    found, at = _fields(text, 0)
    if at != len(text):
        raise Refusal(2500, "Syntax error")
    return found


def _fields(text: str, at: int) -> tuple[tuple[Field, ...], int]:
    found: list[Field] = []
    while True:
        name, at = _word(text, at)
        args: dict[str, str] = {}
        while text[at : at + 1] == ".":
            key, at = _word(text, at + 1)
            end = text.find(")", at)
            if text[at : at + 1] != "(" or end < 0:
                raise Refusal(2500, "Syntax error")
            args[key], at = text[at + 1 : end], end + 1
        sub = None
        if text[at : at + 1] == "{":
            sub, at = _fields(text, at + 1)
            if text[at : at + 1] != "}":
                raise Refusal(2500, "Syntax error")
            at += 1
        found.append(Field(name, args, sub))
        if text[at : at + 1] != ",":
            return tuple(found), at
        at += 1


def _word(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    if end == at:
        raise Refusal(2500, "Syntax error")
    return text[at:end], end


@dataclass(frozen=True, slots=True)
class Rows:
    """What an edge holds, in the order asked for. `key`: the place of an item, comparable. `down`: falling order.

    `summary`: what `summary=true` brings.
    """

    kind: str
    items: Sequence[Any]
    key: Callable[[Any], tuple[Any, ...]]
    down: bool = False
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects. `fields`: name -> getter (None: the field is left out). `edges`: name -> (object, arguments)
    -> rows. `params`: arguments an edge knows beside limit, after, before, fields. `usual`: fields without asking."""

    fields: Mapping[str, Callable[[Any], Any]]
    edges: Mapping[str, Callable[[Any, Mapping[str, str]], Rows]] = field(default_factory=dict)
    params: Mapping[str, frozenset[str]] = field(default_factory=dict)
    usual: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is not known for sure about the Graph API, or differs from place to place.

    counter_replies: counters count replies too. counter_extra: and so many comments nobody shows. page_max: most items
    a call, whatever the limit. empty_pages: pages that hold nothing and are not the last stand between the others.
    dead_cursors: so many cursors die once. hide_every: every n-th comment is hidden by the page (0: none).
    hidden_shown: a hidden comment is shown to the page's own token, as Meta says of Facebook; of Instagram it is not
    known. hidden_counted: if not, it is counted all the same.
    app_secret: the app demands appsecret_proof. usage: per cent of the limits used, in the headers. scopes, days: what
    debug_token says of the token. page_login: the token is a page's, so `me` is the page (Instagram).
    """

    counter_replies: bool = True
    counter_extra: int = 0
    page_max: int = 100
    empty_pages: bool = False
    dead_cursors: int = 0
    hide_every: int = 0
    hidden_shown: bool = True
    hidden_counted: bool = True
    app_secret: str = ""
    usage: int = 3
    regain: int = 0
    scopes: tuple[str, ...] = ()
    days: float = 55.0
    page_login: bool = False


class GraphFace(Face):
    """Answers Graph calls about a world. A subclass gives `kinds` and `find`.

    Kinds of tokens: "page" everything; "poor" no rights; "expired".
    """

    prefix = "/v26.0/"
    codes = (1, 2, 4, 10, 17, 32, 100, 190, 200, 368, 613, 803, 80001)
    null: ClassVar = {}
    scopes: tuple[str, ...] = ()

    def __init__(self, world: World, *, behaviour: Behaviour | None = None, **more: Any) -> None:
        super().__init__(world, behaviour=behaviour or Behaviour(), **more)
        self.kinds: dict[str, Kind] = {}
        self._dead = self.behaviour.dead_cursors
        self._plan = Plan()
        self._token = ""

    # -- one call ------------------------------------------------------------------------------------------------------

    def read(self, request: Request) -> Call | None:
        if request.verb not in ("GET", "POST", "DELETE"):
            return None
        params = request.params()
        token = params.pop("access_token", "")
        path = unquote(request.path[len(self.prefix) :]).strip("/")
        method = self.method(path, params)
        if request.verb != "GET" and method != "batch":
            method = f"{request.verb.lower()}_{method}"
        return Call(method, params, token, request.verb, path, request.body)

    def method(self, path: str, params: Mapping[str, str]) -> str:
        """How plans of faults and logs name a call: the edge ("comments"), else "node", "batch", "ids"."""
        parts = path.split("/") if path else []
        if not parts:
            return "batch" if "batch" in params else "ids"
        return "debug_token" if parts == ["debug_token"] else parts[1][:100] if len(parts) > 1 else "node"

    def handle(self, call: Call, plan: Plan, fault: Fault | None = None) -> Answer:
        with self.world.lock:
            self._plan, self._token = plan, call.token
            answer = super().handle(call, plan, fault)
            return Answer(answer.body, answer.status, {**answer.headers, **self._usage(answer.body)})

    def run(self, call: Call) -> Any:
        self._admit(call.token, call.params)
        if not call.path and call.verb == "POST" and "batch" in call.params:
            return self._batch(call)
        if call.verb != "GET":
            return self.change(call)
        parts = call.path.split("/") if call.path else []
        if parts == ["debug_token"]:
            return {"data": self._about(call.params.get("input_token", ""))}
        if not parts and "ids" in call.params:
            return {i: self._node(*self._find(i), call.params.get("fields")) for i in call.params["ids"].split(",")}
        if not 1 <= len(parts) <= 2:
            raise Refusal(2500)
        kind, thing = self._find(parts[0])
        if len(parts) == 1:
            return self._node(kind, thing, call.params.get("fields"))
        return self._edge(kind, thing, parts[1], call.params)

    edge_of_answers: ClassVar[str] = ""
    longest: ClassVar[int] = 8000

    hides_by: ClassVar[str] = ""
    """The argument that hides a comment."""

    def change(self, call: Call) -> Any:
        """What POST does: an answer below a publication or a comment, in the name of the page; or a comment is hidden,
        or shown again."""
        parts = call.path.split("/")
        if call.verb == "POST" and len(parts) == 1 and self.hides_by in call.params:
            return self._hide(parts[0], call.params[self.hides_by])
        if call.verb != "POST" or len(parts) != 2 or parts[1] != self.edge_of_answers:
            raise Refusal(100, f"Unsupported {call.verb.lower()} request")
        _, thing = self._find(parts[0])
        post = thing.post if isinstance(thing, Comment) else thing
        if post.page.errors.get("write"):
            raise Refusal(200)
        text = call.params.get("message", "")
        if post.closed or not text or len(text) > self.longest:
            raise Refusal(100, "The comment can't be published")
        parent = thing if isinstance(thing, Comment) else None
        made = self.world.add_comment(post, text, post.page.author_id, parent=parent)
        return {"id": self.world.external_id(made)}

    def _hide(self, id: str, said: str) -> Any:
        _, thing = self._find(id)
        if not isinstance(thing, Comment) or thing.own or said not in ("true", "false"):
            raise Refusal(100, "This comment can't be hidden")
        if thing.post.page.errors.get("write"):
            raise Refusal(200)
        self.world.hide(thing, said == "true")
        return {"success": True}

    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        words, status = GRAPH_CODES.get(int(refusal.code), ("Unknown error", 400))
        body = {
            "message": f"(#{refusal.code}) {refusal.detail or words}",
            "type": "OAuthException",
            "code": refusal.code,
            "fbtrace_id": "AbCdEfGhIjK",
        }
        return Answer({"error": body | refusal.more}, status)

    def too_fast(self) -> Refusal:
        return Refusal(4)

    def lie(self, body: Any, by: int) -> None:
        _lie(body, by)

    def hollow(self, body: Any) -> None:
        _empty(body)

    def _usage(self, body: Any) -> dict[str, str]:
        over = isinstance(body, dict) and body.get("error", {}).get("code") in (4, 17, 32, 613, 80001, 80002)
        n = 100 if over else self.behaviour.usage
        box = {"call_count": n, "total_time": n // 2, "total_cputime": n // 3}
        business = {"type": "pages", **box, "estimated_time_to_regain_access": self.behaviour.regain}
        return {"X-App-Usage": json.dumps(box), "X-Business-Use-Case-Usage": json.dumps({"100500": [business]})}

    def _admit(self, token: str, params: Mapping[str, str]) -> None:
        if not token:
            raise Refusal(2500, "An active access token must be used to query information")
        kind = self.kind(token)
        if kind in ("none", "expired"):
            more = {"error_subcode": 463} if kind == "expired" else {}
            raise Refusal(190, "Error validating access token", **more)
        if self.behaviour.app_secret:
            want = hmac.new(self.behaviour.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
            if params.get("appsecret_proof") != want:
                raise Refusal(100, "Invalid appsecret_proof provided in the API argument")

    def _find(self, id: str) -> tuple[str, Any]:
        found = self.find(id)
        if found is None:
            raise missing(id)
        kind, thing, page = found
        if page is not None:
            code = page.errors.get("page")
            if code:
                raise Refusal(code)
            if self.kind(self._token) == "poor":
                raise Refusal(10)
        return kind, thing

    def find(self, id: str) -> tuple[str, Any, Any] | None:
        """(kind, object, its page) of what bears this id, None when nothing does."""
        raise NotImplementedError

    def _about(self, token: str) -> dict[str, Any]:
        kind = self.kind(token)
        scopes = () if kind == "poor" else self.behaviour.scopes or self.scopes
        end = int(self.world.now() + self.behaviour.days * 86400) if self.behaviour.days else 0
        return {"app_id": "1", "type": "PAGE", "is_valid": kind != "none", "expires_at": end, "scopes": list(scopes)}

    def _batch(self, call: Call) -> list[Any]:
        try:
            asks = json.loads(call.params["batch"])
        except ValueError:
            raise Refusal(100, "batch is not valid JSON") from None
        if not isinstance(asks, list) or len(asks) > BATCH:
            raise Refusal(100, f"batch must be a list of at most {BATCH}")
        answers: list[Any] = []
        plan = self._plan
        for ask in asks:
            path, _, query = str(ask.get("relative_url", "")).partition("?")
            params = {k: v for k, v in call.params.items() if k == "appsecret_proof"} | dict(parse_qsl(query))
            path = path.strip("/").removeprefix(self.prefix.strip("/") + "/")
            inner = Call(self.method(path, params), params, call.token, ask.get("method", "GET"), path)
            self.inner_calls[inner.method] += 1
            fault = plan.pick(inner.method, inner=True)
            if fault is not None and fault.kind == "null":
                answers.append(None)  # Meta's way to say: not done in time
                continue
            answer = super().handle(inner, plan, fault)
            headers = [{"name": "Content-Type", "value": "application/json"}]
            answers.append({"code": answer.status, "headers": headers, "body": dumps(answer.body).decode()})
        return answers

    # -- objects and edges ---------------------------------------------------------------------------------------------

    def _node(self, kind: str, thing: Any, fields: str | Sequence[Field] | None) -> dict[str, Any]:
        known = self.kinds[kind]
        if isinstance(fields, str):
            fields = parse_fields(fields)
        wanted = fields if fields else [Field(f, {}, None) for f in known.usual]
        found: dict[str, Any] = {}
        for one in (Field("id", {}, None), *wanted):
            if one.name in known.edges:
                found[one.name] = self._edge(kind, thing, one.name, one.args, one.sub)
            elif one.name in known.fields:
                value = known.fields[one.name](thing)
                if value is None:
                    continue
                if one.sub is not None and isinstance(value, dict):
                    value = _cut(value, one.sub)
                found[one.name] = value
            else:
                raise Refusal(100, f"Tried accessing nonexisting field ({one.name}) on node type ({kind})")
        return found

    def _edge(
        self, kind: str, thing: Any, name: str, params: Mapping[str, str], sub: Sequence[Field] | None = None
    ) -> dict[str, Any]:
        known = self.kinds[kind]
        if name not in known.edges:
            raise Refusal(2500, f"Unknown path components: /{name}")
        unknown = params.keys() - {"limit", "after", "before", "fields", "summary", "appsecret_proof", "access_token"}
        unknown -= known.params.get(name, frozenset())
        if unknown:
            raise Refusal(100, f"Unknown parameter {sorted(unknown)[0]}")
        rows = known.edges[name](thing, params)
        limit = params.get("limit", "25")
        if not limit.isdigit():
            raise Refusal(100, "limit must be a number")
        most = min(int(limit), self.behaviour.page_max, 100)
        after, wait = self._cursor(params.get("after"))
        items = list(rows.items)
        if after is not None:
            items = [i for i in items if (rows.key(i) < after if rows.down else rows.key(i) > after)]
        fields = sub if sub is not None else params.get("fields")
        answer: dict[str, Any] = {"data": []}
        if self.behaviour.empty_pages and not wait and most and len(items) > 20:
            self._paging(answer, kind, thing, name, params, after, True, True)
        else:
            page = items[:most]
            answer["data"] = [self._node(rows.kind, i, fields) for i in page]
            if page:
                more = len(items) > len(page)
                self._paging(answer, kind, thing, name, params, rows.key(page[-1]), more, False)
        if params.get("summary") == "true":
            answer["summary"] = dict(rows.summary)
        return answer

    def _cursor(self, text: str | None) -> tuple[tuple[Any, ...] | None, bool]:
        """(key of the last item seen, was an empty page given for it already)."""
        if not text:
            return None, False
        if self._dead > 0:
            self._dead -= 1
            raise Refusal(100, "The after cursor specified is no longer valid")
        try:
            key, wait = json.loads(base64.urlsafe_b64decode(text.encode() + b"=="))
            return (None if key is None else tuple(key)), bool(wait)
        except (ValueError, TypeError):
            raise Refusal(100, "The after cursor specified is invalid") from None

    def _paging(
        self,
        answer: dict[str, Any],
        kind: str,
        thing: Any,
        name: str,
        params: Mapping[str, str],
        key: tuple[Any, ...] | None,
        more: bool,
        wait: bool,
    ) -> None:
        after = base64.urlsafe_b64encode(json.dumps([key, wait]).encode()).decode().rstrip("=")
        answer["paging"] = {"cursors": {"before": after, "after": after}}
        if more:
            # As Meta does: the address of the next page bears the token.
            query = {**params, "after": after, "access_token": self._token}
            id = self.kinds[kind].fields["id"](thing)
            answer["paging"]["next"] = f"https://graph.facebook.com{self.prefix}{id}/{name}?{urlencode(query)}"

    def hidden(self, one: Comment) -> bool:
        return one.hidden or (bool(self.behaviour.hide_every) and one.id % self.behaviour.hide_every == 0)

    def left_out(self, one: Comment) -> bool:
        """Hidden, and not shown to the page either, nor what hangs below."""
        above: Comment | None = one
        while above is not None and not self.behaviour.hidden_shown:
            if above.hidden:
                return True
            above = above.parent
        return False


def stamp(at: float) -> str:
    """A time as Meta writes it: "2026-11-24T08:10:30+0000"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _cut(value: dict[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    found = {}
    for f in fields:
        if f.name in value:
            inner = value[f.name]
            found[f.name] = _cut(inner, f.sub) if f.sub is not None and isinstance(inner, dict) else inner
    return found


def _lie(value: Any, by: int) -> None:
    """Put every counter in the answer off by `by` (never below zero)."""
    if isinstance(value, list):
        for one in value:
            _lie(one, by)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key in ("total_count", "comments_count") and isinstance(one, int):
                value[key] = max(0, one + by)
            else:
                _lie(one, by)


def _empty(value: Any) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("data"), list):
            value["data"] = []
            value.pop("paging", None)
        for one in value.values():
            _empty(one)
