"""`otklik queue block`, `unblock`, `confirm`, `blocks`: the step at the desk first, then what the network can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from console import By, Json, console, current, emit, fail, finish, say, utc_now, who
from desk.queue_commands import Ids, Seen, steps

if TYPE_CHECKING:
    from desk.blocks import Gate
    from settings import Settings
    from store import Store

OpenGate = Callable[["Settings", "Store"], "AbstractContextManager[Gate]"]
NoNetwork = Annotated[bool, typer.Option("--no-network", help="Только записать; в сети это сделает человек.")]


def add_to(queue: typer.Typer, open_gate: OpenGate) -> None:
    """Give the group of the queue these commands. `open_gate`: the way to the networks, for as long as it is open."""

    def carried_out(ids: Sequence[str]) -> int:
        """Tell what the networks did; 1 when something is left to do."""
        from desk.blocks import carry_out

        state, left = current(), False
        with state.store() as store, open_gate(state.settings, store) as gate:
            for id, what, done in carry_out(store, gate, ids):
                left |= not done
                say(f"{id}: {what}") if done else fail(f"{id}: {what}", 1)
        return 1 if left else 0

    def decided(ids: Sequence[str]) -> list[str]:
        """Those of them for which the author is blocked now: what waits for a second person is not done yet."""
        with current().store() as store:
            return [id for id in ids if (store.desk(id)["case"] or {}).get("blocked")]

    def block(
        ids: Ids,
        ground: Annotated[str, typer.Option("--ground", help="insult, illegal, advertising, offtopic, spam.")],
        term: Annotated[str, typer.Option("--for", metavar="TERM", help="На какой срок: 30d, 12h, 10wd.")],
        why: Annotated[str | None, typer.Option("--why", help="За что именно; остаётся в журнале.")] = None,
        no_network: NoNetwork = False,
        by: By = None,
        version: Seen = None,
        as_json: Json = False,
    ) -> None:
        """Заблокировать автора на странице (администратор, пункт 10); при чрезвычайном решает и второй человек."""
        from desk.blocks import end_of

        until = end_of(term, utc_now(), current().settings)
        done, code = steps(ids, "block", by, as_json, version, ground=ground, until=until, reason=why)
        now = decided(done)
        if len(now) < len(done):
            say("блокировка ждёт второго решения: куратор или глава, otklik queue confirm")
        finish(max(code, 0 if no_network or not now else carried_out(now)))

    def unblock(
        ids: Ids,
        reason: Annotated[str | None, typer.Option("--reason", help="Почему раньше срока.")] = None,
        no_network: NoNetwork = False,
        by: By = None,
        as_json: Json = False,
    ) -> None:
        """Снять блокировку или предложение о ней (администратор, пункт 10.1); в срок это делает сама программа."""
        with current().store() as store:
            before = [id for id in ids if (store.desk(id)["case"] or {}).get("blocked")]
        done, code = steps(ids, "unblock", by, as_json, reason=reason)
        now = [id for id in done if id in before]
        finish(max(code, 0 if no_network or not now else carried_out(now)))

    def confirm(ids: Ids, no_network: NoNetwork = False, by: By = None, as_json: Json = False) -> None:
        """Подтвердить отказ или блокировку по чрезвычайному сообщению (куратор или глава)."""
        with current().store() as store:
            before = [id for id in ids if (store.desk(id)["case"] or {}).get("blocked")]
        done, code = steps(ids, "confirm", by, as_json)
        now = [id for id in decided(done) if id not in before]
        finish(max(code, 0 if no_network or not now else carried_out(now)))

    def blocks(
        due: Annotated[bool, typer.Option("--due", help="Только те, чей срок вышел.")] = False,
        lift: Annotated[
            bool, typer.Option("--lift", help="Снять те, чей срок вышел (collect делает это сам).")
        ] = False,
        send: Annotated[
            bool, typer.Option("--send", help="Передать блокировки сетям ещё раз: повтор ничего не портит.")
        ] = False,
        by: By = None,
        as_json: Json = False,
    ) -> None:
        """Кто заблокирован, на какой странице, за что и до какого времени."""
        from desk import blocks as desk_blocks

        state, now = current(), utc_now()
        if send:
            from desk.work import allow

            allow(state.settings, "block", who(by), now)
        with state.store() as store:
            found = desk_blocks.lift_due(store, state.settings, now) if lift else store.blocks(due=now if due else None)
            store.saw(who(by), [b["message_id"] for b in found], "list", now)
            titles = {(s.page.network, s.page.id): s.page.title for s in store.page_states()}
        if as_json:
            emit(found)
        else:
            console().print(desk_blocks.table(found, titles, zone=state.zone, now=now, lifted=lift))
        if send and not lift:
            finish(carried_out([b["message_id"] for b in found]))

    for command in (block, unblock, confirm, blocks):
        queue.command(command.__name__)(command)
