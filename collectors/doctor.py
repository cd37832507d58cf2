"""What `otklik doctor` and `otklik pages check` ask of the networks: tokens, rights, clocks, pages, last success."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from collectors import make
from collectors.contract import Check, CollectError
from collectors.pages import page_lines
from settings import OtklikError, Settings
from store.values import PageRef, utcnow

if TYPE_CHECKING:
    from store import Store

SILENT_TOO_LONG = timedelta(hours=24)


def checks(settings: Settings, store: Store) -> Iterator[Check]:
    """A line for each thing that was tried; one network's failure does not keep the next from its turn."""
    for name, network in settings.networks.items():
        if network.enabled:
            yield from _network(settings, store, name)
    for line in page_lines(store, settings):
        if line["enabled"]:
            yield _last_success(line, utcnow())


def _network(settings: Settings, store: Store, name: str) -> Iterator[Check]:
    try:
        collector = make(settings, name, store)
    except OtklikError as e:
        yield Check(name, False, str(e))
        return
    try:
        refs: list[PageRef] = []
        failed = False
        for page in settings.pages:
            if page.network != name or not page.enabled:
                continue
            try:
                found = collector.resolve(page.model_copy(update={"title": ""}))
            except OtklikError as e:
                failed = True
                yield Check(f"страница {page.title or page.id}", False, str(e))
                if isinstance(e, CollectError) and (e.page_wide or e.outcome == "unauthorised"):
                    break
                continue
            if found.id in {r.id for r in refs}:
                yield Check(
                    f"страница {page.title or page.id}",
                    None,
                    f"указана дважды: это уже названная «{found.title or found.id}»",
                    "оставьте в pages одну из двух записей; собирается она один раз",
                )
                continue
            refs.append(found)
            if page.title and found.title and page.title.casefold() != found.title.casefold():
                yield Check(
                    f"страница {page.title}",
                    None,
                    f"в сети называется «{found.title}»",
                    "если это не та страница, исправьте id; иначе исправьте title",
                )
        if refs or not failed:
            yield from collector.check(refs)
    except CollectError as e:
        yield Check(collector.title, False, str(e))
    finally:
        collector.close()


def _last_success(line: dict[str, object], now: datetime) -> Check:
    name = f"последний успех: {line['title'] or line['page_id']}"
    at = line.get("last_success_at")
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if not isinstance(at, datetime):
        return Check(name, None, "ещё не собиралась", "выполните otklik collect")
    ago = now - at
    minutes = int(ago.total_seconds()) // 60
    said = f"{minutes} мин" if minutes < 120 else f"{minutes // 60} ч"
    ok = ago < SILENT_TOO_LONG
    return Check(name, ok, f"{said} назад", "" if ok else "выполните otklik collect и посмотрите, что он скажет")
