"""Streets by pattern: «ул. Кирова 5», «на улице Магомеда Ярагского», «ул. 8 Марта». They need no gazetteer."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from classifier import text as texts
from classifier.words import morph
from store.values import Place

_STREET = re.compile(
    r"\b(?:улиц(?:а|е|ы|у|ей|ею)|ул|переул(?:ок|ке|ка|ку|ком)|пер|проспект(?:е|а|у|ом)?|пр-т)\b\.?\s*"
    r"(?:им(?:ени|\.)?\s+)?"
    r"((?:\d{1,2}(?:-?[а-яё]{1,2})?\s+)?(?:[а-яё]\.\s?){0,2}[а-яё][а-яё-]+)(?:\s+([а-яё][а-яё-]+))?",
)
# A street may be "Ленина" without a first name, but never "Магомеда" without the second word.
_ENDS = re.compile(r"(?:ого|его|ова|ева|ёва|ина|ына|ая|яя|ской|ской|цкой|ных|нов|евых|овых|ой|и|а|я|ы)$")
_FIRST_WORDS = frozenset(
    [
        "героев", "героя", "красной", "красная", "красных", "красного", "имама", "шейха", "генерала", "маршала",
        "академика", "братьев", "лет", "мира", "новая", "верхняя", "нижняя", "верхней", "нижней", "новой",
        "бакинских", "советской", "советская", "поэта", "художника", "композитора", "летчика", "капитана",
    ]
)  # fmt: skip
_HOLIDAYS = frozenset(
    [
        "января",
        "февраля",
        "марта",
        "апреля",
        "мая",
        "июня",
        "июля",
        "августа",
        "сентября",
        "октября",
        "ноября",
        "декабря",
    ]
)
_KINDS = {"ул": "улица", "пер": "переулок", "про": "проспект", "пр-": "проспект"}


def streets(clean: str, index: Sequence[int] | None) -> list[Place]:
    """Streets named in a clean text; `index` leads back to the raw text, whose spans they get (see `text.clean`)."""
    out: dict[str, Place] = {}
    for m in _STREET.finditer(clean):
        name, end = m.group(1).strip(" ."), m.end(1)
        first = name.split()[-1]
        number = name[0].isdigit()
        if number and first not in _HOLIDAYS and not m.group(2):
            continue
        if m.group(2) and _goes_on(first, number) and not _no_name(m.group(2)):
            name, end = f"{name} {m.group(2)}", m.end(2)
        if not number and "." not in name and (not _ENDS.search(first) or _no_name(first)):
            continue
        kind = _KINDS.get(m.group()[: 2 if m.group().startswith("ул") else 3], "улица")
        title = f"{kind} " + " ".join(w[:1].upper() + w[1:] for w in name.split())
        if title not in out:
            start, stop = texts.original(m.start(), end, index)
            out[title] = Place(name=title, kind="улица", span=(start, stop), confidence=0.8)
    return list(out.values())


@functools.lru_cache(maxsize=8192)
def _goes_on(first: str, number: bool) -> bool:
    """The name has a second word: a first name ("Магомеда Ярагского"), a rank, an adjective of place, a number."""
    if first in _FIRST_WORDS or (number and first not in _HOLIDAYS):
        return True
    parses = morph().parse(first)
    return any("Name" in p.tag and "gent" in p.tag for p in parses) and not any("Surn" in p.tag for p in parses[:1])


@functools.lru_cache(maxsize=8192)
def _no_name(word: str) -> bool:
    """A pronoun, a verb, a preposition, a common noun in the nominative…: no street is called so."""
    tag = morph().parse(word)[0].tag
    if tag.POS == "NOUN" and tag.case == "nomn" and "Name" not in tag and "Surn" not in tag and "Geox" not in tag:
        return True
    return "Apro" in tag or tag.POS in ("VERB", "PREP", "CONJ", "PRCL", "ADVB", "NPRO", "INFN", "PRTS", "ADJS", "PRED")
