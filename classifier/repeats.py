"""The same question again: a text becomes a `Signature`, two signatures are compared. Pure functions of words.

A signature holds hashes only: what the text is about (subjects), what is wrong with it (aspects), whether something is
on or off, where (settlements, objects, names of streets, house and route numbers), and the weighted lemmas of its
content. Words of one meaning are one term (`likeness/concepts.txt`). Two texts ask the same when nothing in them
contradicts (another place, another trouble, "gave light" against "no light") and enough agrees; how much is enough
depends on what else ties them: the place, the author, the thread.

Texts that ask nothing (thanks, chat, "+1") have no signature; long ones have their fingerprint only, so that what is
pasted en masse is one cluster all the same.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from classifier import places
from classifier.words import Word
from store.values import Assessment, Likeness

CONCEPTS = Path(__file__).parent / "likeness" / "concepts.txt"
MAX_TERMS = 60
MIN_COPY_WORDS = 6
SAYS_ENOUGH = 8
"""Weight of what two strangers' texts must share when neither says where: a subject counts 3, a trouble or word 2."""
EMERGENCY_SURE_S = 3 * 3600.0
EMERGENCY_WINDOW_S = 24 * 3600.0
"""Two fires in one village a week apart are two fires."""

_CONTENT = frozenset(("NOUN", "VERB", "INFN", "ADJF", "ADJS", "ADVB", "PRTF", "PRTS", "GRND", "COMP", "PRED", None))
_UNITS = frozenset(
    [
        "час",
        "день",
        "неделя",
        "месяц",
        "год",
        "минута",
        "сутки",
        "раз",
        "рубль",
        "тысяча",
        "процент",
        "метр",
        "км",
        "градус",
        "утро",
        "вечер",
        "ночь",
        "куб",
        "кубометр",
        "человек",
        "семья",
        "ребенок",
        "литр",
        "кг",
        "руб",
        "тыс",
        "чел",
        "г",
        "ч",
        "мин",
        "январь",
        "февраль",
        "март",
        "апрель",
        "май",
        "июнь",
        "июль",
        "август",
        "сентябрь",
        "октябрь",
        "ноябрь",
        "декабрь",
        "этаж",
        "дом",
        "двор",
        "класс",
        "лет",
    ]
)
_NUMBERED = frozenset(
    [
        "дом",
        "д",
        "школа",
        "сош",
        "садик",
        "сад",
        "маршрут",
        "маршрутка",
        "автобус",
        "квартира",
        "кв",
        "участок",
        "номер",
        "n",
        "№",
        "литера",
    ]
)
_STREET = frozenset(["улица", "ул", "переулок", "пер", "проспект", "площадь"])
_ON_STREET = frozenset(("на", "по", "с", "угол", "возле"))
_WHEN = frozenset(("когда", "доколе", "скоро", "чтобы", "чтоб", "бы", "пусть", "просьба", "просить", "прошу"))
# Troubles that may be told of in each other's words; all others exclude each other.
_NEAR = {
    "out": ("build", "uncollected", "lack", "cash", "late", "closed", "broken", "enrol", "cold"),
    "broken": ("pits", "build", "danger"),
    "attack": ("stray", "danger"),
    "lack": ("enrol", "crowd", "late", "closed"),
    "duration": ("cash", "late", "enrol", "lack", "out", "build", "uncollected", "pits", "broken"),
    "danger": ("pits", "stray", "speed"),
    "pits": ("build",),
    "dirty": ("smell", "quality"),
    "late": ("crowd",),
    "smell": ("uncollected", "leak"),
    "open": ("danger", "broken"),
}
# Troubles that make a question another one when only one of two texts names them beside others.
_SPECIAL = ("weak", "dirty", "price")
_THANKS = frozenset(("спасибо", "благодарю", "благодарим", "благодарность", "спс"))
_WALKS = ("ходить", "ездить")  # buses that do are well, dogs that do are not
# Of these "there is none" is a question by itself; of a school or a hospital it depends on what there is none of.
_SUPPLIES = (
    "water",
    "power",
    "lamps",
    "gas",
    "heat",
    "net",
    "bus",
    "containers",
    "kindergarten",
    "playground",
    "bridge",
    "garbage",
    "snow",
    "road",
    "ambulance",
    "pension",
    "benefits",
    "nurse_post",
    "pediatrician",
    "therapist",
    "dentist",
    "surgeon",
    "cardiologist",
    "neurologist",
    "oculist",
    "gynaecologist",
    "ent",
)
# After these words a building is a landmark, or only passed by.
_LANDMARKS = ("school", "market", "hospital", "kindergarten", "cemetery", "office", "club", "stadium", "post", "bridge")
_BESIDE = ("у", "возле", "около", "напротив", "рядом", "перед", "за")
_PASSED = ("из", "до", "от", "к", "в")
_NO_OBJECTS = ("улица", "район", "дорога")
_ENDING = re.compile(r"(?:ый|ий|ой|ая|яя|ое|ее)$")
_BANDS = ((0x9E3779B1, 0x85EBCA77), (0xC2B2AE3D, 0x27D4EB2F), (0x165667B1, 0xD3A2646D))


# --- the table of concepts --------------------------------------------------------------------------------------------


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


# --- what a text says -------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Signature:
    """See `store.values.Signature`."""

    keys: tuple[int, ...]
    topical: tuple[int, ...]
    body: str

    def likeness(self, body: str, *, same_author: bool, near: str, apart_s: float) -> Likeness | None:
        return compare(unpack(self.body), unpack(body), same_author=same_author, near=near, apart_s=apart_s)

    def contradicts(self, body: str) -> bool:
        mine, other = unpack(self.body), unpack(body)
        return bool(mine.terms and other.terms) and (_place(mine, other) == "other" or _opposed(mine, other))


def signature(words: Sequence[Word], said: Assessment, place_bits: int = 0) -> Signature | None:
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
        copy = hashed("copy " + " ".join(forms))
        return Signature((copy,), (), Content(copy=copy).pack())
    topicless = not content.subjects and not content.emergency
    if len(content.terms) < (3 if topicless and not content.settlements else 2) and (
        topicless or not (content.aspects or content.emergency or content.settlements)
    ):
        return None
    content.copy = hashed("copy " + " ".join(forms))
    return Signature(*_keys(content, len(forms)), content.pack())


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
        variants = [f"не-{lemma}"] if negated else [lemma, f"когда-{lemma}"] if asked else [lemma]
        if lemma not in _WALKS or "bus" in subjects:
            signs.add(_sign(word, lemma, negated, asked, table))
        troubles = [a for v in variants for a in table.aspects.get(v, ())]
        if hit and hit[0] in _LANDMARKS:
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
    telling = [t for t, w in sorted(c.terms.items(), key=lambda p: (-p[1], p[0]))]
    if not about:
        keys |= {_mixed(p, t) for p in where for t in telling[:3]}
        topical |= {_mixed(t) for t in telling[:2]}
    if not where and about:
        keys |= {_mixed(*pair) for pair in itertools.combinations(about, 2)}
        keys |= {_mixed(s, t) for s in about[:2] for t in telling[:4] if t not in c.subjects}
    if not (where and about) and len(c.terms) >= 3:
        keys |= {_mixed(n, *band) for n, band in enumerate(_bands(c.terms))}
    if length >= MIN_COPY_WORDS:
        keys.add(c.copy)
    return tuple(sorted(keys)), tuple(sorted(topical))[:4]


def _bands(terms: Iterable[int]) -> list[list[int]]:
    """Of each pair of permutations the two smallest: texts that share most terms share a band likely (MinHash)."""
    return [[min((t * m) & 0xFFFFFFFF for t in terms) for m in pair] for pair in _BANDS]


# --- how two contents are compared ------------------------------------------------------------------------------------


def _agree(a: frozenset[int], b: frozenset[int]) -> str:
    """How two sets of one kind agree: none, one (only one has any), same, part (one holds the other), other."""
    if not a and not b:
        return "none"
    if not a or not b:
        return "one"
    if a == b:
        return "same"
    return "part" if a < b or b < a else "other"


def _place(a: Content, b: Content) -> str:
    """none, one, same, part or other, of all that says where."""
    village, spot, street = (_agree(getattr(a, n), getattr(b, n)) for n in ("settlements", "objects", "names"))
    number = _agree(a.numbers, b.numbers)
    levels = (village, spot, street)
    if "other" in levels or number == "other":
        return "other"
    if levels == ("none",) * 3:
        return "none" if number in ("none", "same") else "one"
    if all(level in ("none", "one") for level in levels):
        bare = [not (c.settlements or c.objects or c.names) for c in (a, b)]
        return "one" if any(bare) else "other"  # each names a place of another kind: not known to be one
    if "part" in levels or number in ("part", "one") or spot == "one" or street == "one":
        return "part"
    return "same"


@functools.cache
def _near() -> dict[int, frozenset[int]]:
    """`_NEAR`, both ways, by hash."""
    found: dict[int, set[int]] = {}
    for one, others in _NEAR.items():
        for other in others:
            a, b = hashed(one), hashed(other)
            found.setdefault(a, set()).add(b)
            found.setdefault(b, set()).add(a)
    return {k: frozenset(v) for k, v in found.items()}


def _opposed(a: Content, b: Content) -> bool:
    """Another subject, another trouble, or on against off."""
    low, high = sorted((a.sign, b.sign))
    if (low < 0 < high) or (low == 0 and high == 2):
        return True
    if a.emergency and b.emergency:
        return a.emergency != b.emergency
    if a.subjects and b.subjects and not a.subjects & b.subjects:
        return True
    if not a.aspects or not b.aspects:
        return False
    if not _hashes(_SPECIAL).isdisjoint(a.aspects ^ b.aspects):
        return True
    return not _kindred(a, b)


def _kindred(a: Content, b: Content) -> bool:
    """Whether the two name one trouble, or troubles that are told of in each other's words."""
    near = _near()
    return bool(a.aspects & b.aspects) or any(near.get(x, frozenset()) & b.aspects for x in a.aspects)


def _trouble(a: Content, b: Content) -> bool:
    """Whether the two name one trouble that tells something by itself."""
    if not _kindred(a, b):
        return False
    both = a.subjects & b.subjects
    return not both.isdisjoint(_hashes(_SUPPLIES)) or bool((a.aspects & b.aspects) - _hashes(("out",)))


@functools.cache
def _hashes(names: tuple[str, ...]) -> frozenset[int]:
    return frozenset(map(hashed, names))


def _common(a: dict[int, int], b: dict[int, int]) -> int:
    return sum(w for t, w in a.items() if t in b)


def _overlap(a: dict[int, int], b: dict[int, int]) -> float:
    """Weighted share of common terms, between Dice's and that of the shorter text; 0..1."""
    common = _common(a, b)
    if not common:
        return 0.0
    of_a, of_b = sum(a.values()), sum(b.values())
    return common / (of_a + of_b) + common / min(of_a, of_b) / 2


def compare(a: Content, b: Content, *, same_author: bool, near: str, apart_s: float) -> Likeness | None:
    """How alike two texts are, or None when they do not ask the same.

    `near`: "thread" (one answers the other), "post" (under one publication) or "". `apart_s`: seconds between them.
    """
    if a.copy and a.copy == b.copy:
        bare = not (a.settlements or a.objects or a.names)
        if not a.terms or not bare or near or same_author or len(a.terms) >= 4:
            return Likeness(1.0, "тот же текст")
    if not a.terms or not b.terms:
        return None
    place = _place(a, b)
    if place == "other" or _opposed(a, b):
        return None
    score = _overlap(a.terms, b.terms)
    about = bool(a.subjects & b.subjects)
    trouble = _trouble(a, b)
    if a.emergency and a.emergency == b.emergency:
        if apart_s > EMERGENCY_WINDOW_S:
            return None
        tied = place in ("same", "part") or near
        least = 0.0 if place == "same" and apart_s <= EMERGENCY_SURE_S else 0.15
        return Likeness(max(score, 0.5), "то же происшествие") if tied and score >= least else None
    if place == "none" and not near and not same_author and _common(a.terms, b.terms) < SAYS_ENOUGH:
        return None  # "a pit in the road", but which?
    if score < _wanted(a, b, place, about, trouble, same_author=same_author, near=near):
        return None
    return Likeness(score, _reason(place, about, a.topic == b.topic and a.topic != 0, same_author, near))


def _wanted(a: Content, b: Content, place: str, about: bool, trouble: bool, *, same_author: bool, near: str) -> float:
    """How much of the words must agree, given what else ties two texts together."""
    landmarks = _hashes(_LANDMARKS)
    whole = (
        about
        and ((a.subjects ^ b.subjects) <= landmarks)
        and bool(a.subjects & b.subjects - landmarks or a.subjects == b.subjects)
    )
    if place == "same":
        if about:
            return (0.4 if trouble else 0.7) + (0.0 if whole else 0.2)
        wanted = 0.6 if a.topic == b.topic and a.topic else 0.7
    elif place == "part":
        wanted = 0.6 if whole and trouble else 0.8
    elif place == "none":
        wanted = 0.75 if whole and trouble else 0.85
        if near:
            wanted -= 0.15 if about and trouble else 0.05
    else:  # only one says where
        wanted = 0.75 if near and whole and trouble else 0.85 if near or same_author else 1.1
    return wanted - 0.15 if same_author else wanted


def _reason(place: str, about: bool, topic: bool, same_author: bool, near: str) -> str:
    parts = []
    if place in ("same", "part"):
        parts.append("то же место")
    if about or topic:
        parts.append("та же тема")
    if same_author:
        parts.append("тот же автор")
    if near == "thread":
        parts.append("ответ на него")
    return ", ".join(parts) or "те же слова"
