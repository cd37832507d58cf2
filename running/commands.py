"""The command `worker`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console import current, say, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable


def worker(
    pages: Annotated[
        int | None, typer.Option("--pages", min=1, max=32, help="Сколько страниц собирать одновременно.")
    ] = None,
) -> None:
    """Рабочий процесс: то же, что collect, без расписания; таких можно запустить несколько (нужна PostgreSQL)."""
    with stop_on_signals() as stop:  # before anything heavy is loaded: a signal is never missed
        run(pages, stop)


def run(pages: int | None, stop: Any, *, loaded: Any = None, ready: Callable[[], None] = lambda: None) -> None:
    """`loaded`: what `make_judge` gave, when the caller has it. Raises OtklikError."""
    from store import Store

    state = current()
    with Store.open(state.store_url, repeat_window=state.repeat_window, guarded=True) as store:
        store.jobs_place()  # refuses SQLite before anything heavy is loaded
        from running.classifying import Judges
        from running.worker import Worker

        made = Worker(store, state.settings, Judges(state.settings, loaded), stop, pages=pages)
        say(f"рабочий процесс начат, страниц одновременно: {made.slots}; остановить: Ctrl-C")
        ready()
        made.run()
    say("рабочий процесс остановлен; незаконченное возьмут другие")
