"""The account of every clock, and what will be late by the end of the day. Pure functions of what the store shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from desk.calendar import calendar_of
from desk.clocks import Interval, explain, term, worked
from desk.states import TITLES, Clock
from desk.work import case_of
from settings import Settings
from store.values import NO_DUTY

CLOCKS = {
    "route": "направить в подразделение (п. 7.1)",
    "return": "вернуть, если не своё (п. 7.2)",
    "answer": "ответить (п. 7.3)",
    "draft": "представить проект (п. 7.4)",
    "approve": "согласовать (п. 7.5)",
    "rework": "доработать (п. 7.6)",
    "publish": "разместить (п. 7.7)",
    "part": "сведения для общего ответа (п. 7.10)",
}
"""What each clock is for, as shown."""
STARTED = {"collect": "сообщение получено", **TITLES}


@dataclass(frozen=True, slots=True)
class Account:
    """One clock, told whole. `intervals` reach from its start to its end or its term, whichever is later.

    `used`: how long it has run until it was stopped, or until now. `late`: by how much it was or is over.
    """

    name: str
    term: str
    started_at: datetime
    started_by: str
    due_at: datetime
    stopped_at: datetime | None
    stopped_by: str | None
    division: str | None
    used: timedelta
    late: timedelta | None
    intervals: tuple[Interval, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times aware, lengths in minutes."""
        plain = ("name", "term", "division", "started_at", "started_by", "due_at", "stopped_at", "stopped_by")
        return {
            **{name: getattr(self, name) for name in plain},
            "used_minutes": _minutes(self.used),
            "late_minutes": None if self.late is None else _minutes(self.late),
            "intervals": [
                {"start": i.start, "end": i.end, "counted": i.counted, "why": i.why, "minutes": _minutes(i.length)}
                for i in self.intervals
            ],
        }


def _minutes(length: timedelta) -> float:
    return round(length / timedelta(minutes=1), 2)


def accounts(
    message: Mapping[str, Any], data: Mapping[str, Any] | None, settings: Settings, now: datetime
) -> list[Account]:
    """Every clock of a message in the order they started; `data`: the desk's own value, None when there is none."""
    return [_account(clock, settings, now) for clock in case_of(message, data, settings).clocks]


def _account(clock: Clock, settings: Settings, now: datetime) -> Account:
    calendar = calendar_of(settings)
    by_date = clock.name == "draft" or not clock.term  # counted back from another term, or set to a date
    length = term("1wm" if by_date else clock.term)
    stop = clock.stopped_at or max(now, clock.started_at)
    until = clock.stopped_at or max(now, clock.due_at)
    told = explain(clock.started_at, min(until, clock.due_at), length, calendar)
    used = sum((_until(i, stop) for i in told if i.counted), timedelta())
    duty = clock.name not in NO_DUTY or clock.stopped_by == clock.name
    late = stop - clock.due_at if duty and stop > clock.due_at else None
    if duty and until > clock.due_at:
        over = worked(max(clock.due_at, clock.started_at), until, calendar) // timedelta(minutes=1)
        told.append(Interval(max(clock.due_at, clock.started_at), until, False, f"опоздание, рабочих минут {over}"))
    return Account(
        clock.name, clock.term, clock.started_at, clock.started_by, clock.due_at, clock.stopped_at, clock.stopped_by,
        clock.division, used, late, tuple(told),
    )  # fmt: skip


def _until(interval: Interval, stop: datetime) -> timedelta:
    return max(min(interval.end, stop) - interval.start, timedelta())


# --- forecast ---------------------------------------------------------------------------------------------------------


def end_of_day(now: datetime, settings: Settings) -> datetime:
    """Midnight, by the organisation's clock."""
    local = now.astimezone(calendar_of(settings).zone)
    return (local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).astimezone(UTC)


def forecast(
    messages: Iterable[Mapping[str, Any]], settings: Settings, now: datetime, until: datetime
) -> list[dict[str, Any]]:
    """What is late and what will be by `until`, by division, most first; what nobody has stands under the division
    that its topic points to, as `proposed`.

    Each row: `division`, `name`, `proposed`, `overdue`, `by_end` (those not late yet), `messages` by deadline.
    """
    names = {d.id: d.name or d.id for d in settings.divisions}
    of_topic = {topic: d.id for d in reversed(settings.divisions) for topic in d.topics}
    rows: dict[tuple[str | None, bool], list[dict[str, Any]]] = {}
    for message in messages:
        first = _first_due(message, until)
        if first is None:
            continue
        division, proposed = message["division"], False
        if division is None:
            division, proposed = of_topic.get(message["topic"]) or of_topic.get(message["topic_group"]), True
        shown = {k: message[k] for k in ("id", "status", "urgency", "emergency", "url")}
        rows.setdefault((division, proposed), []).append({**shown, "clock": first[1], "due_at": first[0]})
    found = [
        {
            "division": division,
            "name": names.get(division, division) if division else None,
            "proposed": proposed,
            "overdue": sum(m["due_at"] < now for m in listed),
            "by_end": sum(m["due_at"] >= now for m in listed),
            "messages": sorted(listed, key=lambda m: m["due_at"]),
        }
        for (division, proposed), listed in rows.items()
    ]
    return sorted(found, key=lambda r: (-r["overdue"], -r["by_end"], r["division"] or "", r["proposed"]))


def _first_due(message: Mapping[str, Any], until: datetime) -> tuple[datetime, str] | None:
    ends = [(datetime.fromisoformat(at), name) for name, at in message["deadlines"].items() if name not in NO_DUTY]
    first = min(ends, default=None)
    return first if first is not None and first[0] < until else None
