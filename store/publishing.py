"""Publications: what the program meant to publish, what the network said, what was read back.

The intention is committed before anything is sent, so that after a crash at any instant somebody knows where to look.
Whoever works on a publication holds its lock (`locks.try_lock(f"publish:{message}")`); nothing here talks to a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from settings import USAGE
from store.assessing import clean, utc
from store.audit import append
from store.db import Database, Tx
from store.errors import NotFound, StoreError
from store.queue import number
from store.tables import UNDERWAY, cases, messages, publications, replies
from store.values import Publication, Receipt

MAX_PROBLEM = 500


def intend(
    db: Database, id_: str, n: int, guid: str, *, by: str, now: datetime, version: int | None = None
) -> Publication:
    """Keep that reply `n` of the message is about to be published; `attempts` then counts this try.

    A publication under way stays as it is; one that was left to a person is taken up again. `version`: the state of
    the message that the person decided upon. Raises NotFound, and StoreError when the message has moved on.
    """
    wanted = number(id_)

    def work(tx: Tx) -> Publication:
        row = tx.execute(tx.lock(select(messages.c.status).where(messages.c.id == wanted))).first()
        reply = tx.execute(
            select(replies.c.state).where(replies.c.message_id == wanted, replies.c.n == n)
        ).scalar_one_or_none()
        if row is None or reply is None:
            raise NotFound(f"сообщения {id_} с ответом {n} нет; номера показывает otklik queue")
        at = tx.execute(select(cases.c.version).where(cases.c.message_id == wanted)).scalar_one()
        if reply != "approved" or (version is not None and version != at):
            raise StoreError(f"сообщение {id_} уже изменил кто-то другой; посмотрите его и повторите", exit_code=USAGE)
        known = _get(tx, wanted, n)
        if known is None:
            values = {"guid": guid, "state": "intended", "by": clean(by), "at": tx.now, "tried_at": tx.now}
            tx.execute(insert(publications).values(message_id=wanted, n=n, attempts=1, **values))
            append(tx, by, "send", wanted, row.status, row.status, {"n": n, "guid": guid})
        else:
            again = {"state": "intended", "by": clean(by)} if known["state"] == "by_hand" else {}
            _set(tx, wanted, n, attempts=known["attempts"] + 1, tried_at=tx.now, **again)
        return _value(_get(tx, wanted, n))

    return db.transact(work, utc(now))


def received(db: Database, id_: str, n: int, receipt: Receipt, now: datetime) -> None:
    """The network took it: this is the receipt. A state that is further on is not taken back."""
    _move(db, id_, n, now, ("intended",), {"state": "sent", "problem": None, **_said(receipt)})


def seen(db: Database, id_: str, n: int, receipt: Receipt, now: datetime) -> None:
    """It was read back: it stands there as residents see it."""
    values = {"state": "seen", "seen_at": utc(now), "problem": None, **_said(receipt)}
    _move(db, id_, n, now, ("intended", "sent"), values)


def troubled(db: Database, id_: str, n: int, problem: str, now: datetime, *, by_hand: bool = False) -> None:
    """Why it did not get further; `by_hand`: a person has to do it, no run tries again by itself."""
    values = {"problem": clean(problem)[:MAX_PROBLEM], **({"state": "by_hand"} if by_hand else {})}
    _move(db, id_, n, now, ("intended",) if by_hand else ("intended", "sent"), values)


def drop(db: Database, id_: str, n: int, now: datetime) -> None:
    """Nobody needs it any more: whatever the network has of it stays as it is, nothing is sent."""
    _move(db, id_, n, now, ("intended", "sent", "seen"), {"state": "done"})


def _said(receipt: Receipt) -> dict[str, Any]:
    told = {"external_id": receipt.external_id, "url": clean(receipt.url)}
    return told | ({"published_at": utc(receipt.published_at)} if receipt.published_at else {})


def _move(db: Database, id_: str, n: int, now: datetime, sources: tuple[str, ...], values: Mapping[str, Any]) -> None:
    p, wanted = publications.c, number(id_)

    def work(tx: Tx) -> None:
        tx.execute(update(publications).where(p.message_id == wanted, p.n == n, p.state.in_(sources)).values(**values))

    db.transact(work, utc(now))


def finish(tx: Tx, message_id: int, n: int, url: str | None) -> None:
    """The step that publishes reply `n` is being kept: nothing more is to be sent. Within that step's transaction."""
    known = _get(tx, message_id, n)
    if known is not None:
        _set(tx, message_id, n, state="done", **({"url": clean(url)} if url else {}))


def underway(tx: Tx, message_id: int) -> list[int]:
    """The replies of this message that the network may have, or has, and that are not recorded yet: their numbers."""
    p = publications.c
    return list(tx.execute(select(p.n).where(p.message_id == message_id, UNDERWAY).order_by(p.n)).scalars())


def of_message(db: Database, id_: str) -> list[Publication]:
    """The publications of one message, in the order of its replies."""
    with db.read() as conn:
        query = select(publications).where(publications.c.message_id == number(id_)).order_by(publications.c.n)
        return [_value(row) for row in conn.execute(query).mappings()]


def unfinished(db: Database) -> list[Publication]:
    """Publications under way: a crash, an outage or a slow network left them; the earliest first."""
    with db.read() as conn:
        query = select(publications).where(UNDERWAY).order_by(publications.c.at, publications.c.message_id)
        return [_value(row) for row in conn.execute(query).mappings()]


def _get(tx: Tx, message_id: int, n: int) -> Any:
    p = publications.c
    return tx.execute(select(publications).where(p.message_id == message_id, p.n == n)).mappings().first()


def _set(tx: Tx, message_id: int, n: int, **values: Any) -> None:
    p = publications.c
    tx.execute(update(publications).where(p.message_id == message_id, p.n == n).values(**values))


def _value(row: Any) -> Publication:
    receipt = Receipt(row["external_id"], row["url"] or "", row["published_at"]) if row["external_id"] else None
    return Publication(
        message_id=str(row["message_id"]),
        receipt=receipt,
        **{k: row[k] for k in ("n", "guid", "state", "by", "at", "attempts", "seen_at", "problem")},
    )
