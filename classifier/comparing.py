"""Whether two texts ask the same: nothing in them may contradict (another place, another trouble, "gave light" against
"no light"), and enough must agree; how much depends on what else ties them: the place, the author, the thread.
"""

from __future__ import annotations

import functools

from classifier.content import LANDMARKS, Content, hashed, hashes
from store.values import Likeness

SAYS_ENOUGH = 8
"""Weight of what two strangers' texts must share when neither says where: a subject counts 3, a trouble or word 2."""
EMERGENCY_SURE_S = 3 * 3600.0
EMERGENCY_WINDOW_S = 24 * 3600.0
"""Two fires in one village a week apart are two fires."""

# Troubles that may be told of in each other's words; all others exclude each other.
_NEAR = {
    "out": ("build", "uncollected", "lack", "cash", "late", "closed", "broken", "enrol", "cold"),
    "broken": ("pits", "build", "danger"),
    "attack": ("stray", "danger"),
    "lack": ("enrol", "crowd", "late", "closed"),
    "duration": ("cash", "late", "enrol", "lack", "out", "build", "uncollected", "pits", "broken"),
    "danger": ("pits", "stray", "speed"),
    "pits": ("build",),
    "dirty": ("smell", "quality"),
    "late": ("crowd",),
    "smell": ("uncollected", "leak"),
    "open": ("danger", "broken"),
}
# Troubles that make a question another one when only one of two texts names them beside others.
_SPECIAL = ("weak", "dirty", "price")
# Of these "there is none" is a question by itself; of a school or a hospital it depends on what there is none of.
_SUPPLIES = (
    "water", "power", "lamps", "gas", "heat", "net", "bus", "containers", "kindergarten", "playground",
    "bridge", "garbage", "snow", "road", "ambulance", "pension", "benefits", "nurse_post", "pediatrician",
    "therapist", "dentist", "surgeon", "cardiologist", "neurologist", "oculist", "gynaecologist", "ent",
)  # fmt: skip


def _agree(a: frozenset[int], b: frozenset[int]) -> str:
    """How two sets of one kind agree: none, one (only one has any), same, part (one holds the other), other."""
    if not a and not b:
        return "none"
    if not a or not b:
        return "one"
    if a == b:
        return "same"
    return "part" if a < b or b < a else "other"


def _place(a: Content, b: Content) -> str:
    """none, one, same, part or other, of all that says where."""
    number = _agree(a.numbers, b.numbers)
    village = _agree(a.settlements, b.settlements)
    if village == "other" or number == "other":
        return "other"
    spot, street = _agree(a.objects, b.objects), _agree(a.names, b.names)
    if spot == "other" or street == "other":
        return "other"
    if village == spot == street == "none":
        return "none" if number in ("none", "same") else "one"
    if village in _ONE_SIDED and spot in _ONE_SIDED and street in _ONE_SIDED:
        bare = not (a.settlements or a.objects or a.names) or not (b.settlements or b.objects or b.names)
        return "one" if bare else "other"  # each names a place of another kind: not known to be one
    if "part" in (village, spot, street) or number in ("part", "one") or spot == "one" or street == "one":
        return "part"
    return "same"


_ONE_SIDED = ("none", "one")


@functools.cache
def _near() -> dict[int, frozenset[int]]:
    """`_NEAR`, both ways, by hash."""
    found: dict[int, set[int]] = {}
    for one, others in _NEAR.items():
        for other in others:
            a, b = hashed(one), hashed(other)
            found.setdefault(a, set()).add(b)
            found.setdefault(b, set()).add(a)
    return {k: frozenset(v) for k, v in found.items()}


def _opposed(a: Content, b: Content) -> bool:
    """Another subject, another trouble, or on against off."""
    low, high = sorted((a.sign, b.sign))
    if (low < 0 < high) or (low == 0 and high == 2):
        return True
    if a.emergency and b.emergency:
        return a.emergency != b.emergency
    if a.subjects and b.subjects and not a.subjects & b.subjects:
        return True
    if not a.aspects or not b.aspects:
        return False
    if not hashes(_SPECIAL).isdisjoint(a.aspects ^ b.aspects):
        return True
    return not _kindred(a, b)


def contradict(a: Content, b: Content) -> bool:
    """Whether the two can't ask the same, whatever words they share."""
    return bool(a.terms and b.terms) and (_place(a, b) == "other" or _opposed(a, b))


def _kindred(a: Content, b: Content) -> bool:
    """Whether the two name one trouble, or troubles that are told of in each other's words."""
    near = _near()
    return bool(a.aspects & b.aspects) or any(near.get(x, frozenset()) & b.aspects for x in a.aspects)


def _trouble(a: Content, b: Content) -> bool:
    """Whether the two name one trouble that tells something by itself."""
    if not _kindred(a, b):
        return False
    both = a.subjects & b.subjects
    return not both.isdisjoint(hashes(_SUPPLIES)) or bool((a.aspects & b.aspects) - hashes(("out",)))


def _common(a: dict[int, int], b: dict[int, int]) -> int:
    return sum(w for t, w in a.items() if t in b)


def _overlap(a: dict[int, int], b: dict[int, int]) -> float:
    """Weighted share of common terms, between Dice's and that of the shorter text; 0..1."""
    common = _common(a, b)
    if not common:
        return 0.0
    of_a, of_b = sum(a.values()), sum(b.values())
    return common / (of_a + of_b) + common / min(of_a, of_b) / 2


def compare(a: Content, b: Content, *, same_author: bool, near: str, apart_s: float) -> Likeness | None:
    """How alike two texts are, or None when they do not ask the same.

    `near`: "thread" (one answers the other), "post" (under one publication) or "". `apart_s`: seconds between them.
    """
    if a.copy and a.copy == b.copy and (near or same_author or a.tells):
        return Likeness(1.0, "тот же текст")
    if not a.terms or not b.terms:
        return None
    place = _place(a, b)
    if place == "other" or _opposed(a, b):
        return None
    score = _overlap(a.terms, b.terms)
    about = bool(a.subjects & b.subjects)
    trouble = _trouble(a, b)
    if a.emergency and a.emergency == b.emergency:
        if apart_s > EMERGENCY_WINDOW_S:
            return None
        tied = place in ("same", "part") or near
        least = 0.0 if place == "same" and apart_s <= EMERGENCY_SURE_S else 0.15
        return Likeness(max(score, 0.5), "то же происшествие") if tied and score >= least else None
    if place == "none" and not near and not same_author and _common(a.terms, b.terms) < SAYS_ENOUGH:
        return None  # "a pit in the road", but which?
    if score < _wanted(a, b, place, about, trouble, same_author=same_author, near=near):
        return None
    return Likeness(score, _reason(place, about, a.topic == b.topic and a.topic != 0, same_author, near))


def _wanted(a: Content, b: Content, place: str, about: bool, trouble: bool, *, same_author: bool, near: str) -> float:
    """How much of the words must agree, given what else ties two texts together."""
    landmarks = hashes(LANDMARKS)
    whole = (
        about
        and ((a.subjects ^ b.subjects) <= landmarks)
        and bool(a.subjects & b.subjects - landmarks or a.subjects == b.subjects)
    )
    if place == "same":
        if about:
            return (0.4 if trouble else 0.7) + (0.0 if whole else 0.2)
        wanted = 0.6 if a.topic == b.topic and a.topic else 0.7
    elif place == "part":
        wanted = 0.6 if whole and trouble else 0.8
    elif place == "none":
        wanted = 0.75 if whole and trouble else 0.85
        if near:
            wanted -= 0.15 if about and trouble else 0.05
    else:  # only one says where
        wanted = 0.75 if near and whole and trouble else 0.85 if near or same_author else 1.1
    return wanted - 0.15 if same_author else wanted


def _reason(place: str, about: bool, topic: bool, same_author: bool, near: str) -> str:
    parts = []
    if place in ("same", "part"):
        parts.append("то же место")
    if about or topic:
        parts.append("та же тема")
    if same_author:
        parts.append("тот же автор")
    if near == "thread":
        parts.append("ответ на него")
    return ", ".join(parts) or "те же слова"
