"""The store: tables, queue, event log, migrations. The only room that speaks SQL.

`from store import Store` is all a caller needs; names load on first use, so that `otklik --help` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from store.errors import NotFound, NotHeld, StoreError
    from store.facade import Store
    from store.locks import Lock
    from store.values import AlertJob, PageState, QueueFilter, Unassessed

_WHERE = {
    "Store": "store.facade",
    "Lock": "store.locks",
    "StoreError": "store.errors",
    "NotFound": "store.errors",
    "NotHeld": "store.errors",
    "AlertJob": "store.values",
    "PageState": "store.values",
    "QueueFilter": "store.values",
    "Unassessed": "store.values",
}

__all__ = [
    "AlertJob",
    "Lock",
    "NotFound",
    "NotHeld",
    "PageState",
    "QueueFilter",
    "Store",
    "StoreError",
    "Unassessed",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(_WHERE[name]), name)
