"""News that a network tells only once: kept by the store before they are confirmed, read by each page in its turn.

version, state = inbox.inbox_state(source)          # where to go on from
inbox.inbox_put(source, version, state, items, now)  # all or nothing; False: another run was faster
... inbox.inbox_items(source, page) ... inbox.inbox_done(source, refs, now)  # in `Collector.landed`
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from store.values import Pushed


class Inbox(Protocol):
    """What `Store` keeps of a stream of news (`store/inbox.py`). `source`: one stream, e.g. one bot."""

    def inbox_state(self, source: str) -> tuple[int, dict[str, Any]]: ...

    def inbox_put(
        self, source: str, version: int, state: Mapping[str, Any], items: Sequence[Pushed], now: datetime
    ) -> bool: ...

    def inbox_items(self, source: str, page_id: str) -> list[Pushed]: ...

    def inbox_done(self, source: str, refs: Sequence[str], now: datetime) -> None: ...


class MemoryInbox:
    """An inbox of this process alone, for work without a store (`doctor`, tests, authors of collectors)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, tuple[int, str]] = {}
        self._items: dict[str, dict[str, Pushed]] = {}

    def inbox_state(self, source: str) -> tuple[int, dict[str, Any]]:
        with self._lock:
            version, state = self._states.get(source, (0, "{}"))
            return version, json.loads(state)

    def inbox_put(
        self, source: str, version: int, state: Mapping[str, Any], items: Sequence[Pushed], now: datetime
    ) -> bool:
        with self._lock:
            if self._states.get(source, (0, ""))[0] != version:
                return False
            self._states[source] = (version + 1, json.dumps(state))
            for item in items:
                self._items.setdefault(source, {}).setdefault(item.ref, item)
            return True

    def inbox_items(self, source: str, page_id: str) -> list[Pushed]:
        with self._lock:
            return [p for p in self._items.get(source, {}).values() if p.page_id == page_id]

    def inbox_done(self, source: str, refs: Sequence[str], now: datetime) -> None:
        with self._lock:
            for ref in refs:
                self._items.get(source, {}).pop(ref, None)
