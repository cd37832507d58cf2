"""Train the topic model: `python -m classifier.train [--shared DIR] [--out DIR]`.

Data: the room's own examples (`examples/*.txt`, always) and, when there, the appeals and ordinary texts of a shared
data folder. Sets whose licence is non-commercial are never read. Same input, same bytes. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier import text, topics
from classifier.judge import GAZETTEER, MODEL, RULES
from classifier.places import Gazetteer, is_far
from classifier.rules import RuleBook
from classifier.topics import NONE
from classifier.words import Lexicon, Word

EXAMPLES = Path(__file__).parent / "examples"
ANY = "?"  # not labelled for this head


@dataclass(frozen=True, slots=True)
class Example:
    """`group`, `topic`, `alarm` (kind of emergency): ids, NONE, or ANY; `required`: 1, 0, or None when unknown."""

    text: str
    group: str
    topic: str
    required: int | None
    weight: float = 1.0
    alarm: str = NONE


def own_examples(folder: Path = EXAMPLES) -> list[Example]:
    """`[group topic | kind]` headings, one comment a line; `+` before a line = no reaction needed, `-` = needed.

    `kind` says that the lines below are emergencies; `[?]`: any topic, no emergency.
    """
    out = []
    known = topics.read_taxonomy()[2]
    for path in sorted(folder.glob("*.txt")):
        group, topic, alarm = NONE, NONE, NONE
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                heading, _, alarm = (part.strip() for part in line[1:-1].partition("|"))
                group, _, topic = heading.partition(" ")
                topic, alarm = topic.strip() or NONE, alarm or NONE
                if topic != NONE and known.get(topic) != group:
                    raise SystemExit(f"{path.name}:{n}: no such topic in this group: {group} {topic}")
                continue
            if group == ANY:
                out.append(Example(line, ANY, ANY, None, 3.0))
                continue
            required = 0 if line.startswith("+") or (group == NONE and not line.startswith("-")) else 1
            out.append(Example(line.lstrip("+- "), group, topic, required, 3.0, alarm))
    return out


def appeals(shared: Path, names: tuple[str, ...] = ("train", "extra")) -> list[Example]:
    """Letters, and their sentences as shorter examples."""
    out = []
    for name in names:
        for row in csv.DictReader((shared / "data/appeals" / f"{name}.csv").open(encoding="utf-8")):
            group = row["group"] or ANY
            topic = row["topic_id"] or ANY
            if group == ANY:
                continue
            out.append(Example(row["text"], group, topic, 1, 1.5, alarm=ANY))
    return out


def ordinary(shared: Path, part: slice = slice(None)) -> list[Example]:
    """Talk of no administration's concern: group none, no reaction."""
    rows = list(csv.DictReader((shared / "data/ordinary/rusentitweet.csv").open(encoding="utf-8")))
    kept = [r["text"].replace("@user", "").replace("[url]", "").strip() for r in rows[part] if not r["emergency_words"]]
    return [Example(t, NONE, NONE, 0, 0.7) for t in kept if len(t) > 3]


class Featuriser:
    """Text -> word features and pairs, exactly as `topics` does at run time."""

    def __init__(self, places: Path = GAZETTEER) -> None:
        book = RuleBook.load(RULES)
        gazetteer = Gazetteer.load(places)
        self._gazetteer = gazetteer
        self._book = book
        self.places: dict[str, bool] = {}
        self.sorts: dict[int, float] = {}  # key of a feature -> weight of its sort
        self.lexicon = Lexicon(self._note, book.lemmas(), gazetteer.is_name)

    def _note(self, word: Word) -> None:
        word.concepts = self._book.concepts(word.russian, word.lemmas)
        far = word.known and is_far(word)
        self.places[word.form] = word.form[0].isalnum() and (self._gazetteer.names(word) or far)

    def __call__(self, raw: str) -> tuple[list[int], list[int], int]:
        """Keys of word features, keys of pairs, number of words."""
        clean, _ = text.clean(raw)
        words = [self.lexicon[t] for t in text.TOKEN.findall(clean)]
        singles: list[int] = []
        for word in words:
            for name in topics.word_features(word, self.places[word.form]):
                key = topics.feature(name)
                singles.append(key)
                self.sorts[key] = BLOCKS[name[0]]
        keys = np.array([0] + [topics.pair_key(w, self.places[w.form]) for w in words], np.uint32)
        doubles = [int(k) for k in topics.pairs(keys) if k]
        count = sum(w.form[0].isalnum() and len(w.form) <= 40 for w in words)
        return singles, doubles, count


def matrix(featurised, singles: dict[int, int], doubles: dict[int, int]):
    """Sparse features scaled as at run time: [texts, features + pairs]."""
    from scipy.sparse import csr_matrix

    data, columns, starts = [], [], [0]
    for ones, twos, count in featurised:
        found = Counter(singles[k] for k in ones if k in singles)
        for k in twos:
            if k in doubles:
                found[len(singles) + doubles[k]] += 1
        scale = 1.0 / np.sqrt(max(count, 1))
        for column in sorted(found):
            columns.append(column)
            data.append(found[column] * scale)
        starts.append(len(columns))
    return csr_matrix((data, columns, starts), shape=(len(featurised), len(singles) + len(doubles)), dtype=np.float32)


def vocabulary(featurised, which: int, at_least: int) -> dict[int, int]:
    """Keys seen in at least so many texts -> columns, by key."""
    seen: Counter[int] = Counter()
    for item in featurised:
        seen.update(set(item[which]))
    kept = sorted(k for k, n in seen.items() if n >= at_least)
    return {k: i for i, k in enumerate(kept)}


GROUP_THRESHOLD, TOPIC_THRESHOLD = 0.2, 0.15
"""Below these probabilities (of a group; of a topic within its group) the model says "don't know"."""

Head = tuple[list[str], np.ndarray, np.ndarray]
"""Class names, weights [features, classes], bias [classes]."""


def fit_logistic(x, labels: list[str], weights: np.ndarray, c: float) -> Head:
    """Multinomial logistic regression (two classes give one column: the log-odds of the second)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=200, tol=1e-3)
    model.fit(x, labels, sample_weight=weights)
    return [str(k) for k in model.classes_], model.coef_.T, model.intercept_


BLOCKS = {"l": 1.0, "k": 0.7, "c": 0.3, "s": 1.0}
"""How much the features of a sort count to a margin (cross-validated on train and extra appeals and own examples)."""
PAIR = 0.7
FOLDS = 5
BALANCE = (
    0.5  # a class counts as its size to the power of one half: seldom ones are heard, frequent ones still likelier
)


def gains(x, sorts: np.ndarray) -> np.ndarray:
    """What each column of `x` is multiplied by: rarity times the weight of its sort, so that texts are of length 1."""
    rarity = 1.0 + np.log((1 + x.shape[0]) / (1 + np.asarray((x > 0).sum(0)).ravel()))
    found = rarity * sorts
    length = np.sqrt((x.multiply(x) @ found**2).mean())
    return found / max(float(length), 1e-9)


def balanced(truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights of texts by `BALANCE`; their sum stays."""
    total = np.bincount(truth, weights)
    found = weights * np.maximum(total, 1e-9)[truth] ** -BALANCE
    return found * (weights.sum() / found.sum())


def fit_margins(
    x, labels: list[str], weights: np.ndarray, c: float, sorts: np.ndarray, homes: dict[str, str] | None = None
) -> tuple[Head, np.ndarray]:
    """One-against-rest support vectors over features weighted by rarity; margins scaled so that softmax is calibrated.

    The scale is chosen on margins of texts left out in turn (`FOLDS`); `homes`: class -> what it is told apart
    within (a topic within its group). Also those scaled margins: [texts, classes].
    """
    from scipy.sparse import diags
    from sklearn.svm import LinearSVC

    gain = gains(x, sorts)
    rare = (x @ diags(gain.astype(np.float32))).tocsr()
    names = sorted(set(labels))
    truth = np.searchsorted(names, labels)
    share = balanced(truth, weights)

    def svm(rows: np.ndarray) -> LinearSVC:
        return LinearSVC(C=c, random_state=0, max_iter=3000).fit(rare[rows], truth[rows], sample_weight=share[rows])

    margins = np.full((len(labels), len(names)), -2.0)
    fold = np.arange(len(labels)) % FOLDS
    for k in range(FOLDS):
        model = svm(np.flatnonzero(fold != k))
        left = np.flatnonzero(fold == k)
        found = model.decision_function(rare[left])
        if found.ndim == 1:
            found = np.stack([-found, found], axis=1)
        margins[np.ix_(left, model.classes_)] = found
    rivals = margins
    if homes is not None:
        home = np.array([homes[name] for name in names])
        rivals = np.where(home[None, :] == home[truth][:, None], margins, -np.inf)

    def loss(scale: float) -> float:
        z = rivals * scale
        z -= z.max(1, keepdims=True)
        return float((weights * (np.log(np.exp(z).sum(1)) - z[np.arange(len(truth)), truth])).sum())

    scale = min((1 + 0.25 * k for k in range(60)), key=loss)
    model = svm(np.arange(len(labels)))
    coef, intercept = model.coef_, model.intercept_
    if len(coef) == 1:  # two classes: one column of margins stands for both
        coef, intercept = np.vstack([-coef, coef]), np.concatenate([-intercept, intercept])
    return (names, (coef.T * gain[:, None]) * scale, intercept * scale), margins * scale


UNFITTED = [1.0, 0.0]


def fit_confidence(claimed: np.ndarray, right: np.ndarray) -> list[float]:
    """[slope, shift] that make `sigmoid(slope * logit(claimed) + shift)` the share of right answers (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression

    if len(right) < 50 or len(np.unique(right)) < 2:
        return UNFITTED
    p = np.clip(claimed, 1e-4, 1 - 1e-4)
    model = LogisticRegression(C=1e3).fit(np.log(p / (1 - p))[:, None], right)
    return [round(float(model.coef_[0, 0]), 3), round(float(model.intercept_[0]), 3)]


def confidences(
    examples: list[Example], groups: list[str], by_group: np.ndarray, names: list[str], by_topic: dict[int, np.ndarray]
) -> dict[str, list[float]]:
    """How sure answers turned out: `fit_confidence` of answers with a topic and of those with a group only.

    From left-out margins; `by_topic`: number of an example -> its margins, where its topic is known.
    """
    groups_of = topics.read_taxonomy()[2]
    home = np.array([topics.group_of_topic(name, groups_of) for name in names])
    inside = [np.flatnonzero(home == g) for g in groups]
    margins = np.full((sum(e.group != ANY for e in examples), len(names)), -2.0)
    labelled = [(i, e) for i, e in enumerate(examples) if e.group != ANY]
    for row, (i, _) in enumerate(labelled):
        if i in by_topic:
            margins[row] = by_topic[i]
    end = topics.contest(
        topics.softmax(by_group),
        groups.index(NONE),
        [len(k) for k in inside],
        lambda k, t: margins[np.ix_(t, inside[k])],
    )
    found: dict[str, list[tuple[float, bool]]] = {"topic": [], "group": []}
    for row, (i, e) in enumerate(labelled):
        best, p, q = int(end.group[row]), float(end.of_group[row]), float(end.of_topic[row])
        if i not in by_topic or best < 0 or p < GROUP_THRESHOLD:
            continue
        topic = names[inside[best][end.topic[row]]]
        if topic.endswith(NONE) or q < TOPIC_THRESHOLD * p:
            found["group"].append((p, groups[best] == e.group))
        elif e.topic != NONE and e.alarm in (NONE, ANY):
            found["topic"].append((q, topic == e.topic))
    return {k: fit_confidence(*np.array(v or np.zeros((0, 2)), float).T) for k, v in found.items()}


def with_confidence(arrays: dict[str, np.ndarray], meta: dict, held: Sequence[Example], featurise: Featuriser) -> dict:
    """`meta` with the confidence of answers fitted on texts that were not learnt, where there are enough of them.

    Left-out folds make the model look worse than it is: it then lacks a fifth of a topic's ten examples.
    """
    if not held:
        return meta
    singles = {int(k): i for i, k in enumerate(arrays["keys"])}
    doubles = {int(k): i for i, k in enumerate(arrays["pair_keys"])}
    x = matrix([featurise(e.text) for e in held], singles, doubles).astype(np.float64)
    weights = np.vstack([arrays["weights"], arrays["pair_weights"]]) * arrays["scale"].astype(np.float64)
    values = x @ weights + arrays["bias"]
    first, names = len(meta["groups"]) + 1 + len(meta["alarms"]), meta["topics"]
    by_topic = {i: values[i, first:] for i, e in enumerate(held) if e.topic != ANY}
    told = confidences(list(held), meta["groups"], values[:, : len(meta["groups"])], names, by_topic)
    return {**meta, "confidence": {k: v if v != UNFITTED else meta["confidence"][k] for k, v in told.items()}}


def train(
    examples: list[Example],
    c_group: float = 0.5,
    c_topic: float = 0.5,
    c_required: float = 5.0,
    c_alarm: float = 5.0,
    gazetteer: Path = GAZETTEER,
    held: Sequence[Example] = (),
):
    """Examples -> (arrays, meta) of a model for the places of `gazetteer`; `held`: labelled texts that are not learnt,
    to tell by them how sure answers may be.
    """
    featurise = Featuriser(gazetteer)
    featurised = [featurise(e.text) for e in examples]
    singles, doubles = vocabulary(featurised, 0, 2), vocabulary(featurised, 1, 3)
    x = matrix(featurised, singles, doubles)
    weights = np.array([e.weight for e in examples], np.float32)
    sorts = np.array([*(featurise.sorts[k] for k in singles), *(PAIR for _ in doubles)])
    groups_of = topics.read_taxonomy()[2]

    def told(labels: list[str | None]) -> np.ndarray:
        return np.array([i for i, label in enumerate(labels) if label is not None and label != ANY])

    def head(fit, labels: list[str | None], c: float, *more):
        rows = told(labels)
        return fit(x[rows], [str(labels[i]) for i in rows], weights[rows], c, *more)

    (groups, wg, bg), by_group = head(fit_margins, [e.group for e in examples], c_group, sorts)
    topic_labels = [f"{e.group}/{NONE}" if e.topic == NONE else e.topic for e in examples]
    topic_labels = [None if e.group in (NONE, ANY) else t for e, t in zip(examples, topic_labels, strict=True)]
    (names, wt, bt), by_topic = head(
        fit_margins,
        topic_labels,
        c_topic,
        sorts,
        {t: topics.group_of_topic(t, groups_of) for t in topic_labels if t},
    )
    sure = confidences(examples, groups, by_group, names, dict(zip(told(topic_labels).tolist(), by_topic, strict=True)))
    _, wr, br = head(fit_logistic, [None if e.required is None else str(e.required) for e in examples], c_required)
    alarms, wa, ba = head(fit_logistic, [e.alarm for e in examples], c_alarm)
    if len(alarms) == 2:  # one column of log-odds: at run time every class has its own
        wa, ba = np.hstack([np.zeros_like(wa), wa]), np.concatenate([[0.0], ba])
    order = sorted(
        range(len(names)), key=lambda i: (groups.index(topics.group_of_topic(names[i], groups_of)), names[i])
    )
    names = [names[i] for i in order]
    w = np.hstack([wg, wr, wa, wt[:, order]])
    bias = np.concatenate([bg, br, ba, bt[order]])
    scale = np.maximum(np.abs(w).max(0), 1e-9) / 127.0
    packed = np.round(w / scale).astype(np.int8)
    by_key = np.argsort(np.array(list(doubles), np.uint32), kind="stable") if doubles else np.zeros(0, int)
    arrays = {
        "weights": packed[: len(singles)],
        "keys": np.array(list(singles), np.uint32),
        "pair_weights": packed[len(singles) :][by_key],
        "pair_keys": np.array(list(doubles), np.uint32)[by_key],
        "scale": scale.astype(np.float32),
        "bias": bias.astype(np.float32),
    }
    lemmas: Counter[str] = Counter()
    for example in examples:
        clean, _ = text.clean(example.text)
        forms = set(text.TOKEN.findall(clean))
        lemmas.update({featurise.lexicon[f].lemma for f in forms if featurise.lexicon[f].known})
    meta = {
        "format": topics.FORMAT,
        "version": topics.digest(arrays),
        "groups": groups,
        "topics": names,
        "alarms": alarms,
        "group_threshold": GROUP_THRESHOLD,
        "topic_threshold": TOPIC_THRESHOLD,
        "confidence": sure,
        "examples": len(examples),
        "lemmas": sorted(k for k, n in lemmas.items() if n >= 3 and len(k) >= 6 and re.fullmatch("[а-я]+", k)),
    }
    return arrays, with_confidence(arrays, meta, held, featurise)


def save(arrays: dict[str, np.ndarray], meta: dict, folder: Path) -> None:
    """Write the model's folder with fixed times, so that equal weights are equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "weights.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.save(buffer, arrays[name], allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, buffer.getvalue())
    (folder / "meta.json").write_text(
        json.dumps(meta, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


def examples_for(shared: Path | None, part: slice = slice(None), corrections: Sequence[Example] = ()) -> list[Example]:
    """All examples; `part` of the ordinary texts (the rest is then unseen); `corrections`: what people said."""
    out = [*own_examples(), *corrections]
    if shared is not None and (shared / "data/appeals").is_dir():
        out += appeals(shared) + ordinary(shared, part)
    return out


def held_examples(shared: Path | None) -> list[Example]:
    """The labelled texts of the shared folder that are never learnt: dev letters and comments."""
    if shared is None or not (shared / "data/appeals/dev.csv").is_file():
        return []
    out = appeals(shared, ("dev",))
    comments = shared / "data/comments_dev.jsonl"
    for line in comments.read_text(encoding="utf-8").splitlines() if comments.is_file() else ():
        row = json.loads(line)
        alarm = (row["emergency_kind"] or ANY) if row["emergency"] else NONE
        out.append(Example(row["text"], row["group"] or NONE, row["topic"] or NONE, None, alarm=alarm))
    return out


def default_shared() -> Path:
    return Path(os.environ.get("OTKLIK_SHARED", Path(__file__).parent.parent.parent / "shared"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=default_shared())
    parser.add_argument("--out", type=Path, default=MODEL)
    args = parser.parse_args()
    examples = examples_for(args.shared)
    arrays, meta = train(examples, held=held_examples(args.shared))
    save(arrays, meta, args.out)
    size = (args.out / "weights.npz").stat().st_size
    print(f"{len(examples)} examples, {len(meta['topics'])} topics, version {meta['version']}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
