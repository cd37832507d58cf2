"""Answers from templates (`desk.templates` of the configuration): which fields there are and what stands in them. Pure.

Clauses 7.1 (acknowledgement), 7.8 (interim, with its term), 7.9 (extension), 7.12 (redirect).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from desk.lemmas import is_first_name
from desk.text import moment, plain, zone
from settings import TEMPLATE_FIELDS, ConfigError, Settings, template_fields

KINDS = ("acknowledgement", "interim", "final", "redirect", "extension")
MAX_VALUE = 16_000
_HOW = {
    "ответ": "--text «…» или --file ПУТЬ",
    "срок": "--until ДАТА или --condition «…»",
    "причина": "--set причина=…",
    "тема": "исправьте тему (queue correct) или --set тема=…",
    "место": "исправьте место (queue correct) или --set место=…",
    "орган": "--to ОРГАН",
}


def fields_of(
    message: Mapping[str, Any],
    settings: Settings,
    *,
    titles: Mapping[str, str] | None = None,
    until: datetime | None = None,
    condition: str | None = None,
    answer: str | None = None,
    body: str | None = None,
    reason: str | None = None,
) -> dict[str, str]:
    """The value of every field for this message; "" where there is none. `titles`: topic id -> its name."""
    name = first_name(message["author"]["name"])
    topic = message["topic"] or message["topic_group"]
    division = next((d.name or d.id for d in settings.divisions if d.id == message["division"]), "")
    return {
        "обращение": f"{name}, здравствуйте!" if name else "Здравствуйте!",
        "имя": name,
        "номер": str(message["id"]),
        "дата": day(message["published_at"], settings),
        "тема": plain((titles or {}).get(topic, "") if topic else ""),
        "место": ", ".join(dict.fromkeys(plain(p["name"]) for p in message["places"][:3])),
        "срок": term(until, condition, settings),
        "ответ": (answer or "").strip(),
        "причина": (reason or "").strip().rstrip("."),
        "орган": (body or "").strip().rstrip("."),
        "подразделение": division,
        "организация": settings.organisation.name,
    }


def fill(kind: str, fields: Mapping[str, str], settings: Settings, given: Mapping[str, str] | None = None) -> str:
    """The text of an answer of this kind. `given`: fields that a person has set. Raises ConfigError."""
    if kind not in KINDS:
        raise ConfigError(f"шаблона {kind[:40]} нет; есть {', '.join(KINDS)}")
    for name, value in (given or {}).items():
        if name not in TEMPLATE_FIELDS:
            raise ConfigError(f"--set: поля {name[:40]} нет; есть {', '.join(TEMPLATE_FIELDS)}")
        if len(value) > MAX_VALUE:
            raise ConfigError(f"--set {name}: длиннее {MAX_VALUE} знаков; сократите")
    values = {**fields, **(given or {})}
    template = getattr(settings.desk.templates, kind)
    for name in template_fields(template):
        if not values[name].strip():
            raise ConfigError(f"в шаблоне {kind} нужно поле {{{name}}}: {_HOW.get(name, f'--set {name}=…')}")
    text = re.sub(r"\{([^{}]*)\}", lambda m: values[m[1]].strip(), template)
    return _tidy(text)


def given(pairs: list[str]) -> dict[str, str]:
    """ "имя=Мария" -> {"имя": "Мария"}. Raises ConfigError."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise ConfigError(f"--set {pair[:40]}: пишется ПОЛЕ=ЗНАЧЕНИЕ, например --set место=Луткун")
        found[name.strip()] = value
    return found


def _tidy(text: str) -> str:
    """One full stop where a value brought its own: «… до пятницы.» + «.»."""
    return re.sub(r"([.!?…])\.(?=\s|$)", r"\1", text).strip()


def first_name(name: str | None) -> str:
    """The author's first name, "" where it can't be told: communities, nicknames and surnames are not spoken to."""
    first = (plain(name).split() or [""])[0]
    return first if re.fullmatch(r"[А-ЯЁ][а-яё]+(-[А-ЯЁ][а-яё]+)?", first) and is_first_name(first) else ""


def day(at: Any, settings: Settings) -> str:
    found = moment(at)
    return found.astimezone(zone(settings.organisation.timezone)).strftime("%d.%m.%Y") if found else ""


def term(until: Any, condition: str | None, settings: Settings) -> str:
    """ "до 27.11.2026", with the hour when it is today's matter; a condition as it was said; "" for neither."""
    found = moment(until)
    if found is not None:
        return f"до {found.astimezone(zone(settings.organisation.timezone)).strftime('%d.%m.%Y')}"
    return (condition or "").strip().rstrip(".")
