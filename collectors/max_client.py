"""Calls to the MAX Bot API. The token goes into the header `Authorization`, as it is.

Errors (OpenAPI 0.0.32): an HTTP status and `{"code": "verify.token", "message": "…"}`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from collectors.contract import CollectError, Gone, Unauthorised, Unavailable
from collectors.json_api import JsonApi
from collectors.manners import Manners, Retry
from collectors.raw import clean, mapping, rows
from settings import ConfigError, os_problem, scrub

TOKEN = "получите новый на business.max.ru и впишите его в настройки (как: docs/ru/max-token.md)"
BATCH = 50  # ids that one call takes


def trust(ca_file: str | None) -> dict[str, Any]:
    """Options of the client: besides the usual authorities the one in `ca_file`, for this network alone."""
    if ca_file is None:
        return {}
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        raise ConfigError(
            f"networks.max.ca_file: {ca_file}: это не сертификат в формате PEM; скачайте его заново"
        ) from None
    except OSError as e:
        raise ConfigError(f"networks.max.ca_file: {ca_file} не читается ({os_problem(e)}); проверьте путь") from None
    return {"verify": context}


def as_error(status: int, data: Any, what: str) -> CollectError | Retry:
    """A refusal of MAX -> what it means for us."""
    told = mapping(data)
    code = clean(told.get("code")) or str(status)
    at = f"(код {code}, {what})"
    if status in (401, 403):
        if status == 401 or "token" in code:
            return Unauthorised(f"токен бота MAX не действует; {TOKEN} {at}", code=code)
        return Unauthorised(
            f"бот не администратор этого канала или ему не дано нужное право; дайте его в настройках канала {at}",
            code=code,
        )
    if status == 404:
        return Gone(f"в MAX такого больше нет или бот этого не видит {at}", code=code)
    text = scrub(" ".join(clean(told.get("message")).split()))[:200] or "без пояснения"
    return CollectError(f"MAX ответил ошибкой {status} на {what}: {text}", code=code)


class MaxClient(JsonApi):
    """One bot."""

    def __init__(self, manners: Manners, ca_file: str | None = None) -> None:
        super().__init__(manners, "MAX", **trust(ca_file))
        self._me: dict[str, Any] | None = None

    def get(self, path: str, what: str, key: str, **params: Any) -> dict[str, Any]:
        """An object that has `key`; raises the errors of the contract, after the repetition they deserve."""
        return self._call(path, what, key, params={k: v for k, v in params.items() if v is not None})

    def write(self, path: str, what: str, key: str, body: dict[str, Any], **params: Any) -> dict[str, Any]:
        """One request that is not repeated: `Unavailable` when no proper answer came."""
        return self._call(path, what, key, params=params, body=body, tries=1)

    def _call(self, path: str, what: str, key: str, **how: Any) -> dict[str, Any]:
        def read(status: int, data: Any) -> dict[str, Any]:
            if status >= 400:
                raise as_error(status, data, what)
            if not isinstance(data, dict) or data.get(key) is None:
                raise Retry("ответ не похож на ответ MAX")
            return data

        headers = {"Authorization": self.manners.token()}
        return self.ask(path, read, headers=headers, what=what, **how)

    def remove(self, chat: str, user: str) -> None:
        """Remove a member from a chat for good (`block`); doing it again does no harm."""
        what = "members.delete"

        def read(status: int, data: Any) -> None:
            if status >= 400:
                raise as_error(status, data, what)
            if not isinstance(data, dict) or not isinstance(data.get("success"), bool):
                raise Retry("ответ не похож на ответ MAX")
            if not data["success"]:
                text = scrub(" ".join(clean(data.get("message")).split()))[:200] or "без пояснения"
                raise CollectError(f"MAX отказал ({what}): {text}")

        headers = {"Authorization": self.manners.token()}
        asked = {"user_id": user, "block": "true"}
        self.ask(f"chats/{chat}/members", read, params=asked, headers=headers, verb="DELETE", what=what)

    def me(self) -> dict[str, Any]:
        """The bot itself, asked once."""
        if self._me is None:
            self._me = self.get("me", "me", "user_id")
        return self._me

    def now(self) -> datetime:
        def ask() -> None:
            self._me = None
            self.me()

        return self.server_time(ask)

    def messages(self, path: str, what: str, **params: Any) -> list[dict[str, Any]]:
        """The messages of one page of a list."""
        found = self.get(path, what, "messages", **params)["messages"]
        items = rows(found)
        if not isinstance(found, list) or len(items) != len(found):
            raise Unavailable(f"список от MAX не похож на список сообщений ({what}); повторите позже")
        return items

    def by_ids(self, path: str, what: str, key: str, ids: Sequence[str], **params: Any) -> Iterator[dict[str, Any]]:
        """Those of the named messages that are still there."""
        for start in range(0, len(ids), BATCH):
            yield from self._named(path, what, key, ids[start : start + BATCH], params)

    def _named(
        self, path: str, what: str, key: str, ids: Sequence[str], params: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """One that is gone may make the whole answer a 404 (unconfirmed): which one is found out."""
        try:
            return self.messages(path, what, **{key: ",".join(ids)}, **params)
        except Gone:
            half = len(ids) // 2
            parts = (ids[:half], ids[half:]) if half else ()
            return [m for some in parts for m in self._named(path, what, key, some, params)]
