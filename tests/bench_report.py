"""`python -m tests.bench report`: a month of 10^5 messages, each worked at by the desk, and its reports.

The store is made of copies of the cases, logs and messages of a small real one: landing and working at 10^5 messages
would take an hour.
"""

from __future__ import annotations

import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from desk.reports import making
from desk.reports.writing import render
from store import Store
from tests.desk.month_rig import configured, fill

MESSAGES = 100_000
_FIRST = datetime(2026, 10, 1, tzinfo=UTC)


def _multiply(path: Path, wanted: int) -> int:
    """Copy every message with its case and log under new numbers until there are `wanted`."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA foreign_keys=OFF")
    columns = {t: [r[1] for r in db.execute(f"PRAGMA table_info({t})")] for t in ("messages", "cases", "audit")}
    (n, top) = db.execute("SELECT COUNT(*), MAX(id) FROM messages").fetchone()
    (steps,) = db.execute("SELECT MAX(seq) FROM audit").fetchone()
    for copy in range(1, -(-wanted // n)):
        new = {"id": f"id + {copy * top}", "message_id": f"message_id + {copy * top}", "seq": f"seq + {copy * steps}"}
        new["external_id"] = f"external_id || '-{copy}'"
        for table, names in columns.items():
            chosen = ", ".join(new.get(c, f'"{c}"') for c in names)
            where = f"WHERE {'seq' if table == 'audit' else names[0]} <= {steps if table == 'audit' else top}"
            listed = ", ".join(f'"{c}"' for c in names)
            db.execute(f"INSERT INTO {table} ({listed}) SELECT {chosen} FROM {table} {where}")
    db.commit()
    (total,) = db.execute("SELECT COUNT(*) FROM messages").fetchone()
    db.close()
    return int(total)


ORDINARY = {"paces": (20,) * 18 + (60, 900), "done": (9,) * 19 + (1,)}
"""Most steps within twenty minutes, one message in twenty left lying."""


def report(messages: int = MESSAGES) -> Iterator[str]:
    """CPU seconds of both reports, and the memory they took."""
    for way, how in (("ordinary", ORDINARY), ("nearly everything late", {})):
        yield from _report(messages, way, how)


def _report(messages: int, way: str, how: dict[str, Any]) -> Iterator[str]:
    now = datetime(2026, 12, 20, tzinfo=UTC)
    with tempfile.TemporaryDirectory(prefix="otklik-bench-") as folder:
        path = Path(folder) / "otklik.db"
        with Store.open(f"sqlite:///{path}") as store:
            fill(store, configured(), 250, 4, _FIRST, 29, **how)
        total = _multiply(path, messages)
        with Store.open(f"sqlite:///{path}") as store:
            for name, make in (("month", making.monthly), ("deputies", making.for_deputies)):
                started = time.process_time()
                document = make(store, configured(), (2026, 10), now, {})
                counted = time.process_time()
                files = render(document, ("docx", "xlsx", "html"))
                ended = time.process_time()
                rows = sum(len(t.rows) for t in document.tables())
                sizes = ", ".join(f"{n.rpartition('.')[2]} {len(d) / 1e6:.1f} MB" for n, d in files.items())
                yield (
                    f"report {name}, {way}, {total:,} messages: CPU {ended - started:.1f} s (counting "
                    f"{counted - started:.1f}, three files {ended - counted:.1f}), {rows:,} rows, {sizes}"
                )
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield f"  memory at its highest: {memory:.0f} MB"
