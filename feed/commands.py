"""The feed's commands: events for other systems."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from console import MANY, Json, command_group, current, emit, finish, open_input, say, stop_on_signals, utc_now
from feed import broker_commands, incident_commands

if TYPE_CHECKING:
    from feed.scope import View
    from feed.verify import Verdict
    from feed.webhooks import Outcome

app = command_group("Лента событий для других систем.")
hooks = command_group("Вебхуки: куда отправляются события, сколько ждёт, что не доставлено.", bare=True)
app.add_typer(hooks, name="webhooks")
app.add_typer(broker_commands.app, name="brokers")
app.add_typer(incident_commands.app, name="incidents")


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


@app.command("deliver")
def feed_deliver(
    webhook: Annotated[str | None, typer.Option("--webhook", help="Только этот вебхук.")] = None,
    broker: Annotated[str | None, typer.Option("--broker", help="Только этот брокер.")] = None,
    as_json: Json = False,
) -> None:
    """Отправить события вебхукам и брокерам (для cron; делает и collect)."""
    from dataclasses import asdict

    from feed import brokers, webhooks

    state = current()
    feed = state.settings.feed
    if webhook is not None:
        webhooks.known(state.settings, webhook)
    if broker is not None:
        brokers.known(state.settings, broker)
    told: list[Outcome] = []
    with stop_on_signals() as stop, state.store() as store:
        for way, only, other in ((webhooks, webhook, broker), (brokers, broker, webhook)):
            if only is not None or other is None:
                told += way.deliver(store, state.settings, now=utc_now, only=only, stop=stop.is_set)
    if as_json:
        emit([asdict(o) for o in told])
    else:
        for outcome in told:
            say(outcome_line(outcome))
        if not any(way.enabled for way in (*feed.webhooks, *feed.brokers)):
            say("в feed.webhooks и feed.brokers нет ничего включённого (docs/feed.md)")
    finish(5 if stop.is_set() else 1 if any(o.problem or o.failed or o.lost for o in told) else 0)


def outcome_line(o: Outcome) -> str:
    """How a webhook's or a broker's delivery went, one Russian line."""
    line = f"{o.name}: отправлено {o.sent}, не удалось {o.failed}, ждёт {o.waiting}"
    line += f", стёрто по сроку хранения и не отправлено {o.lost}" if o.lost else ""
    return line + (f", больше не повторяется {o.dead}" if o.dead else "") + (f"; {o.problem}" if o.problem else "")


@hooks.callback()
def webhooks(ctx: typer.Context, as_json: Json = False) -> None:
    """Вебхуки: место в ленте, сколько ждёт отправки, сколько не доставлено."""
    if ctx.invoked_subcommand:
        return
    state = current()
    with state.store() as store:
        found = {row["name"]: row for row in store.hook_overview()}
        last = store.last_seq()
    empty = {"cursor": None, "disabled_at": None, "waiting": 0, "dead": 0, "oldest": None}
    lines = [
        {**empty, **found.get(w.name, {}), "name": w.name, "enabled": w.enabled, "last": last}
        for w in state.settings.feed.webhooks
    ]
    if as_json:
        emit(lines)
        return
    for row in lines:
        how = "выключен" if not row["enabled"] else "отказался (410)" if row["disabled_at"] else "работает"
        at = row["cursor"] if row["cursor"] is not None else "не начат"
        print(f"{row['name']}: {how}, прочитано {at} из {last}, ждёт {row['waiting']}, не доставлено {row['dead']}")


@hooks.command("dead")
def webhooks_dead(
    webhook: Annotated[str | None, typer.Argument(help="Имя вебхука; иначе все.")] = None, as_json: Json = False
) -> None:
    """События, которые не удалось доставить за двое суток."""
    with current().store() as store:
        found = store.hook_dead(webhook)
    if as_json:
        emit(found)
        return
    for row in found:
        print(f"{row['hook']} {row['seq']}: попыток {row['attempts']}, последняя {row['dead_at']}: {row['error']}")


@hooks.command("replay")
def webhooks_replay(
    webhook: Annotated[str, typer.Argument(help="Имя вебхука.")],
    after: Annotated[
        int | None, typer.Option("--after", min=0, max=2**63 - 1, metavar="SEQ", help="И всё после этого события.")
    ] = None,
) -> None:
    """Отправить недоставленное снова; с --after и то, что уже доставлено."""
    from feed.webhooks import known

    state = current()
    known(state.settings, webhook)
    with state.store() as store:
        count = store.hook_replay(webhook, utc_now(), after)
    say(f"снова в очереди: {count}; отправит otklik feed deliver или collect")


@hooks.command("resume")
def webhooks_resume(webhook: Annotated[str, typer.Argument(help="Имя вебхука.")]) -> None:
    """Отправлять снова получателю, который ответил 410."""
    from feed.webhooks import known

    state = current()
    known(state.settings, webhook)
    with state.store() as store:
        was = store.hook_resume(webhook, utc_now())
    say("отправка возобновлена" if was else "он не был остановлен")


def _view(name: str | None) -> View:
    """What the reader of this name gets; without a name everything. Raises ConfigError."""
    from feed.scope import View
    from settings import ConfigError

    if name is None:
        return View(personal=True)
    feed = current().settings.feed
    for token in feed.tokens:
        if token.name == name:
            return View.of(token)
    for way in (*feed.webhooks, *feed.brokers):
        if way.name == name:
            return View.of(way, way.types)
    raise ConfigError(f"читателя «{name[:60]}» нет ни в feed.tokens, ни в feed.webhooks, ни в feed.brokers")


As = Annotated[str | None, typer.Option("--as", help="Так, как это видит читатель из feed.tokens или feed.webhooks.")]


@app.command("export")
def feed_export(
    output: Annotated[str, typer.Option("-o", "--output", help="Файл.")],
    format_: Annotated[str | None, typer.Option("--format", help="ndjson, csv, xlsx, parquet.")] = None,
    after: Annotated[int, typer.Option("--after", min=0, max=2**63 - 1, metavar="SEQ", help="После этого.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=MANY, help="Не больше стольких.")] = None,
    as_: As = None,
) -> None:
    """Записать события в файл."""
    from feed.files import format_of, save
    from feed.read import read
    from feed.scope import seen_by

    kind, view = format_of(output, format_), _view(as_)
    with current().store() as store:
        count = save(seen_by(view, read(store, after, limit)), output, kind)
    say(f"{output}: событий {count}")


@app.command("verify")
def feed_verify(
    file: Annotated[str, typer.Argument(help="Копия получателя: NDJSON или CSV.")],
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Сверить копию получателя с лентой: чего нет, что лишнее, чем отличается, что не по порядку."""
    from dataclasses import asdict

    from feed.verify import compare, events_of

    view = _view(as_)
    with open_input(file) as opened, current().store() as store:
        told = compare(store, events_of(opened), view)
    if as_json:
        emit({"same": told.same, **asdict(told)})
    else:
        for line in verdict_lines(told):
            print(line)
    finish(0 if told.same else 1)


def verdict_lines(told: Verdict) -> list[str]:
    """A verdict in Russian, one line a finding."""
    faults = (
        ("нет в копии", told.missing), ("лишние", told.extra), ("отличаются", told.different),
        ("не по порядку", told.disorder), ("здесь стёрты, в копии остались: удалите", told.forgotten),
        ("не прочитаны строки", told.unreadable),
    )  # fmt: skip
    notes = (
        ("ещё не получены", told.behind), ("удалены после надгробия", told.removed), ("повторены", told.repeated),
        ("старше хранимых здесь", told.older), ("остались от удалённых сообщений", told.kept),
    )  # fmt: skip
    lines = [f"{name}: {f.count} ({', '.join(map(str, f.first))}{'…' if f.count > len(f.first) else ''})"
             for name, f in faults if f.count]  # fmt: skip
    lines += [f"{name}: {count}" for name, count in notes if count]
    return [f"совпадают: {told.equal}", *lines]


serving = command_group("Серверы для других систем.")
_titles: Callable[[], Mapping[str, str]] = dict


def use_titles(titles: Callable[[], Mapping[str, str]]) -> None:
    """The names of topics: handed in, for the feed knows nothing of the classifier."""
    global _titles
    _titles = titles


def titles() -> Mapping[str, str]:
    """Ids of topics and groups -> their names, when somebody handed them in."""
    return _titles()


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
