"""The clock of clause 7.1: who has one, and from when it runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from desk.deadlines import after, clocks, clocks_from
from settings import Settings
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, comment


def configured(route: str = "30m") -> Settings:
    return Settings.model_validate({"desk": {"deadlines": {"route": route}}})


def test_the_clock_runs_from_collecting_not_from_publishing():
    late = comment(1, published_at=NOW - timedelta(days=3))
    assert clocks(late, PLAIN, configured(), NOW) == {"route": NOW + timedelta(minutes=30)}
    assert clocks_from(NOW, PLAIN, configured()) == clocks(late, PLAIN, configured(), NOW)


@pytest.mark.parametrize(
    ("made", "judged"),
    [(comment(1, own=True), PLAIN), (comment(1, deleted=True), PLAIN), (comment(1), None), (comment(1), THANKS),
     (comment(1), replace(PLAIN, reaction="refuse"))],
)  # fmt: skip
def test_who_has_no_clock(made, judged):
    assert clocks(made, judged, configured(), NOW) == {}


def test_an_emergency_has_one_as_well():
    assert set(clocks(comment(1), EMERGENCY, configured(), NOW)) == {"route"}


@pytest.mark.parametrize(
    ("term", "length"),
    [("0m", timedelta()), ("45s", timedelta(seconds=45)), ("30m", timedelta(minutes=30)), ("4h", timedelta(hours=4)),
     ("30d", timedelta(days=30)), ("1.5h", timedelta(minutes=90))],
)  # fmt: skip
def test_terms_in_plain_time(term, length):
    assert after(NOW, term) == NOW + length
    assert clocks(comment(1), PLAIN, configured(term), NOW) == {"route": NOW + length}


@pytest.mark.parametrize("term", ["3wh", "2wd"])
def test_working_time_is_left_out_rather_than_told_wrongly(term):
    assert after(NOW, term) is None and clocks(comment(1), PLAIN, configured(term), NOW) == {}


def test_the_end_of_the_calendar_is_no_crash():
    assert after(NOW.replace(year=9999), "366d") is None
