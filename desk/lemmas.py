"""Words of Russian texts in their first form, for the checks of answers. Pure; the dictionary is loaded once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_WORD = re.compile(r"[а-яё]+(?:-[а-яё]+)*|[a-z]+", re.IGNORECASE)
_CONTENT = frozenset({"NOUN", "ADJF", "ADJS", "COMP", "VERB", "INFN", "PRTF", "PRTS", "GRND", "ADVB"})
_FUNCTION_WORDS = """быть мочь стать хотеть это весь свой наш ваш который такой другой сам самый каждый любой какой один
очень уже еще только можно нужно надо также тоже здесь там тут где когда почему как так потом теперь опять снова
просто"""
_EMPTY = frozenset(_FUNCTION_WORDS.split())


@lru_cache(maxsize=1)
def _morphology() -> Any:
    import pymorphy3

    return pymorphy3.MorphAnalyzer(lang="ru")


@lru_cache(maxsize=20_000)
def parse(word: str) -> Any:
    """The likeliest reading of a word, None for what is not Russian."""
    return _morphology().parse(word)[0] if re.match(r"[а-яё]", word, re.IGNORECASE) else None


def words(text: str) -> list[str]:
    """The words of a text in lower case, "е" for "ё"."""
    return [w.lower().replace("ё", "е") for w in _WORD.findall(text)]


def lemma(word: str) -> str:
    found = parse(word)
    return word if found is None else found.normal_form.replace("ё", "е")


def content(text: str) -> list[str]:
    """The lemmas of the words that say something, in order."""
    return list(_content(text))


def _content(text: str) -> Iterator[str]:
    for word in words(text):
        found = parse(word)
        if found is None:
            if len(word) > 3:
                yield word
        elif found.tag.POS in _CONTENT and "Apro" not in found.tag:
            normal = found.normal_form.replace("ё", "е")
            if normal not in _EMPTY and len(normal) > 2:
                yield normal


def is_first_name(word: str) -> bool:
    """Whether the dictionary knows it as a first name."""
    return any({"Name", "nomn", "sing"} <= set(p.tag.grammemes) for p in _morphology().parse(word))


def is_patronymic(word: str) -> bool:
    return any("Patr" in p.tag and p.is_known for p in _morphology().parse(word)) or bool(
        re.fullmatch(r"[а-яё]{3,}(?:вич|вна|ична|евны|овны|овне|евне|вича|вичу|вичем)", word.lower())
    )
