"""How good a judge is: figures over labelled texts, and whether two judges really differ. Pure functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from classifier.contract import Text
from store.values import Assessment

NONE = "-"  # "no topic", "no group"
BINS = 10
RESAMPLES = 1000
_SURE = 1.96  # of the normal distribution: 95 %


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what is known of it; None: nobody said. `topic`, `group`: ids or NONE; `places`: canonical names."""

    text: Text
    group: str | None = None
    topic: str | None = None
    emergency: bool | None = None
    kind: str | None = None
    reaction: str | None = None
    urgency: str | None = None  # NONE: no reaction needed
    places: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One class: how many texts are of it, how many were said to be, how many rightly."""

    id: str
    n: int
    said: int
    right: int

    @property
    def precision(self) -> float | None:
        return self.right / self.said if self.said else None

    @property
    def recall(self) -> float | None:
        return self.right / self.n if self.n else None

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.n + self.said) if self.right else 0.0


@dataclass(frozen=True, slots=True)
class Classes:
    """Figures of one question with many answers; `interval`: 95 % of the weighted F1, by resampling the texts."""

    n: int = 0
    right: int = 0
    weighted: float = 0.0
    macro: float = 0.0
    interval: tuple[float, float] = (0.0, 1.0)
    rows: tuple[Row, ...] = ()
    confusion: tuple[tuple[str, str, int], ...] = ()  # (true, said, how often), the most frequent mistakes first


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `n`."""

    right: int = 0
    n: int = 0

    @property
    def value(self) -> float | None:
        return self.right / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.n)


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose confidence lies in [low, high): how many, how sure on average, what share of them is right."""

    low: float
    high: float
    n: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Mistake:
    """A text whose group was told wrongly."""

    id: str
    text: str
    true: str
    said: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything measured of one judge over one set of texts."""

    name: str
    model: str
    n: int
    groups: Classes
    topics: Classes
    found: Share  # emergencies that were seen
    false: Share  # texts that are none and were called one
    kinds: Share
    reactions: Share
    urgencies: Share
    places: tuple[int, int, int]  # right, extra, missed
    bins: tuple[Bin, ...] = ()
    ece: float | None = None
    mistakes: tuple[Mistake, ...] = ()
    missed: tuple[Mistake, ...] = field(default=())

    @property
    def places_f1(self) -> float | None:
        hits, extra, lost = self.places
        return 2 * hits / (2 * hits + extra + lost) if hits + extra + lost else None

    def short(self) -> dict[str, Any]:
        """The figures that lists and the journal keep."""
        return {
            "n": self.n,
            "group_f1": _rounded(self.groups.weighted if self.groups.n else None),
            "group_f1_macro": _rounded(self.groups.macro if self.groups.n else None),
            "topic_f1": _rounded(self.topics.weighted if self.topics.n else None),
            "reaction": _rounded(self.reactions.value),
            "emergencies": [self.found.right, self.found.n],
            "false_alarms": [self.false.right, self.false.n],
            "ece": _rounded(self.ece),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


# --- one judge --------------------------------------------------------------------------------------------------------


def measure(name: str, texts: Sequence[Labelled], answers: Sequence[Assessment | None]) -> Figures:
    """Figures of a judge's answers; a text that could not be judged counts as "don't know"."""
    blank = Assessment()
    said = [a or blank for a in answers]
    pairs = list(zip(texts, said, strict=True))
    by_group = [(t, a) for t, a in pairs if t.group is not None]
    by_topic = [(t, a) for t, a in pairs if t.topic is not None]
    alarms = [(t, a) for t, a in pairs if t.emergency]
    quiet = [(t, a) for t, a in pairs if t.emergency is False]
    bins, ece = reliability([c for c in map(claim, texts, said) if c is not None])
    return Figures(
        name=name,
        model=next((a.model for a in said if a.model), ""),
        n=len(texts),
        groups=classes([t.group or NONE for t, _ in by_group], [a.topic_group or NONE for _, a in by_group]),
        topics=classes([t.topic or NONE for t, _ in by_topic], [a.topic or NONE for _, a in by_topic]),
        found=Share(sum(a.emergency for _, a in alarms), len(alarms)),
        false=Share(sum(a.emergency for _, a in quiet), len(quiet)),
        kinds=_share(a.emergency_kind == t.kind for t, a in alarms if a.emergency and t.kind),
        reactions=_share(a.reaction == t.reaction for t, a in pairs if t.reaction is not None),
        urgencies=_share((a.urgency or NONE) == t.urgency for t, a in pairs if t.urgency is not None),
        places=_places(pairs),
        bins=bins,
        ece=ece,
        mistakes=tuple(
            sorted(
                (_mistake(t, a) for t, a in by_group if (a.topic_group or NONE) != t.group),
                key=lambda m: (-m.confidence, m.id, m.text),
            )
        ),
        missed=tuple(_mistake(t, a) for t, a in pairs if t.emergency is not None and t.emergency != a.emergency),
    )


def classes(true: Sequence[str], said: Sequence[str]) -> Classes:
    """Precision, recall and F1 of each class; averages over the classes of the truth."""
    if not true:
        return Classes()
    names = sorted({*true, *said})
    code = {name: i for i, name in enumerate(names)}
    t = np.array([code[x] for x in true])
    s = np.array([code[x] for x in said])
    n, claimed, right = _counts(t, s, len(names))
    rows = tuple(Row(name, int(n[i]), int(claimed[i]), int(right[i])) for i, name in enumerate(names))
    mistakes = Counter((a, b) for a, b in zip(true, said, strict=True) if a != b)
    return Classes(
        n=len(true),
        right=int(right.sum()),
        weighted=weighted_f1(n, claimed, right),
        macro=float(_f1(n, claimed, right)[n > 0].mean()),
        interval=resampled(t, [s], len(names), lambda f: f[0]),
        rows=tuple(sorted((r for r in rows if r.n), key=lambda r: (-r.n, r.id))),
        confusion=tuple((a, b, k) for (a, b), k in sorted(mistakes.items(), key=lambda p: (-p[1], p[0]))),
    )


def _counts(t: np.ndarray, s: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.bincount(t, minlength=k), np.bincount(s, minlength=k), np.bincount(t[t == s], minlength=k)


def _f1(n: np.ndarray, said: np.ndarray, right: np.ndarray) -> np.ndarray:
    return 2 * right / np.maximum(n + said, 1)


def weighted_f1(n: np.ndarray, said: np.ndarray, right: np.ndarray) -> float:
    """F1 of the classes, each weighted by how many texts are of it."""
    return float((_f1(n, said, right) * n).sum() / max(1, n.sum()))


def resampled(t: np.ndarray, said: Sequence[np.ndarray], k: int, of: Any) -> tuple[float, float]:
    """95 % interval of `of([weighted F1 of each judge])` over texts drawn with replacement; always the same draws."""
    draw = np.random.default_rng(0)
    values = []
    for _ in range(RESAMPLES):
        rows = draw.integers(0, len(t), len(t))
        values.append(of([weighted_f1(*_counts(t[rows], s[rows], k)) for s in said]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _share(flags: Any) -> Share:
    values = list(flags)
    return Share(sum(values), len(values))


def wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not n:
        return 0.0, 1.0
    p, z = right / n, _SURE
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def claim(text: Labelled, said: Assessment) -> tuple[float, bool] | None:
    """(confidence, right) of an answer that names a group; None where none is named or nobody knows better.

    An emergency's group follows from its kind, so its confidence is not the model's and is left out.
    """
    if text.group is None or not said.topic_group or said.emergency:
        return None
    if said.topic and text.topic is not None:
        return said.topic_confidence, said.topic == text.topic
    return said.topic_confidence, said.topic_group == text.group


def reliability(claims: Sequence[tuple[float, bool]], bins: int = BINS) -> tuple[tuple[Bin, ...], float | None]:
    """Bins of equal width, and the expected calibration error: the mean distance of confidence and truth."""
    found, total = [], 0.0
    for b in range(bins):
        inside = [(c, r) for c, r in claims if min(int(c * bins), bins - 1) == b]
        if inside:
            sure, right = sum(c for c, _ in inside) / len(inside), sum(r for _, r in inside) / len(inside)
            total += abs(sure - right) * len(inside)
            found.append(Bin(b / bins, (b + 1) / bins, len(inside), sure, right))
    return tuple(found), total / len(claims) if claims else None


def _places(pairs: Sequence[tuple[Labelled, Assessment]]) -> tuple[int, int, int]:
    """Names told rightly, told in excess, missed; streets are no names of a gazetteer and left out."""
    hits = extra = missed = 0
    for text, said in pairs:
        if text.places is None:
            continue
        names = {p.name for p in said.places if p.kind != "улица"}
        hits += len(names & set(text.places))
        extra += len(names - set(text.places))
        missed += len(set(text.places) - names)
    return hits, extra, missed


def _mistake(text: Labelled, said: Assessment) -> Mistake:
    return Mistake(
        text.text.id, text.text.text[:300], text.group or NONE, said.topic_group or NONE, said.topic_confidence
    )


# --- two judges -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """One question, both judges over the same texts. `better`, `worse`: texts that only one of them got right."""

    name: str
    n: int
    ours: float
    theirs: float
    better: int
    worse: int
    p: float  # McNemar's exact test: how likely so uneven a split is if there is no difference
    interval: tuple[float, float] | None = None  # 95 % of the difference of weighted F1

    @property
    def real(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p < 0.05

    @property
    def words(self) -> str:
        if self.better == self.worse == 0:
            return "ответы одинаково верны"
        if not self.real:
            return "разница в пределах случайного"
        return "новая лучше, и это не случайность" if self.better > self.worse else "новая хуже, и это не случайность"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A new model against the one that runs. `against`: why the new one must not take its place (Russian)."""

    differences: tuple[Difference, ...]
    against: tuple[str, ...]


def mcnemar(better: int, worse: int) -> float:
    """Two-sided exact binomial test of the texts on which two judges differ."""
    n = better + worse
    if not n:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1)) / 2**n
    return min(1.0, 2 * tail)


def compare(
    texts: Sequence[Labelled], new: Sequence[Assessment | None], old: Sequence[Assessment | None]
) -> Comparison:
    """The same texts judged by a new model and by the running one."""
    blank = Assessment()
    rows = [(t, a or blank, b or blank) for t, a, b in zip(texts, new, old, strict=True)]
    group = _difference("группа тем", [(t.group, a.topic_group or NONE, b.topic_group or NONE) for t, a, b in rows])
    topic = _difference("тема", [(t.topic, a.topic or NONE, b.topic or NONE) for t, a, b in rows])
    alarm = _difference("чрезвычайное", [(t.emergency, a.emergency, b.emergency) for t, a, b in rows])
    reply = _difference("реагирование", [(t.reaction, a.reaction, b.reaction) for t, a, b in rows])
    against = []
    seen = [(a.emergency, b.emergency) for t, a, b in rows if t.emergency]
    quiet = [(a.emergency, b.emergency) for t, a, b in rows if t.emergency is False]
    if (ours := sum(a for a, _ in seen)) < (theirs := sum(b for _, b in seen)):
        against.append(f"видит меньше чрезвычайных: {ours} вместо {theirs} из {len(seen)}")
    if (ours := sum(a for a, _ in quiet)) > (theirs := sum(b for _, b in quiet)):
        against.append(f"больше ложных тревог: {ours} вместо {theirs}")
    if group is not None and group.ours < group.theirs:
        against.append(f"F1 групп тем ниже: {group.ours:.3f} вместо {group.theirs:.3f}")
    for d in (topic, reply):
        if d is not None and d.real and d.worse > d.better:
            against.append(f"{d.name}: верных ответов меньше на {d.worse - d.better}, и это не случайность")
    return Comparison(tuple(d for d in (group, topic, alarm, reply) if d is not None), tuple(against))


def _difference(name: str, rows: Sequence[tuple[Any, Any, Any]]) -> Difference | None:
    """Figures of one question; texts of which nobody knows the answer are left out."""
    rows = [r for r in rows if r[0] is not None]
    if not rows:
        return None
    names = {str(x): i for i, x in enumerate(sorted({str(v) for r in rows for v in r}))}
    t, a, b = (np.array([names[str(r[i])] for r in rows]) for i in range(3))
    better, worse = int(((a == t) & (b != t)).sum()), int(((b == t) & (a != t)).sum())
    k = len(names)
    return Difference(
        name,
        len(rows),
        weighted_f1(*_counts(t, a, k)),
        weighted_f1(*_counts(t, b, k)),
        better,
        worse,
        mcnemar(better, worse),
        resampled(t, [a, b], k, lambda f: f[0] - f[1]) if better or worse else (0.0, 0.0),
    )
