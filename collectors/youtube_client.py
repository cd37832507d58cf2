"""Calls to the YouTube Data API v3: the key, OAuth of the channel's owner, error reasons as our errors.

The reason in the body tells what an error is, never the status (https://developers.google.com/youtube/v3/docs/errors).
The key travels in a header (https://cloud.google.com/docs/authentication/api-keys-use), so that no address bears it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.contract import Blocked, CollectError, Collector, Declined, Gone, RateLimited, Unauthorised
from collectors.json_api import JsonApi
from collectors.manners import Manners, Retry
from collectors.raw import clean, mapping, rows
from collectors.transport import Gate, get_json, http_client
from settings import remember_secret, scrub

if TYPE_CHECKING:
    from settings import YoutubeNetwork, YoutubeOauth

DISABLED = "commentsDisabled"
_SPENT = {"quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"}
_LIMITED = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
_LATER = {"processingFailure", "backendError", "internalError", "SERVICE_UNAVAILABLE", "unknownError"}
_GUIDE = "docs/ru/youtube-token.md"
_UNAUTHORISED = {
    "keyInvalid": f"ключ YouTube не действует; создайте новый ({_GUIDE})",
    "API_KEY_INVALID": f"ключ YouTube не действует; создайте новый ({_GUIDE})",
    "keyExpired": f"ключ YouTube истёк; создайте новый ({_GUIDE})",
    "accessNotConfigured": f"в проекте Google не включён YouTube Data API v3; включите его ({_GUIDE})",
    "SERVICE_DISABLED": f"в проекте Google не включён YouTube Data API v3; включите его ({_GUIDE})",
    "ipRefererBlocked": "ключ YouTube запрещён для этого адреса; поправьте ограничения ключа в консоли Google",
    "API_KEY_SERVICE_BLOCKED": "ключу запрещён YouTube Data API; поправьте ограничения ключа в консоли Google",
    "authError": f"доступ владельца (OAuth) больше не действует; получите refresh_token заново ({_GUIDE})",
    "required": f"YouTube требует входа; нужен ключ или доступ владельца ({_GUIDE})",
    "insufficientPermissions": f"доступу владельца не хватает права youtube.force-ssl ({_GUIDE})",
    "accountDelegationForbidden": f"эта учётная запись Google не управляет каналом ({_GUIDE})",
}
_GONE = {"videoNotFound", "commentNotFound", "commentThreadNotFound", "channelNotFound", "playlistNotFound", "notFound"}
_DECLINED = {
    "parentCommentNotFound": "комментария больше нет, отвечать некому",
    "commentTextTooLong": "текст ответа слишком длинный для YouTube; сократите его",
    "commentTextRequired": "текст ответа пуст",
    "parentCommentIsPrivate": "комментарий скрыт, ответить на него нельзя",
    "parentIdMissing": "YouTube не понял, на что отвечают",
    "operationNotSupported": "YouTube не даёт отвечать на этот комментарий",
    "ineligibleAccount": "эта учётная запись Google не может отвечать; свяжите её с каналом",
}
Raw = dict[str, Any]


def as_error(status: int, data: Any, manners: Manners) -> CollectError | Retry:
    """An error answer -> what it means for us."""
    error = mapping(mapping(data).get("error"))
    first = (rows(error.get("errors")) or [{}])[0]
    details = [clean(d.get("reason")) for d in rows(error.get("details")) if d.get("reason")]
    reason = clean(first.get("reason"))
    if reason in ("", "badRequest", "forbidden") and details:
        reason = details[0]
    if not error:
        return Retry(f"HTTP {status}", code=str(status))
    if reason in _SPENT:
        if manners.quota is not None:
            manners.quota.use_up()
        return RateLimited("дневная квота YouTube израсходована; новая будет после полуночи в Калифорнии", code=reason)
    if reason in _LIMITED:
        return Retry(f"YouTube просит реже ({reason})", limited=True, after=5.0, code=reason)
    if reason in _LATER:
        return Retry(f"сбой на стороне YouTube ({reason})", code=reason)
    if reason == "forbidden":  # said of one thing (a video made private): the key itself is refused by other reasons
        return Blocked("YouTube не показывает это: видео закрыто или доступно не всем", code=reason)
    if reason == DISABLED:
        return Blocked("комментарии к этому видео выключены владельцем", code=reason)
    if reason in _UNAUTHORISED or status == 401:
        return Unauthorised(_UNAUTHORISED.get(reason, _UNAUTHORISED["authError"]), code=reason or status)
    if reason in _GONE:
        return Gone(f"такого на YouTube больше нет ({reason})", code=reason)
    if reason in _DECLINED:
        return Declined(_DECLINED[reason], code=reason)
    text = scrub(" ".join(clean(str(error.get("message") or "")).split()))[:200] or "без пояснения"
    return CollectError(f"YouTube ответил ошибкой {status} {reason}: {text}", code=reason or status)


class _Google(Collector):  # only to check the address of tokens as any other is checked
    network = "youtube"
    api = "https://oauth2.googleapis.com/"
    hosts = frozenset({"oauth2.googleapis.com"})


class OAuth:
    """Access tokens of the channel's owner, made from the refresh token."""

    def __init__(self, config: YoutubeNetwork, oauth: YoutubeOauth, manners: Manners) -> None:
        self._form = {"client_id": oauth.client_id, "client_secret": oauth.client_secret.reveal()}
        self._form["refresh_token"] = oauth.refresh_token.reveal()
        base, _, self._path = oauth.token_url.rpartition("/")
        self._gate = Gate.open(
            config.model_copy(update={"api": base + "/"}),
            _Google,
            where=lambda key: "networks.youtube.oauth.token_url",
        )
        self._client = http_client(self._gate)
        manners.on_close(self._client.close)
        self._manners = manners
        self._token: tuple[str, float] | None = None

    def token(self) -> str:
        """An access token that lives a while yet; Unauthorised when the owner has taken the right back."""
        if self._token is None or self._token[1] < self._manners.now() + 60:
            self._token = self._manners.call(self._refresh, what="oauth token", units=0)
        return self._token[0]

    def forget(self) -> None:
        self._token = None

    def _refresh(self) -> tuple[str, float]:
        form = self._form | {"grant_type": "refresh_token"}
        request = self._client.build_request("POST", self._path, data=form)
        _, _, data = get_json(self._client, self._gate, request)
        found = mapping(data)
        token, lives = found.get("access_token"), found.get("expires_in")
        if isinstance(token, str) and token:
            remember_secret(token)
            return token, self._manners.now() + (lives if isinstance(lives, int) else 300)
        if found.get("error") in ("invalid_grant", "invalid_client", "unauthorized_client"):
            raise Unauthorised(_UNAUTHORISED["authError"], code=str(found["error"]))
        raise Retry("Google не дал токен")


class YoutubeClient:
    """One key. Lists are GET; a list answer has `items`, an error one `error`."""

    def __init__(self, config: YoutubeNetwork, manners: Manners) -> None:
        self.api = JsonApi(manners, "YouTube")
        self._manners = manners
        self._key = manners.token()
        self.oauth = None if config.oauth is None else OAuth(config, config.oauth, manners)

    def page(self, resource: str, *, as_owner: bool = False, **params: Any) -> tuple[list[Raw], str | None]:
        """(items, the next page's token) of `resource`.list."""
        owner = as_owner or (params.get("moderationStatus") not in (None, "published"))
        asked = {k: v for k, v in params.items() if v is not None}

        def read(status: int, data: Any) -> tuple[list[Raw], str | None]:
            found = mapping(data)
            if status >= 400 or "error" in found:
                raise as_error(status, data, self._manners)
            items = found.get("items", [] if "pageInfo" in found else None)  # YouTube leaves out an empty list
            if not isinstance(items, list):
                raise Retry("ответ не похож на ответ YouTube")
            return rows(items), clean(found.get("nextPageToken")) or None

        return self.api.ask(resource, read, params=asked, headers=self._headers(owner), what=f"{resource}.list")

    def items(self, resource: str, **params: Any) -> list[Raw]:
        return self.page(resource, **params)[0]

    def write(self, resource: str, body: Raw, *, units: int, **params: Any) -> Raw:
        """`resource`.insert as the channel's owner, tried once: a second try would write twice."""

        def read(status: int, data: Any) -> Raw:
            if status >= 400 or "error" in mapping(data):
                raise as_error(status, data, self._manners)
            if not isinstance(data, dict) or "id" not in data:
                raise Retry("ответ не похож на ответ YouTube")
            return data

        return self.api.ask(
            resource, read, params=params, body=body, headers=self._headers(True), what=f"{resource}.insert",
            units=units, tries=1,
        )  # fmt: skip

    def set(self, resource: str, method: str, *, units: int, **params: Any) -> None:
        """`resource`.`method` as the channel's owner, which answers with nothing (204) and may as well be done twice.

        Each try costs its units.
        """

        def read(status: int, data: Any) -> None:
            if status >= 400 or "error" in mapping(data):
                raise as_error(status, data, self._manners)
            if status != 204 and data not in (None, {}, ""):
                raise Retry("ответ не похож на ответ YouTube")

        self.api.ask(
            f"{resource}/{method}", read, params=params, headers=self._headers(True), verb="POST",
            what=f"{resource}.{method}", units=units,
        )  # fmt: skip

    def _headers(self, owner: bool) -> dict[str, str]:
        if owner and self.oauth is not None:
            return {"Authorization": f"Bearer {self.oauth.token()}"}
        return {"X-Goog-Api-Key": self._key}
