"""The desk's commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from console import By, Json, check_division, command_group, console, current, date_of, emit, finish, say, utc_now, who

alerts = command_group("Тревоги: список, подтверждение, проверка каналов.", bare=True)


def _show(what: str, value: Any, **options: Any) -> None:
    """Print a value the way `desk.show` draws it."""
    from desk import show

    console().print(getattr(show, what)(value, zone=current().zone, **options))


@alerts.callback()
def alerts_list(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="И подтверждённые.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Тревоги, ждущие подтверждения."""
    if ctx.invoked_subcommand:
        return
    with current().store() as store:
        found = store.alerts(None if every else ("raised", "escalated"))
        store.saw(who(by), [a["message_id"] for a in found if a["message_id"]], "list", utc_now())
    if as_json:
        return emit(found)
    from desk.rights import called

    _show("alerts", found, names=called(current().settings))


@alerts.command("ack")
def alerts_ack(ids: list[str], by: By = None) -> None:
    """Подтвердить: тревога принята."""
    from desk.work import allow

    state = current()
    allow(state.settings, "acknowledge", who(by), utc_now())
    with state.store() as store:
        for id in ids:
            store.acknowledge(id, who(by), utc_now())
            say(f"тревога № {id} подтверждена")


@alerts.command("test")
def alerts_test(as_json: Json = False) -> None:
    """Послать проверочное сообщение в каждый канал."""
    from desk.alerts import test_channels

    found = test_channels(current().settings)
    emit(found) if as_json else [_show("check", c) for c in found]
    finish(1 if any(not c["ok"] for c in found) else 0)


@alerts.command("drill")
def alerts_drill(
    text: Annotated[str, typer.Argument(help="Текст учебной тревоги.")] = "Учебная тревога: проверка оповещения",
    report: Annotated[
        bool, typer.Option("--report", help="Не проводить; показать задержки прежних учений и настоящих тревог.")
    ] = False,
    since: Annotated[str | None, typer.Option("--since", help="Для --report: с этой даты.")] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Учебная тревога: тот же путь, что у настоящей, с пометкой «учебная»; --report: задержки по каналам."""
    from desk.alerts import Deliverer
    from desk.delays import delays, of_channels, table

    state = current()
    if report:
        with state.store() as store:
            found = delays(store.alert_delays(date_of(since, state.zone)))
        emit(found) if as_json else console().print(table(found))
        return
    from desk.work import allow

    allow(state.settings, "drill", who(by), utc_now())
    with state.store() as store:
        alert = store.raise_drill(text, utc_now(), who(by))
        deliverer = Deliverer(store, state.settings)
        results = deliverer.deliver_due(only=alert)
        sent = of_channels([a for a in store.alert_delays() if str(a["id"]) == alert])
    if as_json:
        emit({"alert": alert, "channels": sent})
    else:
        for one in sent:
            say(
                f"  {one['channel']}: " + (f"доставлено за {one['p50']:.1f} с" if one["delivered"] else "не доставлено")
            )
    if not deliverer.channels:
        say(f"учебная тревога {alert}: никому не доставлена; добавьте канал в alerts.head")
    else:
        say(f"учебная тревога {alert}: доставлено {sum(r.ok for r in results)} из {len(results)}")
    finish(0 if results and all(r.ok for r in results) else 1)


@alerts.command("deliver")
def alerts_deliver() -> None:
    """Доставить то, что ждёт доставки или повтора (collect делает это сам)."""
    from desk.alerts import Deliverer

    state = current()
    with state.store() as store:
        results = Deliverer(store, state.settings).deliver_due()
    say(f"доставлено {sum(r.ok for r in results)} из {len(results)}")
    finish(0 if all(r.ok for r in results) else 1)


# --- the board --------------------------------------------------------------------------------------------------------


def board(
    division: Annotated[str | None, typer.Option("--division", help="Только это подразделение (id).")] = None,
    person: Annotated[str | None, typer.Option("--person", help="Только этот человек (id).")] = None,
    as_json: Json = False,
) -> None:
    """Кто что должен сделать: по подразделениям и людям, что просрочено и что скоро, ближайшие сроки."""
    from desk import board as desk_board
    from desk import board_view
    from desk.rights import called, everyone

    state, now = current(), utc_now()
    check_division(division)
    names = called(state.settings)
    if person is not None and person not in {p.id for p, _ in everyone(state.settings)}:
        say(f"человека «{person[:60]}» в настройках нет")
    one = division is not None or person is not None
    with state.store() as store:
        rows = desk_board.board(store.workload(division), now, nearest=20 if one else desk_board.NEAREST)
    if division is not None:
        rows = [r for r in rows if r.division == division]
    if person is not None:
        rows = desk_board.of_person(rows, person, state.settings)
    if as_json:
        return emit({"now": now, "soon": now + desk_board.SOON, "rows": [r.as_dict() for r in rows]})
    console().print(board_view.board(desk_board.arranged(rows, state.settings), now, names))
    if one and rows:
        console().print(board_view.nearest(rows, now, names))


# --- digests ----------------------------------------------------------------------------------------------------------


def send_digests(names: Any, *, division: str | None, now: bool, dry_run: bool, by: str | None, as_json: bool) -> None:
    """`otklik digest`. `names`: of topics and groups; `by`: who looks at them, when nothing is sent."""
    from desk import digest
    from settings import ConfigError

    state, at = current(), utc_now()
    settings = state.settings
    wanted = [d for d in settings.divisions if division in (None, d.id)]
    if division is not None and not wanted:
        known = ", ".join(d.id for d in settings.divisions)
        raise ConfigError(f"подразделения «{division[:60]}» в настройках нет; есть {known or 'пока ни одного'}")
    with state.store() as store:
        if dry_run:
            found = [digest.compose(store, d, settings, names, at) for d in wanted]
            store.saw(who(by), [id for d in found for id in d.quoted], "list", at)
            if as_json:
                return emit([{"division": d.division, "title": d.title, "body": d.body} for d in found])
            for d in found:
                print(f"{d.title}\n\n{d.body}\n")
            return
        send = digest.send_now if now else digest.send_due
        sent = send(store, settings, names, at, only=division)
    if as_json:
        emit([{"division": s.division, "channel": s.channel, "error": s.error} for s in sent])
    for one in sent:
        say(f"{one.division}, {one.channel}: {one.error or 'отправлено'}")
    if not any(d.notify for d in wanted):
        say("сводку никто не получает; добавьте адреса в divisions[].notify")
    elif not sent:
        say("сейчас отправлять нечего: срок сводки не настал или она уже отправлена (сейчас же: --now)")
    finish(1 if any(s.error for s in sent) else 0)


# --- clocks -----------------------------------------------------------------------------------------------------------

sla = command_group("Сроки Регламента: счёт каждой минуты, прогноз.")


@sla.command("explain")
def sla_explain(id: str, as_json: Json = False) -> None:
    """Каждый срок сообщения: когда шёл, когда стоял и почему, кто его начал и остановил."""
    from desk import sla_view
    from desk.sla import accounts

    state = current()
    with state.store() as store:
        message, data = store.message(id), store.desk(id)["case"]
    found = accounts(message, data, state.settings, utc_now())
    emit([a.as_dict() for a in found]) if as_json else console().print(sla_view.accounts(found, zone=state.zone))


@sla.command("forecast")
def sla_forecast(
    division: Annotated[str | None, typer.Option("--division", help="Только это подразделение (id).")] = None,
    until: Annotated[str | None, typer.Option("--until", help="До этого времени; иначе до конца дня.")] = None,
    as_json: Json = False,
) -> None:
    """Что уже просрочено и что просрочится до конца дня, по подразделениям."""
    from desk import sla_view
    from desk.sla import end_of_day, forecast
    from desk.text import when
    from store import QueueFilter

    state = current()
    now = utc_now()
    end = date_of(until, state.zone) or end_of_day(now, state.settings)
    with state.store() as store:
        waiting = store.messages(QueueFilter(overdue=end, order="due"))
        rows = forecast(waiting, state.settings, now, end)
    check_division(division)
    if division is not None:
        rows = [r for r in rows if r["division"] == division]
    if as_json:
        emit({"now": now, "until": end, "divisions": rows})
    else:
        console().print(sla_view.forecast(rows, until=when(end, state.zone)))
