"""`alerts spikes`, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from desk.text import plain, plural, when


def shown(found: Mapping[str, Any], zone: str) -> RenderableType:
    """What goes on, and what stands highest against the usual."""
    days = found["history_days"]
    if not found["enabled"]:
        return Text("Наблюдение выключено (alerts.spikes.enabled).")
    if days is None or days < found["learn_days"]:
        have = plural(int(days or 0), "день", "дня", "дней")
        return Text(f"Накоплено истории: {have}; тревоги начнутся, когда будет {found['learn_days']:.0f}.")
    head = (
        f"Наблюдается {plural(found['subjects'], 'предмет', 'предмета', 'предметов')} (тема, место, страница), "
        f"история: {plural(int(days), 'день', 'дня', 'дней')}."
    )
    parts: list[RenderableType] = [Text(head)]
    for t in found["told"]:
        state = f"закончилось {when(t['ended_at'], zone)}" if t["ended_at"] else "продолжается"
        words = f"Тревога {t['alert']}: {plain(t['about'])}; {t['n']} за {t['window']}, обычно {_number(t['usual'])}"
        parts.append(Text(f"{words}; с {when(t['started_at'], zone)}, {state}", style="bold red"))
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name, more in (
        ("Тема, место, страница", {"ratio": 1, "overflow": "fold"}),
        ("За", {}),
        ("Людей", {}),
        ("Обычно", {}),
    ):
        table.add_column(Text(name), justify="left" if more else "right", **more)
    table.add_column(Text("Вероятность случайного"), justify="right")
    for row in found["highest"][:10]:
        table.add_row(Text(plain(row["about"])), row["window"], str(row["n"]), _number(row["usual"]), f"{row['p']:.1e}")
    if table.row_count:
        parts += [Text("Выше всего против обычного:"), table]
    return Group(*parts)


def _number(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")
