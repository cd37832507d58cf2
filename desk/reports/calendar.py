"""Months by the organisation's clock. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from settings import ConfigError

NAMES = (
    "январь", "февраль", "март", "апрель", "май", "июнь", "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь",
)  # fmt: skip
Month = tuple[int, int]


def parse_month(text: str) -> Month:
    """ "2026-11" -> (2026, 11). Raises ConfigError."""
    m = re.fullmatch(r"(\d{4})-(\d{2})", text.strip(), re.ASCII)
    if m is None or not 1 <= int(m[2]) <= 12 or not 2000 <= int(m[1]) <= 2200:
        raise ConfigError(f"{text[:30]} не месяц; напишите год и месяц, например 2026-11")
    return int(m[1]), int(m[2])


def month_of(at: datetime, zone: str) -> Month:
    local = at.astimezone(ZoneInfo(zone))
    return local.year, local.month


def back(month: Month, n: int) -> Month:
    """The month `n` months earlier."""
    years, left = divmod(month[0] * 12 + month[1] - 1 - n, 12)
    return years, left + 1


def bounds(month: Month, zone: str) -> tuple[datetime, datetime]:
    """The first instant of the month and the first one after it, in UTC."""
    first, after = (date(*m, 1) for m in (month, back(month, -1)))
    start, end = (datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(zone)).astimezone(UTC) for d in (first, after))
    return start, end


def name(month: Month) -> str:
    """ "ноябрь 2026"."""
    return f"{NAMES[month[1] - 1]} {month[0]}"


def short(month: Month) -> str:
    """ "11.2026"."""
    return f"{month[1]:02d}.{month[0]}"
