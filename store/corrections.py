"""What people said of messages: the classifier learns from it, and is measured by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from store.assessing import utc
from store.db import Database
from store.tables import messages, messages_of_pages, pages, revisions
from store.values import Correction

_CHUNK = 500


def corrections(db: Database, after: datetime | None = None) -> Iterator[Correction]:
    """A person's last word of each message, in the order of messages; `after`: only words spoken later than that.

    The text is the one that the person judged: a later edit of the comment does not change it. What has no text any
    more (forgotten) has no correction either.
    """
    last = 0
    while True:
        with db.read() as conn:
            query = (
                select(
                    messages.c.id,
                    messages.c.network,
                    messages.c.external_id,
                    messages.c.page_id,
                    messages.c.text,
                    messages.c.attachments,
                    messages.c.assessment,
                    messages.c.corrected,
                    pages.c.title,
                )
                .select_from(messages_of_pages)
                .where(messages.c.corrected.isnot(None), messages.c.id > last)
                .order_by(messages.c.id)
                .limit(_CHUNK)
            )
            rows = conn.execute(query).mappings().all()
            ids = [r["id"] for r in rows]
            old = conn.execute(
                select(revisions.c.message_id, revisions.c.text, revisions.c.attachments, revisions.c.replaced_at)
                .where(revisions.c.message_id.in_(ids))
                .order_by(revisions.c.message_id, revisions.c.n)
            ).all()
        earlier: dict[int, list[Any]] = {}
        for row in old:
            earlier.setdefault(row.message_id, []).append(row)
        for row in rows:
            found = _correction(row, earlier.get(row["id"], []))
            if found is not None and (after is None or found.at > utc(after)):
                yield found
        if len(rows) < _CHUNK:
            return
        last = ids[-1]


def _correction(row: Mapping[str, Any], earlier: list[Any]) -> Correction | None:
    said, fields = row["corrected"], row["assessment"]
    at = datetime.fromisoformat(said["at"])
    text, attachments = row["text"], row["attachments"]
    judged = next((r for r in earlier if r.replaced_at > at), None)  # the text of that time was replaced since
    if judged is not None:
        text, attachments = judged.text, judged.attachments
    if not text or fields is None:
        return None
    return Correction(
        message_id=str(row["id"]),
        network=row["network"],
        external_id=row["external_id"],
        text=text,
        page=row["title"] or row["page_id"],
        attachments=tuple(a["kind"] for a in attachments or ()),
        fields=frozenset(said["fields"]),
        assessment=fields,
        by=said["by"],
        at=at,
    )
