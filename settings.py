"""config.yaml -> typed settings.

The only room below `store/`. A bad file gets one sentence that names the file, the line and the key. Secrets stay
unresolved (`${VK_TOKEN}`) until somebody needs one, so that commands that need no token run without any.
"""

from __future__ import annotations

import difflib
import errno
import html
import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote, quote_plus, unquote

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

# Exit codes of the command line (docs: README, "Exit codes").
OK, PARTLY, USAGE, UNAUTHORISED, NOTHING, INTERRUPTED, LOCKED = range(7)

MAX_CONFIG_BYTES = 1_000_000


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def _one_line(text: str) -> str:
    """An error quotes what came from outside: it stays one line and moves no cursor."""
    return " ".join(_UNSEEN.sub(" ", text).split())


class OtklikError(Exception):
    """An error a person can act on: one Russian sentence (what is wrong, what to do) and an exit code."""

    exit_code = PARTLY

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(_one_line(message))
        if exit_code is not None:
            self.exit_code = exit_code


class ConfigError(OtklikError):
    """Something in the configuration or the arguments is wrong."""

    exit_code = USAGE


class SecretError(ConfigError):
    """A secret is missing or unusable."""


# --- secrets ---------------------------------------------------------------------------------------------------------

_VAR = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
HIDDEN = "***"
MAX_SECRET_BYTES = 64_000
_MIN_SECRET = 4  # a shorter one would be found in every other word

_revealed: set[str] = set()
_pattern: re.Pattern[str] | None = None
_remembering = threading.Lock()


def remember_secret(value: str) -> None:
    """Have `scrub` remove `value` from every text from now on, in any way it may be written there."""
    global _pattern
    value = value.strip()
    if len(value) < _MIN_SECRET:
        return
    forms = _forms(value)
    password = re.search(r"://[^/?#]*?:([^/?#]+)@", value)  # of an address: drivers name it alone in their errors
    if password and len(unquote(password.group(1))) >= _MIN_SECRET:
        forms |= _forms(password.group(1)) | _forms(unquote(password.group(1)))
    with _remembering:
        if not forms <= _revealed:
            _revealed.update(forms)
            _pattern = re.compile("|".join(map(re.escape, sorted(_revealed, key=len, reverse=True))))


def _forms(value: str) -> set[str]:
    """`value` as it stands in a text, a URL, JSON, HTML, a Python literal."""
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda m: m.group().lower(), q) for q in quoted}
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    return {value, html.escape(value), *quoted, *lower, *escaped}


def scrub(text: str) -> str:
    """`text` without any secret that was revealed in this process; for logs, errors and stored messages."""
    return text if _pattern is None else _pattern.sub(HIDDEN, text)


class Secret:
    """A text of the configuration that may name environment variables; never shown, resolved when needed."""

    __slots__ = ("raw", "where")

    def __init__(self, raw: str, where: str = "") -> None:
        self.raw = raw
        self.where = where

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    @property
    def variables(self) -> list[str]:
        """Names of the environment variables it needs."""
        return _VAR.findall(self.raw)

    @property
    def literal(self) -> bool:
        """True when the secret itself stands in the file (`doctor` warns)."""
        return not self.variables

    def reveal(self) -> str:
        """The value: each `${NAME}` from the environment, or from the file that `NAME_FILE` names.

        Raises ConfigError when a variable or its file is missing, empty, unreadable or holds more than a secret.
        """
        value = _VAR.sub(lambda m: self._variable(m.group(1)), self.raw).strip()
        if not _HARMLESS.match(value):
            remember_secret(value)
        return value

    def _variable(self, name: str) -> str:
        value = os.environ.get(name, "").strip()
        path = os.environ.get(f"{name}_FILE", "").strip()
        if not value and path:
            value = self._file(name, path)
        if not value:
            raise self._error(f"не задана переменная окружения {name}; задайте её или файл с секретом в {name}_FILE")
        if not value.isprintable():
            raise self._error(f"в {name} есть переводы строк или невидимые символы; оставьте один секрет")
        remember_secret(value)
        return value

    def _file(self, name: str, path: str) -> str:
        problem = ""
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_SECRET_BYTES + 1)
            if len(data) > MAX_SECRET_BYTES:
                problem = "он слишком велик"
            elif not (value := data.decode("utf-8-sig").strip()):
                problem = "он пуст"
        except OSError as e:
            problem = os_problem(e)
        except UnicodeDecodeError:
            problem = "это не текст UTF-8"
        except ValueError:
            problem = "путь неверен"
        if problem:
            raise self._error(f"не читается файл секрета {name}_FILE ({problem}); проверьте путь и содержимое")
        return value

    def _error(self, text: str) -> SecretError:
        return SecretError(f"{self.where}: {text}" if self.where else text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        def build(value: Any) -> Secret:
            if isinstance(value, Secret):
                return value if isinstance(value, cls) else cls(value.raw, value.where)
            if not isinstance(value, str) or not value.strip():
                raise ValueError('нужна непустая строка, например "${VK_TOKEN}"')
            if "${" in _VAR.sub("", value) or re.fullmatch(r"\$\w+", value.strip()):
                raise ValueError('переменная записана неверно; нужно "${ИМЯ}" латинскими буквами, без пробелов')
            if not value.strip().isprintable():
                raise ValueError("внутри есть переводы строк или невидимые символы; оставьте одну строку")
            return cls(value)

        return core_schema.no_info_plain_validator_function(build)


class Token(Secret):
    """A secret that goes into HTTP requests as it is: ASCII letters, digits and signs, no spaces."""

    __slots__ = ()

    def reveal(self) -> str:
        value = super().reveal()
        if not re.fullmatch(r"[\x21-\x7e]+", value):
            raise self._error("в ключе доступа есть пробелы или нелатинские буквы; скопируйте его заново")
        return value


# Addresses with nothing secret in them: a local database, a loopback receiver without user, password and path.
_HARMLESS = re.compile(r"(?:sqlite:.*|[a-z][a-z0-9+]*://(?:127\.0\.0\.1|localhost)(?::\d+)?/?)$", re.IGNORECASE)


def os_problem(e: OSError) -> str:
    """Why a file could not be used, in Russian."""
    known = {
        errno.ENOENT: "такого файла нет",
        errno.EACCES: "нет прав",
        errno.EPERM: "нет прав",
        errno.EISDIR: "это каталог",
        errno.ENOTDIR: "часть пути — не каталог",
        errno.ENAMETOOLONG: "имя слишком длинное",
        errno.ELOOP: "ссылки ведут по кругу",
        errno.EROFS: "только для чтения",
        errno.ENOSPC: "нет места на диске",
        errno.ENXIO: "это не файл",
        errno.EEXIST: "такой файл уже есть",
        errno.EBUSY: "занято другой программой",
        errno.EIO: "ошибка диска",
        errno.EDQUOT: "исчерпана квота на диске",
        errno.EFBIG: "файл слишком велик",
        errno.EMFILE: "открыто слишком много файлов",
        errno.ENFILE: "открыто слишком много файлов",
        errno.ENOLCK: "замки файлов здесь не работают",
        errno.ENOTSUP: "это здесь не работает",
        errno.EADDRINUSE: "занят другой программой",
        errno.EADDRNOTAVAIL: "такого адреса здесь нет",
    }
    number = e.errno or 0
    return known.get(number) or f"ошибка {errno.errorcode.get(number, type(e).__name__)}"


# --- small value types -----------------------------------------------------------------------------------------------

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|m|h|d|wm|wh|wd)", re.ASCII)
LONGEST = 100 * 366 * 86400.0
"""No length of time is longer (seconds): what is longer is a mistake, and breaks the calendar."""


def seconds(text: str) -> float:
    """ "10m" -> 600.0; working units (wm, wh, wd) are not seconds and are refused (ValueError)."""
    m = _DURATION.fullmatch(str(text).strip())
    if not m or m.group(2) not in _UNITS:
        raise ValueError("нужна длительность: число и s, m, h или d, например 10m")
    return _bounded(float(m.group(1)) * _UNITS[m.group(2)])


def _bounded(value: float) -> float:
    if not 0 <= value <= LONGEST:
        raise ValueError("нужна длительность от нуля до 100 лет, например 10m")
    return value


def _duration(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _bounded(float(value))
    if not isinstance(value, str):
        raise ValueError("нужна длительность: число и s, m, h или d, например 10m")
    return seconds(value)


def _term(value: Any) -> str:
    m = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if m is None or float(m.group(1)) > 10_000:
        raise ValueError("нужен срок: число и m, h, d, wm, wh (рабочие часы) или wd (рабочие дни), например 3wh")
    if m.group(2) == "wd" and not float(m.group(1)).is_integer():
        raise ValueError("нужен срок в целых рабочих днях, например 2wd, или в рабочих часах, например 12wh")
    return value.strip()


def _host(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:.\[\]]{2,50}", value.strip()):
        raise ValueError("нужно имя сервера без https:// и пути, например vk-proxy.example.ru")
    return value.strip().lower()


def _line_of(what: str, longest: int, *, empty: bool = True) -> Any:
    """A validator: one line of visible text, at most so long."""

    def check(value: str) -> str:
        if not empty and not value.strip():
            raise ValueError(f"{what} пустое; впишите его")
        if len(value) > longest or not value.isprintable():
            raise ValueError(f"{what}: нужна одна строка не длиннее {longest} знаков")
        return value.strip()

    return AfterValidator(check)


Seconds = Annotated[float, BeforeValidator(_duration)]
"""A length of time in seconds; written as `10m`, `2h`, `30d`."""
Term = Annotated[str, BeforeValidator(_term)]
"""A term of the Regulation; may be working time (`3wh`, `2wd`)."""
Title = Annotated[str, _line_of("название", 300)]
Name = Annotated[str, _line_of("имя", 100, empty=False)]
Host = Annotated[str, BeforeValidator(_host)]
Fields = Annotated[str, _line_of("список полей", 1000, empty=False)]


class _Section(BaseModel):
    """A section of the file. A key without a value means the default, as a commented-out one would."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, data: Any) -> Any:
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        fields = {f.alias or name: f for name, f in cls.model_fields.items()}
        return {k: v for k, v in data.items() if v is not None or k not in fields or fields[k].is_required()}


class Organisation(_Section):
    name: Title = "Администрация"
    timezone: str = "Europe/Moscow"
    district: Title = ""

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(value)
        except Exception:
            raise ValueError(f"нет такого часового пояса: {value[:60]}; например Europe/Moscow") from None
        return value


def _keep(value: Any) -> float | None:
    if isinstance(value, str) and value.strip().lower() == "forever":
        return None
    found = _duration(value)
    if found < 86400:
        raise ValueError("нужен срок не короче суток, например 365d, или forever")
    return found


Keep = Annotated[float | None, BeforeValidator(_keep)]
"""How long something is kept, in seconds; written as `365d` or `forever` (None)."""
_DAY = 86400.0


class Retention(_Section):
    """How long what is kept after it was needed (docs/ru/personal-data.md); `collect` erases the rest bit by bit."""

    text: Keep = 1095 * _DAY
    authors: Keep = 1095 * _DAY
    deleted: Keep = 180 * _DAY
    revisions: Keep = 365 * _DAY
    replies: Keep = 1825 * _DAY
    events: Keep = 180 * _DAY
    alerts: Keep = 1095 * _DAY
    audit: Keep = 1825 * _DAY
    coverage: Keep = 1095 * _DAY
    access: Keep = 1095 * _DAY

    @model_validator(mode="after")
    def _the_feed_ends_first(self) -> Retention:
        terms = {name: getattr(self, name) for name in ("text", "authors", "deleted", "revisions")}
        longest = float("inf")
        for name, kept in terms.items():
            if (longest if self.events is None else self.events) > (longest if kept is None else kept):
                raise ValueError(
                    f"events дольше, чем {name}: стёртое осталось бы в ленте событий; сделайте events не больше {name}"
                )
        return self


class StoreSettings(_Section):
    url: Secret = Secret("sqlite:///otklik.db")
    retention: Retention = Retention()

    @field_validator("url")
    @classmethod
    def _kind(cls, value: Secret) -> Secret:
        if not re.match(r"\s*(?:\$\{|sqlite(?:\+pysqlite)?://|postgres(?:ql)?(?:\+psycopg)?://)", value.raw):
            raise ValueError("нужно sqlite:///otklik.db или postgresql+psycopg://имя:пароль@сервер/база")
        return value


class Network(_Section):
    """What every network has. Keys of one network alone stand in its own section below (`NETWORKS`)."""

    enabled: bool = True
    token: Token | None = None
    api: str | None = None
    trusted_hosts: list[Host] = []
    proxy: Secret | None = None
    requests_per_second: float | None = Field(default=None, gt=0, le=10_000, allow_inf_nan=False)
    budget: int | None = Field(default=None, ge=1, le=10**9)
    month_budget: int | None = Field(default=None, ge=1, le=10**9)
    timeout: Seconds = 30.0
    retries: int = Field(default=5, ge=0, le=20)
    max_wait: Seconds = 120.0


class ForeignNetwork(Network):
    """A network of another package: what only it has goes to `options`, checked by its collector."""

    options: dict[str, Any] = {}


def _page_id(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class VkCallback(_Section):
    """A community whose events VK sends to `otklik worker --callback`. `confirmation`: the string that VK wants to see
    once; `secret`: the secret key of the server (both: community settings, API, Callback API)."""

    group: Annotated[str, BeforeValidator(_page_id), Field(pattern=r"^[1-9][0-9]{0,18}$")]
    confirmation: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")]
    secret: Secret


class VkNetwork(Network):
    """`callbacks`, `long_poll`: ways in which workers hear of news earlier than by polling; they change no more than
    when a page is looked at."""

    callbacks: list[VkCallback] = Field(default=[], max_length=1000)
    long_poll: bool = False


class OkNetwork(Network):
    """`application_key` is public; one of the two secrets signs every call (docs/ru/ok-token.md).

    `comment_fields`, `topic_fields`: what is asked for, as no list of names is published. `own_ids`: people who answer
    for the administration under their own names.
    """

    application_key: Name | None = None
    application_secret_key: Secret | None = None
    session_secret_key: Secret | None = None
    comment_fields: Fields = "comment.*"
    topic_fields: Fields = "media_topic.*"
    own_ids: list[Name] = []


class InstagramNetwork(Network):
    """`login`: whose token it is, None: as `api` says. `mode`: the Graph API for the own account, or instaloader with
    the session file `session` of the person `user` for pages of others (docs/ru/instagram-token.md)."""

    app_secret: Secret | None = None
    login: Literal["instagram", "facebook"] | None = None
    mode: Literal["graph", "instaloader"] = "graph"
    user: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._]{1,30}$")
    session: str | None = Field(default=None, min_length=1, max_length=4000)


class FacebookNetwork(Network):
    """`lists`: which lists of a page's publications are read."""

    app_secret: Secret | None = None
    lists: list[Literal["published_posts", "visitor_posts", "feed", "posts", "tagged", "ads_posts"]] = Field(
        default=["published_posts", "visitor_posts"], min_length=1
    )


class XUser(_Section):
    """The right of the page's owner (OAuth 1.0a, user context): replies are hidden by it (docs/ru/x-token.md)."""

    consumer_key: Name
    consumer_secret: Secret
    token: Secret
    token_secret: Secret


class XNetwork(Network):
    """`search`: seven days, or all that was ever written where that access was bought. `vocabulary`: how fields are
    called, None: tried. `user`: the owner's right, without which nothing is hidden."""

    search: Literal["recent", "all"] = "recent"
    vocabulary: Literal["tweet", "post"] | None = None
    user: XUser | None = None


class TelegramNetwork(Network):
    """`staff`: ids or @names of the administration's own people who answer from their personal accounts.

    `group_messages`: what of the discussion group counts: `comments` under posts, or `all` that is written there.
    """

    staff: list[Annotated[str, BeforeValidator(_page_id)]] = []
    group_messages: Literal["comments", "all"] = "comments"


class MaxNetwork(Network):
    """`ca_file`: a certificate authority to trust for this network alone (the address of MAX is signed by the Ministry
    of Digital Development). `staff`: ids of the administration's own people who answer from their personal accounts.
    """

    ca_file: str | None = None
    staff: list[Annotated[str, BeforeValidator(_page_id)]] = []


class YoutubeOauth(_Section):
    """The right of the channel's owner: comments held for review, answers (docs/ru/youtube-token.md)."""

    client_id: Name
    client_secret: Secret
    refresh_token: Secret
    token_url: str = "https://oauth2.googleapis.com/token"


class YoutubeNetwork(Network):
    oauth: YoutubeOauth | None = None


class RutubeNetwork(Network):
    """`agreed`: its unofficial addresses may be read. `fields`: more names of things (docs/ok-youtube-rutube.md)."""

    agreed: bool = False
    client: Name = "wdp"
    fields: dict[Name, list[Name]] = {}


NETWORKS: dict[str, type[Network]] = {
    "vk": VkNetwork,
    "ok": OkNetwork,
    "instagram": InstagramNetwork,
    "facebook": FacebookNetwork,
    "x": XNetwork,
    "telegram": TelegramNetwork,
    "max": MaxNetwork,
    "youtube": YoutubeNetwork,
    "rutube": RutubeNetwork,
}
"""The networks of the vocabulary and the keys of each."""


_KNOWN_NETWORKS = create_model("Networks", __base__=_Section, **{name: (cls, cls()) for name, cls in NETWORKS.items()})  # type: ignore[call-overload]
_FOREIGN_NETWORKS = TypeAdapter(dict[Name, ForeignNetwork])


def _networks(value: Any) -> Any:
    """Each network by its own section; errors keep their place."""
    if not isinstance(value, dict):
        return value
    known = _KNOWN_NETWORKS.model_validate({k: v for k, v in value.items() if k in NETWORKS})
    foreign = _FOREIGN_NETWORKS.validate_python({k: v for k, v in value.items() if k not in NETWORKS})
    return {k: getattr(known, k) if k in NETWORKS else foreign[k] for k in value}


Include = Literal["posts", "photos", "videos", "topics"]


class Page(_Section):
    network: Name
    id: Annotated[str, BeforeValidator(_page_id)]
    owner: Title = "administration"
    title: Title = ""
    include: list[Include] = ["posts", "photos", "videos", "topics"]
    main: bool = False
    enabled: bool = True

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        value = value.strip()
        if not value or len(value) > 300 or not value.isprintable():
            raise ValueError("нужен адрес страницы, её короткое имя или номер")
        return value


class Collect(_Section):
    """The poll loop (docs/polling.md). `first_depth`: how far back comments are read at first sight; None: all."""

    batch: int = Field(default=500, ge=1, le=10_000)
    first_depth: Seconds | None = None
    watch: Seconds = 365 * 86400.0
    page_every: Seconds = 0.0
    full_every: Seconds = 7 * 86400.0
    deadline: Seconds = 15 * 60.0


class Worker(_Section):
    """`otklik worker`. `pages`: collected at the same time by one process. `every`: how often a page has its turn (or
    `collect.page_every`, when that is longer). `push_every`: at least so long between two turns of a page whose network
    sends events. `heartbeat`: a worker is taken for dead after three of them."""

    pages: int = Field(default=2, ge=1, le=32)
    every: Seconds = 300.0
    push_every: Seconds = 15.0
    heartbeat: Annotated[Seconds, Field(ge=1, le=60)] = 10.0

    @property
    def stalled(self) -> float:
        """Seconds without a sign of life after which a worker's jobs are given to others."""
        return 3 * self.heartbeat


class Deadlines(_Section):
    """The terms of the Regulation, clause 7 (docs/regulation.md); `draft` is counted back from the answer's term."""

    route: Term = "30m"
    return_: Term = Field(default="30m", alias="return")
    urgent: Term = "3wh"
    prompt: Term = "2wd"
    draft: Term = "1h"
    approve: Term = "30m"
    rework: Term = "1h"
    publish: Term = "30m"
    part: Term = "2h"
    extension: Term = "30d"


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*[-–]\s*(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", re.ASCII)
_HOURS_HELP = "нужны рабочие часы от и до, например 09:00-13:00, 14:00-18:00"


def day_hours(text: str) -> tuple[tuple[int, int], ...]:
    """ "09:00-13:00, 14:00-18:00" -> ((540, 780), (840, 1080)): minutes of the day, in order, apart from each other.

    Raises ValueError when the text is something else.
    """
    found = []
    for part in text.split(","):
        m = _SPAN.fullmatch(part.strip())
        if m is None:
            raise ValueError(_HOURS_HELP)
        end = 24 * 60 if m.group(3) is None else int(m.group(3)) * 60 + int(m.group(4))
        found.append((int(m.group(1)) * 60 + int(m.group(2)), end))
    edges = [minute for span in found for minute in span]
    if edges != sorted(set(edges)):
        raise ValueError(_HOURS_HELP)
    return tuple(found)


def week_hours(hours: str | dict[str, str]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """`desk.hours` -> for Monday to Sunday its working intervals in minutes of the day; one text means Monday-Friday.

    Keys of a mapping are weekdays (`mon`), ranges (`mon-thu`) or lists of them (`mon, wed`); a day not named is off.
    Raises ValueError.
    """
    week: dict[int, tuple[tuple[int, int], ...]] = {}
    for key, value in ({"mon-fri": hours} if isinstance(hours, str) else hours).items():
        if not isinstance(value, str):
            raise ValueError(f"{key}: {_HOURS_HELP}")
        for part in str(key).split(","):
            first, _, last = part.strip().partition("-")
            if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
                raise ValueError(f"дни недели пишутся mon, tue, wed, thu, fri, sat, sun или mon-fri, а не {part[:20]}")
            start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
            for n in range((end - start) % 7 + 1):  # sat-mon goes over the end of the week
                day = (start + n) % 7
                if day in week:
                    raise ValueError(f"день {WEEKDAYS[day]} назван дважды; оставьте один раз")
                week[day] = day_hours(value)
    if not week:
        raise ValueError(_HOURS_HELP)
    return tuple(week.get(day, ()) for day in range(7))


def _hours(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise ValueError(f"нужна строка или дни недели; {_HOURS_HELP}")
    week_hours(value)
    return value.strip() if isinstance(value, str) else dict(value)


def _day(value: Any) -> str:
    """A date, or a day of every year ("07-26")."""
    import datetime

    if type(value) is datetime.date:
        return value.isoformat()
    try:
        text = str(value).strip()
        datetime.date.fromisoformat(f"2024-{text}" if re.fullmatch(r"\d\d-\d\d", text, re.ASCII) else text)
        if len(text) in (5, 10):
            return text
    except ValueError:
        pass
    raise ValueError("нужна дата, например 2026-07-26, или день каждого года, например 07-26")


Day = Annotated[str, BeforeValidator(_day)]


def _date(value: Any) -> str:
    text = _day(value)
    if len(text) != 10:
        raise ValueError("нужна дата с годом, например 2026-07-26")
    return text


Date = Annotated[str, BeforeValidator(_date)]
Role = Literal["head", "curator", "administrator", "executor"]


class Absence(_Section):
    """The first and the last day away, and who acts instead."""

    from_: Date = Field(alias="from")
    to: Date
    substitute: Name

    @model_validator(mode="after")
    def _forwards(self) -> Absence:
        if self.to < self.from_:
            raise ValueError("отсутствие кончается раньше, чем начинается; проверьте from и to")
        return self


class Person(_Section):
    """Somebody at work; `roles` when one has several, else `role`."""

    id: Name
    name: Title = ""
    role: Role = "executor"
    roles: list[Role] = []
    contacts: list[Secret] = []
    absence: Absence | None = None

    @property
    def held(self) -> list[str]:
        """Every role of this person."""
        return [str(r) for r in self.roles or [self.role]]


class Division(_Section):
    """`deputy`: the name of the deputy head in charge, to whom its shortcomings are reported (clause 15)."""

    id: Name
    name: Title = ""
    deputy: Title = ""
    topics: list[Name] = []
    people: list[Person | Name] = []
    notify: list[Secret] = []


class OwnDays(_Section):
    """Days that the organisation itself changes: `off`, `working` (a full day), `short` (by `desk.short_by`)."""

    off: list[Day] = []
    working: list[Day] = []
    short: list[Day] = []

    @model_validator(mode="after")
    def _apart(self) -> OwnDays:
        named = [*self.off, *self.working, *self.short]
        if twice := sorted({d for d in named if named.count(d) > 1}):
            raise ValueError(f"день {twice[0]} назван дважды; оставьте один раз")
        return self


def _time_of_day(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value.strip(), re.ASCII):
        raise ValueError('нужно время суток в кавычках, например "09:00"')
    return value.strip()


TimeOfDay = Annotated[str, BeforeValidator(_time_of_day)]


TEMPLATE_FIELDS = {
    "обращение": "«Мария, здравствуйте!» или «Здравствуйте!»",
    "имя": "имя автора",
    "номер": "номер сообщения",
    "дата": "когда оно написано",
    "тема": "его тема",
    "место": "место, о котором оно",
    "срок": "«до 27.11.2026» или условие промежуточного ответа",
    "ответ": "сам ответ, из --text или --file",
    "причина": "почему срок продлён",
    "орган": "кто решает вопрос, при перенаправлении",
    "подразделение": "кто готовит ответ",
    "организация": "organisation.name",
}
"""What may stand in braces in a template of an answer, and what is put there."""
_FIELD = re.compile(r"\{([^{}]*)\}")


def template_fields(text: str) -> list[str]:
    """The names in braces, in order. Raises ValueError for an unknown one and for a lonely brace."""
    found = _FIELD.findall(text)
    if {"{", "}"} & set(_FIELD.sub("", text)):
        raise ValueError("фигурная скобка без пары; поля пишутся {имя}, других скобок в шаблоне не бывает")
    for name in found:
        if name not in TEMPLATE_FIELDS:
            near = difflib.get_close_matches(name, TEMPLATE_FIELDS, 1)
            hint = f"возможно, имелось в виду {{{near[0]}}}" if near else f"есть {', '.join(TEMPLATE_FIELDS)}"
            raise ValueError(f"нет поля {{{name[:40]}}}; {hint}")
    return found


def _template(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("нужен текст шаблона, например «{обращение} {ответ}»")
    if len(value) > 4000:
        raise ValueError("шаблон длиннее 4000 знаков; сократите")
    template_fields(value)
    return value.strip()


Template = Annotated[str, BeforeValidator(_template)]


class Templates(_Section):
    """Words of the administration's answers, with fields in braces (`TEMPLATE_FIELDS`)."""

    acknowledgement: Template = (
        "{обращение} Ваше сообщение принято к рассмотрению, номер {номер}. Ответим здесь же {срок}."
    )
    interim: Template = "{обращение} {ответ} Окончательный ответ дадим {срок}."
    final: Template = "{обращение} {ответ}"
    redirect: Template = (
        "{обращение} Этот вопрос не относится к полномочиям администрации, его решает {орган}. "
        "Пожалуйста, обратитесь туда."
    )
    extension: Template = (
        "{обращение} Чтобы ответить на ваше сообщение (номер {номер}), нужно больше времени: {причина}. Ответим {срок}."
    )

    @field_validator("interim", "final", "redirect")
    @classmethod
    def _say_what_matters(cls, value: str, info: Any) -> str:
        needed = "орган" if info.field_name == "redirect" else "ответ"
        if needed not in template_fields(value):
            raise ValueError(f"в этом шаблоне нужно поле {{{needed}}}, иначе автор не узнает главного")
        return value


class Desk(_Section):
    hours: Annotated[Any, BeforeValidator(_hours)] = "09:00-13:00, 14:00-18:00"
    holidays: str = "RU"
    days: OwnDays = OwnDays()
    short_by: Seconds = 3600.0
    answer_from: Literal["collected", "routed"] = "collected"
    digest: list[TimeOfDay] = Field(default=["09:00"], max_length=24)
    deadlines: Deadlines = Deadlines()
    templates: Templates = Templates()

    @field_validator("holidays")
    @classmethod
    def _country(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Z]{2}|none", value):
            raise ValueError("нужна страна двумя заглавными буквами, например RU, или «none»")
        return value


class Spikes(_Section):
    """The watch for raised social activity (desk/surge.py). `false_per_week`: how many by chance are borne."""

    enabled: bool = True
    windows: list[Seconds] = Field(default=[1800.0, 3 * 3600.0, 86400.0], min_length=1, max_length=10)
    history: Seconds = 56 * 86400.0
    learn: Seconds = 14 * 86400.0
    false_per_week: float = Field(default=1.0, gt=0, le=100, allow_inf_nan=False)
    at_least: int = Field(default=5, ge=2, le=10_000)
    times: float = Field(default=3.0, ge=1, le=1000, allow_inf_nan=False)
    calm: Seconds = 6 * 3600.0

    @field_validator("windows")
    @classmethod
    def _windows(cls, value: list[float]) -> list[float]:
        if any(not 300 <= w <= 7 * 86400 for w in value) or len(set(value)) < len(value):
            raise ValueError("нужны разные длительности от 5m до 7d, например [30m, 3h, 24h]")
        return sorted(value)

    @field_validator("history")
    @classmethod
    def _history(cls, value: float) -> float:
        if not 14 * 86400 <= value <= 366 * 86400:
            raise ValueError("нужна длительность от 14d до 366d, например 56d")
        return value

    @model_validator(mode="after")
    def _learns(self) -> Spikes:
        if self.learn > self.history:
            raise ValueError("learn больше history: до первой тревоги не дойдёт; уменьшите learn")
        return self


class Alerts(_Section):
    head: list[Secret] = []
    escalate: list[Secret] = []
    escalate_after: Seconds = 600.0
    timeout: Seconds = 10.0
    retry_every: Seconds = 60.0
    max_attempts: int = Field(default=20, ge=1, le=1000)
    spikes: Spikes = Spikes()


class Classifier(_Section):
    """`models`: where `otklik model train` keeps its versions; `model`: the folder of one model, come what may.

    `repeat_window`: how far apart two messages may be written to count as one question.
    """

    models: str = Field(default="models", min_length=1)
    model: str | None = None
    gazetteer: str | None = None
    repeat_window: Seconds = 30 * 86400.0


class FeedScope(_Section):
    """Whose events a reader gets: `impersonal` ones without personal data; of these divisions, of these networks."""

    scope: Literal["all", "impersonal"] = "impersonal"
    divisions: list[Name] = []
    networks: list[Name] = []


def _feed_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", value):
        raise ValueError("нужно короткое имя латинскими строчными буквами и цифрами, например region")
    return value


FeedName = Annotated[str, BeforeValidator(_feed_name)]


class FeedToken(FeedScope):
    """A key to `otklik serve feed`; a second value while the first is being replaced."""

    name: FeedName
    token: Token
    next_token: Token | None = None
    per_minute: int = Field(default=120, ge=1, le=100_000)


class Webhook(FeedScope):
    """Where events are sent; `secrets`: the first is the newest, all sign."""

    name: FeedName
    url: Secret
    secrets: list[Secret] = Field(min_length=1, max_length=5)
    types: list[Name] = []
    enabled: bool = True


_BROKER = r"(nats|nats\+tls|kafka|kafka\+tls)://([^\s/?#@]+@)?[A-Za-z0-9_.\-\[\]:,]+/?"


class Broker(FeedScope):
    """A NATS JetStream or a Kafka that gets the events. `url`: nats://, nats+tls://, kafka:// or kafka+tls://, with
    USER:PASSWORD@ before the hosts if need be. `topic`: Kafka's topic, or the beginning of NATS's subjects and, in
    capitals, its stream."""

    name: FeedName
    url: Secret
    topic: str = Field(default="otklik", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")
    types: list[Name] = []
    enabled: bool = True

    @property
    def key(self) -> str:
        """Under what name the store keeps its place in the log; no webhook can be called so."""
        return f"broker:{self.name}"

    def address(self) -> str:
        """The address. Raises ConfigError when it isn't one; the address itself is not told."""
        url = self.url.reveal()
        if not re.fullmatch(_BROKER, url):
            raise self.url._error(
                "нужен адрес nats://узел:4222 или kafka://узел:9092 (с шифрованием nats+tls://, kafka+tls://)"
            )
        return url


class Mapping(_Section):
    """How another system's file of incidents looks. `columns`: its heading -> our field, in order; `ours`, `theirs`:
    the columns of the ids in what it sends back."""

    name: FeedName
    columns: dict[Title, Name] = Field(min_length=1, max_length=100)
    ours: Title
    theirs: Title
    delimiter: Literal[",", ";", "\t"] = ";"
    encoding: Literal["utf-8-sig", "utf-8", "cp1251"] = "utf-8-sig"


class Feed(_Section):
    """What other systems get. `loopback`: webhooks may go to this machine itself, also without TLS."""

    tokens: list[FeedToken] = []
    webhooks: list[Webhook] = []
    brokers: list[Broker] = []
    mappings: list[Mapping] = []
    loopback: bool = False
    timeout: Seconds = 20.0


def _watched(value: Any) -> float | None:
    if isinstance(value, str) and value.strip().lower() == "never":
        return None
    try:
        return _duration(value)
    except ValueError as e:
        raise ValueError(f"{e}; или never") from None


Watched = Annotated[float | None, BeforeValidator(_watched)]
"""After how long, in seconds, something is called wrong; `never`: None."""


class Status(_Section):
    """When `otklik status` calls something wrong.

    `page_lag`: since a page was collected last. `alert_delay`: an alert that no channel has taken. `publish_delay`: a
    publication begun and not done. `webhook_delay`: an event that a webhook's receiver does not take. `backup_age`:
    since the last backup.
    """

    page_lag: Watched = 2 * 3600.0
    alert_delay: Watched = 300.0
    publish_delay: Watched = 3600.0
    webhook_delay: Watched = 3600.0
    backup_age: Watched = 2 * 86400.0


class Settings(_Section):
    organisation: Organisation = Organisation()
    store: StoreSettings = StoreSettings()
    networks: Annotated[dict[Name, Network], BeforeValidator(_networks)] = {}
    pages: list[Page] = []
    collect: Collect = Collect()
    worker: Worker = Worker()
    classifier: Classifier = Classifier()
    people: list[Person] = []
    divisions: list[Division] = []
    desk: Desk = Desk()
    alerts: Alerts = Alerts()
    feed: Feed = Feed()
    status: Status = Status()

    _source: Source | None = None

    def where(self, *path: str | int) -> str:
        """ "config.yaml:12: networks.vk.api" for an error message about the key at `path`."""
        return self._source.where(path) if self._source else _dotted(path)

    def beside(self, path: str) -> str:
        """A path that the configuration names: a relative one lies beside the file itself."""
        return os.path.join(self._source.folder if self._source else "", path)

    def network(self, name: str) -> Network:
        return self.networks.get(name) or Network()


# --- the file and its lines ------------------------------------------------------------------------------------------


class Source:
    """Where each key of the file stands."""

    def __init__(self, name: str, lines: dict[tuple[str | int, ...], int]) -> None:
        self.name = name
        self.lines = lines
        self.folder = ""

    def line(self, path: tuple[str | int, ...]) -> int:
        """The line of the key at `path`, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: tuple[str | int, ...]) -> str:
        return f"{self.name}:{self.line(path)}: {_dotted(path)}"


def _dotted(path: tuple[str | int, ...]) -> str:
    out = ""
    for part in path:
        part = f"[{part}]" if isinstance(part, int) else str(part)[:60] or '""'
        out += part if part.startswith("[") or not out else f".{part}"
    return out


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # both say the same; the one in C is ten times as fast
MAX_DEPTH = 12
# YAML 1.1 reads 0123 as 83 and 1:30 as 90: a page id or a time would silently become another one.
_ODD_NUMBER = re.compile(r"[-+]?(?:0\d.*|0[xob].*|.*[_:].*)", re.IGNORECASE)


class _Reader:
    """YAML events -> plain data, noting the line of every key. Refuses what a configuration has no use for."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.lines: dict[tuple[str | int, ...], int] = {}
        self._events = yaml.parse(text, Loader=_LOADER)
        self._scalars = yaml.SafeLoader("")

    def read(self) -> Any:
        data = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, "в файле два документа (---); оставьте один")
            elif isinstance(event, yaml.NodeEvent):
                data = self._node(event, (), 0)
        return data

    def _error(self, event: yaml.Event, text: str, path: tuple[str | int, ...] = ()) -> ConfigError:
        at = f"{self.name}:{event.start_mark.line + 1}"
        return ConfigError(f"{at}: {_dotted(path)}: {text}" if path else f"{at}: {text}")

    def _node(self, event: yaml.Event, path: tuple[str | int, ...], depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise self._error(event, "якоря и ссылки YAML (& и *) здесь не нужны; запишите значение", path)
        if event.tag:
            raise self._error(event, "метки типов YAML (!) здесь не нужны; запишите значение в кавычках", path)
        if depth > MAX_DEPTH:
            raise self._error(event, "слишком глубокая вложенность; проверьте отступы и скобки")
        self.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(event, (*path, len(items)), depth + 1))
            return items
        return self._mapping(path, depth)

    def _mapping(self, path: tuple[str | int, ...], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise self._error(event, "ключ должен быть словом", path)
            key = event.value
            here = (*path, key)
            if key in found:
                raise self._error(event, f"ключ уже есть в строке {self.lines[here]}; оставьте один", here)
            self.lines[here] = event.start_mark.line + 1
            found[key] = self._node(next(self._events), here, depth + 1)
        return found

    def _scalar(self, event: yaml.ScalarEvent, path: tuple[str | int, ...]) -> Any:
        tag = self._scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and _ODD_NUMBER.fullmatch(event.value):
            raise self._error(event, "число записано двусмысленно; возьмите его в кавычки", path)
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            return self._scalars.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError):
            raise self._error(event, "значение не разбирается; возьмите его в кавычки", path) from None


_YAML_PROBLEMS = (
    ("mapping values are not allowed", "лишнее двоеточие или неверный отступ"),
    ("could not find expected ':'", "не хватает двоеточия"),
    ("expected <block end>|did not find expected key|block collection|block mapping", "неверный отступ"),
    ("unexpected end of stream|unexpected document", "не закрыта кавычка"),
    ("expected ',' or", "не закрыта скобка или не хватает запятой"),
    ("unknown escape|hexa?decimal|invalid Unicode character escape", "неверная косая черта в двойных кавычках"),
    ("cannot start any token", "недопустимый знак в начале значения"),
)


def _parse(text: str, name: str) -> tuple[Any, Source]:
    try:
        reader = _Reader(text, name)
        return reader.read(), Source(name, reader.lines)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line = min(mark.line, text.count("\n")) + 1 if mark else 1
        if re.match(r" *\t", text.split("\n")[line - 1]):
            raise ConfigError(f"{name}:{line}: табуляция вместо пробелов; замените её пробелами") from None
        what = next((said for find, said in _YAML_PROBLEMS if re.search(find, str(e.problem))), "ошибка разбора")
        raise ConfigError(f"{name}:{line}: это не YAML ({what}); проверьте отступы, скобки и кавычки") from None
    except yaml.YAMLError:
        bad = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]", text)
        line = text.count("\n", 0, bad.start()) + 1 if bad else 1
        raise ConfigError(f"{name}:{line}: недопустимый символ; сохраните файл как простой текст UTF-8") from None


_MESSAGES = {
    "missing": "обязательный ключ не задан; добавьте его",
    "string_type": "нужна строка; возьмите значение в кавычки",
    "bool_type": "нужно true или false",
    "int_type": "нужно целое число",
    "float_type": "нужно число",
    "list_type": "нужен список; начните каждую строку с дефиса",
    "dict_type": "нужен раздел с ключами",
    "model_type": "нужен раздел с ключами",
    "finite_number": "нужно конечное число",
}


def _known_keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys allowed at the parent of `path`."""
    import typing

    here: Any = model
    if path[0] == "networks" and len(path) > 2:
        here, path = NETWORKS.get(str(path[1]), ForeignNetwork), path[2:]
    for part in path[:-1]:
        if isinstance(here, type) and issubclass(here, BaseModel):
            here = here.model_fields[str(part)].annotation if str(part) in here.model_fields else None
        else:
            args = [a for a in typing.get_args(here) if a is not type(None)]
            here = args[-1] if args else None
        while here is not None and not isinstance(here, type):
            args = [a for a in typing.get_args(here) if a is not type(None)]
            if typing.get_origin(here) in (list, dict):
                break
            here = next(
                (a for a in args if isinstance(a, type) and issubclass(a, BaseModel)), args[0] if args else None
            )
    if isinstance(here, type) and issubclass(here, BaseModel):
        return [f.alias or name for name, f in here.model_fields.items()]
    return []


def _path(error: Any) -> tuple[str | int, ...]:
    """Where an error is, without the names pydantic gives to the branches of a union and to keys of a dict."""
    return tuple(p for p in error["loc"] if not (p in ("Person", "[key]") or str(p).startswith("function-")))


def _explain(error: Any, source: Source) -> str:
    path = _path(error)
    kind, ctx = error["type"], error.get("ctx") or {}
    if kind == "extra_forbidden":
        known = _known_keys(Settings, path)
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        tip = (
            f"возможно, имелось в виду {near[0]}"
            if near
            else f"известны: {', '.join(known)}"
            if known
            else "уберите его"
        )
        return f"{source.where(path)}: неизвестный ключ; {tip}"
    if kind == "value_error":
        text = str(ctx.get("error", error["msg"]))
    elif kind == "literal_error":
        text = f"допустимо {ctx.get('expected', '')}".replace(" or ", " или ")
    elif kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        sign = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
        text = "нужно число " + ", ".join(f"{sign[k]} {v}" for k, v in ctx.items() if k in sign)
    else:
        text = _MESSAGES.get(kind, "недопустимое значение; посмотрите пример в README")
    return f"{source.where(path)}: {text}"


def _place_secrets(value: Any, path: tuple[str | int, ...], source: Source) -> None:
    if isinstance(value, Secret):
        value.where = source.where(path)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            _place_secrets(getattr(value, name), (*path, name), source)
    elif isinstance(value, dict):
        for key, item in value.items():
            _place_secrets(item, (*path, key), source)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _place_secrets(item, (*path, i), source)


def _check(settings: Settings, source: Source) -> None:
    """What one section alone can't tell."""
    seen: dict[tuple[str, str], int] = {}
    for i, page in enumerate(settings.pages):
        key = (page.network, page.id.strip().rstrip("/").lower())
        if key in seen:
            raise ConfigError(
                f"{source.where(('pages', i, 'id'))}: эта страница уже есть: pages[{seen[key]}]; оставьте одну"
            )
        seen[key] = i
        if settings.networks and page.network not in settings.networks:
            raise ConfigError(
                f"{source.where(('pages', i, 'network'))}: сеть {page.network} не описана в networks; добавьте её туда"
            )
    ids = [d.id for d in settings.divisions]
    for i, name in enumerate(ids):
        if name in ids[:i]:
            raise ConfigError(f"{source.where(('divisions', i, 'id'))}: подразделение {name} уже есть; оставьте одно")
    _check_feed(settings, source)
    _check_people(settings, source)


def _check_feed(settings: Settings, source: Source) -> None:
    """Names are unique; a misspelt division would be a reader that never gets anything."""
    known = {d.id for d in settings.divisions}
    feed = settings.feed
    of_kinds = {"tokens": feed.tokens, "webhooks": feed.webhooks, "brokers": feed.brokers, "mappings": feed.mappings}
    for kind, readers in of_kinds.items():
        names: list[str] = []
        for i, reader in enumerate(readers):
            path = ("feed", kind, i)
            if reader.name in names:
                raise ConfigError(f"{source.where((*path, 'name'))}: имя {reader.name} уже есть; оставьте одно")
            names.append(reader.name)
            for division in getattr(reader, "divisions", ()):
                if division not in known:
                    raise ConfigError(
                        f"{source.where((*path, 'divisions'))}: подразделения {division} нет в divisions; исправьте имя"
                    )


def _check_people(settings: Settings, source: Source) -> None:
    """A person is described once; a substitute is somebody. A bare name in a division is an executor of that id."""
    described: dict[str, str] = {}
    named: set[str] = set()
    substitutes: list[tuple[str, tuple[str | int, ...]]] = []
    people: list[tuple[Person | str, tuple[str | int, ...]]] = []
    people += [(p, ("people", i)) for i, p in enumerate(settings.people)]
    for d, division in enumerate(settings.divisions):
        people += [(p, ("divisions", d, "people", i)) for i, p in enumerate(division.people)]
    for person, path in people:
        if isinstance(person, str):
            named.add(person)
            continue
        if person.id in described:
            raise ConfigError(
                f"{source.where((*path, 'id'))}: {person.id} уже описан: {described[person.id]}; "
                "опишите человека один раз в people, а в подразделениях назовите его id"
            )
        described[person.id] = _dotted(path)
        if person.absence is not None:
            substitutes.append((person.absence.substitute, (*path, "absence", "substitute")))
    for name, where in substitutes:
        if name not in described and name not in named:
            raise ConfigError(f"{source.where(where)}: человека {name} нет; опишите его в people")


def parse(text: str, name: str = "config.yaml", folder: str = "") -> Settings:
    """Settings from the text of a configuration file; `name` is what errors call the file, `folder` where it lies."""
    data, source = _parse(text, name)
    source.folder = folder
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: в файле должны быть разделы (organisation, store, networks, pages…)")
    try:
        settings = Settings.model_validate(data)
    except ValidationError as e:
        errors = e.errors(include_url=False, include_input=False)
        first = min(errors, key=lambda err: source.line(_path(err)))
        more = len({_path(err) for err in errors}) - 1
        raise ConfigError(_explain(first, source) + (f" (и ещё ошибок: {more})" if more else "")) from None
    _place_secrets(settings, (), source)
    object.__setattr__(settings, "__pydantic_private__", {"_source": source})
    _check(settings, source)
    return settings


def load(path: str | os.PathLike[str] | None = None) -> Settings:
    """Read the configuration: `path`, else $OTKLIK_CONFIG, else ./config.yaml. Raises ConfigError."""
    file = os.fspath(path or os.environ.get("OTKLIK_CONFIG") or "config.yaml")
    try:
        with open(file, "rb") as opened:
            data = opened.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: файла настроек нет; создайте его командой otklik init или укажите --config"
        ) from None
    except OSError as e:
        raise ConfigError(f"{file}: файл настроек не читается ({os_problem(e)}); проверьте путь и права") from None
    except ValueError:
        raise ConfigError("путь к файлу настроек неверен; проверьте --config и OTKLIK_CONFIG") from None
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{file}: файл больше 1 МБ; это не похоже на настройки otklik")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise ConfigError(f"{file}:{line}: файл не в кодировке UTF-8; сохраните его в UTF-8") from None
    return parse(text, os.path.basename(file), os.path.dirname(file))


def literal_secrets(settings: Settings) -> list[str]:
    """Where the file holds a secret itself rather than the name of a variable ("config.yaml:7: networks.vk.token")."""
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, Secret):
            if value.literal and value.where and not _HARMLESS.match(value.raw.strip()):
                found.append(value.where)
        elif isinstance(value, BaseModel):
            for name in type(value).model_fields:
                look(getattr(value, name))
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                look(item)

    look(settings)
    return found


# --- logs ------------------------------------------------------------------------------------------------------------


class ScrubbingFormatter(logging.Formatter):
    """Another formatter's text, traceback included, without secrets and without control characters."""

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return _CONTROL.sub("\ufffd", scrub(self._inner.format(record)))


_about: ContextVar[dict[str, str] | None] = ContextVar("otklik_log_about", default=None)


@contextmanager
def logged_about(**facts: str) -> Iterator[None]:
    """What is logged inside, by this thread, is about this `run`, `network`, `page`; shown by `JsonFormatter`."""
    token = _about.set({**(_about.get() or {}), **facts})
    try:
        yield
    finally:
        _about.reset(token)


class JsonFormatter(logging.Formatter):
    """A line of JSON a record: `time` (RFC 3339, UTC), `level`, `logger`, `message`; `run`, `network`, `page` where it
    is about one; `error`: the traceback; besides whatever the record's `facts` hold (`extra={"facts": {…}}`)."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            **getattr(record, "facts", {}),
            **(_about.get() or {}),
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        # Scrubbed before JSON writes it its own way, and once more as a whole by `install_log_scrubbing`.
        return json.dumps({k: scrub(v) if isinstance(v, str) else v for k, v in line.items()}, default=str)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def install_log_scrubbing(logger: logging.Logger | None = None) -> None:
    """Have every handler of `logger` (the root) pass its lines through `scrub`; once is enough."""
    for handler in (logger or logging.getLogger()).handlers:
        if not isinstance(handler.formatter, ScrubbingFormatter):
            handler.setFormatter(ScrubbingFormatter(handler.formatter))
