"""What every command shares: the global options, talking and printing, asking, common options.

Each room offers its commands in a `commands.py` of its own and takes these from here; `cli.py` puts them together.
Heavy imports stand inside the functions: `otklik --help` must be quick.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from settings import Settings
    from store import Store

HELP = {"help_option_names": ["-h", "--help"]}


def command_group(text: str, *, bare: bool = False) -> typer.Typer:
    """A group of commands; `bare`: the noun alone lists."""
    return typer.Typer(
        help=text,
        no_args_is_help=not bare,
        invoke_without_command=bare,
        context_settings=HELP,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


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

        with Store.open(self.store_url, repeat_window=self.repeat_window) as store:
            yield store

    @property
    def repeat_window(self) -> timedelta:
        return timedelta(seconds=self.settings.classifier.repeat_window)

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


_running = State()


def current() -> State:
    """What the global options of the running command said."""
    return _running


def begin(options: State) -> None:
    """A command starts: these are its global options."""
    global _running
    _running = options


def console(*, err: bool = False) -> Console:
    from rich.console import Console

    # Without a colour system rich writes no escape at all: NO_COLOR stands for "plain", not for "bold in one colour".
    system = None if os.environ.get("NO_COLOR") else "auto"
    return Console(stderr=err, color_system=system, highlight=False, soft_wrap=False, emoji=False, markup=False)


def say(text: str) -> None:
    """Talk, on stderr; silent with --quiet."""
    if not current().quiet:
        print(text, file=sys.stderr)


def emit(value: Any) -> None:
    """One JSON value on stdout."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
    sys.stdout.buffer.flush()


def finish(code: int) -> None:
    if code:
        raise typer.Exit(code)


def utc_now() -> datetime:
    return datetime.now(UTC)


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal; without one `--yes` is required, never a hanging prompt."""
    if yes:
        return
    from settings import ConfigError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(f"{question} Без терминала нужно подтверждение: добавьте --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(5)


def check_division(id: str | None) -> None:
    """A misspelt division must not look like an empty queue: ConfigError with the nearest names. One that is gone from
    the configuration and has messages still is only told of."""
    divisions = current().settings.divisions
    if id is None or any(d.id == id for d in divisions):
        return
    from settings import ConfigError
    from store import QueueFilter

    said = f"подразделения «{id[:60]}» в настройках нет"
    with current().store() as store:
        if any(True for _ in store.messages(QueueFilter(division=id, limit=1))):
            return say(f"{said}; показано то, что у него осталось")
    raise ConfigError(f"{said}; {nearest(id, {d.id: d.id for d in divisions} | {d.name: d.id for d in divisions})}")


def nearest(given: str, known: Mapping[str, str]) -> str:
    """ "похожие: …", else "есть: …" of what a person may have meant; `known`: how things are called -> what to show."""
    import difflib

    names = {name.casefold(): shown for name, shown in known.items() if name}
    near = [names[n] for n in difflib.get_close_matches(given.strip().casefold(), names, n=3, cutoff=0.5)]
    if near:
        return f"похожие: {', '.join(dict.fromkeys(near))}"
    some = list(dict.fromkeys(known.values()))
    return f"есть: {', '.join(some[:12]) or 'ни одного'}{' и другие' if len(some) > 12 else ''}"


def date_of(text: str | None, zone: str) -> datetime | None:
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


def span_of(text: str) -> float:
    from settings import ConfigError, seconds

    try:
        return seconds(text)
    except ValueError as e:
        raise ConfigError(f"{text}: {e}") from None


Json = Annotated[bool, typer.Option("--json", help="Вывести одно значение JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Не спрашивать.")]
MANY = 2**31 - 1
Limit = Annotated[int, typer.Option("--limit", min=1, max=MANY, help="Не больше стольких.")]
By = Annotated[str | None, typer.Option("--by", help="Кто это делает; иначе OTKLIK_BY, имя пользователя системы.")]


def who(by: str | None) -> str:
    """Who acts: `--by`, else OTKLIK_BY, else the account of the system. This names somebody and proves nothing: the
    account is what guards. Nobody is guessed: the audit log must not credit a person with the deeds of cron."""
    import getpass

    from settings import ConfigError

    for given, name in ((by, "--by"), (os.environ.get("OTKLIK_BY"), "OTKLIK_BY")):
        if given:
            if len(given) > 100 or not given.isprintable():
                raise ConfigError(f"{name}: id человека — строка не длиннее 100 знаков, как в people или divisions")
            return given
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "cli"


def fail(text: str, code: int) -> int:
    from settings import scrub

    print(f"otklik: {scrub(text)}", file=sys.stderr)
    return code


@contextmanager
def stop_on_signals() -> Iterator[Any]:
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


def named(value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise typer.BadParameter("нужно имя")
    return value


@contextmanager
def open_input(path: str) -> Iterator[Any]:
    from settings import ConfigError, os_problem

    try:
        with open(path, "rb") as file:
            yield file
    except OSError as e:
        raise ConfigError(f"{path}: файл не читается ({os_problem(e)}); проверьте путь и права") from None
