"""Text in, Assessment out. Only `load` is for other rooms; what it gives is described in `contract`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from classifier.judge import RoomJudge


def load(model_path: str | Path | None = None, gazetteer: str | Path | None = None) -> RoomJudge:
    """The judge with the shipped model and gazetteer, or with those of the configuration (about half a second)."""
    from classifier.judge import RoomJudge

    return RoomJudge(model_path, gazetteer)
