"""How VK's methods are declared: parameters, their checks, tokens. Their answers are in `vk_methods`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.vk import VkFace

ANY = ("user", "group", "service")


class ApiError(Exception):
    """An answer with this code; `detail` follows the code's usual message."""

    def __init__(self, code: int, detail: str = "", **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.more = more


@dataclass(frozen=True, slots=True)
class P:
    """One parameter: `type` int, str, bool or list; `low`/`high` bounds of a number (of the length of a list)."""

    type: str = "int"
    required: bool = False
    low: int | None = None
    high: int | None = None
    default: Any = None
    enum: tuple[Any, ...] = ()

    def read(self, name: str, raw: str) -> Any:
        if self.type == "str":
            value: Any = raw
        elif self.type == "list":
            value = [x.strip() for x in raw.split(",") if x.strip()]
            if self.high is not None and len(value) > self.high:
                raise ApiError(100, f"{name} should be less or equal to {self.high} items")
        elif self.type == "bool":
            if raw.lower() not in ("0", "1", "true", "false", ""):
                raise ApiError(100, f"{name} not boolean")
            value = raw.lower() in ("1", "true")
        else:
            body = raw[1:] if raw[:1] == "-" else raw
            if not (body.isascii() and body.isdigit() and len(body) <= 18):
                raise ApiError(100, f"{name} not integer")
            value = int(raw)
            if self.low is not None and value < self.low:
                raise ApiError(100, f"{name} should be greater or equal to {self.low}")
            if self.high is not None and value > self.high:
                raise ApiError(100, f"{name} should be less or equal to {self.high}")
        if self.enum and value not in self.enum:
            raise ApiError(100, f"{name} has an unknown value")
        return value


COMMON = frozenset(
    {"v", "access_token", "lang", "https", "test_mode", "captcha_sid", "captcha_key", "success_token", "confirm"}
)
"""Parameters that every method takes."""

OWNER = P()
BOOL = P("bool")
LIST = P("list")
TEXT = P("str")
OFFSET = P(low=0)


@dataclass(frozen=True, slots=True)
class Method:
    run: Callable[[VkFace, Mapping[str, Any]], Any]
    tokens: Sequence[str]
    params: Mapping[str, P] = field(default_factory=dict)


METHODS: dict[str, Method] = {}


def method(name: str, tokens: Sequence[str], **params: P) -> Callable[[Any], Any]:
    def register(run: Callable[[VkFace, Mapping[str, Any]], Any]) -> Any:
        METHODS[name] = Method(run, tokens, params)
        return run

    return register


def check_version(params: Mapping[str, str]) -> None:
    if "v" not in params:
        raise ApiError(8, "v (version) is required")
    number = version_number(params["v"])
    if not 5.081 <= number <= 5.199:
        raise ApiError(8, "versions below 5.81 and above 5.199 are not served here")


def version_number(version: str) -> float:
    major, _, minor = str(version).partition(".")
    if not (major.isdecimal() and minor.isdecimal() and len(major) < 3 and len(minor) < 4):
        return 0.0
    return int(major) + int(minor) / 1000


def read_values(method: Method, params: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: spec.default for name, spec in method.params.items()}
    for name, raw in params.items():
        if name in COMMON:
            continue
        spec = method.params.get(name)
        if spec is None:
            raise ApiError(100, f"{name[:60]} is unknown to this method")
        if raw != "" or spec.type in ("str", "list"):
            values[name] = spec.read(name, str(raw))
    for name, spec in method.params.items():
        if spec.required and (values[name] is None or values[name] == [] or values[name] == ""):
            raise ApiError(100, f"{name} is undefined")
    return values
