"""From the store to a report's document: what is asked of the store, and when the figures are of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from desk.reports import deputies, month
from desk.reports.blocks import Document
from desk.reports.calendar import Month, back, bounds, month_of, name
from desk.reports.figures import ADMINISTRATOR, Figures, count
from desk.rights import called
from settings import ConfigError, Settings

if TYPE_CHECKING:
    from store import Store

EARLIER = 5
"""So many months before are compared."""


def as_of(store: Store, of: Month, zone: str, now: datetime) -> datetime:
    """As of when a report of this month is: the latest moment the store knows of, so that the same store gives the same
    report. Raises ConfigError for a month that has not begun by `now`."""
    start, _ = bounds(of, zone)
    if start > now:
        raise ConfigError(f"{name(of)} ещё не начался; укажите месяц не позже текущего")
    return max(store.known_at() or start, start)


def _figures(store: Store, of: Month, zone: str, at: datetime, *, name_faults: bool = False) -> Figures:
    steps = partial(store.report_steps, every=name_faults)
    return count(store.report_messages(*bounds(of, zone)), steps, at, name_faults=name_faults)


def monthly(store: Store, settings: Settings, of: Month, now: datetime, names: Mapping[str, str]) -> Document:
    """The summary of clause 16."""
    zone = settings.organisation.timezone
    at = as_of(store, of, zone, now)
    start, end = bounds(of, zone)
    first = store.first_collected()
    months = [back(of, n) for n in range(EARLIER, 0, -1) if first and back(of, n) >= month_of(first, zone)] + [of]
    return month.document(
        month.Material(
            month=of,
            organisation=settings.organisation.name,
            zone=zone,
            at=at,
            figures=_figures(store, of, zone, at),
            months=months,
            sums=store.report_months([bounds(m, zone) for m in months], at),
            before=store.report_topics(*bounds(back(of, 1), zone)),
            coverage=store.report_coverage(start, min(end, max(at, start))),
            alerts=store.alert_delays(start, end),
            divisions={d.id: d.name or d.id for d in settings.divisions},
            names=names,
        )
    )


def for_deputies(store: Store, settings: Settings, of: Month, now: datetime, names: Mapping[str, str]) -> Document:
    """The shortcomings of clause 15."""
    zone = settings.organisation.timezone
    at = as_of(store, of, zone, now)
    return deputies.document(
        deputies.Material(
            month=of,
            organisation=settings.organisation.name,
            zone=zone,
            at=at,
            figures=_figures(store, of, zone, at, name_faults=True),
            divisions={d.id: d.name or d.id for d in settings.divisions} | {ADMINISTRATOR: "Администратор"},
            deputies={d.id: d.deputy for d in settings.divisions if d.deputy},
            people=called(settings),
            names=names,
        )
    )
