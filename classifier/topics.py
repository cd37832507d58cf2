"""Topics and the need for a reaction: a linear model over word features, summed word by word.

Features of a word: its lemma, the concepts of the rules it belongs to, the character n-grams of its form, and the
pair it makes with the word before. A text's scores are `bias + sum(word vectors + pair vectors) / sqrt(number of
words)`, so a word's vector is worked out once and a batch is a gather and a sum: first groups, need of a reaction and
emergencies for every text, then only the topics of each text's likeliest groups, which are compared together: the
best topic names the group too. Weights are 8-bit integers with a scale
per class, in `weights.npz` (plain arrays).
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier import packed
from classifier.words import Word
from settings import ConfigError

FORMAT = 1
TAXONOMY = Path(__file__).parent / "taxonomy.tsv"
NONE = "-"  # the class "no group", "no topic"
PLACE_FEATURE = "<место>"
NUMBER_FEATURE = "<число>"
NGRAMS = (3, 4, 5)
RIVALS = 3  # groups whose topics are compared
LEAST_RIVAL = 0.02  # of the likeliest group's probability: what is below is no rival
GROUP_SAY = 0.75  # how much a group's log-probability counts beside the scaled margin of a topic
CONCERNED = 0.9  # a text that needs a reaction as surely as this is of some group, though which is doubtful
_PAIR_FACTOR = np.uint32(0x9E3779B1)


@dataclass(frozen=True, slots=True)
class Guess:
    """What the model says of one text; `required` = probability that a reaction is needed."""

    topic: str | None
    group: str | None
    confidence: float
    required: float


def feature(name: str) -> int:
    """The 32-bit key of a feature."""
    return zlib.crc32(name.encode())


def word_features(word: Word, is_place: bool) -> list[str]:
    """Names of the features of one word; none for signs. Places and numbers are one feature each."""
    form = word.russian
    if not form[0].isalnum():
        return ["s:" + form[0]] if form[0] in "?!" else []
    if is_place:
        return ["l:" + PLACE_FEATURE]
    if form[0].isdigit():
        return ["l:" + NUMBER_FEATURE]
    if len(form) > 40:
        return []
    out = ["l:" + lemma for lemma in word.lemmas[:2]]
    out += ["k:" + name for name in word.concepts]
    padded = f"^{word.lemmas[0] if not word.known else form}$"
    for n in NGRAMS:
        out += ["c:" + padded[i : i + n] for i in range(len(padded) - n + 1)]
    return out


def pair_key(word: Word, is_place: bool) -> int:
    """The key that a word brings to pairs; 0 = makes no pair."""
    form = word.russian
    if not form[0].isalnum():
        return 0
    if is_place:
        return feature(PLACE_FEATURE)
    return feature(NUMBER_FEATURE if form[0].isdigit() else word.lemma)


def pairs(keys: np.ndarray) -> np.ndarray:
    """Keys of the pairs of neighbours: `out[i]` of words i-1 and i; 0 where either makes none."""
    out = np.zeros(len(keys), np.uint32)
    if len(keys) > 1:
        a, b = keys[:-1], keys[1:]
        with np.errstate(over="ignore"):
            out[1:] = np.where((a != 0) & (b != 0), a * _PAIR_FACTOR ^ b, 0)
    return out


@dataclass(frozen=True, slots=True)
class Contest:
    """Who won among the topics of the likeliest groups, by text. -1: the text had no rivals (it is of no group)."""

    group: np.ndarray  # number of the winning topic's group
    topic: np.ndarray  # number of the winning topic among its group's
    of_group: np.ndarray  # probability of that group
    of_topic: np.ndarray  # probability of that topic
    shares: np.ndarray  # [texts, groups]: probabilities of groups after the contest


def contest(
    shares: np.ndarray, no_group: int, sizes: Sequence[int], margins: Callable[[int, np.ndarray], np.ndarray]
) -> Contest:
    """Compare the topics of each text's likeliest groups together.

    `shares`: [texts, groups], by the groups' own margins; `sizes`: number of topics of each group; `margins(group,
    texts)`: scaled margins of the group's topics, [texts, topics]. A topic scores its margin and `GROUP_SAY` times the
    log-probability of its group. (Choosing within the likeliest group alone is worse by 2-3 points of F1 on left-out
    texts, for groups as well.)
    """
    n = len(shares)
    able = shares * (np.array(sizes) > 0)
    able[:, no_group] = 0.0
    rank = np.argsort(np.argsort(-able, axis=1, kind="stable"), axis=1, kind="stable")
    rivals = (rank < RIVALS) & (able > 0) & (able >= LEAST_RIVAL * shares.max(1, initial=0.0, keepdims=True))
    rivals[shares.argmax(1) == no_group] = False
    peak = np.full(n, -np.inf)
    topic = np.zeros(n, int)
    group = np.full(n, -1)
    mass = np.full(shares.shape, -np.inf)
    for k in np.flatnonzero(rivals.any(0)).tolist():
        texts = np.flatnonzero(rivals[:, k])
        z = margins(k, texts) + GROUP_SAY * np.log(np.maximum(shares[texts, k], 1e-9))[:, None]
        high, at = z.max(1), z.argmax(1)
        mass[texts, k] = high + np.log(np.exp(z - high[:, None]).sum(1))
        won = high > peak[texts]
        peak[texts[won]], topic[texts[won]], group[texts[won]] = high[won], at[won], k
    played = group >= 0
    after = np.array(shares, float)
    of_topic = np.zeros(n)
    if played.any():
        top = mass[played].max(1, keepdims=True)
        total = top + np.log(np.exp(mass[played] - top).sum(1, keepdims=True))
        stake = (shares[played] * rivals[played]).sum(1, keepdims=True)
        after[played] = np.where(rivals[played], stake * np.exp(mass[played] - total), shares[played])
        of_topic[played] = (stake * np.exp(peak[played, None] - total))[:, 0]
    of_group = after[np.arange(n), np.where(played, group, 0)] if n else np.zeros(0)
    return Contest(group, topic, of_group, of_topic, after)


class Scores:
    """What the model says of a batch, as plain lists by text (`required`, `concerns`, `alarm` are probabilities)."""

    __slots__ = ("_group", "_model", "_share", "_sure", "_topic", "alarm", "concerns", "groups", "kind", "required")

    def __init__(self, model: TopicModel, batch: Batch) -> None:
        g = len(model.groups)
        values = batch.values(slice(0, model.first_topic))
        self._model = model
        shares = softmax(values[:, :g])
        required = 1.0 / (1.0 + np.exp(-values[:, g]))
        self.required = required.tolist()
        self.concerns = (1.0 - shares[:, model.no_group]).tolist()
        alarms = softmax(values[:, g + 1 :])
        self.alarm = (1.0 - alarms[:, model.no_alarm].sum(1)).tolist()
        self.kind = np.where(model.no_alarm, -1.0, alarms).argmax(1).tolist() if len(values) else []
        columns = model.topic_columns
        sizes = [c.stop - c.start for c in columns]
        concerned = shares.copy()
        concerned[required >= CONCERNED, model.no_group] = 0.0
        end = contest(concerned, model.no_group, sizes, lambda k, texts: batch.values(columns[k], texts))
        best = np.where(end.group >= 0, end.group, concerned.argmax(1) if len(values) else 0)
        first = np.array([c.start - model.first_topic for c in columns])
        self.groups = end.shares
        self._group = best.tolist()
        self._sure = np.where(end.group >= 0, end.of_group, concerned.max(1, initial=0.0)).tolist()
        self._topic = np.where(end.group >= 0, first[best] + end.topic, -1).tolist()
        self._share = end.of_topic.tolist()

    def kind_of(self, i: int) -> str:
        """The likeliest kind of emergency."""
        return self._model.alarms[self.kind[i]]

    def group(self, i: int) -> int:
        """The number of the group the model would name."""
        return self._group[i]

    def best(self, i: int) -> Guess:
        """Topic, group and confidence; None where the model does not know."""
        m = self._model
        group, p, required = m.groups[self._group[i]], self._sure[i], self.required[i]
        if group == NONE or p < m.group_threshold:
            return Guess(None, None, p if group == NONE else 0.0, required)
        topic, q = m.topics[self._topic[i]] if self._topic[i] >= 0 else NONE, self._share[i]
        if topic.endswith(NONE) or q < m.topic_threshold * p:
            return Guess(None, group, m.sure("group", p), required)
        return Guess(topic, group, m.sure("topic", q), required)


class Batch:
    """The words and pairs of some texts, ready to be summed over any columns of the weights."""

    def __init__(self, model: TopicModel, texts: Sequence[Sequence[int]]) -> None:
        flat: list[int] = []
        starts: list[int] = []
        for rows in texts:
            starts.append(len(flat))
            flat.append(0)
            flat.extend(rows)
        self._model = model
        self._ids = np.array(flat, np.intp)
        self._starts = np.array([*starts, len(flat)], np.intp)
        if not starts:
            return
        counts = np.add.reduceat(model.counts[self._ids], starts)
        self._scale = (1.0 / np.sqrt(np.maximum(counts, 1.0)))[:, None]
        keys = pairs(model.pair_of[self._ids])
        at = np.minimum(np.searchsorted(model.pair_keys, keys), max(len(model.pair_keys) - 1, 0))
        hits = np.flatnonzero((model.pair_keys[at] == keys) & (keys != 0)) if len(model.pair_keys) else at[:0]
        self._pairs = at[hits]
        self._owners = np.searchsorted(self._starts, hits, side="right") - 1  # ascending

    def values(self, columns: slice, texts: np.ndarray | None = None) -> np.ndarray:
        """Scores in these columns of all texts, or of those given (ascending)."""
        model = self._model
        bias = model.bias[columns]
        if len(self._starts) == 1:
            return np.zeros((0, len(bias)), np.float32)
        ids, starts, scale, seen, owners = self._ids, self._starts[:-1], self._scale, self._pairs, self._owners
        if texts is not None:
            lengths = np.diff(self._starts)[texts]
            starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            ids = ids[np.repeat(self._starts[texts] - starts, lengths) + np.arange(lengths.sum())]
            scale = scale[texts]
            place = np.searchsorted(texts, owners)
            mine = texts[np.minimum(place, len(texts) - 1)] == owners
            seen, owners = seen[mine], place[mine]
        sums = np.add.reduceat(model.rows[:, columns][ids], starts)
        if len(seen):
            first = np.flatnonzero(np.diff(owners, prepend=-1))
            sums[owners[first]] += np.add.reduceat(model.pair_weights[:, columns][seen], first) * model.scale[columns]
        return sums * scale + bias


class TopicModel:
    """Loaded weights and the cache of word vectors."""

    def __init__(self, arrays: dict[str, np.ndarray], meta: dict) -> None:
        self.groups: list[str] = meta["groups"]
        self.topics: list[str] = meta["topics"]  # ids; "<group>/-" = a topic of the group that is not told
        self.alarms: list[str] = meta["alarms"]
        self.no_group = self.groups.index(NONE)
        self.no_alarm = np.array([a == NONE for a in self.alarms])
        self.group_threshold: float = meta["group_threshold"]
        self.topic_threshold: float = meta["topic_threshold"]
        self._confidence: dict[str, list[float]] = meta.get("confidence", {})
        self._vocabulary: list[str] = meta.get("lemmas", [])
        self._weights = arrays["weights"]
        self.scale = arrays["scale"].astype(np.float32)
        self.bias = arrays["bias"].astype(np.float32)
        self._keys = {int(k): i for i, k in enumerate(arrays["keys"])}
        self.pair_keys = arrays["pair_keys"]
        self.pair_weights = arrays["pair_weights"].astype(np.float32)
        self.version = meta["version"]
        self.titles, self.group_titles, self._groups_of = read_taxonomy()
        # Columns: groups, the need of a reaction, kinds of emergency, topics ordered by group.
        self.first_topic = len(self.groups) + 1 + len(self.alarms)
        homes = [group_of_topic(topic, self._groups_of) for topic in self.topics]
        self.topic_columns = []
        for group in self.groups:
            inside = [self.first_topic + i for i, home in enumerate(homes) if home == group]
            self.topic_columns.append(slice(inside[0], inside[-1] + 1) if inside else slice(0, 0))
        self.forget_rows()

    @classmethod
    def load(cls, folder: Path) -> TopicModel:
        """Read a model's folder; one clear sentence when it is missing or broken."""
        try:
            arrays = packed.arrays(folder / "weights.npz")
            meta = packed.meta(folder / "meta.json")
            if meta.get("format") != FORMAT:
                raise ConfigError(f"{folder}: модель другой версии; обучите её заново: otklik model train")
            if not _fits(arrays, meta):
                raise ValueError("shapes that do not belong together")
            return cls(arrays, meta)
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as e:
            raise ConfigError(
                f"{folder}: не читается модель ({type(e).__name__}); проверьте classifier.model или обучите её заново"
            ) from None

    def spellable(self) -> list[str]:
        """Frequent lemmas of the model, to mend typing errors against."""
        return self._vocabulary

    def title(self, topic: str) -> str:
        return self.titles.get(topic, topic)

    def group_title(self, group: str) -> str:
        return self.group_titles.get(group, group)

    def group_of(self, topic: str) -> str | None:
        return self._groups_of.get(topic)

    def sure(self, kind: str, p: float) -> float:
        """The share of right answers among those of probability `p`; `kind`: "topic" or "group"."""
        slope, shift = self._confidence.get(kind, (1.0, 0.0))
        p = min(max(p, 1e-4), 1 - 1e-4)
        return 1.0 / (1.0 + math.exp(-slope * math.log(p / (1 - p)) - shift))

    # --- rows ---

    def forget_rows(self) -> None:
        """Empty the cache of word vectors (row 0 stays: the empty word)."""
        classes = len(self.bias)
        self.rows = np.zeros((1024, classes), np.float32)
        self.pair_of = np.zeros(1024, np.uint32)
        self.counts = np.zeros(1024, np.float32)
        self._used = 1
        self._same: dict[tuple, int] = {}

    def row(self, word: Word, is_place: bool) -> int:
        """The row of a word's vector, made when new."""
        names = word_features(word, is_place)
        if not names:
            return 0
        found = [i for i in (self._keys.get(feature(n)) for n in names) if i is not None]
        key = (pair_key(word, is_place), *found)
        row = self._same.get(key)
        if row is not None:
            return row
        if self._used == len(self.rows):
            self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)])
            self.pair_of = np.concatenate([self.pair_of, np.zeros_like(self.pair_of)])
            self.counts = np.concatenate([self.counts, np.zeros_like(self.counts)])
        row = self._used
        self._used += 1
        if found:
            self.rows[row] = self._weights[found].sum(0, dtype=np.int32) * self.scale
        self.pair_of[row] = key[0]
        self.counts[row] = 1.0 if word.form[0].isalnum() else 0.0
        self._same[key] = row
        return row

    # --- scores ---

    def scores(self, texts: Sequence[Sequence[int]]) -> Scores:
        """Scores of texts given as rows of their words."""
        return Scores(self, Batch(self, texts))

    def explain(self, scores: Scores, i: int, words: Sequence[Word]) -> dict:
        """Top three topics with probabilities and the words that speak for the best one."""
        first = scores.group(i)  # the group of the best topic, which another group may outweigh by all its topics
        order = [first, *(int(g) for g in np.argsort(-scores.groups[i], kind="stable") if g != first)][:3]
        guess = scores.best(i)
        top = [
            {
                "group": None if self.groups[g] == NONE else self.groups[g],
                "title": "без темы" if self.groups[g] == NONE else self.group_title(self.groups[g]),
                "probability": round(float(scores.groups[i, g]), 4),
            }
            for g in order
        ]
        column = self.rows[[w.row for w in words], first] if words else np.zeros(0)
        weights = sorted(zip((w.lemma for w in words), column.tolist(), strict=True), key=lambda p: -abs(p[1]))
        return {
            "top": top,
            "topic": guess.topic,
            "topic_title": self.title(guess.topic) if guess.topic else None,
            "weights": [{"lemma": lemma, "weight": round(value, 3)} for lemma, value in weights if value][:12],
            "required": round(scores.required[i], 4),
            "emergency": {"probability": round(scores.alarm[i], 4), "kind": scores.kind_of(i)},
        }


def read_taxonomy() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Titles of topics, titles of groups, group of each topic; all by id."""
    titles: dict[str, str] = {}
    group_titles: dict[str, str] = {}
    groups: dict[str, str] = {}
    for line in TAXONOMY.read_text(encoding="utf-8").splitlines():
        group, topic, title = line.split("\t")
        if topic == NONE:
            group_titles[group] = title
        else:
            titles[topic], groups[topic] = title, group
    return titles, group_titles, groups


def digest(arrays: dict[str, np.ndarray]) -> str:
    """A short name of the weights' bytes."""
    h = hashlib.sha256()
    for name in sorted(arrays):
        h.update(name.encode())
        h.update(np.ascontiguousarray(arrays[name]).tobytes())
    return h.hexdigest()[:10]


def _fits(arrays: dict[str, np.ndarray], meta: dict) -> bool:
    """Whether each array has the shape that the others and the lists of classes ask for."""
    classes = len(meta["groups"]) + 1 + len(meta["alarms"]) + len(meta["topics"])
    return all(arrays[name].shape == (classes,) for name in ("scale", "bias")) and all(
        arrays[keys].ndim == 1 and arrays[weights].shape == (len(arrays[keys]), classes)
        for keys, weights in (("keys", "weights"), ("pair_keys", "pair_weights"))
    )


def group_of_topic(topic: str, groups_of: dict[str, str]) -> str:
    """The group of a topic's id, or of "<group>/-"."""
    return topic.split("/")[0] if topic.endswith(NONE) else groups_of.get(topic, "")


def softmax(values: np.ndarray) -> np.ndarray:
    """Scores -> probabilities by row."""
    e = np.exp(values - values.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
