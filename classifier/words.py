"""What is known of a word form, worked out once and kept: lemma, grammar, concepts, and places that begin with it.

`Lexicon` is the cache every other part of the room reads. A form costs 0.1-0.5 ms at its first sight and a dict look-up
afterwards, which is what makes batches fast.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from classifier import spelling
from classifier import text as texts

if TYPE_CHECKING:
    import pymorphy3
    from pymorphy3.tagset import OpencorporaTag

    from classifier.content import Sense

MAX_FORMS = 65_536
_MAX_FORM = 40
_FOREIGN = "\u0530"  # from here on: scripts the analyser knows nothing of

# Concepts given by grammar or shape; the rule files use them as any other concept.
GRAMMAR = (
    "PAST", "FUTURE", "PRESENT", "INFINITIVE", "IMPERATIVE", "VERB", "ADJECTIVE", "NUMBER", "NAME", "SURNAME", "END",
    "QUESTION", "EXCLAIM", "LAUGH", "PLACE", "FAR_PLACE", "OBSCENE", "UNKNOWN", "EMOJI", "HOME", "STREET",
    "LEZGIAN", "LETTER", "KNOWN",
)  # fmt: skip
_LAUGH = frozenset("😂🤣😆😅😹😁😄😃😀😜😝🤪")


class Word:
    """One form. `mask`: bits of its concepts; `row`: its row in the topic weights."""

    __slots__ = (
        "concepts",
        "form",
        "known",
        "lemma",
        "lemmas",
        "mask",
        "place",
        "pos",
        "present",
        "row",
        "russian",
        "sense",
        "tag",
    )

    def __init__(self, form: str) -> None:
        self.form = form
        self.russian = form  # the form as Russian spelling has it, homoglyphs and translit undone
        self.lemma = form
        self.lemmas: tuple[str, ...] = (form,)
        self.known = False
        self.present = False  # may be read as the present tense ("сносит")
        self.pos: str | None = None
        self.tag: OpencorporaTag | None = None
        self.mask = 0
        self.concepts: tuple[str, ...] = ()
        self.row = -1
        self.sense: Sense | None = None  # as `content.sense` says
        self.place: str | None = None  # as `places.Gazetteer.meant` says


@functools.cache
def morph() -> pymorphy3.MorphAnalyzer:
    """The morphological analyser: one a process (0.2 s)."""
    import pymorphy3

    return pymorphy3.MorphAnalyzer()


def near(a: str, b: str) -> bool:
    """At most one edit (insertion, deletion, substitution, swap of neighbours) apart."""
    if a == b:
        return True
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) > len(b):
        a, b = b, a
    i = 0
    while i < len(a) and a[i] == b[i]:
        i += 1
    if len(a) < len(b):
        return a[i:] == b[i + 1 :]
    return a[i + 1 :] == b[i + 1 :] or (a[i : i + 2] == b[i : i + 2][::-1] and a[i + 2 :] == b[i + 2 :])


class Speller:
    """The lemma of a list that an unknown word was meant to be: one edit away, unambiguously."""

    def __init__(self, lemmas: Iterable[str]) -> None:
        # One edit leaves either the first two letters or the last three as they are.
        self._heads: dict[str, list[str]] = {}
        self._tails: dict[str, list[str]] = {}
        for lemma in lemmas:
            if len(lemma) >= 5 and lemma.isalpha():
                self._heads.setdefault(lemma[:2], []).append(lemma)
                self._tails.setdefault(lemma[-3:], []).append(lemma)

    def near(self, word: str) -> set[str]:
        """Every listed word at most one edit away."""
        candidates = {*self._heads.get(word[:2], ()), *self._tails.get(word[-3:], ())}
        return {c for c in candidates if near(word, c)}

    def correct(self, word: str) -> str | None:
        """The one listed word that was meant; None when there is none or there are several."""
        found = self.near(word)
        # The first letter is seldom mistaken: among several candidates it decides.
        if len(found) > 1:
            found = {c for c in found if c[0] == word[0]}
        return found.pop() if len(found) == 1 else None


class Lexicon(dict[str, Word]):
    """form -> Word; fills itself. `decorate` adds concept bits and the topic row to a new word."""

    def __init__(
        self, decorate: Callable[[Word], None], spellable: Iterable[str], names: Callable[[str], bool]
    ) -> None:
        super().__init__()
        self._decorate = decorate
        self._wanted = frozenset(spellable)
        self._heads = frozenset(lemma[:n] for lemma in self._wanted for n in (3, 4))
        self._speller = Speller(self._wanted)
        self._is_name = names  # forms that the gazetteer knows: never "corrected" to something else

    def __missing__(self, form: str) -> Word:
        word = Word(form)
        if form[0].isalnum() and len(form) <= _MAX_FORM and max(form) < _FOREIGN:
            self._analyse(word)
        self._decorate(word)
        self[form] = word
        return word

    def _analyse(self, word: Word) -> None:
        form = word.form
        if form.isdigit():
            return
        analyser = morph()
        if texts.is_mixed(form):
            looked = texts.by_look(form)
            if form[0].isdigit() and not analyser.word_is_known(looked):
                looked = form
            word.russian = looked
        elif texts.is_latin(form):
            looked, spelt = texts.by_look(form), texts.from_translit(form)
            if "j" in form and not analyser.word_is_known(spelt):  # "pojar": ж, not й
                hard = texts.from_translit(form.replace("j", "zh"))
                spelt = hard if analyser.word_is_known(hard) else spelt
            if len(form) > 1 and texts.only_lookalikes(form) and analyser.word_is_known(looked):
                word.russian = looked
            else:
                word.russian = spelt
        form = word.russian = spelling.plain(word.russian, analyser.word_is_known)
        word.known = analyser.word_is_known(form)
        parses = analyser.parse(form)
        word.tag = parses[0].tag
        word.pos = word.tag.POS
        word.present = any(p.tag.tense == "pres" for p in parses)
        best = parses[0].score
        lemmas = []
        for parse in parses[:6]:
            lemma = parse.normal_form.replace("ё", "е")
            if parse.score >= min(0.04, best) and lemma not in lemmas:
                lemmas.append(lemma)
        vowel = () if word.known or self._is_name(form) else self._one_vowel(form)
        if vowel:
            lemmas = list(vowel)
        elif not word.known and len(form) >= 5 and not self._is_name(form):
            for lemma in lemmas:
                meant = self._speller.correct(lemma)
                if meant:
                    lemmas = [meant]
                    break
            else:
                lemmas = list(spelling.meant(form, self._wanted_lemmas)) or lemmas
        elif word.known and len(form) >= 5 and "Name" in word.tag and not self._is_name(form):
            lemmas = list(spelling.as_verb(form, self._wanted_lemmas)) or lemmas
        word.lemma = lemmas[0]
        word.lemmas = tuple(lemmas)

    def _one_vowel(self, form: str) -> tuple[str, ...]:
        """Lemmas that the rules or the topics ask for, of the form with one unstressed vowel put right."""
        if len(form) < 4 or len(form) > 16 or not form.isalpha():
            return ()
        return next((found for s in spelling.one_vowel(form) if (found := self._wanted_lemmas(s))), ())

    def _wanted_lemmas(self, form: str) -> tuple[str, ...]:
        """Lemmas of a known form that the rules or the topics ask for."""
        if form[: 3 if len(form) < 6 else 4] not in self._heads or not morph().word_is_known(form):
            return ()
        found = dict.fromkeys(p.normal_form.replace("ё", "е") for p in morph().parse(form)[:3])
        return tuple(lemma for lemma in found if lemma in self._wanted)

    @staticmethod
    def grammar(word: Word) -> Iterable[str]:
        """Names out of `GRAMMAR` that hold for the word (without those of places and obscenities)."""
        form = word.form
        if not form[0].isalnum():
            if form[0] in ".!?…\n":
                yield "END"
                if "?" in form:
                    yield "QUESTION"
                if "!" in form:
                    yield "EXCLAIM"
            elif form[0] in _LAUGH:
                yield "LAUGH"
                yield "EMOJI"
            elif form[0] > "\u2100":
                yield "EMOJI"
            elif form[0] == ")":
                yield "LAUGH"
            return
        if form[0].isdigit():
            yield "NUMBER"
            return
        tag = word.tag
        if tag is None:
            yield "UNKNOWN"
            return
        yield "KNOWN" if word.known else "UNKNOWN"
        if tag.POS in ("VERB", "PRED"):
            yield "VERB"
        if tag.tense == "past":
            yield "PAST"
        elif tag.tense == "futr" and not word.present:
            yield "FUTURE"
        elif tag.tense in ("pres", "futr"):
            yield "PRESENT"
        if tag.POS == "INFN":
            yield "INFINITIVE"
        if tag.mood == "impr":
            yield "IMPERATIVE"
        if tag.POS in ("ADJF", "ADJS"):
            yield "ADJECTIVE"
        if "NUMR" in tag:
            yield "NUMBER"
        if word.known and "Name" in tag:
            yield "NAME"
        if word.known and "Surn" in tag:
            yield "SURNAME"
