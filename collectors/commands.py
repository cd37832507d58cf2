"""The collectors' commands."""

from __future__ import annotations

from console import Json, console, emit


def networks(as_json: Json = False) -> None:
    """Сети: что каждая умеет, сколько стоит и чего не показывает."""
    from collectors.networks import COLUMNS, mark, rows

    found = rows()
    if as_json:
        emit(found)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = {row["network"]: row for row in found}
    table.add_column("")
    for row in shown.values():
        table.add_column(Text(row["network"]), justify="center", style=None if row["ready"] else "dim")
    for column, (heading, _) in COLUMNS.items():
        table.add_row(Text(heading), *(Text(mark(row, column, "да", "нет")) for row in shown.values()))
    out = console()
    out.print(table)
    for row in shown.values():
        said = "; ".join(filter(None, (row.get("cost"), row.get("note")))) if row["ready"] else "сборщика нет"
        out.print(Text(f"{row['network']}: {said}"))
