"""How the board looks: 80 columns are enough, and whatever a colour says a word says too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from desk.board import SOON, Due, Row
from desk.rights import ROLE_NAMES
from desk.show import DEADLINE, NEXT, _table
from desk.text import left, plain, plural

NOBODY = "ещё никто не взял"


def board(arranged: Sequence[tuple[Row, Sequence[Row]]], now: datetime, called: Mapping[str, str]) -> RenderableType:
    """A line a holder, under a division a line a person; below them a sentence about all."""
    if not arranged:
        return Text("Ни у кого ничего нет: открытых сообщений со сроком или в работе нет.", style="dim")
    table = _table(
        ("Кто", {"ratio": 1, "overflow": "fold"}),
        *((name, {"justify": "right", "no_wrap": True}) for name in ("Всего", "Просрочено", "Скоро", "В срок")),
        ("Ближайшее", {"no_wrap": True}),
    )
    table.expand = True
    for row, people in arranged:
        name = ROLE_NAMES[row.role].capitalize() if row.role else called.get(row.division or "", row.division or "")
        _line(table, Text(plain(name), "bold"), row, now)
        if people and not (len(people) == 1 and people[0].person is None):
            for person in people:
                who = called.get(person.person, person.person) if person.person else NOBODY
                _line(table, Text(f"  {plain(who)}", "dim" if person.person is None else ""), person, now)
    rows = [row for row, _ in arranged]
    total, late = sum(r.total for r in rows), sum(r.overdue for r in rows)
    soon, burning = sum(r.soon for r in rows), sum(r.emergencies for r in rows)
    said = f"Всего {plural(total, 'сообщение', 'сообщения', 'сообщений')}: просрочено {late}, скоро (за час) {soon}"
    if burning:
        said += f", чрезвычайных {burning}"
    return Group(table, Text(said, style="bold"))


def _line(table, name: Text, row: Row, now: datetime) -> None:  # type: ignore[no-untyped-def]
    if row.emergencies:
        name = name.copy().append(f" (ЧП {row.emergencies})", "bold red")
    table.add_row(
        name,
        Text(str(row.total)),
        Text(str(row.overdue), "bold red" if row.overdue else "dim"),
        Text(str(row.soon), "yellow" if row.soon else "dim"),
        Text(str(row.in_time), "green" if row.in_time else "dim"),
        _due(row.nearest[0], now) if row.nearest else Text(""),
    )


def _due(d: Due, now: datetime) -> Text:
    out = Text(f"№ {d.id}")
    if d.due_at is None:
        return out.append(": без срока", "dim")
    style = "bold red" if d.due_at < now else "yellow" if d.due_at <= now + SOON else ""
    return out.append(": ").append(left(d.due_at, now), style)


def nearest(rows: Sequence[Row], now: datetime, called: Mapping[str, str], limit: int = 20) -> RenderableType:
    """The messages that are due first, for one division or person."""
    found = sorted(
        ((d, r) for r in rows for d in r.nearest), key=lambda x: (x[0].due_at is None, x[0].due_at or 0.0, int(x[0].id))
    )[:limit]
    table = _table(("№", {"justify": "right"}), "Срок", "Что сделать", "У кого")
    for d, r in found:
        clock = NEXT.get(d.clock or "", DEADLINE.get(d.clock or "", ""))
        who = called.get(r.person, r.person) if r.person else NOBODY if r.division else ROLE_NAMES[r.role or ""]
        number = Text(d.id).append(" ЧП", "bold red") if d.emergency else Text(d.id)
        table.add_row(number, Text(left(d.due_at, now) if d.due_at else "без срока"), Text(clock), Text(plain(who)))
    return table if found else Text("")
