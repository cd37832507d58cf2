"""The feed's commands: events for other systems."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from console import MANY, command_group, current, emit, say, stop_on_signals

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


serving = command_group("Серверы для других систем.")
_titles: Callable[[], Mapping[str, str]] = dict


def use_titles(titles: Callable[[], Mapping[str, str]]) -> None:
    """The names of topics: handed in, for the feed knows nothing of the classifier."""
    global _titles
    _titles = titles


@serving.command("feed")
def serve_feed(
    host: Annotated[str, typer.Option("--host", help="Адрес, на котором слушать.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Порт; 0 — любой свободный.")] = 8311,
) -> None:
    """События по HTTP: для других систем, с ключами из feed.tokens (docs/feed.md)."""
    from feed.keys import Keys
    from feed.service import Service
    from feed.serving import listen, run
    from settings import ConfigError

    state = current()
    keys = Keys(state.settings.feed.tokens)
    if not len(keys):
        raise ConfigError("в feed.tokens нет ни одного ключа; добавьте читателя и его ключ (docs/feed.md)")
    with stop_on_signals() as stop, state.store() as store, listen(host, port) as sock:
        at = f"[{host}]" if ":" in host else host
        say(f"лента: http://{at}:{sock.getsockname()[1]}/v1/events, описание: /openapi.json")
        if host not in ("127.0.0.1", "::1", "localhost"):
            say("порт открыт наружу без шифрования: поставьте перед ним прокси с TLS")
        owner = state.settings.organisation.name
        run(lambda ends: Service(store, keys, owner=owner, titles=_titles, stopping=ends), sock, stop.is_set)
