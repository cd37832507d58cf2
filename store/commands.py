"""The store's commands: upkeep of the database."""

from __future__ import annotations

from typing import Annotated

import typer

from console import Json, Yes, command_group, confirm, current, emit, finish, open_input, say, utc_now, who

app = command_group("Хранилище: обновление, копия, восстановление, проверка.")


@app.command("migrate")
def store_migrate() -> None:
    """Обновить схему базы до версии программы."""
    from store.admin import migrate

    say(f"схема базы: {migrate(current().store_url)}")


def _recorded(verb: str) -> None:
    with current().store() as store:
        store.record(who(None), verb, {}, utc_now(), lambda: None)


@app.command("backup")
def store_backup(
    path: str, force: Annotated[bool, typer.Option("--force", help="Заменить существующий файл.")] = False
) -> None:
    """Сохранить согласованную копию; работать можно дальше."""
    from store.admin import backup

    began = utc_now()
    backup(current().store_url, path, force=force)
    with current().store() as store:
        store.backup_taken(who(None), began, utc_now())
    say(f"копия сохранена: {path}; в ней данные жителей, и забытое позже из неё не исчезнет: храните не дольше срока")


@app.command("restore")
def store_restore(path: str, yes: Yes = False) -> None:
    """Восстановить базу из копии; прежние данные заменяются."""
    from store.admin import forgotten_in, restore

    url = current().store_url
    confirm(f"База будет заменена копией {path}. Продолжить?", yes)
    back = forgotten_in(url, path)
    aside = restore(url, path, force=True)
    _recorded("restore")
    if aside is not None:
        say(f"прежний файл не читался и отложен: {aside}")
    if back:
        more = f" и ещё {len(back) - 20}" if len(back) > 20 else ""
        say(
            f"вернулись сообщения авторов, забытых после этой копии: {', '.join(back[:20])}{more}; забудьте их снова: "
            "otklik store forget НОМЕР (одного номера каждого автора довольно)"
        )
    say(f"база восстановлена из {path}; новые номера пойдут с круглого числа, прежние не повторятся")


@app.command("verify")
def store_verify(
    ledger: Annotated[
        str | None,
        typer.Option(
            "--ledger", metavar="FILE", help="Сверить ещё и с журналом NDJSON (network, external_id, text, deleted)."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Проверить целость: события без пропусков, тревоги на месте, счётчики сходятся."""
    from store.admin import verify

    url = current().store_url
    problems = verify(url)
    if ledger is not None:
        from store.ledger import compare

        with open_input(ledger) as lines:
            found = compare(url, lines)
        say(found.summary())
        problems = [*problems, *found.examples()]
    if as_json:
        emit(problems)
    else:
        for problem in problems:
            print(problem)
        say("база цела" if not problems else f"найдено нарушений: {len(problems)}")
    finish(1 if problems else 0)
