"""What `doctor` says of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from desk.doctor import check_calendar, check_people
from settings import parse


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "ok", "said"),
    [
        ("2026-11-24T09:00", True, "сегодня работаем до 18:00 (вторник); в неделе 40 ч; переносы 2026 и 2027 годов"),
        ("2026-11-03T20:59", True, "сегодня работаем до 17:00 (предпраздничный день)"),
        ("2026-11-03T21:01", True, "сегодня не работаем: День народного единства"),
        ("2049-03-01T09:00", False, "переносы 2049 и 2050 года пока не известны"),
    ],
)
def test_calendar(now, ok, said):
    (found,) = check_calendar(parse(""), at(now))
    assert (found.name, found.ok, bool(found.advice)) == ("календарь", ok, not ok) and said in found.detail


def test_the_next_year_is_pressing_only_late_in_the_year(monkeypatch):
    from desk.calendar import Calendar

    monkeypatch.setattr(Calendar, "known", lambda self, year: year == 2026)
    early, late = (next(check_calendar(parse(""), at(f"2026-{month}-10T09:00"))) for month in ("06", "11"))
    assert (early.ok, late.ok) == (True, False) and "2027" in early.detail and "desk.days" in late.advice


def test_a_calendar_that_can_not_be_made():
    (found,) = check_calendar(parse("desk: {holidays: ZZ}"), at("2026-11-24T09:00"))
    assert found.ok is False and "ZZ" in found.detail


@pytest.mark.parametrize(
    ("text", "ok", "said"),
    [
        ("divisions: [{id: a}]", True, "всё может тот, кто запускает программу"),
        ("people: [{id: x, roles: [administrator, curator]}]\ndivisions: [{id: a, people: [y]}]", True, "названо: 2"),
        (
            "people: [{id: x, role: administrator}]\ndivisions: [{id: a, people: [x]}]",
            False,
            "нет ни куратора, ни главы",
        ),
        ("people: [{id: x, role: head}]\ndivisions: [{id: a, people: [x]}]", False, "нет администратора"),
        ("people: [{id: x, roles: [administrator, head]}]\ndivisions: [{id: a}, {id: b}]", False, "ответы: a, b"),
    ],
)
def test_people(text, ok, said):
    (found,) = check_people(parse(text), at("2026-11-24T09:00"))
    assert (found.ok, bool(found.advice)) == (ok, not ok) and said in found.detail
