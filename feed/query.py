"""The parameters of a request: each known, given once, in bounds. Anything else is a Problem 400. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from feed.problems import Problem
from feed.schema import find
from settings import ConfigError

Read = Callable[[str, str], Any]


def number(least: int, most: int) -> Read:
    def read(name: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or not least <= int(text) <= most:
            raise Problem(400, f"{name}: нужно целое число от {least} до {most}")
        return int(text)

    return read


def one_of(*known: str) -> Read:
    def read(name: str, text: str) -> str:
        if text not in known:
            raise Problem(400, f"{name}: нужно одно из {', '.join(known)}")
        return text

    return read


def word(longest: int = 200) -> Read:
    def read(name: str, text: str) -> str:
        if not text.strip() or len(text) > longest or not text.isprintable():
            raise Problem(400, f"{name}: нужна непустая строка не длиннее {longest} знаков")
        return text.strip()

    return read


def types(name: str, text: str) -> frozenset[str]:
    """Event types by full or short names, separated by commas."""
    if len(text) > 1000:
        raise Problem(400, f"{name}: список слишком длинный")
    try:
        return frozenset(find(part) for part in text.split(","))
    except ConfigError as e:
        raise Problem(400, f"{name}: {e}") from None


def parse(pairs: Sequence[tuple[str, str]], known: Mapping[str, Read]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name not in known:
            raise Problem(400, f"неизвестный параметр {name[:40]!r}; известны: {', '.join(known) or 'никакие'}")
        if name in found:
            raise Problem(400, f"{name}: дано дважды; оставьте одно значение")
        found[name] = known[name](name, text)
    return found
