"""config.yaml -> typed settings.

The only room below `store/`. A bad file gets one sentence that names the file, the line and the key. Secrets stay
unresolved (`${VK_TOKEN}`) until somebody needs one, so that commands that need no token run without any.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, quote_plus

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import core_schema

# Exit codes of the command line (docs: README, "Exit codes").
OK, PARTLY, USAGE, UNAUTHORISED, NOTHING, INTERRUPTED, LOCKED = range(7)

MAX_CONFIG_BYTES = 1_000_000


class OtklikError(Exception):
    """An error a person can act on: one Russian sentence (what is wrong, what to do) and an exit code."""

    exit_code = PARTLY

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        if exit_code is not None:
            self.exit_code = exit_code


class ConfigError(OtklikError):
    """Something in the configuration or the arguments is wrong."""

    exit_code = USAGE


# --- secrets ---------------------------------------------------------------------------------------------------------

_revealed: set[str] = set()
_VAR = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
HIDDEN = "***"


def remember_secret(value: str) -> None:
    """Have `scrub` remove `value` (also URL-encoded) from every text from now on."""
    value = value.strip()
    if len(value) >= 4:
        _revealed.update({value, quote(value, safe=""), quote_plus(value)})


def scrub(text: str) -> str:
    """`text` without any secret that was revealed in this process; for logs, errors and stored messages."""
    for value in sorted(_revealed, key=len, reverse=True):
        if value in text:
            text = text.replace(value, HIDDEN)
    return text


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
        """The value: each `${NAME}` from the environment, or from the file that `NAME_FILE` names."""
        value = _VAR.sub(lambda m: self._variable(m.group(1)), self.raw).strip()
        remember_secret(value)
        return value

    def _variable(self, name: str) -> str:
        at = f"{self.where}: " if self.where else ""
        value = os.environ.get(name, "")
        path = os.environ.get(f"{name}_FILE", "")
        if not value.strip() and path:
            try:
                value = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as e:
                reason = getattr(e, "strerror", None) or "это не текст"
                raise ConfigError(
                    f"{at}не читается файл секрета {name}_FILE ({reason}); проверьте путь и права"
                ) from None
        value = value.strip()
        if not value:
            raise ConfigError(
                f"{at}не задана переменная окружения {name}; задайте её или укажите файл с секретом в {name}_FILE"
            )
        if not value.isprintable():
            raise ConfigError(f"{at}в {name} есть переводы строк или управляющие символы; оставьте один токен")
        remember_secret(value)
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        def build(value: Any) -> Secret:
            if isinstance(value, Secret):
                return value
            if not isinstance(value, str) or not value.strip():
                raise ValueError('нужна непустая строка, например "${VK_TOKEN}"')
            return cls(value)

        return core_schema.no_info_plain_validator_function(build)


# --- small value types -----------------------------------------------------------------------------------------------

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(s|m|h|d|wh|wd)$")


def seconds(text: str) -> float:
    """ "10m" -> 600.0; working units (wh, wd) are not seconds and are refused."""
    m = _DURATION.match(str(text).strip())
    if not m or m.group(2) not in _UNITS:
        raise ValueError("нужна длительность: число и s, m, h или d, например 10m")
    return float(m.group(1)) * _UNITS[m.group(2)]


def _duration(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("нужна длительность, например 10m")
    if isinstance(value, int | float):
        return float(value)
    return seconds(value)


def _term(value: Any) -> str:
    if not isinstance(value, str) or not _DURATION.match(value.strip()):
        raise ValueError("нужен срок: число и m, h, d, wh (рабочие часы) или wd (рабочие дни), например 3wh")
    return value.strip()


Seconds = Annotated[float, BeforeValidator(_duration), Field(ge=0)]
"""A length of time in seconds; written as `10m`, `2h`, `30d`."""
Term = Annotated[str, BeforeValidator(_term)]
"""A term of the Regulation; may be working time (`3wh`, `2wd`)."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Organisation(_Section):
    name: str = "Администрация"
    timezone: str = "Europe/Moscow"
    district: str = ""

    @model_validator(mode="after")
    def _zone(self) -> Organisation:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(self.timezone)
        except Exception:
            raise ValueError(f"нет такого часового пояса: {self.timezone}; например Europe/Moscow") from None
        return self


class StoreSettings(_Section):
    url: Secret = Secret("sqlite:///otklik.db")


class Network(_Section):
    """What every network has; what only one has goes to `options`, checked by its collector."""

    enabled: bool = True
    token: Secret | None = None
    api: str | None = None
    trusted_hosts: list[str] = []
    proxy: Secret | None = None
    requests_per_second: float | None = Field(default=None, gt=0, le=10_000)
    timeout: Seconds = 30.0
    retries: int = Field(default=5, ge=0, le=20)
    max_wait: Seconds = 120.0
    options: dict[str, Any] = {}


Include = Literal["posts", "photos", "videos", "topics"]


class Page(_Section):
    network: str
    id: Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int) and not isinstance(v, bool) else v)]
    owner: str = "administration"
    title: str = ""
    include: list[Include] = ["posts", "photos", "videos", "topics"]
    enabled: bool = True

    @model_validator(mode="after")
    def _id(self) -> Page:
        if not self.id.strip():
            raise ValueError("id пустой; укажите адрес страницы, короткое имя или номер")
        return self


class Collect(_Section):
    """The poll loop (docs/polling.md). `first_depth`: how far back comments are read at first sight; None: all."""

    batch: int = Field(default=500, ge=1, le=10_000)
    first_depth: Seconds | None = None
    watch: Seconds = 365 * 86400.0
    page_every: Seconds = 0.0
    full_every: Seconds = 7 * 86400.0
    deadline: Seconds = 15 * 60.0


class Person(_Section):
    id: str
    name: str = ""
    role: Literal["head", "curator", "administrator", "executor"] = "executor"
    contacts: list[Secret] = []


class Division(_Section):
    id: str
    name: str = ""
    topics: list[str] = []
    people: list[Person | str] = []


class Deadlines(_Section):
    route: Term = "30m"
    urgent: Term = "3wh"
    prompt: Term = "2wd"


class Desk(_Section):
    hours: str = "09:00-18:00"
    holidays: str = "RU"
    deadlines: Deadlines = Deadlines()


class Alerts(_Section):
    head: list[Secret] = []
    escalate: list[Secret] = []
    escalate_after: Seconds = 600.0
    timeout: Seconds = 10.0
    retry_every: Seconds = 60.0
    max_attempts: int = Field(default=20, ge=1, le=1000)


class Classifier(_Section):
    model: str | None = None
    gazetteer: str | None = None


class Settings(_Section):
    organisation: Organisation = Organisation()
    store: StoreSettings = StoreSettings()
    networks: dict[str, Network] = {}
    pages: list[Page] = []
    collect: Collect = Collect()
    classifier: Classifier = Classifier()
    divisions: list[Division] = []
    desk: Desk = Desk()
    alerts: Alerts = Alerts()

    _source: Source | None = None

    def where(self, *path: str | int) -> str:
        """ "config.yaml:12: networks.vk.api" for an error message about the key at `path`."""
        return self._source.where(path) if self._source else _dotted(path)

    def network(self, name: str) -> Network:
        return self.networks.get(name) or Network()


# --- the file and its lines ------------------------------------------------------------------------------------------


class Source:
    """Where each key of the file stands."""

    def __init__(self, name: str, lines: dict[tuple[str | int, ...], int]) -> None:
        self.name = name
        self.lines = lines

    def where(self, path: tuple[str | int, ...]) -> str:
        known = tuple(path)
        while known and known not in self.lines:
            known = known[:-1]
        return f"{self.name}:{self.lines.get(known, 1)}: {_dotted(path)}"


def _dotted(path: tuple[str | int, ...]) -> str:
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else (f".{part}" if out else str(part))
    return out


def _walk(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], name: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{name}:{line}: ключ должен быть словом")
            here = (*path, str(key.value))
            if here in lines:
                raise ConfigError(
                    f"{name}:{line}: {_dotted(here)}: ключ уже есть в строке {lines[here]}; оставьте один"
                )
            lines[here] = line
            _walk(value, here, lines, name)
            lines[here] = line
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _walk(item, (*path, i), lines, name)


def _parse(text: str, name: str) -> tuple[Any, Source]:
    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                line = token.start_mark.line + 1
                raise ConfigError(f"{name}:{line}: якоря и ссылки YAML (& и *) здесь не нужны; запишите значение")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[tuple[str | int, ...], int] = {}
        if node is not None:
            _walk(node, (), lines, name)
        return yaml.safe_load(text), Source(name, lines)
    except yaml.MarkedYAMLError as e:
        line = (e.problem_mark.line + 1) if e.problem_mark else 1
        raise ConfigError(
            f"{name}:{line}: это не YAML ({e.problem or 'ошибка разбора'}); проверьте отступы и кавычки"
        ) from None
    except yaml.YAMLError:
        raise ConfigError(f"{name}: в файле недопустимые символы; сохраните его как текст UTF-8") from None
    except (ValueError, RecursionError) as e:
        raise ConfigError(
            f"{name}: файл не разбирается ({type(e).__name__}); проверьте числа, даты и вложенность"
        ) from None


_MESSAGES = {
    "missing": "обязательный ключ не задан; добавьте его",
    "string_type": "нужна строка; возьмите значение в кавычки",
    "bool_type": "нужно true или false",
    "bool_parsing": "нужно true или false",
    "int_type": "нужно целое число",
    "int_parsing": "нужно целое число",
    "int_from_float": "нужно целое число",
    "float_type": "нужно число",
    "float_parsing": "нужно число",
    "list_type": "нужен список",
    "dict_type": "нужен раздел с ключами",
    "model_type": "нужен раздел с ключами",
    "model_attributes_type": "нужен раздел с ключами",
    "finite_number": "нужно конечное число",
}


def _known_keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys allowed at the parent of `path`."""
    import typing

    here: Any = model
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
        return list(here.model_fields)
    return []


def _explain(error: Any, source: Source) -> str:
    path = tuple(p for p in error["loc"] if p not in ("Person", "str"))
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
        text = _MESSAGES.get(kind, error["msg"])
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


def parse(text: str, name: str = "config.yaml") -> Settings:
    """Settings from the text of a configuration file; `name` is what errors call the file."""
    data, source = _parse(text, name)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: в файле должны быть разделы (organisation, store, networks, pages…)")
    try:
        settings = Settings.model_validate(data)
    except ValidationError as e:
        errors = e.errors(include_url=False, include_input=False)
        first = min(errors, key=lambda err: (source.lines.get(tuple(err["loc"]), 10**9), 0))
        more = f" (и ещё ошибок: {len(errors) - 1})" if len(errors) > 1 else ""
        raise ConfigError(_explain(first, source) + more) from None
    _place_secrets(settings, (), source)
    object.__setattr__(settings, "__pydantic_private__", {"_source": source})
    _check(settings, source)
    return settings


def load(path: str | os.PathLike[str] | None = None) -> Settings:
    """Read the configuration: `path`, else $OTKLIK_CONFIG, else ./config.yaml."""
    explicit = path or os.environ.get("OTKLIK_CONFIG")
    file = Path(explicit or "config.yaml")
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{file}: файл больше 1 МБ; это не похоже на настройки otklik")
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: файла настроек нет; создайте его командой otklik init или укажите --config"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: файл не в кодировке UTF-8; сохраните его в UTF-8") from None
    except OSError as e:
        raise ConfigError(f"{file}: файл настроек не читается ({e.strerror}); проверьте путь и права") from None
    return parse(text, file.name)


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


# Addresses with nothing secret in them: a local database, a loopback receiver, no user and no password.
_HARMLESS = re.compile(r"^(?:sqlite:|[a-z][a-z0-9+]*://(?:127\.0\.0\.1|localhost)(?::\d+)?/?$)", re.IGNORECASE)


# --- logs ------------------------------------------------------------------------------------------------------------


class ScrubbingFormatter(logging.Formatter):
    """Another formatter's text, traceback included, without secrets and without control characters."""

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return _CONTROL.sub("\ufffd", scrub(self._inner.format(record)))


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def install_log_scrubbing(logger: logging.Logger | None = None) -> None:
    """Have every handler of `logger` (the root) pass its lines through `scrub`; once is enough."""
    for handler in (logger or logging.getLogger()).handlers:
        if not isinstance(handler.formatter, ScrubbingFormatter):
            handler.setFormatter(ScrubbingFormatter(handler.formatter))
