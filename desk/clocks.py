"""Working time: when a term ends, how much of it has run, and the account of every interval. Pure functions.

A term is written as in the configuration:

- `30m`, `1h`, `30d`: plain time, day and night;
- `30wm`, `3wh`: working minutes and hours; they stand still outside working time;
- `2wd`: working days. The day on which the clock starts is not counted, and the term ends with the working time of the
  last day counted (Civil Code, articles 191 and 194; docs/decisions/0007).

All times are aware; results are in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from desk.calendar import Calendar, Day
from settings import OtklikError

_DAY = timedelta(days=1)
_NOTHING = timedelta()
_PLAIN = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_WORKING = {"wm": timedelta(minutes=1), "wh": timedelta(hours=1)}
_IDLE_DAYS = 366
"""So many days on end without a working minute: the calendar is wrong, not the term long."""


class NoWorkingTime(OtklikError):
    """The calendar has no working time where a term would have to run."""


@dataclass(frozen=True, slots=True)
class Term:
    """A term taken apart: `plain` time, or `working` time, or working `days`; the others are None."""

    text: str
    plain: timedelta | None = None
    working: timedelta | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of the account. `counted`: the clock ran; `why`: what kind of time it was (Russian)."""

    start: datetime
    end: datetime
    counted: bool
    why: str

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@lru_cache(maxsize=256)
def term(text: str) -> Term:
    """ "3wh" -> Term. ValueError when it is none (the configuration has checked its own)."""
    text = text.strip()
    number = text.rstrip("smhdw").strip()
    unit = text[len(number) :].strip()
    amount = float(number)
    if unit in _PLAIN:
        return Term(text, plain=amount * _PLAIN[unit])
    if unit in _WORKING:
        return Term(text, working=amount * _WORKING[unit])
    if unit == "wd" and amount.is_integer():
        return Term(text, days=int(amount))
    raise ValueError(f"not a term: {text}")


# --- when a term ends -------------------------------------------------------------------------------------------------


def due(start: datetime, length: Term, calendar: Calendar) -> datetime:
    """When a term that starts at `start` ends.

    Working time that ends exactly with an interval ends there, not at the beginning of the next one. Raises
    `NoWorkingTime` when the calendar has no such time, OverflowError beyond the year 9999.
    """
    start = start.astimezone(UTC)
    if length.plain is not None:
        return start + length.plain
    if length.days is not None:
        return _days_later(start, length.days, calendar)
    left = length.working
    if left is None or left <= _NOTHING:
        return start
    for day in _days_from(calendar.date_of(start), calendar):
        for begin, end in day.spans:
            begin = max(begin, start)
            if begin >= end:
                continue
            if end - begin >= left:
                return begin + left
            left -= end - begin
    raise AssertionError("unreachable")


def before(end: datetime, length: Term, calendar: Calendar) -> datetime:
    """The latest time from which the term `length` still fits before `end`: the mirror of `due`.

    With working days: the end of working time so many working days before the day of `end`.
    """
    end = end.astimezone(UTC)
    if length.plain is not None:
        return end - length.plain
    if length.days is not None:
        return end if length.days == 0 else _days_before(end, length.days, calendar)
    left = length.working
    if left is None or left <= _NOTHING:
        return end
    for day in _days_from(calendar.date_of(end), calendar, step=-1):
        for begin, until in reversed(day.spans):
            until = min(until, end)
            if begin >= until:
                continue
            if until - begin >= left:
                return until - left
            left -= until - begin
    raise AssertionError("unreachable")


def _days_later(start: datetime, days: int, calendar: Calendar) -> datetime:
    if days == 0:
        return start
    for day in _days_from(calendar.date_of(start) + _DAY, calendar):
        if day.spans:
            days -= 1
            if days == 0:
                return day.spans[-1][1]
    raise AssertionError("unreachable")


def _days_before(end: datetime, days: int, calendar: Calendar) -> datetime:
    for day in _days_from(calendar.date_of(end) - _DAY, calendar, step=-1):
        if day.spans:
            days -= 1
            if days == 0:
                return day.spans[-1][1]
    raise AssertionError("unreachable")


def _days_from(first: date, calendar: Calendar, step: int = 1) -> Iterator[Day]:
    """Days one after another, for as long as there is working time among them."""
    idle = 0
    at = first
    while idle <= _IDLE_DAYS:
        day = calendar.day(at)
        idle = 0 if day.spans else idle + 1
        yield day
        at += step * _DAY
    raise NoWorkingTime("в календаре больше года нет рабочих дней; проверьте desk.hours и desk.days")


# --- how much has run -------------------------------------------------------------------------------------------------


def worked(start: datetime, end: datetime, calendar: Calendar) -> timedelta:
    """Working time between two times; nothing when `end` is not after `start`."""
    total = _NOTHING
    for begin, until in _spans(start, end, calendar):
        total += until - begin
    return total


def _spans(start: datetime, end: datetime, calendar: Calendar) -> Iterator[tuple[datetime, datetime]]:
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    at, last = calendar.date_of(start), calendar.date_of(end)
    while at <= last:
        for begin, until in calendar.day(at).spans:
            begin, until = max(begin, start), min(until, end)
            if begin < until:
                yield begin, until
        at += _DAY


def explain(start: datetime, end: datetime, length: Term, calendar: Calendar) -> list[Interval]:
    """Every interval between two times, without gaps, and whether a clock of this term ran in it.

    Working days count whole, from the day after `start`; plain time always runs.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    found: list[Interval] = []
    if start >= end:
        return found
    if length.plain is not None:
        return [Interval(start, end, True, "обычное время, круглосуточно")]
    first = at = calendar.date_of(start)
    last = calendar.date_of(end)
    n = 0
    while at <= last:
        day = calendar.day(at)
        counts = length.days is None or at > first
        why = day.why
        if length.days is not None and day.spans:
            n += at > first
            why = f"{day.why}, рабочий день {n}" if at > first else f"{day.why}, день начала не считается"
        for begin, until, what in _pieces(day, calendar, why):
            begin, until = max(begin, start), min(until, end)
            if begin < until:
                found.append(Interval(begin, until, counts and what is None, what or why))
        at += _DAY
    return _joined(found)


def _pieces(day: Day, calendar: Calendar, why: str) -> Iterator[tuple[datetime, datetime, str | None]]:
    """The whole day from midnight to midnight; the third is None in working time, else what it is."""
    midnight = datetime(day.date.year, day.date.month, day.date.day, tzinfo=calendar.zone)
    begin, end = midnight.astimezone(UTC), (midnight + _DAY).astimezone(UTC)
    if not day.spans:
        yield begin, end, why
        return
    at, gap = begin, "вне рабочих часов"
    for a, b in day.spans:
        yield at, a, gap
        yield a, b, None
        at, gap = b, "перерыв"
    yield at, end, "вне рабочих часов"


def _joined(intervals: list[Interval]) -> list[Interval]:
    """Neighbours of the same kind as one (a night is one interval, so are days off with the same name)."""
    found: list[Interval] = []
    for i in intervals:
        last = found[-1] if found else None
        if last and last.end == i.start and (last.counted, last.why) == (i.counted, i.why):
            found[-1] = Interval(last.start, i.end, i.counted, i.why)
        else:
            found.append(i)
    return found
