"""Calls to the Bot API. The token stands in the address, so no address is ever shown or logged.

Errors (https://core.telegram.org/bots/api#making-requests): `{"ok": false, "error_code", "description",
"parameters": {"retry_after" | "migrate_to_chat_id"}}`; the texts are Telegram's own and may change, the codes decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from collectors.contract import Blocked, CollectError, Declined, Gone, Unauthorised, Unavailable
from collectors.manners import Manners, Retry
from collectors.raw import clean, mapping, whole
from collectors.transport import get_json, http_client, is_json, judge_status
from settings import scrub

TOKEN = "получите новый у @BotFather и впишите его в настройки (как: docs/ru/telegram-token.md)"
WEBHOOK = (
    "у бота задан webhook: Telegram отдаёт сообщения другой программе, а не otklik (код 409); удалите его "
    "(otklik doctor покажет адрес, docs/ru/telegram-token.md — как) или заведите для otklik отдельного бота"
)
POLLED = (
    "сообщения этого бота прямо сейчас забирает другая программа (код 409); у otklik должен быть свой бот, "
    "которым больше никто не пользуется"
)
_CLOSED = ("not enough rights", "have no rights", "need administrator rights", "chat_write_forbidden", "is closed")


class Migrated(CollectError):
    """The group has become a supergroup and has a new number, `chat`."""

    def __init__(self, chat: int) -> None:
        super().__init__(f"группа получила новый номер {chat}", code=400)
        self.chat = chat


def as_error(code: int, description: str, parameters: Mapping[str, Any], method: str) -> CollectError | Retry:
    """Telegram's refusal -> what it means for us."""
    said = description.lower()
    wait = whole(parameters.get("retry_after"))
    at = f"(код {code}, {method})"
    if code == 429:
        return Retry("слишком много запросов", limited=True, after=float(min(wait or 1, 86400)), code=code)
    if code >= 500:
        return Retry(f"сбой на стороне Telegram, код {code}", after=float(wait) if wait else None, code=code)
    if (chat := whole(parameters.get("migrate_to_chat_id"))) is not None:
        return Migrated(chat)
    if code == 401 or (code == 404 and said in ("not found", "")):
        return Unauthorised(f"токен бота Telegram не действует; {TOKEN} {at}", code=code)
    if code == 403:
        return Unauthorised(f"бота нет в этом чате или он удалён из него; добавьте его снова {at}", code=code)
    if code == 409 and method == "getUpdates" and "webhook" not in said:  # another run of ours is soon done
        return Retry(POLLED, after=2.0, code=code)
    if code == 409:
        return CollectError(WEBHOOK if "webhook" in said else POLLED, code=code, page_wide=True)
    if code == 400 and "chat not found" in said:
        return Gone(f"Telegram не знает такого чата или бот его не видит; проверьте id и добавьте бота {at}", code=code)
    if code == 400 and ("message to be replied not found" in said or "replied message not found" in said):
        return Declined(f"сообщения, на которое отвечают, больше нет {at}", code=code)
    if code == 400 and any(words in said for words in _CLOSED):
        return Blocked(f"у бота нет права на это; дайте его в правах администратора группы {at}", code=code)
    text = scrub(" ".join(clean(description).split()))[:200] or "без пояснения"
    return CollectError(f"Telegram ответил ошибкой {code} на {method}: {text}", code=code)


def _judge(status: int, headers: Any) -> None:
    """Telegram says in JSON why it refuses; a refusal without JSON is somebody else's."""
    if not is_json(headers) or 300 <= status < 400:
        judge_status(status, headers)


class TelegramClient:
    """One bot."""

    def __init__(self, manners: Manners) -> None:
        if manners.gate is None:
            raise ValueError("TelegramClient needs manners with a gate")
        self._manners = manners
        self._gate = manners.gate
        self._client = http_client(manners.gate)
        manners.on_close(self._client.close)
        self._me: dict[str, Any] | None = None
        self._now: datetime | None = None

    @property
    def bot(self) -> str:
        """The bot's id; the token begins with it, and it stays when the token is renewed."""
        return self._manners.token().partition(":")[0]

    def call(self, method: str, **params: Any) -> Any:
        """The `result` of a method; raises the errors of the contract, after the repetition they deserve."""
        return self._manners.call(lambda: self._send(method, params), what=method)

    def call_once(self, method: str, **params: Any) -> Any:
        """As `call`, for what writes: repeated only after a refusal; when no proper answer came, `Unavailable`."""

        def send() -> Any:
            try:
                return self._send(method, params)
            except Retry as e:
                if str(e.code) == "429":
                    raise
                raise Unavailable(f"Telegram не подтвердил, что выполнил {method} ({e.reason})", code=e.code) from None

        return self._manners.call(send, what=method)

    def me(self) -> dict[str, Any]:
        """The bot itself (getMe), asked once."""
        if self._me is None:
            self._me = dict(mapping(self.call("getMe")))
        return self._me

    def chat(self, chat: int | str) -> Mapping[str, Any]:
        """One chat in full; of a group that has moved, the new one."""
        try:
            return mapping(self.call("getChat", chat_id=chat))
        except Migrated as e:
            return mapping(self.call("getChat", chat_id=e.chat))

    def now(self) -> datetime:
        """Telegram's clock as the last answer told it; asked for when nothing was said yet."""
        if self._now is None:
            self._me = None
            self.me()
        return self._now or datetime.now(UTC)

    def _send(self, method: str, params: Mapping[str, Any]) -> Any:
        # An absolute address: "bot123:…" alone would be read as one with a scheme.
        url = f"{self._gate.base}bot{self._manners.token()}/{method}"
        request = self._client.build_request("POST", url, json={k: v for k, v in params.items() if v is not None})
        _, headers, answer = get_json(self._client, self._gate, request, _judge)
        self._hear(headers)
        if isinstance(answer, dict) and answer.get("ok") is True and answer.get("result") is not None:
            return answer["result"]
        code = whole(answer.get("error_code")) if isinstance(answer, dict) and answer.get("ok") is False else None
        if code is None:
            raise Retry("ответ не похож на ответ Telegram")
        raise as_error(code, clean(answer.get("description")), mapping(answer.get("parameters")), method)

    def _hear(self, headers: Any) -> None:
        try:
            told = parsedate_to_datetime(headers.get("date") or "")
        except (ValueError, TypeError, OverflowError):
            return
        self._now = told if told.tzinfo else told.replace(tzinfo=UTC)
