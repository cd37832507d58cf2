"""Text in, Assessment out. `load` and `load_for` are for other rooms; what they give is described in `contract`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from classifier.judge import RoomJudge
    from settings import Settings


def load(model_path: str | Path | None = None, gazetteer: str | Path | None = None) -> RoomJudge:
    """The judge with the shipped model and gazetteer, or with those of the configuration (about half a second)."""
    from classifier.judge import RoomJudge

    return RoomJudge(model_path, gazetteer)


def load_for(settings: Settings) -> RoomJudge:
    """The judge that the configuration asks for: the model that runs in this installation, the district's gazetteer."""
    from classifier.live import Models

    return Models.of(settings).judge(gazetteer_of(settings))


def gazetteer_of(settings: Settings) -> Path | None:
    """The configured gazetteer; None: the program's own."""
    chosen = settings.classifier.gazetteer
    return Path(settings.beside(chosen)) if chosen else None
