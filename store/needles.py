"""How a person is called, as a pattern that finds it in any text or JSON, and masks it. Pure.

Names are found whole, in any letter case, ё as е; in another grammatical case they are not. A name of one short word
(«Анна») is everybody's: it is looked for only in answers to the person's own comments.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

MASK = "[скрыто]"
_LONG = 8
"""A single word or number of so many characters is a name of its own."""
_LEAST = 4
_IN_THREAD = re.compile(r"([\w./:-]+)(\?reply=\d+)&thread=(\d+)")
_COMMENT = re.compile(r"([\w./:-]+)\?reply=(\d+)")
_IDS = frozenset({"id", "message_id", "repeat_of", "page", "post_id", "comment_id", "external_id", "by", "consumer"})
"""Keys of JSON whose values are numbers of our own or of the network, never a name."""


@dataclass(frozen=True, slots=True)
class Needles:
    """`pattern` finds the person anywhere; `near` also single words of the name, for answers to the person.

    `parents`: external ids of the person's comments -> what they are called from now on. `threads`: (address of a post,
    number of a comment of the person's below it): addresses of answers name the comment that began their thread.
    """

    pattern: re.Pattern[str] | None
    near: re.Pattern[str] | None
    parents: dict[str, str]
    network: str
    author_id: str | None
    threads: frozenset[tuple[str, str]] = frozenset()

    def found(self, text: str, *, near: bool = False) -> bool:
        pattern = self.near if near else self.pattern
        if self.threads and any((_core(m[1]), m[3]) in self.threads for m in _IN_THREAD.finditer(text)):
            return True
        return pattern is not None and pattern.search(text) is not None

    def masked(self, text: str, *, near: bool = False) -> str:
        pattern = self.near if near else self.pattern
        if self.threads:
            text = _IN_THREAD.sub(lambda m: m[1] + m[2] if (_core(m[1]), m[3]) in self.threads else m[0], text)
        return text if pattern is None else pattern.sub(MASK, text)

    def masked_json(self, value: Any, *, near: bool = False, key: str = "") -> Any:
        """The same value with every text in it masked. Who wrote it stays: a namesake is somebody else."""
        if isinstance(value, str):
            if key == "parent_id":
                return self.parents.get(value, value)
            return value if key in _IDS else self.masked(value, near=near)
        if isinstance(value, list):
            return [self.masked_json(v, near=near, key=key) for v in value]
        if isinstance(value, dict):
            return {
                k: v if k == "author" and isinstance(v, dict) else self.masked_json(v, near=near, key=k)
                for k, v in value.items()
            }
        return value


def make(
    network: str,
    author_id: str | None,
    names: Collection[str],
    urls: Collection[str],
    parents: dict[str, str],
) -> Needles:
    """The needles of one person: `urls` are those of the profile and of the person's comments."""
    anywhere = [p for n in names if n and _own(n) for p in _forms(_name(n), n)]
    words = {w for n in names for w in re.findall(r"[\w-]+", n or "") if len(w) >= _LEAST and not w.isdigit()}
    nearby = [_name(w) for w in sorted(words | {n for n in names if n and len(n) >= _LEAST})]
    for url in sorted(urls):
        core = _core(url)
        if len(core) >= _LONG:
            anywhere += [rf"(?:\w+://)?(?:www\.|m\.)?{p}(?!\w)" for p in _forms(re.escape(core), core)]
    if author_id:
        anywhere += _ids(author_id)
    threads = frozenset((_core(m[1]), m[2]) for m in map(_COMMENT.match, urls) if m)
    return Needles(_any(anywhere), _any([*anywhere, *nearby]), parents, network, author_id, threads)


def _core(url: str) -> str:
    return re.sub(r"^\w+://(?:www\.|m\.)?", "", url).rstrip("/")


def _own(name: str) -> bool:
    """Whether a name is one person's rather than everybody's."""
    return (len(re.findall(r"\w+", name)) > 1 and len(name) >= _LEAST + 2) or len(name) >= _LONG


def _name(name: str) -> str:
    words = r"\s+".join(re.sub("[её]", "[её]", re.escape(w).lower()) for w in name.split())
    return rf"(?<!\w){words}(?!\w)"


def _forms(pattern: str, text: str) -> list[str]:
    """The pattern, and that of the text as it stands inside JSON, where that differs."""
    inside = orjson.dumps(text).decode()[1:-1]
    return [pattern] if inside == text else [pattern, re.escape(inside)]


def _ids(id_: str) -> Iterable[str]:
    """An id in a mention, in an address, or by itself when it is long."""
    found = re.escape(id_)
    yield rf"\[(?:id|club|public)?{found}\|[^\]\[]{{0,200}}\]"
    yield rf"(?<!\w)@?id{found}(?!\w)"
    if len(id_) >= _LONG or (not id_.isdigit() and len(id_) > _LEAST):
        yield rf"(?<!\w){found}(?!\w)"


def _any(parts: Collection[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None
