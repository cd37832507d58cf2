"""`otklik queue block`, `unblock`, `hide`, `unhide`, `confirm`, `blocks`, `hidden`: the step at the desk, and what the
network can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from console import By, Json, console, current, emit, fail, finish, say, utc_now, who
from desk.queue_commands import Ids, Seen, said, steps

if TYPE_CHECKING:
    from desk import blocks as blocking
    from desk import hiding
    from settings import Settings
    from store import Store

    class Gate(blocking.Gate, hiding.Gate, Protocol):
        """What blocks and hides: the networks."""


OpenGate = Callable[["Settings", "Store"], "AbstractContextManager[Gate]"]
Ground = Annotated[str, typer.Option("--ground", help="insult, illegal, advertising, offtopic, spam.")]
NoNetwork = Annotated[bool, typer.Option("--no-network", help="Только записать; в сети это сделает человек.")]


def add_to(queue: typer.Typer, open_gate: OpenGate) -> None:
    """Give the group of the queue these commands. `open_gate`: the way to the networks, for as long as it is open."""

    def carried_out(ids: Sequence[str], what: str = "block") -> int:
        """Tell what the networks did; 1 when something is left to do."""
        from desk import blocks, hiding

        carry_out: Any = blocks.carry_out if what == "block" else hiding.carry_out
        state, left = current(), False
        with state.store() as store, open_gate(state.settings, store) as gate:
            for id, told, done in carry_out(store, gate, ids):
                left |= not done
                say(f"{id}: {told}") if done else fail(f"{id}: {told}", 1)
        return 1 if left else 0

    def decided(ids: Sequence[str], what: str = "blocked") -> list[str]:
        """Those of them that are so now: what waits for a second person is not done yet."""
        with current().store() as store:
            return [id for id in ids if (store.desk(id)["case"] or {}).get(what)]

    def block(
        ids: Ids,
        ground: Ground,
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

    def hide(
        ids: Ids,
        ground: Ground,
        why: Annotated[str | None, typer.Option("--why", help="За что именно; остаётся в журнале.")] = None,
        no_network: NoNetwork = False,
        by: By = None,
        version: Seen = None,
        as_json: Json = False,
    ) -> None:
        """Скрыть комментарий на странице, не удаляя (администратор); при чрезвычайном решает и второй человек."""
        done, code = steps(ids, "hide", by, as_json, version, ground=ground, reason=why)
        now = decided(done, "hidden")
        if len(now) < len(done):
            say("скрытие ждёт второго решения: куратор или глава, otklik queue confirm")
        finish(max(code, 0 if no_network or not now else carried_out(now, "hide")))

    def unhide(
        ids: Ids,
        reason: Annotated[str | None, typer.Option("--reason", help="Почему.")] = None,
        no_network: NoNetwork = False,
        by: By = None,
        as_json: Json = False,
    ) -> None:
        """Снова показать скрытый комментарий или отозвать предложение скрыть его (администратор)."""
        from desk.hiding import show_again
        from settings import OtklikError

        state, done, codes = current(), [], []
        with state.store() as store, nullcontext() if no_network else open_gate(state.settings, store) as gate:
            for id in ids:
                try:
                    found, left = show_again(store, state.settings, gate, id, reason, by=who(by), now=utc_now())
                except OtklikError as e:
                    if len(ids) == 1:
                        raise
                    codes.append(fail(str(e), e.exit_code))
                    continue
                done.append(found)
                say(said(found))
                if left is not None:
                    codes.append(fail(f"{id}: {left}", 1))
        if as_json:
            emit(done)
        finish(0 if not codes else 1 if done else codes[0])

    def confirm(ids: Ids, no_network: NoNetwork = False, by: By = None, as_json: Json = False) -> None:
        """Подтвердить отказ, блокировку или скрытие по чрезвычайному сообщению (куратор или глава)."""
        before = {what: decided(ids, what) for what in ("blocked", "hidden")}
        done, code = steps(ids, "confirm", by, as_json)
        for what, deed in (("blocked", "block"), ("hidden", "hide")):
            now = [id for id in decided(done, what) if id not in before[what]]
            code = max(code, 0 if no_network or not now else carried_out(now, deed))
        finish(code)

    def hidden(
        send: Annotated[
            bool, typer.Option("--send", help="Передать скрытия сетям ещё раз: повтор ничего не портит.")
        ] = False,
        by: By = None,
        as_json: Json = False,
    ) -> None:
        """Какие комментарии скрыты, где и за что."""
        from desk import hiding

        state, now = current(), utc_now()
        if send:
            from desk.work import allow

            allow(state.settings, "hide", who(by), now)
        with state.store() as store:
            found = store.hidden()
            store.saw(who(by), [h["message_id"] for h in found], "list", now)
            titles = {(s.page.network, s.page.id): s.page.title for s in store.page_states()}
        emit(found) if as_json else console().print(hiding.table(found, titles))
        if send:
            finish(carried_out([h["message_id"] for h in found], "hide"))

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
            if lift:
                with open_gate(state.settings, store) as gate:
                    found = desk_blocks.lift_due(store, state.settings, now, gate)
            else:
                found = store.blocks(due=now if due else None)
            store.saw(who(by), [b["message_id"] for b in found], "list", now)
            titles = {(s.page.network, s.page.id): s.page.title for s in store.page_states()}
        if as_json:
            emit(found)
        else:
            console().print(desk_blocks.table(found, titles, zone=state.zone, now=now, lifted=lift))
        if send and not lift:
            finish(carried_out([b["message_id"] for b in found]))

    for command in (block, unblock, hide, unhide, confirm, blocks, hidden):
        queue.command(command.__name__)(command)
