"""Finding by a few letters: a topic, a place, a division, a person. Pure.

What begins like the words that were typed comes first, then what is like them (rapidfuzz): a slip of the finger,
another ending, the wrong keyboard layout find it all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_ENGLISH = "qwertyuiop[]asdfghjkl;'zxcvbnm,.`"
_RUSSIAN = "йцукенгшщзхъфывапролджэячсмитьбюё"
_TO_RUSSIAN = str.maketrans(_ENGLISH, _RUSSIAN)
_TO_ENGLISH = str.maketrans(_RUSSIAN, _ENGLISH)
GOOD = 60.0
"""What is less like the words than this is not shown (0..100)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to choose: `value` for the program, `title` and `detail` for people, `also` other words for it."""

    value: Any
    title: str
    detail: str = ""
    also: str = ""


def find(query: str, choices: Sequence[Choice], limit: int = 8) -> list[Choice]:
    """The choices most like `query`, best first; all in their order when nothing was typed."""
    words = fold(query)
    if not words:
        return list(choices[:limit])
    found = _ranked(words, choices)
    if not found or found[0][0] < 90:
        for other in {words.translate(_TO_RUSSIAN), words.translate(_TO_ENGLISH)} - {words}:
            again = _ranked(other, choices)
            if again and (not found or again[0][0] > found[0][0] + 5):
                found = again
    return [choice for _, _, choice in found[:limit]]


def same_key(letter: str) -> str:
    """The Latin letter on the key of a Russian one, in the same case; others as they are."""
    low = letter.lower()
    latin = low.translate(_TO_ENGLISH)
    return latin.upper() if letter != low and len(latin) == 1 else latin


def _ranked(words: str, choices: Sequence[Choice]) -> list[tuple[float, int, Choice]]:
    ranked = [(_score(words, c), -i, c) for i, c in enumerate(choices)]
    return sorted((r for r in ranked if r[0] >= GOOD), key=lambda r: r[:2], reverse=True)


def _score(words: str, choice: Choice) -> float:
    """0..110: the mean likeness of the words typed to the nearest words of the choice; of equal ones the shorter."""
    title, rest = fold(choice.title), fold(f"{choice.also} {choice.detail}")
    if title == words:
        return 110.0
    typed, own, more = words.split(), title.split(), rest.split()
    near = sum(max((_like(t, w) for w in own), default=0.0) for t in typed) / len(typed)
    if more and near < 99:
        wide = sum(max((_like(t, w) for w in (*own, *more)), default=0.0) for t in typed) / len(typed)
        near = max(near, wide - 8)
    return near - min(len(title), 60) / 20


@lru_cache(maxsize=65_536)
def _like(typed: str, word: str) -> float:
    """How much a word is like the beginning of another, 0..100; another ending costs little."""
    if word.startswith(typed):
        return 100.0
    if len(typed) >= 5 and word.startswith(typed[: max(4, len(typed) - 2)]):
        return 95.0
    if len(typed) < 3:
        return 0.0
    if word.startswith(typed[:-1]) or (len(word) >= 3 and typed.startswith(word)):
        return 88.0
    from rapidfuzz import fuzz

    found = max(fuzz.ratio(typed, word[: len(typed)]), fuzz.ratio(typed, word))
    return 0.95 * found if found >= 70 else 0.0


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """The form in which words are compared: letter case, ё and punctuation make no difference."""
    folded = text.casefold().replace("ё", "е")
    return " ".join("".join(c if c.isalnum() or c in "[];',.`" else " " for c in folded).split())
