"""How the list of who saw what looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from desk.text import plain, when

HOW = {"show": "карточка", "list": "список", "take": "передано", "review": "разбор", "export": "выгрузка"}


def access(rows: Sequence[Mapping[str, Any]], *, zone: str, names: Mapping[str, str]) -> RenderableType:
    """A line a person, message, day and way."""
    if not rows:
        return Text("никто ничего не смотрел")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in ("Впервые за день", "Кто", "№", "Где"):
        table.add_column(header, no_wrap=header != "Кто")
    for r in rows:
        who = names.get(r["actor"], r["actor"])
        table.add_row(when(r["at"], zone), plain(who), str(r["message_id"]), HOW.get(r["how"], plain(r["how"])))
    return table
