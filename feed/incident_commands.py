"""Commands for files of another system of incidents."""

from __future__ import annotations

from typing import Annotated

import typer

from console import By, command_group, current, fail, finish, open_input, say, utc_now, who

app = command_group("Файлы для системы инцидентов (ЦУР) и её номера обратно.")
Name = Annotated[str, typer.Argument(help="Имя из feed.mappings.")]


@app.command("export")
def export(
    name: Name,
    output: Annotated[str, typer.Option("-o", "--output", help="Файл.")],
    every: Annotated[bool, typer.Option("--all", help="И те, у которых номер там уже есть.")] = False,
    by: By = None,
) -> None:
    """Сообщения, которые требуют ответа, в виде, который примет другая система."""
    from feed import commands
    from feed.files import save
    from feed.mapping import mapping_of, write
    from store.values import QueueFilter

    state = current()
    how = mapping_of(state.settings, name)
    with state.store() as store:
        there = set() if every else set(store.foreign_ids(name))
        wanted = QueueFilter(deleted=False, historical=False, order="id")
        ids: list[str] = []

        def chosen():
            for message in store.messages(wanted):
                if message["reaction"] in (None, "required") and message["id"] not in there:
                    ids.append(message["id"])
                    yield message

        save(write(chosen(), how, commands.titles()), output, "ndjson")
        store.saw(who(by), ids, "export", utc_now())
    say(f"{output}: сообщений {len(ids)}")


@app.command("read")
def read(name: Name, file: Annotated[str, typer.Argument(help="Файл, который вернула другая система.")]) -> None:
    """Записать номера, которые сообщения получили там."""
    from feed.mapping import mapping_of, pairs

    state = current()
    how = mapping_of(state.settings, name)
    with open_input(file) as opened:
        found = pairs(opened, how)
    with state.store() as store:
        told = store.link_foreign(name, [(ours, theirs) for _, ours, theirs in found], utc_now())
    problems = [(line, why) for (line, _, _), why in zip(found, told, strict=True) if why]
    for line, why in problems[:50]:
        fail(f"строка {line}: {why}", 1)
    say(f"номеров записано: {len(found) - len(problems)}, не принято: {len(problems)}")
    finish(1 if problems else 0)
