"""The store against somebody else's account of the truth: an emulator's ledger, or a consumer's list.

A ledger is NDJSON, one comment a line: `network`, `external_id`, `text` (as last shown), `deleted`; optional
`post_deleted`, `own`, `emergency`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson
from sqlalchemy import func, select

from settings import USAGE
from store.assessing import clean
from store.db import Database
from store.errors import StoreError
from store.events import first_kept
from store.seals import find_key, hidden_id
from store.tables import alerts, events, messages

EXAMPLES = 5


@dataclass(slots=True)
class Comparison:
    """How the store differs. `doubled`: comments that landed as an event more than once, or not at all."""

    total: int = 0
    stored: int = 0
    lost: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # stored, but not in the ledger
    different: list[str] = field(default_factory=list)  # another text, or deleted here and not there
    doubled: list[str] = field(default_factory=list)
    unalerted: list[str] = field(default_factory=list)  # emergencies without an alert

    @property
    def agrees(self) -> bool:
        return not (self.lost or self.unknown or self.different or self.doubled or self.unalerted)

    def summary(self) -> str:
        """One Russian line."""
        return (
            f"в журнале {self.total}, в базе {self.stored} (прочие появились и исчезли между сборами): "
            f"потеряно {len(self.lost)}, лишних {len(self.unknown)}, расходится {len(self.different)}, "
            f"удвоено {len(self.doubled)}, без тревоги {len(self.unalerted)}"
        )

    def examples(self) -> list[str]:
        """A few of each kind of difference."""
        kinds = (
            ("потеряно", self.lost),
            ("лишнее", self.unknown),
            ("расходится", self.different),
            ("удвоено", self.doubled),
            ("без тревоги", self.unalerted),
        )
        return [f"{word}: {what}" for word, found in kinds for what in found[:EXAMPLES]]


def compare(url: str, lines: Iterable[bytes | str]) -> Comparison:
    """Hold the whole store against a ledger. A comment that came and went between two looks need not be stored."""
    result = Comparison()
    db = Database(url)
    try:
        with db.read() as conn:
            rows = conn.execute(
                select(
                    messages.c.network,
                    messages.c.external_id,
                    messages.c.text,
                    messages.c.deleted_at,
                    (messages.c.seal.isnot(None) | messages.c.erased_at.isnot(None)).label("less"),
                )
            ).all()
            # Of what was erased only is compared whether it is still there.
            stored = {(r.network, r.external_id): (None if r.less else r.text, r.deleted_at is not None) for r in rows}
            key = find_key(conn)
            result.stored = len(rows)
            landed = (
                select(events.c.message_id, func.count().label("n"))
                .where(events.c.type == "otklik.message.landed")
                .group_by(events.c.message_id)
                .subquery()
            )
            wrong = (
                select(messages.c.external_id)
                .outerjoin(landed, landed.c.message_id == messages.c.id)
                .where(~messages.c.own, func.coalesce(landed.c.n, 0) != 1, messages.c.forgotten_at.is_(None))
                .where(messages.c.collected_at > first_kept(conn)[1])
            )
            result.doubled = list(conn.execute(wrong).scalars())
            silent = (
                select(messages.c.external_id)
                .outerjoin(alerts, alerts.c.message_id == messages.c.id)
                .where(messages.c.emergency, ~messages.c.historical, ~messages.c.own, alerts.c.id.is_(None))
            )
            result.unalerted = list(conn.execute(silent).scalars())
    finally:
        db.close()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
            name = (entry["network"], entry["external_id"])
            text, gone = clean(entry["text"]), bool(entry["deleted"] or entry.get("post_deleted"))
        except (ValueError, KeyError, TypeError):
            raise StoreError(
                f"строка {number} журнала не разбирается; нужен NDJSON с network, external_id, text, deleted",
                exit_code=USAGE,
            ) from None
        result.total += 1
        found = stored.pop(name, None)
        if found is None and key is not None:
            found = stored.pop((name[0], hidden_id(key, *name)), None)
        if found is None:
            if not gone:
                result.lost.append(name[1])
        elif found[1] != gone or (not gone and found[0] not in (None, text)):
            result.different.append(name[1])
    result.unknown = [external_id for _, external_id in stored]
    return result
