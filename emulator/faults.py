"""Plans of faults: what goes wrong, in which calls.

A plan is a text, `METHOD:KIND[=VALUE]` with optional marks, several divided by `;` or new lines:

    wall.getComments:error=6*3        the first three calls answer VK's error 6
    *:http=502%10                     every tenth request, by chance with the plan's seed, is a 502
    wall.get:truncate@2               the second call's body breaks off
    execute:slow=2@5-7                calls five to seven take two seconds more

METHOD is a name or a pattern (`wall.*`); `*` means every HTTP request. A network's own errors and the faults of content
(`CONTENT`) also strike calls inside `execute` when METHOD names the inner method. `*N` strikes N times, `@N` the N-th
call of that pattern, `%P` by chance.
The same as YAML or JSON: a list of `{method, kind, value, times, nth, chance}` or of such texts.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from settings import ConfigError, os_problem

KINDS: dict[str, str] = {
    "error": "the network's own error with this code",
    "http": "this HTTP status; `429,5` adds Retry-After: 5",
    "redirect": "302 to this address",
    "truncate": "Content-Length promises more than the body has; value = share of the body sent (0.5)",
    "slow": "so many seconds before the answer",
    "drip": "the body trickles, so many seconds in all",
    "html": "200 and a page of HTML",
    "type": "the right body under a wrong Content-Type",
    "empty": "200 and no body",
    "reset": "the connection is reset instead of an answer",
    "close": "the connection is closed without an answer",
    "json": "a body that is not JSON",
    "shape": "JSON of another shape than the network's answers have",
    "null": "an answer that says nothing (VK: `response` is null)",
    "huge": "the right body with so many bytes of white space before it",
    "counter": "counters in the answer are off by this",
    "hollow": "no items, whatever the counter says",
    "shift": "so many random changes of the world before the answer",
}
CONTENT = frozenset({"counter", "hollow", "shift"})
"""Faults of what is said rather than of how it is carried."""

_DEFAULT: dict[str, Any] = {
    "error": 10,
    "http": 500,
    "redirect": "http://127.0.0.1:9/",
    "truncate": 0.5,
    "slow": 1.0,
    "drip": 1.0,
    "huge": 64 * 2**20,
    "counter": 5,
    "shift": 1,
}
_TEXT = re.compile(
    r"^\s*(?P<method>[^:\s]+)\s*:\s*(?P<kind>[a-z]+)"
    r"(?:=(?P<value>.*?))?(?P<marks>(?:\*\d+|@\d+(?:-\d+)?|%\d+(?:\.\d+)?)*)\s*$"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of a plan. `first`..`last`: numbers of the calls it strikes; `times`: at most so often."""

    method: str
    kind: str
    value: Any = None
    times: int | None = None
    first: int | None = None
    last: int | None = None
    chance: float | None = None

    def __str__(self) -> str:
        text = f"{self.method}:{self.kind}" + ("" if self.value is None else f"={self.value}")
        if self.times is not None:
            text += f"*{self.times}"
        if self.first is not None:
            text += f"@{self.first}" + (f"-{self.last}" if self.last != self.first else "")
        return text + (f"%{self.chance * 100:g}" if self.chance is not None else "")


def _value(kind: str, raw: Any) -> Any:
    if raw is None or raw == "":
        return _DEFAULT.get(kind)
    if kind == "http":
        status, _, wait = str(raw).partition(",")
        if not (status.isdigit() and 200 <= int(status) <= 599 and (not wait or wait.isdigit())):
            raise ConfigError(f"план сбоев: http={raw}: нужен код ответа, например http=502 или http=429,5")
        return str(raw)
    if kind == "redirect":
        if any(ord(c) < 33 for c in str(raw)):
            raise ConfigError("план сбоев: в адресе redirect есть пробелы или управляющие символы; уберите их")
        return str(raw)
    if kind == "error" and re.fullmatch(r"[A-Za-z][\w.-]{2,60}", str(raw)):
        return str(raw)  # some networks call their errors by words
    if kind not in _DEFAULT:
        raise ConfigError(f"план сбоев: у {kind} нет значения; напишите без «={raw}»")
    try:
        number = float(raw)
    except (TypeError, ValueError):
        raise ConfigError(f"план сбоев: {kind}={raw}: нужно число") from None
    if not abs(number) <= 2**40 or (number < 0 and kind != "counter"):
        raise ConfigError(f"план сбоев: {kind}={raw}: число вне разумных пределов")
    if kind == "truncate" and number > 1:
        raise ConfigError(f"план сбоев: truncate={raw}: нужна доля тела от 0 до 1")
    return number if kind in ("truncate", "slow", "drip") else int(number)


def make(method: str, kind: str, value: Any = None, **marks: Any) -> Fault:
    """A checked fault."""
    if kind not in KINDS:
        raise ConfigError(f"план сбоев: неизвестный сбой {kind}; известны: {', '.join(KINDS)}")
    return Fault(method, kind, _value(kind, value), **marks)


def _from_text(text: str) -> Fault:
    m = _TEXT.match(text)
    if not m:
        raise ConfigError(f"план сбоев: не понятно «{text.strip()[:80]}»; пример: wall.getComments:error=6*3")
    marks: dict[str, Any] = {}
    for sign, number, until in re.findall(r"([*@%])(\d+(?:\.\d+)?)(?:-(\d+))?", m["marks"]):
        if sign == "*":
            marks["times"] = int(number)
        elif sign == "@":
            marks["first"], marks["last"] = int(number), int(until or number)
        else:
            marks["chance"] = float(number) / 100
    return make(m["method"], m["kind"], m["value"], **marks)


def _from_mapping(item: Mapping[str, Any]) -> Fault:
    unknown = set(item) - {"method", "kind", "value", "times", "nth", "chance"}
    if unknown or "kind" not in item:
        raise ConfigError(
            "план сбоев: нужны ключи method, kind и по желанию value, times, nth, chance"
            + (f"; лишний: {sorted(map(str, unknown))[0]}" if unknown else "")
        )
    marks: dict[str, Any] = {}
    try:
        if item.get("times") is not None:
            marks["times"] = int(item["times"])
        if item.get("nth") is not None:
            marks["first"] = marks["last"] = int(item["nth"])
        if item.get("chance") is not None:
            marks["chance"] = float(item["chance"])
    except (TypeError, ValueError):
        raise ConfigError("план сбоев: times и nth — целые числа, chance — доля от 0 до 1") from None
    return make(str(item.get("method", "*")), str(item["kind"]), item.get("value"), **marks)


class Plan:
    """Faults and how often each has struck. Thread-safe; the first fault that fits a call strikes."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self.faults = list(faults)
        self._rng = random.Random(seed)
        self._seen = [0] * len(self.faults)
        self._struck = [0] * len(self.faults)
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, plan: Plan | str | Path | Iterable[Any] | None, seed: int = 0) -> Plan:
        """A plan from its text, a file (`.yaml`, `.yml`, `.json`), a list, or None for a well-behaved network."""
        if isinstance(plan, Plan):
            return plan
        if plan is None:
            return cls()
        if isinstance(plan, Path) or (isinstance(plan, str) and re.search(r"\.(ya?ml|json)$", plan.strip())):
            plan = _read(Path(str(plan).strip()))
        if isinstance(plan, str):
            plan = [part for part in re.split(r"[;\n]", plan) if part.strip()]
        found = []
        for item in plan:
            if isinstance(item, Fault):
                found.append(item)
            elif isinstance(item, str):
                found.append(_from_text(item))
            elif isinstance(item, Mapping):
                found.append(_from_mapping(item))
            else:
                raise ConfigError("план сбоев: нужен список строк вида wall.get:http=502@2")
        return cls(found, seed)

    def pick(self, method: str, *, inner: bool = False) -> Fault | None:
        """The fault that strikes this call, if any. `inner`: a call inside `execute`."""
        with self._lock:
            for i, fault in enumerate(self.faults):
                if inner and (fault.method == "*" or not (fault.kind in CONTENT or fault.kind in ("error", "null"))):
                    continue
                if not fnmatchcase(method, fault.method):
                    continue
                self._seen[i] += 1
                if fault.times is not None and self._struck[i] >= fault.times:
                    continue
                if fault.first is not None and not fault.first <= self._seen[i] <= (fault.last or fault.first):
                    continue
                if fault.chance is not None and self._rng.random() >= fault.chance:
                    continue
                self._struck[i] += 1
                return fault
        return None

    @property
    def struck(self) -> int:
        """How many faults have struck so far."""
        return sum(self._struck)

    def __str__(self) -> str:
        return "; ".join(map(str, self.faults))


def _read(path: Path) -> Any:
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"план сбоев {path.name} не читается ({os_problem(e)}); проверьте путь") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"план сбоев {path.name} — не YAML и не JSON; проверьте файл") from None
    if not isinstance(data, list):
        raise ConfigError(f"план сбоев {path.name}: нужен список")
    return data


VK_CODES: dict[int, str] = {
    1: "Unknown error occurred",
    2: "Application is disabled",
    3: "Unknown method passed",
    4: "Incorrect signature",
    5: "User authorization failed",
    6: "Too many requests per second",
    7: "Permission to perform this action is denied",
    8: "Invalid request",
    9: "Flood control",
    10: "Internal server error",
    11: "Test mode mismatch",
    12: "Unable to compile code",
    13: "Runtime error occurred during code invocation",
    14: "Captcha needed",
    15: "Access denied",
    16: "HTTP authorization failed",
    17: "Validation required",
    18: "User was deleted or banned",
    19: "Content blocked",
    20: "Denied for non-standalone applications",
    21: "Allowed only for standalone applications",
    23: "This method was disabled",
    24: "Confirmation required",
    25: "Token confirmation required",
    27: "Group authorization failed",
    28: "Application authorization failed",
    29: "Rate limit reached",
    30: "This profile is private",
    33: "Not implemented yet",
    34: "Client version deprecated",
    35: "Client update needed",
    36: "Method execution was interrupted due to timeout",
    37: "User was banned",
    38: "Unknown application",
    39: "Unknown user",
    40: "Unknown group",
    41: "Additional signup required",
    42: "IP is not allowed",
    43: "This section is temporary unavailable",
    100: "One of the parameters specified was missing or invalid",
    101: "Invalid application API ID",
    103: "Out of limits",
    104: "Not found",
    113: "Invalid user id",
    114: "Invalid album id",
    125: "Invalid group id",
    150: "Invalid timestamp",
    200: "Access denied",
    201: "Access denied",
    203: "Access to group denied",
    204: "Access denied",
    210: "Access to wall's post denied",
    211: "Access to wall's comment denied",
    212: "Access to post comments denied",
    213: "Access to status replies denied",
    222: "Hyperlinks are forbidden",
    223: "Too many replies",
    300: "This album is full",
    500: "Permission denied, payments are not enabled",
    600: "Permission denied in ads",
    603: "Some ads error occurred",
    801: "Comments for this video are closed",
    1105: "Too many auth attempts, try again later",
    1114: "Anonymous token has expired",
    1116: "Anonymous token is invalid",
    1117: "Access token has expired",
    1118: "Anonymous token ip mismatch",
    3300: "Recaptcha needed",
    3301: "Phone validation needed",
    3302: "Password validation needed",
    3303: "Otp app validation needed",
    3304: "Email confirmation needed",
    3305: "Assert votes",
    3609: "Token extension required",
    3610: "User is deactivated",
    3611: "Service is deactivated for user",
    9999: "Not supported http method",
    11500: "CheckUserAction confirmation required",
}
"""The codes a caller of our methods can meet: all global ones, and those of the methods themselves."""

WIRE_FAULTS: tuple[str, ...] = (
    *(f"http={status}" for status in ("400", "401", "403", "404", "408", "429", "429,1", "500", "502", "503", "504")),
    "redirect=http://127.0.0.1:9/",
    "truncate=0",
    "truncate=0.5",
    "truncate=0.99",
    "slow=0.2",
    "drip=0.2",
    "html",
    "type",
    "empty",
    "reset",
    "close",
    "json",
    "shape",
    "null",
    "huge=67108864",
    "counter=7",
    "counter=-2",
    "hollow",
    "shift=3",
)
"""Every kind of fault but the network's own errors, with telling values, to be put behind `METHOD:`."""

SOME_FAULTS: tuple[str, ...] = (
    "http=404", "http=429,1", "http=502", "redirect=http://127.0.0.1:9/", "truncate=0.5", "slow=0.02", "html", "type",
    "empty", "reset", "json", "shape", "null", "counter=7", "hollow", "shift=3",
)  # fmt: skip
"""One of each sort, for networks whose transport is the shared one."""

ALL_FAULTS: tuple[str, ...] = (*(f"error={code}" for code in VK_CODES), *WIRE_FAULTS)
"""Every kind of fault of VK."""
