"""What a text asks, as hashes: subjects, troubles, places, street names, numbers, on or off, weighted lemmas.

Words of one meaning are one term (`likeness/concepts.txt`). Pure functions of words and an assessment.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from classifier import places
from classifier.words import Word
from store.values import Assessment

CONCEPTS = Path(__file__).parent / "likeness" / "concepts.txt"
MAX_TERMS = 60

_CONTENT = frozenset(("NOUN", "VERB", "INFN", "ADJF", "ADJS", "ADVB", "PRTF", "PRTS", "GRND", "COMP", "PRED", None))
_UNITS = frozenset((
    "час", "день", "неделя", "месяц", "год", "минута", "сутки", "раз", "рубль", "тысяча", "процент", "метр",
    "км", "градус", "утро", "вечер", "ночь", "куб", "кубометр", "человек", "семья", "ребенок", "литр", "кг",
    "руб", "тыс", "чел", "г", "ч", "мин", "январь", "февраль", "март", "апрель", "май", "июнь", "июль",
    "август", "сентябрь", "октябрь", "ноябрь", "декабрь", "этаж", "дом", "двор", "класс", "лет"
))  # fmt: skip
_NUMBERED = frozenset((
    "дом", "д", "школа", "сош", "садик", "сад", "маршрут", "маршрутка", "автобус", "квартира", "кв", "участок",
    "номер", "n", "№", "литера"
))  # fmt: skip
_STREET = frozenset(["улица", "ул", "переулок", "пер", "проспект", "площадь"])
_ON_STREET = frozenset(("на", "по", "с", "угол", "возле"))
_WHEN = frozenset(("когда", "доколе", "скоро", "чтобы", "чтоб", "бы", "пусть", "просьба", "просить", "прошу"))
_WALKS = ("ходить", "ездить")  # buses that do are well, dogs that do are not
_SQUARES = ("набережный", "набережная")
# After these words a building is a landmark, or only passed by.
LANDMARKS = ("school", "market", "hospital", "kindergarten", "cemetery", "office", "club", "stadium", "post", "bridge")
_BESIDE = ("у", "возле", "около", "напротив", "рядом", "перед", "за")
_PASSED = ("из", "до", "от", "к", "в")
_NO_OBJECTS = ("улица", "район", "дорога")
_ENDING = re.compile(r"(?:ый|ий|ой|ая|яя|ое|ее)$")


@dataclass(frozen=True, eq=False)
class Concepts:
    """`likeness/concepts.txt`: lemma -> names of subjects, of aspects; lemmas of the other sections."""

    subjects: dict[str, tuple[str, ...]]
    aspects: dict[str, tuple[str, ...]]
    on: frozenset[str]
    off: frozenset[str]
    light: frozenset[str]
    common: frozenset[str]


@functools.cache
def concepts() -> Concepts:
    """The shipped table, read once."""
    tables: dict[str, dict[str, tuple[str, ...]]] = {}
    section = ""
    for line in CONCEPTS.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, lemmas = line.partition(" = ")
            table = tables.setdefault(section, {})
            for lemma in lemmas.split():
                known = table.get(lemma, ())
                table[lemma] = known if name in known else (*known, name)
    rest = {name: frozenset(tables[name]) for name in ("on", "off", "light", "common")}
    return Concepts(tables["subject"], tables["aspect"], **rest)


@functools.lru_cache(maxsize=65_536)
def hashed(text: str) -> int:
    """A stable 48-bit hash: exact in JSON and in every database."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())


@functools.cache
def hashes(names: tuple[str, ...]) -> frozenset[int]:
    """The hashes of names of the table."""
    return frozenset(map(hashed, names))


@dataclass(slots=True)
class Content:
    """What is compared, as sets of hashes. `sign`: 2 done, 1 works, -1 neither, 0 unknown. `terms`: hash -> weight."""

    copy: int = 0  # fingerprint of the words; the whole content of a text that asks nothing
    topic: int = 0
    emergency: int = 0
    sign: int = 0
    settlements: frozenset[int] = frozenset()
    objects: frozenset[int] = frozenset()
    names: frozenset[int] = frozenset()
    numbers: frozenset[int] = frozenset()
    subjects: frozenset[int] = frozenset()
    aspects: frozenset[int] = frozenset()
    terms: dict[int, int] = field(default_factory=dict)

    def pack(self) -> str:
        sets = (self.settlements, self.objects, self.names, self.numbers, self.subjects, self.aspects)
        row: list[Any] = [self.copy, self.topic, self.emergency, self.sign, *(sorted(s) for s in sets)]
        row.append([t for pair in sorted(self.terms.items()) for t in pair])
        return orjson.dumps(row).decode()


@functools.lru_cache(maxsize=4096)
def unpack(body: str) -> Content:
    row = orjson.loads(body)
    flat = row[10]
    return Content(*row[:4], *map(frozenset, row[4:10]), dict(zip(flat[::2], flat[1::2], strict=True)))


def read(words: Sequence[Word], said: Assessment, place_bits: int = 0) -> Content:
    """The content of a text that asks something."""
    table = concepts()
    found = Content(topic=hashed(said.topic_group or "") if said.topic_group else 0)
    settled = {p.name for p in said.places if p.kind in places.SETTLEMENTS}
    for road in (p.name for p in said.places if p.kind == "дорога"):  # «Ахты–Хнов»: named by the villages it joins
        settled.update(road.split("–"))
    found.objects = frozenset(
        hashed(p.name) for p in said.places if p.kind not in places.SETTLEMENTS and p.kind not in _NO_OBJECTS
    )
    found.settlements = frozenset(map(hashed, settled))
    if said.emergency:
        found.emergency = hashed(f"emergency {said.emergency_kind}")
    subjects: list[str] = []
    aspects: list[str] = []
    names: list[str] = []
    numbers: list[str] = []
    terms: dict[str, int] = {}
    passed: list[str] = []
    signs = set()
    asked_at = -9  # where "когда" or "чтобы" stood
    for i, word in enumerate(words):
        before = words[i - 1].form if i else ""
        if word.lemma in _WHEN or word.form in _WHEN:
            asked_at = i
        if word.form[0].isdigit():
            if (number := _number(words, i)) is not None:
                numbers.append(number)
            continue
        if not word.form[0].isalpha() or len(word.form) > 40:
            continue
        negated = before in ("не", "ни") or (i > 1 and words[i - 2].form == "не" and before in ("были", "было", "был"))
        asked = i - asked_at <= 7
        lemma = _lemma(word, table)
        if (name := _name(words, i)) is not None:
            names.append(name)
            continue
        hit = table.subjects.get(lemma, ())
        if place_bits and word.mask & place_bits and settled and not hit:
            continue
        if not hit and _landmark(words, i, table):
            names.append(lemma)
            continue
        variants = [f"не-{lemma}"] if negated else [lemma, f"когда-{lemma}"] if asked else [lemma]
        if lemma not in _WALKS or "bus" in subjects:
            signs.add(_sign(word, lemma, negated, asked, table))
        troubles = [a for v in variants for a in table.aspects.get(v, ())]
        if hit and hit[0] in LANDMARKS:
            near = [w.form for w in words[max(0, i - 2) : i]]
            if any(f in _BESIDE for f in near):
                names.append(hit[0])
                continue
            if any(f in _PASSED for f in near):
                passed += hit
                continue
        subjects += hit
        aspects += troubles
        terms.update((f"s:{s}", 3) for s in hit)
        terms.update((f"a:{a}", 2) for a in troubles)
        if not hit and not troubles and lemma not in table.light and word.pos in _CONTENT and len(lemma) > 2:
            terms[_ENDING.sub("", variants[0])] = 1 if lemma in table.common else 2
    if not subjects and passed:  # "в школе холодно"
        subjects += passed
        terms.update((f"s:{s}", 3) for s in passed)
    if "river" in subjects and "heat" in subjects:
        subjects.remove("heat")  # "топит"
    found.sign = -1 if -1 in signs else max(signs, default=0)
    found.subjects = frozenset(map(hashed, subjects))
    found.aspects = frozenset(map(hashed, aspects))
    found.names = frozenset(map(hashed, names))
    found.numbers = frozenset(map(hashed, numbers))
    found.terms = {hashed(t): w for t, w in list(terms.items())[:MAX_TERMS]}
    return found


def _landmark(words: Sequence[Word], i: int, table: Concepts) -> bool:
    """Whether the word is a thing beside which something is: "возле мечети", "у старого колодца"; or an embankment."""
    word = words[i]
    if word.tag is None or word.pos != "NOUN" or "anim" in word.tag or word.lemma in table.light:
        return False
    before = [w.form for w in words[max(0, i - 2) : i]]
    if word.lemma in _SQUARES:
        return "на" in before
    if before[-1:] and before[-1] in _BESIDE[:-1]:
        return True
    return len(before) == 2 and before[0] in _BESIDE[:-1] and words[i - 1].pos == "ADJF"


def _lemma(word: Word, table: Concepts) -> str:
    return _lemma_of(word.lemmas, word.pos, table)


@functools.lru_cache(maxsize=65_536)
def _lemma_of(lemmas: tuple[str, ...], pos: str | None, table: Concepts) -> str:
    """The reading of the word that the tables know, reflexive verbs as the plain ones; else the likeliest."""
    for lemma in lemmas:
        for one in (lemma, lemma.removesuffix("ся").removesuffix("сь")):
            if one in table.subjects or any(v in table.aspects for v in (one, f"не-{one}", f"когда-{one}")):
                return "открытый" if one == "открыть" and pos == "PRTS" else one
    return lemmas[0].removesuffix("ся") if pos in ("VERB", "INFN") else lemmas[0]


def _sign(word: Word, lemma: str, negated: bool, asked: bool, table: Concepts) -> int:
    """2 when the word says that something was done, 1 that it works, -1 that it does not, 0 nothing."""
    tag = word.tag
    if tag is None:
        return 0
    if lemma in table.off:
        if word.pos in ("VERB", "PRTS") and not negated and tag.tense == "futr":
            return 0
        return 1 if negated and word.pos == "VERB" else -1
    if lemma not in table.on:
        return 0
    if negated:
        return -1
    if asked or word.pos not in ("VERB", "PRTS") or tag.mood == "impr" or tag.tense == "futr":
        return -1 if asked and word.pos in ("VERB", "INFN") else 0
    return 2 if tag.tense == "past" and lemma not in _WALKS else 1


def _number(words: Sequence[Word], i: int) -> str | None:
    """A number that names something (a house, a school, a route); not a date, a term or an amount."""
    following = words[i + 1].lemma if i + 1 < len(words) else ""
    if following in _UNITS or len(words[i].form) > 4:
        return None
    for back in (1, 2):
        if i >= back:
            word = words[i - back]
            if word.lemma in _NUMBERED or word.form in _NUMBERED:
                return words[i].form
    return words[i].form if i and _name(words, i - 1) is not None else None


def _name(words: Sequence[Word], i: int) -> str | None:
    """A street's (or a person's) name: after «улица», a surname, or an adjective that stands for a street."""
    word = words[i]
    if word.tag is None or word.lemma in _STREET or word.form in _STREET:
        return None
    before = words[i - 1] if i else None
    after = words[i + 1] if i + 1 < len(words) else None
    beside = [w for w in (before, after) if w is not None]
    by_word = any(w.lemma in _STREET or w.form in _STREET for w in beside)
    if word.pos == "ADJF" and word.form.endswith(("ой", "ая", "ую", "ей")):
        if by_word:
            return word.lemma
        known = concepts()
        stands_alone = after is None or after.pos not in ("NOUN", "ADJF")
        free = word.lemma not in known.light and word.lemma not in known.common
        if stands_alone and free and before is not None and before.form in _ON_STREET and "Apro" not in word.tag:
            return word.lemma
        return None
    if "Surn" in word.tag and word.known:
        return word.lemma
    if before is not None and (before.lemma in _STREET or before.form in _STREET) and word.pos in ("NOUN", None):
        return word.lemma
    return None
