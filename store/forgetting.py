"""Forgetting a person: nothing of who it was and of what was said stays in the database; the facts of statistics do.

The way: remember in `meta` who is being forgotten; mask the person in what others wrote (`store.scanning`); erase the
person's own messages, a few hundred a transaction; look through everything once more; drop the note and compact the
file, so that no freed page holds anything. Killed anywhere, the same command goes on from there. A comment of the
person is recognised by its hidden id when it is collected again (`store.seals`), and stays forgotten.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import delete, func, select, text, update

from settings import USAGE
from store import inbox, scanning
from store import needles as needles_
from store.assessing import clean, set_places, utc
from store.audit import FORGOTTEN, redact
from store.clusters import drop
from store.db import BUSY_TIMEOUT_S, Database, Tx, rows_in
from store.errors import NotFound, StoreError, translate
from store.needles import Needles
from store.personal import change, erase_words, forgotten, is_open, plain_details, tombstone
from store.seals import hidden_id, make_key
from store.tables import (
    UNDERWAY,
    alerts,
    audit,
    cases,
    events,
    judgements,
    messages,
    meta,
    offers,
    publications,
    replies,
    revisions,
    sendings,
    signatures,
)
from store.values import Forgotten
from store.views import dump

_PENDING = "forgetting"
_CHUNK = 300
_PASSES = 4
ERASED = ("author", "text", "attachments", "url", "revisions", "replies", "reasons", "events", "signatures")
"""Kinds of what is erased, as the audit log names them: the proof of destruction lists them."""
Settle = Callable[[Mapping[str, Any], datetime], Mapping[str, Any]]
"""The desk's value of a case -> the same closed, with its clocks stopped and nothing that somebody wrote."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who is forgotten. Without `author_id` the network does not tell who wrote: only these messages are."""

    network: str
    author_id: str | None
    ids: tuple[int, ...]
    names: tuple[str, ...]
    urls: tuple[str, ...]
    external_ids: tuple[str, ...]


def forget(db: Database, who: str, *, by: str, now: datetime, settle: Settle, dry: bool = False) -> Forgotten:
    """Forget the author that `who` names: `network:id`, the address of a profile or of a comment, or the number of a
    message. An earlier run that was broken off is finished first. Raises `NotFound`, `StoreError`."""
    now = utc(now)
    pending = _pending(db)
    if pending is not None and not dry:
        if "network" in pending:
            _carry_out(db, Person(**{k: tuple(v) if isinstance(v, list) else v for k, v in pending["who"].items()}),
                       by=pending["by"], now=now, settle=settle)  # fmt: skip
        _finish(db)
    with db.read() as conn:
        person = find_person(conn, who)
    if person is None:
        if pending is not None and not dry:
            return Forgotten((), (), {}, True, went_on=True)
        raise NotFound(f"автора «{clean(who)[:80]}» в базе нет; укажите сеть:id, ссылку на профиль или номер сообщения")
    if dry:
        return _told(db, person)
    note = {"network": person.network, "by": clean(by), "who": _plain(person)}
    db.transact(lambda tx: _note(tx, note), now)
    found = _carry_out(db, person, by=clean(by), now=now, settle=settle)
    _finish(db)
    return Forgotten(found.messages, found.open, found.counts, True, went_on=pending is not None)


def _plain(person: Person) -> dict[str, Any]:
    return {name: getattr(person, name) for name in Person.__slots__}


def unfinished(db: Database) -> bool:
    """Whether forgetting somebody was broken off."""
    return _pending(db) is not None


# --- who it is --------------------------------------------------------------------------------------------------------


def find_person(conn: Any, who: str) -> Person | None:
    """The person behind what was said, with every message that is left; None when there is none."""
    who = who.strip()
    m = messages.c
    wanted = None
    if who.isascii() and who.isdigit() and len(who) < 19:
        query = select(m.network, m.author_id, m.id, m.own, m.forgotten_at).where(m.id == int(who))
        wanted = conn.execute(query).first()
        if wanted is None or wanted.forgotten_at is not None:
            return None
        if wanted.own:
            raise StoreError(f"сообщение {who} написала сама администрация; забывать некого", exit_code=USAGE)
    elif "/" in who or who.lower().startswith(("vk.com", "vk.ru", "ok.ru")):
        wanted = _by_address(conn, who)
    elif ":" in who:
        network, _, id_ = who.partition(":")
        here = (m.network == network.strip().lower(), m.author_id == id_.strip(), ~m.own)
        wanted = conn.execute(select(m.network, m.author_id, m.id).where(*here).limit(1)).first()
    else:
        raise StoreError(
            f"«{clean(who)[:60]}»: нужны сеть:id (vk:12345), ссылка на профиль или номер сообщения", exit_code=USAGE
        )
    if wanted is None:
        return None
    same = (m.network == wanted.network) & (m.author_id == wanted.author_id)
    mine = m.id == wanted.id if wanted.author_id is None else same
    rows = conn.execute(select(m.id, m.author, m.url, m.external_id).where(mine, ~m.own).order_by(m.id)).all()
    names = {r.author.get("name") for r in rows} - {None, ""}
    urls = {r.author.get("url") for r in rows} | {r.url for r in rows}
    ids = tuple(r.id for r in rows)
    addresses = tuple(sorted(urls - {None, ""}))
    keys = tuple(r.external_id for r in rows)
    return Person(wanted.network, wanted.author_id, ids, tuple(sorted(names)), addresses, keys)


def _core(url: str) -> str:
    core = re.sub(r"^\w+://", "", url.strip()).removeprefix("www.").removeprefix("m.").rstrip("/")
    return re.sub(r"^vk\.ru(?=/|$)", "vk.com", core, flags=re.IGNORECASE)


def _by_address(conn: Any, url: str) -> Any:
    wanted = _core(url).casefold()
    m = messages.c
    query = select(m.id, m.network, m.author_id, m.author, m.url).where(~m.own, m.forgotten_at.is_(None))
    found: dict[tuple[str, str | None], Any] = {}
    for row in conn.execution_options(yield_per=1000).execute(query):
        if wanted in (_core((row.author or {}).get("url") or "").casefold(), _core(row.url).casefold()):
            found.setdefault((row.network, row.author_id), row)
    if len(found) > 1:
        raise StoreError(
            f"под этим адресом несколько авторов: {', '.join(f'{n}:{i}' for n, i in found)}; назовите одного",
            exit_code=USAGE,
        )
    return next(iter(found.values()), None)


def _needles(person: Person, key: bytes) -> Needles:
    parents = {i: hidden_id(key, person.network, i) for i in person.external_ids}
    return needles_.make(
        person.network, person.author_id, person.names, person.urls, parents | {h: h for h in parents.values()}
    )


# --- what there is ----------------------------------------------------------------------------------------------------


def _told(db: Database, person: Person) -> Forgotten:
    """What would be erased, without a write."""
    ids = list(person.ids)
    needles = _needles(person, b"\0" * 32)
    counts = Counter({"messages": len(ids)})
    with db.read() as conn:
        for table in (revisions, judgements, replies, cases, alerts, signatures, audit, events):
            query = select(table.c.message_id)
            counts[table.name] = sum(1 for _ in rows_in(conn, query, table.c.message_id, ids))
        open_ = [str(r.id) for r in rows_in(conn, select(messages), messages.c.id, ids) if is_open(r._mapping)]
    elsewhere = scanning.find(db, needles, set(ids))
    for name, keys in elsewhere.items():
        counts[f"others.{name}"] = len(keys)
    return Forgotten(tuple(map(str, ids)), tuple(open_), _shown(counts), False)


# --- doing it ---------------------------------------------------------------------------------------------------------


def _carry_out(db: Database, person: Person, *, by: str, now: datetime, settle: Settle) -> Forgotten:
    key = db.transact(make_key, now)
    needles = _needles(person, key)
    counts: Counter[str] = Counter()
    own = set(person.ids)
    counts.update({f"others.{k}": v for k, v in _mask(db, needles, own, key, by=by, now=now).items()})
    if (author_id := person.author_id) is not None:
        counts["inbox"] += db.transact(lambda tx: inbox.forget(tx, person.network, author_id), now)
    done: list[int] = []
    open_: list[int] = []
    while ids := _left(db, person):
        part = ids[:_CHUNK]
        own.update(part)
        erased, were_open = db.transact(lambda tx, part=part: _erase(tx, part, needles, key, settle, by, counts), now)
        done += erased
        open_ += were_open
    for _ in range(_PASSES):  # what landed meanwhile
        again = _mask(db, needles, own, key, by=by, now=now)
        if not again.total():
            break
        counts.update({f"others.{k}": v for k, v in again.items()})
    return Forgotten(tuple(map(str, done)), tuple(map(str, open_)), _shown(counts), True)


def _shown(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(kind): n for kind, n in counts.items() if n}  # names of tables are no plain texts


def _mask(db: Database, needles: Needles, own: set[int], key: bytes, *, by: str, now: datetime) -> Counter[str]:
    return scanning.mask(db, scanning.find(db, needles, own), needles, own, key, by=by, now=now)


def _left(db: Database, person: Person) -> list[int]:
    """The person's messages that are still to be erased, those that landed meanwhile among them."""
    m = messages.c
    with db.read() as conn:
        query = select(m.id).where(m.forgotten_at.is_(None), ~m.own).order_by(m.id)
        if person.author_id is None:
            return [r.id for r in rows_in(conn, query, m.id, list(person.ids))]
        return list(conn.execute(query.where(m.network == person.network, m.author_id == person.author_id)).scalars())


def _erase(
    tx: Tx, ids: Sequence[int], needles: Needles, key: bytes, settle: Settle, by: str, counts: Counter[str]
) -> tuple[list[int], list[int]]:
    """Erase these messages of the person in one transaction; (their numbers, which of them were open)."""
    query = tx.lock(select(messages).where(messages.c.forgotten_at.is_(None)).order_by(messages.c.id))
    rows = [dict(r._mapping) for r in rows_in(tx.conn, query, messages.c.id, ids)]
    ids = [r["id"] for r in rows]
    if not ids:
        return [], []
    drop(tx, ids)
    for table in (revisions, judgements, replies, cases, alerts):
        among = select(func.count()).select_from(table).where(table.c.message_id.in_(ids))
        counts[table.name] += tx.execute(among).scalar_one()
    erase_words(tx, ids, replies_too=True)
    _settle_cases(tx, ids, needles, settle)
    _stop_publishing(tx, ids)
    _silence_alerts(tx, ids, by)
    logged = list(rows_in(tx.conn, select(audit).order_by(audit.c.seq), audit.c.message_id, ids))
    left = [needles.masked_json(plain_details(orjson.loads(r.details)), near=True) for r in logged]
    erased = {"messages": [str(i) for i in ids], "kinds": list(ERASED)}
    redact(tx, [r._mapping for r in logged], left, by=by, verb="forget", **erased)
    counts["audit"] += len(logged)
    counts["events"] += _bury_events(tx, ids)
    for row in rows:
        values = forgotten(row, hidden_id(key, row["network"], row["external_id"]), tx.now)
        values["parent_id"] = needles.parents.get(row["parent_id"], row["parent_id"])
        values["assessment"] = needles.masked_json(values["assessment"], near=True)
        values["corrected"] = needles.masked_json(row["corrected"], near=True)
        change(tx, row["id"], values)
        if values["assessment"] is not None:
            set_places(tx, row["id"], values["assessment"])
        told = {"id": str(row["id"]), "forgotten_at": tx.now, "erased": None, "step": None}
        tx.emit(FORGOTTEN, row["id"], dump(told))
    counts["messages"] += len(ids)
    return ids, [r["id"] for r in rows if is_open(r)]


def _settle_cases(tx: Tx, ids: Sequence[int], needles: Needles, settle: Settle) -> None:
    for row in list(rows_in(tx.conn, select(cases), cases.c.message_id, ids)):
        data = orjson.loads(dump(settle(row.data, tx.now)))
        data = needles.masked_json(data, near=True)
        tx.execute(update(cases).where(cases.c.message_id == row.message_id).values(data=data, blocked_until=None))
    tx.execute(delete(offers).where(offers.c.message_id.in_(ids)))


def _stop_publishing(tx: Tx, ids: Sequence[int]) -> None:
    """What is under way is not sent any more; where the answers stand is not known any more."""
    mine = publications.c.message_id.in_(ids)
    tx.execute(update(publications).where(mine).values(url=None, external_id=None, problem=None))
    tx.execute(update(publications).where(mine, UNDERWAY).values(state="done"))


def _silence_alerts(tx: Tx, ids: Sequence[int], by: str) -> None:
    """Nothing of them is sent any more; that there was an alert, of which kind and when it was taken over, stays."""
    mine = select(alerts.c.id).where(alerts.c.message_id.in_(ids))
    tx.execute(update(sendings).where(sendings.c.alert_id.in_(mine)).values(error=None))
    tx.execute(update(alerts).where(alerts.c.message_id.in_(ids)).values(text=""))
    waiting = alerts.c.message_id.in_(ids) & alerts.c.acknowledged_at.is_(None)
    tx.execute(update(alerts).where(waiting).values(acknowledged_at=tx.now, acknowledged_by=by))


def _bury_events(tx: Tx, ids: Sequence[int]) -> int:
    """A tombstone in the place of each event of these messages; its number stays."""
    query = select(events.c.seq, events.c.type, events.c.message_id, events.c.data).order_by(events.c.seq)
    rows = list(rows_in(tx.conn, query, events.c.message_id, ids))
    for row in rows:
        data = dump(tombstone(row._mapping, tx.now)).decode()
        tx.execute(update(events).where(events.c.seq == row.seq).values(type=FORGOTTEN, data=data))
    return len(rows)


# --- the end ----------------------------------------------------------------------------------------------------------


def _pending(db: Database) -> dict[str, Any] | None:
    with db.read() as conn:
        found = conn.execute(select(meta.c.value).where(meta.c.name == _PENDING)).scalar()
    return orjson.loads(found) if found else None


def _note(tx: Tx, value: Mapping[str, Any]) -> None:
    row = tx.insert(meta).values(name=_PENDING, value=dump(value).decode())
    tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value}))


def _finish(db: Database) -> None:
    """The person is erased; now the note of who it was, and what the freed pages still hold."""
    with db.write() as conn:
        conn.execute(update(meta).where(meta.c.name == _PENDING).values(value="{}"))
    compact(db)
    with db.write() as conn:
        conn.execute(delete(meta).where(meta.c.name == _PENDING))


def compact(db: Database) -> None:
    """Leave nothing of what was erased in free pages, in the write-ahead log, in the planner's samples."""
    if not db.is_sqlite:
        conn = db.session()
        try:
            with db.errors():
                conn.execute(text("VACUUM (ANALYZE)"))
        finally:
            conn.close()
            conn.engine.dispose()
        return
    if db.path is None:
        return
    db.engine.dispose()  # an idle connection of ours would hold the log open
    try:
        with closing(sqlite3.connect(db.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as conn:
            conn.execute("PRAGMA temp_store=FILE")  # a copy of the whole database has no place in memory
            conn.execute("PRAGMA secure_delete=ON")
            conn.execute("VACUUM")
            until = time.monotonic() + BUSY_TIMEOUT_S
            while conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > until:
                    raise StoreError(
                        "стёрто, но другая программа всё ещё читает прежнее состояние базы; остановите её и повторите "
                        "ту же команду: она очистит файл"
                    )
                time.sleep(0.05)
    except sqlite3.Error as e:
        raise translate(e, db.name) from None
