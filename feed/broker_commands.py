"""`otklik feed brokers`: how far each broker's copy of the log has come, and sending it again."""

from __future__ import annotations

from typing import Annotated

import typer

from console import Json, command_group, current, emit, say, utc_now

app = command_group("Брокеры сообщений: место в ленте, повторная отправка.", bare=True)


@app.callback()
def brokers(ctx: typer.Context, as_json: Json = False) -> None:
    """Брокеры: место в ленте, сколько впереди."""
    if ctx.invoked_subcommand:
        return
    from feed.brokers import Address

    state = current()
    with state.store() as store:
        cursors = {row["name"]: row["cursor"] for row in store.hook_overview()}
        last = store.last_seq()
    lines = [
        {
            "name": b.name,
            "kind": Address.of(b.address()).kind,
            "topic": b.topic,
            "enabled": b.enabled,
            "cursor": cursors.get(b.key),
            "last": last,
        }
        for b in state.settings.feed.brokers
    ]
    if as_json:
        emit(lines)
        return
    for row in lines:
        at = "не начат" if row["cursor"] is None else f"отправлено {row['cursor']} из {last}"
        print(f"{row['name']}: {row['kind']}, {row['topic']}, {'' if row['enabled'] else 'выключен, '}{at}")
    if not lines:
        say("в feed.brokers нет ни одного брокера (docs/feed.md)")


@app.command("replay")
def replay(
    broker: Annotated[str, typer.Argument(help="Имя брокера.")],
    after: Annotated[
        int, typer.Option("--after", min=0, max=2**63 - 1, metavar="SEQ", help="Всё после этого события.")
    ],
) -> None:
    """Отправить снова всё, что после события SEQ."""
    from feed.brokers import known

    state = current()
    key = known(state.settings, broker).key
    with state.store() as store:
        store.hook_cursor(key, utc_now())
        store.hook_replay(key, utc_now(), after)
    say(f"снова с {after}; отправит otklik feed deliver или collect")
