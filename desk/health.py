"""`otklik status`: what the database, the pages and the tokens say, weighed against the `status` section.

Only what a system administrator can act on is called a problem; late answers are the desk's matter and only counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from desk.calendar import calendar_of
from desk.text import moment, plain, plural, span
from settings import ConfigError, Settings

if TYPE_CHECKING:
    from store.health import Health

NO_WORKER_S = 300.0
"""So long may a job wait while no worker lives."""

_DECREED_BY = 11  # the month from which the next year's transferred days are out for certain

EXIT = {
    0: "всё собрано",
    1: "собрано частично",
    2: "ошибка настроек",
    3: "нет доступа",
    4: "ничего не собрано",
    5: "прерван",
    6: "занято другим запуском",
}
"""What the exit code of a collecting means."""


@dataclass(frozen=True, slots=True)
class PageHealth:
    """`lag`: seconds since it was collected last (complete or partial), None: never. `delay_p50`: seconds from a
    comment to its landing, at the last collecting. `late`: longer than `status.page_lag` allows."""

    number: int
    network: str
    page: str
    title: str
    outcome: str | None
    lag: float | None
    last_success_at: datetime | None
    counter: int | None
    stored: int | None
    gap: int | None
    delay_p50: float | None
    late: bool

    @property
    def ok(self) -> bool:
        return not self.late and self.outcome in ("complete", "partial") and not self.gap


@dataclass(frozen=True, slots=True)
class Problem:
    """`code`: for programs; `text`: for people, what is wrong and what to do (Russian)."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """`calendar`: the last year whose transferred days are known, None: not even this one's, or no calendar needed."""

    now: datetime
    health: Health
    pages: tuple[PageHealth, ...]
    budgets: tuple[Mapping[str, Any], ...]
    calendar: int | None
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        from store.health import CAP

        return {
            "ok": not self.problems,
            "now": self.now,
            "problems": [asdict(p) for p in self.problems],
            **asdict(self.health),
            "counted_up_to": CAP,
            "pages": [{**asdict(p), "ok": p.ok} for p in self.pages],
            "budgets": [dict(b) for b in self.budgets],
            "calendar_known_until": self.calendar,
        }


def status(
    health: Health,
    pages: Sequence[Mapping[str, Any]],
    budgets: Sequence[Mapping[str, Any]],
    settings: Settings,
    now: datetime,
) -> Status:
    """`pages`: lines of `otklik pages`; `budgets`: what each token spent. Pages that are switched off don't count."""
    found = tuple(_page(p, settings, now) for p in pages if p["enabled"])
    last, problem = _calendar(settings, now)
    problems = (
        *_of_runs(health, settings, now),
        *_of_pages(found, settings),
        *_of_budgets(budgets),
        *_of_work(health, settings, now),
        *_of_jobs(health, settings, now),
        *([problem] if problem else ()),
        *_of_backup(health, settings, now),
    )
    return Status(now, health, found, tuple(budgets), last, problems)


def _page(line: Mapping[str, Any], settings: Settings, now: datetime) -> PageHealth:
    success = moment(line.get("last_success_at"))
    lag = None if success is None else max(0.0, (now - success).total_seconds())
    limit = settings.status.page_lag
    return PageHealth(
        number=line["number"],
        network=line["network"],
        page=line["page_id"],
        title=line["title"] or line["page_id"],
        outcome=None if line.get("outcome") is None else str(line["outcome"]),
        lag=lag,
        last_success_at=success,
        **{k: line.get(k) for k in ("counter", "stored", "gap", "delay_p50")},
        late=limit is not None and (lag is None or lag > max(limit, 2 * settings.collect.page_every)),
    )


def _of_runs(health: Health, settings: Settings, now: datetime) -> Iterator[Problem]:
    last, finished = health.last_run, health.finished_run
    if last is None:
        yield Problem("never_run", "сбора ещё не было; запустите otklik collect и поставьте его в расписание")
        return
    age = (now - last.started_at).total_seconds()
    if last.finished_at is None and age > 2 * settings.collect.deadline:
        yield Problem(
            "run_unfinished",
            f"последний сбор начат {span(age)} назад и не закончен: он завис или убит; посмотрите журнал системы",
        )
    # What a worker's job for one page came to is told by the page's own line.
    if finished is not None and finished.command != "page" and finished.exit_code not in (0, 5, 6):
        what = EXIT.get(finished.exit_code or 0, f"код {finished.exit_code}")
        yield Problem("run_failed", f"последний сбор: {what}; подробности: otklik pages")


def _of_pages(pages: Sequence[PageHealth], settings: Settings) -> Iterator[Problem]:
    if not pages:
        yield Problem("no_pages", "нет ни одной включённой страницы; впишите их в раздел pages")
    late = [p for p in pages if p.late]
    if late:
        worst = max(late, key=lambda p: float("inf") if p.lag is None else p.lag)
        since = "ещё ни разу не собрана" if worst.lag is None else f"собрана {span(worst.lag)} назад"
        yield Problem(
            "page_lag",
            f"{plural(len(late), 'страница отстаёт', 'страницы отстают', 'страниц отстают')}, дольше всех "
            f"«{plain(worst.title, 60)}» ({since}); подробности: otklik pages",
        )
    gaps = [p for p in pages if p.gap]
    if gaps:
        yield Problem(
            "coverage_gap",
            f"не хватает комментариев: {sum(p.gap or 0 for p in gaps)} на "
            f"{plural(len(gaps), 'странице', 'страницах', 'страницах')}; соберите их: otklik collect --full",
        )


def _of_budgets(budgets: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    for b in budgets:
        if b["budget"] and b["used"] >= b["budget"]:
            yield Problem(
                "budget_spent",
                f"дневной запас сети {b['network']} израсходован ({b['used']} из {b['budget']}); "
                "реже собирайте или увеличьте networks.*.budget",
            )


def _of_work(health: Health, settings: Settings, now: datetime) -> Iterator[Problem]:
    yield from _of_webhooks(health, settings, now)
    queue, alerts, out = health.queue, health.alerts, health.publications
    if queue.unassessed:
        yield Problem(
            "unassessed", f"не оценено сообщений: {queue.unassessed}; следующий otklik collect возьмётся за них"
        )
    waited = _age(alerts.oldest_undelivered_at, now)
    if _over(waited, settings.status.alert_delay):
        yield Problem(
            "alert_delay",
            f"тревога ждёт доставки {span(waited)}, всего недоставленных: {alerts.undelivered}; "
            "проверьте каналы: otklik alerts test",
        )
    waited = _age(out.oldest_underway_at, now)
    if _over(waited, settings.status.publish_delay):
        yield Problem(
            "publish_delay",
            f"ответ размещается уже {span(waited)}, всего таких: {out.underway}; "
            "повторите: otklik queue publish --pending",
        )


def _of_jobs(health: Health, settings: Settings, now: datetime) -> Iterator[Problem]:
    """Workers were here, their jobs wait, and neither they nor cron do anything."""
    jobs, run = health.jobs, health.last_run
    if jobs is None or jobs.workers or not jobs.waiting:
        return
    idle, patience = _age(run.started_at if run else None, now), max(NO_WORKER_S, 3 * settings.worker.every)
    if _over(_age(jobs.oldest_waiting_at, now), NO_WORKER_S) and (idle is None or idle > patience):
        yield Problem("no_worker", "ни одного рабочего процесса, а задания ждут; запустите otklik worker")


def _of_webhooks(health: Health, settings: Settings, now: datetime) -> Iterator[Problem]:
    wanted = {w.name for w in settings.feed.webhooks if w.enabled}
    brokers = {b.key: b.name for b in settings.feed.brokers if b.enabled}
    for hook in health.webhooks:
        if hook.name in brokers and _over(age := _age(hook.oldest_tried_at, now), settings.status.webhook_delay):
            yield Problem(
                "broker_delay", f"брокер {brokers[hook.name]} не получает события уже {span(age)}; otklik feed deliver"
            )
        if hook.name not in wanted:
            continue
        if hook.disabled:
            yield Problem(
                "webhook_off", f"вебхук {hook.name} выключен: получатель сказал, что его больше нет (код 410)"
            )
        if hook.dead:
            yield Problem("webhook_dead", f"вебхук {hook.name}: не доставлено и оставлено событий: {hook.dead}")
        if _over(age := _age(hook.oldest_tried_at, now), settings.status.webhook_delay):
            yield Problem("webhook_delay", f"вебхук {hook.name} не принимает событие уже {span(age)}")


def _calendar(settings: Settings, now: datetime) -> tuple[int | None, Problem | None]:
    try:
        calendar = calendar_of(settings)
        year = calendar.date_of(now).year
        month = calendar.date_of(now).month
        known = [y for y in (year, year + 1) if calendar.known(y)]
    except ConfigError as e:
        return None, Problem("calendar", str(e))
    pressing = year if year not in known else year + 1 if year + 1 not in known and month >= _DECREED_BY else None
    problem = None
    if pressing is not None:
        problem = Problem(
            "calendar",
            f"переносы {pressing} года не известны; обновите пакет: pip install -U holidays; "
            "или впишите дни в desk.days",
        )
    return max(known, default=None), problem


def _of_backup(health: Health, settings: Settings, now: datetime) -> Iterator[Problem]:
    limit, taken = settings.status.backup_age, health.database.backup_at
    if limit is None:
        return
    if taken is None:
        yield Problem("backup_age", "копии базы ещё не было; поставьте otklik store backup в расписание")
    elif _over(age := _age(taken, now), limit):
        yield Problem("backup_age", f"последней копии базы {span(age)}; сделайте новую: otklik store backup ФАЙЛ")


def _age(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def _over(age: float | None, limit: float | None) -> bool:
    return age is not None and limit is not None and age > limit
