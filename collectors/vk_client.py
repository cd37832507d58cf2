"""Calls to the VK API: vk_api with our session, VK's error codes as our errors, many calls in one `execute`.

Only this module sees vk_api. It switches off what vk_api would do by itself (sleeping, repeating without end, asking
about a captcha): turns, repetition and patience are `Manners`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from collectors.contract import Blocked, CollectError, Gone, RateLimited, Unauthorised, Unavailable
from collectors.manners import Manners, Retry
from collectors.transport import TooBig, requests_session
from collectors.vk_items import clean, mapping, rows, whole
from settings import scrub

log = logging.getLogger("otklik.vk")

VERSION = "5.199"
BATCH = 25  # calls that one `execute` takes
Call = tuple[str, Mapping[str, Any]]

_LATER = {
    1: "неизвестная ошибка на стороне ВКонтакте",
    6: "слишком много запросов в секунду",
    9: "слишком много однотипных запросов",
    10: "внутренняя ошибка ВКонтакте",
    29: "исчерпан дневной предел запросов",
    32: "ВКонтакте просит подождать",
    36: "ВКонтакте не успела ответить",
    43: "этот раздел ВКонтакте временно недоступен",
    223: "слишком много комментариев подряд",
}
_LIMITS = {6, 9, 29, 223}
_PAUSES = {6: 1.0, 9: 20.0, 29: 30.0, 32: 2.0, 223: 20.0}

_TOKEN = "получите новый токен и впишите его в настройки (как: docs/ru/vk-token.md)"
_UNAUTHORISED = {
    2: "приложение ВКонтакте выключено; включите его на vk.com/apps?act=manage",
    5: f"токен ВКонтакте не действует; {_TOKEN}",
    17: "ВКонтакте просит подтвердить вход; войдите на vk.com под владельцем токена, подтвердите вход и получите новый "
    "токен",
    23: "метод ВКонтакте отключён; обновите otklik или сообщите разработчикам",
    27: "с ключом сообщества ВКонтакте это прочесть не даёт; нужен токен пользователя, который управляет страницей, "
    "или сервисный ключ приложения",
    28: "с сервисным ключом ВКонтакте это прочесть не даёт; нужен токен пользователя, который управляет страницей",
    38: f"приложения, которому выдан токен, больше нет; {_TOKEN}",
    24: f"ВКонтакте требует подтвердить вход; {_TOKEN}",
    25: f"ВКонтакте требует подтвердить токен; {_TOKEN}",
    42: "приложению запрещён доступ с этого адреса; разрешите его в настройках приложения ВКонтакте",
    **dict.fromkeys((4, 16, 1114, 1116, 1117, 1118, 3609), f"токен ВКонтакте больше не действует; {_TOKEN}"),
    **dict.fromkeys((3301, 3302, 3303, 3304, 11500), f"ВКонтакте требует подтвердить вход; {_TOKEN}"),
    **dict.fromkeys((3610, 3611), f"владелец токена удалён или заблокирован; {_TOKEN}"),
}
_BLOCKED = {
    7: "у токена нет права это читать; добавьте права wall, groups, photos, video",
    15: "доступ закрыт; проверьте, что страница открыта и владелец токена может её читать",
    18: "страница удалена или заблокирована",
    19: "ВКонтакте заблокировала содержимое страницы",
    30: "профиль закрыт; владелец токена должен быть у него в друзьях",
    37: "страница заблокирована",
    200: "альбом закрыт для владельца токена",
    203: "сообщество закрыто для владельца токена; примите его в сообщество",
    204: "видео закрыто для владельца токена",
    210: "запись закрыта для владельца токена",
    211: "комментарии закрыты для владельца токена",
    212: "комментарии к этой записи закрыты для владельца токена",
    213: "комментировать здесь нельзя: комментарии закрыты или владелец токена не допущен",
    222: "ссылки в комментариях здесь запрещены",
    801: "комментарии к этому видео закрыты",
}
_GONE = {104: "такого больше нет", 40: "такого сообщества нет", 39: "такого пользователя нет"}
_FATAL = {
    3: "ВКонтакте не знает такого метода",
    8: "ВКонтакте не поняла запрос",
    100: "ВКонтакте не приняла параметр запроса",
    113: "ВКонтакте не знает такого пользователя",
    125: "ВКонтакте не знает такого сообщества",
}
CAPTCHA = (
    "ВКонтакте просит ввести капчу; войдите на vk.com под владельцем токена, пройдите проверку и запустите сбор снова"
)
_CAPTCHA = {14, 3300}
NO_EXECUTE = frozenset({3, 7, 15, 20, 23, 27, 28})
"""Errors of `execute` itself after which this token never gets another try of it."""


def as_error(code: int, message: str = "", method: str = "") -> CollectError | Retry:
    """VK's error code -> what it means for us. `message` is VK's own text, cleaned and cut."""
    if code in _LATER:
        return Retry(f"код {code}: {_LATER[code]}", after=_PAUSES.get(code), limited=code in _LIMITS, code=code)
    if code in _CAPTCHA:
        return Blocked(CAPTCHA, code=code, page_wide=True)
    for known, kind in ((_UNAUTHORISED, Unauthorised), (_BLOCKED, Blocked), (_GONE, Gone), (_FATAL, CollectError)):
        if code in known:
            at = f"код {code}, {method}" if method else f"код {code}"
            return kind(f"{known[code]} ({at})", code=code)
    text = scrub(" ".join(clean(message).split()))[:200] or "без пояснения"
    return CollectError(f"ВКонтакте ответила ошибкой {code} на {method or 'запрос'}: {text}", code=code)


_LISTS = frozenset(
    {
        "wall.get",
        "wall.getComments",
        "photos.get",
        "photos.getAlbums",
        "photos.getComments",
        "video.get",
        "video.getComments",
        "board.getTopics",
        "board.getComments",
    }
)


def _shaped(method: str, response: Any) -> bool:
    """A list has its items and its count: without them nonsense would pass for "nothing there"."""
    if method not in _LISTS:
        return response is not None
    if not isinstance(response, dict):
        return False
    return isinstance(response.get("items"), list) and whole(response.get("count")) is not None


class VkClient:
    """One token. `call` one method, `many` several at the price of one where the token may use `execute`."""

    def __init__(self, manners: Manners) -> None:
        from jconfig.memory import MemoryConfig
        from vk_api import VkApi

        if manners.gate is None:
            raise ValueError("VkClient needs manners with a gate")
        self._manners = manners
        session = requests_session(manners.gate)
        manners.on_close(session.close)
        self._vk = VkApi(token=manners.token(), session=session, api_version=VERSION, config=MemoryConfig)
        self._vk.RPS_DELAY = 0
        self._vk.error_handlers = {}
        self._vk.logger.disabled = True  # it would log what we scrub
        self.may_execute = True

    def call(self, method: str, **params: Any) -> Any:
        """The `response` of a method. Raises the errors of the contract, after the repetition they deserve."""
        return self._manners.call(lambda: self._send(method, params)["response"], what=method)

    def server_time(self) -> datetime:
        """VK's clock."""
        seconds = whole(self.call("utils.getServerTime"))
        if not seconds or not 0 < seconds < 2**40:
            raise Unavailable("ВКонтакте не сказала время; повторите позже")
        return datetime.fromtimestamp(seconds, UTC)

    def _send(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        import requests
        from vk_api.exceptions import ApiError, Captcha, VkApiError

        try:
            answer = self._vk.method(method, dict(params), raw=True)
        except ApiError as e:
            raise as_error(whole(e.code) or 0, mapping(e.error).get("error_msg", ""), method) from None
        except Captcha:
            raise as_error(14) from None
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as e:
            raise Retry(f"ответ не похож на ответ ВКонтакте ({type(e).__name__})") from None
        except (VkApiError, requests.RequestException) as e:
            raise Retry(f"запрос не удался ({type(e).__name__})") from None
        if not isinstance(answer, dict) or not _shaped(method, answer.get("response")):
            raise Retry("ответ не похож на ответ ВКонтакте")
        return answer

    def many(self, calls: Sequence[Call]) -> Iterator[Any | CollectError]:
        """For each call, in order, its `response` or the error it ends with (as a value, not raised).

        Raises what stops everything: `Unauthorised` (except a method this kind of token can't use), `RateLimited`,
        a captcha, a stop.
        """
        for start in range(0, len(calls), BATCH):
            yield from self._batch(calls[start : start + BATCH])

    def _batch(self, calls: Sequence[Call]) -> Iterator[Any | CollectError]:
        if len(calls) == 1 or not self.may_execute:
            yield from map(self._alone, calls)
            return
        code = "return [" + ",".join(f"API.{m}({_script(p)})" for m, p in calls) + "];"
        try:
            answer = self._manners.call(lambda: self._send("execute", {"code": code}), what=f"execute[{len(calls)}]")
        except TooBig:
            yield from self._halves(calls)
            return
        except CollectError as e:
            if isinstance(e, RateLimited) or e.page_wide or e.code == "5":
                raise
            if e.code in ("12", "13"):  # cannot be compiled, answer too large
                yield from self._halves(calls)
                return
            if e.code is not None and int(e.code) in NO_EXECUTE:
                self.may_execute = False
                log.info("execute is not for this token (code %s): calls go one by one", e.code)
            first = self._alone(calls[0])
            if isinstance(e, Unavailable) and isinstance(first, Unavailable):
                raise first from None  # not execute alone: the network is down
            yield first
            yield from map(self._alone, calls[1:])
            return
        yield from self._sort_out(calls, answer)

    def _halves(self, calls: Sequence[Call]) -> Iterator[Any | CollectError]:
        middle = len(calls) // 2
        yield from self._batch(calls[:middle])
        yield from self._batch(calls[middle:])

    def _sort_out(self, calls: Sequence[Call], answer: Mapping[str, Any]) -> Iterator[Any | CollectError]:
        """A call that failed inside `execute` gives false, and its error, in order, in `execute_errors`."""
        results = answer["response"]
        if not isinstance(results, list) or len(results) != len(calls):
            yield from map(self._alone, calls)
            return
        failed = [i for i, r in enumerate(results) if r is False or r is None]
        errors = rows(answer.get("execute_errors"))
        known = dict(zip(failed, errors, strict=True)) if len(errors) == len(failed) else {}
        for i, ((method, params), result) in enumerate(zip(calls, results, strict=True)):
            if i not in failed:
                yield result if _shaped(method, result) else self._alone((method, params))
                continue
            told = known.get(i, {})
            code = whole(told.get("error_code"))
            error = as_error(code, told.get("error_msg", ""), method) if code else None
            if error is None or isinstance(error, Retry) or error.page_wide or code == 5:
                yield self._alone((method, params))  # alone it gets its turns, or raises what stops everything
            else:
                yield error

    def _alone(self, call: Call) -> Any | CollectError:
        method, params = call
        try:
            return self.call(method, **params)
        except RateLimited:
            raise
        except Unauthorised as e:
            if e.code in ("27", "28"):
                return e
            raise
        except CollectError as e:
            if e.page_wide:
                raise
            return e


def _script(params: Mapping[str, Any]) -> str:
    """Parameters as a VKScript object: JSON, with lists as VK wants them."""
    return json.dumps({k: ",".join(map(str, v)) if isinstance(v, list | tuple) else v for k, v in params.items()})
