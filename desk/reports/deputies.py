"""Shortcomings for the deputies in charge (clause 15): by division, what, when, by how much, whose hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from desk.reports.blocks import (
    LENGTH,
    LINK,
    TEXT,
    TIME,
    Block,
    Chart,
    Column,
    Document,
    Heading,
    Para,
    Table,
)  # fmt: skip
from desk.reports.calendar import Month, name
from desk.reports.figures import ADMINISTRATOR, Fault, Figures, Quality
from desk.reports.month import division_name
from desk.sla import CLOCKS
from desk.text import link, plain, plural, when

_UNNAMED = "Заместитель не указан (divisions[].deputy)"
URGENCY = {"urgent": "срочно", "prompt": "оперативно"}
COLUMNS = (
    Column("№", TEXT, 8), Column("Что не сделано в срок", TEXT, 40), Column("Важность", TEXT, 12),
    Column("Тема", TEXT, 36), Column("Место", TEXT, 20), Column("Срок", TIME, 17), Column("Сделано", TIME, 17),
    Column("Опоздание", LENGTH), Column("Кто", TEXT, 24), Column("Ссылка", LINK, 44),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Material:
    """What the report is made of. `deputies`: division -> the name of the deputy in charge; `people`: ids -> names."""

    month: Month
    organisation: str
    zone: str
    at: datetime
    figures: Figures
    divisions: Mapping[str, str]
    deputies: Mapping[str, str]
    people: Mapping[str, str]
    names: Mapping[str, str]


def document(m: Material) -> Document:
    """The report as blocks: a chapter for each deputy, a section for each division of his that has shortcomings."""
    faults: dict[str, list[Fault]] = {}
    for f in m.figures.faults or ():
        faults.setdefault(f.division, []).append(f)
    wrong = {d for d, q in m.figures.quality.items() if q.reworks or q.returned_late or q.reopened} | faults.keys()
    blocks: list[Block] = []
    if not wrong:
        blocks.append(Para("Недостатков за этот месяц нет: сроки соблюдены, на доработку ничего не возвращали."))
    else:
        blocks += _overview(m, faults, wrong)
    by_deputy: dict[str, list[str]] = {}
    for d in [*(d for d in m.divisions if d in wrong), *sorted(wrong - m.divisions.keys())]:
        deputy = m.deputies.get(d) or ("Работа администратора" if d == ADMINISTRATOR else _UNNAMED)
        by_deputy.setdefault(deputy, []).append(d)
    n = 0
    for deputy, divisions in by_deputy.items():
        blocks.append(Heading(plain(deputy, 120)))
        for d in divisions:
            n += 1
            blocks += _division(m, d, faults.get(d, []), n)
    return Document(
        f"deputies-{m.month[0]}-{m.month[1]:02d}",
        f"Недостатки в работе с сообщениями: {name(m.month)}",
        f"{plain(m.organisation)}. Пункт 15 Регламента. По данным на {when(m.at, m.zone)}.",
        m.at,
        m.zone,
        blocks,
    )


def _who(m: Material, d: str) -> str:
    return "Администратор" if d == ADMINISTRATOR else division_name(m.divisions, d)


def _overview(m: Material, faults: Mapping[str, list[Fault]], wrong: set[str]) -> list[Block]:
    columns = (
        Column("Подразделение", TEXT, 34), Column("Заместитель", TEXT, 34), Column("Ответов поздно"),
        Column("Без ответа, срок прошёл"), Column("Других сроков нарушено"), Column("Проектов на доработку"),
        Column("Поздних возвратов"), Column("Открыто снова"),
    )  # fmt: skip
    rows = []
    for d in [*(d for d in m.divisions if d in wrong), *sorted(wrong - m.divisions.keys())]:
        mine, q = faults.get(d, []), m.figures.quality.get(d, Quality())
        late = sum(f.clock == "answer" and f.stopped_at is not None for f in mine)
        overdue = sum(f.clock == "answer" and f.stopped_at is None for f in mine)
        rows.append(
            (_who(m, d), plain(m.deputies.get(d, ""), 100) or None, late, overdue, len(mine) - late - overdue,
             q.reworked, q.returned_late, q.reopened)
        )  # fmt: skip
    rows.sort(key=lambda r: (-(r[2] + r[3]), -r[4], r[0]))
    return [
        Table("Сводка", "По подразделениям", columns, rows),
        Chart(
            "faults",
            "Нарушенные сроки",
            "bar",
            [r[0] for r in rows],
            {
                "ответ поздно": [r[2] for r in rows],
                "без ответа": [r[3] for r in rows],
                "другие": [r[4] for r in rows],
            },
        ),
    ]


def _division(m: Material, d: str, faults: list[Fault], n: int) -> list[Block]:
    q = m.figures.quality.get(d, Quality())
    by_person = Counter(f.actor for f in faults if f.actor is not None)
    words = f"Нарушено сроков: {len(faults)}; на доработку: {q.reworked}; поздних возвратов: {q.returned_late}."
    if by_person:
        named = (
            f"{plain(m.people.get(p, p), 60)} ({plural(c, 'раз', 'раза', 'раз')})"
            for p, c in sorted(by_person.items(), key=lambda x: (-x[1], x[0]))
        )
        words += f" Опоздания допустили: {', '.join(named)}."
    rows = [
        (
            f.message, CLOCKS.get(f.clock, f.clock), "ЧП" if f.emergency else URGENCY.get(f.urgency or "", "—"),
            plain(m.names.get(f.topic or f.group or "", f.topic or f.group), 80) or "не определена",
            plain(f.place, 40) or None, f.due_at, f.stopped_at, f.late_s,
            plain(m.people.get(f.actor, f.actor), 60) if f.actor else None, link(f.url),
        )
        for f in faults
    ]  # fmt: skip
    note = "«Сделано» пусто: ещё не сделано; опоздание тогда на время, по которое есть данные." if rows else ""
    return [
        Heading(_who(m, d), 2),
        Para(words),
        *([Table(f"{n} {_who(m, d)}", "Нарушенные сроки", COLUMNS, rows, note)] if rows else []),
    ]
