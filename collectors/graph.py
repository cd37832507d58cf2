"""The Graph API of Meta, as Facebook and Instagram share it: calls, cursors, errors, how much of a limit is used.

The token travels in the Authorization header (in a batch in the form as well, as Meta asks), never in an address;
`paging.next` holds the token, so only `cursors.after` is read. Sources: developers.facebook.com/docs/graph-api
(overview/rate-limiting, guides/error-handling, batch-requests); field names: Meta's SDK specs (specs: networks.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from collectors.contract import (
    Blocked,
    Check,
    CollectError,
    Declined,
    Gone,
    RateLimited,
    Unauthorised,
    Unavailable,
    page_check,
)
from collectors.manners import Manners, Retry
from collectors.paging import CursorExpired, CursorWalk, Slice
from collectors.raw import clean, mapping, rows, whole
from collectors.transport import get_json, http_client, parse_json
from collectors.when import from_seconds, from_text
from settings import Secret, remember_secret, scrub

if TYPE_CHECKING:
    import httpx

    from store.values import PageRef

BATCH = 50  # calls in one batch request: the most Meta takes
FULL = 95.0  # per cent of a limit from which we wait
FULL_PAUSE = 300.0  # seconds to wait when Meta does not say how long
_ID = re.compile(r"[\w.\-]{1,200}", re.ASCII)

_LIMITS = {4, 17, 32, 341, 613, *range(80000, 80015)}
_LATER = {1, 2}
_SHARES = ("call_count", "total_time", "total_cputime")
_TOKENS = {
    458: "приложение удалено у владельца токена",
    459: "Meta просит владельца токена войти и подтвердить вход",
    460: "владелец токена сменил пароль",
    463: "срок токена истёк",
    464: "учётная запись владельца токена не подтверждена",
    467: "токен отозван",
    490: "Meta просит владельца токена войти и подтвердить вход",
}


def as_error(error: Mapping[str, Any], title: str, guide: str, after: float | None = None) -> CollectError | Retry:
    """An `error` object of an answer as what it means for us. `title`: the network; `guide`: how to get a token.

    `after`: seconds until a used-up limit lifts, when the answer's headers told.
    """
    code, sub = whole(error.get("code")) or 0, whole(error.get("error_subcode")) or 0
    said = f"{code}/{sub}" if sub else str(code)
    if code in _LIMITS:
        return Retry(f"код {said}: исчерпан предел запросов", limited=True, after=after, code=said)
    if code in (190, 102, 467):
        why = _TOKENS.get(sub, "токен не действует")
        return Unauthorised(f"{title}: {why} (код {said}); получите новый токен (как: {guide})", code=said)
    if code in (3, 10) or 200 <= code <= 299:
        return Unauthorised(f"{title}: у токена нет нужного права (код {said}); какие нужны: {guide}", code=said)
    if code == 368:
        text = (
            f"{title} временно ограничила эту учётную запись (код {said}); войдите под её владельцем и снимите запрет"
        )
        return Blocked(text, code=said, page_wide=True)
    if (code, sub) == (100, 33) or code in (803, 1705, 2500):
        return Gone(f"{title}: такого нет или оно закрыто для токена (код {said})", code=said)
    if code in _LATER or error.get("is_transient") is True:
        return Retry(f"код {said}: {title} просит повторить", code=said)
    text = scrub(" ".join(clean(error.get("message")).split()))[:200] or "без пояснения"
    if code == 100 and "appsecret_proof" in text:
        return Unauthorised(f"{title} требует подпись секретом приложения; впишите app_secret", code=said)
    return CollectError(f"{title} ответила ошибкой {said}: {text}", code=said)


def used(headers: Mapping[str, str]) -> tuple[float, float | None]:
    """(the largest share of any limit that is used, in per cent; seconds until access returns, when told).

    X-App-Usage and X-Page-Usage hold one object, X-Business-Use-Case-Usage lists of them by business.
    """
    share, wait = 0.0, None
    for name in ("x-app-usage", "x-page-usage", "x-business-use-case-usage"):
        try:
            found = json.loads(headers.get(name) or "null")
        except (ValueError, RecursionError):
            continue
        boxes = [found] + [b for v in mapping(found).values() for b in rows(v)]
        for box in map(mapping, boxes):
            share = max(
                [share, *(float(whole(box.get(k)) or 0) for k in ("call_count", "total_time", "total_cputime"))]
            )
            minutes = whole(box.get("estimated_time_to_regain_access"))
            if minutes and minutes > 0:
                wait = max(wait or 0.0, min(minutes, 24 * 60) * 60.0)
    return share, wait


def moment(value: Any) -> datetime | None:
    """ "2026-11-24T08:10:30+0000" (or Unix seconds) -> aware UTC; None when there is no sensible time."""
    return from_text(value) if isinstance(value, str) else from_seconds(value)


class GraphClient:
    """One token. `get` one object or edge, `many` several in one batch, `walk` an edge by cursors."""

    def __init__(self, manners: Manners, title: str, guide: str, app_secret: Secret | None) -> None:
        if manners.gate is None:
            raise ValueError("GraphClient needs manners with a gate")
        self.manners = manners
        self.title = title
        self.guide = guide
        self._gate = manners.gate
        self._token = manners.token()
        self._http = http_client(manners.gate)
        self._http.headers["Authorization"] = f"Bearer {self._token}"
        manners.on_close(self._http.close)
        self._proof: dict[str, str] = {}
        if app_secret is not None:
            proof = hmac.new(app_secret.reveal().encode(), self._token.encode(), hashlib.sha256).hexdigest()
            remember_secret(proof)  # it travels in addresses
            self._proof["appsecret_proof"] = proof
        self._names: set[str] = set()  # in whose name this token writes
        self.date: datetime | None = None  # of the newest answer, by Meta's clock
        self.share = 0.0  # per cent of the limits used, as the newest answer tells

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """An object or one page of an edge: "123", "123/comments". Raises the errors of the contract."""
        query = {k: str(v) for k, v in params.items() if v is not None} | self._proof
        return self._object(lambda: self._http.build_request("GET", self._path(path), params=query), _what(path))

    def publish(self, path: str, **form: str) -> str:
        """Write something; its id. `Unavailable` when it may have been written all the same: then look for it.

        Only a refusal for too many calls is repeated here, for then nothing was written. What Meta refuses for good is
        `Declined`: a person must do it.
        """

        def send() -> str:
            try:
                answer = self._send(self._http.build_request("POST", self._path(path), data={**form, **self._proof}))
            except Retry as e:
                if e.limited:
                    raise
                raise Unavailable(f"{self.title} не подтвердила, что приняла ответ ({e.reason})", code=e.code) from None
            if not _shaped(answer):
                raise Unavailable(f"{self.title} не сказала номер размещённого ответа; повторите позже")
            return clean(answer.get("id"))

        try:
            return self.manners.call(send, what=f"publish {_what(path)}")
        except Unauthorised as e:
            if e.code in ("3", "10") or (e.code or "").startswith("2"):
                raise Declined(f"{e}; разместите ответ сами", code=e.code) from None
            raise
        except (RateLimited, Blocked, Unavailable):
            raise
        except CollectError as e:
            raise Declined(f"{self.title} не приняла ответ: {e}; разместите его сами", code=e.code) from None

    def change(self, path: str, verb: str = "POST", **form: str) -> None:
        """Set something that may as well be set twice: it is repeated after any passing trouble.

        What Meta refuses for good is `Declined`: a person must do it.
        """

        def send() -> None:
            data = {**form, **self._proof}
            how = {"params": data} if verb == "DELETE" else {"data": data}
            answer = self._send(self._http.build_request(verb, self._path(path), **how))
            said = mapping(answer)
            # `{"success": true}`, or under the name of each whom it was done to (Page.blocked).
            if answer is not True and not any(_done(said.get(k)) for k in ("success", form.get("user"))):
                raise Retry(f"{self.title} не подтвердила, что это сделано")

        try:
            self.manners.call(send, what=f"{verb.lower()} {_what(path)}")
        except Unauthorised as e:
            if e.code in ("3", "10") or (e.code or "").startswith("2"):
                raise Declined(f"{e}; сделайте это сами на странице", code=e.code) from None
            raise
        except (RateLimited, Blocked, Unavailable):
            raise
        except CollectError as e:
            raise Declined(f"{self.title} не выполнила это: {e}; сделайте это сами на странице", code=e.code) from None

    def speaks_for(self, page: str) -> None:
        """`Declined` unless this token writes in the name of `page`."""
        if page in self._names:
            return
        self._names.add(clean(self.get("me", fields="id").get("id")))
        if page not in self._names:
            raise Declined(f"токен {self.title} пишет от имени другой страницы; разместите ответ сами")

    def server_time(self) -> datetime:
        """Meta's clock: the date of an answer."""
        self.get("me", fields="id")
        if self.date is None:
            raise Unavailable(f"{self.title} не сказала время; повторите позже")
        return self.date

    def many(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[dict[str, Any] | CollectError]:
        """For each (path, params), in order, its answer or the error it ends with (as a value, not raised).

        50 calls a request; Meta counts each of them. Raises what stops everything: a bad token, a limit, a ban.
        """
        for start in range(0, len(calls), BATCH):
            yield from self._batch(calls[start : start + BATCH])

    def about_token(self) -> dict[str, Any]:
        """What Meta says of the token itself (debug_token): `is_valid`, `expires_at`, `scopes`…"""
        answer = next(self.many([("debug_token", {"input_token": self._token})]))
        if isinstance(answer, CollectError):
            raise answer
        return dict(mapping(answer.get("data")))

    def check_page(self, page: PageRef, path: str) -> Check:
        """A line of `doctor`: can the posts of this page be listed?"""
        advice = f"проверьте, что токен выдан для этой страницы: {self.guide}"
        return page_check(page, lambda: self.get(path, fields="id", limit=1), advice)

    def is_gone(self, page: str, post: str) -> bool:
        """What Meta does not show is deleted only if the page itself is open to us, and it is asked for twice."""
        self.get(page, fields="id")
        try:
            self.get(post, fields="id")
        except Gone:
            return True
        return False

    def _batch(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[dict[str, Any] | CollectError]:
        asks = [
            {"method": "GET", "relative_url": f"{self._path(path)}?{urlencode({**params, **self._proof})}"}
            for path, params in calls
        ]
        form = {"access_token": self._token, "batch": json.dumps(asks), "include_headers": "true"} | self._proof

        def send() -> list[Any]:
            answer = self._send(self._http.build_request("POST", "", data=form))
            if not isinstance(answer, list) or len(answer) != len(calls):
                raise Retry(f"ответ не похож на ответ сети {self.title}")
            return answer

        answers = self.manners.call(send, what=f"batch[{len(calls)}]")
        for (path, params), one in zip(calls, answers, strict=True):
            yield self._one(path, params, one)

    def _one(self, path: str, params: Mapping[str, Any], one: Any) -> dict[str, Any] | CollectError:
        """One answer of a batch; what is worth repeating (also null: not done in time) is asked alone."""
        try:
            body = mapping(one).get("body")
            found = parse_json(body.encode("utf-8", "surrogatepass")) if isinstance(body, str) else None
            self._judge(found, {})
            if not _shaped(found):
                raise Retry("пусто")
            return found
        except Retry:
            try:
                return self.get(path, **params)
            except CollectError as e:
                if isinstance(e, RateLimited):
                    raise
                return e
        except CollectError as e:
            if isinstance(e, Unauthorised) or e.page_wide:
                raise
            return e

    def walk(self, path: str, **params: Any) -> CursorWalk[dict[str, Any]]:
        """The objects of an edge, to be iterated; `Slice.more` is the whole page of the answer."""

        def fetch(cursor: str | None) -> tuple[Slice[dict[str, Any]], str | None]:
            try:
                answer = self.get(path, **params, after=cursor)
            except CollectError as e:
                if cursor is not None and e.code is not None and e.code.partition("/")[0] == "100":
                    raise CursorExpired from None
                raise
            return edge(answer), following(answer, cursor)

        return CursorWalk(fetch, lambda raw: raw["id"])

    # --- one request -------------------------------------------------------------------------------------------------

    def _path(self, path: str) -> str:
        if not all(_ID.fullmatch(part) for part in path.split("/")):
            raise Unavailable(f"{self.title}: из {clean(path)[:80]} не составить адрес")
        return path

    def _object(self, build: Any, what: str) -> dict[str, Any]:
        def send() -> dict[str, Any]:
            answer = self._send(build())
            if not _shaped(answer):
                raise Retry(f"ответ не похож на ответ сети {self.title}")
            return answer

        return self.manners.call(send, what=what)

    def _send(self, request: httpx.Request) -> Any:
        status, headers, answer = get_json(self._http, self._gate, request)
        try:
            self.date = parsedate_to_datetime(headers.get("date") or "").astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            self.date = None
        self._judge(answer, headers)
        if status >= 400:
            raise Retry(f"HTTP {status}", code=str(status))
        return answer

    def _judge(self, answer: Any, headers: Mapping[str, str]) -> None:
        """Raise what an answer means when it is an error; keep how much of the limits is used."""
        self.share, wait = used(headers) if headers else (self.share, None)
        error = mapping(answer).get("error")
        if error is not None:
            raise as_error(mapping(error), self.title, self.guide, wait)
        if headers and self.share >= FULL:
            self.manners.hold(wait or FULL_PAUSE)


def _done(value: Any) -> bool:
    return value is True or value == "true"


def is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def edge(answer: Mapping[str, Any]) -> Slice[dict[str, Any]]:
    """One page of an edge; objects without an id can't be told apart and are left out."""
    items = [r for r in rows(answer.get("data")) if is_id(r.get("id"))]
    return Slice(items, total_count(answer), answer)


def following(answer: Mapping[str, Any], cursor: str | None = None) -> str | None:
    """The cursor of the next page; None at the end. A page may be empty and not the last: `next` tells."""
    paging = mapping(answer.get("paging"))
    after = mapping(paging.get("cursors")).get("after")
    if not paging.get("next"):
        return None
    if not isinstance(after, str) or not after or after == cursor:
        raise Unavailable("сеть обещает продолжение списка, но не даёт его; повторите позже")
    return after


def total_count(answer: Any) -> int | None:
    """`summary.total_count` of an edge."""
    return whole(mapping(mapping(answer).get("summary")).get("total_count"))


def _shaped(answer: Any) -> bool:
    """An object has its id, an edge its data: without either nonsense would pass for "nothing there"."""
    if not isinstance(answer, dict):
        return False
    return is_id(answer.get("id")) or isinstance(answer.get("data"), list | dict)


def _what(path: str) -> str:
    return path.rpartition("/")[2] if "/" in path else "node"


# --- doctor ----------------------------------------------------------------------------------------------------------

MAX_DRIFT = 60.0  # seconds our clock may differ from Meta's
SOON = 14  # days before its end a token is worth a warning


def check_token(client: GraphClient, rights: Sequence[str]) -> Iterator[Check]:
    """Is the token good, how long, with which rights (`debug_token`, in a form: an address would show it); the clock.

    A page token may look at itself. Where Meta does not answer that, the rights show only when something is read.
    """
    name = f"токен {client.title}"
    try:
        now = client.server_time()
    except CollectError as e:
        yield Check(name, False, str(e), f"получите токен заново: {client.guide}")
        return
    try:
        data = client.about_token()
    except CollectError as e:
        yield Check(name, True, "действует")
        yield Check("права токена", None, f"{client.title} не сказала, какие у токена права ({e.code or 'нет ответа'})")
    else:
        yield _lifetime(name, data, now, client.guide)
        told = data.get("scopes")
        have = set(map(clean, told)) if isinstance(told, list) else set()
        missing = [r for r in rights if r not in have]
        detail = f"нет прав: {', '.join(missing)}" if missing else ", ".join(rights)
        yield Check("права токена", not missing, detail, "получите токен с этими правами" if missing else "")
    drift = (datetime.now(UTC) - now).total_seconds()
    ok = abs(drift) < MAX_DRIFT
    detail = f"расхождение с {client.title} {drift:+.0f} с"
    yield Check("часы", ok, detail, "" if ok else "включите синхронизацию времени (NTP)")
    if client.share >= 50:
        yield Check("предел запросов", client.share < FULL, f"использовано {client.share:.0f} %", "собирайте реже")


def _lifetime(name: str, data: Mapping[str, Any], now: datetime, guide: str) -> Check:
    if data.get("is_valid") is False:
        return Check(name, False, "не действует", f"получите токен заново: {guide}")
    end = moment(data.get("expires_at")) or moment(data.get("data_access_expires_at"))
    if end is None:
        return Check(name, True, "действует без срока")
    days = int((end - now).total_seconds() // 86400)
    advice = f"обновите его заранее: {guide}" if days < SOON else ""
    return Check(name, days >= 1, f"действует до {end:%d.%m.%Y} (дней: {max(days, 0)})", advice)
