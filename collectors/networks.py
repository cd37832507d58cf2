"""What each network can do, as rows for `otklik networks` and as the page docs/networks.md (`make networks`)."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from collectors import BUILTIN, available, load
from settings import ConfigError

COLUMNS: dict[str, tuple[str, str]] = {
    "posts": ("публикации", "posts"),
    "comments": ("комментарии", "comments"),
    "history": ("прошлое", "history"),
    "replies": ("чей ответ", "replies"),
    "edits": ("правки", "edits"),
    "deletions": ("удаления", "deletions"),
    "counters": ("счётчик", "counters"),
    "push": ("новости сама", "push"),
    "reply": ("ответить", "reply"),
    "hide": ("скрыть", "hide"),
    "block": ("блокировать", "block"),
}
"""Capability -> its heading in the terminal and in the page."""

HEADER = """\
# The networks: what each can do

Made from what the collectors declare (`collectors/contract.py`, `Capabilities`) by `make networks`; do not edit.
The same in the terminal: `otklik networks`, `otklik networks --json`.

*history*: what was written before the first run can be read. *replies*: which comment a reply answers is told; a number
says to how many levels. *counters*: a post tells how many comments it has, so that a gap can be seen; without them a
deletion needs two whole walks that agree. *push*: the network tells of news by itself. *reply, hide, block*: what the
program can do there for a person. Limits, prices and remarks are told to staff, in Russian.

"""


def rows() -> list[dict[str, Any]]:
    """One row a network, those of the vocabulary first; `ready` False: no collector is installed for it."""
    found: list[dict[str, Any]] = []
    there = available()
    for name in [*BUILTIN, *sorted(set(there) - set(BUILTIN))]:
        if name not in there:
            found.append({"network": name, "title": name, "ready": False})
            continue
        try:
            cls = load(name)
        except ConfigError as e:
            found.append({"network": name, "title": name, "ready": False, "note": str(e)})
            continue
        found.append({"network": name, "title": cls.title, "ready": True, **asdict(cls.capabilities)})
    return found


def mark(row: dict[str, Any], column: str, yes: str, no: str) -> str:
    """One cell: yes, no, or to how many levels replies are told."""
    if not row["ready"]:
        return ""
    value = row[column]
    if column == "replies" and value and row["depth"] is not None:
        return str(row["depth"])
    return yes if value else no


def page() -> str:
    """docs/networks.md; only the built-in networks, whatever else is installed."""
    head = ["network", *(heading for _, heading in COLUMNS.values())]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    remarks = []
    for row in rows():
        if row["network"] not in BUILTIN or not row["ready"]:
            continue
        cells = [f"`{row['network']}`", *(mark(row, c, "yes", "–") for c in COLUMNS)]
        lines.append(f"| {' | '.join(cells)} |")
        remarks.append(f"| `{row['network']}` | {row['cost']} | {row['note']} |")
    table = ["", "| network | limits and price | remarks |", "| --- | --- | --- |", *remarks]
    return HEADER + "\n".join(lines + table) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/networks.md").write_text(page(), encoding="utf-8")
