"""`otklik queue notify`: the author is told that the message was accepted (7.1) or that its term is longer (7.9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console import By, Json, current, finish, who
from desk.answer_commands import DryRun, Set, filled, preview
from desk.publish_commands import OpenOutlet, tell
from desk.queue_commands import Ids, Words, WordsFrom, steps, words

if TYPE_CHECKING:
    from desk.answers import Known
    from desk.publishing import Outcome, Outlet
    from store import Store


def add_to(queue: typer.Typer, open_outlet: OpenOutlet, tools: Any) -> None:
    """Give the group of the queue this command; the arguments are those of `publish` and `draft`."""

    def notify(
        ids: Ids,
        kind: Annotated[str, typer.Option("--kind", help="acknowledgement (принято) или extension (срок продлён).")],
        url: Annotated[str | None, typer.Option("--url", help="Извещение разместил человек: ссылка на него.")] = None,
        send: Annotated[bool, typer.Option("--send", help="Разместить в сети: по шаблону или этот текст.")] = False,
        text: Words = None,
        file: WordsFrom = None,
        fields: Set = None,
        dry_run: DryRun = False,
        by: By = None,
        as_json: Json = False,
    ) -> None:
        """Известить автора и записать это (администратор, пункт 7.1, 7.9)."""
        own = None if text is None and file is None else words(text, file)
        _check(send or dry_run, url, own, fields)
        if not (send or dry_run):
            return finish(steps(ids, "notify", by, as_json, kind=kind, url=url)[1])
        state, known = current(), tools()
        with state.store() as store:
            if dry_run:
                for id in ids:
                    message = store.message(id)
                    said = own or _filled(store, message, known, kind, fields)
                    preview(store, known, message, {"text": said, "kind": kind}, as_json)
                return
            with open_outlet(state.settings, store) as outlet:
                code = tell(_outcomes(store, outlet, known, ids, kind, own, fields, who(by)), as_json)
        finish(code)

    queue.command("notify")(notify)


def _check(send: bool, url: str | None, text: str | None, fields: list[str] | None) -> None:
    from settings import ConfigError

    if send and url is not None:
        raise ConfigError("--send размещает извещение, --url записывает размещённое; укажите что-то одно")
    if not send and (text is not None or fields):
        raise ConfigError("текст нужен, чтобы разместить извещение; добавьте --send")


def _outcomes(
    store: Store,
    outlet: Outlet,
    known: Known,
    ids: list[str],
    kind: str,
    text: str | None,
    fields: list[str] | None,
    by: str,
) -> Iterable[Outcome]:
    from desk.answers import admitted, check
    from desk.publishing import Waiting, notify
    from settings import OtklikError

    settings = current().settings
    for id in ids:
        try:
            message = store.message(id)
            said = text or _filled(store, message, known, kind, fields)
            admitted(id, "известить", check(store, settings, known, message, said, kind=kind), None)
            yield notify(store, settings, outlet, id, kind, said, by=by)
        except OtklikError as e:
            if len(ids) == 1:
                raise
            yield Waiting(id, str(e), e.exit_code)


def _filled(store: Store, message: Mapping[str, Any], known: Known, kind: str, fields: list[str] | None) -> str:
    """From the template: the term is that of the answer, the reason that of the last extension."""
    from desk.verbs import NOTICES
    from settings import ConfigError

    if kind not in NOTICES:
        raise ConfigError(f"--kind {kind[:40]}: есть {', '.join(NOTICES)}")
    log = store.desk(message["id"])["log"]
    reason = next((e["details"].get("reason") for e in reversed(log) if e["verb"] == "extend"), None)
    return filled(message, known, kind, fields, until=message["deadlines"].get("answer"), reason=reason)
