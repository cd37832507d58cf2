"""Calls to the X API v2: paging, errors, what reading costs.

X charges for every post and every user it returns, and nothing for an empty answer (docs.x.com, "Pricing"): a call is
booked at the most it can bring and what did not come is given back. The names of fields have changed with
specification 2.167 (`post.fields`, `referenced_posts`): both vocabularies are read. The older one is asked for, and the
newer one as soon as X refuses or ignores it (`networks.x.vocabulary` settles it).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from collectors.contract import Blocked, CollectError, Gone, RateLimited, Unauthorised, Unavailable
from collectors.manners import Manners, Retry
from collectors.paging import BARREN
from collectors.raw import clean, mapping, rows, whole
from collectors.transport import get_json, http_client, judge_status
from settings import scrub

TITLE = "X"
GUIDE = "docs/ru/x-token.md"
MOST = 100  # posts a call
FIELDS = {
    "tweet": {
        "tweet.fields": "author_id,conversation_id,created_at,public_metrics,referenced_tweets,"
        "edit_history_tweet_ids,attachments,note_tweet",
        "expansions": "author_id,attachments.media_keys",
    },
    "post": {
        "post.fields": "conversation_id,created_at,public_metrics,attachments,text,note_post",
        "expansions": "author_id,referenced_posts,edit_history_post_ids,attachments.media_keys",
    },
}
MORE = {"user.fields": "name,username", "media.fields": "type,url,media_key"}
_PROBLEMS = "https://api.x.com/2/problems/"


@dataclass(frozen=True, slots=True)
class Found:
    """One answer. `users`, `media`: by id what came along; `absent`: ids that the network says do not exist.

    `refused`: ids that it does not show and says why, `absent` among them. `missing`: how many posts it counts in this
    answer, or was asked for, and says nothing of. `more`: the token of the next page.
    """

    posts: Sequence[Mapping[str, Any]]
    users: Mapping[str, Mapping[str, Any]]
    media: Mapping[str, Mapping[str, Any]]
    absent: frozenset[str]
    refused: frozenset[str]
    missing: int
    more: str | None


class XClient:
    """One token of the X API."""

    def __init__(self, manners: Manners, vocabulary: str | None) -> None:
        if manners.gate is None:
            raise ValueError("XClient needs manners with a gate")
        self.manners = manners
        self.gate = manners.gate
        self.http = http_client(manners.gate)
        self.http.headers["Authorization"] = f"Bearer {manners.token()}"
        manners.on_close(self.http.close)
        self._words = vocabulary or "tweet"
        self._sure = vocabulary is not None
        self.date: datetime | None = None  # of the newest answer, by X's clock

    # --- what is asked -----------------------------------------------------------------------------------------------

    def user(self, path: str) -> Mapping[str, Any]:
        """A user by "users/by/username/NAME" or "users/ID"."""
        data = mapping(self._call(path, {"user.fields": "name,username"}, 1, _one).get("data"))
        if not is_id(data.get("id")):
            raise Gone(f"{TITLE}: такой страницы нет", code="404")
        return data

    def server_time(self) -> datetime:
        """X's clock: the date of an answer, also of a refusal."""
        if self.date is None:
            try:
                self.usage()
            except CollectError:
                if self.date is None:
                    raise
        if self.date is None:
            raise Unavailable(f"{TITLE} не сказала время; повторите позже")
        return self.date

    def pages(self, path: str, next_name: str, first: int, **params: Any) -> Iterator[Found]:
        """The pages of a list, to its end. A token that comes again is an error.

        `first`: how many are asked for at first: what is booked and does not come keeps others waiting.
        """
        used: set[str] = set()
        token: str | None = None
        size, barren = max(10, min(first, MOST)), 0
        while True:
            found = self._posts(path, {**params, "max_results": size, next_name: token}, size)
            size = MOST
            yield found
            token = found.more
            barren = 0 if found.posts else barren + 1
            if token is None:
                return
            if token in used or barren > BARREN:
                raise Unavailable(f"{TITLE} водит по кругу вместо продолжения списка; повторите позже")
            used.add(token)

    def posts(self, ids: Sequence[str]) -> Iterator[Found]:
        """Posts by their ids, 100 a call."""
        for start in range(0, len(ids), MOST):
            some = ids[start : start + MOST]
            found = self._posts("tweets", {"ids": ",".join(some)}, len(some))
            yield replace(found, missing=max(0, len(some) - len(found.posts) - len(found.refused & set(some))))

    def usage(self) -> Mapping[str, Any]:
        """What the project has used of its monthly cap, as X itself counts."""
        return mapping(self._call("usage/tweets", {}, 0, _one).get("data"))

    def spent(self) -> int:
        """Posts read this calendar month with this token, by our own count."""
        return self.manners.quota.used_this_month() if self.manners.quota is not None else 0

    # --- one request -------------------------------------------------------------------------------------------------

    def _posts(self, path: str, params: Mapping[str, Any], most: int) -> Found:
        answer = self._worded(path, params, most)
        problems = rows(answer.get("errors"))
        named = [(clean(p.get("resource_id") or p.get("value")), _kind(p)) for p in problems]
        posts = [p for p in rows(answer.get("data")) if is_id(p.get("id"))]
        meta, includes = mapping(answer.get("meta")), mapping(answer.get("includes"))
        counted = whole(meta.get("result_count"))
        more = meta.get("next_token")
        return Found(
            posts,
            {u["id"]: u for u in rows(includes.get("users")) if isinstance(u.get("id"), str)},
            {m["media_key"]: m for m in rows(includes.get("media")) if isinstance(m.get("media_key"), str)},
            frozenset(id for id, kind in named if kind == "resource-not-found"),
            frozenset(id for id, _ in named),
            max(0, (counted or 0) - len(posts) - len(problems)),
            more if isinstance(more, str) and more else None,
        )

    def _worded(self, path: str, params: Mapping[str, Any], most: int) -> Mapping[str, Any]:
        """An answer with the fields we need, in the vocabulary that X understands."""

        def ask() -> Mapping[str, Any]:
            return self._call(path, {**FIELDS[self._words], **MORE, **params}, most, _many)

        if self._sure:
            return ask()
        try:
            answer = ask()
            posts = rows(answer.get("data"))
            if not posts:
                return answer
            if any("created_at" in raw for raw in posts):
                self._sure = True
                return answer
        except CollectError as e:
            if e.code is None or not e.code.startswith("400"):
                raise
        self._words = "post" if self._words == "tweet" else "tweet"
        answer = ask()
        self._sure = any("created_at" in raw for raw in rows(answer.get("data")))
        return answer

    def _call(
        self, path: str, params: Mapping[str, Any], most: int, count: Callable[[Mapping[str, Any]], int | None]
    ) -> Mapping[str, Any]:
        """One call, booked at `most` units; `count(answer)`: what it really brought, None when it is no such answer."""

        def send() -> Mapping[str, Any]:
            brought = 0
            try:
                answer, brought = self._send(path, params, count)
                return answer
            finally:
                if self.manners.quota is not None:  # what failed or did not come was not charged
                    self.manners.quota.give_back(most - brought)

        return self.manners.call(send, what=path.rpartition("/")[2], units=most)

    def _send(
        self, path: str, params: Mapping[str, Any], count: Callable[[Mapping[str, Any]], int | None]
    ) -> tuple[Mapping[str, Any], int]:
        query = {k: str(v) for k, v in params.items() if v is not None}
        request = self.http.build_request("GET", path, params=query)
        status, headers, answer = get_json(self.http, self.gate, request, judge_429)
        try:
            self.date = parsedate_to_datetime(headers.get("date") or "").astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            self.date = None
        if status >= 400:
            raise as_error(status, mapping(answer), headers)
        found = count(mapping(answer))
        if found is None:
            raise Retry(f"ответ не похож на ответ сети {TITLE}")
        return mapping(answer), found


def is_id(value: Any) -> bool:
    """Numbers above 2**53, so they travel as texts."""
    return isinstance(value, str) and re.fullmatch(r"[0-9]{1,25}", value) is not None


def as_error(status: int, answer: Mapping[str, Any], headers: Mapping[str, str]) -> CollectError | Retry:
    """A problem document (RFC 7807) of X as what it means for us."""
    kind = _kind(answer)
    said = f"{status} {kind}".strip()
    if kind == "usage-capped" or status == 402:
        text = f"X: оплаченный запас чтения израсходован ({said}); пополните его в кабинете разработчика X"
        return RateLimited(text, code=said)
    if status == 429:
        return Retry("HTTP 429: предел запросов", limited=True, after=_until_reset(headers), code=said)
    if status == 401:
        return Unauthorised(f"X: токен не действует; получите новый (как: {GUIDE})", code=said)
    if status == 403 and kind in ("not-authorized-for-resource", "disallowed-resource", "resource-unavailable"):
        return Blocked(f"X: доступ закрыт ({said}); проверьте, что страница открыта", code=said)
    if status == 403:
        return Unauthorised(f"X: у приложения нет права на это ({said}); какие нужны: {GUIDE}", code=said)
    if status == 404:
        return Gone(f"X: такого нет ({said})", code=said)
    text = scrub(" ".join(clean(answer.get("detail") or answer.get("title")).split()))[:200] or "без пояснения"
    return CollectError(f"X ответила ошибкой {said}: {text}", code=said)


def _kind(problem: Mapping[str, Any]) -> str:
    """ "https://api.x.com/2/problems/usage-capped" -> "usage-capped"."""
    return clean(problem.get("type")).rpartition("/")[2][:60]


def _until_reset(headers: Mapping[str, str]) -> float | None:
    reset = headers.get("x-rate-limit-reset") or ""
    return min(max(float(reset) - time.time(), 1.0), 3600.0) if reset.isdecimal() else None


def judge_429(status: int, headers: Any) -> None:
    """429 is looked into: it may mean a short wait, or money that is gone."""
    if status != 429:
        judge_status(status, headers)


def _one(answer: Mapping[str, Any]) -> int | None:
    if isinstance(answer.get("data"), dict):
        return 1
    return 0 if rows(answer.get("errors")) else None


def _many(answer: Mapping[str, Any]) -> int | None:
    """Posts in an answer; an empty list has no `data`, but its `meta` or `errors` say that it is one."""
    if isinstance(answer.get("data"), list):
        return len(answer["data"])
    counted = whole(mapping(answer.get("meta")).get("result_count"))
    return 0 if counted is not None or rows(answer.get("errors")) else None
