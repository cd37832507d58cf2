"""How the lists of who saw what and of who did what look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from desk.sla_view import SAID
from desk.states import TITLES
from desk.text import plain, when


def journal(rows: Sequence[Mapping[str, Any]], *, zone: str, names: Mapping[str, str]) -> RenderableType:
    """A line an entry of the audit log."""
    if not rows:
        return Text("записей нет")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in ("№ записи", "Когда", "Кто", "Что", "О чём"):
        table.add_column(header, no_wrap=header in ("№ записи", "Когда"), overflow="fold")
    for r in rows:
        about = [f"сообщение {r['message_id']}"] if r["message_id"] is not None else []
        about += [f"сообщения {', '.join(m[:20])}" for m in [r["details"].get("messages")] if m]
        about += ["подробности стёрты"] if r["redacted"] else []
        what = SAID.get(r["verb"]) or TITLES.get(r["verb"]) or VERBS.get(r["verb"], plain(r["verb"]))
        table.add_row(
            str(r["seq"]), when(r["at"], zone), plain(names.get(r["actor"], r["actor"])), what, "; ".join(about)
        )
    return table


VERBS = {
    "forget": "забыт автор",
    "sweep": "стёрто по срокам",
    "export": "выгрузка без людей",
    "backup": "копия базы",
    "restore": "база восстановлена из копии",
    "drill": "учебная тревога",
    "model_train": "обучение модели",
    "model_rollback": "прежняя модель",
    "model_reassess": "переоценка сообщений",
}
"""What people do besides the steps of a message."""
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
