"""The audit log: who did what, when. Rows are only added, and each one holds the hash of the one before it.

A changed, removed or reordered row breaks the chain. The event of each step carries the row's number and hash, so
whoever has read the feed holds copies of the chain that nobody in the database can take back; they show a tail cut off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import insert, select

from store.assessing import clean
from store.db import Tx
from store.tables import audit, counters, events, micros
from store.views import dump, message_view

_CHUNK = 1000


def append(
    tx: Tx, actor: str, verb: str, message_id: int | None, source: str, target: str, details: Mapping[str, Any]
) -> dict[str, Any]:
    """Add a row at the end; its `seq` and `hash`. The counter's row is locked until commit: one writer at a time."""
    seq = tx.allocate_one("audit")
    prev = (
        tx.execute(select(audit.c.hash).where(audit.c.seq < seq).order_by(audit.c.seq.desc()).limit(1)).scalar() or ""
    )
    row = {
        "seq": seq,
        "at": tx.now,
        "actor": clean(actor),
        "verb": verb,
        "message_id": message_id,
        "source": source,
        "target": target,
        "details": dump(dict(details)).decode(),
        "prev": prev,
    }
    row["hash"] = _hash(row)
    tx.execute(insert(audit).values(**row))
    return {"seq": seq, "hash": row["hash"]}


def corrected(tx: Tx, row: Mapping[str, Any], actor: str, verb: str, details: Mapping[str, Any]) -> None:
    """A person said something of a message that is no step of the desk: an entry, and the event that tells of it."""
    entry = append(tx, actor, verb, row["id"], row["status"], row["status"], details)
    step = {"verb": verb, "by": clean(actor), **entry, "details": dict(details)}
    tx.emit("otklik.message.corrected", row["id"], dump({**message_view(row), "step": step}))


def _hash(row: Mapping[str, Any]) -> str:
    at = row["at"]
    parts = (
        row["prev"], row["seq"], micros(at) if isinstance(at, datetime) else at, row["actor"], row["verb"],
        row["message_id"], row["source"], row["target"], row["details"],
    )  # fmt: skip
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def entries(conn: Any, message_id: int) -> list[dict[str, Any]]:
    """The log of one message, oldest first."""
    found = conn.execute(select(audit).where(audit.c.message_id == message_id).order_by(audit.c.seq)).mappings()
    shown = ("seq", "at", "actor", "verb", "source", "target")
    return [{**{k: r[k] for k in shown}, "details": orjson.loads(r["details"])} for r in found]


def problems(conn: Any) -> Iterator[str]:
    """What is wrong with the log, in Russian. Reads all of it, a part at a time."""
    told = _told(conn)
    counted = conn.execute(select(counters.c.value).where(counters.c.name == "audit")).scalar() or 0
    last, prev = 0, ""
    while (
        rows := conn.execute(select(audit).where(audit.c.seq > last).order_by(audit.c.seq).limit(_CHUNK))
        .mappings()
        .all()
    ):
        for row in rows:
            if row["seq"] != last + 1:
                yield f"в журнале действий нет записей с {last + 1} по {row['seq'] - 1}: их удалили"
            if row["prev"] != prev and row["seq"] == last + 1:
                yield f"в журнале действий запись {row['seq']} не продолжает предыдущую: записи переставили"
            if row["hash"] != _hash(row):
                yield f"в журнале действий изменена запись {row['seq']} ({row['verb']}, сообщение {row['message_id']})"
            if told.pop(row["seq"], row["hash"]) != row["hash"]:
                yield f"запись {row['seq']} журнала действий не та, о которой сообщила лента"
            last, prev = row["seq"], row["hash"]
    if told:
        yield f"в журнале действий нет записей, о которых сообщила лента: {_listed(sorted(told))}"
    if counted != last:
        yield f"счётчик журнала действий ({counted}) не равен номеру последней записи ({last})"


def _told(conn: Any) -> dict[int, str]:
    """Numbers and hashes as the events of the steps told them."""
    query = select(events.c.data).where(events.c.type.in_((*STEP_EVENTS, "otklik.message.corrected")))
    found = {}
    for (data,) in conn.execution_options(yield_per=_CHUNK).execute(query):
        step = orjson.loads(data).get("step") or {}
        if "hash" in step:
            found[step["seq"]] = step["hash"]
    return found


STEP_EVENTS = tuple(f"otklik.message.{name}" for name in ("moved", "routed", "returned", "answered", "closed"))
"""Types of the events that tell of a step of the desk."""


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (f" и ещё {len(numbers) - 5}" if len(numbers) > 5 else "")
