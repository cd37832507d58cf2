"""A small language for rules over lemmas, and its matcher.

A rule file (`rules/*.rules`, UTF-8) has concepts and sections; `#` begins a comment:

    @burn = гореть загореться полых* =форма @other      a concept: lemmas, prefixes, exact forms, other concepts
    @burn += пылать                                     more of it, for rules only: the learnt model does not see it
    [emergency пожар group=safety]                      a section: its sort, its name, its settings
    @burn ~6 (дом|сарай|@building) !@figure             a rule: one a line

Terms: a lemma (or a form as it stands), `=form`, `prefix*`, `@concept`, `(a|b|@c)`, or a grammatical concept in
capitals (`PAST`, `NUMBER`).
Between terms: nothing = within the next 3 tokens; `+` = the very next token; `>N` = within the next N; `~N` = within N
tokens on either side (`~` alone: 6), all in one sentence; `&` = within `FAR` tokens of the first
term, sentences regardless.
`!term` = nowhere in the sentence of the match, `!!term` = nowhere in the text. `skip=a,b` names guards that don't apply
to this rule, `sure` = no guard but the strong ones does, nor the model that hears idle talk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from classifier.words import GRAMMAR
from settings import ConfigError

DEFAULT_GAP = 3
DEFAULT_NEAR = 6
FAR = 18
_DEFINITION = re.compile(r"^(@\S+) (\+?=) (.*)$")
_CONNECTOR = re.compile(r"^([+&]|[>~]\d*)$")
_SPLIT = re.compile(r"\([^()]*\)|\S+")


@dataclass(frozen=True, slots=True)
class Step:
    """One more term: its bit, and where it may stand relative to the term before it."""

    bit: int
    low: int  # first allowed offset
    high: int
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """`key` = the bit of the first term, `need` = bits that the text must have at all."""

    section: Section
    source: str
    key: int
    steps: tuple[Step, ...]
    need: int
    not_sentence: int
    not_text: int
    skip: frozenset[str]
    sure: bool


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A named group of rules; `settings` are the `key=value` of its heading."""

    sort: str
    name: str
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that holds: the tokens that made it hold (ascending)."""

    rule: Rule
    tokens: tuple[int, ...]


class RuleBook:
    """All rules of a folder, compiled. `mask(leaves)` gives a word its bits; `matches` finds what holds in a text."""

    def __init__(self, sources: Iterable[tuple[str, str]]) -> None:
        self._concepts: dict[str, frozenset[str]] = {}
        self._features: dict[str, frozenset[str]] = {}  # the concepts as the learnt model knows them
        self._bits: dict[frozenset[str], int] = {}
        self._leaves: dict[str, int] = {}
        self.sections: list[Section] = []
        self._rules: dict[str, dict[int, list[Rule]]] = {}
        self.keys: dict[str, int] = {}
        lines = [(f"{name}:{i}", line) for name, text in sources for i, line in enumerate(text.splitlines(), 1)]
        plain = [(at, line.split("#", 1)[0].strip()) for at, line in lines]
        self._define([(at, line) for at, line in plain if _DEFINITION.match(line)])
        section: Section | None = None
        for at, line in plain:
            if not line or _DEFINITION.match(line):
                continue
            if line.startswith("["):
                section = self._section(at, line)
            elif section is None:
                raise ConfigError(f"{at}: правило стоит до первого раздела; добавьте строку [вид название]")
            else:
                self._add(at, line, section)
        self._names: dict[str, tuple[str, ...]] = {}
        for name, leaves in sorted(self._features.items()):
            for leaf in leaves:
                self._names[leaf] = (*self._names.get(leaf, ()), name)
        self.prefixes = tuple(sorted({len(leaf) - 1 for leaf in self._leaves if leaf.endswith("*")}))
        self.end = self.bit("END")

    @classmethod
    def load(cls, folder: Path) -> RuleBook:
        return cls((p.name, p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.rules")))

    # --- reading ---

    def _define(self, lines: list[tuple[str, str]]) -> None:
        for at, line in lines:
            name, sign, body = _DEFINITION.match(line).groups()  # type: ignore[union-attr]
            leaves: set[str] = set(self._concepts.get(name, ()))
            for item in body.split():
                if item.startswith("@"):
                    if item not in self._concepts:
                        raise ConfigError(f"{at}: понятие {item} ещё не определено; опишите его выше")
                    leaves |= self._concepts[item]
                else:
                    leaves.add(_leaf(item))
            self._concepts[name] = frozenset(leaves)
            if sign == "=":
                self._features[name] = self._concepts[name]

    def _section(self, at: str, line: str) -> Section:
        if not line.endswith("]"):
            raise ConfigError(f"{at}: у раздела нет закрывающей скобки ]")
        parts = line[1:-1].split()
        settings = dict(p.split("=", 1) for p in parts if "=" in p)
        names = [p for p in parts if "=" not in p]
        section = Section(names[0], " ".join(names[1:]), settings)
        self.sections.append(section)
        return section

    def _add(self, at: str, line: str, section: Section) -> None:
        steps: list[Step] = []
        not_sentence = not_text = 0
        skip: frozenset[str] = frozenset()
        sure = False
        connector = ""
        for part in _SPLIT.findall(line):
            if _CONNECTOR.match(part):
                connector = part
            elif part == "sure":
                sure = True
            elif part.startswith("skip="):
                skip = frozenset(part[5:].split(","))
            elif part.startswith("!!"):
                not_text |= self._term(at, part[2:])
            elif part.startswith("!"):
                not_sentence |= self._term(at, part[1:])
            else:
                steps.append(_step(self._term(at, part), connector))
                connector = ""
        if not steps:
            raise ConfigError(f"{at}: в правиле нет ни одного слова")
        need = 0
        for step in steps:
            need |= step.bit
        rule = Rule(section, line, steps[0].bit, tuple(steps[1:]), need, not_sentence, not_text, skip, sure)
        self._rules.setdefault(section.sort, {}).setdefault(rule.key, []).append(rule)
        self.keys[section.sort] = self.keys.get(section.sort, 0) | rule.key

    def _term(self, at: str, term: str) -> int:
        leaves: set[str] = set()
        for item in term.strip("()").split("|"):
            item = item.strip()
            if item.startswith("@"):
                if item not in self._concepts:
                    raise ConfigError(f"{at}: понятие {item} не определено")
                leaves |= self._concepts[item]
            elif item:
                leaves.add(_leaf(item))
        return self._bit(frozenset(leaves))

    def _bit(self, leaves: frozenset[str]) -> int:
        bit = self._bits.get(leaves)
        if bit is None:
            bit = self._bits[leaves] = 1 << len(self._bits)
            for leaf in leaves:
                self._leaves[leaf] = self._leaves.get(leaf, 0) | bit
        return bit

    # --- use ---

    def bit(self, term: str) -> int:
        """The bit of one term, for code that asks for a concept itself."""
        return self._term("code", term)

    def lemmas(self) -> list[str]:
        """Every lemma and exact form the rules name."""
        return [leaf.lstrip("=") for leaf in self._leaves if not leaf.endswith("*") and leaf not in GRAMMAR]

    def concepts(self, form: str, lemmas: Sequence[str]) -> tuple[str, ...]:
        """Names of the concepts a word belongs to (by lemma or form; prefixes aside)."""
        found = {n for key in ("=" + form, form, *lemmas) for n in self._names.get(key, ())}
        return tuple(sorted(found))

    def mask(self, form: str, lemmas: Sequence[str], grammar: Iterable[str]) -> int:
        """The bits of a word."""
        leaves = self._leaves
        mask = leaves.get("=" + form, 0) | leaves.get(form, 0)
        for lemma in lemmas:
            mask |= leaves.get(lemma, 0)
        for name in grammar:
            mask |= leaves.get(name, 0)
        for text in {form, *lemmas}:
            for n in self.prefixes:
                if n > len(text):
                    break
                mask |= leaves.get(text[:n] + "*", 0)
        return mask

    def matches(self, sort: str, masks: Sequence[int], total: int) -> list[Match]:
        """Every rule of `sort` that holds, with its first match. `total` = all `masks` together."""
        out: list[Match] = []
        present = total & self.keys.get(sort, 0)
        by_key = self._rules.get(sort, {})
        while present:
            key = present & -present
            present ^= key
            for rule in by_key[key]:
                if total & rule.need != rule.need or total & rule.not_text:
                    continue
                found = self._find(rule, masks)
                if found:
                    out.append(Match(rule, found))
        return out

    def _find(self, rule: Rule, masks: Sequence[int]) -> tuple[int, ...] | None:
        for i, mask in enumerate(masks):
            if mask & rule.key:
                if not rule.steps and not rule.not_sentence:
                    return (i,)
                found = self._extend(rule, 0, (i,), masks)
                if found and not (rule.not_sentence and self._within(found, masks, rule.not_sentence)):
                    return tuple(sorted(found))
        return None

    def _extend(self, rule: Rule, n: int, at: tuple[int, ...], masks: Sequence[int]) -> tuple[int, ...] | None:
        if n == len(rule.steps):
            return at
        step = rule.steps[n]
        last = at[-1]
        if step.anywhere:
            spots: Iterable[int] = range(max(0, at[0] - FAR), min(len(masks), at[0] + FAR + 1))
        else:
            low, high = max(0, last + step.low), min(len(masks) - 1, last + step.high)
            spots = range(last + max(step.low, 1), high + 1)
            if step.low < 0:
                spots = [*spots, *range(last - 1, low - 1, -1)]
        for j in spots:
            if masks[j] & step.bit and (step.anywhere or j not in at):
                if not step.anywhere and self._broken(masks, last, j):
                    continue
                found = self._extend(rule, n + 1, at if j in at else (*at, j), masks)
                if found:
                    return found
        return None

    def _broken(self, masks: Sequence[int], i: int, j: int) -> bool:
        """A sentence ends between the two tokens."""
        end = self.end
        return any(m & end for m in masks[min(i, j) + 1 : max(i, j)])

    def sentence(self, masks: Sequence[int], tokens: Sequence[int]) -> range:
        """The token range of the sentence(s) that hold `tokens`, their end marks included."""
        end = self.end
        a, b = min(tokens), max(tokens)
        while a > 0 and not masks[a - 1] & end:
            a -= 1
        while b < len(masks) - 1 and not masks[b] & end:
            b += 1
        return range(a, b + 1)

    def _within(self, tokens: Sequence[int], masks: Sequence[int], bits: int) -> bool:
        return any(masks[i] & bits for i in self.sentence(masks, tokens))


def _leaf(item: str) -> str:
    return item if item in GRAMMAR else item.lower().replace("ё", "е")


def _step(bit: int, connector: str) -> Step:
    if connector == "&":
        return Step(bit, 0, 0, anywhere=True)
    if connector == "+":
        return Step(bit, 1, 1)
    if connector.startswith("~"):
        n = int(connector[1:] or DEFAULT_NEAR)
        return Step(bit, -n, n)
    if connector.startswith(">"):
        return Step(bit, 1, int(connector[1:] or DEFAULT_NEAR))
    return Step(bit, 1, DEFAULT_GAP)
