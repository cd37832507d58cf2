"""What a person may be in the middle of during the administrator's hour, and the keys there are. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from desk.search import Choice, find

SHOWN = 7
"""Choices that are listed at once."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """What there is to choose from. Values: of topics (topic or None, group), of places a `Place`."""

    topics: Sequence[Choice] = ()
    places: Sequence[Choice] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # ids of topics and groups -> how they are called


@dataclass(frozen=True, slots=True)
class Picking:
    """Choosing by a few letters. `what`: topic, place, division or also (one more division)."""

    what: str
    title: str
    choices: Sequence[Choice]
    query: str = ""
    at: int = 0

    @property
    def found(self) -> list[Choice]:
        return find(self.query, self.choices, SHOWN)


@dataclass(frozen=True, slots=True)
class Grounds:
    """Choosing a ground by its number, the first one with Enter. `what`: refuse or block."""

    what: str
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Term:
    """Typing the term of a blocking."""

    ground: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """The whole message, from line `top` on."""

    top: int = 0


@dataclass(frozen=True, slots=True)
class Helping:
    """The page of keys."""


Mode = Picking | Grounds | Term | Reading | Helping

KEYS = {
    "enter": "сделать, как предложено",
    "t": "тема",
    "p": "место",
    "d": "подразделение или исполнитель",
    "+": "ещё подразделение (общий ответ сводит основное)",
    "u": "важность: срочно или оперативно",
    "e": "чрезвычайное: да или нет",
    "r": "отказать, с основанием пункта 9",
    "k": "заблокировать автора, с основанием пункта 10 и сроком",
    "n": "ответ не нужен: закрыть",
    "b": "направить и все такие же сообщения",
    "s": "пропустить до следующего раза",
    "z": "отменить последнее",
    "v": "сообщение целиком",
    "?": "эта справка",
    "q": "выйти",
}
