"""What `otklik doctor` tells of VK: the token and its kind, its rights, the clock, each page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from collectors.contract import Check, CollectError, RateLimited, Unauthorised, Unavailable
from collectors.vk_client import VkClient
from collectors.vk_items import clean, mapping, rows, whole
from store.values import PageRef

_RIGHTS = {"photos": 4, "video": 16, "wall": 8192, "groups": 262144}
"""Bits of account.getAppPermissions that reading needs (vk_api's VkUserPermissions says the same)."""
MAX_DRIFT = 60.0  # seconds our clock may differ from VK's


def check(client: VkClient, pages: Iterable[PageRef]) -> Iterator[Check]:
    """Token and its kind, rights, clock, then each page."""
    try:
        kind, rights = _token_kind(client)
    except CollectError as e:
        yield Check("токен ВКонтакте", False, str(e), "получите токен заново (README, «Токен ВКонтакте»)")
        return
    if kind == "group":
        yield Check(
            "токен ВКонтакте",
            False,
            "действует, но это ключ сообщества: комментарии он не читает",
            "нужен токен пользователя, который управляет страницей, или сервисный ключ приложения",
        )
    elif kind == "service":
        advice = "для фотографий и видео нужен токен пользователя; иначе уберите photos и videos из include"
        yield Check("токен ВКонтакте", True, "сервисный ключ: читает стену и обсуждения, по одному запросу", advice)
    else:
        yield Check("токен ВКонтакте", True, "токен пользователя")
    yield from _check_rights(client, kind, rights)
    yield _check_clock(client)
    for page in pages:
        yield _check_page(client, page)


def _token_kind(client: VkClient) -> tuple[str, list[str] | None]:
    """("group" | "service" | "user", names of its rights or None); raises when the token is no good."""
    try:
        answer = client.call("groups.getTokenPermissions")
        return "group", [clean(r.get("name")) for r in rows(mapping(answer).get("permissions"))]
    except CollectError as e:
        if isinstance(e, RateLimited | Unavailable) or e.page_wide:
            raise
        # Not a community's: whatever the code was, the next question tells the rest.
    try:
        client.call("execute", code="return 1;")
    except CollectError as e:
        if e.code == "28":
            return "service", None
        raise
    return "user", None


def _check_rights(client: VkClient, kind: str, rights: list[str] | None) -> Iterator[Check]:
    name = "права токена"
    if kind == "service":
        return
    if kind == "group":
        yield Check(name, None, ", ".join(rights or ()) or "прав нет")
        return
    try:
        mask = whole(client.call("account.getAppPermissions"))
    except CollectError as e:
        if isinstance(e, Unauthorised | RateLimited) or e.page_wide:
            raise
        mask = None
    if mask is None:
        yield Check(name, None, "ВКонтакте не сказала, какие права у токена")
        return
    missing = [right for right, bit in _RIGHTS.items() if not mask & bit]
    if missing:
        yield Check(name, False, f"нет прав: {', '.join(missing)}", "получите токен с этими правами")
    else:
        yield Check(name, True, ", ".join(_RIGHTS))


def _check_clock(client: VkClient) -> Check:
    try:
        drift = (datetime.now(UTC) - client.server_time()).total_seconds()
    except CollectError as e:
        return Check("часы", None, str(e))
    ok = abs(drift) < MAX_DRIFT
    return Check(
        "часы", ok, f"расхождение с ВКонтакте {drift:+.0f} с", "" if ok else "включите синхронизацию времени (NTP)"
    )


def _check_page(client: VkClient, page: PageRef) -> Check:
    name = f"страница {page.title or page.id}"
    try:
        answer = mapping(client.call("wall.get", owner_id=int(page.id), filter="all", count=1))
    except CollectError as e:
        return Check(name, False, str(e), "откройте страницу в браузере под владельцем токена")
    return Check(name, True, f"{page.url or page.id}, записей на стене: {whole(answer.get('count')) or 0}")
