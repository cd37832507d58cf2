"""The feed's commands: events for other systems."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from console import MANY, command_group, current, emit, stop_on_signals

app = command_group("Лента событий для других систем.")


@app.command("read")
def feed_read(
    after: Annotated[
        int, typer.Option("--after", min=0, max=2**63 - 1, metavar="SEQ", help="Номер последнего прочитанного.")
    ] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=MANY, help="Не больше стольких.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Ждать новых.")] = False,
) -> None:
    """События по порядку, NDJSON, одно на строку."""
    from feed.read import copy

    with current().store() as store, stop_on_signals() as stop:
        copy(store, sys.stdout.buffer, after, limit, follow=follow, stop=stop.is_set)


@app.command("schema")
def feed_schema(type: Annotated[str | None, typer.Argument(help="Тип события; иначе все.")] = None) -> None:
    """JSON Schema событий."""
    from feed.schema import schema

    emit(schema(type))
