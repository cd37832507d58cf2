"""What people said, as lessons: a part is kept to measure by and never learnt, the rest is learnt.

A correction belongs to the kept part by a hash of the comment's key, so for ever: no later model has learnt it either.
A text that stands in the kept part is not learnt from elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from classifier.contract import Text
from classifier.measure import NONE, Labelled
from classifier.train import ANY, EXAMPLES, Example, own_examples
from store.values import Correction

KEPT = EXAMPLES / "kept"
KEPT_SHARE = 0.2
WEIGHT = 3.0  # of a correction in training, as of an own example


def is_kept(correction: Correction) -> bool:
    """Whether a correction measures rather than teaches: one in five, by the comment's key."""
    key = hashlib.sha256(f"{correction.network}/{correction.external_id}".encode()).digest()
    return int.from_bytes(key[:4], "big") < KEPT_SHARE * 2**32


def kept(corrections: Iterable[Correction] = (), folder: Path = KEPT) -> list[Labelled]:
    """The kept test set: what ships with the program, and the kept corrections."""
    shipped = [labelled_example(e, f"{folder.name}-{n}") for n, e in enumerate(own_examples(folder), 1)]
    return shipped + [labelled_correction(c) for c in corrections if is_kept(c)]


def labelled_example(e: Example, id_: str) -> Labelled:
    def told(value: str) -> str | None:
        return None if value == ANY else value

    return Labelled(
        Text(e.text, id_),
        group=told(e.group),
        topic=told(e.topic) if e.topic != NONE or e.group == NONE else None,
        emergency=None if e.alarm == ANY else e.alarm != NONE,
        kind=None if e.alarm in (ANY, NONE) else e.alarm,
        reaction=None if e.required is None else "required" if e.required else "none",
    )


def labelled_correction(c: Correction) -> Labelled:
    """What the person said; of the rest nobody knows."""
    fields = c.assessment
    by_topic = c.said("topic") or c.said("topic_group")
    return Labelled(
        Text(c.text, c.message_id, c.page, c.attachments),
        group=(fields["topic_group"] or NONE) if by_topic else None,
        topic=_topic(c) if by_topic else None,
        emergency=fields["emergency"] if c.said("emergency") else None,
        kind=fields["emergency_kind"] if c.said("emergency_kind") else None,
        reaction=fields["reaction"] if c.said("reaction") else None,
        urgency=(fields["urgency"] or NONE) if c.said("urgency") else None,
        places=tuple(p["name"] for p in fields["places"]) if c.said("places") else None,
    )


def _topic(c: Correction) -> str | None:
    """A person who names only a group has not said that there is no topic."""
    return c.assessment["topic"] or (None if c.assessment["topic_group"] else NONE)


def examples(
    corrections: Iterable[Correction], kind_of: Callable[[str], str], known: Callable[[str], bool]
) -> list[Example]:
    """Corrections to learn from, in an order of their own. `kind_of(text)`: the likeliest kind of an emergency of which
    the person named none; `known(kind)`: whether there is such a kind.
    """
    found = []
    for c in corrections:
        if is_kept(c) or not c.text.strip():
            continue
        fields = c.assessment
        by_topic = c.said("topic") or c.said("topic_group")
        alarm = ANY
        if c.said("emergency"):
            alarm = NONE
            if fields["emergency"]:
                alarm = fields["emergency_kind"] if known(fields["emergency_kind"] or "") else kind_of(c.text)
        lesson = Example(
            c.text,
            (fields["topic_group"] or NONE) if by_topic else ANY,
            (_topic(c) or ANY) if by_topic else ANY,
            _required(c),
            WEIGHT,
            alarm,
        )
        if (lesson.group, lesson.required, lesson.alarm) != (ANY, None, ANY):
            found.append(lesson)
    return sorted(found, key=lambda e: (e.text, e.group, e.topic, str(e.required), e.alarm))


def _required(c: Correction) -> int | None:
    """Whether the person said that an answer is needed."""
    fields = c.assessment
    if c.said("reaction"):
        return {"required": 1, "none": 0}.get(fields["reaction"])
    if c.said("urgency"):
        return int(fields["urgency"] is not None)
    return 1 if c.said("emergency") and fields["emergency"] else None


def without(lessons: Sequence[Example], kept: Sequence[Labelled]) -> list[Example]:
    """`lessons` without the texts that measure, also when only letter case, spaces or signs differ."""
    measured = {same(k.text.text) for k in kept}
    return [e for e in lessons if same(e.text) not in measured]


def same(text: str) -> str:
    """The letters and digits of a text: what copies of it share. Texts without any are told apart as they are."""
    return "".join(filter(str.isalnum, text.casefold().replace("ё", "е"))) or text
