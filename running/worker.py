"""`otklik worker`: the same work as `collect`, as jobs that many processes share (PostgreSQL, procrastinate).

What is due is said by the store; a job is only a note about it. Every few seconds one worker or another writes a job
for each page that is due, and takes the jobs of dead workers back. The page's lock, the budgets, claims and leases of
the store stay the judges of who may do what: a job that is done twice, late or never spoils nothing (decision 16).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import procrastinate
from procrastinate import exceptions, jobs
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from collectors.turns import by_page, in_turn, is_due, state_of
from running.steps import STEPS, Step, Work, run_step
from settings import ConfigError, OtklikError, scrub
from store.errors import Outdated, StoreError
from store.values import utcnow

if TYPE_CHECKING:
    from collectors.poll import Offsets
    from running.classifying import Judges
    from settings import Page, Settings
    from store import Store

log = logging.getLogger("otklik.worker")

PAGES, STEPS_QUEUE = "pages", "steps"
PAGE_TASK, PLAN_TASK = "otklik.page", "otklik.plan"
PLAN_EVERY = 5
"""Seconds between two looks at what is due."""
IN_QUEUE = 500
"""So many pages wait in the queue at most: whose turn is next is decided late, by what is known then."""
_KEPT_HOURS = 24
_CALL_S = 60.0


USED = (
    "apprise", "psycopg_pool", "classifier.names", "collectors.outlet", "collectors.poll", "collectors.transport",
    "desk.alerts", "desk.blocks", "desk.digest", "desk.privacy", "desk.publish_commands", "desk.publishing",
    "desk.spikes", "desk.surge", "feed.brokers", "feed.webhooks", "running.classifying",
)  # fmt: skip
"""What jobs import when they first run; a worker has it from the start, so that no part of a newer version that is
being installed beside it gets into it."""


def load_all(networks: Sequence[str]) -> None:
    import importlib

    from collectors import load

    for name in USED:
        importlib.import_module(name)
    for network in dict.fromkeys(networks):
        with suppress(ConfigError):  # told of when its pages have their turn
            load(network)


class LetGo(Exception):
    """The worker was told to stop: the job goes back into the queue, for another worker."""


class StepFailed(Exception):
    """A step failed; its next turn tries again."""


class _Again(BaseRetryStrategy):
    def get_retry_decision(self, *, exception: BaseException, job: jobs.Job) -> RetryDecision | None:
        return RetryDecision(retry_in={"seconds": 0}) if isinstance(exception, LetGo) else None


class Stop:
    """The signal to the process, or a reason of the worker's own."""

    def __init__(self, outer: Any = None) -> None:
        self._outer = outer
        self._own = threading.Event()

    def is_set(self) -> bool:
        return self._own.is_set() or (self._outer is not None and self._outer.is_set())

    def set(self) -> None:
        self._own.set()

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set() or (self._own.wait(timeout) or self.is_set())


class Worker:
    """One process. `run()` works until `stop` is set; it raises `Outdated` after a migration and `StoreError` when the
    connection is lost. `plan_every`: seconds, a divisor of a minute."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        judges: Judges,
        stop: Any = None,
        *,
        pages: int | None = None,
        plan_every: int = PLAN_EVERY,
    ) -> None:
        self.store, self.settings, self.judges = store, settings, judges
        self.stop = Stop(stop)
        self.slots = pages or settings.worker.pages
        self.every = timedelta(seconds=max(settings.worker.every, settings.collect.page_every))
        self.push_every = timedelta(seconds=settings.worker.push_every)
        load_all([p.network for p in self._watched()])
        self._problem: OtklikError | None = None
        self._offsets: Offsets = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cleaned: datetime | None = None
        connector = procrastinate.PsycopgConnector(
            conninfo="", kwargs=store.jobs_place(), min_size=1, max_size=6, timeout=_CALL_S
        )
        # Two halves, so that a page that takes long never holds up an alert; each step has a place of its own.
        self._pages = procrastinate.App(connector=connector)
        self._pages.task(name=PAGE_TASK, queue=PAGES, pass_context=True, retry=_Again())(self._page)
        self._steps = procrastinate.App(connector=connector)
        plan = self._steps.task(name=PLAN_TASK, queue=STEPS_QUEUE, queueing_lock=PLAN_TASK)(self._plan)
        self._steps.periodic(cron=cron(plan_every))(plan)
        for step in STEPS:
            name = step_task(step.name)
            made = self._steps.task(name=name, queue=STEPS_QUEUE, lock=name, queueing_lock=name)(
                partial(self._step, step)
            )
            self._steps.periodic(cron=cron(step.every))(made)

    # --- the process --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        quiet = logging.getLogger("procrastinate")
        if not quiet.isEnabledFor(logging.DEBUG):
            quiet.setLevel(logging.CRITICAL)  # what fails in a job is told by the job itself, in our words
        try:
            asyncio.run(self._run())
        except (exceptions.ConnectorException, OSError) as e:
            self._fail(e)
        if self._problem is not None:
            raise self._problem

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(self.slots + len(STEPS) + 3, "otklik-job"))
        beat = self.settings.worker.heartbeat
        how: dict[str, Any] = {
            "delete_jobs": "successful",
            "install_signal_handlers": False,
            "update_heartbeat_interval": beat,
            "stalled_worker_timeout": self.settings.worker.stalled,
        }
        async with self._pages.open_async():
            running = [
                asyncio.create_task(self._pages.run_worker_async(queues=[PAGES], concurrency=self.slots, **how)),
                asyncio.create_task(
                    self._steps.run_worker_async(queues=[STEPS_QUEUE], concurrency=len(STEPS) + 1, **how)
                ),
            ]
            watch = asyncio.create_task(self._watch())
            await asyncio.wait({*running, watch}, return_when=asyncio.FIRST_COMPLETED)
            unasked = not self.stop.is_set()
            self.stop.set()
            for task in running:
                task.cancel()  # tidily: jobs under way see `stop` and end
            for done in await asyncio.gather(*running, watch, return_exceptions=True):
                if isinstance(done, Exception):
                    self._fail(done)
            if unasked and self._problem is None:
                self._problem = StoreError("связь с базой прервалась, рабочий процесс остановлен; запустите его снова")

    def _fail(self, error: Exception) -> None:
        """Why the worker ends; a migration is the better reason for whatever else went wrong."""
        if self._problem is not None:
            return
        try:
            self.store.same_version()
            self.store.jobs_place()
        except Outdated as outdated:
            self._problem = outdated
            return
        except OtklikError:
            pass
        log.error("the worker ends: %s: %s", type(error).__name__, scrub(str(error)))
        self._problem = (
            error
            if isinstance(error, OtklikError)
            else StoreError("связь с базой прервалась, рабочий процесс остановлен; запустите его снова")
        )

    async def _watch(self) -> None:
        """Until the signal to stop, or a migration."""
        ticks = 0
        while not self.stop.is_set():
            await asyncio.sleep(0.2)
            ticks += 1
            if ticks % (5 * PLAN_EVERY) == 0:
                try:
                    await asyncio.to_thread(self.store.same_version)
                except Outdated as e:
                    self._problem = self._problem or e
                    return
                except OtklikError as e:  # a base that is gone for longer ends the library's own loops
                    log.info("the schema's version was not read: %s", scrub(str(e)))

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """A call of the library's from a job's thread."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise RuntimeError("the worker is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S)

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """A job's work; after a migration the job goes back into the queue and the worker ends."""
        try:
            return work()
        except Outdated as e:
            self._problem = self._problem or e
            self.stop.set()
            raise LetGo from None

    def _page(self, context: Any, network: str, page: str) -> None:
        self._guarded(lambda: self._collect(network, page, again=context.job.attempts > 0))

    def _collect(self, network: str, id: str, *, again: bool) -> None:
        from collectors import make
        from collectors.poll import Options, Poller

        page = next((p for p in self._watched() if (p.network, p.id) == (network, id)), None)
        if page is None or self.stop.is_set():
            if page is not None:
                raise LetGo
            return  # it left the configuration
        if not again:
            state = state_of(page, by_page(self.store.page_states()), self.store.all_resolved())
            if not is_due(state, utcnow(), self.every, self.push_every):
                return  # somebody was there meanwhile
        poller = Poller(
            self.store,
            self.settings,
            self.judges.judged,
            lambda name: make(self.settings, name, self.store, stop=self.stop),
            stop=self.stop,
            on_alerts=self.poke,
            offsets=self._offsets,
        )
        try:
            report = poller.run(Options(), pages=[page])
        except Outdated:
            raise
        except OtklikError as e:
            log.error("page %s:%s: %s", network, id, scrub(str(e)))
            raise
        if report.interrupted:
            raise LetGo

    def _step(self, step: Step, timestamp: int) -> None:
        def work() -> None:
            if self.stop.is_set():
                return  # its next turn is another worker's
            said, failed = run_step(step, Work(self.store, self.settings, self.judges.classifier, self.stop, self.poke))
            for sentence in said:
                log.info("%s: %s", step.name, sentence)
            if failed is not None:
                raise StepFailed(failed)

        self._guarded(work)

    def poke(self) -> None:
        """An alert was written: whoever is free delivers it at once."""
        self._call_for(step_task("alerts"), step_task("alerts"))

    def look(self) -> None:
        """A page was woken: whoever is free looks at what is due at once."""
        self._call_for(PLAN_TASK, None)

    def _call_for(self, name: str, lock: str | None) -> None:
        job = jobs.Job(
            id=None, queue=STEPS_QUEUE, lock=lock, queueing_lock=name, task_name=name, priority=10,
            task_kwargs={"timestamp": int(utcnow().timestamp())},
        )  # fmt: skip
        try:
            self._defer([job])
        except Exception as e:  # its own turn comes in seconds
            log.warning("%s was not called for: %s", name, scrub(str(e)) or type(e).__name__)

    # --- planning -----------------------------------------------------------------------------------------------------

    def _plan(self, timestamp: int) -> None:
        self._guarded(self.plan)

    def plan(self) -> None:
        """Take back the jobs of dead workers; write a job for each page that is due."""
        self._take_back()
        now = utcnow()
        due = in_turn(
            self._watched(),
            by_page(self.store.page_states()),
            self.store.all_resolved(),
            now,
            self.every,
            woken_every=self.push_every,
        )
        waiting = {j.queueing_lock for status in ("todo", "doing") for j in self._list(status)}
        fresh = [p for p in due if page_lock(p) not in waiting]
        self._defer([_page_job(p) for p in fresh[: max(0, IN_QUEUE - len(waiting))]])
        if self._cleaned is None or now - self._cleaned > timedelta(minutes=10):
            self._cleaned = now
            self._call(
                self._steps.job_manager.delete_old_jobs(
                    nb_hours=_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
                )
            )

    def _watched(self) -> list[Page]:
        return [p for p in self.settings.pages if p.enabled and self.settings.network(p.network).enabled]

    def _list(self, status: str) -> Sequence[jobs.Job]:
        return list(self._call(self._steps.job_manager.list_jobs_async(queue=PAGES, status=status)))

    def _take_back(self) -> None:
        """What a dead worker was at is thrown away: if it is still due, there will be a job for it at once."""
        manager, gone = self._steps.job_manager, self.settings.worker.stalled
        for job in self._call(manager.get_stalled_jobs(seconds_since_heartbeat=gone)):
            log.warning("job %s %s was left by a dead worker", job.task_name, job.task_kwargs)
            try:
                self._call(manager.finish_job_by_id_async(job.id, jobs.Status.FAILED, delete_job=True))
            except exceptions.ConnectorException as e:  # its worker was only slow, or another one was here
                log.info("job %s: %s", job.id, type(e).__name__)
        self._call(manager.prune_stalled_workers(gone))

    def _defer(self, wanted: Sequence[jobs.Job]) -> None:
        if not wanted:
            return
        manager = self._steps.job_manager
        try:
            self._call(manager.batch_defer_jobs_async(list(wanted)))
        except exceptions.AlreadyEnqueued:
            if len(wanted) > 1:  # one is there already, and the others went with it
                for job in wanted:
                    self._defer([job])


def _page_job(page: Page) -> jobs.Job:
    name = page_lock(page)
    return jobs.Job(
        id=None, queue=PAGES, lock=name, queueing_lock=name, task_name=PAGE_TASK,
        task_kwargs={"network": page.network, "page": page.id},
    )  # fmt: skip


def page_lock(page: Page) -> str:
    return f"page:{page.network}:{page.id}"


def step_task(name: str) -> str:
    return f"otklik.{name}"


def cron(seconds: int) -> str:
    """Every so many seconds, as the library's scheduler reads it: a divisor of a minute, or of an hour in minutes."""
    if seconds < 60:
        return f"* * * * * */{seconds}"
    return "* * * * *" if seconds == 60 else f"*/{seconds // 60} * * * *"
