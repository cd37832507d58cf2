"""`otklik init`: a first config.yaml, short, with the advice that belongs beside each key."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from settings import ConfigError, os_problem, parse

_TEMPLATE = """\
# Настройки otklik. Секреты пишутся как ${{ИМЯ}}: значение берётся из переменной окружения ИМЯ или из файла,
# путь к которому стоит в переменной ИМЯ_FILE. Сроки: 30s, 10m, 2h, 30d; рабочие часы и дни: 3wh, 2wd.

organisation:
  name: {name}
  timezone: {timezone}
  # district: "…"                    # район: помогает различать одноимённые места

store:
  url: "sqlite:///otklik.db"         # или postgresql+psycopg://otklik:${{DB_PASSWORD}}@host/otklik

networks:
{networks}
# VK: posts и topics читает и сервисный ключ; для photos и videos нужен токен пользователя
pages:{pages}

alerts:
  head: []                           # кого известить о ЧП, адреса apprise: ["${{ALERT_TELEGRAM}}", "${{ALERT_MAIL}}"]
  escalate: []                       # кого ещё, когда никто не подтвердил
  escalate_after: 10m
"""


_HOSTS = {
    "vk.com": "vk",
    "vk.ru": "vk",
    "vkvideo.ru": "vk",
    "ok.ru": "ok",
    "t.me": "telegram",
    "telegram.me": "telegram",
    "max.ru": "max",
    "youtube.com": "youtube",
    "youtu.be": "youtube",
    "rutube.ru": "rutube",
    "facebook.com": "facebook",
    "fb.com": "facebook",
    "instagram.com": "instagram",
    "x.com": "x",
    "twitter.com": "x",
}
_MORE = {
    "ok": """\
    # application_key: …              # публичный ключ приложения
    session_secret_key: "${OK_SESSION_SECRET_KEY}"
""",
    "rutube": """\
    agreed: false                      # true: читать RuTube так, как его показывает сайт (docs/ru/rutube.md)
""",
}


def network_of(page: str) -> str:
    """The network of a page by its address; a number or a short name without one is VK's. ConfigError for an address of
    no network that we know, and for what is no name of a page."""
    text = page.strip()
    if "/" in text:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    else:
        host = text.lower() if text.lower() in _HOSTS else ""
    if host:
        found = next((name for end, name in _HOSTS.items() if host == end or host.endswith(f".{end}")), None)
        if found is None:
            known = ", ".join(dict.fromkeys(_HOSTS))
            raise ConfigError(f"{text[:80]}: адрес ни одной из знакомых сетей ({known}); укажите страницу в соцсети")
        if "/" not in text or not urlsplit(text if "//" in text else f"//{text}").path.strip("/"):
            raise ConfigError(f"{text[:80]}: это адрес самой сети; укажите адрес страницы в ней")
        return found
    if not re.fullmatch(r"[^\s/А-Яа-яЁё]{1,200}", text):
        raise ConfigError(
            f"{text[:80] or 'пусто'}: не похоже на страницу; укажите её адрес (https://vk.com/…) или, для ВКонтакте, "
            "короткое имя или номер"
        )
    return "vk"


def write_config(
    path: Path, organisation: str, timezone: str, pages: Sequence[str], *, force: bool = False
) -> list[str]:
    """Write a configuration for these pages; what stands there is replaced only with `force`.

    Returns the names of the secrets that it needs. Raises ConfigError: the file exists, can't be written, or an answer
    is not acceptable.
    """
    try:
        listed = [(network_of(p), p.strip()) for p in pages if p.strip()]
    except ValueError:
        raise ConfigError(
            "одна из страниц не похожа на адрес; укажите её так, как она открывается в браузере"
        ) from None
    named = sorted({network for network, _ in listed} or {"vk"}, key=list(_HOSTS.values()).index)
    sections = {n: _section(n) for n in named}
    text = _TEMPLATE.format(
        name=_quoted(organisation),
        timezone=_quoted(timezone),
        networks="".join(sections.values()),
        pages="".join(f"\n  - {_page(network, page)}" for network, page in listed)
        or f" []                            # - {_page('vk', 'https://vk.com/…')}",
    )
    parse(text, path.name)  # a bad answer is told before anything is written
    if path.exists() and not force:
        raise ConfigError(f"{path}: файл уже есть; укажите другое имя или --force")
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as e:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise ConfigError(f"{path}: файл не записывается ({os_problem(e)}); проверьте путь и права") from None
    return re.findall(r"\$\{(\w+)\}", "".join(sections.values()))


def _section(network: str) -> str:
    token = f'    token: "${{{network.upper()}_TOKEN}}"' + f"             # docs/ru/{network}-token.md\n"
    token = '    token: "${VK_TOKEN}"             # ключ доступа VK\n' if network == "vk" else token
    return f"  {network}:\n{'' if network == 'rutube' else token}{_MORE.get(network, '')}"


def _page(network: str, page: str) -> str:
    include = ", include: [posts, topics]" if network == "vk" else ""
    return f"{{network: {network}, id: {_quoted(page)}, owner: administration{include}}}"


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar: JSON's is one."""
    return json.dumps(text, ensure_ascii=False)
