"""The working calendar: which minutes of which day the organisation works. Pure, apart from a cache of days.

A day is decided by, in this order: the district's own days (`desk.days`), the country's holidays with the days that the
government transferred (the `holidays` package), the hours of its weekday. Shortened days follow the law (Labour Code,
article 95, and the order on norms of working time): the working day before a public holiday ends an hour sooner; a
working Saturday takes over the length of the day off it was exchanged for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from settings import ConfigError, Settings, week_hours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holidays import HolidayBase

Span = tuple[datetime, datetime]
Minutes = tuple[tuple[int, int], ...]
_DAY = timedelta(days=1)
_WEEKDAYS = ("понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье")
# How the package names a day off that was exchanged for another day, and one that a holiday on a weekend gave.
_EXCHANGED = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})")
_OBSERVED = "(выходной)"


@dataclass(frozen=True, slots=True)
class Day:
    """One day: what it is (`working`, `short`, `off`), why (Russian), and its working intervals in UTC, in order."""

    date: date
    kind: str
    why: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the calendar is made of: plain values of the configuration.

    `week`: for Monday to Sunday the working intervals in minutes of the day. `country`: two letters or None. `off`,
    `working`, `short`: ISO dates or days of every year ("07-26").
    """

    zone: str
    week: tuple[Minutes, ...]
    country: str | None = "RU"
    off: frozenset[str] = frozenset()
    working: frozenset[str] = frozenset()
    short: frozenset[str] = frozenset()
    short_by: int = 60  # minutes


class Calendar:
    """Days by date; usable from several threads (a day made twice is the same day)."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.zone = ZoneInfo(rules.zone)
        self._days: dict[date, Day] = {}
        self._years: dict[int, _Year] = {}
        if not any(rules.week):
            raise ConfigError("desk.hours: в неделе нет ни одного рабочего часа; задайте рабочие часы")

    def day(self, of: date) -> Day:
        """The day at the local date `of`."""
        found = self._days.get(of)
        if found is None:
            found = self._days[of] = self._make(of)
        return found

    def date_of(self, at: datetime) -> date:
        """The local date of an aware time."""
        return at.astimezone(self.zone).date()

    def known(self, year: int) -> bool:
        """Whether the transferred days of `year` are known; before that only the fixed holidays are."""
        return self._year(year).known

    def _year(self, year: int) -> _Year:
        found = self._years.get(year)
        if found is None:
            found = self._years[year] = _year_of(self.rules.country, year)
        return found

    def _make(self, of: date) -> Day:
        kind, why, minutes = self._decide(of)
        return Day(of, kind, why, tuple(self._span(of, a, b) for a, b in minutes))

    def _decide(self, of: date) -> tuple[str, str, Minutes]:
        rules, year = self.rules, self._year(of.year)
        names = {of.isoformat(), of.isoformat()[5:]}
        usual = rules.week[of.weekday()]
        if names & rules.off:
            return "off", "нерабочий день района", ()
        if names & (rules.working | rules.short):
            full = usual or self._hours_of_a_working_day()
            if names & rules.short:
                return "short", "сокращённый день района", _shortened(full, rules.short_by)
            return "working", "рабочий день района", full
        if of in year.off:
            return "off", year.off[of], ()
        if of in year.working:
            instead_of = year.working[of]
            hours = usual or rules.week[instead_of.weekday()] or self._hours_of_a_working_day()
            why = f"рабочий день вместо {instead_of:%d.%m.%Y}"
            if self._before_holiday(instead_of):
                return "short", f"{why}, сокращённый", _shortened(hours, rules.short_by)
            return "working", why, hours
        if not usual:
            return "off", f"выходной ({_WEEKDAYS[of.weekday()]})", ()
        if self._before_holiday(of):
            return "short", "предпраздничный день", _shortened(usual, rules.short_by)
        return "working", _WEEKDAYS[of.weekday()], usual

    def _before_holiday(self, of: date) -> bool:
        if of == date.max:
            return False
        tomorrow = of + _DAY
        return tomorrow in self._year(tomorrow.year).holidays

    def _hours_of_a_working_day(self) -> Minutes:
        return next(hours for hours in self.rules.week if hours)

    def _span(self, of: date, start: int, end: int) -> Span:
        return self._local(of, start), self._local(of, end)

    def _local(self, of: date, minute: int) -> datetime:
        day, minute = divmod(minute, 24 * 60)
        at = datetime(of.year, of.month, of.day, *divmod(minute, 60), tzinfo=self.zone) + day * _DAY
        return at.astimezone(UTC)


def _shortened(minutes: Minutes, by: int) -> Minutes:
    """The intervals without their last `by` minutes."""
    left = list(minutes)
    while left and by > 0:
        start, end = left.pop()
        if end - start > by:
            left.append((start, end - by))
        by -= min(by, end - start)
    return tuple(left)


# --- public holidays --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Year:
    """One year of a country: days off with their names, holidays proper, working weekends with the day they stand for,
    and whether the government's transfers are in."""

    off: Mapping[date, str]
    holidays: frozenset[date]
    working: Mapping[date, date]
    known: bool


@lru_cache(maxsize=512)
def _year_of(country: str | None, year: int) -> _Year:
    if country is None:
        return _Year({}, frozenset(), {}, True)
    listed = _listed(country, year)
    off, holidays, working = {}, set(), {}
    for day, name in listed.items():
        if day.year != year:
            continue
        off[day] = name
        if exchanged := _EXCHANGED.search(name):
            gave = date(*map(int, reversed(exchanged.groups())))
            if gave in listed.weekend_workdays:
                working[gave] = day
        elif _OBSERVED not in name:
            holidays.add(day)
    known = not listed.has_substituted_holidays or year in listed.special_public_holidays
    if not known and country == "RU":
        _move_from_weekends(off, holidays)
    # Before a holiday the law of Russia shortens the day; other countries' laws are not known here.
    return _Year(off, frozenset(holidays) if country == "RU" else frozenset(), working, known)


def _listed(country: str, year: int) -> HolidayBase:
    import holidays

    try:
        return holidays.country_holidays(country, years=year, language="ru" if country == "RU" else None)
    except NotImplementedError:
        raise ConfigError(f"desk.holidays: праздники страны {country} не известны; укажите RU или «none»") from None


def _move_from_weekends(off: dict[date, str], holidays: set[date]) -> None:
    """Labour Code, article 112: a holiday on a weekend gives the next working day off, those of January excepted. An
    estimate for a year whose transfers are not decreed yet."""
    for day in sorted(holidays):
        if day.month > 1 and day.weekday() >= 5:
            free = day
            while free.weekday() >= 5 or free in off:
                free += _DAY
            off[free] = f"{off[day]} {_OBSERVED}"


# --- of the configuration ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _week(hours: str | tuple[tuple[str, str], ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    return week_hours(hours if isinstance(hours, str) else dict(hours))  # asked for every comment


def rules_of(settings: Settings) -> Rules:
    """The rules that the configuration states."""
    desk = settings.desk
    return Rules(
        zone=settings.organisation.timezone,
        week=_week(desk.hours if isinstance(desk.hours, str) else tuple(desk.hours.items())),
        country=None if desk.holidays == "none" else desk.holidays,
        off=frozenset(desk.days.off),
        working=frozenset(desk.days.working),
        short=frozenset(desk.days.short),
        short_by=round(desk.short_by / 60),
    )


@lru_cache(maxsize=8)
def _calendar(rules: Rules) -> Calendar:
    return Calendar(rules)


def calendar_of(settings: Settings) -> Calendar:
    """The organisation's calendar; one for all who ask with the same configuration."""
    return _calendar(rules_of(settings))
