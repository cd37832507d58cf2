"""What the other rooms may rely on: text in, `Assessment` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from store.values import Assessment


@dataclass(frozen=True, slots=True)
class Text:
    """A text to judge. `page` (title or id of the page it stands under) helps to tell homonymous places apart."""

    text: str
    id: str = ""
    page: str = ""
    attachments: tuple[str, ...] = ()  # kinds, e.g. ("photo",)


class Judge(Protocol):
    """`assess_many` never raises for a text: one it can't judge gives None at its place."""

    model: str

    def assess(self, text: Text) -> Assessment: ...

    def assess_many(self, texts: Sequence[Text]) -> list[Assessment | None]: ...

    def explain(self, text: Text) -> dict: ...
