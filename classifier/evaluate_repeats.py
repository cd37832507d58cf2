"""Measure the comparison of questions: `python -m classifier.evaluate_repeats PAIRS.tsv [--round N] [--errors]`.

The file holds texts, one a line: round, family, question, text (tab-separated). Texts of one question are repeats of
each other; texts of one family with different questions (or "-") are not, and are alike on purpose. Every pair inside a
family is judged as two comments of different people under different publications. `--negatives FILE.csv` adds pairs
out of texts that are not repeats: every text against those of the file that share a key with it, as the store does.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import classifier
from classifier.contract import Text
from classifier.measure import wilson
from store.values import Assessment


class Line(NamedTuple):
    round: str
    family: str
    question: str
    text: str


class Verdict(NamedTuple):
    """One pair: whether it is a repeat, whether it was called one, whether the index would have found it."""

    a: Line
    b: Line
    same: bool
    said: bool
    found: bool
    score: float


def read(path: Path) -> list[Line]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Line(*line.split("\t")) for line in lines if line and not line.startswith("#")]


def verdicts(judge, lines: Sequence[Line]) -> Iterator[Verdict]:
    """Every pair inside a family, judged."""
    said = dict(zip(lines, judge.assess_many([Text(line.text) for line in lines]), strict=True))
    families: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        families[line.family].append(line)
    for family in families.values():
        for a, b in itertools.combinations(family, 2):
            score, found = alike(said[a], said[b])
            same = a.question == b.question != "-"
            yield Verdict(a, b, same, score > 0 and found, found, score)


def alike(a: Assessment, b: Assessment) -> tuple[float, bool]:
    """How alike two texts by strangers are (0: not), and whether the store would find one by the other's keys."""
    if a.signature is None or b.signature is None:
        return 0.0, False
    likeness = a.signature.likeness(b.signature.body, same_author=False, near="", apart_s=3600.0)
    return (likeness.score if likeness else 0.0), not set(a.signature.keys).isdisjoint(b.signature.keys)


def report(found: Iterable[Verdict]) -> str:
    found = list(found)
    called = [v.same for v in found if v.said]
    wanted = [v.said for v in found if v.same]
    lines = [f"{len(found)} pairs, {len(wanted)} of them repeats"]
    for name, values in (("precision", called), ("recall", wanted)):
        low, high = wilson(sum(values), len(values))
        share = sum(values) / max(1, len(values))
        lines.append(f"  {name} {share:.3f} ({sum(values)} of {len(values)}) [{low:.3f}, {high:.3f}]")
    return "\n".join(lines)


def collisions(judge, path: Path, column: str = "text") -> tuple[int, list[tuple[str, str, float]]]:
    """How many texts of a CSV file have a signature, and the pairs of different texts among them that are called
    repeats."""
    with path.open(encoding="utf-8") as file:
        texts = list(dict.fromkeys(r[column] for r in csv.DictReader(file)))
    by_key: dict[int, list[int]] = defaultdict(list)
    asked: list[tuple[str, Assessment]] = []
    pairs = []
    for text, said in zip(texts, judge.assess_many([Text(t) for t in texts]), strict=True):
        if said is None or said.signature is None:
            continue
        seen = {i for key in said.signature.keys for i in by_key[key][-8:]}
        for i in seen:
            score, _ = alike(said, asked[i][1])
            if score:
                pairs.append((asked[i][0], text, score))
        for key in said.signature.keys:
            by_key[key].append(len(asked))
        asked.append((text, said))
    return len(asked), pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--round", default=None)
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--negatives", type=Path, action="append", default=[])
    args = parser.parse_args()
    judge = classifier.load()
    lines = [line for line in read(args.pairs) if args.round in (None, line.round)]
    found = list(verdicts(judge, lines))
    print(report(found))
    if args.errors:
        for v in found:
            if v.same != v.said:
                kind = "false" if v.said else "missed" if v.found else "not found"
                print(f"  {kind} {v.score:.2f} [{v.a.family}/{v.a.question}] {v.a.text} | {v.b.text}")
    for path in args.negatives:
        n, pairs = collisions(judge, path)
        print(f"{path.name}: {n} texts with a signature, {len(pairs)} pairs called repeats")
        for a, b, score in pairs if args.errors else ():
            print(f"  {score:.2f} {' '.join(a.split())[:150]} | {' '.join(b.split())[:150]}")


if __name__ == "__main__":
    main()
