"""The `otklik` command. It only assembles what each room offers; every command is a few lines.

Data goes to stdout, talk to stderr. Heavy imports stand inside the commands: `otklik --help` must be quick.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classifier import commands as model_commands
from collectors import commands as collector_commands
from console import (
    By,
    Json,
    Limit,
    State,
    Yes,
    begin,
    check_division,
    command_group,
    console,
    current,
    date_of,
    emit,
    fail,
    finish,
    named,
    nearest,
    say,
    span_of,
    stop_on_signals,
    utc_now,
    who,
)
from desk import (
    answer_commands,
    block_commands,
    health_commands,
    notice_commands,
    privacy_commands,
    publish_commands,
    queue_commands,
    report_commands,
)
from desk import commands as desk_commands
from feed import commands as feed_commands
from running import commands as running_commands
from store import commands as store_commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.outlet import Outlet
    from collectors.poll import Judge
    from collectors.report import Report
    from settings import Settings
    from store import Store

app = command_group("otklik: отклики жителей под официальными страницами — в очередь, в срок, без потерь.")
pages_app = command_group("Страницы: что собрано, чего не хватает, когда.", bare=True)
queue_app = command_group("Очередь сообщений.", bare=True)
for _name, _sub in (
    ("pages", pages_app),
    ("queue", queue_app),
    ("feed", feed_commands.app),
    ("serve", feed_commands.serving),
    ("alerts", desk_commands.alerts),
    ("report", report_commands.app),
    ("sla", desk_commands.sla),
    ("model", model_commands.app),
    ("store", store_commands.app),
):
    app.add_typer(_sub, name=_name)
app.command("board")(desk_commands.board)
app.command("networks")(collector_commands.networks)
app.command("worker")(running_commands.worker)


def _masker() -> Any:
    from classifier.anonymise import masked

    return masked


def _titles() -> Any:
    from classifier.names import titles

    return titles()


feed_commands.use_titles(_titles)
privacy_commands.add_to(store_commands.app, _masker)


# --- what every command shares ----------------------------------------------------------------------------------------


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(version("otklik"))
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    config: Annotated[
        str | None,
        typer.Option("--config", "-c", metavar="PATH", help="Файл настроек; иначе OTKLIK_CONFIG, ./config.yaml."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Только данные и ошибки.")] = False,
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning, error.")] = "warning",
    log_format: Annotated[str, typer.Option("--log-format", help="text или json: журнал на stderr строками JSON.")] = (
        "text"
    ),
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Показать версию.")
    ] = False,
) -> None:
    begin(State(config, quiet))
    if ctx.invoked_subcommand:
        import logging

        level = logging.getLevelNamesMapping().get(log_level.upper())
        if level is None:
            raise typer.BadParameter(f"нет такого уровня: {log_level}; есть debug, info, warning, error")
        if log_format not in ("text", "json"):
            raise typer.BadParameter(f"нет такого вида журнала: {log_format}; есть text, json")
        _configure_logging(level, log_format)


def _configure_logging(level: int, form: str = "text") -> None:
    import logging

    from settings import JsonFormatter, install_log_scrubbing

    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if form == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())
    install_log_scrubbing()


# --- collecting -------------------------------------------------------------------------------------------------------


def make_judge(settings: Settings) -> tuple[Judge, Any]:
    """`running.judging.make_judge`, loaded when first needed."""
    from running.judging import make_judge as made

    return made(settings)


def judge_with(judge: Any, settings: Settings) -> Judge:
    from running.judging import judge_with as made

    return made(judge, settings)


def run_collect(store: Store, settings: Settings, **how: Any) -> Report:
    """One whole run; what it says of itself goes to stderr."""
    from running.collecting import run_collect as run_all

    return run_all(store, settings, say=say, now=utc_now, **how)


@desk_commands.alerts.command("spikes")
def alerts_spikes(as_json: Json = False) -> None:
    """Повышенная активность: что замечено, что сейчас выше обычного, сколько накоплено истории."""
    from classifier.names import titles
    from desk.spikes import overview
    from desk.spikes_view import shown

    state = current()
    with state.store() as store:
        found = overview(store, state.settings, utc_now(), titles())
    emit(found) if as_json else console().print(shown(found, state.zone))


@app.command()
def collect(
    page: Annotated[
        list[str] | None, typer.Option("--page", help="Только эта страница: номер, id или название.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="Публикации не старше этой даты.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Перечитать все публикации целиком.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Показать, что было бы собрано, и ничего не делать.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Собрать новые комментарии со страниц (для cron)."""
    with stop_on_signals() as stop:  # before anything heavy is loaded: a signal is never missed
        code = _collect(page or (), since, full, dry_run, as_json, stop)
    finish(code)


def _collect(page: Sequence[str], since: str | None, full: bool, dry_run: bool, as_json: bool, stop: Any) -> int:
    state = current()
    settings = state.settings
    since_at = date_of(since, state.zone)
    with state.store() as store:
        if dry_run:
            from collectors.pages import plan

            planned = plan(store, settings, page, utc_now())
            emit(planned) if as_json else _show("plan", planned)
            return 0
        from desk.show import collect_progress

        with collect_progress(console(err=True), quiet=state.quiet or as_json) as progress:
            report = run_collect(store, settings, only=page, since=since_at, full=full, progress=progress, stop=stop)
        if as_json:
            emit(report.as_dict())
        elif not state.quiet:
            _show("report", report.as_dict())
        else:
            for result in report.results:
                if result.coverage is not None and result.coverage.problem:
                    fail(f"{result.configured}: {result.coverage.problem}", report.exit_code)
                elif result.postponed:
                    fail(f"{result.configured}: {result.note}", report.exit_code)
    if report.interrupted:
        say("сбор остановлен; собранное сохранено, остальное возьмёт следующий запуск")
    return report.exit_code


def _show(what: str, value: Any, **options: Any) -> None:
    """Print a value the way `desk.show` draws it."""
    from desk import show

    state = current()
    options.setdefault("zone", state.zone)
    if what in ("queue", "message"):
        from classifier.names import titles

        options["names"] = titles()
    if what == "message":
        from desk.rights import called

        options["called"] = called(state.settings)
    console().print(getattr(show, what)(value, **options))


@pages_app.callback()
def pages(ctx: typer.Context, as_json: Json = False) -> None:
    """Страницы: счётчик сети, собрано, недостача, исход, последний успех, задержка."""
    if ctx.invoked_subcommand:
        return
    _pages(as_json)


@pages_app.command("list")
def pages_list(as_json: Json = False) -> None:
    """То же, что otklik pages."""
    _pages(as_json)


def _pages(as_json: bool) -> None:
    from collectors.pages import page_lines

    state = current()
    settings = state.settings
    with state.store() as store:
        lines = page_lines(store, settings)
    emit(lines) if as_json else _show("pages", lines)


@pages_app.command("check")
def pages_check(as_json: Json = False) -> None:
    """Проверить каждую страницу: доступна ли, верен ли токен, то ли название."""
    _checks(_network_checks, as_json)


def _network_checks(state: State) -> Iterator[Any]:
    from collectors.doctor import checks

    with state.store() as store:
        yield from checks(state.settings, store)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Проверить токены, права, часы, базу, страницы и каналы тревоги."""
    _checks(_all_checks, as_json)


def _all_checks(state: State) -> Iterator[Any]:
    from collectors.contract import Check
    from desk.alerts import check_channels
    from desk.digest import check_digests
    from desk.doctor import check_calendar, check_people
    from settings import OtklikError, literal_secrets

    settings = state.settings
    on = [p.network for p in settings.pages if p.enabled and settings.network(p.network).enabled]
    off = f"; выключено страниц: {len(settings.pages) - len(on)}" if len(on) < len(settings.pages) else ""
    yield Check("настройки", True, f"страниц: {len(on)}, сетей: {len(set(on))}{off}")
    for where in literal_secrets(settings):
        yield Check("секреты", False, where, "секрет записан прямо в файле; замените его на ${ИМЯ}")
    yield from check_calendar(settings, utc_now())
    yield from check_people(settings, utc_now())
    try:
        from store.admin import verify

        with state.store():
            pass  # an absent database gets its tables, an old one is told of
        problems = verify(state.store_url)
    except OtklikError as e:
        yield Check("база", False, str(e), "")
        return
    yield Check(
        "база",
        not problems,
        "; ".join(problems[:3]) or "цела, схема текущая",
        "otklik store verify" if problems else "",
    )
    with state.store() as store:
        if store.forgetting_unfinished():
            advice = "повторите otklik store forget с любым из номеров или с тем же автором"
            yield Check("персональные данные", False, "забывание автора было прервано", advice)
    yield from _network_checks(state)
    yield from check_channels(settings)
    yield from check_digests(settings)


def _page_facts() -> Any:
    from collectors.pages import budget_lines, page_lines

    return page_lines, budget_lines


health_commands.add_to(app, _page_facts)


def _checks(source: Callable[[State], Iterator[Any]], as_json: bool) -> None:
    from dataclasses import asdict

    from settings import OK, PARTLY

    found = []
    for check in source(current()):
        found.append(asdict(check))
        if not as_json:
            _show("check", found[-1])
    if as_json:
        emit(found)
    finish(PARTLY if any(c["ok"] is False for c in found) else OK)


# --- judging ----------------------------------------------------------------------------------------------------------


@app.command()
def classify(
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT | -]", help="Текст; «-» или ничего: NDJSON на stdin.")
    ] = None,
    as_json: Json = False,
    explain: Annotated[bool, typer.Option("--explain", help="Показать леммы, веса, правила и места.")] = False,
) -> None:
    """Определить тему, место, срочность, чрезвычайность. NDJSON {"id","text"[,"page"]} на stdin — оценка на строку."""
    import classifier
    from classifier.contract import Text
    from settings import ConfigError

    state = current()
    chosen = None  # judging a text needs no configuration
    if state.config or os.environ.get("OTKLIK_CONFIG") or Path("config.yaml").exists():
        chosen = state.settings
    judge = classifier.load_for(chosen) if chosen else classifier.load()
    if text is not None and text != "-":
        one = Text(text)
        found = {"id": None, **judge.assess(one).as_dict()}
        if explain:
            found["explain"] = judge.explain(one)
        if as_json:
            emit(found)
        else:
            from classifier.names import titles
            from desk import show

            console().print(show.assessment(found, text, names=titles()))
        return
    if sys.stdin.isatty():
        raise ConfigError('нет текста; напишите otklik classify "Нет воды в Хкеме" или подайте NDJSON на stdin')
    finish(_classify_stream(judge, explain))


def _classify_stream(judge: Any, explain: bool) -> int:
    """NDJSON in, NDJSON out, in the order of the input; a bad line is reported and skipped, the rest goes on."""
    import orjson

    from classifier.contract import Text
    from settings import OK, PARTLY

    out = sys.stdout.buffer
    bad = 0

    def flush(batch: list[Text]) -> None:
        for item, found in zip(batch, judge.assess_many(batch), strict=True):
            line: dict[str, Any] = {"id": item.id}
            if found is None:
                line["error"] = "not assessed"
            else:
                line.update(found.as_dict())
                if explain:
                    line["explain"] = judge.explain(item)
            out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        out.flush()

    batch: list[Text] = []
    for number, raw in enumerate(sys.stdin.buffer, 1):
        if not raw.strip():
            continue
        try:
            item = orjson.loads(raw)
            given = item["text"]
            if not isinstance(given, str):
                raise TypeError
            batch.append(Text(given, str(item.get("id", number)), str(item.get("page") or "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            bad += 1
            told = f'строка {number}: нужен объект JSON {{"id","text"}}; строка пропущена'
            if bad == 1:
                told += ' (просто текст — аргументом: otklik classify "…")'
            print(told, file=sys.stderr)
            continue
        if len(batch) >= 500:
            flush(batch)
            batch = []
    if batch:
        flush(batch)
    return PARTLY if bad else OK


# --- the queue --------------------------------------------------------------------------------------------------------


@queue_app.callback()
def queue(
    ctx: typer.Context,
    status: Annotated[str | None, typer.Option("--status", help="Состояние: new, routed, draft…")] = None,
    urgency: Annotated[str | None, typer.Option("--urgency", help="urgent или prompt.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Тема или группа тем (id).")] = None,
    place: Annotated[str | None, typer.Option("--place", help="Место, например Хкем.")] = None,
    page: Annotated[str | None, typer.Option("--page", help="Страница (id).")] = None,
    division: Annotated[str | None, typer.Option("--division", help="Подразделение (id).")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Только просроченные, самые давние сверху.")] = False,
    emergency: Annotated[bool, typer.Option("--emergency", help="Только чрезвычайные.")] = False,
    historical: Annotated[bool, typer.Option("--historical", help="И те, что старше первого сбора страницы.")] = False,
    owed: Annotated[
        str | None,
        typer.Option("--owed", help="Чей автор ещё не извещён: acknowledgement (принято), extension (срок продлён)."),
    ] = None,
    search: Annotated[str | None, typer.Option("--search", help="Слова текста.")] = None,
    limit: Limit = 50,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Очередь сообщений: чрезвычайные и срочные сверху."""
    if ctx.invoked_subcommand:
        return
    from desk.states import STATES
    from settings import ConfigError
    from store import QueueFilter

    if urgency not in (None, "urgent", "prompt"):
        raise ConfigError(f"--urgency {urgency}: допустимо urgent или prompt")
    state = current()
    if status is not None and status not in STATES:
        raise ConfigError(f"--status {status}: нет такого состояния; есть {', '.join(STATES)}")
    check_division(division)
    if owed is not None:
        from desk.verbs import NOTICES

        if owed not in NOTICES:
            raise ConfigError(f"--owed {owed[:40]}: есть {', '.join(f'{k} ({v})' for k, v in NOTICES.items())}")
    group = None
    if topic is not None:
        from classifier.names import topic_and_group

        topic, group = topic_and_group(topic)
    wanted = QueueFilter(
        status=status,
        urgency=urgency,
        topic=topic,
        group=group if topic is None else None,
        place=_place_name(place) if place else None,
        page=_page_id(state, page) if page else None,
        overdue=utc_now() if overdue else None,
        emergency=True if emergency else None,
        historical=None if historical else False,
        search=search,
        division=division,
        owed=owed,
        deleted=False if owed else None,
        limit=limit,
        order="due" if overdue else "queue",
    )
    with state.store() as store:
        found = list(store.messages(wanted))
        store.saw(who(by), [m["id"] for m in found], "list", utc_now())
    emit(found) if as_json else _show("queue", found)
    if owed and found and not as_json:
        say(f"известить: otklik queue notify {found[0]['id']} … --kind {owed} --send")


@queue_app.command("show")
def queue_show(id: str, by: By = None, as_json: Json = False) -> None:
    """Одно сообщение целиком: правки, оценки, тревоги, кто ещё об этом пишет."""
    with current().store() as store:
        found = store.message(id, full=True)
        found["repeats"] = [m for m in store.repeats(id, limit=20) if m["id"] != found["id"]]
        found["blocks"] = store.blocks(author_of=id)
        found["hidden"] = (store.desk(id)["case"] or {}).get("hidden")
        store.saw(who(by), [found["id"], *(m["id"] for m in found["repeats"])], "show", utc_now())
        titles = _page_titles(store)
    emit(found) if as_json else _show("message", found, pages=titles)


@queue_app.command("repeats")
def queue_repeats(id: str, by: By = None, as_json: Json = False) -> None:
    """Все сообщения о том же вопросе, от первого к последнему."""
    with current().store() as store:
        store.message(id)  # an unknown number is told of
        found = store.repeats(id)
        store.saw(who(by), [m["id"] for m in found], "list", utc_now())
    if as_json:
        emit(found)
    elif found:
        _show("queue", found)
    else:
        say("других сообщений о том же вопросе нет")


@queue_app.command("relate")
def queue_relate(
    id: str,
    to: Annotated[str | None, typer.Option("--to", metavar="ID", help="Какое сообщение оно повторяет.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Это не повтор.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Сказать, что сообщение повторяет другое (--to) или ничьё (--none); слово человека не перезаписывается."""
    from settings import ConfigError

    if (to is None) != none:
        raise ConfigError("укажите одно: --to ID (какое сообщение оно повторяет) или --none (это не повтор)")
    from desk.work import allow

    allow(current().settings, "repeat", who(by), utc_now())
    with current().store() as store:
        found = store.relate(id, to, by=who(by), now=utc_now())
    emit(found) if as_json else say(f"сообщение {id}: " + (f"повтор № {found['repeat_of']}" if to else "не повтор"))


@queue_app.command("correct")
def queue_correct(
    id: str,
    topic: Annotated[str | None, typer.Option("--topic", help="Тема (id из классификатора).")] = None,
    place: Annotated[list[str] | None, typer.Option("--place", help="Место; можно несколько.")] = None,
    urgency: Annotated[str | None, typer.Option("--urgency", help="urgent, prompt или none.")] = None,
    emergency: Annotated[bool | None, typer.Option("--emergency/--no-emergency", help="Чрезвычайное или нет.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Вид чрезвычайного, например пожар.")] = None,
    reaction: Annotated[str | None, typer.Option("--reaction", help="required, none или refuse.")] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Исправить оценку; слово человека не перезаписывается."""
    from classifier.names import find_places, topic_and_group
    from settings import ConfigError

    changes: dict[str, Any] = {}
    if topic is not None:
        changes["topic"], changes["topic_group"] = topic_and_group(topic)
    if place:
        changes["places"] = [_known_place(p, find_places([p], _gazetteer())[0]) for p in place]
    if urgency is not None:
        if urgency not in ("urgent", "prompt", "none"):
            raise ConfigError(f"--urgency {urgency}: допустимо urgent, prompt или none")
        changes["urgency"] = None if urgency == "none" else urgency
    if reaction is not None:
        if reaction not in ("required", "none", "refuse"):
            raise ConfigError(f"--reaction {reaction}: допустимо required, none или refuse")
        changes["reaction"] = reaction
    if kind is not None:
        from classifier.names import emergency_kind

        if emergency is False:
            raise ConfigError("--kind называет вид чрезвычайного; с --no-emergency он не нужен")
        emergency = True
        changes["emergency_kind"] = emergency_kind(kind)
    if emergency is not None:
        changes["emergency"] = emergency
    if emergency:  # it is answered first, and always; what the person says besides comes before
        changes = {"urgency": "urgent", "reaction": "required", **changes}
    if not changes:
        raise ConfigError("нечего исправлять; укажите --topic, --place, --urgency, --emergency или --reaction")
    state = current()
    with state.store() as store:
        found = _correct(store, state.settings, id, changes, who(by))
        if emergency is not None:
            _after_correction(store, state.settings, found["id"], emergency, who(by))
        whole, titles = store.message(found["id"], full=True), _page_titles(store)
    emit(found) if as_json else _show("message", whole, pages=titles)


def _correct(store: Store, settings: Settings, id: str, changes: dict[str, Any], by: str) -> dict[str, Any]:
    """A person's word on a message, with the clocks that follow from it."""
    from desk.deadlines import after_correction
    from desk.work import allow, answer_started

    allow(settings, "correct", by, utc_now())
    started = answer_started(store.desk(id)["case"])
    return store.correct(
        id, changes, by=by, now=utc_now(), clocks=lambda m, before: after_correction(m, before, settings, started)
    )


@app.command()
def review(
    by: By = None,
    every: Annotated[bool, typer.Option("--all", help="И то, на что отвечать не нужно (благодарности).")] = False,
    as_json: Json = False,
) -> None:
    """Час администратора: сообщения по одному, решение одной клавишей; без терминала — клавиши строками на stdin."""
    from desk.alerts import Deliverer
    from desk.calming import calm
    from desk.review import Review
    from desk.review_commands import run as run_review

    state, person = current(), who(by)
    settings = state.settings
    with state.store() as store:
        deliverer = Deliverer(store, settings)

        def correct(id: str, changes: Any) -> None:
            _correct(store, settings, id, dict(changes), person)
            if changes.get("emergency"):
                deliverer.start()
                deliverer.poke()
            elif changes.get("emergency") is False:
                calm(store, id, by=person, now=utc_now())

        try:
            session = Review(store, settings, person, _review_catalog(settings), correct, utc_now, every=every)
            code = run_review(session, state.zone, as_json=as_json)
            code = max(code, _carry_out_blocks(store, settings, session.decisions))
        finally:
            deliverer.finish(wait_s=settings.alerts.timeout)
    finish(code)


def _carry_out_blocks(store: Store, settings: Settings, decisions: Sequence[Any]) -> int:
    """What was blocked in the hour, in the networks as well; 1 when something is left to a person."""
    from desk.blocks import carry_out

    ids = list(dict.fromkeys(d["id"] for d in decisions if d["verb"] == "block" and not d.get("undone")))
    ids = [id for id in ids if (store.desk(id)["case"] or {}).get("blocked")]
    if not ids:
        return 0
    left = False
    with open_outlet(settings, store) as outlet:
        for id, what, done in carry_out(store, outlet, ids):
            left |= not done
            print(f"{id}: {what}", file=sys.stderr)
    return 1 if left else 0


def _review_catalog(settings: Settings) -> Any:
    """Topics and places to choose from, by the classifier's taxonomy and gazetteer."""
    from classifier.names import titles
    from classifier.places import as_place
    from classifier.topics import read_taxonomy
    from desk.review_modes import Catalog
    from desk.search import Choice

    names, groups, group_of = read_taxonomy()
    topics = [Choice((t, group_of[t]), names[t], groups[group_of[t]], t) for t in names]
    topics += [Choice((None, g), title, "группа тем", g) for g, title in groups.items()]
    entries = _gazetteer().entries
    places = [Choice(as_place(e, None, 1.0), e.name, ", ".join((e.kind, *e.parents))) for e in entries]
    return Catalog(topics, places, titles())


def _page_titles(store: Store) -> dict[tuple[str, str], str]:
    return {(s.page.network, s.page.id): s.page.title for s in store.page_states()}


def _place_name(given: str) -> str:
    """The place a person means, in whatever case form; an unknown name is sought as it stands."""
    from classifier.names import find_places

    gazetteer = _gazetteer()
    found = find_places([given], gazetteer)[0]
    if found.kind != "место" or any(
        given.strip().casefold() in map(str.casefold, e.parents) for e in gazetteer.entries
    ):
        return found.name
    import classifier
    from classifier.contract import Text

    meant = classifier.load(None, classifier.gazetteer_of(current().settings)).assess(Text(given)).places
    if meant:
        return meant[0].name
    say(f"места «{given[:60]}» в справочнике нет; ищу как написано")
    return given


def _known_place(given: str, found: Any) -> Any:
    """A place as the gazetteer has it, whatever case form a person used; ConfigError for one that it lacks."""
    if found.kind != "место":
        return found
    import classifier
    from classifier.contract import Text
    from settings import ConfigError

    meant = classifier.load(None, classifier.gazetteer_of(current().settings)).assess(Text(given)).places
    if meant:
        return meant[0]
    near = nearest(given, {e.name: e.name for e in _gazetteer().entries})
    near = near if near.startswith("похожие") else "проверьте название"
    raise ConfigError(
        f"места «{given[:60]}» в справочнике нет; {near}, или добавьте его в справочник (classifier.gazetteer, как — "
        "docs/ru/model.md)"
    )


def _page_id(state: State, given: str) -> str:
    """The network's id of a page that a person calls by number, address, short name, title or id."""
    from collectors.pages import choose_pages

    with state.store() as store:
        (_, page), *_ = choose_pages(state.settings, [given], store)
        known = store.resolved(page.network, page.id)
    return known[0].id if known else page.id


def _after_correction(store: Store, settings: Settings, id: str, emergency: bool, by: str) -> None:
    """An emergency that a person found goes out at once; an alert that a person called false needs no more answer."""
    waiting = [a for a in store.message(id, full=True)["alerts"] if not a["acknowledged_at"]]
    if emergency and waiting:
        from desk.alerts import Deliverer

        sent = Deliverer(store, settings).deliver_due()
        told = f"отправлено {sum(r.ok for r in sent)} из {len(sent)}" if sent else "никому не отправлена: otklik doctor"
        say(f"тревога {waiting[0]['id']}: {told}")
    if not emergency:
        from desk.calming import calm, told

        for line in told(calm(store, id, by=by, now=utc_now())):
            say(line)


def _gazetteer() -> Any:
    from classifier import gazetteer_of
    from classifier.judge import GAZETTEER
    from classifier.places import Gazetteer

    return Gazetteer.load(gazetteer_of(current().settings) or GAZETTEER)


@app.command()
def digest(
    division: Annotated[str | None, typer.Option("--division", help="Только этому подразделению (id).")] = None,
    now: Annotated[bool, typer.Option("--now", help="Отправить сейчас, а не по desk.digest.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Показать тексты и ничего не отправлять.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Сводка подразделениям по почте или в мессенджер, раз на каждое время из desk.digest (collect делает это сам)."""
    from classifier.names import titles

    desk_commands.send_digests(titles(), division=division, now=now, dry_run=dry_run, by=by, as_json=as_json)


@app.command()
def topics(as_json: Json = False) -> None:
    """Темы и группы тем: их id и названия."""
    from classifier.topics import read_taxonomy

    names, groups, group_of = read_taxonomy()
    if as_json:
        emit([{"id": t, "title": names[t], "group": g, "group_title": groups[g]} for t, g in group_of.items()])
        return
    for group, title in groups.items():
        print(f"{title}  ({group})")
        for topic, of in group_of.items():
            if of == group:
                print(f"    {topic:34} {names[topic]}")


@model_commands.app.command("reassess")
def model_reassess(
    since: Annotated[str | None, typer.Option("--since", help="Только собранные с этой даты.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="И архив, и уже оценённые этой моделью (сменились правила или справочник).")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Только сосчитать, что изменится.")] = False,
    alert_within: Annotated[
        str, typer.Option("--alert-within", help="Тревога о новом чрезвычайном не старше этого; 0s — никогда.")
    ] = "24h",
    as_json: Json = False,
) -> None:
    """Оценить прежние сообщения заново; слово человека и идущие сроки не меняются."""
    from desk.deadlines import clocks_from

    state = current()
    code, alerts = model_commands.reassess_messages(
        lambda said, at: clocks_from(at, said, state.settings),
        date_of(since, state.zone),
        everything=everything,
        dry=dry_run,
        alert_within=span_of(alert_within),
        as_json=as_json,
    )
    if alerts:
        from desk.alerts import Deliverer

        with state.store() as store:
            sent = Deliverer(store, state.settings).deliver_due()
        say(f"тревог: {alerts}, отправлено {sum(r.ok for r in sent)} из {len(sent)}")
    finish(code)


Consumer = Annotated[str, typer.Option("--consumer", callback=named, help="Имя получателя.")]


@queue_app.command("take")
def queue_take(
    consumer: Consumer,
    limit: Limit = 10,
    lease: Annotated[str, typer.Option("--lease", help="На сколько, например 10m.")] = "10m",
    historical: Annotated[
        bool, typer.Option("--historical", help="И те, что старше первого сбора страницы; они идут последними.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Взять сообщения в аренду; не подтверждённые вернутся в очередь по истечении срока."""
    with current().store() as store:
        found = store.take(consumer, limit, span_of(lease), utc_now(), historical=historical)
        store.saw(consumer, [m["id"] for m in found], "take", utc_now())
    emit(found) if as_json else _show("queue", found)


@queue_app.command("ack")
def queue_ack(ids: list[str], consumer: Consumer) -> None:
    """Подтвердить: получатель обработал."""
    with current().store() as store:
        say(f"подтверждено: {store.ack(ids, consumer, utc_now())}")


@queue_app.command("nack")
def queue_nack(
    ids: list[str], consumer: Annotated[str | None, typer.Option("--consumer", help="Имя получателя.")] = None
) -> None:
    """Вернуть в очередь."""
    with current().store() as store:
        say(f"возвращено: {store.nack(ids, consumer, utc_now())}")


queue_commands.add_to(queue_app)


def _titles() -> dict[str, str]:
    from classifier.names import titles

    return titles()


report_commands.titles = _titles


def open_outlet(settings: Settings, store: Store, stop: Any = None) -> AbstractContextManager[Outlet]:
    """The way of the desk's answers into the networks."""
    from running.steps import open_outlet as opened

    return opened(settings, store, stop)


publish_commands.add_to(queue_app, open_outlet)
block_commands.add_to(queue_app, open_outlet)


def answer_tools() -> Any:
    """What the desk asks other rooms about an answer: the names of topics, the length a network takes."""
    from classifier.names import titles
    from collectors.outlet import longest
    from desk.answers import Known

    return Known(titles, longest)


answer_commands.add_to(queue_app, answer_tools)
notice_commands.add_to(queue_app, open_outlet, answer_tools)


# --- setting up, trying out -------------------------------------------------------------------------------------------


@app.command()
def init(
    path: Annotated[str, typer.Argument(help="Куда записать.")] = "config.yaml",
    page: Annotated[list[str] | None, typer.Option("--page", help="Адрес страницы; можно несколько.")] = None,
    organisation: Annotated[str, typer.Option("--organisation", help="Название администрации.")] = "",
    timezone: Annotated[str, typer.Option("--timezone", help="Часовой пояс.")] = "Europe/Moscow",
    force: Annotated[bool, typer.Option("--force", help="Заменить существующий файл.")] = False,
    yes: Yes = False,
) -> None:
    """Создать config.yaml, задав несколько вопросов (или --yes)."""
    from desk.init import write_config
    from settings import ConfigError

    ask = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    if not ask and not yes:
        raise ConfigError("нет терминала для вопросов; добавьте --yes и, если нужно, --page и --organisation")
    pages = list(page or [])
    if ask:
        organisation = typer.prompt("Название администрации", default=organisation or "Администрация", err=True)
        timezone = typer.prompt("Часовой пояс", default=timezone, err=True)
        while address := typer.prompt("Адрес страницы (пусто — хватит)", default="", show_default=False, err=True):
            pages.append(address)
    secrets = write_config(Path(path), organisation or "Администрация", timezone, pages, force=force)
    needed = f"задайте {', '.join(secrets)} и " if secrets else ""
    say(f"записано: {path}; дальше: {needed}выполните otklik doctor")


@app.command("emulator")
def emulator_command(
    network: Annotated[str, typer.Option("--network", help="Сеть.")] = "vk",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Порт; 0 — любой свободный.")] = 8780,
    faults: Annotated[str | None, typer.Option("--faults", metavar="PLAN", help="План сбоев: файл или строка.")] = None,
    scenario: Annotated[str | None, typer.Option("--scenario", help="Файл сценария; иначе показательный.")] = None,
) -> None:
    """Поддельная сеть на 127.0.0.1 для проб и проверок."""
    from emulator.server import serve

    with stop_on_signals() as stop:
        serve(network=network, port=port, faults=faults, scenario=scenario, stop=stop)


@app.command()
def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Без пауз между шагами.")] = False,
) -> None:
    """Весь путь на девяти поддельных сетях: сбор, тревога, очередь, ответ, лента. Токены не нужны."""
    from emulator.demo import run_demo

    finish(run_demo(run, pause=0.0 if fast else 0.6))


# --- the way in -------------------------------------------------------------------------------------------------------


def _usage(e: typer.TyperException) -> str:
    """A usage error as one Russian sentence. The library's classes are told by name: some are not exported."""
    ctx, param = getattr(e, "ctx", None), getattr(e, "param", None)
    command = ctx.command_path if ctx else "otklik"
    name = param.opts[0] if param is not None and param.opts else ""
    if name and not name.startswith("-"):
        name = name.upper()
    kind = type(e).__name__
    text = e.format_message().strip()
    if kind == "NoSuchOption":
        near = getattr(e, "possibilities", None)
        what = f"нет ключа {e.option_name}" + (f"; возможно, {', '.join(near)}" if near else "")
    elif kind == "MissingParameter":
        what = f"не указано: {name}"
    elif kind == "BadOptionUsage":
        what = f"ключу {getattr(e, 'option_name', name)} нужно значение"
    elif kind == "BadParameter":
        what = f"{name}: {e.message.rstrip('.')}".removeprefix(": ")
        for english, russian in _USAGE_WORDS.items():
            what = what.replace(english, russian)
    elif text.startswith("No such command"):
        what = "нет такой команды: " + text.removeprefix("No such command").partition(".")[0].strip(" '\"")
    elif text.startswith("Missing command"):
        what = "не указана команда"
    elif "unexpected extra argument" in text:
        what = "лишние слова: " + text.partition("(")[2].rstrip(")")
    else:
        what = text
    return f"{what}; справка: {command} --help"


_USAGE_WORDS = {
    "is not a valid int": "не целое число",
    "is not a valid integer": "не целое число",
    "is not a valid boolean": "не true и не false",
    "Input should be greater than or equal to": "нужно число не меньше",
    "Input should be less than or equal to": "нужно число не больше",
    "is not in the range": "не в пределах",
}


def run(argv: Sequence[str]) -> int:
    """Run one command in this process; returns its exit code. Errors become one sentence on stderr."""
    code = _run(argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
    return code


def _silence_stdout() -> None:
    """After the reader of a pipe went away: nothing more to say, and no complaint at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_help(e: Any) -> bool:
    """A group called without a command shows its help."""
    print(e.format_message())
    return True


def _run(argv: Sequence[str]) -> int:
    for arg in argv:
        if (shown := arg.encode("utf-8", "replace").decode()) != arg:  # half a surrogate pair: a byte that is no UTF-8
            return fail(f"«{shown[:40]}»: не в кодировке UTF-8; переключите терминал на UTF-8 и повторите", 2)
    try:
        result = app(args=list(argv), prog_name="otklik", standalone_mode=False)
        if result == 130:  # the library's own answer to Ctrl-C
            return fail("прервано", 5)
        return result if isinstance(result, int) else 0
    except typer.Exit as e:
        return e.exit_code
    except typer.TyperException as e:
        return 0 if type(e).__name__ == "NoArgsIsHelpError" and _print_help(e) else fail(_usage(e), 2)
    except (KeyboardInterrupt, typer.Abort):
        return fail("прервано", 5)
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except Exception as e:
        from settings import OtklikError, scrub

        if os.environ.get("OTKLIK_DEBUG"):
            import traceback

            print(scrub(traceback.format_exc()), file=sys.stderr)
        if isinstance(e, OtklikError):
            return fail(str(e), e.exit_code)
        if isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            _silence_stdout()
            return fail("вывод не записывается: на диске нет места; освободите место и повторите", 1)
        return fail(
            f"внутренняя ошибка ({type(e).__name__}: {str(e)[:200]}); собранное сохранено; подробности: OTKLIK_DEBUG=1",
            1,
        )


def main() -> None:
    """Entry point of the `otklik` command."""
    import signal

    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: nothing to read, nobody to tell
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    # SIGTERM, and a terminal that went away, end any command the way Ctrl-C does: one sentence, exit code 5.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not under nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
