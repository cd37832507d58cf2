"""Commands about personal data: `otklik store sweep | forget | export | access | log`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from console import By, Json, Limit, Yes, confirm, console, current, emit, say, utc_now, who

DryRun = Annotated[bool, typer.Option("--dry-run", help="Показать, что будет стёрто, и ничего не делать.")]
Mask = Callable[[str, tuple[str, ...], tuple[str, ...]], str]

COPIES = (
    "Копии базы, сделанные раньше (otklik store backup), программа изменить не может: удалите их или храните "
    "до конца их срока и не восстанавливайте; получатели ленты узнают о забытом из событий otklik.message.forgotten"
)


def sweep(dry_run: DryRun = False, by: By = None, as_json: Json = False) -> None:
    """Стереть всё, что хранится дольше срока (store.retention); открытое не трогает."""
    from desk.privacy import counted, terms_of

    state = current()
    terms = terms_of(state.settings)
    with state.store() as store:
        if dry_run:
            found = store.overdue_for_erasure(terms, utc_now())
        else:
            found = store.sweep(terms, utc_now())
            if found:
                store.record(who(by), "sweep", {"erased": found}, utc_now(), lambda: None)
                store.compact()
    if as_json:
        return emit(found)
    for line in counted(found):
        print(line)
    say(("было бы стёрто: " if dry_run else "стёрто: ") + str(sum(found.values())) if found else "стирать нечего")


def forget(
    author: Annotated[
        str,
        typer.Argument(metavar="AUTHOR", help="сеть:id (vk:12345), ссылка на профиль или номер сообщения автора."),
    ],
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Забыть автора: стереть его данные и слова; обезличенные сведения для отчётов остаются (куратор или глава)."""
    from desk.privacy import counted, settle
    from desk.work import allow

    state = current()
    allow(state.settings, "forget", who(by), utc_now())
    with state.store() as store:
        unfinished = store.forgetting_unfinished()
        if dry_run or not (yes or unfinished):
            found = store.forget(author, by=who(by), now=utc_now(), settle=settle, dry_run=True)
            if dry_run:
                return _tell(found, counted(found.counts), as_json, dry=True)
            for line in counted(found.counts):
                say(line)
            if found.open:
                say(f"из них ещё открыты: {', '.join(found.open)}; их сроки остановятся")
            confirm("Данные автора будут стёрты без возможности восстановить. Продолжить?", yes)
        found = store.forget(author, by=who(by), now=utc_now(), settle=settle)
    _tell(found, counted(found.counts), as_json, dry=False)


def _tell(found: Any, lines: list[str], as_json: bool, *, dry: bool) -> None:
    if as_json:
        emit(
            {
                "done": found.done,
                "went_on": found.went_on,
                "messages": list(found.messages),
                "open": list(found.open),
                "counts": dict(found.counts),
            }
        )
    else:
        if found.messages:
            print(f"номера сообщений: {', '.join(found.messages)}")
        for line in lines:
            print(line)
    if found.went_on:
        say("прежнее забывание было прервано; теперь оно завершено")
    if found.open:
        say(f"открытых среди них: {len(found.open)} ({', '.join(found.open[:20])}); их сроки {_stopped(dry)}")
    say("ничего не изменено" if dry else "автор забыт; база сжата, в освобождённых местах ничего не осталось")
    say(COPIES)


def _stopped(dry: bool) -> str:
    return "остановятся" if dry else "остановлены"


def _exporter(masker: Callable[[], Mask]) -> Callable[..., None]:
    def export(
        out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Куда записать (NDJSON).")],
        pseudonymised: Annotated[
            bool, typer.Option("--pseudonymised", help="Псевдонимы вместо людей; другой выгрузки нет.")
        ] = False,
        force: Annotated[bool, typer.Option("--force", help="Заменить существующий файл.")] = False,
        by: By = None,
    ) -> None:
        """Выгрузить сообщения для обучения и статистики без людей (администратор или куратор)."""
        from desk.work import allow
        from settings import ConfigError

        if not pseudonymised:
            raise ConfigError("выгружаются только обезличенные сообщения; добавьте --pseudonymised")
        state = current()
        allow(state.settings, "export", who(by), utc_now())
        target = Path(out)
        if target.exists() and not force:
            raise ConfigError(f"{out}: файл уже есть; назовите другой или добавьте --force")
        with state.store() as store:
            n = _write(store, target, masker(), who(by))
        say(f"записано: {out}, сообщений {n}; адресов и имён в нём нет, но храните его как персональные данные")

    return export


def _write(store: Any, target: Path, mask: Mask, by: str) -> int:
    """The whole file or none; readable by its owner only. It gets its name together with its entry in the log."""
    import orjson

    from settings import ConfigError, os_problem
    from wholefile import whole_file

    n = 0

    def naming(rename: Callable[[], None]) -> None:
        store.record(by, "export", {"n": n, "kind": "pseudonymised"}, utc_now(), rename)

    try:
        with whole_file(target, naming=naming) as file:
            for line in store.pseudonymised(mask):
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                n += 1
    except OSError as e:
        raise ConfigError(f"{target}: файл не записать ({os_problem(e)}); проверьте путь и права") from None
    return n


def access(
    of: Annotated[
        str | None, typer.Argument(metavar="[ID | AUTHOR]", help="Номер сообщения, сеть:id или ссылка; иначе все.")
    ] = None,
    limit: Limit = 200,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Кто из сотрудников видел чьи сообщения, новые сверху (куратор или глава)."""
    from desk import show_access
    from desk.rights import called
    from desk.work import allow

    state = current()
    allow(state.settings, "access", who(by), utc_now())
    with state.store() as store:
        found = store.access(of, limit)
    if as_json:
        return emit(found)
    console().print(show_access.access(found, zone=state.zone, names=called(state.settings)))


def journal(
    verb: Annotated[str | None, typer.Option("--verb", help="Только такие: forget, export, route, correct…")] = None,
    limit: Limit = 100,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Журнал действий: кто что сделал, новое сверху (куратор или глава)."""
    from desk import show_access
    from desk.rights import called
    from desk.work import allow

    state = current()
    allow(state.settings, "access", who(by), utc_now())
    with state.store() as store:
        found = store.log(verb, limit)
    if as_json:
        return emit(found)
    console().print(show_access.journal(found, zone=state.zone, names=called(state.settings)))


def add_to(store: typer.Typer, masker: Callable[[], Mask]) -> None:
    """Give the group of the store these commands; `masker` makes what masks a text."""
    for name, command in (
        ("sweep", sweep),
        ("forget", forget),
        ("export", _exporter(masker)),
        ("access", access),
        ("log", journal),
    ):
        store.command(name)(command)
