"""Text from outside made harmless, and how times, lengths and words look to a Russian reader. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

# Escape sequences go as a whole, or their tails ("[31m") would stay as litter: CSI, OSC/DCS/APC strings, two-byte ones.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[PX\]^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_SUSPECT = re.compile(r"[^\u0020-\u007e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e]")
_BLANK = {"\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\u034f", "\u17b4", "\u17b5"}  # invisible, yet letters
_MARKS = 2  # combining marks kept on one letter: enough for any language, too few to flood neighbouring lines
_URL = re.compile(r"(?:\w{2,12}://|www\.)\S+", re.IGNORECASE)


def plain(text: Any, width: int | None = None, *, lines: bool = False) -> str:
    """`text` as something a terminal, a mail or a log line shows and never obeys.

    Control characters, escape sequences, direction overrides, zero-width and other invisible characters go; white
    space becomes one space each (`lines=True` keeps line breaks). `width`: cut to so many terminal cells, with "…".
    """
    text = "" if text is None else str(text)
    if _SUSPECT.search(text):
        text = _strip(text, lines)
    if lines:
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(" ".join(line.split()) for line in text.split("\n"))).strip()
    else:
        text = " ".join(text.split())
    return text if width is None else _cut(text, width)


def _strip(text: str, lines: bool) -> str:
    out: list[str] = []
    marks = 0
    for ch in _ESCAPE.sub("", text.replace("\r\n", "\n")):
        category = unicodedata.category(ch)
        if category == "Mn" or category == "Me":
            marks += 1
            if marks <= _MARKS and ch not in _BLANK:
                out.append(ch)
            continue
        marks = 0
        if ch in "\n\r\t\x0b\x0c\x85" or category in ("Zs", "Zl", "Zp"):
            out.append("\n" if lines and ch in "\n\r\x85\u2028\u2029" else " ")
        elif category == "Cs":
            out.append("\ufffd")
        elif category not in ("Cc", "Cf", "Co") and ch not in _BLANK and ord(ch) & 0xFFFE != 0xFFFE:
            out.append(ch)
    return "".join(out)


def _cut(text: str, width: int) -> str:
    if len(text) <= width and text.isascii():
        return text
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)).rstrip() + "…" if width > 0 else ""


def quoted(text: Any, width: int) -> str:
    """A resident's words inside a message to a person: besides `plain`, no link and no mention of it is live."""
    return plain(_URL.sub("[ссылка]", plain(text)).replace("@", "＠"), width)


def link(url: Any) -> str:
    """`url` when it is a web address in plain printable ASCII, else ""."""
    text = "" if url is None else str(url)
    return text if re.fullmatch(r"https?://[\x21-\x7e]{1,2000}", text) and not re.search(r"[<>\"'`\\]", text) else ""


# --- times -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def moment(value: Any) -> datetime | None:
    """An aware datetime from a datetime or an ISO 8601 text; None for None, nonsense and naive times."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


def when(value: Any, tz: str, *, empty: str = "—") -> str:
    """ "24.11.2026 21:15" in the zone `tz`."""
    at = moment(value)
    if at is None:
        return empty
    try:
        return at.astimezone(zone(tz)).strftime("%d.%m.%Y %H:%M")
    except (OverflowError, ValueError):
        return empty


def span(value: timedelta | float | None, *, empty: str = "—") -> str:
    """A length of time in words: "40 с", "12 мин", "3 ч 5 мин", "2 дн 4 ч"; seconds or a timedelta."""
    if value is None:
        return empty
    total = int(abs(value.total_seconds() if isinstance(value, timedelta) else value))
    if total < 60:
        return f"{total} с"
    minutes = total // 60
    if minutes < 60:
        return f"{minutes} мин"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} ч {minutes} мин" if minutes else f"{hours} ч"
    days, hours = divmod(hours, 24)
    return f"{days} дн {hours} ч" if hours else f"{days} дн"


def left(due: Any, now: datetime) -> str:
    """ "через 12 мин" or "опоздание 3 ч"; "—" without a deadline."""
    at = moment(due)
    if at is None:
        return "—"
    return f"через {span(at - now)}" if at >= now else f"опоздание {span(now - at)}"


def plural(n: int, one: str, few: str, many: str) -> str:
    """ "1 сообщение", "2 сообщения", "5 сообщений"."""
    tail = abs(n) % 100
    word = many if 10 < tail < 20 else one if tail % 10 == 1 else few if tail % 10 in (2, 3, 4) else many
    return f"{n} {word}"


_UNITS = {
    "s": ("секунда", "секунды", "секунд"),
    "m": ("минута", "минуты", "минут"),
    "h": ("час", "часа", "часов"),
    "d": ("день", "дня", "дней"),
    "wm": ("рабочая минута", "рабочие минуты", "рабочих минут"),
    "wh": ("рабочий час", "рабочих часа", "рабочих часов"),
    "wd": ("рабочий день", "рабочих дня", "рабочих дней"),
}


def term_words(term: str) -> str:
    """A term as the configuration writes it, in words: "3wh" is "3 рабочих часа"; what is none stays as it is."""
    found = re.fullmatch(r"\s*(\d+)\s*([a-z]+)\s*", term)
    return plural(int(found[1]), *_UNITS[found[2]]) if found and found[2] in _UNITS else plain(term)


NETWORKS = {
    "vk": "ВКонтакте",
    "ok": "Одноклассники",
    "instagram": "Instagram",
    "facebook": "Facebook",
    "x": "X",
    "telegram": "Telegram",
    "max": "MAX",
    "youtube": "YouTube",
    "rutube": "RUTUBE",
}
"""How each network is called when shown."""
