"""Clause 8 again: an answer that was given to somebody else, about another matter or place, is no answer to this one.

Only where the earlier text does not speak of this message's place or matter: the same good answer to the same question
may be given again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from desk.checks import WARNING, Draft, Earlier, Finding
from desk.checks.empty import FORMULA
from desk.checks.relevance import shared
from desk.lemmas import content, words
from desk.text import plain

ALIKE = 0.75
"""Share of common pairs of words from which two texts are one with small changes."""
SHORT = 8
"""Words below which texts are alike by accident."""


def check(draft: Draft) -> Iterator[Finding]:
    if draft.kind not in ("final", "interim"):
        return
    mine = _pairs(draft.text)
    if len(mine) < SHORT:
        return
    best = max(draft.earlier, key=lambda e: _likeness(mine, e), default=None)
    if best is None or _likeness(mine, best) < ALIKE or _fits(draft):
        return
    about = f"о другом месте ({plain(', '.join(best.places), 60)})" if best.places else "на другой вопрос"
    yield Finding(
        WARNING,
        "copies",
        f"текст повторяет ответ на сообщение {best.message_id} {about} и не говорит о том, что спросили здесь (п. 8)",
    )


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    row = words(text)
    return frozenset(pairwise(row))


def _likeness(mine: frozenset[tuple[str, str]], earlier: Earlier) -> float:
    theirs = _pairs(earlier.text)
    return len(mine & theirs) / max(1, len(mine | theirs))


def _fits(draft: Draft) -> bool:
    """Whether the text speaks of this message: of its place where it names one, else of its matter."""
    said = set(content(draft.text)) - FORMULA
    places = words(" ".join(draft.places))
    if places:  # their cases are not in the dictionary: «в Хкеме»
        return any(w.startswith(p[: max(3, len(p) - 1)]) for p in places for w in words(draft.text))
    return shared(set(content(draft.message)) - FORMULA | set(content(draft.topic)) - FORMULA, said)
