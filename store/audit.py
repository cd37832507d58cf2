"""The audit log: who did what, when. Rows are only added, and each one holds the hash of the one before it.

A changed, removed or reordered row breaks the chain. The event of each step carries the row's number and hash, so
whoever has read the feed holds copies of the chain that nobody in the database can take back; they show a tail cut off.

The hash covers a salted digest of the details instead of the details, so they can be erased (a forgotten resident, the
retention rule) while every other fact of the row stays proved. Erasing is itself a row of the log: it names the rows
and holds a seal of what was left of each (docs/decisions/0009-redactable-audit-chain.md).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import delete, insert, select, update

from store.assessing import clean, utc
from store.db import Database, Tx
from store.tables import audit, counters, events, meta, micros
from store.views import dump, message_view, plain

T = TypeVar("T")
_CHUNK = 1000
BASE = "audit_base"
"""In `meta`: JSON, `seq` and `hash` of the last row that the retention rule removed from the beginning."""


def append(
    tx: Tx, actor: str, verb: str, message_id: int | None, source: str, target: str, details: Mapping[str, Any]
) -> dict[str, Any]:
    """Add a row at the end; its `seq` and `hash`. The counter's row is locked until commit: one writer at a time."""
    seq = tx.allocate_one("audit")
    prev = tx.execute(select(audit.c.hash).where(audit.c.seq < seq).order_by(audit.c.seq.desc()).limit(1)).scalar()
    row = {
        "seq": seq,
        "at": tx.now,
        "actor": clean(actor),
        "verb": verb,
        "message_id": message_id,
        "source": source,
        "target": target,
        "details": dump(dict(details)).decode(),
        "prev": _base(tx.conn)["hash"] if prev is None else prev,
        "salt": os.urandom(16).hex(),
        "redacted": None,
    }
    row["digest"] = _digest(row)
    row["hash"] = _hash(row)
    tx.execute(insert(audit).values(**row))
    return {"seq": seq, "hash": row["hash"]}


def corrected(tx: Tx, row: Mapping[str, Any], actor: str, verb: str, details: Mapping[str, Any]) -> None:
    """A person said something of a message that is no step of the desk: an entry, and the event that tells of it."""
    entry = append(tx, actor, verb, row["id"], row["status"], row["status"], details)
    step = {"verb": verb, "by": clean(actor), **entry, "details": dict(details)}
    tx.emit("otklik.message.corrected", row["id"], dump({**message_view(row), "step": step}))


def _digest(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{row['salt']}{row['details']}".encode()).hexdigest()


def _hash(row: Mapping[str, Any]) -> str:
    at = row["at"]
    head = (
        row["prev"], row["seq"], micros(at) if isinstance(at, datetime) else at, row["actor"], row["verb"],
        row["message_id"], row["source"], row["target"],
    )  # fmt: skip
    parts = (*head, row["details"]) if row["digest"] is None else ("2", *head, row["digest"])
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _seal(row: Mapping[str, Any]) -> str:
    """Of all that is left of a row whose details were erased, the hash it keeps included."""
    at = row["at"]
    parts = (
        row["hash"], row["seq"], micros(at) if isinstance(at, datetime) else at, row["actor"], row["verb"],
        row["message_id"], row["source"], row["target"], row["details"],
    )  # fmt: skip
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def redact(
    tx: Tx, rows: Sequence[Mapping[str, Any]], left: Sequence[Mapping[str, Any]], *, by: str, verb: str, **more: Any
) -> None:
    """Leave of the details of these rows only `left`, and record it as a row of its own (`verb`, done by `by`).

    `more`: what that row tells besides. It is appended also when there are no rows to redact.
    """
    kept = [{**row, "details": dump(dict(rest)).decode()} for row, rest in zip(rows, left, strict=True)]
    entry = append(tx, by, verb, None, "", "", {**more, "redacted": {str(r["seq"]): _seal(r) for r in kept}})
    for row in kept:
        values = {"details": row["details"], "salt": None, "redacted": entry["seq"]}
        tx.execute(update(audit).where(audit.c.seq == row["seq"]).values(**values))


def record(db: Database, by: str, verb: str, details: Mapping[str, Any], now: datetime, do: Callable[[], T]) -> T:
    """Do something that is not in the database (`do`), with its row of the log: neither is there without the other.

    `do` is the last thing before the commit, so what fails there leaves no row.
    """

    def work(tx: Tx) -> T:
        append(tx, by, verb, None, "", "", details)
        return do()

    return db.transact(work, utc(now))


def drop_before(tx: Tx, seq: int) -> int:
    """Remove the rows before number `seq` from the beginning of the chain; how many. The chain then begins there."""
    last = tx.execute(
        select(audit.c.seq, audit.c.hash).where(audit.c.seq < seq).order_by(audit.c.seq.desc()).limit(1)
    ).first()
    if last is None:
        return 0
    value = orjson.dumps({"seq": last.seq, "hash": last.hash}).decode()
    row = tx.insert(meta).values(name=BASE, value=value)
    tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
    return tx.execute(delete(audit).where(audit.c.seq < seq)).rowcount


def _base(conn: Any) -> dict[str, Any]:
    told = conn.execute(select(meta.c.value).where(meta.c.name == BASE)).scalar()
    return orjson.loads(told) if told else {"seq": 0, "hash": ""}


def entries(conn: Any, message_id: int) -> list[dict[str, Any]]:
    """The log of one message, oldest first. `redacted`: the number of the row by which details were erased, or None."""
    found = conn.execute(select(audit).where(audit.c.message_id == message_id).order_by(audit.c.seq)).mappings()
    shown = ("seq", "at", "actor", "verb", "source", "target", "redacted")
    return [{**{k: r[k] for k in shown}, "details": orjson.loads(r["details"])} for r in found]


def latest(db: Database, verb: str | None, limit: int) -> list[dict[str, Any]]:
    """The log's last entries, newest first; `verb`: only of this kind. Entries without a message are among them."""
    query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if verb is not None:
        query = query.where(audit.c.verb == verb)
    shown = ("seq", "at", "actor", "verb", "message_id", "source", "target", "redacted")
    with db.read() as conn:
        rows = conn.execute(query).mappings().all()
    return [plain({**{k: r[k] for k in shown}, "details": orjson.loads(r["details"])}) for r in rows]


def problems(conn: Any) -> Iterator[str]:
    """What is wrong with the log, in Russian. Reads all of it, a part at a time."""
    told = _told(conn)
    counted = conn.execute(select(counters.c.value).where(counters.c.name == "audit")).scalar() or 0
    base = _base(conn)
    told = {seq: hash_ for seq, hash_ in told.items() if seq > base["seq"]}
    last, prev = base["seq"], base["hash"]
    left: dict[int, dict[str, str]] = {}  # number of a row that records an erasure -> {row: seal} that it must name
    while (
        rows := conn.execute(select(audit).where(audit.c.seq > last).order_by(audit.c.seq).limit(_CHUNK))
        .mappings()
        .all()
    ):
        for row in rows:
            seq = row["seq"]
            if seq != last + 1:
                yield f"в журнале действий нет записей с {last + 1} по {seq - 1}: их удалили"
            if row["prev"] != prev and seq == last + 1:
                yield f"в журнале действий запись {seq} не продолжает предыдущую: записи переставили"
            if not _intact(row):
                yield f"в журнале действий изменена запись {seq} ({row['verb']}, сообщение {row['message_id']})"
            if row["redacted"] is not None:
                left.setdefault(row["redacted"], {})[str(seq)] = _seal(row)
            if (claims := left.pop(seq, None)) is not None:
                yield from _unclaimed(row, claims)
            if told.pop(seq, row["hash"]) != row["hash"]:
                yield f"запись {seq} журнала действий не та, о которой сообщила лента"
            last, prev = seq, row["hash"]
    for claims in left.values():
        yield from (f"подробности записи {seq} журнала действий стёрты, а кем и когда — не записано" for seq in claims)
    if told:
        yield f"в журнале действий нет записей, о которых сообщила лента: {_listed(sorted(told))}"
    if counted != last:
        yield f"счётчик журнала действий ({counted}) не равен номеру последней записи ({last})"


def _intact(row: Mapping[str, Any]) -> bool:
    """Whether the row says what its hash says; of erased details only their digest is left to prove."""
    if row["redacted"] is None:
        return row["hash"] == _hash(row) and (row["digest"] is None or row["digest"] == _digest(row))
    return row["redacted"] > row["seq"] and (row["digest"] is None or row["hash"] == _hash(row))


def _unclaimed(entry: Mapping[str, Any], claims: Mapping[str, str]) -> Iterator[str]:
    """Rows that say this entry records the erasing of their details, and it does not, or of other ones."""
    named = orjson.loads(entry["details"]).get("redacted")
    for seq, found in claims.items():
        if not isinstance(named, dict) or named.get(seq) != found:
            yield f"подробности записи {seq} журнала действий стёрты или изменены не так, как записано ({entry['seq']})"


def _told(conn: Any) -> dict[int, str]:
    """Numbers and hashes as the events of the steps told them."""
    query = select(events.c.data).where(events.c.type.in_((*STEP_EVENTS, "otklik.message.corrected", FORGOTTEN)))
    found = {}
    for (data,) in conn.execution_options(yield_per=_CHUNK).execute(query):
        step = orjson.loads(data).get("step") or {}
        if "hash" in step:
            found[step["seq"]] = step["hash"]
    return found


STEP_EVENTS = tuple(f"otklik.message.{name}" for name in ("moved", "routed", "returned", "answered", "closed"))
"""Types of the events that tell of a step of the desk."""
FORGOTTEN = "otklik.message.forgotten"
"""Type of the events that stand where something personal stood; those of a step keep its number and hash."""


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (f" и ещё {len(numbers) - 5}" if len(numbers) > 5 else "")
