"""Measure the judge on labelled texts: `python -m classifier.evaluate [--shared DIR] [--model DIR]`.

Prints weighted and macro F1 of groups and topics, emergencies found and false alarms, F1 of places, shares of right
urgencies and reactions, and how honest the confidence is. `comments_dev.jsonl` and the dev appeals are not trained on.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import classifier
from classifier.contract import Text
from classifier.train import default_shared

NONE = "-"


def f1(truth: Sequence[str], said: Sequence[str]) -> tuple[float, float]:
    """Weighted and macro F1 over the classes of the truth."""
    total = Counter(truth)
    scores = {}
    for name in total:
        right = sum(t == s == name for t, s in zip(truth, said, strict=True))
        predicted = sum(s == name for s in said)
        scores[name] = 2 * right / (total[name] + predicted) if right else 0.0
    weighted = sum(scores[n] * total[n] for n in total) / max(1, len(truth))
    return weighted, sum(scores.values()) / max(1, len(scores))


def interval(values: Sequence[bool]) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    n = len(values)
    if not n:
        return 0.0, 1.0
    p, z = sum(values) / n, 1.96
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def calibration(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error."""
    total = 0.0
    for b in range(bins):
        inside = [(c, r) for c, r in zip(confidences, right, strict=True) if min(int(c * bins), bins - 1) == b]
        if inside:
            total += abs(sum(c for c, _ in inside) - sum(r for _, r in inside))
    return total / max(1, len(confidences))


def comments(judge, path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    said = [judge.assess(Text(r["text"], r["id"])) for r in rows]
    pairs = list(zip(rows, said, strict=True))
    groups = f1([r["group"] or NONE for r in rows], [a.topic_group or NONE for a in said])
    topics = f1([r["topic"] or NONE for r in rows], [a.topic or NONE for a in said])
    print(f"{path.name}: {len(rows)} comments")
    print(f"  group F1 weighted {groups[0]:.3f}, macro {groups[1]:.3f}; topic F1 weighted {topics[0]:.3f}")
    found = [a.emergency for r, a in pairs if r["emergency"]]
    false = [a.emergency for r, a in pairs if not r["emergency"]]
    low, high = interval(found)
    print(
        f"  emergencies found {sum(found)} of {len(found)} [{low:.2f}, {high:.2f}]; false {sum(false)} of {len(false)}"
    )
    kinds = [a.emergency_kind == r["emergency_kind"] for r, a in pairs if r["emergency"] and a.emergency]
    print(f"  kind right {sum(kinds)} of {len(kinds)}")
    hits = extra = missed = 0
    for r, a in pairs:
        names = {p.name for p in a.places if p.kind != "улица"}
        hits += len(names & set(r["places"]))
        extra += len(names - set(r["places"]))
        missed += len(set(r["places"]) - names)
    print(
        f"  places F1 {2 * hits / max(1, 2 * hits + extra + missed):.3f} ({hits} right, {extra} extra, {missed} missed)"
    )
    for field in ("urgency", "reaction"):
        right = [getattr(a, field) == r[field] for r, a in pairs]
        print(f"  {field} right {sum(right)} of {len(right)}")


def appeals(judge, path: Path) -> None:
    rows = [r for r in csv.DictReader(path.open(encoding="utf-8")) if r["group"]]
    said = judge.assess_many([Text(r["text"], r["id"]) for r in rows])
    groups = f1([r["group"] for r in rows], [a.topic_group or NONE for a in said])
    labelled = [(r["topic_id"], a.topic or NONE) for r, a in zip(rows, said, strict=True) if r["topic_id"]]
    topics = f1([t for t, _ in labelled], [s for _, s in labelled])
    right = [a.topic_group == r["group"] for r, a in zip(rows, said, strict=True)]
    low, high = interval(right)
    print(f"{path.name}: {len(rows)} appeals")
    print(
        f"  group F1 weighted {groups[0]:.3f}, macro {groups[1]:.3f}; "
        f"right {sum(right) / len(right):.3f} [{low:.2f}, {high:.2f}]"
    )
    print(f"  topic F1 weighted {topics[0]:.3f} ({len(labelled)} with a topic)")
    claims = [
        (a.topic_confidence, a.topic == r["topic_id"] if a.topic and r["topic_id"] else a.topic_group == r["group"])
        for r, a in zip(rows, said, strict=True)
        if a.topic_group and not a.emergency
    ]
    print(f"  expected calibration error {calibration(*zip(*claims, strict=True)):.3f} ({len(claims)} answers)")
    alarms = sum(a.emergency for a in said)
    print(f"  emergencies raised {alarms} of {len(said)} (unlabelled: letters about hazards)")


def ordinary(judge, path: Path) -> None:
    texts = [r["text"] for r in csv.DictReader(path.open(encoding="utf-8"))]
    start = time.perf_counter()
    said = judge.assess_many([Text(t) for t in texts])
    cold = len(texts) / (time.perf_counter() - start)
    start = time.perf_counter()
    judge.assess_many([Text(t) for t in texts])
    warm = len(texts) / (time.perf_counter() - start)
    alarms = sum(a.emergency for a in said)
    print(f"{path.name}: {len(texts)} texts, alarms {alarms} = {1000 * alarms / len(texts):.2f} per 1,000")
    print(f"  {cold:,.0f} texts/s at first sight of their words, {warm:,.0f} texts/s after")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=default_shared())
    parser.add_argument("--model", type=Path, default=None)
    args = parser.parse_args()
    data = args.shared / "data"
    if not data.is_dir():
        raise SystemExit(f"no data at {data}; give --shared DIR")
    judge = classifier.load(args.model)
    print(judge.model)
    comments(judge, data / "comments_dev.jsonl")
    appeals(judge, data / "appeals/dev.csv")
    for name in ("ordinary/rusentitweet.csv", "ordinary/sloyka_vk.csv", "toxic/vk_distorted_toxicity.csv"):
        ordinary(judge, data / name)


if __name__ == "__main__":
    main()
