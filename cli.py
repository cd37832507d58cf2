"""The `otklik` command. It only assembles what each room offers; every command is a few lines.

Data goes to stdout, talk to stderr. Heavy imports stand inside the commands: `otklik --help` must be quick.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from collectors.poll import Judge, Progress
    from settings import Settings
    from store import Store
    from store.values import Comment, Judged, PageRef

HELP = {"help_option_names": ["-h", "--help"]}


def _group(text: str, *, bare: bool = False) -> typer.Typer:
    """A group of commands; `bare`: the noun alone lists."""
    return typer.Typer(
        help=text,
        no_args_is_help=not bare,
        invoke_without_command=bare,
        context_settings=HELP,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


app = _group("otklik: отклики жителей под официальными страницами — в очередь, в срок, без потерь.")
pages_app = _group("Страницы: что собрано, чего не хватает, когда.", bare=True)
queue_app = _group("Очередь сообщений.", bare=True)
feed_app = _group("Лента событий для других систем.")
alerts_app = _group("Тревоги: список, подтверждение, проверка каналов.", bare=True)
store_app = _group("Хранилище: обновление, копия, восстановление, проверка.")
for _name, _sub in (
    ("pages", pages_app),
    ("queue", queue_app),
    ("feed", feed_app),
    ("alerts", alerts_app),
    ("store", store_app),
):
    app.add_typer(_sub, name=_name)


# --- what every command shares ----------------------------------------------------------------------------------------


@dataclass
class State:
    """Global options and what they lead to; opened when first needed."""

    config: str | None = None
    quiet: bool = False
    _settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            from settings import load

            self._settings = load(self.config)
        return self._settings

    @contextmanager
    def store(self) -> Iterator[Store]:
        from store import Store

        with Store.open(self.store_url) as store:
            yield store

    @property
    def store_url(self) -> str:
        """The database's address; a relative SQLite file lies beside the configuration, wherever the command runs."""
        url = self.settings.store.url.reveal()
        name = url.removeprefix("sqlite:///")
        if name == url or name.startswith(("/", ":memory:", "file:")) or not name:
            return url
        return f"sqlite:///{(Path(self.config or os.environ.get('OTKLIK_CONFIG') or '.').parent / name)}"

    @property
    def zone(self) -> str:
        return self.settings.organisation.timezone


_current = State()


def _state() -> State:
    """What the global options of the running command said."""
    return _current


def _console(*, err: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=err, highlight=False, soft_wrap=False, emoji=False, markup=False)


def say(text: str) -> None:
    """Talk, on stderr; silent with --quiet."""
    if not _state().quiet:
        print(text, file=sys.stderr)


def emit(value: Any) -> None:
    """One JSON value on stdout."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
    sys.stdout.buffer.flush()


def _finish(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _now() -> datetime:
    return datetime.now(UTC)


def _confirm(question: str, yes: bool) -> None:
    """Ask on a terminal; without one `--yes` is required, never a hanging prompt."""
    if yes:
        return
    from settings import ConfigError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(f"{question} Без терминала нужно подтверждение: добавьте --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(5)


def _date(text: str | None, zone: str) -> datetime | None:
    """A date or a date with time in the organisation's zone -> UTC."""
    if text is None:
        return None
    from zoneinfo import ZoneInfo

    from settings import ConfigError

    try:
        value = datetime.fromisoformat(text)
        return (value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(f"{text} не дата; напишите 2026-11-24 или 2026-11-24T09:00") from None


def _span(text: str) -> float:
    from settings import ConfigError, seconds

    try:
        return seconds(text)
    except ValueError as e:
        raise ConfigError(f"{text}: {e}") from None


Json = Annotated[bool, typer.Option("--json", help="Вывести одно значение JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Не спрашивать.")]
MANY = 2**31 - 1
Limit = Annotated[int, typer.Option("--limit", min=1, max=MANY, help="Не больше стольких.")]
By = Annotated[str | None, typer.Option("--by", help="Кто это делает; иначе имя пользователя системы.")]


def _who(by: str | None) -> str:
    import getpass

    if by:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "cli"


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
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Показать версию.")
    ] = False,
) -> None:
    global _current
    _current = State(config, quiet)
    if ctx.invoked_subcommand:
        import logging

        level = logging.getLevelNamesMapping().get(log_level.upper())
        if level is None:
            raise typer.BadParameter(f"нет такого уровня: {log_level}; есть debug, info, warning, error")
        _configure_logging(level)


def _configure_logging(level: int) -> None:
    import logging

    from settings import install_log_scrubbing

    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    install_log_scrubbing()


# --- collecting -------------------------------------------------------------------------------------------------------


def make_judge(settings: Settings) -> tuple[Judge, Any]:
    """The poll loop's judge (classifier + clocks) and the classifier itself, loaded."""
    import classifier

    judge = classifier.load(settings.classifier.model, settings.classifier.gazetteer)
    return judge_with(judge, settings), judge


def judge_with(judge: Any, settings: Settings) -> Judge:
    """The poll loop's judge: `judge` (a classifier) says what residents' comments are, the desk when they are due."""
    from classifier.contract import Text
    from desk.deadlines import clocks
    from store.values import Judged

    def judged(page: PageRef, comments: Sequence[Comment], now: datetime) -> list[Judged]:
        residents = [c for c in comments if not c.own]
        texts = [Text(c.text, c.external_id, page.title, tuple(a.kind for a in c.attachments)) for c in residents]
        found = _assess(judge, texts)
        by_id = {c.external_id: a for c, a in zip(residents, found, strict=True)}
        return [
            Judged(c, a := by_id.get(c.external_id), clocks(c, a, settings, now) if a is not None else {})
            for c in comments
        ]

    return judged


def _assess(judge: Any, texts: Sequence[Any]) -> list[Any]:
    """An assessment for each text, None where the classifier fails; one text never spoils the others.

    What it fails on lands all the same, and the next run takes it up (design, "The way of the data", 2).
    """
    import logging

    try:
        return judge.assess_many(texts)
    except Exception as e:
        log = logging.getLogger("otklik")
        log.error("the classifier failed on %d texts: %s", len(texts), type(e).__name__)
        log.debug("the classifier failed", exc_info=True)
    return [found for text in texts for found in _assess(judge, [text])] if len(texts) > 1 else [None] * len(texts)


def _take_up_unassessed(store: Store, settings: Settings, judge: Any) -> int:
    """Judge what an earlier run landed unassessed; returns how many. A text that can't be judged holds up no other."""
    from classifier.contract import Text
    from desk.deadlines import clocks_from

    total, after = 0, "0"
    while waiting := store.unassessed(settings.collect.batch, after):
        after = waiting[-1].message_id
        found = _assess(judge, [Text(w.text, w.message_id, w.page, tuple(w.attachments)) for w in waiting])
        now = _now()
        done = [
            (w.message_id, a, clocks_from(w.collected_at, a, settings))
            for w, a in zip(waiting, found, strict=True)
            if a is not None
        ]
        if done:
            store.assess(done, now)
            total += len(done)
    return total


@contextmanager
def _stop_on_signals() -> Iterator[Any]:
    """An event that SIGTERM or the first Ctrl-C sets; what was collected lands before the run ends."""
    import signal
    import threading

    stop = threading.Event()
    before: dict[int, Any] = {}

    def handler(number: int, _frame: Any) -> None:
        stop.set()
        signal.signal(number, before.get(number) or signal.SIG_DFL)  # a second signal ends it at once

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, handler)
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def run_collect(
    store: Store,
    settings: Settings,
    *,
    only: Sequence[str] = (),
    since: datetime | None = None,
    full: bool = False,
    progress: Progress | None = None,
    judges: tuple[Judge, Any] | None = None,
    stop: Any = None,
) -> Any:
    """One whole run: judge what waits, collect, deliver alerts. Returns the `Report`.

    `judges`: what `make_judge` gave, when the caller has loaded it already. `stop`: an event that ends the run tidily.
    """
    from collectors import make
    from collectors.poll import Options, Poller
    from desk.alerts import Deliverer

    judged, judge = judges or make_judge(settings)
    deliverer = Deliverer(store, settings)
    deliverer.start()
    try:
        _take_up_unassessed(store, settings, judge)
        deliverer.poke()
        poller = Poller(
            store,
            settings,
            judged,
            lambda name: make(settings, name, store, stop=stop),
            stop=stop,
            on_alerts=deliverer.poke,
            progress=progress,
        )
        return poller.run(Options(tuple(only), since, full))
    finally:
        deliverer.finish(wait_s=settings.alerts.timeout)


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
    with _stop_on_signals() as stop:  # before anything heavy is loaded: a signal is never missed
        code = _collect(page or (), since, full, dry_run, as_json, stop)
    _finish(code)


def _collect(page: Sequence[str], since: str | None, full: bool, dry_run: bool, as_json: bool, stop: Any) -> int:
    state = _state()
    settings = state.settings
    since_at = _date(since, state.zone)
    with state.store() as store:
        if dry_run:
            from collectors.poll import plan

            planned = plan(store, settings, page, _now())
            emit(planned) if as_json else _show("plan", planned)
            return 0
        from desk.show import collect_progress

        with collect_progress(_console(err=True), quiet=state.quiet or as_json) as progress:
            report = run_collect(store, settings, only=page, since=since_at, full=full, progress=progress, stop=stop)
        if as_json:
            emit(report.as_dict())
        elif not state.quiet:
            _show("report", report.as_dict())
        else:
            for result in report.results:
                if result.coverage is not None and result.coverage.problem:
                    _fail(f"{result.configured}: {result.coverage.problem}", report.exit_code)
    if report.interrupted:
        say("сбор остановлен; собранное сохранено, остальное возьмёт следующий запуск")
    return report.exit_code


def _show(what: str, value: Any, **options: Any) -> None:
    """Print a value the way `desk.show` draws it."""
    from desk import show

    state = _state()
    options.setdefault("zone", state.zone)
    if what in ("queue", "message"):
        from classifier.names import titles

        options["names"] = titles()
    _console().print(getattr(show, what)(value, **options))


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
    from collectors.poll import page_lines

    state = _state()
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
    from settings import OtklikError, literal_secrets

    settings = state.settings
    yield Check("настройки", True, f"страниц: {len(settings.pages)}, сетей: {len(settings.networks)}")
    for where in literal_secrets(settings):
        yield Check("секреты", False, where, "секрет записан прямо в файле; замените его на ${ИМЯ}")
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
    yield from _network_checks(state)
    yield from check_channels(settings)


def _checks(source: Callable[[State], Iterator[Any]], as_json: bool) -> None:
    from dataclasses import asdict

    from settings import OK, PARTLY

    found = []
    for check in source(_state()):
        found.append(asdict(check))
        if not as_json:
            _show("check", found[-1])
    if as_json:
        emit(found)
    _finish(PARTLY if any(c["ok"] is False for c in found) else OK)


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
    from settings import ConfigError, load

    state = _state()
    try:
        chosen = state.settings.classifier
        model, gazetteer = chosen.model, chosen.gazetteer
    except ConfigError:
        if state.config or os.environ.get("OTKLIK_CONFIG") or Path("config.yaml").exists():
            raise
        model = gazetteer = None  # judging a text needs no configuration
        _ = load
    judge = classifier.load(model, gazetteer)
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

            _console().print(show.assessment(found, text, names=titles()))
        return
    if sys.stdin.isatty():
        raise ConfigError('нет текста; напишите otklik classify "Нет воды в Хкеме" или подайте NDJSON на stdin')
    _finish(_classify_stream(judge, explain))


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
            print(f'строка {number}: нужен объект JSON {{"id","text"}}; строка пропущена', file=sys.stderr)
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
    status: Annotated[str | None, typer.Option("--status", help="Состояние: new, done.")] = None,
    urgency: Annotated[str | None, typer.Option("--urgency", help="urgent или prompt.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Тема или группа тем (id).")] = None,
    place: Annotated[str | None, typer.Option("--place", help="Место, например Хкем.")] = None,
    page: Annotated[str | None, typer.Option("--page", help="Страница (id).")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Только просроченные.")] = False,
    emergency: Annotated[bool, typer.Option("--emergency", help="Только чрезвычайные.")] = False,
    historical: Annotated[bool, typer.Option("--historical", help="И те, что старше первого сбора страницы.")] = False,
    search: Annotated[str | None, typer.Option("--search", help="Слова текста.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Очередь сообщений: чрезвычайные и срочные сверху."""
    if ctx.invoked_subcommand:
        return
    from settings import ConfigError
    from store import QueueFilter

    if urgency not in (None, "urgent", "prompt"):
        raise ConfigError(f"--urgency {urgency}: допустимо urgent или prompt")
    state = _state()
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
        overdue=_now() if overdue else None,
        emergency=True if emergency else None,
        historical=None if historical else False,
        search=search,
        limit=limit,
    )
    with state.store() as store:
        found = list(store.messages(wanted))
    emit(found) if as_json else _show("queue", found)


@queue_app.command("show")
def queue_show(id: str, as_json: Json = False) -> None:
    """Одно сообщение целиком: правки, оценки, тревоги."""
    with _state().store() as store:
        found = store.message(id, full=True)
    emit(found) if as_json else _show("message", found)


@queue_app.command("correct")
def queue_correct(
    id: str,
    topic: Annotated[str | None, typer.Option("--topic", help="Тема (id из классификатора).")] = None,
    place: Annotated[list[str] | None, typer.Option("--place", help="Место; можно несколько.")] = None,
    urgency: Annotated[str | None, typer.Option("--urgency", help="urgent, prompt или none.")] = None,
    emergency: Annotated[bool | None, typer.Option("--emergency/--no-emergency", help="Чрезвычайное или нет.")] = None,
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
        changes["places"] = find_places(place, _gazetteer())
    if urgency is not None:
        if urgency not in ("urgent", "prompt", "none"):
            raise ConfigError(f"--urgency {urgency}: допустимо urgent, prompt или none")
        changes["urgency"] = None if urgency == "none" else urgency
    if reaction is not None:
        if reaction not in ("required", "none", "refuse"):
            raise ConfigError(f"--reaction {reaction}: допустимо required, none или refuse")
        changes["reaction"] = reaction
    if emergency is not None:
        changes["emergency"] = emergency
    if not changes:
        raise ConfigError("нечего исправлять; укажите --topic, --place, --urgency, --emergency или --reaction")
    state = _state()
    with state.store() as store:
        found = store.correct(id, changes, by=_who(by), now=_now())
        if emergency is not None:
            _after_correction(store, state.settings, found["id"], emergency, _who(by))
    emit(found) if as_json else _show("message", found)


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

    meant = classifier.load(None, _state().settings.classifier.gazetteer).assess(Text(given)).places
    if meant:
        return meant[0].name
    say(f"места «{given[:60]}» в справочнике нет; ищу как написано")
    return given


def _page_id(state: State, given: str) -> str:
    """The network's id of a page that a person calls by number, address, short name, title or id."""
    from collectors.poll import choose_pages

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
        say(f"тревога {waiting[0]['id']}: отправлено {sum(r.ok for r in sent)} из {len(sent)}")
    for alert in [] if emergency else waiting:
        store.acknowledge(alert["id"], by, _now())
        say(f"тревога {alert['id']} снята")


def _gazetteer() -> Any:
    from classifier.judge import GAZETTEER
    from classifier.places import Gazetteer

    return Gazetteer.load(Path(_state().settings.classifier.gazetteer or GAZETTEER))


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


def _named(value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise typer.BadParameter("нужно имя")
    return value


Consumer = Annotated[str, typer.Option("--consumer", callback=_named, help="Имя получателя.")]


@queue_app.command("take")
def queue_take(
    consumer: Consumer,
    limit: Limit = 10,
    lease: Annotated[str, typer.Option("--lease", help="На сколько, например 10m.")] = "10m",
    as_json: Json = False,
) -> None:
    """Взять сообщения в аренду; не подтверждённые вернутся в очередь по истечении срока."""
    with _state().store() as store:
        found = store.take(consumer, limit, _span(lease), _now())
    emit(found) if as_json else _show("queue", found)


@queue_app.command("ack")
def queue_ack(ids: list[str], consumer: Consumer) -> None:
    """Подтвердить: получатель обработал."""
    with _state().store() as store:
        say(f"подтверждено: {store.ack(ids, consumer, _now())}")


@queue_app.command("nack")
def queue_nack(
    ids: list[str], consumer: Annotated[str | None, typer.Option("--consumer", help="Имя получателя.")] = None
) -> None:
    """Вернуть в очередь."""
    with _state().store() as store:
        say(f"возвращено: {store.nack(ids, consumer, _now())}")


# --- the feed ---------------------------------------------------------------------------------------------------------


@feed_app.command("read")
def feed_read(
    after: Annotated[
        int, typer.Option("--after", min=0, max=2**63 - 1, metavar="SEQ", help="Номер последнего прочитанного.")
    ] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=MANY, help="Не больше стольких.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Ждать новых.")] = False,
) -> None:
    """События по порядку, NDJSON, одно на строку."""
    from feed.read import copy

    with _state().store() as store, _stop_on_signals() as stop:
        copy(store, sys.stdout.buffer, after, limit, follow=follow, stop=stop.is_set)


@feed_app.command("schema")
def feed_schema(type: Annotated[str | None, typer.Argument(help="Тип события; иначе все.")] = None) -> None:
    """JSON Schema событий."""
    from feed.schema import schema

    emit(schema(type))


# --- alerts -----------------------------------------------------------------------------------------------------------


@alerts_app.callback()
def alerts(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="И подтверждённые.")] = False,
    as_json: Json = False,
) -> None:
    """Тревоги, ждущие подтверждения."""
    if ctx.invoked_subcommand:
        return
    with _state().store() as store:
        found = [a for a in store.alerts() if every or not a.get("acknowledged_at")]
    emit(found) if as_json else _show("alerts", found)


@alerts_app.command("ack")
def alerts_ack(ids: list[str], by: By = None) -> None:
    """Подтвердить: тревога принята."""
    with _state().store() as store:
        for id in ids:
            store.acknowledge(id, _who(by), _now())
    say(f"подтверждено: {len(ids)}")


@alerts_app.command("test")
def alerts_test(as_json: Json = False) -> None:
    """Послать проверочное сообщение в каждый канал."""
    from desk.alerts import test_channels

    found = test_channels(_state().settings)
    emit(found) if as_json else [_show("check", c) for c in found]
    _finish(1 if any(not c["ok"] for c in found) else 0)


@alerts_app.command("drill")
def alerts_drill(
    text: Annotated[str, typer.Argument(help="Текст учебной тревоги.")] = "Учебная тревога: проверка оповещения",
) -> None:
    """Учебная тревога: тот же путь, что у настоящей, с пометкой «учебная»."""
    from desk.alerts import Deliverer

    state = _state()
    with state.store() as store:
        alert = store.raise_drill(text, _now())
        results = Deliverer(store, state.settings).deliver_due()
    say(f"учебная тревога {alert}: доставлено {sum(r.ok for r in results)} из {len(results)}")
    _finish(0 if results and all(r.ok for r in results) else 1)


@alerts_app.command("deliver")
def alerts_deliver() -> None:
    """Доставить то, что ждёт доставки или повтора (collect делает это сам)."""
    from desk.alerts import Deliverer

    state = _state()
    with state.store() as store:
        results = Deliverer(store, state.settings).deliver_due()
    say(f"доставлено {sum(r.ok for r in results)} из {len(results)}")
    _finish(0 if all(r.ok for r in results) else 1)


# --- the store --------------------------------------------------------------------------------------------------------


@store_app.command("migrate")
def store_migrate() -> None:
    """Обновить схему базы до версии программы."""
    from store.admin import migrate

    say(f"схема базы: {migrate(_state().store_url)}")


@store_app.command("backup")
def store_backup(
    path: str, force: Annotated[bool, typer.Option("--force", help="Заменить существующий файл.")] = False
) -> None:
    """Сохранить согласованную копию; работать можно дальше."""
    from store.admin import backup

    backup(_state().store_url, path, force=force)
    say(f"копия сохранена: {path}")


@store_app.command("restore")
def store_restore(path: str, yes: Yes = False) -> None:
    """Восстановить базу из копии; прежние данные заменяются."""
    from store.admin import restore

    url = _state().store_url
    _confirm(f"База будет заменена копией {path}. Продолжить?", yes)
    restore(url, path, force=True)
    say(f"база восстановлена из {path}")


@store_app.command("verify")
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

    url = _state().store_url
    problems = verify(url)
    if ledger is not None:
        from store.ledger import compare

        with _open_input(ledger) as lines:
            found = compare(url, lines)
        say(found.summary())
        problems = [*problems, *found.examples()]
    if as_json:
        emit(problems)
    else:
        for problem in problems:
            print(problem)
        say("база цела" if not problems else f"найдено нарушений: {len(problems)}")
    _finish(1 if problems else 0)


@contextmanager
def _open_input(path: str) -> Iterator[Any]:
    from settings import ConfigError, os_problem

    try:
        with open(path, "rb") as file:
            yield file
    except OSError as e:
        raise ConfigError(f"{path}: файл не читается ({os_problem(e)}); проверьте путь и права") from None


# --- setting up, trying out -------------------------------------------------------------------------------------------


@app.command()
def init(
    path: Annotated[str, typer.Argument(help="Куда записать.")] = "config.yaml",
    page: Annotated[list[str] | None, typer.Option("--page", help="Адрес страницы VK; можно несколько.")] = None,
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
        while address := typer.prompt("Адрес страницы VK (пусто — хватит)", default="", show_default=False, err=True):
            pages.append(address)
    write_config(Path(path), organisation or "Администрация", timezone, pages, force=force)
    say(f"записано: {path}; дальше: задайте VK_TOKEN и выполните otklik doctor")


@app.command("emulator")
def emulator_command(
    network: Annotated[str, typer.Option("--network", help="Сеть.")] = "vk",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Порт; 0 — любой свободный.")] = 8780,
    faults: Annotated[str | None, typer.Option("--faults", metavar="PLAN", help="План сбоев: файл или строка.")] = None,
    scenario: Annotated[str | None, typer.Option("--scenario", help="Файл сценария; иначе показательный.")] = None,
) -> None:
    """Поддельная сеть на 127.0.0.1 для проб и проверок."""
    from emulator.server import serve

    with _stop_on_signals() as stop:
        serve(network=network, port=port, faults=faults, scenario=scenario, stop=stop)


@app.command()
def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Без пауз между шагами.")] = False,
) -> None:
    """Весь путь на поддельной сети: сбор, оценка, тревога, очередь, лента. Токены не нужны."""
    from emulator.demo import run_demo

    _finish(run_demo(run, pause=0.0 if fast else 0.6))


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


def _fail(text: str, code: int) -> int:
    from settings import scrub

    print(f"otklik: {scrub(text)}", file=sys.stderr)
    return code


def _print_help(e: Any) -> bool:
    """A group called without a command shows its help."""
    print(e.format_message())
    return True


def _run(argv: Sequence[str]) -> int:
    try:
        result = app(args=list(argv), prog_name="otklik", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except typer.Exit as e:
        return e.exit_code
    except typer.TyperException as e:
        return 0 if type(e).__name__ == "NoArgsIsHelpError" and _print_help(e) else _fail(_usage(e), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("прервано", 5)
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except Exception as e:
        from settings import OtklikError, scrub

        if os.environ.get("OTKLIK_DEBUG"):
            import traceback

            print(scrub(traceback.format_exc()), file=sys.stderr)
        if isinstance(e, OtklikError):
            return _fail(str(e), e.exit_code)
        if isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            _silence_stdout()
            return _fail("вывод не записывается: на диске нет места; освободите место и повторите", 1)
        return _fail(
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
    # SIGTERM ends any command the way Ctrl-C does: one sentence, exit code 5.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
