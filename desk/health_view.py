"""`status`, for a terminal: one screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from desk.health import EXIT, PageHealth, Status
from desk.show import OUTCOME
from desk.text import plain, plural, span, when
from store.health import CAP

SHOWN = 12
"""Pages on the screen, the worst first."""


_UNITS = {
    "запросов": ("запрос", "запроса", "запросов"),
    "единиц": ("единица", "единицы", "единиц"),
    "постов": ("пост", "поста", "постов"),
}
"""What budgets count (`Prices.unit`) -> its forms."""


def shown(found: Status, zone: str) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for name, said in _lines(found, zone):
        table.add_row(Text(name, style="bold"), Text(said))
    parts: list[RenderableType] = [_verdict(found), table]
    if found.pages:
        parts.append(_pages(found.pages))
    return Group(*parts)


def _verdict(found: Status) -> Text:
    if not found.problems:
        return Text("Всё в порядке", style="bold green")
    text = Text(plural(len(found.problems), "неполадка", "неполадки", "неполадок"), style="bold red")
    for problem in found.problems:
        text.append(f"\n— {problem.text}", style="not bold red")
    return text


def _lines(found: Status, zone: str) -> Iterator[tuple[str, str]]:
    now, health = found.now, found.health

    def ago(at: Any) -> str:
        return "—" if at is None else f"{span(now - at)} назад"

    run = health.last_run
    if run is None:
        yield "Сбор", "ещё не было"
    elif run.finished_at is None:
        yield "Сбор", f"начат {ago(run.started_at)} на {plain(run.host)}, не закончен"
    else:
        told = EXIT.get(run.exit_code or 0, f"код {run.exit_code}")
        took = span(run.finished_at - run.started_at)
        yield "Сбор", f"{when(run.finished_at, zone)}, {ago(run.finished_at)}: {told}, за {took}"
    for b in found.budgets:
        one, few, many = _UNITS.get(b["unit"], (b["unit"],) * 3)
        if b["budget"] is None:
            used = plural(b["used"], one, few, many)
        else:
            used = f"{b['used']} из {b['budget']} {many} ({100 * b['used'] / max(1, b['budget']):.0f} %)"
        month = "" if b["month_used"] is None else f"; за месяц {b['month_used']}"
        month += "" if b["month_budget"] is None else f" из {b['month_budget']}"
        yield f"Запас {plain(b['network'])}", f"{used} за сутки{month}"
    q = health.queue
    yield (
        "Очередь",
        f"ждут {_n(q.waiting)}; не тронуто со сроком {_n(q.untouched)}, самое старое {ago(q.oldest_untouched_at)}; "
        f"просрочено {_n(q.overdue)}; не оценено {_n(q.unassessed)}",
    )
    a = health.alerts
    delays = "" if a.delay_max is None else f"; доставка: обычно {span(a.delay_p50)}, дольше всего {span(a.delay_max)}"
    old = "" if a.oldest_open_at is None else f", старшая {ago(a.oldest_open_at)}"
    yield "Тревоги", f"не подтверждено {_n(a.open)}{old}; не доставлено {_n(a.undelivered)}{delays}"
    p = health.publications
    old = "" if p.oldest_underway_at is None else f", старший {ago(p.oldest_underway_at)}"
    yield "Ответы", f"согласовано и не размещено {_n(p.approved)}; на пути в сеть {_n(p.underway)}{old}"
    for hook in health.webhooks:
        if hook.name.startswith("broker:"):
            yield f"Брокер {plain(hook.name.partition(':')[2])}", f"впереди {hook.behind}"
            continue
        old = "" if hook.oldest_tried_at is None else f", первое пробуется {span(now - hook.oldest_tried_at)}"
        off = "; выключен" if hook.disabled else ""
        told = f"впереди {hook.behind}, ждут {_n(hook.waiting)}{old}; оставлено {_n(hook.dead)}{off}"
        yield f"Вебхук {plain(hook.name)}", told
    if (j := health.jobs) is not None:
        alive = plural(j.workers, "рабочий процесс", "рабочих процесса", "рабочих процессов") if j.workers else "никого"
        old = "" if j.oldest_waiting_at is None else f", дольше всех {span(now - j.oldest_waiting_at)}"
        told = f"ждут {_n(j.waiting)}{old}; идут {_n(j.running)}; брошено {_n(j.stalled)}; не вышло {_n(j.failed)}"
        yield "Задания", f"{alive}; {told}"
    d = health.database
    yield (
        "База",
        f"{'SQLite' if d.dialect == 'sqlite' else 'PostgreSQL'} {d.version}, схема {d.schema}, {_size(d.size)}, "
        f"{f'последнее событие № {d.events}' if d.events else 'событий нет'}",
    )
    yield "Копия базы", "не было" if d.backup_at is None else f"{when(d.backup_at, zone)}, {ago(d.backup_at)}"
    yield "Календарь", "не известен" if found.calendar is None else f"переносы дней известны по {found.calendar} год"


def _pages(pages: tuple[PageHealth, ...]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("Страница", ratio=1, overflow="fold")
    for name in ("Итог", "Собрана", "Разница", "Задержка"):
        table.add_column(name, justify="left" if name == "Итог" else "right", no_wrap=True)
    order = sorted(pages, key=lambda p: (p.ok, -(float("inf") if p.lag is None else p.lag), p.number))
    for page in order[:SHOWN]:
        word, style = OUTCOME.get(str(page.outcome), ("не собиралась", "dim"))
        table.add_row(
            Text(f"{page.number}. {plain(page.title)}"),
            Text(word, style=style),
            Text("никогда" if page.lag is None else f"{span(page.lag)} назад", style="red" if page.late else ""),
            Text("?" if page.gap is None else str(page.gap), style="yellow" if page.gap else ""),
            Text(span(page.delay_p50)),
        )
    if len(order) <= SHOWN:
        return table
    rest = order[SHOWN:]
    good = sum(p.ok for p in rest)
    return Group(table, Text(f"… и ещё {len(rest)}, из них в порядке {good}: otklik pages", style="dim"))


def _n(count: int) -> str:
    return str(count) if count < CAP else f"{CAP} или больше"


def _size(size: int) -> str:
    value, units = size / 1024, ["КБ", "МБ", "ГБ", "ТБ"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.1f} {units[0]}".replace(".", ",")
