"""Working time: against the oracle, by hand at the edges, and by its own laws."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.calendar import calendar_of
from desk.clocks import NoWorkingTime, before, due, explain, term, worked
from settings import parse
from tests.desk.oracle import MOSCOW, compare

USUAL = calendar_of(parse(""))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW)


def test_the_oracle_agrees():
    assert compare(6000, seed=1) == []


def test_the_oracle_would_notice(monkeypatch):
    """A calendar that forgets one lunch break is found out."""
    from desk import calendar

    real = calendar.rules_of

    def no_lunch(settings):
        rules = real(settings)
        week = list(rules.week)
        week[2] = ((week[2][0][0], week[2][-1][1]),)
        return replace(rules, week=tuple(week))

    monkeypatch.setattr(calendar, "rules_of", no_lunch)
    assert compare(300, seed=1)


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        # clause 7.3: urgent
        ("2026-11-24T10:00", "3wh", "2026-11-24T13:00"),  # ends with the morning, not after lunch
        ("2026-11-24T10:01", "3wh", "2026-11-24T14:01"),
        ("2026-11-24T13:30", "3wh", "2026-11-24T17:00"),  # comes during lunch
        ("2026-11-24T16:00", "3wh", "2026-11-25T10:00"),
        ("2026-11-24T18:00", "3wh", "2026-11-25T12:00"),
        ("2026-11-24T03:00", "3wh", "2026-11-24T12:00"),
        ("2026-11-27T17:30", "3wh", "2026-11-30T11:30"),  # over a weekend
        ("2026-11-03T16:30", "3wh", "2026-11-05T11:30"),  # a shortened day, a holiday
        ("2024-11-02T16:30", "3wh", "2024-11-05T11:30"),  # a shortened working Saturday, three days off
        ("2025-12-30T17:00", "3wh", "2026-01-12T11:00"),  # twelve days of New Year
        # clause 7.3: prompt; the day of the start isn't counted
        ("2026-11-24T09:00", "2wd", "2026-11-26T18:00"),
        ("2026-11-24T23:59", "2wd", "2026-11-26T18:00"),
        ("2026-11-27T17:30", "2wd", "2026-12-01T18:00"),
        ("2026-11-28T12:00", "2wd", "2026-12-01T18:00"),
        ("2026-11-02T12:00", "2wd", "2026-11-05T18:00"),
        ("2026-04-28T12:00", "2wd", "2026-04-30T17:00"),  # ends on a shortened day
        ("2024-04-25T12:00", "2wd", "2024-04-27T18:00"),  # ends on a working Saturday
        # plain and working minutes
        ("2026-11-24T17:50", "30m", "2026-11-24T18:20"),
        ("2026-11-24T17:50", "30wm", "2026-11-25T09:20"),
        ("2026-11-24T12:50", "30wm", "2026-11-24T14:20"),
        ("2026-11-24T17:30", "30wm", "2026-11-24T18:00"),
        ("2026-11-24T20:00", "0wh", "2026-11-24T20:00"),
        ("2026-11-24T20:00", "0wd", "2026-11-24T20:00"),
        ("2026-11-24T16:00", "1.5wh", "2026-11-24T17:30"),
        ("2026-11-24T10:00", "30d", "2026-12-24T10:00"),
    ],
)
def test_terms_by_hand(start, length, end):
    assert due(local(start), term(length), USUAL) == local(end)


@pytest.mark.parametrize(
    ("end", "length", "start"),
    [
        ("2026-11-24T12:00", "1h", "2026-11-24T11:00"),
        ("2026-11-24T09:30", "1wh", "2026-11-23T17:30"),
        ("2026-11-24T14:30", "1wh", "2026-11-24T12:30"),
        ("2026-11-24T14:00", "1wh", "2026-11-24T12:00"),
        ("2026-11-05T09:30", "1wh", "2026-11-03T16:30"),
        ("2026-11-26T18:00", "1wd", "2026-11-25T18:00"),
        ("2026-11-24T20:00", "0wd", "2026-11-24T20:00"),
    ],
)
def test_counting_back_by_hand(end, length, start):
    assert before(local(end), term(length), USUAL) == local(start)


times = st.datetimes(datetime(2024, 1, 3), datetime(2026, 9, 1), timezones=st.just(UTC))
lengths = st.timedeltas(timedelta(microseconds=1), timedelta(hours=200))


@given(times, lengths)
def test_a_term_is_as_long_as_it_says_to_the_microsecond(start, length):
    hours = term("1wh").__class__("", working=length)
    end = due(start, hours, USUAL)
    assert worked(start, end, USUAL) == length
    back = before(end, hours, USUAL)
    assert worked(back, end, USUAL) == length and worked(start, back, USUAL) == timedelta() and back >= start


@given(times, st.timedeltas(timedelta(), timedelta(days=20)), st.timedeltas(timedelta(), timedelta(days=20)))
def test_working_time_adds_up(start, one, other):
    middle, end = start + one, start + one + other
    assert worked(start, end, USUAL) == worked(start, middle, USUAL) + worked(middle, end, USUAL)


@given(times, times, st.sampled_from(["3wh", "2wd", "30m", "45wm"]))
def test_a_later_start_never_ends_sooner(a, b, length):
    first, second = sorted((a, b))
    assert due(first, term(length), USUAL) <= due(second, term(length), USUAL)


def test_the_account_of_an_urgent_message():
    start, end = local("2026-11-03T16:30"), local("2026-11-05T11:30")
    account = explain(start, end, term("3wh"), USUAL)
    assert [(i.counted, i.why, i.length / timedelta(hours=1)) for i in account] == [
        (True, "предпраздничный день", 0.5),
        (False, "вне рабочих часов", 7),
        (False, "День народного единства", 24),
        (False, "вне рабочих часов", 9),
        (True, "четверг", 2.5),
    ]


def test_the_account_of_working_days_counts_days():
    start = local("2026-11-27T17:30")
    account = explain(start, due(start, term("2wd"), USUAL), term("2wd"), USUAL)
    assert [i.why for i in account if i.counted] == ["понедельник, рабочий день 1"] * 2 + [
        "вторник, рабочий день 2"
    ] * 2
    assert account[0].why == "пятница, день начала не считается" and not account[0].counted
    assert [i.length for i in account if "выходной" in i.why] == [timedelta(days=1)] * 2


def test_plain_time_runs_day_and_night():
    start = local("2026-11-27T17:50")
    assert [i.counted for i in explain(start, start + timedelta(hours=20), term("1d"), USUAL)] == [True]
    assert explain(start, start, term("30m"), USUAL) == []


@pytest.mark.parametrize("text", ["", "3", "wh", "3x", "1.5wd", "three wh", "3 h w"])
def test_what_is_no_term(text):
    with pytest.raises(ValueError):
        term(text)


def test_a_calendar_without_working_time_is_told_of_and_not_searched_for_ever():
    idle = calendar_of(parse("desk: {hours: {mon: '09:00-10:00'}, short_by: 1h, days: {off: " + str(MONDAYS) + "}}"))
    with pytest.raises(NoWorkingTime, match="больше года нет рабочих дней"):
        due(local("2026-01-01T10:00"), term("1wh"), idle)


MONDAYS = [(datetime(2026, 1, 5) + timedelta(days=7 * i)).date().isoformat() for i in range(160)]
