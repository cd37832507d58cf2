"""Another calendar, minute by minute, that shares nothing with `desk/`: the judge of the working time.

The days are written out by hand from the government's decrees (10.08.2023 N 1314, 04.10.2024 N 1335, 24.09.2025 N 1466)
and the production calendars of those years. Every working minute of three years stands in one list; a term is found by
counting in it.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache

MOSCOW = timezone(timedelta(hours=3))
FIRST = date(2024, 1, 1)
YEARS = (2024, 2025, 2026)


def _days(year: int, text: str) -> set[date]:
    """ "1-8.1 23.2" -> the 1st to the 8th of January and the 23rd of February."""
    found = set()
    for part in text.split():
        days, month = part.split(".")
        first, _, last = days.partition("-")
        found |= {date(year, int(month), d) for d in range(int(first), int(last or first) + 1)}
    return found


# Weekdays off; working weekends; days an hour shorter.
OFF = (
    _days(2024, "1-5.1 8.1 23.2 8.3 29-30.4 1.5 9-10.5 12.6 4.11 30-31.12")
    | _days(2025, "1-3.1 6-8.1 1-2.5 8-9.5 12-13.6 3-4.11 31.12")
    | _days(2026, "1-2.1 5-9.1 23.2 9.3 1.5 11.5 12.6 4.11 31.12")
)
WORKING_WEEKENDS = _days(2024, "27.4 2.11 28.12") | _days(2025, "1.11")
SHORT = _days(2024, "22.2 7.3 8.5 11.6 2.11") | _days(2025, "7.3 30.4 11.6 1.11") | _days(2026, "30.4 8.5 11.6 3.11")
# Who works on Saturdays has these besides: holidays that fall on one, and Saturdays before a holiday on a Sunday.
OFF |= _days(2024, "6.1") | _days(2025, "4.1 8.3") | _days(2026, "3.1 9.5")
SHORT_SATURDAYS = _days(2025, "22.2") | _days(2026, "7.3")
NORM = {2024: (248, 1979), 2025: (247, 1972), 2026: (247, 1972)}
"""Working days and hours of a 40-hour week, as the production calendars state them."""


@cache
def _minutes(hours: tuple[tuple[str, str], ...]) -> list[int]:
    return [m for m in range(1440) if any(a <= f"{m // 60:02}:{m % 60:02}" < b for a, b in hours)]


class Oracle:
    """`week`: for each weekday (0 is Monday) its hours as texts ("09:00", "13:00")…; own days as sets of dates."""

    def __init__(
        self,
        week: dict[int, list[tuple[str, str]]],
        *,
        off: set[date] = frozenset(),
        working: set[date] = frozenset(),
        short: set[date] = frozenset(),
    ) -> None:
        self.week, self.off, self.working, self.short = week, off, working, short
        self.minutes: list[int] = []  # of local time, counted from the first of January 2024
        self.ends: list[tuple[date, int]] = []  # working days and where each ends
        n = sum(366 if y % 4 == 0 else 365 for y in YEARS)
        for i in range(n):
            day = FIRST + timedelta(days=i)
            today = [i * 1440 + m for m in self._of(day)]
            if today:
                self.minutes += today
                self.ends.append((day, today[-1] + 1))
        self.at_work = set(self.minutes)
        self.last = n * 1440

    def _of(self, day: date) -> list[int]:
        if day in self.off:
            return []
        own = day in self.working or day in self.short
        if not own and (day in OFF or (not self.week.get(day.weekday()) and day not in WORKING_WEEKENDS)):
            return []
        minutes = _minutes(tuple(self.week.get(day.weekday()) or self.week[0]))
        less = day in self.short or (day in SHORT | SHORT_SATURDAYS and day not in self.working)
        return minutes[:-60] if less else minutes

    def due(self, start: int, n: int) -> int:
        """The end of the n-th working minute from `start` on."""
        return self.minutes[bisect_left(self.minutes, start) + n - 1] + 1 if n else start

    def before(self, end: int, n: int) -> int:
        return self.minutes[bisect_left(self.minutes, end) - n] if n else end

    def days(self, start: int, n: int) -> int:
        """The end of the n-th working day after the day of `start`."""
        today = FIRST + timedelta(days=start // 1440)
        return self.ends[bisect_left(self.ends, (today + timedelta(days=1), 0)) + n - 1][1] if n else start

    def worked(self, start: int, end: int) -> int:
        return max(0, bisect_left(self.minutes, end) - bisect_left(self.minutes, start))


def moment(minute: int) -> datetime:
    return (datetime(2024, 1, 1, tzinfo=MOSCOW) + timedelta(minutes=minute)).astimezone(UTC)


USUAL = [("09:00", "13:00"), ("14:00", "18:00")]
CONFIGURATIONS = (
    ("", Oracle(dict.fromkeys(range(5), USUAL))),
    (
        "desk:\n  hours: {mon-thu: '08:00-12:00, 13:00-17:15', fri: '08:00-12:00, 13:00-16:00', sat: '10:00-13:00'}\n"
        "  days: {off: [07-26, 2025-03-31], working: [2026-02-21], short: [2024-12-28, 2025-06-27]}\n",
        Oracle(
            {
                **{d: [("08:00", "12:00"), ("13:00", "17:15")] for d in range(4)},
                4: [("08:00", "12:00"), ("13:00", "16:00")],
                5: [("10:00", "13:00")],
            },
            off={date(2024, 7, 26), date(2025, 7, 26), date(2026, 7, 26), date(2025, 3, 31)},
            working={date(2026, 2, 21)},
            short={date(2024, 12, 28), date(2025, 6, 27)},
        ),
    ),
    ("desk: {hours: '00:00-24:00'}", Oracle({d: [("00:00", "24:00")] for d in range(5)})),
)


def compare(cases: int, seed: int) -> list[str]:
    """Random questions to the desk and to the oracle; the answers that differ, in words."""
    from desk.calendar import calendar_of
    from desk.clocks import before, due, explain, term, worked
    from settings import parse

    dice = random.Random(seed)
    calendars = [(calendar_of(parse(text)), oracle) for text, oracle in CONFIGURATIONS]
    wrong: list[str] = []

    def check(what: str, got: object, expected: object) -> None:
        if got != expected and len(wrong) < 20:
            wrong.append(f"{what}: {got}, the oracle says {expected}")

    for i in range(cases):
        number = i % len(calendars)
        calendar, oracle = calendars[number]
        start = dice.randrange(2 * 1440, oracle.last - 120 * 1440)
        n = dice.choice((0, 1, 30, 59, 60, 180, 240, 479, 480, 481, dice.randrange(5000)))
        question = dice.randrange(5)
        named = f"configuration {number}, {moment(start)}"
        if question == 0:
            check(f"due {n}wm, {named}", due(moment(start), term(f"{n}wm"), calendar), moment(oracle.due(start, n)))
        elif question == 1:
            n %= 30
            check(f"due {n}wd, {named}", due(moment(start), term(f"{n}wd"), calendar), moment(oracle.days(start, n)))
        elif question == 2:
            end = start + dice.randrange(-2000, 60 * 1440)
            got = worked(moment(start), moment(end), calendar)
            check(f"worked to {moment(end)}, {named}", got, timedelta(minutes=oracle.worked(start, end)))
        elif question == 3:
            start += 60 * 1440
            got = before(moment(start), term(f"{n}wm"), calendar)
            check(f"before {n}wm, {named}", got, moment(oracle.before(start, n)))
        else:
            end = start + dice.randrange(1, 6000)
            account = explain(moment(start), moment(end), term("3wh"), calendar)
            edges = [moment(start), *(i.end for i in account)]
            check(f"no gap, {named}", [i.start for i in account], edges[:-1])
            check(f"to the end, {named}", edges[-1], moment(end))
            counted = sum((i.length for i in account if i.counted), timedelta())
            check(f"counted, {named}", counted, timedelta(minutes=oracle.worked(start, end)))
            minute = dice.randrange(start, end)
            runs = next(i.counted for i in account if i.start <= moment(minute) < i.end)
            check(f"minute {moment(minute)}, {named}", runs, minute in oracle.at_work)
    return wrong
