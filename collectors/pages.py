"""The configured pages: which of them a person means, and what is known of each without asking a network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from settings import ConfigError, Settings
from settings import Page as PageSettings

if TYPE_CHECKING:
    from store import Store


def _names(number: int, page: PageSettings, store: Store | None) -> set[str]:
    """Everything a person may call a configured page."""
    names = {str(number), page.id, page.title, f"{page.network}:{page.id}", page.id.rstrip("/").rpartition("/")[2]}
    known = store.resolved(page.network, page.id) if store is not None else None
    if known:
        ref = known[0]
        names |= {ref.id, ref.title, ref.url, ref.url.rstrip("/").rpartition("/")[2]}
    return {n.strip().lower() for n in names if n.strip()}


def choose_pages(settings: Settings, only: Sequence[str], store: Store | None = None) -> list[tuple[int, PageSettings]]:
    """The configured pages that are switched on, or those that `only` names: by number from 1, id, address or title."""
    pages = [(i, p) for i, p in enumerate(settings.pages)]
    if only:
        chosen = []
        for name in only:
            wanted = name.strip().lower()
            hits = [(i, p) for i, p in pages if wanted.rstrip("/") in {n.rstrip("/") for n in _names(i + 1, p, store)}]
            if not hits:
                raise ConfigError(f"страницы «{name[:100]}» нет в настройках; список: otklik pages")
            chosen += [h for h in hits if h not in chosen]
        return chosen
    pages = [(i, p) for i, p in pages if p.enabled and settings.network(p.network).enabled]
    if not pages:
        raise ConfigError(f"{settings.where('pages')}: не указано ни одной страницы; добавьте её в раздел pages")
    return pages


def plan(store: Store, settings: Settings, only: Sequence[str], now: datetime) -> list[dict[str, Any]]:
    """What `collect` would do now, without a call to any network: pages in order, posts known and due."""
    lines = []
    visited = {(s.page.network, s.page.id) for s in store.page_states() if s.last_success_at is not None}
    for index, page in choose_pages(settings, only, store):
        known = store.resolved(page.network, page.id)
        ref = known[0] if known else None
        states = store.post_states(ref) if ref else []
        lines.append(
            {
                "number": index + 1,
                "network": page.network,
                "id": ref.id if ref else page.id,
                "title": page.title or (ref.title if ref else ""),
                "first_time": ref is None or (ref.network, ref.id) not in visited,
                "first_depth": settings.collect.first_depth,
                "posts_known": len(states),
                "posts_due": sum(1 for s in states if s.next_check_at is None or s.next_check_at <= now),
                "posts_to_read_whole": sum(1 for s in states if s.next_full_at is not None and s.next_full_at <= now),
            }
        )
    return lines


def page_lines(store: Store, settings: Settings) -> list[dict[str, Any]]:
    """Every configured page with its last coverage record; what `pages` shows."""
    records = {(r["network"], r["page_id"]): r for r in store.last_coverage()}
    lines = []
    for index, page in enumerate(settings.pages):
        known = store.resolved(page.network, page.id)
        ref = known[0] if known else None
        record = records.get((page.network, ref.id if ref else page.id)) or {}
        lines.append(
            {
                **record,
                "number": index + 1,
                "network": page.network,
                "page_id": ref.id if ref else page.id,
                "title": page.title or (ref.title if ref else ""),
                "url": ref.url if ref else "",
                "owner": page.owner,
                "enabled": page.enabled and settings.network(page.network).enabled,
            }
        )
    return lines
