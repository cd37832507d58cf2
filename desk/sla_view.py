"""How accounts of clocks, forecasts and the desk's log look on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from desk.checks import CHECKS
from desk.sla import CLOCKS, STARTED, Account
from desk.states import STATES
from desk.text import moment, plain, plural, span, term_words, when
from desk.verbs import BLOCK_GROUNDS, NOTICES, REFUSE_GROUNDS

SAID = {
    "acknowledge": "принять тревогу",
    "correct": "исправить оценку",
    "send": "отправить в сеть",
    "relate": "связать с другими",
}
"""What people say of a message that is no step of the desk."""


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def accounts(found: Sequence[Account], *, zone: str) -> RenderableType:
    """Each clock with a line about it and a table of its intervals."""
    if not found:
        return Text("у этого сообщения нет сроков: ответ не требуется или оно старше начала наблюдения")
    parts: list[RenderableType] = []
    for a in found:
        parts += [_headline(a, zone), _intervals(a, zone)]
    return Group(*parts)


def _headline(a: Account, zone: str) -> Text:
    line = Text(CLOCKS.get(a.name, a.name), style="bold")
    if a.division:
        line.append(f", {plain(a.division)}", style="")
    length = term_words(a.term) or "по назначенной дате"
    if a.name == "draft" and a.term:
        length = f"за {length} до срока ответа"
    line.append(
        f"\nсрок: {length}; начался {when(a.started_at, zone)} ({_by(a.started_by)}), ",
        style="",
    )
    line.append(f"истекает {when(a.due_at, zone)}\n", style="")
    if a.stopped_at is None:
        line.append("идёт", style="yellow")
    else:
        line.append(f"остановлен {when(a.stopped_at, zone)} ({_by(a.stopped_by)})", style="")
    line.append(f", учтено {span(a.used)}", style="")
    if a.late is not None:
        line.append(f", опоздание {span(a.late)}", style="bold red")
    elif a.stopped_at is not None:
        line.append(", в срок", style="green")
    return line


def _by(verb: str | None) -> str:
    return STARTED.get(verb or "") or SAID.get(verb or "", plain(verb))


def _intervals(a: Account, zone: str) -> Table:
    table = _table("С", "По", "Длится", "Идёт", "Почему")
    for i in a.intervals:
        late = i.start >= a.due_at
        mark = Text("опоздание", style="bold red") if late else Text("да" if i.counted else "нет")
        table.add_row(when(i.start, zone), when(i.end, zone), span(i.length), mark, plain(i.why))
    return table


def forecast(rows: Sequence[Mapping[str, Any]], *, until: str) -> RenderableType:
    """A line a division, then the messages in danger."""
    if not rows:
        return Text(f"до {until} ничего не просрочится")
    table = _table("Подразделение", "Просрочено", "Просрочится", "Ближайшие")
    for row in rows:
        name = plain(row["name"]) or "не распределено"
        if row["proposed"] and row["name"]:
            name += " (по теме, не направлено)"
        nearest = ", ".join(str(m["id"]) for m in row["messages"][:5])
        rest = len(row["messages"]) - 5
        late = Text(str(row["overdue"]), style="bold red" if row["overdue"] else "")
        table.add_row(name, late, str(row["by_end"]), nearest + (f" и ещё {rest}" if rest > 0 else ""))
    total = sum(r["overdue"] for r in rows), sum(r["by_end"] for r in rows)
    said = (
        f"просрочено {plural(total[0], 'сообщение', 'сообщения', 'сообщений')}, до {until} просрочится ещё {total[1]}"
    )
    return Group(table, Text(said))


def history(desk: Mapping[str, Any], *, zone: str, names: Mapping[str, str] | None = None) -> RenderableType:
    """Who did what to a message, and the texts of its replies.

    `names`: ids of people and divisions -> how they are called; who is not in it stands by the id.
    """
    names = names or {}
    if not desk["log"]:
        return Text("с сообщением ещё не работали")
    table = _table("Когда", "Кто", "Что")
    table.columns[0].no_wrap = True
    for e in desk["log"]:
        details = "; ".join(f"{DETAILS.get(k, plain(k))}: {_value(k, v, zone, names)}" for k, v in e["details"].items())
        state = STATES.get(e["target"], plain(e["target"]))
        stays = e["source"] == e["target"]
        if e.get("redacted"):
            details += ("; " if details else "") + "подробности стёрты"
        what = Text(_by(e["verb"]) + ("" if stays else f" → {state}"), style="bold")
        what.append(f"\n{details}" if details else "", "not bold")
        table.add_row(when(e["at"], zone), plain(names.get(e["actor"], e["actor"])), what)
    parts: list[RenderableType] = [table]
    for r in desk["replies"]:
        kind, state = KINDS.get(r["kind"], plain(r["kind"])), REPLY_STATES.get(r["state"], plain(r["state"]))
        by = plain(names.get(r["by"], r["by"]))
        parts.append(Text(f"{r['n']}. {kind}, {state}, {by}, {when(r['at'], zone)}", style="bold"))
        parts.append(Text(plain(r["text"], lines=True)))
        if r["url"]:
            parts.append(Text(plain(r["url"]), style="dim"))
    parts.append(Text(f"версия {desk['version']}", style="dim"))
    return Group(*parts)


KINDS = {
    "final": "ответ",
    "interim": "промежуточный ответ",
    "redirect": "перенаправление",
    "part": "сведения",
    "acknowledgement": "извещение о приёме",
    "extension": "извещение о продлении",
}
REPLY_STATES = {
    "draft": "на согласовании",
    "rework": "на доработке",
    "approved": "согласован",
    "published": "размещён",
    "part": "для общего ответа",
}
DETAILS = {
    "to": "кому",
    "compiler": "сводит",
    "reason": "причина",
    "from": "от",
    "n": "текст",
    "kind": "вид",
    "until": "до",
    "condition": "условие",
    "url": "ссылка",
    "body": "орган",
    "of": "повтор",
    "ground": "основание",
    "outcome": "итог",
    "division": "подразделение",
    "late": "с опозданием",
    "for": "за отсутствующего",
    "what": "что решено",
    "asked": "ждёт второго решения",
    "guid": "ключ отправки",
    "warnings": "предупреждения",
    "even_so": "почему не мешают",
    "topic": "тема",
    "topic_group": "группа тем",
    "places": "место",
    "urgency": "важность",
    "emergency": "чрезвычайное",
    "emergency_kind": "вид",
    "reaction": "реагирование",
    "conduct": "поведение",
    "alert": "тревога",
}


OUTCOMES = {
    "answered": "дан ответ",
    "redirected": "перенаправлено",
    "deleted": "автор удалил",
    "forgotten": "автор забыт по его требованию",
    "none": "ответ не нужен",
}
WORDS = {
    "kind": {**KINDS, **NOTICES},
    "ground": {**REFUSE_GROUNDS, **BLOCK_GROUNDS},
    "late": CLOCKS,
    "warnings": CHECKS,
    "outcome": OUTCOMES,
    "what": {"refuse": "отказ", "block": "блокировка", "hide": "скрытие"},
}
_NAMED = frozenset({"to", "compiler", "from", "division", "for"})
"""Details whose values are ids of the configuration."""


def _value(key: str, value: Any, zone: str, names: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "да" if value else "нет"
    if isinstance(value, list):
        return ", ".join(_value(key, v, zone, names) for v in value)
    if isinstance(value, str):
        value = (names if key in _NAMED else WORDS.get(key, {})).get(value, value)
    at = moment(value) if isinstance(value, str) and value[:2] == "20" else None
    return when(at, zone) if at else plain(value)
