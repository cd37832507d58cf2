"""Measure the judge on labelled texts: `python -m classifier.evaluate [--shared DIR] [--model DIR]`.

Prints weighted and macro F1 of groups and topics, emergencies found and false alarms, F1 of places, shares of right
urgencies and reactions, and how honest the confidence is. `comments_dev.jsonl`, the dev appeals and the kept test set
are not trained on. The figures are those of `measure`; `otklik model evaluate` shows the same in Russian.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import classifier
from classifier import lessons
from classifier.contract import Judge, Text
from classifier.measure import NONE, Figures, Labelled, measure
from classifier.train import default_shared

BATCH = 500
ORDINARY = ("ordinary/rusentitweet.csv", "ordinary/sloyka_vk.csv", "toxic/vk_distorted_toxicity.csv")


def comments(path: Path) -> list[Labelled]:
    """Labelled comments, one JSON object a line."""
    return [
        Labelled(
            Text(r["text"], r["id"]),
            group=r["group"] or NONE,
            topic=r["topic"] or NONE,
            emergency=r["emergency"],
            kind=r["emergency_kind"],
            reaction=r["reaction"],
            urgency=r["urgency"] or NONE,
            places=tuple(r["places"]),
        )
        for r in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ]


def appeals(path: Path) -> list[Labelled]:
    """Letters with a group and, where there is a fitting one, a topic; nobody labelled anything else."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Labelled(Text(r["text"], r["id"]), group=r["group"], topic=r["topic_id"] or None)
            for r in csv.DictReader(file)
            if r["group"]
        ]


def shared_sets(shared: Path) -> Iterator[tuple[str, list[Labelled]]]:
    """Labelled sets of the shared data folder that are never trained on; none where the folder is absent."""
    for name, path, read in (
        ("комментарии (dev)", shared / "data/comments_dev.jsonl", comments),
        ("обращения (dev)", shared / "data/appeals/dev.csv", appeals),
    ):
        if path.is_file():
            yield name, read(path)


def answers(judge: Judge, texts: Sequence[Labelled]) -> list:
    """What a judge says of each text, in batches; None where it fails."""
    found = []
    for i in range(0, len(texts), BATCH):
        found += judge.assess_many([t.text for t in texts[i : i + BATCH]])
    return found


def evaluate(judge: Judge, name: str, texts: Sequence[Labelled]) -> Figures:
    """Figures of a judge over a set."""
    return measure(name, texts, answers(judge, texts))


def lines(f: Figures) -> Iterator[str]:
    """The figures as plain lines."""
    yield f"{f.name}: {f.n} texts"
    for what, c in (("group", f.groups), ("topic", f.topics)):
        if c.n:
            low, high = c.interval
            yield f"  {what} F1 weighted {c.weighted:.3f} [{low:.2f}, {high:.2f}], macro {c.macro:.3f} ({c.n} labelled)"
    if f.found.n:
        low, high = f.found.interval
        yield (
            f"  emergencies found {f.found.right} of {f.found.n} [{low:.2f}, {high:.2f}]; "
            f"false {f.false.right} of {f.false.n}; kind right {f.kinds.right} of {f.kinds.n}"
        )
    if f.places_f1 is not None:
        hits, extra, missed = f.places
        yield f"  places F1 {f.places_f1:.3f} ({hits} right, {extra} extra, {missed} missed)"
    for what, share in (("reaction", f.reactions), ("urgency", f.urgencies)):
        if share.n:
            yield f"  {what} right {share.right} of {share.n}"
    if f.ece is not None:
        yield f"  expected calibration error {f.ece:.3f} ({sum(b.n for b in f.bins)} answers, bins of 0.1)"


def ordinary(judge: Judge, path: Path) -> Iterator[str]:
    """False alarms among ordinary texts, and speed."""
    with path.open(encoding="utf-8", newline="") as file:
        texts = [Text(r["text"]) for r in csv.DictReader(file)]
    start = time.perf_counter()
    said = judge.assess_many(texts)
    cold = len(texts) / (time.perf_counter() - start)
    start = time.perf_counter()
    judge.assess_many(texts)
    warm = len(texts) / (time.perf_counter() - start)
    alarms = sum(a is not None and a.emergency for a in said)
    yield f"{path.name}: {len(texts)} texts, alarms {alarms} = {1000 * alarms / len(texts):.2f} per 1,000"
    yield f"  {cold:,.0f} texts/s at first sight of their words, {warm:,.0f} texts/s after"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=default_shared())
    parser.add_argument("--model", type=Path, default=None)
    args = parser.parse_args()
    judge = classifier.load(args.model)
    print(judge.model)
    for name, texts in (("kept test set", lessons.kept()), *shared_sets(args.shared)):
        print(*lines(evaluate(judge, name, texts)), sep="\n")
    for path in (args.shared / "data" / name for name in ORDINARY):
        if path.is_file():
            print(*ordinary(judge, path), sep="\n")


if __name__ == "__main__":
    main()
