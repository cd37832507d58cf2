"""Terms that a Russian text names: dates, days of the week, spans. Pure."""

from __future__ import annotations

import re
from datetime import date

_MONTHS = (
    "январ",
    "феврал",
    "март",
    "апрел",
    "ма[йяе]",
    "июн",
    "июл",
    "август",
    "сентябр",
    "октябр",
    "ноябр",
    "декабр",
)
_NUMERIC = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})(?:\.(20\d\d|\d\d))?(?!\d)")
_WORDY = re.compile(rf"\b(\d{{1,2}})\s+({'|'.join(_MONTHS)})[а-я]*(?:\s+(20\d\d))?", re.IGNORECASE)
_LOOSE = re.compile(
    r"\b(?:сегодня|завтра|послезавтра|понедельник|вторник|сред[уыае]|четверг|пятниц|суббот|воскресень)"
    r"|\bв течение\s+\S+(?:\s+\S+){0,3}\s*(?:минут|час|дн|сут|недел|месяц)"
    r"|\b(?:до|к|не позднее)\s+(?:конц|середин|начал|вечер|утр|обед)[а-я]*"
    r"|\b(?:до|к)\s+\d{1,2}[:.]\d\d\b|\b(?:до|к)\s+\d{1,2}\s+час"
    r"|\bчерез\s+(?:\S+\s+){0,3}(?:минут|час|дн|ден|сут|недел|месяц)"
    r"|\bна\s+(?:этой|следующей|будущей)\s+неделе|\bв\s+(?:этом|следующем|будущем)\s+(?:месяце|году|квартале)"
    rf"|\b(?:в|до|к|конц[аеу]|начал[аоеу]|середин[аеуы])\s+(?:{'|'.join(_MONTHS)})[а-я]*",
    re.IGNORECASE,
)


def dates(text: str) -> list[tuple[int, int, int | None]]:
    """(day, month, year or None) of every date in the text that can be one."""
    found = [
        (int(d), int(m), int(y) if y and len(y) == 4 else 2000 + int(y) if y else None)
        for d, m, y in _NUMERIC.findall(text)
    ]
    for d, name, y in _WORDY.findall(text):
        month = next(i for i, stem in enumerate(_MONTHS, 1) if re.match(stem, name, re.IGNORECASE))
        found.append((int(d), month, int(y) if y else None))
    return [f for f in found if 1 <= f[0] <= 31 and 1 <= f[1] <= 12]


def names_term(text: str) -> bool:
    """Whether the text says when, in any way."""
    return bool(dates(text) or _LOOSE.search(text))


def names(text: str, day: date) -> bool:
    """Whether one of the text's dates is this day."""
    return any((d, m) == (day.day, day.month) and y in (None, day.year) for d, m, y in dates(text))
