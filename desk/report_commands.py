"""`otklik report`: the monthly summary (clause 16), shortcomings for the deputies (clause 15)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console import By, command_group, current, say, utc_now, who

if TYPE_CHECKING:
    from collections.abc import Callable

app = command_group("Отчёты: сводка за месяц (пункт 16), недостатки для заместителей (пункт 15).")

Output = Annotated[str, typer.Option("-o", "--output", metavar="DIR", help="Каталог для файлов.")]
Format = Annotated[str, typer.Option("--format", help="docx, xlsx, html; несколько через запятую.")]
Force = Annotated[bool, typer.Option("--force", help="Заменить существующие файлы.")]


def _make(kind: str, text: str | None, output: str, formats: str, force: bool, by: str | None) -> None:
    from desk.reports import making
    from desk.reports.calendar import month_of, parse_month
    from desk.reports.writing import check_folder, formats_of, render, save
    from desk.work import allow

    state, now = current(), utc_now()
    allow(state.settings, "report", who(by), now)
    month = parse_month(text) if text else month_of(now, state.zone)
    wanted, folder = formats_of(formats), Path(output)
    make: Callable[..., Any] = making.monthly if kind == "month" else making.for_deputies
    with state.store() as store:
        making.as_of(store, month, state.zone, now)
        check_folder(folder, [f"{kind}-{month[0]}-{month[1]:02d}.{f}" for f in wanted], force)
        document = make(store, state.settings, month, now, _titles())
        files = render(document, wanted)
        said = {"report": kind, "month": f"{month[0]}-{month[1]:02d}", "files": sorted(files)}
        paths = store.record(who(by), "report", said, now, lambda: save(folder, files))
    for path in paths:
        say(f"записано: {path}")


titles: Callable[[], Mapping[str, str]] | None = None
"""Where the titles of topics come from; the command line hands it in, for this room knows no classifier."""


def _titles() -> Mapping[str, str]:
    return titles() if titles is not None else {}


@app.command("month")
def report_month(
    month: Annotated[str, typer.Argument(help="Год и месяц, например 2026-11.")],
    output: Output = ".",
    format: Format = "docx,xlsx,html",
    force: Force = False,
    by: By = None,
) -> None:
    """Сводка за месяц: своевременность, качество, динамика, темы, места, тревоги, полнота сбора."""
    _make("month", month, output, format, force, by)


@app.command("deputies")
def report_deputies(
    month: Annotated[str | None, typer.Option("--month", help="Год и месяц; иначе текущий.")] = None,
    output: Output = ".",
    format: Format = "docx,xlsx,html",
    force: Force = False,
    by: By = None,
) -> None:
    """Недостатки по подразделениям для курирующих заместителей: нарушенные сроки, доработки, кто опоздал."""
    _make("deputies", month, output, format, force, by)
