"""What a text asks, as hashes: subjects, troubles, places, street names, numbers, on or off, weighted lemmas.

Words of one meaning are one term (`likeness/concepts.txt`). Pure functions of words and what was judged of them.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from classifier import places
from classifier.words import Word
from store.values import Place

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


class Gist(NamedTuple):
    """What the judge has found out when the signature is made."""

    reaction: str
    topic_group: str | None
    places: tuple[Place, ...]
    emergency_kind: str | None


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

    @property
    def tells(self) -> bool:
        """Whether two texts of these very words ask the same, whoever wrote them: they say where, or enough."""
        return bool(self.settlements or self.objects or self.names) or not self.terms or len(self.terms) >= 4

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


@dataclass(slots=True)
class Sense:
    """What a word by itself brings into the content; worked out once a form. `modes`: plain, asked about, denied."""

    when: bool
    digits: bool
    letters: bool
    hit: tuple[str, ...]
    landmark: bool  # names the spot when something is beside it
    square: bool
    walks: bool
    name: int  # 0 can't be a street's or a person's name, else how it can: `_ADJECTIVE`, `_SURNAME`, `_AFTER_STREET`
    stands_alone: bool  # the adjective may stand for a street without the word "улица"
    street: bool
    modes: tuple[tuple[int, tuple[str, ...], dict[int, int]], ...]  # (sign, troubles, terms with their weights)


_ADJECTIVE, _SURNAME, _AFTER_STREET = 1, 2, 3
_PLAIN, _ASKED, _DENIED = range(3)


def sense(word: Word) -> Sense:
    """The `Sense` of a form, kept with it."""
    table = concepts()
    lemma = _lemma_of(word.lemmas, word.pos, table)
    hit = table.subjects.get(lemma, ())
    subjects = {hashed(f"s:{s}"): 3 for s in hit}
    modes = []
    for mode, variants in enumerate(([lemma], [lemma, f"когда-{lemma}"], [f"не-{lemma}"])):
        troubles = tuple(a for v in variants for a in table.aspects.get(v, ()))
        terms = {**subjects, **{hashed(f"a:{a}"): 2 for a in troubles}}
        if not hit and not troubles and lemma not in table.light and word.pos in _CONTENT and len(lemma) > 2:
            terms[hashed(_ENDING.sub("", variants[0]))] = 1 if lemma in table.common else 2
        modes.append((_sign(word, lemma, mode == _DENIED, mode == _ASKED, table), troubles, terms))
    street = word.lemma in _STREET or word.form in _STREET
    name = 0
    if word.tag is not None and not street:
        if word.pos == "ADJF" and word.form.endswith(("ой", "ая", "ую", "ей")):
            name = _ADJECTIVE
        elif "Surn" in word.tag and word.known:
            name = _SURNAME
        elif word.pos in ("NOUN", None):
            name = _AFTER_STREET
    known = table.light | table.common
    noun = word.tag is not None and word.pos == "NOUN" and "anim" not in word.tag and word.lemma not in table.light
    word.sense = Sense(
        when=word.lemma in _WHEN or word.form in _WHEN,
        digits=word.form[0].isdigit(),
        letters=word.form[0].isalpha() and len(word.form) <= 40,
        hit=hit,
        landmark=noun,
        square=word.lemma in _SQUARES,
        walks=lemma in _WALKS,
        name=name,
        stands_alone=name == _ADJECTIVE and word.lemma not in known and "Apro" not in word.tag,
        street=street,
        modes=tuple(modes),
    )
    return word.sense


def read(words: Sequence[Word], said: Gist, place_bits: int = 0) -> Content:
    """The content of a text that asks something."""
    table = concepts()
    found = Content(topic=hashed(said.topic_group) if said.topic_group else 0)
    settled: set[str] = set()
    if said.places:
        settled |= {p.name for p in said.places if p.kind in places.SETTLEMENTS}
        for road in (p.name for p in said.places if p.kind == "дорога"):  # «Ахты–Хнов»: by the villages it joins
            settled.update(road.split("–"))
        found.objects = frozenset(
            hashed(p.name) for p in said.places if p.kind not in places.SETTLEMENTS and p.kind not in _NO_OBJECTS
        )
        found.settlements = frozenset(map(hashed, settled))
    if said.emergency_kind:
        found.emergency = hashed(f"emergency {said.emergency_kind}")
    subjects: list[str] = []
    aspects: list[str] = []
    names: list[str] = []
    numbers: list[str] = []
    terms: dict[int, int] = {}
    passed: list[str] = []
    signs = set()
    asked_at = -9  # where "когда" or "чтобы" stood
    place_bits = place_bits if settled else 0
    for i, word in enumerate(words):
        about = word.sense or sense(word)
        if about.when:
            asked_at = i
        if not about.letters:
            if about.digits and (number := _number(words, i)) is not None:
                numbers.append(number)
            continue
        if about.name and (name := _name(words, i, about)) is not None:
            names.append(name)
            continue
        hit = about.hit
        if not hit:
            if word.mask & place_bits:
                continue
            if about.landmark and _landmark(words, i, about):
                names.append(_lemma(word, table))
                continue
        mode = _DENIED if _denied(words, i) else _ASKED if i - asked_at <= 7 else _PLAIN
        sign, troubles, said_by_it = about.modes[mode]
        if sign and (not about.walks or "bus" in subjects):
            signs.add(sign)
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
        terms |= said_by_it
    if not subjects and passed:  # "в школе холодно"
        subjects += passed
        terms.update((hashed(f"s:{s}"), 3) for s in passed)
    if "river" in subjects and "heat" in subjects:
        subjects.remove("heat")  # "топит"
    found.sign = -1 if -1 in signs else max(signs, default=0)
    found.subjects = frozenset(map(hashed, subjects))
    found.aspects = frozenset(map(hashed, aspects))
    found.names = frozenset(map(hashed, names))
    found.numbers = frozenset(map(hashed, numbers))
    found.terms = terms if len(terms) <= MAX_TERMS else dict(itertools.islice(terms.items(), MAX_TERMS))
    return found


def _denied(words: Sequence[Word], i: int) -> bool:
    """Whether the word stands after "не" or "ни", or after "не были"."""
    if not i:
        return False
    before = words[i - 1].form
    if before in ("не", "ни"):
        return True
    return i > 1 and before in ("были", "было", "был") and words[i - 2].form == "не"


def _landmark(words: Sequence[Word], i: int, about: Sense) -> bool:
    """Whether the word is a thing beside which something is: "возле мечети", "у старого колодца"; or an embankment."""
    before = [w.form for w in words[max(0, i - 2) : i]]
    if about.square:
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
    if not i:
        return None
    about = words[i - 1].sense or sense(words[i - 1])
    return words[i].form if about.name and _name(words, i - 1, about) is not None else None


def _name(words: Sequence[Word], i: int, about: Sense) -> str | None:
    """A street's (or a person's) name: after «улица», a surname, or an adjective that stands for a street."""
    word = words[i]
    if about.name == _SURNAME:
        return word.lemma
    before = words[i - 1] if i else None
    after_street = before is not None and (before.sense or sense(before)).street
    if about.name == _AFTER_STREET:
        return word.lemma if after_street else None
    after = words[i + 1] if i + 1 < len(words) else None
    if after_street or (after is not None and (after.sense or sense(after)).street):
        return word.lemma
    if not about.stands_alone or before is None or before.form not in _ON_STREET:
        return None
    return word.lemma if after is None or after.pos not in ("NOUN", "ADJF") else None
