"""One page of the log for a reader: what stands behind its cursor, through its view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feed.read import seq_of
from feed.scope import View
from settings import USAGE, OtklikError

if TYPE_CHECKING:
    from store import Store

LIMIT, MOST = 1000, 10_000
SCANNED = 10_000
"""Events one request looks at; a narrow view may find none of its own among them, and its cursor moves all the same."""
BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """`next`: the cursor behind it. `more`: there was more when it was read."""

    lines: tuple[bytes, ...]
    next: int
    more: bool


class CursorError(OtklikError):
    """A cursor this log can't go on from; `gone`: the retention rule removed what stands behind it."""

    exit_code = USAGE

    def __init__(self, text: str, *, gone: bool, first: int, last: int) -> None:
        super().__init__(text)
        self.gone, self.first, self.last = gone, first, last


def check(store: Store, after: int) -> None:
    """Raises CursorError: going on from there would lose events in silence."""
    if not after:
        return
    first, last = store.first_seq(), store.last_seq()
    if after < first - 1:
        text = (
            f"события до {first} удалены по сроку хранения, а прочитано до {after}: "
            "начните с after=0 и сверьте копию («otklik feed verify»)"
        )
        raise CursorError(text, gone=True, first=first, last=last)
    if after > last:
        text = f"события с номером {after} не было, последнее {last}; возможно, базу заменили прежней копией"
        raise CursorError(text, gone=False, first=first, last=last)


def page(store: Store, view: View, after: int, limit: int = LIMIT) -> Page:
    """Up to `limit` events with `seq` > `after` that the view lets through. Raises CursorError, StoreError."""
    check(store, after)
    lines: list[bytes] = []
    seen, size, next_ = 0, 0, after
    for last, block in store.events_blocks(after, limit if view.whole else SCANNED):
        told = sum(map(len, block)) if view.whole else BYTES
        if size + told < BYTES:  # the usual case: the block goes out as it came
            seen, size, next_ = seen + len(block), size + told, last
            lines += block
            continue
        for raw in block:
            seen, next_ = seen + 1, seq_of(raw)
            line = view.line(raw)
            if line is not None:
                lines.append(line)
                size += len(line)
                if len(lines) == limit or size >= BYTES:
                    return Page(tuple(lines), next_, store.last_seq() > next_)
    return Page(tuple(lines), next_, seen > 0 and store.last_seq() > next_)
