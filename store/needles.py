"""How a person is called, as patterns that find it in any text or JSON, and mask it. Pure.

Names are found whole, in any letter case, ё as е; in another grammatical case they are not. A name of one short word
(«Анна») is everybody's: it is looked for only in answers to the person's own comments. Every pattern has marks, plain
words that a text must hold to be worth a closer look, so that a whole database can be looked through.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

MASK = "[скрыто]"
_LONG = 8
"""A single word or number of so many characters is a name of its own."""
_LEAST = 4
_NUMBERED = re.compile(r"(?:reply|thread)=(\d+)")
_COMMENT = re.compile(r"([\w./:-]+)\?reply=(\d+)$")
_IN_THREAD = re.compile(r"([\w./:-]+)(\?reply=\d+)&thread=(\d+)")
_IDS = frozenset({"id", "message_id", "repeat_of", "page", "post_id", "comment_id", "external_id", "by", "consumer"})
"""Keys of JSON whose values are numbers of our own or of the network, never a name."""


@dataclass(frozen=True, slots=True)
class Needle:
    """`marks`: folded words that all stand in a text in which `pattern` is found."""

    marks: tuple[str, ...]
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Needles:
    """`anywhere` find the person in any text; `near` also single words of the name, in answers to the person.

    `parents`: external ids of the person's comments -> what they are called from now on. `numbered`: number of a
    comment in an address `…?reply=7` -> the patterns of such addresses; `threads`: (address of the post, number):
    addresses of answers name the comment that began their thread.
    """

    anywhere: tuple[Needle, ...]
    near: tuple[Needle, ...]
    parents: Mapping[str, str]
    network: str
    author_id: str | None
    numbered: Mapping[str, tuple[re.Pattern[str], ...]] = field(default_factory=dict)
    threads: frozenset[tuple[str, str]] = frozenset()

    def found(self, text: str, *, near: bool = False) -> bool:
        return self.masked(text, near=near) != text

    def masked(self, text: str, *, near: bool = False) -> str:
        low = _folded(text)
        for needle in (*self.anywhere, *self.near) if near else self.anywhere:
            if all(mark in low for mark in needle.marks):
                text = needle.pattern.sub(MASK, text)
        if self.numbered and ("reply=" in low or "thread=" in low):
            here = self.numbered.keys() & set(_NUMBERED.findall(low))
            if here:
                text = _IN_THREAD.sub(lambda m: m[1] + m[2] if (_core(m[1]), m[3]) in self.threads else m[0], text)
            for number in sorted(here):
                for pattern in self.numbered[number]:
                    text = pattern.sub(MASK, text)
        return text

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
    network: str, author_id: str | None, names: Collection[str], urls: Collection[str], parents: Mapping[str, str]
) -> Needles:
    """The needles of one person: `urls` are those of the profile and of the person's comments."""
    names = sorted({n for n in names if n})
    anywhere = [Needle(_marks(n), _compiled(*_forms(_name(n), n))) for n in names if _own(n)]
    words = {w for n in names for w in re.findall(r"[\w-]+", n) if len(w) >= _LEAST and not w.isdigit()}
    near = [Needle(_marks(w), _compiled(_name(w))) for w in sorted(words | {n for n in names if len(n) >= _LEAST})]
    numbered: dict[str, tuple[re.Pattern[str], ...]] = {}
    threads = set()
    for url in sorted(urls):
        core = _core(url)
        if len(core) < _LONG:
            continue
        forms = (rf"(?:https?://)?(?:www\.|m\.)?{p}(?!\w)" for p in _forms(re.escape(core), core))
        if (comment := _COMMENT.match(url)) is not None:
            numbered[comment[2]] = (*numbered.get(comment[2], ()), _compiled(*forms))
            threads.add((_core(comment[1]), comment[2]))
        else:
            anywhere.append(Needle((_folded(core),), _compiled(*forms)))
    if author_id:
        anywhere.append(Needle((_folded(author_id),), _compiled(*_ids(author_id))))
    return Needles(tuple(anywhere), tuple(near), parents, network, author_id, numbered, frozenset(threads))


def _folded(text: str) -> str:
    return text.casefold().replace("ё", "е")


def _core(url: str) -> str:
    return re.sub(r"^\w+://(?:www\.|m\.)?", "", url).rstrip("/")


def _marks(name: str) -> tuple[str, ...]:
    return tuple(_folded(w) for w in re.findall(r"\w+", name)) or (_folded(name),)


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


def _ids(id_: str) -> Iterator[str]:
    """An id in a mention, in an address, or by itself when it is long."""
    found = re.escape(id_)
    yield rf"\[(?:id|club|public)?{found}\|[^\]\[]{{0,200}}\]"
    yield rf"(?<!\w)@?id{found}(?!\w)"
    if len(id_) >= _LONG or (not id_.isdigit() and len(id_) > _LEAST):
        yield rf"(?<!\w){found}(?!\w)"


def _compiled(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)
