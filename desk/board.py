"""The board: who has what, how much of it is late, and what is due next. Pure: messages in, rows out.

A message stands with whoever must do the next thing about it: until it is routed, and from the draft on, with the
administrator; a refusal that waits for the second look with the curator; what a division is to answer with the
division, and there with the person who has taken it. Of a joint answer it is the division whose information is awaited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from desk.rights import ADMINISTRATOR, CURATOR, everyone
from settings import Settings

SOON = timedelta(hours=1)
"""What ends within this time is due soon."""
NEAREST = 5
_TURN = {
    "new": (ADMINISTRATOR, ("route",)), "accepted": (ADMINISTRATOR, ("route",)), "draft": (ADMINISTRATOR, ("approve",)),
    "approved": (ADMINISTRATOR, ("publish",)), "refusal": (CURATOR, ("route",)),
}  # fmt: skip
_DIVISIONS = ("part", "rework", "draft")
"""`return` is no duty: who does not give a message back in time may do so later."""


@dataclass(frozen=True, slots=True)
class Due:
    """One message on the board. `clock`, `due_at` None: it has no term."""

    id: str
    status: str
    emergency: bool
    clock: str | None = None
    due_at: datetime | None = None


@dataclass(slots=True)
class Row:
    """What one holder has. `role`: administrator or curator, else `division`; `person`: who has taken it."""

    role: str | None
    division: str | None
    person: str | None
    total: int = 0
    overdue: int = 0
    soon: int = 0
    in_time: int = 0
    emergencies: int = 0
    states: Counter[str] = field(default_factory=Counter)
    nearest: list[Due] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        plain = ("role", "division", "person", "total", "overdue", "soon", "in_time", "emergencies")
        nearest = [
            {"id": d.id, "status": d.status, "emergency": d.emergency, "clock": d.clock, "due_at": d.due_at}
            for d in self.nearest
        ]
        return {**{k: getattr(self, k) for k in plain}, "states": dict(self.states), "nearest": nearest}


def board(messages: Iterable[Mapping[str, Any]], now: datetime, *, nearest: int = NEAREST) -> list[Row]:
    """Rows of `Store.workload`; each message is counted once. Keeps `nearest` messages a row, whatever comes."""
    rows: dict[tuple[str | None, str | None, str | None], Row] = {}
    for m in messages:
        role, division, person, clocks = holder(m)
        row = rows.get((role, division, person))
        if row is None:
            row = rows[role, division, person] = Row(role, division, person)
        _add(row, m, clocks, now, nearest)
    return list(rows.values())


def holder(m: Mapping[str, Any]) -> tuple[str | None, str | None, str | None, Sequence[str]]:
    """(role, division, person, the clocks that are theirs) of a message."""
    turn = _TURN.get(m["status"])
    if turn is not None:
        return turn[0], None, None, turn[1]
    if m["part"] is not None and m["part"] != m["division"]:
        return None, m["part"], None, ("part",)
    return None, m["division"], m["worker"], _DIVISIONS


def _add(row: Row, m: Mapping[str, Any], clocks: Sequence[str], now: datetime, nearest: int) -> None:
    row.total += 1
    row.states[m["status"]] += 1
    row.emergencies += bool(m["emergency"])
    ends = [(at, name) for name, at in m["deadlines"].items() if name in clocks or name == "answer"]
    at, clock = min(ends, default=(None, None))
    if at is None or at > now + SOON:
        row.in_time += 1
    elif at >= now:
        row.soon += 1
    else:
        row.overdue += 1
    found = Due(m["id"], m["status"], bool(m["emergency"]), clock, at)
    if len(row.nearest) < nearest or _order(row.nearest[-1]) > _order(found):
        row.nearest.append(found)
        row.nearest.sort(key=_order)
        del row.nearest[nearest:]


def _order(d: Due) -> tuple[bool, datetime | float, int]:
    return d.due_at is None, d.due_at or 0.0, int(d.id)


def arranged(rows: Iterable[Row], settings: Settings) -> list[tuple[Row, list[Row]]]:
    """Holders in the order of the configuration, each with the people below it (None: nobody has taken it yet)."""
    order = [d.id for d in settings.divisions]
    holders: dict[tuple[str | None, str | None], list[Row]] = {}
    for row in rows:
        holders.setdefault((row.role, row.division), []).append(row)

    def place(key: tuple[str | None, str | None]) -> tuple[int, int, str]:
        role, division = key
        if role is not None:
            return (0 if role == ADMINISTRATOR else 1), 0, ""
        return 2, order.index(division) if division in order else len(order), division or ""

    found = []
    for key in sorted(holders, key=place):
        people = sorted(holders[key], key=lambda r: (r.person is None, r.person or ""))
        found.append((_sum(key, people), people if key[1] is not None else []))
    return found


def _sum(key: tuple[str | None, str | None], rows: Sequence[Row]) -> Row:
    out = Row(*key, None)
    for row in rows:
        for name in ("total", "overdue", "soon", "in_time", "emergencies"):
            setattr(out, name, getattr(out, name) + getattr(row, name))
        out.states += row.states
    most = max((len(r.nearest) for r in rows), default=0)
    out.nearest = sorted((d for r in rows for d in r.nearest), key=_order)[: max(most, NEAREST)]
    return out


def of_person(rows: Iterable[Row], id: str, settings: Settings) -> list[Row]:
    """What this person has taken, what nobody has taken in the person's divisions, what waits for the person's role."""
    entries = [(p, d) for p, d in everyone(settings) if p.id == id]
    divisions = {d for _, d in entries if d is not None}
    roles = {role for p, _ in entries for role in p.held}
    return [r for r in rows if r.person == id or (r.person is None and (r.division in divisions or r.role in roles))]
