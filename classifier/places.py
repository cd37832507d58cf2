"""Names of places in a text: a gazetteer whose every case form, adjective and demonym is generated, and its matcher.

A gazetteer is a CSV with a header; `name, kind` are needed, `district, parent, lat, lon, aliases (;), adjectives (;)`
are used when there; so is `near` (1 or 0). The first row is the centre of the home district: its rows win over
namesakes, places farther than `NEAR_KM` from it are "elsewhere".
"""

from __future__ import annotations

import csv
import functools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier import text as texts
from classifier.words import Speller, Word, morph
from settings import ConfigError, os_problem
from store.values import Place

NEAR_KM = 60.0
SETTLEMENTS = frozenset(
    {"село", "город", "посёлок", "село/посёлок", "аул", "хутор", "деревня", "станица", "бывшее село"}
)
RIVERS = frozenset({"река", "ручей", "озеро"})
_COMBINED = re.compile(r"\s*\([^)]*\)$")
_PREPOSITIONS = frozenset(
    [
        "в",
        "во",
        "из",
        "до",
        "на",
        "у",
        "около",
        "под",
        "за",
        "по",
        "от",
        "к",
        "ко",
        "с",
        "со",
        "через",
        "между",
        "возле",
        "мимо",
        "вокруг",
        "близ",
        "при",
        "для",
        "над",
        "о",
        "об",
    ]
)
_SETTLEMENT_WORDS = frozenset(
    [
        "село",
        "селе",
        "села",
        "селу",
        "сел",
        "с",
        "аул",
        "ауле",
        "аула",
        "деревня",
        "деревне",
        "пос",
        "поселок",
        "поселке",
        "город",
        "городе",
        "города",
        "г",
        "жители",
        "жителей",
    ]
)
_RIVER_WORDS = frozenset(
    [
        "река",
        "реки",
        "реке",
        "реку",
        "рекой",
        "речка",
        "речки",
        "речке",
        "речку",
        "берег",
        "берега",
        "берегу",
        "берегом",
        "вода",
        "воды",
        "уровень",
        "разлив",
        "рыба",
        "рыбы",
        "рыбу",
        "купаются",
        "купаться",
        "течение",
        "мост",
        "мостом",
        "моста",
        "вышел",
        "поток",
        "унесло",
        "утонул",
        "тонет",
        "утонула",
        "смыло",
        "поднялся",
        "разлился",
        "мусор",
        "сливают",
        "берегов",
        "русло",
        "паводок",
        "бушует",
        "водопад",
        "брод",
        "остров",
        "сбрасывают",
    ]
)
_INSIDE = frozenset(["в", "во", "из", "до"])
_HILL_WORDS = frozenset(
    ["гора", "горы", "горе", "гору", "горой", "вершина", "вершины", "вершину", "пик", "склон", "склоне"]
)
_NUMBER_WORDS = frozenset(["№", "номер", "номером", "номера", "n"])
# Schools are meant by such words when exactly one settlement with one school is named.
SCHOOL_WORDS = "школа школьный класс спортзал учитель учительница директор_школы урок школьник первоклассник"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the gazetteer. `home`: of the first row's district; `near`: not farther than `NEAR_KM`."""

    name: str
    kind: str
    district: str
    parent: str
    lat: float | None
    lon: float | None
    home: bool
    near: bool

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p for p in (self.parent, self.district) if p and p != self.name))

    @property
    def settlement(self) -> bool:
        return self.kind in SETTLEMENTS


@dataclass(frozen=True, slots=True)
class Name:
    """One way to say a place: further tokens after the first, how sure it is, and what kind of way it is."""

    entry: Entry
    rest: tuple[frozenset[str], ...]
    confidence: float
    derived: bool = False  # adjective or demonym


class Gazetteer:
    """All names by their first token; `find` gives the places of a tokenised text."""

    def __init__(self, rows: Iterable[dict[str, str]], source: str) -> None:
        self.entries: list[Entry] = []
        self._by_name: dict[tuple[str, str], Entry] = {}
        self._names: dict[str, list[Name]] = {}
        self._adjectives: dict[str, list[Entry]] = {}
        self._schools: dict[str, list[Entry]] = {}
        home, centre = "", None
        rows = [r for r in rows if (r.get("name") or "").strip()]
        if not rows:
            raise ConfigError(f"{source}: в справочнике мест нет ни одной строки; нужны столбцы name и kind")
        near = _near_districts(rows)
        for row in rows:
            entry = _entry(row, home or (row.get("district") or ""), centre, near)
            home = home or entry.district
            if centre is None and entry.lat is not None and entry.lon is not None:
                centre = (entry.lat, entry.lon)
            self.entries.append(entry)
            self._by_name.setdefault((entry.name, entry.kind), entry)
            self._add(entry, row)
        spellable = [f for f, names in self._names.items() if any(_spellable(n, f) for n in names)]
        self._speller = Speller(spellable)
        self._short = {f for f, names in self._names.items() if len(f) == 4 and any(_spellable(n, f, 4) for n in names)}
        self._ordinary: dict[str, bool] = {}

    @classmethod
    def load(cls, path: Path) -> Gazetteer:
        try:
            with path.open(encoding="utf-8-sig", newline="") as f:
                reader = csv.DictReader(f)
                if "name" not in (reader.fieldnames or ()):
                    raise ConfigError(
                        f"{path}: в справочнике мест нет столбца name; первая строка должна называть столбцы"
                    )
                return cls(reader, str(path))
        except (OSError, UnicodeDecodeError, csv.Error) as e:
            reason = os_problem(e) if isinstance(e, OSError) else "это не CSV в UTF-8"
            raise ConfigError(
                f"{path}: не читается справочник мест ({reason}); проверьте classifier.gazetteer"
            ) from None

    # --- building ---

    def _add(self, entry: Entry, row: dict[str, str]) -> None:
        bare = _COMBINED.sub("", entry.name)
        if entry.kind == "район":
            self._phrase(entry, bare, 0.95)
            self._phrase(entry, bare.replace("район", "р-н"), 0.95)
        elif entry.kind == "школа":
            self._schools.setdefault(entry.parent, []).append(entry)
            self._phrase(entry, bare, 0.95)
        elif entry.kind == "дорога":
            self._phrase(entry, bare.replace("–", "-"), 0.95)
        else:
            self._phrase(entry, bare, 0.97)
        for alias in (row.get("aliases") or "").split(";"):
            if alias.strip():
                self._phrase(entry, alias.strip(), 0.9)
        if entry.settlement and entry.kind != "бывшее село":
            given = [a.strip() for a in (row.get("adjectives") or "").split(";") if a.strip()]
            for adjective in given or guess_adjectives(bare):
                for form in adjective_forms(adjective.lower()):
                    self._names.setdefault(form, []).append(Name(entry, (), 0.75, derived=True))
                for form in demonym_forms(adjective.lower()):
                    self._names.setdefault(form, []).append(Name(entry, (), 0.7, derived=True))

    def _phrase(self, entry: Entry, phrase: str, confidence: float) -> None:
        tokens = [t for t in texts.TOKEN.findall(phrase.lower().replace("ё", "е")) if t not in _NUMBER_WORDS]
        if not tokens:
            return
        alternatives = [_part_forms(t, single=len(tokens) == 1) for t in tokens]
        for form in alternatives[0]:
            name = Name(entry, tuple(frozenset(a) for a in alternatives[1:]), confidence)
            known = self._names.setdefault(form, [])
            if name not in known:
                known.append(name)

    # --- use ---

    def is_name(self, form: str) -> bool:
        return form in self._names

    def names(self, word: Word) -> bool:
        """The word names a place and is no ordinary word besides."""
        meant = self.meant(word)
        return meant is not None and not self.is_ordinary(meant)

    def meant(self, word: Word) -> str | None:
        """The known form that `word` is, or was meant to be; None if it is no name."""
        form = word.russian
        if form in self._names:
            return form
        if not word.known and form.isalpha() and len(form) >= 5:
            found = sorted(f for f in self._speller.near(form) if f[0] == form[0])
            entries = {n.entry for f in found for n in self._names[f] if not n.rest}
            if len({e.name for e in entries if e.settlement}) == 1 or len(entries) == 1:
                return found[0]
        if "-" in form:  # "Ахты-Гдым"
            first = form.split("-")[0]
            if any(not n.rest and n.entry.settlement for n in self._names.get(first, ())):
                return first
        return None

    def find(
        self, words: Sequence[Word], spans: Sequence[tuple[int, int]], raw: str, index, page: str = ""
    ) -> list[Place]:
        """Places in the order of the text; the longest name wins, then the likeliest of the namesakes."""
        out: list[tuple[Entry, float, tuple[int, int]]] = []
        forms = [w.russian for w in words]
        page = page.lower()
        free = 0  # the first token that no found place covers
        for i, word in enumerate(words):
            if word.place is None or i < free:
                continue
            best = self._at(word.place, words, forms, spans, raw, index, i, page)
            if best is None:
                continue
            entry, confidence, last = best
            start, end = texts.original(spans[i][0], spans[last][1], index)
            out.append((entry, confidence, (start, end)))
            free = last + 1
        return self._tidy(out)

    def _at(self, form, words, forms, spans, raw, index, i, page) -> tuple[Entry, float, int] | None:
        typo = form != forms[i]
        best: tuple[tuple[float, ...], Entry, float, int] | None = None
        for name in self._names[form]:
            last = self._last(name, forms, i)
            if last is None:
                continue
            if typo and len(form) <= 5 and (name.confidence < 0.95 or not self._sign(forms, spans, raw, index, i)):
                continue  # a short word with a slip is more often another word
            confidence = name.confidence - (0.2 if typo else 0.0)
            if not name.rest and not self._allowed(name, form, words, forms, spans, raw, index, i):
                continue
            rank = self._rank(name, forms, i, page)
            key = (last, rank, confidence)
            if best is None or key > best[0]:
                best = (key, name.entry, confidence, last)
        return best[1:] if best else None

    @staticmethod
    def _sign(forms, spans, raw, index, i) -> bool:
        """A capital letter, a preposition or "село" before the word."""
        at = spans[i][0] if index is None else index[spans[i][0]]
        return raw[at : at + 1].isupper() or (i > 0 and forms[i - 1] in _PREPOSITIONS | _SETTLEMENT_WORDS)

    @staticmethod
    def _last(name: Name, forms: Sequence[str], i: int) -> int | None:
        j = i
        for part in name.rest:
            j += 1
            while j < len(forms) and forms[j] in _NUMBER_WORDS:
                j += 1
            if j >= len(forms) or forms[j] not in part:
                return None
        return j

    def _rank(self, name: Name, forms: Sequence[str], i: int, page: str) -> float:
        entry = name.entry
        before = forms[i - 1] if i else ""
        around = {*forms[max(0, i - 4) : i], *forms[i + 1 : i + 5]}
        rank = 2.0 * entry.home + 1.0 * entry.near - 1.0 * name.derived
        if page and entry.district and entry.district.split()[0].lower() in page:
            rank += 1.5
        if entry.settlement:
            rank += 3.0 * (before in _SETTLEMENT_WORDS) + 0.5 * (entry.kind != "бывшее село")
            rank += 2.0 * (before in _INSIDE and entry.kind != "бывшее село")
        elif entry.kind in RIVERS:
            rank += 4.0 * bool(around & _RIVER_WORDS) * (before not in _SETTLEMENT_WORDS)
        elif entry.kind == "гора":
            rank += 3.0 * bool(around & _HILL_WORDS)
        return rank

    def _allowed(self, name: Name, form: str, words, forms, spans, raw, index, i) -> bool:
        """Names that are ordinary words, abandoned hamlets, adjectives: they need a sign that a place is meant."""
        entry = name.entry
        before = forms[i - 1] if i else ""
        if before == "." and i > 1 and forms[i - 2] in _SETTLEMENT_SHORT:
            before = "село"
        after = forms[i + 1] if i + 1 < len(forms) else ""
        if after in _NOT_BEFORE.get(form, ()):
            return False
        if name.derived and i and words[i - 1].tag is not None and "Name" in words[i - 1].tag:
            return False  # "Марат Хновский" is a person
        if name.derived:
            if after in ("район", "района", "районе", "районом", "району", "район-на", "хребет", "сельсовет"):
                return False
            return entry.near and not (entry is self.entries[0] and after.startswith(("администрац", "район")))
        at = spans[i][0] if index is None else index[spans[i][0]]
        capital = raw[at : at + 1].isupper()
        if entry.home and entry.kind in _OBJECTS:
            return True
        if entry.settlement and not capital and len(form) <= 4 and name.confidence < 0.95:
            return False  # a short by-name
        if not self.is_ordinary(form) and (entry.near or capital or len(form) >= 6) and entry.kind != "бывшее село":
            return True
        if before in _SETTLEMENT_WORDS and (capital or before not in ("с", "г") or entry.home):
            return True
        if capital:
            first = i == 0 or not forms[i - 1][0].isalnum()
            shouting = raw[at : at + 40].isupper()
            if not shouting and (not first or before in _PREPOSITIONS):
                return True
            if first and not shouting and len(forms) > i + 1 and entry.home and entry.kind != "бывшее село":
                return not words[i].known or after in _PREPOSITIONS
        # Lower case: after a preposition, or as a tag at the very end or beginning, and only of the home district.
        if entry.home and entry.kind != "бывшее село":
            if before in _PREPOSITIONS and form not in ("хала", "халу"):
                return True
            if not words[i].known and form not in _ALSO_ORDINARY and (i == len(forms) - 1 or i == 0):
                return True
        return False

    def is_ordinary(self, form: str) -> bool:
        """The form is also another word of the language (or too short to be sure)."""
        known = self._ordinary.get(form)
        if known is None:
            known = len(form) <= 3 or form in _ALSO_ORDINARY
            if not known and morph().word_is_known(form):
                parses = morph().parse(form)
                known = not any("Geox" in p.tag for p in parses) or any(p.tag.POS == "ADJF" for p in parses)
            self._ordinary[form] = known
        return known

    def _tidy(self, found: list[tuple[Entry, float, tuple[int, int]]]) -> list[Place]:
        seen: dict[tuple[str, str], Place] = {}
        for entry, confidence, span in found:
            key = (entry.name, entry.kind)
            if key not in seen:
                seen[key] = as_place(entry, span, confidence)
        return list(seen.values())

    def school_of(self, settlement: str) -> Entry | None:
        """The only school of a settlement, if it has exactly one."""
        schools = self._schools.get(settlement, [])
        return schools[0] if len(schools) == 1 else None

    def entry(self, name: str, kind: str) -> Entry | None:
        """The row of a place that `find` gave."""
        return self._by_name.get((name, kind))


def is_far(word: Word) -> bool:
    """A geographical name of the dictionary (and not also a person's name)."""
    return (
        word.tag is not None
        and "Geox" in word.tag
        and not any("Name" in p.tag or "Surn" in p.tag for p in morph().parse(word.russian)[:4])
    )


def as_place(entry: Entry, span: tuple[int, int] | None, confidence: float) -> Place:
    return Place(entry.name, entry.kind, entry.parents, entry.lat, entry.lon, span, confidence)


# --- reading rows ---


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _entry(row: dict[str, str], home: str, centre: tuple[float, float] | None, near: set[str]) -> Entry:
    lat, lon = _number(row.get("lat")), _number(row.get("lon"))
    district = (row.get("district") or "").strip()
    told = (row.get("near") or "").strip()  # said by the file, else by the distance
    close = told == "1" if told in ("0", "1") else district in near
    if not told and centre and lat is not None and lon is not None:
        close = close or km(centre, (lat, lon)) <= NEAR_KM
    return Entry(
        name=row["name"].strip(),
        kind=(row.get("kind") or "село").split(" / ")[0].strip(),
        district=district,
        parent=(row.get("parent") or "").strip(),
        lat=lat,
        lon=lon,
        home=bool(home) and district == home,
        near=close or (bool(home) and district == home),
    )


def _near_districts(rows: Sequence[dict[str, str]]) -> set[str]:
    """Districts at least half of whose located places are near the first located row."""
    centre: tuple[float, float] | None = None
    counts: dict[str, list[bool]] = {}
    for row in rows:
        lat, lon = _number(row.get("lat")), _number(row.get("lon"))
        if lat is None or lon is None:
            continue
        centre = centre or (lat, lon)
        counts.setdefault((row.get("district") or "").strip(), []).append(km(centre, (lat, lon)) <= NEAR_KM)
    return {d for d, flags in counts.items() if d and sum(flags) * 2 >= len(flags)}


def km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Kilometres between two points (degrees of latitude and longitude), good for a few hundred."""
    dy = (a[0] - b[0]) * 111.2
    dx = (a[1] - b[1]) * 111.2 * math.cos(math.radians((a[0] + b[0]) / 2))
    return math.hypot(dx, dy)


def _spellable(name: Name, form: str, at_least: int = 5) -> bool:
    entry = name.entry
    if not entry.settlement or entry.kind == "бывшее село" or name.rest or len(form) < at_least:
        return False
    return entry.home or (entry.near and len(form) >= 6) or len(form) >= 7


_SETTLEMENT_SHORT = frozenset(["с", "г", "п", "д", "пос", "сел", "дер", "х", "а"])
_OBJECTS = frozenset(["больница", "школа", "детский сад", "фап"])  # names like no others: "црб"
# What after a form says that it is no name: "ахты как красиво".
_NOT_BEFORE = {"ахты": frozenset(("как", "какой", "какая", "какие", "боже", "ж", "же", "мой", "черт", "блин"))}

# Forms that pymorphy does not call words, yet people use them as such.
_ALSO_ORDINARY = frozenset(
    [
        "кака",
        "каке",
        "каки",
        "каку",
        "каку",
        "кали",
        "кала",
        "калу",
        "уна",
        "уну",
        "кина",
        "кину",
        "икра",
        "икры",
        "икре",
        "икру",
        "филя",
        "фили",
    ]
)
_NEVER = frozenset(["какой", "какою", "халом", "хале"])

# --- forms ---

_HARD = set("гкхжшщч")


def case_forms(word: str) -> set[str]:
    """Singular (or plural, for -ы/-и) case forms of a place name, lower case."""
    w = word.lower().replace("ё", "е")
    if "-" in w:
        head, _, tail = w.rpartition("-")
        forms = {f"{head}-{t}" for t in case_forms(tail)}
        return forms | {f.replace("-", " ") for f in ()} | {f.replace("-", "") for f in forms}
    s, end = w[:-1], w[-1]
    if w.endswith(("ский", "цкий", "ское", "цкое", "ая", "ый", "ое", "ее")):
        return {w} | _lexeme(w)
    if end == "а":
        i = "и" if s[-1:] in _HARD else "ы"
        forms = {w, s + i, s + "е", s + "у", s + "ой", s + "ою"}
    elif end == "я":
        forms = {w, s + "и", s + "е", s + "ю", s + "ей", s + "ею"}
    elif end == "ы":
        forms = {w, s + "ов", s, s + "ам", s + "ами", s + "ах", s + "у", s + "е", s + "ой"}
    elif end == "и":
        forms = {w, s + "ей", s + "ов", s + "ам", s + "ами", s + "ах", s + "ями", s + "ях", s + "ям"}
    elif end == "о":
        forms = {w, s + "а", s + "у", s + "ом", s + "е"}
    elif end == "й":
        forms = {w, s + "я", s + "ю", s + "ем", s + "е", s + "и"}
    elif end == "ь":
        forms = {w, s + "я", s + "ю", s + "ем", s + "е", s + "и", s + "ью"}
    elif end in "еуэюо":
        forms = {w}
    elif end.isalpha():
        forms = {w, w + "а", w + "у", w + ("ем" if end in "жшщчц" else "ом"), w + "е"}
    else:
        forms = {w}
    return {f for f in forms if len(f) >= 3 and f not in _NEVER}


@functools.cache
def _lexeme(word: str) -> frozenset[str]:
    return frozenset(x.word.replace("ё", "е") for x in morph().parse(word)[0].lexeme)


def _part_forms(token: str, single: bool) -> set[str]:
    if token[0].isdigit() or len(token) == 1:
        return {token}
    if token.isupper():
        return {token.lower()}
    if not single and morph().word_is_known(token):
        return {token} | _lexeme(token)
    if token.endswith(("ский", "ская", "ское", "цкий", "цкая")):
        return set(adjective_forms(re.sub(r"(ая|ое|ий)$", "ий", token)))
    return case_forms(token)


_ADJECTIVE_ENDS = ["ий", "ого", "ому", "им", "ом", "ая", "ой", "ую", "ою", "ое", "ие", "их", "ими"]


def adjective_forms(adjective: str) -> list[str]:
    """All forms of an adjective in -ский."""
    stem = adjective[:-2] if adjective.endswith("ий") else adjective
    return [stem + end for end in _ADJECTIVE_ENDS]


def demonym_forms(adjective: str) -> list[str]:
    """Forms of the name of the people: хновский -> хновцы."""
    stem = re.sub(r"ь?(?:ский|цкий)$", "", adjective)
    if stem.endswith("л"):  # смугулец, but смугульцы
        soft = [stem + "ь" + end for end in ("ца", "цу", "цем", "це", "цы", "цев", "цам", "цами", "цах")]
        return soft + [stem + end for end in ("ец", "ца", "цу", "цы", "цев", "цам", "цами", "цах")]
    return [stem + end for end in ("ец", "ца", "цу", "цем", "це", "цы", "цев", "цам", "цами", "цах")]


def guess_adjectives(name: str) -> list[str]:
    """-ский adjectives of a one-word name by the usual rules."""
    w = name.lower().replace("ё", "е")
    if " " in w or w.endswith(("ский", "ское", "ская", "ый", "ое", "ая")):
        return []
    if w[-1] in "аыиоя":
        stem = w[:-1]
        return [stem + ("нский" if stem[-1:] in "аеиоуыэюя" else "инский")]
    if w[-1] in "еуэю":
        return [w + "нский"]
    if w[-1] == "л":
        return [w + "ьский"]
    return [w.rstrip("ь") + "ский"]
