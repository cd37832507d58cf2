"""What `otklik doctor` asks of the desk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from desk.alerts import Check
from desk.calendar import Calendar, calendar_of
from desk.rights import ADMINISTRATOR, CURATOR, EXECUTOR, HEAD, actor, everyone
from settings import ConfigError, Settings

_DECREED_BY = 11
"""The month from which the government's decree about the next year is out for certain."""


def check_calendar(settings: Settings, now: datetime) -> Iterator[Check]:
    """Is the working calendar of this year, and late in the year of the next one, known with its transferred days?"""
    try:
        calendar = calendar_of(settings)
        today = calendar.date_of(now)
        unknown = [y for y in (today.year, today.year + 1) if not calendar.known(y)]
        detail = f"{_today(calendar, now)}; {_week(calendar)}"
    except ConfigError as e:
        yield Check("календарь", False, str(e), "исправьте раздел desk в настройках")
        return
    if not unknown:
        yield Check("календарь", True, f"{detail}; переносы {today.year} и {today.year + 1} годов известны")
        return
    pressing = unknown[0] == today.year or today.month >= _DECREED_BY
    years = " и ".join(map(str, unknown))
    advice = "обновите пакет: pip install -U holidays; или впишите дни в desk.days" if pressing else ""
    yield Check("календарь", not pressing, f"{detail}; переносы {years} года пока не известны", advice)


def _today(calendar: Calendar, now: datetime) -> str:
    day = calendar.day(calendar.date_of(now))
    if not day.spans:
        return f"сегодня не работаем: {day.why}"
    return f"сегодня работаем до {day.spans[-1][1].astimezone(calendar.zone):%H:%M} ({day.why})"


def _week(calendar: Calendar) -> str:
    minutes = sum(b - a for day in calendar.rules.week for a, b in day)
    return f"в неделе {timedelta(minutes=minutes) / timedelta(hours=1):g} ч"


def check_people(settings: Settings, now: datetime) -> Iterator[Check]:
    """Is there somebody for every step: an administrator, who looks twice at refusals, executors of each division?"""
    people = everyone(settings)
    if not people:
        yield Check("люди", True, "никто не назван: всё может тот, кто запускает программу")
        return
    duties = {duty[:2] for person, _ in people for duty in actor(settings, person.id, now).duties}
    roles = {role for role, _ in duties}
    missing = []
    if ADMINISTRATOR not in roles:
        missing.append("нет администратора: некому направлять и согласовывать")
    if not roles & {CURATOR, HEAD}:
        missing.append("нет ни куратора, ни главы: некому подтвердить отказ по чрезвычайному")
    idle = [d.id for d in settings.divisions if (EXECUTOR, d.id) not in duties]
    if idle:
        missing.append(f"некому готовить ответы: {', '.join(idle)}")
    known = len({person.id for person, _ in people})
    yield Check(
        "люди",
        not missing,
        "; ".join(missing) or f"названо: {known}, у каждого шага есть исполнитель",
        "допишите людей в people и divisions" if missing else "",
    )
