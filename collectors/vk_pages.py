"""How a VK page may be called, and which page that is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from collectors.contract import Blocked, CollectError, Gone
from collectors.vk_client import VkClient
from collectors.vk_items import NETWORK, SITE, clean, mapping, rows, whole
from settings import ConfigError
from store.values import PageRef

if TYPE_CHECKING:
    from settings import Page as PageSettings

_HOSTS = {"vk.com", "vk.ru", "m.vk.com", "m.vk.ru", "www.vk.com", "www.vk.ru", "vkontakte.ru"}
_NUMBERED = re.compile(r"(club|public|event|id)(\d+)", re.IGNORECASE)
_SCREEN_NAME = re.compile(r"[A-Za-z0-9_.]{2,64}")
_LINKED = re.compile(r"(wall|photo|video|topic|board|album|albums|videos|photos)(-?\d+)(?:_\d+)?")


def resolve(client: VkClient, page: PageSettings) -> PageRef:
    """The page named by address, short name or number."""
    name = page_name(page.id)
    owner = owner_id(name)
    if owner is None:
        owner = _by_screen_name(client, name, page.id)
    title, screen = _describe(client, owner, page.id)
    return PageRef(
        network=NETWORK,
        id=str(owner),
        title=page.title or title,
        url=f"{SITE}{screen or (f'club{-owner}' if owner < 0 else f'id{owner}')}",
        owner=page.owner,
        include=tuple(page.include),
    )


def _by_screen_name(client: VkClient, name: str, given: str) -> int:
    missing = Gone(f"страницы ВКонтакте {clean(given)[:100]} нет; проверьте адрес в браузере", code=104)
    try:
        found = client.call("utils.resolveScreenName", screen_name=name)
    except Gone:
        raise missing from None
    number = whole(mapping(found).get("object_id")) or whole(mapping(found).get("group_id"))
    kind = mapping(found).get("type")
    if not number:
        raise missing
    if kind in ("group", "page", "event"):
        return -number
    if kind == "user":
        return number
    raise Gone(f"{clean(given)[:100]} во ВКонтакте не страница и не сообщество, а {clean(kind)[:40]}", code=104)


def _describe(client: VkClient, owner: int, given: str) -> tuple[str, str]:
    """(title, screen name) of a community or a person; Blocked when it is banned or deleted."""
    what = clean(given)[:100]
    try:
        if owner < 0:
            answer = client.call("groups.getById", group_id=-owner)
            found = rows(answer.get("groups")) if isinstance(answer, dict) else rows(answer)
        else:
            found = rows(client.call("users.get", user_ids=owner, fields="screen_name"))
    except CollectError as e:
        if e.code in ("100", "113", "125", "40", "39"):
            raise Gone(f"страницы ВКонтакте {what} нет; проверьте её номер", code=e.code) from None
        raise
    if not found:
        raise Gone(f"страницы ВКонтакте {what} нет; проверьте её номер", code=104)
    one = found[0]
    if one.get("deactivated"):
        raise Blocked(f"страница ВКонтакте {what} удалена или заблокирована", code=18, page_wide=True)
    name = " ".join(filter(None, (clean(one.get("first_name")), clean(one.get("last_name")))))
    return clean(one.get("name")) or name, clean(one.get("screen_name"))


def page_name(given: str) -> str:
    """The last part of an address, or the name itself: "https://m.vk.com/club1?w=wall-1_2" -> "club1"."""
    text = given.strip()
    if re.match(r"(?:https?:)?//", text) or re.match(r"[\w.]+\.(?:com|ru)/", text):
        parts = urlsplit(text if "//" in text else f"//{text}")
        if (parts.hostname or "") not in _HOSTS:
            raise ConfigError(f"{clean(text)[:100]} не адрес ВКонтакте; укажите адрес вида https://vk.com/имя")
        text = parts.path.strip("/").split("/")[0]
        if text.lower() in ("", "feed", "wall"):  # a post opened over something else
            text = (parse_qs(parts.query).get("w") or [""])[0]
    return text.lstrip("@").strip()


def owner_id(name: str) -> int | None:
    """ "club5", "public5", "event5", "-5", "5" -> -5; "id5" -> 5; None for a screen name; ConfigError for nonsense."""
    if m := _NUMBERED.fullmatch(name):
        return int(m[2]) if m[1].lower() == "id" else -int(m[2])
    if m := _LINKED.fullmatch(name):
        return -int(m[2]) if m[1] == "board" else int(m[2])
    if re.fullmatch(r"-?\d{1,18}", name):
        return -abs(int(name))
    if not _SCREEN_NAME.fullmatch(name):
        raise ConfigError(
            f"{clean(name)[:100] or 'пустой id'} не похоже на страницу ВКонтакте; укажите адрес, короткое имя или номер"
        )
    return None
