"""Hostile texts for the judge: `python tests/fuzz_classifier.py [--texts N] [--seed S]`.

Random Unicode, mutations of what people write, markup, control characters, homoglyphs, long runs. Every text must
get an assessment that fits the contract: never an exception, spans inside the text, known words in the closed fields.
`make test` tries 2,000 of them, `make soak` a million.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import classifier
from classifier.contract import Judge, Text
from store.values import Assessment

DATA = Path(__file__).parent / "classifier" / "data"
SEEDS = [line.split("\t")[-1] for path in sorted(DATA.glob("round*.tsv")) for line in path.open(encoding="utf-8")]
ODD = [
    "\u200b", "\u202e", "\x00", "\x1b[31m", "<b>", "</", "&#1087;", "&amp", "\ud83d", "🔥", "\u200d", "ё",
    "й", "\u0301", "\u04c0", "[id1|", "\n\n", "…", "№", "x", "0", "@", "*",
]  # fmt: skip
LOOKALIKE = str.maketrans("аеорсухк", "aeopcyxk")
PAGES = ["", "Ахты", "Администрация Магарамкентского района", "\x00"]
KINDS = ["photo", "video", "sticker", "doc", "", "нечто"]
CONDUCT = {
    "obscene", "insult", "threat", "spam", "illegal_call", "off_topic", "unintelligible", "other_language",
}  # fmt: skip


def text(rng: random.Random) -> str:
    """One hostile text."""
    way = rng.randrange(8)
    if way == 0:
        return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(60)))
    if way == 1:
        return "".join(rng.choice("абвгдежзийклмнопрстуфхцчшщъыьэюя .,!?\n") for _ in range(rng.randrange(120)))
    if way == 2:
        return "".join(rng.choice(ODD) for _ in range(rng.randrange(40)))
    if way == 3 and rng.random() < 0.01:
        return rng.choice(SEEDS) * rng.randrange(400, 2500)
    chars = list(rng.choice(SEEDS) + (rng.choice(SEEDS) if rng.random() < 0.3 else ""))
    for _ in range(rng.randrange(1, 7)):
        at = rng.randrange(len(chars) + 1)
        step = rng.randrange(5)
        if step == 0:
            chars.insert(at, rng.choice(ODD))
        elif step == 1 and chars:
            del chars[at - 1]
        elif step == 2 and at < len(chars) - 1:
            chars[at], chars[at + 1] = chars[at + 1], chars[at]
        elif step == 3:
            chars[at:at] = chars[max(0, at - 3) : at] * rng.randrange(4)
        else:
            chars = list("".join(chars).translate(LOOKALIKE) if rng.random() < 0.5 else "".join(chars).upper())
    return "".join(chars)


def texts(count: int, seed: int) -> Iterator[Text]:
    rng = random.Random(seed)
    for n in range(count):
        kinds = tuple(rng.choice(KINDS) for _ in range(rng.randrange(3))) if rng.random() < 0.2 else ()
        yield Text(text(rng), str(n), rng.choice(PAGES), kinds)


def fault(item: Text, said: Assessment | None) -> str | None:
    """What of the contract the assessment breaks, or None."""
    if said is None:
        return "no assessment"
    if said.urgency not in ("urgent", "prompt", None) or said.reaction not in ("required", "none", "refuse"):
        return f"unknown urgency or reaction: {said.urgency}, {said.reaction}"
    if said.emergency != bool(said.emergency_kind):
        return "an emergency without a kind, or a kind without an emergency"
    if said.emergency and (said.reaction, said.urgency) != ("required", "urgent"):
        return "an emergency is hidden"
    if not set(said.conduct) <= CONDUCT:
        return f"unknown conduct {said.conduct}"
    if not 0.0 <= said.topic_confidence <= 1.0:
        return f"confidence {said.topic_confidence}"
    for place in said.places:
        if place.span is not None and not 0 <= place.span[0] < place.span[1] <= len(item.text):
            return f"span {place.span} of {len(item.text)} characters"
    return None


def run(judge: Judge, count: int, seed: int, batch: int = 500) -> list[str]:
    """Faults found among `count` texts, told with the text (cut)."""
    faults: list[str] = []
    waiting: list[Text] = []

    def judge_them() -> None:
        for item, said in zip(waiting, judge.assess_many(waiting), strict=True):
            what = fault(item, said)
            if what:
                faults.append(f"{what}: {item.text[:200]!r}")
        waiting.clear()

    for item in texts(count, seed):
        waiting.append(item)
        if len(waiting) == batch:
            judge_them()
    judge_them()
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    start = time.monotonic()
    faults = run(classifier.load(), args.texts, args.seed)
    print(f"{args.texts} texts in {time.monotonic() - start:.0f} s, {len(faults)} faults")
    print("\n".join(faults[:20]))
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
