"""The clocks that start with collecting: who has them, from when they run, what a correction changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from desk.deadlines import after_correction, clocks, clocks_from
from settings import Settings
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, URGENT, comment

# NOW is Tuesday, 24 November 2026, 12:00 in Moscow.
ROUTE = NOW + timedelta(minutes=30)
IN_3_HOURS = NOW + timedelta(hours=4)  # lunch from 13:00 to 14:00
IN_2_DAYS = NOW + timedelta(days=2, hours=6)  # Thursday, 18:00


def configured(route: str = "30m", **desk: object) -> Settings:
    return Settings.model_validate({"desk": {"deadlines": {"route": route}, **desk}})


def test_the_clocks_run_from_collecting_not_from_publishing():
    late = comment(1, published_at=NOW - timedelta(days=3))
    assert clocks(late, PLAIN, configured(), NOW) == {"route": ROUTE, "answer": IN_2_DAYS}
    assert clocks_from(NOW, PLAIN, configured()) == clocks(late, PLAIN, configured(), NOW)


@pytest.mark.parametrize(
    ("judged", "answer"), [(URGENT, IN_3_HOURS), (EMERGENCY, IN_3_HOURS), (replace(PLAIN, urgency=None), IN_2_DAYS)]
)
def test_the_term_of_the_answer_is_of_the_urgency(judged, answer):
    assert clocks(comment(1), judged, configured(), NOW) == {"route": ROUTE, "answer": answer}


def test_the_answer_may_run_from_routing_instead():
    assert clocks(comment(1), URGENT, configured(answer_from="routed"), NOW) == {"route": ROUTE}


@pytest.mark.parametrize(
    ("made", "judged"),
    [(comment(1, own=True), PLAIN), (comment(1, deleted=True), PLAIN), (comment(1), None), (comment(1), THANKS),
     (comment(1), replace(PLAIN, reaction="refuse"))],
)  # fmt: skip
def test_who_has_no_clock(made, judged):
    assert clocks(made, judged, configured(), NOW) == {}


@pytest.mark.parametrize(
    ("term", "length"),
    [("0m", timedelta()), ("45s", timedelta(seconds=45)), ("30m", timedelta(minutes=30)), ("4h", timedelta(hours=4)),
     ("30d", timedelta(days=30)), ("1.5h", timedelta(minutes=90)), ("30wm", timedelta(minutes=30)),
     ("2wh", timedelta(hours=3)), ("1wd", timedelta(days=1, hours=6))],
)  # fmt: skip
def test_terms_of_every_kind(term, length):
    assert clocks(comment(1), PLAIN, configured(term), NOW)["route"] == NOW + length


def test_the_end_of_the_calendar_is_no_crash():
    assert clocks_from(NOW.replace(year=9999, month=12, day=31), PLAIN, configured("366d")) == {}


def shown(**more):
    message = {"historical": False, "deleted_at": None, "status": "new", "collected_at": NOW, "reaction": "required"}
    return {**message, "urgency": "prompt", **more}


def test_a_correction_of_the_urgency_changes_the_answers_term_only():
    before = {"route": ROUTE, "answer": IN_2_DAYS}
    assert after_correction(shown(urgency="urgent"), before, configured()) == {"route": ROUTE, "answer": IN_3_HOURS}
    under_way = {"answer": IN_2_DAYS, "draft": IN_2_DAYS - timedelta(hours=1)}
    found = after_correction(shown(urgency="urgent", status="in_work"), under_way, configured())
    assert found == {"answer": IN_3_HOURS, "draft": IN_3_HOURS - timedelta(hours=1)}
    extended = {"answer": IN_2_DAYS + timedelta(days=9)}
    assert after_correction(shown(urgency="urgent", status="in_work"), extended, configured()) == extended


def test_a_correction_of_the_reaction_takes_and_gives_clocks():
    before = {"route": ROUTE, "answer": IN_2_DAYS}
    assert after_correction(shown(reaction="none"), before, configured()) == {}
    assert after_correction(shown(reaction="required"), {}, configured()) == before
    assert after_correction(shown(historical=True), {}, configured()) == {}
    assert after_correction(shown(status="closed"), {}, configured()) == {}
