"""Calls to the API of Odnoklassniki: the signature, its error numbers as our errors.

Signature: https://apiok.ru/en/dev/methods. The session secret is the one issued with the token, else
md5(access_token + application_secret_key); the sum is md5 of `key=value` of all parameters but the token, sorted by
key, joined with nothing, raw UTF-8, and the secret. md5 is theirs, it protects nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import md5
from typing import TYPE_CHECKING, Any

from collectors.contract import Blocked, CollectError, Gone, Unauthorised
from collectors.json_api import JsonApi
from collectors.manners import Manners, Retry
from collectors.raw import clean
from settings import SecretError, remember_secret, scrub

if TYPE_CHECKING:
    from settings import OkNetwork

_LATER = {
    1: "неизвестная ошибка на стороне Одноклассников",
    2: "сервис Одноклассников временно недоступен",
    30: "сбой сети у Одноклассников",
    31: "Одноклассники не успели ответить",
    704: "Одноклассники не успели ответить",
    5000: "Одноклассники ответили неверно",
    9999: "внутренняя ошибка Одноклассников",
}
_LIMITED = {8: "слишком много запросов", 11: "исчерпан предел запросов", 26: "исчерпан общий предел запросов"}
_TOKEN = "получите токен заново (docs/ru/ok-token.md)"
_UNAUTHORISED = {
    10: "у приложения нет права на это; запросите права VALUABLE_ACCESS и GROUP_CONTENT (docs/ru/ok-token.md)",
    50: "владелец токена не администратор группы; назначьте его администратором или модератором",
    101: "неверный application_key; проверьте его в настройках приложения",
    102: f"токен Одноклассников больше не действует; {_TOKEN}",
    103: f"токен Одноклассников не действует; {_TOKEN}",
    200: "у приложения нет права на это; запросите права VALUABLE_ACCESS и GROUP_CONTENT (docs/ru/ok-token.md)",
    210: "приложение Одноклассников выключено; включите его в настройках",
    401: f"Одноклассники не приняли вход; {_TOKEN}",
    453: f"нужен токен пользователя; {_TOKEN}",
    900: "приложения с таким application_key нет; проверьте его",
    104: "Одноклассники не приняли подпись; проверьте session_secret_key или application_secret_key",
}
_STOPPED = {
    7: "действие заблокировано Одноклассниками",
    9: "Одноклассники не пускают с этого адреса сервера",
    402: "Одноклассники просят ввести код с картинки; войдите на ok.ru под владельцем токена и пройдите проверку",
    403: "Одноклассники просят подтвердить вход; войдите на ok.ru под владельцем токена и пройдите проверку",
}
_DENIED = {
    22: "владелец токена не активирован",
    24: "это может читать только владелец",
    25: "страница не активна",
    455: "это видно только друзьям",
    456: "это видно только участникам группы; примите в неё владельца токена",
    457: "это закрыто для владельца токена",
    458: "это закрыто настройками приватности",
}
_GONE = {140, 141, 300, 700, 702}


def signature(params: Mapping[str, str], secret: str) -> str:
    """`sig` of `params` (without the token and the session key)."""
    joined = "".join(f"{k}={params[k]}" for k in sorted(params) if k not in ("sig", "access_token", "session_key"))
    return _md5(joined + secret)


def session_secret(token: str, application_secret: str) -> str:
    return _md5(token + application_secret)


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def as_error(code: int, message: str, method: str) -> CollectError | Retry:
    """An error number of Odnoklassniki -> what it means for us. `message` is theirs, cleaned and cut."""
    if code in _LATER:
        return Retry(f"код {code}: {_LATER[code]}", code=code)
    if code in _LIMITED:
        return Retry(f"код {code}: {_LIMITED[code]}", after=20.0, limited=True, code=code)
    if code in _UNAUTHORISED:
        return Unauthorised(f"{_UNAUTHORISED[code]} (код {code}, {method})", code=code)
    if code in _STOPPED:
        return Blocked(f"{_STOPPED[code]} (код {code}); сбор продолжится после этого", code=code, page_wide=True)
    if code in _DENIED:
        return Blocked(f"{_DENIED[code]} (код {code}, {method})", code=code, page_wide=code == 456)
    if code in _GONE:
        return Gone(f"такого больше нет (код {code}, {method})", code=code)
    text = scrub(" ".join(clean(message).split()))[:200] or "без пояснения"
    return CollectError(f"Одноклассники ответили ошибкой {code} на {method}: {text}", code=code)


class OkClient:
    """One token, the application's key, and one of the two secrets."""

    def __init__(self, config: OkNetwork, manners: Manners) -> None:
        self.api = JsonApi(manners, "Одноклассники")
        self._token = manners.token()
        if config.application_key is None:
            raise SecretError("networks.ok: нужен application_key, публичный ключ приложения (docs/ru/ok-token.md)")
        self._key = config.application_key
        if config.session_secret_key is not None:
            self._secret = config.session_secret_key.reveal()
        elif config.application_secret_key is not None:
            self._secret = session_secret(self._token, config.application_secret_key.reveal())
            remember_secret(self._secret)
        else:
            raise SecretError("networks.ok: нужен session_secret_key, секретный ключ сессии (docs/ru/ok-token.md)")

    def call(self, method: str, good: Callable[[Any], bool], *, tries: int | None = None, **params: Any) -> Any:
        """The answer of a method. `good`: is it one at all? Else nonsense would pass for "nothing there".

        Parameters that are None are left out; an error comes with HTTP 200 and its number in the body.
        """
        form = {k: str(v) for k, v in params.items() if v is not None}
        form |= {"application_key": self._key, "format": "json", "method": method, "__online": "false"}
        form["sig"] = signature(form, self._secret)
        form["access_token"] = self._token

        def read(status: int, data: Any) -> Any:
            if isinstance(data, dict) and "error_code" in data:
                code = data["error_code"]
                number = code if isinstance(code, int) else int(code) if str(code).isdecimal() else 0
                raise as_error(number, str(data.get("error_msg") or ""), method)
            if status >= 400 or data is None:
                raise Retry(f"HTTP {status}" if status >= 400 else "ответ пуст", code=str(status))
            if not good(data):
                raise Retry("ответ не похож на ответ Одноклассников")
            return data

        return self.api.ask("fb.do", read, form=form, what=method, tries=tries)


def has(key: str) -> Callable[[Any], bool]:
    """The list `key`, or an answer that says by its paging marks that it is empty."""

    def good(data: Any) -> bool:
        if not isinstance(data, dict):
            return False
        if key in data:
            return isinstance(data[key], list)
        return data.get("has_more", data.get("hasMore")) is False

    return good


def listed(data: Any) -> bool:
    return isinstance(data, list)


def scalar(data: Any) -> bool:
    return isinstance(data, str | int) and not isinstance(data, bool)


def discussion(data: Any) -> bool:
    """A discussion, or `{}` when there is none."""
    return isinstance(data, dict) and (data == {} or isinstance(data.get("discussion"), dict))
