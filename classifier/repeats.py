"""The same question again: a text becomes a `Signature`, which finds and compares others. Pure functions of words.

Texts that ask nothing (thanks, chat, "+1") have no signature; long ones have their fingerprint only, so that what is
pasted en masse is one cluster all the same.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from classifier.comparing import compare, contradict
from classifier.content import Content, Gist, read, unpack
from classifier.words import Word
from store.values import Likeness

MIN_COPY_WORDS = 6
_THANKS = frozenset(("спасибо", "благодарю", "благодарим", "благодарность", "спс"))
_BANDS = ((0x9E3779B1, 0x85EBCA77), (0xC2B2AE3D, 0x27D4EB2F), (0x165667B1, 0xD3A2646D))


@dataclass(frozen=True, slots=True)
class Signature:
    """See `store.values.Signature`."""

    keys: tuple[int, ...]
    topical: tuple[int, ...]
    body: str
    copy: int

    def __reduce__(self) -> Any:
        return Signature, (self.keys, self.topical, self.body, self.copy)

    def likeness(self, body: str, *, same_author: bool, near: str, apart_s: float) -> Likeness | None:
        return compare(unpack(self.body), unpack(body), same_author=same_author, near=near, apart_s=apart_s)

    def contradicts(self, body: str) -> bool:
        return contradict(unpack(self.body), unpack(body))


def signature(words: Sequence[Word], said: Gist, place_bits: int = 0) -> Signature | None:
    """What `words` (those of one text, in order) are found and compared by; None when they ask nothing.

    `place_bits`: bits of `Word.mask` that mark geographical names; these are compared as places, not as words.
    """
    forms = [w.form for w in words if w.form[0].isalnum()]
    content = None
    if said.reaction != "none":
        content = read(words, said, place_bits)
    elif said.places and _THANKS.isdisjoint(forms):
        seen = read(words, said, place_bits)
        if seen.sign < 0 and seen.subjects and seen.aspects:  # a trouble at a place, whatever it sounds like
            content = seen
    if content is None:
        if len(forms) < MIN_COPY_WORDS:
            return None
        content = Content(copy=_fingerprint(forms))
        return Signature((content.copy,), (), content.pack(), content.copy)
    topicless = not (content.subjects or content.emergency)
    if len(content.terms) < (3 if topicless and not content.settlements else 2) and (
        topicless or not (content.aspects or content.emergency or content.settlements)
    ):
        return None
    content.copy = _fingerprint(forms)
    keys, topical = _keys(content, len(forms))
    return Signature(keys, topical, content.pack(), content.copy if content.tells else 0)


def _fingerprint(forms: Sequence[str]) -> int:
    """A hash of the words in their order; whole texts are not worth a cache."""
    return int.from_bytes(hashlib.blake2b(" ".join(forms).encode(), digest_size=6).digest())


# --- how candidates are found -----------------------------------------------------------------------------------------


def _mixed(*parts: int) -> int:
    """One key out of several hashes, in their order."""
    key = 0
    for part in parts:
        key = ((key ^ part) * 0x9E3779B97F4A7C15 + 0x7F4A7C15) & 0xFFFFFFFFFFFFFFFF
        key ^= key >> 29
    return key & 0xFFFFFFFFFFFF


def _keys(c: Content, length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(keys that two repeats are likely to share, keys that mean something with an author or a post only)."""
    about = sorted(c.subjects)[:3] + ([c.emergency] if c.emergency else [])
    where = [*sorted(c.names)[:2], *sorted(c.settlements)[:2], *sorted(c.objects)[:1]]
    aspects = sorted(c.aspects)[:2]
    keys = {_mixed(p, s) for p in where for s in about}
    keys |= {_mixed(p, s, a) for p in where for s in about for a in aspects}
    topical = {_mixed(s, a) for s in about for a in aspects} or {_mixed(s) for s in about}
    telling = [] if about and where else [t for t, _ in sorted(c.terms.items(), key=lambda p: (-p[1], p[0]))]
    if not about:
        keys |= {_mixed(p, t) for p in where for t in telling[:3]}
        topical |= {_mixed(t) for t in telling[:2]}
    if not where and about:
        keys |= {_mixed(*pair) for pair in itertools.combinations(about, 2)}
        keys |= {_mixed(s, t) for s in about[:2] for t in telling[:4] if t not in c.subjects}
    if not (where and about) and len(c.terms) >= 3:
        keys |= {_mixed(n, *band) for n, band in enumerate(_bands(c.terms))}
    if length >= MIN_COPY_WORDS or c.tells:
        keys.add(c.copy)
    return tuple(sorted(keys)), tuple(sorted(topical))[:4]


def _bands(terms: Iterable[int]) -> list[list[int]]:
    """Of each pair of permutations the two smallest: texts that share most terms share a band likely (MinHash)."""
    return [[min((t * m) & 0xFFFFFFFF for t in terms) for m in pair] for pair in _BANDS]
