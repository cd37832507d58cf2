"""The commands of `otklik queue` that make and admit answers: `draft`, `approve`, `redirect`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console import By, Json, console, current, emit, fail, finish, say, utc_now, who
from desk.queue_commands import Id, Ids, Seen, Words, WordsFrom, day_or_time, said, words

if TYPE_CHECKING:
    from desk.answers import Known
    from desk.checks import Finding

EvenSo = Annotated[
    str | None, typer.Option("--even-so", metavar="ПОЧЕМУ", help="Причина, по которой предупреждения не мешают.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="ПОЛЕ=ЗНАЧЕНИЕ", help="Значение поля шаблона; можно несколько раз.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Показать текст и замечания, ничего не записывать.")]


def add_to(queue: typer.Typer, tools: Any) -> None:
    """Give the group of the queue these commands. `tools()`: what other rooms know (`desk.answers.Known`)."""

    def draft(
        id: Id,
        text: Words = None,
        file: WordsFrom = None,
        template: Annotated[
            str | None,
            typer.Option("--template", metavar="ВИД", help="По шаблону: final, interim; текст станет {ответ}."),
        ] = None,
        fields: Set = None,
        interim: Annotated[
            bool, typer.Option("--interim", help="Промежуточный; нужен --until или --condition.")
        ] = False,
        until: Annotated[str | None, typer.Option("--until", help="Срок окончательного решения.")] = None,
        condition: Annotated[str | None, typer.Option("--condition", help="Условие окончательного решения.")] = None,
        dry_run: DryRun = False,
        by: By = None,
        version: Seen = None,
        as_json: Json = False,
    ) -> None:
        """Представить проект ответа на согласование (исполнитель, пункт 7.4, 7.6, 7.8)."""
        kind = _kind(template, interim)
        end = day_or_time(until)
        own = None if template and text is None and file is None else words(text, file)
        state = current()
        with state.store() as store:
            message = store.message(id)
            if template:
                own = filled(message, tools(), template, fields, answer=own, until=end, condition=condition)
            _check_set(fields, template)
            args = {"text": own, "kind": kind, "until": end, "condition": condition}
            if dry_run:
                return preview(store, tools(), message, args, as_json)
            from desk.answers import check_current
            from desk.work import act

            done = act(store, state.settings, id, "draft", args, by=who(by), now=utc_now(), version=version)
            found, _ = check_current(store, state.settings, tools(), id)
        if as_json:
            emit([{**done, "findings": _rows(found)}])
        say(said(done))
        _tell(found)

    def approve(ids: Ids, even_so: EvenSo = None, by: By = None, version: Seen = None, as_json: Json = False) -> None:
        """Согласовать проект, если проверки не против (администратор, пункт 7.5)."""
        from desk.answers import approve as admit
        from desk.answers import check_current
        from desk.checks import NOTE
        from settings import OtklikError

        state, known = current(), tools()
        done, failed, notes = [], [], {}
        with state.store() as store:
            for id in ids:
                try:
                    step = {"by": who(by), "now": utc_now(), "version": version, "even_so": even_so}
                    notes[id] = [f for f in check_current(store, state.settings, known, id)[0] if f.level == NOTE]
                    done.append(admit(store, state.settings, known, id, **step))
                except OtklikError as e:
                    if len(ids) == 1:
                        raise
                    failed.append(fail(str(e), e.exit_code))
        if as_json:
            emit(done)
        for message in done:
            say(said(message))
            _tell(notes.get(message["id"], ()))
        finish((1 if done else failed[0]) if failed else 0)

    def redirect(
        id: Id,
        body: Annotated[str, typer.Option("--to", help="Ответственный орган.")],
        text: Words = None,
        file: WordsFrom = None,
        fields: Set = None,
        even_so: EvenSo = None,
        dry_run: DryRun = False,
        by: By = None,
        as_json: Json = False,
    ) -> None:
        """Не наша компетенция: назвать автору ответственный орган (администратор, 7.12); без текста по шаблону."""
        from desk.answers import redirect as send_on

        state, known = current(), tools()
        own = None if text is None and file is None else words(text, file)
        with state.store() as store:
            message = store.message(id)
            if own is None:
                own = filled(message, known, "redirect", fields, body=body)
            _check_set(fields, "redirect" if text is None and file is None else None)
            if dry_run:
                return preview(store, known, message, {"text": own, "kind": "redirect", "body": body}, as_json)
            step = {"body": body, "text": own, "by": who(by), "now": utc_now(), "even_so": even_so}
            done = send_on(store, state.settings, known, id, **step)
        if as_json:
            emit([done])
        say(said(done))

    for command in (draft, approve, redirect):
        queue.command(command.__name__)(command)


def _kind(template: str | None, interim: bool) -> str:
    from settings import ConfigError

    if template is not None and template not in ("final", "interim"):
        raise ConfigError(f"--template {template[:40]}: для проекта есть final и interim; остальные: redirect, notify")
    if interim and template == "final":
        raise ConfigError("--interim и --template final не вместе; укажите что-то одно")
    return "interim" if interim or template == "interim" else "final"


def _check_set(fields: Sequence[str] | None, template: str | None) -> None:
    from settings import ConfigError

    if fields and not template:
        raise ConfigError("--set задаёт поля шаблона; добавьте --template или уберите его")


def filled(message: Mapping[str, Any], known: Known, kind: str, pairs: Sequence[str] | None, **said: Any) -> str:
    from desk.templates import fields_of, fill, given

    settings = current().settings
    return fill(kind, fields_of(message, settings, titles=known.titles(), **said), settings, given(list(pairs or ())))


def preview(store: Any, known: Known, message: Mapping[str, Any], args: Mapping[str, Any], as_json: bool) -> None:
    from desk.answers import check
    from desk.text import plain

    told: dict[str, Any] = {k: args.get(k) for k in ("kind", "until", "condition", "body")}
    found = check(store, current().settings, known, message, args["text"], **told)
    if as_json:
        return emit({"text": args["text"], "findings": _rows(found)})
    console().print(plain(args["text"], lines=True), soft_wrap=True)
    _tell(found)


def _rows(found: Sequence[Finding]) -> list[dict[str, str]]:
    return [{"level": f.level, "check": f.check, "text": f.text} for f in found]


def _tell(found: Sequence[Finding]) -> None:
    from desk.checks import ERROR, NOTE

    for f in found:
        say(f"{'не пройдёт' if f.level == ERROR else 'учтите' if f.level == NOTE else 'проверьте'}: {f.text}")
