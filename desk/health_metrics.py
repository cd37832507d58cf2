"""`status` in the text format of Prometheus, for the textfile collector of node_exporter (docs/operating.md).

Names and types follow Prometheus' own advice (prometheus.io/docs/practices/naming): base units, times as Unix seconds.
Labels are networks and ids of pages; no title, no word of a message, no secret is among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from settings import ConfigError, os_problem
from wholefile import whole_file

if TYPE_CHECKING:
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from desk.health import Status

OUTCOMES = ("complete", "partial", "blocked", "unauthorised", "rate_limited", "failed")

# name -> (help, labels)
METRICS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "otklik_status_timestamp_seconds": ("When these figures were taken.", ()),
    "otklik_healthy": ("1 when `otklik status` finds nothing wrong.", ()),
    "otklik_problem": ("1 for each kind of trouble that is there.", ("code",)),
    "otklik_build_info": ("Versions of the program, the schema and the database.", ("version", "schema", "database")),
    "otklik_run_start_timestamp_seconds": ("When the last collecting began.", ()),
    "otklik_run_finish_timestamp_seconds": ("When the last finished collecting ended.", ()),
    "otklik_run_duration_seconds": ("How long the last finished collecting took.", ()),
    "otklik_run_exit_code": ("Exit code of the last finished collecting.", ()),
    "otklik_page_last_success_timestamp_seconds": ("When the page was collected last.", ("network", "page")),
    "otklik_page_lag_seconds": ("Time since the page was collected last.", ("network", "page")),
    "otklik_page_coverage_gap": ("Comments that the network counts and we lack.", ("network", "page")),
    "otklik_page_comments": ("Comments of the page that are stored.", ("network", "page")),
    "otklik_page_comment_delay_seconds": ("Median time from a comment to its landing.", ("network", "page")),
    "otklik_page_outcome": ("1 for the outcome of the page's last collecting.", ("network", "page", "outcome")),
    "otklik_budget_used": ("Units of the token that were spent today.", ("network",)),
    "otklik_budget_limit": ("Units of the token a day.", ("network",)),
    "otklik_budget_month_used": ("Units of the token that were spent this month.", ("network",)),
    "otklik_budget_month_limit": ("Units of the token a month.", ("network",)),
    "otklik_queue_waiting": ("Messages not handed over yet, at most 10000.", ()),
    "otklik_queue_untouched": ("Messages with a term that nobody began, at most 10000.", ()),
    "otklik_queue_oldest_untouched_age_seconds": ("Age of the oldest of these, 0 when there is none.", ()),
    "otklik_queue_overdue": ("Messages past their term, at most 10000.", ()),
    "otklik_queue_unassessed": ("Messages the classifier owes, at most 10000.", ()),
    "otklik_alerts_open": ("Alerts nobody acknowledged, at most 10000.", ()),
    "otklik_alerts_oldest_open_age_seconds": ("Age of the oldest of these, 0 when there is none.", ()),
    "otklik_alerts_undelivered": ("Alerts no channel has taken, at most 10000.", ()),
    "otklik_alerts_oldest_undelivered_age_seconds": ("Age of the oldest of these, 0 when there is none.", ()),
    "otklik_alert_delay_seconds": ("From raising to the first delivery; last 200 of a week.", ("quantile",)),
    "otklik_publications_underway": ("Answers on their way into a network, at most 10000.", ()),
    "otklik_publications_oldest_underway_age_seconds": ("Age of the oldest of these, 0 when there is none.", ()),
    "otklik_answers_approved": ("Approved answers that wait to be published, at most 10000.", ()),
    "otklik_webhook_behind": ("Events that the webhook has not looked at.", ("webhook",)),
    "otklik_webhook_waiting": ("Events that the webhook has not delivered, at most 10000.", ("webhook",)),
    "otklik_webhook_dead": ("Events that it has given up, at most 10000.", ("webhook",)),
    "otklik_webhook_oldest_tried_age_seconds": ("How long one is tried in vain, 0 when none is.", ("webhook",)),
    "otklik_webhook_disabled": ("1 when the receiver said that it is gone.", ("webhook",)),
    "otklik_workers": ("Workers that are alive.", ()),
    "otklik_jobs": ("Workers' jobs, at most 10000: waiting, running, stalled, failed of a day.", ("state",)),
    "otklik_jobs_oldest_waiting_age_seconds": ("How long a job has waited, 0 when none does.", ()),
    "otklik_events_last": ("Number of the last event in the feed.", ()),
    "otklik_database_size_bytes": ("Size of the database.", ()),
    "otklik_backup_timestamp_seconds": ("When the last backup was taken.", ()),
    "otklik_calendar_known_until_year": ("Last year whose transferred days are known.", ()),
}
"""Every metric; docs/operating.md lists them, a test compares."""


def samples(found: Status) -> list[tuple[str, tuple[str, ...], float]]:
    """(metric, values of its labels, value), in the order of `METRICS`; what is not known is left out."""
    from importlib.metadata import version

    out: list[tuple[str, tuple[str, ...], float]] = []

    def put(name: str, value: float | int | datetime | None, *labels: str) -> None:
        if value is not None:
            out.append((name, labels, value.timestamp() if hasattr(value, "timestamp") else float(value)))

    def age(at: datetime | None) -> float:
        return 0.0 if at is None else max(0.0, (found.now - at).total_seconds())

    h = found.health
    put("otklik_status_timestamp_seconds", found.now)
    put("otklik_healthy", not found.problems)
    for code in dict.fromkeys(p.code for p in found.problems):
        put("otklik_problem", 1, code)
    put("otklik_build_info", 1, version("otklik"), h.database.schema, f"{h.database.dialect} {h.database.version}")
    if h.last_run is not None:
        put("otklik_run_start_timestamp_seconds", h.last_run.started_at)
    if h.finished_run is not None and h.finished_run.finished_at is not None:
        run = h.finished_run
        put("otklik_run_finish_timestamp_seconds", run.finished_at)
        put("otklik_run_duration_seconds", (run.finished_at - run.started_at).total_seconds())
        put("otklik_run_exit_code", run.exit_code)
    for p in found.pages:
        put("otklik_page_last_success_timestamp_seconds", p.last_success_at, p.network, p.page)
        put("otklik_page_lag_seconds", p.lag, p.network, p.page)
        put("otklik_page_coverage_gap", p.gap, p.network, p.page)
        put("otklik_page_comments", p.stored, p.network, p.page)
        put("otklik_page_comment_delay_seconds", p.delay_p50, p.network, p.page)
        for outcome in OUTCOMES:
            put("otklik_page_outcome", None if p.outcome is None else p.outcome == outcome, p.network, p.page, outcome)
    for b in found.budgets:
        put("otklik_budget_used", b["used"], b["network"])
        put("otklik_budget_limit", b["budget"], b["network"])
        put("otklik_budget_month_used", b["month_used"], b["network"])
        put("otklik_budget_month_limit", b["month_budget"], b["network"])
    put("otklik_queue_waiting", h.queue.waiting)
    put("otklik_queue_untouched", h.queue.untouched)
    put("otklik_queue_oldest_untouched_age_seconds", age(h.queue.oldest_untouched_at))
    put("otklik_queue_overdue", h.queue.overdue)
    put("otklik_queue_unassessed", h.queue.unassessed)
    put("otklik_alerts_open", h.alerts.open)
    put("otklik_alerts_oldest_open_age_seconds", age(h.alerts.oldest_open_at))
    put("otklik_alerts_undelivered", h.alerts.undelivered)
    put("otklik_alerts_oldest_undelivered_age_seconds", age(h.alerts.oldest_undelivered_at))
    put("otklik_alert_delay_seconds", h.alerts.delay_p50, "0.5")
    put("otklik_alert_delay_seconds", h.alerts.delay_max, "1")
    put("otklik_publications_underway", h.publications.underway)
    put("otklik_publications_oldest_underway_age_seconds", age(h.publications.oldest_underway_at))
    put("otklik_answers_approved", h.publications.approved)
    for hook in h.webhooks:
        put("otklik_webhook_behind", hook.behind, hook.name)
        put("otklik_webhook_waiting", hook.waiting, hook.name)
        put("otklik_webhook_dead", hook.dead, hook.name)
        put("otklik_webhook_oldest_tried_age_seconds", age(hook.oldest_tried_at), hook.name)
        put("otklik_webhook_disabled", hook.disabled, hook.name)
    if h.jobs is not None:
        put("otklik_workers", h.jobs.workers)
        for state in ("waiting", "running", "stalled", "failed"):
            put("otklik_jobs", getattr(h.jobs, state), state)
        put("otklik_jobs_oldest_waiting_age_seconds", age(h.jobs.oldest_waiting_at))
    put("otklik_events_last", h.database.events)
    put("otklik_database_size_bytes", h.database.size)
    put("otklik_backup_timestamp_seconds", h.database.backup_at)
    put("otklik_calendar_known_until_year", found.calendar)
    return out


def registry(found: Status) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, Gauge

    made = CollectorRegistry()
    gauges: dict[str, Any] = {}
    for name, labels, value in samples(found):
        if name not in gauges:
            text, names = METRICS[name]
            gauges[name] = Gauge(name, text, names, registry=made)
        (gauges[name].labels(*labels) if labels else gauges[name]).set(value)
    return made


def exposition(found: Status) -> bytes:
    from prometheus_client import generate_latest

    return generate_latest(registry(found))


def write(found: Status, path: str) -> None:
    """Replace the file `path` at once, readable by all: node_exporter never sees half of it."""
    try:
        with whole_file(path, mode=0o644) as file:  # its scratch file is no *.prom, so it is not read
            file.write(exposition(found))
    except OSError as e:
        raise ConfigError(f"{path}: файл не записывается ({os_problem(e)}); проверьте каталог и права") from None
