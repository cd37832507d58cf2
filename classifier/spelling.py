"""What a misspelt form was meant to be, by the ways Russian is misheard and mistyped.

Pure functions. Vowels that sound alike without stress (а/о, е/и/я), voiced and voiceless twins, «тся/ться», doubled
letters, a soft sign more or less; then one slip of the keyboard (a letter dropped, added, swapped, or its neighbour).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_SOUNDS = {
    "а": "о", "о": "а", "е": "ия", "и": "ея", "я": "еи", "э": "е", "ы": "и", "ю": "у", "у": "ю",
    "б": "п", "п": "б", "в": "ф", "ф": "в", "г": "к", "к": "г", "д": "т", "т": "д", "ж": "ш", "ш": "ж",
    "з": "с", "с": "з", "щ": "ш", "ч": "ш",
}  # fmt: skip
_VOWELS = frozenset("аоеияэыюу")
_KEYS = ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю")
_NEIGHBOURS = {c: row[max(0, i - 1) : i] + row[i + 1 : i + 2] for row in _KEYS for i, c in enumerate(row)}
_LETTERS = "аоеиятснрлвкмпудьйжшхгбзчщцюыфэ"
MIN_LETTERS = 5
_MAX_LETTERS = 16


SPOKEN = {
    "скока": "сколько", "скоко": "сколько", "скольк": "сколько", "стока": "столько", "када": "когда",
    "кагда": "когда", "кода": "когда", "тада": "тогда", "щяс": "сейчас", "щаз": "сейчас", "сичас": "сейчас",
    "счас": "сейчас", "нада": "надо", "тока": "только", "токо": "только", "чо": "что", "чё": "что", "че": "что",
    "шо": "что", "чето": "что-то", "чота": "что-то", "хто": "кто", "ваще": "вообще",
    "вобще": "вообще", "вапще": "вообще", "канешно": "конечно", "канешна": "конечно", "пажалуста": "пожалуйста",
    "пожалуста": "пожалуйста", "пжл": "пожалуйста", "плиз": "пожалуйста", "спс": "спасибо", "едте": "едьте",
    "ехайте": "едьте", "памагите": "помогите", "помагите": "помогите", "памогите": "помогите", "ничо": "ничего",
    "низя": "нельзя", "седня": "сегодня", "севодня": "сегодня", "сёдня": "сегодня", "завтро": "завтра",
    "можна": "можно", "вада": "вода", "вады": "воды", "ваду": "воду", "ваде": "воде",
    "тож": "тоже", "хоцца": "хочется", "чесно": "честно",
}  # fmt: skip
"""Everyday spellings that no rule of sound or keyboard gives."""
_STRETCHED = re.compile(r"(.)\1{2,}")
_UNSTRESSED = {"а": "о", "о": "а", "е": "ия", "и": "ея", "я": "еи", "э": "е"}


def plain(form: str, known: Callable[[str], bool]) -> str:
    """The form in its usual spelling, where it is an everyday one ("скока") or stretched ("пожаааар"); else itself."""
    if form in SPOKEN:
        return SPOKEN[form]
    if _STRETCHED.search(form):
        for most in (r"\1", r"\1\1"):
            short = _STRETCHED.sub(most, form)
            if known(short) or (len(short) > 4 and known(short[:-1]) and form[-1] == form[-2]):
                return short if known(short) else short[:-1]
    return form


def one_vowel(form: str) -> Iterator[str]:
    """Spellings with one vowel that sounds the same without stress: the commonest mistake of all."""
    for i, c in enumerate(form):
        for other in _UNSTRESSED.get(c, ""):
            yield form[:i] + other + form[i + 1 :]


def heard(form: str) -> Iterator[str]:
    """Spellings of what sounds the same, the likeliest first."""
    if "тся" in form:
        yield form.replace("тся", "ться")
    if "ться" in form:
        yield form.replace("ться", "тся")
    if form.endswith("ца"):
        yield form[:-2] + "тся"
        yield form[:-2] + "ться"
    singles = []
    for i, c in enumerate(form):
        for other in _SOUNDS.get(c, ""):
            changed = form[:i] + other + form[i + 1 :]
            singles.append((c in _VOWELS, i, changed))
    for vowel in (True, False):
        yield from (s for v, _, s in singles if v is vowel)
    for i, c in enumerate(form):
        if i and c == form[i - 1]:
            yield form[:i] + form[i + 1 :]
        elif c not in _VOWELS:
            yield form[: i + 1] + c + form[i + 1 :]
    for vowel, i, changed in singles:
        if vowel:
            yield from (changed[:k] + "ь" + changed[k:] for k in range(2, len(changed)) if changed[k - 1] == "л")
            for j in range(i + 1, len(changed)):
                if changed[j] in "аоеи":
                    for other in _SOUNDS[changed[j]]:
                        yield changed[:j] + other + changed[j + 1 :]


def slips(form: str) -> Iterator[str]:
    """Spellings one slip of the keyboard away; the first letter stays."""
    for i in range(1, len(form) - 1):
        yield form[:i] + form[i + 1] + form[i] + form[i + 2 :]
    for i in range(1, len(form)):
        yield form[:i] + form[i + 1 :]
        for c in _NEIGHBOURS.get(form[i], ""):
            yield form[:i] + c + form[i + 1 :]
    for i in range(1, len(form) + 1):
        for c in _LETTERS:
            yield form[:i] + c + form[i:]


def as_verb(form: str, lemmas: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """As `meant`, for a form that the dictionary has only as somebody's name ("гарит"): one unstressed vowel apart."""
    for i, c in enumerate(form) if form.isalpha() else ():
        for other in _SOUNDS[c] if c in "аоеи" else "":
            found = lemmas(form[:i] + other + form[i + 1 :])
            if found and found[0].endswith(("ть", "ться", "ти")):
                return found
    return ()


def meant(form: str, lemmas: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """Lemmas of the first spelling that `lemmas` accepts (it gives () for what is no wanted word); () when none."""
    if not MIN_LETTERS <= len(form) <= _MAX_LETTERS or not form.isalpha():
        return ()
    for ways in (heard, slips) if len(form) > MIN_LETTERS else (heard,):
        for spelling in ways(form):
            found = lemmas(spelling)
            if found:
                return found
    return ()
