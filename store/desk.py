"""What the desk does to a message, in one transaction: state, clocks, reply, audit log, event.

The decision itself is the desk's (`decide`); it is taken under the message's lock, so of two people who do the same at
once only one succeeds, and the other is told what the first has done. Nothing here knows the Regulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from settings import USAGE
from store import publishing
from store.assessing import DONE, clean, priority, utc
from store.audit import append, entries
from store.clusters import members, point
from store.db import Database, Tx
from store.errors import NotFound, StoreError
from store.queue import GONE, number
from store.tables import NEVER, cases, messages, replies
from store.values import DeskStep, first_due
from store.views import BLANK, dump, message_view, plain

Decide = Callable[[Mapping[str, Any], Mapping[str, Any] | None], DeskStep]
"""(the message as shown, times aware; the desk's own value, None at first) -> the step. Raises to refuse.

Of the message also `corrected`, and `publishing`: numbers of the replies that the network may have and that are not
recorded yet.
"""


def act(
    db: Database, id_: str, decide: Decide, *, by: str, now: datetime, version: int | None = None
) -> dict[str, Any]:
    """Take one step; the message as it is then, with `version`.

    `version`: which state the person saw; when somebody has changed it since, StoreError. Raises NotFound, and what
    `decide` raises; nothing is changed then.
    """
    wanted = number(id_)

    def work(tx: Tx) -> dict[str, Any]:
        row = tx.execute(tx.lock(select(messages).where(messages.c.id == wanted))).mappings().first()
        if row is None:
            raise NotFound(f"сообщения с номером «{id_}» нет; номера показывает otklik queue")
        if row["own"]:
            raise StoreError(f"сообщение {id_} написала сама администрация; с ним не работают", exit_code=USAGE)
        if row["forgotten_at"] is not None:
            raise StoreError(GONE.format(id_), exit_code=USAGE)
        case = tx.execute(select(cases).where(cases.c.message_id == wanted)).mappings().first()
        at = case["version"] if case else 0
        if version is not None and version != at:
            raise StoreError(
                f"сообщение {id_} уже изменил кто-то другой (версия {at}, а не {version}); посмотрите его и повторите",
                exit_code=USAGE,
            )
        more = {"corrected": row["corrected"], "publishing": publishing.underway(tx, wanted)}
        seen = {**_times(message_view(row)), **more}
        step = decide(seen, case["data"] if case else None)
        _save_case(tx, wanted, at, step)
        values = _columns(row, step)
        tx.execute(update(messages).where(messages.c.id == wanted).values(**values))
        if step.repeat_of is not None:
            values |= point(tx, wanted, number(step.repeat_of), by)
        _save_reply(tx, wanted, by, step)
        entry = append(tx, by, step.verb, wanted, step.source, step.status, step.details)
        shown = message_view({**row, **values})
        told = {"verb": step.verb, "from": step.source, "to": step.status, "by": clean(by), "version": at + 1, **entry}
        details = {"details": step.details}
        tx.emit(f"otklik.message.{step.event}", wanted, dump({**shown, "step": {**told, **details}}))
        return plain({**shown, "version": at + 1})

    return db.transact(work, utc(now))


def _times(view: Mapping[str, Any]) -> dict[str, Any]:
    deadlines = {k: datetime.fromisoformat(v) if isinstance(v, str) else v for k, v in view["deadlines"].items()}
    return {**view, "deadlines": deadlines}


def _save_case(tx: Tx, id_: int, version: int, step: DeskStep) -> None:
    values = {"version": version + 1, "data": plain(step.case), "blocked_until": utc(step.blocked_until)}
    values["hidden"] = step.hidden
    if version == 0:
        tx.execute(insert(cases).values(message_id=id_, **values))
    else:
        tx.execute(update(cases).where(cases.c.message_id == id_).values(**values))


def _columns(row: Mapping[str, Any], step: DeskStep) -> dict[str, Any]:
    deadlines = {name: utc(at) for name, at in step.deadlines.items()}
    place = row["priority"]
    if not row["historical"]:
        place = DONE if step.done else priority(row["assessment"] or BLANK, False)
    return {
        "status": step.status,
        "division": step.division,
        "deadlines": deadlines or None,
        "due_at": first_due(deadlines) or NEVER,
        "priority": place,
    }


def _save_reply(tx: Tx, id_: int, by: str, step: DeskStep) -> None:
    if step.new_reply is not None:
        r = step.new_reply
        values = {"kind": r.kind, "state": r.state, "text": clean(r.text), "by": clean(by), "at": tx.now}
        tx.execute(insert(replies).values(message_id=id_, n=r.n, changed_at=tx.now, **values))
    if step.reply_moved is not None:
        m = step.reply_moved
        changed = update(replies).where(replies.c.message_id == id_, replies.c.n == m.n)
        tx.execute(changed.values(state=m.state, url=clean(m.url), changed_at=tx.now))
        if m.state == "published":
            publishing.finish(tx, id_, m.n, m.url)


# --- reading ----------------------------------------------------------------------------------------------------------


def show(db: Database, id_: str) -> dict[str, Any]:
    """The desk's side of one message: `version` (0: not touched yet), `case`, `replies`, `log`."""
    wanted = number(id_)
    with db.read() as conn:
        if conn.execute(select(messages.c.id).where(messages.c.id == wanted)).first() is None:
            raise NotFound(f"сообщения с номером «{id_}» нет; номера показывает otklik queue")
        case = conn.execute(select(cases).where(cases.c.message_id == wanted)).mappings().first()
        said = conn.execute(select(replies).where(replies.c.message_id == wanted).order_by(replies.c.n)).mappings()
        found = {
            "version": case["version"] if case else 0,
            "case": case["data"] if case else None,
            "replies": [{k: v for k, v in r.items() if k != "message_id"} for r in said],
            "log": entries(conn, wanted),
        }
    return plain(found)


def blocks(
    db: Database, *, due: datetime | None = None, author_of: str | None = None, limit: int = 1000
) -> list[dict[str, Any]]:
    """Authors who may not write on a page, whose term ends first on top: `message_id`, `network`, `page`, `author`,
    `ground`, `until`, `emergency`. `due`: only those whose term had ended then; `author_of`: only the author of that
    message, on its page."""
    m, c = messages.c, cases.c
    query = select(m.id, m.network, m.page_id, m.author, c.data, c.blocked_until).join_from(
        cases, messages, m.id == c.message_id
    )
    query = query.where(c.blocked_until.isnot(None)).order_by(c.blocked_until, m.id).limit(limit)
    if due is not None:
        query = query.where(c.blocked_until <= utc(due))
    with db.read() as conn:
        if author_of is not None:
            of = conn.execute(select(m.network, m.page_id, m.author_id).where(m.id == number(author_of))).first()
            if of is None or of.author_id is None:
                return []
            query = query.where(m.network == of.network, m.page_id == of.page_id, m.author_id == of.author_id)
        rows = conn.execute(query).all()
    found = []
    for r in rows:
        author = {k: (r.author or {}).get(k) for k in ("id", "name", "url")}
        told = {"message_id": str(r.id), "network": r.network, "page": r.page_id, "author": author}
        found.append({**told, "ground": r.data["blocked"], "until": r.blocked_until})
    return plain(found)


def hidden(db: Database, limit: int = 1000) -> list[dict[str, Any]]:
    """Comments that we have hidden, the newest message on top: `message_id`, `network`, `page`, `url`, `author`,
    `ground`, `deleted_at`."""
    m, c = messages.c, cases.c
    query = select(m.id, m.network, m.page_id, m.url, m.author, m.deleted_at, c.data)
    query = query.join_from(cases, messages, m.id == c.message_id).where(c.hidden).order_by(m.id.desc()).limit(limit)
    with db.read() as conn:
        rows = conn.execute(query).all()
    found = []
    for r in rows:
        author = {k: (r.author or {}).get(k) for k in ("id", "name", "url")}
        told = {"message_id": str(r.id), "network": r.network, "page": r.page_id, "url": r.url, "author": author}
        found.append({**told, "ground": r.data["hidden"], "deleted_at": r.deleted_at})
    return plain(found)


def published_answers(db: Database, *, besides: str, limit: int) -> list[dict[str, Any]]:
    """The newest published answers to messages of other questions than `besides`: `message_id`, `text`, `topic`,
    `places` (names)."""
    m, r = messages.c, replies.c
    query = (
        select(m.id, r.text, m.topic, m.assessment)
        .join_from(replies, messages, m.id == r.message_id)
        .where(r.state == "published", r.kind.in_(("final", "interim")))
        .order_by(r.changed_at.desc(), m.id.desc())
        .limit(limit)
    )
    with db.read() as conn:
        same = set(conn.execute(members(conn, number(besides))).scalars())
        rows = [row for row in conn.execute(query) if row.id not in same]
    return [
        {
            "message_id": str(row.id),
            "text": row.text,
            "topic": row.topic,
            "places": [p["name"] for p in (row.assessment or BLANK)["places"]],
        }
        for row in rows
    ]


def count_open(db: Database) -> dict[str, int]:
    """How many residents' messages are in each state."""
    with db.read() as conn:
        query = select(messages.c.status, func.count()).where(~messages.c.own).group_by(messages.c.status)
        return dict(conn.execute(query).tuples().all())
