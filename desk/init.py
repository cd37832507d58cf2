"""`otklik init`: a first config.yaml, short, with the advice that belongs beside each key."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

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
  vk:
    token: "${{VK_TOKEN}}"             # ключ доступа VK

# posts и topics читает и сервисный ключ; для photos и videos нужен токен пользователя
pages:{pages}

alerts:
  head: []                           # кого известить о ЧП, адреса apprise: ["${{ALERT_TELEGRAM}}", "${{ALERT_MAIL}}"]
  escalate: []                       # кого ещё, когда никто не подтвердил
  escalate_after: 10m
"""


def write_config(path: Path, organisation: str, timezone: str, pages: Sequence[str], *, force: bool = False) -> None:
    """Write a configuration for VK pages; what stands there is replaced only with `force`.

    Raises ConfigError: the file exists, can't be written, or an answer is not acceptable.
    """
    listed = [p.strip() for p in pages if p.strip()]
    text = _TEMPLATE.format(
        name=_quoted(organisation),
        timezone=_quoted(timezone),
        pages="".join(f"\n  - {_page(_quoted(page))}" for page in listed)
        or f" []                            # - {_page(_quoted('https://vk.com/…'))}",
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


def _page(id_: str) -> str:
    return f"{{network: vk, id: {id_}, owner: administration, include: [posts, topics]}}"


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar: JSON's is one."""
    return json.dumps(text, ensure_ascii=False)
