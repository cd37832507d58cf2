"""Checks of an answer before it is approved: what may not leave, and what a person should look at once more. Pure.

Each concern is a module with a function `check(draft) -> findings`; `examine` asks them all. An error refuses; a
warning needs the administrator's reason, which the audit log keeps; a note is only told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

ERROR, WARNING, NOTE = "error", "warning", "note"
CHECKS = {
    "length": "длина",
    "promises": "срок и ответственный",
    "personal": "персональные данные",
    "politics": "личная позиция",
    "manners": "тон",
    "copies": "чужой ответ",
    "empty": "отписка",
    "relevance": "другой вопрос",
}
"""How the checks are called when shown."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An answer that was published before: to which message, about which place."""

    message_id: str
    text: str
    topic: str | None = None
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer and what it answers. `topic`: the names of the message's topic and group, in words.

    `limit`: the longest text the network takes, None when unknown. `until`, `condition`: of an interim answer; `body`:
    of a redirection;
    `alike`: how many others asked the same and wait for an answer. `zone`: the organisation's, for dates.
    `earlier`: published answers to other questions.
    """

    text: str
    kind: str = "final"
    message: str = ""
    author: str | None = None
    topic: str = ""
    places: tuple[str, ...] = ()
    limit: int | None = None
    until: datetime | None = None
    condition: str | None = None
    body: str | None = None
    alike: int = 0
    zone: str = "Europe/Moscow"
    earlier: Sequence[Earlier] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong. `level`: error, warning, note; `check`: the module that says so; `text`: one Russian sentence."""

    level: str
    check: str
    text: str


def examine(draft: Draft) -> list[Finding]:
    """Everything that the checks have to say, errors first."""
    return sorted(_all(draft), key=lambda f: (ERROR, WARNING, NOTE).index(f.level))


def _all(draft: Draft) -> Iterator[Finding]:
    from desk.checks import copies, empty, length, manners, personal, politics, promises, relevance

    for module in (length, promises, personal, politics, manners, copies):
        yield from module.check(draft)
    if draft.text.strip():
        # Who says nothing says nothing about the question either: one reason is enough.
        yield from list(empty.check(draft)) or list(relevance.check(draft))
