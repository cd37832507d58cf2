"""`otklik queue publish`: approved answers into their networks, or onto record when a person published them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console import By, Json, console, current, emit, fail, finish, say, utc_now, who

if TYPE_CHECKING:
    from desk.publishing import Handed, Member, Outcome, Outlet
    from settings import Settings
    from store import Store

OpenOutlet = Callable[["Settings", "Store"], "AbstractContextManager[Outlet]"]


def add_to(queue: typer.Typer, open_outlet: OpenOutlet) -> None:
    """Give the group of the queue its `publish`. `open_outlet`: the way to the networks, for as long as it is open."""

    def publish(
        ids: Annotated[list[str] | None, typer.Argument(help="Номера сообщений.")] = None,
        url: Annotated[
            str | None,
            typer.Option("--url", help="Ответ уже разместил человек: ссылка на него; в сеть ничего не идёт."),
        ] = None,
        cluster: Annotated[
            bool, typer.Option("--cluster", help="И на все повторы этого сообщения тем же ответом (пункт 7.11).")
        ] = False,
        pending: Annotated[
            bool, typer.Option("--pending", help="Довести до конца то, что осталось от прежних запусков.")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Показать, что и куда ушло бы; ничего не делать.")
        ] = False,
        by: By = None,
        version: Annotated[
            int | None,
            typer.Option("--version", min=0, help="Только если сообщение всё ещё этой версии (см. history)."),
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Разместить согласованный ответ в сети и записать ссылку на него (администратор, пункт 7.7)."""
        ids = list(dict.fromkeys(ids or ()))
        _check(ids, url, cluster, pending)
        if url is not None:
            return _record(ids[0], url, by, version, as_json)
        state = current()
        with state.store() as store:
            if dry_run:
                return _preview(store, ids, cluster, pending, as_json)
            with open_outlet(state.settings, store) as outlet:
                code = tell(_outcomes(store, outlet, ids, cluster, pending, who(by), version), as_json)
        finish(code)

    queue.command("publish")(publish)


def _check(ids: Sequence[str], url: str | None, cluster: bool, pending: bool) -> None:
    from settings import ConfigError

    if pending and (ids or url or cluster):
        raise ConfigError("--pending доводит до конца всё начатое; номера и другие ключи с ним не нужны")
    if not ids and not pending:
        raise ConfigError("не указан номер сообщения; или добавьте --pending, чтобы довести начатое")
    if len(ids) > 1 and (cluster or url is not None):
        raise ConfigError("с --url и --cluster укажите одно сообщение")
    if cluster and url is not None:
        raise ConfigError("--cluster размещает ответы сам, --url записывает размещённый; укажите что-то одно")
    if url is not None and not url.startswith(("https://", "http://")):
        raise ConfigError("--url: нужна ссылка на размещённый ответ, https://…")


def _record(id: str, url: str, by: str | None, version: int | None, as_json: bool) -> None:
    """A person has published it: only the step."""
    from desk.publishing import alone
    from desk.work import act

    state = current()
    with state.store() as store, alone(store, id):
        done = act(store, state.settings, id, "publish", {"url": url}, by=who(by), now=utc_now(), version=version)
    if as_json:
        emit([_row("published", id, url=url, message=done)])
    say(_state(done))


def _outcomes(
    store: Store, outlet: Outlet, ids: Sequence[str], cluster: bool, pending: bool, by: str, version: int | None
) -> Iterable[Outcome | Member]:
    from desk.publishing import Waiting, publish, publish_to_all, resume
    from settings import OtklikError

    settings = current().settings
    if pending:
        yield from resume(store, settings, outlet)
        return
    if cluster:
        yield from publish_to_all(store, settings, outlet, ids[0], by=by, version=version)
        return
    for id in ids:
        try:
            yield publish(store, settings, outlet, id, by=by, version=version)
        except OtklikError as e:
            if len(ids) == 1:
                raise
            yield Waiting(id, str(e), e.exit_code)


def tell(found: Iterable[Outcome | Member], as_json: bool) -> int:
    """Print each as it comes; the exit code: 0 when all of it is published."""
    from desk.publishing import Handed, Member, Published

    rows, bad, good = [], [], 0
    for one in found:
        if isinstance(one, Published):
            good += 1
            rows.append(_row("published", one.id, url=one.url, message=one.message))
            say(f"{_placed(one.message)}; {one.url}")
        elif isinstance(one, Handed):
            bad.append(1)
            rows.append(_row("by_hand", one.id, reason=one.reason, link=one.link, text=one.text))
            _hand_over(one, quiet=as_json)
        elif isinstance(one, Member):
            rows.append(_row("left_out", one.id, reason=one.why))
            say(f"{one.id}: пропущено: {one.why}")
        else:
            bad.append(one.exit_code)
            rows.append(_row("waiting", one.id, reason=one.problem))
            fail(f"сообщение {one.id}: {one.problem}" if one.id not in one.problem else one.problem, one.exit_code)
    if as_json:
        emit(rows)
    elif not rows:
        say("размещать нечего: начатых и незаконченных ответов нет")
    return 0 if not bad else 1 if good or len(set(bad)) > 1 else bad[0]


def take_up(store: Store, settings: Settings, open_outlet: OpenOutlet) -> None:
    """After a collecting run: go on with answers that earlier runs left half-way. Talks on stderr only."""
    from desk.publishing import Published, Waiting, resume

    if not store.unfinished():
        return
    with open_outlet(settings, store) as outlet:
        for one in resume(store, settings, outlet):
            if isinstance(one, Published):
                say(f"{_placed(one.message)}; {one.url}")
            else:
                why = one.problem if isinstance(one, Waiting) else one.reason
                say(f"ответ на сообщение {one.id} ещё не размещён: {why}")


def _row(outcome: str, id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "outcome": outcome, **more}


def _hand_over(one: Handed, *, quiet: bool) -> None:
    """What a person needs to publish it: the text alone on stdout, the rest beside it."""
    from desk.text import link, plain

    say(f"сообщение {one.id}: {plain(one.reason)}")
    say(f"разместите этот ответ сами: {link(one.link) or 'ссылки на сообщение нет'}")
    if not quiet:
        console().print(plain(one.text, lines=True), soft_wrap=True)
    say(f"и запишите, где он: otklik queue publish {one.id} --url ССЫЛКА")


def _placed(message: Any) -> str:
    """A notice and an interim answer leave the message where it was; that they are out is to be told all the same."""
    if message["status"] == "published":
        return _state(message)
    from desk.states import STATES

    return f"{message['id']}: размещено; сообщение «{STATES.get(message['status'], message['status'])}»"


def _state(message: Any) -> str:
    from desk.states import STATES

    return f"{message['id']}: {STATES.get(message['status'], message['status'])}"


def _preview(store: Store, ids: Sequence[str], cluster: bool, pending: bool, as_json: bool) -> None:
    from desk.publishing import preview as would_send

    rows = [p.message_id for p in store.unfinished()] if pending else ids
    found = [one for id in rows for one in would_send(store, current().settings, id, cluster=cluster)]
    if as_json:
        return emit(found)
    from desk.text import link, plain

    for one in found:
        say(f"{one['id']}: {'пропущено: ' + one['reason'] if one['reason'] else link(one['link'])}")
    if found:
        console().print(plain(found[0]["text"], lines=True), soft_wrap=True)
