"""A text without the people in it: names, telephones, e-mail, mentions, links, numbers of documents and flats.

Names are what the dictionary takes for a first name, patronymic or surname and what is written with a capital letter;
the given names (of the author) are found in any case form. A street or village that bears somebody's name stays: it is
where, not who. What the dictionary does not know as a name is not found; the result is pseudonymous, not anonymous.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from classifier.words import morph

NAME, PHONE, MAIL, MENTION, LINK, NUMBER = "<имя>", "<телефон>", "<почта>", "<упоминание>", "<ссылка>", "<номер>"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_MENTION = re.compile(
    r"\[(?:id|club|public)?[\w.-]+\|[^\]\[]{0,200}\]|(?<![\w.])[@＠*][A-Za-z_][\w.]{1,40}|\bid\d{3,}\b"
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LINK = re.compile(
    r"\b\w{2,12}://\S+|\bwww\.\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:ru|com|org|net|su|me|рф|info|online)\b(?:/\S*)?",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<!\d)(?:\+?7|8)?[\s(-]*\d{3}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}(?!\d)")
_NUMBER = re.compile(r"\d(?:[ -]?\d){5,}")
_FLAT = re.compile(r"\b(кв|квартир[аеуы]|комн(?:ат[аеуы])?)(\.?\s*№?\s*)\d+\w?", re.IGNORECASE)
_WORD = re.compile(r"[А-ЯЁ][а-яё]+(?:-[А-ЯЁ][а-яё]+)*")
_SIGNED = re.compile(r"[А-ЯЁ][а-яё]+\s+[А-ЯЁ]\.\s?[А-ЯЁ]\.|\b[А-ЯЁ]\.\s?[А-ЯЁ]\.\s?[А-ЯЁ][а-яё]+")
_INITIALS = re.compile(rf"{NAME}(?:\s*[А-ЯЁ]\.){{1,2}}|(?:[А-ЯЁ]\.\s*){{1,2}}{NAME}|{NAME}(?:\s+{NAME})+")
_PLACE = re.compile(
    r"(?:\b(?:ул|улиц\w*|пр|просп\w*|пер|переул\w*|пл|площад\w*|сел\w*|с|дер\w*|д|пос\w*|р-н|район\w*|шоссе|аллея|им|имени|"
    r"школ\w*|парк\w*)\.?\s+(?:им\.?\s+|имени\s+)?)$",
    re.IGNORECASE,
)
_GRAMMEMES = ("Name", "Surn", "Patr")
_LIVE = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the beginning of a cell."""


def masked(text: str, names: Iterable[str] = (), places: Iterable[str] = ()) -> str:
    """`text` with all of it replaced by words in angle brackets; no control character, no live formula.

    `names`: of the author. `places`: words of the text that are known to name places.
    """
    kept = {w for words in places for w in _WORD.findall(words)}
    text = _CONTROL.sub(" ", text)
    for pattern, word in ((_MAIL, MAIL), (_MENTION, MENTION), (_LINK, LINK), (_PHONE, PHONE), (_NUMBER, NUMBER)):
        text = pattern.sub(word, text)
    text = _FLAT.sub(rf"\1\2{NUMBER}", text)
    lemmas = {lemma for name in names for word in re.findall(r"[\w-]+", name) for lemma in _lemmas(word.lower())}
    text = _SIGNED.sub(NAME, text)
    text = _WORD.sub(lambda m: NAME if m.group() not in kept and _is_name(m, lemmas) else m.group(), text)
    if lemmas:  # the author's own name also in small letters
        text = re.sub(r"[\w-]{4,}", lambda m: NAME if _lemmas(m.group().lower()) & lemmas else m.group(), text)
    text = _INITIALS.sub(NAME, text)
    return f"'{text}" if text.startswith(_LIVE) else text


def _is_name(found: re.Match[str], lemmas: set[str]) -> bool:
    word, before = found.group(), found.string[: found.start()]
    if _lemmas(word.lower()) & lemmas:
        return True
    first = not before.strip() or before.rstrip()[-1] in ".!?…\n"
    return _named(word.lower(), first) and not _PLACE.search(before)


@functools.lru_cache(maxsize=65_536)
def _lemmas(word: str) -> frozenset[str]:
    return frozenset({word, *(p.normal_form for p in morph().parse(word)[:3])})


@functools.lru_cache(maxsize=65_536)
def _named(word: str, first: bool) -> bool:
    """Whether a word with a capital letter is a name of a person: by any reading inside a sentence, by the likeliest
    one where it begins one (every word has a capital letter there). A name of a place is none."""
    readings = morph().parse(word)
    if any("Geox" in p.tag for p in readings[:2]):
        return False
    likely = readings[:1] if first and morph().word_is_known(word) else readings
    return any(g in p.tag for p in likely for g in _GRAMMEMES)
