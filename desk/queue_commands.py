"""The verbs of the Regulation as commands of `otklik queue`: options in, one step a message, the result out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from console import By, Json, console, current, date_of, emit, fail, finish, open_input, say, utc_now, who

Ids = Annotated[list[str], typer.Argument(help="Номера сообщений.")]
Id = Annotated[str, typer.Argument(help="Номер сообщения.")]
Reason = Annotated[str, typer.Option("--reason", help="Почему.")]
Seen = Annotated[
    int | None, typer.Option("--version", min=0, help="Только если сообщение всё ещё этой версии (см. history).")
]
Words = Annotated[str | None, typer.Option("--text", help="Текст; «-»: со стандартного ввода.")]
WordsFrom = Annotated[str | None, typer.Option("--file", help="Файл с текстом.")]


def _step(
    ids: Sequence[str], verb: str, by: str | None, as_json: bool, version: int | None = None, **args: Any
) -> None:
    """The same step for each message, and the command is over."""
    finish(steps(ids, verb, by, as_json, version, **args)[1])


def steps(
    ids: Sequence[str], verb: str, by: str | None, as_json: bool, version: int | None = None, **args: Any
) -> tuple[list[str], int]:
    """The same step for each message; one that is refused does not hold up the others. Those it was taken for, and the
    exit code."""
    from desk.work import act
    from settings import OtklikError

    state = current()
    done, failed, settled = [], [], {}
    with state.store() as store:
        for id in ids:
            try:
                done.append(act(store, state.settings, id, verb, args, by=who(by), now=utc_now(), version=version))
                if verb in ("confirm", "deny"):
                    settled[done[-1]["id"]] = _settled(verb, store.desk(id))
            except OtklikError as e:
                if len(ids) == 1:
                    raise
                failed.append(fail(str(e), e.exit_code))
    if as_json:
        emit(done)
    for message in done:
        say(said(message) + settled.get(message["id"], _refused(message, verb, args)))
    return [m["id"] for m in done], (1 if done else failed[0]) if failed else 0


_DECIDED = {
    ("confirm", "refuse"): "отказ подтверждён",
    ("confirm", "block"): "блокировка подтверждена",
    ("confirm", "hide"): "скрытие подтверждено",
    ("deny", "refuse"): "отказ отклонён",
    ("deny", "block"): "блокировка отклонена",
    ("deny", "hide"): "скрытие отклонено",
}


def _settled(verb: str, desk: Mapping[str, Any]) -> str:
    """What was confirmed or denied, on what ground, and what waits still."""
    from desk.verbs import BLOCK_GROUNDS, REFUSE_GROUNDS

    details, case = desk["log"][-1]["details"], desk["case"]
    ground = {**REFUSE_GROUNDS, **BLOCK_GROUNDS}.get(details.get("ground"))
    told = f": {_DECIDED[verb, details['what']]}" + (f" ({ground})" if ground else "")
    waits = [word for key, word in (("block_asked", "блокировка"), ("hide_asked", "скрытие")) if case.get(key)]
    return told + (f"; второго решения ждёт ещё {' и '.join(waits)}" if waits else "")


def _refused(message: dict[str, Any], verb: str, args: Mapping[str, Any]) -> str:
    """What a refusal has come to: closed alone could be an answer given as well."""
    from desk.verbs import REFUSE_GROUNDS

    if message["status"] == "refusal":
        return "; решают куратор или глава: queue confirm или queue deny"
    if message["status"] == "closed" and verb == "refuse":
        return f": отказ, {REFUSE_GROUNDS[args['ground']]}"
    return ""


def said(message: dict[str, Any]) -> str:
    from desk.sla import CLOCKS
    from desk.states import STATES
    from desk.text import moment, when
    from store.values import NO_DUTY

    now = utc_now()
    ends = [(at, name) for name, end in message["deadlines"].items() if (at := moment(end)) is not None]
    due = min(((at, name) for at, name in ends if at >= now or name not in NO_DUTY), default=None)
    rest = ""
    if due is not None and message["status"] != "refusal":  # what is asked for then is a decision
        word = "до" if due[0] >= now else "срок вышел"
        rest = f"; {word} {when(due[0], current().zone)}: {CLOCKS.get(due[1], due[1])}"
    return f"{message['id']}: {STATES.get(message['status'], message['status'])}{rest}"


_MOST = 200_000  # bytes


def words(text: str | None, file: str | None) -> str:
    from settings import ConfigError

    if (text is None) == (file is None):
        raise ConfigError("нужен текст: --text «…» или --file ПУТЬ")
    if file is not None:
        with open_input(file) as opened:
            data = opened.read(_MOST + 1)
    elif text == "-":
        data = sys.stdin.buffer.read(_MOST + 1)
    else:
        return text or ""
    if len(data) > _MOST:
        raise ConfigError(f"текст больше {_MOST // 1000} КБ, таких ответов не бывает; проверьте, тот ли это файл")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ConfigError("текст не в кодировке UTF-8; сохраните его в UTF-8") from None


def day_or_time(text: str | None) -> datetime | None:
    """A term that a person names: a time, or a day, which then ends with its working time."""
    at = date_of(text, current().zone)
    if at is None or text is None or len(text.strip()) > len("2026-11-24"):
        return at
    from desk.calendar import calendar_of

    calendar = calendar_of(current().settings)
    day = calendar.day(calendar.date_of(at))
    return day.spans[-1][1] if day.spans else at + timedelta(hours=23, minutes=59)


def accept(ids: Ids, by: By = None, as_json: Json = False) -> None:
    """Принять к рассмотрению (администратор, пункт 7.1)."""
    _step(ids, "accept", by, as_json)


def route(
    ids: Ids,
    to: Annotated[list[str], typer.Option("--to", help="Подразделение (id); несколько — в порядке очереди.")],
    compiler: Annotated[
        str | None, typer.Option("--compiler", help="Кто сводит общий ответ; иначе последнее из --to.")
    ] = None,
    by: By = None,
    version: Seen = None,
    as_json: Json = False,
) -> None:
    """Направить в подразделение (администратор, пункт 7.1, 7.10)."""
    _step(ids, "route", by, as_json, version, to=to, compiler=compiler)


def return_(ids: Ids, reason: Reason, by: By = None, as_json: Json = False) -> None:
    """Вернуть администратору: не наша компетенция (исполнитель, пункт 7.2)."""
    _step(ids, "return", by, as_json, reason=reason)


def begin(ids: Ids, by: By = None, as_json: Json = False) -> None:
    """Взять в работу (исполнитель)."""
    _step(ids, "begin", by, as_json)


def part(id: Id, text: Words = None, file: WordsFrom = None, by: By = None, as_json: Json = False) -> None:
    """Передать сведения для общего ответа (исполнитель, пункт 7.10)."""
    _step([id], "part", by, as_json, text=words(text, file))


def rework(id: Id, reason: Reason, by: By = None, version: Seen = None, as_json: Json = False) -> None:
    """Вернуть проект на доработку (администратор, пункт 7.5)."""
    _step([id], "rework", by, as_json, version, reason=reason)


def extend(
    ids: Ids,
    until: Annotated[str, typer.Option("--until", help="Новый срок ответа.")],
    reason: Reason,
    by: By = None,
    version: Seen = None,
    as_json: Json = False,
) -> None:
    """Продлить срок, не более чем на 30 дней (администратор, пункт 7.9)."""
    _step(ids, "extend", by, as_json, version, until=day_or_time(until), reason=reason)


def refuse(
    ids: Ids,
    ground: Annotated[str, typer.Option("--ground", help="incorrect, unintelligible, harm, obscene, threat.")],
    by: By = None,
    as_json: Json = False,
) -> None:
    """Не принимать к рассмотрению (администратор, пункт 9); чрезвычайное ждёт второго решения."""
    _step(ids, "refuse", by, as_json, ground=ground)


def deny(ids: Ids, reason: Reason, by: By = None, as_json: Json = False) -> None:
    """Отклонить отказ: сообщение рассмотрят (куратор или глава)."""
    _step(ids, "deny", by, as_json, reason=reason)


def close(ids: Ids, by: By = None, as_json: Json = False) -> None:
    """Закрыть (администратор)."""
    _step(ids, "close", by, as_json)


def reopen(ids: Ids, reason: Reason, by: By = None, as_json: Json = False) -> None:
    """Открыть снова (администратор или куратор)."""
    _step(ids, "reopen", by, as_json, reason=reason)


def history(id: Id, by: By = None, as_json: Json = False) -> None:
    """Кто что сделал с сообщением, тексты ответов."""
    from desk import sla_view
    from desk.rights import called

    state = current()
    with state.store() as store:
        found = store.desk(id)
        store.saw(who(by), [id], "show", utc_now())
    if as_json:
        return emit(found)
    console().print(sla_view.history(found, zone=state.zone, names=called(state.settings)))


def recall(
    ids: Ids,
    reason: Annotated[str | None, typer.Option("--reason", help="Почему.")] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Отозвать направленное, пока его не взяли в работу, или свой отказ, ждущий решения (администратор)."""
    _step(ids, "recall", by, as_json, reason=reason)


def repeat(
    ids: Ids,
    of: Annotated[str, typer.Option("--of", metavar="ID", help="Какое сообщение они повторяют.")],
    by: By = None,
    version: Seen = None,
    as_json: Json = False,
) -> None:
    """Отметить повторным по рассмотренному вопросу и показать прежний ответ (администратор, пункт 7.11)."""
    _step(ids, "repeat", by, as_json, version, of=of)
    if not as_json:
        _earlier_answer(of)


def _earlier_answer(of: str) -> None:
    """What was answered to the earlier message: the answer to the repeat tells what was done since."""
    from desk.text import plain, when

    state = current()
    with state.store() as store:
        earlier, told = store.message(of), store.desk(of)["replies"]
    answer = next((r for r in reversed(told) if r["state"] == "published"), None)
    division = f", {earlier['division']}" if earlier["division"] else ""
    if answer is None:
        return say(f"на прежнее сообщение {of} ответа ещё не было{division}")
    say(f"прежний ответ {when(answer['changed_at'], state.zone)}{division}: {plain(answer['text'], 300)}")


_COMMANDS = (
    accept, route, return_, recall, begin, part, rework, extend, repeat, refuse, deny, close, reopen, history,
)  # fmt: skip


def add_to(queue: typer.Typer) -> None:
    """Give the group of the queue its verbs."""
    for command in _COMMANDS:
        queue.command(command.__name__.rstrip("_"))(command)
