"""How things look in a terminal: plain dicts and values in, rich renderables out.

No markup is ever parsed, every text goes through `plain`, and whatever a colour says a word says too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from desk.explain import explained
from desk.states import STATES
from desk.text import NETWORKS, left, link, moment, plain, plural, span, when
from store.values import NO_DUTY, utcnow

Names = Mapping[str, str]
"""Ids of topics and groups -> their Russian names."""

URGENCY = {"urgent": "срочно", "prompt": "оперативно"}
REACTION = {"required": "нужен ответ", "none": "ответ не нужен", "refuse": "можно не рассматривать"}
OUTCOME = {
    "complete": ("полностью", "green"),
    "partial": ("частично", "yellow"),
    "blocked": ("закрыто сетью", "red"),
    "unauthorised": ("нет доступа", "red"),
    "rate_limited": ("предел запросов", "yellow"),
    "failed": ("ошибка", "red"),
}
ATTACHMENT = {
    "photo": "фото",
    "video": "видео",
    "audio": "звук",
    "doc": "файл",
    "link": "ссылка",
    "sticker": "наклейка",
    "graffiti": "рисунок",
    "poll": "опрос",
}
NEXT = {"return": "вернуть", "draft": "проект", "part": "сведения"}
"""Shorter words of `DEADLINE` for a narrow column."""
DEADLINE = {
    "route": "направить",
    "return": "вернуть, если не своё",
    "answer": "ответить",
    "draft": "проект ответа",
    "approve": "согласовать",
    "rework": "доработать",
    "publish": "разместить",
    "part": "сведения для общего ответа",
}
CORRECTED = {
    "urgency": "важность",
    "emergency": "чрезвычайность",
    "topic": "тема",
    "places": "место",
    "reaction": "реагирование",
    "conduct": "поведение",
    "reasons": "доводы",
}
ALERT_STATE = {
    "raised": ("ждёт подтверждения", "bold red"),
    "escalated": ("передана дальше", "bold red"),
    "acknowledged": ("подтверждена", "green"),
}


def _t(value: Any, style: str = "", width: int | None = None, *, lines: bool = False) -> Text:
    return Text(plain(value, width, lines=lines), style=style)


def _table(*columns: str | tuple[str, Mapping[str, Any]], title: str | None = None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left", title_style="bold")
    for column in columns:
        name, options = (column, {}) if isinstance(column, str) else column
        table.add_column(Text(name), **options)
    return table


def _name(value: Any, names: Names) -> str:
    return plain(names.get(value, value) if value else "")


def _network(value: Any) -> str:
    return NETWORKS.get(str(value), plain(value))


def _places(message: Mapping[str, Any]) -> str:
    return plain(", ".join(plain(p.get("name")) for p in message.get("places") or () if isinstance(p, Mapping)))


def _topic(message: Mapping[str, Any], names: Names) -> str:
    return _name(message.get("topic"), names) or _name(message.get("topic_group"), names)


def _level(message: Mapping[str, Any]) -> Text:
    """The category of importance, in a word and in a colour."""
    if message.get("emergency"):
        return Text("ЧП", style="bold white on red")
    urgency = message.get("urgency")
    if urgency:
        return Text(URGENCY.get(urgency, plain(urgency)), style="bold yellow" if urgency == "urgent" else "cyan")
    if message.get("reaction") == "refuse":
        return Text("проверить", style="magenta")
    return Text("не оценено" if message.get("reaction") is None else "без ответа", style="dim")


def _next(message: Mapping[str, Any], now: datetime) -> Text:
    """The clock that ends first, and under it what it is for."""
    clocks = (message.get("deadlines") or {}).items()
    ends = [(at, name) for name, end in clocks if (at := moment(end)) and (at >= now or name not in NO_DUTY)]
    at, name = min(ends, default=(None, ""))
    out = _clock(at, now)
    return out.append("\n" + NEXT.get(name, DEADLINE.get(name, plain(name, 12))), style="not bold dim") if at else out


def _clock(due: datetime | None, now: datetime) -> Text:
    if due is None:
        return Text("—", style="dim")
    late = due < now
    soon = not late and (due - now).total_seconds() < 600
    return Text(left(due, now), style="bold red" if late else "yellow" if soon else "")


def _status(message: Mapping[str, Any]) -> str:
    marks = [STATES.get(str(message.get("status")), plain(message.get("status")))]
    if message.get("deleted_at"):
        marks.append("удалено автором")
    if message.get("historical"):
        marks.append("до начала наблюдения")
    return ", ".join(m for m in marks if m)


def _kind(attachment: Mapping[str, Any]) -> str:
    kind = plain(attachment.get("kind"))
    return ATTACHMENT.get(kind, kind)


def _words(message: Mapping[str, Any]) -> str:
    """The text, or what stands in its place: a comment with only a photo counts as well."""
    text = plain(message.get("text"))
    if text:
        return text
    kinds = [
        ATTACHMENT.get(str(a.get("kind")), plain(a.get("kind")))
        for a in message.get("attachments") or ()
        if isinstance(a, Mapping)
    ]
    return f"[{', '.join(kinds)}]" if kinds else "[без текста]"


# --- the queue -------------------------------------------------------------------------------------------------------


def queue(messages: Iterable[Mapping[str, Any]], *, zone: str, now: datetime | None = None, names: Names | None = None):
    """`queue`: the messages in the order given; under the words of each what it is about, where and when."""
    names, now = names or {}, now or utcnow()
    table = _table(
        ("№", {"justify": "right", "no_wrap": True}),
        ("Важность", {"no_wrap": True}),
        ("Срок", {"no_wrap": True}),
        ("Сообщение", {"ratio": 1, "overflow": "fold"}),
    )
    table.expand = True
    for m in messages:
        deleted = m.get("deleted_at") is not None
        words = Text(plain(_words(m), 160), style="strike dim" if deleted else "bold" if m.get("emergency") else "")
        about = [_topic(m, names), _places(m), _network(m.get("network")), when(m.get("published_at"), zone)]
        if deleted or m.get("historical") or m.get("status") not in (None, "new"):
            about.append(_status(m))
        words.append("\n" + " · ".join(filter(None, about)), style="not bold not strike dim")
        table.add_row(_t(m.get("id")), _level(m), _next(m, now), words)
    if not table.row_count:
        return Text("Сообщений нет.", style="dim")
    return table


def _erased(message: Mapping[str, Any], zone: str) -> str:
    """Since when, and why, less is kept of a message than was written."""
    if at := message.get("forgotten_at"):
        return f"{when(at, zone)}: автор забыт по его требованию"
    at = message.get("erased_at")
    return f"{when(at, zone)}: текст стёрт по сроку хранения" if at else ""


def message(
    message: Mapping[str, Any],
    *,
    zone: str,
    now: datetime | None = None,
    names: Names | None = None,
    pages: Mapping[tuple[str, str], str] | None = None,
    called: Names | None = None,
) -> RenderableType:
    """`queue show`: everything about one message, with its revisions, judgements and alerts where given.

    `pages`: network and id of a page -> its title. `called`: ids of people and divisions -> their names.
    """
    names, now, called = names or {}, now or utcnow(), called or {}
    author = message.get("author") or {}
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)

    def row(label: str, value: RenderableType | str) -> None:
        if isinstance(value, Text) or value:
            grid.add_row(Text(label), value if not isinstance(value, str) else Text(value))

    row("Важность", _level(message))
    row("Тема", _topic(message, names))
    row("Группа тем", _name(message.get("topic_group"), names))
    row("Место", _places(message))
    row("Реагирование", REACTION.get(str(message.get("reaction")), ""))
    reasons = plain("; ".join(map(plain, message.get("reasons") or ())))
    if said := message.get("corrected"):
        fields = ", ".join(word for name, word in CORRECTED.items() if name in said["fields"])
        row(
            "Почему", f"так решил человек: {_name(said['by'], called)}, {when(said['at'], zone)} ({fields or 'оценка'})"
        )
        row("По мнению классификатора", reasons)
    else:
        row("Почему", reasons)
    row("Поведение", plain(", ".join(map(plain, message.get("conduct") or ()))))
    row("Автор", plain(author.get("name")) or "неизвестен")
    for b in message.get("blocks") or ():
        row("Заблокирован", f"до {when(b['until'], zone)} (по сообщению {plain(b['message_id'])})")
    if message.get("hidden"):
        from desk.verbs import BLOCK_GROUNDS

        row("Скрыт", f"нами, {BLOCK_GROUNDS.get(message['hidden'], plain(message['hidden']))}")
    row("Сеть", _network(message.get("network")))
    row("Страница", plain((pages or {}).get((str(message.get("network")), str(message.get("page"))))) or _page(message))
    row("Написано", when(message.get("published_at"), zone))
    row("Получено", when(message.get("collected_at"), zone))
    row("Изменено", when(message.get("edited_at"), zone, empty=""))
    row("Удалено", when(message.get("deleted_at"), zone, empty=""))
    row("Состояние", _status(message))
    row("Повтор", plain(message.get("repeat_of")))
    row("Подразделение", _name(message.get("division"), called))
    for name, at in (message.get("deadlines") or {}).items():
        row(f"Срок: {DEADLINE.get(name, plain(name))}", Text(when(at, zone) + ", ").append(_clock(moment(at), now)))
    row("Ссылка", link(message.get("url")))
    for a in message.get("attachments") or ():
        row("Вложение", " ".join(filter(None, (_kind(a), plain(a.get("title")), link(a.get("url"))))))

    row("Стёрто", _erased(message, zone))
    body = plain(message.get("text"), lines=True) or _words(message)
    parts: list[RenderableType] = [
        Panel(Text(body, overflow="fold"), title=Text(f"Сообщение {plain(message.get('id'))}"), title_align="left"),
        grid,
    ]
    if revisions := message.get("revisions"):
        table = _table("Прежний текст", ("Заменён", {"no_wrap": True}))
        for r in revisions:
            at = r.get("replaced_at") or r.get("at") or r.get("created_at")
            table.add_row(_t(r.get("text"), lines=True), Text(when(at, zone)))
        parts += [Text(), table]
    if others := message.get("repeats"):
        table = _table(
            ("№", {"justify": "right", "no_wrap": True}), ("Когда", {"no_wrap": True}), "О том же", "Состояние"
        )
        for m in others:
            at = m.get("published_at") or m.get("collected_at")
            table.add_row(plain(m.get("id")), Text(when(at, zone)), Text(plain(_words(m), 90)), _status(m))
        parts += [Text(), table]
    if history := message.get("history"):
        table = _table(("Когда", {"no_wrap": True}), "Кто оценил", "Важность", "Тема", "Место")
        for h in history:
            h = {**h, **h["assessment"]} if isinstance(h.get("assessment"), Mapping) else h
            who = "классификатор" if h.get("by") in (None, "", "model", "classifier") else _name(h.get("by"), called)
            table.add_row(
                Text(when(h.get("at") or h.get("created_at"), zone)),
                Text(who),
                _level(h),
                Text(_topic(h, names) or "—"),
                Text(_places(h) or "—"),
            )
        parts += [Text(), table]
    if raised := message.get("alerts"):
        parts += [Text(), alerts([{"message": message, **a} for a in raised], zone=zone, names=called)]
    return Group(*parts)


def _page(message: Mapping[str, Any]) -> str:
    return plain(message.get("page"))


# --- alerts ----------------------------------------------------------------------------------------------------------


def alerts(found: Iterable[Mapping[str, Any]], *, zone: str, names: Mapping[str, str] | None = None) -> RenderableType:
    """`alerts`: what was raised, who got it, who acknowledged; a channel that fails is named with its reason.

    `names`: ids of people -> how they are called.
    """
    table = _table(
        ("№", {"justify": "right", "no_wrap": True}),
        ("Когда", {"no_wrap": True}),
        ("Состояние", {"max_width": 19}),
        ("Что", {"ratio": 1, "overflow": "fold"}),
    )
    table.expand = True
    for a in found:
        told = a.get("message") if isinstance(a.get("message"), Mapping) else {}
        word, style = ALERT_STATE.get(str(a.get("state")), (plain(a.get("state")), ""))
        state = Text(word, style=style)
        if a.get("acknowledged_by") or a.get("acknowledged_at"):
            by = _name(a.get("acknowledged_by"), names or {})
            state.append(f" ({by} {_short(a.get('acknowledged_at'), zone)})")
        if a.get("drill"):
            what = Text("УЧЕБНАЯ: ", style="bold cyan").append(plain(a.get("text"), 120))
        else:
            kind = plain(a.get("kind") or told.get("emergency_kind")) or "ЧП"
            place = _places(told)
            what = Text(f"{kind}{', ' + place if place else ''}: ", style="bold")
            what.append(plain(a.get("text") or _words(told), 120), style="not bold")
        if "deliveries" in a:  # a message's own card does not tell of channels
            what.append("\n").append(_deliveries(a, zone))
        table.add_row(_t(a.get("id")), Text(_short(a.get("created_at"), zone)), state, what)
    return table if table.row_count else Text("Тревог нет.", style="dim")


def _deliveries(alert: Mapping[str, Any], zone: str) -> Text:
    out = Text()
    for d in alert.get("deliveries") or ():
        if out:
            out.append("\n")
        channel = plain(d.get("channel")) + (" (дальше)" if d.get("level") == "escalation" else "")
        if d.get("delivered_at"):
            out.append(f"{channel}: доставлено {_short(d.get('delivered_at'), zone)}", style="green")
        elif d.get("error"):
            tries = plural(int(d.get("attempts") or 1), "попытка", "попытки", "попыток")
            out.append(f"{channel}: нет ({tries}): {plain(d.get('error'), 160)}", style="red")
        else:
            out.append(f"{channel}: отправляется", style="yellow")
    return out or Text("ещё не отправлялась", style="dim")


# --- pages -----------------------------------------------------------------------------------------------------------


def pages(rows: Iterable[Any], *, zone: str) -> RenderableType:
    """`pages`: the last coverage record of each page (`store.last_coverage()`, or `Coverage` values).

    What went wrong stands under the table: it may be long.
    """
    table = _table(
        ("Страница", {"ratio": 1, "overflow": "fold"}),
        ("Итог", {"no_wrap": True}),
        ("В сети", {"justify": "right", "no_wrap": True}),
        ("У нас", {"justify": "right", "no_wrap": True}),
        ("Разница", {"justify": "right", "no_wrap": True}),
        ("Задержка", {"justify": "right", "no_wrap": True}),
        ("Успех", {"no_wrap": True}),
    )
    table.expand = True
    problems: list[RenderableType] = []
    for raw in rows:
        r = _plain_dict(raw)
        outcome = r.get("outcome")
        word, style = OUTCOME.get(str(outcome), (plain(outcome) or "не собиралась", "dim"))
        if r.get("enabled") is False:
            word, style = "выключена", "dim"
        name = plain(r.get("title")) or plain(r.get("page_id") or r.get("page"))
        page = Text((f"{r['number']}. " if r.get("number") else "") + name)
        if r.get("network"):
            id = plain(r.get("page_id"))
            page.append(f"  {_network(r['network'])} {id if id != name else ''}".rstrip(), style="dim")
        if r.get("problem"):
            code = f" (код {plain(r['code'])})" if r.get("code") else ""
            told = f"{name}: {plain(r['problem'], 400)}{code}"
            problems.append(Text(told, style="red" if style == "red" else "yellow"))
        gap = r.get("gap")
        success = r.get("last_success_at")
        if success is None and outcome in ("complete", "partial"):
            success = r.get("finished_at")
        table.add_row(
            page,
            Text(word, style=style),
            _number(r.get("counter")),
            _number(r.get("stored")),
            Text("?" if gap is None else str(gap), style="yellow" if gap else "dim" if gap is None else ""),
            Text(span(r.get("delay_p50"))),
            Text(_short(success, zone), style="" if success else "red"),
        )
    return Group(table, *problems)


def _short(at: Any, zone: str) -> str:
    """ "24.11 21:15": the year of a recent moment goes without saying."""
    told = when(at, zone, empty="не было")
    return told[:5] + told[10:] if len(told) == 16 else told


def _number(value: Any) -> Text:
    return Text("?" if value is None else plain(value))


def _plain_dict(value: Any) -> Mapping[str, Any]:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


# --- one run ---------------------------------------------------------------------------------------------------------


def report(found: Mapping[str, Any], *, zone: str) -> RenderableType:
    """`collect`: what one run did (`Report.as_dict()`)."""
    lines: list[RenderableType] = []
    for p in found.get("pages") or ():
        if p.get("locked"):
            word, style = "занята другим запуском", "yellow"
        elif p.get("outcome") is None:
            word, style = plain(p.get("note"), 300) or "ещё не пора", "dim"
        else:
            word, style = OUTCOME.get(str(p["outcome"]), (plain(p["outcome"]), ""))
        line = Text(f"{plain(p.get('page'))}: ").append(word, style=style)
        if p.get("outcome") is not None:
            line.append(
                f"; новых {p.get('new') or 0}, изменённых {p.get('revised') or 0}, у нас {p.get('stored') or 0}"
                f", в сети {'?' if p.get('counter') is None else p['counter']}"
            )
            if p.get("gap"):
                line.append(f", не хватает {p['gap']}", style="yellow")
        if p.get("problem"):
            line.append(f"\n  {plain(p['problem'], 400)}", style=style)
        lines.append(line)
    alerts_raised = len(found.get("alerts") or ())
    total = Text(
        f"Всего: {plural(found.get('new') or 0, 'новое', 'новых', 'новых')}, изменено {found.get('revised') or 0}, "
        f"удалено {found.get('deleted') or 0}, своих {found.get('own') or 0}",
        style="bold",
    )
    if alerts_raised:
        total.append(f", {plural(alerts_raised, 'тревога', 'тревоги', 'тревог')}", style="bold red")
    if found.get("interrupted"):
        total.append("; прервано, собранное сохранено", style="yellow")
    return Group(*lines, total)


def plan(lines: Iterable[Mapping[str, Any]], *, zone: str) -> Group:
    """`collect --dry-run`: pages in their order with how many posts are due, and what that costs."""
    lines = list(lines)
    table = _table(
        ("№", {"justify": "right", "no_wrap": True}),
        ("Страница", {"ratio": 1, "overflow": "fold"}),
        ("Публикаций", {"justify": "right", "no_wrap": True}),
        ("Пора проверить", {"justify": "right", "no_wrap": True}),
        ("Перечитать", {"justify": "right", "no_wrap": True}),
        ("Запросов", {"justify": "right", "no_wrap": True}),
    )
    table.expand = True
    for p in lines:
        page = _t(p.get("title") or p.get("id"))
        page.append(f"  {_network(p.get('network'))}", style="dim")
        numbers = [_number(p.get(name)) for name in ("posts_known", "posts_due", "posts_to_read_whole")]
        if p.get("first_time"):
            far = "все публикации" if p.get("first_depth") is None else f"публикации за {span(p['first_depth'])}"
            page.append(f"\nещё не собиралась: сеть назовёт публикации, {far} будут прочитаны целиком", style="cyan")
            numbers = [Text("—", style="dim")] * 3
        least, most = p.get("calls_least"), p.get("calls_most")
        calls = Text("—", style="dim") if least is None else _t(f"{least}" if least == most else f"{least}–{most}")
        table.add_row(_t(p.get("number")), page, *numbers, calls)
    return Group(table, *_budgets(lines, zone))


def _budgets(lines: Iterable[Mapping[str, Any]], zone: str) -> Iterator[Text]:
    """A line for each network whose day is limited: what this run takes, what is left until when."""
    networks: dict[Any, list[Mapping[str, Any]]] = {}
    for p in lines:
        if p.get("budget") is not None:
            networks.setdefault(p.get("network"), []).append(p)
    for network, pages in networks.items():
        one = pages[0]
        costs = [(p["calls_least"], p["calls_most"]) for p in pages if p.get("calls_least") is not None]
        least, most = (sum(c[i] for c in costs) for i in (0, 1))
        wanted = f"{least}" if least == most else f"{least}–{most}"
        more = "" if len(costs) == len(pages) else " и первое чтение новых страниц"
        price = one.get("dollars")
        wanted += f" (до {most * price:.2f} $)" if price else ""
        yield Text(
            f"{plain(str(network), 40)}: этот запуск возьмёт {one.get('unit')} {wanted}{more}; сегодня израсходовано "
            f"{one.get('budget_used')} из {one.get('budget')}, новый запас {when(one.get('budget_resets_at'), zone)}",
            style="yellow" if most > one["budget"] - one["budget_used"] else "dim",
        )
        if one.get("month_used") is not None:
            of = f" из {one['month_budget']}" if one.get("month_budget") is not None else ""
            money = f", это {one['month_used'] * price:.2f} $" if price else ""
            yield Text(f"  за этот месяц: {one.get('unit')} {one['month_used']}{of}{money}", style="dim")


class _Bar:
    """A progress bar that the poll loop speaks to (`collectors.report.Progress`)."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task: Any = None
        self._new = self._alerts = 0

    def _words(self) -> str:
        alerts = f", тревог {self._alerts}" if self._alerts else ""
        return f"новых {self._new}{alerts}"

    def page_started(self, page: str) -> None:
        self._task = self._bar.add_task(plain(page, 40), total=None, found=self._words())

    def posts_found(self, listed: int, to_walk: int) -> None:
        if self._task is not None:
            self._bar.update(self._task, total=to_walk)

    def post_done(self) -> None:
        if self._task is not None:
            self._bar.advance(self._task)

    def landed(self, landed: Any) -> None:
        self._new += landed.new
        self._alerts += len(landed.alerts)
        if self._task is not None:
            self._bar.update(self._task, found=self._words())

    def page_finished(self, coverage: Any, page: Any) -> None:
        if self._task is not None:  # how it went is told by the report of the run
            self._bar.remove_task(self._task)
            self._task = None


@contextmanager
def collect_progress(console: Console, *, quiet: bool = False) -> Iterator[_Bar | None]:
    """A progress bar while `collect` runs; None (silence) off a terminal or when `quiet`."""
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[found]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar)


# --- doctor ----------------------------------------------------------------------------------------------------------


def check(found: Any, *, zone: str = "") -> Text:
    """One line of `doctor`: name, ok (True, False, None = could not be checked), detail, advice; a value or a dict."""
    c = _plain_dict(found)
    word, style = {True: ("хорошо    ", "green"), False: ("плохо     ", "bold red")}.get(
        c.get("ok"), ("неизвестно", "yellow")
    )
    line = Text(f"{word}  ", style=style).append(plain(c.get("name")), style="not bold default")
    if c.get("detail"):
        line.append(f": {plain(c.get('detail'), 500)}", style="not bold default")
    if c.get("advice"):
        line.append(f"\n            {plain(c.get('advice'), 500)}", style="not bold italic default")
    return line


# --- assessments -----------------------------------------------------------------------------------------------------


def assessment(judged: Mapping[str, Any], text: str = "", *, names: Names | None = None) -> RenderableType:
    """`classify` for a person: the fields of `classify --json`; under `explain` whatever values the judge gives."""
    names = names or {}
    explain = judged.get("explain")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    confidence = judged.get("topic_confidence")
    sure = f" ({round(float(confidence) * 100)} %)" if confidence and _topic(judged, names) else ""
    if text:
        grid.add_row(Text("Текст"), _t(text, lines=True))
    grid.add_row(Text("Важность"), _level(judged))
    if judged.get("emergency_kind"):
        grid.add_row(Text("Что случилось"), _t(judged.get("emergency_kind"), "bold red"))
    grid.add_row(Text("Тема"), Text((_topic(judged, names) or "не определена") + sure))
    if judged.get("topic") and judged.get("topic_group"):
        grid.add_row(Text("Группа тем"), Text(_name(judged.get("topic_group"), names)))
    grid.add_row(Text("Место"), Text("; ".join(map(_place, judged.get("places") or ())) or "не названо"))
    grid.add_row(Text("Реагирование"), Text(REACTION.get(str(judged.get("reaction")), plain(judged.get("reaction")))))
    if judged.get("conduct"):
        grid.add_row(Text("Поведение"), _t(", ".join(map(str, judged["conduct"]))))
    if judged.get("reasons"):
        grid.add_row(Text("Почему"), Text("\n".join(map(plain, judged["reasons"]))))
    if judged.get("model"):
        grid.add_row(Text("Модель"), _t(judged.get("model"), "dim"))
    if not explain:
        return grid
    told = explained(explain) if "topics" in explain else _tree(explain, 0)
    return Group(grid, Text(), Text("Как получилось", style="bold"), *told)


def _place(place: Any) -> str:
    if not isinstance(place, Mapping):
        return plain(place)
    parents = ", ".join(map(plain, place.get("parents") or ()))
    return plain(place.get("name")) + (f" ({parents})" if parents else "")


def _tree(value: Any, depth: int, label: str = "") -> Sequence[Text]:
    """Nested values as indented lines; deep or long ones are cut, for a person reads them."""
    indent = "  " * (depth + 1)
    head = f"{indent}{plain(label, 60)}: " if label else indent
    if isinstance(value, Mapping) and value and depth < 6:
        lines = [Text(head.rstrip(), style="dim")] if label else []
        for key, item in list(value.items())[:100]:
            lines += _tree(item, depth + (1 if label else 0), str(key))
        return lines
    if isinstance(value, list | tuple) and value and depth < 6:
        if all(not isinstance(v, Mapping | list | tuple) for v in value):
            return [Text(head + plain(", ".join(map(str, value)), 500))]
        lines = [Text(head.rstrip(), style="dim")]
        for item in value[:100]:
            if isinstance(item, Mapping):
                flat = ", ".join(f"{plain(k)} {plain(v, 200)}" for k, v in item.items() if v not in (None, "", [], ()))
                lines.append(Text(f"{indent}  • {plain(flat, 500)}"))
            else:
                lines.append(Text(f"{indent}  • {plain(item, 500)}"))
        return lines
    if isinstance(value, bool):
        value = "да" if value else "нет"
    elif isinstance(value, float):
        value = f"{value:.3g}"
    return [Text(head + ("—" if value is None else plain(value, 500)))]
