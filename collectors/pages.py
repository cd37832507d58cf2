"""The configured pages: which of them a person means, and what is known of each without asking a network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from collectors.quota import Quota, Share, activity, need, shares
from settings import ConfigError, Settings
from settings import Page as PageSettings
from store.values import PageRef

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
    from collectors import load, quota_of

    lines = []
    quotas: dict[str, Quota | None] = {}
    visited = {(s.page.network, s.page.id) for s in store.page_states() if s.last_success_at is not None}
    for index, page in choose_pages(settings, only, store):
        known = store.resolved(page.network, page.id)
        ref = known[0] if known else None
        states = store.post_states(ref) if ref else []
        first_time = ref is None or (ref.network, ref.id) not in visited
        prices = load(page.network).prices
        needed = None if first_time else need(states, now, prices)
        if page.network not in quotas:
            quotas[page.network] = quota_of(settings, page.network, store)
        quota = quotas[page.network]
        lines.append(
            {
                "number": index + 1,
                "network": page.network,
                "id": ref.id if ref else page.id,
                "title": page.title or (ref.title if ref else ""),
                "first_time": first_time,
                "first_depth": settings.collect.first_depth,
                "posts_known": len(states),
                "posts_due": sum(1 for s in states if s.next_check_at is None or s.next_check_at <= now),
                "posts_to_read_whole": sum(1 for s in states if s.next_full_at is not None and s.next_full_at <= now),
                "calls_least": needed.least if needed else None,
                "calls_most": needed.most if needed else None,
                "unit": prices.unit,
                "dollars": prices.dollars or None,
                "budget": quota.total if quota else None,
                "budget_used": quota.used() if quota else None,
                "budget_resets_at": quota.resets_at if quota else None,
                "month_budget": quota.month if quota else None,
                "month_used": quota.used_this_month() if quota else None,
            }
        )
    return lines


def budget_lines(store: Store, settings: Settings, now: datetime) -> list[dict[str, Any]]:
    """What each token spent today, without a call to any network: `network`, `unit`, `used`, `budget` (None: nothing
    limits it), `resets_at`, `month_used`, `month_budget`. Tokens that can't be read have no line."""
    from collectors import load, manners_of

    lines = []
    for name in dict.fromkeys(p.network for p in settings.pages if p.enabled and settings.network(p.network).enabled):
        manners = manners_of(settings, name, store)
        if manners is None:
            continue
        quota = manners.quota
        today = now.astimezone(UTC).date().isoformat()
        lines.append(
            {
                "network": name,
                "unit": load(name).prices.unit,
                "used": quota.used() if quota else store.calls_on(manners.key, today),
                "budget": quota.total if quota else None,
                "resets_at": quota.resets_at if quota else None,
                "month_used": quota.used_this_month() if quota else None,
                "month_budget": quota.month if quota else None,
            }
        )
    return lines


def page_shares(store: Store, settings: Settings, this: PageRef, now: datetime) -> dict[str, Share]:
    """How the day's units of a network are divided between its pages, by their stable ids; `this` is one of them."""
    active: dict[str, float] = {}
    main: list[str] = []
    for page in settings.pages:
        if page.network != this.network or not page.enabled:
            continue
        known = store.resolved(page.network, page.id)
        ref = known[0] if known else None
        name = ref.id if ref else page.id
        active[name] = activity(store.post_states(ref) if ref else (), now)
        if page.main:
            main.append(name)
    active.setdefault(this.id, 1.0)
    return shares(active, main or [next(iter(active))])


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
