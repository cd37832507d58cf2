"""Figures and models as a person reads them on a terminal. Pure: values in, things that `rich` prints out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from classifier.live import SHIPPED, Version
from classifier.measure import NONE, Classes, Comparison, Figures, Mistake, Share

if TYPE_CHECKING:
    from rich.console import RenderableType

Names = Mapping[str, str]


def called(id_: str, names: Names) -> str:
    return "без темы" if id_ == NONE else names.get(id_, id_)


def _clean(text: str, longest: int = 100) -> Text:
    """One line of text from outside: nothing in it moves the cursor."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return Text(line if len(line) <= longest else line[: longest - 1] + "…")


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _table(*columns: str, wide: int = 0) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == wide else "right", no_wrap=i != wide)
    return table


def summary(f: Figures) -> list[str]:
    """A set's figures, a line each, in Russian."""
    out = []
    for what, c in (("группы тем", f.groups), ("темы", f.topics)):
        if c.n:
            low, high = c.interval
            out.append(f"{what}: F1 взвешенная {c.weighted:.3f} [{low:.2f}; {high:.2f}], средняя {c.macro:.3f} ({c.n})")
    if f.found.n:
        low, high = f.found.interval
        out.append(f"чрезвычайные: найдено {f.found.right} из {f.found.n} [{low:.2f}; {high:.2f}]")
    if f.false.n:
        out.append(f"ложные тревоги: {f.false.right} из {f.false.n}")
    for what, share in (("вид чрезвычайного", f.kinds), ("реагирование", f.reactions), ("срочность", f.urgencies)):
        if share.n:
            out.append(f"{what}: верно {_of(share)}")
    if f.places_f1 is not None:
        hits, extra, missed = f.places
        out.append(f"места: F1 {f.places_f1:.3f} (верно {hits}, лишних {extra}, пропущено {missed})")
    if f.ece is not None:
        answers = sum(b.n for b in f.bins)
        out.append(f"уверенность: расхождение с правдой (ECE) {f.ece:.3f} по {answers} ответам")
    return out


def _of(share: Share) -> str:
    return f"{share.right} из {share.n}"


def figures(f: Figures, names: Names) -> Iterable[RenderableType]:
    """One set: summary, tables of groups and topics, confusions, reliability, missed and false alarms."""
    yield Text(f"{f.name}: {f.n}", style="bold")
    for line in summary(f):
        yield Text("  " + line)
    for title, c in (("Группа тем", f.groups), ("Тема", f.topics)):
        if c.n:
            yield Text()
            yield _classes(title, c, names)
    if f.groups.confusion:
        yield Text()
        yield Text("Чаще всего путает группы", style="bold")
        for true, said, n in f.groups.confusion[:12]:
            yield Text(f"  {n:3}  {called(true, names)} → {called(said, names)}")
    if f.bins:
        yield Text()
        yield Text("Уверенность и доля верных", style="bold")
        for b in f.bins:
            bar = "█" * round(b.right * 20)
            yield Text(
                f"  {b.low:.1f}–{b.high:.1f}  {bar:20}  верно {b.right:.2f} при уверенности {b.confidence:.2f} ({b.n})"
            )
    if f.missed:
        yield Text()
        yield Text("Чрезвычайные: пропущенные и ложные", style="bold")
        for mistake in f.missed[:20]:
            yield _missed(mistake)


def _missed(m: Mistake) -> Text:
    return Text("  ") + _clean(m.text)


def _classes(title: str, c: Classes, names: Names) -> Table:
    table = _table(title, "Всего", "Точность", "Полнота", "F1")
    for row in c.rows:
        name = Text(called(row.id, names))
        table.add_row(name, str(row.n), number(row.precision), number(row.recall), f"{row.f1:.2f}")
    return table


def comparison(found: Comparison, new: str = "новая", old: str = "работающая") -> Iterable[RenderableType]:
    """A new model against the running one, with a verdict in words."""
    table = _table("Вопрос", new, old, "лучше", "хуже", "p", "Вывод")
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for d in found.differences:
        table.add_row(d.name, f"{d.ours:.3f}", f"{d.theirs:.3f}", str(d.better), str(d.worse), f"{d.p:.2f}", d.words)
    yield table
    for why in found.against:
        yield Text(f"  против новой: {why}")


def models(found: Sequence[Version], zone: str) -> Table:
    """The list of `otklik model`."""
    table = _table("Сделана", "Модель", "На чём", "F1", "ЧП", "Ложных", "", wide=2)
    for i in (0, 1, 2, 6):
        table.columns[i].justify = "left"
    for v in found:
        short = v.figures or {}
        table.add_row(
            _when(v.at, zone),
            Text("из поставки" if v.name == SHIPPED else v.name, style="bold" if v.runs else ""),
            Text(_made(v)),
            number(short.get("group_f1")),
            _pair(short.get("emergencies")),
            _pair(short.get("false_alarms")),
            "повреждена" if not v.sound else "работает" if v.runs else "",
        )
    return table


def _pair(value: object) -> str:
    return f"{value[0]}/{value[1]}" if isinstance(value, list | tuple) and len(value) == 2 else "–"


def _when(at: datetime | None, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%d.%m.%Y %H:%M") if at else "–"


def _made(v: Version) -> str:
    data = v.made or {}
    if not v.sound:
        return "–"
    parts = []
    if data.get("base"):
        parts.append(f"поверх {data['base']}")
    elif data.get("examples"):
        parts.append(f"примеров {data['examples']}")
    if data.get("corrections") is not None:
        parts.append(f"исправлений {data['corrections']}")
    return ", ".join(map(str, parts)) or "–"
