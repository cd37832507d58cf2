"""The working calendar against the official production calendars of 2024-2026."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from desk.calendar import calendar_of
from settings import ConfigError, parse
from tests.desk.oracle import MOSCOW, NORM, OFF, SHORT, WORKING_WEEKENDS


def days_of(year, calendar):
    first = date(year, 1, 1)
    return [calendar.day(first + timedelta(days=i)) for i in range((date(year + 1, 1, 1) - first).days)]


@pytest.fixture(scope="module")
def usual():
    return calendar_of(parse(""))


@pytest.mark.parametrize("year", NORM)
def test_official_calendar(usual, year):
    days = days_of(year, usual)
    assert {d.date for d in days if not d.spans and d.date.weekday() < 5} == {
        d for d in OFF if d.year == year and d.weekday() < 5
    }
    working_weekends = {d.date for d in days if d.spans and d.date.weekday() >= 5}
    assert working_weekends == {d for d in WORKING_WEEKENDS if d.year == year}
    assert {d.date for d in days if d.kind == "short"} == {d for d in SHORT if d.year == year}
    hours = sum((b - a for d in days for a, b in d.spans), timedelta()) / timedelta(hours=1)
    assert (sum(bool(d.spans) for d in days), hours) == NORM[year]
    assert usual.known(year)


@pytest.mark.parametrize(
    ("day", "kind", "why"),
    [
        (date(2024, 4, 27), "working", "рабочий день вместо 29.04.2024"),
        (date(2024, 11, 2), "short", "рабочий день вместо 30.04.2024, сокращённый"),
        (date(2024, 12, 28), "working", "рабочий день вместо 30.12.2024"),
        (date(2026, 1, 9), "off", "Выходной (перенесено с 03.01.2026)"),
        (date(2026, 5, 11), "off", "День Победы (выходной)"),
        (date(2026, 11, 3), "short", "предпраздничный день"),
        (date(2026, 11, 4), "off", "День народного единства"),
        (date(2026, 11, 7), "off", "выходной (суббота)"),
        (date(2026, 11, 24), "working", "вторник"),
    ],
)
def test_a_day_says_why(usual, day, kind, why):
    found = usual.day(day)
    assert (found.kind, found.why) == (kind, why)


def test_hours_of_a_day_lunch_and_shortening(usual):
    def at(day, text):
        return datetime.fromisoformat(f"{day}T{text}").replace(tzinfo=MOSCOW).astimezone(UTC)

    full, short = usual.day(date(2026, 11, 2)), usual.day(date(2026, 11, 3))
    lunch = [("09:00", "13:00"), ("14:00", "18:00")]
    assert full.spans == tuple((at(full.date, a), at(full.date, b)) for a, b in lunch)
    assert short.spans[1] == (at(short.date, "14:00"), at(short.date, "17:00"))


def test_a_working_saturday_has_the_hours_of_the_day_it_stands_for():
    found = calendar_of(parse("desk: {hours: {mon: '08:00-12:00', tue-fri: '10:00-12:00'}}"))
    assert [(b - a).total_seconds() / 3600 for a, b in found.day(date(2024, 4, 27)).spans] == [4]  # of Monday
    assert [(b - a).total_seconds() / 3600 for a, b in found.day(date(2024, 11, 2)).spans] == [1]  # of Tuesday, short


def test_the_days_of_the_district_come_first():
    text = (
        "desk:\n  short_by: 3h\n  hours: '09:00-13:00, 14:00-16:00'\n"
        "  days: {off: [07-26, 2026-11-24], working: [2026-11-04, 2026-11-03], short: [2026-11-07, 2026-11-25]}"
    )
    own = calendar_of(parse(text))
    length = {
        day: sum((b - a for a, b in own.day(day).spans), timedelta()) / timedelta(hours=1)
        for day in (date(2026, 11, d) for d in (2, 3, 4, 7, 24, 25))
    }
    assert list(length.values()) == [6, 6, 6, 3, 0, 3]
    assert own.day(date(2027, 7, 26)).why == "нерабочий день района" and own.day(date(2027, 7, 27)).spans


def test_without_public_holidays_only_weekends_are_off():
    own = calendar_of(parse("desk: {holidays: none}"))
    assert sum(bool(d.spans) for d in days_of(2026, own)) == 261 and own.known(2050)


def test_a_year_without_decree_is_told_of_and_estimated_by_the_law(usual):
    assert usual.known(2027) and not usual.known(2050)
    moved = usual.day(date(2050, 6, 13))  # the 12th of June 2050 is a Sunday
    assert moved.kind == "off" and moved.why == "День России (выходной)"
    assert usual.day(date(2050, 1, 10)).spans  # the holidays of January move by decree only


def test_clocks_that_are_put_forward():
    """A zone with summer time: the hours stay where the wall clock shows them."""
    berlin = calendar_of(parse("organisation: {timezone: Europe/Berlin}\ndesk: {holidays: none, hours: '01:00-05:00'}"))
    text = "organisation: {timezone: Europe/Berlin}\ndesk: {holidays: none, hours: {sun: '01:00-05:00'}}"
    sunday = calendar_of(parse(text)).day(date(2026, 3, 29)).spans[0]
    assert sunday[1] - sunday[0] == timedelta(hours=3)
    assert berlin.day(date(2026, 3, 30)).spans[0][0].hour == 23


def test_a_country_that_is_not_known():
    with pytest.raises(ConfigError, match="праздники страны ZZ не известны"):
        calendar_of(parse("desk: {holidays: ZZ}")).day(date(2026, 1, 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{hours: {mon-fri: '18:00-09:00'}}", "нужны рабочие часы от и до"),
        ("{hours: '09:00-13:00, 12:00-18:00'}", "нужны рабочие часы от и до"),
        ("{hours: '14:00-18:00, 09:00-13:00'}", "нужны рабочие часы от и до"),
        ("{hours: {montag: '09:00-18:00'}}", "дни недели пишутся mon"),
        ("{hours: {mon-wed: '09:00-18:00', tue: '09:00-12:00'}}", "день tue назван дважды"),
        ("{hours: {mon: 9}}", "mon: нужны рабочие часы"),
        ("{hours: {}}", "нужны рабочие часы"),
        ("{days: {off: [2026-02-30]}}", "значение не разбирается"),
        ("{days: {off: ['2026-02-30']}}", "нужна дата"),
        ("{days: {off: ['31.12']}}", "нужна дата"),
        ("{days: {off: [2026-07-26], working: [2026-07-26]}}", "назван дважды"),
        ("{days: {of: []}}", "возможно, имелось в виду off"),
        ("{answer_from: never}", "допустимо 'collected' или 'routed'"),
        ("{deadlines: {prompt: 1.5wd}}", "целых рабочих днях"),
        ("{deadlines: {retrun: 30m}}", "возможно, имелось в виду return"),
    ],
)
def test_bad_calendars_are_told_of(text, said):
    with pytest.raises(ConfigError, match=said):
        parse(f"desk: {text}")


def test_every_term_has_its_key():
    found = parse("desk: {deadlines: {return: 20wm, draft: 30wm, extension: 15d}}").desk.deadlines
    assert (found.return_, found.draft, found.extension, found.approve) == ("20wm", "30wm", "15d", "30m")
