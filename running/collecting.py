"""One whole `collect`: the steps of `steps.py` around the pages that are due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from running.judging import make_judge
from running.steps import STEPS, When, Work, run_step
from store.values import utcnow

if TYPE_CHECKING:
    from collectors.poll import Judge
    from collectors.report import Progress, Report
    from settings import Settings
    from store import Store


def run_collect(
    store: Store,
    settings: Settings,
    *,
    only: Sequence[str] = (),
    since: datetime | None = None,
    full: bool = False,
    progress: Progress | None = None,
    judges: tuple[Judge, Any] | None = None,
    stop: Any = None,
    say: Callable[[str], None] = lambda _: None,
    now: Callable[[], datetime] = utcnow,
) -> Report:
    """One whole run: judge what waits, collect, deliver alerts, and all else that is due.

    `judges`: what `make_judge` gave, when the caller has loaded it already. `stop`: an event that ends the run tidily.
    """
    from collectors import make
    from collectors.poll import Options, Poller
    from desk.alerts import Deliverer

    judged, judge = judges or make_judge(settings)
    deliverer = Deliverer(store, settings)
    work = Work(store, settings, lambda: judge, stop, deliverer.poke, now)

    def steps(when: When, interrupted: bool = False) -> None:
        for step in STEPS:
            if step.when == when and (step.stopped_too or not interrupted):
                for sentence in run_step(step, work)[0]:
                    say(sentence)

    deliverer.start()  # stands for the step beside: it has all the run's time
    try:
        steps(When.before)
        poller = Poller(
            store,
            settings,
            judged,
            lambda name: make(settings, name, store, stop=stop),
            stop=stop,
            on_alerts=deliverer.poke,
            progress=progress,
        )
        report = poller.run(Options(tuple(only), since, full))
        steps(When.after, report.interrupted)
    finally:
        deliverer.finish(wait_s=settings.alerts.timeout)
    steps(When.last, report.interrupted)
    return report
