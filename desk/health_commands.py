"""`otklik status`: how the installation does, for a person, a monitoring program, Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console import Json, console, current, emit, finish, utc_now

if TYPE_CHECKING:
    from desk.health import Status
    from settings import Settings
    from store import Store

Lines = Callable[["Store", "Settings"], list[dict[str, Any]]]
Spent = Callable[["Store", "Settings", datetime], list[dict[str, Any]]]


def add_to(app: typer.Typer, pages: Callable[[], tuple[Lines, Spent]]) -> None:
    """`pages`: gives the lines of `otklik pages` and what each token spent; loaded only when asked."""

    @app.command("status")
    def status(
        prometheus: Annotated[
            bool, typer.Option("--prometheus", help="В текстовом формате Prometheus (docs/operating.md).")
        ] = False,
        output: Annotated[
            str | None, typer.Option("--output", "-o", metavar="FILE", help="Для --prometheus: заменить этот файл.")
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Всё ли работает: сбор, страницы, запас запросов, очередь, тревоги, ответы, база. Код 1: есть неполадки."""
        if output is not None and not prometheus:
            raise typer.BadParameter("-o нужен вместе с --prometheus")
        if prometheus and as_json:
            raise typer.BadParameter("выберите одно: --prometheus или --json")
        found = _ask(pages)
        if prometheus:  # what is wrong is one of the figures: the code says whether they were taken
            return _prometheus(found, output)
        if as_json:
            emit(found.as_dict())
        else:
            from desk.health_view import shown

            console().print(shown(found, current().zone))
        finish(1 if found.problems else 0)


def _ask(pages: Callable[[], tuple[Lines, Spent]]) -> Status:
    from desk.health import status as weigh

    state, now = current(), utc_now()
    lines, spent = pages()
    with state.store() as store:
        facts = store.health(now, state.settings.worker.stalled)
        return weigh(facts, lines(store, state.settings), spent(store, state.settings, now), state.settings, now)


def _prometheus(found: Status, output: str | None) -> None:
    from desk.health_metrics import exposition, write

    if output is None:
        print(exposition(found).decode(), end="")
        return
    write(found, output)
