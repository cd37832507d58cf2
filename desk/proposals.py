"""What the administrator is proposed to do with a message, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desk.rights import everyone
from desk.search import Choice
from desk.verbs import BLOCK_GROUNDS, REFUSE_GROUNDS
from settings import Settings

REFUSE_BY_CONDUCT = {"obscenity": "obscene", "obscene": "obscene", "insult": "obscene", "threat": "threat"}
BLOCK_BY_CONDUCT = {"insult": "insult", "spam": "spam", "off_topic": "offtopic", "illegal_call": "illegal"}
"""Marks of the classifier -> the ground of clause 9 or 10 that a person should look at first."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """`to`: divisions, the last one answers; empty: nobody is known. `why`: a short Russian phrase."""

    to: tuple[str, ...] = ()
    why: str = ""


def propose(message: Mapping[str, Any], siblings: Mapping[str, Any], settings: Settings) -> Proposal:
    """Where to send a message: to the division that has the same question (clause 7.11), else by topic or group."""
    known = [d.id for d in settings.divisions]
    if (same := siblings.get("division")) in known:
        return Proposal((same,), "у него тот же вопрос")
    for field, why in (("topic", "его тема"), ("topic_group", "его группа тем")):
        wanted = message.get(field)
        found = next((d.id for d in settings.divisions if wanted and wanted in d.topics), None)
        if found is not None:
            return Proposal((found,), why)
    if len(known) == 1:
        return Proposal((known[0],), "других подразделений нет")
    return Proposal((), "тему никто не ведёт" if message.get("topic_group") else "тема не определена")


def divisions(settings: Settings) -> list[Choice]:
    """Whom a message may be sent to: divisions, and people, who stand for theirs."""
    found = [Choice(d.id, d.name or d.id, d.id) for d in settings.divisions]
    called = {d.id: d.name or d.id for d in settings.divisions}
    for person, division in everyone(settings):
        if division is not None:
            found.append(Choice(division, person.name or person.id, called[division], person.id))
    return found


def grounds(kind: str, conduct: list[str]) -> list[tuple[str, str]]:
    """Grounds to refuse ("refuse") or to block ("block"), the one that the classifier has marked first."""
    every, marked = (REFUSE_GROUNDS, REFUSE_BY_CONDUCT) if kind == "refuse" else (BLOCK_GROUNDS, BLOCK_BY_CONDUCT)
    first = [marked[c] for c in conduct if c in marked]
    return [(g, every[g]) for g in dict.fromkeys([*first, *every])]
