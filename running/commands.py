"""The command `worker`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any

import typer

from console import current, say, stop_on_signals


def worker(
    pages: Annotated[
        int | None, typer.Option("--pages", min=1, max=32, help="Сколько страниц собирать одновременно.")
    ] = None,
    callback: Annotated[
        str | None,
        typer.Option(
            "--callback", metavar="HOST:PORT", help="Принимать здесь события ВКонтакте (networks.vk.callbacks)."
        ),
    ] = None,
) -> None:
    """Рабочий процесс: то же, что collect, без расписания; таких можно запустить несколько (нужна PostgreSQL)."""
    with stop_on_signals() as stop:  # before anything heavy is loaded: a signal is never missed
        run(pages, stop, callback)


def run(pages: int | None, stop: Any, callback: str | None = None) -> None:
    """Raises OtklikError."""
    from store import Store
    from store.jobs import check

    state = current()
    check(state.store_url)
    with Store.open(state.store_url, repeat_window=state.repeat_window, guarded=True) as store:
        store.jobs_place()  # a refusal comes before anything heavy is loaded
        from running.classifying import Judges
        from running.worker import Worker

        made = Worker(store, state.settings, Judges(state.settings), stop, pages=pages)
        with ExitStack() as beside:
            if callback is not None:
                from running.callback import listening

                port = beside.enter_context(listening(store, state.settings, callback, made.look))
                say(f"события ВКонтакте: порт {port}, путь /vk; наружу — через прокси с TLS")
            vk = state.settings.network("vk")
            if getattr(vk, "long_poll", False):
                from running import longpoll

                beside.enter_context(longpoll.listening(store, state.settings, made.stop, made.look))
            say(f"рабочий процесс начат, страниц одновременно: {made.slots}; остановить: Ctrl-C")
            made.run()
    say("рабочий процесс остановлен; незаконченное возьмут другие")
